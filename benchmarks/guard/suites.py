"""What the guard does to the test suites of other projects: nothing, where it only warns.

Runs each suite three times: without the plugin (``off``), and with the guard at level ``warn`` and at level
``error``, without static items. Prints how the tests ended, the tests whose outcome the guard changed by
warning (there must be none), those that fail only where it raises, and what it costs. Everything goes to
``results.json`` as well, next to pytest's own output and reports. The exit status is 1 if a warning changed an
outcome or a run broke off.

    python -m benchmarks.guard.suites FOLDER [--only NAME] [--python PATH]
"""

import argparse
import contextlib
import csv
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

__all__ = ["Comparison", "Run", "Suite", "Test", "compare", "main", "read_report", "read_suites", "run"]

TABLE = Path(__file__).with_name("suites.tsv")

OFF = ("-p", "no:purestate")
# What the runs are called, and the arguments that make them differ. The first is the reference of the others.
MODES = {
    "off": OFF,
    "again": OFF,
    "warn": ("--purestate", "--purestate-level=all=warn"),
    "error": ("--purestate", "--purestate-level=all=error"),
}

# The order of tests is the same in all runs. What is kept from one run would help the next.
SAME = ("-p", "no:randomly", "-p", "no:cacheprovider")

FAILED = frozenset({"failed", "error"})
BROKEN = "broke off"


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite: a folder with the tests in it, and the paths and further arguments that pytest gets there."""

    name: str
    requirement: str
    source: str
    folder: str
    tests: tuple[str, ...]
    arguments: tuple[str, ...]
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Test:
    """How a test ended, and the first line of what it said when it failed."""

    outcome: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a suite: seconds of wall time and of CPU time, and its tests by class and name."""

    command: tuple[str, ...]
    status: int | None  # None if it was stopped for taking too long
    seconds: float
    cpu_seconds: float
    tests: dict[str, Test]

    @property
    def broken(self) -> bool:
        """It did not come to its end: its outcomes say nothing."""
        return self.status not in (0, 1)

    def counts(self) -> Counter[str]:
        """How many tests ended in each way."""
        return Counter(test.outcome for test in self.tests.values())


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from one run to another: outcomes, tests that now fail, and times as ratios."""

    changed: dict[str, tuple[str, str]]
    failing: dict[str, str]
    ratio: float
    cpu_ratio: float


def read_suites(table: Path = TABLE) -> dict[str, Suite]:
    """Read the table of suites."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return {
        row["name"]: Suite(
            row["name"],
            row["requirement"],
            row["source"],
            row["folder"],
            tuple(row["tests"].split()),
            tuple(shlex.split(row["arguments"])),
            tuple(row["needs"].split()),
        )
        for row in rows
    }


def _test(case: ElementTree.Element) -> Test:
    for tag, outcome in (("error", "error"), ("failure", "failed"), ("skipped", "skipped")):
        if (child := case.find(tag)) is None:
            continue
        if child.get("type") == "pytest.xfail":
            return Test("xfailed")
        text = child.get("message") or child.text or ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return Test(outcome, lines[0] if lines and outcome in FAILED else "")
    return Test("passed")


def read_report(path: Path) -> dict[str, Test]:
    """Read the outcomes from a JUnit file. A test that is there twice, as its subtests are, ended as the worst."""
    tests: dict[str, Test] = {}
    order = ("passed", "xfailed", "skipped", "failed", "error")
    for _, case in ElementTree.iterparse(path):
        if case.tag != "testcase":
            continue
        name = "::".join(filter(None, (case.get("classname"), case.get("name"))))
        test = _test(case)
        if name not in tests or order.index(tests[name].outcome) < order.index(test.outcome):
            tests[name] = test
        case.clear()
    return tests


def _environment() -> dict[str, str]:
    """The environment of a run: no arguments of the user, hashes that are the same each time, and no accelerator."""
    ours = {"PYTHONHASHSEED": "0", "JAX_PLATFORMS": "cpu"}
    return {**{name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}, **ours}


def run(suite: Suite, folder: Path, python: str, arguments: Sequence[str], report: Path, limit: float) -> Run:
    """Run a suite with further arguments. The report is a JUnit file; the output lies next to it."""
    # As a module, so that the package of a suite is found before an installed one.
    command = (
        *(python, "-m", "pytest", "-q", *SAME, *arguments, f"--junitxml={report}"),
        *("--rootdir=.", *suite.arguments, *suite.tests),
    )
    report.unlink(missing_ok=True)
    status: int | None = None
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with report.with_suffix(".txt").open("wb") as output, contextlib.suppress(subprocess.TimeoutExpired):
        status = subprocess.run(
            command,
            cwd=folder / suite.folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=limit,
        ).returncode
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    tests = read_report(report) if status is not None and report.exists() else {}
    return Run(command, status, seconds, cpu, tests)


def compare(reference: Run, other: Run) -> Comparison:
    """Compare two runs. A test that one of them lacks has the outcome ``absent`` there."""
    absent = Test("absent")
    changed: dict[str, tuple[str, str]] = {}
    failing: dict[str, str] = {}
    for name in sorted(reference.tests.keys() | other.tests.keys()):
        first, second = reference.tests.get(name, absent), other.tests.get(name, absent)
        if first.outcome != second.outcome:
            changed[name] = first.outcome, second.outcome
        if second.outcome in FAILED and first.outcome not in FAILED:
            failing[name] = second.message
    return Comparison(
        changed,
        failing,
        other.seconds / reference.seconds,
        other.cpu_seconds / reference.cpu_seconds,
    )


def _runs(
    suite: Suite, folder: Path, python: str, modes: Mapping[str, Sequence[str]], out: Path, limit: float
) -> dict[str, Run]:
    runs = {}
    with tempfile.TemporaryDirectory() as empty:
        # The first run would pay for byte code and a cold disk.
        run(suite, folder, python, (*OFF, "--collect-only"), out / f"{suite.name}-collect.xml", limit)
        for mode, arguments in modes.items():
            # Without the plugin its setting is unknown, which some projects have made an error.
            static = () if "--purestate" not in arguments else ("-o", f"purestate_paths={empty}")
            report = out / f"{suite.name}-{mode}.xml"
            runs[mode] = run(suite, folder, python, (*arguments, *static), report, limit)
    return runs


def _print(suite: Suite, runs: Mapping[str, Run], comparisons: Mapping[str, Comparison], out: Path) -> bool:
    """Print what happened to a suite; return whether it is as it must be."""
    good = True
    print(f"{suite.name} ({suite.requirement})")
    for mode, each in runs.items():
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(each.counts().items()))
        times = f"{each.seconds:.1f} s, CPU {each.cpu_seconds:.1f} s"
        if mode in comparisons:
            other = comparisons[mode]
            times += f", ratio {other.ratio:.2f}, CPU {other.cpu_ratio:.2f}"
        print(f"  {mode:5}  {counts or 'no tests'}  ({times})")
        if each.broken:
            good = False
            status = "out of time" if each.status is None else f"exit status {each.status}"
            print(f"         {BROKEN}, {status}: see {out / f'{suite.name}-{mode}.txt'}")
    for mode, comparison in comparisons.items():
        if mode == "error":
            if comparison.failing:
                print(f"  fail under {mode} only: {len(comparison.failing)}")
            for name, message in comparison.failing.items():
                print(f"    {name}\n      {message}")
            continue
        good = good and not comparison.changed
        print(f"  changed by {mode}: {len(comparison.changed) or 'none'}")
        for name, (first, second) in comparison.changed.items():
            print(f"    {name}: {first}, then {second} {comparison.failing.get(name, '')}".rstrip())
    return good


def _versions(python: str) -> dict[str, str | None]:
    """The versions of what is installed for an interpreter and of itself."""
    program = """
import importlib.metadata, json, platform
versions = {each.name.lower(): each.version for each in importlib.metadata.distributions()}
print(json.dumps({"python": platform.python_version(), **dict(sorted(versions.items()))}))
"""
    done = subprocess.run((python, "-c", program), capture_output=True, text=True, check=True)
    versions: dict[str, str | None] = json.loads(done.stdout)
    return versions


def main() -> int:
    """Run the suites, print a summary of each, and write everything into ``results.json``."""
    suites = read_suites()
    parser = argparse.ArgumentParser(description="Run test suites of other projects under the guard.")
    parser.add_argument("folder", type=Path, help="folder with the prepared suites (see the README)")
    parser.add_argument(
        "--only", action="append", choices=suites, metavar="NAME", help="run this suite; may be repeated"
    )
    parser.add_argument(
        "--python", default=sys.executable, metavar="PATH", help="interpreter that has what the suites need"
    )
    parser.add_argument(
        "--runs",
        default="off,warn,error",
        metavar="NAME,...",
        help=f"which runs, of {', '.join(MODES)}; `again` is off a second time: what differs there is noise",
    )
    parser.add_argument(
        "--limit", type=float, default=1800, metavar="SECONDS", help="stop a run after this time"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where results go (default: FOLDER/results)"
    )
    options = parser.parse_args()
    names = options.runs.split(",")
    if names[0] != "off" or not MODES.keys() >= set(names):
        parser.error(f"--runs begins with off, and names some of {', '.join(MODES)}")
    modes = {name: MODES[name] for name in names}
    folder: Path = options.folder.absolute()
    out: Path = (options.output or folder / "results").absolute()
    out.mkdir(parents=True, exist_ok=True)
    # A relative path is one from here, and not from the folder of a suite; a link of a virtual
    # environment stays one.
    python: str = options.python
    if os.sep in python:
        python = str(Path(python).absolute())

    good = True
    results: dict[str, object] = {}
    written: dict[str, object] = {"versions": _versions(python), "suites": results}
    for name in options.only or suites:
        suite = suites[name]
        if not (folder / suite.folder).is_dir():
            print(f"{name} ({suite.requirement})\n  left out: there is no {suite.folder} in the folder")
            good = good and not options.only
            continue
        runs = _runs(suite, folder, python, modes, out, options.limit)
        # A run that broke off lacks tests, and is no faster for it.
        comparisons = {
            mode: compare(runs["off"], other)
            for mode, other in runs.items()
            if mode != "off" and not (runs["off"].broken or other.broken)
        }
        good = _print(suite, runs, comparisons, out) and good
        sys.stdout.flush()
        results[name] = {
            "suite": asdict(suite),
            "runs": {mode: {**asdict(each), "counts": each.counts()} for mode, each in runs.items()},
            "comparisons": {mode: asdict(comparison) for mode, comparison in comparisons.items()},
        }
        (out / "results.json").write_text(json.dumps(written, indent=1) + "\n", "utf-8")
    if not results:
        print("no suite was run")
    return 0 if good and results else 1


if __name__ == "__main__":
    sys.exit(main())
