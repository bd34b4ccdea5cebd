"""Replay bundles, as pytest knows them: one is written when a test fails in an assertion of ours or in the guard, and put in
place when `purestate replay` runs that test again.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_purestate import _bundle
from pytest_purestate._versions import package_versions

if TYPE_CHECKING:
    from pytest_purestate._guard import Scope
    from pytest_purestate._runtime.recording import Call, Replay

__all__ = ["Replaying", "failure_of", "keep", "repeat_of", "run_again"]


class _DoneError(BaseException):
    """The process has done what it is for."""


def failure_of(item: pytest.Item, call: pytest.CallInfo[None], scope: Scope | None) -> tuple[str, str]:
    """Which half of the plugin a test failed in, ``assertion`` or ``guard``, and the text; empty for neither."""
    failures = sys.modules.get("pytest_purestate._runtime.failures")
    error = call.excinfo.value if call.excinfo is not None else None
    if failures is not None and isinstance(error, failures.PurityError):
        return "assertion", str(error)
    found = scope.errors() if scope is not None and scope.item is item else ()
    return ("guard", "\n\n".join(found)) if found else ("", "")


def keep(
    item: pytest.Item,
    error: BaseException | None,
    source: str,
    text: str,
    scope: Scope | None,
    repeat: _bundle.Repeat,
    limit: int,
) -> str:
    """Write the bundle of a failed test; gives the lines for its report."""
    from pytest_purestate._runtime import recording
    from pytest_purestate._runtime.leaves import packed
    from pytest_purestate._runtime.settings import settings_in_force

    last = recording.failing(error) if error is not None else None
    root = item.config.rootpath
    call: dict[str, Any] = {}
    if source == "assertion" and last is not None:
        leaves = last.leaves()
        # Each example of such a test makes its calls: which one comes is not known before.
        number = None if getattr(getattr(item, "obj", None), "is_hypothesis_test", False) else last.number
        call = {"assertion": last.assertion, "function": last.function, "number": number}
    elif source == "guard" and scope is not None:
        leaves = [leaf for held in scope.held for leaf in held.read()]
        call = {"assertion": "", "function": "", "number": 0}
    else:
        return ""
    data, facts, left_out = packed(leaves, limit)
    known = {
        "source": source,
        "call": call,
        "failure": text,
        "leaves": facts,
        "left_out": left_out,
        "versions": package_versions(),
        "environment": {name: os.environ[name] for name in _bundle.KEPT_VARIABLES if name in os.environ},
        "settings": settings_in_force(),
    }
    try:
        folder = _bundle.write(root, repeat, known, data)
    except OSError as error:
        return f"what the test was given could not be kept: {error}\n"
    shown = os.path.relpath(folder, item.config.invocation_params.dir)
    lines = f"replay: purestate replay {shown}\n"
    if left_out:
        lines += f"  without {', '.join(left_out[:3])}{' and others' if len(left_out) > 3 else ''}: too large (purestate_bundle_limit)\n"
    return lines


def repeat_of(item: pytest.Item, node: str, seed: int) -> _bundle.Repeat:
    """How pytest runs this test again."""
    config = item.config
    option, root = config.option, config.rootpath
    directory = config.invocation_params.dir
    options = [f"--purestate-seed={seed}"]
    options += ["--purestate"] if option.purestate else []
    options += ["--purestate-freeze"] if option.purestate_freeze else []
    options += ["--purestate-deterministic"] if option.purestate_deterministic else []
    options += [f"--purestate-level={level.replace(' ', '')}" for level in option.purestate_level or ()]
    if isinstance(number := getattr(option, "randomly_seed", None), int):
        options.append(f"--randomly-seed={number}")
    inifile = config.inipath
    return _bundle.Repeat(
        node,
        os.path.relpath(directory, root) if directory.is_relative_to(root) else ".",
        Path(sys.argv[0]).name == "__main__.py",
        os.path.relpath(inifile, root) if inifile is not None and inifile.is_relative_to(root) else "",
        tuple(options),
        tuple(each for each in option.override_ini or () if each.startswith("purestate_")),
    )


def run_again(item: pytest.Item, call: Call, repeat: _bundle.Repeat) -> Callable[[], bytes]:
    """What runs a test in a fresh process up to a call of an assertion, and gives what is written there."""
    from pytest_purestate._runtime.leaves import packed

    plugins = item.config.pluginmanager
    more = ["-n0"] if plugins.hasplugin("xdist") else []
    more += ["--no-cov"] if plugins.hasplugin("_cov") else []
    data, facts, _ = packed(call.leaves(), 1 << 40)
    place = {"assertion": call.assertion, "function": call.function, "number": call.number}
    root = item.config.rootpath

    def run() -> bytes:
        with tempfile.TemporaryDirectory(prefix="purestate-") as temporary:
            folder = Path(temporary, "bundle")
            _bundle.write(
                root,
                repeat,
                {"source": "process", "call": place, "failure": "", "leaves": facts},
                data,
                folder,
            )
            words, directory = _bundle.command(
                repeat, root, more=("-o", f"cache_dir={temporary}/cache", "--purestate-level=all=off", *more)
            )
            environment = {**os.environ, _bundle.ENVIRONMENT: str(folder)}
            environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
            done = subprocess.run(
                words,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
            result = Path(temporary, "result")
            if not result.exists():
                tail = done.stdout.decode(errors="replace")[-2000:].strip()
                raise RuntimeError(
                    f"the test was run again in a fresh process, and did not come to this call there\n{tail}"
                )
            return result.read_bytes()

    return run


class Replaying:
    """Runs in a process of `purestate replay`."""

    def __init__(self, bundle: _bundle.Bundle) -> None:
        from pytest_purestate._runtime import recording
        from pytest_purestate._runtime.leaves import unpacked

        self.bundle = bundle
        facts = bundle.facts
        call = facts["call"]
        self.replay: Replay = recording.Replay(
            str(call["assertion"]), call["number"], unpacked(bundle.leaves, facts["leaves"])
        )
        self.guarded = facts["source"] == "guard"
        if facts["source"] == "process":
            self.replay.arrived = self._finish
        self.outcome = "the test was not run"
        recording.start_replay(self.replay)

    def put(self, name: str, value: Any) -> Any:
        """Something that the test is given, with the leaves that it had in the other run."""
        from pytest_purestate._runtime.recording import put_held

        if not self.guarded:
            return value
        self.replay.reached = True
        new, strange = put_held(name, value, self.replay.leaves)
        self.replay.strange += strange
        return new

    def putting(self, make: Callable[..., Any]) -> Callable[..., Any]:
        """A function that makes states, with the leaves of those of the other run."""
        numbers = itertools.count(1)

        @functools.wraps(make)
        def made(*args: Any, **options: Any) -> Any:
            return self.put(f"state#{next(numbers)}", make(*args, **options))

        return made

    def _finish(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        from pytest_purestate._runtime.assertions.process import arrived

        self.bundle.folder.with_name("result").write_bytes(arrived(function, args))
        raise _DoneError

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Give the test what it had."""
        given = getattr(item, "funcargs", None)
        for name, value in dict(given or {}).items():
            given[name] = self.put(name, value)  # type: ignore[index]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Compare with the failure that was written down."""
        report = yield
        guard: Any = item.config.pluginmanager.get_plugin("purestate-guard")
        source, text = failure_of(item, call, guard.scope if guard is not None else None)
        if report.failed:
            if not text:
                self.outcome = "another failure: the test does not fail in what failed then"
            elif (source, _essence(text)) == (
                self.bundle.facts["source"],
                _essence(str(self.bundle.facts["failure"])),
            ):
                self.outcome = "the same failure as then"
            else:
                self.outcome = "another failure than then, which was:\n" + str(self.bundle.facts["failure"])
        elif report.when == "call" and report.passed:
            self.outcome = "the test passes now"
        return report

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how it ended."""
        write = terminalreporter.write_line
        write(f"purestate replay: {self.outcome}")
        if not self.replay.reached and self.replay.leaves:
            write("  the test does not come to that call any more, so nothing was put in place")
        if strange := list(dict.fromkeys(self.replay.strange)):
            write(f"  not as it was then, and left as it is now: {', '.join(strange[:5])}")


def _essence(text: str) -> str:
    """A failure without what may differ between two runs: values, numbers of lines, distances, settings."""
    lines = [
        line for line in text.splitlines() if not line.startswith("    ") and "settings: " not in line[:12]
    ]
    return re.sub(r"\d+", "0", "\n".join(lines))
