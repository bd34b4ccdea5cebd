"""On which devices the arrays of a state lie, as a test asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec, Sharding

__all__ = ["check_sharding", "resolve"]

_KINDS = "a Sharding, a function (path, shape) -> Sharding, or a state of shardings"


def check_sharding(sharding: object, cls: type[Any]) -> None:
    """Refuse what says nothing about a place.

    Raises:
        TypeError: it is none of the kinds that `resolve` takes.
    """
    if isinstance(sharding, jax.sharding.Mesh):
        raise TypeError(
            f"sharding must be {_KINDS}, not a mesh; `NamedSharding(mesh, PartitionSpec())` has all of it everywhere"
        )
    known = isinstance(sharding, Sharding | Mapping | cls)
    if sharding is not None and not known and (isinstance(sharding, type) or not callable(sharding)):
        raise TypeError(f"sharding must be {_KINDS}, not {sharding!r}")


def resolve(sharding: Any, state: Any) -> Any:
    """The sharding of each array of a state, as a tree like it.

    Args:
        sharding: one for all, where scalars are whole on each device; a function that is asked with the path, such as
            ``params['kernel']``, and the `jax.ShapeDtypeStruct`; or a state of shardings, in which one may stand for a
            whole subtree.
        state: with `jax.ShapeDtypeStruct` leaves.

    Raises:
        TypeError: the function gives no sharding.
        ValueError: a sharding does not fit the array, or the state of shardings has another structure.
    """
    one: Callable[[str, Any], Any]
    if isinstance(sharding, Sharding):
        whole = (
            NamedSharding(sharding.mesh, PartitionSpec())  # type: ignore[no-untyped-call]
            if isinstance(sharding, NamedSharding)
            else sharding
        )

        def one(path: str, leaf: Any) -> Any:
            return sharding if leaf.shape else whole

    elif isinstance(sharding, type(state) | Mapping):
        return _checked(_spread(sharding, state), state)
    else:
        one = sharding
    chosen = jax.tree_util.tree_map_with_path(lambda place, leaf: one(_path(place), leaf), state)
    return _checked(chosen, state)


def _path(place: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(place).removeprefix(".")


def _spread(prefix: Any, state: Any) -> Any:
    """Field by field: two states have one structure only if their optimizers and functions are the same objects."""
    parts = jax.tree_util.tree_flatten_with_path(state, is_leaf=lambda part: part is not state)[0]
    fields = [key.name for (key, *_), _ in parts]
    names = [name for name in fields if jax.tree.leaves(getattr(state, name))]
    given = prefix if isinstance(prefix, Mapping) else {name: getattr(prefix, name) for name in names}
    if strange := [name for name in given if name not in fields]:
        raise ValueError(
            f"sharding: the state has no field `{strange[0]}` with arrays; it has {', '.join(fields)}"
        )
    spread = {}
    for name in names:
        part = getattr(state, name)
        if name not in given:
            raise ValueError(f"sharding: nothing is said about `{name}`")
        try:
            spread[name] = jax.tree.map(
                lambda one, below: jax.tree.map(lambda _: one, below),
                given[name],
                part,
                is_leaf=lambda one: one is None or isinstance(one, Sharding),
            )
        except ValueError as error:
            raise ValueError(f"sharding: `{name}` has another structure than in the state: {error}") from None
    return state.replace(**spread)


def _checked(chosen: Any, state: Any) -> Any:
    def check(place: Any, leaf: Any, one: Any) -> Any:
        path = _path(place)
        if not isinstance(one, Sharding):
            raise TypeError(f"sharding: `{path}` needs a Sharding, not {one!r}")
        spec = one.spec if isinstance(one, NamedSharding) else ()
        try:
            if len(spec) > len(leaf.shape):
                raise ValueError(f"{spec} names {len(spec)} axes")
            one.shard_shape(leaf.shape)
        except ValueError as error:
            raise ValueError(
                f"sharding: {one} does not fit `{path}`, which is {leaf.dtype}{list(leaf.shape)}\n  {error}"
            ) from None
        return one

    return jax.tree_util.tree_map_with_path(check, state, chosen)
