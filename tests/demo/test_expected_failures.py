"""The strict xfails of the demo hold, and hold for the reason they name."""

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "demo_project" / "tests"


def run(directory: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout


def write(directory: Path, test: str) -> Path:
    (directory / "hidden_state.py").write_text((TESTS / "hidden_state.py").read_text(encoding="utf-8"))
    (directory / "test_it.py").write_text(
        "import numpy as np\n"
        "from hidden_state import caught\n"
        "from pytest_purestate import assert_unchanged\n\n" + test
    )
    return directory


def test_message_as_named_is_an_expected_failure(tmp_path: Path) -> None:
    status, output = run(
        write(
            tmp_path,
            "@caught('box[0]')\n"
            "def test_edit():\n"
            "    box = np.zeros(2)\n"
            "    with assert_unchanged(box=box):\n"
            "        box[0] = 1\n",
        )
    )
    assert status == 0, output
    assert "1 xfailed" in output


def test_other_message_fails(tmp_path: Path) -> None:
    status, output = run(
        write(
            tmp_path,
            "@caught('another reason')\n"
            "def test_edit():\n"
            "    box = np.zeros(2)\n"
            "    with assert_unchanged(box=box):\n"
            "        box[0] = 1\n",
        )
    )
    assert status == 1
    assert "the failure does not say ['another reason'], it says:" in output


def test_nothing_caught_fails(tmp_path: Path) -> None:
    status, output = run(
        write(
            tmp_path,
            "@caught('box[0]')\n"
            "def test_edit():\n"
            "    box = np.zeros(2)\n"
            "    with assert_unchanged(box=box):\n"
            "        pass\n",
        )
    )
    assert status == 1
    assert "XPASS(strict)" in output


def test_pairs_1_to_5_each_have_one() -> None:
    files = [next(TESTS.glob(f"test_{pair}_*.py")) for pair in range(1, 6)]
    for file in files:
        assert "@caught(" in file.read_text(encoding="utf-8"), file
    status, output = run(TESTS.parent, *map(str, files), "--runxfail", "-k", "object", "--tb=line")
    assert status == 1
    assert output.count("PurityError") >= len(files)
