"""Wires the pipeline: files in, findings out; every file is accounted for.

`check_source` checks one text in this process. `check_paths` checks files in worker processes, where
a file that crashes the parser or takes too long costs one finding (PS004) and nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import gc
import stat
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_purestate._check import bounds, pool, registry, suppress
from pytest_purestate._check.analysis import Project, SyntaxProblem, analyse
from pytest_purestate._check.baseline import Baseline
from pytest_purestate._check.discovery import Target, discover, display_path, mentions_jax
from pytest_purestate._check.model import Confidence, Finding, Label, Rule, Span
from pytest_purestate._check.report.fingerprint import Fingerprints
from pytest_purestate._check.report.sources import Sources
from pytest_purestate._check.report.summary import summary
from pytest_purestate._check.settings import Settings, chosen_rules, declared
from pytest_purestate._check.source import Source, UnreadableSourceError, describe
from pytest_purestate._tomlfile import shown
from pytest_purestate.config import Config, ConfigFinder, Overrides

__all__ = [
    "DEADLINE",
    "FileResult",
    "Run",
    "Status",
    "check_paths",
    "check_source",
    "check_targets",
    "chosen_rules",
    "declared",
]

DEADLINE = 30.0
"""Seconds a file may take; ordinary files take milliseconds."""

KEPT = 6_000_000
"""Bytes of source that a process remembers; what it knows of them takes some thirty times as much."""

RECURSION_LIMIT = 20_000

Analysis = Callable[[Source, Project, Sequence[Rule]], tuple[Finding, ...]]


class Status(enum.Enum):
    """What became of a file: looked at in full, passed over by the text prefilter, or not checkable."""

    CHECKED = "checked"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FileResult:
    """One file of a run. ``internal`` is set where the checker itself failed on it."""

    path: str
    file: Path
    status: Status
    findings: tuple[Finding, ...] = ()
    suppressed: int = 0
    internal: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """All files of a run, in order of discovery.

    ``baselined`` counts the findings that a baseline hides; ``notes`` are lines about the run as a whole.
    """

    results: tuple[FileResult, ...]
    baselined: int = 0
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all files."""
        return tuple(finding for result in self.results for finding in result.findings)

    @property
    def internal(self) -> bool:
        """Whether the checker itself failed somewhere."""
        return any(result.internal for result in self.results)

    def count(self, status: Status) -> int:
        """Number of files with a status."""
        return sum(result.status is status for result in self.results)

    def summary(self) -> str:
        """One line that says how much was found and what became of every file."""
        checked, skipped, failed = map(self.count, (Status.CHECKED, Status.SKIPPED, Status.FAILED))
        return summary(
            self.findings, checked=checked, skipped=skipped, failed=failed, baselined=self.baselined
        )


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
    with _deep_recursion():
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
) -> Run:
    """Check files that `discover` found.

    Args:
        targets: the files and their settings.
        overrides: what the command line says over the settings.
        jobs: as in `check_paths`.
        prefilter: as in `check_paths`.
        deadline: as in `check_paths`.
        baselines: hide the findings that the baselines in the settings list.

    Raises:
        ConfigError: the settings are not valid, or a baseline cannot be read.
    """
    # What is wrong in the settings must end the run before it starts.
    settings = {id(target.config): Settings.of(target.config, overrides) for target in _each_config(targets)}
    found = (
        {id(t.config): Baseline.of(t.config, overrides) for t in _each_config(targets)} if baselines else {}
    )
    start = functools.partial(Checker, analyse, tuple(targets), overrides, prefilter)
    if jobs == 0:
        check = start()
        try:
            run = Run(tuple(check(index) for index in range(len(targets))))
        finally:
            gc.unfreeze()
    else:
        outcomes = pool.run(start, len(targets), jobs or pool.available_cpus(), deadline)
        run = Run(
            tuple(
                _lost(target, outcome, deadline, settings[id(target.config)])
                if isinstance(outcome, pool.Lost)
                else outcome
                for target, outcome in zip(targets, outcomes, strict=True)
            )
        )
    return _without(run, targets, found, overrides) if any(found.values()) else run


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
        results.append(dataclasses.replace(result, findings=new))
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
    return Run(tuple(results), hidden, tuple(notes))


class Checker:
    """Checks targets one by one in one process; what imported files look like is remembered for a while."""

    def __init__(
        self, analysis: Analysis, targets: Sequence[Target], overrides: Overrides, prefilter: bool
    ) -> None:
        self._analyse = analysis
        self._targets = targets
        self._overrides = overrides
        self._prefilter = prefilter
        self._cwd = Path.cwd()
        self._sources: dict[Path, Source | None] = {}
        self._projects: dict[object, Project] = {}
        self._checked = 0  # bytes of source since these were empty
        self._settings: dict[int, Settings] = {}

    def __call__(self, index: int) -> FileResult:
        """Check one target. Never raises for what a file may hold."""
        target = self._targets[index]
        try:
            self._forget()
            with _deep_recursion(), _uncollected():
                return self._check_target(target)
        except Exception as error:
            finding = _own(
                "PS004", target.path, f"internal error: {_summary(error)}", "please report it with this file"
            )
            return FileResult(target.path, target.file, Status.FAILED, (finding,), internal=True)

    def _forget(self) -> None:
        """Start anew when much has been remembered.

        All of it goes at once: modules hold each other's values, and two copies of one module must not meet.
        What is imported again and again would be read again and again, were it most of what is remembered.
        """
        remembered = sum(project.size for project in self._projects.values())
        if remembered > KEPT and self._checked > remembered // 2:
            self._projects.clear()
            self._sources.clear()
            self._checked = 0
            gc.unfreeze()
            gc.collect()

    def _check_target(self, target: Target) -> FileResult:
        problem = target.problem
        raw = b""
        if not problem:
            try:
                raw = _raw(target)
            except UnreadableSourceError as error:
                problem = str(error)
        if not problem and self._prefilter and not self._matters(raw, target.config):
            return FileResult(target.path, target.file, Status.SKIPPED)
        if not problem:
            try:
                source = Source.from_bytes(raw, target.path, target.file)
            except UnreadableSourceError as error:
                problem = str(error)
        if problem:
            return self._result(
                target, [_own("PS003", target.path, f"cannot be read: {problem}")], target.config
            )
        return self.check(source, target.config)

    def check(self, source: Source, config: Config) -> FileResult:
        """Check one source that could be read."""
        target = Target(source.file or Path(source.path), source.path, config)
        if problem := bounds.problem(source.data):
            finding = _own("PS004", source.path, f"not parsed: {problem.message}", offset=problem.offset)
            return self._result(target, [finding], config)
        self._checked += len(source.data)
        settings = self._settings_of(config)
        chosen = settings.rules_in(target.file)
        suppressions = suppress.Suppressions(source)
        try:
            # A comment is judged by what all rules find, so that selecting a few makes no comment unused.
            rules = registry.rules() if suppressions.judge(chosen) else chosen
            findings = self._analyse(source, self._project_of(config), rules)
            if source.document is not None:
                findings = (*findings, *_problems(source))
        except SyntaxProblem as error:
            finding = _syntax_error(source, error)
            return self._result(target, [finding], config)
        except (RecursionError, MemoryError) as error:
            what = "deep" if isinstance(error, RecursionError) else "large"
            return self._result(target, [_own("PS004", source.path, f"too {what} to be checked")], config)
        return self._result(target, findings, config, source, suppressions)

    def _result(
        self,
        target: Target,
        found: Sequence[Finding],
        config: Config,
        source: Source | None = None,
        suppressions: suppress.Suppressions | None = None,
    ) -> FileResult:
        settings = self._settings_of(config)
        rules = settings.rules_in(target.file)
        codes = {rule.code for rule in rules}
        least = Confidence[config.min_confidence.upper()]
        if suppressions is not None:
            found = [*found, *suppressions.problems(found, rules)]
        kept = [finding for finding in found if finding.code in codes and finding.confidence >= least]
        shown = [each for each in kept if not (suppressions and suppressions.cover(each))]
        shown.sort(key=lambda finding: (finding.primary.span, finding.code))
        shown = [settings.applied(finding) for finding in shown]
        status = Status.CHECKED if source else Status.FAILED
        return FileResult(target.path, target.file, status, tuple(shown), len(kept) - len(shown))

    def _settings_of(self, config: Config) -> Settings:
        if id(config) not in self._settings:
            self._settings[id(config)] = Settings.of(config, self._overrides)
        return self._settings[id(config)]

    def _matters(self, raw: bytes, config: Config) -> bool:
        """Whether a file can have findings: it names JAX or its libraries, what the settings describe, or a
        rule in a comment that suppresses it."""
        described = {name.partition(".")[0].encode() for name, _ in config.signatures}
        named = mentions_jax(raw) or any(library in raw for library in described)
        return named or suppress.mentions_rules(raw)

    def _project_of(self, config: Config) -> Project:
        """The modules as files with these settings see them: a declaration holds for what they import, too."""
        settings = self._settings_of(config)
        key = settings.signatures, settings.is_test
        if key not in self._projects:
            self._projects[key] = Project(self._read, settings.signatures, settings.is_test)
        return self._projects[key]

    def _read(self, file: Path) -> Source | None:
        """An imported file, held to the same bounds as a checked one; None where it cannot be used."""
        if file not in self._sources:
            self._sources[file] = None
            with contextlib.suppress(UnreadableSourceError):
                target = Target(file, display_path(file, self._cwd), Config(file.parent))
                source = Source.from_bytes(_raw(target), target.path, file)
                self._sources[file] = None if bounds.problem(source.data) else source
        return self._sources[file]


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection meanwhile: syntax trees are large and free of cycles.

    Walking them again and again took a third of the time. What has cycles is remembered until `_forget`.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # what is left is remembered
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _deep_recursion() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, RECURSION_LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _raw(target: Target) -> bytes:
    if target.raw is not None:
        return target.raw
    try:
        mode = target.file.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe would wait for a writer
            raise UnreadableSourceError("is not a regular file")
        return target.file.read_bytes()
    except OSError as error:
        raise UnreadableSourceError(describe(error)) from error
    except ValueError as error:  # a null character in the name
        raise UnreadableSourceError(str(error)) from error


def _lost(target: Target, lost: pool.Lost, deadline: float, settings: Settings) -> FileResult:
    if lost.late:
        message = f"took longer than {deadline:g} s to check"
    else:
        message = f"ended the process that checked it ({lost.reason})"
    finding = _own("PS004", target.path, message, "list the file in `exclude` if it is generated")
    return FileResult(target.path, target.file, Status.FAILED, (settings.applied(finding),))


def _syntax_error(source: Source, error: SyntaxProblem) -> Finding:
    start = source.offset(error.line, error.column)
    if start == len(source.data):  # at the end of the file nothing is left to show: point at what came last
        start = max(0, len(source.data.rstrip()) - 1)
    label = Label(Span(start, start + 1), "", source.path)
    return Finding("PS001", source.path, f"cannot be parsed: {error.message}", label)


def _problems(source: Source) -> Iterator[Finding]:
    """One finding for each cell that cannot be parsed."""
    for offset, message in source.document.problems if source.document is not None else ():
        yield _own("PS001", source.path, f"cannot be parsed: {message}", offset=offset)


def _own(code: str, path: str, message: str, help: str = "", offset: int = 0) -> Finding:
    return Finding(code, path, message, Label(Span(offset, offset), "", path), help=help)


def _summary(error: Exception) -> str:
    """An exception and the innermost place it passed, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({'/'.join(Path(frames[-1].filename).parts[-2:])}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}".replace("\n", " ")
