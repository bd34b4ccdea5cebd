"""Whether a block that traces or compiles too often is reported, with the argument that it was for."""

from __future__ import annotations

import functools
import gc
import re
import subprocess
import sys
import threading
from collections.abc import Callable
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

from pytest_purestate import PurityError, assert_no_retrace, make_train_state


def ones(*shape: int, dtype: Any = np.float32) -> Any:
    return np.ones(shape, dtype)


@flax.struct.dataclass
class Carry:
    params: Any
    step: Any
    name: str = flax.struct.field(pytree_node=False, default="a")  # type: ignore[no-untyped-call]
    apply_fn: Any = flax.struct.field(pytree_node=False, default=None)  # type: ignore[no-untyped-call]


class Scale(nnx.Module):
    def __init__(self, factor: int = 2) -> None:
        self.linear = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
        self.factor = factor


class Layer(eqx.Module):
    weight: jax.Array
    slope: float
    name: str = eqx.field(static=True, default="a")

    @eqx.filter_jit
    def __call__(self, x: Any) -> Any:
        return self.weight * x * self.slope


Told = list[tuple[str, str, str, str]]


def told(step: Callable[..., Any], *calls: tuple[Any, ...], body: Callable[[int], Any] | None = None) -> Told:
    """What is reported when a function is called with each of some arguments: kind, path, before, after."""
    with pytest.raises(PurityError) as caught, assert_no_retrace(step) as record:
        for args in calls:
            step(*args)
    assert record.traces == len(calls)
    return [(each.kind, each.path, each.before, each.after) for each in caught.value.problems]


def fresh(function: Callable[..., Any] = lambda *args: 0, **options: Any) -> Any:
    """A jitted function that nobody called."""

    def step(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return jax.jit(functools.wraps(function)(step), **options)


def first(state: Any, batch: Any = None) -> Any:
    return jax.tree.leaves(state)[0]


CHANGED: list[tuple[str, tuple[Any, ...], tuple[Any, ...], Told]] = [
    ("shape", (ones(8, 2),), (ones(3, 2),), [("shape", "state", "float32[8,2]", "float32[3,2]")]),
    ("dtype", (ones(2),), (ones(2, dtype=np.int32),), [("dtype", "state", "float32[2]", "int32[2]")]),
    (
        "weak type",
        (Carry({}, 0),),
        (Carry({}, jnp.int32(0)),),
        [("weak-type", "state.step", "int32 weak", "int32 strong")],
    ),
    (
        "leaf",
        ({"dense": {"kernel": ones(2), "bias": ones(3)}},),
        ({"dense": {"kernel": ones(2), "bias": ones(4)}},),
        [("shape", "state['dense']['bias']", "float32[3]", "float32[4]")],
    ),
    ("key", ({"a": ones(2)},), ({"a": ones(2), "b": 1},), [("structure", "state['b']", "", "int32[]")]),
    ("gone", ([ones(2), ones(3)],), ([ones(2)],), [("structure", "state[1]", "float32[3]", "")]),
    ("container", ((ones(2),),), ([ones(2)],), [("structure", "state", "tuple", "list")]),
    ("kind", (ones(2),), ([ones(2)],), [("structure", "state", "float32[2]", "list")]),
    ("none", (ones(2), None), (ones(2), ones(1)), [("structure", "batch", "None", "float32[1]")]),
    (
        "static field",
        (Carry(ones(2), 0),),
        (Carry(ones(2), 0, "b"),),
        [("static", "state.name", "'a'", "'b'")],
    ),
    ("default", (ones(2),), (ones(2), ones(1)), [("structure", "batch", "", "float32[1]")]),
    (
        "typed key",
        (jax.random.PRNGKey(0),),
        (jax.random.key(0),),
        [
            ("shape", "state", "uint32[2]", "key<fry>[]"),
            ("dtype", "state", "uint32[2]", "key<fry>[]"),
        ],
    ),
    (
        "several",
        ({"a": ones(2), "b": 1},),
        ({"a": ones(3), "b": 1.0},),
        [
            ("shape", "state['a']", "float32[2]", "float32[3]"),
            ("dtype", "state['b']", "int32[]", "float32[]"),
        ],
    ),
]


@pytest.mark.parametrize(
    ("before", "after", "expected"), [c[1:] for c in CHANGED], ids=[c[0] for c in CHANGED]
)
def test_what_changed(before: tuple[Any, ...], after: tuple[Any, ...], expected: Told) -> None:
    assert told(fresh(first), before, after) == expected


def test_static_arguments() -> None:
    @functools.partial(jax.jit, static_argnums=1, static_argnames="act")
    def step(x: Any, size: int, *, act: Any = None) -> Any:
        return x * size

    with pytest.raises(PurityError) as caught, assert_no_retrace(step):
        step(1.0, 2, act=nn.relu)
        step(1.0, 3, act=nn.relu)
        step(1.0, 3, act=nn.gelu)
    number, function = caught.value.problems
    assert (number.kind, number.path, number.before, number.after) == ("static", "size", "2", "3")
    assert (function.kind, function.path) == ("function", "act")
    assert function.before.startswith("relu")
    assert function.after.startswith("gelu")


def test_the_nearest_earlier_trace_is_compared() -> None:
    step = fresh(first)
    a, b = ({"x": ones(2), "y": ones(3)},), ({"x": ones(5), "y": ones(6)},)
    near = ({"x": ones(2), "y": ones(4)},)
    assert told(step, a, b, near)[2:] == [("shape", "state['y']", "float32[3]", "float32[4]")]


def test_the_way_of_passing() -> None:
    step = fresh(first)
    with pytest.raises(PurityError) as caught, assert_no_retrace(step):
        step(ones(2), ones(1))
        step(ones(2), batch=ones(1))
    (problem,) = caught.value.problems
    assert (problem.kind, problem.path) == ("structure", "batch")
    assert (problem.before, problem.after) == ("by position", "by keyword")


def test_the_rest_of_the_arguments() -> None:
    def total(*parts: Any, **named: Any) -> Any:
        return sum(parts) + sum(named.values())

    step = jax.jit(total)
    with pytest.raises(PurityError) as caught, assert_no_retrace(step):
        step(ones(2), ones(2), scale=1.0)
        step(ones(2), ones(1), scale=ones(2))
    assert [each.path for each in caught.value.problems] == ["parts[1]", "scale", "scale"]


def test_a_new_optimizer_is_another_static_value() -> None:
    one, other = (make_train_state({"w": jnp.ones(2)}, apply_fn=first, tx=optax.sgd(0.1)) for _ in range(2))
    kinds = told(fresh(first), (one,), (other,))
    assert [(kind, path) for kind, path, _, _ in kinds] == [("static", "state.tx")]
    assert kinds[0][3].endswith(" (another object)")


def test_a_lambda_in_a_state_is_another_function() -> None:
    def state() -> Carry:
        return Carry(ones(2), 0, apply_fn=lambda x: x)

    ((kind, path, before, after),) = told(fresh(first), (state(),), (state(),))
    assert (kind, path) == ("function", "state.apply_fn")
    assert before.startswith("<lambda> at tests/runtime/test_no_retrace.py:")
    assert after == f"{before} (another object)"


def test_a_setting() -> None:
    step = fresh(first)
    with pytest.raises(PurityError) as caught, assert_no_retrace(step):
        step(ones(2))
        with jax.default_matmul_precision("float32"):
            step(ones(2))
    (problem,) = caught.value.problems
    assert (problem.kind, problem.path) == ("config", "jax.config.jax_default_matmul_precision")
    assert (problem.before, problem.after) == ("None", "'float32'")


def test_x64() -> None:
    step = fresh(first)
    with pytest.raises(PurityError) as caught, assert_no_retrace(step):
        step(ones(2, dtype=np.float64))
        jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]
        try:
            step(ones(2, dtype=np.float64))
        finally:
            jax.config.update("jax_enable_x64", False)  # type: ignore[no-untyped-call]
    paths = {each.path: (each.before, each.after) for each in caught.value.problems}
    assert paths["state"] == ("float32[2]", "float64[2]")
    assert paths["jax.config.jax_enable_x64"] == ("False", "True")


def test_another_device_compiles_again() -> None:
    step = fresh(first)
    x = jnp.ones(2)
    with pytest.raises(PurityError) as caught, assert_no_retrace(step) as record:
        step(x)
        step(jax.device_put(x, jax.devices()[0]))
    assert (record.traces, record.compilations) == (1, 2)
    (problem,) = caught.value.problems
    assert (problem.kind, problem.path, problem.before) == ("device", "state", "not bound to a device")
    assert problem.message.startswith("the device that it is bound to changed (compilation 2 of `first`, ")
    assert str(caught.value).splitlines()[0] == "`first` was compiled 2 times for 1 trace, and 1 is allowed"
    assert "jax.device_put" in caught.value.help


SHARDED = """\
import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pytest_purestate import PurityError, assert_no_retrace

mesh = Mesh(np.array(jax.devices()), ("data",))
x = jnp.ones(4)
places = {
    "rows": NamedSharding(mesh, PartitionSpec("data")),
    "whole": NamedSharding(mesh, PartitionSpec()),
    "second": jax.devices()[1],
}
step = jax.jit(lambda x: x + 1)
try:
    with assert_no_retrace(step) as record:
        for place in places.values():
            step(jax.device_put(x, place))
except PurityError as error:
    for problem in error.problems:
        print(problem.kind, problem.path, problem.before, "->", problem.after)
"""


def test_another_sharding() -> None:
    """In a process of its own, with two devices."""
    done = subprocess.run([sys.executable, "-c", SHARDED], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    names = {"PartitionSpec": "P", "cpu:": "device ", "TFRT_CPU_": "device "}
    assert sorted(
        re.sub(r"PartitionSpec|cpu:|TFRT_CPU_", lambda found: names[found[0]], line) for line in lines
    ) == [
        "sharding x P('data',) on a mesh of {'data': 2} -> P() on a mesh of {'data': 2}",
        "sharding x P('data',) on a mesh of {'data': 2} -> device 1",
    ]


def test_a_jit_made_anew_for_each_call() -> None:
    def total(x: Any) -> Any:
        return jax.jit(lambda y: y.sum())(x)

    with pytest.raises(PurityError) as caught, assert_no_retrace() as record:
        for _ in range(3):
            total(ones(2))
    assert record.traces == 3
    assert {(each.kind, each.path) for each in caught.value.problems} == {("function", "<lambda>")}
    text = str(caught.value)
    assert text.startswith("`<lambda>` was traced 3 times, and 1 is allowed\n")
    assert (
        "is another function object, made anew and jitted again at tests/runtime/test_no_retrace.py:" in text
    )
    assert text.endswith("help: call `jax.jit` once, where the function is defined, and keep what it returns")


def test_a_partial_made_anew() -> None:
    with pytest.raises(PurityError) as caught, assert_no_retrace():
        for _ in range(2):
            jax.jit(functools.partial(first, batch=None))(ones(2))
    assert [(each.kind, each.path) for each in caught.value.problems] == [("function", "first")]


def test_a_method_jitted_anew() -> None:
    class Model:
        def loss(self, x: Any) -> Any:
            return x.sum()

    model = Model()
    with pytest.raises(PurityError) as caught, assert_no_retrace():
        for _ in range(2):
            jax.jit(model.loss)(ones(2))
    assert [(each.kind, each.path) for each in caught.value.problems] == [("function", "Model.loss")]


def test_two_functions_of_one_factory_are_two() -> None:
    def factory(scale: float) -> Any:
        return jax.jit(lambda x: scale * x)

    with assert_no_retrace() as record:
        steps = [factory(scale) for scale in (1.0, 2.0)]
        for step in steps:
            step(ones(2))
    assert record.traces == 2


def test_a_given_function_takes_nobodys_place() -> None:
    def factory(scale: float) -> Any:
        return jax.jit(lambda x: scale * x)

    step = factory(2.0)
    with assert_no_retrace(step) as record:
        factory(1.0)(ones(2))
        gc.collect()
        step(ones(2))
    assert record.traces == 1


def test_the_text() -> None:
    @jax.jit
    def step(state: Any, batch: Any) -> Any:
        return {"w": state["w"] + batch.mean(), "step": state["step"] + jnp.int32(1)}

    with pytest.raises(PurityError) as caught, assert_no_retrace(step) as record:
        state = {"w": jnp.ones(3), "step": 0}
        for size in (8, 8, 3):
            state = step(state, ones(size, 2))
    lines = [line.partition(", tests/runtime")[0] for line in str(caught.value).splitlines()]
    assert lines[:-1] == [
        "`step` was traced 3 times, and 1 is allowed",
        "  state['step']: the weak type changed (trace 2 of `step`",
        "    before: int32 weak",
        "    after:  int32 strong",
        "  batch: the shape changed (trace 3 of `step`",
        "    before: float32[8,2]",
        "    after:  float32[3,2]",
    ]
    assert lines[-1].startswith("  help: give numbers a dtype from the start: ")
    assert [str(change) for change in record.changes] == [
        "state['step']: the weak type changed: int32 weak -> int32 strong",
        "batch: the shape changed: float32[8,2] -> float32[3,2]",
    ]
    assert [(change.function, change.number, change.traced) for change in record.changes] == [
        ("step", 2, True),
        ("step", 3, True),
    ]


def test_several_functions() -> None:
    def one(x: Any) -> Any:
        return x

    def two(x: Any) -> Any:
        return x

    steps = jax.jit(one), jax.jit(two)
    with pytest.raises(PurityError) as caught, assert_no_retrace(*steps):
        for step in steps:
            step(ones(2))
            step(ones(3))
    text = str(caught.value)
    assert text.startswith("2 functions were compiled too often: `one`, `two`\n")
    assert [each.kind for each in caught.value.problems] == ["retrace", "shape"] * 2


def test_the_record() -> None:
    step = fresh(first)
    with assert_no_retrace(step) as record:
        assert (record.traces, record.compilations, record.seconds) == (0, 0, 0.0)
        step(ones(2))
        assert (record.traces, record.compilations) == (1, 1)
        step(ones(2))
        fresh(first)(ones(3))
    assert (record.traces, record.compilations, record.changes) == (1, 1, ())
    assert record.seconds > 0
    (name,) = record.functions
    counts = record.functions[name]
    assert (name, counts.traces, counts.compiles) == ("first", 1, 1)
    assert "test_no_retrace.py:" in counts.place
    assert "test_no_retrace.py:" in counts.defined
    assert repr(record).startswith("Record(traces=1, compilations=1, seconds=")
    step(ones(4))
    assert record.traces == 1


def test_limits() -> None:
    step = fresh(first)
    with assert_no_retrace(step, max_traces=2):
        step(ones(2))
        step(ones(3))
    with assert_no_retrace(step, max_traces=0):
        step(ones(3))
    with pytest.raises(PurityError) as caught, assert_no_retrace(step, max_traces=0):
        step(ones(4))
    (problem,) = caught.value.problems
    assert (problem.kind, problem.path, problem.after) == ("retrace", "first", "state: float32[4]")
    assert str(caught.value).startswith("`first` was traced once, and none is allowed\n")
    assert "call the function once before the block" in caught.value.help


def test_a_compilation_of_what_was_traced_before() -> None:
    step = fresh(first)
    x = jnp.ones(2)
    step(x)
    bound = jax.device_put(x, jax.devices()[0])
    with pytest.raises(PurityError, match="was compiled once without a new trace, and none is allowed"):
        with assert_no_retrace(step, max_traces=0):
            step(bound)


def test_caches_that_were_cleared() -> None:
    step = fresh(first)
    with pytest.raises(PurityError) as caught, assert_no_retrace(step):
        step(ones(2))
        step.clear_cache()
        step(ones(2))
    (problem,) = caught.value.problems
    assert (problem.kind, problem.path) == ("retrace", "first")
    assert problem.message.startswith("was traced again for the same arguments: caches were cleared")


def test_another_thread() -> None:
    step = fresh(first)
    with pytest.raises(PurityError) as caught, assert_no_retrace(step):
        step(ones(2))
        thread = threading.Thread(target=step, args=(ones(3),))
        thread.start()
        thread.join()
    assert [each.kind for each in caught.value.problems] == ["shape"]


def test_what_is_traced_inside_is_no_retrace() -> None:
    @jax.custom_vjp
    def square(x: Any) -> Any:
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, g: (2 * x * g,))

    @jax.jit
    def inner(x: Any) -> Any:
        return square(x).sum()

    @jax.jit
    def step(x: Any) -> Any:
        def body(carry: Any, row: Any) -> Any:
            return carry + inner(row), jax.grad(inner)(row)

        total, rows = jax.lax.scan(body, 0.0, x)
        return total, jax.vmap(inner)(rows), inner(x), jax.checkpoint(inner)(x[0])

    with assert_no_retrace(step, inner) as record:
        for _ in range(2):
            step(ones(3, 2))
    assert {name: counts.traces for name, counts in record.functions.items()} == {"step": 1, "inner": 1}
    with pytest.raises(PurityError) as caught, assert_no_retrace(inner, max_traces=0):
        step(ones(4, 2))
    assert caught.value.problems[0].path == "inner"


def test_transformations_compile_again() -> None:
    step = fresh(lambda x: (x * x).sum())
    with assert_no_retrace(step) as record:
        step(ones(2))
        jax.vmap(step)(ones(3, 2))
        jax.grad(step)(ones(2))
    assert record.traces == 1
    assert record.compilations > 1


def test_functions_of_jax_do_not_count() -> None:
    with assert_no_retrace() as record:
        for n in (2, 3, 4):
            x = jnp.ones(n)
            jnp.where(x > 0, x, 2.0), jax.random.normal(jax.random.key(0), (n,)), jnp.sort(x)
            jax.lax.scan(lambda c, _: (c + 1, c), x, None, length=n)
            make_train_state({"w": x})
    assert (record.traces, dict(record.functions)) == (0, {})


def test_a_function_of_jax_that_is_given_counts() -> None:
    def clipped(x: Any) -> Any:
        return jnp.where(x > 0, x, 2.0)

    total, step = jax.jit(jnp.sum), jax.jit(clipped)
    with pytest.raises(PurityError) as caught, assert_no_retrace(total, step):
        for n in (2, 3):
            total(ones(n))
            step(ones(n))
    assert [each.path for each in caught.value.problems] == ["sum", "a", "clipped", "x"]


def test_linen() -> None:
    model = nn.Dense(2)
    state = make_train_state(model, jnp.ones((1, 3)), tx=optax.adam(1e-3))

    @jax.jit
    def step(state: Any, batch: Any) -> Any:
        grads = jax.grad(lambda params: state.apply_fn({"params": params}, batch).sum())(state.params)
        return state.apply_gradients(grads=grads)

    with assert_no_retrace(step) as record:
        for _ in range(3):
            state = step(state, ones(4, 3))
    assert record.traces == 1
    wide = state.replace(params={**state.params, "bias": jnp.ones(2, jnp.float16)})
    with pytest.raises(PurityError) as caught, assert_no_retrace(step):
        step(state, ones(5, 3))
        step(wide, ones(5, 3))
    assert [each.path for each in caught.value.problems] == ["state.params['bias']"]


def test_linen_apply() -> None:
    model = nn.Dense(2)
    apply = jax.jit(model.apply)
    params = model.init(jax.random.key(0), jnp.ones((1, 3)))
    with pytest.raises(PurityError) as caught, assert_no_retrace(apply):
        apply(params, ones(1, 3))
        apply(params, ones(2, 3))
    (problem,) = caught.value.problems
    assert (problem.before, problem.after) == ("float32[1,3]", "float32[2,3]")


def test_nnx() -> None:
    @nnx.jit
    def step(model: Scale, x: Any) -> Any:
        return model.linear(x) * model.factor

    model = Scale()
    with assert_no_retrace(step) as record:
        step(model, ones(1, 2))
        step(model, ones(1, 2))
    assert record.traces == 1
    with pytest.raises(PurityError) as caught, assert_no_retrace(step):
        step(model, ones(2, 2))
        model.factor = 3
        step(model, ones(2, 2))
        model.linear.kernel = nnx.Param(jnp.ones((2, 2), jnp.bfloat16))
        step(model, ones(2, 2))
    assert [(each.kind, each.path, each.before, each.after) for each in caught.value.problems] == [
        ("static", "model.factor", "2", "3"),
        ("dtype", "model.linear.kernel", "float32[2,2]", "bfloat16[2,2]"),
    ]


def test_an_nnx_method() -> None:
    class Net(nnx.Module):
        def __init__(self) -> None:
            self.linear = nnx.Linear(2, 2, rngs=nnx.Rngs(0))

        @nnx.jit
        def __call__(self, x: Any) -> Any:
            return self.linear(x)

    net = Net()
    with pytest.raises(PurityError) as caught, assert_no_retrace(net):
        net(ones(1, 2))
        net(ones(3, 2))
    assert [(each.kind, each.path) for each in caught.value.problems] == [("shape", "x")]


def test_equinox() -> None:
    @eqx.filter_jit
    def step(layer: Layer, x: Any, scale: Any) -> Any:
        return layer.weight * x * scale

    one = Layer(jnp.ones(2), 1.0)
    with assert_no_retrace(step) as record:
        step(one, ones(2), 1.0)
        step(one, ones(2), 1.0)
    assert record.traces == 1
    with pytest.raises(PurityError) as caught, assert_no_retrace(step):
        step(one, ones(1), 1.0)
        step(one, ones(1), 2.0)
        step(Layer(jnp.ones(2), 3.0), ones(1), 2.0)
        step(Layer(jnp.ones(2), 3.0, "b"), ones(1), 2.0)
    assert [(each.kind, each.path, each.before, each.after) for each in caught.value.problems] == [
        ("static", "scale", "1.0", "2.0"),
        ("static", "layer.slope", "1.0", "3.0"),
        ("static", "layer.name", "'a'", "'b'"),
    ]


def test_an_equinox_module_with_a_jitted_call() -> None:
    layer = Layer(jnp.ones(2), 1.0)
    with pytest.raises(PurityError) as caught, assert_no_retrace(layer):
        layer(ones(2))
        layer(ones(1))
    assert [(each.kind, each.path) for each in caught.value.problems] == [("shape", "x")]


def test_methods_and_partials() -> None:
    class Trainer:
        @functools.partial(jax.jit, static_argnums=0)
        def step(self, x: Any, scale: Any) -> Any:
            return x * scale

    trainer = Trainer()
    bound = functools.partial(trainer.step, scale=2.0)
    with pytest.raises(PurityError) as caught, assert_no_retrace(bound):
        bound(ones(2))
        trainer.step(ones(3), scale=2.0)
    assert [(each.kind, each.path) for each in caught.value.problems] == [("shape", "x")]
    with pytest.raises(PurityError) as caught, assert_no_retrace(trainer.step):
        trainer.step(ones(4), 1.0)
        Trainer().step(ones(4), 1.0)
    assert [(each.kind, each.path) for each in caught.value.problems] == [("static", "self")]


def test_wrapped_by_a_decorator() -> None:
    step = fresh(first)

    @functools.wraps(step)
    def timed(*args: Any) -> Any:
        return step(*args)

    with pytest.raises(PurityError), assert_no_retrace(timed):
        timed(ones(2))
        timed(ones(3))


def test_donated_arguments() -> None:
    step = jax.jit(lambda state: {"w": state["w"] + 1}, donate_argnums=0)
    state = {"w": jnp.ones(2)}
    with assert_no_retrace(step) as record:
        for _ in range(3):
            state = step(state)
    assert (record.traces, record.compilations) == (1, 1)


def test_ahead_of_time() -> None:
    step = fresh(first)
    with assert_no_retrace(step) as record:
        step.lower(ones(2)).compile()
    assert (record.traces, record.compilations) == (1, 1)


def test_blocks_inside_of_each_other() -> None:
    step = fresh(first)
    with assert_no_retrace(step, max_traces=2) as outer:
        step(ones(2))
        with assert_no_retrace(step) as inner:
            step(ones(3))
    assert (outer.traces, inner.traces) == (2, 1)


def test_an_error_of_the_block_passes_through() -> None:
    step = fresh(first)
    with pytest.raises(ZeroDivisionError), assert_no_retrace(step) as record:
        step(ones(2))
        step(ones(3))
        _ = 1 / 0
    assert record.traces == 2


def test_an_argument_that_cannot_be_compared() -> None:
    class Odd:
        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            if self is other:
                return True
            raise RuntimeError("no comparison")

        def __repr__(self) -> str:
            return "Odd()"

    step = fresh(lambda x, odd: x, static_argnums=1)
    with pytest.raises(PurityError) as caught, assert_no_retrace(step):
        step(ones(2), Odd())
        step(ones(3), Odd())
    assert ("static", "odd", "Odd()", "Odd() (another object)") in [
        (each.kind, each.path, each.before, each.after) for each in caught.value.problems
    ]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: assert_no_retrace(first), TypeError, r"`first` is not jitted.*`jax.jit\(first\)`"),
        (lambda: assert_no_retrace(3), TypeError, "`3` is not jitted"),  # type: ignore[arg-type]
        (lambda: assert_no_retrace(jax.pmap(first)), TypeError, "`first` is not jitted"),
        (
            lambda: assert_no_retrace(jax.jit(first).lower(1.0).compile()),
            TypeError,
            "compiled ahead of time is never traced again",
        ),
        (lambda: assert_no_retrace(max_traces=-1), ValueError, "must not be negative: -1"),
        (lambda: assert_no_retrace(max_traces=True), TypeError, "must be an integer, not True"),
        (lambda: assert_no_retrace(max_traces=1.0), TypeError, "must be an integer"),  # type: ignore[arg-type]
    ],
)
def test_bad_use(make: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()


def test_entered_twice() -> None:
    block = assert_no_retrace()
    with block, pytest.raises(ValueError, match="was entered before"):
        block.__enter__()
    with pytest.raises(ValueError, match="was entered before"), block:
        pass


def test_inside_of_a_transformation() -> None:
    @jax.jit
    def step(x: Any) -> Any:
        with assert_no_retrace():
            return x

    with pytest.raises(TypeError, match="enter it outside of jit"):
        step(ones(2))


def test_jit_is_off() -> None:
    with jax.disable_jit(), pytest.raises(ValueError, match="jit is off"), assert_no_retrace():
        pass


def test_caches_are_off() -> None:
    with jax.checking_leaks(), pytest.raises(ValueError, match="caches are off"), assert_no_retrace():
        pass


def test_a_forgotten_with() -> None:
    block = assert_no_retrace()
    with pytest.warns(RuntimeWarning, match=r"assert_no_retrace\(\.\.\.\) alone does nothing"):
        del block
