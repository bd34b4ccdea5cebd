"""What ``pytest --purestate`` watches while tests run, as pytest knows it: levels, marks, failures, summaries.

What is found in a test fails it (``error``), is a warning (``warn``) or is not looked for (``off``), by concern. The guard
observes: a test runs as it would without, and fails behind its own last line.

`plugin` registers this module under ``--purestate`` only. Tests that have nothing to do with JAX do not load it.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_purestate._runtime.failures import Problem
    from pytest_purestate._runtime.guard.compilation import Compilations
    from pytest_purestate._runtime.guard.host import HostState
    from pytest_purestate._runtime.guard.keys import KeyReuse, KeyWatch
    from pytest_purestate._runtime.guard.states import StateWatch
    from pytest_purestate._runtime.recording import Held

__all__ = ["CONCERNS", "ENVIRONMENT", "Guard", "GuardWarning", "Handle", "levels_of", "register"]

CONCERNS: Mapping[str, str] = {
    "keys": "error",
    "state": "error",
    "host": "warn",
    "compilation": "error",
    "leaks": "off",
}
"""What is looked for, and how it counts where nobody says otherwise."""

ALL = tuple(name for name, level in CONCERNS.items() if level != "off")
"""What ``all`` stands for: looking for leaks switches JAX's caches off, so it must be asked for by name."""

LEVELS = ("error", "warn", "off")
ENVIRONMENT = "PURESTATE_LEVEL"
_TITLES = {
    "keys": "PRNG keys are used twice",
    "state": "state is edited in place",
    "host": "state of the process is left changed",
    "compilation": "functions are traced too often",
    "leaks": "tracers are leaked",
}
_HELP = {
    "keys": "split it first, `key_a, key_b = jax.random.split(key)`, and use each part once; "
    "what is meant goes into `with purestate.allow_reuse():`",
    "state": "make a new state, `state.replace(...)`, and hand that on",
    "host": "put it back at the end of the test, for instance with `monkeypatch`",
    "compilation": "keep shapes, dtypes and static arguments the same, and the compiled function itself",
    "leaks": "return the value instead of keeping it",
}
_OWN_FLAGS = frozenset(("jax_debug_key_reuse",))
_PROPERTY = "purestate_"
_SHOWN = 5
_SLOW = 1.0  # seconds of compilation in a test that the summary begins with

Levels = dict[str, str]


class GuardWarning(pytest.PytestWarning):
    """Something that the guard found in a test, at the level ``warn``."""


def levels_of(entries: list[tuple[str, str]]) -> Levels:
    """The level of each concern, of entries ``concern=level`` and where each comes from; later ones win.

    Raises:
        pytest.UsageError: an entry that says nothing.
    """
    levels = dict(CONCERNS)
    for entry, source in entries:
        name, _, level = (part.strip() for part in entry.partition("="))
        if name not in (*CONCERNS, "all"):
            raise pytest.UsageError(f"{source}: no concern `{name}`; there are all, {', '.join(CONCERNS)}")
        if level not in LEVELS:
            raise pytest.UsageError(
                f"{source}: the level of `{name}` is one of {', '.join(LEVELS)}, not `{level}`"
            )
        levels.update(dict.fromkeys(ALL if name == "all" else (name,), level))
    return levels


def register(config: pytest.Config) -> None:
    """Watch the run that ``config`` belongs to."""
    entries = [(line, "purestate_level") for line in config.getini("purestate_level")]
    environment = os.environ.get(ENVIRONMENT, "")
    entries += [(part, ENVIRONMENT) for part in environment.replace(",", " ").split()]
    entries += [(part, "--purestate-level") for part in config.option.purestate_level or ()]
    config.pluginmanager.register(Guard(config, levels_of(entries)), "purestate-guard")


class Handle:
    """The guard as a test sees it, through the fixture ``purestate``."""

    def __init__(self, scope: Scope | None) -> None:
        self._scope = scope

    @property
    def findings(self) -> tuple[str, ...]:
        """What was found in this test so far, as text."""
        return tuple(text for _, text in self._scope.found) if self._scope is not None else ()

    def allow_reuse(self) -> AbstractContextManager[None]:
        """Keys may be used again inside the block; those uses do not count behind it either."""
        watch = self._scope.guard.keys if self._scope is not None else None
        return watch.allow() if watch is not None else nullcontext()

    def register(self, name: str, state: Any) -> None:
        """Watch a state of this test: an edit in place is reported with its path below ``name``."""
        if self._scope is not None:
            self._scope.watch_state(name, state)


class Scope:
    """One test."""

    def __init__(self, guard: Guard, item: pytest.Item, levels: Levels) -> None:
        self.guard = guard
        self.levels = levels
        self.item = item
        self.found: list[tuple[str, str]] = []  # concern and text
        self.problems: list[tuple[str, Problem]] = []  # concern, and place by place
        self._told = 0
        self.compilations: Compilations | None = None
        self.max_traces: int | None = None
        self.wrong = ""
        self.held: list[Held] = []  # what it was given, for a replay
        self._made = 0
        self._states: StateWatch | None = None
        self._edits: set[Problem] = set()

    def begin(self) -> None:
        """Watch keys from here on, for what this test asks for."""
        guard = self.guard
        if self.on("keys") and guard.ready and guard.keys is None and not guard.note:
            guard.watch_keys()
        if (watch := guard.keys) is not None:
            watch.follow()
            watch.clear()
            watch.allowed = 0 if self.on("keys") else 1
        if guard.ready and self.on("state"):
            guard.watch_states()

    def on(self, concern: str) -> bool:
        """Whether a concern is looked for in this test."""
        return self.levels[concern] != "off"

    @property
    def counts_traces(self) -> bool:
        """Whether there is a limit of traces; while leaks are looked for, every call is traced."""
        return self.max_traces is not None and self.on("compilation") and not self.on("leaks")

    def add(self, concern: str, text: str) -> None:
        """Something was found."""
        self.found.append((concern, text))

    def add_problems(
        self, concern: str, problems: tuple[Problem, ...], when: str = "", help: str = ""
    ) -> None:
        """Some places where something is not as it was."""
        from pytest_purestate._runtime.failures import listed

        if problems:
            self.problems += [(concern, problem) for problem in problems]
            self.add(
                concern,
                "\n".join([_TITLES[concern] + when, *listed(problems), f"  help: {help or _HELP[concern]}"]),
            )

    def add_reuse(self, reuse: KeyReuse) -> None:
        """A key was used twice."""
        root = self.item.config.rootpath

        def shown(place: Any) -> str:
            path = Path(place.file)
            name = path.relative_to(root) if path.is_relative_to(root) else path
            return f"{name}:{place.line}" + (f" in {place.function}" if place.function else "")

        lines = [reuse.message]
        if reuse.first != reuse.second:
            lines += [f"  first here: {shown(reuse.first)}", f"  again here: {shown(reuse.second)}"]
        else:
            lines.append(f"  each time here: {shown(reuse.first)}")
        self.add("keys", "\n".join([*lines, f"  help: {_HELP['keys']}"]))

    def watch_state(self, name: str, state: Any, *, hold: bool = False) -> None:
        """Look after a state until the end of the test."""
        if not self.on("state"):
            return
        if self._states is None:
            from pytest_purestate._runtime.guard.states import StateWatch

            self._states = StateWatch()
        self._states.register(name, state, hold=hold)

    def hold(self, name: str, value: Any) -> None:
        """Remember what the test was given."""
        from pytest_purestate._runtime.recording import hold

        if (held := hold(name, value)) is not None:
            self.held.append(held)

    def errors(self) -> tuple[str, ...]:
        """What was found and fails the test."""
        return tuple(text for concern, text in self.found if self.levels[concern] == "error")

    def watch_fixture(self, name: str, value: Any) -> None:
        """Look after the states in what a fixture gave."""
        self.hold(name, value)
        if self.on("state"):
            from pytest_purestate._runtime.guard.states import states_in

            for path, state in states_in(name, value):
                self.watch_state(path, state)

    def watching(self, make: Callable[..., Any]) -> Callable[..., Any]:
        """A function that makes states, each of which is watched."""

        @functools.wraps(make)
        def watched(*args: Any, **options: Any) -> Any:
            state = make(*args, **options)
            self._made += 1
            self.hold(f"state#{self._made}", state)
            self.watch_state("state", state, hold=True)
            return state

        return watched

    def look_at_states(self, when: str) -> None:
        """Report the states that were edited."""
        if self._states is not None:
            new = tuple(problem for problem in self._states.changes() if problem not in self._edits)
            self._edits.update(new)
            self.add_problems("state", new, f" ({when})")

    def untold(self) -> list[tuple[str, str]]:
        """What was found since this was asked for."""
        new = self.found[self._told :]
        self._told = len(self.found)
        return new

    def raise_errors(self) -> None:
        """Fail the phase for what counts as an error and was not told yet."""
        errors = [text for concern, text in self.untold() if self.levels[concern] == "error"]
        if errors:
            pytest.fail("\n\n".join(errors), pytrace=False)


class Guard:
    """One instance in every process of a run."""

    def __init__(self, config: pytest.Config, levels: Levels) -> None:
        self.config = config
        self.levels = levels
        self.keys: KeyWatch | None = None
        self.scope: Scope | None = None
        self.note = ""
        self.ready = False
        self.lineages = False  # whether somebody wants to see what became of each key
        self._confessed = False
        self._creation: Callable[[], None] | None = None
        self._patterns: list[str] = config.getini("python_files")
        self._reported: list[tuple[str, str, str, str]] = []  # node, concern, level, first line
        self._compiled: dict[str, tuple[float, int, int]] = {}
        self._functions: dict[str, tuple[float, int, int]] = {}

    # --- start and end -----------------------------------------------------------------------

    def begin(self) -> None:
        """Begin once JAX is there: tests that have nothing to do with it need not load it."""
        if self.ready or "jax" not in sys.modules:
            return
        self.ready = True
        if self.levels["keys"] != "off":
            self.watch_keys()

    def watch_keys(self) -> None:
        """Open the place that is watched from."""
        from pytest_purestate._runtime.guard.keys import KeyWatch
        from pytest_purestate._runtime.guard.places import Where

        if getattr(sys.modules["jax"].config, "jax_debug_key_reuse", False):
            self.note = "keys are not watched: JAX's own checker is on (jax_debug_key_reuse)"
            return
        if self.lineages:
            from pytest_purestate._runtime.guard.lineage_watch import LineageWatch

            self.keys = LineageWatch(Where(self._is_test), self._reused)
        else:
            self.keys = KeyWatch(Where(self._is_test), self._reused)
        if not self.keys.start():
            self.note = "this JAX has no place to watch from: only direct calls of jax.random are seen"

    def watch_states(self) -> None:
        """Hear of the train states that are created, once their class is loaded."""
        if self._creation is None:
            from pytest_purestate._runtime.guard.states import watch_creation

            self._creation = watch_creation(self._created)

    def _created(self, name: str, state: object) -> None:
        if self.scope is not None:
            self.scope.watch_state(name, state, hold=True)

    def pytest_unconfigure(self) -> None:
        """Leave JAX as it was."""
        if self._creation is not None:
            self._creation()
            self._creation = None
        if self.keys is not None:
            self.keys.stop()
            self.keys = None

    def _own_mistake(self) -> str:
        problem = self.keys.problem if self.keys is not None else ""
        return f"a mistake of the guard, please report it: {problem}" if problem else ""

    def _is_test(self, file: str) -> bool:
        path = Path(file)
        if path.name == "conftest.py" or any(
            fnmatch.fnmatch(path.name, pattern) for pattern in self._patterns
        ):
            return True
        root = self.config.rootpath
        inside = path.relative_to(root).parts[:-1] if path.is_relative_to(root) else ()
        return bool({"tests", "test", "testing"} & set(inside)) and "site-packages" not in inside

    def _reused(self, reuse: KeyReuse) -> None:
        if self.scope is not None and self.scope.on("keys"):
            self.scope.add_reuse(reuse)

    # --- one test ----------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """A test begins and ends."""
        if not isinstance(item, pytest.Function):
            return (yield)
        self.begin()
        marks = [dict(mark.kwargs) for mark in reversed(list(item.iter_markers("purestate")))]
        limits = [mark.pop("max_traces") for mark in marks if "max_traces" in mark]
        levels, wrong = dict(self.levels), ""
        for mark in marks:
            for name, level in mark.items():
                if name in CONCERNS and level in LEVELS:
                    levels[name] = level
                else:
                    wrong = (
                        f"the mark purestate takes a level by concern, and max_traces; not {name}={level!r}"
                    )
        scope = self.scope = Scope(self, item, levels)
        scope.wrong = wrong
        scope.max_traces = limits[-1] if limits else None
        scope.begin()
        try:
            return (yield)
        finally:
            self.scope = None
            if self.keys is not None:
                self.keys.clear()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Say what is wrong with a mark."""
        if self.scope is not None and self.scope.wrong:
            pytest.fail(f"usage error: {self.scope.wrong}", pytrace=False)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Watch the test itself; fails behind it."""
        scope = self.scope
        if scope is not None and not self.ready:  # a fixture loaded JAX
            self.begin()
            scope.begin()
        if scope is None or not self.ready:
            return (yield)
        for name, value in getattr(item, "funcargs", {}).items():
            scope.watch_fixture(name, value)
        from pytest_purestate._runtime.guard.compilation import Compilations
        from pytest_purestate._runtime.guard.host import HostState

        run = item.runtest

        def runtest() -> None:
            # Behind all hooks: pytest-randomly seeds generators in one.
            host = HostState.take(_OWN_FLAGS) if scope.on("host") else None
            try:
                run()
            finally:
                if host is not None:
                    self._look_at_host(scope, host)

        leaks: AbstractContextManager[Any] = nullcontext()
        if scope.on("leaks"):
            from pytest_purestate._runtime.guard.leaks import LeakCheck

            leaks = LeakCheck()
        scope.compilations = Compilations(explain=scope.counts_traces)
        item.runtest = runtest  # type: ignore[method-assign]
        try:
            with leaks, scope.compilations:
                result = yield
        finally:
            del item.runtest
            if self.keys is not None:
                self.keys.finish()
            scope.look_at_states("in the call of the test")
            self._look_at_compilations(scope)
        scope.raise_errors()
        return result

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Generator[None, None, None]:
        """Watch what fixtures do when they end."""
        result = yield
        if self.scope is not None:
            self.scope.look_at_states("in the teardown of the test")
            self.scope.raise_errors()
        return result

    def _look_at_host(self, scope: Scope, host: HostState) -> None:
        problems = host.changes()
        if not problems:
            return
        seeded = host.reseeded()
        # Numbers that were drawn are no state that anybody set.
        told = tuple(each for each in problems if each.kind != "host-rng" or each.path in seeded)
        if told:
            scope.add_problems("host", told)
            scope.add_problems("host", host.restore(), " and cannot be put back")

    def _look_at_compilations(self, scope: Scope) -> None:
        if scope.compilations is None:
            return
        from pytest_purestate._runtime.guard.compilation import exceeded, help_for, user_functions

        if scope.max_traces is not None and scope.counts_traces:
            problems = exceeded(scope.compilations, scope.max_traces)
            scope.add_problems("compilation", problems, help=help_for(problems))
        for name, counts in user_functions(scope.compilations, self.config.rootpath).items():
            self._add_function(name, (counts.seconds, counts.traces, counts.compiles))

    def _add_function(self, name: str, spent: tuple[float, int, int]) -> None:
        known = self._functions.get(name, (0.0, 0, 0))
        self._functions[name] = known[0] + spent[0], known[1] + spent[1], known[2] + spent[2]

    # --- reports -----------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Give the report what was found, for junit, for the summary, and where the test failed by itself."""
        report = yield
        scope = self.scope
        if scope is None or scope.item is not item:
            return report
        if report.failed and (
            untold := [text for concern, text in scope.untold() if scope.levels[concern] == "error"]
        ):
            report.sections.append(("purestate: also found", "\n\n".join(untold)))
        if call.when != "teardown":
            return report
        counts: dict[str, list[str]] = {}
        for concern, text in scope.found:
            counts.setdefault(concern, []).append(text)
        for concern, texts in counts.items():
            level = scope.levels[concern]
            properties = [(f"{_PROPERTY}{concern}", f"{level}: {text.splitlines()[0]}") for text in texts]
            report.user_properties.extend(properties)
            if level == "warn":
                for text in texts:
                    self._warn(item, text)
        if (mistake := self._own_mistake()) and not self._confessed:
            self._confessed = True
            report.user_properties.append((f"{_PROPERTY}mistake", mistake))
        compiled = scope.compilations
        if compiled is not None and compiled.seconds > _SLOW:
            told = f"{compiled.seconds:.2f} {compiled.traces} {compiled.compiles}"
            report.user_properties.append((f"{_PROPERTY}seconds", told))
        return report

    def _warn(self, item: pytest.Item, text: str) -> None:
        """Report a warning without raising it: filters that make errors of warnings are for the code under test."""
        import warnings

        file, line, _ = item.location
        message = warnings.WarningMessage(GuardWarning(text), GuardWarning, str(item.path), (line or 0) + 1)
        item.ihook.pytest_warning_recorded.call_historic(
            kwargs={
                "warning_message": message,
                "when": "runtest",
                "nodeid": item.nodeid,
                "location": (file, (line or 0) + 1, item.name),
            }
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect what the processes of the run found."""
        if report.when != "teardown":
            return
        for name, value in report.user_properties:
            if name == f"{_PROPERTY}mistake":
                self.note = str(value)
            elif name == f"{_PROPERTY}seconds":
                seconds, traces, compiles = str(value).split()
                self._compiled[report.nodeid] = float(seconds), int(traces), int(compiles)
            elif name.startswith(_PROPERTY) and name.removeprefix(_PROPERTY) in CONCERNS:
                level, _, text = str(value).partition(": ")
                self._reported.append((report.nodeid, name.removeprefix(_PROPERTY), level, text))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A worker of pytest-xdist tells what its functions took."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[f"{_PROPERTY}functions"] = {name: list(spent) for name, spent in self._functions.items()}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Collect what a worker told."""
        told = getattr(node, "workeroutput", {}).get(f"{_PROPERTY}functions", {})
        for name, (seconds, traces, compiles) in told.items():
            self._add_function(name, (seconds, traces, compiles))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What was found, by concern, and which tests spend their time compiling."""
        if self.note:
            terminalreporter.write_line(f"purestate: {self.note}")
        for concern in CONCERNS:
            found = [each for each in self._reported if each[1] == concern]
            if not found:
                continue
            tests = len({each[0] for each in found})
            many = "1 test" if tests == 1 else f"{tests} tests"
            terminalreporter.write_sep("-", f"purestate: {_TITLES[concern]} in {many}")
            for node, _, level, text in found[:_SHOWN]:
                terminalreporter.write_line(f"{level:5} {node}: {text}")
            if len(found) > _SHOWN:
                terminalreporter.write_line(f"      and {len(found) - _SHOWN} more")
        slow = [each for each in self._functions.items() if each[1][0] > _SLOW]
        for title, spent in (("", list(self._compiled.items())), (" by function", slow)):
            slowest = sorted(spent, key=lambda each: -each[1][0])[:_SHOWN]
            if slowest:
                terminalreporter.write_sep("-", f"purestate: slowest compilation{title}")
            for name, (seconds, traces, compiles) in slowest:
                terminalreporter.write_line(
                    f"{seconds:6.2f} s {name} ({traces} traces, {compiles} compilations)"
                )
