"""Variables of a linen module from the shapes of its inputs, by a program that is kept for the next test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.likeness import likeness
from pytest_purestate._runtime.models import Parts, cast, struct
from pytest_purestate._runtime.programs import Cache, Program, compiled

__all__ = ["LinenModel", "linen_model", "programs"]

programs = Cache(128)
"""Shapes and compiled initialisations, by model: some 10 to 100 kB each."""

_CONCRETE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
"""What JAX raises where code looks at a value that is not there yet."""


@dataclass(frozen=True, slots=True)
class LinenModel:
    """A linen module, and how it is initialised; see `linen_model`.

    Attributes:
        model: the module.
        inputs: `jax.ShapeDtypeStruct` and trees of them.
        kwargs: keywords for the module, as they are.
        rngs: a key, or keys by stream.
        dtype: what floating params are cast to; None leaves them.
        key: equal for what is initialised by the same program; None where nobody can tell.
        variables: what comes of it, with `jax.ShapeDtypeStruct` for arrays.
    """

    model: Any
    inputs: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    rngs: Any
    dtype: Any
    key: Hashable | None
    variables: Mapping[str, Any]

    def shapes(self) -> Parts:
        """The variables, with `jax.ShapeDtypeStruct` for arrays."""
        return self._parts(self.variables)

    def arrays(self, shardings: Any = None) -> Parts:
        """The variables, computed.

        Args:
            shardings: ``{"params": ..., **collections}`` with a sharding for each array; what is not named there is left
                to JAX.
        """
        if _compat.tracing():
            return self._parts(jax.jit(self._initialised)(self.rngs))
        if getattr(jax.config, "jax_disable_jit", False):
            return self._parts(self._initialised(self.rngs))
        places = None if shardings is None else self._places(shardings)
        program: Program = programs.get(
            self.key and ("program", places, self.key),
            lambda: compiled(self._initialised, self.rngs, places),
        )
        return self._parts(program(self.rngs))

    def _places(self, shardings: Mapping[str, Any]) -> tuple[Any, ...]:
        anywhere = {name: jax.tree.map(lambda _: None, value) for name, value in self.variables.items()}
        return tuple(jax.tree.leaves({**anywhere, **shardings}, is_leaf=lambda place: place is None))

    def _parts(self, variables: Mapping[str, Any]) -> Parts:
        collections = dict(variables)
        return Parts(self.model.apply, collections.pop("params", {}), collections)

    def _init(self, rngs: Any, *inputs: Any) -> Any:
        variables = dict(self.model.init(rngs, *inputs, **self.kwargs))
        return {"params": cast(variables.pop("params", {}), self.dtype), **variables}

    def _initialised(self, rngs: Any) -> Any:
        return self._init(rngs, *jax.tree.map(_zeros, self.inputs))

    def _traced(self) -> Any:
        needs_values = ValueError(
            f"the variables of {type(self.model).__name__} depend on the values of its inputs, and only their "
            "shapes are used\n  help: initialise it yourself and pass the params, "
            "make_train_state(params, apply_fn=model.apply)"
        )
        try:
            structs = jax.eval_shape(self._init, self.rngs, *self.inputs)
        except _CONCRETE as error:
            raise needs_values from error
        if _depends(self._init, self.rngs, self.inputs):
            raise needs_values
        return structs


def linen_model(
    model: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any], rngs: Any, dtype: Any
) -> LinenModel:
    """A module and what it is initialised with; the attributes of `LinenModel` say what they are.

    Raises:
        ValueError: its variables depend on the values of the inputs, so shapes are not enough.
    """
    asked = LinenModel(model, inputs, kwargs, rngs, dtype, None, {})
    surroundings = _surroundings(inputs, rngs, dtype)
    alike = None if surroundings is None else likeness(model, dict(kwargs))
    if alike is None:
        return dataclasses.replace(asked, variables=asked._traced())
    later = alike

    def traced() -> Any:
        nonlocal later
        variables = asked._traced()
        after = likeness(model, dict(kwargs))
        if after is not None and alike.learn(after):
            later = likeness(model, dict(kwargs)) or alike
        return variables

    variables = programs.get(("shapes", alike.key, surroundings), traced)
    if later is not alike:
        variables = programs.get(("shapes", later.key, surroundings), lambda: variables)
    return dataclasses.replace(asked, key=(later.key, surroundings), variables=variables)


def _surroundings(inputs: tuple[Any, ...], rngs: Any, dtype: Any) -> Hashable | None:
    """What else than the model and its keywords counts."""
    if _compat.tracing() or (context := _compat.compile_context()) is None:
        return None
    leaves, structure = jax.tree.flatten(inputs)
    keys, streams = jax.tree.flatten(rngs)
    shapes = tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves)
    # What is committed to a device is computed there.
    placed = tuple(
        (key.shape, str(key.dtype), getattr(key, "committed", False) and key.sharding) for key in keys
    )
    return shapes, structure, placed, streams, str(dtype), context


def _depends(init: Callable[..., Any], rngs: Any, inputs: tuple[Any, ...]) -> bool:
    """Whether a result of ``init`` depends on a value in ``inputs``, found without computing anything.

    Batching follows what depends on what through every primitive: ``vmap`` over the inputs alone refuses to
    give back an output as one value for the whole batch (``out_axes=None``) if the output differs along it.
    """
    if not jax.tree.leaves(inputs):
        return False
    batch = jax.tree.map(lambda one: struct((2, *one.shape), one.dtype), inputs)
    axes = (None, *(0 for _ in inputs))
    try:
        jax.eval_shape(jax.vmap(init, in_axes=axes, out_axes=None), rngs, *batch)
    except ValueError as error:
        return "out_axes" in str(error)
    except Exception:
        return False  # a primitive that has no batching rule: then we cannot tell
    return False


def _zeros(abstract: jax.ShapeDtypeStruct) -> jax.Array:
    if not jnp.issubdtype(abstract.dtype, jax.dtypes.prng_key):
        return jnp.zeros(abstract.shape, abstract.dtype)
    impl = ""

    def words(key: jax.Array) -> jax.Array:
        nonlocal impl
        impl = str(jax.random.key_impl(key))  # known of an abstract key, but not of a struct
        return jax.random.key_data(key)

    data = jax.eval_shape(words, abstract)
    keys: jax.Array = jax.random.wrap_key_data(jnp.zeros(data.shape, data.dtype), impl=impl)
    return keys
