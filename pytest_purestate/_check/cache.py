"""Results of earlier runs, known again by content.

A result holds as long as all that it rests on is as it was: the text of the file, the texts of the files of the project
that it imports (directly or through others), the modules that it looked for in vain, the settings, and the checker. So a
changed helper has its callers checked again, and nothing else.

All results of a project are one JSON file, which is replaced as a whole: two runs at a time may lose some of each
other's results, and never harm them. What cannot be read is as good as none.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_purestate._check.discovery import Target
from pytest_purestate._check.files import write_atomically
from pytest_purestate._check.model import (
    Applicability,
    Confidence,
    Edit,
    Finding,
    Fix,
    Label,
    Severity,
    Span,
)
from pytest_purestate._check.outcome import FileResult, Status, Trace, digest
from pytest_purestate._check.source import describe
from pytest_purestate.config import Overrides

__all__ = ["FOLDER", "Cache", "clean", "folder_of"]

FOLDER = ".purestate_cache"
_NAME = "results.json"
_TAG = "CACHEDIR.TAG"
_TAG_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This directory holds results of purestate. See https://bford.info/cachedir/\n"
)


def folder_of(targets: Sequence[Target], given: Path | None) -> Path:
    """Where results are kept: what is given, ``PURESTATE_CACHE_DIR``, or a folder beside the settings."""
    named = given or os.environ.get("PURESTATE_CACHE_DIR")
    if named:
        return Path(named).absolute()
    config = targets[0].config if targets else None
    root = config.root if config is not None and config.file is not None else Path.cwd()
    return root / FOLDER


class Cache:
    """The results in one folder. `get` and `put` while a run goes on, `close` at its end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / _NAME
        self._checker = _checker()
        self._known: dict[str, Any] = self._load()
        self._new: dict[str, Any] = {}
        self._digests: dict[str, str] = {}
        self._settings: dict[int, str] = {}

    def get(self, target: Target, overrides: Overrides, raw: bytes) -> FileResult | None:
        """The result for a file with these contents, None where it is not known or does not hold any more."""
        entry = self._known.get(self._key(target, overrides))
        if entry is None:
            return None
        try:
            if entry["digest"] != digest(raw):
                return None
            if any(self._digest(file) != known for file, known in entry["files"]):
                return None
            from pytest_purestate._check.resolve import find_module

            if any(find_module(Path(importer), name) is not None for importer, name in entry["missing"]):
                return None
            return _result(entry, target)
        except (KeyError, TypeError, ValueError, AttributeError):  # not what we wrote
            return None

    def put(self, target: Target, overrides: Overrides, result: FileResult) -> None:
        """Keep a result, if it can hold."""
        if result.trace is not None and result.status is not Status.FAILED and not result.internal:
            self._new[self._key(target, overrides)] = _entry(result, result.trace)

    def close(self) -> list[str]:
        """Write what is new; a line for the user where that is not possible."""
        if not self._new:
            return []
        known = {**self._load(), **self._new}
        kept = {key: entry for key, entry in known.items() if Path(key.partition("\n")[2]).exists()}
        text = json.dumps({"checker": self._checker, "results": kept}, separators=(",", ":"))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name, content in ((_TAG, _TAG_TEXT), (".gitignore", "*\n")):
                if not (self._folder / name).exists():
                    (self._folder / name).write_text(content, encoding="utf-8")
            write_atomically(self._file, text.encode())
        except OSError as error:
            return [f"the cache cannot be written: {self._folder}: {describe(error)}"]
        return []

    def _key(self, target: Target, overrides: Overrides) -> str:
        """The settings and the file."""
        known = id(target.config)
        if known not in self._settings:
            text = repr((target.config, overrides))
            self._settings[known] = digest(text.encode("utf-8", "backslashreplace"))[:16]
        return f"{self._settings[known]} {target.path}\n{target.file}"

    def _digest(self, file: str) -> str:
        if file not in self._digests:
            self._digests[file] = ""
            with contextlib.suppress(OSError, ValueError):
                self._digests[file] = digest(Path(file).read_bytes())
        return self._digests[file]

    def _load(self) -> dict[str, Any]:
        """The results on disk, none where they are another checker's or cannot be read."""
        try:
            content = json.loads(self._file.read_bytes())
            results = content["results"] if content["checker"] == self._checker else {}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return {}
        return results if isinstance(results, dict) else {}


def clean(folder: Path) -> bool:
    """Remove a folder of results; whether there was one. Any other folder is left alone."""
    if not (folder / _TAG).is_file() and not (folder / _NAME).is_file():
        return False
    shutil.rmtree(folder)
    return True


def _checker() -> str:
    """The checker that gives the results: its files, by name, size and time, and the Python that runs it."""
    package = Path(__file__).parents[1]
    parts = [sys.version, str(package)]
    for directory, names, files in os.walk(package):
        names.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                status = (Path(directory) / name).stat()
                parts.append(f"{directory}/{name} {status.st_size} {status.st_mtime_ns}")
    return digest("\n".join(parts).encode("utf-8", "backslashreplace"))


# --- results as JSON -------------------------------------------------------------------------


def _entry(result: FileResult, trace: Trace) -> dict[str, Any]:
    return {
        "digest": trace.digest,
        "files": trace.files,
        "missing": trace.missing,
        "suppressed": result.suppressed,
        "findings": [_to_json(finding) for finding in result.findings],
    }


def _result(entry: Mapping[str, Any], target: Target) -> FileResult:
    findings = tuple(_from_json(found) for found in entry["findings"])
    return FileResult(target.path, target.file, Status.CHECKED, findings, int(entry["suppressed"]))


def _to_json(finding: Finding) -> dict[str, Any]:
    fix = finding.fix
    return {
        "code": finding.code,
        "path": finding.path,
        "message": finding.message,
        "primary": _of_label(finding.primary),
        "related": [_of_label(label) for label in finding.related],
        "help": finding.help,
        "confidence": finding.confidence.name,
        "fix": None
        if fix is None
        else [
            fix.title,
            fix.applicability.value,
            [[edit.span.start, edit.span.end, edit.replacement] for edit in fix.edits],
        ],
        "scope": finding.scope,
        "severity": finding.severity.value if finding.severity is not None else None,
    }


def _of_label(label: Label) -> list[Any]:
    return [label.span.start, label.span.end, label.text, label.path]


def _from_json(found: Mapping[str, Any]) -> Finding:
    fix = found["fix"]
    return Finding(
        code=found["code"],
        path=found["path"],
        message=found["message"],
        primary=_label(found["primary"]),
        related=tuple(map(_label, found["related"])),
        help=found["help"],
        confidence=Confidence[found["confidence"]],
        fix=None
        if fix is None
        else Fix(
            fix[0],
            tuple(Edit(Span(start, end), text) for start, end, text in fix[2]),
            Applicability(fix[1]),
        ),
        scope=found["scope"],
        severity=Severity(found["severity"]) if found["severity"] is not None else None,
    )


def _label(parts: Sequence[Any]) -> Label:
    start, end, text, path = parts
    return Label(Span(start, end), text, path)
