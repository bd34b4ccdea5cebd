from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.core import freeze
from flax.training.train_state import TrainState

from pytest_purestate import PurityError, make_train_state
from pytest_purestate._runtime.copies import copy_value
from pytest_purestate._runtime.npz import read_npz, write_npz
from pytest_purestate._runtime.saving import STORES, blank, round_trip, store_of
from pytest_purestate._runtime.trees import diff

NAMES = list(STORES)


class WithKey(TrainState):  # type: ignore[no-untyped-call]
    key: Any
    batch_stats: Any = None


class Net(nnx.Module):
    def __init__(self) -> None:
        self.linear = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
        self.norm = nnx.BatchNorm(2, rngs=nnx.Rngs(1))
        self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(2))


def linen(key: Any) -> Any:
    model = nn.Dense(2)
    params = model.init(jax.random.key(0), jnp.ones((1, 3)))["params"]
    stats = {"mean": jnp.ones(2), "half": jnp.ones(2, jnp.bfloat16)}
    return make_train_state(
        params, apply_fn=model.apply, tx=optax.adam(1e-3), cls=WithKey, key=key, batch_stats=stats
    )


STATES: dict[str, Callable[[], Any]] = {
    "linen, raw key": lambda: linen(jax.random.PRNGKey(3)),
    "frozen dict": lambda: freeze({"a": {"b": jnp.ones(2)}}),
    "containers": lambda: {"t": (jnp.ones(1), [jnp.zeros(2)]), "n": None, "e": optax.EmptyState()},
    "numbers": lambda: {"step": 3, "lr": 0.1, "on": True, "host": np.arange(3.0)},
    "dtypes": lambda: {
        "h": jnp.ones(2, jnp.bfloat16),
        "q": jnp.ones(2, jnp.float8_e4m3fn),
        "i": jnp.ones((2, 3), jnp.int4),
        "b": jnp.array([True, False]),
        "c": jnp.ones(2, jnp.complex64),
    },
}
KEYED: dict[str, Callable[[], Any]] = {
    "linen, typed key": lambda: linen(jax.random.key(3)),
    "keys": lambda: {
        "keys": jax.random.split(jax.random.key(1), 3),
    },
    "nnx": lambda: (net := Net(), nnx.Optimizer(net, optax.adam(1e-3), wrt=nnx.Param)),
    "nnx alone": Net,
}


def same(state: Any, restored: Any) -> None:
    """Equal, but for what says where an array comes from: that it is one of numpy, its weak type, the order of keys."""
    assert {p.kind for p in diff(state, restored).problems} <= {"type", "weak-type", "order"}
    assert not diff(bits(state), bits(restored))


def bits(state: Any) -> Any:
    """The leaves as arrays of numpy."""
    leaves = jax.tree.leaves(nnx.state(state) if isinstance(state, nnx.Module | tuple) else state)
    return [
        np.asarray(jax.random.key_data(x) if getattr(x, "dtype", None) == jax.random.key(0).dtype else x)
        for x in leaves
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", STATES)
def test_store_gives_back_what_it_was_given(name: str, kind: str) -> None:
    state = STATES[kind]()
    same(state, round_trip(STORES[name], state, blank(state)))


@pytest.mark.parametrize("name", ["orbax", "npz"])
@pytest.mark.parametrize("kind", KEYED)
def test_store_with_typed_keys(name: str, kind: str) -> None:
    state = KEYED[kind]()
    before = copy_value(state)
    same(before, round_trip(STORES[name], state, blank(state)))


def test_flax_says_what_to_do_about_typed_keys() -> None:
    with pytest.raises(PurityError) as caught:
        round_trip(STORES["flax"], linen(jax.random.key(3)), None)
    assert str(caught.value) == (
        "`state` cannot be saved through flax.serialization\n"
        "  state.key: cannot be stored: msgpack has no typed keys\n"
        "    saved: key<fry>[]\n"
        "  help: store the bits of a key, `jax.random.key_data(key)`, and make the key from them, "
        "`jax.random.wrap_key_data(bits)`; teach it a class with "
        "`flax.serialization.register_serialization_state`; or save in another way"
    )


def problems(name: str, state: Any, template: Any = None) -> list[tuple[str, str, str]]:
    with pytest.raises(PurityError) as caught:
        round_trip(STORES[name], state, state if template is None else template)
    return [(p.path, p.message, p.before) for p in caught.value.problems]


def test_every_place_that_cannot_be_stored_is_named() -> None:
    model = eqx.nn.Linear(1, 1, key=jax.random.key(0))
    keys = {"a": jax.random.key(0), "b": (jax.random.split(jax.random.key(1), 2),)}
    assert problems("flax", {"keys": keys, "models": [(model,)], "date": 1}) == [
        ("state['keys']['a']", "cannot be stored: msgpack has no typed keys", "key<fry>[]"),
        ("state['keys']['b'][0]", "cannot be stored: msgpack has no typed keys", "key<fry>[2]"),
        ("state['models'][0][0]", "cannot be stored: it has no rule for this class", "Linear"),
    ]
    leaves = {"s": "text", "g": np.float32(1), "e": jnp.zeros((0, 2)), "ok": np.ones(1)}
    assert problems("orbax", leaves) == [
        ("state['e']", "cannot be stored: it has no arrays without elements", "float32[0, 2]"),
        ("state['g']", "cannot be stored: it has no float32", "float32"),
        ("state['s']", "cannot be stored: it has no str", "str"),
    ]
    assert problems("npz", {"o": object(), "s": "text"}) == [
        ("state['o']", "cannot be stored: without pickle it has no objects", "object")
    ]


def test_unknown_class_below_a_field_is_named() -> None:
    @flax.struct.dataclass
    class Carry:
        model: Any

    model = eqx.nn.Linear(1, 1, key=jax.random.key(0))
    pair = optax.ScaleByAdamState(jnp.zeros(()), {"m": model}, {})
    assert [path for path, _, _ in problems("flax", Carry(pair))] == ["state.model.mu['m']"]


@pytest.mark.parametrize("name", NAMES)
def test_state_of_another_structure_is_told(name: str) -> None:
    with pytest.raises(PurityError, match="cannot be restored through") as caught:
        round_trip(STORES[name], {"a": jnp.ones(2)}, {"a": jnp.ones(2), "b": jnp.ones(2)})
    assert caught.value.help.startswith("a resumed program restores into what it makes at its start")
    more: Any = {"a": jnp.ones(2), "b": jnp.ones(2)}
    if name == "flax":  # drops it without a word
        assert round_trip(STORES[name], more, {"a": jnp.ones(2)}).keys() == {"a"}
    else:
        with pytest.raises(PurityError, match="cannot be restored through"):
            round_trip(STORES[name], more, {"a": jnp.ones(2)})


def test_error_of_the_library_is_told() -> None:
    with pytest.raises(
        PurityError, match=r"cannot be saved through flax.serialization: Integer value out of range"
    ):
        round_trip(STORES["flax"], {"big": 2**70}, {"big": 0})


@pytest.mark.parametrize("name", ["orbax", "npz"])
def test_functions_among_the_leaves_are_no_data(name: str) -> None:
    model = eqx.nn.MLP(1, 1, 2, 1, key=jax.random.key(0))
    restored = round_trip(STORES[name], model, blank(model))
    assert restored.activation is model.activation
    assert not diff(eqx.filter(model, eqx.is_array), eqx.filter(restored, eqx.is_array))


def test_npz_keeps_kinds(tmp_path: Path) -> None:
    leaves = [
        ("bytes", b"a\0\0"),
        ("text", "a"),
        ("generic", np.float32(2)),
        ("int", 3),
        ("array", jnp.ones(2, jnp.bfloat16)),
        ("key", jax.random.key(2, impl="rbg")),
    ]
    write_npz(tmp_path / "x", leaves)
    got = read_npz(tmp_path / "x", leaves[::-1])[::-1]
    assert not diff([value for _, value in leaves], got)


def test_blank_has_the_shapes_and_none_of_the_values() -> None:
    state: Any = {
        "w": jnp.ones((2, 3), jnp.bfloat16),
        "host": np.ones(2),
        "names": np.array(["a"]),
        "key": jax.random.key(7),
        "weak": jnp.asarray(5.0),
        "step": 4,
        "name": "x",
    }
    for fill in (0, 1):
        made = blank(state, fill)
        assert {p.kind for p in diff(state, made).problems} <= {"value", "order"}
        assert (made["w"] == fill).all()
        assert (made["host"] == fill).all()
        assert (jax.random.key_data(made["key"]) == fill).all()
        assert (made["step"], made["name"], made["names"][0]) == (4, "x", "a")
    assert (state["w"] == 1).all()


def test_blank_of_an_nnx_module_is_another_module() -> None:
    net = Net()
    made = blank(net)
    assert made is not net
    assert not made.linear.kernel[...].any()
    assert net.linear.kernel[...].any()


def test_two_functions_are_called_with_what_they_want() -> None:
    state, template = {"a": jnp.ones(2)}, {"a": jnp.zeros(2)}
    seen: list[Any] = []

    def save(state: Any, path: Path) -> None:
        np.save(path.with_suffix(".npy"), state["a"])

    def restore(path: Path, template: Any) -> Any:
        seen.append(template)
        return {"a": jnp.asarray(np.load(path.with_suffix(".npy")))}

    assert not diff(state, round_trip(store_of((save, restore)), state, template))
    assert not diff(seen, [template])
    memory = store_of((lambda state: state["a"].tolist(), lambda saved: {"a": jnp.array(saved)}))
    assert not diff(state, round_trip(memory, state, template))
    assert store_of((save, restore)).label == "(`save`, `restore`)"


@pytest.mark.parametrize(
    ("via", "error", "text"),
    [
        ("pickle", ValueError, "via has no 'pickle'; it takes 'flax', 'orbax', 'npz' or two functions"),
        (None, TypeError, "via must be 'flax', 'orbax', 'npz' or two functions, (save, restore), not None"),
        ((print,), TypeError, "via must be"),
        ((len, 3), TypeError, "via must be"),
        (
            (lambda: 1, len),
            TypeError,
            "the functions of via are save(state, path) or save(state), and `<lambda>` takes ()",
        ),
        (
            (len, lambda a, b, c: a),
            TypeError,
            "restore(path, template) or restore(path), and `<lambda>` takes (a, b, c)",
        ),
        ((len, lambda a, *, b: a), TypeError, "takes (a, *, b)"),
        ((dict, len), TypeError, "does not say what it takes; wrap it: save(state, path) or save(state)"),
    ],
)
def test_bad_via(via: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        store_of(via)
    assert text in str(caught.value)


def test_missing_orbax_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "orbax.checkpoint", None)
    with pytest.raises(ValueError, match="via='orbax' needs orbax"):
        store_of("orbax")
