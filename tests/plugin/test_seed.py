"""The fixtures' keys: what seed they come from, what they do not depend on, how a failure is repeated."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from outside import excerpt, run, write

from pytest_purestate.plugin import _node_id

CONFTEST = """\
import json
import os

import jax
import pytest
from _pytest.runner import runtestprotocol


@pytest.fixture
def record(request):
    def record(key):
        node = request.node.nodeid.removesuffix("@group")
        line = json.dumps([node, jax.random.key_data(key).tolist()])
        with open(os.environ["RECORD"], "a") as file:
            file.write(line + "\\n")
    return record


def pytest_collection_modifyitems(items):
    if "REVERSED" in os.environ:
        items.reverse()


def pytest_runtest_protocol(item, nextitem):
    if "TWICE" in os.environ:  # as plugins do that run a failed test again
        runtestprotocol(item, nextitem=nextitem, log=False)
"""

TESTS = """\
import jax
import pytest
from flax import linen


def test_one(key, record):
    record(key)


def test_several(keys, key, record):
    record(key)
    record(keys())
    record(keys("dropout"))


@pytest.mark.xdist_group("group")
@pytest.mark.parametrize("word", ["a b", "c"])
def test_parametrized(key, word, record):
    record(key)


def test_state(make_train_state, record):
    model = linen.Dense(2)
    first, second = make_train_state(model, jax.numpy.ones(2)), make_train_state(model, jax.numpy.ones(2))
    assert (first.params["kernel"] != second.params["kernel"]).all()
    for state in first, second:
        record(state.params["kernel"].view("uint32").astype("uint32"))
"""

Keys = dict[str, list[object]]


def recorded(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Keys:
    """The keys of each passing test of a run."""
    file = pytester.path / "record.txt"
    file.unlink(missing_ok=True)
    monkeypatch.setenv("RECORD", str(file))
    result = run(pytester, *arguments)
    assert result.ret == pytest.ExitCode.OK
    assert "purestate: seed 7" in result.outlines
    found: Keys = {}
    for line in file.read_text().splitlines():
        node, key = json.loads(line)
        found.setdefault(node, []).append(key)
    return found


def test_keys_depend_on_seed_and_test_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(pytester.path, {"pytest.ini": "[pytest]\n", "conftest.py": CONFTEST, "test_it.py": TESTS})
    keys = recorded(pytester, monkeypatch, "--purestate-seed=7")
    assert [len(drawn) for drawn in keys.values()] == [1, 3, 1, 1, 2]
    everything = [str(key) for drawn in keys.values() for key in drawn]
    assert len(set(everything)) == 8
    monkeypatch.setenv("REVERSED", "1")
    monkeypatch.setenv("TWICE", "1")
    arguments = ("-n2", "--dist=loadgroup", "--deselect", "test_it.py::test_one")
    again = recorded(pytester, monkeypatch, "--purestate-seed=last", *arguments)
    del keys["test_it.py::test_one"]
    assert again == {test: drawn * 2 for test, drawn in keys.items()}


def marks(*names: str) -> list[pytest.Mark]:
    return [pytest.mark.xdist_group(name).mark for name in names]


@pytest.mark.parametrize(
    ("node", "groups"),
    [
        ("test_it.py::test_it", marks()),
        ("test_it.py::test_it", marks("gpu")),
        ("test_it.py::test_it@gpu", marks("gpu")),
        ("test_it.py::test_it@a_b", marks("b", "a")),
        ("test_it.py::test_it@b", marks("b", "a")),
        ("test_it.py::test_it@default", [pytest.mark.xdist_group.mark]),
    ],
)
def test_no_key_depends_on_the_group_that_xdist_appends(node: str, groups: list[pytest.Mark]) -> None:
    # From inside: with the newest pytest, xdist appends it to what nobody reads.
    item = SimpleNamespace(nodeid=node, iter_markers=lambda name: iter(groups))
    assert _node_id(cast(pytest.Item, item)) == "test_it.py::test_it"


FAILURES = """\
import jax
import pytest


@pytest.fixture
def broken(key):
    assert jax.random.key_data(key).tolist() == "setup"


def test_setup(broken):
    pass


@pytest.mark.parametrize("word", ["a b"])
def test_call(keys, word):
    pair = keys(), keys("dropout")
    assert [jax.random.key_data(key).tolist() for key in pair] == word


def test_early(keys):
    assert not "drawn"


def test_other():
    assert not "a matter of keys"
"""


def repeated(command: str, directory: Path) -> str:
    """What the command of a failure report prints, where `pytest` is the one of this interpreter."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        shell=True,
        cwd=directory,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    return done.stdout


def errors(output: str) -> list[str]:
    return re.findall("^E +(.*)", output, re.MULTILINE)


def test_a_failure_report_ends_in_the_command_that_repeats_it(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"pytest.ini": "[pytest]\n", "test_it.py": FAILURES})
    result = run(pytester, "--purestate-seed=random", "--tb=short", "-n1")
    result.assert_outcomes(failed=3, errors=1)
    seed = header_seed(result)
    setup = excerpt(result, " ERROR at setup of test_setup ", "= FAILURES =")
    call = excerpt(result, " test_call[a b] ", " test_early ")
    early = excerpt(result, " test_early ", " test_other ")
    other = excerpt(result, " test_other ", " short test summary info ")
    assert setup[-2:] == [
        f"seed {seed}, 1 key was drawn",
        f"repeat: pytest test_it.py::test_setup --purestate-seed={seed}",
    ]
    assert call[-2:] == [
        f"seed {seed}, 2 keys were drawn",
        f"repeat: pytest 'test_it.py::test_call[a b]' --purestate-seed={seed}",
    ]
    assert early[-2:] == [
        f"seed {seed}, no keys were drawn",
        f"repeat: pytest test_it.py::test_early --purestate-seed={seed}",
    ]
    assert not [line for line in other if "seed" in line]
    output = repeated(call[-1].removeprefix("repeat: "), pytester.path)
    assert re.search(r"= 1 failed in ", output)
    assert errors(output)
    assert errors(output)[0] == errors("\n".join(call))[0]
    assert re.match(r"AssertionError: assert \[\[\d+, \d+\], \[\d+, \d+\]\] == 'a b'", errors(output)[0])


def test_the_command_repeats_the_settings(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    # Raw keys of another implementation, by two ways, and a run from below the root.
    write(
        pytester.path,
        {
            "ci.ini": "[pytest]\npurestate_prng_impl = rbg\npurestate_seed = 5\n",
            "test_it.py": "def test_raw(key):\n    assert key.tolist() == []\n",
            "sub/empty.txt": "",
        },
    )
    monkeypatch.chdir(pytester.path / "sub")
    result = run(
        pytester, "-c", "../ci.ini", "--rootdir=..", "-o", "purestate_raw_keys=true", "-n1", "../test_it.py"
    )
    result.assert_outcomes(failed=1)
    (command,) = (line.removeprefix("repeat: ") for line in result.outlines if line.startswith("repeat: "))
    assert command == (
        "pytest ../test_it.py::test_raw --purestate-seed=5 -c ../ci.ini --rootdir=.. -o purestate_raw_keys=true"
    )
    output = repeated(command, pytester.path / "sub")
    assert errors(output)[0] == errors("\n".join(result.outlines))[0]
    assert re.match(r"assert \[\d+, \.\.\.\d, \d+\] == \[\]", errors(output)[0])


def test_an_unknown_implementation(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"test_it.py": "def test_it(key):\n    pass\n"})
    result = run(pytester, "-o", "purestate_prng_impl=nope")
    result.assert_outcomes(errors=1)
    (line,) = (line for line in result.outlines if line.startswith("usage error: "))
    assert line.startswith("usage error: purestate_prng_impl: ")
    assert "nope" in line


def header_seed(result: pytest.RunResult) -> int:
    (seed,) = (line.removeprefix("purestate: seed ") for line in result.outlines if "purestate: seed" in line)
    return int(seed)


def test_random_is_another_each_time_and_last_is_the_same_again(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"pytest.ini": "[pytest]\npurestate_seed = random\n", "test_it.py": "import os\n"})
    first = header_seed(run(pytester))
    second = header_seed(run(pytester))
    assert first != second
    assert header_seed(run(pytester, "--purestate-seed=last")) == second
    assert header_seed(run(pytester, "--purestate-seed=0")) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--purestate-seed=many"],
            "--purestate-seed must be a number from 0 to 4294967295, `random` or `last`, not 'many'",
        ),
        (
            ["-o", "purestate_seed=4294967296"],
            "purestate_seed must be a number from 0 to 4294967295, `random` or `last`, not '4294967296'",
        ),
        (
            ["--purestate-seed=last"],
            "--purestate-seed: there is no previous run to take the `last` seed from; give a number",
        ),
        (
            ["--purestate-seed=last", "-p", "no:cacheprovider"],
            "--purestate-seed: `last` needs pytest's cache, which is off (-p no:cacheprovider)",
        ),
    ],
)
def test_a_wrong_seed_is_a_usage_error(pytester: pytest.Pytester, arguments: list[str], message: str) -> None:
    write(pytester.path, {"pytest.ini": "[pytest]\n"})
    result = run(pytester, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert list(filter(None, result.errlines)) == [f"ERROR: {message}"]
