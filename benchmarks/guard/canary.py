"""What a JAX does otherwise than the guard and the checker know: it reports, and does not fail.

    python -m benchmarks.guard.canary

Run it with the newest JAX. It looks for functions of ``jax.random`` that the checker has no signature for, for primitives of
keys that the guard does not know, and at the places that the guard watches keys and traces from.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from pytest_purestate._check import apis
from pytest_purestate._runtime import _compat
from pytest_purestate._runtime._compat import jit as _compat_jit
from pytest_purestate._runtime._compat import seam
from pytest_purestate._runtime.guard import terms

__all__ = ["main", "report"]


def report() -> Iterator[str]:
    """A line for each thing that is new."""
    yield from _functions()
    yield from _primitives()
    yield from _seam()
    yield from _loops()
    yield from _traces()


def _functions() -> Iterator[str]:
    for name, function in sorted(vars(jax.random).items()):
        public = not name.startswith("_") and inspect.isfunction(inspect.unwrap(function))
        if public and apis.exact(f"jax.random.{name}") is None:
            yield f"jax.random.{name}: the checker has no signature"


def _primitives() -> Iterator[str]:
    seen: set[str] = set()

    def walk(jaxpr: Any) -> None:
        for eqn in jaxpr.eqns:
            if any(_compat.is_key_aval(var.aval) for var in eqn.invars):
                seen.add(eqn.primitive.name)
            for inner in terms.inner_jaxprs(eqn.params):
                walk(inner)

    key = jax.random.key(0)
    for name, function in sorted(vars(jax.random).items()):
        if name.startswith("_") or not callable(function):
            continue
        try:
            walk(jax.make_jaxpr(function)(key).jaxpr)
        except Exception:  # it needs more arguments
            continue
    for other in (lambda k: jnp.stack([k, k])[::-1], lambda k: jnp.where(True, k, k), lambda k: k[None].T):
        walk(jax.make_jaxpr(other)(key).jaxpr)
    for name in sorted(
        seen - terms._KEY_PRIMITIVES - terms._HANDLERS.keys() - terms._MOVES.keys() - terms._ALIASES
    ):
        if name not in ("jit", "pjit"):
            yield f"the primitive `{name}` takes keys: the guard does not know what it does to them"


def _seam() -> Iterator[str]:
    undo = seam.replace_seam(
        lambda primitive, run, /, *args, **params: run(*args, **params), lambda jaxpr: None
    )
    if undo is None:
        yield "the place that the guard watches from is gone"
        return
    undo()


def _loops() -> Iterator[str]:
    def parameters(function: Any, *args: Any) -> set[str]:
        return set(jax.make_jaxpr(function)(*args).jaxpr.eqns[-1].params)

    xs = jnp.arange(3.0)
    needed = {
        "scan": (
            parameters(lambda x: jax.lax.scan(lambda c, r: (c + r, r), 0.0, x), xs),
            {"jaxpr", "length"},
        ),
        "while": (
            parameters(lambda x: jax.lax.while_loop(lambda c: c < 3, lambda c: c + 1, x), 1.0),
            {"cond_jaxpr", "body_jaxpr", "cond_nconsts", "body_nconsts"},
        ),
        "cond": (parameters(lambda x: jax.lax.cond(x > 0, jnp.sin, jnp.cos, x), 1.0), {"branches"}),
        "jit": (parameters(jax.jit(lambda x: x + 1), 1.0), {"jaxpr"}),
    }
    for name, (found, wanted) in needed.items():
        if wanted - found:
            yield f"`{name}` has no parameter {', '.join(sorted(wanted - found))} any more"


def _traces() -> Iterator[str]:
    begun: list[_compat_jit.JitCall | None] = []
    undo = _compat_jit.watch_traces(lambda frame: begun.append(_compat_jit.jit_call(frame)))
    if undo is None:
        yield "the place that tells of traces is gone: only public events are counted"
        return
    try:
        jax.jit(lambda x, size: x * size, static_argnums=1)(1.0, 2)
    finally:
        undo()
    calls = [call for call in begun if call is not None and not call.nested]
    if not calls:
        yield "the place that tells of traces is silent, or JAX's frames do not show the call any more"
    elif (calls[0].args, calls[0].static_argnums) != ((1.0, 2), (1,)):
        yield "JAX's frames show other arguments than those of the call"
    if "jax.config.jax_enable_x64" not in _compat_jit.trace_settings():
        yield "the settings that a trace depends on cannot be read"


def main() -> None:
    """Print what is found."""
    lines = list(report())
    print(f"jax {jax.__version__}: " + ("nothing new" if not lines else f"{len(lines)} things to look at"))
    for line in lines:
        print(f"  {line}")


if __name__ == "__main__":
    main()
