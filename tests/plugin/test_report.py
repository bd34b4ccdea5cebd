"""The report of a run, from outside: what ``--purestate-html`` writes, and what is kept for ``purestate report``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest
from outside import REUSE, run, write

from pytest_purestate._pages import data
from pytest_purestate._pages.page import render

NOISE = """\
import jax


def noisy(key, x):
    shift = jax.random.normal(key, x.shape)
    return x + shift + jax.random.uniform(key, x.shape)


@jax.jit
def step(params, key, x):
    key, dropout_key = jax.random.split(key)
    return params + jax.random.normal(dropout_key), key


def clear_bias(state):
    state.params["bias"] = 0
    return state
"""

TESTS = """\
import itertools

import jax
import jax.numpy as jnp
import noise
import pytest
from flax import linen as nn
from pytest_purestate import assert_deterministic

X = jnp.ones(3)
COUNT = itertools.count()


def test_noise(key):
    noise.noisy(key, X)


def test_training(keys):
    params, key = jnp.zeros(()), keys("dropout")
    for _ in range(5):
        params, key = noise.step(params, key, X)


def test_edit(make_train_state):
    noise.clear_bias(make_train_state(nn.Dense(2), X[None]))


def test_repeats(key):
    assert_deterministic(jax.random.normal, key, across=("calls",), runs=2)


def test_does_not_repeat(key):
    assert_deterministic(lambda k: jax.random.normal(k) + next(COUNT), key, across=("calls",))


@pytest.mark.parametrize("text", ["<script>alert(1)</script>"])
def test_odd(text):
    pass


@pytest.fixture
def broken(key):
    noise.step(X, key, X)
    raise RuntimeError("in the fixture")


def test_setup(broken):
    pass


@pytest.fixture
def ends_badly():
    yield
    raise RuntimeError("in the end")


def test_teardown(ends_badly):
    pass


@pytest.mark.skip(reason="not today")
def test_skipped():
    pass


@pytest.mark.xfail(reason="known")
def test_known():
    assert False


@pytest.mark.xfail(reason="better")
def test_better():
    pass
"""


def recorded(folder: Path) -> dict[str, dict[str, Any]]:
    """What a run kept, by the name of the test."""
    found = data.load(folder / ".purestate" / "report.json")
    return {test["id"].rpartition("::")[2]: test for test in found["tests"]}


def at(line: str) -> str:
    """The place of a line of the tests."""
    return f"test_noise.py:{TESTS.splitlines().index(line) + 1}"


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    pytester.makeini("[pytest]\n")
    write(pytester.path, {"noise.py": NOISE, "test_noise.py": TESTS})
    return pytester.path


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["one process", "xdist"])
def test_a_page_of_everything(pytester: pytest.Pytester, project: Path, workers: tuple[str, ...]) -> None:
    result = run(pytester, "--purestate-html", "out/page.html", "-p", "no:cacheprovider", *workers)
    result.stdout.fnmatch_lines([f"purestate: report: out{'/'}page.html"])
    tests = recorded(project)
    assert {name: test["outcome"] for name, test in tests.items()} == {
        "PS101": "failed",
        "test_noise": "failed",
        "test_training": "passed",
        "test_edit": "failed",
        "test_repeats": "passed",
        "test_does_not_repeat": "failed",
        "test_odd[<script>alert(1)</script>]": "passed",
        "test_setup": "error",
        "test_teardown": "error",
        "test_skipped": "skipped",
        "test_known": "xfailed",
        "test_better": "xpassed",
    }

    (root,) = tests["test_noise"]["lineage"]["roots"]
    assert (root["is"], root["text"], root["at"]) == ("stream", "key", at("def test_noise(key):"))
    assert [(kid["text"], kid["at"], kid["bad"]) for kid in root["kids"]] == [
        ("normal float32[3]", "noise.py:5", "first"),
        ("uniform float32[3]", "noise.py:6", "again"),
    ]
    assert tests["test_noise"]["findings"][0]["concern"] == "keys"
    assert "repeat: pytest test_noise.py::test_noise" in tests["test_noise"]["text"]

    (root,) = tests["test_training"]["lineage"]["roots"]
    assert (root["text"], root["at"]) == (
        "keys('dropout')[0]",
        at('    params, key = jnp.zeros(()), keys("dropout")'),
    )
    assert (root["kids"][0]["text"], root["kids"][0]["within"], root["kids"][0]["times"]) == (
        "split into 2",
        "step",
        4,
    )
    functions = {row["name"]: row for row in tests["test_training"]["functions"]}
    assert functions["step"]["traces"] == 1
    assert functions["step"]["seconds"] > 0
    assert functions["step"]["at"] == at("        params, key = noise.step(params, key, X)")

    (change,) = tests["test_edit"]["changes"]
    assert (change["source"], change["path"]) == ("state", "state.params['bias']")
    assert change["before"]

    (check,) = tests["test_repeats"]["checks"]
    assert (check["assertion"], check["ways"], check["failed"], check["runs"]) == (
        "assert_deterministic",
        ["calls"],
        "",
        2,
    )
    (check,) = tests["test_does_not_repeat"]["checks"]
    assert (check["failed"], check["at"]) == (
        "calls",
        at('    assert_deterministic(lambda k: jax.random.normal(k) + next(COUNT), key, across=("calls",))'),
    )
    assert check["problems"] >= 1
    assert tests["test_does_not_repeat"]["changes"][0]["source"] == "assertion"

    assert "in the fixture" in tests["test_setup"]["text"]
    assert tests["test_setup"]["lineage"]["roots"][0]["text"] == "key"
    assert "in the end" in tests["test_teardown"]["text"]
    assert tests["test_skipped"]["text"] == "Skipped: not today"
    assert tests["PS101"]["static"] is True

    kept = data.load(project / ".purestate" / "report.json")
    assert kept["run"]["seed"] == 0
    assert kept["run"]["versions"]["jax"] == jax.__version__
    assert kept["run"]["lineages"] is True
    assert str(project) not in (project / ".purestate" / "report.json").read_text()
    page = (project / "out" / "page.html").read_text(encoding="utf-8")
    assert page == render(kept["run"], kept["tests"])
    assert not list((project / "out").glob(".*"))
    if workers:  # in the order of the files
        lines = [test["at"] for test in kept["tests"] if test["at"].startswith("test_noise.py")]
        assert lines == sorted(lines, key=lambda at: int(at.rpartition(":")[2]))


def test_without_a_page_there_are_no_lineages(pytester: pytest.Pytester, project: Path) -> None:
    result = run(pytester, "--purestate", "test_noise.py::test_noise", "test_noise.py::test_training")
    assert "report:" not in result.stdout.str()
    tests = recorded(project)
    assert "lineage" not in tests["test_noise"]
    assert tests["test_noise"]["findings"][0]["level"] == "error"
    assert data.load(project / ".purestate" / "report.json")["run"]["lineages"] is False
    assert not list(project.glob("*.html"))
    command = [sys.executable, "-m", "pytest_purestate", "report"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "purestate-report.html: 2 tests\n")
    assert "Lineages of keys were not recorded" in (project / "purestate-report.html").read_text(
        encoding="utf-8"
    )


def test_without_the_option_nothing_is_kept(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    run(pytester)
    assert not (pytester.path / ".purestate").exists()


def test_a_project_without_jax(pytester: pytest.Pytester) -> None:
    """The report loads nothing that the tests do not."""
    write(
        pytester.path,
        {
            "noise.py": REUSE,
            "test_a.py": "import sys\ndef test_it(): assert 'jax' not in sys.modules\n",
            "test_b.py": "import nothing_like_it\n",
        },
    )
    result = run(pytester, "--purestate-html=page.html")
    result.assert_outcomes(errors=1)
    tests = recorded(pytester.path)
    assert {name: test["outcome"] for name, test in tests.items()} == {"test_b.py": "error"}
    assert "nothing_like_it" in tests["test_b.py"]["text"]
    result = run(pytester, "--purestate-html=page.html", "--continue-on-collection-errors")
    assert recorded(pytester.path)["test_it"]["outcome"] == "passed"
    assert recorded(pytester.path)["PS101"]["outcome"] == "failed"


def test_a_test_that_is_run_again_is_told_as_it_ended(pytester: pytest.Pytester, project: Path) -> None:
    """As plugins do it that run a flaky test once more."""
    write(
        project,
        {
            "conftest.py": """
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for attempt in range(2):
        item._initrequest()
        for report in runtestprotocol(item, nextitem=nextitem, log=False):
            if attempt == 0 and report.failed:
                report.outcome = "rerun"
            item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
""",
            "test_noise.py": """
import jax
tried = []
def test_flaky(key):
    jax.random.normal(key)
    tried.append(1)
    assert len(tried) > 1
""",
        },
    )
    run(pytester, "--purestate-html=page.html")
    test = recorded(project)["test_flaky"]
    assert (test["outcome"], test["attempts"]) == ("passed", 2)
    (root,) = test["lineage"]["roots"]
    assert "times" not in root["kids"][0]


def test_a_worker_that_dies(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import os\ndef test_dies(): os._exit(3)\ndef test_lives(): pass\n")
    run(pytester, "--purestate-html=page.html", "-n1", "-p", "no:cacheprovider")
    tests = recorded(pytester.path)
    assert (tests["test_dies"]["outcome"], tests["test_lives"]["outcome"]) == ("error", "passed")
    assert "crashed" in tests["test_dies"]["text"]


def test_what_the_run_did_not_come_to(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_a(): assert 0\ndef test_b(): pass\n")
    run(pytester, "--purestate-html=page.html", "-x")
    assert "stopped early" in (pytester.path / "page.html").read_text(encoding="utf-8")
    assert list(recorded(pytester.path)) == ["test_a"]


def test_a_page_that_cannot_be_written_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    (pytester.path / "folder").mkdir()
    result = run(pytester, "--purestate-html=folder")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --purestate-html: folder is a directory"])
    (pytester.path / "file").touch()
    result = run(pytester, "--purestate-html=file/page.html")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["purestate: the report cannot be written: *"])


def test_collecting_alone_keeps_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    run(pytester, "--purestate-html=page.html", "--co")
    assert not (pytester.path / "page.html").exists()
    assert not (pytester.path / ".purestate").exists()


def test_junit_sees_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(key): pass")
    run(pytester, "--purestate-html=page.html", "--junitxml=junit.xml")
    assert "purestate" not in (pytester.path / "junit.xml").read_text()
    assert (
        json.loads((pytester.path / ".purestate/report.json").read_text())["tests"][0]["outcome"] == "passed"
    )
