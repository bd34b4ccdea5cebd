from __future__ import annotations

import pytest

from pytest_purestate._check import registry
from pytest_purestate._check.model import Rule, Severity
from pytest_purestate._check.registry import BrokenRuleError, Selection, UnknownSelectorError, select


def rule(code: str, name: str, opt_in: bool = False) -> Rule:
    return Rule(code, name, "0.1", Severity.ERROR, opt_in=opt_in)


RULES = (
    rule("PS001", "syntax-error"),
    rule("PS101", "key-reuse"),
    rule("PS102", "key-reuse-in-loop"),
    rule("PS190", "legacy-key", opt_in=True),
    rule("PS201", "inplace-array-update"),
)


def chosen(*layers: Selection) -> str:
    return " ".join(rule.code for rule in select(layers, RULES))


@pytest.mark.parametrize(
    ("layers", "codes"),
    [
        ((), "PS001 PS101 PS102 PS201"),
        ((Selection(select=("PS1",)),), "PS001 PS101 PS102"),
        ((Selection(select=("PS1", "PS190")),), "PS001 PS101 PS102 PS190"),
        ((Selection(select=("PS1", "PS19")),), "PS001 PS101 PS102 PS190"),
        ((Selection(select=("PS1", "legacy-key")),), "PS001 PS101 PS102 PS190"),
        ((Selection(select=("ALL",)),), "PS001 PS101 PS102 PS190 PS201"),
        ((Selection(select=("PS101", "inplace-array-update")),), "PS001 PS101 PS201"),
        ((Selection(select=()),), "PS001"),
        ((Selection(ignore=("PS1",)),), "PS001 PS201"),
        ((Selection(extend_select=("PS190",)),), "PS001 PS101 PS102 PS190 PS201"),
        ((Selection(select=("PS1",), ignore=("PS10",)),), "PS001"),
        ((Selection(select=("PS101",), ignore=("PS1",)),), "PS001 PS101"),
        ((Selection(select=("PS101",), ignore=("PS101",)),), "PS001"),
        ((Selection(select=("key-reuse",), ignore=("PS1",)),), "PS001 PS101"),
        ((Selection(ignore=("ALL",)),), "PS001"),
        ((Selection(ignore=("PS001",)),), "PS101 PS102 PS201"),
        ((Selection(ignore=("syntax-error",)),), "PS101 PS102 PS201"),
        ((Selection(ignore=("PS101",)), Selection(select=("PS1",))), "PS001 PS101 PS102"),
        ((Selection(select=("PS1",)), Selection(ignore=("PS101",))), "PS001 PS102"),
        ((Selection(select=("PS1",)), Selection(extend_select=("PS2",))), "PS001 PS101 PS102 PS201"),
        ((Selection(select=("PS1",)), Selection(select=("PS2",))), "PS001 PS201"),
    ],
)
def test_select(layers: tuple[Selection, ...], codes: str) -> None:
    assert chosen(*layers) == codes


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("PS109", "unknown rule `PS109`, did you mean `PS190`?"),
        ("ps101", "unknown rule `ps101`, did you mean `PS101`?"),
        ("key-resue", "unknown rule `key-resue`, did you mean `key-reuse`?"),
        ("PS9", "unknown rule `PS9`"),
        ("all", "unknown rule `all`, did you mean `ALL`?"),
        ("", "unknown rule ``"),
        ("F401", "unknown rule `F401`"),
    ],
)
def test_an_unknown_selector_is_an_error_with_the_nearest_name(selector: str, message: str) -> None:
    for layer in (
        Selection(select=(selector,)),
        Selection(extend_select=(selector,)),
        Selection(ignore=(selector,)),
    ):
        with pytest.raises(UnknownSelectorError) as caught:
            chosen(layer)
        assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([("a", rule("PS1", "a"))], "a: the code `PS1` is not of the form PS123"),
        ([("a", rule("PS100", "A_b"))], "a: the name `A_b` is not in kebab case"),
        ([("a", rule("PS100", "a-b"))], "a: the rule `a-b` belongs in `a_b.py`"),
        ([("a", rule("PS100", "a")), ("b", rule("PS100", "b"))], "b: PS100 is taken by a"),
    ],
)
def test_a_broken_rule_is_named(found: list[tuple[str, Rule]], message: str) -> None:
    with pytest.raises(BrokenRuleError) as caught:
        registry.validate(found)
    assert str(caught.value) == message


def test_finds_the_rules_of_the_package() -> None:
    codes = [rule.code for rule in registry.rules()]
    assert codes == sorted(codes)
    assert {"PS001", "PS003", "PS004"} <= set(codes)
    assert registry.named("PS004") is registry.named("checker-limit")
