"""Every way of doing something else than computing a result, told with its place and both values."""

import functools
import inspect
import random
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
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
from flax.training.train_state import TrainState
from jax.experimental import io_callback

from pytest_purestate import Problem, PurityError, assert_pure

CALLS = 0
SEEN: list[Any] = []
TABLE = np.zeros(3)
X = jnp.arange(3.0)


def failure(fn: Callable[..., object], *args: Any, **options: Any) -> PurityError:
    with pytest.raises(PurityError) as caught:
        assert_pure(fn, *args, **options)
    return caught.value


def told(error: PurityError, *kinds: str) -> list[tuple[str, ...]]:
    return [(p.path, p.before, p.after) for p in error.problems if p.kind in kinds]


def kinds(error: PurityError) -> set[str]:
    return {problem.kind for problem in error.problems}


def place(fn: Callable[..., object], text: str) -> str:
    lines, start = inspect.getsourcelines(fn)
    file = Path(__file__)
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{shown}:{next(start + n for n, line in enumerate(lines) if text in line)} in {fn.__name__}"


# --- what is pure ----------------------------------------------------------------------------------


def affine(params: dict[str, jax.Array], x: jax.Array, mode: str = "double") -> dict[str, Any]:
    return {"z": x @ params["w"] * (2 if mode == "double" else 1), "mode": mode, "b": None, "a": (x, 3)}


def tiled(x: jax.Array, count: int = 3, mode: str = "double") -> jax.Array:
    return x * (2 if mode == "double" else count)


class Scale:
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def apply(self, x: jax.Array) -> jax.Array:
        return x * self.factor

    @classmethod
    def make(cls, x: jax.Array) -> jax.Array:
        return x * 2

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.factor


@pytest.mark.parametrize(
    ("fn", "args"),
    [
        (affine, ({"w": jnp.ones((3, 2))}, X)),
        (affine, ({"w": np.ones((3, 2))}, np.ones(3), "single")),
        (jax.jit(tiled, static_argnames="mode"), (X, 2)),
        (jax.jit(tiled, static_argnums=(1, 2)), (X, 2, "single")),
        (functools.partial(affine, mode="single"), ({"w": jnp.ones((3, 2))}, X)),
        (Scale(2.0).apply, (X,)),
        (Scale(2.0), (X,)),
        (Scale.make, (X,)),
        (jnp.sin, (X,)),
        (jax.grad(lambda x: (x**2).sum()), (X,)),
        (lambda x, n, flag, fn: fn(x.reshape(n, -1)) if flag else x, (jnp.ones(4), 2, True, jnp.sum)),
        (lambda: jnp.ones(2), ()),
        (lambda x: x * TABLE[0] + CALLS, (X,)),
        (lambda key: jax.random.normal(*jax.random.split(key, 1)), (jax.random.key(0),)),
        (lambda key: jax.random.split(key), (jax.random.PRNGKey(0),)),
        (lambda x: jax.pure_callback(np.sin, x, x), (X,)),
        (lambda x: jax.lax.scan(lambda c, y: (c + y, c * y), 0.0, x), (X,)),
        (lambda x: x.astype(jnp.bfloat16) @ x.astype(jnp.bfloat16), (X,)),
        (lambda x: jnp.where(x > 0, jnp.nan, x) / 0, (X,)),
    ],
)
def test_pure_function_passes(fn: Callable[..., object], args: Any) -> None:
    assert_pure(fn, *args)


def test_result_of_the_first_call_is_returned() -> None:
    assert assert_pure(lambda x: x + 1, 1) == 2
    result = assert_pure(affine, {"w": jnp.ones((3, 2))}, X)
    assert list(result) == ["z", "mode", "b", "a"]
    assert result["a"][1] == 3


def make_state() -> tuple[nn.Dense, TrainState]:
    model = nn.Dense(2)
    params = model.init(jax.random.key(0), jnp.ones((1, 3)))["params"]
    return model, TrainState.create(  # type: ignore[no-untyped-call]
        apply_fn=model.apply, params=params, tx=optax.adam(1e-2)
    )


def step(state: TrainState, x: jax.Array) -> tuple[TrainState, jax.Array]:
    def loss(params: Any) -> jax.Array:
        return jnp.asarray(state.apply_fn({"params": params}, x) ** 2).mean()

    value, grads = jax.value_and_grad(loss)(state.params)
    return state.apply_gradients(grads=grads), value  # type: ignore[no-untyped-call]


def test_training_steps_of_linen() -> None:
    _, state = make_state()
    x = jnp.arange(6.0).reshape(2, 3)
    assert assert_pure(step, state, x)[0].step == 1
    assert_pure(jax.jit(step), state, x)
    assert not state.params["kernel"].is_deleted()


def test_donated_state_is_no_edit() -> None:
    _, state = make_state()
    donating = jax.jit(step, donate_argnums=0)
    assert_pure(donating, state, jnp.ones((2, 3)))
    assert_pure(lambda s, x: donating(s, x), state, jnp.ones((2, 3)))
    assert not state.params["kernel"].is_deleted()


def test_linen_module_and_transform_are_static() -> None:
    model, state = make_state()
    assert_pure(lambda model, key, x: model.init(key, x), model, jax.random.key(0), jnp.ones((1, 3)))
    grads = jax.tree.map(jnp.ones_like, state.params)
    tx = optax.sgd(0.1)
    assert_pure(lambda tx, grads, params: tx.update(grads, tx.init(params), params), tx, grads, state.params)


def test_equinox_module() -> None:
    model = eqx.nn.MLP(2, 2, 4, 1, key=jax.random.key(0))
    assert_pure(lambda model, x: model(x), model, jnp.ones(2))
    assert_pure(eqx.filter_jit(type(model).__call__), model, jnp.ones(2))


def test_nnx_module_that_only_computes() -> None:
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    assert_pure(lambda model, x: model(x), model, jnp.ones((1, 2)))


def test_nnx_state_that_is_carried_outside() -> None:
    graphdef, state = nnx.split(nnx.Dropout(0.5, rngs=nnx.Rngs(0)))

    def call(state: Any, x: jax.Array) -> Any:
        model = nnx.clone(nnx.merge(graphdef, state))
        return model(x), nnx.state(model)

    assert_pure(call, state, jnp.ones(3))


@pytest.mark.skipif("copy" not in inspect.signature(nnx.merge).parameters, reason="merge always copies there")
def test_nnx_state_that_is_merged_without_a_copy() -> None:
    graphdef, state = nnx.split(nnx.Dropout(0.5, rngs=nnx.Rngs(0)))
    error = failure(lambda state, x: nnx.merge(graphdef, state)(x), state, jnp.ones(3))
    assert told(error, "argument") == [("args[0]['rngs']['count']", "0", "1")]
    assert "`model = nnx.merge(graphdef, state, copy=True)`" in error.help
    assert_pure(lambda state, x: nnx.merge(graphdef, state, copy=True)(x), state, jnp.ones(3))


# --- arguments -------------------------------------------------------------------------------------


def test_arguments_that_change() -> None:
    def edit(params: dict[str, Any], batch: list[Any], box: Scale) -> Any:
        params["w"] = params["w"] * 2
        batch.append(0)
        box.factor += 1
        return params["w"]

    params, batch, box = {"w": X}, [1], Scale(1.0)
    with pytest.raises(PurityError) as caught:
        assert_pure(edit, params, batch, box)
    error = caught.value
    assert error.headline == "`edit` is not pure: it changes its arguments"
    assert told(error, "argument") == [
        ("params['w'][1]", "1.0", "2.0"),
        ("batch[1]", "", "0"),
        ("box.factor", "1.0", "2.0"),
    ]
    assert (params["w"] is X, batch, box.factor) == (True, [1], 1.0)
    assert error.help.startswith("build a new value instead of editing the argument")


def test_numpy_buffer_that_is_written_to() -> None:
    def write(buffer: np.ndarray) -> Any:
        buffer[1] = 5
        return buffer.sum()

    error = failure(write, np.zeros(3))
    assert [(p.path, p.before, p.after) for p in error.problems] == [("args[0][1]", "0.0", "5.0")]
    assert error.notes[0].startswith(
        "`write` cannot be jitted, so this is what it does as it is: TypeError: "
    )


def test_nnx_module_that_changes_itself() -> None:
    model = nnx.BatchNorm(2, rngs=nnx.Rngs(0))
    with pytest.raises(PurityError) as caught:
        assert_pure(lambda model, x: model(x), model, jnp.ones((4, 2)))
    assert [problem.path for problem in caught.value.problems] == ["model.mean[0]", "model.var[0]"]
    assert (
        "`graphdef, state = nnx.split(model)`, then `model = nnx.merge(graphdef, state, copy=True)`"
        in caught.value.help
    )
    assert "build a new value" not in caught.value.help


# --- hidden state ----------------------------------------------------------------------------------


class Cached:
    total = 0

    def __init__(self) -> None:
        self.cache: Any = None
        self.calls = 0

    def count(self, x: jax.Array) -> jax.Array:
        self.calls += 1
        return x

    def keep(self, x: jax.Array) -> jax.Array:
        self.cache = x * 2
        return x

    def shared(self, x: jax.Array) -> jax.Array:
        type(self).total += 1
        return x


def count_global(x: jax.Array) -> jax.Array:
    global CALLS
    CALLS += 1
    return x


def test_attribute_of_the_object() -> None:
    error = failure(Cached().count, X)
    assert str(error) == (
        "`Cached.count` is not pure: it remembers something\n"
        "  self.calls: hidden state: was changed\n"
        "    before: 0\n"
        "    after:  1\n"
        "  help: make what the function remembers an argument and a result, "
        "`action(state, input) -> (output, state)`, and let the caller keep the state"
    )


def test_closure_global_and_class() -> None:
    count = 0

    def closure(x: jax.Array) -> jax.Array:
        nonlocal count
        count += 1
        return x

    assert told(failure(closure, X), "hidden-state") == [("closure.<closure>.count", "0", "1")]
    before = CALLS
    for fn in (count_global, jax.jit(count_global), lambda x: count_global(x)):
        (found,) = told(failure(fn, X), "hidden-state")
        assert found[0] == f"{__name__}.CALLS"
    assert before < CALLS
    assert told(failure(Cached().shared, X), "hidden-state") == [("Cached.total", "0", "1")]


def test_what_only_happens_while_tracing() -> None:
    traced: list[int] = []

    @jax.jit
    def inner(x: jax.Array) -> jax.Array:
        traced.append(1)
        return x

    inner(X)
    error = failure(lambda x: inner(x), X)
    assert told(error, "hidden-state") == [("<lambda>.<closure>.inner.<closure>.traced[1]", "", "1")]


def test_generators_of_the_host() -> None:
    def noisy(x: jax.Array) -> jax.Array:
        return x + random.random() + np.random.rand()

    states = random.getstate(), np.random.get_state()
    error = failure(noisy, X)
    assert error.headline == (
        "`noisy` is not pure: it draws random numbers of the host, is traced in two ways and gives another result "
        "when it is jitted"
    )
    found = told(error, "host-rng")
    assert [path for path, _, _ in found] == ["random", "numpy.random"]
    assert all(before.startswith("state ") and before != after for _, before, after in found)
    constants = [problem for problem in error.problems if problem.kind == "trace"]
    assert [problem.path for problem in constants] == [place(noisy, "return x")] * 2
    assert constants[0].message == "a constant is another one in each trace: an operand of `add`"
    assert [problem.labels for problem in constants] == [("trace 1", "trace 2")] * 2
    assert "take a key as an argument and draw with `jax.random`" in error.help
    assert "rtol" not in error.help
    random.setstate(states[0])
    np.random.set_state(states[1])


# --- tracers ---------------------------------------------------------------------------------------


def test_tracer_in_the_object() -> None:
    error = failure(Cached().keep, X)
    assert [(p.kind, p.path) for p in error.problems] == [
        ("hidden-state", "self.cache"),
        ("leak", "self.cache"),
    ]
    assert error.problems[1].message == "keeps a tracer of float32[3] behind the trace"
    assert "is not pure: it remembers something and leaks a tracer" in error.headline


def test_tracer_in_a_global_and_in_an_argument() -> None:
    def append(x: jax.Array) -> jax.Array:
        SEEN.append(x)
        return x

    def store(box: Cached, x: jax.Array) -> jax.Array:
        box.cache = x
        return x

    error = failure(append, X)
    assert [p.path for p in error.problems if p.kind == "leak"] == [f"{__name__}.SEEN[1]"]
    SEEN.clear()
    assert [p.path for p in failure(store, Cached(), X).problems if p.kind == "leak"] == ["args[0].cache"]


def test_tracer_somewhere_else() -> None:
    module = sys.modules[__name__]

    def hide(x: jax.Array) -> jax.Array:
        setattr(sys.modules[__name__], "HID" + "DEN", x * 2)
        return x

    (problem,) = failure(hide, X).problems
    assert (problem.kind, problem.path) == ("leak", "hide")
    assert problem.message.endswith(f"is kept by `{__name__}.HIDDEN`")
    del module.HIDDEN


def test_tracer_that_is_in_the_way_of_the_next_trace() -> None:
    kept = types.SimpleNamespace(last=[])
    sys.modules["keeps_tracers"] = kept  # type: ignore[assignment]

    def mix(x: jax.Array) -> jax.Array:
        last = __import__("keeps_tracers").last
        if any(isinstance(each, jax.core.Tracer) for each in last):
            raise RuntimeError("what is this?")
        last.append(x)
        return x

    error = failure(mix, X)
    assert [(p.kind, p.path, p.message) for p in error.problems if p.kind == "leak"] == [
        ("leak", "mix", "a tracer outlives the trace")
    ]
    del sys.modules["keeps_tracers"]


# --- output and side effects -----------------------------------------------------------------------


def test_printing(capsys: pytest.CaptureFixture[str]) -> None:
    def loud(x: jax.Array) -> jax.Array:
        print("x has shape", x.shape)
        return x

    error = failure(loud, X)
    assert error.problems == (
        Problem("output", "sys.stdout", "the call prints", "", r"'x has shape (3,)\n'"),
    )
    assert error.headline == "`loud` is not pure: it prints"
    assert capsys.readouterr().out == "x has shape (3,)\n" * 3


def test_printing_while_it_is_traced() -> None:
    @jax.jit
    def loud(x: jax.Array) -> jax.Array:
        print("traced")
        return x

    loud(X)
    (problem,) = failure(loud, X).problems
    assert (problem.message, problem.after) == ("tracing prints", r"'traced\n'")


def test_compiled_side_effects() -> None:
    kept: list[Any] = []

    def debug(x: jax.Array) -> jax.Array:
        jax.debug.callback(lambda y: None, x)
        return x

    def store(x: jax.Array) -> jax.Array:
        io_callback(lambda y: None, None, x)
        return jax.lax.scan(lambda c, y: (jax.debug.callback(kept.append, y), (c, y))[1], 0.0, x)[1]

    (problem,) = failure(debug, X).problems
    assert (problem.kind, problem.path) == ("side-effect", place(debug, "jax.debug"))
    assert (
        problem.message == "`debug_callback` has a side effect in every call, also of the compiled function"
    )
    found = [problem for problem in failure(store, X).problems if problem.kind == "side-effect"]
    assert [problem.message.partition(" ")[0] for problem in found] == ["`io_callback`", "`debug_callback`"]
    assert len(kept) >= 3


def test_debug_print_shows_its_text() -> None:
    def debug(x: jax.Array) -> jax.Array:
        jax.debug.print("x is {}", x)
        return x

    error = failure(debug, X)
    assert kinds(error) == {"output", "side-effect"}
    assert told(error, "output") == [("sys.stdout", "", r"'x is [0. 1. 2.]\n'")]


# --- two traces ------------------------------------------------------------------------------------


def test_clock() -> None:
    def clock(x: jax.Array) -> jax.Array:
        return x * (time.perf_counter() % 1)

    error = failure(clock, X)
    assert kinds(error) == {"trace", "value"}
    (constant,) = [problem for problem in error.problems if problem.kind == "trace"]
    assert constant.path == place(clock, "return")
    assert float(constant.before) != float(constant.after)
    assert error.help.startswith(
        "what Python computes while it traces is a constant of the compiled function"
    )


def test_array_of_constants() -> None:
    generator = iter(range(100))

    def fill(x: jax.Array) -> jax.Array:
        made = np.zeros(3, np.float32)
        made[1] = next(generator)
        return x + made

    constants = [p for p in failure(fill, X).problems if p.kind == "trace"]
    assert [(p.message, p.before, p.after) for p in constants] == [
        ("a constant is another one in each trace: an operand of `add` at [1]", "1.0", "2.0")
    ]


def test_another_program_each_time() -> None:
    turns: list[int] = []

    def turn(x: jax.Array) -> jax.Array:
        turns.append(1)
        if len(turns) % 2:
            return jnp.sin(x)
        y = jnp.cos(x)
        return y + 1

    found = [p for p in failure(turn, X).problems if p.kind == "trace"]
    assert [(p.path, p.message, p.before, p.after) for p in found] == [
        (place(turn, "jnp.cos"), "another operation is traced", "cos(float32[3])", "sin(float32[3])"),
        (place(turn, "y + 1"), "an operation is in one trace only", "add(float32[3], float32[])", ""),
        ("turn", "the number of operations differs", "2", "1"),
    ]


def test_difference_inside_of_a_compiled_function_and_a_loop() -> None:
    numbers = iter(range(1, 100))

    @jax.jit
    def inner(x: jax.Array) -> jax.Array:
        return x * next(numbers)

    def loop(x: jax.Array) -> Any:
        return jax.lax.scan(lambda c, y: (c * next(numbers), y), 1.0, x)

    for fn in (inner, lambda x: inner(x), loop):
        constants = [p for p in failure(fn, X).problems if p.kind == "trace"]
        assert [p.message for p in constants] == [
            "a constant is another one in each trace: an operand of `mul`"
        ]


def test_operands_in_another_order() -> None:
    turns: list[int] = []

    def swap(x: jax.Array, y: jax.Array) -> Any:
        turns.append(1)
        pair = (x, y) if len(turns) % 2 else (y, x)
        return pair[0] - pair[1], pair[0]

    found = [p for p in failure(swap, X, X + 1).problems if p.kind == "trace"]
    assert [p.message for p in found] == [
        "an operand of `sub` is computed in another way",
        "an output is computed in another way",
    ]


def test_static_output_that_differs() -> None:
    names = iter("abcdefgh")
    error = failure(lambda x: {"x": x, "name": next(names)}, X)
    assert told(error, "trace") == [("output['name']", "'b'", "'c'")]


def test_output_that_is_an_array_in_one_trace_only() -> None:
    turns: list[int] = []

    def turn(x: jax.Array) -> Any:
        turns.append(1)
        return "a" if len(turns) == 3 else x

    found = [p for p in failure(turn, X).problems if p.path == "output"]
    assert ("trace", "the type differs: Array, str", "an array", "'a'") in [
        (p.kind, p.message, p.before, p.after) for p in found
    ]


def test_parameters_of_operations() -> None:
    axes = iter([0, 0, 1])
    found = [p for p in failure(lambda x: x.sum(next(axes)), jnp.ones((2, 2))).problems if p.kind == "trace"]
    assert [(p.message, p.before, p.after) for p in found] == [
        ("`axes` of `reduce_sum` is another", "(0,)", "(1,)")
    ]
    numbers = iter(range(9))
    branches = (lambda x: x, lambda x: x + next(numbers))
    found = [
        p for p in failure(lambda x: jax.lax.cond(x[0] > 0, *branches, x), X).problems if p.kind == "trace"
    ]
    assert [p.message for p in found] == ["a constant is another one in each trace: an operand of `add`"]
    orders = iter([(0, 1), (0, 1), (1, 0)])
    found = [
        p
        for p in failure(lambda x: jnp.transpose(x, next(orders)), jnp.ones((2, 2))).problems
        if p.kind == "trace"
    ]
    assert found


def test_key_that_is_another_constant() -> None:
    seeds = iter(range(9))
    error = failure(lambda x: x + jax.random.normal(jax.random.fold_in(jax.random.key(0), next(seeds))), X)
    assert [p.message for p in error.problems if p.kind == "trace"] == [
        "a constant is another one in each trace: an operand of `random_fold_in`"
    ]


def test_second_trace_that_raises() -> None:
    traces: list[int] = []

    def once(x: jax.Array) -> jax.Array:
        if isinstance(x, jax.core.Tracer):
            traces.append(1)
        if len(traces) > 1:
            raise RuntimeError("never again")
        return x

    error = failure(once, X)
    assert ("once", "", "RuntimeError: never again") in told(error, "trace")


# --- eager and jitted ------------------------------------------------------------------------------


def differs(x: jax.Array) -> jax.Array:
    return x * (1 + 1e-3 * isinstance(x, jax.core.Tracer))


def test_other_numbers_when_jitted() -> None:
    error = failure(differs, X)
    assert error.headline == "`differs` is not pure: it gives another result when it is jitted"
    (problem,) = error.problems
    assert (problem.kind, problem.path, problem.labels) == ("value", "output[1]", ("eager", "jitted"))
    assert problem.message.startswith("2 of 3 elements differ, by at most ")
    assert (problem.before, problem.after) == ("1.0", "1.001")
    assert "`rtol` and `atol`" in error.help


def test_tolerances() -> None:
    assert_pure(differs, X, rtol=2e-3)
    assert_pure(differs, X, atol=3e-3)
    assert_pure(differs, X.astype(jnp.bfloat16))
    assert failure(differs, X, rtol=1e-4).problems
    assert failure(differs, X, atol=1e-4).problems
    tiny = jnp.array([1.0, 1e-9])
    assert_pure(lambda x: x + 1e-8 * isinstance(x, jax.core.Tracer), tiny)
    assert failure(lambda x: x + 1e-8 * isinstance(x, jax.core.Tracer), tiny, rtol=1e-3).problems


def test_whole_numbers_flags_and_keys_are_exact() -> None:
    for value in (jnp.arange(3), jnp.array([True, False])):
        fn = lambda x: x ^ isinstance(x, jax.core.Tracer)  # noqa: E731
        assert failure(fn, value, rtol=0.5, atol=9.0).problems
    error = failure(
        lambda k: jax.random.fold_in(k, int(isinstance(k, jax.core.Tracer))), jax.random.key(0), rtol=0.5
    )
    assert error.problems[0].message == "the key differs"


def test_another_type_structure_or_shape() -> None:
    def form(x: jax.Array) -> Any:
        if isinstance(x, jax.core.Tracer):
            return {"a": x[:2], "b": [x]}
        return {"a": x, "b": (x,), "c": x}

    found = [(p.kind, p.path) for p in failure(form, X).problems]
    assert found == [("removed", "output['c']"), ("shape", "output['a']"), ("type", "output['b']")]


# --- jit=False -------------------------------------------------------------------------------------


def branches(x: jax.Array) -> jax.Array:
    return x if x.sum() > 0 else -x


def test_function_that_cannot_be_jitted() -> None:
    with pytest.raises(TypeError) as caught:
        assert_pure(branches, X)
    assert str(caught.value).startswith(
        "`branches` cannot be jitted: TracerBoolConversionError: Attempted boolean conversion of traced array with "
        "shape bool[]"
    )
    assert str(caught.value).endswith("; pass `jit=False` to check only how it behaves as it is")
    assert assert_pure(branches, X, jit=False).shape == (3,)
    with pytest.raises(TypeError, match="`<lambda>` cannot be jitted: TracerBoolConversionError"):
        assert_pure(lambda x, n: branches(x) * n, X, 3)
    with pytest.raises(TypeError, match="`<lambda>` cannot be jitted: TracerArrayConversionError"):
        assert_pure(lambda x: np.sin(np.asarray(x)), X)


def boxed(x: jax.Array) -> Cached:
    box = Cached()
    box.cache = x
    return box


def test_result_that_is_no_pytree_cannot_be_jitted() -> None:
    with pytest.raises(TypeError, match=r"`output.cache` is an array in an object that is no pytree"):
        assert_pure(boxed, X)


def test_repetition_without_jit() -> None:
    numbers = iter(range(10))

    def counts(x: np.ndarray) -> Any:
        return np.sin(x) + next(numbers)

    error = failure(counts, np.ones(2), jit=False)
    assert error.headline == (
        "`counts` is not pure: it remembers something and gives another result when it is called again"
    )
    (problem,) = [p for p in error.problems if p.kind == "value"]
    assert problem.labels == ("call 1", "call 2")
    error = failure(lambda x: x + time.perf_counter() * 1e-9, 1.0, jit=False)
    assert error.help.startswith("look for what the function reads besides its arguments")
    assert_pure(lambda x: x + time.perf_counter() * 1e-9, 1.0, jit=False, rtol=1e-2)
    with pytest.raises(PurityError, match=r"numpy\.random: the global generator"):
        assert_pure(lambda: np.random.rand(), jit=False)


# --- the report ------------------------------------------------------------------------------------

EVERYTHING = """
import jax, numpy as np
from pytest_purestate import PurityError, assert_pure
calls = {"a": 0, "b": 0}
def everything(params, x):
    params["seen"] = calls["a"] = calls["b"] = calls["a"] + 1
    print("here")
    jax.debug.callback(lambda y: None, x)
    return {name: x * calls[name] + np.float32(np.random.rand() > 2) for name in ("b", "a")}
try:
    assert_pure(everything, {}, jax.numpy.ones(2))
except PurityError as error:
    print("REPORT")
    for problem in error.problems:
        print(problem.kind, problem.path, problem.message)
"""


def test_everything_is_told_in_one_failure_and_in_one_order() -> None:
    reports = []
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-"],
            input=EVERYTHING,
            capture_output=True,
            text=True,
            check=True,
            env={**__import__("os").environ, "PYTHONHASHSEED": seed},
        )
        reports.append(run.stdout.partition("REPORT\n")[2])
    assert reports[0] == reports[1]
    assert [line.split(" ")[0] for line in reports[0].splitlines()] == [
        *("argument", "hidden-state", "hidden-state", "host-rng", "output", "side-effect"),
        *("trace", "value", "value"),
    ]


# --- bad use ---------------------------------------------------------------------------------------


def generator() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        ((3,), {}, TypeError, "assert_pure needs a function and its arguments, not the value 3"),
        ((len, []), {"jit": 1}, TypeError, "jit must be True or False, not 1"),
        ((len, []), {"rtol": "a"}, TypeError, "rtol must be a number, not 'a'"),
        ((len, []), {"atol": True}, TypeError, "atol must be a number, not True"),
        ((len, []), {"atol": -1}, ValueError, "atol must be finite and not negative: -1"),
        ((len, []), {"rtol": float("nan")}, ValueError, "rtol must be finite and not negative: nan"),
        ((len, []), {"rtol": float("inf")}, ValueError, "rtol must be finite and not negative: inf"),
        (
            (len, generator()),
            {},
            TypeError,
            "`args[0]` is a generator, which can be read only once; pass a list or an array",
        ),
    ],
)
def test_bad_use_is_refused_before_anything_runs(
    args: Any, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        assert_pure(*args, **options)
    assert str(caught.value) == message


def test_coroutine_transformation_and_iterator_are_refused() -> None:
    async def later() -> None: ...

    with pytest.raises(TypeError, match="`later` is a coroutine function"):
        assert_pure(later)  # type: ignore[unused-coroutine]
    with pytest.raises(TypeError, match="call it outside of jit, grad, vmap and scan"):
        jax.jit(lambda x: assert_pure(jnp.sin, x))(X)
    with pytest.raises(TypeError, match="`output` is a generator, which cannot be compared"):
        assert_pure(generator)


def test_deleted_argument_is_refused() -> None:
    state = {"w": jnp.ones(2)}
    state["w"].delete()
    with pytest.raises(ValueError, match=r"`state\['w'\]` was deleted"):
        assert_pure(len, state)


def test_error_of_the_function_passes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        assert_pure(lambda x: x // 0, 1)
