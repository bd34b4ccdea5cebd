"""The fixtures from outside: `deterministic`, states from the cache and strategies, with the guard watching."""

from __future__ import annotations

import pytest
from outside import run, write

from pytest_purestate._runtime import determinism

DETERMINISTIC = """\
import jax
import pytest

SEEN = []


@pytest.fixture(autouse=True, scope="module")
def _before_and_after():
    before = jax.config.jax_default_matmul_precision, jax.config.jax_threefry_partitionable
    yield
    assert (jax.config.jax_default_matmul_precision, jax.config.jax_threefry_partitionable) == before


def test_in_force(deterministic):
    assert jax.config.jax_default_matmul_precision == "highest"
    assert jax.config.jax_threefry_partitionable
    assert "matmul precision highest" in deterministic.settings
    assert repr(deterministic) == f"<deterministic: {deterministic.settings}>"


def test_undone():
    assert jax.config.jax_default_matmul_precision is None


@pytest.mark.xfail(strict=True, raises=ZeroDivisionError)
def test_that_fails(deterministic):
    1 / 0


def test_undone_again():
    assert jax.config.jax_default_matmul_precision is None


def test_that_changes_it_itself(deterministic):
    with jax.default_matmul_precision("float32"):
        assert "matmul precision float32" in deterministic.settings
"""

STATES = """\
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

X = jnp.ones((1, 3))


class Twice(nn.Module):
    @nn.compact
    def __call__(self, x):
        return x * self.param("w", reused, (3,))


def reused(key, shape):
    return jax.random.normal(key, shape) + jax.random.uniform(key, shape)


@pytest.mark.purestate(max_traces=1)
@pytest.mark.parametrize("features", [2, 2, 3])
def test_limit(make_train_state, features):
    for rows in (1, 2):
        make_train_state(nn.Dense(features), jnp.ones((rows, 3)), tx="adam")


@pytest.mark.parametrize("number", [0, 1])
def test_twice(make_train_state, number):
    make_train_state(Twice(), X)
"""

STRATEGIES = """\
import flax.linen as nn
import jax
import jax.numpy as jnp
from hypothesis import given, settings
from hypothesis import strategies as st

import model
from pytest_purestate import strategies as pst

settings.register_profile("here", max_examples=20, deadline=None, database=None, derandomize=True)
settings.load_profile("here")


@given(pst.keys(), pst.arrays(shape=(3,)))
def test_fine(key, x):
    assert model.fine(key, x).shape == (3,)


@given(pst.keys(typed=False))
def test_raw(key):
    model.fine(key, jnp.ones(2))


@given(pst.key_arrays(), pst.pytrees(), pst.train_states(tx="adam"))
def test_values(keys, tree, state):
    model.spend(keys)


@given(pst.train_states(nn.Dense(2), jnp.ones((1, 3))), st.data())
def test_states(state, data):
    state.apply_gradients(grads=state.params)
    model.fine(data.draw(pst.keys()), jnp.ones(2))


@given(pst.keys())
def test_wrong(key):
    model.wrong(key)
"""

MODEL = """\
import jax


def fine(key, x):
    one, other = jax.random.split(key)
    return jax.random.normal(one, x.shape) + jax.random.normal(other, x.shape)


def spend(keys):
    return [jax.random.normal(key) for key in keys]


def wrong(key):
    return jax.random.normal(key) + jax.random.normal(key)
"""


@pytest.mark.parametrize("options", [(), ("--purestate",)], ids=["alone", "guard"])
def test_deterministic(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    write(pytester.path, {"pytest.ini": "[pytest]\nfilterwarnings = error\n", "test_it.py": DETERMINISTIC})
    result = run(pytester, *options, "--purestate-level=host=error") if options else run(pytester)
    result.assert_outcomes(passed=4, xfailed=1)


def test_deterministic_does_not_pass_where_it_cannot_hold(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    conftest = "import jax\n\njax.default_backend = lambda: 'gpu'\n"
    test = "def test_it(deterministic):\n    pass\n"
    write(pytester.path, {"pytest.ini": "[pytest]\n", "conftest.py": conftest, "test_it.py": test})
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "usage error: the fixture `deterministic` cannot hold what it promises",
            "results on this GPU do not repeat: --xla_gpu_deterministic_ops=true is not in force, and a backend *",
            "  help: run `pytest --purestate-deterministic`, or set XLA_FLAGS=--xla_gpu_deterministic_ops=true before",
        ]
    )
    run(pytester, "--purestate-deterministic").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("flags", "on"),
    [
        ("", False),
        ("--xla_gpu_deterministic_ops", True),
        ("--xla_gpu_deterministic_ops=1", True),
        ("--a=b --xla_gpu_deterministic_ops=True", True),
        ("--xla_gpu_deterministic_ops=true --xla_gpu_deterministic_ops=false", False),
        ("--xla_gpu_deterministic_ops_more=true", False),
    ],
)
def test_flag_is_read_as_xla_does(flags: str, on: bool) -> None:
    assert determinism._in_force(flags) is on


def test_kept_programs_change_nothing_for_the_guard(pytester: pytest.Pytester) -> None:
    """Whether a program comes out of the cache: no limit on traces is met by it, and no use of a key is missed."""
    write(pytester.path, {"pytest.ini": "[pytest]\npurestate_paths = nothing\n", "test_it.py": STATES})
    write(pytester.path, {"nothing/empty.py": ""})
    result = run(pytester, "--purestate", "-rA")
    result.assert_outcomes(passed=3, failed=2)
    for number in (0, 1):
        result.stdout.fnmatch_lines(
            [f"error test_it.py::test_twice[[]{number}[]]: a key is drawn from that was*"]
        )


def test_strategies_cause_no_findings(pytester: pytest.Pytester) -> None:
    files = {"pytest.ini": "[pytest]\npurestate_paths = nothing\n", "nothing/empty.py": ""}
    write(pytester.path, {**files, "model.py": MODEL, "test_it.py": STRATEGIES})
    result = pytester.runpytest_subprocess(
        "-p", "no:randomly", "--purestate", "--purestate-level=host=error", "-rA", timeout=300
    )
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        ["error test_it.py::test_wrong: a key is drawn from that was drawn from before"]
    )
