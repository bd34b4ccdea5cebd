"""What a compiled function says that it donates, leaf by leaf of the arguments that it is called with."""

from __future__ import annotations

import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax

from pytest_purestate._runtime.graph import Policy, iter_nodes, take_picture
from pytest_purestate._runtime.hidden import name_of

__all__ = ["Call", "Declared", "Leaf", "aval_of", "bound_call", "declared", "donation_flags", "quiet"]

_UNUSABLE = "Some donated buffers were not usable"
Aval = tuple[tuple[int, ...], str]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf of the arguments.

    Attributes:
        path: where it is.
        value: the leaf itself.
        bound: whether it is not passed but bound, by `functools.partial` or as the object of a method.
    """

    path: str
    value: Any
    bound: bool


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A call of a function, with what partials and methods add to it laid open.

    Attributes:
        fn: the innermost function.
        args: everything that it gets by position.
        kwargs: and by keyword.
        names: what to call each of ``args``.
        prefix: what to call the keywords.
        bound: how many of ``args`` are bound.
    """

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    names: tuple[str, ...]
    prefix: str
    bound: int

    def leaves(self) -> list[Leaf]:
        """All leaves in the order of ``jax.tree.leaves((args, kwargs))``; an object of nnx that is a leaf gives its arrays."""
        named = [*zip(self.names, self.args, strict=True)]
        named += [(f"{self.prefix}[{key!r}]", self.kwargs[key]) for key in sorted(self.kwargs)]
        found = []
        for number, (name, value) in enumerate(named):
            bound = number < self.bound or number >= len(self.args)
            for path, leaf in jax.tree_util.tree_flatten_with_path(value)[0]:
                where = name + jax.tree_util.keystr(path)
                found += [Leaf(at, each, bound) for at, each in _arrays_below(leaf, where)]
        return found


def bound_call(fn: Any, args: tuple[Any, ...], names: tuple[str, ...]) -> Call:
    """Lay open what ``fn(*args)`` calls, and with what."""
    label = name_of(fn)
    kwargs: dict[str, Any] = {}
    passed = len(args)
    while True:
        if all(hasattr(fn, part) for part in ("func", "args", "keywords")):  # also that of equinox
            names = (*(f"{label}.args[{i}]" for i in range(len(fn.args))), *names)
            args, kwargs, fn = (*fn.args, *args), {**fn.keywords, **kwargs}, fn.func
        elif isinstance(fn, types.MethodType) and hasattr(fn.__func__, "lower"):
            args, names, fn = (fn.__self__, *args), ("self", *names), fn.__func__
        else:
            return Call(fn, args, kwargs, names, f"{label}.keywords", len(args) - passed)


def _arrays_below(leaf: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The leaf; or the arrays in it, where it is an object that JAX does not look into."""
    if isinstance(leaf, jax.Array) or not hasattr(leaf, "__dict__"):
        yield path, leaf
        return
    nodes = iter_nodes(take_picture(leaf, Policy(max_bytes=0)), path)
    arrays = [(at, node.value) for at, node in nodes if isinstance(node.value, jax.Array)]
    yield from arrays or [(path, leaf)]


@dataclass(frozen=True, slots=True, eq=False)
class Declared:
    """What a compiled function says.

    Attributes:
        flags: for each leaf of the call, whether it is donated; None where it cannot be told which leaf is which.
        totals: how many donated arrays there are of each shape and dtype.
        unused: for each leaf, whether the function does not use it; None where that is not known.
        outputs: shape and dtype of each output; None where they are not known.
    """

    flags: tuple[bool, ...] | None
    totals: Counter[Aval]
    unused: tuple[bool, ...] | None
    outputs: tuple[Aval, ...] | None


def declared(call: Call) -> Declared | None:
    """Ask a compiled function what it donates: it is traced and lowered for that, not run.

    Works for ``jax.jit`` and what it returns before and after ``.compile()``, ``equinox.filter_jit`` and ``nnx.jit`` (from Flax
    0.12). None for everything else.
    """
    stage = _stage(call)
    stage = getattr(stage, "lowered", stage)  # that of equinox
    if (tree := getattr(stage, "args_info", None)) is None:
        return None
    infos = jax.tree.leaves(tree, is_leaf=lambda one: hasattr(one, "donated"))
    totals = Counter(aval_of(info) for info in infos if info.donated)
    places = _aligned([leaf.value for leaf in call.leaves()], infos)
    jaxpr = getattr(stage, "jaxpr", None)
    outputs = None if jaxpr is None else tuple(map(aval_of, jaxpr.out_avals))
    if places is None:
        return Declared(None, totals, None, outputs)
    flags = tuple(place is not None and bool(infos[place].donated) for place in places)
    unused = None
    if jaxpr is not None and len(jaxpr.jaxpr.invars) == len(infos):
        used = _used(jaxpr.jaxpr)
        unused = tuple(place is not None and not used[place] for place in places)
    return Declared(flags, totals, unused, outputs)


def _stage(call: Call) -> Any:
    """The latest stage of compilation that can be had without running anything."""
    with quiet():
        if hasattr(call.fn, "lower"):
            # What jax.jit gives shows its jaxpr on the way; nnx.jit has a method of this name that does something else.
            if isinstance(call.fn, _JIT):
                return call.fn.trace(*call.args, **call.kwargs)
            return call.fn.lower(*call.args, **call.kwargs)
    return call.fn


_JIT = type(jax.jit(lambda: None))


def donation_flags(fn: Callable[..., Any], args: tuple[Any, ...]) -> tuple[bool, ...] | None:
    """Which leaves of ``jax.tree.leaves(args)`` a compiled function says that it donates; None where that is not known."""
    call = bound_call(fn, args, tuple(f"args[{i}]" for i in range(len(args))))
    found = declared(call)
    if found is None or found.flags is None:
        return None
    flags = [flag for flag, leaf in zip(found.flags, call.leaves(), strict=True) if not leaf.bound]
    return tuple(flags) if len(flags) == len(jax.tree.leaves(args)) else None


@contextmanager
def quiet() -> Iterator[None]:
    """Without JAX's own warning of useless donations, which has no paths; other warnings go their way."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _UNUSABLE)
        yield


def aval_of(value: Any) -> Aval:
    """Shape and dtype of an array, or of what stands for one."""
    return tuple(value.shape), str(value.dtype)


def _aligned(leaves: Sequence[Any], infos: Sequence[Any]) -> list[int | None] | None:
    """Which of ``infos`` belongs to each leaf. Those of static arguments have none, and are no arrays.

    None where there is no way to lay one along the other.
    """
    extra = len(leaves) - len(infos)
    if extra < 0:
        return None
    # fits[i][s]: the leaves from i on can be laid along, if s of those before were left out.
    fits = [[False] * (extra + 1) for _ in range(len(leaves) + 1)]
    fits[-1][extra] = True
    for i in range(len(leaves) - 1, -1, -1):
        is_array = isinstance(leaves[i], jax.Array)
        for s in range(min(i, extra) + 1):
            same = i - s < len(infos) and (not is_array or aval_of(leaves[i]) == aval_of(infos[i - s]))
            skipped = not is_array and s < extra and fits[i + 1][s + 1]
            fits[i][s] = (same and fits[i + 1][s]) or skipped
    if not fits[0][0]:
        return None
    found: list[int | None] = []
    s = 0
    for i, leaf in enumerate(leaves):
        same = i - s < len(infos) and (
            not isinstance(leaf, jax.Array) or aval_of(leaf) == aval_of(infos[i - s])
        )
        if same and fits[i + 1][s]:
            found.append(i - s)
        else:
            found.append(None)
            s += 1
    return found


def _used(jaxpr: Any) -> list[bool]:
    """For each input of a jaxpr, whether anything is made of it, also further in."""
    used = {id(var) for var in jaxpr.outvars}
    for equation in jaxpr.eqns:
        inner = equation.params.get("jaxpr")
        inner = getattr(inner, "jaxpr", inner)
        below = _used(inner) if _is_call(equation, inner) else [True] * len(equation.invars)
        used |= {id(var) for var, is_used in zip(equation.invars, below, strict=True) if is_used}
    return [id(var) in used for var in jaxpr.invars]


def _is_call(equation: Any, inner: Any) -> bool:
    """Whether an equation calls a function with just its inputs."""
    return equation.primitive.name in ("jit", "pjit") and len(getattr(inner, "invars", ())) == len(
        equation.invars
    )
