"""How much CPU time the package costs where it is installed and does nothing.

Runs each command several times, in turns, so that a slow minute of the machine meets all of them, and prints
user plus system CPU time of the child processes. The minimum is the figure to compare: noise only adds.

    python -m benchmarks.startup [--runs 20]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

__all__ = ["PAIRS", "cpu_seconds", "main", "measure"]

# Other plugins that happen to be installed cost more than ours, and would hide it.
OTHERS = sorted({point.name for point in entry_points(group="pytest11")} - {"purestate"})
NO_OTHERS = tuple(f"-pno:{name}" for name in OTHERS)
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", *NO_OTHERS, "test_nothing.py")

# What is measured, and what it is measured against, as arguments of the interpreter.
PAIRS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "pytest, plugin installed and unused / -p no:purestate": (PYTEST, (*PYTEST, "-p", "no:purestate")),
    "import pytest_purestate.plugin / import pytest": (
        ("-c", "import pytest, pytest_purestate.plugin"),
        ("-c", "import pytest"),
    ),
    "purestate --help / bare interpreter": (("-m", "pytest_purestate", "--help"), ("-c", "pass")),
    "purestate check, 500 lines, cold / import libcst": (
        ("-m", "pytest_purestate", "check", "--isolated", "--no-cache", "module.py"),
        ("-c", "import libcst"),
    ),
}

# About 500 lines of JAX code without a finding: two modules of our own.
OWN = Path(__file__).parents[1] / "pytest_purestate" / "_runtime"
MODULE = "".join((OWN / name).read_text("utf-8") for name in ("keys.py", "states.py"))


def cpu_seconds(arguments: Sequence[str], directory: Path) -> float:
    """Run this interpreter with the arguments in a directory; return user plus system CPU time in seconds.

    Raises `RuntimeError` when the command fails, because a failure is fast and would look good.
    """
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"exit status {process.returncode}: python {' '.join(arguments)}")
    return usage.ru_utime + usage.ru_stime


def measure(runs: int) -> dict[str, tuple[list[float], list[float]]]:
    """Return for every pair the CPU seconds of its runs: those of the package, and those of the reference."""
    results: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in PAIRS}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        (directory / "module.py").write_text(MODULE)
        for commands in PAIRS.values():  # the first run writes byte code and fills the disk cache
            for command in commands:
                cpu_seconds(command, directory)
        for _ in range(runs):
            for pair, commands in PAIRS.items():
                for times, command in zip(results[pair], commands, strict=True):
                    times.append(cpu_seconds(command, directory))
    return results


def main() -> None:
    """Measure and print, in milliseconds of CPU time: minimum and median of both, difference, and ratio."""
    parser = argparse.ArgumentParser(description="Measure what the package costs at start-up.")
    parser.add_argument("--runs", type=int, default=20, help="how often to run each command (default: 20)")
    runs = parser.parse_args().runs
    if runs < 1:
        parser.error("--runs must be at least 1")
    for pair, (ours, reference) in measure(runs).items():
        low, base = min(ours), min(reference)
        print(pair)
        print(
            f"  minimum {low * 1e3:6.1f} / {base * 1e3:6.1f} ms   "
            f"median {statistics.median(ours) * 1e3:6.1f} / {statistics.median(reference) * 1e3:6.1f} ms   "
            f"difference {(low - base) * 1e3:+6.1f} ms   ratio {low / base:.3f}"
        )


if __name__ == "__main__":
    main()
