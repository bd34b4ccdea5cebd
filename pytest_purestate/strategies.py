"""Hypothesis strategies for JAX: PRNG keys, arrays, pytrees and train states. Needs ``pytest-purestate[strategies]``.

    from hypothesis import given
    from pytest_purestate import strategies as pst

    @given(key=pst.keys(), x=pst.arrays(shape=(4, 3)))
    def test_noise_keeps_the_shape(key, x):
        assert noisy(key, x).shape == x.shape

Values are built by numpy and moved to JAX as they are, so that no example compiles anything. They shrink to what is easy to
read: seed 0, zeros, few and small axes. Ideas of ``hypothesis.extra.numpy``, on which it stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

try:
    import jax
    import jax.numpy as jnp
    import numpy as np
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as npst
    from hypothesis.strategies import SearchStrategy

    from pytest_purestate._runtime._compat import is_linen_module
    from pytest_purestate._runtime.building import prepare
    from pytest_purestate._runtime.states import make_train_state
except ModuleNotFoundError as error:
    from pytest_purestate._runtime import is_missing_extra

    if error.name != "hypothesis" and not is_missing_extra(error):
        raise
    raise ImportError(
        "`pytest_purestate.strategies` needs Hypothesis and JAX; install them with "
        "`pip install 'pytest-purestate[strategies]'`",
        name=error.name,
    ) from None

__all__ = ["arrays", "key_arrays", "keys", "pytrees", "train_states"]

_SEEDS = st.integers(0, 2**32 - 1)
_FEW_SHAPES = st.sampled_from([(), (1,), (2,), (2, 3)])
"""Of params that are made up: an optimizer compiles some operations for each shape that it meets."""

Shape = int | tuple[int, ...]


def keys(*, impl: str | None = None, typed: bool = True) -> SearchStrategy[jax.Array]:
    """PRNG keys, ``jax.random.key(seed)``, which is also how a failing example shows them.

    Args:
        impl: a PRNG implementation, such as ``"rbg"``; by default JAX's.
        typed: new-style keys; otherwise raw uint32 arrays, ``jax.random.PRNGKey(seed)``.

    Raises:
        ValueError: JAX does not know the implementation.
    """
    make = jax.random.key if typed else jax.random.PRNGKey
    if impl is None:
        return st.builds(_named(f"jax.random.{make.__name__}", make), _SEEDS)
    make(0, impl=impl)
    return st.builds(_named(f"jax.random.{make.__name__}", make), _SEEDS, impl=st.just(impl))


def key_arrays(
    shape: Shape | SearchStrategy[Any] | None = None,
    *,
    impl: str | None = None,
    typed: bool = True,
    unique: bool = True,
) -> SearchStrategy[jax.Array]:
    """Arrays of PRNG keys, each as `keys` gives them.

    Args:
        shape: of the array of keys, or a strategy for it; by default one axis of up to four keys.
        impl: as for `keys`.
        typed: as for `keys`; raw keys have one axis more.
        unique: no two keys in the array are equal.
    """
    shapes = _strategy(st.integers(1, 4) if shape is None else shape)

    @st.composite
    def words(draw: Callable[[SearchStrategy[Any]], Any]) -> np.ndarray:
        drawn = draw(shapes)
        axes = (drawn,) if isinstance(drawn, int) else tuple(drawn)
        size = math.prod(axes)
        seeds = draw(st.lists(_SEEDS, min_size=size, max_size=size, unique=unique))
        found = [np.asarray(jax.random.key_data(jax.random.key(seed, impl=impl))) for seed in seeds]
        width = found[0].shape if found else jax.random.key_data(jax.random.key(0, impl=impl)).shape
        return np.array(found, np.uint32).reshape(axes + width)

    if not typed:
        return words().map(jnp.asarray)
    options = {} if impl is None else {"impl": st.just(impl)}
    return st.builds(_named("jax.random.wrap_key_data", jax.random.wrap_key_data), words(), **options)


def arrays(
    dtype: Any = jnp.float32,
    shape: Shape | SearchStrategy[Any] | None = None,
    *,
    elements: SearchStrategy[Any] | Mapping[str, Any] | None = None,
    finite: bool = True,
    unique: bool = False,
) -> SearchStrategy[jax.Array]:
    """Arrays of JAX: ``hypothesis.extra.numpy.arrays``, and the dtypes that numpy has not, such as bfloat16.

    Without subnormal numbers, which XLA takes for zero on many devices.

    Args:
        dtype: or a strategy for it.
        shape: or a strategy for it; by default up to three axes of up to five elements.
        elements: a strategy for numbers, or options for the usual one, ``{"min_value": 0, "max_value": 1}``.
        finite: no infinity and no NaN.
        unique: no two elements are equal.

    Raises:
        ValueError: JAX would give another dtype, float32 for float64 without ``jax_enable_x64``.
    """
    shapes = npst.array_shapes(min_dims=0, max_dims=3, max_side=5) if shape is None else shape

    def of(dtype: Any) -> SearchStrategy[jax.Array]:
        wanted = jnp.dtype(dtype)
        if jax.dtypes.canonicalize_dtype(wanted) != wanted:
            raise ValueError(f"JAX has no {wanted} without `jax_enable_x64`")
        host, usual = _numbers(wanted, finite, elements if isinstance(elements, Mapping) else {})
        numbers = usual if elements is None or isinstance(elements, Mapping) else elements
        drawn = npst.arrays(host, shapes, elements=numbers, unique=unique)
        return st.builds(_named("jax.numpy.array", _moved), drawn, dtype=st.just(wanted))

    return dtype.flatmap(of) if isinstance(dtype, SearchStrategy) else st.deferred(lambda: of(dtype))


def pytrees(leaves: SearchStrategy[Any] | None = None, *, max_leaves: int = 6) -> SearchStrategy[Any]:
    """Pytrees of dicts, lists and tuples at any depth; a single leaf is one too.

    Args:
        leaves: by default `arrays`.
        max_leaves: about how many there are at most.
    """
    names = st.sampled_from(["a", "b", "kernel", "bias", "layer_0"])

    def around(inner: SearchStrategy[Any]) -> SearchStrategy[Any]:
        listed = st.lists(inner, max_size=3)
        return st.dictionaries(names, inner, max_size=3) | listed | listed.map(tuple)

    return st.recursive(arrays() if leaves is None else leaves, around, max_leaves=max_leaves)


def train_states(model: Any = None, *inputs: Any, **options: Any) -> SearchStrategy[Any]:
    """Train states at step 0, as `pytest_purestate.make_train_state` makes them.

    Args:
        model: a linen module, which is initialised with another key in each example, by one compiled program; a module
            of another library; params, or a strategy for params. By default params are made up: dicts of float32
            arrays, small and finite.
        *inputs: of the module; only shapes count.
        **options: of `make_train_state`, such as ``tx`` or ``cls``; each of them may be a strategy. Without ``rngs``, a
            linen module is initialised with `keys`.

    Raises:
        TypeError, ValueError: as in `make_train_state`, the model's before the first example.
    """
    drawn = {name: _strategy(value) for name, value in options.items()}
    fixed = {name: value for name, value in options.items() if not isinstance(value, SearchStrategy)}

    def made() -> SearchStrategy[Any]:
        rngs = {}
        if is_linen_module(model):
            # Compiled before the first example, which would be too slow otherwise.
            prepare(
                model,
                inputs,
                **{name: fixed[name] for name in ("rngs", "init_kwargs", "dtype") if name in fixed},
            )
            if "rngs" not in options:
                rngs = {"rngs": keys()}
        return st.builds(
            make_train_state,
            _params() if model is None else _strategy(model),
            *map(st.just, inputs),
            **rngs,
            **drawn,
        )

    return st.deferred(made)


def _params() -> SearchStrategy[Any]:
    leaf = arrays(shape=_FEW_SHAPES, elements={"min_value": -8, "max_value": 8})
    layer = st.dictionaries(st.sampled_from(["kernel", "bias"]), leaf, min_size=1)
    return st.dictionaries(st.sampled_from(["layer_0", "layer_1"]), layer, min_size=1)


def _strategy(value: Any) -> SearchStrategy[Any]:
    return value if isinstance(value, SearchStrategy) else st.just(value)


def _named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function under the name that a failing example shows."""

    def call(*args: Any, **options: Any) -> Any:
        return function(*args, **options)

    call.__name__ = name
    return call


def _moved(array: np.ndarray, dtype: np.dtype) -> jax.Array:
    """A copy on the device; to convert it there would take a compiled operation for each shape."""
    moved: jax.Array = jax.device_put(array.astype(dtype))
    return moved


def _numbers(
    dtype: np.dtype, finite: bool, options: Mapping[str, Any]
) -> tuple[np.dtype, SearchStrategy[Any]]:
    """The dtype of numpy to draw in, and numbers that the wanted dtype has."""
    usual = {"allow_subnormal": False, **({"allow_nan": False, "allow_infinity": False} if finite else {})}
    if dtype.kind in "biufc" and dtype != np.float16:  # of which Hypothesis would throw away most
        return dtype, npst.from_dtype(dtype, **{**usual, **options})
    of: Any = jnp.iinfo if jnp.issubdtype(dtype, jnp.integer) else jnp.finfo
    limits = of(dtype)
    host = np.dtype(np.int32 if jnp.issubdtype(dtype, jnp.integer) else np.float32)
    bounds = {"min_value": host.type(limits.min).item(), "max_value": host.type(limits.max).item()}
    if not finite and "min_value" not in options and "max_value" not in options and host.kind == "f":
        bounds = {}
    numbers = npst.from_dtype(host, **{**bounds, **usual, **options})
    return host, numbers.map(lambda number: np.asarray(number).astype(dtype).astype(host).item())
