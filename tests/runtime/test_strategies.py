"""Hypothesis strategies: what they give, what it shrinks to, how it reads, and what it costs."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import hypothesis
import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState
from hypothesis import find, given, settings
from hypothesis import strategies as st

from pytest_purestate import strategies as pst
from pytest_purestate._runtime.linen_model import programs
from pytest_purestate._runtime.trees import diff

pytestmark = pytest.mark.slow

# Tests run in parallel, so a first compilation can take long; the profile of a CI must not change what is tested.
few = settings(max_examples=15, deadline=None, database=None, derandomize=True)
shrunk = settings(few, max_examples=200)


def words(key: jax.Array) -> list[list[int]]:
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return [list(map(int, row)) for row in np.asarray(data).reshape(-1, data.shape[-1])]


def shown(strategy: Any) -> str:
    """How a failing example reads."""

    @settings(few, phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink])
    @given(x=strategy)
    def fails(x: Any) -> None:
        raise AssertionError

    with pytest.raises(AssertionError) as caught:
        fails()
    text = "\n".join(caught.value.__notes__).partition("x=")[2].partition(",\n)")[0]
    return " ".join(text.split()).replace("( ", "(").replace(", )", ")")


# Keys


@pytest.mark.parametrize(
    ("strategy", "impl", "dtype"),
    [
        (pst.keys(), "threefry2x32", None),
        (pst.keys(impl="rbg"), "rbg", None),
        (pst.keys(typed=False), "threefry2x32", jnp.uint32),
    ],
    ids=["typed", "rbg", "raw"],
)
def test_keys(strategy: Any, impl: str, dtype: Any) -> None:
    seen = set()

    @few
    @given(strategy)
    def look(key: jax.Array) -> None:
        if dtype is None:
            assert str(jax.random.key_impl(key)) == impl
            assert key.shape == ()
        else:
            assert (key.dtype, key.shape) == (dtype, (2,))
        jax.random.bits(key)
        seen.add(str(words(key)))

    look()
    assert len(seen) > 1


def test_simplest_key_is_that_of_seed_0() -> None:
    assert find(pst.keys(), lambda key: True, settings=shrunk) == jax.random.key(0)
    assert find(pst.keys(), lambda key: words(key)[0][1] > 9, settings=shrunk) == jax.random.key(10)


def test_keys_read_as_the_call_that_makes_them() -> None:
    assert shown(pst.keys()) == "jax.random.key(0)"
    assert shown(pst.keys(impl="rbg")) == "jax.random.key(0, impl='rbg')"
    assert shown(pst.keys(typed=False)) == "jax.random.PRNGKey(0)"


def test_unknown_implementation_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match='unrecognized PRNG implementation "dice"'):
        pst.keys(impl="dice")


def test_arrays_of_keys() -> None:
    @few
    @given(pst.key_arrays(), pst.key_arrays((2, 3), impl="rbg"), pst.key_arrays(st.just(0), typed=False))
    def look(one: jax.Array, other: jax.Array, raw: jax.Array) -> None:
        assert one.ndim == 1
        assert len({str(word) for word in words(one)}) == one.size
        assert (other.shape, str(jax.random.key_impl(other))) == ((2, 3), "rbg")
        assert (raw.shape, raw.dtype) == ((0, 2), jnp.uint32)

    look()
    least = find(pst.key_arrays(2), lambda keys: True, settings=shrunk)
    assert words(least) == [[0, 0], [0, 1]]
    same = find(pst.key_arrays(2, unique=False), lambda keys: True, settings=shrunk)
    assert words(same) == [[0, 0], [0, 0]]
    assert shown(pst.key_arrays(1)) == "jax.random.wrap_key_data(array([[0, 0]], dtype=uint32))"


# Arrays and pytrees


@pytest.mark.parametrize(
    "dtype",
    [jnp.float32, jnp.float16, jnp.bfloat16, jnp.float8_e4m3fn, jnp.int32, jnp.int4, bool, jnp.complex64],
)
def test_arrays_have_their_dtype_and_are_finite(dtype: Any) -> None:
    @few
    @given(pst.arrays(dtype, (3,)), pst.arrays(dtype, 2, unique=True))
    def look(array: jax.Array, distinct: jax.Array) -> None:
        assert isinstance(array, jax.Array)
        assert (array.dtype, array.shape) == (jnp.dtype(dtype), (3,))
        wide = np.asarray(array).astype(np.complex64)
        assert np.isfinite(wide).all()
        assert distinct[0] != distinct[1]

    look()


def test_arrays_shrink_to_small_ones_with_small_numbers() -> None:
    assert find(pst.arrays(), lambda x: True, settings=shrunk) == 0
    assert find(pst.arrays(), lambda x: float(x.sum()) > 5, settings=shrunk) == 6
    assert find(pst.arrays(jnp.bfloat16, (2,)), lambda x: bool(x[1] > 0), settings=shrunk).tolist() == [0, 1]
    odd = find(pst.arrays(finite=False), lambda x: not bool(jnp.isfinite(x).all()), settings=shrunk)
    assert (odd.shape, bool(jnp.isfinite(odd))) == ((), False)


def test_arrays_take_strategies_and_bounds() -> None:
    @few
    @given(
        pst.arrays(st.sampled_from([jnp.int32, jnp.float32]), st.sampled_from([(2,), (3, 1)])),
        pst.arrays(shape=(2,), elements={"min_value": 0, "max_value": 1}),
        pst.arrays(jnp.bfloat16, 1, elements=st.just(2.5)),
    )
    def look(one: jax.Array, bounded: jax.Array, fixed: jax.Array) -> None:
        assert one.dtype in (jnp.int32, jnp.float32)
        assert one.shape in ((2,), (3, 1))
        assert 0 <= float(bounded.min()) <= float(bounded.max()) <= 1
        assert fixed.tolist() == [2.5]

    look()


def test_dtype_that_jax_would_change_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^JAX has no float64 without `jax_enable_x64`$"):
        find(pst.arrays(np.float64), lambda x: True)


def test_pytrees() -> None:
    kinds = set()

    @settings(few, max_examples=40)
    @given(pst.pytrees())
    def look(tree: Any) -> None:
        kinds.add(type(tree).__name__)
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(tree))

    look()
    assert {"dict", "list", "tuple", "ArrayImpl"} <= kinds
    two = find(pst.pytrees(st.just(1)), lambda tree: len(jax.tree.leaves(tree)) > 1, settings=shrunk)
    assert two in ({"a": 1, "b": 1}, [1, 1])


# Train states


def test_states_of_made_up_params() -> None:
    @few
    @given(pst.train_states(tx="adam"))
    def look(state: Any) -> None:
        assert type(state) is TrainState
        leaves = jax.tree.leaves(state.params)
        assert leaves
        assert all(leaf.dtype == jnp.float32 for leaf in leaves)
        state.apply_gradients(grads=state.params)  # type: ignore[no-untyped-call]

    look()
    least = find(pst.train_states(), lambda state: True, settings=shrunk)
    assert jax.tree.map(lambda leaf: leaf.tolist(), least.params) == {"layer_0": {"kernel": 0}}


class Keyed(TrainState):  # type: ignore[no-untyped-call]
    dropout_key: Any


def test_states_of_a_module_take_strategies_for_options() -> None:
    seen = set()

    @few
    @given(
        pst.train_states(
            nn.Dense(2),
            jnp.ones((1, 3)),
            cls=Keyed,
            tx=st.sampled_from(["sgd", "adam"]),
            dropout_key=pst.keys(),
        )
    )
    def look(state: Any) -> None:
        assert state.params["kernel"].shape == (3, 2)
        seen.add((len(jax.tree.leaves(state.opt_state)) > 1, float(state.params["kernel"][0, 0])))

    look()
    assert {adam for adam, _ in seen} == {True, False}
    assert len(seen) > 2


def test_states_of_other_models() -> None:
    model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    state = find(pst.train_states(model), lambda state: True, settings=shrunk)
    assert not diff(state.params["kernel"], model.kernel[...])
    state = find(pst.train_states(st.just({"w": jnp.ones(2)})), lambda state: True, settings=shrunk)
    assert state.params["w"].tolist() == [1, 1]


def test_states_read_as_the_call_that_makes_them() -> None:
    text = shown(pst.train_states({"w": 1.0}, tx="adam"))
    assert text == "make_train_state({'w': 1.0}, tx='adam')"
    text = shown(pst.train_states(nn.Dense(2), jnp.ones((1, 3))))
    assert text.startswith("make_train_state(")
    assert "rngs=jax.random.key(0)" in text


def test_bad_use_is_told_before_the_first_example() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        find(pst.train_states(nn.Dense(2)), lambda state: True)
    with pytest.raises(ValueError, match="optax has no optimizer `adm`"):
        find(pst.train_states({"w": 1.0}, tx="adm"), lambda state: True)


# Cost


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    found: list[str] = []
    active = [True]

    def listener(event: str, duration_secs: float, **details: Any) -> None:
        if active and event == "/jax/core/compile/backend_compile_duration":
            found.append(str(details.get("fun_name")))

    jax.monitoring.register_event_duration_secs_listener(listener)
    yield found
    active.clear()  # JAX before 0.7 keeps it


@pytest.mark.parametrize(
    "strategy",
    [
        pst.keys(),
        pst.key_arrays(),
        pst.arrays(),
        pst.arrays(jnp.bfloat16),
        pst.pytrees(),
        pst.train_states(nn.Dense(2), jnp.ones((1, 3)), tx="adam"),
    ],
    ids=["keys", "key arrays", "arrays", "bfloat16", "pytrees", "states"],
)
def test_no_example_compiles(strategy: Any, compilations: list[str]) -> None:
    counts = []

    @settings(few, max_examples=60)
    @given(strategy)
    def look(value: Any) -> None:
        counts.append(len(compilations))

    look()
    shared = counts[7]  # what all examples have in common
    assert counts[-1] == shared


def test_a_module_is_compiled_once_and_not_in_an_example() -> None:
    traced: list[int] = []
    before: list[int] = []

    class Slow(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            traced.append(1)
            return nn.Dense(2)(x)

    programs.clear()
    states = pst.train_states(Slow(), jnp.ones((1, 3)), tx=st.just(optax.sgd(1.0)))

    @few
    @given(st.builds(lambda: before.append(len(traced))), states)
    def look(_: Any, state: Any) -> None:
        pass

    look()
    assert set(before) == {3}, "its shapes, their dependence on values, and the program"
    assert len(traced) == 3


# Installation


@pytest.mark.parametrize("missing", ["hypothesis", "jax"])
def test_missing_extra_is_named(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "try:\n    import pytest_purestate.strategies\n"
        "except ImportError as error:\n    print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == (
        "ImportError `pytest_purestate.strategies` needs Hypothesis and JAX; install them with "
        "`pip install 'pytest-purestate[strategies]'`\n"
    )
