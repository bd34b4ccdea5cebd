"""The lineage of keys: where each comes from, and what was done with it."""

from __future__ import annotations

import inspect
import linecache
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import lineages
import pytest

from pytest_purestate import KeyStream
from pytest_purestate._runtime.guard.branches import Node, tree
from pytest_purestate._runtime.guard.keys import KeyReuse, KeyWatch
from pytest_purestate._runtime.guard.lineage import LIMIT, Lineage
from pytest_purestate._runtime.guard.lineage_watch import LineageWatch
from pytest_purestate._runtime.guard.places import Place, Where
from pytest_purestate._runtime.guard.story import StoryAnalysis

found: list[KeyReuse] = []


def is_test(file: str) -> bool:
    return Path(file).name == Path(__file__).name


@pytest.fixture(scope="module")
def started() -> Iterator[LineageWatch]:
    watch = LineageWatch(Where(is_test), found.append)
    assert watch.start()
    yield watch
    watch.stop()


@pytest.fixture
def watch(started: LineageWatch) -> LineageWatch:
    started.clear()
    found.clear()
    return started


def line_of(place: Place) -> str:
    return linecache.getline(place.file, place.line).strip()


def lines(node: Node, deep: int = 0) -> Iterator[str]:
    parts = [node["is"], node.get("text", "")]
    parts += [f"({node['within']})" if "within" in node else ""]
    parts += [f"x{node['times']}" if "times" in node else ""]
    parts += ["LOOP" if node.get("loop") else "", str(node.get("bad", "")).upper()]
    parts += [f"on with {node['carried']}" if "carried" in node else ""]
    parts += [f"<- {node['at']}" if "at" in node else ""]
    text = " ".join(part for part in parts if part)
    # Flax folds in words of a digest: which ones is its own business.
    yield "  " * deep + re.sub(r"fold_in\(\d{6,}\)", "fold_in(…)", text)
    for kid in node.get("kids", ()):
        yield from lines(kid, deep + 1)


def told(watch: LineageWatch) -> str:
    roots = tree(watch.lineage, line_of)["roots"]
    return "\n".join(line for root in roots for line in lines(root))


@pytest.mark.parametrize("program", lineages.ALL, ids=[each.__name__ for each in lineages.ALL])
def test_program(watch: LineageWatch, program: Callable[[], None]) -> None:
    program()
    watch.finish()
    assert told(watch) == inspect.cleandoc(program.__doc__ or "")
    assert watch.problem == ""


def test_what_is_marked_is_what_is_reported(watch: LineageWatch) -> None:
    """A test may use a key again: both uses are there, and none is marked."""
    key = jax.random.key(0)
    lineages.step(jax.numpy.zeros(()), key)
    lineages.step(jax.numpy.zeros(()), key)
    assert tree(watch.lineage, line_of)["bad"] == 0
    assert found == []
    assert "x2" in told(watch)
    lineages.stale_key_in_a_loop()
    assert tree(watch.lineage, line_of)["bad"] == 1
    assert len(found) == 1


def test_results_are_what_they_are_without(watch: LineageWatch) -> None:
    key = jax.random.key(3)
    seen = lineages.step(jax.numpy.zeros(()), key)
    watch.stop()
    try:
        plain = lineages.step(jax.numpy.zeros(()), key)
    finally:
        watch.start()
    assert (seen[0] == plain[0]).all()
    assert (jax.random.key_data(seen[1]) == jax.random.key_data(plain[1])).all()


def test_keys_of_streams_are_roots_by_their_name(watch: LineageWatch) -> None:
    stream = KeyStream(0, "here")
    for key, label in ((stream("a"), "keys('a')[0]"), (stream("a"), "keys('a')[1]")):
        watch.handed(lambda at, label=label: label, key, (__file__, 1))  # type: ignore[misc]
    rows = stream.take(3, "b")
    watch.handed(lambda at: f"keys('b')[{at}]", rows, (__file__, 1))
    raw = KeyStream(0, "there", typed=False)()
    watch.handed(lambda at: "raw", raw, (__file__, 1))
    jax.random.normal(rows[2])
    jax.random.split(raw)
    roots = tree(watch.lineage, line_of)["roots"]
    assert [(root["is"], root["text"], len(root.get("kids", ()))) for root in roots] == [
        ("stream", "keys('a')[0]", 0),
        ("stream", "keys('a')[1]", 0),
        ("stream", "keys('b')[0]", 0),
        ("stream", "keys('b')[1]", 0),
        ("stream", "keys('b')[2]", 1),
        ("stream", "raw", 1),
    ]


def test_uses_that_are_allowed_are_told_and_not_marked(watch: LineageWatch) -> None:
    with watch.allow():
        lineages.reuse()
    assert told(watch).count("draw") == 2
    assert tree(watch.lineage, line_of)["bad"] == 0


def test_a_long_loop_is_a_short_tree(watch: LineageWatch) -> None:
    key = jax.random.key(0)
    for _ in range(1500):
        key, sub = jax.random.split(key)
        jax.random.bits(sub)
    assert len(told(watch).splitlines()) == 8
    assert "x1499" in told(watch)


def test_many_children_are_not_told_apart(watch: LineageWatch) -> None:
    jax.random.split(jax.random.key(0), 5000)
    assert "split into 5000" in told(watch)
    assert tree(watch.lineage, line_of)["keys"] == 1


def test_what_is_too_much_is_counted() -> None:
    lineage = Lineage()
    key = lineage.of(("fry", b"0"))
    assert key is not None
    for number in range(LIMIT + 5):
        lineage.use(key, "draw", f"normal {number}", None)
    assert lineage.left_out == 6
    assert len(key.uses) == LIMIT - 1
    assert lineage.of(("fry", b"1")) is None
    assert tree(lineage, line_of)["left_out"] == 7


def test_a_deep_tree_ends_with_a_count() -> None:
    lineage = Lineage()
    key = lineage.of(("fry", b"0"))
    for _ in range(200):
        assert key is not None
        lineage.use(key, "draw", "normal", None)
        key = lineage.fold(key, 1, None)
    (root,) = tree(lineage, line_of)["roots"]
    shown = list(lines(root))
    assert len(shown) < 60
    assert shown[-1].strip().startswith("more x")


def test_without_a_lineage_nothing_is_written_down() -> None:
    """The watch that every run has does the analysis it did before, and has no place to write to."""
    assert KeyWatch.analysis is not StoryAnalysis
    watch = KeyWatch(Where(is_test), found.append)
    assert not hasattr(watch, "lineage")
