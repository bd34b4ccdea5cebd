"""The open texts of an editor, checked as they are and not as they stand on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct, structs

from pytest_purestate._check import engine, fixing
from pytest_purestate._check.checker import Checker
from pytest_purestate._check.discovery import Target, display_path, is_excluded
from pytest_purestate._check.documents import notebook
from pytest_purestate._check.model import Edit, Finding
from pytest_purestate._check.noqa import add_noqa
from pytest_purestate._check.outcome import FileResult, Run, Status
from pytest_purestate._check.source import Source, UnreadableSourceError
from pytest_purestate.config import Config, ConfigFinder

__all__ = ["Checked", "Session"]


class Checked(Struct, frozen=True):
    """A text that was checked: the source that spans index, and what was found. ``result`` is None where the settings
    exclude the file, or its text cannot be read at all."""

    source: Source
    target: Target
    result: FileResult | None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found."""
        return self.result.findings if self.result is not None else ()


class _OverlaidChecker(Checker):
    """Reads the open texts in the place of the files."""

    texts: Mapping[Path, str] = MappingProxyType({})

    def _read(self, file: Path) -> Source | None:
        if file in self.texts and file not in self._sources:
            self._sources[file] = None
            try:
                self._sources[file] = Source.from_text(self.texts[file], display_path(file, self._cwd), file)
            except UnreadableSourceError:
                return None
        return super()._read(file)


class Session:
    """What is open in one editor. Paths are absolute."""

    def __init__(self) -> None:
        self._texts: dict[Path, str] = {}
        self._cells: dict[Path, tuple[str, ...]] = {}
        self._finder = ConfigFinder()
        self._checker: _OverlaidChecker | None = None
        self._last: Path | None = None

    def put(self, file: Path, text: str) -> None:
        """A text was opened, or changed."""
        self._texts[file] = text
        if file != self._last:
            self._checker = None  # others may import it

    def put_cells(self, file: Path, cells: Sequence[str]) -> None:
        """A notebook was opened, or changed: the texts of its code cells, in order."""
        self._cells[file] = tuple(cells)

    def remove(self, file: Path) -> None:
        """A text or a notebook was closed: from now on the file on disk counts."""
        self._texts.pop(file, None)
        self._cells.pop(file, None)
        self._checker = None

    def reload(self) -> None:
        """Something on disk changed: settings, or files that others import."""
        self._finder = ConfigFinder()
        self._checker = None

    def check(self, file: Path) -> Checked:
        """Check an open text.

        Raises:
            ConfigError: the settings are not valid.
        """
        target, source = self._target(file)
        if source is None or is_excluded(file, self._finder, always=True):
            return Checked(source or Source.from_text("", str(file)), target, None)
        return Checked(source, target, self._check(target, source))

    def fixed(self, file: Path) -> Sequence[tuple[str, str]]:
        """The texts before and after all safe fixes, in rounds: of each cell of a notebook, else of the file.

        Raises:
            ConfigError: the settings are not valid.
        """
        checked = self.check(file)
        if checked.result is None:
            return []
        cells = self._cells.get(file)
        raw = checked.source.to_bytes() if cells is None else notebook.of_cells(cells)
        target = structs.replace(checked.target, raw=raw)
        repaired = fixing.repair(Run((checked.result,)), [target], self._recheck)
        if not repaired.files:
            return []
        if cells is None:
            return [(checked.source.text, repaired.files[0].text)]
        return list(zip(cells, notebook.cells_of(repaired.files[0].after), strict=True))

    def ignored(self, checked: Checked, finding: Finding) -> tuple[Edit, ...]:
        """What adds a comment that suppresses one finding; nothing where none can stand."""
        return add_noqa(checked.source, [finding]).edits

    def _recheck(self, targets: Sequence[Target]) -> Run:
        results = []
        for target in targets:
            source = Source.from_bytes(target.raw or b"", target.path, target.file)
            results.append(self._check(target, source))
        return Run(tuple(results))

    def _target(self, file: Path) -> tuple[Target, Source | None]:
        config: Config = self._finder.of(file.parent)
        path = display_path(file, Path.cwd())
        target = Target(file, path, config)
        try:
            if file in self._cells:
                view = notebook.view_of_cells(list(enumerate(self._cells[file])), str.encode)
                return target, Source.of_view(view, path, file)
            return target, Source.from_text(self._texts[file], path, file)
        except UnreadableSourceError:
            return target, None

    def _check(self, target: Target, source: Source) -> FileResult:
        if self._checker is None or self._last != target.file:
            checker = _OverlaidChecker(engine.analyse, (), self._finder.overrides, prefilter=False)
            checker.texts = self._texts
            self._checker, self._last = checker, target.file
        try:
            return self._checker.guarded(source, target)
        except RecursionError:  # on a stack of its own this is beyond the bounds
            return FileResult(target.path, target.file, Status.FAILED)
