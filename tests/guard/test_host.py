"""Whether what a test leaves behind in the process is seen, told apart and put back."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from pytest_purestate import Problem
from pytest_purestate._runtime.guard.host import HostState

config: Any = jax.config
numpy_random: Any = np.random
NUMPY, RANDOM = "numpy.random global state", "random global state"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Put back what a test changes, also where it fails."""
    state = HostState.take()
    yield
    state.restore()


def seeded() -> HostState:
    """The state of a test that begins; not from a fixture, since pytest-randomly seeds after those."""
    np.random.seed(11)
    random.seed(11)
    return HostState.take()


def only(state: HostState) -> Problem:
    problems = state.changes()
    assert len(problems) == 1, problems
    return problems[0]


def test_nothing_changed() -> None:
    state = seeded()
    jax.jit(lambda x: x + 1)(1.0)
    np.random.default_rng(0).normal()
    random.Random(0).random()
    assert state.changes() == ()
    assert state.reseeded() == frozenset()
    assert state.restore() == ()


def test_a_flag() -> None:
    state = seeded()
    before = config.jax_debug_nans
    config.update("jax_debug_nans", not before)
    problem = only(state)
    assert (problem.kind, problem.path) == ("host-config", "jax.config.jax_debug_nans")
    assert (problem.before, problem.after) == (str(before), str(not before))
    assert state.restore() == ()
    assert state.changes() == ()
    assert config.jax_debug_nans is before


def test_a_flag_to_ignore() -> None:
    state = HostState.take(frozenset({"jax_debug_nans"}))
    before = config.jax_debug_nans
    try:
        config.update("jax_debug_nans", not before)
        assert state.changes() == ()
        assert state.restore() == ()
        assert config.jax_debug_nans is not before
    finally:
        config.update("jax_debug_nans", before)


def test_the_default_device() -> None:
    state = seeded()
    config.update("jax_default_device", jax.devices()[0])
    problem = only(state)
    assert problem.path == "jax.default_device"
    assert problem.before == "None"
    assert state.restore() == ()
    assert config.jax_default_device is None


def test_a_context_that_is_left_is_no_change() -> None:
    state = seeded()
    with jax.default_matmul_precision("float32"):
        pass
    assert state.changes() == ()


def test_a_flag_that_cannot_be_put_back_says_so() -> None:
    state = seeded()
    context = jax.default_matmul_precision("float32")
    with context:
        assert only(state).path == "jax.config.jax_default_matmul_precision"
        (problem,) = state.restore()
        assert "cannot be put back" in problem.message
        assert problem.after == "'float32'"
    assert state.changes() == ()


@pytest.mark.parametrize(
    "name", ["XLA_FLAGS", "CUDA_VISIBLE_DEVICES", "JAX_SOMETHING", "TF_DETERMINISTIC_OPS"]
)
def test_an_environment_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name, raising=False)
    without = HostState.take()
    os.environ[name] = "1"
    problem = only(without)
    assert (problem.kind, problem.path) == ("host-config", f"os.environ[{name!r}]")
    assert (problem.message, problem.before, problem.after) == ("was set", "", "'1'")
    held = HostState.take()
    os.environ[name] = "2"
    assert (only(held).message, only(held).before, only(held).after) == ("was changed", "'1'", "'2'")
    held.restore()
    assert os.environ[name] == "1"
    del os.environ[name]
    assert (only(held).message, only(held).after) == ("was removed", "")
    held.restore()
    assert os.environ[name] == "1"
    without.restore()
    assert name not in os.environ


def test_other_variables_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    state = seeded()
    monkeypatch.setenv("SOMETHING_ELSE", "1")
    assert state.changes() == ()


def test_drawing_from_numpy() -> None:
    state = seeded()
    expected = np.random.normal(size=3).tolist()
    problem = only(state)
    assert (problem.kind, problem.path) == ("host-rng", NUMPY)
    assert problem.before != problem.after
    assert state.reseeded() == frozenset()
    assert state.restore() == ()
    assert state.changes() == ()
    assert np.random.normal(size=3).tolist() == expected


def test_drawing_from_random() -> None:
    state = seeded()
    expected = random.random()
    problem = only(state)
    assert (problem.kind, problem.path) == ("host-rng", RANDOM)
    assert state.reseeded() == frozenset()
    state.restore()
    assert random.random() == expected


@pytest.mark.parametrize("count", [1, 623, 624, 625, 1248, 100_000])
def test_to_draw_much_is_still_to_draw(count: int) -> None:
    state = seeded()
    np.random.random(count)
    random.getrandbits(32 * count)
    assert {problem.path for problem in state.changes()} == {NUMPY, RANDOM}
    assert state.reseeded() == frozenset()


@pytest.mark.parametrize("draws", [0, 1, 1000])
def test_seeding(draws: int) -> None:
    state = seeded()
    np.random.random(3)
    np.random.seed(0)
    np.random.random(draws)
    assert [problem.path for problem in state.changes()] == [NUMPY]
    assert state.reseeded() == {NUMPY}
    random.seed(0)
    random.getrandbits(32 * draws + 1)
    assert state.reseeded() == {NUMPY, RANDOM}


def test_to_go_back_in_the_stream_is_no_drawing() -> None:
    np.random.random(10)
    held = np.random.get_state()
    np.random.random(10)
    state = HostState.take()
    np.random.set_state(held)
    assert state.reseeded() == {NUMPY}


def test_to_seed_with_the_same_seed_again_is_no_change() -> None:
    state = seeded()
    np.random.seed(11)
    random.seed(11)
    assert state.changes() == ()


def test_half_a_pair_of_normal_numbers() -> None:
    np.random.normal()
    state = HostState.take()
    expected = np.random.normal()
    assert only(state).path == NUMPY
    assert state.reseeded() == frozenset()
    state.restore()
    assert np.random.normal() == expected


def test_another_bit_generator() -> None:
    state = seeded()
    before = numpy_random.get_bit_generator()
    try:
        numpy_random.set_bit_generator(np.random.PCG64(0))
        assert "another bit generator" in only(state).message
        assert state.reseeded() == {NUMPY}
        inner = HostState.take()
        assert inner.changes() == ()
        expected = np.random.random()
        assert only(inner).path == NUMPY
        inner.restore()
        assert np.random.random() == expected
        state.restore()
        assert numpy_random.get_bit_generator() is before
        assert state.changes() == ()
    finally:
        numpy_random.set_bit_generator(before)


def test_snapshots_can_be_nested() -> None:
    state = seeded()
    np.random.seed(1)
    inner = HostState.take()
    np.random.random()
    inner.restore()
    assert inner.changes() == ()
    assert only(state).path == NUMPY
    state.restore()
    assert state.changes() == ()


def test_nothing_is_imported_and_what_a_test_loads_is_no_change(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pytest_purestate._runtime.guard.host import HostState\n"
        "state = HostState.take()\n"
        "assert state.changes() == () and not {'jax', 'numpy'} & set(sys.modules)\n"
        "import jax, numpy as np\n"
        "jax.config.update('jax_debug_nans', True); np.random.seed(0)\n"
        "assert state.changes() == (), state.changes()\n"
        "assert state.restore() == () and state.reseeded() == frozenset()\n"
        "print('fine')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "fine", done.stderr
