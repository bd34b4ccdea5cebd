"""Repairs files: applies fixes in rounds, checks what comes out, and writes only what holds.

The fixes of a round are those that do not touch each other. The changed text is checked again, which may bring the
fixes that had to wait, until there are none. A text that cannot be parsed then, or that still changes after many
rounds, is thrown away as a whole: its file is left as it was, and a note says so.
"""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct, field, structs

from pytest_purestate._check import fixer
from pytest_purestate._check.checker import raw_of
from pytest_purestate._check.discovery import Target
from pytest_purestate._check.engine import FileResult, Run, Status
from pytest_purestate._check.files import write_atomically
from pytest_purestate._check.model import Applicability, Finding, Rule
from pytest_purestate._check.source import Source, UnreadableSourceError, describe

__all__ = [
    "Repair",
    "Repaired",
    "difference",
    "listed",
    "offered",
    "remaining",
    "renewed",
    "repair",
    "text_of",
    "write",
]

ROUNDS = 20
"""Fixes that wait for each other, one a round, in one file; what needs more does not settle."""

Check = Callable[[Sequence[Target]], Run]


class Repaired(Struct, frozen=True):
    """A file with its text before and after, and the findings that are gone for it."""

    target: Target
    before: Source
    after: bytes
    applied: tuple[Finding, ...]

    @property
    def text(self) -> str:
        """The text of the file after."""
        return _written(Source.from_bytes(self.after, self.target.path))


class Repair(Struct, frozen=True):
    """What the fixes of a run come to: the changed files, what remains to be found, and notes on files left alone."""

    files: tuple[Repaired, ...]
    run: Run
    notes: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many findings were fixed."""
        return sum(len(file.applied) for file in self.files)


class _Work(Struct):
    """One file on its way."""

    index: int
    before: Source
    now: Source
    findings: Sequence[Finding]
    applied: list[Finding] = field(default_factory=list)


def repair(run: Run, targets: Sequence[Target], check: Check, *, unsafe: bool = False) -> Repair:
    """Fix what can be fixed of the findings of a run. Nothing is written.

    Args:
        run: what was found in ``targets``.
        targets: the files, in the order of the results of the run.
        check: checks texts that are on no disk, given as targets with ``raw``.
        unsafe: apply the fixes that may change what the code does, too.
    """
    results = list(run.results)
    notes: list[str] = []
    done: list[Repaired] = []
    work = list(_begun(run, targets, unsafe, notes))
    for _ in range(ROUNDS):
        changed = [each for each in work if _step(each, unsafe, notes, targets)]
        if not changed:
            break
        checked = check([structs.replace(targets[each.index], raw=each.now.to_bytes()) for each in changed])
        work = []
        for each, result in zip(changed, checked.results, strict=True):
            path = targets[each.index].path
            if result.status is not Status.CHECKED:
                why = result.findings[0].message if result.findings else "it cannot be checked"
                notes.append(f"{path}: not fixed: the result {why}")
                continue
            each.findings = result.findings
            if _offers(result, unsafe):
                work.append(each)
            else:
                done.append(_finish(each, targets[each.index]))
                results[each.index] = result
    else:
        notes += [f"{targets[each.index].path}: not fixed: its fixes do not come to an end" for each in work]
    order = {target.path: number for number, target in enumerate(targets)}
    done.sort(key=lambda file: order[file.target.path])
    return Repair(tuple(done), structs.replace(run, results=tuple(results)), tuple(notes))


def _begun(run: Run, targets: Sequence[Target], unsafe: bool, notes: list[str]) -> Iterator[_Work]:
    seen: set[str] = set()
    for index, (target, result) in enumerate(zip(targets, run.results, strict=True)):
        if result.status is not Status.CHECKED or not _offers(result, unsafe):
            continue
        real = os.path.realpath(target.file)
        if target.raw is None and real in seen:
            continue  # a link leads to a file that is on its way
        seen.add(real)
        try:
            source = Source.from_bytes(raw_of(target), target.path, target.file)
        except UnreadableSourceError:
            notes.append(f"{target.path}: not fixed: it changed while it was checked")
            continue
        yield _Work(index, source, source, result.findings)


def _step(work: _Work, unsafe: bool, notes: list[str], targets: Sequence[Target]) -> bool:
    """Apply the fixes that a text has now; whether it changed."""
    path = targets[work.index].path
    fixed = fixer.apply(work.now, work.findings, unsafe=unsafe)
    try:
        work.now = Source.from_bytes(work.now.to_bytes(fixed.text), work.now.path, work.now.file)
    except (UnicodeEncodeError, UnreadableSourceError) as error:
        notes.append(f"{path}: not fixed: {error}")
        return False
    work.applied += fixed.applied
    return bool(fixed.applied)


def _finish(work: _Work, target: Target) -> Repaired:
    return Repaired(target, work.before, work.now.to_bytes(), tuple(work.applied))


def _offers(result: FileResult, unsafe: bool) -> bool:
    safe, more = offered(result.findings)
    return bool(safe or (unsafe and more))


def offered(findings: Sequence[Finding]) -> tuple[int, int]:
    """How many findings have a safe fix, and how many an unsafe one."""
    kinds = Counter(finding.fix.applicability for finding in findings if finding.fix is not None)
    return kinds[Applicability.SAFE], kinds[Applicability.UNSAFE]


def remaining(repaired: Repair, targets: Sequence[Target], check: Check) -> Run:
    """What is left to be found once the files are written: files that tell of a changed one are checked again."""
    changed = {file.target.path for file in repaired.files}
    results = list(repaired.run.results)
    again = [
        index
        for index, result in enumerate(results)
        if result.path not in changed
        and any(label.path in changed for finding in result.findings for label in finding.related)
    ]
    if again:
        found = check([targets[index] for index in again])
        for index, result in zip(again, found.results, strict=True):
            results[index] = result
    return structs.replace(repaired.run, results=tuple(results))


def renewed(repaired: Repair, targets: Sequence[Target]) -> list[Target]:
    """The targets, of which standard input has the fixed text."""
    after = {file.target.path: file.after for file in repaired.files}
    return [
        structs.replace(target, raw=after[target.path])
        if target.raw is not None and target.path in after
        else target
        for target in targets
    ]


def _written(source: Source) -> str:
    """The text as it stands in the file, without byte order mark."""
    return source.to_bytes().decode(source.encoding).removeprefix("\ufeff")


def text_of(target: Target) -> str | None:
    """The text of standard input as it is; None where it is none."""
    try:
        return _written(Source.from_bytes(target.raw or b"", target.path))
    except UnreadableSourceError:
        return None


def write(repaired: Repair) -> list[str]:
    """Write the changed files; a line for each that could not be written, or that others changed meanwhile."""
    problems = []
    for file in repaired.files:
        path = file.target.path
        try:
            if file.target.file.read_bytes() != file.before.to_bytes():
                problems.append(f"{path}: not fixed: it changed while it was checked")
                continue
            write_atomically(file.target.file, file.after)
        except OSError as error:
            problems.append(f"{path}: cannot be written: {describe(error)}")
    return problems


def difference(files: Sequence[Repaired]) -> Iterator[str]:
    """The changes as a unified diff."""
    for file in files:
        before, after = (_lines(text) for text in (_written(file.before), file.text))
        path = file.target.path
        for line in difflib.unified_diff(before, after, path, path):
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Lines as a diff has them: a lone carriage return is no end of one."""
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def listed(files: Sequence[Repaired], rules: Mapping[str, Rule]) -> Iterator[str]:
    """What was fixed where, by rule."""
    for file in files:
        yield f"{file.target.path}:\n"
        counts = Counter(finding.code for finding in file.applied)
        for code, count in sorted(counts.items()):
            yield f"    {count} x {code} ({rules[code].name})\n"
