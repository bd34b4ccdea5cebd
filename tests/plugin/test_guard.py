"""`pytest --purestate` while tests run: what fails them, what does not, and how one says what counts."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from xml.etree import ElementTree

import pytest
from outside import excerpt, outcomes, run, write

LIBRARY = """\
import jax
import numpy as np


def noisy(key, x):
    a = jax.random.normal(key, x.shape)
    return a + jax.random.normal(key, x.shape)


def fine(key, x):
    one, other = jax.random.split(key)
    return jax.random.normal(one, x.shape) + jax.random.normal(other, x.shape)


@jax.jit
def step(state, key):
    return state, jax.random.normal(key)


def train(steps, key):
    state = 0.0
    for _ in range(steps):
        state, _ = step(state, key)
    return state


def clear_bias(state):
    state.params["bias"] = np.zeros(3)
    return state
"""

REUSE = """\
import asyncio
import functools
import unittest

import hypothesis
import jax
import jax.numpy as jnp
import pytest
from absl.testing import parameterized

import library

X = jnp.ones(3)


def test_reuse(key):
    library.noisy(key, X)


def test_reuse_of_a_raw_key_in_a_loop():
    library.train(3, jax.random.PRNGKey(0))


def test_replay(key):
    for _ in range(3):
        assert (library.fine(key, X) == jax.jit(library.fine)(key, X)).all()
    assert jax.random.normal(key) == jax.random.normal(key)


@pytest.fixture
def noise(key):
    return library.fine(key, X) + library.fine(key, X)


def test_replay_in_a_fixture(noise, key):
    library.fine(key, X)


def test_allowed(key, purestate):
    with purestate.allow_reuse():
        library.noisy(key, X)
    assert purestate.findings == ()


def test_findings(key, purestate):
    library.noisy(key, X)
    (text,) = purestate.findings
    assert "library.py:6" in text


@pytest.mark.purestate(keys="off")
def test_marked_off(key):
    library.noisy(key, X)


@pytest.mark.purestate(keys="warn")
def test_marked_warn(key):
    library.noisy(key, X)


def test_fails_by_itself(key):
    library.noisy(key, X)
    assert False, "by itself"


@pytest.mark.purestate(kees="off")
def test_marked_wrongly():
    pass


@pytest.mark.xfail
def test_expected(key):
    library.noisy(key, X)


class TestUnit(unittest.TestCase):
    def test_reuse(self):
        library.noisy(jax.random.key(0), X)

    def test_replay(self):
        library.fine(jax.random.key(0), X)
        library.fine(jax.random.key(0), X)


class TestAbsl(parameterized.TestCase):
    @parameterized.parameters(1, 2)
    def test_replay(self, count):
        for _ in range(count):
            library.fine(jax.random.key(0), X)


@hypothesis.settings(max_examples=5, deadline=None, database=None)
@hypothesis.given(hypothesis.strategies.integers(0, 3))
def test_each_example_is_its_own(number):
    library.fine(jax.random.key(0), X)


def test_async(key):
    async def twice():
        library.noisy(key, X)

    asyncio.run(twice())
"""

HELP = (
    "split it first, `key_a, key_b = jax.random.split(key)`, and use each part once; what is meant goes into "
    "`with purestate.allow_reuse():`"
)
FAIL = {
    *("FAILED test_it.py::test_reuse", "FAILED test_it.py::test_reuse_of_a_raw_key_in_a_loop"),
    *("FAILED test_it.py::test_findings", "FAILED test_it.py::test_fails_by_itself"),
    *("FAILED test_it.py::TestUnit::test_reuse", "FAILED test_it.py::test_async"),
    "ERROR test_it.py::test_marked_wrongly",
}
PASS = {
    *("PASSED test_it.py::test_replay", "PASSED test_it.py::test_replay_in_a_fixture"),
    *("PASSED test_it.py::test_allowed", "PASSED test_it.py::test_marked_off"),
    *("PASSED test_it.py::test_marked_warn", "PASSED test_it.py::TestUnit::test_replay"),
    *("PASSED test_it.py::TestAbsl::test_replay0", "PASSED test_it.py::TestAbsl::test_replay1"),
    "PASSED test_it.py::test_each_example_is_its_own",
}


@pytest.fixture(autouse=True)
def _project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("PURESTATE_LEVEL", raising=False)
    settings = "[pytest]\npurestate_paths = empty\npythonpath = .\n"
    write(pytester.path, {"pytest.ini": settings, "library.py": LIBRARY, "empty/a.txt": ""})


def test_reuse_fails_the_test_that_met_it(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"test_it.py": REUSE})
    result = run(pytester, "--purestate", "-rA", "--junitxml=junit.xml", "-W", "error")
    assert outcomes(result) == FAIL | PASS
    assert excerpt(result, "__ test_reuse __", "repeat: ")[1:5] == [
        "a key is drawn from that was drawn from before",
        "  first here: library.py:6 in noisy",
        "  again here: library.py:7 in noisy",
        f"  help: {HELP}",
    ]
    assert excerpt(result, "__ test_reuse_of_a_raw_key_in_a_loop __", "help: ")[1:] == [
        "a key is drawn from that was drawn from before",
        "  each time here: library.py:17 in step",
    ]
    assert "by itself" in "\n".join(excerpt(result, "__ test_fails_by_itself __", "purestate: also found"))
    result.stdout.fnmatch_lines(["*GuardWarning: a key is drawn from that was drawn from before"])
    result.stdout.fnmatch_lines(["*-- purestate: PRNG keys are used twice in 8 tests --*"])
    told = {
        (case.attrib["classname"], case.attrib["name"], each.attrib["value"])
        for case in ElementTree.parse(pytester.path / "junit.xml").iter("testcase")
        for each in case.iter("property")
        if each.attrib["name"] == "purestate_keys"
    }
    assert ("test_it", "test_marked_warn", "warn: a key is drawn from that was drawn from before") in told
    assert ("test_it", "test_reuse", "error: a key is drawn from that was drawn from before") in told
    assert len(told) == 8


def test_workers_report_to_the_controller(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"test_it.py": REUSE})
    result = run(pytester, "--purestate", "-rA", "-n", "2")
    assert outcomes(result) == FAIL | PASS
    result.stdout.fnmatch_lines(["*-- purestate: PRNG keys are used twice in 8 tests --*"])


def test_levels_of_settings_environment_command_and_mark(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = """\
    import jax
    import jax.numpy as jnp
    import pytest

    import library


    def test_plain(key):
        library.noisy(key, jnp.ones(3))


    @pytest.mark.purestate(keys="error")
    def test_marked(key):
        library.noisy(key, jnp.ones(3))
    """
    pytester.makepyfile(test_it=test)
    failed = {"FAILED test_it.py::test_plain", "FAILED test_it.py::test_marked"}
    marked = {"PASSED test_it.py::test_plain", "FAILED test_it.py::test_marked"}
    passed = {"PASSED test_it.py::test_plain", "PASSED test_it.py::test_marked"}
    off = ("-o", "purestate_level=keys = off")
    assert outcomes(run(pytester, "-rA")) == passed
    assert outcomes(run(pytester, "-rA", "--purestate")) == failed
    assert outcomes(run(pytester, "-rA", "--purestate", *off)) == marked
    monkeypatch.setenv("PURESTATE_LEVEL", "host=off, keys=error")
    assert outcomes(run(pytester, "-rA", "--purestate", *off)) == failed
    both = ("--purestate-level=all=error", "--purestate-level=keys=warn")
    assert outcomes(run(pytester, "-rA", "--purestate", *off, *both)) == marked
    assert outcomes(run(pytester, "-rA", "-p", "no:purestate", "-k", "nothing")) == set()


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (
            ["--purestate-level=kees=off"],
            "",
            "--purestate-level: no concern `kees`; there are all, keys, state, host,",
        ),
        (
            ["--purestate-level=keys"],
            "",
            "--purestate-level: the level of `keys` is one of error, warn, off, not ``",
        ),
        (
            ["-o", "purestate_level=keys=of"],
            "",
            "purestate_level: the level of `keys` is one of error, warn, off, not",
        ),
        ([], "keys=loud", "PURESTATE_LEVEL: the level of `keys` is one of error, warn, off, not `loud`"),
    ],
)
def test_wrong_levels(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: str,
    message: str,
) -> None:
    monkeypatch.setenv("PURESTATE_LEVEL", environment)
    result = run(pytester, "--purestate", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}*"])


STATES = """\
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import library


@pytest.fixture
def state(make_train_state):
    return make_train_state(nn.Dense(3), jnp.ones((1, 2)))


@pytest.fixture
def cleaned(state):
    yield state
    library.clear_bias(state)


def test_edit(state):
    library.clear_bias(state)


def test_edit_of_what_the_test_made(make_train_state):
    library.clear_bias(make_train_state(nn.Dense(3), jnp.ones((1, 2))))


def test_edit_in_the_teardown(cleaned):
    pass


def test_registered(purestate):
    weights = {"w": np.ones(3)}
    purestate.register("weights", weights)
    weights["w"][1] = 7.0


def test_replaced(state):
    state = state.replace(step=3)
    assert state.step == 3


def test_marked_host():
    np.random.seed(3)
    jax.config.update("jax_enable_x64", True)


def test_host_is_put_back():
    assert not jax.config.jax_enable_x64


def test_drawn():
    np.random.normal()


@pytest.mark.purestate(max_traces=2)
def test_traces():
    def scale(x):
        return 2 * x

    compiled = jax.jit(scale)
    for size in range(4):
        compiled(jnp.ones(size))


@pytest.mark.purestate(leaks="error")
def test_leak():
    kept = []

    @jax.jit
    def keep(x):
        kept.append(x)
        return x

    keep(1.0)
"""


def test_states_host_compilations_and_leaks(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"test_it.py": STATES})
    result = run(pytester, "--purestate", "-rA")
    assert outcomes(result) == {
        *("FAILED test_it.py::test_edit", "FAILED test_it.py::test_edit_of_what_the_test_made"),
        *("PASSED test_it.py::test_edit_in_the_teardown", "ERROR test_it.py::test_edit_in_the_teardown"),
        *("FAILED test_it.py::test_registered", "PASSED test_it.py::test_replaced"),
        *("PASSED test_it.py::test_marked_host", "PASSED test_it.py::test_host_is_put_back"),
        *(
            "PASSED test_it.py::test_drawn",
            "FAILED test_it.py::test_traces",
            "FAILED test_it.py::test_leak",
        ),
    }
    assert excerpt(result, "__ test_edit __", "help: ")[1:] == [
        "state is edited in place (in the call of the test)",
        "  state.params['bias']: the type changed: Array, ndarray",
        "    before: float32[3]",
        "    after:  float64[3]",
    ]
    assert "weights['w'][1]" in "\n".join(excerpt(result, "__ test_registered __", "help: "))
    result.stdout.fnmatch_lines(["*jax.config.jax_enable_x64: was changed"])
    result.stdout.fnmatch_lines(["*-- purestate: state of the process is left changed in 1 test --*"])


def test_nothing_is_changed_for_what_runs(pytester: pytest.Pytester) -> None:
    """Results, dtypes, types of keys and settings are those of a run without; but for the flag that opens the place."""
    test = """\
    import jax
    import jax.numpy as jnp


    def test_results(request):
        key, raw = jax.random.key(3), jax.random.PRNGKey(3)
        assert raw.dtype == jnp.uint32 and raw.shape == (2,)
        values = [float(jax.random.normal(each)) for each in (key, raw)]
        flags = {name: value for name, value in jax.config.values.items() if name != "jax_debug_key_reuse"}
        text = f"{values} {jax.jit(jax.random.split)(key)} {sorted(flags.items(), key=str)}"
        assert jax.config.jax_debug_key_reuse == bool(request.config.option.purestate)
        (request.config.rootpath / "told.txt").write_text(text)
    """
    pytester.makepyfile(test_it=test)
    told = []
    for arguments in ((), ("--purestate",)):
        assert run(pytester, *arguments).ret == 0
        told.append((pytester.path / "told.txt").read_text())
    assert told[0] == told[1]


COVERED = """\
import functools

import jax
import jax.numpy as jnp


class Noise:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, key, x):
        if self.scale > 0:
            return x + self.scale * jax.random.normal(key, x.shape)
        return x


@functools.partial(jax.jit, static_argnums=2)
def noisy(key, x, scale):
    if scale < 0:
        raise ValueError("scale is negative")
    return Noise(scale)(key, x)


def summed(key, xs):
    def body(carry, x):
        key, total = carry
        key, sub = jax.random.split(key)
        return (key, total + noisy(sub, x, 1.0)), None

    return jax.lax.scan(body, (key, jnp.zeros(())), xs)[0][1]


def wasteful(key, x):
    value = jax.random.normal(key) + jax.random.uniform(key)
    if x is None:
        return value
    return value + x


def never(key):
    return jax.random.split(key)
"""


def test_coverage_is_the_same(pytester: pytest.Pytester) -> None:
    """Lines and branches, also of what is traced, and of a test that the guard fails."""
    test = """\
    import jax
    import jax.numpy as jnp
    import pytest

    import covered


    def test_noise(key):
        assert covered.noisy(key, jnp.ones(3), 1.0).shape == (3,)
        with pytest.raises(ValueError, match="negative"):
            covered.noisy(key, jnp.ones(3), -1.0)


    def test_sum(key):
        assert covered.summed(key, jnp.ones(3)).shape == ()


    def test_wasteful(key):
        assert covered.wasteful(key, None).shape == ()
    """
    # Without the plugin its fixture `key` is missing.
    fixture = "import jax, pytest\n\n\n@pytest.fixture\ndef key():\n    return jax.random.key(0)\n"
    write(pytester.path, {"covered.py": COVERED, "conftest.py": fixture})
    pytester.makepyfile(test_it=test)
    coverage = ("--cov=covered", "--cov-branch", "--cov-report=json:coverage.json", "-rA")
    figures = []
    for guard in (("-p", "no:purestate"), ("--purestate",), ("--purestate", "-n", "2")):
        result = run(pytester, *guard, *coverage)
        failed = {each for each in outcomes(result) if each.startswith("FAILED")}
        assert failed == ({"FAILED test_it.py::test_wasteful"} if "--purestate" in guard else set())
        figures.append(json.loads((pytester.path / "coverage.json").read_text())["files"]["covered.py"])
    assert figures[1:] == figures[:1] * 2
    assert figures[0]["missing_lines"]
    assert figures[0]["missing_branches"]
    assert {12, 24} <= set(figures[0]["executed_lines"])


def test_where_jax_has_no_place_to_watch_from(pytester: pytest.Pytester) -> None:
    write(
        pytester.path,
        {
            "test_it.py": "import library, jax, jax.numpy as jnp\n\n\ndef test_it(key):\n    library.noisy(key, jnp.ones(3))\n"
        },
    )
    start = "import jax.experimental.key_reuse._core as core\ndel core.call_impl_with_key_reuse_checks\n"
    write(pytester.path, {"conftest.py": start})
    result = run(pytester, "--purestate", "-rA")
    assert outcomes(result) == {"FAILED test_it.py::test_it"}
    result.stdout.fnmatch_lines(
        ["purestate: this JAX has no place to watch from: only direct calls of jax.random are seen"]
    )


def test_what_the_documentation_shows(pytester: pytest.Pytester) -> None:
    page = (Path(__file__).parents[2] / "docs" / "guard.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n# (\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    write(pytester.path, {name: f"# {name}\n{text}" for name, text in blocks})
    test = "import jax.numpy as jnp\nfrom noise import noisy\n\n\ndef test_noise(key):\n    noisy(key, jnp.ones(3))\n"
    write(pytester.path, {"test_noise.py": test})
    result = run(pytester, "--purestate", "-rA")
    assert outcomes(result) == {
        *("PASSED test_levels.py::test_on_purpose", "PASSED test_levels.py::test_compiles_once"),
        "FAILED test_noise.py::test_noise",
    }
    (shown,) = re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert set(shown.splitlines()[3:]) <= set(result.outlines)


def test_a_mistake_of_the_guard_is_none_of_the_test(pytester: pytest.Pytester) -> None:
    test = "import jax\nimport jax.numpy as jnp\n\nimport library\n\n\n"
    test += "def test_it(key):\n    assert library.step(1.0, key)[1].shape == ()\n    library.noisy(key, jnp.ones(3))\n"
    start = "from pytest_purestate._runtime.guard import keys\n\n\ndef analyse(*args):\n    raise KeyError('oops')\n\n\n"
    write(pytester.path, {"test_it.py": test, "conftest.py": start + "keys.analyse = analyse\n"})
    result = run(pytester, "--purestate", "-rA")
    assert outcomes(result) == {"PASSED test_it.py::test_it"}
    result.stdout.fnmatch_lines(["purestate: a mistake of the guard, please report it: KeyError: 'oops'"])


def test_keys_that_are_off_cost_nothing_until_a_mark_asks(pytester: pytest.Pytester) -> None:
    test = """\
    import jax
    import jax.numpy as jnp
    import pytest

    import library


    def test_off(key):
        assert not jax.config.jax_debug_key_reuse
        library.noisy(key, jnp.ones(3))


    @pytest.mark.purestate(keys="error")
    def test_on(key):
        assert jax.config.jax_debug_key_reuse
        library.noisy(key, jnp.ones(3))
    """
    pytester.makepyfile(test_it=test)
    result = run(pytester, "--purestate", "--purestate-level=keys=off", "-rA")
    assert outcomes(result) == {"PASSED test_it.py::test_off", "FAILED test_it.py::test_on"}
    assert "library.py:6 in noisy" in result.stdout.str()


FREEZE = """\
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import library


@pytest.fixture
def state(make_train_state):
    return make_train_state(nn.Dense(3), jnp.ones((1, 2)), tx=optax.adam(0.1))


def test_edit(state):
    library.clear_bias(state)


def test_edit_of_the_optimizer_state(state):
    state.opt_state[0].mu["bias"] = 0


def test_buffer(make_train_state):
    state = make_train_state({"w": np.ones(3)})
    state.params["w"][0] = 7


def test_step(state):
    grads = jax.tree.map(jnp.ones_like, state.params)
    new = jax.jit(lambda state, grads: state.apply_gradients(grads=grads))(state, grads)
    assert new.step == 1
"""


def test_frozen_states_raise_where_they_are_edited(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"test_it.py": FREEZE})
    result = run(pytester, "--purestate-freeze", "-rA")
    assert outcomes(result) == {
        *("FAILED test_it.py::test_edit", "FAILED test_it.py::test_edit_of_the_optimizer_state"),
        *("FAILED test_it.py::test_buffer", "PASSED test_it.py::test_step"),
    }
    text = result.stdout.str()
    assert '    state.params["bias"] = np.zeros(3)\n' in text
    assert "ValueError: FrozenDict is immutable." in text
    assert "ValueError: assignment destination is read-only" in text


CREATED = """\
import jax.numpy as jnp
import optax
from flax.training import train_state
from flax.training.train_state import TrainState


class Mine(TrainState):
    extra: int = 0


def create():
    return Mine.create(apply_fn=None, params={"w": jnp.ones(2)}, tx=optax.sgd(0.1))


def step(state, grads):
    state.params["w"] = state.params["w"] - grads
    return state


def pure(state, grads):
    return state.replace(params={"w": state.params["w"] - grads})
"""


def test_a_train_state_that_the_code_creates_is_watched(pytester: pytest.Pytester) -> None:
    tests = """\
    import jax
    import jax.numpy as jnp
    from model import create, pure, step

    def test_edits():
        assert step(create(), 1.0).params["w"].sum() == 0

    def test_is_held():
        state = create()
        step(state, 1.0)

    def test_pure():
        state = create()
        assert jax.jit(pure)(state, 1.0).params["w"].sum() == 0
        assert jax.eval_shape(create).params["w"].shape == (2,)
    """
    write(pytester.path, {"model.py": CREATED, "test_it.py": textwrap.dedent(tests)})
    options = ("--purestate", "-o", "purestate_paths=test_it.py")
    result = run(pytester, *options, "-rA")
    assert outcomes(result) == {
        "FAILED test_it.py::test_is_held",
        "FAILED test_it.py::test_edits",
        "PASSED test_it.py::test_pure",
    }
    result.stdout.fnmatch_lines(
        [
            "state is edited in place (in the call of the test)",
            "  Mine(model.py:12).params?'w'??0?: 2 of 2 elements changed",
            "    before: 1.0",
            "    after:  0.0",
        ]
    )
