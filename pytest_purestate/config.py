"""Settings from ``[tool.purestate]`` in pyproject.toml, or from purestate.toml; nearest file wins.

Standard library only: this is the one module that the static half and the plugin share. A field of
`Config` that `_option` makes IS a key of the file, so adding a key is adding a line there.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["DEFAULT_EXCLUDE", "Config", "ConfigError", "ConfigFinder", "Overrides", "load_config"]

DEFAULT_EXCLUDE = (
    ".bzr",
    ".direnv",
    ".eggs",
    ".git",
    ".git-rewrite",
    ".hg",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".nox",
    ".pants.d",
    ".pyenv",
    ".pytest_cache",
    ".pytype",
    ".ruff_cache",
    ".svn",
    ".tox",
    ".venv",
    ".vscode",
    "__pycache__",
    "__pypackages__",
    "_build",
    "buck-out",
    "build",
    "dist",
    "node_modules",
    "site-packages",
    "venv",
)
"""Names that discovery never enters unless ``exclude`` replaces the list."""

CONFIDENCES = ("high", "medium", "low")

_FILES = ("purestate.toml", "pyproject.toml")
_TABLE = re.compile(r"\s*\[\s*tool\s*\.\s*[\"']?purestate[\"']?\s*\]")


class ConfigError(Exception):
    """A setting that cannot be used. The text says where: ``pyproject.toml:12: unknown key ...``."""

    def __init__(self, message: str, file: Path | None = None, line: int = 0) -> None:
        where = f"{_shown(file)}:{line}: " if file and line else f"{_shown(file)}: " if file else ""
        super().__init__(where + message)
        self.message = message
        self.file = file
        self.line = line


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of strings")
    return tuple(value)


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _confidence(value: object) -> str:
    if value not in CONFIDENCES:
        raise ValueError('"high", "medium" or "low"')
    return str(value)


def _signatures(value: object, name: str = "") -> tuple[tuple[str, str], ...]:
    """A table of declarations; names written without quotes make tables of tables."""
    if isinstance(value, dict):
        prefix = f"{name}." if name else ""
        return tuple(pair for key, inner in value.items() for pair in _signatures(inner, prefix + key))
    if not name:
        raise ValueError("a table of names and signatures")
    if not isinstance(value, str):
        raise _EntryError(name, 'a string such as "consumes rng"')
    return ((name, value),)


class _EntryError(ValueError):
    """An entry of a table that holds a wrong value."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def _option(parse: Callable[[object], object], default: Any) -> Any:
    return field(default=default, metadata={"parse": parse})


@dataclass(frozen=True, slots=True)
class Config:
    """The settings for one file.

    ``root`` is the directory that path patterns are relative to: the one that holds the settings file,
    or the working directory where there is none.
    """

    root: Path
    file: Path | None = None
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    select: tuple[str, ...] | None = _option(_strings, None)
    ignore: tuple[str, ...] = _option(_strings, ())
    exclude: tuple[str, ...] = _option(_strings, DEFAULT_EXCLUDE)
    extend_exclude: tuple[str, ...] = _option(_strings, ())
    respect_gitignore: bool = _option(_boolean, True)
    min_confidence: str = _option(_confidence, "medium")
    signatures: tuple[tuple[str, str], ...] = _option(_signatures, ())

    def error(self, key: str, message: str) -> ConfigError:
        """A `ConfigError` that points at the line of ``key`` in the settings file."""
        return ConfigError(message, self.file, self.lines.get(key, 0))


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says over every settings file; None where it says nothing."""

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] | None = None
    extend_exclude: tuple[str, ...] = ()
    respect_gitignore: bool | None = None
    min_confidence: str | None = None

    def apply(self, config: Config) -> Config:
        """The settings with these over them; rule selection stays apart, because it is layered."""
        changes: dict[str, Any] = {}
        for key in ("exclude", "respect_gitignore", "min_confidence"):
            if (value := getattr(self, key)) is not None:
                changes[key] = value
        changes["extend_exclude"] = config.extend_exclude + self.extend_exclude
        return dataclasses.replace(config, **changes)


class ConfigFinder:
    """Finds the settings that hold for a directory; every directory is looked up once.

    Args:
        file: use this settings file for everything (``--config``).
        isolated: use no settings file at all (``--isolated``).
        overrides: command line values, laid over what is found.
    """

    def __init__(
        self, file: Path | None = None, isolated: bool = False, overrides: Overrides | None = None
    ) -> None:
        self.overrides = overrides or Overrides()
        self._found: dict[Path, Config] = {}
        self._fixed: Config | None = None
        if file is not None:
            self._fixed = self.overrides.apply(load_config(file))
        elif isolated:
            self._fixed = self.overrides.apply(Config(Path.cwd()))

    def of(self, directory: Path) -> Config:
        """The settings for files in an absolute directory.

        Raises:
            ConfigError: the nearest settings file is not valid.
        """
        if self._fixed is not None:
            return self._fixed
        if directory not in self._found:
            self._found[directory] = self._look_up(directory)
        return self._found[directory]

    def own(self, directory: Path) -> Config | None:
        """The settings that a settings file in this very directory holds, if there is one."""
        config = self.of(directory)
        return config if config.file is not None and config.file.parent == directory else None

    def _look_up(self, directory: Path) -> Config:
        for name in _FILES:
            file = directory / name
            if (table := _read(file)) is not None:
                return self.overrides.apply(_parse(table, file))
        if directory.parent == directory:
            return self.overrides.apply(Config(Path.cwd()))
        return self.of(directory.parent)


def load_config(file: Path) -> Config:
    """The settings in one named file.

    Raises:
        ConfigError: it cannot be read, is not TOML, or has a key or value that is not known.
    """
    file = file.absolute()
    if not file.is_file():
        raise ConfigError("no such settings file", file)
    table = _read(file, required=True)
    return _parse(table or {}, file)


def _read(file: Path, required: bool = False) -> dict[str, object] | None:
    """The settings table of a file; None where the file has none."""
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
        at = re.search(r" \(at line (\d+).*", str(error))
        message = str(error)[: at.start()] if at else str(error)
        raise ConfigError(
            f"not valid TOML: {message[:1].lower()}{message[1:]}", file, int(at[1]) if at else 0
        ) from error
    if not is_pyproject:
        return content
    tool = content.get("tool", {})
    table = tool.get("purestate") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError("`tool.purestate` must be a table", file, _line_of(raw.decode(), "purestate", True))
    return table


def _parse(table: dict[str, object], file: Path) -> Config:
    text = file.read_text(encoding="utf-8")
    options = {f.name.replace("_", "-"): f for f in dataclasses.fields(Config) if "parse" in f.metadata}
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key, value in table.items():
        line = _line_of(text, key, file.name == "pyproject.toml")
        if key not in options:
            near = difflib.get_close_matches(key.replace("_", "-").lower(), options, 1)
            hint = f", did you mean `{near[0]}`?" if near else f"; known keys: {', '.join(options)}"
            raise ConfigError(f"unknown key `{key}`{hint}", file, line)
        option = options[key]
        try:
            values[option.name] = option.metadata["parse"](value)
        except _EntryError as error:
            where = _line_of_entry(text, line, error.name)
            raise ConfigError(f"`{error.name}` must be {error}", file, where) from error
        except ValueError as error:
            raise ConfigError(f"`{key}` must be {error}", file, line) from error
        lines[option.name] = line
    for name, _ in values.get("signatures", ()):
        lines[f"signatures.{name}"] = _line_of_entry(text, lines["signatures"], name)
    return Config(root=file.parent, file=file, lines=lines, **values)


def _line_of(text: str, key: str, in_tool_table: bool) -> int:
    """1-based line of a key, found by a scan of the text (tomllib keeps no positions)."""
    assignment = re.compile(rf"\s*(tool\s*\.\s*purestate\s*\.\s*)?[\"']?{re.escape(key)}[\"']?\s*[=.]")
    subtable = re.compile(rf"\s*\[\s*tool\s*\.\s*purestate\s*\.\s*[\"']?{re.escape(key)}\b")
    header, inside = 0, not in_tool_table
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("["):
            inside = bool(_TABLE.match(line)) if in_tool_table else inside
            header = number if inside else header
        found = assignment.match(line)
        if found and (inside or found[1]):
            return number
        if in_tool_table and subtable.match(line):
            return number
    return header or 1


def _line_of_entry(text: str, start: int, name: str) -> int:
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


def _shown(file: Path | None) -> str:
    """A path as the user knows it: relative to the working directory where it lies inside."""
    if file is None:
        return ""
    try:
        return str(file.relative_to(Path.cwd()))
    except ValueError:
        return str(file)
