"""How many findings in real code are right, by the verdicts of people who read them.

    python -m benchmarks.accuracy.score FOLDER --select PS1 [--add]

A verdict belongs to the fingerprint of a finding, so a later run asks only about what is new. ``--add``
writes the new findings into the list as ``unread``. Exit status: 0 every finding has a verdict and none
is false, 1 otherwise.
"""

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from benchmarks.corpus import files, line_count
from benchmarks.findings import Found, find

__all__ = ["VERDICTS", "Verdict", "load", "save"]

# The findings of a family of rules are judged in one file.
LISTS = {
    "PS1": Path(__file__).parent / "keys.tsv",
    "PS2": Path(__file__).parent / "states.tsv",
    "PS3": Path(__file__).parent / "traces.tsv",
    "PS4": Path(__file__).parent / "orders.tsv",
}
VERDICTS = ("true", "false", "debatable")
UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reader said about one finding. ``place`` is for people and may be out of date.

    ``second`` is the verdict of another reader, who had not seen the first; empty where there was none.
    """

    fingerprint: str
    code: str
    place: str
    verdict: str
    second: str
    why: str


def load(file: Path) -> dict[str, Verdict]:
    """The verdicts of a list, by fingerprint. Raises `ValueError` for a verdict that is none."""
    if not file.exists():
        return {}
    with file.open(encoding="utf-8", newline="") as stream:
        rows = [Verdict(**row) for row in csv.DictReader(stream, dialect="excel-tab")]
    for row in rows:
        if row.verdict not in (*VERDICTS, UNREAD) or row.second not in (*VERDICTS, ""):
            raise ValueError(f"{file.name}: {row.place}: no such verdict: {row.verdict}, {row.second}")
    return {row.fingerprint: row for row in rows}


def save(verdicts: Iterable[Verdict], file: Path) -> None:
    """Write a list, ordered by place and code."""
    ordered = sorted(verdicts, key=lambda each: (*_parts(each.place), each.code, each.fingerprint))
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, dialect="excel-tab", lineterminator="\n")
        writer.writerow(field.name for field in fields(Verdict))
        writer.writerows(astuple(each) for each in ordered)


def _parts(place: str) -> tuple[str, int]:
    path, _, line = place.rpartition(":")
    return path, int(line)


def report(found: list[Found], verdicts: dict[str, Verdict], lines: int) -> bool:
    """Print the figures; return whether all findings are judged and none is false."""
    judged = {print_: each for print_, each in verdicts.items() if each.verdict != UNREAD}
    new = [each for each in found if each.fingerprint not in judged]
    gone = judged.keys() - {each.fingerprint for each in found}
    rows = [(each, judged[each.fingerprint]) for each in found if each.fingerprint in judged]
    for each in new:
        print(f"no verdict: {each}\n            {each.fingerprint}")
    for verdict in sorted((judged[print_] for print_ in gone), key=lambda each: each.place):
        print(f"gone ({verdict.verdict}): {verdict.place} {verdict.code} {verdict.why}")
    for each, verdict in rows:
        if verdict.verdict == "false":
            print(f"false: {each}\n       {verdict.why}")
    for code in sorted({each.code for each in found}):
        counts = Counter(verdict.verdict for _, verdict in rows if verdict.code == code)
        print(f"{code}  " + "  ".join(f"{counts[name]:3} {name}" for name in VERDICTS))
    total = Counter(verdict.verdict for _, verdict in rows)
    share = len(rows) or 1
    print(
        f"{len(found)} findings, {len(new)} without a verdict, {len(gone)} gone; "
        f"true or debatable {1 - total['false'] / share:.3f}, debatable {total['debatable'] / share:.3f}; "
        f"{total['false'] * 10_000 / max(lines, 1):.2f} false alarms in 10,000 lines ({lines} lines)"
    )
    twice = [verdict for verdict in judged.values() if verdict.second]
    same = sum(verdict.second == verdict.verdict for verdict in twice)
    real = sum((verdict.second == "false") == (verdict.verdict == "false") for verdict in twice)
    print(
        f"read twice: {len(twice)}, of these {same} judged alike, {real} alike on whether the alarm is false"
    )
    return not new and not total["false"]


def main() -> int:
    """Run the checker and compare it with the verdicts."""
    parser = argparse.ArgumentParser(description="Score the checker on code whose findings were read.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--select", choices=sorted(LISTS), default="PS1", help="a family of rules")
    parser.add_argument("--verdicts", type=Path, help="another list than that of the packages")
    parser.add_argument("--add", action="store_true", help="write findings without a verdict into the list")
    options = parser.parse_args()
    found = find(options.folder, ("--select", options.select))
    file = options.verdicts or LISTS[options.select]
    verdicts = load(file)
    if options.add:
        for each in found:
            place = f"{each.path}:{each.line}"
            unread = Verdict(each.fingerprint, each.code, place, UNREAD, "", each.message)
            verdicts.setdefault(each.fingerprint, unread)
        save(verdicts.values(), file)
    family = {print_: each for print_, each in verdicts.items() if each.code.startswith(options.select)}
    fine = report(found, family, line_count(list(files(options.folder))))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
