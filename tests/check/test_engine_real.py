"""The engine with the real analysis: one file that does harm costs nobody else anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_purestate._check.engine import Status, check_paths

IMPORTER = """\
import jax
from {name} import draw

def f(key):
    return draw(key), draw(key)
"""


@pytest.mark.parametrize(
    "imported",
    [
        b"x = " + b"-" * 50_000 + b"1\n",
        b"match x:\n  case " + b"[" * 40 + b"]" * 40 + b": pass\n",
        b"def draw(key:\n",
        b"\xff\xfe",
        b"x\x00",
        b"#" * 3_000_000,
        b"from user import f\n",
        None,
    ],
    ids=["deep", "exponential", "syntax error", "not text", "null byte", "large", "cycle", "missing"],
)
@pytest.mark.parametrize("jobs", [0, 1])
def test_an_imported_file_cannot_harm_its_importer(
    imported: bytes | None, jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if imported is not None:
        Path("helper.py").write_bytes(imported)
    Path("user.py").write_text(IMPORTER.format(name="helper"), encoding="utf-8")
    (result,) = check_paths([Path("user.py")], jobs=jobs).results
    assert result.status is Status.CHECKED
