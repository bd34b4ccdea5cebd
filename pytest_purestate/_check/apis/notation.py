"""Signatures as text, in the notation that they are read from."""

from __future__ import annotations

from pytest_purestate._check.apis.signature import Signature

__all__ = ["clauses", "written"]


def written(signature: Signature) -> str:
    """A signature as a line of a table says it.

    >>> from pytest_purestate._check.apis import find
    >>> written(find("jax.random.split"))
    'jax.random.split(key, num): splits key; returns keys'
    """
    if signature.open:
        return f"{signature.name}: {clauses(signature)}"
    params = ", ".join([*signature.params, *(("*", *signature.keywords) if signature.keywords else ())])
    return f"{signature.name}({params}): {clauses(signature)}"


def clauses(signature: Signature) -> str:
    """What a signature says, without the name: ``consumes key; returns array``."""
    s = signature
    how = "" if s.how == "draw" else f" as {s.how}"
    transform = "" if s.mode == "call" else f" as {s.mode}"
    parts = [
        _list("splits", s.consumes) if s.how == "split" else _list("consumes", s.consumes) + how * bool(s.consumes),
        _list("reads", s.reads),
        (_list("wraps" if s.wraps else "runs", s.callbacks) + transform) if s.callbacks else "",
        _list("keeps", s.keeps) + (f" unless {s.unless}" if s.unless else ""),
        f"forwards {s.forwards}" if s.forwards else "",
        "back" if s.back else "",
        "pure" if s.pure else "",
        f"effect {s.effect}" if s.effect else "",
        _list("state", s.states),
        _list("mutates", s.mutates),
        f"succeeds {s.succeeds[0]} as {s.role}" if s.succeeds else "",
        "" if s.stateless is None else " ".join(("stateless", *(("unless",) if s.stateless else ()), *s.stateless)),
        _list("aliases", s.aliases),
        _list("arrays", s.arrays),
        _list("ordered", s.ordered),
        _list("outlines", s.outlines),
        f"inside {s.inside}" if s.inside else "",
        "" if s.returns == ("opaque",) else _list("returns", s.returns) + (f" if {s.given}" if s.given else ""),
    ]  # fmt: skip
    return "; ".join(part for part in parts if part)


def _list(verb: str, names: tuple[str, ...]) -> str:
    return " ".join((verb, *names)) if names else ""
