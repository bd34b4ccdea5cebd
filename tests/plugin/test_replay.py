"""Bundles of failed tests, and `purestate replay`, from outside."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from outside import run, write

from pytest_purestate import _bundle

# The data comes from a file that changes between the runs: without the leaves the failure cannot be repeated.
DRIFT = """\
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from pytest_purestate import assert_deterministic

CALLS = [0]


def data():
    return np.asarray(json.loads(pathlib.Path(__file__).with_name("data.json").read_text()), np.float32)


def drifting(state, x, key):
    CALLS[0] += 1
    return {"w": state["w"] + CALLS[0] * x.max(), "noise": jax.random.normal(key)}


def test_drift(key):
    assert_deterministic(jnp.add, 1, 2, across=("calls",))
    state = {"w": jnp.asarray(1.0, jnp.bfloat16), "step": jnp.asarray(1)}
    assert_deterministic(drifting, state, data(), key, across=("calls",))
"""


def replay(pytester: pytest.Pytester, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as users call it."""
    return subprocess.run(
        [sys.executable, "-m", "pytest_purestate", "replay", *arguments],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        check=False,
    )


def bundles(root: Path) -> list[Path]:
    return sorted(root.glob(".purestate/failures/*"))


def bundle(root: Path) -> Path:
    (found,) = bundles(root)
    return found


@pytest.fixture
def drift(pytester: pytest.Pytester) -> Path:
    """The bundle of a test that failed."""
    write(pytester.path, {"pytest.ini": "[pytest]\n", "test_it.py": DRIFT, "data.json": "[1.0, 2.0]"})
    result = run(pytester)
    result.assert_outcomes(failed=1)
    folder = bundle(pytester.path)
    result.stdout.fnmatch_lines([f"replay: purestate replay .purestate/failures/{folder.name}"])
    return folder


def test_the_failing_call_is_repeated_with_its_leaves(pytester: pytest.Pytester, drift: Path) -> None:
    write(pytester.path, {"data.json": "[0.0, 0.0]"})
    run(pytester).assert_outcomes(passed=1)  # the data is another
    done = replay(pytester, str(drift))
    assert done.returncode == 1
    assert "purestate replay: the same failure as then" in done.stdout
    assert "E           call 2: 5" in done.stdout
    assert not (drift.parent.parent / ".gitignore").read_text().strip("*\n")
    assert bundles(pytester.path) == [drift]  # a replay writes none


def test_without_a_name_the_last_one_is_repeated(pytester: pytest.Pytester, drift: Path) -> None:
    source = (pytester.path / "test_it.py").read_text()
    write(pytester.path, {"test_it.py": source.replace("CALLS[0] * ", "")})
    done = replay(pytester)
    assert done.returncode == 0
    assert "purestate replay: the test passes now" in done.stdout


def test_another_failure_is_called_so(pytester: pytest.Pytester, drift: Path) -> None:
    source = (pytester.path / "test_it.py").read_text()
    write(pytester.path, {"test_it.py": source.replace('"noise": jax', '"other": CALLS[0], "noise": jax')})
    done = replay(pytester, str(drift))
    assert done.returncode == 1
    assert (
        "purestate replay: another failure than then, which was:\n`drifting` is not deterministic"
        in done.stdout
    )
    write(pytester.path, {"test_it.py": source.replace("    state =", "    assert False\n    state =")})
    done = replay(pytester, str(drift))
    assert "purestate replay: another failure: the test does not fail in what failed then" in done.stdout
    assert "the test does not come to that call any more, so nothing was put in place" in done.stdout


def test_what_is_not_as_it_was_is_named(pytester: pytest.Pytester, drift: Path) -> None:
    source = (pytester.path / "test_it.py").read_text()
    write(pytester.path, {"test_it.py": source.replace('"step": jnp', '"steps": jnp')})
    done = replay(pytester, str(drift))
    assert "  not as it was then, and left as it is now: state['steps']" in done.stdout


def test_show(pytester: pytest.Pytester, drift: Path) -> None:
    done = replay(pytester, str(drift), "--show")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "test: test_it.py::test_drift",
        "failed in: assert_deterministic(drifting)",
        "  `drifting` is not deterministic: call 2 returned something else than call 1",
    ]
    assert lines[lines.index("leaves:") + 1 :] == [
        "  state['w']: array bfloat16[]",
        "  state['step']: array int32[], weak",
        "  args[1]: numpy float32[2]",
        "  key: key threefry2x32[2]",
    ]
    assert any(line.startswith("versions: python 3.") for line in lines)


def test_a_block_is_repeated_as_well(pytester: pytest.Pytester) -> None:
    write(
        pytester.path,
        {
            "test_it.py": "import jax.numpy as jnp\nfrom pytest_purestate import assert_unchanged\n\n\n"
            "def test_edit():\n    params = {'w': jnp.ones(2)}\n"
            "    with assert_unchanged(params):\n        params['w'] = params['w'] + 1\n"
        },
    )
    run(pytester).assert_outcomes(failed=1)
    done = replay(pytester)
    assert "purestate replay: the same failure as then" in done.stdout
    facts = json.loads((bundle(pytester.path) / "bundle.json").read_text())
    assert [leaf["path"] for leaf in facts["leaves"]] == ["params['w']"]
    file = pytester.path / "test_it.py"
    file.write_text(file.read_text().replace("ones(2)", "zeros(2)"))
    assert "not as it was then, and left as it is now: params['w']" in replay(pytester).stdout


GUARDED = """\
import json
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from model import step


@pytest.fixture
def batch():
    return {"x": jnp.asarray(json.loads(pathlib.Path(__file__).with_name("data.json").read_text()))}


def test_step(make_train_state, key, batch):
    state = make_train_state(nn.Dense(1), jnp.ones((1, 2)))
    step(state, key, batch)
"""
MODEL = """\
import jax


def step(state, key, batch):
    noise = jax.random.normal(key, (2,))
    if batch["x"].sum() > 2:
        noise += jax.random.uniform(key, (2,))  # noqa: PS101
    return state, batch["x"] + noise
"""


def test_a_finding_of_the_guard_is_repeated(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"test_it.py": GUARDED, "model.py": MODEL, "data.json": "[1.0, 2.0]"})
    result = run(pytester, "--purestate", "--purestate-level=host=off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["replay: purestate replay .purestate/failures/test_it.py_test_step-*"])
    write(pytester.path, {"data.json": "[0.0, 0.0]"})
    run(pytester, "--purestate").assert_outcomes(passed=1)
    done = replay(pytester)
    assert "purestate replay: the same failure as then" in done.stdout, done.stdout
    facts = json.loads((bundle(pytester.path) / "bundle.json").read_text())
    paths = {leaf["path"] for leaf in facts["leaves"]}
    assert {"key", "batch['x']", "state#1.params['kernel']"} <= paths
    assert facts["repeat"]["options"] == ["--purestate-seed=0", "--purestate", "--purestate-level=host=off"]


def test_workers_and_examples(pytester: pytest.Pytester) -> None:
    write(
        pytester.path,
        {
            "test_it.py": "import itertools\nimport jax.numpy as jnp\nfrom hypothesis import given, settings, strategies\n"
            "from pytest_purestate import assert_deterministic\n\nCOUNT = itertools.count()\n\n\n"
            "@settings(database=None, deadline=None)\n@given(strategies.integers(0, 9))\n"
            "def test_examples(n):\n"
            "    assert_deterministic(lambda x: x * 0 if n < 5 else x + next(COUNT), jnp.asarray(n))\n"
        },
    )
    result = run(pytester, "-n2")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["replay: purestate replay *"])
    facts = json.loads((bundle(pytester.path) / "bundle.json").read_text())
    assert facts["call"] == {"assertion": "assert_deterministic", "function": "<lambda>", "number": None}
    assert replay(pytester).returncode == 1


def test_a_test_is_found_from_another_directory(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"pytest.ini": "[pytest]\n"})
    write(pytester.path / "sub", {"test_it.py": DRIFT, "data.json": "[1.0]"})
    result = pytester.run(sys.executable, "-m", "pytest", "-p", "no:randomly", "sub")
    folder = bundle(pytester.path)
    result.stdout.fnmatch_lines([f"replay: purestate replay .purestate/failures/{folder.name}"])
    done = subprocess.run(
        [sys.executable, "-m", "pytest_purestate", "replay", f"../.purestate/failures/{folder.name}"],
        cwd=pytester.path / "sub",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "purestate replay: the same failure as then" in done.stdout


def test_large_leaves_are_left_out(pytester: pytest.Pytester) -> None:
    write(
        pytester.path,
        {
            "test_it.py": DRIFT.replace('"w": jnp', '"big": jnp.ones((400, 400)), "w": jnp'),
            "data.json": "[1.0]",
        },
    )
    options = ("-o", "purestate_bundle_limit=0.5")
    result = run(pytester, *options)
    result.stdout.fnmatch_lines(["  without state['big']: too large (purestate_bundle_limit)"])
    assert "state['big']: too large, not kept" in replay(pytester, "--show").stdout
    assert "the same failure" in replay(pytester).stdout
    run(pytester, "-o", "purestate_bundle_limit=0").stdout.no_fnmatch_line("replay: *")
    result = run(pytester, "-o", "purestate_bundle_limit=all")
    result.stderr.fnmatch_lines(
        ["ERROR: purestate_bundle_limit must be a number of MiB from 0 on, not 'all'"]
    )


def changed(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change what a bundle says, and make its digest fit: what is left to refuse is what it asks for."""
    file = folder / "bundle.json"
    facts = json.loads(file.read_text())
    del facts["digest"]
    edit(facts)
    facts["digest"] = _bundle._digest(facts)
    file.write_text(json.dumps(facts))


EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "option": (lambda facts: facts["repeat"]["options"].append("-pevil"), "asks for the option -pevil"),
    "setting": (
        lambda facts: facts["repeat"]["overrides"].append("python_files=x"),
        "asks for the setting python_files=x",
    ),
    "node": (
        lambda facts: facts["repeat"].update(node="../other/test_it.py::test_drift"),
        "names a test outside of",
    ),
    "absolute": (lambda facts: facts["repeat"].update(directory="/"), "names a directory outside of"),
    "gone": (
        lambda facts: facts["repeat"].update(node="test_gone.py::test_it"),
        "the test is not there any more",
    ),
    "format": (lambda facts: facts.update(format=99), "has the format 99, and this version reads 1"),
    "arrays": (lambda facts: facts.update(sha256="0"), "was changed after it was written"),
    "no repeat": (lambda facts: facts.pop("repeat"), "does not say how its test is run"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_bundle_that_asks_for_more_is_refused(tmp_path: Path, name: str) -> None:
    edit, message = EDITS[name]
    write(tmp_path, {"test_it.py": ""})
    folder = made(tmp_path)
    changed(folder, edit)
    with pytest.raises(_bundle.BundleError, match=re.escape(message)):
        _bundle.read(folder)


def made(root: Path) -> Path:
    repeat = _bundle.Repeat("test_it.py::test_it[a/../b]", ".", False, "", ("--purestate-seed=0",), ())
    return _bundle.write(root, repeat, {"call": {}, "failure": ""}, b"leaves")


def test_a_tampered_bundle_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"test_it.py": ""})

    def refused(folder: Path, message: str) -> None:
        with pytest.raises(_bundle.BundleError, match=message):
            _bundle.read(folder)

    folder = made(tmp_path)
    assert folder.parent == tmp_path / ".purestate" / "failures"
    assert _bundle.read(folder).repeat.node == "test_it.py::test_it[a/../b]"
    (folder / "leaves.npz").write_bytes(b"leaveS")
    refused(folder, "was changed after it was written")
    folder = made(tmp_path)
    text = (folder / "bundle.json").read_text()
    (folder / "bundle.json").write_text(text.replace('"failure": ""', '"failure": "x"'))
    refused(folder, "was changed after it was written")
    (folder / "bundle.json").write_text("[]")
    refused(folder, "no JSON object")
    folder = made(tmp_path)
    (folder / "conftest.py").write_text("")
    refused(folder, "holds something else too: conftest.py")
    folder = made(tmp_path)
    (folder / "leaves.npz").rename(tmp_path / "elsewhere")
    (folder / "leaves.npz").symlink_to(tmp_path / "elsewhere")
    refused(folder, r"is no bundle: it has no file leaves\.npz")
    refused(tmp_path, r"is not a folder below \.purestate")


def test_nothing_is_written_through_a_link(pytester: pytest.Pytester, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(pytester.path, {"test_it.py": DRIFT, "data.json": "[1.0]"})
    (pytester.path / ".purestate").symlink_to(elsewhere)
    result = run(pytester)
    result.stdout.fnmatch_lines(["what the test was given could not be kept: * is a symbolic link"])
    assert list(elsewhere.iterdir()) == []


def test_without_a_bundle_the_command_says_so(pytester: pytest.Pytester) -> None:
    done = replay(pytester)
    assert (done.returncode, done.stderr) == (
        2,
        "purestate: there is no bundle in .purestate/failures; name one\n",
    )


def test_flags_of_the_compiler_are_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"test_it.py": ""})
    flags = "--xla_force_host_platform_device_count=2 --xla_dump_to=/somewhere"
    folder = made(tmp_path)
    changed(
        folder,
        lambda facts: facts.update(environment={"XLA_FLAGS": flags, "PATH": "/", "JAX_ENABLE_X64": "1"}),
    )
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.setenv("JAX_ENABLE_X64", "0")
    variables, notes = _bundle.environment(_bundle.read(folder))
    assert variables["XLA_FLAGS"] == "--xla_force_host_platform_device_count=2"
    assert variables["PATH"] != "/"
    assert notes == [
        "XLA_FLAGS had --xla_dump_to=/somewhere, which is not set again",
        "JAX_ENABLE_X64 is 0, and was 1",
    ]


CLOSURE = """\
import os

import jax
import pytest
from pytest_purestate import PurityError, assert_deterministic


def test_closures(key):
    n = 3
    same = lambda key: jax.random.normal(key, (n,))
    assert_deterministic(same, key, across=("process",), runs=2)
    other = lambda key: jax.random.normal(key, (n,)) + os.getpid()
    with pytest.raises(PurityError) as caught:
        assert_deterministic(other, key, across=("process",), runs=2)
    assert "call 2 (in a fresh process, which ran the test again)" in str(caught.value)


def test_the_process_does_not_come_there():
    if "PURESTATE_REPLAY" in os.environ:
        return
    with pytest.raises(RuntimeError, match="did not come to this call there"):
        assert_deterministic(lambda: 1, across=("process",), runs=2)
"""


def test_closures_are_called_in_a_process_that_runs_the_test_again(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"test_it.py": CLOSURE})
    run(pytester).assert_outcomes(passed=2)
    assert not bundles(pytester.path)


MIXED = """\
import jax.numpy as jnp
from pytest_purestate import assert_deterministic, assert_immutable, assert_unchanged

X = jnp.ones(2)


def test_block_around_a_call():
    params = {"w": X}
    with assert_unchanged(params):
        assert_deterministic(jnp.sin, X, across=("calls",))
        params["w"] = X + 1


def test_value_behind_a_call():
    assert_deterministic(jnp.sin, X, across=("calls",))
    assert_immutable({"v": X})
"""


def test_the_bundle_is_of_the_call_that_failed(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"test_it.py": MIXED})
    run(pytester).assert_outcomes(failed=2)
    found = {}
    for folder in bundles(pytester.path):
        facts = json.loads((folder / "bundle.json").read_text())
        found[facts["call"]["assertion"]] = (
            facts["call"]["number"],
            [leaf["path"] for leaf in facts["leaves"]],
        )
    assert found == {"assert_unchanged": (1, ["params['w']"]), "assert_immutable": (2, ["tree['v']"])}


def test_a_reader_who_has_enough_is_no_error(drift: Path) -> None:
    command = f"{sys.executable} -m pytest_purestate replay {drift} --show | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == "test: test_it.py::test_drift\n"
    assert done.stderr == ""
