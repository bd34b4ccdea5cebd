"""Records a run of ``pytest --purestate``: for ``--purestate-html``, and for ``purestate report`` later.

Every process of a run keeps what it learns of a test, and gives it to the controller with the report of the teardown: as
one text, an attribute that xdist carries over and junit does not see. The controller puts the tests together and writes
them when the session ends.

`plugin` registers this module under ``--purestate`` only. Lineages of keys are recorded for a page alone: they cost time.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_purestate import _recorded
from pytest_purestate._pages import data
from pytest_purestate._pages.nodes import pruned
from pytest_purestate._versions import package_versions

if TYPE_CHECKING:
    from pytest_purestate._guard import Guard
    from pytest_purestate._runtime.events import Checked, Handed
    from pytest_purestate._runtime.failures import Problem

__all__ = ["Recorder", "register"]

_CARRIED = "purestate_recorded"
"""The attribute of the report of a teardown."""
_NODES = 400


def register(config: pytest.Config, seed: int) -> None:
    """Record the run that ``config`` belongs to.

    Raises:
        pytest.UsageError: the page cannot be written where it is wanted.
    """
    name = config.option.purestate_html
    page = config.invocation_params.dir / name if name else None
    if page is not None and page.is_dir():
        raise pytest.UsageError(f"--purestate-html: {name} is a directory")
    guard: Guard | None = config.pluginmanager.get_plugin("purestate-guard")
    if guard is not None:
        guard.lineages = page is not None
    config.pluginmanager.register(Recorder(config, guard, seed, page), "purestate-report")


class Recorder:
    """One instance in every process of a run."""

    def __init__(self, config: pytest.Config, guard: Guard | None, seed: int, page: Path | None) -> None:
        self._config = config
        self._guard = guard
        self._seed = seed
        self._page = page
        self._worker = hasattr(config, "workerinput")
        self._tests: dict[tuple[str, str], data.Recorded] = {}
        self._began = time.time()
        self._problems: list[tuple[str, Problem]] = []
        self._checks: list[Checked] = []
        self._note = ""

    # --- one test, in the process that runs it -----------------------------------------------

    def pytest_configure(self) -> None:
        """Listen to assertions and key streams."""
        from pytest_purestate._runtime import events

        events.listeners.append(self._heard)

    def pytest_unconfigure(self) -> None:
        """Listen no more."""
        from pytest_purestate._runtime import events

        if self._heard in events.listeners:
            events.listeners.remove(self._heard)

    def _heard(self, event: Checked | Handed) -> None:
        from pytest_purestate._runtime.events import Checked

        if isinstance(event, Checked):
            self._checks.append(event)
            return
        handed = getattr(self._guard and self._guard.keys, "handed", None)
        if handed is not None:
            handed(lambda at: _recorded.stream_label(event.name, event.index + at), event.key, event.place)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """A test begins, perhaps once more: a plugin may run a failed one again."""
        self._problems, self._checks = [], []
        if (lineage := self._lineage()) is not None:
            lineage.clear()

    def _lineage(self) -> Any:
        return getattr(self._guard.keys, "lineage", None) if self._guard is not None else None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Give the last report of a test all that is known of it."""
        report = yield
        problems = getattr(call.excinfo.value, "problems", None) if call.excinfo is not None else None
        failures = sys.modules.get("pytest_purestate._runtime.failures")
        if problems and failures is not None and isinstance(call.excinfo.value, failures.PurityError):  # type: ignore[union-attr]
            self._problems += [("assertion", problem) for problem in problems]
        if call.when == "teardown":
            known = {name: value for name, value in self._learned(item).items() if value}
            setattr(report, _CARRIED, json.dumps(known))
        return report

    def _learned(self, item: pytest.Item) -> data.Recorded:
        shown = _recorded.Places(self._config.rootpath)
        known: data.Recorded = {
            "checks": [_recorded.check_facts(check, shown) for check in self._checks[: _recorded.MANY]]
        }
        scope = self._guard.scope if self._guard is not None else None
        problems = list(self._problems)
        if scope is not None and scope.item is item:
            problems = [*scope.problems, *problems]
            known["findings"] = [
                {"concern": concern, "level": scope.levels[concern], "text": text[: _recorded.TEXT]}
                for concern, text in scope.found[: _recorded.MANY]
            ]
            if scope.compilations is not None:
                known["functions"] = _recorded.function_facts(scope.compilations.functions, shown)
        known["changes"] = [_recorded.change_facts(*problem) for problem in problems[: _recorded.MANY]]
        known["changes_left_out"] = max(0, len(problems) - _recorded.MANY)
        if (lineage := self._lineage()) is not None:
            from pytest_purestate._runtime.guard.branches import tree

            found = tree(lineage, lambda place: shown(place.file, place.line))
            found["roots"] = pruned(found["roots"], _NODES)
            known["lineage"] = found if found["roots"] else None
        return known

    # --- the run, in the controller ----------------------------------------------------------

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the parts of a test."""
        if self._worker:
            return
        each = getattr(self._config.option, "dist", "no") == "each"
        worker = str(getattr(report, "worker_id", "")) if each else ""
        test = self._tests.get((worker, report.nodeid))
        if test is None or report.when == "setup":
            attempts = 1 if test is None else test["attempts"] + 1
            file, line, _ = report.location
            test = {
                "id": report.nodeid,
                "at": f"{file}:{(line or 0) + 1}",
                "outcome": "passed",
                "seconds": 0.0,
            }
            test["attempts"] = attempts
            if worker:
                test["worker"] = worker
            if "purestate_static" in report.keywords:
                test["static"] = True
            self._tests[worker, report.nodeid] = test
        test["seconds"] = round(test["seconds"] + report.duration, 4)
        outcome = _outcome(report)
        if outcome != "passed" and test["outcome"] in ("passed", "xpassed"):
            test["outcome"] = outcome
        if outcome != "passed":
            self._keep_text(test, report)
        carried = report.__dict__.pop(_CARRIED, None)  # the terminal keeps all reports until the end
        if carried is not None:
            test.update(json.loads(carried))

    def _keep_text(self, test: data.Recorded, report: pytest.TestReport | pytest.CollectReport) -> None:
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        told = [getattr(report, "wasxfail", ""), text]
        told += [f"[{title}]\n{body}" for title, body in report.sections if title.startswith("purestate")]
        whole = self._below_root("\n".join(part for part in told if part))
        if len(whole) > _recorded.TEXT:
            left = len(whole) - _recorded.TEXT
            whole = f"{whole[: _recorded.TEXT // 2]}\n… {left} characters are left out …\n{whole[-_recorded.TEXT // 2 :]}"
        test["text"] = f"{test['text']}\n\n{whole}" if "text" in test else whole

    def _below_root(self, text: str) -> str:
        """A text in which the files of the project have their names there: the page may travel."""
        return text.replace(f"{self._config.rootpath}{os.sep}", "")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that could not be collected is told like a test."""
        if report.failed and not self._worker:
            name = report.nodeid or "collection"
            test: data.Recorded = {"id": name, "at": name, "outcome": "error", "seconds": 0.0, "attempts": 1}
            self._keep_text(test, report)
            self._tests["", f"{name}\0collected"] = test

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write what was recorded, and the page."""
        if self._worker or self._config.option.collectonly or not self._tests:
            return
        tests = list(self._tests.values())
        if (
            getattr(self._config.option, "dist", "no") != "no"
        ):  # in the order of the files, not of the workers
            tests.sort(key=_order)
        run = self._run(int(exitstatus), session.shouldstop or session.shouldfail or "")
        try:
            data.save(self._config.rootpath, run, tests)
        except OSError as error:
            self._note = f"what was recorded cannot be kept: {error}"
        if self._page is not None:
            from pytest_purestate._pages.page import render

            try:
                data.write(self._page, render(run, tests))
                self._note = f"report: {self._shown_page()}"
            except OSError as error:
                self._note = f"the report cannot be written: {error}"

    def _shown_page(self) -> str:
        page, here = self._page, Path.cwd()
        assert page is not None
        return str(page.relative_to(here) if page.is_relative_to(here) else page)

    def _run(self, exitstatus: int, stopped: object) -> data.Recorded:
        guard_note = self._guard.note if self._guard is not None else ""
        return {
            "began": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(self._began)),
            "seconds": round(time.time() - self._began, 2),
            "command": self._below_root(shlex.join(["pytest", *self._config.invocation_params.args])),
            "project": self._config.rootpath.name,
            "seed": self._seed,
            "exit": exitstatus,
            "stopped": str(stopped) if stopped else "",
            "lineages": self._page is not None,
            "note": guard_note,
            "versions": package_versions(),
        }

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where the page is."""
        if self._note:
            terminalreporter.write_line(f"purestate: {self._note}")


def _order(test: data.Recorded) -> tuple[str, int]:
    file, _, line = test["at"].rpartition(":")
    return file, int(line) if line.isdecimal() else 0


def _outcome(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail") and not report.failed:
        return "xpassed" if report.passed else "xfailed"
    if report.skipped:
        return "skipped"
    if report.failed:
        return "failed" if report.when == "call" else "error"
    return "passed"  # also `rerun`: the next attempt begins anew
