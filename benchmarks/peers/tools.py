"""Runs the linters: every one with all its rules, without anybody's settings, in one process a set."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.score import Message

__all__ = ["TOOLS", "Run", "Tool", "run", "version"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Tool:
    """A linter. ``failures`` are exit statuses of a run that broke off, and so says nothing of its files.

    A command begins with a name to look up, or with a path.
    """

    name: str
    version: tuple[str, ...]
    command: tuple[str, ...]
    parse: Callable[[str], Iterator[Message]]
    failures: frozenset[int] = frozenset({2})


@dataclass(frozen=True, slots=True)
class Run:
    """What a linter said about a set. It broke off on the files in ``failed``."""

    messages: tuple[Message, ...]
    seconds: float
    failed: tuple[str, ...]


def _purestate(output: str) -> Iterator[Message]:
    for row in map(json.loads, output.splitlines()):
        yield Message(row["path"], row["line"], row["code"], row["end_line"])


def _jaxlint(output: str) -> Iterator[Message]:
    for row in json.loads(output):
        yield Message(row["path"], row["line"], row["rule_id"], row["end_line"] or row["line"])


def _ruff(output: str) -> Iterator[Message]:
    for row in map(json.loads, output.splitlines()):
        code = row["code"] or "syntax-error"
        yield Message(row["filename"], row["location"]["row"], code, row["end_location"]["row"])


def _pylint(output: str) -> Iterator[Message]:
    for row in json.loads(output)["messages"]:
        yield Message(row["path"], row["line"], row["messageId"], row["endLine"] or row["line"])


def _lines(output: str) -> Iterator[Message]:
    """Lines of ``path:line:code``, as the formats below ask for; fixit mixes tracebacks in."""
    for match in re.finditer(r"^(\S+\.py):(\d+):(\w+)$", output, re.MULTILINE):
        yield Message(match[1], int(match[2]), match[3], int(match[2]))


# jax, flax and optax should be installed next to pylint, which infers types from them. Its comparison of all
# files with each other for duplicate lines is off: it takes minutes, and is about none of this.
PYLINT_PLUGINS = (
    *(
        "bad_builtin",
        "broad_try_clause",
        "check_elif",
        "code_style",
        "comparison_placement",
        "confusing_elif",
    ),
    *("consider_refactoring_into_while_condition", "consider_ternary_expression", "dict_init_mutate"),
    *("docparams", "docstyle", "dunder", "empty_comment", "eq_without_hash", "for_any_all", "magic_value"),
    *("mccabe", "no_self_use", "overlapping_exceptions", "private_import", "redefined_loop_name"),
    *("redefined_variable_type", "set_membership", "typing", "while_used"),
)

TOOLS = (
    Tool(
        "purestate",
        (sys.executable, "-P", "-m", "pytest_purestate", "--version"),
        (
            *(sys.executable, "-P", "-m", "pytest_purestate", "check"),
            *("--isolated", "--jobs", "1", "--output-format", "json-lines"),
        ),
        _purestate,
    ),
    Tool(
        "jaxlint", ("jaxlint", "version"), ("jaxlint", "check", "--jobs", "1", "--format", "json"), _jaxlint
    ),
    Tool(
        "ruff",
        ("ruff", "--version"),
        (
            *("ruff", "check", "--isolated", "--no-cache", "--select", "ALL", "--preview"),
            *("--target-version", "py313", "--output-format", "json-lines"),
        ),
        _ruff,
    ),
    Tool(
        "pylint",
        ("pylint", "--version"),
        (
            *("pylint", "--rcfile", os.devnull, "--persistent", "n", "--output-format", "json2"),
            *("--load-plugins", ",".join(f"pylint.extensions.{name}" for name in PYLINT_PLUGINS)),
            *("--enable=all", "--disable=duplicate-code"),
        ),
        _pylint,
        frozenset({32}),  # the others are sums of what it found
    ),
    Tool(
        "flake8",
        ("flake8", "--version"),
        (
            *("flake8", "--isolated", "--jobs", "1", "--select", "B,C,E,F,T,W", "--extend-select", "B9"),
            *("--format", "%(path)s:%(row)d:%(code)s"),
        ),
        _lines,
    ),
    Tool(
        "fixit",
        ("fixit", "--version"),
        (
            *("fixit", "--quiet", "--rules", "fixit.rules,fixit.rules.extra", "-o", "custom"),
            *("--output-template", "{path}:{start_line}:{rule_name}", "lint"),
        ),
        _lines,
        frozenset({2, 3}),
    ),
)


def _executable(command: Sequence[str], folder: Path | None) -> str | None:
    """Where a program is: its own path, or in the folder if one is given, or else on PATH."""
    if Path(command[0]).is_absolute():
        return command[0]
    return shutil.which(command[0], path=None if folder is None else str(folder.resolve()))


def version(tool: Tool, where: Path | None, home: Path) -> str | None:
    """The version of a linter, with those of its plugins that it names; None if it is not there."""
    if (executable := _executable(tool.version, where)) is None:
        return None
    command = (executable, *tool.version[1:])
    done = subprocess.run(command, env=_environment(tool, home), capture_output=True, text=True)
    text = " ".join(done.stdout.split())
    number = re.search(r"\d+(\.\w+)+", text)
    if done.returncode or number is None:
        return None
    plugins = re.findall(r"flake8-([\w-]+): (\d[\w.]*)", text)
    return ", ".join((number[0], *(f"{name} {plugin}" for name, plugin in plugins)))


def _environment(tool: Tool, home: Path) -> dict[str, str]:
    """The environment of a run: no settings and caches of the user, and no path to modules but our own."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ours = {"PYTHONPATH": str(ROOT)} if tool.name == "purestate" else {}
    return {**inherited, **ours, "HOME": str(home), "NO_COLOR": "1", "PYTHONUTF8": "1"}


def run(tool: Tool, folder: Path, paths: Sequence[str], where: Path | None, home: Path) -> Run:
    """Run a linter over the files of a set. When it breaks off, halve the files until one is to blame."""
    executable = _executable(tool.command, where)
    if executable is None:
        raise FileNotFoundError(tool.command[0])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    messages, failed = _halving(tool, executable, folder, list(paths), home)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Run(tuple(sorted(set(messages))), seconds, tuple(failed))


def _halving(
    tool: Tool, executable: str, folder: Path, paths: list[str], home: Path
) -> tuple[list[Message], list[str]]:
    done = subprocess.run(
        (executable, *tool.command[1:], *paths),
        cwd=folder,
        env=_environment(tool, home),
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    try:
        messages = [_relative(each, folder) for each in tool.parse(done.stdout)]
        broken = done.returncode < 0 or done.returncode in tool.failures
    except ValueError:  # no JSON, but a traceback
        messages, broken = [], True
    if not broken:
        return messages, []
    if len(paths) == 1:
        return [], paths
    middle = len(paths) // 2
    first = _halving(tool, executable, folder, paths[:middle], home)
    second = _halving(tool, executable, folder, paths[middle:], home)
    return first[0] + second[0], first[1] + second[1]


def _relative(message: Message, folder: Path) -> Message:
    path = os.path.relpath(folder / message.path, folder).replace(os.sep, "/")
    return Message(path, message.line, message.code, message.end)
