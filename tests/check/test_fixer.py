from __future__ import annotations

from pytest_purestate._check.engine import check_source
from pytest_purestate._check.fixer import apply
from pytest_purestate._check.model import Applicability, Edit, Finding, Fix, Label, Span
from pytest_purestate._check.source import Source

SAFE, UNSAFE, SHOWN = Applicability.SAFE, Applicability.UNSAFE, Applicability.DISPLAY_ONLY
SOURCE = Source.from_text("é = f(key)\r\nb = g(key)\n", "a.py")


def fixing(*edits: tuple[int, int, str], how: Applicability = SAFE) -> Finding:
    fix = Fix("t", tuple(Edit(Span(start, end), text) for start, end, text in edits), how)
    return Finding("PS101", "a.py", "m", Label(Span(0, 1), "", "a.py"), fix=fix)


def test_edits_are_byte_ranges() -> None:
    start = SOURCE.data.index(b"key")
    fixed = apply(SOURCE, [fixing((start, start + 3, "süb"), (0, 0, "import x\r\n"))])
    assert fixed.text == "import x\r\né = f(süb)\r\nb = g(key)\n"


def test_only_what_is_allowed_is_applied() -> None:
    findings = [fixing((0, 2, "a")), fixing((13, 14, "c"), how=UNSAFE), fixing((5, 6, "h"), how=SHOWN)]
    assert apply(SOURCE, findings).text == "a = f(key)\r\nb = g(key)\n"
    assert apply(SOURCE, findings, unsafe=True).applied == tuple(findings[:2])
    assert apply(SOURCE, findings, unsafe=True).text == "a = f(key)\r\nc = g(key)\n"


def test_a_fix_that_overlaps_waits_as_a_whole() -> None:
    first = fixing((5, 10, "h()"))
    second = fixing((0, 2, "a"), (7, 10, "sub"))
    assert apply(SOURCE, [first, second]).applied == (first,)


def test_insertions_at_one_place_wait_unless_they_are_equal() -> None:
    one, same, other = (fixing((0, 0, text)) for text in ("import a\n", "import a\n", "import b\n"))
    fixed = apply(SOURCE, [one, same, other])
    assert fixed.applied == (one, same)
    assert fixed.text.count("import a") == 1


def test_nothing_to_do() -> None:
    bare = Finding("PS101", "a.py", "m", Label(Span(0, 1), "", "a.py"))
    assert apply(SOURCE, [bare]).text == SOURCE.text


def test_a_comment_behind_the_value_is_not_lost() -> None:
    text = "import jax.numpy as jnp\nx = jnp.zeros(3)\nx[0] = (1.0{}\n)\n"
    plain, noted = (Source.from_text(text.format(note), "a.py") for note in ("", "  # why"))
    assert [finding.fix is None for finding in check_source(plain)] == [False]
    assert [finding.fix is None for finding in check_source(noted)] == [True]
