"""`--add-noqa`: comments that suppress what is found, and change nothing else."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import random
import typing
from pathlib import Path
from types import ModuleType

import pytest

from pytest_purestate._check.engine import check_source
from pytest_purestate._check.lexer import Kind, lex
from pytest_purestate._check.model import Finding, Label, Span
from pytest_purestate._check.noqa import add_noqa
from pytest_purestate._check.source import Source
from pytest_purestate._check.suppress import Suppressions
from pytest_purestate.config import Config


def check(text: str) -> list[Finding]:
    return check_source(Source.from_text(text, "a.py"), config=Config(Path()))


@pytest.mark.usefixtures("marked_analysis")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("PS101(a)\n", "PS101(a)  # noqa: PS101\n"),
        ("PS101(a)", "PS101(a)  # noqa: PS101"),
        ("PS101(a)  \t\n", "PS101(a)  # noqa: PS101\n"),
        ("PS101(a)\r\nx\r\n", "PS101(a)  # noqa: PS101\r\nx\r\n"),
        ("PS101(a)\rx\r", "PS101(a)  # noqa: PS101\rx\r"),
        ("PS102(a); PS101(b); PS102(c)\n", "PS102(a); PS101(b); PS102(c)  # noqa: PS101, PS102\n"),
        ("PS101(a)  # why\n", "PS101(a)  # why  # noqa: PS101\n"),
        ("PS101(a)  # noqa: E501\n", "PS101(a)  # noqa: E501, PS101\n"),
        ("PS101(a)  # noqa: E501 long\n", "PS101(a)  # noqa: E501, PS101 long\n"),
        ("PS101(a)  # noqa:E501,W1\n", "PS101(a)  # noqa:E501,W1,PS101\n"),
        ("PS101(a)  # noqa: E501 W1\n", "PS101(a)  # noqa: E501 W1 PS101\n"),
        ("PS101(a)  # noqa: because\n", "PS101(a)  # noqa: because  # noqa: PS101\n"),
        ("PS101(a)  # purestate: ignore[PS101] x\nPS102(a)\n", "PS101(a)  # purestate: ignore[PS101] x\nPS102(a)  # noqa: PS102\n"),
        ("PS101(a)  # purestate: ignore[PS102]\n", "PS101(a)  # purestate: ignore[PS102]  # noqa: PS002, PS101\n"),
        ("x  # purestate: ignored\n", "x  # purestate: ignored  # noqa: PS005\n"),
        ("# purestate: ignore-file[PS101]\n", "# purestate: ignore-file[PS101]  # noqa: PS002\n"),
        ("f(\n    PS101(a),\n    2,\n)\n", "f(\n    PS101(a),  # noqa: PS101\n    2,\n)\n"),
        ("f(\n    PS101(a),\n    2,  # noqa: E1\n)\n", "f(\n    PS101(a),\n    2,  # noqa: E1, PS101\n)\n"),
        ("x = PS101(a) + \\\n    1\n", "x = PS101(a) + \\\n    1  # noqa: PS101\n"),
        ("x = PS101(a), '''\n  # no\n'''\n", "x = PS101(a), '''\n  # no\n'''  # noqa: PS101\n"),
        ("x = (PS101(a), '''\n''',\n 1)\n", "x = (PS101(a), '''\n''',  # noqa: PS101\n 1)\n"),
        ('x = f"""{\nPS101(a)\n}\n{b}\n"""\n', 'x = f"""{\nPS101(a)\n}\n{b}\n"""  # noqa: PS101\n'),
        ("x = PS101(a) + 'b\\\nc'\n", "x = PS101(a) + 'b\\\nc'  # noqa: PS101\n"),
        ("PS101(a)  # ends in \\\nx\n", "PS101(a)  # ends in \\  # noqa: PS101\nx\n"),
        ("@PS101(a)\ndef f(): pass\n", "@PS101(a)  # noqa: PS101\ndef f(): pass\n"),
        ("def f(\n    x=PS101(a),\n):\n    pass\n", "def f(\n    x=PS101(a),  # noqa: PS101\n):\n    pass\n"),
        ("é = 'ä'; PS101(ü)  # ß\n", "é = 'ä'; PS101(ü)  # ß  # noqa: PS101\n"),
        ("x = 1  # noqa: E501\n", "x = 1  # noqa: E501\n"),
    ],
)  # fmt: skip
def test_comments_are_added(before: str, after: str) -> None:
    done = add_noqa(Source.from_text(before, "a.py"), check(before))
    assert done.text == after
    assert check(after) == []
    assert done.left == ()
    assert add_noqa(Source.from_text(after, "a.py"), check(after)).text == after


@pytest.mark.parametrize("module", [argparse, ast, dataclasses, inspect, typing], ids=lambda m: m.__name__)
def test_wherever_findings_are_the_code_stays_and_all_are_suppressed(module: ModuleType) -> None:
    source = Source.from_text(inspect.getsource(module), "a.py")
    tokens = [t for t in lex(source.data) if t.kind not in (Kind.COMMENT, Kind.NEWLINE, Kind.BLANK)]
    chosen = random.Random(0).sample(tokens, 500)
    findings = [
        Finding("PS101", "a.py", "m", Label(Span(token.start, token.start + 1), "", "a.py"))
        for token in chosen
    ]
    done = add_noqa(source, findings)
    assert done.left == ()
    assert done.count > 100
    assert ast.dump(ast.parse(done.text)) == ast.dump(ast.parse(source.text))
    changed = Source.from_text(done.text, "a.py")
    old, new = (
        [
            t
            for t in lex(data)
            if t.kind not in (Kind.COMMENT, Kind.NEWLINE, Kind.BLANK)
        ]
        for data in (source.data, changed.data)
    )  # fmt: skip
    moved = {before.start: after for before, after in zip(old, new, strict=True)}
    suppressions = Suppressions(changed)
    for token in chosen:
        start = moved[token.start].start
        assert suppressions.cover(Finding("PS101", "a.py", "m", Label(Span(start, start + 1), "", "a.py")))
