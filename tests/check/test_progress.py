"""The bar of a long run, on a terminal and elsewhere."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_purestate._check import progress
from pytest_purestate._check.progress import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_appears_after_a_while_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    with Bar(terminal) as bar:
        bar(1, 40)
        assert terminal.getvalue() == ""
        monkeypatch.setattr(progress, "PATIENCE", 0.0)
        bar(7, 40)
        assert "checking" in terminal.getvalue()
        assert "7/40" in terminal.getvalue()
        bar(8, 40)
        assert "8/40" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")  # the line is empty again


def test_elsewhere_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    stream = io.StringIO()
    with Bar(stream) as bar:
        bar(7, 40)
    assert stream.getvalue() == ""


def test_on_a_real_terminal_the_report_is_whole(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"m{number}.py").write_text("import jax\n")
    script = (
        "import sys\nfrom pytest_purestate._check import progress\nprogress.PATIENCE = 0.0\n"
        "from pytest_purestate.cli import main\nsys.exit(main(['check', '--no-cache']))"
    )
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert done.returncode == 0
    assert done.stdout == b"no findings; 6 files checked\n"
    assert b"6/6" in shown
