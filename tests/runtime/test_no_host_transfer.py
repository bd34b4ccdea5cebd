import gc
import pickle
import statistics
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pytest_purestate import (
    KeyStream,
    PurityError,
    assert_no_host_transfer,
    assert_unchanged,
    make_train_state,
)
from pytest_purestate._runtime import _compat

HERE = Path(__file__)


@jax.jit
def step(w: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return w - 0.1 * x, (w * x).sum()


@pytest.fixture
def w() -> jax.Array:
    w: jax.Array = jax.block_until_ready(jnp.ones(3))  # type: ignore[no-untyped-call]
    step(w, w)
    return w


def transfers(body: Callable[[], object], **options: Any) -> list[tuple[str, str]]:
    """The message and the line of code of each transfer in `body`, which has to be in this file."""
    with pytest.raises(PurityError) as caught, assert_no_host_transfer(**options):
        body()
    found = []
    for problem in caught.value.problems:
        assert problem.kind == "transfer"
        file, line = problem.path.rsplit(":", 1)
        assert Path(file).resolve() == HERE
        assert HERE.read_text().splitlines()[int(line) - 1].strip() == problem.before
        found.append((problem.message, problem.before))
    return found


def test_message(w: jax.Array, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE.parent)
    with pytest.raises(PurityError) as caught, assert_no_host_transfer():
        for _ in range(3):
            w, loss = step(w, w)
            float(loss)
    line = test_message.__code__.co_firstlineno + 5
    assert str(caught.value) == (
        "3 transfers from the device to Python in the block\n"
        f"  test_no_host_transfer.py:{line}: float32[] is read from the device by `float(...)`, 3 times\n"
        "    line: float(loss)\n"
        "  help: leave values on the device while the loop runs, so that Python does not wait for them, and read them all "
        "at once where they are needed: `jax.device_get(metrics)`, which is explicit, or after the block"
    )


def test_transfer_to_the_device_ends_the_block(w: jax.Array) -> None:
    batch = np.ones(3, np.float32)
    after = []
    with pytest.raises(PurityError) as caught, assert_no_host_transfer():
        w.tolist()
        step(w, batch)
        after.append(1)
    assert not after
    assert str(caught.value).startswith(
        "1 transfer from the device to Python and 1 transfer from Python to the device in the block\n"
    )
    assert [(p.message, p.before) for p in caught.value.problems] == [
        ("float32[3] is read from the device by `.tolist()`", "w.tolist()"),
        ("float32[3] is sent to the device", "step(w, batch)"),
    ]
    assert "\n  the block ended at the last one, since JAX forbids it\n" in str(caught.value)
    assert "put what comes from Python and numpy on the device before the block" in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


READS: list[tuple[str, Callable[[Any], object], str]] = [
    ("float", lambda x: float(x.item()), ".item()"),
    ("bool", lambda x: 1 if x else 2, "bool(...)"),
    ("int", lambda x: int(x), "int(...)"),
    ("complex", lambda x: complex(x), "complex(...)"),
    ("print", lambda x: str(x), "str(...)"),
    ("repr", lambda x: repr(x), "repr(...)"),
    ("format", lambda x: f"{x:.2f}", "format(...)"),
    ("tolist", lambda x: x.tolist(), ".tolist()"),
    ("array", lambda x: x.__array__(), "__array__"),
    ("pickle", lambda x: pickle.dumps(x), "__reduce__"),
    ("device_get", lambda x: jax.device_get(x), "jax.device_get(...)"),
]


@pytest.mark.parametrize(("body", "how"), [case[1:] for case in READS], ids=[case[0] for case in READS])
def test_reads_are_noticed(body: Callable[[Any], object], how: str) -> None:
    x = jnp.float32(2)
    ((message, line),) = transfers(lambda: body(x), explicit=True)
    assert message == f"float32[] is read from the device by `{how}`"
    assert line.startswith("(")


@pytest.mark.parametrize("convert", ["array", "asarray", "asanyarray", "ascontiguousarray"])
def test_numpy_is_noticed(convert: str, w: jax.Array) -> None:
    ((message, line),) = transfers(lambda: getattr(np, convert)(w))
    assert message.startswith("float32[3] is read from the device")
    assert "getattr(np, convert)(w)" in line


def test_list_of_arrays_for_numpy_is_noticed(w: jax.Array) -> None:
    losses = [jnp.float32(1), jnp.float32(2)]
    assert transfers(lambda: np.array(losses))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a class cannot answer for its buffer")
def test_all_of_numpy_is_noticed_where_a_class_answers_for_its_buffer(w: jax.Array) -> None:
    for read in (np.exp, memoryview, np.linalg.norm, lambda x: np.concatenate([x])):
        with pytest.raises(PurityError), assert_no_host_transfer():
            read(w)


SENDS: list[tuple[str, Callable[[Any], object]]] = [
    ("numpy to jit", lambda w: step(w, np.ones(3, np.float32))),
    ("number to jit", lambda w: step(w, 2.0)),
    ("constant", lambda w: w + 1),
    ("numpy operand", lambda w: w * np.ones(3, np.float32)),
    ("zeros", lambda w: jnp.zeros(7)),
    ("list", lambda w: jnp.array([1.0])),
    ("index", lambda w: w[0]),
    ("key", lambda w: jax.random.key(0)),
]


@pytest.mark.parametrize("body", [case[1] for case in SENDS], ids=[case[0] for case in SENDS])
def test_what_is_sent_is_told(body: Callable[[Any], object], w: jax.Array) -> None:
    ((message, _),) = transfers(lambda: body(w))
    assert message.endswith("] is sent to the device")


def test_what_stays_on_the_device_is_fine(w: jax.Array) -> None:
    keys = jax.random.split(jax.random.key(0))
    with assert_no_host_transfer():
        for _ in range(3):
            w, loss = step(w, w)
        keys = jax.random.split(keys[1]) if keys.ndim == 0 else keys
        loss = (loss * loss).block_until_ready()
        assert w.shape == (3,)
        assert loss.dtype == jnp.float32
        assert not w.is_deleted()
    assert float(loss) >= 0


def test_explicit_transfers_are_allowed_unless_asked_for(w: jax.Array) -> None:
    def explicit() -> None:
        jax.device_put(np.ones(3))

    with assert_no_host_transfer():
        explicit()
        assert jax.device_get({"w": w})["w"].sum() == 3
    assert transfers(lambda: jax.device_get([w]), explicit=True)
    with (
        pytest.raises(PurityError, match="or allow them: `explicit=False`"),
        assert_no_host_transfer(explicit=True),
    ):
        explicit()


@pytest.mark.skipif(
    jax.device_count() < 2, reason="needs two devices: --xla_force_host_platform_device_count=2"
)
def test_explicit_move_to_other_devices_is_allowed_also_over_the_host() -> None:
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), ("data",))
    spec: Callable[..., Any] = jax.sharding.PartitionSpec
    split, whole = (jax.sharding.NamedSharding(mesh, spec(*axes)) for axes in (("data",), ()))
    x = jax.device_put(jnp.ones(4), split)
    with assert_no_host_transfer():
        jax.device_put(x, whole)


def test_guard_of_the_user_has_the_last_word(w: jax.Array) -> None:
    with assert_no_host_transfer():
        with jax.transfer_guard("allow"):
            assert float(w.sum()) == 3
            step(w, np.ones(3, np.float32))
        with jax.transfer_guard_device_to_host("log"):
            np.asarray(w)
    assert transfers(lambda: _under("disallow_explicit", lambda: jax.device_get(w)))


def _under(level: str, body: Callable[[], object]) -> None:
    with jax.transfer_guard(level):
        body()


def test_outside_of_blocks_nothing_is_noticed(w: jax.Array) -> None:
    kind = type(w)
    before = {name: getattr(np, name) for name in ("array", "asarray")} | {"_value": vars(kind)["_value"]}
    with pytest.raises(PurityError), assert_no_host_transfer():
        float(w.sum())
    with pytest.raises(ZeroDivisionError), assert_no_host_transfer():
        1 // 0
    assert before == {name: getattr(np, name) for name in ("array", "asarray")} | {
        "_value": vars(kind)["_value"]
    }
    with jax.transfer_guard("disallow"):
        float(w.sum())  # on CPU JAX itself has no word


def test_error_of_the_block_is_not_masked(w: jax.Array) -> None:
    with pytest.raises(ZeroDivisionError), assert_no_host_transfer():
        float(w.sum())
        1 // 0


def test_blocks_can_be_nested_and_used_again(w: jax.Array) -> None:
    block = assert_no_host_transfer()
    with block:
        with pytest.raises(PurityError, match=r"^1 transfer from the device"), assert_no_host_transfer():
            float(w.sum())
    with pytest.raises(PurityError, match=r"`int\(...\)`"), block, block:
        int(w.sum())
    with block:
        pass


def test_other_threads_may_go_on(w: jax.Array) -> None:
    found: list[float] = []

    def load() -> None:
        found.append(float(jnp.ones(3).sum()))

    with assert_no_host_transfer():
        thread = threading.Thread(target=load)
        thread.start()
        thread.join()
    assert found == [3.0]


def test_blocks_in_two_threads_keep_apart(w: jax.Array) -> None:
    inside, done = threading.Event(), threading.Event()
    errors: list[PurityError] = []

    def read() -> None:
        try:
            with assert_no_host_transfer():
                inside.set()
                done.wait(10)
                w.tolist()
        except PurityError as error:
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    inside.wait(10)
    with assert_no_host_transfer():
        step(w, w)
    done.set()
    thread.join()
    assert [len(error.problems) for error in errors] == [1]


def test_library_in_between_is_named(w: jax.Array) -> None:
    values = [jax.device_put(np.float32(i)) for i in range(3)]
    ((message, line),) = transfers(lambda: statistics.fmean(values))
    assert line == "((message, line),) = transfers(lambda: statistics.fmean(values))"
    assert message.startswith("float32[] is read from the device by `float(...)`, 3 times")
    # Up to 3.11 a function in C does the reading, and has no line.
    assert ("statistics.py:" in message) == (", in " in message)


def test_callbacks_are_a_part_of_the_compiled_function(w: jax.Array) -> None:
    seen: list[Any] = []

    @jax.jit
    def talkative(x: jax.Array) -> jax.Array:
        jax.debug.callback(lambda value: seen.append(np.asarray(value).sum()), x)
        made: jax.Array = jax.pure_callback(lambda value: np.asarray(value) * 2, x, x)
        return made

    talkative(w).block_until_ready()
    with assert_no_host_transfer():
        talkative(w).block_until_ready()
        jax.effects_barrier()  # type: ignore[no-untyped-call]
    assert len(seen) == 2


def test_array_that_is_closed_over_is_read_when_the_function_is_compiled(w: jax.Array) -> None:
    scale = jnp.ones(3)
    scaled = jax.jit(lambda x: x * scale)
    compiled_before = jax.jit(lambda x: x * scale)
    compiled_before(w)
    with assert_no_host_transfer():
        compiled_before(w)
    with pytest.raises(PurityError) as caught, assert_no_host_transfer():
        scaled(w)
    (problem,) = caught.value.problems
    assert problem.message == "float32[3] is read from the device for a compiled function that closes over it"
    assert (
        caught.value.help
        == "make an array that a function closes over an argument of it, or compile before the block"
    )


def test_what_this_package_reads_is_not_blamed_on_the_block(w: jax.Array) -> None:
    keys = KeyStream(0)
    with assert_no_host_transfer(), assert_unchanged(w):
        keys("a")
        step(w, w)


# Models


def test_train_step_of_linen(w: jax.Array) -> None:
    model = nn.Dense(1)
    x = jax.device_put(np.ones((2, 3), np.float32))
    state = make_train_state(model, x, rngs=jax.random.key(0), tx=optax.adam(1e-3))

    @jax.jit
    def train(state: Any, x: jax.Array) -> Any:
        loss, grads = jax.value_and_grad(lambda p: state.apply_fn({"params": p}, x).sum())(state.params)
        return state.apply_gradients(grads=grads), loss

    state, _ = train(state, x)
    losses = []
    with assert_no_host_transfer():
        for _ in range(2):
            state, loss = train(state, x)
            losses.append(loss)
    assert len(np.asarray(losses)) == 2

    def logging() -> None:
        _, loss = train(state, x)
        print(f"loss {loss:.3f}")

    assert transfers(logging) == [
        ("float32[] is read from the device by `format(...)`", 'print(f"loss {loss:.3f}")')
    ]


def test_modules_of_nnx_and_equinox(w: jax.Array) -> None:
    model = nnx.Linear(3, 1, rngs=nnx.Rngs(0))
    other = eqx.nn.Linear(3, 1, key=jax.random.key(0))
    run, call = nnx.jit(lambda m, x: m(x).sum()), eqx.filter_jit(lambda m, x: m(x).sum())
    run(model, w)
    call(other, w)
    with assert_no_host_transfer():
        run(model, w)
        call(other, w)
    assert transfers(lambda: run(model, np.ones(3, np.float32)))
    assert transfers(lambda: float(call(other, w)))


# Without the private place, and bad use


def test_without_a_place_in_jax_there_is_jax_s_own_guard(
    w: jax.Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_compat, "watch_host_reads", lambda decide: None)
    with assert_no_host_transfer():
        float(w.sum())
    with pytest.raises(PurityError, match="is sent to the device"), assert_no_host_transfer():
        step(w, np.ones(3, np.float32))


def test_guard_that_forbids_a_read_is_told_as_well(w: jax.Array, monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a GPU, in the words of JAX.
    monkeypatch.setattr(_compat, "watch_host_reads", lambda decide: None)
    text = "INVALID_ARGUMENT: Disallowed device-to-host transfer: shape=(), dtype=F32, device=cuda:0"
    with pytest.raises(PurityError) as caught, assert_no_host_transfer():
        raise RuntimeError(text)
    assert [p.message for p in caught.value.problems] == ["a value is read from the device"]


def test_place_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        pass

    monkeypatch.setattr(jnp, "zeros", lambda shape: Other())
    assert _compat.watch_host_reads(lambda array, how: None) is None


def test_block_that_is_not_entered_is_told() -> None:
    with pytest.warns(
        RuntimeWarning, match=r"^assert_no_host_transfer\(\) alone does nothing: write `with assert_no"
    ):
        assert_no_host_transfer()  # CPython collects it at once
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with assert_no_host_transfer():
            pass
        gc.collect()


@pytest.mark.parametrize("value", [1, "yes", None])
def test_wrong_option_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^explicit must be True or False, not"):
        assert_no_host_transfer(explicit=value)


def test_function_is_refused() -> None:
    with pytest.raises(TypeError, match="positional argument"):
        assert_no_host_transfer(step)  # type: ignore[call-arg, arg-type]
