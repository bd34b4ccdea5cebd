"""What the settings do to findings: rules off in some files, severities, fixes, test files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_purestate._check.engine import check_paths, check_source
from pytest_purestate._check.model import Severity
from pytest_purestate._check.registry import fixable_codes, rules
from pytest_purestate._check.settings import severities
from pytest_purestate.config import Config, ConfigFinder, Overrides

TWICE = "import jax\n\ndef f(key):\n    return jax.random.normal(key), jax.random.normal(key)\n"
SWAPPED = (
    "import jax\n\ndef f(key):\n    key, sub = jax.random.split(key)\n    return jax.random.normal(key)\n"
)


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def put(path: str, text: str) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def found(**overrides: object) -> list[str]:
    finder = ConfigFinder(overrides=Overrides(**overrides))  # type: ignore[arg-type]
    return [f"{f.path} {f.code}" for f in check_paths([Path()], finder, jobs=0).findings]


@pytest.mark.parametrize(
    ("table", "left"),
    [
        ("'a.py' = ['PS101']", ["b_pb2.py", "sub/deep/c.py"]),
        ("'./a.py' = ['PS101']", ["b_pb2.py", "sub/a.py", "sub/deep/c.py"]),
        ("'sub/*' = ['key-reuse']", ["a.py", "b_pb2.py"]),
        ("'sub/**' = ['PS1']", ["a.py", "b_pb2.py"]),
        ("'sub/deep' = ['PS1']", ["a.py", "b_pb2.py", "sub/a.py", "sub/deep/c.py"]),
        ("'*_pb2.py' = ['ALL']", ["a.py", "sub/a.py", "sub/deep/c.py"]),
        ("'!sub/**' = ['PS1']", ["sub/a.py", "sub/deep/c.py"]),
        ("'*.py' = ['PS102', 'PS2']", ["a.py", "b_pb2.py", "sub/a.py", "sub/deep/c.py"]),
    ],
)
def test_per_file_ignores(table: str, left: list[str]) -> None:
    for name in ("a.py", "b_pb2.py", "sub/a.py", "sub/deep/c.py"):
        put(name, TWICE)
    put("purestate.toml", f"[per-file-ignores]\n{table}\n")
    assert [line.split()[0] for line in found()] == left


def test_per_file_ignores_of_the_command_line() -> None:
    put("a.py", TWICE)
    put("b.py", TWICE)
    put("purestate.toml", "per-file-ignores = { 'a.py' = ['ALL'] }\n")
    assert found() == ["b.py PS101"]
    assert found(per_file_ignores=(("b.py", ("PS1",)),)) == ["a.py PS101"]
    assert found(extend_per_file_ignores=(("b.py", ("PS1",)),)) == []


def test_what_could_not_be_checked_is_ignored_by_its_very_code_only() -> None:
    put("a.py", "import jax\nx = (\n")
    put("purestate.toml", "per-file-ignores = { 'a.py' = ['ALL'] }\n")
    assert found() == ["a.py PS001"]
    put("purestate.toml", "per-file-ignores = { 'a.py' = ['PS001'] }\n")
    assert found() == []


def test_the_most_specific_severity_holds() -> None:
    config = Config(
        Path(), severity=(("PS101", "info"), ("ALL", "warning"), ("PS1", "error"), ("key-reuse", "warning"))
    )
    given = severities(config)
    assert (given["PS101"], given["PS102"], given["PS201"]) == (
        Severity.WARNING,
        Severity.ERROR,
        Severity.WARNING,
    )
    assert severities(Config(Path())) == {rule.code: rule.severity for rule in rules()}


def test_a_severity_reaches_the_finding() -> None:
    (plain,) = check_source(TWICE, config=Config(Path()))
    (info,) = check_source(TWICE, config=Config(Path(), severity=(("PS1", "info"),)))
    assert (plain.severity, info.severity) == (Severity.ERROR, Severity.INFO)
    (broken,) = check_source("(", config=Config(Path(), severity=(("PS001", "warning"),)))
    assert broken.severity is Severity.WARNING


def test_each_file_has_the_severities_of_its_own_settings() -> None:
    put("a.py", TWICE)
    put("sub/b.py", TWICE)
    put("sub/purestate.toml", "severity = { PS1 = 'info' }\n")
    run = check_paths([Path()], jobs=1)
    assert [(f.path, f.severity) for f in run.findings] == [
        ("a.py", Severity.ERROR),
        ("sub/b.py", Severity.INFO),
    ]


@pytest.mark.parametrize(
    ("config", "overrides", "on"),
    [
        (Config(Path()), Overrides(), "PS104 PS201"),
        (Config(Path(), unfixable=("PS1",)), Overrides(), "PS201"),
        (Config(Path(), unfixable=("PS1",), extend_fixable=("PS104",)), Overrides(), "PS104 PS201"),
        (Config(Path(), fixable=("PS104",)), Overrides(), "PS104"),
        (Config(Path(), fixable=("PS104",)), Overrides(extend_fixable=("PS2",)), "PS104 PS201"),
        (Config(Path(), fixable=("PS104",)), Overrides(fixable=("PS2",)), "PS201"),
        (Config(Path(), fixable=("PS104",), unfixable=("PS1",)), Overrides(), "PS104"),
        (Config(Path(), fixable=("ALL",), unfixable=("swapped-subkey",)), Overrides(), "PS201"),
        (Config(Path(), fixable=()), Overrides(), ""),
        (Config(Path(), unfixable=("PS104",)), Overrides(fixable=("ALL",)), "PS104 PS201"),
        (Config(Path(), base=Config(Path(), unfixable=("PS2",))), Overrides(), "PS104"),
    ],
)
def test_fixable(config: Config, overrides: Overrides, on: str) -> None:
    assert " ".join(sorted(fixable_codes(config, overrides) & {"PS104", "PS201"})) == on


def test_a_finding_whose_rule_is_not_fixable_has_no_fix() -> None:
    (finding,) = check_source(SWAPPED, config=Config(Path()))
    assert finding.code == "PS104"
    assert finding.fix is not None
    (finding,) = check_source(SWAPPED, config=Config(Path(), unfixable=("PS1",)))
    assert finding.fix is None
    (finding,) = check_source(SWAPPED, config=Config(Path()), overrides=Overrides(fixable=("PS2",)))
    assert finding.fix is None


def test_which_files_are_tests_can_be_said() -> None:
    text = "import jax\n\ndef compare(key):\n    return jax.random.normal(key), jax.random.normal(key)\n"
    for name in ("test_a.py", "a_test.py", "conftest.py", "checks/b.py", "src/c.py"):
        put(name, text)
    assert found() == ["checks/b.py PS101", "src/c.py PS101"]
    put("purestate.toml", "test-files = ['checks/**', 'test_*.py']\n")
    assert found() == ["a_test.py PS101", "conftest.py PS101", "src/c.py PS101"]
    put("purestate.toml", "test-files = []\n")
    assert len(found()) == 5


def test_test_files_hold_for_what_a_file_imports_too() -> None:
    put(
        "helpers.py",
        "import jax\n\ndef noise(key):\n    return jax.random.normal(key) + jax.random.normal(key)\n",
    )
    put("a.py", "from helpers import noise\nimport jax\n\ndef f(key):\n    return noise(key), noise(key)\n")
    both = ["a.py PS101", "helpers.py PS101"]
    assert found() == both
    put("purestate.toml", "test-files = ['helpers.py']\n")
    assert found() == ["a.py PS101"]


def test_severity_and_fix_in_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    from pytest_purestate.cli import main

    put("a.py", SWAPPED)
    put("pyproject.toml", "[tool.purestate.severity]\nswapped-subkey = 'warning'\n")
    main(["check", "--jobs=0", "--output-format=json", "--unfixable=PS104"])
    (item,) = json.loads(capsys.readouterr().out)
    assert (item["severity"], item["fix"]) == ("warning", None)
    main(["check", "--jobs=0", "--output-format=json", "--per-file-ignores=./a.py:PS101,PS104"])
    assert json.loads(capsys.readouterr().out) == []
    main(["check", "--jobs=0", "--output-format=json", "--extend-per-file-ignores=*.py:PS10"])
    assert json.loads(capsys.readouterr().out) == []


def test_a_severity_has_a_colour(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from pytest_purestate.cli import main

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    put("a.py", TWICE)
    for level, colour in (("error", "31"), ("warning", "33"), ("info", "36")):
        for form in ("full", "concise"):
            main(["check", "--jobs=0", f"--output-format={form}", f"--config=severity.PS1='{level}'"])
            assert f"\x1b[1;{colour}mPS101\x1b[0m" in capsys.readouterr().out
