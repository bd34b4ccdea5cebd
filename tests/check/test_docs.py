from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_purestate
from pytest_purestate._check import docs, registry
from pytest_purestate._check.model import Rule, Severity
from pytest_purestate._check.registry import BrokenRuleError


def test_a_page() -> None:
    assert docs.render_page(docs.page(registry.named("PS004"))) == (
        "# checker-limit (PS004)\n\n"
        "Reports a file that is beyond what the checker reads: too deep, too long, or too slow.\n\n"
        "Severity: error, since 0.1, no automatic fix.\n\n"
        "## Why is this bad?\n"
        "The file was not checked, or not to its end. Generated code sometimes nests or chains expressions\n"
        "thousands of levels deep, which ends parsers and other tools in a crash; the checker refuses such a\n"
        "file before it parses it, gives every file a time limit, and goes on with the rest. List the file\n"
        "in ``exclude`` if it is generated.\n\n"
        "Right:\n\n"
        "```python\ntotal = 1 + 1 + 1 + 1\n```\n"
    )


def test_a_fix_is_what_the_examples_show() -> None:
    rule = registry.named("PS001")
    body = "```python bad\nx\n```\n\n```python fixed\ny\n```\n"
    assert docs.RulePage(rule, "S.", body).has_fix
    assert not docs.page(rule).has_fix
    text = docs.render_page(
        docs.RulePage(Rule("PS900", "a", "0.2", Severity.WARNING, opt_in=True), "S.", body)
    )
    assert text == (
        "# a (PS900)\n\nS.\n\nSeverity: warning, since 0.2, has a fix, off by default.\n\n"
        "Reported:\n\n```python\nx\n```\n\nRepaired:\n\n```python\ny\n```\n"
    )


def test_examples_know_where_they_begin() -> None:
    body = "text\n```python good\na\nb\n```\n```python\nno\n```\n```python bad\nc\n```\n"
    assert docs.examples(body) == (docs.Example("good", "a\nb\n", 3), docs.Example("bad", "c\n", 10))


def test_a_rule_without_module() -> None:
    with pytest.raises(BrokenRuleError, match=r"^PS998: no module .*\.no_such_rule$"):
        docs.page(Rule("PS998", "no-such-rule", "0.1", Severity.ERROR))


def test_pages_do_not_need_docstrings_at_run_time() -> None:
    run = [sys.executable, "-OO", "-m", "pytest_purestate", "rule", "PS004"]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == docs.render_page(docs.page(registry.named("PS004")))


RULES = Path(pytest_purestate.__file__).parents[1] / "docs" / "rules"


def test_the_pages_in_the_repository_are_current() -> None:
    """`make docs` writes them."""
    assert {file.name: file.read_text(encoding="utf-8") for file in RULES.iterdir()} == docs.pages()


def test_the_index_names_every_rule_once() -> None:
    named = re.findall(r"^\| (PS\d+) \| \[([\w-]+)\]\(\2\.md\)", docs.pages()["README.md"], re.MULTILINE)
    assert named == [(rule.code, rule.name) for rule in registry.rules()]


def test_writing_takes_away_the_page_of_a_rule_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "gone.md").touch()
    (tmp_path / "other.txt").touch()
    docs.write(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {*docs.pages(), "other.txt"}


def test_text_that_leads_to_an_example_needs_no_title() -> None:
    body = "Use instead:\n\n```python good\nx\n```\n"
    text = docs.render_page(docs.RulePage(registry.named("PS001"), "S.", body))
    assert text.endswith("Use instead:\n\n```python\nx\n```\n")
