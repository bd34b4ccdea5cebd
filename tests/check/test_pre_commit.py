"""The hooks, run by pre-commit itself in a scratch repository, as a user has them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BAD = """\
import jax
import jax.numpy as jnp


def clear(n):
    x = jnp.zeros(n)
    x[0] = 1.0
    return x
"""
GOOD = BAD.replace("x[0] = 1.0", "x = x.at[0].set(1.0)")

CONFIG = """\
repos:
  - repo: {hooks}
    rev: {rev}
    hooks:
      - id: {hook}
"""


def run(command: list[str], cwd: Path, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
        "PRE_COMMIT_COLOR": "never", "NO_COLOR": "1",
    }  # fmt: skip
    environment.pop("FORCE_COLOR", None)
    if home is not None:
        environment["PRE_COMMIT_HOME"] = str(home)
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def commit(directory: Path) -> str:
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all of it"]):
        done = run(["git", *arguments], directory)
        assert done.returncode == 0, done.stderr
    return run(["git", "rev-parse", "HEAD"], directory).stdout.strip()


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """The project as a repository of hooks, its revision, and a home for pre-commit."""
    directory = tmp_path_factory.mktemp("hooks")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, directory / name)
    shutil.copytree(
        ROOT / "pytest_purestate",
        directory / "pytest_purestate",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return directory, commit(directory), tmp_path_factory.mktemp("home")


def scratch(directory: Path, hooks: tuple[Path, str, Path], hook: str) -> None:
    repository, rev, _ = hooks
    (directory / "train.py").write_text(BAD, encoding="utf-8")
    (directory / "notes.txt").write_text("x[0] = 1\n", encoding="utf-8")
    config = CONFIG.format(hooks=repository, rev=rev, hook=hook)
    (directory / ".pre-commit-config.yaml").write_text(config, encoding="utf-8")
    commit(directory)


def pre_commit(directory: Path, hooks: tuple[Path, str, Path]) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "pre_commit", "run", "--all-files"], directory, hooks[2])


def test_the_hook_fails_shows_and_passes(tmp_path: Path, hooks: tuple[Path, str, Path]) -> None:
    scratch(tmp_path, hooks, "purestate")
    done = pre_commit(tmp_path, hooks)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "purestate" in done.stdout
    assert "Failed" in done.stdout
    assert "PS201 `x` is a JAX array and cannot be assigned in place\n  --> train.py:7:5\n" in done.stdout
    assert (tmp_path / "train.py").read_text(encoding="utf-8") == BAD
    (tmp_path / "train.py").write_text(GOOD, encoding="utf-8")
    done = pre_commit(tmp_path, hooks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout


def test_the_fix_hook_fixes_and_then_passes(tmp_path: Path, hooks: tuple[Path, str, Path]) -> None:
    scratch(tmp_path, hooks, "purestate-fix")
    done = pre_commit(tmp_path, hooks)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "files were modified by this hook" in done.stdout
    assert "train.py:\n    1 x PS201 (inplace-array-update)\nfixed 1 finding in 1 file\n" in done.stdout
    assert (tmp_path / "train.py").read_text(encoding="utf-8") == GOOD
    done = pre_commit(tmp_path, hooks)
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_that_the_settings_exclude_are_left_out(tmp_path: Path, hooks: tuple[Path, str, Path]) -> None:
    (tmp_path / "purestate.toml").write_text('extend-exclude = ["train.py"]\n', encoding="utf-8")
    scratch(tmp_path, hooks, "purestate")
    done = pre_commit(tmp_path, hooks)
    assert done.returncode == 0, done.stdout + done.stderr
