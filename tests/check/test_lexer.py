from __future__ import annotations

import io
import sysconfig
import tokenize
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_purestate._check.lexer import Kind, lex


def words(text: str) -> list[str]:
    data = text.encode()
    return [data[token.start : token.end].decode() for token in lex(data)]


def comments(text: str) -> list[str]:
    data = text.encode()
    return [data[t.start : t.end].decode() for t in lex(data) if t.kind is Kind.COMMENT]


def logical_lines(text: str) -> int:
    return sum(token.kind is Kind.NEWLINE for token in lex(text.encode()))


@pytest.mark.parametrize(
    "text",
    [
        "'# no'  # yes",
        '"""\n# no\n"""  # yes',
        "'\\'# no'  # yes",
        'r"\\"  # yes',
        'rb"# no" + f"# no{x}# no"  # yes',
        'f"{x!r:>{width}.{digits}}# no"  # yes',
        'f"{f"{x}" + "# no"}# no"  # yes',
        "f'''{\n  x  # yes\n}\n# no\n'''",
        "f'{{# no}}'  # yes",
        "f'\\N{DASH}# no'  # yes",
        "rf'\\{x}# no'  # yes",
        "f'{d[\"a\"]:%H:%M}# no'  # yes",
        "f'{x:# no}'  # yes",
        "f'{(lambda: 1)():5}'  # yes",
        "x = 'unterminated\n# yes",
    ],
)
def test_tells_comments_from_strings(text: str) -> None:
    assert [comment.strip() for comment in comments(text)] == ["# yes"]


def test_logical_lines() -> None:
    assert logical_lines("a = (1,\n 2)\nb = 1 + \\\n 2\n\n# only a comment\nc\r\nd\re\n") == 5


def test_a_bracket_that_never_closes_ends_at_the_next_statement() -> None:
    assert logical_lines("x = (1,\ndef f():\n    pass\n") == 3


def test_operators_are_whole() -> None:
    assert words("x **= y // z != w := ... -> a.b") == [*"x **= y // z != w := ... -> a . b".split()]


@pytest.mark.parametrize("package", ["json", "asyncio", "email", "importlib", "unittest"])
def test_agrees_with_tokenize_on_the_standard_library(package: str) -> None:
    files = sorted((Path(sysconfig.get_path("stdlib")) / package).glob("*.py"))
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        assert comments(text) == [t.string for t in tokens if t.type == tokenize.COMMENT], file
        assert logical_lines(text) == sum(t.type == tokenize.NEWLINE for t in tokens if t.string), file


@given(st.text("ab (){}[]'\"\\#\n\r:,fr=", max_size=80))
def test_never_fails_and_never_goes_back(text: str) -> None:
    data = text.encode()
    at = 0
    for token in lex(data):
        assert at <= token.start <= token.end <= len(data)
        at = token.end
