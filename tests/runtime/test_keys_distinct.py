import re
from typing import Any, NamedTuple

import equinox as eqx
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from flax.core import freeze

from pytest_purestate import KeyStream, PurityError, assert_keys_distinct

ZERO = "0x00000000 0x00000000"


class Pair(NamedTuple):
    left: Any
    right: Any


@flax.struct.dataclass
class Carry:
    params: Any
    dropout_key: Any
    note: Any = flax.struct.field(pytree_node=False, default=None)  # type: ignore[no-untyped-call]


class Noise(eqx.Module):
    key: jax.Array
    scale: float = 0.1


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Dropout(0.5, rngs=rngs)
        self.second = nnx.Dropout(0.5, rngs=rngs)
        self.rngs = rngs


def key(seed: int = 0) -> jax.Array:
    return jax.random.key(seed)


def same(*trees: Any, raw: bool = True) -> list[tuple[str, str]]:
    """The places of equal keys: this one, and the first."""
    with pytest.raises(PurityError) as caught:
        assert_keys_distinct(*trees, raw=raw)
    found = []
    for problem in caught.value.problems:
        assert problem.kind == "same-key"
        first = re.fullmatch(r"is the same key as `(.*)`", problem.message)
        assert first is not None
        found.append((problem.path, first[1]))
    return found


def test_message() -> None:
    one = key()
    rngs = {"params": one, "dropout": one}
    with pytest.raises(PurityError) as caught:
        assert_keys_distinct(rngs)
    assert str(caught.value) == (
        "1 of 2 keys is the same as another key, and draws from both would repeat each other\n"
        "  rngs['dropout']: is the same key as `rngs['params']`\n"
        f"    the first: threefry2x32 {ZERO}\n"
        f"    this one:  threefry2x32 {ZERO}\n"
        "  help: give each use a key of its own, `key, subkey = jax.random.split(key)` or "
        "`jax.random.fold_in(key, i)` with another `i` for each"
    )


def test_several_are_all_listed() -> None:
    keys = jnp.stack([key(0), key(1), key(0), key(1), key(0)])
    with pytest.raises(PurityError, match=r"^3 of 5 keys are the same as another key") as caught:
        assert_keys_distinct(keys)
    assert [(p.path, p.message) for p in caught.value.problems] == [
        ("keys[2]", "is the same key as `keys[0]`"),
        ("keys[3]", "is the same key as `keys[1]`"),
        ("keys[4]", "is the same key as `keys[0]`"),
    ]


@pytest.mark.parametrize(
    ("make", "places"),
    [
        (lambda: [key(), key()], [("tree[1]", "tree[0]")]),
        (lambda: (key(), jnp.stack([key(1), key()])), [("tree[1][1]", "tree[0]")]),
        (
            lambda: jnp.stack([jnp.stack([key(1), key()]), jnp.stack([key(2), key()])]),
            [("tree[1, 1]", "tree[0, 1]")],
        ),
        (lambda: [jax.random.PRNGKey(0), jax.random.PRNGKey(0)], [("tree[1]", "tree[0]")]),
        (lambda: jnp.stack([jax.random.PRNGKey(0)] * 2), [("tree[1]", "tree[0]")]),
        (lambda: [np.asarray(jax.random.PRNGKey(0)), key()], [("tree[1]", "tree[0]")]),
        (lambda: freeze({"a": key(), "b": {"c": key()}}), [("tree['b']['c']", "tree['a']")]),
        (lambda: Pair(key(), [key()]), [("tree.right[0]", "tree.left")]),
        (lambda: Carry({}, key(), note=key()), [("tree.note", "tree.dropout_key")]),
        (lambda: [Noise(key()), Noise(key())], [("tree[1].key", "tree[0].key")]),
        (lambda: (lambda d: [d, d])({"k": key()}), [("tree[1]['k']", "tree[0]['k']")]),
        (lambda: [jax.random.fold_in(key(), 3), jax.random.fold_in(key(), 3)], [("tree[1]", "tree[0]")]),
        (lambda: [KeyStream(3, "a"), KeyStream(3, "b"), KeyStream(3, "a")], [("tree[2]", "tree[0]")]),
        (lambda: [KeyStream(3)("a"), KeyStream(3).take(2, "a")], [("tree[1][0]", "tree[0]")]),
    ],
)
def test_equal_keys_are_told_with_both_places(make: Any, places: list[tuple[str, str]]) -> None:
    assert same(make()) == places


@pytest.mark.parametrize(
    "make",
    [
        key,
        lambda: [key(0), key(1)],
        lambda: jax.random.split(key(), (3, 2)),
        lambda: jax.random.split(jax.random.PRNGKey(0), 4),
        lambda: KeyStream(0).rngs("params", "dropout"),
        lambda: KeyStream(0).nnx_rngs("params", "dropout"),
        lambda: (lambda stream: [stream, stream, stream("a"), stream.take(3, "b")])(KeyStream(0)),
        lambda: {"params": key(0), "dropout": key(1)},
        lambda: Net(nnx.Rngs(0)),  # layers that share a stream take turns
        lambda: nnx.split(Net(nnx.Rngs(params=0, dropout=1))),
        lambda: [key(0), np.zeros(3, np.uint32), np.zeros((2, 3), np.uint32), np.zeros(2, np.int32)],
        lambda: [key(0), jnp.zeros((), jnp.uint32)],
    ],
)
def test_different_keys_are_fine(make: Any) -> None:
    assert_keys_distinct(make())


def test_trees_are_called_what_the_caller_calls_them() -> None:
    params_key, rngs = key(), {"dropout": [key()]}
    assert same(params_key, rngs) == [("trees[1]['dropout'][0]", "trees[0]")]
    with pytest.raises(PurityError) as caught:
        assert_keys_distinct(params_key, rngs)
    assert caught.value.problems[0].path == "rngs['dropout'][0]"
    assert caught.value.problems[0].message == "is the same key as `params_key`"


# Implementations


def test_raw_key_has_any_implementation() -> None:
    raw = jnp.zeros(4, jnp.uint32)
    rbg = jax.random.key(0, impl="rbg")
    with pytest.raises(PurityError) as caught:
        assert_keys_distinct(rbg, raw)
    (problem,) = caught.value.problems
    assert (problem.before, problem.after) == (f"rbg {ZERO} {ZERO}", f"raw {ZERO} {ZERO}")


def test_the_two_kinds_of_rbg_draw_the_same() -> None:
    keys = [jax.random.key(0, impl=impl) for impl in ("rbg", "unsafe_rbg")]
    assert (jax.random.bits(keys[0], (3,)) == jax.random.bits(keys[1], (3,))).all()
    assert same(keys) == [("tree[1]", "tree[0]")]


def test_keys_of_other_implementations_are_others() -> None:
    assert_keys_distinct(jax.random.key(0), jax.random.key(0, impl="rbg"))


def test_arrays_that_only_look_like_keys_can_be_left_out() -> None:
    batch = {"tokens": np.ones((8, 4), np.uint32), "key": key()}
    with pytest.raises(PurityError, match=r"^7 of 9 keys are"):
        assert_keys_distinct(batch)
    assert_keys_distinct(batch, raw=False)


# Streams of nnx


def test_streams_of_one_seed_collide() -> None:
    rngs = nnx.Rngs(params=0, dropout=0)
    with pytest.raises(PurityError) as caught:
        assert_keys_distinct(rngs)
    (problem,) = caught.value.problems
    assert problem.path == "rngs.dropout.key"
    assert problem.message == "is the same key as `rngs.params.key`"
    assert problem.before == problem.after == f"threefry2x32 {ZERO}, count 0"


def test_the_count_is_a_part_of_the_key() -> None:
    rngs = nnx.Rngs(params=0, dropout=0)
    rngs.params()
    assert_keys_distinct(rngs)
    rngs.dropout()
    assert len(same(rngs)) == 1


def test_key_that_a_stream_is_made_from_is_not_free() -> None:
    one = key()
    rngs = nnx.Rngs(one)
    rngs()
    with pytest.raises(PurityError) as caught:
        assert_keys_distinct(rngs, one)
    (problem,) = caught.value.problems
    assert (problem.path, problem.before) == ("one", f"threefry2x32 {ZERO}, count 1")


def test_state_of_an_nnx_module_is_the_same_as_the_module() -> None:
    state = nnx.state(nnx.Rngs(params=0, dropout=0))
    with pytest.raises(PurityError) as caught:
        assert_keys_distinct(state)
    assert [p.after for p in caught.value.problems] == [f"threefry2x32 {ZERO}, count 0"]


def test_split_streams_have_a_key_and_a_count_for_each() -> None:
    @nnx.split_rngs(splits=3)
    def look(rngs: nnx.Rngs) -> int:
        assert_keys_distinct(rngs)
        return 1

    assert look(nnx.Rngs(0)) == 1


def test_element_of_a_split_stream_is_told() -> None:
    rngs = nnx.Rngs(0)
    rngs.default.key = nnx.RngKey(jnp.stack([key(1), key(2), key(1)]), tag="default")
    rngs.default.count = nnx.RngCount(jnp.array([0, 0, 1], jnp.uint32), tag="default")
    assert_keys_distinct(rngs)
    rngs.default.count = nnx.RngCount(jnp.array([1, 0, 1], jnp.uint32), tag="default")
    with pytest.raises(
        PurityError, match=r"rngs\.default\.key\[2\]: is the same key as `rngs\.default\.key\[0\]`"
    ):
        assert_keys_distinct(rngs)


# Circumstances


def test_cycle_is_no_trouble() -> None:
    held: list[Any] = [key()]
    held.append(held)
    assert_keys_distinct(held)


def test_guard_against_transfers_is_not_in_the_way() -> None:
    keys = [key(0), key(1), jax.random.PRNGKey(2)]
    with jax.transfer_guard("disallow_explicit"):
        assert_keys_distinct(keys, KeyStream(0))


def test_caller_keeps_what_it_has() -> None:
    stream, rngs = KeyStream(0), nnx.Rngs(0)
    assert_keys_distinct(stream, rngs)
    assert stream.log == []
    assert (jax.random.key_data(rngs()) == jax.random.key_data(nnx.Rngs(0)())).all()


def test_many_keys_are_read_at_once() -> None:
    keys = jax.random.split(key(), 20_000)
    assert_keys_distinct(keys)
    assert same(jnp.concatenate([keys, keys[7:8]])) == [("tree[20000]", "tree[7]")]


# Bad use


@pytest.mark.parametrize(
    ("trees", "raw", "message"),
    [
        (
            ({"w": jnp.ones(3)},),
            True,
            "there is no key in what assert_keys_distinct was given; it looks for key arrays and uint32 arrays whose ",
        ),
        (
            (np.zeros(2, np.uint32),),
            False,
            "there is no key in what assert_keys_distinct was given; it looks for key arrays",
        ),
        ((jnp.zeros((0, 2), jnp.uint32),), True, "there is no key in what"),
        ((jax.random.split,), True, "there is no key in what"),
    ],
)
def test_values_without_keys_are_refused(trees: Any, raw: bool, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        assert_keys_distinct(*trees, raw=raw)


def test_nothing_to_look_at_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^assert_keys_distinct needs the keys, or values that hold them$"):
        assert_keys_distinct()


def test_deleted_key_is_refused() -> None:
    state = {"key": key(), "raw": jax.random.PRNGKey(0)}
    state["raw"].delete()
    with pytest.raises(ValueError, match=r"^`state\['raw'\]` was deleted: it was donated"):
        assert_keys_distinct(state)


def test_tracer_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"^`k` is a tracer, whose bits are not known; call the assertion outside of jit"
    ):
        jax.jit(lambda k: assert_keys_distinct(k))(key())
