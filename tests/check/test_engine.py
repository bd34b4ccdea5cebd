from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pytest_purestate._check.discovery import MissingPathError
from pytest_purestate._check.engine import Run, Status, check_paths, check_source
from pytest_purestate._check.source import UnreadableSourceError
from pytest_purestate.config import Config, ConfigError, ConfigFinder, Overrides

pytestmark = pytest.mark.usefixtures("marked_analysis")


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def put(path: str, text: str | bytes) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())


def outline(run: Run) -> list[tuple[str, str, str]]:
    return [
        (result.path, result.status.value, "; ".join(f"{f.code} {f.message}" for f in result.findings))
        for result in run.results
    ]


@pytest.mark.parametrize("jobs", [0, 1, 2])
def test_every_file_is_accounted_for(jobs: int) -> None:
    put("a.py", "import jax\nPS101(x)\n")
    put("b.py", "import numpy\nPS101(x)\n")
    put("binary.py", bytes(range(256)))
    put("bom.py", b"\xef\xbb\xbf# jax\r\nPS101(x)\r\n")
    put("boom.py", "# jax BOOM\n")
    put("broken.py", "# jax UNPARSABLE 2:5\nx = )\n")
    put("cp.py", "# coding: cp1252\n# jax\nPS101('ä')\n".encode("cp1252"))
    put("deep.py", "# jax\nx = " + "(" * 5_000 + ")" * 5_000)
    put("empty.py", "")
    put("latin.py", "# jax ä".encode("latin-1"))
    put("recursive.py", "# jax DEEP")
    Path("gone.py").symlink_to("nowhere.py")
    os.mkfifo("pipe.py")
    put("wrong.py", "# coding: nonsense\n# jax\n")
    put("zero.py", b"# jax\nx\x00y\n")
    assert outline(check_paths([Path()], jobs=jobs)) == [
        ("a.py", "checked", "PS101 found x"),
        ("b.py", "skipped", ""),
        ("binary.py", "failed", "PS003 cannot be read: line 2 is not utf-8: unexpected byte 0x80"),
        ("bom.py", "checked", "PS101 found x"),
        ("boom.py", "failed", f"PS004 internal error: KeyError: 'a\\nb' (check/marked.py:{boom_line()})"),
        ("broken.py", "failed", "PS001 cannot be parsed: expected an expression"),
        ("cp.py", "checked", "PS101 found 'ä'"),
        ("deep.py", "failed", "PS004 not parsed: more than 100 brackets inside each other"),
        ("empty.py", "skipped", ""),
        ("gone.py", "failed", "PS003 cannot be read: no such file or directory"),
        ("latin.py", "failed", "PS003 cannot be read: line 1 is not utf-8: unexpected byte 0xe4"),
        ("pipe.py", "failed", "PS003 cannot be read: is not a regular file"),
        ("recursive.py", "failed", "PS004 too deep to be checked"),
        ("wrong.py", "failed", "PS003 cannot be read: unknown encoding: nonsense"),
        ("zero.py", "failed", "PS003 cannot be read: line 2 has a null byte, so this is not Python source"),
    ]


def boom_line() -> int:
    text = Path(__file__).with_name("marked.py").read_text(encoding="utf-8")
    return text[: text.index('raise KeyError("a')].count("\n") + 1


def test_a_crash_and_a_hang_cost_one_file_each() -> None:
    put("a.py", "# jax CRASH\n")
    put("b.py", "# jax\nPS101(x)\n")
    put("c.py", "# jax HANG\n")
    put("d.py", "# jax\nPS101(y)\n")
    run = check_paths([Path()], jobs=2, deadline=1.5)
    assert outline(run) == [
        ("a.py", "failed", "PS004 ended the process that checked it (SIGSEGV)"),
        ("b.py", "checked", "PS101 found x"),
        ("c.py", "failed", "PS004 took longer than 1.5 s to check"),
        ("d.py", "checked", "PS101 found y"),
    ]
    assert not run.internal
    assert (
        run.summary() == "4 findings in 4 files (PS004 2, PS101 2); 2 files checked; 2 could not be checked"
    )


def test_only_a_failure_of_the_checker_itself_is_internal() -> None:
    put("a.py", "# jax UNPARSABLE 1:1\n")
    assert not check_paths([Path()], jobs=0).internal
    put("a.py", "# jax BOOM\n")
    assert check_paths([Path()], jobs=0).internal


def test_without_the_prefilter_every_file_is_checked() -> None:
    put("a.py", "PS101(x)")
    assert outline(check_paths([Path()], prefilter=False, jobs=0)) == [("a.py", "checked", "PS101 found x")]
    assert (
        check_paths([Path()], jobs=0).summary()
        == "no findings; 0 files checked; 1 skipped that never mention JAX"
    )


def test_each_file_has_the_rules_of_its_nearest_settings() -> None:
    put("purestate.toml", "ignore = ['PS102']\n")
    put("a.py", "# jax\nPS101(x), PS102(y)\n")
    put("sub/purestate.toml", "select = ['PS102']\n")
    put("sub/b.py", "# jax\nPS101(x), PS102(y)\n")
    assert [f"{f.path} {f.code}" for f in check_paths([Path()], jobs=1).findings] == [
        "a.py PS101",
        "sub/b.py PS102",
    ]
    finder = ConfigFinder(overrides=Overrides(ignore=("PS101",)))
    assert [f"{f.path} {f.code}" for f in check_paths([Path()], finder, jobs=1).findings] == [
        "sub/b.py PS102"
    ]


def test_low_confidence_is_shown_when_asked_for() -> None:
    text = "PS101_low(a)\nPS101(b)\n"
    assert [f.message for f in check_source(text, config=Config(Path()))] == ["found b"]
    low = Config(Path(), min_confidence="low")
    assert [f.message for f in check_source(text, config=low)] == ["found a", "found b"]


def test_a_wrong_selector_names_its_place() -> None:
    put("a.py", "")
    put("purestate.toml", "\nignore = [\n  'PS999',\n]\n")
    with pytest.raises(ConfigError, match=r"^purestate\.toml:2: unknown rule `PS999`"):
        check_paths([Path()])
    finder = ConfigFinder(isolated=True, overrides=Overrides(select=("PS998",)))
    with pytest.raises(ConfigError, match=r"^unknown rule `PS998`"):
        check_paths([Path()], finder)


def test_a_missing_path() -> None:
    with pytest.raises(MissingPathError):
        check_paths([Path("nope")])


def test_check_source_takes_text_and_never_raises_for_what_it_says() -> None:
    assert [(f.code, f.path) for f in check_source("PS101(a)", "b.py")] == [("PS101", "b.py")]
    assert [f.code for f in check_source("UNPARSABLE 1:1\n")] == ["PS001"]
    assert [f.code for f in check_source("(" * 5_000)] == ["PS004"]
    with pytest.raises(UnreadableSourceError, match="lone surrogate"):
        check_source("'\ud800'")


def test_check_source_leaves_the_recursion_limit_as_it_was() -> None:
    before = sys.getrecursionlimit()
    check_source("x = 1")
    assert sys.getrecursionlimit() == before


@pytest.mark.parametrize(("place", "shown"), [("2:5", "("), ("3:1", "("), ("9:9", "("), ("1:1", "#")])
def test_a_syntax_error_points_at_a_character(place: str, shown: str) -> None:
    text = f"# UNPARSABLE {place}\nx = (\n"
    (finding,) = check_source(text)
    assert text[finding.primary.span.start : finding.primary.span.end] == shown


def test_statuses_are_counted() -> None:
    put("a.py", "# jax")
    put("b.py", "")
    run = check_paths([Path()], jobs=0)
    assert [run.count(status) for status in Status] == [1, 1, 0]
