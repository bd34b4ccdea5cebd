"""What a train state needs to know of a model, for each kind of model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_purestate._runtime import _compat

if TYPE_CHECKING:
    from flax import nnx

__all__ = ["NnxApply", "Parts", "linen_parts", "nnx_parts", "params_parts", "struct"]


_CONCRETE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
"""What JAX raises where code looks at a value that is not there yet."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A model taken apart.

    Attributes:
        apply_fn: calls it, ``apply_fn({"params": ..., **collections}, *inputs)``; None for bare params.
        params: a pytree of arrays.
        collections: its other variables by name, such as ``batch_stats``.
    """

    apply_fn: Any
    params: Any
    collections: dict[str, Any]


def linen_parts(
    model: Any, inputs: tuple[Any, ...], rngs: Any, kwargs: Mapping[str, Any], abstract: bool
) -> Parts:
    """Initialise a linen module from the shapes of its inputs, compiled as one function.

    Raises:
        ValueError: its variables depend on the values of the inputs, so shapes are not enough.
    """

    def init(rngs: Any, *inputs: Any) -> Any:
        return model.init(rngs, *inputs, **kwargs)

    needs_values = ValueError(
        f"the variables of {type(model).__name__} depend on the values of its inputs, and only their shapes "
        "are used\n  help: initialise it yourself and pass the params, "
        "make_train_state(params, apply_fn=model.apply)"
    )
    try:
        structs = jax.eval_shape(init, rngs, *inputs)
    except _CONCRETE as error:
        raise needs_values from error
    if _depends(init, rngs, inputs):
        raise needs_values
    variables = dict(
        structs if abstract else jax.jit(lambda rngs: init(rngs, *jax.tree.map(_zeros, inputs)))(rngs)
    )
    return Parts(model.apply, variables.pop("params", {}), variables)


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


def struct(shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    """A shape and a dtype in place of an array."""
    return jax.ShapeDtypeStruct(shape, dtype)  # type: ignore[no-untyped-call]


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


def nnx_parts(model: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Parts:
    """Take an nnx module apart into dicts of arrays; the module itself stays as it is."""
    from flax import nnx

    graphdef, state = nnx.split(model)
    apply = NnxApply(graphdef, state)
    collections = apply.collections(state)
    if inputs:
        jax.eval_shape(lambda variables, *args: apply(variables, *args, **kwargs), collections, *inputs)
    return Parts(apply, collections.pop("params", {}), collections)


@dataclass(frozen=True, slots=True)
class NnxApply:
    """Calls an nnx module as linen modules are called: a function of its variables and inputs.

    ``apply(variables, *inputs)`` is the output. ``apply(variables, *inputs, mutable=["batch_stats"])`` is the
    output and a dict of the named collections after the call; what is not named keeps no change, and a name
    for which there is nothing is left out, as linen does it. Collections
    are ``params``, ``batch_stats``, ``cache``, ``intermediates``, ``rngs`` for keys and their counters, and
    the class name in snake case for other variables.

    Attributes:
        graphdef: the static part of the module; two of these are equal if their graphdefs are, so states made
            from equal models share one compiled step.
        template: which variable is where.
    """

    graphdef: nnx.GraphDef[Any]
    template: nnx.State[Any, Any] = field(compare=False, repr=False)

    def __call__(
        self,
        variables: Mapping[str, Any],
        *args: Any,
        mutable: bool | str | Sequence[str] = False,
        **kwargs: Any,
    ) -> Any:
        """Call the module; see the class."""
        from flax import nnx

        flat = []
        for path, variable in nnx.to_flat_state(self.template):
            name = _collection(variable)
            if name not in variables:
                raise ValueError(
                    f"the module has variables in `{name}`, and they were not given\n"
                    f'  help: `apply_fn({{"params": state.params, "{name}": state.{name}}}, ...)`'
                )
            value: Any = variables[name]
            for part in path:
                value = value[part]
            flat.append((path, variable.replace(value)))
        model = nnx.merge(self.graphdef, nnx.from_flat_state(flat))
        output = model(*args, **kwargs)
        if mutable is False:
            return output
        after = self.collections(nnx.split(model)[1])
        names = after if mutable is True else (mutable,) if isinstance(mutable, str) else mutable
        return output, {name: after[name] for name in names if name in after}

    def collections(self, state: Any) -> dict[str, Any]:
        """The arrays of a state as nested dicts, by collection."""
        from flax import nnx

        found: dict[str, Any] = {}
        for path, variable in nnx.to_flat_state(state):
            inner = found.setdefault(_collection(variable), {})
            for part in path[:-1]:
                inner = inner.setdefault(part, {})
            inner[path[-1]] = _compat.variable_value(variable)
        return found


def _collection(variable: Any) -> str:
    from flax import nnx

    kind = _compat.variable_type(variable)
    known = {
        nnx.Param: "params",
        nnx.BatchStat: "batch_stats",
        nnx.Cache: "cache",
        nnx.Intermediate: "intermediates",
        nnx.RngState: "rngs",
    }
    for base, name in known.items():
        if issubclass(kind, base):
            return name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()


def params_parts(params: Any) -> Parts:
    """Take a pytree of arrays as the params.

    Raises:
        TypeError: there is something else in it.
    """
    if isinstance(params, type):
        raise TypeError(f"the model must be an instance, not the class: `{params.__name__}(...)`")
    for path, leaf in jax.tree_util.tree_flatten_with_path(params, is_leaf=lambda leaf: leaf is None)[0]:
        if isinstance(
            leaf, jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct | int | float | complex
        ):
            continue
        where = f" (`params{jax.tree_util.keystr(path)}` is {leaf!r})" if path else ""
        raise TypeError(
            "the model must be a linen module, an nnx module or a pytree of arrays, not "
            f"{type(params).__name__}{where}"
        )
    return Parts(None, params, {})
