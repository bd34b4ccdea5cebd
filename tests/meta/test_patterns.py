"""Regular expressions mean the same on every Python that is supported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pytest_purestate

ROOT = Path(pytest_purestate.__file__).parent
GROUP = re.compile(r"\)[*+?]\+|\(\?>")


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_no_group_is_possessive(file: Path) -> None:
    """`re` of Python 3.11.0 to 3.11.4 loses its place in groups that are repeated possessively, and finds no end of a
    string with more than one part."""
    found = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if GROUP.search(line)]
    assert found == []
