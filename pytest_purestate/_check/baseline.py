"""A baseline: the findings that were there when a project began to use the checker.

It is a JSON file with one finding a line, by the fingerprints of `report.fingerprint`, which survive moved lines.
What it lists is hidden and counted. A file that could not be checked is never in it, because it must not pass in
silence.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from pytest_purestate._check.files import write_atomically
from pytest_purestate._check.model import Finding
from pytest_purestate._check.report.fingerprint import Fingerprints
from pytest_purestate._check.report.sources import Sources
from pytest_purestate._tomlfile import shown
from pytest_purestate.config import Config, ConfigError, Overrides

__all__ = ["Baseline", "write_baseline"]

VERSION = 1


class Baseline(Struct, frozen=True):
    """A baseline file: the file of each fingerprint in it."""

    file: Path
    entries: Mapping[str, Path]

    @classmethod
    def of(cls, config: Config, overrides: Overrides) -> Baseline | None:
        """The baseline that a configuration with the command line over it names.

        Raises:
            ConfigError: the file is not there or is no baseline; the text says why.
        """
        if config.baseline is None:
            return None
        file = config.root / config.baseline
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            message = f"no such baseline: {shown(file)}; `--write-baseline {shown(file)}` makes it"
            if overrides.baseline is not None:
                raise ConfigError(message) from error
            raise config.error("baseline", message) from error
        except OSError as error:
            raise ConfigError(f"cannot be read: {(error.strerror or str(error)).lower()}", file) from error
        except UnicodeDecodeError as error:
            raise ConfigError("not a baseline: it is not UTF-8 text", file) from error
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            message = f"not a baseline: {error.msg[:1].lower()}{error.msg[1:]}"
            raise ConfigError(message, file, error.lineno) from error
        except RecursionError as error:
            raise ConfigError("not a baseline: it is nested too deep", file) from error
        return cls(file, _entries(content, file))

    def stale(self, seen: Iterable[str], checked: set[Path]) -> int:
        """How many entries no longer occur: those of checked files that were not ``seen``, and of files that
        are gone."""
        left = set(self.entries) - set(seen)
        return sum(self.entries[each] in checked or not self.entries[each].exists() for each in left)


def write_baseline(
    file: Path, findings: Sequence[Finding], sources: Sources, files: Mapping[str, Path]
) -> None:
    """Write the findings; ``files`` says where their display paths lie.

    Raises:
        OSError: the file cannot be written.
    """
    fingerprints = Fingerprints(sources)
    base = file.absolute().parent
    rows = sorted(
        (os.path.relpath(files[f.path], base).replace(os.sep, "/"), f.code, fingerprints.of(f), f.message)
        for f in findings
    )
    lines = [
        json.dumps({"path": path, "code": code, "fingerprint": fingerprint, "message": message})
        for path, code, fingerprint, message in rows
    ]
    listed = "".join(f"\n  {line}," for line in lines).rstrip(",") + ("\n " if lines else "")
    write_atomically(file, f'{{\n "version": {VERSION},\n "findings": [{listed}]\n}}\n'.encode())


def _entries(content: object, file: Path) -> dict[str, Path]:
    if not isinstance(content, dict) or not isinstance(content.get("findings"), list):
        raise ConfigError("not a baseline: it has no list `findings`", file)
    if content.get("version") != VERSION:
        found = content.get("version")
        raise ConfigError(f"a baseline of version {VERSION} is needed, and this one has {found!r}", file)
    entries = {}
    for number, entry in enumerate(content["findings"], 1):
        fingerprint, path = (
            (entry.get("fingerprint"), entry.get("path")) if isinstance(entry, dict) else (None, None)
        )
        if not isinstance(fingerprint, str) or not isinstance(path, str):
            raise ConfigError(f"not a baseline: finding {number} has no `fingerprint` or no `path`", file)
        entries[fingerprint] = Path(os.path.normpath(file.absolute().parent / path))
    return entries
