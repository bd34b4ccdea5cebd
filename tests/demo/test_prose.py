"""What README and the pages of the demo show is what happens."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [
    README,
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "demo_project").glob("*.md")),
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the files that the README shows, each named in the first line of its block."""
    for block in blocks(README, "python"):
        named = re.match(r"# (\w+\.py)\n", block)
        assert named, block
        (tmp_path / named[1]).write_text(block, encoding="utf-8")
    return tmp_path


def run(directory: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_readme_fits_one_screen() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 96


def test_first_finding_is_printed_as_shown(project: Path) -> None:
    (shown,) = (block for block in blocks(README, "console") if block.startswith("$ purestate "))
    command, expected = shown.split("\n", 1)
    status, output = run(project, "pytest_purestate", *command.removeprefix("$ purestate ").split())
    assert status == 1
    assert output.rstrip() == expected.rstrip()


def test_first_test_passes_beside_the_finding(project: Path) -> None:
    status, output = run(project, "pytest", "--purestate", "-p", "no:cacheprovider", "-rA")
    assert status == 1
    assert "PASSED test_step.py::test_step" in output
    assert "FAILED train.py::PS104" in output
    assert "1 failed, 1 passed" in output


def test_commands_of_the_readme_are_what_is_checked() -> None:
    (shown,) = (block for block in blocks(README, "console") if "$ make " in block)
    commands = re.findall(r"^\$ (make \w+)", shown, re.MULTILINE)
    assert commands == ["make demo", "make test"]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in commands:
        assert re.search(rf"^step \w+ {command}$", script, re.MULTILINE)


def test_guidance_on_train_states_runs() -> None:
    page = ROOT / "demo_project" / "extending_train_state.md"
    namespace: dict[str, Any] = {"__name__": "page"}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), namespace)
    with pytest.raises(dataclasses.FrozenInstanceError):
        namespace["new_state"].dropout_key = namespace["dropout_key"]
    assert "kernel" in namespace["new_state"].params["Dense_0"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
