"""What a project does to begin with the checker: comments on every finding, or a baseline of them all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_purestate._check.baseline import write_baseline
from pytest_purestate._check.discovery import Target
from pytest_purestate._check.engine import Run, Status
from pytest_purestate._check.files import write_atomically
from pytest_purestate._check.noqa import add_noqa
from pytest_purestate._check.report.sources import Sources
from pytest_purestate._check.source import Source, describe
from pytest_purestate._tomlfile import shown

__all__ = ["AdoptError", "add_comments", "make_baseline"]


class AdoptError(Exception):
    """A file could not be written; the text names it and says why."""


def add_comments(run: Run, targets: Sequence[Target]) -> str:
    """Suppress every finding of a run by a comment in its file; one line that says what was done.

    Raises:
        AdoptError: a file could not be written.
    """
    sources = _sources(targets)
    added, changed, left = 0, 0, 0
    seen = set[str]()
    for result in run.results:
        real = os.path.realpath(result.file)
        if not result.findings or real in seen:  # a link leads to a file that has its comments by now
            continue
        seen.add(real)
        source = sources(result.path)
        if result.status is not Status.CHECKED or source is None or not _is_text_of(source, result.file):
            left += len(result.findings)
            continue
        done = add_noqa(source, result.findings)
        left += len(done.left)
        if done.text != source.original:
            try:
                write_atomically(result.file, source.to_bytes(done.text))
            except OSError as error:
                raise AdoptError(f"{result.path}: cannot be written: {describe(error)}") from error
            added += done.count
            changed += 1
    text = f"added {_many(added, 'comment')} in {_many(changed, 'file')}"
    return text + (f"; {_many(left, 'finding')} cannot be suppressed by a comment" if left else "")


def make_baseline(file: Path, run: Run, targets: Sequence[Target]) -> str:
    """Write the findings of a run to a baseline; one line that says what was done.

    Raises:
        AdoptError: the file could not be written.
    """
    checked = [result for result in run.results if result.status is not Status.FAILED]
    findings = [finding for result in checked for finding in result.findings]
    files: Mapping[str, Path] = {result.path: result.file for result in checked}
    try:
        write_baseline(file, findings, _sources(targets), files)
    except OSError as error:
        raise AdoptError(f"{shown(file.absolute())}: cannot be written: {describe(error)}") from error
    text = f"wrote {_many(len(findings), 'finding')} to {file}"
    failed = run.count(Status.FAILED)
    return text + (f"; {_many(failed, 'file')} could not be checked and left out" if failed else "")


def _is_text_of(source: Source, file: Path) -> bool:
    """Whether a source is what the file holds, and not a view of a document or of what it held before."""
    try:
        return file.read_bytes() == source.to_bytes()
    except OSError:
        return False


def _sources(targets: Sequence[Target]) -> Sources:
    raw = {target.path: target.raw for target in targets if target.raw is not None}
    return Sources({target.path: target.file for target in targets}, raw)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
