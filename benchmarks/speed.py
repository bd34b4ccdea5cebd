"""CPU time of the check against that of parsing alone, on the same files.

    python -m benchmarks.speed FOLDER [--runs 3]

Every measurement is a process of its own, cold: it imports, reads and checks everything once. The
measurements take turns, so that a slow minute of the machine meets all of them. Compare minima:
noise only adds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.corpus import files, line_count

__all__ = ["measure"]

REFERENCE = "libcst.parse_module"
# Name of a measurement -> the rules it selects.
CHECKS = {"check, all rules": "ALL", "check, PS1": "PS1"}


def parse(paths: list[Path]) -> Callable[[], None]:
    """Parse every file with libcst, and nothing else."""
    import libcst

    def work() -> None:
        for path in paths:
            libcst.parse_module(path.read_bytes())

    return work


def check(paths: list[Path], select: str) -> Callable[[], None]:
    """Check every file in this process, without worker processes."""
    import libcst

    def work() -> None:
        from pytest_purestate._check.engine import Status, check_paths
        from pytest_purestate.config import ConfigFinder, Overrides

        finder = ConfigFinder(isolated=True, overrides=Overrides(select=(select,)))
        run = check_paths(paths, finder, jobs=0)
        if run.count(Status.CHECKED) != len(paths):  # less work would pass for a better figure
            sys.exit(f"not a measurement: {run.summary()}")

    libcst.parse_module("")
    return work


def child(name: str, folder: Path) -> None:
    """Do one measurement and print its CPU seconds."""
    paths = list(files(folder))
    work = parse(paths) if name == REFERENCE else check(paths, CHECKS[name])
    start = time.process_time()
    work()
    print(json.dumps(time.process_time() - start))


def measure(folder: Path, runs: int) -> dict[str, list[float]]:
    """CPU seconds of every measurement, run by run."""
    times: dict[str, list[float]] = {name: [] for name in (REFERENCE, *CHECKS)}
    for _ in range(runs):
        for name, seconds in times.items():
            command = (sys.executable, "-m", "benchmarks.speed", str(folder), "--child", name)
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            seconds.append(float(json.loads(done.stdout)))
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the check against parsing alone.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", choices=(REFERENCE, *CHECKS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.folder)
        return
    paths = list(files(options.folder))
    lines = line_count(paths)
    print(f"{len(paths)} files, {lines} lines, CPU time of {options.runs} runs")
    times = measure(options.folder, options.runs)
    low, middle = min(times[REFERENCE]), statistics.median(times[REFERENCE])
    for name, seconds in times.items():
        least, median = min(seconds), statistics.median(seconds)
        print(
            f"{name:22} minimum {least:6.2f} s {lines / least:8.0f} lines/s {least / low:5.2f}x"
            f"   median {median:6.2f} s {lines / median:8.0f} lines/s {median / middle:5.2f}x"
        )


if __name__ == "__main__":
    main()
