"""The real code that the checker is measured on: pinned packages, unpacked and not installed.

    python -m benchmarks.corpus FOLDER

downloads what FOLDER lacks. Only wheels are taken, so nothing of a package is run.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PACKAGES", "fetch", "files", "line_count", "pinned", "require_outside_project"]

PACKAGES = Path(__file__).parent / "accuracy" / "packages.txt"

# Not the prefilter of the checker: what a figure is measured over must not move with the engine.
MENTION = re.compile(rb"\b(?:jax|flax|optax|haiku|equinox|chex|numpyro|distrax)\b")


def pinned(text: str) -> list[str]:
    """The ``name==version`` lines of a list of packages."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def fetch(folder: Path) -> list[str]:
    """Unpack every pinned package that is not there into ``folder/name-version``; return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {spec.replace("==", "-"): spec for spec in pinned(PACKAGES.read_text(encoding="utf-8"))}
    missing = {name: spec for name, spec in wanted.items() if not (folder / name).is_dir()}
    for name, spec in missing.items():
        # Inside the folder, so that a package appears whole, by renaming, or not at all.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
            pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
            subprocess.run((*pip, "--no-deps", "--only-binary=:all:", "--dest", part, spec), check=True)
            (wheel,) = Path(part).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(Path(part) / "unpacked")
            (Path(part) / "unpacked").rename(folder / name)
    return list(missing)


def files(folder: Path) -> Iterator[Path]:
    """The Python files below a folder that mention JAX or its libraries, in a fixed order."""
    for path in sorted(folder.rglob("*.py")):
        if path.is_file() and MENTION.search(path.read_bytes()):
            yield path


def line_count(paths: list[Path]) -> int:
    """Number of lines of some files."""
    return sum(path.read_bytes().count(b"\n") for path in paths)


def require_outside_project(folder: Path) -> None:
    """Stop the command if a folder lies inside a project.

    Fingerprints name files from the root of their project. Those of a corpus must not depend on where
    it was unpacked.
    """
    for directory in (folder.resolve(), *folder.resolve().parents):
        if (directory / ".git").exists() or (directory / "pyproject.toml").is_file():
            sys.exit(f"{folder} lies inside the project {directory}: unpack it somewhere else")


def main() -> None:
    """Fetch the packages and say what is there."""
    parser = argparse.ArgumentParser(description="Download and unpack the pinned packages.")
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    require_outside_project(folder)
    for name in fetch(folder):
        print(f"unpacked {name}")
    paths = list(files(folder))
    print(f"{len(paths)} files mention JAX, {line_count(paths)} lines")


if __name__ == "__main__":
    main()
