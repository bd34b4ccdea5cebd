"""Settings from ``[tool.purestate]`` in pyproject.toml, or from purestate.toml; nearest file wins.

Standard library only: this is the one module that the static half and the plugin share. A field of
`Config` that `_option` makes IS a key of the file, so adding a key is adding a line there.

A file may ``extend`` another, ``--config KEY=VALUE`` lies over both, and the command line's own options over
all (`Overrides`). What is chosen by rule (``select``, ``ignore``, ``fixable``, ...) stays in layers, because the
most specific prefix wins inside a layer and a later layer over an earlier one; every other key has one value.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_purestate._tomlfile import (
    ConfigError,
    inline_table,
    line_of,
    line_of_entry,
    read_table,
    shown,
)

__all__ = [
    "DEFAULT_EXCLUDE",
    "DEFAULT_TEST_FILES",
    "Config",
    "ConfigError",
    "ConfigFinder",
    "Overrides",
    "Place",
    "load_config",
    "option_names",
]

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

DEFAULT_TEST_FILES = (
    "test_*.py",
    "test_*.pyi",
    "*_test.py",
    "*_test.pyi",
    "conftest.py",
    "conftest.pyi",
)
"""Files whose own functions are tests: they may replay a key, and much in them is reported with less confidence."""

CONFIDENCES = ("high", "medium", "low")
SEVERITIES = ("error", "warning", "info")

_FILES = ("purestate.toml", "pyproject.toml")


def _string(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a string")
    return value


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
        raise ValueError('"high", "medium" or "low"' + _did_you_mean(value, CONFIDENCES))
    return str(value)


def _signatures(value: object) -> tuple[tuple[str, str], ...]:
    return _entries(value, str, "a table of names and signatures", 'a string such as "consumes rng"')


def _severities(value: object) -> tuple[tuple[str, str], ...]:
    found = _entries(value, str, "a table of rules and severities", 'one of "error", "warning" and "info"')
    for name, level in found:
        if level not in SEVERITIES:
            hint = _did_you_mean(level, SEVERITIES)
            raise _EntryError(name, f'"error", "warning" or "info"{hint}')
    return found


def _file_rules(value: object) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found = _entries(value, list, "a table of patterns and lists of rules", "a list of strings")
    for name, codes in found:
        if not all(isinstance(code, str) for code in codes):
            raise _EntryError(name, "a list of strings")
    return tuple((name, tuple(codes)) for name, codes in found)


def _entries(
    value: object, kind: type, wanted: str, inner: str, name: str = ""
) -> tuple[tuple[str, Any], ...]:
    """The entries of a table; names written without quotes make tables of tables."""
    if isinstance(value, dict):
        prefix = f"{name}." if name else ""
        return tuple(
            pair
            for key, below in value.items()
            for pair in _entries(below, kind, wanted, inner, prefix + key)
        )
    if not name:
        raise ValueError(wanted)
    if not isinstance(value, kind):
        raise _EntryError(name, inner)
    return ((name, value),)


class _EntryError(ValueError):
    """An entry of a table that holds a wrong value."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class _Merge(enum.Enum):
    """What becomes of a key that two layers set."""

    REPLACE = enum.auto()  # the later one holds
    ADD = enum.auto()  # both hold
    TABLE = enum.auto()  # entry by entry, the later one holds
    LAYER = enum.auto()  # each layer keeps its own (see `Config.layers`)


_TABLES = ("signatures", "severity", "per_file_ignores", "extend_per_file_ignores")


def _option(
    parse: Callable[[object], object], default: Any, merge: _Merge = _Merge.REPLACE, paths: bool = False
) -> Any:
    return field(default=default, metadata={"parse": parse, "merge": merge, "paths": paths})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a setting stands; without a file, in a ``--config`` of the command line."""

    file: Path | None
    line: int

    def __str__(self) -> str:
        return f"{shown(self.file)}:{self.line}" if self.file else "--config"


@dataclass(frozen=True, slots=True)
class Config:
    """The settings for one file.

    ``root`` is the directory that path patterns are relative to: the one that holds the settings file,
    or the working directory where there is none. ``base`` are the settings that these lie over, and
    ``places`` says where these themselves stand.
    """

    root: Path
    file: Path | None = None
    base: Config | None = None
    places: Mapping[str, Place] = field(default_factory=dict, compare=False, repr=False)

    extend: str | None = _option(_string, None, _Merge.LAYER)
    select: tuple[str, ...] | None = _option(_strings, None, _Merge.LAYER)
    extend_select: tuple[str, ...] = _option(_strings, (), _Merge.LAYER)
    ignore: tuple[str, ...] = _option(_strings, (), _Merge.LAYER)
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = _option(_file_rules, (), paths=True)
    extend_per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = _option(
        _file_rules, (), _Merge.ADD, paths=True
    )
    fixable: tuple[str, ...] | None = _option(_strings, None, _Merge.LAYER)
    extend_fixable: tuple[str, ...] = _option(_strings, (), _Merge.LAYER)
    unfixable: tuple[str, ...] = _option(_strings, (), _Merge.LAYER)
    extend_include: tuple[str, ...] = _option(_strings, (), _Merge.ADD, paths=True)
    exclude: tuple[str, ...] = _option(_strings, DEFAULT_EXCLUDE, paths=True)
    extend_exclude: tuple[str, ...] = _option(_strings, (), _Merge.ADD, paths=True)
    force_exclude: bool = _option(_boolean, False)
    respect_gitignore: bool = _option(_boolean, True)
    min_confidence: str = _option(_confidence, "medium")
    severity: tuple[tuple[str, str], ...] = _option(_severities, (), _Merge.TABLE)
    test_files: tuple[str, ...] = _option(_strings, DEFAULT_TEST_FILES, paths=True)
    baseline: str | None = _option(_string, None)
    signatures: tuple[tuple[str, str], ...] = _option(_signatures, (), _Merge.TABLE)

    @property
    def layers(self) -> tuple[Config, ...]:
        """What these settings were made of, the ones that others lie over first."""
        return (*(self.base.layers if self.base else ()), self)

    def place(self, key: str) -> Place | None:
        """Where a key (``ignore``) or an entry of a table (``severity.PS1``) is set; None where it is not."""
        if key in self.places:
            return self.places[key]
        return self.base.place(key) if self.base else None

    def error(self, key: str, message: str) -> ConfigError:
        """A `ConfigError` that points at the line of a key, or of an entry of a table."""
        place = self.place(key) or self.place(key.partition(".")[0])
        if place is None:
            return ConfigError(message, self.file)
        if place.file is None:
            return ConfigError(f"--config: {message}")
        return ConfigError(message, place.file, place.line)


def option_names() -> dict[str, str]:
    """The keys of a settings file, and the fields of `Config` that hold them."""
    return {f.name.replace("_", "-"): f.name for f in dataclasses.fields(Config) if "parse" in f.metadata}


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says over every settings file; None where it says nothing.

    Path patterns in here are absolute, or names.
    """

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] | None = None
    extend_exclude: tuple[str, ...] = ()
    respect_gitignore: bool | None = None
    min_confidence: str | None = None
    fixable: tuple[str, ...] | None = None
    extend_fixable: tuple[str, ...] = ()
    unfixable: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    extend_per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    force_exclude: bool | None = None
    baseline: str | None = None

    @property
    def narrow(self) -> bool:
        """Whether fewer findings may be shown than the settings files ask for."""
        narrowing = ("select", "ignore", "min_confidence", "per_file_ignores", "extend_per_file_ignores")
        return any(getattr(self, name) for name in narrowing)

    def apply(self, config: Config) -> Config:
        """The settings with these over them; what is chosen by rule stays apart, because it is layered."""
        changes: dict[str, Any] = {}
        for option in dataclasses.fields(Config):
            merge, value = option.metadata.get("merge"), getattr(self, option.name, None)
            if merge is _Merge.REPLACE and value is not None:
                changes[option.name] = value
            elif merge is _Merge.ADD and value:
                changes[option.name] = getattr(config, option.name) + value
        return dataclasses.replace(config, **changes) if changes else config


class ConfigFinder:
    """Finds the settings that hold for a directory; every directory is looked up once.

    Args:
        file: use this settings file for everything (``--config FILE``).
        isolated: use no settings file at all (``--isolated``).
        overrides: command line values, laid over what is found.
        inline: settings as TOML, laid over what is found, below ``overrides`` (``--config KEY=VALUE``).

    Raises:
        ConfigError: one of the settings given here is not valid.
    """

    def __init__(
        self,
        file: Path | None = None,
        isolated: bool = False,
        overrides: Overrides | None = None,
        inline: Sequence[str] = (),
    ) -> None:
        self.overrides = overrides or Overrides()
        self._inline = [_parse(inline_table(text), None, text) for text in inline]
        self._found: dict[Path, Config] = {}
        self._fixed: Config | None = None
        if file is not None:
            self._fixed = self._laid_over(load_config(file))
        elif isolated:
            self._fixed = self._laid_over(Config(Path.cwd()))

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
            if (table := read_table(file)) is not None:
                return self._laid_over(_resolved(table, file, ()))
        if directory.parent == directory:
            return self._laid_over(Config(Path.cwd()))
        return self.of(directory.parent)

    def _laid_over(self, config: Config) -> Config:
        for over in self._inline:
            config = _over(over, config)
        return self.overrides.apply(config)


def load_config(file: Path) -> Config:
    """The settings in one named file, with those that it extends.

    Raises:
        ConfigError: a file cannot be read, is not TOML, or has a key or value that is not known.
    """
    file = file.absolute()
    if not file.is_file():
        raise ConfigError("no such settings file", file)
    return _resolved(read_table(file, required=True) or {}, file, ())


def _resolved(table: dict[str, object], file: Path, below: tuple[Path, ...]) -> Config:
    """The settings of a file over those that it extends; ``below`` are the files that led here."""
    own = _parse(table, file, file.read_text(encoding="utf-8"))
    if own.extend is None:
        return own
    chain = (*below, file.resolve())
    try:
        base = (file.parent / Path(own.extend).expanduser()).resolve()
    except RuntimeError as error:  # the home of a user that is not there
        raise own.error("extend", f"`extend`: {error}") from error
    if base in chain:
        names = " -> ".join(shown(each) for each in (*chain[chain.index(base) :], base))
        raise own.error("extend", f"`extend` goes in a circle: {names}")
    if not base.is_file():
        raise own.error("extend", f"`extend`: no such settings file: {own.extend}")
    return _over(own, _resolved(read_table(base, required=True) or {}, base, chain))


def _parse(table: dict[str, object], file: Path | None, text: str) -> Config:
    """The settings of one table; without a file it is from the command line."""
    options = {f.name.replace("_", "-"): f for f in dataclasses.fields(Config) if "parse" in f.metadata}
    if file is None:
        del options["extend"]
    values: dict[str, Any] = {}
    places: dict[str, Place] = {}
    where = Config(Path(), file, places=places)
    for key, value in table.items():
        name = key.replace("-", "_")
        line = line_of(text, key, file is not None and file.name == "pyproject.toml")
        places[name] = Place(file, line)
        if key not in options:
            near = difflib.get_close_matches(key.replace("_", "-").lower(), options, 1)
            hint = f", did you mean `{near[0]}`?" if near else f"; known keys: {', '.join(options)}"
            if key == "tool":  # as in pyproject.toml
                hint = "; outside pyproject.toml the settings stand at the top of the file, without `[tool.purestate]`"
            raise where.error(name, f"unknown key `{key}`{hint}")
        try:
            values[name] = options[key].metadata["parse"](value)
        except _EntryError as error:
            places[f"{name}.{error.name}"] = Place(file, line_of_entry(text, line, error.name))
            raise where.error(f"{name}.{error.name}", f"`{error.name}` must be {error}") from error
        except ValueError as error:
            raise where.error(name, f"`{key}` must be {error}") from error
        for entry, _ in values[name] if name in _TABLES else ():
            places[f"{name}.{entry}"] = Place(file, line_of_entry(text, line, entry))
    return Config(root=file.parent if file else Path.cwd(), file=file, places=places, **values)


def _over(own: Config, base: Config) -> Config:
    """Settings laid over others. Patterns stay relative to the file that they stand in."""
    root = own.root if own.file else base.root
    own, base = _anchored(own, root), _anchored(base, root)
    changes: dict[str, Any] = {"file": own.file or base.file, "base": base}
    for option in dataclasses.fields(Config):
        mine, theirs = getattr(own, option.name), getattr(base, option.name)
        merge = option.metadata.get("merge")
        if merge is _Merge.ADD:
            changes[option.name] = theirs + mine
        elif merge is _Merge.TABLE:
            changes[option.name] = tuple({**dict(theirs), **dict(mine)}.items())
        elif merge is _Merge.REPLACE and option.name not in own.places:
            changes[option.name] = theirs
    return dataclasses.replace(own, **changes)


def _anchored(config: Config, root: Path) -> Config:
    """The same settings for another root: path patterns become absolute."""
    if config.root == root:
        return config

    def anchor(item: Any) -> Any:
        if isinstance(item, tuple):
            return (anchor(item[0]), item[1])
        negated, pattern = ("!", item[1:]) if item.startswith("!") else ("", item)
        inside = "/" in pattern.rstrip("/")
        return f"{negated}{(config.root / pattern).as_posix()}" if inside else item

    changes: dict[str, Any] = {"root": root}
    for option in dataclasses.fields(Config):
        if option.metadata.get("paths"):
            changes[option.name] = tuple(anchor(item) for item in getattr(config, option.name))
    if config.baseline is not None:
        changes["baseline"] = str(config.root / config.baseline)
    places = {
        f"{key}.{anchor(entry)}" if key.endswith("per_file_ignores") and entry else name: place
        for name, place in config.places.items()
        for key, _, entry in [name.partition(".")]
    }
    return dataclasses.replace(config, places=places, **changes)


def _did_you_mean(value: object, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(value).lower(), known, 1)
    return f", did you mean `{near[0]}`?" if near else ""
