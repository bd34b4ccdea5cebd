"""The documentation of `Problem` lists every kind that there is."""

import ast
import re
from pathlib import Path

import pytest_purestate
from pytest_purestate import Problem

PACKAGE = Path(pytest_purestate.__file__).parent


def made() -> set[str]:
    """The kinds that are written out where a problem is made."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem":
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found


def test_every_kind_is_listed() -> None:
    described = (Problem.__doc__ or "").partition("kind: ")[2].partition("path: ")[0]
    listed = set(re.findall(r"``([a-z-]+)``", described))
    assert len(made()) > 20
    assert made() - listed == set()
