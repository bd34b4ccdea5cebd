"""`check_source` and `check_paths` as a program calls them."""

from __future__ import annotations

import dataclasses
import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_purestate
from pytest_purestate import Diagnostic, RelatedPlace, check_paths, check_source
from pytest_purestate._check import library

REUSE = """\
import jax


def noise(key):
    a = jax.random.normal(key)
    return a + jax.random.normal(key)
"""

TRAIN = """\
from helpers import noise


def sample(key):
    return noise(key), noise(key)  # needs jax
"""

HELPERS = """\
import jax


def noise(key):
    return jax.random.normal(key)
"""


def test_a_finding_has_what_the_json_report_has() -> None:
    (found,) = check_source(REUSE, "noise.py")
    assert found == Diagnostic(
        code="PS101",
        name="key-reuse",
        message="key `key` is used again after `normal` consumed it",
        path="noise.py",
        line=6,
        column=34,
        end_line=6,
        end_column=37,
        confidence="high",
        severity="error",
        related=(RelatedPlace("noise.py", 5, 27, "first consumed here"),),
        help=found.help,
        fix=None,
        cell=None,
        fingerprint=found.fingerprint,
    )
    assert "split" in found.help
    json.dumps(dataclasses.asdict(found))


def test_a_fix_has_its_edits() -> None:
    (found,) = check_source("import jax.numpy as jnp\nx = jnp.zeros(3)\nx[0] = 1\n", "é.py")
    assert found.fix is not None
    assert (found.fix.title, found.fix.applicability) == (
        "use x = x.at[0].set(1)",
        "unsafe",
    ) or found.fix.edits
    (edit,) = found.fix.edits
    assert (edit.line, edit.column, edit.replacement) == (3, 1, "x = x.at[0].set(1)")


def test_rules_are_chosen() -> None:
    assert check_source(REUSE, ignore=["key-reuse"]) == []
    assert check_source(REUSE, select=["PS2"]) == []
    assert [found.code for found in check_source(REUSE, select=["PS1"])] == ["PS101"]
    with pytest.raises(ValueError, match="PS1O1"):
        check_source(REUSE, select=["PS1O1"])


def test_settings_come_from_a_file_that_is_named(tmp_path: Path) -> None:
    settings = tmp_path / "purestate.toml"
    settings.write_text('ignore = ["PS101"]\n')
    assert check_source(REUSE, tmp_path / "noise.py") != []
    assert check_source(REUSE, tmp_path / "noise.py", config=settings) == []
    settings.write_text('ignroe = ["PS101"]\n')
    with pytest.raises(ValueError, match="unknown key `ignroe`"):
        check_source(REUSE, config=settings)


def test_imports_are_followed_from_the_path(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text(HELPERS)
    (found,) = check_source(TRAIN, tmp_path / "train.py")
    assert (found.code, found.line, found.confidence) == ("PS101", 5, "high")


def test_text_that_is_no_python() -> None:
    (found,) = check_source("def f(:\n")
    assert (found.code, found.path, found.line) == ("PS001", "<text>", 1)
    with pytest.raises(ValueError, match="null"):
        check_source("import jax\0")


def test_files_and_directories(tmp_path: Path) -> None:
    (tmp_path / "noise.py").write_text(REUSE)
    (tmp_path / "other.py").write_text("x = 1\n")
    (tmp_path / "bytes.py").write_bytes(b"import jax\n\xff\n")
    found = check_paths([str(tmp_path)], jobs=0)
    assert [(Path(each.path).name, each.code) for each in found.findings] == [
        ("bytes.py", "PS003"),
        ("noise.py", "PS101"),
    ]
    assert (found.checked, found.skipped, found.failed, found.baselined) == (1, 1, 1, 0)
    assert (
        found.summary
        == "2 findings in 2 files (PS003 1, PS101 1); 1 file checked; 1 skipped that never mention JAX; 1 could not be checked"
    )
    (tmp_path / "purestate.toml").write_text('exclude = ["noise.py"]\n')
    assert [each.code for each in check_paths([tmp_path]).findings] == ["PS003"]
    with pytest.raises(FileNotFoundError, match=r"none\.py"):
        check_paths([tmp_path / "none.py"])


def test_neither_jax_nor_pytest_is_loaded() -> None:
    code = (
        "import sys\n"
        "from pytest_purestate import check_paths, check_source\n"
        f"assert check_source({REUSE!r})\n"
        "print(*(name for name in ('jax', 'pytest', 'numpy') if name in sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "\n"


def test_the_example_runs() -> None:
    assert doctest.testmod(library) == doctest.TestResults(0, 2)


def test_it_is_public() -> None:
    assert set(library.__all__) <= set(pytest_purestate.__all__)


PAGE = (Path(pytest_purestate.__file__).parents[1] / "docs" / "library.md").read_text(encoding="utf-8")


def test_the_programs_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(first, {})
    assert f"prints `{capsys.readouterr().out.strip()}`." in PAGE
    (tmp_path / "noise.py").write_text(REUSE)
    exec(second, {})
    assert capsys.readouterr().out == "1 finding in 1 file (PS101 1); 1 file checked\n"


def test_the_page_names_every_attribute() -> None:
    names = [field.name for field in dataclasses.fields(Diagnostic)]
    assert ", ".join(f"`{name}`" for name in names[:-1]) in " ".join(PAGE.split())
    assert f"and `{names[-1]}`" in PAGE
