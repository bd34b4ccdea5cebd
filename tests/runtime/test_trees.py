"""What `diff` finds: `assert_unchanged` and `assert_deterministic` print nothing else."""

import collections
import copy
import dataclasses
import datetime
import enum
import math
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx
from flax.core import freeze
from hypothesis import given
from hypothesis import strategies as st
from jax.experimental import sparse

from pytest_purestate import Problem
from pytest_purestate._runtime.trees import diff


def only(before: object, after: object) -> Problem:
    """The one problem that there must be."""
    problems = diff(before, after).problems
    assert len(problems) == 1, problems
    return problems[0]


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: Any


@flax.struct.dataclass
class Struct:
    params: Any
    name: str = flax.struct.field(pytree_node=False, default="a")  # type: ignore[no-untyped-call]


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Plain:
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Private:
    __slots__ = ("__secret",)

    def __init__(self, secret: object) -> None:
        self.__secret = secret


KEY = jax.random.key(0)
EQUAL: list[Any] = [
    None,
    3,
    1.5,
    math.nan,
    complex(math.nan, 1),
    "a",
    b"a",
    Color.RED,
    range(3),
    {"a": [1, (2, {3})]},
    collections.deque([1]),
    collections.defaultdict(list, a=[1]),
    bytearray(b"ab"),
    frozenset({"a"}),
    Point(1, [2]),
    Slotted([1]),
    Private([1]),
    Plain(a=1),
    datetime.date(2020, 1, 1),
    np.random.default_rng(0),
    np.array([1, None, "a"], dtype=object),
    np.array(["ab", "c"]),
    np.array([np.nan, -0.0]),
    np.array([np.nan + 1j, complex(1, np.nan)]),
    np.zeros((0, 3)),
    np.zeros((), [("a", "f4"), ("b", "i8")]),
    np.ma.masked_array([1, 2], [True, False]),
    np.longdouble(1) / 3,
    jnp.arange(3),
    jnp.array([1.5, jnp.nan], jnp.bfloat16),
    np.array([1, 2], ml_dtypes.int4),
    KEY,
    jax.random.split(KEY, 3),
    jax.random.key(0, impl="rbg"),
    Struct({"w": jnp.ones(2)}),
    freeze({"a": {"b": 1}}),
    jax.tree_util.Partial(jnp.add, jnp.ones(2)),  # type: ignore[no-untyped-call]
    jnp.float32,
    jax.devices()[0],
    len,
]


@pytest.mark.parametrize("value", EQUAL, ids=lambda value: type(value).__name__)
def test_equal_values_have_no_difference(value: object) -> None:
    assert not diff(value, value)
    if not isinstance(value, Slotted | Private) and value is not EQUAL[-2]:
        assert not diff(value, copy.deepcopy(value) if not isinstance(value, jax.Array) else value.copy())


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1, 2, Problem("value", "tree", "the value differs", "1", "2")),
        (1, True, Problem("type", "tree", "the type differs: int, bool", "1", "True")),
        (0.0, -0.0, Problem("value", "tree", "the value differs", "0.0", "-0.0")),
        (1j, 2j, Problem("value", "tree", "the value differs", "1j", "2j")),
        ("a", "b", Problem("value", "tree", "the value differs", "'a'", "'b'")),
        (
            Color.RED,
            Color.BLUE,
            Problem("value", "tree", "the value differs", "<Color.RED: 1>", "<Color.BLUE: 2>"),
        ),
        ({1, 2}, {2, 3}, Problem("value", "tree", "the value differs", "{1, 2}", "{2, 3}")),
        ([1], [1, 2], Problem("added", "tree[1]", "was added", "", "2")),
        (
            {"a": 1, "b": {}},
            {"a": 1},
            Problem("removed", "tree['b']", "was removed", "dict with 0 entries", ""),
        ),
        (
            {"a": 1, "b": 2},
            {"b": 2, "a": 1},
            Problem("order", "tree", "the keys are in another order", "['a'] ['b']", "['b'] ['a']"),
        ),
        (
            {"a": [1, (2, 3)]},
            {"a": [1, (2, 4)]},
            Problem("value", "tree['a'][1][1]", "the value differs", "3", "4"),
        ),
        (Point(1, 2), Point(1, 3), Problem("value", "tree.y", "the value differs", "2", "3")),
        (Slotted(1), Slotted(2), Problem("value", "tree.x", "the value differs", "1", "2")),
        (Private(1), Private(2), Problem("value", "tree._Private__secret", "the value differs", "1", "2")),
        (Struct(1, "a"), Struct(1, "b"), Problem("value", "tree.name", "the value differs", "'a'", "'b'")),
        (
            freeze({"a": {"b": 1}}),
            freeze({"a": {"b": 2}}),
            Problem("value", "tree['a']['b']", "the value differs", "1", "2"),
        ),
        (
            datetime.date(2020, 1, 1),
            datetime.date(2021, 1, 1),
            Problem(
                "value", "tree", "the value differs", "datetime.date(2020, 1, 1)", "datetime.date(2021, 1, 1)"
            ),
        ),
        (
            [1],
            (1,),
            Problem(
                "type", "tree", "the type differs: list, tuple", "list with 1 entry", "tuple with 1 entry"
            ),
        ),
        (
            np.float32(1),
            jnp.float32(1),
            Problem("type", "tree", "the type differs: float32, Array", "1.0", "1.0"),
        ),
        (jnp.ones(2), jnp.ones(3), Problem("shape", "tree", "the shape differs", "float32[2]", "float32[3]")),
        (
            jnp.ones(2),
            jnp.ones(2, jnp.int32),
            Problem("dtype", "tree", "the dtype differs", "float32[2]", "int32[2]"),
        ),
        (
            jnp.asarray(1.0),
            jnp.float32(1.0),
            Problem("weak-type", "tree", "the weak type differs", "float32, weak", "float32, strong"),
        ),
        (
            jnp.array([[1, 2], [3, 4]]),
            jnp.array([[1, 2], [5, 6]]),
            Problem("value", "tree[1, 0]", "2 of 4 elements differ", "3", "5"),
        ),
        (
            jnp.array([1.0, 1.0]),
            jnp.array([1.0, np.nextafter(np.float32(1), np.float32(2))]),
            Problem("value", "tree[1]", "1 of 2 elements differs, by at most 1 ULP", "1.0", "1.0000001"),
        ),
        (
            np.array([0.0, 5e-324]),
            np.array([-0.0, -5e-324]),
            Problem("value", "tree[0]", "2 of 2 elements differ, by at most 3 ULP", "0.0", "-0.0"),
        ),
        (
            jnp.array([1.0, jnp.inf]),
            jnp.array([jnp.nan, 1.0]),
            Problem("value", "tree[0]", "2 of 2 elements differ, by NaN or infinity", "1.0", "nan"),
        ),
        (
            jnp.array([1, 2], jnp.bfloat16),
            jnp.array([1, 2.015625], jnp.bfloat16),
            Problem("value", "tree[1]", "1 of 2 elements differs, by at most 1 ULP", "2", "2.01562"),
        ),
        (
            np.array([1 + 1j]),
            np.array([1 + 2j]),
            Problem(
                "value", "tree[0]", "the element differs, by at most 4503599627370496 ULP", "(1+1j)", "(1+2j)"
            ),
        ),
        (
            np.array([1, "a"], object),
            np.array([1, "b"], object),
            Problem("value", "tree[1]", "the value differs", "'a'", "'b'"),
        ),
        (
            KEY,
            jax.random.key(1),
            Problem("value", "tree", "the key differs", "0x00000000 0x00000000", "0x00000000 0x00000001"),
        ),
        (
            jax.random.split(KEY, 2),
            jax.random.split(KEY, 2)[::-1],
            Problem(
                "value", "tree[0]", "2 of 2 keys differ", "0x6b200159 0x99ba4efe", "0x375f238f 0xcddb151d"
            ),
        ),
        (
            KEY,
            jax.random.key(0, impl="rbg"),
            Problem("dtype", "tree", "the dtype differs", "key<threefry2x32>[]", "key<rbg>[]"),
        ),
        (
            sparse.BCOO.fromdense(jnp.eye(2)),
            sparse.BCOO.fromdense(2 * jnp.eye(2)),
            Problem("value", "tree.data[0]", "2 of 2 elements differ, by at most 8388608 ULP", "1.0", "2.0"),
        ),
        (len, max, Problem("value", "tree", "the value differs", "builtins.len", "builtins.max")),
    ],
    ids=lambda value: value.kind if isinstance(value, Problem) else "",
)
def test_difference_has_a_path_and_both_values(before: object, after: object, expected: Problem) -> None:
    found = only(before, after)
    # numpy writes bfloat16 with more or fewer digits, by its version
    if "bfloat16" in str(getattr(before, "dtype", "")):
        found = dataclasses.replace(found, before=expected.before, after=expected.after)
    assert found == expected


def test_bits_are_shown_where_the_texts_are_equal() -> None:
    date = np.array(["2020-01-01"], "M8[D]")
    one, other = np.float64(0.1), np.nextafter(0.1, 1)
    assert (only(one, other).before, only(one, other).after) == ("0.1", "0.10000000000000002")
    assert not diff(date, date.copy())
    text = only(np.array([b"a"], "V2"), np.array([b"b"], "V2"))
    assert text.before != text.after


def test_nnx_variables_are_named_as_they_are_used() -> None:
    one, other = (nnx.Linear(2, 2, rngs=nnx.Rngs(0)) for _ in range(2))
    assert not diff(one, other)
    other.bias = nnx.Param(jnp.ones(2))
    assert only(one, other).path == "tree.bias[0]"
    assert diff(one, nnx.Linear(2, 2, rngs=nnx.Rngs(1))).problems[0].path == "tree.kernel[0, 0]"


def test_all_differences_are_found_in_order() -> None:
    before = {"a": jnp.zeros(2), "b": [1, {"c": "x"}], "d": 1}
    after = {"a": jnp.ones(2), "b": [2, {"c": "y"}], "e": 1}
    assert [problem.path for problem in diff(before, after, "s").problems] == [
        "s['d']",
        "s['e']",
        "s['a'][0]",
        "s['b'][0]",
        "s['b'][1]['c']",
    ]


def test_cycles_and_shared_parts_end() -> None:
    def ring(last: int) -> list[Any]:
        shared = {"n": last}
        one: list[Any] = [shared, shared]
        one.append(one)
        return one

    assert not diff(ring(1), ring(1))
    assert [problem.path for problem in diff(ring(1), ring(2)).problems] == ["tree[0]['n']"]


def test_depth_is_no_limit() -> None:
    def chain(last: int) -> Any:
        value: Any = last
        for _ in range(20_000):
            value = [value]
        return value

    assert only(chain(1), chain(2)).path == "tree" + 20_000 * "[0]"


def test_keys_with_one_text_stay_apart() -> None:
    class Name:
        def __repr__(self) -> str:
            return "name"

    a, b = Name(), Name()
    assert only({a: 1, b: 2}, {a: 1, b: 3}).path == "tree[name]#2"


def test_long_texts_are_cut() -> None:
    text = only("a" * 500, "b").before
    assert text == "'" + "a" * 99 + "... (502 characters)"


def test_comparison_that_raises_is_a_difference() -> None:
    class Odd(int):
        def __eq__(self, other: object) -> bool:
            raise ArithmeticError

        __hash__ = int.__hash__

    assert only(Odd(1), Odd(1)).kind == "value"


floats = st.floats(width=32)


@given(st.lists(floats, min_size=1, max_size=5), st.lists(floats, min_size=1, max_size=5))
def test_arrays_are_equal_exactly_if_their_bits_are(a: list[float], b: list[float]) -> None:
    one, other = np.array(a, np.float32), np.array(b, np.float32)
    same = one.shape == other.shape and all(
        x.tobytes() == y.tobytes() or (np.isnan(x) and np.isnan(y)) for x, y in zip(one, other, strict=True)
    )
    assert bool(diff(one, other)) is not same


@given(
    st.floats(-(2.0**99), 2.0**99, width=32) | st.integers(-60, 60).map(lambda n: n * 1e-45),
    st.integers(1, 50),
)
def test_distance_counts_the_floats_between(start: float, steps: int) -> None:
    one = other = np.float32(start)
    for _ in range(steps):
        other = np.nextafter(other, np.float32(np.inf))
    # Zero is two floats, and nextafter visits one of them.
    both_zeros = bool((one < 0 < other) or (one == 0 and np.signbit(one)))
    assert only(np.array([one, one]), np.array([other, other])).message == (
        f"2 of 2 elements differ, by at most {steps + both_zeros} ULP"
    )
