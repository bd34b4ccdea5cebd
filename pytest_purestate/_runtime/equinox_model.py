"""Equinox modules as models: pytrees that are called. Equinox itself is not needed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_purestate._runtime.models import Parts

__all__ = ["EquinoxApply", "equinox_parts"]

_Path = tuple[str, ...]


def equinox_parts(model: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Parts:
    """Take an equinox module apart, along the line of ``equinox.partition(model, equinox.is_inexact_array)``.

    Params are the inexact arrays. Other arrays (integers, keys) are the collection ``buffers``: they are data as well, so they
    must not become constants of a compiled step. Both are nested dicts by the names of the attributes, as of other models:
    a ``TrainState`` of Flax takes no module for its params, nor does its serialization.
    """
    found, structure = jax.tree_util.tree_flatten_with_path(model)
    collections: dict[str, Any] = {"params": {}}
    leaves: list[tuple[str, Any, Any]] = []
    for place, leaf in found:
        if (name := _collection(leaf)) is None:
            leaves.append(("", type(leaf), leaf))  # with the type: 1, 1.0 and True are three models
            continue
        path = tuple(_step(key) for key in place) or ("value",)
        inner = collections.setdefault(name, {})
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        inner[path[-1]] = leaf
        leaves.append((name, None, path))
    apply = EquinoxApply(structure, tuple(leaves))
    if inputs:
        jax.eval_shape(lambda variables, *args: apply(variables, *args, **kwargs), collections, *inputs)
    return Parts(apply, collections.pop("params"), collections)


@dataclass(frozen=True, slots=True)
class EquinoxApply:
    """Calls an equinox module as linen modules are called: a function of its variables and inputs.

    ``apply({"params": params}, *args, **kwargs)`` puts the arrays where they were and calls the module. Modules with integer
    arrays or keys take them as ``"buffers"``. What a module gives is given back, so for one with an ``equinox.nn.State``
    that is ``(output, state)``.

    Attributes:
        structure: the module without its leaves; two of these are equal if their modules differ in arrays alone, so states
            made from them share one compiled step.
        leaves: for each leaf its collection and its path there, or an empty text, its type and itself.
    """

    structure: Any
    leaves: tuple[tuple[str, type | None, Any], ...]

    def __call__(self, variables: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Call the module; see the class."""
        return self.module(variables)(*args, **kwargs)

    def module(self, variables: Mapping[str, Any]) -> Any:
        """The module with these arrays: for its methods, or for what else takes a module.

        Raises:
            ValueError: an array is not there.
        """
        leaves = []
        for name, _, leaf in self.leaves:
            if name and name not in variables:
                raise ValueError(
                    f"the module has arrays in `{name}`, and they were not given\n"
                    f'  help: `apply_fn({{"params": state.params, "{name}": state.{name}}}, ...)`'
                )
            leaves.append(_at(variables[name], leaf, name) if name else leaf)
        return jax.tree.unflatten(self.structure, leaves)


def _at(tree: Any, path: _Path, name: str) -> Any:
    value = tree
    try:
        for part in path:
            value = value[part]
    except (KeyError, TypeError):
        where = "".join(f"[{part!r}]" for part in path)
        raise ValueError(f"`{name}{where}` is an array of the module, and is not there") from None
    return value


def _step(key: Any) -> str:
    """An attribute, an index or a key of a dict, as the key of a dict."""
    return str(next(getattr(key, name) for name in ("name", "key", "idx") if hasattr(key, name)))


def _collection(leaf: Any) -> str | None:
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct):
        return None
    return "params" if jnp.issubdtype(leaf.dtype, jnp.inexact) else "buffers"
