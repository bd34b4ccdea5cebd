import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.train_state import TrainState

from pytest_purestate._runtime.graph import take_picture
from pytest_purestate._runtime.leaves import Leaf, packed, pictured, put_back, taken, unpacked
from pytest_purestate._runtime.trees import diff

KEY = jax.random.key(3)
VALUE = {
    "half": jnp.asarray([1.5, math.nan], jnp.bfloat16),
    "scalar": jnp.asarray(2.0, jnp.float16),
    "weak": jnp.asarray(2.0),
    "keys": jax.random.split(KEY, (2, 3)),
    "rbg": jax.random.key(1, impl="rbg"),
    "raw": jax.random.PRNGKey(4),
    "empty": jnp.zeros((0, 3)),
    "host": [np.arange(3), np.array("text"), np.asarray(1.0, jnp.bfloat16)],
    "plain": (True, 3, 2.5, -math.inf, math.nan, 1 - 2j, "naïve", None),
    "equal": (1, 1),
}

VALUE = dict(sorted(VALUE.items()))  # as jax.tree.map leaves it


def other(value: object) -> object:
    """The same structure with other leaves."""
    copied, strange = put_back("v", value, {})
    assert strange
    return jax.tree.map(
        lambda leaf: leaf * 0 if hasattr(leaf, "dtype") and leaf.dtype == jnp.float32 else leaf, copied
    )


def test_leaves_go_to_disk_and_come_back_bit_by_bit() -> None:
    data, facts, left_out = packed(taken("v", VALUE), 1 << 20)
    assert not left_out
    again, strange = put_back("v", other(VALUE), unpacked(data, facts))
    assert not strange
    assert not diff(VALUE, again), diff(VALUE, again)


def test_equal_numbers_in_two_places_are_two_leaves() -> None:
    leaves = {leaf.path: leaf for leaf in taken("v", (1, 1, 2.0))}
    leaves["v[1]"] = Leaf("v[1]", "int", "", False, 5)
    assert put_back("v", (1, 1, 2.0), leaves)[0] == (1, 5, 2.0)


def test_a_picture_has_the_leaves_of_its_moment() -> None:
    params = {"w": np.ones(2), "b": KEY, "n": 3}
    picture = take_picture(params)
    params["w"][0] = 5.0  # type: ignore[index]
    before = {leaf.path: leaf for leaf in pictured("p", picture)}
    assert before["p['w']"].value.tolist() == [1, 1]
    assert (before["p['b']"].kind, before["p['b']"].dtype) == ("key", "threefry2x32")
    assert before["p['n']"].value == 3


def test_a_state_keeps_its_class_and_what_has_no_place_is_named() -> None:
    state = TrainState.create(apply_fn=None, params={"w": jnp.ones(2)}, tx=optax.sgd(0.1))  # type: ignore[no-untyped-call]
    leaves = {leaf.path: leaf for leaf in taken("state", state.replace(params={"w": jnp.zeros(2)}))}
    new, strange = put_back("state", state, leaves)
    assert type(new) is type(state)
    assert new.params["w"].tolist() == [0, 0]
    assert new.tx is state.tx
    assert not strange
    new, strange = put_back("state", state.replace(params={"v": jnp.ones(2), "w": 1.0}), leaves)
    assert strange == ["state.params['v']", "state.params['w']"]


def test_deleted_arrays_are_left_out() -> None:
    array = jnp.ones(2)
    array.delete()
    assert taken("a", [array, jnp.ones(1)])[0].path == "a[1]"


def test_what_is_over_the_limit_is_left_out() -> None:
    data, facts, left_out = packed(taken("v", [np.zeros(100), np.zeros(1)]), 100)
    assert left_out == ["v[0]"]
    assert list(unpacked(data, facts)) == ["v[1]"]


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        (
            {"path": "v", "kind": "array", "dtype": "float32", "shape": [3], "weak_type": False, "array": 0},
            "another shape",
        ),
        (
            {"path": "v", "kind": "array", "dtype": "float32", "shape": [2], "weak_type": False, "array": 7},
            "cannot be read",
        ),
        (
            {"path": "v", "kind": "array", "dtype": "nothing", "shape": [2], "weak_type": False, "array": 0},
            "cannot be read",
        ),
        ({"path": "v", "kind": "code", "value": "1"}, "no leaf is of the kind 'code'"),
        ({"path": "v"}, "cannot be read"),
    ],
)
def test_facts_that_do_not_fit_are_refused(fact: dict[str, object], message: str) -> None:
    data, _, _ = packed(taken("v", np.zeros(2, np.float32)), 100)
    with pytest.raises(ValueError, match=message):
        unpacked(data, [fact])


def test_objects_are_never_pickled() -> None:
    array = np.array([object()], dtype=object)
    assert taken("v", array) == []
    with pytest.raises(ValueError, match="pickle"):
        unpacked(b"PK", [])
