"""`demo_project/run.py` ends with 0 when it found exactly what is planted, and else says what differs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "demo_project"
STATE = Path("story/impure/replaced_state.py")
MARK = "  # planted: PS209"


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A copy of the demo with the tests of one pair, which is enough to see how it ends."""
    copy = tmp_path / "demo"
    shutil.copytree(DEMO, copy, ignore=shutil.ignore_patterns("tests", "out", "__pycache__", ".*"))
    (copy / "tests").mkdir()
    shutil.copy(DEMO / "tests" / "test_6_replaced_state.py", copy / "tests")
    return copy


def run(demo: Path, *options: str) -> tuple[int, str]:
    command = [sys.executable, *options, str(demo / "run.py")]
    done = subprocess.run(command, cwd=demo.parent, capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback (most recent" not in done.stdout + done.stderr
    return done.returncode, done.stdout


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_as_planted(demo: Path) -> None:
    status, output = run(demo)
    picture = demo / "out" / "training_curve.png"
    assert status == 0, output
    assert "exactly the 7 planted violations were found" in output
    assert re.search(r"^training: w = 2\.9\d+ .*, b = 0\.99\d+ .* after 100 steps$", output, re.MULTILINE)
    assert f"curve:    {picture.resolve()}" in output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_repaired_line_is_missing(demo: Path) -> None:
    last = "new_state.step = self.step + 1"
    edit(demo / STATE, last, f"{last}\n        return new_state")
    lines = (demo / STATE).read_text(encoding="utf-8").splitlines()
    (number,) = (number for number, line in enumerate(lines, start=1) if line.endswith(MARK))
    status, output = run(demo)
    assert status == 1
    assert f"missing: {STATE.as_posix()}:{number} PS209" in output
    assert "not planted" not in output


def test_line_without_its_mark_is_not_planted(demo: Path) -> None:
    edit(demo / STATE, MARK, "")
    status, output = run(demo)
    assert status == 1
    assert f"not planted: {STATE.as_posix()}:" in output
    assert "missing" not in output


def test_failing_test_is_told(demo: Path) -> None:
    (demo / "tests" / "test_wrong.py").write_text("def test_wrong():\n    assert 1 == 2\n")
    status, output = run(demo)
    assert status == 1
    assert "tests/test_wrong.py::test_wrong failed" in output


def test_broken_module_is_told(demo: Path) -> None:
    (demo / "tests" / "test_broken.py").write_text("import no_such_module\n")
    status, output = run(demo)
    assert status == 1
    assert "tests/test_broken.py could not be collected" in output
