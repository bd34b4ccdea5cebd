"""What a process remembers of the files that it has checked."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_purestate._check import engine
from pytest_purestate._check.analysis import analyse
from pytest_purestate._check.discovery import discover
from pytest_purestate._check.flow.project import ModuleContext
from pytest_purestate.config import ConfigFinder, Overrides

LIBRARY = """\
import jax

def draw(key):
    return jax.random.normal(key)
"""
USER = """\
import jax
from library import draw

def twice(key):
    return draw(key) + jax.random.normal(key)
"""


def project(folder: Path, count: int) -> engine.Checker:
    """A checker over one library and files that use it, each with a finding that points into both."""
    (folder / "library.py").write_text(LIBRARY)
    for number in range(count):
        (folder / f"user{number}.py").write_text(USER)
    finder = ConfigFinder(isolated=True, overrides=Overrides(select=("ALL",)))
    return engine.Checker(analyse, discover([folder], finder), finder.overrides, True)


def alive(kind: type) -> list[object]:
    gc.unfreeze()
    return [thing for thing in gc.get_objects() if isinstance(thing, kind)]


def test_no_syntax_tree_outlives_its_file(tmp_path: Path) -> None:
    # A process of its own: other tests keep trees. Without a collection: it is off while files are checked.
    script = f"""
import gc, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_memory import alive, project
import libcst
checker = project(Path({str(tmp_path)!r}), 1)
before = len(alive(libcst.CSTNode))
gc.disable()
for index in range(2):
    print(len(checker(index).findings), len(alive(libcst.CSTNode)) - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0", "1", "0"]


def test_files_are_forgotten_without_a_trace_in_the_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checker = project(tmp_path, 8)
    remembered = [checker(index).findings for index in range(9)]
    assert [len(findings) for findings in remembered] == [0, *(1 for _ in range(8))]
    assert len(alive(ModuleContext)) >= 9

    del checker
    gc.collect()
    monkeypatch.setattr("pytest_purestate._check.checker.KEPT", 0)
    checker = project(tmp_path, 8)
    forgotten = []
    for index in range(9):
        forgotten.append(checker(index).findings)
        assert len(alive(ModuleContext)) <= 2, "more than the last file and what it imports"
    assert forgotten == remembered


def test_what_all_import_is_not_read_again_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_purestate._check.checker.KEPT", 0)
    checker = project(tmp_path, 40)
    (tmp_path / "library.py").write_text(LIBRARY + "#" * 10 * len(USER))
    reads: list[str] = []
    read = Path.read_bytes

    def spy(file: Path) -> bytes:
        reads.append(file.name)
        return read(file)

    monkeypatch.setattr(Path, "read_bytes", spy)
    for index in range(1, 41):
        checker(index)
    assert reads.count("library.py") <= 4
