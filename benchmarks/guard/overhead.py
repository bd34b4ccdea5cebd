"""What the guard costs a call, beside JAX's own checker, in one run.

    python -m benchmarks.guard.overhead [--calls 400]

CPU microseconds of a plain compiled call, of one that is handed a key, and of an eager primitive: without anything, with JAX's
``jax_debug_key_reuse``, with the guard watching, and with the place that both watch from open and empty (``seam``): the
least that anything can cost there. The minimum of some rounds, which take turns.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
import jax.numpy as jnp

from pytest_purestate._runtime._compat import seam
from pytest_purestate._runtime.guard.keys import KeyWatch
from pytest_purestate._runtime.guard.places import Where
from pytest_purestate._runtime.guard.terms import has_keys

__all__ = ["main", "measure"]

ROUNDS = 8


@contextmanager
def guarded() -> Iterator[None]:
    """The guard watches."""
    watch = KeyWatch(Where(lambda file: file == __file__), lambda reuse: None)
    assert watch.start()
    try:
        yield
    finally:
        watch.stop()


@contextmanager
def checked() -> Iterator[None]:
    """JAX's own checker is on."""
    with jax.debug_key_reuse(True):
        yield


@contextmanager
def empty() -> Iterator[None]:
    """The place that is watched from is open, and nothing is done there: what no watcher can be below."""
    undo = seam.replace_seam(
        lambda primitive, run, /, *args, **params: run(*args, **params),
        lambda jaxpr: None,
        concerned=has_keys,
    )
    assert undo is not None
    try:
        yield
    finally:
        undo()


@contextmanager
def plain() -> Iterator[None]:
    """Nothing is."""
    yield


def calls() -> dict[str, Callable[[int], object]]:
    """What is measured: a function of the number of the call; each takes a key that was not used before."""
    x = jnp.ones(4)
    keys = list(jax.random.split(jax.random.key(0), 4096))
    add = jax.jit(lambda x: x + 1)
    draw = jax.jit(lambda key, x: x + jax.random.normal(key, x.shape))
    return {
        "plain jitted call": lambda number: add(x),
        "jitted call with a key": lambda number: draw(keys[number % len(keys)], x),
        "eager primitive": lambda number: jax.lax.add(x, x),
    }


def measure(count: int) -> dict[str, dict[str, float]]:
    """Microseconds a call: by what is called, and by what watches."""
    found: dict[str, dict[str, float]] = {}
    for _ in range(ROUNDS):
        for how, context in (("off", plain), ("seam", empty), ("jax", checked), ("guard", guarded)):
            jax.clear_caches()  # type: ignore[no-untyped-call]  # one finds the fast paths that another left
            with context():
                for name, call in calls().items():
                    for number in range(20):
                        call(number)
                    start = time.process_time()
                    for number in range(20, 20 + count):
                        call(number)
                    spent = (time.process_time() - start) / count * 1e6
                    times = found.setdefault(name, {})
                    times[how] = min(times.get(how, spent), spent)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what the guard costs a call.")
    parser.add_argument(
        "--calls", type=int, default=400, help="calls in a round, at most 4000 (default: 400)"
    )
    count = parser.parse_args().calls
    if not 1 <= count <= 4000:
        parser.error("--calls must be from 1 to 4000")
    print(f"jax {jax.__version__}, microseconds a call")
    print(f"{'':24} {'off':>8} {'seam':>8} {'jax':>8} {'guard':>8} {'guard / jax':>12}")
    for name, times in measure(count).items():
        shown = " ".join(f"{times[how]:8.1f}" for how in ("off", "seam", "jax", "guard"))
        print(f"{name:24} {shown} {times['guard'] / times['jax']:12.2f}")


if __name__ == "__main__":
    main()
