"""The page of a report, as text and as a tree of elements; what a browser makes of it is in `test_browser`."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from page_dom import Element, parse
from page_samples import EVIL, LINEAGE, RUN, TESTS, many

from pytest_purestate._pages import data
from pytest_purestate._pages.markup import anchor, seconds, text
from pytest_purestate._pages.nodes import count, pruned
from pytest_purestate._pages.page import render
from pytest_purestate.cli import main


@pytest.fixture(scope="module")
def page() -> Element:
    return parse(render(RUN, TESTS))


def entry_of(page: Element, name: str) -> Element:
    """The entry of a test, by its name without the file."""
    (found,) = [each for each in page.all("details", class_="test") if each.one("h4").text == name]
    return found


# --- the whole page ------------------------------------------------------------------------------


def test_ids_are_unique_and_all_links_lead_somewhere(page: Element) -> None:
    ids = [each.attributes["id"] for each in page.walk() if "id" in each.attributes]
    assert sorted(set(ids)) == sorted(ids)
    links = [each.attributes["href"] for each in page.walk() if "href" in each.attributes]
    assert links
    assert {link for link in links if not link.startswith("#")} == set()
    named = [
        each.attributes[name]
        for each in page.walk()
        for name in ("aria-labelledby", "for")
        if name in each.attributes
    ]
    assert {link.removeprefix("#") for link in links} | set(named) <= set(ids)


def test_nothing_is_loaded(page: Element) -> None:
    loading = {"src", "srcset", "data", "poster", "background", "action", "formaction", "ping"}
    assert [each for each in page.walk() if loading & set(each.attributes)] == []
    assert page.all("link") == page.all("img") == page.all("iframe") == []
    style, script = page.one("style").text, page.one("script").text
    assert not re.search(r"url\(|@import|https?:|//\w", style)
    assert not re.search(r"https?:|fetch|XMLHttp|import\(|innerHTML|eval", script)


def test_a_policy_forbids_all_but_the_style_and_the_script(page: Element) -> None:
    (policy,) = [
        each.attributes["content"]
        for each in page.all("meta")
        if each.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for name in ("style", "script"):
        (content,) = page.one(name).children
        assert isinstance(content, str)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert [each for each in page.walk() if "style" in each.attributes] == []
    assert [each for each in page.walk() if any(name.startswith("on") for name in each.attributes)] == []


def test_headings_go_down_one_step_at_a_time(page: Element) -> None:
    levels = [int(each.name[1]) for each in page.walk() if re.fullmatch(r"h[1-6]", each.name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))


def test_the_page_says_what_it_is(page: Element) -> None:
    assert page.one("html").attributes["lang"] == "en"
    assert page.one("title").text == "noise – purestate report"
    assert page.one("meta", name="color-scheme").attributes["content"] == "light dark"
    assert len(page.all("meta", charset="utf-8")) == 1
    skip = page.one("a", class_="skip")
    assert skip.text == "Skip to the tests"
    assert len(page.all("main")) == len(page.all("header")) == 1
    assert "seed 7" in page.one("header").text
    assert "1 min 16 s" in page.one("header").text


def test_what_users_wrote_is_never_markup(page: Element) -> None:
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    shown = page.text
    # In the command, in the id of a test, in a finding, in a value.
    assert shown.count(EVIL) >= 4


def test_the_overview_counts(page: Element) -> None:
    assert page.one("ul", class_="counts").text == (
        "9 tests 4 failed 1 error 1 passed unexpectedly 1 passed 1 failed as expected 1 skipped"
    )
    widths = [float(each.attributes["width"]) for each in page.one("svg", class_="bar").all("rect")]
    assert sum(widths) == pytest.approx(100, abs=0.01)
    concerns = {row.one("th").text: row.one("td").text for row in page.all("table")[0].one("tbody").all("tr")}
    assert concerns == {
        "key reuse": "1",
        "state edited": "1",
        "process changed": "1",
        "not deterministic": "1",
        "static finding": "1",
    }
    links = page.one("ul", class_="wanting").all("li")
    assert [link.text for link in links][:2] == [
        "✖ failed tests/test_noise.py::test_noise – key reuse, process changed",
        "✖ failed tests/test_state.py::test_edit – state edited",
    ]
    assert len(links) == 6


def test_a_run_that_ended_early_and_without_lineages_says_so() -> None:
    run = {**RUN, "stopped": "stopping after 1 failures", "lineages": False, "note": "keys are not watched"}
    notes = [each.text for each in parse(render(run, TESTS)).all("p", class_="note")]
    assert notes[:2] == ["The run was stopped early: stopping after 1 failures.", "keys are not watched"]
    assert "--purestate-html" in notes[2]
    (note,) = parse(render({**RUN, "exit": 2}, TESTS)).all("p", class_="note")
    assert "interrupted" in note.text


def test_a_run_with_nothing_in_it() -> None:
    page = parse(render({}, []))
    assert page.one("ul", class_="counts").text == "0 tests"
    assert page.one("title").text == "purestate report"


# --- one test ------------------------------------------------------------------------------------


def test_a_reuse_is_told_in_words_with_both_places(page: Element) -> None:
    entry = entry_of(page, "test_noise")
    assert entry.attributes["data-concerns"] == "keys host"
    first, again = entry.all("div", class_="bad")
    assert first.text == "draw normal float32[3] ✖ used here first noise.py:5 in noisy"
    assert again.text == "draw uniform float32[3] ✖ REUSED noise.py:6 in noisy"
    assert "attempt 2" in entry.text


def test_the_tree_has_roles_and_one_stop_for_the_tab_key(page: Element) -> None:
    (tree,) = page.all(role="tree")
    assert tree.attributes["aria-label"] == "Key lineage of test_noise"
    items = tree.all(role="treeitem")
    assert [item.attributes["tabindex"] for item in items] == ["0"] + ["-1"] * (len(items) - 1)
    for item in items:
        assert ("aria-expanded" in item.attributes) == bool(item.all(role="group"))
    rows = [row.text for row in tree.all("div", class_="row")]
    assert rows == [
        "key key test_noise.py:13",
        "draw normal float32[3] ✖ used here first noise.py:5 in noisy",
        "draw uniform float32[3] ✖ REUSED noise.py:6 in noisy",
        "key jax.random.key(0) noise.py:9",
        "split split into 2 × 19 and on with [0] noise.py:11 in compiled step",
        "part [1] → draw bernoulli bool[3] in each pass of a loop noise.py:12",
        "loop these steps, one after the other × 4",
        "fold fold_in(0 … 3) × 4",
        "1 folded key of it never used",
        "… 12 more nodes, not shown",
    ]


def test_a_finding_that_pytest_tells_already_is_not_told_twice(page: Element) -> None:
    entry = entry_of(page, "test_noise")
    assert [each.text for each in entry.all("pre")][1:] == [f"state of the process is left changed {EVIL}"]
    assert "The guard found" in entry_of(page, "test_edit").text


def test_changes_are_told_by_path(page: Element) -> None:
    table = entry_of(page, "test_edit").one("table")
    assert [row.text for row in table.one("tbody").all("tr")] == [
        f"state.params['bias'][0] the type changed float32[2] {EVIL}",
        "jax_enable_x64 changed False –",
    ]
    assert "3 more changes" in entry_of(page, "test_edit").text


def test_compilations(page: Element) -> None:
    table = entry_of(page, "test_noise").one("table")
    assert [row.text for row in table.one("tbody").all("tr")] == [
        "step 2 1 1.25 s noise.py:9",
        "5 operations of JAX itself 7 3 20 ms",
    ]


def test_determinism_says_which_way_failed(page: Element) -> None:
    entry = entry_of(page, "test_ways")
    passed, failed = [each.text for each in entry.one("ul", class_="plain").all("li")]
    assert passed == (
        "✔ passed assert_deterministic of step : calls, recompile; 3 calls each tests/test_state.py:10"
    )
    assert failed.startswith(
        "✖ failed assert_deterministic of noisy : calls, recompile differs ; 3 calls each"
    )
    assert "4 places in the output differ" in failed


def test_files_of_two_workers_are_told_apart() -> None:
    tests = [{"id": "a.py::b", "outcome": "passed", "worker": worker} for worker in ("gw0", "gw1", "gw1")]
    page = parse(render(RUN, tests))
    ids = [each.attributes["id"] for each in page.all("details")]
    assert len(set(ids)) == 3
    assert ids[2] == f"{ids[1]}-2"


def test_a_link_to_a_test_is_the_same_in_every_run() -> None:
    assert anchor("tests/test_noise.py::test_noise", "") == anchor("tests/test_noise.py::test_noise", "")
    assert anchor("a", "b") != anchor("ab", "")


# --- much --------------------------------------------------------------------------------------


def test_a_large_run_is_bounded() -> None:
    page = render(RUN, many(2000))
    assert page.count("<details ") == page.count("… 49 more nodes, not shown") == 2000
    assert page.count('<li role="treeitem"') == 2000 * 13
    assert len(page) < 10_000_000


def test_mistakes_are_never_left_out() -> None:
    kids: list[dict[str, Any]] = [{"is": "draw", "text": str(number)} for number in range(100)]
    kids[90]["bad"] = "again"
    roots = [{"is": "root", "text": "key", "kids": kids}]
    (root,) = pruned(roots, 11)
    assert [kid.get("text") for kid in root["kids"]] == [*map(str, range(10)), "90", None]
    assert root["kids"][-1] == {"is": "more", "times": 89}
    assert count(root) == count(roots[0])
    assert pruned(LINEAGE["roots"], 400) == LINEAGE["roots"]


def test_odd_characters_are_shown() -> None:
    assert text("a\x00b\x1b\x7f") == "a␀b␛␡"
    assert text("\ttab\nline") == "\ttab\nline"
    assert [seconds(value) for value in (0.0004, 0.25, 59.9, 125)] == [
        "0 ms",
        "0.25 s",
        "59.90 s",
        "2 min 5 s",
    ]


# --- the command -------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "below").mkdir()
    (tmp_path / "pyproject.toml").touch()  # nothing further up belongs to it
    monkeypatch.chdir(tmp_path / "below")
    return tmp_path


def test_the_command_writes_the_page_of_the_last_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = data.save(project, RUN, TESTS)
    assert (project / ".purestate" / ".gitignore").read_text() == "*\n"
    assert main(["report"]) == 0
    assert capsys.readouterr().out == "purestate-report.html: 9 tests\n"
    page = Path("purestate-report.html").read_text(encoding="utf-8")
    assert page == render(RUN, TESTS)
    assert main(["report", str(file), "-o", "deep/er/page.html"]) == 0
    assert Path("deep/er/page.html").read_text(encoding="utf-8") == page


def test_a_test_id_that_is_no_unicode_can_be_written(project: Path) -> None:
    data.save(project, RUN, [{"id": "test_\udcff.py::test", "outcome": "passed"}])
    assert main(["report"]) == 0
    assert "test_\\udcff.py" in Path("purestate-report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "Expecting property name"),
        ("[]", "not what a run of `pytest --purestate` records"),
        ('{"format": 99}', "format 99, and this version reads format 1"),
        ('{"format": 1, "run": {}}', "the run or its tests are missing"),
        ('{"format": 1, "run": {}, "tests": [{"id": "a", "outcome": "fine"}]}', "an outcome that is none"),
        ('{"format": 1, "run": {}, "tests": [3]}', "an outcome that is none"),
        ("[" * 100_000, ""),
    ],
)
def test_what_cannot_be_read_is_an_error(
    project: Path, capsys: pytest.CaptureFixture[str], content: str, problem: str
) -> None:
    Path("results.json").write_text(content)
    assert main(["report", "results.json"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("purestate: results.json: ")
    assert problem in error
    assert list(Path.cwd().glob("*.html")) == []


def test_where_no_run_recorded_anything(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == 2
    assert "no run left a .purestate/report.json here or further up" in capsys.readouterr().err


def test_a_page_that_cannot_be_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.save(project, RUN, TESTS)
    Path("a-file").write_text("")
    assert main(["report", "-o", "a-file/page.html"]) == 2
    assert capsys.readouterr().err.startswith("purestate: ")
    Path("folder").mkdir()
    assert main(["report", "-o", "folder"]) == 2
    assert list(Path.cwd().glob(".*")) == []


def test_a_linked_folder_is_not_written_to(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (project / ".purestate").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(OSError, match="symbolic link"):
        data.save(project, RUN, TESTS)


def test_what_is_kept_can_be_read_back(project: Path) -> None:
    file = data.save(project, RUN, TESTS)
    assert data.load(file) == {"format": 1, "run": RUN, "tests": TESTS} == json.loads(file.read_text())
