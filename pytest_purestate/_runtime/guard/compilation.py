"""What the guard says about traces and compilations: functions above a limit, and where the time goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytest_purestate._runtime.compilations import Compilations
from pytest_purestate._runtime.counts import Counts
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.retraces import help_for, problems_of, verdict

__all__ = ["Compilations", "Counts", "exceeded", "help_for", "user_functions"]


def exceeded(compilations: Compilations, limit: int) -> tuple[Problem, ...]:
    """The functions that were traced or compiled more often than a limit, with the arguments that this was for.

    Passed over are functions of JAX, which are compiled for each shape they meet, and what is traced inside of
    another function.

    Args:
        compilations: a block that explains.
        limit: how many traces of one function are fine; two for a step whose first call has a weak type.
    """
    if limit < 0:
        raise ValueError(f"the limit of traces is a count, and not {limit}")
    found: list[Problem] = []
    for function in compilations.found:
        if not function.library and (text := verdict(function, limit, nested=False)):
            found += problems_of(function, text)
    return tuple(found)


def user_functions(compilations: Compilations, root: Path) -> Mapping[str, Counts]:
    """What was done for functions that are not JAX's own, by name and place: ``train_step at train.py:12``.

    Args:
        compilations: a block.
        root: what places are told relative to.
    """
    found: dict[str, Counts] = {}
    for function in compilations.found:
        if function.library or not function.seconds:
            continue
        file, _, line = function.defined.rpartition(":")
        place = Path(file).relative_to(root) if Path(file).is_relative_to(root) else file
        name = f"{function.name} at {place}:{line}" if file else function.name
        found[name] = found[name] + function.counts if name in found else function.counts
    return found
