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


def equinox_parts(model: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Parts:
    """Take an equinox module apart as ``equinox.partition(model, equinox.is_inexact_array)`` does.

    Params are the inexact arrays, in a module that has None elsewhere. Other arrays (integers, keys) are the collection
    ``buffers``: they are data as well, so they must not become constants of a compiled step.
    """
    leaves, structure = jax.tree.flatten(model, is_leaf=_is_none)
    kinds = [_kind(leaf) for leaf in leaves]

    def part(name: str) -> Any:
        return jax.tree.unflatten(
            structure, [leaf if kind == name else None for leaf, kind in zip(leaves, kinds, strict=True)]
        )

    # With their types: 1, 1.0 and True are three models.
    static = tuple(
        (kind, None, None) if kind else ("", type(leaf), leaf)
        for leaf, kind in zip(leaves, kinds, strict=True)
    )
    apply = EquinoxApply(structure, static)
    collections: dict[str, Any] = {
        name: part(name) for name in ("params", "buffers") if name in kinds or name == "params"
    }
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
        static: for each leaf the collection that it is in, or an empty text, its type and the leaf itself.
    """

    structure: Any
    static: tuple[tuple[str, type | None, Any], ...]

    def __call__(self, variables: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Call the module; see the class."""
        return self.module(variables)(*args, **kwargs)

    def module(self, variables: Mapping[str, Any]) -> Any:
        """The module with these arrays, for its methods."""
        parts = {}
        for name in {kind for kind, _, _ in self.static if kind}:
            if name not in variables:
                raise ValueError(
                    f"the module has arrays in `{name}`, and they were not given\n"
                    f'  help: `apply_fn({{"params": state.params, "{name}": state.{name}}}, ...)`'
                )
            parts[name], structure = jax.tree.flatten(variables[name], is_leaf=_is_none)
            if structure != self.structure:
                raise ValueError(f"`{name}` has another structure than the module that the state was made of")
        leaves = [parts[kind][i] if kind else leaf for i, (kind, _, leaf) in enumerate(self.static)]
        return jax.tree.unflatten(self.structure, leaves)


def _is_none(leaf: object) -> bool:
    return leaf is None


def _kind(leaf: Any) -> str:
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct):
        return ""
    return "params" if jnp.issubdtype(leaf.dtype, jnp.inexact) else "buffers"
