"""`pytest --purestate` on what cannot be checked: wrong settings, unreadable files, a checker that fails."""

from __future__ import annotations

import pytest
from outside import PASSES, REUSE, at_start, excerpt, outcomes, run, write


@pytest.fixture(autouse=True)
def _project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    write(pytester.path, {"pytest.ini": "[pytest]\n", "model.py": REUSE, "test_it.py": PASSES})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("\nselekt = []\n", "purestate.toml:2: unknown key `selekt`, did you mean `select`?"),
        ('ignore = ["key-resue"]\n', "purestate.toml:1: unknown rule `key-resue`, did you mean `key-reuse`?"),
    ],
)
def test_a_wrong_setting_is_a_usage_error(pytester: pytest.Pytester, settings: str, message: str) -> None:
    write(pytester.path, {"purestate.toml": settings})
    result = run(pytester, "--purestate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert list(filter(None, result.errlines)) == [f"ERROR: purestate: {message}"]
    assert "passed" not in result.stdout.str()


def test_it_stops_the_workers_and_nobody_without_the_flag(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"pyproject.toml": "[tool.purestate]\n\nselekt = []\n"})
    result = run(pytester, "--purestate", "-n2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert list(filter(None, result.errlines)) == [
        "ERROR: purestate: pyproject.toml:3: unknown key `selekt`, did you mean `select`?"
    ]
    run(pytester).assert_outcomes(passed=1)


def test_a_path_that_is_not_there(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"pytest.ini": "[pytest]\npurestate_paths = model.py src\n"})
    result = run(pytester, "--purestate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert list(filter(None, result.errlines)) == ["ERROR: purestate_paths: no such file or directory: src"]


def test_files_that_cannot_be_read(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"broken.py": "import jax\ndef f(:\n", "deep.py": "import jax\n" + "(" * 3000})
    (pytester.path / "latin.py").write_bytes(b"import jax  # \xe9\n")
    result = run(pytester, "--purestate", "-rA")
    assert outcomes(result) == {
        "PASSED test_it.py::test_it",
        "FAILED broken.py::PS001",
        "FAILED deep.py::PS004",
        "FAILED latin.py::PS003",
        "FAILED model.py::PS101",
    }
    assert excerpt(result, " latin.py::PS003 ", " model.py::PS101 ")[1:] == [
        "PS003 cannot be read: line 1 is not utf-8: unexpected byte 0xe9",
        "  --> latin.py:1:1",
        "",
    ]
    assert excerpt(result, " broken.py::PS001 ", " deep.py::PS004 ")[2] == "  --> broken.py:2:7"
    (summary,) = excerpt(result, " purestate ====", " short test summary info ")[1:]
    assert summary == (
        "4 findings in 4 files (PS001 1, PS003 1, PS004 1, PS101 1); 1 file checked; "
        "1 skipped that never mention JAX; 3 could not be checked"
    )


CRASHES = """\
import os
from pytest_purestate._check import analysis

real = analysis.analyse

def analyse(source, project, rules):
    if source.path == "raises.py":
        raise KeyError("planted")
    if source.path == "dies.py":
        os._exit(9)
    return real(source, project, rules)

analysis.analyse = analyse
"""


def test_a_checker_that_fails_on_a_file_goes_on(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(pytester.path, {"raises.py": "import jax\n", "dies.py": "import jax\n"})
    at_start(pytester, monkeypatch, CRASHES)
    result = run(pytester, "--purestate", "-rA")
    assert outcomes(result) == {
        "PASSED test_it.py::test_it",
        "FAILED dies.py::PS004",
        "FAILED model.py::PS101",
        "FAILED raises.py::PS004",
    }
    assert excerpt(result, " raises.py::PS004 ", " purestate ====")[1] == (
        "PS004 internal error: KeyError: 'planted' (.start/sitecustomize.py:8)"
    )


def test_a_checker_that_does_not_start(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    at_start(
        pytester,
        monkeypatch,
        "import os, sys\n"
        "if 'pytest_purestate._check.batch' in sys.orig_argv:\n"
        "    sys.stderr.write('first\\nlast line\\n'); sys.stderr.flush(); os._exit(3)\n",
    )
    result = run(pytester, "--purestate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert list(filter(None, result.errlines)) == [
        "ERROR: purestate: the checker ended with exit status 3: last line"
    ]
