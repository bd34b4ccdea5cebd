"""Where modules live: dotted names of files, and files of dotted names.

Names inside a module are resolved by the interpreter, which binds what an ``import`` binds; here
is only what depends on the disk. Look-ups follow Python's own rules without running anything:
a file belongs to the package that the ``__init__.py`` files above it spell, and an absolute name
is searched in the folder that holds the file's outermost package, then in the project's root and its ``src``,
so that tests and examples see the package that they are about.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

__all__ = ["absolute", "find_module", "module_name"]


@lru_cache(maxsize=65536)
def _is_package(folder: str) -> bool:
    return (Path(folder) / "__init__.py").is_file()


def _root_and_parts(file: Path) -> tuple[Path, list[str]]:
    parts = [] if file.stem == "__init__" else [file.stem]
    folder = file.parent
    while _is_package(str(folder)) and folder.parent != folder:
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, parts


@lru_cache(maxsize=65536)
def _project_root(folder: Path) -> Path | None:
    """The nearest folder above that is installed, or under version control."""
    if any((folder / name).exists() for name in ("pyproject.toml", "setup.py", "setup.cfg", ".git")):
        return folder
    return _project_root(folder.parent) if folder.parent != folder else None


def module_name(file: Path | None) -> tuple[str, str]:
    """The dotted name of a file and the package its relative imports start from.

    >>> module_name(None)
    ('', '')
    """
    if file is None:
        return "", ""
    _, parts = _root_and_parts(file)
    package = parts if file.stem == "__init__" else parts[:-1]
    return ".".join(parts), ".".join(package)


def absolute(package: str, level: int, name: str) -> str:
    """The absolute name of ``from <level dots><name>`` seen in ``package``.

    >>> absolute("a.b", 1, "c"), absolute("a.b", 2, ""), absolute("", 0, "jax")
    ('a.b.c', 'a', 'jax')
    """
    if not level:
        return name
    parts = package.split(".") if package else []
    kept = parts[: len(parts) - (level - 1)] if level > 1 else parts
    # A module outside any package still finds its neighbours: "." stands for its own folder.
    base = ".".join(kept)
    if not base:
        return f".{name}" if name else "."
    return f"{base}.{name}" if name else base


@lru_cache(maxsize=65536)
def _probe(base: str) -> str | None:
    path = Path(base)
    for candidate in (path.with_name(path.name + ".py"), path / "__init__.py"):
        if candidate.is_file():
            return str(candidate)
    return None


def find_module(importer: Path, dotted: str) -> Path | None:
    """The file of the module ``dotted`` as ``importer`` would import it, or None when it is foreign."""
    root, _ = _root_and_parts(importer)
    parts = [part for part in dotted.split(".") if part]
    if not parts:
        return None
    folders = [importer.parent if dotted.startswith(".") else root]
    # A namespace package has no __init__.py: its folder is above the importer and bears the name.
    folders += [up.parent for up in list(root.parents)[:6] if up.name == parts[0]]
    if root.name == parts[0]:
        folders.append(root.parent)
    if (project := _project_root(root)) is not None:
        folders += [project, project / "src"]
    for folder in dict.fromkeys(folders):
        found = _probe(str(folder.joinpath(*parts)))
        if found is not None and Path(found) != importer:
            return Path(found)
    return None
