"""Print what the linters find, as Markdown tables.

    python -m benchmarks.peers [--bin DIR] [--corpus DIR] [--only SET] [--list] [--unlisted]

A linter that is not there gets a plain row. ``--list`` names every miss of purestate and every wrong report;
``--unlisted`` the rules that are not in ``rules.tsv`` and yet reported a marked line: read it before trusting
a low figure.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import programs, tools
from benchmarks.peers.programs import Program
from benchmarks.peers.score import Score, fitting, score

__all__ = ["Row", "compare", "render"]


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a linter on a set; ``score`` is None where it is not there."""

    tool: str
    version: str = "not there"
    score: Score | None = None
    failed: tuple[str, ...] = ()
    seconds: float = 0.0


def compare(chosen: Sequence[Program], where: Path | None) -> list[Row]:
    """Run every linter on a set."""
    rows = []
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        programs.write(chosen, folder)
        paths = sorted(path for program in chosen for path, _ in program.files)
        for tool in tools.TOOLS:
            version = tools.version(tool, where, Path(home))
            if version is None:
                rows.append(Row(tool.name))
                continue
            run = tools.run(tool, folder, paths, where, Path(home))
            counted = score(chosen, run.messages, fitting(tool.name))
            rows.append(Row(tool.name, version, counted, run.failed, run.seconds))
    return rows


def render(title: str, chosen: Sequence[Program], rows: Sequence[Row]) -> str:
    """The tables of a set: the figures, and the rules of the others that they come from."""
    total = Counter(kind for program in chosen for kind in program.classes)
    kinds = [kind for kind in programs.FAMILIES if total[kind]]
    lines = sum(len(program.marks) for program in chosen)
    right = sum(not program.marks for program in chosen)
    wrong = ("wrong reports", "of these in right programs")
    figures = [("tool", "version", *kinds, "lines found", *wrong, "files broken off on", "CPU s")]
    ranks = [("tool", *kinds, "wrong reports")]
    for row in rows:
        if (counted := row.score) is None:
            figures.append((row.tool, row.version, *[""] * (len(figures[0]) - 2)))
            continue
        found = (f"{counted.programs.get(kind, 0)}/{total[kind]}" for kind in kinds)
        alarms = (str(len(counted.wrong)), str(counted.in_right))
        effort = (str(len(row.failed)), f"{row.seconds:.1f}")
        figures.append((row.tool, row.version, *found, f"{counted.lines}/{lines}", *alarms, *effort))
        if row.tool != "purestate":
            by_kind = (
                {code: count for (each, code), count in counted.rules.items() if each == kind}
                for kind in kinds
            )
            alarm_codes = Counter(message.code for message in counted.wrong)
            ranks.append((row.tool, *map(_ranked, by_kind), _ranked(alarm_codes)))
    summary = f"{len(chosen)} programs, {right} of them right; {lines} lines to report."
    return "\n".join((f"### {title}", "", summary, "", *_table(figures), "", *_table(ranks), ""))


def _table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return [head, "|" + "---|" * (head.count("|") - 1), *body]


def _ranked(counts: Mapping[str, int]) -> str:
    """Counts by rule, the largest first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{code} {count}" for code, count in ordered) or "–"


def main() -> int:
    """Run every linter on every set and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description="Compare with linters.")
    parser.add_argument("--bin", type=Path, metavar="DIR", help="where the linters are, instead of PATH")
    parser.add_argument("--corpus", type=Path, metavar="DIR", help="a folder of bugs and clean programs")
    parser.add_argument("--only", choices=("examples", "cases", "corpus"), help="one of the sets")
    parser.add_argument("--list", action="store_true", help="name what purestate missed, and wrong reports")
    parser.add_argument("--unlisted", action="store_true", help="rules that may be missing in rules.tsv")
    options = parser.parse_args()
    sets = {"examples": programs.examples(), "cases": programs.cases()}
    if options.corpus:
        sets["corpus"] = programs.corpus(options.corpus)
    elif options.only == "corpus":
        parser.error("--only corpus needs --corpus DIR")
    for name, lazily in sets.items():
        if options.only not in (None, name):
            continue
        chosen = list(lazily)
        rows = compare(chosen, options.bin)
        print(render(name, chosen, rows), flush=True)
        for row in rows:
            if options.list:
                _list(row)
            if options.unlisted and row.score is not None:
                print(f"not in the list: {row.tool}: {_ranked(row.score.unlisted)}", file=sys.stderr)
    return 0


def _list(row: Row) -> None:
    if row.score is None:
        return
    if row.tool == "purestate":
        for (path, line), kind in row.score.missed:
            print(f"missed: {path}:{line} {kind}", file=sys.stderr)
    for message in row.score.wrong:
        print(f"wrong: {row.tool} {message.path}:{message.line} {message.code}", file=sys.stderr)
    for path in row.failed:
        print(f"broken off: {row.tool} {path}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
