"""What an installed plugin costs those who do not use it, and what it says where JAX is missing."""

from __future__ import annotations

import json
from importlib import metadata

import pytest
from outside import PASSES, REUSE, ids, run, write

# Runs last: what has been loaded in the process of a whole run.
LOADED = """\
import json
import sys

def pytest_unconfigure():
    ours = ("jax", "libcst", "pytest_purestate._items", "pytest_purestate._check", "pytest_purestate._runtime.keys")
    with open("loaded.json", "w") as file:
        json.dump([name for name in ours if name in sys.modules], file)
"""


def loaded(pytester: pytest.Pytester) -> list[str]:
    names: list[str] = json.loads((pytester.path / "loaded.json").read_text())
    return names


def test_without_the_flag_nothing_is_loaded_or_collected(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"conftest.py": LOADED, "model.py": REUSE, "test_it.py": PASSES})
    result = run(pytester, "--co", "-q")
    assert ids(result) == ["test_it.py::test_it"]
    assert loaded(pytester) == []
    result = run(pytester)
    result.assert_outcomes(passed=1)
    assert "purestate" not in "".join(line for line in result.outlines if "plugins: " not in line).replace(
        "purestate: seed 0", ""
    )
    assert loaded(pytester) == []


def test_with_the_flag_the_checker_works_in_another_process(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"conftest.py": LOADED, "model.py": REUSE, "test_it.py": PASSES})
    result = run(pytester, "--purestate")
    result.assert_outcomes(passed=1, failed=1)
    assert f"purestate: seed 0, jax {metadata.version('jax')} (not yet imported)" in result.outlines
    assert loaded(pytester) == ["pytest_purestate._items", "pytest_purestate._check"]


def test_the_check_can_fail(pytester: pytest.Pytester) -> None:
    """The one of `loaded`, and that the fixtures which need Flax say so where it is missing."""
    write(
        pytester.path,
        {
            "conftest.py": LOADED + missing_package("flax"),
            "test_it.py": "import libcst\n\n\n"
            "def test_key(key):\n    pass\n\n\n"
            "def test_state(make_train_state):\n    pass\n",
        },
    )
    result = run(pytester)
    result.assert_outcomes(passed=1, errors=1)
    assert loaded(pytester) == ["jax", "libcst", "pytest_purestate._runtime.keys"]
    assert missing("make_train_state") in result.outlines


def missing_package(name: str) -> str:
    """Code after which a package is not installed."""
    return f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


def missing(fixture: str) -> str:
    return (
        f"usage error: the fixture `{fixture}` needs JAX, Flax and Optax; "
        "install them with `pip install 'pytest-purestate[jax]'`"
    )


def test_without_jax_the_fixtures_name_the_extra(pytester: pytest.Pytester) -> None:
    fixtures = ("keys", "key", "make_train_state", "deterministic")
    tests = "\n\n".join(f"def test_{fixture}({fixture}):\n    pass\n" for fixture in fixtures)
    write(pytester.path, {"conftest.py": missing_package("jax"), "model.py": REUSE})
    write(pytester.path, {"test_it.py": tests})
    result = run(pytester, "--purestate")
    result.assert_outcomes(errors=4, failed=1)
    assert [line for line in result.outlines if line.startswith("usage error: ")] == [
        missing(fixture) for fixture in fixtures
    ]
    result.stdout.no_fnmatch_line("*Traceback*")
