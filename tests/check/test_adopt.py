"""`--add-noqa` and the files, from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_purestate._check.adopt import add_comments
from pytest_purestate._check.discovery import Target
from pytest_purestate._check.engine import FileResult, Run, Status
from pytest_purestate._check.model import Finding, Label, Span
from pytest_purestate.config import Config

REUSE = """\
import jax


def step(key, x):
    noise = jax.random.normal(key, x.shape)  # drawn once
    return x + noise + jax.random.normal(
        key,
        x.shape,
    )


def text(key):
    a = jax.random.normal(key)
    return f'''
{a} {jax.random.normal(key)}'''


def old(key):
    return jax.random.normal(key)  # noqa: E501, PS103
"""


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(*arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "pytest_purestate", "check", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_the_next_run_is_clean_and_a_second_one_changes_nothing() -> None:
    files = {
        "unix.py": REUSE.encode(),
        "windows.py": b"\xef\xbb\xbf" + REUSE.replace("\n", "\r\n").encode(),
        "latin.py": ("# coding: latin-1\n" + REUSE.replace("noise", "größe")).encode("latin-1"),
        "unended.py": REUSE.rstrip("\n").encode(),
    }
    for name, raw in files.items():
        Path(name).write_bytes(raw)
    Path("clean.py").write_bytes(b"import jax\r\n")
    times = Path("clean.py").stat().st_mtime_ns
    assert check("--add-noqa") == (0, "", "added 12 comments in 4 files\n")
    after = {name: Path(name).read_bytes() for name in files}
    for name, raw in files.items():
        expected = (
            raw.replace(b"        key,", b"        key,  # noqa: PS101")
            .replace(b"key)}'''", b"key)}'''  # noqa: PS101")
            .replace(b"E501, PS103", b"E501, PS103, PS002")
        )
        assert after[name] == expected
    assert Path("clean.py").stat().st_mtime_ns == times
    assert check() == (0, "no findings; 5 files checked\n", "")
    assert check("--add-noqa") == (0, "", "added 0 comments in 0 files\n")
    assert {name: Path(name).read_bytes() for name in files} == after


def test_what_no_comment_can_suppress_is_counted() -> None:
    Path("a.py").write_text("import jax\nx = (\n", encoding="utf-8")
    Path("b.py").write_text(REUSE, encoding="utf-8")
    _, _, err = check("--add-noqa")
    assert err == "added 3 comments in 1 file; 1 finding cannot be suppressed by a comment\n"


def test_only_what_is_shown_is_suppressed() -> None:
    Path("a.py").write_text(REUSE, encoding="utf-8")
    assert check("--add-noqa", "--select=PS002")[2] == "added 1 comment in 1 file\n"
    check("--write-baseline=b.json")
    assert check("--add-noqa", "--baseline=b.json")[2] == "added 0 comments in 0 files\n"


def test_a_link_to_a_file_adds_nothing_twice() -> None:
    Path("a.py").write_text(REUSE, encoding="utf-8")
    Path("b.py").symlink_to("a.py")
    assert check("--add-noqa")[2] == "added 3 comments in 1 file\n"
    assert Path("b.py").is_symlink()
    assert check()[0] == 0


def test_a_file_that_is_not_what_was_checked_is_left_alone() -> None:
    found = Finding("PS101", "a.py", "m", Label(Span(0, 1), "", "a.py"))
    Path("a.py").write_bytes(b"changed\n")
    file = Path("a.py").absolute()
    run = Run((FileResult("a.py", file, Status.CHECKED, (found,)),))
    target = Target(file, "a.py", Config(Path.cwd()), raw=b"x = 1\n")
    assert add_comments(run, [target]) == (
        "added 0 comments in 0 files; 1 finding cannot be suppressed by a comment"
    )
    assert file.read_bytes() == b"changed\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everything")
def test_a_file_that_cannot_be_written() -> None:
    Path("shut").mkdir()
    Path("shut/a.py").write_text(REUSE, encoding="utf-8")
    Path("shut").chmod(0o500)
    try:
        assert check("--add-noqa") == (2, "", "purestate: shut/a.py: cannot be written: permission denied\n")
    finally:
        Path("shut").chmod(0o700)


def test_standard_input_that_is_excluded_is_passed_over() -> None:
    command = [sys.executable, "-m", "pytest_purestate", "check", "-", "--stdin-filename=build/a.py"]
    done = subprocess.run(command, input=REUSE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    done = subprocess.run(
        [*command, "--force-exclude"], input=REUSE, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "no findings; 0 files checked\n")


def test_configuration_from_outside() -> None:
    Path("a.py").write_text(REUSE, encoding="utf-8")
    assert check("--config", "ignore = ['PS1', 'PS002']")[:2] == (0, "no findings; 1 file checked\n")
    assert check("--config", "ignore = ['PS1']", "--select=PS1")[0] == 1
    assert check("--per-file-ignores", "*.py:PS1,PS002")[0] == 0
    long = ", ".join(["'PS1'", "'PS002'"] * 100)
    assert check("--config", f"ignore = [{long}]")[0] == 0
    Path("base.toml").write_text("ignore = ['PS1', 'PS002']\n", encoding="utf-8")
    Path("purestate.toml").write_text("extend = 'base.toml'\n", encoding="utf-8")
    assert check()[0] == 0
    Path("base.toml").write_text("extend = 'purestate.toml'\n", encoding="utf-8")
    status, _, err = check()
    assert (status, err) == (
        2,
        "purestate: base.toml:1: `extend` goes in a circle: purestate.toml -> base.toml -> purestate.toml\n",
    )
