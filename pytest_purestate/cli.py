"""The command ``purestate``: checks files, prints the page of a rule, explains a line.

Only the standard library's argparse is imported here; a command imports what it needs when it runs,
so that ``purestate --help`` answers at once.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_purestate._arguments import add_files, add_fixes, add_rules, add_settings, settings_finder
from pytest_purestate._check.report import FORMATS

if TYPE_CHECKING:
    from pytest_purestate._check.discovery import Target
    from pytest_purestate.config import ConfigFinder

__all__ = ["main"]

CLEAN, ERROR = 0, 2
INTERRUPTED = 130  # what shells report for a command that Ctrl-C ended

_EPILOG = "exit status: 0 clean, 1 findings, 2 usage, configuration or internal error"


def main(arguments: Sequence[str] | None = None, *, own_process: bool = False) -> int:
    """Run the command; returns the exit status (0 clean, 1 findings, 2 usage or configuration error).

    ``own_process`` says that nothing else runs in this process, now or later.
    """
    options = _parser().parse_args(arguments)
    options.own_process = own_process
    collects = gc.isenabled()
    gc.disable()  # it takes a third of the start, and finds nothing among modules; `Checker` collects when it must
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has enough (`| head`). Python flushes stdout once more at exit: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    except KeyboardInterrupt:
        print("purestate: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        # Python would exit with 1, which says "findings".
        traceback.print_exc()
        print(
            f"purestate: internal error, please report it: {type(error).__name__}: {error}", file=sys.stderr
        )
        return ERROR
    finally:
        if collects:
            gc.enable()
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="purestate", description="Finds hidden state and misused PRNG keys in JAX code.", epilog=_EPILOG
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_check(commands)
    _add_rule(commands)
    _add_explain(commands)
    _add_replay(commands)
    _add_report(commands)
    clean = commands.add_parser("clean", help="remove the results that are kept")
    clean.set_defaults(run=_clean)
    clean.add_argument("--cache-dir", type=Path, metavar="DIR", help="as for `check`")
    lsp = commands.add_parser("lsp", help="serve an editor on standard input and output")
    lsp.set_defaults(run=_lsp)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # 20 ms that only this option pays

        print(f"purestate {version('pytest-purestate')}")
        parser.exit(CLEAN)


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = commands.add_parser(
        "check", help="check files and directories", epilog=_EPILOG, allow_abbrev=False
    )
    check.set_defaults(run=_check)
    check.add_argument(
        "paths", nargs="*", default=["."], metavar="PATH", help="default: . ; - reads standard input"
    )
    check.add_argument("--stdin-filename", metavar="FILE", help="the name that standard input goes by")
    check.add_argument("--no-prefilter", action="store_true", help="parse files that never mention JAX too")
    check.add_argument(
        "--jobs", type=_jobs, metavar="N", help="worker processes, default one a CPU; 0: in this process"
    )

    check.add_argument("--no-cache", action="store_true", help="check everything anew, and keep nothing")
    check.add_argument(
        "--cache-dir", type=Path, metavar="DIR", help="where results are kept, default: .purestate_cache"
    )
    add_rules(check)
    add_files(check)
    add_fixes(check)
    adopt = check.add_argument_group("begin with an old code base").add_mutually_exclusive_group()
    adopt.add_argument(
        "--add-noqa", action="store_true", help="add a `# noqa: CODES` to every line with a finding and exit"
    )
    adopt.add_argument(
        "--write-baseline", type=Path, metavar="FILE", help="write the findings to a baseline and exit"
    )

    output = check.add_argument_group("output")
    output.add_argument("--output-format", choices=tuple(FORMATS), default="full", help="default: full")
    output.add_argument(
        "-o",
        "--output-file",
        type=Path,
        metavar="FILE",
        help="write the report there, and its last line here",
    )
    output.add_argument(
        "--statistics", action="store_true", help="count findings by rule instead of listing them"
    )
    output.add_argument("--exit-zero", action="store_true", help="exit 0 even where there are findings")


def _add_rule(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    rule = commands.add_parser("rule", help="print the page of a rule")
    rule.set_defaults(run=_rule)
    which = rule.add_mutually_exclusive_group(required=True)
    which.add_argument("rule", nargs="?", metavar="RULE", help="a code such as PS101, or a name")
    which.add_argument("--all", action="store_true", help="print the pages of all rules")
    rule.add_argument("--output-format", choices=("full", "json"), default="full", help="default: full")


def _add_explain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    explain = commands.add_parser(
        "explain", help="say what the values on a line are taken for, and why", allow_abbrev=False
    )
    explain.set_defaults(run=_explain)
    explain.add_argument(
        "place", metavar="FILE:LINE[:COLUMN]", help="a line, or what covers one column of it"
    )
    explain.add_argument("--output-format", choices=("full", "json"), default="full", help="default: full")
    add_settings(explain)


def _add_replay(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    replay = commands.add_parser(
        "replay",
        help="run a failed test again with what its failing call was given",
        epilog="exit status: 0 the test passes now, 1 it fails, 2 the bundle is refused or pytest did not run",
        allow_abbrev=False,
    )
    replay.set_defaults(run=_replay)
    replay.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", help="default: the last one in .purestate/failures"
    )
    replay.add_argument("--show", action="store_true", help="print what the bundle holds, and run nothing")


def _add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = commands.add_parser(
        "report",
        help="write a page about the last run of `pytest --purestate`",
        epilog="exit status: 0 written, 2 there is nothing to show, or it cannot be written",
        allow_abbrev=False,
    )
    report.set_defaults(run=_report)
    report.add_argument(
        "results",
        nargs="?",
        type=Path,
        metavar="RESULTS",
        help="default: .purestate/report.json, here or above",
    )
    report.add_argument(
        "-o",
        "--output-file",
        type=Path,
        default=Path("purestate-report.html"),
        metavar="FILE",
        help="default: purestate-report.html",
    )


def _check(options: argparse.Namespace) -> int:
    from pytest_purestate._check.command import CommandError, check, compatible
    from pytest_purestate._check.discovery import MissingPathError
    from pytest_purestate._check.trees import prefer_light
    from pytest_purestate.config import ConfigError

    try:
        compatible(options)
        finder = settings_finder(options)
        targets = _targets(options, finder)
        if options.own_process:
            prefer_light(len(targets))
        if options.show_settings:
            _write(_settings(targets, finder))
            return CLEAN
        if options.show_files:
            sys.stdout.writelines(f"{target.path}\n" for target in targets)
            return CLEAN
        return check(options, targets, finder.overrides, _write)
    except (ConfigError, MissingPathError, CommandError) as error:
        print(f"purestate: {error}", file=sys.stderr)
        return ERROR


def _settings(targets: Sequence[Target], finder: ConfigFinder) -> Iterable[str]:
    from pytest_purestate._check.show import render_settings

    if targets:
        return render_settings(targets[0].path, targets[0].config, finder.overrides)
    return render_settings("the working directory", finder.of(Path.cwd()), finder.overrides)


def _targets(options: argparse.Namespace, finder: ConfigFinder) -> list[Target]:
    from pytest_purestate._check.discovery import Target, discover, is_excluded

    name = options.stdin_filename
    file = Path(name or "<stdin>").absolute()
    stdin = [
        Target(file, name or "<stdin>", finder.of(file.parent), raw=sys.stdin.buffer.read())
        for path in dict.fromkeys(options.paths)
        if path == "-" and not (name and is_excluded(file, finder))
    ]
    return stdin + discover([Path(path) for path in options.paths if path != "-"], finder)


def _rule(options: argparse.Namespace) -> int:
    from pytest_purestate._check import docs, registry

    try:
        found = registry.rules() if options.all else (registry.named(options.rule),)
    except registry.UnknownSelectorError as error:
        print(f"purestate: {error}", file=sys.stderr)
        return ERROR
    if options.output_format == "json":
        _write(docs.render_json(docs.page(rule) for rule in found))
    else:
        _write("\n".join(docs.render_page(docs.page(rule)) for rule in found))
    return CLEAN


def _explain(options: argparse.Namespace) -> int:
    from pytest_purestate._check.explained import ExplainError, explain_place
    from pytest_purestate.config import ConfigError

    try:
        _write(explain_place(options.place, settings_finder(options), options.output_format, sys.stdout))
    except (ConfigError, ExplainError) as error:
        print(f"purestate: {error}", file=sys.stderr)
        return ERROR
    return CLEAN


def _lsp(options: argparse.Namespace) -> int:
    del options
    try:
        from pytest_purestate._check.lsp.server import serve
    except ModuleNotFoundError as error:
        if error.name not in ("pygls", "lsprotocol"):
            raise
        print("purestate: `lsp` needs pygls: pip install 'pytest-purestate[lsp]'", file=sys.stderr)
        return ERROR
    serve()
    return CLEAN


def _clean(options: argparse.Namespace) -> int:
    from pytest_purestate._check.cache import clean, folder_of
    from pytest_purestate._check.discovery import Target
    from pytest_purestate.config import ConfigError, ConfigFinder

    try:
        here = Target(Path.cwd(), ".", ConfigFinder().of(Path.cwd()))
        folder = folder_of([here], options.cache_dir)
        print(
            f"removed {folder}" if clean(folder) else f"nothing to remove: there are no results in {folder}"
        )
    except (ConfigError, OSError) as error:
        print(f"purestate: {error}", file=sys.stderr)
        return ERROR
    return CLEAN


def _replay(options: argparse.Namespace) -> int:
    from pytest_purestate import _bundle

    try:
        folder = options.folder or _bundle.newest(Path.cwd())
        if folder is None:
            raise _bundle.BundleError("there is no bundle in .purestate/failures; name one")
        bundle = _bundle.read(folder)
        if options.show:
            _write(_bundle.shown(bundle))
            return CLEAN
        return _bundle.run(bundle)
    except BrokenPipeError:
        raise  # the reader has enough
    except (_bundle.BundleError, OSError) as error:
        print(f"purestate: {error}", file=sys.stderr)
        return ERROR


def _report(options: argparse.Namespace) -> int:
    from pytest_purestate._pages import data, page

    try:
        recorded = data.load(options.results or data.find(Path.cwd()))
        data.write(options.output_file, page.render(recorded["run"], recorded["tests"]))
    except (data.DataError, OSError) as error:
        print(f"purestate: {error}", file=sys.stderr)
        return ERROR
    number = len(recorded["tests"])
    print(f"{options.output_file}: {number} {'test' if number == 1 else 'tests'}")
    return CLEAN


def _write(pieces: Iterable[str]) -> None:
    if hasattr(sys.stdout, "reconfigure"):  # a terminal that cannot show a character must not end the run
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout.writelines(pieces)


def _jobs(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number from 0 on, not `{text}`")
    return int(text)
