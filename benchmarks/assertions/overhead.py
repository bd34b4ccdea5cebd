"""What each assertion costs, as a multiple of the bare step, in one run.

    python -m benchmarks.assertions.overhead [OUT.md] [--rounds 3] [--model mlp_dropout]

CPU time, the minimum of several rounds, which take turns. A bare step that is compiled is so fast that each assertion
costs thousands of it; what people wait for is the compiler, so the first call of a new step, compilation included, stands
beside it.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

import pytest_purestate
from benchmarks.assertions.cases import Case, plant, planted
from benchmarks.assertions.peers import PEERS, NotComparableError
from pytest_purestate._runtime.copies import copy_value

__all__ = ["main", "measure"]

CALLS = 100
WARM = "the bare step, compiled"
COLD = "the first call of a new step"
QUICK = "train_step, skip=('deterministic',)"


def _train_step(case: Case, *skip: str) -> None:
    pytest_purestate.assert_train_step(
        case.step, case.state, case.batch, *case.args, skip=skip, **case.options
    )


def measured(model: str) -> Iterator[tuple[str, Callable[[], object], int]]:
    """What is measured: its name, how to do it once, and how often that is a step."""
    case = plant(model, "none")
    args = [copy_value(case.arguments()) for _ in range(CALLS + 1)]
    jax.block_until_ready(case.step(*args[-1]))  # type: ignore[no-untyped-call]

    def warm() -> None:
        for each in args[:-1]:
            jax.block_until_ready(case.step(*each))  # type: ignore[no-untyped-call]

    yield WARM, warm, CALLS
    yield COLD, _once(model, lambda case: case.step(*case.arguments())), 1
    yield "train_step", _once(model, _train_step), 1
    yield QUICK, _once(model, lambda case: _train_step(case, "deterministic")), 1
    for name in ("unchanged", "pure", "deterministic", "no_key_reuse", "donated", "no_retrace", "resumable"):
        yield name, _uncompiled(model, PEERS[name]), 1


def _once(model: str, run: Callable[[Any], object]) -> Callable[[], object]:
    case = plant(model, "none")
    return lambda: run(case)


def _uncompiled(model: str, run: Callable[[Any], object]) -> Callable[[], object]:
    case = planted(model, "none")
    return lambda: run(case)


def measure(model: str, rounds: int) -> dict[str, float]:
    """Seconds of CPU, by what is measured."""
    found: dict[str, float] = {}
    for _ in range(rounds):
        for name, run, count in measured(model):
            start = time.process_time()
            try:
                run()
            except NotComparableError:
                continue
            except pytest_purestate.PurityError:
                if name != "unchanged":  # which objects to a step that donates, at the same cost
                    raise
            spent = (time.process_time() - start) / count
            found[name] = min(found.get(name, spent), spent)
    return found


def main() -> None:
    """Measure, print, and write the table if a file is named."""
    parser = argparse.ArgumentParser(description="Measure what the assertions cost.")
    parser.add_argument("out", nargs="?", type=Path, metavar="OUT.md")
    parser.add_argument("--rounds", type=int, default=3, help="the minimum of so many is taken (default: 3)")
    parser.add_argument("--model", action="append", help="default: linear, mlp_dropout and donated")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [f"Written by `python -m benchmarks.assertions.overhead`, jax {jax.__version__}.", ""]
    for model in options.model or ["linear", "mlp_dropout", "donated"]:
        found = measure(model, options.rounds)
        lines += [f"| {model} | ms of CPU | x bare step | x first call |", "|---|---|---|---|"]
        lines += [
            f"| {name} | {spent * 1e3:.2f} | {spent / found[WARM]:.0f} | {spent / found[COLD]:.2f} |"
            for name, spent in found.items()
        ]
        lines.append("")
    print("\n".join(lines))
    if options.out is not None:
        options.out.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
