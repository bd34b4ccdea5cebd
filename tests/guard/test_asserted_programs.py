"""`assert_no_key_reuse` on programs that the guard is tested with: the program is what is asserted about, and no test.

All programs of ``programs.every()`` but the replays, which are good because a test makes them, are judged as their
names say; here are those about what JAX's own checker catches, misses and wrongly reports.
"""

from collections.abc import Callable

import jax
import pytest
from flax import nnx
from programs import every

from pytest_purestate import PurityError, assert_no_key_reuse

pytestmark = pytest.mark.slow

FACTS = [(name, function) for name, function in every() if name.startswith("facts.")]


@pytest.mark.parametrize(("name", "function"), FACTS, ids=[name for name, _ in FACTS])
def test_program(name: str, function: Callable[[], object]) -> None:
    assert nnx.__name__  # loaded: its streams are followed
    if name == "facts.bad_custom_vjp_in_jit" and jax.__version_info__ < (0, 7):
        pytest.xfail("JAX 0.6 does not tell it from a draw that the backward pass makes once more")
    if function.__name__.startswith("good_"):
        assert_no_key_reuse(function)
        return
    with pytest.raises(PurityError) as caught:
        assert_no_key_reuse(function)
    assert all("programs/facts.py:" in problem.after for problem in caught.value.problems)
