"""The arguments that choose rules, files and settings, and what they come to.

Commands share them: `add_rules`, `add_files`, `add_fixes` and `add_settings` put them on a parser, `settings_finder` reads them back.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_purestate.config import ConfigFinder, Overrides

__all__ = ["add_files", "add_fixes", "add_rules", "add_settings", "settings_finder"]


def add_rules(parser: argparse.ArgumentParser) -> None:
    """The arguments that choose rules."""
    rules = parser.add_argument_group("rules", "CODES: codes, prefixes, names or ALL, separated by commas")
    listed = {
        "--select": "use these rules only",
        "--extend-select": "use these rules too",
        "--ignore": "do not use these rules",
        "--fixable": "apply fixes of these rules only",
        "--extend-fixable": "apply fixes of these rules too",
        "--unfixable": "apply no fixes of these rules",
    }
    for name, help in listed.items():
        rules.add_argument(name, action="append", metavar="CODES", help=help)
    rules.add_argument(
        "--per-file-ignores",
        action="append",
        metavar="GLOB:CODES",
        help="do not use these rules in these files; replaces `per-file-ignores` of the settings",
    )
    rules.add_argument(
        "--extend-per-file-ignores", action="append", metavar="GLOB:CODES", help="adds to them"
    )
    rules.add_argument(
        "--min-confidence", choices=("high", "medium", "low"), help="how sure a finding must be"
    )


def add_files(parser: argparse.ArgumentParser) -> None:
    """The arguments that choose files and settings."""
    files = parser.add_argument_group("files and settings")
    files.add_argument(
        "--exclude", action="append", metavar="GLOBS", help="replaces the excluded names and paths"
    )
    files.add_argument("--extend-exclude", action="append", metavar="GLOBS", help="adds to them")
    files.add_argument(
        "--force-exclude",
        action=argparse.BooleanOptionalAction,
        help="exclude files that are named on the command line, too",
    )
    files.add_argument(
        "--respect-gitignore",
        action=argparse.BooleanOptionalAction,
        help="pass over what .gitignore names (the default)",
    )
    files.add_argument("--show-files", action="store_true", help="list the files to be checked and exit")
    files.add_argument(
        "--show-settings",
        action="store_true",
        help="print the settings of the first file, and where each comes from, and exit",
    )
    add_settings(files)
    files.add_argument("--baseline", metavar="FILE", help="hide the findings that this file lists")


def add_fixes(parser: argparse.ArgumentParser) -> None:
    """The arguments that ask for fixes."""
    fixes = parser.add_argument_group(
        "fixes", "safe ones keep what the code does; unsafe ones are to be looked at"
    )
    fixes.add_argument("--fix", action="store_true", help="apply the safe fixes, and report what remains")
    fixes.add_argument("--fix-only", action="store_true", help="apply the safe fixes, and report nothing")
    fixes.add_argument("--unsafe-fixes", action="store_true", help="with these, apply the unsafe ones too")
    fixes.add_argument(
        "--diff", action="store_true", help="show what the fixes would change, and write nothing"
    )
    fixes.add_argument("--show-fixes", action="store_true", help="list what was fixed")
    fixes.add_argument(
        "--exit-non-zero-on-fix",
        action="store_true",
        help="exit 1 if anything was fixed, though nothing remains",
    )


def add_settings(parser: argparse._ActionsContainer) -> None:
    """The arguments that choose settings."""
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="FILE|KEY=VALUE",
        help="use this settings file for everything; or set one key, as in `select=['PS1']`",
    )
    parser.add_argument("--isolated", action="store_true", help="use no settings file")


def settings_finder(options: argparse.Namespace) -> ConfigFinder:
    """The settings that these arguments ask for.

    Raises:
        ConfigError: an argument is not valid, or the settings file that it names.
    """
    from pytest_purestate.config import ConfigError, ConfigFinder

    inline = [text for text in options.config if "=" in text and not _is_file(text)]
    files = [text for text in options.config if text not in inline]
    if len(files) > 1:
        raise ConfigError(f"--config names more than one settings file: {', '.join(files)}")
    if files and options.isolated:
        raise ConfigError(f"--config {files[0]} cannot be used with --isolated, which reads no settings file")
    overrides = _overrides(options) if "select" in options else None
    return ConfigFinder(Path(files[0]) if files else None, options.isolated, overrides, inline=inline)


def _overrides(options: argparse.Namespace) -> Overrides:
    from pytest_purestate.config import Overrides

    return Overrides(
        select=_listed(options.select) or None,
        extend_select=_listed(options.extend_select),
        ignore=_listed(options.ignore),
        fixable=_listed(options.fixable) or None,
        extend_fixable=_listed(options.extend_fixable),
        unfixable=_listed(options.unfixable),
        per_file_ignores=None if options.per_file_ignores is None else _per_file(options.per_file_ignores),
        extend_per_file_ignores=_per_file(options.extend_per_file_ignores),
        exclude=None if options.exclude is None else _globs(options.exclude),
        extend_exclude=_globs(options.extend_exclude),
        force_exclude=options.force_exclude,
        respect_gitignore=options.respect_gitignore,
        min_confidence=options.min_confidence,
        baseline=None if options.baseline is None else str(Path(options.baseline).absolute()),
    )


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # too long for a name
        return False


def _listed(values: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(item.strip() for value in values or () for item in value.split(",") if item.strip())


def _globs(values: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(map(_anchored, _listed(values)))


def _anchored(pattern: str) -> str:
    """Patterns of the command line are relative to the working directory, not to a settings file."""
    negated, pattern = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    return negated + (str(Path(pattern).absolute()) if "/" in pattern.rstrip("/") else pattern)


def _per_file(values: Iterable[str] | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """``GLOB:CODE`` pairs with commas between them; codes that follow without a pattern belong to the last."""
    from pytest_purestate.config import ConfigError

    found: list[tuple[str, list[str]]] = []
    for value in values or ():
        first = True
        for item in _listed([value]):
            pattern, colon, code = item.rpartition(":")
            if colon and pattern and code:
                found.append((_anchored(pattern.strip()), [code.strip()]))
            elif first or colon:
                raise ConfigError(f"--per-file-ignores `{item}` is not of the form GLOB:CODE")
            else:
                found[-1][1].append(item)
            first = False
    return tuple((pattern, tuple(codes)) for pattern, codes in found)
