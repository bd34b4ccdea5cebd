"""A bar on the terminal for runs that take a while."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["PATIENCE", "Bar"]

PATIENCE = 1.0
"""Seconds before a bar appears: most runs are over by then."""


class Bar:
    """Shows how many of the files are checked, on a terminal only. It is gone when the run is over.

    No thread draws it, since the workers are forked: it moves when a file is done.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._since = time.monotonic()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Bar:
        return self

    def __call__(self, done: int, total: int) -> None:
        """``done`` of ``total`` files are checked."""
        if not self._stream.isatty() or time.monotonic() - self._since < PATIENCE:
            return
        if self._progress is None or self._task is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("checking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                console=Console(file=self._stream), transient=True, auto_refresh=False,
            )  # fmt: skip
            self._task = self._progress.add_task("", total=total)
            self._progress.start()
        self._progress.update(self._task, completed=done, refresh=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
