"""``purestate check``: checks, adopts or fixes, as its options say, and reports.

The report goes to standard output, or to the file that ``--output-file`` names. Where programs read standard output
(machine formats, ``--diff``, a fixed standard input), what is said to people goes to standard error.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pytest_purestate._check import fixing
from pytest_purestate._check.adopt import AdoptError, add_comments, make_baseline
from pytest_purestate._check.cache import Cache, folder_of
from pytest_purestate._check.discovery import Target
from pytest_purestate._check.engine import Run, Status, check_targets
from pytest_purestate._check.files import write_atomically
from pytest_purestate._check.progress import Bar
from pytest_purestate._check.registry import rules_by_code
from pytest_purestate._check.report import FORMATS, Report, render
from pytest_purestate._check.report.sources import Sources
from pytest_purestate._check.report.style import Style, wants_colour
from pytest_purestate._check.source import describe
from pytest_purestate.config import Overrides

__all__ = ["CommandError", "check", "compatible"]

CLEAN, FINDINGS, ERROR = 0, 1, 2

Write = Callable[[Iterable[str]], None]


class CommandError(Exception):
    """The options do not go together, or a file could not be written; the text is for the user."""


def compatible(options: argparse.Namespace) -> None:
    """Look at the options before anything is read.

    Raises:
        CommandError: two of them do not go together.
    """
    stdin = "-" in options.paths
    fixes, adopts = _fixes(options), _adopts(options)
    if options.add_noqa and stdin:
        raise CommandError("--add-noqa writes files, and standard input is none")
    if fixes and adopts:
        raise CommandError("fixes cannot be asked for together with --add-noqa or --write-baseline")
    if fixes and stdin and len(options.paths) > 1:
        raise CommandError(
            "the fixed standard input goes to standard output, so nothing else can be fixed with it"
        )


def _fixes(options: argparse.Namespace) -> bool:
    return bool(options.fix or options.fix_only or options.diff)


def _adopts(options: argparse.Namespace) -> bool:
    return options.add_noqa or options.write_baseline is not None


def check(options: argparse.Namespace, targets: Sequence[Target], overrides: Overrides, write: Write) -> int:
    """Run the command on files that were found; gives the exit status.

    Raises:
        CommandError: a file could not be written.
        ConfigError: settings are not valid.
    """
    recheck = functools.partial(
        check_targets, overrides=overrides, jobs=options.jobs, prefilter=not options.no_prefilter
    )
    with Bar(sys.stderr) as bar:
        run = recheck(
            targets,
            baselines=options.write_baseline is None,
            cache=None if options.no_cache else Cache(folder_of(targets, options.cache_dir)),
            done=bar,
        )
    if _adopts(options):
        try:
            adopted = options.write_baseline
            done = make_baseline(adopted, run, targets) if adopted else add_comments(run, targets)
        except AdoptError as error:
            raise CommandError(str(error)) from error
        print(done, file=sys.stderr)
        return ERROR if run.internal else CLEAN
    if _fixes(options):
        return _fix(options, run, targets, recheck, write)
    _report(options, run, targets, write, _hints(run, options))
    return _status(run, options)


def _status(run: Run, options: argparse.Namespace) -> int:
    if run.internal:
        return ERROR
    return FINDINGS if run.findings and not options.exit_zero else CLEAN


def _hints(run: Run, options: argparse.Namespace) -> list[str]:
    """A line on the fixes that there are."""
    safe, unsafe = fixing.offered(run.findings)
    if options.unsafe_fixes:
        safe, unsafe = safe + unsafe, 0
    parts = [f"{safe} fixable with `--fix`"] if safe else []
    if unsafe:
        parts.append(f"{unsafe} {'more ' if safe else 'fixable '}with `--fix --unsafe-fixes`")
    return ["; ".join(parts)] if parts else []


def _fix(
    options: argparse.Namespace,
    run: Run,
    targets: Sequence[Target],
    recheck: Callable[[Sequence[Target]], Run],
    write: Write,
) -> int:
    repair = fixing.repair(run, targets, recheck, unsafe=options.unsafe_fixes)
    if options.diff:
        write(fixing.difference(repair.files))
        for line in (*repair.notes, _said(repair, "would fix"), *_left(repair, options)):
            print(line, file=sys.stderr)
        changed = bool(repair.files) and not options.exit_zero
        return ERROR if run.internal else FINDINGS if changed else CLEAN
    stdin = next((target for target in targets if target.raw is not None), None)
    problems: list[str] = []
    if stdin is not None:
        fixed = repair.files[0].text if repair.files else fixing.text_of(stdin)
        write([fixed] if fixed is not None else [])
    else:
        problems = fixing.write(repair)
    shown = sys.stderr if stdin is not None else sys.stdout
    if options.show_fixes and repair.files:
        shown.writelines(fixing.listed(repair.files, rules_by_code()))
    lines = [*repair.notes, *([_said(repair, "fixed")] if repair.count else [])]
    rest = fixing.remaining(repair, targets, recheck)
    if options.fix_only:
        for line in (*lines, *(() if repair.count else ("nothing to fix",)), *_left(repair, options)):
            print(line, file=shown)
        status = CLEAN
    else:
        # What standard input holds now is what was found in it.
        _report(options, rest, fixing.renewed(repair, targets), write, lines, sys.stderr if stdin else None)
        status = _status(rest, options)
    for problem in problems:
        print(f"purestate: {problem}", file=sys.stderr)
    if problems or run.internal:
        return ERROR
    return FINDINGS if options.exit_non_zero_on_fix and repair.count and not status else status


def _left(repair: fixing.Repair, options: argparse.Namespace) -> list[str]:
    """A line on the fixes that were not asked for."""
    _, unsafe = fixing.offered(repair.run.findings)
    return [f"{unsafe} fixable with `--unsafe-fixes`"] if unsafe and not options.unsafe_fixes else []


def _said(repair: fixing.Repair, verb: str) -> str:
    count, files = repair.count, len(repair.files)
    findings = "1 finding" if count == 1 else f"{count} findings"
    return f"{verb} {findings} in {'1 file' if files == 1 else f'{files} files'}"


def _report(
    options: argparse.Namespace,
    run: Run,
    targets: Sequence[Target],
    write: Write,
    lines: Sequence[str],
    stream: object = None,
) -> None:
    raw = {target.path: target.raw for target in targets if target.raw is not None}
    sources = Sources({target.path: target.file for target in targets}, raw)
    file: Path | None = options.output_file
    colour = file is None and wants_colour(sys.stderr if stream else sys.stdout, os.environ)
    files = [result.path for result in run.results if result.status is not Status.SKIPPED]
    report = Report(run.findings, rules_by_code(), sources, Style(colour), files)
    pieces = render(options.output_format, report, statistics=options.statistics)
    machine = FORMATS[options.output_format].machine
    if file is not None:
        try:
            write_atomically(file, "".join(pieces).encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise CommandError(f"{file}: cannot be written: {describe(error)}") from error
    elif stream:
        sys.stderr.writelines(pieces)
    else:
        write(pieces)
    # Programs that read a report from stdout must find nothing else there.
    aside = sys.stderr if stream or (machine and file is None) else sys.stdout
    for line in (*lines, *run.notes, run.summary()):
        print(line, file=aside)
