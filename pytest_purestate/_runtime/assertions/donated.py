"""Asserts that a compiled function takes over the memory of what it is donated."""

from __future__ import annotations

import types
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import jax

from pytest_purestate._runtime._compat.jit import jit_of
from pytest_purestate._runtime.copies import copy_value
from pytest_purestate._runtime.donation import (
    Aval,
    Call,
    Declared,
    Leaf,
    aval_of,
    bound_call,
    declared,
    quiet,
)
from pytest_purestate._runtime.failures import Problem, PurityError
from pytest_purestate._runtime.graph import iter_nodes
from pytest_purestate._runtime.hidden import HiddenState, name_of
from pytest_purestate._runtime.inputs import take_inputs

__all__ = ["assert_donated"]

R = TypeVar("R")

_LABELS = ("donated", "outputs")
_HELP = {
    "donated-twice": (
        "make one of the two a copy before the call, `jax.tree.map(jnp.copy, params)`: parameters and their average often "
        "start as one array"
    ),
    "donated-and-held": (
        "pass it as an argument, and only as that: after the first call the array is deleted, and whoever holds it besides the "
        "caller holds a deleted array"
    ),
    "not-donated": (
        "donate what an output of the same shape and dtype replaces, the state and not the batch, and give it back in its dtype; "
        "take out of the arguments what is not used"
    ),
}


def assert_donated(fn: Callable[..., R], *args: Any) -> R:
    """Assert that a donation is one: the memory of each donated array is taken over by an output.

    >>> import jax, jax.numpy as jnp
    >>> step = jax.jit(lambda state, batch: state + batch.sum(), donate_argnums=0)
    >>> assert_donated(step, jnp.ones(3), jnp.ones(5)).shape
    (3,)

    A donation that JAX cannot use costs nothing and gives nothing: the old state and the new one are both in memory. JAX
    says so in a warning, once, without names. This reports, by path:

    - a donated array that is not deleted by the call, and why: no output has its shape and dtype, other donated arrays have
      taken all that have, the function does not use it;
    - one array at two places that are both donated, or one donated and one not, which XLA refuses when it runs (also two
      arrays that share their memory);
    - a donated array that the function holds as well: in its closure, a global, a `functools.partial`.

    The call gets copies: what the caller passes stays alive. Arguments that a partial or a method binds are copied likewise.
    Donated numpy arrays and Python numbers are put on the device first, so nothing of the caller's is donated; they do not count.

    For ``jax.jit``, ``equinox.filter_jit`` and, from Flax 0.12, ``nnx.jit`` the function says what it donates. Where it does
    not, or not for which leaf, arrays that the call deletes count as donated, and others are told by shape and dtype.

    Cost: one trace, one call (compiled if it was not), and two copies of the arguments.

    Args:
        fn: a compiled function that donates; also a method of one, a partial, or the result of ``.lower(...).compile()``.
        *args: its arguments.

    Returns:
        What the call returned.

    Raises:
        PurityError: a donation is of no use, or deletes what is needed. The text has path, shape and dtype of each.
        TypeError: ``fn`` is not callable, an argument is a tracer or an iterator, or the call is made inside a transformation.
        ValueError: ``fn`` is not compiled, donates nothing, or an argument was deleted.
    """
    __tracebackhide__ = True
    inputs = take_inputs("assert_donated", fn, args)
    # One array that is passed twice is to be told by two names.
    distinct = len(set(inputs.names)) == len(inputs.names)
    names = inputs.names if distinct else tuple(f"args[{i}]" for i in range(len(args)))
    call = bound_call(fn, inputs.args, names)
    said = declared(call)
    leaves = call.leaves()
    donated = _check(fn, said, leaves)
    originals = bound_call(fn, args, names).leaves()
    if donated and (twice := tuple(_shared(originals, donated))):
        raise _failure(fn, "cannot be called", twice)
    held = tuple(_held(fn, originals, donated))
    given = Call(_own(call.fn), *_copied(call), call.names, call.prefix, call.bound)
    before = given.leaves()
    with quiet():
        output: R = given.fn(*given.args, **given.kwargs)
    outputs = _outputs(said, given, before, output)
    if donated:
        useless = tuple(_useless(said, before, donated, outputs))
    else:
        useless = tuple(_left_over(fn, said, before, outputs))
    if held or useless:
        raise _failure(
            fn,
            "does not donate all that it says" if useless else "donates an array that it holds itself",
            useless + held,
        )
    return output


def _check(fn: Any, said: Declared | None, leaves: Sequence[Leaf]) -> frozenset[int]:
    """The numbers of the donated arrays among the leaves; empty where only the call can tell."""
    __tracebackhide__ = True
    name = name_of(fn)
    if said is None:
        if jit_of(fn) is not None:
            return frozenset()
        raise ValueError(
            f"`{name}` is not compiled, so it donates nothing: pass `jax.jit({name}, donate_argnums=0)`, the compiled function itself"
        )
    if not said.totals:
        raise ValueError(
            f"`{name}` donates nothing: say which arguments it may overwrite, `jax.jit({name}, donate_argnums=0)`"
        )
    if said.flags is None:
        return frozenset()
    donated = frozenset(
        i for i, flag in enumerate(said.flags) if flag and isinstance(leaves[i].value, jax.Array)
    )
    if not donated:
        raise ValueError(
            f"what `{name}` donates has no array of JAX in it, so nothing of the caller's can be reused"
        )
    return donated


def _shared(leaves: Sequence[Leaf], donated: frozenset[int]) -> Iterator[Problem]:
    """Arrays at two places, of which one is donated."""
    places: dict[object, list[int]] = {}
    for i, leaf in enumerate(leaves):
        if isinstance(leaf.value, jax.Array):
            places.setdefault(_memory(leaf.value), []).append(i)
    for same in places.values():
        given = [i for i in same if i in donated]
        for i in same:
            if not given or i == given[0]:
                continue
            one, other = leaves[given[0]], leaves[i]
            verb = "is the same array as" if one.value is other.value else "shares its memory with"
            what = "and both are donated" if i in donated else "which is donated"
            text = _text(aval_of(other.value))
            yield Problem("donated-twice", other.path, f"{verb} `{one.path}`, {what}", text)


def _memory(array: jax.Array) -> object:
    """What is the same for two arrays on the same memory."""
    try:
        return array.unsafe_buffer_pointer() if array.size else id(array)
    except Exception:
        return id(array)  # an array on several devices, of keys, or of a backend without pointers


def _held(fn: Callable[..., Any], leaves: Sequence[Leaf], donated: frozenset[int]) -> Iterator[Problem]:
    """Donated arrays that the function keeps itself."""
    given = {id(leaves[i].value): leaves[i] for i in donated}
    for leaf in given.values():
        if leaf.bound:
            text = _text(aval_of(leaf.value))
            yield Problem(
                "donated-and-held", leaf.path, "is bound to the function, and donated by the first call", text
            )
    for name, root in HiddenState(fn).roots().items():
        for path, node in iter_nodes(root, name):
            found = given.get(id(node.value))
            if found is not None and not found.bound:
                message = f"is the same array as `{found.path}`, which is donated"
                yield Problem("donated-and-held", path, message, _text(aval_of(found.value)))


def _own(fn: Any) -> Any:
    """The function; one of equinox that is a module with arrays may donate those too, and gets copies of them."""
    leaves = [] if isinstance(fn, types.FunctionType) else jax.tree.leaves(fn)
    if not any(isinstance(leaf, jax.Array) for leaf in leaves):
        return fn
    return jax.tree.map(lambda leaf: leaf.copy() if isinstance(leaf, jax.Array) else leaf, fn)


def _copied(call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments for one call. An object that only has methods stays the same: it may be a static argument."""
    keep = [
        i < call.bound and not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(arg))
        for i, arg in enumerate(call.args)
    ]
    copied, kwargs = copy_value((call.args, call.kwargs))
    args = zip(call.args, copied, keep, strict=True)
    return tuple(arg if same else copy for arg, copy, same in args), kwargs


def _outputs(said: Declared | None, call: Call, before: Sequence[Leaf], output: object) -> tuple[Aval, ...]:
    """Shape and dtype of each array that the call made."""
    if said is not None and said.outputs is not None:
        return said.outputs
    old = {id(leaf.value) for leaf in before}
    # nnx puts new arrays into the objects that it was given.
    made = [*jax.tree.leaves(output), *(leaf.value for leaf in call.leaves() if id(leaf.value) not in old)]
    return tuple(aval_of(leaf) for leaf in made if isinstance(leaf, jax.Array))


def _useless(
    said: Declared | None, leaves: Sequence[Leaf], donated: frozenset[int], outputs: tuple[Aval, ...]
) -> Iterator[Problem]:
    """Donated arrays that no output takes over."""
    unused = said.unused if said is not None else None
    wanted = Counter(aval_of(leaves[i].value) for i in donated)
    for i in sorted(donated):
        leaf = leaves[i]
        aval = aval_of(leaf.value)
        if leaf.value.is_deleted() and aval in outputs:
            continue
        if unused is not None and unused[i]:
            why = "the function does not use it"
        else:
            why = _reason(aval, wanted[aval], outputs)
        yield Problem("not-donated", leaf.path, f"is donated in vain: {why}", _text(aval), _listed(outputs))


def _left_over(
    fn: Any, said: Declared | None, leaves: Sequence[Leaf], outputs: tuple[Aval, ...]
) -> Iterator[Problem]:
    """The same, where only shapes and dtypes of what is donated are known, or nothing."""
    __tracebackhide__ = True
    arrays = [leaf for leaf in leaves if isinstance(leaf.value, jax.Array)]
    deleted = Counter(aval_of(leaf.value) for leaf in arrays if leaf.value.is_deleted())
    if said is None:
        if not deleted:
            raise ValueError(
                f"`{name_of(fn)}` donates nothing: no array that it was given is deleted by the call"
            )
        return
    missing = said.totals - deleted
    for leaf in arrays:
        aval = aval_of(leaf.value)
        if missing[aval] > 0 and not leaf.value.is_deleted():
            missing[aval] -= 1
            why = _reason(aval, said.totals[aval], outputs)
            yield Problem(
                "not-donated", leaf.path, f"is donated in vain: {why}", _text(aval), _listed(outputs)
            )


def _reason(aval: Aval, wanted: int, outputs: Iterable[Aval]) -> str:
    there = Counter(outputs)
    if not there[aval]:
        others = [other for other in there if other[0] == aval[0]]
        why = f"no output is {_text(aval)}"
        return f"{why}, one of this shape is {_text(others[0])}" if others else why
    if there[aval] < wanted:
        verb = "is" if there[aval] == 1 else "are"
        return f"{wanted} donated arrays are {_text(aval)}, and {there[aval]} of the outputs {verb}"
    return (
        f"XLA gave no output its memory, though {there[aval]} may have it: its sharding or layout may differ"
    )


def _text(aval: Aval) -> str:
    return f"{aval[1]}[{','.join(map(str, aval[0]))}]"


def _listed(outputs: Iterable[Aval]) -> str:
    """All outputs on one line, each sort once."""
    counts = Counter(map(_text, outputs))
    return ", ".join(text if count == 1 else f"{count} of {text}" for text, count in counts.items()) or "none"


def _failure(fn: Any, verb: str, problems: tuple[Problem, ...]) -> PurityError:
    help = "; ".join(_HELP[kind] for kind in dict.fromkeys(problem.kind for problem in problems))
    return PurityError(f"`{name_of(fn)}` {verb}", problems, _LABELS, help=help)
