"""What `purestate check` says about the story: the planted lines, and nothing else."""

import json
import subprocess
import sys

import pytest

from planted import ROOT, Place, planted

PAIRS = {
    "state_machine": [],
    "number_generator": [],
    "random_stream": [],
    "linear_model": [],
    "gradient_descent": [],
    "replaced_state": ["PS209"],
    "frozen_state": ["PS202", "PS203"],
    "linear_regression": ["PS104"],
    "extended_state": ["PS109", "PS203", "PS203"],
}


@pytest.fixture(scope="module")
def findings() -> list[Place]:
    command = [sys.executable, "-m", "pytest_purestate", "check", "--no-prefilter", "."]
    command += ["--output-format", "json"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 1, run.stderr
    return [Place(f["path"].replace("\\", "/"), f["line"], f["code"]) for f in json.loads(run.stdout)]


def test_every_pair_has_both_halves() -> None:
    for half in ("impure", "pure"):
        modules = {file.stem for file in (ROOT / "story" / half).glob("*.py")} - {"__init__"}
        assert modules == set(PAIRS)


@pytest.mark.parametrize("pair", PAIRS)
def test_impure_half_has_exactly_what_is_planted(pair: str, findings: list[Place]) -> None:
    path = f"story/impure/{pair}.py"
    found = sorted(place for place in findings if place.path == path)
    assert found == sorted(place for place in planted() if place.path == path)
    assert sorted(place.code for place in found) == PAIRS[pair]


def test_everything_else_is_clean(findings: list[Place]) -> None:
    assert [place for place in findings if not place.path.startswith("story/impure/")] == []
