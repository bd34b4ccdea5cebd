"""What a train state needs to know of a model, for each kind of model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_purestate._runtime import _compat

if TYPE_CHECKING:
    from flax import nnx

__all__ = ["NnxApply", "Parts", "cast", "nnx_parts", "params_parts", "struct"]


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


def cast(params: Any, dtype: Any) -> Any:
    """Params with their floating arrays in another dtype; of shapes for shapes, and None leaves all as it is."""
    if dtype is None:
        return params

    def one(leaf: Any) -> Any:
        if isinstance(leaf, float):
            return jnp.asarray(leaf, dtype)
        if not hasattr(leaf, "dtype") or not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        return struct(leaf.shape, dtype) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf.astype(dtype)

    return jax.tree.map(one, params)


def struct(shape: tuple[int, ...], dtype: Any, **options: Any) -> jax.ShapeDtypeStruct:
    """A shape and a dtype in place of an array."""
    return jax.ShapeDtypeStruct(shape, dtype, **options)  # type: ignore[no-untyped-call]


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
            "the model must be a module of linen, nnx or equinox, or a pytree of arrays, not "
            f"{type(params).__name__}{where}"
        )
    return Parts(None, params, {})
