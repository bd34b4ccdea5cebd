"""The ways to save that have a name: as flax, orbax and numpy do it.

A store saves what its library saves, no more: the point is to see what is lost on the way. What a library cannot store
at all is a `PurityError` that names every such place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.describe import is_function
from pytest_purestate._runtime.failures import Problem, PurityError
from pytest_purestate._runtime.npz import read_npz, write_npz

__all__ = ["STORES", "Store"]


@dataclass(frozen=True, slots=True)
class Store:
    """A way to save and restore.

    Attributes:
        label: what to call it in a message.
        save: given the state, an empty folder and what to call the state, saves; gives what `restore` needs.
        restore: given that, a template of the state (see `blank`), which it may use up, and what to call the state,
            gives the state.
    """

    label: str
    save: Callable[[Any, Path, str], Any]
    restore: Callable[[Any, Any, str], Any]


# What the libraries are given: nnx objects as nested dicts of their variables, and no functions.


def _nnx_values(value: Any) -> dict[Any, Any]:
    """The variables of an nnx object as nested dicts of what they hold."""
    from flax import nnx

    return dict(nnx.to_pure_dict(nnx.state(value)))


def _set_nnx_values(value: Any, values: dict[Any, Any]) -> None:
    """Put such dicts back into an nnx object."""
    from flax import nnx

    state = nnx.state(value)
    nnx.replace_by_pure_dict(state, values)
    nnx.update(value, state)


def _is_data(leaf: Any) -> bool:
    return not is_function(leaf)


def _plain(state: Any) -> Any:
    """The data of a state. Functions among its leaves, as equinox has them, are None, which is no leaf."""

    def plain(leaf: Any) -> Any:
        if _compat.is_nnx_object(leaf):
            return _nnx_values(leaf)
        return leaf if _is_data(leaf) else None

    return jax.tree.map(plain, state, is_leaf=_compat.is_nnx_object)


def _filled(template: Any, restored: Any) -> Any:
    """The template with what was restored in the places of its data."""
    leaves, treedef = jax.tree.flatten(template, is_leaf=_compat.is_nnx_object)
    values = iter(jax.tree.leaves(restored))
    made = []
    for leaf in leaves:
        if _compat.is_nnx_object(leaf):
            own = _nnx_values(leaf)
            _set_nnx_values(leaf, jax.tree.map(lambda _: next(values), own))
            made.append(leaf)
        else:
            made.append(next(values) if _is_data(leaf) else leaf)
    return jax.tree.unflatten(treedef, made)


def _leaves(plain: Any, name: str = "state") -> Iterator[tuple[str, Any]]:
    for path, leaf in jax.tree_util.tree_flatten_with_path(plain)[0]:
        yield name + jax.tree_util.keystr(path), leaf


def _library(
    label: str,
    write: Callable[[Any, Path], None],
    read: Callable[[Path, Any], Any],
    refused: Callable[[Any, str], list[Problem]],
    help: str,
) -> Store:
    """A store of a library; its own errors become failures that name it."""

    def save(state: Any, folder: Path, name: str) -> Path:
        __tracebackhide__ = True
        plain = _plain(state)
        path = folder / "state"
        if problems := refused(plain, name):
            raise PurityError(f"`{name}` cannot be saved through {label}", problems, ("saved", ""), help=help)
        try:
            write(plain, path)
        except Exception as error:
            raise PurityError(f"`{name}` cannot be saved through {label}: {error}", help=help) from error
        return path

    def restore(path: Path, template: Any, name: str) -> Any:
        __tracebackhide__ = True
        try:
            restored = read(path, _plain(template))
        except Exception as error:
            raise PurityError(
                f"`{name}` cannot be restored through {label} into a state as it is at first: {error}",
                help="a resumed program restores into what it makes at its start: keep structure and shapes of "
                "the state from step to step",
            ) from error
        return _filled(template, restored)

    return Store(label, save, restore)


# flax.serialization


def _write_flax(plain: Any, path: Path) -> None:
    from flax import serialization

    path.write_bytes(serialization.to_bytes(plain))


def _read_flax(path: Path, template: Any) -> Any:
    from flax import serialization

    return serialization.from_bytes(template, path.read_bytes())


def _refused_by_flax(plain: Any, name: str) -> list[Problem]:
    problems = [
        _unstorable(path, "msgpack has no typed keys", leaf)
        for path, leaf in _leaves(plain, name)
        if isinstance(leaf, jax.Array) and _compat.is_key_aval(leaf)
    ]
    return problems + [
        _unstorable(path, "it has no rule for this class", leaf)
        for path, leaf in _unknown_to_flax(plain, name)
    ]


def _unknown_to_flax(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Containers that flax has no rule for: it would hand them on to msgpack as they are."""
    from flax import serialization

    told: Any = serialization.to_state_dict(value)
    if told is value and told is not None and not jax.tree_util.all_leaves([value]):
        yield path, value
    elif isinstance(told, dict):
        for part in told:
            if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
                yield from _unknown_to_flax(value[int(part)], f"{path}[{part}]")
            elif hasattr(value, "__getitem__") and not isinstance(value, tuple):
                for key in (key for key in value if str(key) == part):
                    yield from _unknown_to_flax(value[key], f"{path}[{key!r}]")
            else:
                yield from _unknown_to_flax(getattr(value, part), f"{path}.{part}")


# orbax.checkpoint


def _write_orbax(plain: Any, path: Path) -> None:
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer() as checkpointer:
        # In a dict, because a single array is no tree to it.
        checkpointer.save(path, {"state": plain})
        checkpointer.wait_until_finished()


def _read_orbax(path: Path, template: Any) -> Any:
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore(path, {"state": template})["state"]


def _refused_by_orbax(plain: Any, name: str) -> list[Problem]:
    # Known beforehand, because an error in the middle leaves threads of orbax behind, which log theirs.
    problems = []
    for path, leaf in _leaves(plain, name):
        if not isinstance(leaf, jax.Array | np.ndarray | int | float) or isinstance(leaf, np.generic):
            problems.append(_unstorable(path, f"it has no {type(leaf).__name__}", leaf))
        elif isinstance(leaf, jax.Array | np.ndarray) and leaf.size == 0:
            problems.append(_unstorable(path, "it has no arrays without elements", leaf))
    return problems


# npz


def _write_npz(plain: Any, path: Path) -> None:
    write_npz(path, list(_leaves(plain)))


def _read_npz(path: Path, template: Any) -> Any:
    return jax.tree.unflatten(jax.tree.structure(template), read_npz(path, list(_leaves(template))))


def _refused_by_npz(plain: Any, name: str) -> list[Problem]:
    return [
        _unstorable(path, "without pickle it has no objects", leaf)
        for path, leaf in _leaves(plain, name)
        if not isinstance(leaf, jax.Array)
        and not isinstance(leaf, str | bytes)
        and np.asarray(leaf).dtype.hasobject
    ]


def _unstorable(path: str, reason: str, leaf: Any) -> Problem:
    shown = (
        f"{leaf.dtype}{list(leaf.shape)}" if isinstance(leaf, jax.Array | np.ndarray) else type(leaf).__name__
    )
    return Problem("not-saved", path, f"cannot be stored: {reason}", shown)


STORES = {
    "flax": _library(
        "flax.serialization",
        _write_flax,
        _read_flax,
        _refused_by_flax,
        "store the bits of a key, `jax.random.key_data(key)`, and make the key from them, "
        "`jax.random.wrap_key_data(bits)`; teach it a class with "
        "`flax.serialization.register_serialization_state`; or save in another way",
    ),
    "orbax": _library(
        "orbax.checkpoint",
        _write_orbax,
        _read_orbax,
        _refused_by_orbax,
        "keep arrays and Python numbers in the state, and everything else beside it",
    ),
    "npz": _library(
        "npz",
        _write_npz,
        _read_npz,
        _refused_by_npz,
        "keep arrays, numbers and strings in the state, and everything else beside it",
    ),
}
"""The ways to save that have a name."""
