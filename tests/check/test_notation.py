"""What a signature is written as is read as the same signature."""

from __future__ import annotations

import pytest

from pytest_purestate._check import apis
from pytest_purestate._check.apis.notation import clauses, written
from pytest_purestate._check.apis.signature import Signature, parse_clauses, parse_line


@pytest.mark.parametrize("signature", list(apis.lines()), ids=lambda signature: signature.name)
def test_a_line_of_the_tables_reads_back(signature: Signature) -> None:
    assert list(parse_line(written(signature))) == [signature]


@pytest.mark.parametrize(
    "text", ["consumes rng", "splits rng; returns keys", "keeps key unless rngs", "stateless unless decay"]
)
def test_a_declaration_without_parameters_reads_back(text: str) -> None:
    signature = parse_clauses(None, text)
    assert clauses(signature) == text
    assert written(signature) == f": {text}"
