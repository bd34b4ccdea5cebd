"""Which files to check: walks directories, honours excludes and .gitignore, and pre-filters by text.

Files come out in one fixed order (the order of the arguments; inside a directory, sorted by name,
files before directories). A file named on the command line is always taken, unless ``force-exclude``
holds. What is there but cannot be entered comes out as a problem, so that nothing is skipped without a word.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from pytest_purestate._check.globs import Globs
from pytest_purestate._check.source import describe
from pytest_purestate.config import Config, ConfigFinder

__all__ = ["MissingPathError", "Target", "discover", "display_path", "is_excluded", "mentions_jax"]

SUFFIXES = (".py", ".pyi", ".ipynb")

_LIBRARIES = (
    b"jax", b"flax", b"optax", b"equinox", b"haiku", b"numpyro", b"chex", b"distrax", b"rlax", b"brax",
    b"evosax", b"gymnax", b"orbax", b"mctx", b"jraph", b"optimistix", b"diffrax", b"lineax", b"nnx",
    b"linen", b"PRNGKey", b"tensorflow_probability", b"neural_tangents", b"penzai", b"flashbax", b"jumanji",
    b"levanter", b"haliax", b"objax", b"dm_pix", b"coix", b"oryx", b"trax", b"navix", b"pgx",
)  # fmt: skip

_MENTION = re.compile(b"|".join(_LIBRARIES))


class MissingPathError(FileNotFoundError):
    """A path given by the user that does not exist."""


class Target(Struct, frozen=True):
    """A file to check: where it is, how the user sees it, the settings that hold for it.

    ``problem`` is set for what was found but cannot be entered (a directory without permission);
    ``raw`` holds the bytes of what is on no disk (standard input).
    """

    file: Path
    path: str
    config: Config
    problem: str = ""
    raw: bytes | None = None


def mentions_jax(raw: bytes) -> bool:
    """Whether a file can have findings: it names JAX or a library of its family, or it cannot be read.

    Null bytes are a binary file or UTF-16, in which nothing would be recognised: that is for a report.
    """
    return _MENTION.search(raw) is not None or b"\0" in raw


def display_path(file: Path, cwd: Path) -> str:
    """A path as reports show it: relative to the working directory where it lies inside, with ``/``."""
    try:
        shown = file.relative_to(cwd).as_posix()
    except ValueError:
        shown = str(file)
    return os.fsencode(shown).decode("utf-8", "backslashreplace")


def discover(paths: Sequence[Path], finder: ConfigFinder, cwd: Path | None = None) -> list[Target]:
    """The files to check below ``paths``, each once.

    Raises:
        MissingPathError: one of the paths does not exist.
        ConfigError: a settings file on the way is not valid.
    """
    cwd = Path.cwd() if cwd is None else cwd
    found: dict[Path, Target] = {}
    for given in paths:
        path = _absolute(given, cwd)
        if not os.path.lexists(path):
            raise MissingPathError(f"no such file or directory: {given}")
        if is_excluded(path, finder):
            continue
        if path.is_dir():
            for target in _walk(path, finder, cwd):
                found.setdefault(target.file, target)
        else:
            found.setdefault(path, Target(path, display_path(path, cwd), finder.of(path.parent)))
    return list(found.values())


def _absolute(path: Path, cwd: Path) -> Path:
    # ".." after a link must go where the link points, so only then are links resolved.
    path = cwd / path
    return Path(os.path.realpath(path)) if ".." in path.parts else path


def is_excluded(file: Path, finder: ConfigFinder, *, always: bool = False) -> bool:
    """Whether ``force-exclude`` holds for a file or directory named by the user (or ``always``), and a pattern fits it
    or a directory above it.

    Raises:
        ConfigError: the settings file is not valid.
    """
    config = finder.of(file.parent)
    if not config.force_exclude and not always:
        return False
    excludes = _excludes(config)
    above = [
        path for path in (file, *file.parents) if path != config.root and path.is_relative_to(config.root)
    ]
    return any(excludes.match(str(path), path.name) for path in above or [file])


def _excludes(config: Config) -> Globs:
    return Globs.of((*config.exclude, *config.extend_exclude), config.root)


def _walk(top: Path, finder: ConfigFinder, cwd: Path) -> Iterator[Target]:
    config = finder.of(top)
    ignores = _Gitignores.above(top) if config.respect_gitignore else None
    excludes: tuple[Globs, ...] = (_excludes(config),)
    pending = [(top, config, excludes, ignores)]
    while pending:
        directory, config, excludes, ignores = pending.pop()
        try:
            with os.scandir(directory) as entries:
                listing = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Target(directory, display_path(directory, cwd), config, describe(error))
            continue
        if directory != top and (own := finder.own(directory)) is not None:
            config, excludes = own, (*excludes, _excludes(own))
        ignores = ignores.enter(directory) if ignores is not None else None
        more = Globs.of(config.extend_include, config.root) if config.extend_include else None
        below = []
        for entry in listing:
            # Links to directories are not followed: they lead to loops, or to the same files again.
            is_directory = entry.is_dir(follow_symlinks=False)
            wanted = entry.name.endswith(SUFFIXES) or (
                more is not None and more.match(entry.path, entry.name)
            )
            if not is_directory and (not wanted or Path(entry.path).is_dir()):
                continue
            if any(each.match(entry.path, entry.name) for each in excludes):
                continue
            if ignores is not None and ignores.match(entry.path, is_directory):
                continue
            path = directory / entry.name
            if is_directory:
                below.append((path, config, excludes, ignores))
            else:
                yield Target(path, display_path(path, cwd), config)
        pending.extend(reversed(below))


class _Gitignores(Struct, frozen=True):
    """The .gitignore files from the repository's root down to one directory, outermost first."""

    specs: tuple[tuple[str, object], ...] = ()

    @classmethod
    def above(cls, top: Path) -> _Gitignores:
        """Those that hold for ``top`` from outside: none where it is in no git repository, nor where it
        is itself ignored (the user asked for it by name)."""
        repository = next((d for d in (top, *top.parents) if (d / ".git").exists()), None)
        if repository is None:
            return cls()
        ignores = cls()._with(repository, repository / ".git" / "info" / "exclude")
        for directory in reversed([d for d in top.parents if d.is_relative_to(repository)]):
            ignores = ignores.enter(directory)
        return cls() if ignores.match(str(top), True) else ignores

    def enter(self, directory: Path) -> _Gitignores:
        return self._with(directory, directory / ".gitignore")

    def match(self, path: str, is_directory: bool) -> bool:
        for base, spec in reversed(self.specs):
            inside = path[len(base) :].replace(os.sep, "/").lstrip("/") + ("/" if is_directory else "")
            if (include := spec.check_file(inside).include) is not None:  # type: ignore[attr-defined]
                return bool(include)
        return False

    def _with(self, base: Path, file: Path) -> _Gitignores:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return self
        lines = tuple(line for line in text.splitlines() if line.strip() and not line.startswith("#"))
        return _Gitignores((*self.specs, (str(base), _gitignore_spec(lines)))) if lines else self


@functools.lru_cache(maxsize=256)
def _gitignore_spec(lines: tuple[str, ...]) -> object:
    import pathspec  # only projects that have a .gitignore pay for the import

    valid = []
    for line in lines:
        try:
            pathspec.GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue  # git passes over a pattern that it cannot read, and so do we
        valid.append(line)
    return pathspec.GitIgnoreSpec.from_lines(valid)
