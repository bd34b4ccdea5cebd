"""What the docstrings show is what happens."""

import doctest
import importlib
import pkgutil

import pytest

import pytest_purestate
from pytest_purestate import _runtime

MODULES = [info.name for info in pkgutil.walk_packages(_runtime.__path__, f"{_runtime.__name__}.")]
EXAMPLES = [
    test
    for name in MODULES
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    if test.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example_runs(example: doctest.DocTest) -> None:
    report: list[str] = []
    results = doctest.DocTestRunner().run(example, out=report.append)
    assert results.failed == 0, "".join(report)


def test_what_people_call_has_an_example() -> None:
    shown = {example.name.rpartition(".")[2] for example in EXAMPLES}
    assert {"KeyStream", "assert_deterministic", "assert_unchanged", "make_train_state"} <= shown


def test_everything_public_is_described() -> None:
    for name in pytest_purestate.__all__:
        if name != "__version__":
            assert getattr(pytest_purestate, name).__doc__, name
