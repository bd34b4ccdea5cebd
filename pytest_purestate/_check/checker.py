"""Checks files one by one in one process.

The analysis is imported when the first file needs it: a run that finds all results in its cache does without.
"""

from __future__ import annotations

import contextlib
import gc
import stat
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from msgspec import structs

from pytest_purestate._check import bounds, registry, suppress
from pytest_purestate._check.discovery import Target, display_path, mentions_jax
from pytest_purestate._check.model import Confidence, Finding, Label, Rule, Span
from pytest_purestate._check.outcome import FileResult, Status, Trace, digest
from pytest_purestate._check.settings import Settings
from pytest_purestate._check.source import Source, UnreadableSourceError, describe
from pytest_purestate.config import Config, Overrides

if TYPE_CHECKING:
    from pytest_purestate._check.analysis import Project
    from pytest_purestate._check.lower import SyntaxProblem

__all__ = ["Analysis", "Checker", "deep_recursion", "matters", "own_finding", "raw_of"]

KEPT = 6_000_000
"""Bytes of source that a process remembers; what it knows of them takes some thirty times as much."""

RECURSION_LIMIT = 20_000


Analysis: TypeAlias = "Callable[[Source, Project, Sequence[Rule]], tuple[Finding, ...]]"


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
        self._digests: dict[Path, str] = {}

    def __call__(self, index: int) -> FileResult:
        """Check one target. Never raises for what a file may hold."""
        target = self._targets[index]
        return self._guarded(target, lambda: self._check_target(target))

    def guarded(self, source: Source, target: Target) -> FileResult:
        """Check one source that could be read. Never raises for what it may hold."""
        return self._guarded(target, lambda: self.check(source, target.config))

    def _guarded(self, target: Target, check: Callable[[], FileResult]) -> FileResult:
        try:
            self._forget()
            with deep_recursion(), _uncollected():
                return check()
        except Exception as error:
            finding = own_finding(
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
            self._digests.clear()
            self._checked = 0
            gc.unfreeze()
            gc.collect()

    def _check_target(self, target: Target) -> FileResult:
        problem = target.problem
        raw = b""
        if not problem:
            try:
                raw = raw_of(target)
            except UnreadableSourceError as error:
                problem = str(error)
        if not problem and self._prefilter and not matters(raw, target.config):
            return FileResult(target.path, target.file, Status.SKIPPED)
        if not problem:
            try:
                source = Source.from_bytes(raw, target.path, target.file)
            except UnreadableSourceError as error:
                problem = str(error)
        if problem:
            return self._result(
                target, [own_finding("PS003", target.path, f"cannot be read: {problem}")], target.config
            )
        self._digests[target.file] = digest(raw)
        result = self.check(source, target.config)
        return structs.replace(result, trace=self._trace(source, target.config))

    def _trace(self, source: Source, config: Config) -> Trace | None:
        """What the result for a file on disk rests on."""
        if source.file is None:
            return None
        files, missing = self._project_of(config).dependencies(source.file)
        return Trace(
            self._digests[source.file],
            tuple(sorted((str(file), self._digests.get(file, "")) for file in files)),
            tuple(sorted({(str(importer), name) for importer, name in missing})),
        )

    def check(self, source: Source, config: Config) -> FileResult:
        """Check one source that could be read."""
        target = Target(source.file or Path(source.path), source.path, config)
        if problem := bounds.problem(source.data):
            finding = own_finding(
                "PS004", source.path, f"not parsed: {problem.message}", offset=problem.offset
            )
            return self._result(target, [finding], config)
        self._checked += len(source.data)
        from pytest_purestate._check.lower import SyntaxProblem

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
            return self._result(
                target, [own_finding("PS004", source.path, f"too {what} to be checked")], config
            )
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

    def _project_of(self, config: Config) -> Project:
        """The modules as files with these settings see them: a declaration holds for what they import, too."""
        settings = self._settings_of(config)
        key = settings.signatures, settings.is_test
        if key not in self._projects:
            from pytest_purestate._check.analysis import Project

            self._projects[key] = Project(self._read, settings.signatures, settings.is_test)
        return self._projects[key]

    def _read(self, file: Path) -> Source | None:
        """An imported file, held to the same bounds as a checked one; None where it cannot be used."""
        if file not in self._sources:
            self._sources[file] = None
            with contextlib.suppress(UnreadableSourceError):
                target = Target(file, display_path(file, self._cwd), Config(file.parent))
                raw = raw_of(target)
                self._digests[file] = digest(raw)
                source = Source.from_bytes(raw, target.path, file)
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
def deep_recursion() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, RECURSION_LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def raw_of(target: Target) -> bytes:
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


def _syntax_error(source: Source, error: SyntaxProblem) -> Finding:
    start = source.offset(error.line, error.column)
    if start == len(source.data):  # at the end of the file nothing is left to show: point at what came last
        start = max(0, len(source.data.rstrip()) - 1)
    label = Label(Span(start, start + 1), "", source.path)
    return Finding("PS001", source.path, f"cannot be parsed: {error.message}", label)


def _problems(source: Source) -> Iterator[Finding]:
    """One finding for each cell that cannot be parsed."""
    for offset, message in source.document.problems if source.document is not None else ():
        yield own_finding("PS001", source.path, f"cannot be parsed: {message}", offset=offset)


def own_finding(code: str, path: str, message: str, help: str = "", offset: int = 0) -> Finding:
    return Finding(code, path, message, Label(Span(offset, offset), "", path), help=help)


def _summary(error: Exception) -> str:
    """An exception and the innermost place it passed, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({'/'.join(Path(frames[-1].filename).parts[-2:])}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}".replace("\n", " ")


def matters(raw: bytes, config: Config) -> bool:
    """Whether a file can have findings: it names JAX or its libraries, what the settings describe, or a rule in a
    comment that suppresses it."""
    described = {name.partition(".")[0].encode() for name, _ in config.signatures}
    named = mentions_jax(raw) or any(library in raw for library in described)
    return named or suppress.mentions_rules(raw)
