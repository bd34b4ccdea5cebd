"""The examples of the rule pages run: bad ones exactly, good ones under all rules, fixes to the letter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_purestate._check import docs, fixer, registry
from pytest_purestate._check.engine import check_source
from pytest_purestate._check.model import Rule
from pytest_purestate._check.source import Source
from pytest_purestate.config import Config, Overrides

ERROR = re.compile(r"# error:((?: \[PS\d{3}\])+)\s*$")
COMMENT = re.compile(r"\s*# error:.*$", re.MULTILINE)


def marks(text: str) -> list[tuple[int, str]]:
    """The findings that a text says it has, as (line, code)."""
    return [
        (number, code)
        for number, line in enumerate(text.splitlines(), start=1)
        if (match := ERROR.search(line))
        for code in re.findall(r"PS\d{3}", match[1])
    ]


def found(source: Source, *extend: str, least: str = "medium") -> list[tuple[int, str]]:
    """The findings that it has under all rules that are on, and under those of the others that are named."""
    config, overrides = Config(Path.cwd(), min_confidence=least), Overrides(extend_select=extend)
    return sorted(
        (source.position(finding.primary.span.start)[0], finding.code)
        for finding in check_source(source, config=config, overrides=overrides)
    )


RULES = registry.rules()
EXAMPLES = [
    pytest.param(rule, number, example, id=f"{rule.code}-{example.kind}-{number}")
    for rule in RULES
    for number, example in enumerate(docs.examples(docs.page(rule).body))
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_page_shows_what_is_wrong_and_what_is_right(rule: Rule) -> None:
    page = docs.page(rule)
    kinds = [example.kind for example in docs.examples(page.body)]
    assert "good" in kinds
    if rule.check is not None:
        assert "bad" in kinds
    assert "## Why is this bad?" in page.body


@pytest.mark.parametrize(("rule", "number", "example"), EXAMPLES)
def test_an_example_is_reported_as_it_says(rule: Rule, number: int, example: docs.Example) -> None:
    source = Source.from_text(example.code, "example.py")
    if example.kind == "good":
        assert marks(example.code) == []
        assert found(source, rule.code) == []
    elif example.kind == "fixed":
        before = docs.examples(docs.page(rule).body)[number - 1]
        assert before.kind == "bad"
        bad = Source.from_text(before.code, "example.py")
        findings = check_source(bad, overrides=Overrides(select=(rule.code,)))
        fixed = fixer.apply(bad, findings, unsafe=True).text
        assert COMMENT.sub("", fixed) == example.code
        assert rule.code not in [code for _, code in found(source, rule.code)]
    else:
        assert rule.code in [code for _, code in marks(example.code)]
        assert found(source, rule.code) == marks(example.code)


def test_a_finding_too_many_and_one_too_few_would_be_seen() -> None:
    text = "import jax\n\ndef f(k):\n    jax.random.normal(k)\n    return jax.random.normal(k)\n"
    assert found(Source.from_text(text, "a.py")) == [(5, "PS101")]
    assert marks(text) == []
    assert marks("x  # error: [PS101] [PS102]\n") == [(1, "PS101"), (1, "PS102")]


def test_a_rule_belongs_to_a_documented_family() -> None:
    assert {rule.code[:3] for rule in RULES} <= {"PS0", "PS1", "PS2", "PS3", "PS4"}
    assert Path(docs.__file__).is_file()
