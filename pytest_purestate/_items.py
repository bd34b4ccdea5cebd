"""The static findings of ``pytest --purestate`` as test items.

One item for each file and rule with findings, such as ``train.py::PS103``; it fails with the code frames
and no Python traceback. The files are checked once a run, in a process of their own before anything
is collected; under xdist the controller does it and hands the result to its workers.

`plugin` registers this module under ``--purestate`` only. It imports neither JAX nor the checker.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from _pytest._code.code import ReprFileLocation, TerminalRepr
from _pytest._io import TerminalWriter

from pytest_purestate._check.batch import BatchError, Group, Reply, run_batch

__all__ = ["StaticFile", "StaticItem", "StaticItems", "register"]

MARKER = "purestate_static"
_KEY = "purestate_static"  # in xdist's workerinput


def register(config: pytest.Config) -> None:
    """Add the static items to the run that ``config`` belongs to."""
    config.addinivalue_line("markers", f"{MARKER}: a finding of the static checker (added by --purestate)")
    config.pluginmanager.register(StaticItems(config), "purestate-static-items")


class StaticItems:
    """Checks once, then adds the items; one instance in every process of a run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._reply: Reply | None = None
        worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        if worker is not None:
            self._reply = json.loads(worker[_KEY])

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Check, before xdist starts its workers and before anything is collected."""
        if self._reply is None:
            self._reply = _check(self._config)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give the result to an xdist worker that is about to start."""
        node.workerinput[_KEY] = json.dumps(self._reply)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the items before others select and order them."""
        if self._reply is None:
            return
        files: dict[str, StaticFile] = {}
        for group in self._reply["groups"]:
            if group["file"] not in files:
                # The path as we show it: one that is not UTF-8 would end xdist and junit reports.
                shown = group["path"]
                files[group["file"]] = StaticFile.from_parent(
                    session, path=Path(group["file"]), name=shown, nodeid=shown
                )
            items.append(StaticItem.from_parent(files[group["file"]], name=group["code"], group=group))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what became of every file, the ones without findings included."""
        if self._reply is not None and self._reply["summary"]:
            terminalreporter.write_sep("=", "purestate")
            terminalreporter.write_line(self._reply["summary"])


class StaticFile(pytest.File):
    """The parent of a file's items; it collects nothing, because the items are known already."""

    def collect(self) -> Sequence[pytest.Item]:
        """Nothing."""
        return ()


class StaticItem(pytest.Item):
    """The findings of one rule in one file."""

    def __init__(self, *, group: Group, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._group = group
        self.add_marker(MARKER)

    def runtest(self) -> None:
        """Fail: an item exists only where there is a finding."""
        raise _FoundError

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> str | TerminalRepr:
        """The code frames."""
        if excinfo.errisinstance(_FoundError):
            return _Frames(self._group)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The file, the 0-based line of the first finding, the node's title."""
        shown = self.config.rootpath / self._group["path"]
        return shown, self._group["line"] - 1, f"{self._group['path']}::{self.name}"


class _FoundError(Exception):
    """Ends a static item."""


class _Frames(TerminalRepr):
    """The failure text of an item; ``reprcrash`` gives pytest's short summary its message."""

    def __init__(self, group: Group) -> None:
        self._text = group["text"]
        self.reprcrash = ReprFileLocation(group["path"], group["line"], group["headline"])

    def __str__(self) -> str:
        return self._text

    def toterminal(self, tw: TerminalWriter) -> None:
        for paragraph in self._text.split("\n\n"):
            headline, *frame = paragraph.split("\n")
            tw.line(headline, red=True, bold=True)
            for line in frame:
                tw.line(line)
            tw.line()


def _check(config: pytest.Config) -> Reply:
    root = config.rootpath
    paths: list[Path] = config.getini("purestate_paths") or [root]
    for path in paths:
        if not os.path.lexists(path):
            raise pytest.UsageError(f"purestate_paths: no such file or directory: {_relative(path, root)}")
    try:
        return run_batch(paths, _asked_for(config), root)
    except BatchError as error:
        raise pytest.UsageError(f"purestate: {error}") from error


def _asked_for(config: pytest.Config) -> list[Path] | None:
    """The files and directories that the command's arguments name; None where there are none.

    A node id (``test_a.py::test_b``) asks for that test and for no file.
    """
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return None
    here = config.invocation_params.dir
    # normpath as pytest does it, so that `..` leads where it leads for the tests
    return [Path(os.path.normpath(here / argument)) for argument in config.args if "::" not in argument]


def _relative(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
