"""Every program of `programs`, run while keys are watched, against what its marks say.

A line ``# first a`` is where a key is used first, ``# reuse a`` where it is used again; what is marked ``# maybe-...`` may
be told as well, or instead.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import pytest
from flax import nnx
from programs import every

from pytest_purestate._runtime.guard.keys import KeyReuse, KeyWatch
from pytest_purestate._runtime.guard.places import Place, Where

MARK = re.compile(r"# (maybe-)?(first|reuse)\b ?([a-z]?)(?=\s|$)")

found: list[KeyReuse] = []


ALL = list(every())


@pytest.fixture(scope="module")
def watch() -> Iterator[KeyWatch]:
    """One watch for all: the replays are tests, and so is what calls a program."""
    assert nnx.__name__  # loaded: its streams are followed
    watch = KeyWatch(Where(lambda file: Path(file).name in ("replays.py", Path(__file__).name)), found.append)
    assert watch.start()
    yield watch
    watch.stop()


def marks(place: Place) -> Iterator[tuple[bool, str, str]]:
    """Whether it may be told, what, and of which key, for each mark on a line."""
    line = Path(place.file).read_text(encoding="utf-8").splitlines()[place.line - 1]
    for maybe, what, letter in MARK.findall(line):
        yield bool(maybe), what, letter


def wanted(function: Callable[[], object]) -> set[str]:
    """The letters of the keys that must be told."""
    source = inspect.getsource(function)
    called = set(re.findall(r"_code\.(\w+)", source))
    for name in called:
        source += inspect.getsource(getattr(importlib.import_module("programs._code"), name))
    for name in set(re.findall(r"\b(_\w+)\(", source)):
        helper = getattr(inspect.getmodule(function), name, None)
        source += inspect.getsource(helper) if inspect.isfunction(helper) or inspect.isclass(helper) else ""
    return {letter for maybe, what, letter in MARK.findall(source) if what == "reuse" and not maybe}


@pytest.mark.parametrize(("name", "function"), ALL, ids=[name for name, _ in ALL])
def test_program(watch: KeyWatch, name: str, function: Callable[[], object]) -> None:
    if name == "facts.bad_custom_vjp_in_jit" and jax.__version_info__ < (0, 7):
        pytest.xfail("JAX 0.6 does not tell it from a draw that the backward pass makes once more")
    if "pmap" in name and name.startswith("boundaries.bad") and jax.__version_info__ < (0, 8):
        pytest.xfail("pmap does not go through the seam there")
    watch.clear()
    found.clear()
    function()
    watch.finish()
    if function.__name__.startswith("good_"):
        assert found == []
        return
    told = set()
    for reuse in found:
        first = {(maybe, letter) for maybe, what, letter in marks(reuse.first) if what == "first"}
        second = {(maybe, letter) for maybe, what, letter in marks(reuse.second) if what == "reuse"}
        letters = {letter for _, letter in first} & {letter for _, letter in second}
        assert letters, f"nobody expects {reuse}"
        told |= letters
    assert told
    assert wanted(function) <= told
