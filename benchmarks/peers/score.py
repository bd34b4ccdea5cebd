"""Counts what a linter found in programs with marks, and what it wrongly reported.

Of a linter with all its rules on, only the reports of rules that fit count, in either direction: a missing
docstring is neither a finding nor a false alarm here. `RULES` says which rules fit, and why.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.programs import FAMILIES, Place, Program

__all__ = ["Message", "Score", "fitting", "score"]

RULES = Path(__file__).parent / "rules.tsv"
LONGEST = 3  # lines that a report may cover; the whole of a function is no place

Fits = Callable[[str], frozenset[str]]


@dataclass(frozen=True, slots=True, order=True)
class Message:
    """A report of a linter; ``path`` is relative to the folder of the set."""

    path: str
    line: int
    code: str
    end: int

    @property
    def places(self) -> frozenset[Place]:
        """The lines that it covers."""
        last = min(max(self.line, self.end), self.line + LONGEST - 1)
        return frozenset((self.path, line) for line in range(self.line, last + 1))


@dataclass(frozen=True, slots=True)
class Score:
    """What a linter found: ``programs`` by class, ``lines`` with marks, ``rules`` by (class, code).

    ``in_right`` counts the wrong reports in programs without a mark: elsewhere one may be about the defect,
    some lines away. ``unlisted`` counts the reports of rules that do not fit, on marked lines.
    """

    programs: Mapping[str, int]
    lines: int
    missed: tuple[tuple[Place, str], ...]
    wrong: tuple[Message, ...]
    in_right: int
    rules: Mapping[tuple[str, str], int]
    unlisted: Mapping[str, int]


def fitting(tool: str) -> Fits:
    """Which families the rules of a linter fit: for purestate the code says so, for others the list."""
    if tool == "purestate":
        return lambda code: frozenset({code[:3]} & FAMILIES.keys())
    with RULES.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream, dialect="excel-tab") if row["tool"] == tool]
    table = {row["code"]: frozenset(row["families"].split()) for row in rows}
    return lambda code: table.get(code, frozenset())


def score(programs: Iterable[Program], messages: Iterable[Message], fits: Fits) -> Score:
    """Count the messages of one linter.

    A program is found, for a class, if every marked line of that class is reported by a rule that fits the
    class, or one of the lines is where the defect may be reported instead. A report that touches no marked
    line at all is wrong.
    """
    by_path: dict[str, list[Message]] = {}
    for message in sorted(set(messages)):
        by_path.setdefault(message.path, []).append(message)
    found, rules, unlisted = Counter[str](), Counter[tuple[str, str]](), Counter[str]()
    wrong: list[Message] = []
    missed: list[tuple[Place, str]] = []
    lines = in_right = 0
    for program in programs:
        here = [message for path, _ in program.files for message in by_path.get(path, ())]
        wanted = program.marks | program.instead
        marked = {place for place, _ in wanted} | program.neutral
        hit = set()
        for message in here:
            families = fits(message.code)
            hits = {
                (place, kind)
                for place, kind in wanted
                if place in message.places and families & FAMILIES[kind]
            }
            hit |= hits
            rules.update((kind, message.code) for _, kind in hits)
            if families and not message.places & marked:
                wrong.append(message)
                in_right += not marked
            elif not families and message.places & marked:
                unlisted[message.code] += 1
        lines += len(hit & program.marks)
        for kind in program.classes:
            expected = {mark for mark in program.marks if mark[1] == kind}
            if expected <= hit or any(mark[1] == kind for mark in hit & program.instead):
                found[kind] += 1
            else:
                missed += sorted(expected - hit)
    return Score(found, lines, tuple(missed), tuple(wrong), in_right, rules, unlisted)
