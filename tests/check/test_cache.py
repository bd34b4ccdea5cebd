"""The cache: what it finds, what makes it forget, and what it survives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_purestate._check import cache, engine
from pytest_purestate._check.cache import FOLDER, Cache
from pytest_purestate._check.discovery import discover
from pytest_purestate._check.model import (
    Applicability,
    Confidence,
    Edit,
    Finding,
    Fix,
    Label,
    Severity,
    Span,
)
from pytest_purestate._check.outcome import Run
from pytest_purestate._check.source import Source
from pytest_purestate.cli import main
from pytest_purestate.config import ConfigFinder, Overrides

HELPER = """\
import jax


def draw(key):
    return jax.random.normal(key)
"""
USER = """\
import jax
from helper import draw


def twice(key):
    return draw(key) + jax.random.normal(key)
"""
APART = """\
import jax.numpy as jnp


def clear(n):
    x = jnp.zeros(n)
    x[0] = 1.0
    return x
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PURESTATE_CACHE_DIR", raising=False)
    Path("helper.py").write_text(HELPER)
    Path("user.py").write_text(USER)
    Path("apart.py").write_text(APART)
    Path("plain.py").write_text("import os\n")


class Checks:
    """Runs, and the files that were really checked in the last one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.checked: list[str] = []
        analyse = engine.analyse

        def noted(source: Source, project: object, rules: object) -> tuple[Finding, ...]:
            self.checked.append(source.path)
            return analyse(source, project, rules)  # type: ignore[arg-type]

        monkeypatch.setattr(engine, "analyse", noted)

    def __call__(self, overrides: Overrides | None = None, folder: Path | None = None) -> Run:
        self.checked.clear()
        finder = ConfigFinder(overrides=overrides)
        targets = discover([Path()], finder)
        kept = Cache(folder or Path(FOLDER))
        return engine.check_targets(targets, finder.overrides, jobs=0, cache=kept)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    return Checks(monkeypatch)


def test_nothing_is_checked_twice(checks: Checks) -> None:
    first = checks()
    assert checks.checked == ["apart.py", "helper.py", "user.py"]
    second = checks()
    assert checks.checked == []
    assert second.findings == first.findings
    assert second.summary() == first.summary()
    assert [finding.code for finding in second.findings] == ["PS201", "PS101"]


def test_a_changed_file_is_checked_and_so_are_those_that_import_it(checks: Checks) -> None:
    checks()
    Path("apart.py").write_text(APART + "\n")
    checks()
    assert checks.checked == ["apart.py"]
    Path("helper.py").write_text(HELPER.replace("jax.random.normal(key)", "0.0"))
    run = checks()
    assert checks.checked == ["helper.py", "user.py"]
    assert [finding.code for finding in run.findings] == ["PS201"]
    Path("helper.py").write_text(HELPER)
    assert [finding.code for finding in checks().findings] == ["PS201", "PS101"]


def test_what_is_imported_through_others_counts(checks: Checks) -> None:
    Path("user.py").write_text(USER.replace("helper", "between"))
    Path("between.py").write_text("from helper import draw\n\nimport jax\n")
    checks()
    Path("helper.py").write_text(HELPER.replace("jax.random.normal(key)", "0.0"))
    checks()
    # What `between` only hands on is nothing that its own result rests on.
    assert checks.checked == ["helper.py", "user.py"]


def test_a_module_that_comes_or_goes_counts(checks: Checks) -> None:
    Path("helper.py").unlink()
    assert [finding.code for finding in checks().findings] == [
        "PS201",
        "PS101",
    ]  # an unknown `draw` may spend it
    Path("helper.py").write_text(HELPER.replace("jax.random.normal(key)", "0.0"))
    from pytest_purestate._check import resolve

    resolve._probe.cache_clear()
    run = checks()
    assert checks.checked == ["helper.py", "user.py"]
    assert [finding.code for finding in run.findings] == ["PS201"]
    Path("helper.py").unlink()
    resolve._probe.cache_clear()
    checks()
    assert checks.checked == ["user.py"]


def test_other_settings_are_another_result(checks: Checks) -> None:
    checks()
    assert [f.code for f in checks(Overrides(select=("PS101",))).findings] == ["PS101"]
    assert checks.checked
    Path("purestate.toml").write_text("ignore = ['PS101']\n")
    assert [f.code for f in checks().findings] == ["PS201"]
    assert checks.checked
    checks()
    assert checks.checked == []
    Path("purestate.toml").write_text("severity = { PS201 = 'info' }\n")
    assert [f.severity for f in checks().findings] == [Severity.INFO, Severity.ERROR]


def test_another_checker_finds_nothing(checks: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    checks()
    monkeypatch.setattr(cache, "_checker", lambda: "another")
    checks()
    assert checks.checked == ["apart.py", "helper.py", "user.py"]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"checker": 1}', b'{"checker": "CHECKER", "results": []}',
        b'{"checker": "CHECKER", "results": {"KEY": null}}', b'{"checker": "CHECKER", "results": {"KEY": {}}}',
        b'{"checker": "CHECKER", "results": {"KEY": {"digest": "DIGEST", "files": 3}}}',
        (
            b'{"checker": "CHECKER", "results": {"KEY": {"digest": "DIGEST", "files": [], "missing": [], '
            b'"suppressed": 0, "findings": [{"code": "PS101"}]}}}'
        ),
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_cache_that_makes_no_sense_is_as_good_as_none(checks: Checks, content: bytes) -> None:
    first = checks()
    file = Path(FOLDER) / "results.json"
    known = json.loads(file.read_bytes())
    key = next(key for key in known["results"] if "apart.py" in key)
    filled = (
        content.replace(b"CHECKER", known["checker"].encode())
        .replace(b'"KEY"', json.dumps(key).encode())
        .replace(b"DIGEST", known["results"][key]["digest"].encode())
    )
    file.write_bytes(filled)
    assert checks().findings == first.findings
    checks()
    assert checks.checked == []


def test_a_cache_that_cannot_be_written_is_told_in_one_line(checks: Checks) -> None:
    Path(FOLDER).write_text("a file where the folder should be")
    run = checks()
    assert len(run.findings) == 2
    assert run.notes == (f"the cache cannot be written: {FOLDER}: file exists",)


def test_two_runs_at_a_time_do_each_other_no_harm() -> None:
    command = [sys.executable, "-m", "pytest_purestate", "check", "--output-format=json"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    outs = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [1] * 4
    assert len({out for out, _ in outs}) == 1
    json.loads((Path(FOLDER) / "results.json").read_bytes())


def test_results_of_files_that_are_gone_go_too(checks: Checks) -> None:
    checks()
    Path("apart.py").unlink()
    Path("user.py").write_text(USER + "\n")
    checks()
    results = json.loads((Path(FOLDER) / "results.json").read_bytes())["results"]
    assert sorted(Path(key.partition("\n")[2]).name for key in results) == ["helper.py", "user.py"]


def test_every_part_of_a_finding_is_kept() -> None:
    label = Label(Span(1, 2), "there", "b.py")
    fix = Fix("mend", (Edit(Span(3, 4), "ü"),), Applicability.UNSAFE)
    finding = Finding(
        "PS101", "a.py", "m", Label(Span(5, 6), "here", "a.py"), (label,), "h", Confidence.LOW, fix, "f.g",
        Severity.INFO,
    )  # fmt: skip
    default = Finding("", "", "", Label(Span(0, 0), "", ""))
    assert all(getattr(finding, name) != getattr(default, name) for name in Finding.__struct_fields__)
    assert cache._from_json(json.loads(json.dumps(cache._to_json(finding)))) == finding


# --- the command ---------------------------------------------------------------------------


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    return (status, *capsys.readouterr())


def test_the_folder_and_how_to_get_rid_of_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    Path("purestate.toml").write_text("select = ['PS1']\n")
    Path("sub").mkdir()
    Path("sub/more.py").write_text(HELPER)
    first = command(capsys, "check", "sub", "--jobs=0")
    folder = tmp_path / FOLDER
    assert (folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert (folder / ".gitignore").read_text() == "*\n"
    assert command(capsys, "check", "sub", "--jobs=0") == first
    assert command(capsys, "clean") == (0, f"removed {folder}\n", "")
    assert command(capsys, "clean") == (0, f"nothing to remove: there are no results in {folder}\n", "")
    command(capsys, "check", "--no-cache", "--jobs=0")
    assert not folder.exists()
    command(capsys, "check", "--cache-dir=elsewhere", "--jobs=0")
    assert Path("elsewhere/results.json").is_file()
    assert command(capsys, "clean", "--cache-dir=elsewhere")[0] == 0
    assert not Path("elsewhere").exists()


def test_clean_removes_no_folder_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("x")
    assert command(capsys, "clean", "--cache-dir=mine")[1].startswith("nothing to remove")
    assert Path("mine/thesis.tex").exists()


def test_the_environment_may_name_the_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PURESTATE_CACHE_DIR", str(tmp_path / "there"))
    command(capsys, "check", "--jobs=0")
    assert (tmp_path / "there" / "results.json").is_file()
    assert not Path(FOLDER).exists()


def test_a_warm_run_does_without_the_parser(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pytest_purestate.cli import main\nstatus = main(['check'])\n"
        "print('libcst' in sys.modules, status)"
    )
    outs = [
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ.copy()
        ).stdout
        for _ in range(2)
    ]
    assert [out.splitlines()[-1] for out in outs] == ["True 1", "False 1"]
    assert outs[0].splitlines()[:-1] == outs[1].splitlines()[:-1]
