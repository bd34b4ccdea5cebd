"""What somebody gets who installs the package."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = directory.glob("*.whl")
    return zipfile.ZipFile(file)


def test_wheel_has_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"pytest_purestate", f"pytest_purestate-{version}.dist-info"}
    packed = {name for name in wheel.namelist() if name.startswith("pytest_purestate/")}
    source = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "pytest_purestate").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert packed == source
    assert "pytest_purestate/py.typed" in packed


def test_wheel_has_license_and_entry_points(wheel: zipfile.ZipFile) -> None:
    (info,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert b"Apache License" in wheel.read(f"{info}/licenses/LICENSE")
    points = wheel.read(f"{info}/entry_points.txt").decode()
    assert "[pytest11]\npurestate = pytest_purestate.plugin" in points
    assert "[console_scripts]\npurestate = " in points


def test_base_installation_needs_no_jax(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    required = [
        line for line in wheel.read(metadata).decode().splitlines() if line.startswith("Requires-Dist:")
    ]
    base = sorted(line.split()[1].split(">=")[0] for line in required if "extra ==" not in line)
    assert base == ["libcst", "markdown-it-py", "msgspec", "pathspec", "pytest", "rich"]
