"""What two traces of one function have in common, and what not; what a trace does besides computing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.arrays import array_problems, is_array, read_array
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.frames import shown_place
from pytest_purestate._runtime.guard.places import Place, Where
from pytest_purestate._runtime.guard.terms import inner_jaxprs

__all__ = ["WHERE", "jaxpr_problems", "shown", "side_effect_problems"]

WHERE = Where(lambda file: False)
"""Of a function under test every line counts, also where it stands in a test."""
_LABELS = ("trace 1", "trace 2")
_ADDRESS = re.compile(r"\b0x[0-9a-f]+|\bid=\d+")
_SCALARS = (bool, int, float, complex)


def shown(place: Place) -> str:
    """A line as text: ``train.py:12 in step``."""
    function = place.function.rpartition("<locals>.")[2]
    return shown_place(f"{place.file}:{place.line}") + (
        f" in {function}" if function not in ("", "<module>") else ""
    )


def jaxpr_problems(one: Any, other: Any, name: str) -> Iterator[Problem]:
    """How two closed jaxprs differ, equation by equation, whatever their variables are called.

    Args:
        one: of the first trace.
        other: of the second one.
        name: what to call the place of what is not of any line.
    """
    yield from dict.fromkeys(_Comparison(name).closed(one, other, name))


def side_effect_problems(closed: Any, name: str) -> Iterator[Problem]:
    """The equations of a jaxpr that do something besides computing a result, each line once."""
    found: dict[Problem, None] = {}
    waiting, seen = [closed.jaxpr], set()
    while waiting:
        jaxpr = waiting.pop()
        if id(jaxpr) in seen:
            continue
        seen.add(id(jaxpr))
        for eqn in jaxpr.eqns:
            inner = list(inner_jaxprs(eqn.params))
            if not inner and _compat.side_effects(eqn):
                what = str(eqn.params.get("fmt") or "")
                text = (
                    f"`{eqn.primitive.name}` has a side effect in every call, also of the compiled function"
                )
                found[Problem("side-effect", _line(eqn, name), text, "", repr(what) if what else "")] = None
            waiting += inner
    return iter(sorted(found, key=lambda problem: problem.path))


def _line(eqn: Any, name: str) -> str:
    place = WHERE.first(_compat.source_frames(eqn.source_info))
    return name if place is None else shown(place)


class _Comparison:
    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: set[tuple[int, int]] = set()

    def closed(self, one: Any, other: Any, line: str) -> Iterator[Problem]:
        yield from self._count(len(one.consts), len(other.consts), "constant", line)
        if len(one.consts) == len(other.consts):
            for a, b, var in zip(one.consts, other.consts, one.jaxpr.constvars, strict=True):
                user = next((eqn for eqn in one.jaxpr.eqns if var in _variables(eqn)), None)
                where = line if user is None else _line(user, line)
                use = "that is returned" if user is None else f"an operand of `{user.primitive.name}`"
                yield from self._constant(a, b, where, use)
        yield from self.jaxpr(one.jaxpr, other.jaxpr, line)

    def jaxpr(self, one: Any, other: Any, line: str) -> Iterator[Problem]:
        if (id(one), id(other)) in self._seen:
            return
        self._seen.add((id(one), id(other)))
        same: dict[Any, Any] = {}
        for a, b in ((one.invars, other.invars), (one.constvars, other.constvars)):
            same.update(zip(a, b, strict=False))
        signatures = [[_signature(eqn) for eqn in jaxpr.eqns] for jaxpr in (one, other)]
        matcher = SequenceMatcher(None, signatures[0], signatures[1], autojunk=False)
        blocks = (
            [("equal", 0, len(one.eqns), 0, len(other.eqns))]
            if signatures[0] == signatures[1]
            else matcher.get_opcodes()
        )
        for kind, a, a_end, b, b_end in blocks:
            if kind == "equal":
                for first, second in zip(one.eqns[a:a_end], other.eqns[b:b_end], strict=True):
                    yield from self._equation(first, second, same)
                    same.update(zip(first.outvars, second.outvars, strict=True))
                continue
            for n in range(max(a_end - a, b_end - b)):
                pair = [
                    eqns[at + n] if at + n < end else None
                    for eqns, at, end in ((one.eqns, a, a_end), (other.eqns, b, b_end))
                ]
                there = next(eqn for eqn in pair if eqn is not None)
                text = (
                    "another operation is traced" if None not in pair else "an operation is in one trace only"
                )
                values = ["" if eqn is None else _text(eqn) for eqn in pair]
                yield Problem("trace", _line(there, line), text, values[0], values[1], labels=_LABELS)
        yield from self._count(len(one.eqns), len(other.eqns), "operation", line)
        if signatures[0] == signatures[1]:  # otherwise there is nothing new in that outputs differ
            yield from self._atoms(one.outvars, other.outvars, same, line, "an output")

    def _equation(self, one: Any, other: Any, same: dict[Any, Any]) -> Iterator[Problem]:
        line = _line(one, self._name)
        yield from self._atoms(one.invars, other.invars, same, line, f"an operand of `{one.primitive.name}`")
        for name in sorted(one.params.keys() | other.params.keys()):
            a, b = one.params.get(name), other.params.get(name)
            yield from self._parameter(a, b, line, f"`{name}` of `{one.primitive.name}`")

    def _atoms(
        self, ones: Sequence[Any], others: Sequence[Any], same: dict[Any, Any], line: str, use: str
    ) -> Iterator[Problem]:
        for a, b in zip(ones, others, strict=False):
            literal = [hasattr(atom, "val") for atom in (a, b)]
            if all(literal):
                yield from self._constant(a.val, b.val, line, use)
            elif any(literal) or (a in same and same[a] is not b):
                text = f"{use} is computed in another way"
                values = [
                    f"the constant {atom.val}" if hasattr(atom, "val") else _kind(atom.aval)
                    for atom in (a, b)
                ]
                yield Problem("trace", line, text, values[0], values[1], labels=_LABELS)

    def _parameter(self, one: Any, other: Any, line: str, what: str) -> Iterator[Problem]:
        if one is other:
            return
        if hasattr(one, "jaxpr") and hasattr(other, "jaxpr"):
            yield from self.closed(one, other, line)
        elif hasattr(one, "eqns") and hasattr(other, "eqns"):
            yield from self.jaxpr(one, other, line)
        elif _has_parts(one) and _has_parts(other) and len(one) == len(other):
            for a, b in zip(one, other, strict=True):
                yield from self._parameter(a, b, line, what)
        elif is_array(one) and is_array(other):
            yield from self._constant(one, other, line, what)
        elif not _alike(one, other):
            yield Problem("trace", line, f"{what} is another", _plain(one), _plain(other), labels=_LABELS)

    def _constant(self, one: Any, other: Any, line: str, use: str) -> Iterator[Problem]:
        if one is other:
            return
        a, b = (np.asarray(each) if isinstance(each, _SCALARS) else each for each in (one, other))
        if not (is_array(a) and is_array(b)):
            if not _alike(a, b):
                yield Problem(
                    "trace", line, f"a constant is another one: {use}", _plain(a), _plain(b), _LABELS
                )
            return
        for problem in array_problems("", read_array(a), read_array(b), placement=False):
            place = f" at {problem.path}" if problem.path else ""
            text = f"a constant is another one in each trace: {use}{place}"
            yield Problem("trace", line, text, problem.before, problem.after, labels=_LABELS)

    def _count(self, one: int, other: int, what: str, line: str) -> Iterator[Problem]:
        if one != other:
            text = f"the number of {what}s differs"
            yield Problem("trace", line, text, str(one), str(other), labels=_LABELS)


def _variables(eqn: Any) -> list[Any]:
    return [atom for atom in eqn.invars if not hasattr(atom, "val")]


def _signature(eqn: Any) -> tuple[str, ...]:
    name = str(eqn.params.get("name", "")) if any(inner_jaxprs(eqn.params)) else ""
    return (eqn.primitive.name, name, *(str(var.aval) for var in eqn.outvars))


def _text(eqn: Any) -> str:
    kinds = ", ".join(_kind(atom.aval) for atom in eqn.invars)
    return f"{' '.join(part for part in _signature(eqn)[:2] if part)}({kinds})"


def _has_parts(value: Any) -> bool:
    """Whether a parameter is a row of jaxprs or arrays, as the branches of a ``cond`` are."""
    return type(value) is tuple and any(
        hasattr(each, "jaxpr") or hasattr(each, "eqns") or is_array(each) for each in value
    )


def _kind(aval: Any) -> str:
    """An abstract value as newer versions of JAX write it, ``float32[3]``."""
    if not hasattr(aval, "dtype") or not hasattr(aval, "shape"):
        return str(aval)
    return f"{aval.dtype}[{','.join(map(str, aval.shape))}]"


def _alike(one: Any, other: Any) -> bool:
    """Whether two parameters say the same; functions that each trace makes anew do, by their names."""
    try:
        if one == other:
            return True
    except Exception:
        pass  # what cannot be compared has a text
    return type(one) is type(other) and _plain(one) == _plain(other)


def _plain(value: Any) -> str:
    return _ADDRESS.sub("...", repr(value))[:200]
