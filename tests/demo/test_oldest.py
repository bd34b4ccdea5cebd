"""What we declare as the oldest supported versions is what we test with."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_constraints_are_the_lower_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    tested = [
        entry for entry in extras["dev"] if entry.startswith("equinox")
    ]  # whose versions follow those of JAX
    declared = [*project["dependencies"], *extras["jax"], *extras["demo"], *tested]
    bounds = {entry.replace(">=", "==") for entry in declared if not entry.startswith("pytest-purestate")}
    lines = (ROOT / ".ci" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    pins = {line for line in lines if not line.startswith("#")}
    assert {full(pin) for pin in pins} == {full(bound) for bound in bounds}


def full(pin: str) -> tuple[str, tuple[int, ...]]:
    """Split `name==1.2` into the name and a version of three numbers, so that 1.2 and 1.2.0 are equal."""
    name, version = pin.split("==")
    numbers = [int(number) for number in version.split(".")]
    return name, tuple(numbers + [0] * (3 - len(numbers)))
