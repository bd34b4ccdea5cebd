import copy
import hashlib
import itertools
import pickle
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.experimental
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pytest_purestate import Draw, KeyStream

# Public under this name since JAX 0.8.
_home: Any = jax if hasattr(jax, "enable_x64") else jax.experimental
enable_x64: Callable[[bool], AbstractContextManager[None]] = _home.enable_x64


def words(key: jax.Array) -> list[int]:
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return [int(word) for word in np.asarray(data).ravel()]


# The numbers are part of the interface: users pin results to them. A change here breaks their tests.
def test_stream_is_what_it_always_was() -> None:
    assert words(KeyStream(0)()) == [1994134682, 2575426806]
    assert words(KeyStream(0, "tests/test_model.py::test_loss[1]")("dropout")) == [3222981621, 265128937]
    assert words(KeyStream(7, "p").take(2, "q")) == [417067749, 935513372, 3574792594, 674830073]
    last_seed = KeyStream(2**32 - 1, "p")
    last_seed()
    assert words(last_seed()) == [4031611067, 2425290830]


def test_other_implementations_are_what_they_always_were() -> None:
    rbg, unsafe = KeyStream(0, "p", impl="rbg")(), KeyStream(0, "p", impl="unsafe_rbg")()
    assert (str(jax.random.key_impl(rbg)), words(rbg)) == ("rbg", [1940154716, 765341334] * 2)
    assert words(unsafe) == [1794383111, 2241451262, 4181354555, 1751084444]


def test_recipe_is_the_documented_one() -> None:
    key = jax.random.key(3)
    for component in ("a::b", "dropout", "1"):
        for word in struct.unpack(">8I", hashlib.sha256(component.encode()).digest()):
            key = jax.random.fold_in(key, np.uint32(word))
    stream = KeyStream(3, "a::b")
    stream("dropout")
    assert stream("dropout") == key


def test_stream_does_not_depend_on_the_width_of_integers() -> None:
    for seed in (0, 2**31, 2**32 - 1):
        narrow = KeyStream(seed, "p")("s")
        with enable_x64(True):
            assert words(KeyStream(seed, "p")("s")) == words(narrow)


def test_stream_does_not_depend_on_how_bits_are_partitioned() -> None:
    before = words(KeyStream(1, "p")("s"))
    for partitionable in (True, False):
        with jax.threefry_partitionable(partitionable):
            assert words(KeyStream(1, "p")("s")) == before


def test_streams_do_not_depend_on_each_other() -> None:
    one, other = KeyStream(0, "p"), KeyStream(0, "p")
    mixed = [one("a"), one("b"), one("a"), one(), one("b")]
    assert [other("a"), other("a"), other("b"), other("b"), other()] == [mixed[i] for i in (0, 2, 1, 4, 3)]


def test_joined_names_do_not_collide() -> None:
    keys = [
        KeyStream(0, "ab")("c"),
        KeyStream(0, "a")("bc"),
        KeyStream(0, "abc")(),
        KeyStream(0)("abc"),
        KeyStream(0, "c")("ab"),
    ]
    assert all(one != other for one, other in itertools.combinations(keys, 2))


def test_every_key_is_unique() -> None:
    stream = KeyStream(0)
    drawn = [*stream.take(500), *stream.take(200, "a"), stream(), stream("a")]
    assert len({tuple(words(key)) for key in drawn}) == 702


def test_take_gives_the_keys_that_calls_give() -> None:
    one, other = KeyStream(0), KeyStream(0)
    keys = one.take(3, "a")
    assert keys.shape == (3,)
    assert [*keys, one("a")] == [other("a") for _ in range(4)]
    assert one.take(0).shape == (0,)


def test_raw_keys_have_the_same_bits() -> None:
    typed, raw = KeyStream(5, "p"), KeyStream(5, "p", typed=False)
    key = raw("a")
    assert (key.dtype, key.shape) == (jnp.uint32, (2,))
    assert words(key) == words(typed("a"))
    assert raw.take(3).shape == (3, 2)
    assert jax.random.normal(key) == jax.random.normal(KeyStream(5, "p")("a"))


def test_rngs_initialise_a_linen_module() -> None:
    rngs = KeyStream(0).rngs("params", "dropout")
    assert rngs == {"params": KeyStream(0)("params"), "dropout": KeyStream(0)("dropout")}
    assert nn.Dense(2).init(rngs, jnp.ones((1, 3)))["params"]["kernel"].shape == (3, 2)


@pytest.mark.parametrize("typed", [True, False])
def test_nnx_rngs_initialise_an_nnx_module(typed: bool) -> None:
    rngs = KeyStream(0, typed=typed).nnx_rngs("params", "dropout")
    assert rngs.params.key[...] == KeyStream(0)("params")
    assert nnx.Linear(3, 2, rngs=rngs).kernel.shape == (3, 2)
    assert nnx.Linear(3, 2, rngs=KeyStream(0).nnx_rngs()).kernel.shape == (3, 2)


def test_iteration_goes_on_with_the_unnamed_stream() -> None:
    stream, other = KeyStream(0), KeyStream(0)
    first, second = itertools.islice(stream, 2)
    assert [first, second, next(stream)] == [other(), other(), other()]


def test_log_says_what_was_handed_out_and_where() -> None:
    stream = KeyStream(0)
    stream("a")
    stream.take(2)
    line = test_log_says_what_was_handed_out_and_where.__code__.co_firstlineno
    assert stream.log == [
        Draw("a", 0, __file__, line + 2),
        Draw("", 0, __file__, line + 3),
        Draw("", 1, __file__, line + 3),
    ]
    stream.log.clear()
    assert len(stream.log) == 3


@pytest.mark.parametrize(
    "transform",
    [
        jax.jit,
        jax.grad,
        jax.vmap,
        lambda f: lambda x: jax.lax.scan(lambda c, y: (f(y).sum(), y), x[0], x),
        lambda f: lambda x: jax.eval_shape(f, x),
        lambda f: lambda x: jax.linearize(f, x),
        lambda f: lambda x: jax.lax.cond(x[0] > 0, f, f, x),
        lambda f: lambda x: jax.checkpoint(f)(x),
        nnx.jit,
        nnx.grad,
        eqx.filter_jit,
        eqx.filter_vmap,
    ],
    ids=[
        "jit",
        "grad",
        "vmap",
        "scan",
        "eval_shape",
        "linearize",
        "cond",
        "checkpoint",
        "nnx.jit",
        "nnx.grad",
        "filter_jit",
        "filter_vmap",
    ],
)
def test_no_key_is_drawn_while_tracing(transform: object) -> None:
    stream = KeyStream(0)

    def noisy(x: jax.Array) -> jax.Array:
        return (x + jax.random.normal(stream("noise"))).sum()

    with pytest.raises(RuntimeError) as caught:
        transform(noisy)(jnp.ones(3))  # type: ignore[operator]
    assert str(caught.value) == (
        "a key was drawn from the stream 'noise' inside a function that JAX traces\n"
        "  under jit it would become a constant, the same key in every call\n"
        "  help: draw the key outside and pass it as an argument"
    )
    assert stream.log == []


def test_keys_are_drawn_where_jit_is_off() -> None:
    stream = KeyStream(0)
    with jax.disable_jit():
        assert jax.jit(lambda: stream("a"))() == KeyStream(0)("a")


def test_draw_needs_no_permission_for_transfers() -> None:
    with jax.transfer_guard("disallow"):
        key = KeyStream(0, "quiet")("a")
    assert key == KeyStream(0, "quiet")("a")


def test_draw_is_no_reuse_of_a_key() -> None:
    with jax.debug_key_reuse(True):
        stream = KeyStream(0)
        drawn = [stream(), stream(), stream("a"), *stream.take(2)]
        for key in drawn[:3]:
            jax.random.normal(key)


def test_threads_never_share_a_key() -> None:
    stream = KeyStream(0)
    stream()
    with ThreadPoolExecutor(4) as pool:
        keys = list(pool.map(lambda _: tuple(words(stream())), range(40)))
    assert len(set(keys)) == 40


def test_stream_can_be_copied_and_pickled() -> None:
    stream = KeyStream(0, "p")
    stream()
    for other in (copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))):
        assert other() == KeyStream(0, "p").take(2)[1]
    assert repr(stream) == "KeyStream(seed=0, path='p', drawn=1)"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: KeyStream("1"), TypeError, "the seed must be an integer, not '1'"),  # type: ignore[arg-type]
        (lambda: KeyStream(True), TypeError, "the seed must be an integer, not True"),
        (lambda: KeyStream(1.5), TypeError, "the seed must be an integer, not 1.5"),  # type: ignore[arg-type]
        (lambda: KeyStream(-1), ValueError, "the seed must be from 0 to 4294967295, not -1"),
        (lambda: KeyStream(2**32), ValueError, "the seed must be from 0 to 4294967295, not 4294967296"),
        (lambda: KeyStream(0, 1), TypeError, "the path must be a string, not 1"),  # type: ignore[arg-type]
        (lambda: KeyStream(0)(1), TypeError, "the name of a stream must be a string, not 1"),  # type: ignore[arg-type]
        (lambda: KeyStream(0).take(-1), ValueError, "the number of keys must not be negative: -1"),
        (lambda: KeyStream(0).take("a"), TypeError, "the number of keys must be an integer, not 'a'"),  # type: ignore[arg-type]
        (lambda: KeyStream(0).rngs(), ValueError, "name at least one stream"),
        (
            lambda: KeyStream(0).rngs("a", "a"),
            ValueError,
            "the stream 'a' is named twice; each name has one key",
        ),
    ],
)
def test_bad_use_is_refused(make: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()  # type: ignore[operator]
    assert str(caught.value) == message


def test_unknown_implementation_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match='unrecognized PRNG implementation "dice"'):
        KeyStream(0, impl="dice")


def test_path_may_hold_any_character() -> None:
    assert KeyStream(0, "test_é[\udcff-日本]")() != KeyStream(0, "test_é[\udcfe-日本]")()
