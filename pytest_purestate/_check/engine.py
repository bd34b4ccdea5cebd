"""Wires the pipeline: files in, findings out; every file is accounted for.

`check_source` checks one text in this process. `check_paths` checks files in worker processes, where
a file that crashes the parser or takes too long costs one finding (PS004) and nothing else.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from pytest_purestate._check import pool
from pytest_purestate._check.baseline import Baseline
from pytest_purestate._check.cache import Cache
from pytest_purestate._check.checker import Checker, deep_recursion, matters, own_finding, raw_of
from pytest_purestate._check.discovery import Target, discover
from pytest_purestate._check.model import Finding, Rule
from pytest_purestate._check.outcome import FileResult, Run, Status
from pytest_purestate._check.report.fingerprint import Fingerprints
from pytest_purestate._check.report.sources import Sources
from pytest_purestate._check.settings import Settings, chosen_rules, declared
from pytest_purestate._check.source import Source, UnreadableSourceError
from pytest_purestate._tomlfile import shown
from pytest_purestate.config import Config, ConfigFinder, Overrides

if TYPE_CHECKING:
    from pytest_purestate._check.analysis import Project

__all__ = [
    "DEADLINE",
    "Checker",
    "FileResult",
    "Run",
    "Status",
    "analyse",
    "check_paths",
    "check_source",
    "check_targets",
    "chosen_rules",
    "declared",
]

DEADLINE = 60.0
"""Seconds of work that a file may take; ordinary files take milliseconds, the first also what it imports."""


def analyse(source: Source, project: Project, rules: Sequence[Rule]) -> tuple[Finding, ...]:
    """The analysis, imported when it is needed; see `analysis.analyse`."""
    from pytest_purestate._check.analysis import analyse as run

    return run(source, project, rules)


def check_source(
    source: str | Source,
    path: str = "<text>",
    *,
    config: Config | None = None,
    overrides: Overrides | None = None,
) -> list[Finding]:
    """The findings of one text, in source order, checked in this process.

    Imports resolve on disk if the source has a ``file``. Text that cannot be parsed, or is beyond the
    bounds, gives the finding that says so. The text prefilter is not asked.

    Raises:
        UnreadableSourceError: the text has lone surrogates or null characters.
        ConfigError: the configuration names an unknown rule.
    """
    source = Source.from_text(source, path) if isinstance(source, str) else source
    checker = Checker(analyse, (), overrides or Overrides(), prefilter=False)
    with deep_recursion():
        return list(checker.check(source, config or Config(Path.cwd())).findings)


def check_paths(
    paths: Sequence[Path],
    finder: ConfigFinder | None = None,
    *,
    jobs: int | None = None,
    prefilter: bool = True,
    deadline: float = DEADLINE,
) -> Run:
    """Check files and directories.

    Args:
        paths: what to check; directories are walked.
        finder: gives the settings of each file; by default the nearest settings file.
        jobs: worker processes; None for one a CPU, 0 to check in this process without their protection.
        prefilter: pass over files that never mention JAX or its libraries.
        deadline: seconds a file may take in a worker.

    Raises:
        MissingPathError: one of the paths does not exist.
        ConfigError: a settings file is not valid or names an unknown rule.
    """
    finder = finder or ConfigFinder()
    return check_targets(
        discover(paths, finder), finder.overrides, jobs=jobs, prefilter=prefilter, deadline=deadline
    )


def check_targets(
    targets: Sequence[Target],
    overrides: Overrides,
    *,
    jobs: int | None = None,
    prefilter: bool = True,
    deadline: float = DEADLINE,
    baselines: bool = True,
    cache: Cache | None = None,
    done: Callable[[int, int], None] | None = None,
) -> Run:
    """Check files that `discover` found.

    Args:
        targets: the files and their settings.
        overrides: what the command line says over the settings.
        jobs: as in `check_paths`.
        prefilter: as in `check_paths`.
        deadline: as in `check_paths`.
        baselines: hide the findings that the baselines in the settings list.
        cache: where results are looked up, and kept; none by default.
        done: told how many of the files that must be checked are.

    Raises:
        ConfigError: the settings are not valid, or a baseline cannot be read.
    """
    # What is wrong in the settings must end the run before it starts.
    settings = {id(target.config): Settings.of(target.config, overrides) for target in _each_config(targets)}
    found = (
        {id(t.config): Baseline.of(t.config, overrides) for t in _each_config(targets)} if baselines else {}
    )
    known: dict[int, FileResult] = {}
    if cache is not None:
        known = {
            index: hit
            for index, target in enumerate(targets)
            if (hit := _looked_up(cache, target, overrides, prefilter)) is not None
        }
    rest = [index for index in range(len(targets)) if index not in known]
    fresh = _check_all(
        [targets[index] for index in rest], overrides, settings, jobs, prefilter, deadline, done
    )
    if cache is not None:
        for index, result in zip(rest, fresh, strict=True):
            cache.put(targets[index], overrides, result)
    known.update(zip(rest, fresh, strict=True))
    notes = cache.close() if cache is not None else ()
    run = Run(tuple(known[index] for index in range(len(targets))), notes=tuple(notes))
    return _without(run, targets, found, overrides) if any(found.values()) else run


def _check_all(
    targets: Sequence[Target],
    overrides: Overrides,
    settings: Mapping[int, Settings],
    jobs: int | None,
    prefilter: bool,
    deadline: float,
    done: Callable[[int, int], None] | None,
) -> list[FileResult]:
    """Check files, in this process or in workers."""
    start = functools.partial(Checker, analyse, tuple(targets), overrides, prefilter)
    if jobs == 0:
        check = start()
        try:
            return [check(index) for index in range(len(targets))]
        finally:
            gc.unfreeze()
    if not targets:
        return []
    from pytest_purestate._check import analysis  # once, for all workers

    assert analysis is not None
    outcomes = pool.run(start, len(targets), jobs or pool.available_cpus(), deadline, done)
    return [
        _lost(target, outcome, deadline, settings[id(target.config)])
        if isinstance(outcome, pool.Lost)
        else outcome
        for target, outcome in zip(targets, outcomes, strict=True)
    ]


def _looked_up(cache: Cache, target: Target, overrides: Overrides, prefilter: bool) -> FileResult | None:
    """The result that is known for a file, or that it is passed over."""
    if target.raw is not None or target.problem:
        return None
    try:
        raw = raw_of(target)
    except UnreadableSourceError:
        return None
    if prefilter and not matters(raw, target.config):
        return FileResult(target.path, target.file, Status.SKIPPED)
    return cache.get(target, overrides, raw)


def _each_config(targets: Sequence[Target]) -> Iterable[Target]:
    """One target for each configuration."""
    return {id(target.config): target for target in targets}.values()


def _without(
    run: Run, targets: Sequence[Target], baselines: Mapping[int, Baseline | None], overrides: Overrides
) -> Run:
    """A run without the findings that the baselines of its files list."""
    raw = {target.path: target.raw for target in targets if target.raw is not None}
    fingerprints = Fingerprints(Sources({target.path: target.file for target in targets}, raw))
    seen: dict[Path, set[str]] = {}
    checked: dict[Path, set[Path]] = {}
    results = []
    for target, result in zip(targets, run.results, strict=True):
        baseline = baselines[id(target.config)]
        if baseline is None or result.status is Status.FAILED:
            results.append(result)
            continue
        checked.setdefault(baseline.file, set()).add(result.file)
        named = [(fingerprints.of(finding), finding) for finding in result.findings]
        seen.setdefault(baseline.file, set()).update(each for each, _ in named if each in baseline.entries)
        new = tuple(finding for each, finding in named if each not in baseline.entries)
        results.append(structs.replace(result, findings=new))
    notes = []
    for baseline in {b.file: b for b in baselines.values() if b is not None}.values():
        # With fewer rules than usual, what is not found may still be there.
        if overrides.narrow:
            continue
        stale = baseline.stale(seen.get(baseline.file, ()), checked.get(baseline.file, set()))
        if stale:
            many = "1 entry" if stale == 1 else f"{stale} entries"
            verb = "occurs" if stale == 1 else "occur"
            file = shown(baseline.file)
            notes.append(f"{many} of {file} no longer {verb}; `--write-baseline {file}` drops what is gone")
    hidden = len(run.findings) - sum(len(result.findings) for result in results)
    return Run(tuple(results), hidden, (*run.notes, *notes))


def _lost(target: Target, lost: pool.Lost, deadline: float, settings: Settings) -> FileResult:
    if lost.late:
        message = f"took longer than {deadline:g} s to check"
    else:
        message = f"ended the process that checked it ({lost.reason})"
    finding = own_finding("PS004", target.path, message, "list the file in `exclude` if it is generated")
    return FileResult(target.path, target.file, Status.FAILED, (settings.applied(finding),))
