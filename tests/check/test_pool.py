from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_purestate._check import pool
from pytest_purestate._check.pool import Lost


def start(crash: frozenset[int], hang: frozenset[int]) -> Callable[[int], int]:
    def work(index: int) -> int:
        if index in crash:
            os.kill(os.getpid(), signal.SIGKILL if index % 2 else signal.SIGSEGV)
            time.sleep(600)  # the signal may reach another thread first
        if index in hang:
            time.sleep(600)
        time.sleep(0.01 * (index % 3))
        return index * index

    return work


def start_that_exits() -> Callable[[int], int]:
    return lambda index: os._exit(3)


def start_deep() -> Callable[[int], int]:
    def depth(index: int) -> int:
        # sorted() calls back through C, so every level takes native stack.
        return 0 if index == 0 else sorted([index], key=lambda n: depth(n - 1))[0]

    return depth


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_results_come_in_task_order(jobs: int) -> None:
    assert pool.run(functools.partial(start, frozenset(), frozenset()), 20, jobs, 60) == [
        n * n for n in range(20)
    ]


def test_a_crash_costs_one_task() -> None:
    outcomes = pool.run(functools.partial(start, frozenset({0, 3, 4}), frozenset()), 8, 2, 60)
    segv, kill = Lost(False, "SIGSEGV"), Lost(False, "SIGKILL")
    assert outcomes == [segv, 1, 4, kill, segv, 25, 36, 49]


def test_a_late_task_costs_one_task() -> None:
    began = time.monotonic()
    outcomes = pool.run(functools.partial(start, frozenset({2}), frozenset({1, 6})), 8, 2, 1.0)
    assert outcomes == [
        0,
        Lost(True, "SIGKILL"),
        Lost(False, "SIGSEGV"),
        9,
        16,
        25,
        Lost(True, "SIGKILL"),
        49,
    ]
    assert time.monotonic() - began < 20


def start_that_waits() -> Callable[[int], int]:
    def work(index: int) -> int:
        time.sleep(1.5)
        return index

    return work


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system tells no processor times")
def test_waiting_for_a_processor_is_not_work() -> None:
    assert pool.run(start_that_waits, 2, 2, 1.0) == [0, 1]


def test_where_no_processor_times_are_told_the_clock_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_processor_time", lambda pid: None)
    monkeypatch.setattr(pool, "STARTUP", 1.0)
    assert pool.run(start_that_waits, 1, 1, 1.0) == [Lost(True, "SIGKILL")]


def test_workers_that_always_exit_lose_every_task_and_no_more() -> None:
    assert pool.run(start_that_exits, 3, 2, 60) == [Lost(False, "exit status 3")] * 3


def test_no_tasks() -> None:
    assert pool.run(start_that_exits, 0, 2, 60) == []


def test_no_worker_outlives_the_run() -> None:
    import multiprocessing

    pool.run(functools.partial(start, frozenset({1}), frozenset()), 4, 2, 60)
    assert multiprocessing.active_children() == []


def test_interruption_ends_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    import multiprocessing

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        pool.run(functools.partial(start, frozenset(), frozenset({0, 1})), 4, 2, 60)
    assert multiprocessing.active_children() == []


def test_workers_without_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    assert pool.run(start_that_exits, 1, 1, 60) == [Lost(False, "exit status 3")]
