"""Rule pages, from the docstrings of the rules' own modules.

The text is read from the source file, because ``__doc__`` is None under ``python -OO``. The first
line is the summary; blocks marked ``python bad``, ``python fixed`` and ``python good`` are
examples, which the tests run.

``python -m pytest_purestate._check.docs docs/rules`` writes the pages and their index.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_purestate._check.model import Rule
from pytest_purestate._check.registry import BrokenRuleError, module_name, rules

__all__ = ["Example", "RulePage", "examples", "page", "pages", "render_json", "render_page", "write"]

_SERIES = {
    "PS0": "The checker itself",
    "PS1": "Keys",
    "PS2": "State",
    "PS3": "Tracing",
    "PS4": "Reproducibility",
}

_BLOCK = re.compile(r"^```python (bad|fixed|good)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Example:
    """A code block of a rule page; ``kind`` is bad, fixed or good, ``line`` where it begins."""

    kind: str
    code: str
    line: int


@dataclass(frozen=True, slots=True)
class RulePage:
    """The documentation of a rule."""

    rule: Rule
    summary: str
    body: str

    @property
    def has_fix(self) -> bool:
        """Whether the rule repairs what it reports: its page shows the repaired code."""
        return any(example.kind == "fixed" for example in examples(self.body))


@functools.cache
def page(rule: Rule) -> RulePage:
    """The page of a rule.

    Raises:
        BrokenRuleError: its module has no docstring, or the docstring does not begin with one summary line.
    """
    name = module_name(rule)
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise BrokenRuleError(f"{rule.code}: no module {name}")
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    summary, _, body = text.partition("\n\n")
    if not summary or "\n" in summary or not summary.endswith("."):
        raise BrokenRuleError(f"{rule.code}: the docstring must begin with one line that is a sentence")
    return RulePage(rule, summary, body.strip() + "\n")


def examples(body: str) -> tuple[Example, ...]:
    """The marked code blocks of a page."""
    return tuple(
        Example(match[1], match[2], body.count("\n", 0, match.start(2)) + 1)
        for match in _BLOCK.finditer(body)
    )


def render_page(found: RulePage) -> str:
    """A rule page as Markdown."""
    rule = found.rule
    facts = [f"Severity: {rule.severity.value}", f"since {rule.since}"]
    facts.append("has a fix" if found.has_fix else "no automatic fix")
    if rule.opt_in:
        facts.append("off by default")
    body = _BLOCK.sub(lambda match: f"```python\n{match[2]}```", _titled(found.body))
    return f"# {rule.name} ({rule.code})\n\n{found.summary}\n\n{', '.join(facts)}.\n\n{body}"


def render_json(found: Iterable[RulePage]) -> Iterator[str]:
    """Rule pages as one JSON array, an object a line."""
    before = "["
    for each in found:
        rule = each.rule
        item = {
            "code": rule.code,
            "name": rule.name,
            "summary": each.summary,
            "severity": rule.severity.value,
            "since": rule.since,
            "fix": each.has_fix,
            "opt_in": rule.opt_in,
            "explanation": each.body,
        }
        yield f"{before}\n  {json.dumps(item)}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _titled(body: str) -> str:
    titles = {"bad": "Reported:", "fixed": "Repaired:", "good": "Right:"}

    def titled(match: re.Match[str]) -> str:
        said = body[: match.start()].rstrip().endswith(":")  # the text leads over to the example itself
        return match[0] if said else f"{titles[match[1]]}\n\n{match[0]}"

    return _BLOCK.sub(titled, body)


def pages() -> Mapping[str, str]:
    """The text of every file of ``docs/rules``, by name; ``README.md`` is the index."""
    found = [page(rule) for rule in rules()]
    return {"README.md": _index(found), **{f"{each.rule.name}.md": render_page(each) for each in found}}


def _index(found: list[RulePage]) -> str:
    lines = ["# Rules", "", "`purestate rule CODE` prints one of these pages."]
    for series, title in _SERIES.items():
        lines += [
            "",
            f"## {title} ({series}xx)",
            "",
            "| code | name | finds | severity | fix |",
            "|---|---|---|---|---|",
        ]
        for each in found:
            rule = each.rule
            if rule.code.startswith(series):
                fix = "yes" if each.has_fix else ""
                severity = f"{rule.severity.value}, off by default" if rule.opt_in else rule.severity.value
                summary = each.summary.removeprefix("Reports ").rstrip(".")
                lines.append(
                    f"| {rule.code} | [{rule.name}]({rule.name}.md) | {summary} | {severity} | {fix} |"
                )
    return "\n".join(lines) + "\n"


def write(directory: Path) -> None:
    """Write the pages, and take away those of rules that are gone."""
    wanted = pages()
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in wanted.items():
        (directory / name).write_text(text, encoding="utf-8")
    for file in directory.glob("*.md"):
        if file.name not in wanted:
            file.unlink()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
