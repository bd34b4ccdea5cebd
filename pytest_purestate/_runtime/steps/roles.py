"""Which part of a train state a leaf belongs to: params, optimizer state, counter, key, or something else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_purestate._runtime.graph import iter_nodes
from pytest_purestate._runtime.steps.view import Leaf, View

__all__ = ["Roles", "roles_of", "stream_count"]

_OPTIMIZER = re.compile(r"opt(im|imizer)?(_?states?)?")
_COUNTER = re.compile(r"(\w+_)?(steps?|count|iterations?)")
_KEY = re.compile(r"(\w+_)?(key|rng|rngs|prng)")


@dataclass(frozen=True, slots=True)
class Roles:
    """The paths of the leaves of a state, by what they are for.

    Attributes:
        params: what is trained: variables of the type ``nnx.Param``; leaves below something called ``params``; where there
            is neither, all floating arrays that nothing else claims.
        opt_state: below an object of optax, or below something called ``opt_state``.
        counters: single integers called ``step``, ``count`` or the like, but for those of optax and of random streams.
        keys: typed keys, and uint32 arrays called ``key`` or ``rng``.
        others: all the rest, such as ``batch_stats`` and averages of params.
    """

    params: tuple[str, ...]
    opt_state: tuple[str, ...]
    counters: tuple[str, ...]
    keys: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def optimizer(self) -> str:
        """What the optimizer state is called: ``state.opt_state``, or the path that all of its leaves share."""
        shared = _shared(self.opt_state)
        named = [end for end in _ends(shared) if _OPTIMIZER.fullmatch(_last_name(shared[:end]))]
        # An nnx.Optimizer may have the name itself, and its opt_state has it too.
        return shared[: named[min(len(named) - 1, int(named[0] == _ends(shared)[0]))]] if named else shared


def roles_of(view: View) -> Roles:
    """Tell the leaves of a state apart."""
    optax = tuple(
        path
        for name, frame in view.frames.items()
        for path, node in iter_nodes(frame, name)
        if node.type.startswith("optax.")
    )
    found: dict[str, list[str]] = {"opt_state": [], "keys": [], "counters": [], "others": []}
    floating: list[Leaf] = []
    for path, leaf in view.leaves.items():
        if _in_optimizer(leaf, optax):
            found["opt_state"].append(path)
        elif _is_key(leaf):
            found["keys"].append(path)
        elif _is_counter(leaf) and stream_count(path, view) is None:
            found["counters"].append(path)
        elif leaf.floating and not leaf.is_number:
            floating.append(leaf)
        else:
            found["others"].append(path)
    params = [leaf.path for leaf in floating if _is_param(leaf)] or [leaf.path for leaf in floating]
    found["others"] += [leaf.path for leaf in floating if leaf.path not in params]
    return Roles(tuple(params), **{name: tuple(paths) for name, paths in found.items()})


def stream_count(path: str, view: View) -> str | None:
    """For a key or a count in a random stream of nnx, the path of the count: such a key stays, its count goes on."""
    stem, dot, last = path.rpartition(".")
    pair = (f"{stem}{dot}key", f"{stem}{dot}count")
    return pair[1] if dot and last in ("key", "count") and all(one in view.leaves for one in pair) else None


def _root(leaf: Leaf) -> str:
    return re.split(r"\W", leaf.path, maxsplit=1)[0]


def _in_optimizer(leaf: Leaf, optax: Iterable[str]) -> bool:
    if any(leaf.path.startswith(one) and _is_end(leaf.path, len(one)) for one in optax):
        return True
    # An nnx.Optimizer has its step, and once had the model, beside the state of optax.
    names = leaf.names if leaf.variable is not None else (_root(leaf), *leaf.names)
    return any(_OPTIMIZER.fullmatch(name) for name in names)


def _is_key(leaf: Leaf) -> bool:
    if leaf.content.dtype.startswith("key<"):
        return True
    named = any(_KEY.fullmatch(name) for name in (_root(leaf), *leaf.names)[-2:])
    return named and leaf.content.dtype == "uint32" and len(leaf.content.shape) >= 1


def _is_counter(leaf: Leaf) -> bool:
    name = leaf.names[-1] if leaf.names else _root(leaf)
    whole = leaf.content.dtype.startswith(("int", "uint"))
    return whole and leaf.size == 1 and _COUNTER.fullmatch(name) is not None


def _is_param(leaf: Leaf) -> bool:
    if leaf.variable is not None:
        return any(kind.__name__ == "Param" for kind in leaf.variable.__mro__)
    return "params" in (_root(leaf), *leaf.names)


def _is_end(path: str, end: int) -> bool:
    """Whether a component of a path is over here."""
    return end == len(path) or path[end] in ".["


def _ends(path: str) -> list[int]:
    return [end for end in range(1, len(path) + 1) if _is_end(path, end)]


def _last_name(path: str) -> str:
    """``opt_state`` of ``state.opt_state`` and of ``state['opt_state']``."""
    return re.split(r"\W+", path.rstrip("']"))[-1]


def _shared(paths: tuple[str, ...]) -> str:
    shortest = min(paths, key=len)
    ends = [
        end for end in _ends(shortest) if all(p.startswith(shortest[:end]) and _is_end(p, end) for p in paths)
    ]
    return shortest[: ends[-1]] if ends else shortest
