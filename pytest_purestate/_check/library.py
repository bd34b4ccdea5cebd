"""The checker as a library: `check_source` and `check_paths`, with findings whose places are lines and columns.

What they give has the names and the meaning of the JSON report, as frozen dataclasses. Neither JAX nor pytest is
imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_purestate._check import engine
from pytest_purestate._check.model import Finding
from pytest_purestate._check.registry import rules_by_code
from pytest_purestate._check.report.json import EditObject, FindingObject, FixObject, to_objects
from pytest_purestate._check.report.sources import Sources
from pytest_purestate._check.source import Source, UnreadableSourceError
from pytest_purestate.config import Config, ConfigFinder, Overrides

__all__ = [
    "CheckReport",
    "Diagnostic",
    "DiagnosticEdit",
    "DiagnosticFix",
    "RelatedPlace",
    "check_paths",
    "check_source",
]


@dataclass(frozen=True, slots=True)
class RelatedPlace:
    """A second place of a finding, and what happens there. ``line`` and ``column`` are 1-based."""

    path: str
    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class DiagnosticEdit:
    """Replace a range, whose end is left out, by ``replacement``. Lines and columns are 1-based."""

    line: int
    column: int
    end_line: int
    end_column: int
    replacement: str


@dataclass(frozen=True, slots=True)
class DiagnosticFix:
    """Edits which together repair a finding. ``applicability`` is ``safe``, ``unsafe`` or ``display-only``."""

    title: str
    applicability: str
    edits: tuple[DiagnosticEdit, ...]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    ``code`` and ``name`` are the rule's (``PS101``, ``key-reuse``). Lines and columns are 1-based, columns count code
    points, and the end is left out. ``confidence`` is ``high``, ``medium`` or ``low``, ``severity`` is ``error``,
    ``warning`` or ``info``. ``cell`` is the code cell of a notebook, else None. ``fingerprint`` stays the same when
    lines move. ``fix`` is None where there is none.
    """

    code: str
    name: str
    message: str
    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    confidence: str
    severity: str
    related: tuple[RelatedPlace, ...]
    help: str
    fix: DiagnosticFix | None
    cell: int | None
    fingerprint: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check_paths` found, in order of files and places.

    ``checked``, ``skipped`` (they never mention JAX) and ``failed`` (they could not be checked; the findings say why)
    count files; ``baselined`` counts findings that a baseline hides. ``summary`` says all of it in a line.
    """

    findings: tuple[Diagnostic, ...]
    checked: int
    skipped: int
    failed: int
    baselined: int
    summary: str


def check_source(
    source: str,
    path: str | os.PathLike[str] = "<text>",
    *,
    config: str | os.PathLike[str] | None = None,
    select: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
) -> list[Diagnostic]:
    """Check one text.

    Args:
        source: Python source text.
        path: the name that findings bear. If there is such a file, or its folder, imports are followed from there;
            the text is what is checked, whatever the file holds.
        config: the settings file, ``pyproject.toml`` or ``purestate.toml``; without one the rules and settings are the
            defaults.
        select: codes, prefixes or names of the rules to use, over the settings.
        ignore: those not to use.

    Returns:
        The findings, in the order of the text. Text that is not Python gives one finding (``PS001``) that says so.

    Raises:
        ConfigError: the settings are not valid, or a rule is not known; a `ValueError`.
        ValueError: the text has null characters or lone surrogates.

    >>> code = "import jax\\nkey = jax.random.key(0)\\na = jax.random.normal(key)\\nb = jax.random.normal(key)\\n"
    >>> [(finding.code, finding.line, finding.column) for finding in check_source(code)]
    [('PS101', 4, 23)]
    """
    name = os.fspath(path)
    file = Path(name).absolute()
    here = file if file.parent.is_dir() and name != "<text>" else None
    try:
        text = Source.from_text(source, name, here)
    except UnreadableSourceError as error:
        raise ValueError(f"{name}: {error}") from error
    finder = ConfigFinder(Path(config) if config is not None else None)
    settings = finder.of(file.parent) if config is not None else Config(file.parent)
    overrides = Overrides(select=tuple(select) if select is not None else None, ignore=tuple(ignore))
    found = engine.check_source(text, config=settings, overrides=overrides)
    return list(_diagnostics(found, Sources(texts={name: text.to_bytes()})))


def check_paths(
    paths: Iterable[str | os.PathLike[str]],
    *,
    config: str | os.PathLike[str] | None = None,
    select: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    jobs: int | None = None,
) -> CheckReport:
    """Check files and directories, as ``purestate check`` does.

    Args:
        paths: files, which are always checked, and directories, which are walked.
        config: the settings file for everything; without one the nearest to each file counts.
        select: codes, prefixes or names of the rules to use, over the settings.
        ignore: those not to use.
        jobs: worker processes; None for one a CPU, 0 for none, without their protection against a file that
            crashes or takes too long.

    Raises:
        MissingPathError: one of the paths does not exist; a `FileNotFoundError`.
        ConfigError: settings are not valid, or a rule is not known; a `ValueError`.
    """
    overrides = Overrides(select=tuple(select) if select is not None else None, ignore=tuple(ignore))
    finder = ConfigFinder(Path(config) if config is not None else None, overrides=overrides)
    run = engine.check_paths([Path(path) for path in paths], finder, jobs=jobs)
    sources = Sources({result.path: result.file for result in run.results})
    return CheckReport(
        findings=tuple(_diagnostics(run.findings, sources)),
        checked=run.count(engine.Status.CHECKED),
        skipped=run.count(engine.Status.SKIPPED),
        failed=run.count(engine.Status.FAILED),
        baselined=run.baselined,
        summary=run.summary(),
    )


def _diagnostics(findings: Iterable[Finding], sources: Sources) -> Iterable[Diagnostic]:
    return map(_diagnostic, to_objects(findings, rules_by_code(), sources))


def _diagnostic(found: FindingObject) -> Diagnostic:
    fix = found["fix"]
    related = tuple(RelatedPlace(**place) for place in found["related"])
    return Diagnostic(**{**found, "related": related, "fix": _fix(fix) if fix is not None else None})  # type: ignore[arg-type]


def _fix(found: FixObject) -> DiagnosticFix:
    return DiagnosticFix(found["title"], found["applicability"], tuple(map(_edit, found["edits"])))


def _edit(found: EditObject) -> DiagnosticEdit:
    return DiagnosticEdit(**found)
