"""The two commands of the README, as far as they can be tested without installing anything."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # A make that runs these tests hands down its own flags and variables.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    for name in ("MFLAGS", "VENV", "PYTHON"):
        environment.pop(name, None)
    return subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_make_alone_says_what_there_is() -> None:
    done = make()
    assert done.returncode == 0
    for target in ("demo", "test", "lint", "docs", "clean"):
        assert f"make {target} " in done.stdout


def test_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "python3.10"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = make("demo", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}")
    assert done.returncode == 2
    assert f"error: pytest-purestate needs Python 3.11 or newer, and {old} is not" in done.stderr
    assert "help: install one, or name it: make demo PYTHON=" in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(
    ("target", "command"),
    [("demo", "demo_project/run.py"), ("test", '-m pytest -n 2 --dist worksteal -m "not slow"')],
)
def test_second_run_installs_nothing(target: str, command: str, tmp_path: Path) -> None:
    for stamp in (".python", ".demo", ".dev"):
        (tmp_path / stamp).touch()
    done = make("-n", target, f"VENV={tmp_path}")
    assert done.stdout.splitlines() == [f"{tmp_path}/bin/python {command}"]


def test_changed_metadata_installs_again(tmp_path: Path) -> None:
    (tmp_path / ".python").touch()
    (tmp_path / ".demo").touch()
    os.utime(tmp_path / ".demo", (0, 0))
    done = make("-n", "demo", f"VENV={tmp_path}")
    assert "--editable '.[demo]'" in done.stdout
