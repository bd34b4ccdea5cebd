"""The demo: run `pytest --purestate` here, and see whether it found exactly what is planted.

The static findings fail, as they should. Ends with 0 when they are the planted ones, each at its
line, and when every test did what the story says; ends with 1 and the difference otherwise.
"""

import os
import re
import sys
from collections import Counter

import jax
import pytest

from planted import ROOT, Place, planted
from story.data import line
from story.picture import plot
from story.pure.linear_regression import train

__all__ = ["Watcher", "main"]

# The head of a finding as it is printed: its code and message, then an arrow to its place.
HEAD = re.compile(r"^(?P<code>PS\d{3}) .*\n *--> (?P<path>.+):(?P<line>\d+):\d+$", re.MULTILINE)


class Watcher:
    """A pytest plugin that remembers the findings and how the tests ended."""

    def __init__(self) -> None:
        self.found: list[Place] = []
        self.passed = self.expected_failures = 0
        self.surprises: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Sort a report: a static item that failed is a finding, any other failure a surprise."""
        if report.failed:
            places = [
                Place(match["path"].replace(os.sep, "/"), int(match["line"]), match["code"])
                for match in HEAD.finditer(report.longreprtext)
            ]
            if places and re.search(r"::PS\d{3}$", report.nodeid):
                self.found += places
            else:
                self.surprises.append(f"{report.nodeid} failed")
        elif hasattr(report, "wasxfail"):
            self.expected_failures += 1
        elif report.skipped:
            self.surprises.append(f"{report.nodeid} was skipped")
        elif report.when == "call":
            self.passed += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that could not be collected."""
        if report.failed:
            self.surprises.append(f"{report.nodeid} could not be collected")


def main() -> int:
    """Run the demo and return its exit status."""
    os.chdir(ROOT)
    watcher = Watcher()
    status = pytest.main(["--purestate"], plugins=[watcher])
    expected, found = Counter(planted()), Counter(watcher.found)
    surprises = [
        *(f"missing: {path}:{line} {code}" for path, line, code in sorted((expected - found).elements())),
        *(f"not planted: {path}:{line} {code}" for path, line, code in sorted((found - expected).elements())),
        *watcher.surprises,
    ]
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not watcher.passed:
        surprises.append(
            f"pytest ended with status {int(status)} after {watcher.passed + watcher.expected_failures} tests"
        )
    if surprises:
        print("\nThe demo did not go as planned:", *surprises, sep="\n  ")
        return 1
    history, _ = train(jax.random.key(0), line())
    last = history[-1]
    print(f"\nstatic:   exactly the {expected.total()} planted violations were found")
    print(
        f"tests:    {watcher.passed} passed, {watcher.expected_failures} failed on hidden state, as expected"
    )
    print(
        f"training: w = {last.w:.4f} (3 {last.w - 3:+.4f}), b = {last.b:.4f} (1 {last.b - 1:+.4f}) "
        f"after {len(history)} steps"
    )
    print(f"curve:    {plot(history, ROOT / 'out' / 'training_curve.png')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
