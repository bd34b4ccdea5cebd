"""Settings files as TOML: the table that is ours, and the lines of its keys.

`tomllib` keeps no positions, so a key's line is found by a scan of the text. Standard library only.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

__all__ = ["ConfigError", "inline_table", "line_of", "line_of_entry", "read_table"]

_TABLE = re.compile(r"\s*\[\s*tool\s*\.\s*[\"']?purestate[\"']?\s*\]")


class ConfigError(ValueError):
    """A setting that cannot be used. The text says where: ``pyproject.toml:12: unknown key ...``."""

    def __init__(self, message: str, file: Path | None = None, line: int = 0) -> None:
        where = f"{shown(file)}:{line}: " if file and line else f"{shown(file)}: " if file else ""
        super().__init__(where + message)
        self.message = message
        self.file = file
        self.line = line


def shown(file: Path | None) -> str:
    """A path as the user knows it: relative to the working directory where it lies inside."""
    if file is None:
        return ""
    try:
        return str(file.relative_to(Path.cwd()))
    except ValueError:
        return str(file)


def read_table(file: Path, required: bool = False) -> dict[str, object] | None:
    """The settings table of a file; None where the file has none.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    try:
        raw = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"cannot be read: {(error.strerror or str(error)).lower()}", file) from error
    is_pyproject = file.name == "pyproject.toml"
    if is_pyproject and b"purestate" not in raw and not required:
        return None  # another tool's file; whether it is valid is not ours to say
    try:
        content = tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text", file, raw.count(b"\n", 0, error.start) + 1) from error
    except tomllib.TOMLDecodeError as error:
        message, line = _reason(error)
        raise ConfigError(f"not valid TOML: {message}", file, line) from error
    if not is_pyproject:
        return content
    tool = content.get("tool", {})
    table = tool.get("purestate") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError("`tool.purestate` must be a table", file, line_of(raw.decode(), "purestate", True))
    return table


def inline_table(text: str) -> dict[str, object]:
    """The settings in a ``KEY = VALUE`` of the command line.

    Raises:
        ConfigError: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"--config `{text}` is neither a settings file nor TOML of the form `KEY = VALUE`: "
            f"{_reason(error)[0]}"
        ) from error


def line_of(text: str, key: str, in_tool_table: bool) -> int:
    """1-based line of a key, found by a scan of the text."""
    assignment = re.compile(rf"\s*(tool\s*\.\s*purestate\s*\.\s*)?[\"']?{re.escape(key)}[\"']?\s*[=.]")
    own = r"tool\s*\.\s*purestate\s*\.\s*" if in_tool_table else ""
    subtable = re.compile(rf"\s*\[\s*{own}[\"']?{re.escape(key)}[\"']?\s*[\].]")
    header, inside = 0, not in_tool_table
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("["):
            inside = bool(_TABLE.match(line)) if in_tool_table else inside
            header = number if inside else header
        found = assignment.match(line)
        if found and (inside or found[1]):
            return number
        if subtable.match(line):
            return number
    return header or 1


def line_of_entry(text: str, start: int, name: str) -> int:
    """1-based line of an entry of the table whose key or header is on line ``start``."""
    lines = text.split("\n")
    parts = name.split(".")
    for used in range(len(parts)):  # a header may spell the first parts of the name
        spelled = r"[\"']?\s*\.\s*[\"']?".join(re.escape(part) for part in parts[used:])
        entry = re.compile(rf"(.*[\s{{,.])?[\"']?{spelled}[\"']?\s*=")
        for number, line in enumerate(lines[start - 1 :], start):
            if entry.match(line):
                return number
    return start


def _reason(error: tomllib.TOMLDecodeError) -> tuple[str, int]:
    at = re.search(r" \(at line (\d+).*", str(error))
    message = str(error)[: at.start()] if at else str(error)
    return message[:1].lower() + message[1:], int(at[1]) if at else 0
