"""`pytest --purestate`: which files become items, and what works with them."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from outside import PASSES, REUSE, SPLIT, at_start, excerpt, ids, outcomes, run, write

SUMMARY = (
    "5 findings in 2 files (PS101 1, PS103 2, PS105 2); 2 files checked; 1 skipped that never mention JAX"
)

FOUND = ["model.py::PS101", "train.py::PS103", "train.py::PS105"]


@pytest.fixture(autouse=True)
def _project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("CI", raising=False)  # there, pytest cuts no long lines
    files = {"pytest.ini": "[pytest]\n", "train.py": SPLIT, "model.py": REUSE, "test_it.py": PASSES}
    write(pytester.path, files)


def collected(pytester: pytest.Pytester, *arguments: str) -> list[str]:
    return ids(run(pytester, "--purestate", "--co", "-q", *arguments))


def test_an_item_fails_with_every_frame_and_no_traceback(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--purestate")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=3)
    assert excerpt(result, " train.py::PS103 ", " train.py::PS105 ")[1:] == [
        "PS103 key `key` is used again after `split` consumed it",
        "  --> train.py:6:30",
        "   |",
        " 5 |     jax.random.split(key)",
        "   |                      --- first consumed here",
        " 6 |     return jax.random.normal(key)",
        "   |                              ^^^ used again here",
        "   = help: draw from the keys that `split` returned",
        "",
        "PS103 key `key` is used again after `split` consumed it",
        "  --> train.py:11:30",
        "   |",
        "10 |     jax.random.split(key)",
        "   |                      --- first consumed here",
        "11 |     return jax.random.normal(key)",
        "   |                              ^^^ used again here",
        "   = help: draw from the keys that `split` returned",
        "",
    ]
    assert excerpt(result, " purestate ====", " short test summary info ")[1:] == [SUMMARY]
    assert excerpt(result, " short test summary info ", " in ")[1:] == [
        "FAILED model.py::PS101 - key `key` is used again after `normal` consumed it",
        "FAILED train.py::PS103 - key `key` is used again after `split` consumed it",
        "FAILED train.py::PS105 - the keys that `split` returns are thrown away",
    ]
    # ... and from the run's own cache, without the test and in the same order:
    again = run(pytester, "--purestate", "--lf", "-rA", "--tb=no")
    assert outcomes(again) == {f"FAILED {item}" for item in FOUND}
    again.assert_outcomes(failed=3, deselected=1)


def test_a_repaired_file_has_no_items(pytester: pytest.Pytester) -> None:
    for name in ("train.py", "model.py"):
        (pytester.path / name).write_text("import jax\n", encoding="utf-8")
    result = run(pytester, "--purestate")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1)
    assert "no findings; 2 files checked; 1 skipped that never mention JAX" in result.outlines


def test_arguments_choose_the_files(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"sub/deep.py": REUSE, "sub/test_sub.py": PASSES})
    everything = ["sub/test_sub.py::test_it", "test_it.py::test_it", *FOUND, "sub/deep.py::PS101"]
    assert collected(pytester) == everything
    assert collected(pytester, "sub") == ["sub/test_sub.py::test_it", "sub/deep.py::PS101"]
    # The flag takes no value: what follows it is a path.
    assert ids(run(pytester, "--co", "-q", "--purestate", "train.py")) == FOUND[1:]
    assert collected(pytester, "test_it.py::test_it") == ["test_it.py::test_it"]
    assert collected(pytester, ".", "test_it.py::test_it") == everything


def test_arguments_count_from_the_working_directory(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(pytester.path, {"sub/deep.py": REUSE, "sub/test_sub.py": PASSES})
    monkeypatch.chdir(pytester.path / "sub")
    assert collected(pytester, "deep.py", "../train.py") == [*FOUND[1:], "sub/deep.py::PS101"]
    # Without arguments pytest runs the tests from here on, and the files are still those of the project.
    assert collected(pytester) == ["sub/test_sub.py::test_it", *FOUND, "sub/deep.py::PS101"]


def test_testpaths_are_for_tests(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"pytest.ini": "[pytest]\ntestpaths = tests\n", "tests/test_sub.py": PASSES})
    assert collected(pytester) == ["tests/test_sub.py::test_it", *FOUND]


def test_purestate_paths(pytester: pytest.Pytester) -> None:
    ini = "[pytest]\npurestate_paths =\n    src\n    model.py\n"
    write(pytester.path, {"pytest.ini": ini, "src/deep.py": REUSE})
    assert collected(pytester) == ["test_it.py::test_it", "src/deep.py::PS101", "model.py::PS101"]
    # train.py is asked for, but none of ours:
    assert collected(pytester, "src", "train.py") == ["src/deep.py::PS101"]


def test_a_file_outside_of_the_root(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    write(pytester.path, {"root/pytest.ini": "[pytest]\npurestate_paths = ../lib\n", "lib/far.py": REUSE})
    monkeypatch.chdir(pytester.path / "root")
    assert collected(pytester) == [f"{(pytester.path / 'lib' / 'far.py').as_posix()}::PS101"]


def test_settings_and_suppressions_hold(pytester: pytest.Pytester) -> None:
    write(
        pytester.path,
        {
            "purestate.toml": 'ignore = ["PS105"]\nextend-exclude = ["model.py"]\n',
            "train.py": SPLIT.replace("normal(key)", "normal(key)  # noqa: PS103", 1),
            "quiet.py": REUSE.replace("normal(key)\n", "normal(key)  # purestate: ignore[PS101] wanted\n"),
        },
    )
    result = run(pytester, "--purestate")
    result.assert_outcomes(passed=1, failed=1)
    assert [line for line in result.outlines if line.startswith("  --> ")] == ["  --> train.py:11:30"]
    (summary,) = excerpt(result, " purestate ====", " short test summary info ")[1:]
    assert summary.startswith("1 finding in 1 file (PS103 1); 2 files checked; ")


def test_pytest_selects_the_items_like_others(pytester: pytest.Pytester) -> None:
    assert collected(pytester, "-k", "train and not PS103") == ["train.py::PS105"]
    assert collected(pytester, "-m", "purestate_static", "--strict-markers") == FOUND
    assert collected(pytester, "--deselect", "train.py::PS103") == ["test_it.py::test_it", FOUND[0], FOUND[2]]


def test_exit_first_junit_and_no_cache(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--purestate", "-x", "-p", "no:cacheprovider", "--junit-xml=out.xml")
    result.assert_outcomes(passed=1, failed=1)
    assert not (pytester.path / ".pytest_cache").exists()
    cases = ElementTree.parse(pytester.path / "out.xml").getroot().findall(".//testcase")
    assert [(case.get("classname"), case.get("name")) for case in cases] == [
        ("test_it", "test_it"),
        ("model", "PS101"),
    ]
    (failure,) = cases[1]
    assert failure.get("message") == "key `key` is used again after `normal` consumed it"
    assert failure.text is not None
    assert failure.text.startswith(f"PS101 {failure.get('message')}\n  --> model.py:5:55\n")


def test_it_does_not_matter_that_a_test_module_is_broken(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"test_broken.py": "import no_such_module\n"})
    result = run(pytester, "--purestate", "--continue-on-collection-errors")
    result.assert_outcomes(passed=1, failed=3, errors=1)


def test_workers_share_one_analysis(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    log = pytester.path / "started.log"
    at_start(
        pytester,
        monkeypatch,
        "import sys\n"
        "for role, word in {'check': 'pytest_purestate._check.batch', 'worker': '-c'}.items():\n"
        "    if word in sys.orig_argv:\n"
        f"        open({str(log)!r}, 'a').write(role + '\\n')\n",
    )
    result = run(pytester, "--purestate", "-n2", "-rA")
    result.assert_outcomes(passed=1, failed=3)
    assert outcomes(result) == {"PASSED test_it.py::test_it", *(f"FAILED {item}" for item in FOUND)}
    assert log.read_text().split() == ["check", "worker", "worker"]
    (summary,) = excerpt(result, " purestate ====", " short test summary info ")[1:]
    assert summary == SUMMARY.replace("1 skipped", "2 skipped")  # that is sitecustomize.py
    assert result.outlines.count("  --> train.py:11:30") == 1
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text there")
def test_a_name_that_is_not_text(pytester: pytest.Pytester) -> None:
    Path(os.fsdecode(bytes(pytester.path) + b"/odd\xff.py")).write_text(REUSE, encoding="utf-8")
    result = run(pytester, "--purestate", "-n1", "-k", "odd", "--junit-xml=out.xml")
    result.assert_outcomes(failed=1)
    assert "  --> odd\\xff.py:5:55" in result.outlines
    assert re.search(r'classname="odd\\xff" name="PS101"', (pytester.path / "out.xml").read_text())
