from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_purestate._check.discovery import MissingPathError, discover, mentions_jax
from pytest_purestate.config import ConfigFinder, Overrides


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def tree(*paths: str, **texts: str) -> None:
    for path in paths:
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def put(path: str, text: str) -> None:
    tree(path)
    Path(path).write_text(text, encoding="utf-8")


def found(*paths: str, **overrides: object) -> list[str]:
    finder = ConfigFinder(overrides=Overrides(**overrides))  # type: ignore[arg-type]
    return [target.path for target in discover([Path(path) for path in paths or (".",)], finder)]


def test_takes_python_files_in_a_fixed_order() -> None:
    tree("b.py", "a.pyi", "z/c.py", "a/d.py", "notes.txt", "x.pyc", "a/e")
    assert found() == ["a.pyi", "b.py", "a/d.py", "z/c.py"]
    assert found("z", "b.py", "b.py", ".") == ["z/c.py", "b.py", "a.pyi", "a/d.py"]


def test_a_named_file_is_always_taken() -> None:
    tree(".venv/a.py", "script", "build/b.py")
    put(".gitignore", "build\n")
    assert found(".venv/a.py", "script", "build/b.py") == [".venv/a.py", "script", "build/b.py"]
    assert found("build") == ["build/b.py"]
    assert found() == []


def test_with_force_exclude_a_named_file_is_not() -> None:
    tree(".venv/a.py", "script", "build/b.py", "sub/gen/c.py", "sub/d.py")
    put("purestate.toml", "force-exclude = true\nextend-exclude = ['sub/gen']\n")
    assert found(".venv/a.py", "script", "build/b.py", "sub/gen/c.py", "sub/d.py") == ["script", "sub/d.py"]
    assert found("build", "sub/gen", "sub") == ["sub/d.py"]
    assert found("build/b.py", force_exclude=False) == ["build/b.py"]
    put("purestate.toml", "")
    assert found("build/b.py", "sub/d.py", force_exclude=True) == ["sub/d.py"]


def test_a_path_that_is_not_there() -> None:
    with pytest.raises(MissingPathError, match=r"^no such file or directory: nope/x\.py$"):
        found("nope/x.py")


def test_paths_outside_the_working_directory_are_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree("a.py", "sub/b.py")
    monkeypatch.chdir(tmp_path / "sub")
    assert found("..") == [str(tmp_path / "a.py"), "b.py"]
    assert found("../sub/b.py") == ["b.py"]


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("gen", ["a.py", "sub/b_pb2.py", "sub/c.py"]),
        ("gen/", ["a.py", "sub/b_pb2.py", "sub/c.py"]),
        ("*_pb2.py", ["a.py", "gen/d.py", "sub/c.py", "sub/gen/e.py"]),
        ("sub/gen", ["a.py", "gen/d.py", "sub/b_pb2.py", "sub/c.py"]),
        ("sub/*.py", ["a.py", "gen/d.py"]),
        ("sub/{b,c}*.py", ["a.py", "gen/d.py", "sub/gen/e.py"]),
        ("**/c.py", ["a.py", "gen/d.py", "sub/b_pb2.py", "sub/gen/e.py"]),
        ("sub/**", ["a.py", "gen/d.py"]),
        ("[ab].py", ["gen/d.py", "sub/b_pb2.py", "sub/c.py", "sub/gen/e.py"]),
        ("[!a].py", ["a.py", "sub/b_pb2.py"]),
        ("?.py", ["sub/b_pb2.py"]),
        ("[z-a].py", ["a.py", "gen/d.py", "sub/b_pb2.py", "sub/c.py", "sub/gen/e.py"]),
        ("b.py", ["a.py", "gen/d.py", "sub/b_pb2.py", "sub/c.py", "sub/gen/e.py"]),
    ],
)
def test_exclude_patterns(pattern: str, left: list[str]) -> None:
    tree("a.py", "sub/b_pb2.py", "sub/c.py", "gen/d.py", "sub/gen/e.py")
    put("purestate.toml", f"extend-exclude = ['{pattern}']\n")
    assert found() == left


def test_default_excludes_until_exclude_replaces_them() -> None:
    tree("a.py", ".venv/b.py", "node_modules/c.py", "old/d.py")
    assert found() == ["a.py", "old/d.py"]
    put("purestate.toml", "exclude = ['old']\n")
    assert found() == ["a.py", ".venv/b.py", "node_modules/c.py"]


def test_an_outer_exclude_holds_for_files_with_settings_of_their_own() -> None:
    tree("a.py", "sub/planted/b.py", "sub/c.py", "sub/d.py")
    put("purestate.toml", "extend-exclude = ['sub/planted']\n")
    put("sub/purestate.toml", "extend-exclude = ['d.py']\n")
    assert found() == ["a.py", "sub/c.py"]
    assert found("sub") == ["sub/c.py", "sub/planted/b.py"]


def test_patterns_of_the_command_line_and_gitignore_switch() -> None:
    tree("a.py", "b.py", "c/d.py")
    put(".gitignore", "b.py\n")
    assert found(respect_gitignore=False, exclude=("c",)) == ["a.py", "b.py"]


def test_gitignore_files_nest() -> None:
    tree("a.py", "out/b.py", "sub/out/c.py", "sub/keep/d.py", "sub/e.py", "sub/tmp/f.py")
    put(".gitignore", "# comment\nout/\n*.pyi\nkeep\n")
    put("sub/.gitignore", "!keep\n/tmp\n")
    assert found() == ["a.py", "sub/e.py", "sub/keep/d.py"]


def test_gitignore_above_the_walk_counts_inside_a_repository_only(monkeypatch: pytest.MonkeyPatch) -> None:
    tree("pkg/sub/a.py", "pkg/sub/b.py", "pkg/sub/c.py")
    put(".gitignore", "a.py\n")
    monkeypatch.chdir("pkg/sub")
    assert found() == ["a.py", "b.py", "c.py"]
    put("../../.git/info/exclude", "c.py\n")
    assert found() == ["b.py"]


def test_a_gitignore_line_that_git_cannot_read_is_passed_over() -> None:
    tree("a.py", "b.py")
    Path(".gitignore").write_bytes(b"!\n\xff\xfe\n///\nb.py\n")
    assert found() == ["a.py"]


def test_links() -> None:
    tree("real/a.py")
    Path("loop").symlink_to(".")
    Path("real/up").symlink_to("..")
    Path("link.py").symlink_to("real/a.py")
    Path("dangling.py").symlink_to("nowhere.py")
    Path("self.py").symlink_to("self.py")
    assert found() == ["dangling.py", "link.py", "self.py", "real/a.py"]
    assert found("loop/real") == ["loop/real/a.py"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_directory_without_permission_is_a_problem() -> None:
    tree("shut/a.py", "b.py")
    Path("shut").chmod(0)
    try:
        targets = discover([Path()], ConfigFinder())
    finally:
        Path("shut").chmod(0o700)
    assert [(t.path, t.problem) for t in targets] == [("b.py", ""), ("shut", "permission denied")]


def test_a_directory_that_cannot_be_listed_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    tree("shut/a.py", "b.py")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    targets = discover([Path()], ConfigFinder())
    assert [(t.path, t.problem) for t in targets] == [("b.py", ""), ("shut", "permission denied")]


def test_names_with_spaces_and_odd_bytes() -> None:
    tree("ein Ordner/große Datei.py")
    odd = os.fsdecode(b"odd-\xff.py")
    Path(odd).touch()
    assert found() == ["odd-\\xff.py", "ein Ordner/große Datei.py"]


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ("import jax.numpy as jnp", True),
        ("from flax import linen", True),
        ("import optax", True),
        ("import equinox as eqx", True),
        ("import haiku as hk", True),
        ("import chex, distrax, blackjax, numpyro", True),
        ("def f(key: PRNGKey): ...", True),
        ("import numpy as np\nimport torch", False),
        ("i\0m\0p\0o\0r\0t\0", True),
        ("", False),
    ],
)
def test_prefilter(text: str, mentioned: bool) -> None:
    assert mentions_jax(text.encode()) is mentioned
