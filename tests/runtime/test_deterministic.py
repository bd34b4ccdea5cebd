import functools
import itertools
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pytest_purestate import KeyStream, PurityError, assert_deterministic, make_train_state
from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.settings import settings_in_force

CALLS = 0
SETTINGS = (
    f"jax {jax.__version__} on cpu, XLA_FLAGS not set, matmul precision default, x64 off, PRNG threefry2x32"
)


class Noise:
    """A hidden key."""

    def __init__(self) -> None:
        self.key = jax.random.key(0)

    def draw(self, shape: tuple[int, ...]) -> jax.Array:
        self.key, subkey = jax.random.split(self.key)
        return jax.random.normal(subkey, shape)

    __call__ = draw


def failure(fn: Callable[..., Any], *args: Any, **options: Any) -> PurityError:
    with pytest.raises(PurityError) as caught:
        assert_deterministic(fn, *args, **options)
    return caught.value


def hidden(error: PurityError) -> list[tuple[str, str, str]]:
    return [(p.path, p.before, p.after) for p in error.problems if p.kind == "hidden-state"]


def count_global() -> int:
    bump()
    return CALLS


def bump() -> None:
    global CALLS
    CALLS += 1


# What passes


def test_result_of_the_first_call_is_returned() -> None:
    assert assert_deterministic(jnp.add, 1, 2) == 3


def test_real_step_passes(key: jax.Array) -> None:
    state = make_train_state(nn.Dense(2), jnp.ones((4, 3)), rngs=key, tx=optax.adam(1e-2))
    batch = (jnp.ones((4, 3)), np.zeros((4, 2)))

    @jax.jit
    def step(state: Any, batch: Any) -> Any:
        def loss(params: Any) -> Any:
            return optax.l2_loss(state.apply_fn({"params": params}, batch[0]), batch[1]).mean()

        value, grads = jax.value_and_grad(loss)(state.params)
        return value, state.apply_gradients(grads=grads)

    loss, new = assert_deterministic(step, state, batch)
    assert new.step == 1
    assert loss > 0


def test_every_way_is_called_as_often_as_it_says() -> None:
    modes = []

    def fn(x: jax.Array) -> jax.Array:
        modes.append(bool(jax.config.jax_disable_jit))  # type: ignore[attr-defined]
        return x

    assert_deterministic(fn, 1, runs=4, across=("calls", "recompile", "eager", "calls"))
    assert modes == 7 * [False] + 3 * [True]


def test_recompile_traces_anew() -> None:
    traces = []

    @jax.jit
    def fn(x: jax.Array) -> jax.Array:
        traces.append(x)
        return x + 1

    assert_deterministic(fn, 1.0, across=("calls",))
    assert len(traces) == 1
    assert_deterministic(fn, 1.0, across=("recompile",), runs=3)
    assert len(traces) == 3


def test_donating_step_gets_living_arguments() -> None:
    state: Any = {"w": jnp.ones(3), "host": np.ones(3)}
    step = jax.jit(lambda s: {"w": s["w"] + 1, "host": s["host"] * 2}, donate_argnums=0)
    new = assert_deterministic(step, state)
    assert not state["w"].is_deleted()
    assert new["w"].tolist() == [2, 2, 2]


def test_function_that_edits_its_arguments_gets_them_as_they_were() -> None:
    batch: Any = {"x": np.zeros(2), "log": [1]}

    def fn(batch: Any) -> Any:
        batch["x"] += 1
        batch["log"].append(2)
        return dict(batch)

    assert assert_deterministic(fn, batch)["x"].tolist() == [1, 1]
    assert batch["x"].tolist() == [0, 0]
    assert batch["log"] == [1]


def test_stateful_argument_is_an_argument() -> None:
    assert_deterministic(Noise.draw, Noise(), (2,))
    assert_deterministic(lambda rng: rng.random(), np.random.default_rng(0))
    assert_deterministic(lambda keys: keys(), KeyStream(0))
    model = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    assert_deterministic(lambda model: model(jnp.ones(8)), model)


def test_nan_equals_nan() -> None:
    assert_deterministic(lambda: {"a": jnp.array([jnp.nan, 1]), "b": float("nan")})


def test_new_functions_in_the_result_are_no_difference() -> None:
    assert_deterministic(lambda: optax.sgd(0.1))


# What is caught


def test_hidden_key_of_an_object() -> None:
    error = failure(Noise().draw, (3,))
    assert hidden(error) == [("self.key", "0x00000000 0x00000000", "0xf84e8312 0x2fef64f3")]
    text = re.sub(r"by at most \d+ ULP", "by at most N ULP", str(error))
    if jax.default_backend() != "cpu":  # the last digits are those of the device
        text = re.sub(r"call (\d): -(\d\.\d{5})\d*", r"call \1: -\2", text)
        text = text.replace(settings_in_force(), SETTINGS)
        text = text.replace("-2.44245\n", "-2.4424558\n").replace("-1.25747\n", "-1.2574776\n")
    assert text == (
        "`Noise.draw` is not deterministic: call 2 returned something else than call 1\n"
        "  output[0]: 3 of 3 elements differ, by at most N ULP\n"
        "    call 1: -2.4424558\n"
        "    call 2: -1.2574776\n"
        "  self.key: hidden state: was changed\n"
        "    before: 0x00000000 0x00000000\n"
        "    after:  0xf84e8312 0x2fef64f3\n"
        f"  settings: {SETTINGS}\n"
        "  help: make what the function remembers an argument and a result, "
        "`action(state, input) -> (output, state)`, and let the caller keep the state"
    )


def test_callable_object_and_partial_are_looked_through() -> None:
    assert hidden(failure(Noise(), (1,)))[0][0] == "self.key"
    assert hidden(failure(functools.partial(Noise().draw, (1,))))[0][0] == "self.key"
    assert hidden(failure(functools.partial(Noise.draw, Noise()), (1,)))[0][0] == "Noise.draw.args[0].key"


def test_closure() -> None:
    count = itertools.count()

    def outer(x: int) -> int:
        return x + next(count)

    assert hidden(failure(outer, 1)) == [("outer.<closure>.count", "count(0)", "count(2)")]


def test_attribute_of_the_function() -> None:
    def fn() -> int:
        fn.calls += 1  # type: ignore[attr-defined]
        return int(fn.calls)  # type: ignore[attr-defined]

    fn.calls = 0  # type: ignore[attr-defined]
    assert hidden(failure(fn)) == [("fn.calls", "0", "2")]


def test_global_that_a_helper_changes() -> None:
    before = CALLS
    assert hidden(failure(count_global)) == [(f"{__name__}.CALLS", str(before), str(before + 2))]


def test_jitted_method_is_looked_through() -> None:
    class Model:
        def __init__(self) -> None:
            self.calls = 0

        def step(self, x: jax.Array) -> jax.Array:
            self.calls += 1
            return x + self.calls

    model = Model()
    error = failure(jax.jit(model.step), 1)
    assert hidden(error) == [("self.calls", "0", "2")]
    assert "call 4 (recompiled)" in error.headline


@pytest.mark.parametrize(
    ("fn", "name"),
    [
        (random.random, "random"),
        (lambda: random.gauss(0, 1), "random"),
        (lambda: np.random.rand(), "numpy.random"),
    ],
    ids=["builtin", "random", "numpy"],
)
def test_generators_of_the_host(fn: Callable[[], float], name: str) -> None:
    error = failure(fn)
    assert hidden(error) == [(name, "", "")]
    assert f"\n  {name}: hidden state: its global generator was used\n" in str(error)
    assert error.help.startswith("random numbers of the host are hidden state: take a key as an argument")


def test_generators_of_the_host_are_left_alone() -> None:
    states = random.getstate(), np.random.get_state()[1].tobytes()  # type: ignore[index]
    assert_deterministic(jnp.add, 1, 2)
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == states  # type: ignore[index]


def test_constant_baked_in_by_tracing() -> None:
    numbers = [1.0, 2.0, 3.0]
    position = iter(numbers)

    @jax.jit
    def fn(x: jax.Array) -> jax.Array:
        return x + next(position)

    error = failure(fn, 1.0)
    assert (
        error.headline == "`fn` is not deterministic: call 4 (recompiled) returned something else than call 1"
    )
    assert error.labels == ("call 1", "call 4")
    assert_deterministic(fn, 1.0, across=("calls",))


def test_clock_is_pointed_at_without_hidden_state() -> None:
    import time

    error = failure(time.perf_counter_ns, across=["calls"])
    assert hidden(error) == []
    assert error.help.startswith("look for what the function reads besides its arguments: random numbers")


def test_result_that_is_the_hidden_state() -> None:
    # Each call returns the same list: compared afterwards, it would always equal itself.
    log: list[int] = []

    def fn(x: int) -> list[int]:
        log.append(x)
        return log

    error = failure(fn, 1)
    assert [(p.kind, p.path) for p in error.problems] == [
        ("added", "output[1]"),
        ("added", "fn.<closure>.log[0]"),
        ("added", "fn.<closure>.log[1]"),
    ] or [p.path for p in error.problems if p.kind != "hidden-state"] == ["output[1]"]


def test_eager_and_compiled_results_that_differ() -> None:
    def fn(x: jax.Array) -> jax.Array:
        return x + (1 if isinstance(x, jax.core.Tracer) else 0)

    error = failure(jax.jit(fn), 1.0, across=("calls", "eager"))
    assert "call 4 (without jit)" in error.headline
    assert error.help.startswith("a compiled function fuses and reorders its arithmetic")
    assert "`max_ulp`" in error.help


def test_distance_in_ulp_can_be_allowed() -> None:
    steps = itertools.count()

    def fn() -> jax.Array:
        return jnp.array([1.0, np.float32(1) + np.float32(2**-23) * np.float32(next(steps))])

    error = failure(fn, max_ulp=1)
    assert error.problems[0].message == "1 of 2 elements differs, by at most 2 ULP"
    assert_deterministic(fn, max_ulp=100)
    values = itertools.cycle([1, 2])
    assert (
        failure(lambda: jnp.array(next(values)), max_ulp=10**9).problems[0].message == "the element differs"
    )
    values_nan = itertools.cycle([1.0, float("nan")])
    assert failure(lambda: jnp.array(next(values_nan)), max_ulp=10**9).problems[0].after == "nan"


def test_structure_dtype_and_weak_type_count() -> None:
    for one, other, kind in [
        ({"a": 1}, {"a": 1, "b": 2}, "added"),
        (jnp.ones(1), jnp.ones(1, jnp.bfloat16), "dtype"),
        (jnp.asarray(1.0), jnp.float32(1), "weak-type"),
        ((1,), [1], "type"),
    ]:
        results = itertools.cycle([one, other])
        assert failure(lambda results=results: next(results)).problems[0].kind == kind


def test_many_differences_are_cut_but_not_the_cause() -> None:
    noise = Noise()
    error = failure(lambda: [noise.draw(()) for _ in range(30)])
    assert "\n  and 20 more, all of them in `.problems` of this error\n" in str(error)
    assert "<closure>.noise.key: hidden state: was changed" in str(error)
    assert len(error.problems) == 31


# Caches


def test_persistent_cache_is_not_used_for_a_recompilation(tmp_path: Any) -> None:
    options = {
        "jax_compilation_cache_dir": str(tmp_path),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in options}
    from jax.experimental.compilation_cache import compilation_cache

    hits: list[str] = []
    jax.monitoring.register_event_listener(
        lambda event, **_: hits.append(event) if "cache_hit" in event else None
    )
    compilation_cache.reset_cache()
    for name, value in options.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]
    try:
        fn = jax.jit(lambda x: jnp.cos(x) * 3)
        fn(1.0)
        jax.clear_caches()  # type: ignore[no-untyped-call]
        fn(1.0)
        assert hits, "the cache must work, or this test shows nothing"
        hits.clear()
        assert_deterministic(fn, 1.0, across=("recompile",))
        assert hits == []
        assert jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
        jax.clear_caches()  # type: ignore[no-untyped-call]
        fn(1.0)
        assert hits, "the cache must be in use again"
    finally:
        for name, value in before.items():
            jax.config.update(name, value)  # type: ignore[no-untyped-call]
        compilation_cache.reset_cache()


# Bad use


def generator() -> Iterator[int]:
    yield 1


async def coroutine() -> int:
    return 1


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        ((3,), {}, TypeError, "assert_deterministic needs a function and its arguments, not the value 3"),
        ((len, "a"), {"runs": 1}, ValueError, "runs must be 2 or more, to have something to compare: 1"),
        ((len, "a"), {"runs": 2.0}, TypeError, "runs must be an integer, not 2.0"),
        ((len, "a"), {"max_ulp": -1}, ValueError, "max_ulp must not be negative: -1"),
        ((len, "a"), {"max_ulp": 0.5}, TypeError, "max_ulp must be an integer, not 0.5"),
        (
            (len, "a"),
            {"across": "calls"},
            TypeError,
            "across must be a tuple of names, such as ('calls', 'recompile'), not 'calls'",
        ),
        (
            (len, "a"),
            {"across": ("calls", "seeds")},
            ValueError,
            "across has no 'seeds'; it takes 'calls', 'recompile', 'eager', 'devices', 'process'",
        ),
        (
            (len, "a"),
            {"across": ()},
            ValueError,
            "across is empty; it takes 'calls', 'recompile', 'eager', 'devices', 'process'",
        ),
        (
            (list, generator()),
            {},
            TypeError,
            "`args[0]` is a generator, which can be read only once; pass a list or an array",
        ),
        (
            (list, {"a": [iter([1])]}),
            {},
            TypeError,
            "`args[0]['a'][0]` is a list_iterator, which can be read only once; pass a list or an array",
        ),
        (
            (coroutine,),
            {},
            TypeError,
            "`coroutine` is a coroutine function; its result cannot be compared before it is awaited",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_use_is_refused_before_anything_runs(
    args: Any, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        assert_deterministic(*args, **options)
    assert str(caught.value) == message


def test_deleted_argument_is_refused() -> None:
    state = {"w": jnp.ones(2)}
    state["w"].delete()
    with pytest.raises(ValueError, match=r"`state\['w'\]` was deleted: it was donated to a function before"):
        assert_deterministic(len, state)


def test_result_that_can_be_read_once_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"`output\['a'\]` is a generator, which cannot be compared; return a list"
    ):
        assert_deterministic(lambda: {"a": generator()})


def test_use_inside_a_transformation_is_refused() -> None:
    with pytest.raises(TypeError, match="call it outside of jit, grad, vmap and scan"):
        jax.jit(lambda x: assert_deterministic(jnp.sin, x))(1.0)
    with pytest.raises(TypeError, match="call it outside of jit, grad, vmap and scan"):
        jax.vmap(lambda x: assert_deterministic(jnp.sin, 1.0))(jnp.ones(2))


def test_leaked_tracer_is_refused() -> None:
    leaked = []
    jax.jit(lambda x: (leaked.append(x), x)[1])(1.0)  # type: ignore[func-returns-value]
    with pytest.raises(TypeError, match=r"`leaked\[0\]` is a tracer that left its transformation"):
        assert_deterministic(jnp.sin, leaked[0])


def test_error_of_the_function_passes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        assert_deterministic(lambda: 1 // 0)


def test_one_device_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    with pytest.raises(
        ValueError,
        match=f"needs two devices of one kind, and there is one {jax.local_devices()[0].platform} device; on CPU set XLA",
    ):
        assert_deterministic(jnp.sin, 1.0, across=("devices",))


def test_tracing_is_seen_without_private_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_compat, "_untraced", None)
    assert not _compat.tracing()
    seen = []
    jax.jit(lambda x: (seen.append(_compat.tracing()), x)[1])(1.0)  # type: ignore[func-returns-value]
    assert seen == [True]


def test_argument_names_come_from_the_call() -> None:
    config = {"steps": iter([1])}
    with pytest.raises(TypeError, match=r"`config\['steps'\]` is a list_iterator"):
        assert_deterministic(len, config)
