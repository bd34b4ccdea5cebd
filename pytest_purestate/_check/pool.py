"""Runs numbered tasks in worker processes that may crash or hang, and accounts for every task.

A native parser can end its process on hostile input, and no try statement helps. So each worker
holds a short queue of tasks; the one at its head is the one it works on. If the worker dies or the
head outlasts the deadline, that task alone is `Lost`; the rest of the queue goes to a new worker.
Results come back in task order, whatever the order of completion.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext, SpawnContext

__all__ = ["Lost", "available_cpus", "run"]

T = TypeVar("T")

STARTUP = 60.0  # seconds that a worker may take to start before its deadline counts
PATIENCE = 5  # times the deadline may pass while a worker waits for a processor
AHEAD = 2  # tasks in a worker's queue: it never waits for us, and few are sent again when it dies
STACK = 256 * 1024 * 1024  # address space, not memory; deep trees recurse natively


class Lost(Struct, frozen=True):
    """A task without a result: ``late`` past the deadline, or its worker died of ``reason``."""

    late: bool
    reason: str


def available_cpus() -> int:
    """CPUs this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def run(
    start: Callable[[], Callable[[int], T]],
    count: int,
    jobs: int,
    deadline: float,
    done: Callable[[int, int], None] | None = None,
) -> list[T | Lost]:
    """Run tasks ``0 .. count-1`` in up to ``jobs`` processes; ``deadline`` is in seconds of work a task.

    Work is processor time where the system tells it, for a busy machine is no fault of a file.

    ``start`` is called once in every worker and gives the function that does a task. Both it and
    the results must pickle. ``done`` is told how many of the tasks are done, now and then.
    """
    results: list[T | Lost | None] = [None] * count
    waiting = deque(range(count))
    left = count
    workers = [_Worker(start) for _ in range(min(jobs, count))]
    try:
        while left:
            for worker in workers:
                worker.feed(waiting)
            ends = [time.monotonic() + deadline, *(w.end_of(deadline) for w in workers if w.queue)]
            wait(
                [w.link for w in workers] + [w.sentinel for w in workers],
                max(0.0, min(ends) - time.monotonic()),
            )
            for place, worker in enumerate(workers):
                for index, result in worker.collect():
                    results[index] = result
                    left -= 1
                late = bool(worker.queue) and time.monotonic() > worker.end_of(deadline)
                if late or not worker.alive:
                    reason = worker.end()
                    if worker.queue:
                        results[worker.queue.popleft()] = Lost(late, reason)
                        left -= 1
                    waiting.extendleft(reversed(worker.queue))
                    workers[place] = _Worker(start)
            if done is not None:
                done(count - left, count)
    finally:
        for worker in workers:
            worker.end()
    return [result for result in results if result is not None]


class _Worker(Generic[T]):
    """A worker process seen from outside, with the tasks it has not answered yet."""

    def __init__(self, start: Callable[[], Callable[[int], T]]) -> None:
        context = _context()
        self.link, theirs = context.Pipe()
        self.queue: deque[int] = deque()
        self.alive = True
        self._ready = False
        self._process = context.Process(target=_main, args=(theirs, start), daemon=True)
        self._process.start()
        self._begin()
        self.sentinel: int = self._process.sentinel
        theirs.close()

    def feed(self, waiting: deque[int]) -> None:
        while waiting and len(self.queue) < AHEAD:
            if not self.queue:
                self._begin()
            self.queue.append(waiting.popleft())
            with contextlib.suppress(OSError):  # it just died; collect() will see that
                self.link.send(self.queue[-1])

    def end_of(self, deadline: float) -> float:
        """When the task at the head of the queue is late, for all that is known now."""
        allowed = deadline if self._ready else max(deadline, STARTUP)
        worked = _processor_time(self._process.pid)
        if worked is None or self._worked is None:
            return self._since + allowed
        return min(time.monotonic() + allowed - (worked - self._worked), self._since + PATIENCE * allowed)

    def _begin(self) -> None:
        """The task at the head of the queue begins now."""
        self._since = time.monotonic()
        self._worked = _processor_time(self._process.pid)

    def collect(self) -> list[tuple[int, T]]:
        """The answers that have arrived. Notices the end of the worker, after its last answer."""
        answers: list[tuple[int, T]] = []
        dead = not self._process.is_alive()
        try:
            while self.link.poll():
                answer: tuple[int, T] | None = self.link.recv()
                if answer is None:
                    self._ready = True
                else:
                    answers.append(answer)
                    self.queue.remove(answer[0])
                self._begin()
        except (EOFError, OSError):
            dead = True
        self.alive = not dead
        return answers

    def end(self) -> str:
        """End the process if it still runs; say what it died of."""
        if self.queue and self._process.is_alive() and self.alive:
            self._process.kill()
        with contextlib.suppress(OSError):
            self.link.send(None)
        self.link.close()
        self._process.join(1.0)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        code = self._process.exitcode or 0
        self._process.close()
        if code < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-code).name
        return f"exit status {code}"


def _processor_time(pid: int | None) -> float | None:
    """Seconds that a process has worked; None where the system does not tell."""
    try:
        with Path(f"/proc/{pid}/stat").open("rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()  # the name before may hold anything
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _context() -> SpawnContext | ForkContext:
    # A fork shares the modules that are loaded. Beside other threads it could inherit a held lock.
    methods = multiprocessing.get_all_start_methods()
    alone = threading.active_count() == 1 and "jax" not in sys.modules
    return (
        multiprocessing.get_context("fork")
        if "fork" in methods and alone
        else multiprocessing.get_context("spawn")
    )


def _main(link: Connection, start: Callable[[], Callable[[int], T]]) -> None:
    faulthandler.disable()  # a crash becomes a finding; a dump of our own frames helps nobody
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    try:
        threading.stack_size(STACK)
        thread = threading.Thread(target=_serve, args=(link, start), daemon=True)
        thread.start()
    except (ValueError, RuntimeError):  # no such stacks here: then the bounds alone must do
        _serve(link, start)
    else:
        thread.join()


def _serve(link: Connection, start: Callable[[], Callable[[int], T]]) -> None:
    work = start()
    try:
        link.send(None)
        while (index := link.recv()) is not None:
            link.send((index, work(index)))
    except (EOFError, BrokenPipeError):
        return  # the parent is gone
