"""The command ``purestate``: checks files, and prints the page of a rule.

Only the standard library's argparse is imported here; a command imports what it needs when it runs,
so that ``purestate --help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_purestate._check.discovery import Target
    from pytest_purestate._check.engine import Run
    from pytest_purestate.config import ConfigFinder, Overrides

__all__ = ["main"]

CLEAN, FINDINGS, ERROR = 0, 1, 2
INTERRUPTED = 130  # what shells report for a command that Ctrl-C ended

FORMATS = ("full", "concise", "json", "json-lines")

_EPILOG = "exit status: 0 clean, 1 findings, 2 usage, configuration or internal error"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status (0 clean, 1 findings, 2 usage or configuration error)."""
    options = _parser().parse_args(arguments)
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
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="purestate", description="Finds hidden state and misused PRNG keys in JAX code.", epilog=_EPILOG
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_check(commands)
    _add_rule(commands)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # 20 ms that only this option pays

        print(f"purestate {version('pytest-purestate')}")
        parser.exit(CLEAN)


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = commands.add_parser("check", help="check files and directories", epilog=_EPILOG)
    check.set_defaults(run=_check)
    check.add_argument(
        "paths", nargs="*", default=["."], metavar="PATH", help="default: . ; - reads standard input"
    )
    check.add_argument("--stdin-filename", metavar="FILE", help="the name that standard input goes by")
    check.add_argument("--no-prefilter", action="store_true", help="parse files that never mention JAX too")
    check.add_argument(
        "--jobs", type=_jobs, metavar="N", help="worker processes, default one a CPU; 0: in this process"
    )

    rules = check.add_argument_group("rules", "CODES: codes, prefixes, names or ALL, separated by commas")
    rules.add_argument("--select", action="append", metavar="CODES", help="use these rules only")
    rules.add_argument("--extend-select", action="append", metavar="CODES", help="use these rules too")
    rules.add_argument("--ignore", action="append", metavar="CODES", help="do not use these rules")
    rules.add_argument(
        "--min-confidence", choices=("high", "medium", "low"), help="how sure a finding must be"
    )

    files = check.add_argument_group("files and settings")
    files.add_argument(
        "--exclude", action="append", metavar="GLOBS", help="replaces the excluded names and paths"
    )
    files.add_argument("--extend-exclude", action="append", metavar="GLOBS", help="adds to them")
    files.add_argument("--no-respect-gitignore", action="store_true", help="check what .gitignore names too")
    files.add_argument("--show-files", action="store_true", help="list the files to be checked and exit")
    settings = files.add_mutually_exclusive_group()
    settings.add_argument("--config", type=Path, metavar="FILE", help="use this settings file for everything")
    settings.add_argument("--isolated", action="store_true", help="use no settings file")

    output = check.add_argument_group("output")
    output.add_argument("--output-format", choices=FORMATS, default="full", help="default: full")
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


def _check(options: argparse.Namespace) -> int:
    from pytest_purestate._check.discovery import MissingPathError
    from pytest_purestate._check.engine import check_targets
    from pytest_purestate.config import ConfigError, ConfigFinder

    overrides = _overrides(options)
    try:
        finder = ConfigFinder(options.config, options.isolated, overrides)
        targets = _targets(options, finder)
        if options.show_files:
            sys.stdout.writelines(f"{target.path}\n" for target in targets)
            return CLEAN
        run = check_targets(targets, overrides, jobs=options.jobs, prefilter=not options.no_prefilter)
    except (ConfigError, MissingPathError) as error:
        print(f"purestate: {error}", file=sys.stderr)
        return ERROR
    _report(run, options, targets)
    if run.internal:
        return ERROR
    return FINDINGS if run.findings and not options.exit_zero else CLEAN


def _targets(options: argparse.Namespace, finder: ConfigFinder) -> list[Target]:
    from pytest_purestate._check.discovery import Target, discover

    name = options.stdin_filename
    file = Path(name or "<stdin>").absolute()
    stdin = [
        Target(file, name or "<stdin>", finder.of(file.parent), raw=sys.stdin.buffer.read())
        for path in dict.fromkeys(options.paths)
        if path == "-"
    ]
    return stdin + discover([Path(path) for path in options.paths if path != "-"], finder)


def _overrides(options: argparse.Namespace) -> Overrides:
    from pytest_purestate.config import Overrides

    select, exclude = _listed(options.select), _globs(options.exclude)
    return Overrides(
        select=select or None,
        extend_select=_listed(options.extend_select),
        ignore=_listed(options.ignore),
        exclude=None if options.exclude is None else exclude,
        extend_exclude=_globs(options.extend_exclude),
        respect_gitignore=False if options.no_respect_gitignore else None,
        min_confidence=options.min_confidence,
    )


def _report(run: Run, options: argparse.Namespace, targets: Sequence[Target]) -> None:
    from pytest_purestate._check.registry import rules_by_code
    from pytest_purestate._check.report import json, text
    from pytest_purestate._check.report.sources import Sources
    from pytest_purestate._check.report.style import Style, wants_colour

    raw = {target.path: target.raw for target in targets if target.raw is not None}
    sources = Sources({target.path: target.file for target in targets}, raw)
    style = Style(wants_colour(sys.stdout, os.environ))
    machine = options.output_format.startswith("json")
    if options.statistics:
        render = json.render_statistics if machine else text.render_statistics
        _write(render(run.findings, rules_by_code()))
    elif machine:
        write = json.render_json if options.output_format == "json" else json.render_json_lines
        _write(write(run.findings, rules_by_code(), sources))
    elif options.output_format == "concise":
        _write(text.render_concise(run.findings, sources, style))
    else:
        _write(text.render_full(run.findings, sources, style))
    # Programs that read JSON from stdout must find nothing else there.
    print(run.summary(), file=sys.stderr if machine else sys.stdout)


def _rule(options: argparse.Namespace) -> int:
    from pytest_purestate._check import docs, registry

    try:
        found = registry.rules() if options.all else (registry.named(options.rule),)
    except registry.UnknownSelectorError as error:
        print(f"purestate: {error}", file=sys.stderr)
        return ERROR
    _write("\n".join(docs.render_page(docs.page(rule)) for rule in found))
    return CLEAN


def _write(pieces: Iterable[str]) -> None:
    if hasattr(sys.stdout, "reconfigure"):  # a terminal that cannot show a character must not end the run
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout.writelines(pieces)


def _listed(values: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(item.strip() for value in values or () for item in value.split(",") if item.strip())


def _globs(values: Iterable[str] | None) -> tuple[str, ...]:
    """Patterns of the command line are relative to the working directory, not to a settings file."""
    return tuple(str(Path(item).absolute()) if "/" in item.rstrip("/") else item for item in _listed(values))


def _jobs(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number from 0 on, not `{text}`")
    return int(text)
