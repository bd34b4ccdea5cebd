import functools
import warnings
from collections.abc import Callable
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

from pytest_purestate import PurityError, assert_donated
from pytest_purestate._runtime.inputs import declared_donations

HELP = (
    "donate what an output of the same shape and dtype replaces, the state and not the batch, and give it back in its "
    "dtype; take out of the arguments what is not used"
)


def ones(*shape: int) -> jax.Array:
    return jnp.ones(shape)


def params() -> dict[str, jax.Array]:
    return {"b": ones(2), "w": ones(3)}


@functools.partial(jax.jit, donate_argnums=0)
def step(state: Any, batch: jax.Array) -> Any:
    return jax.tree.map(lambda x: x - batch.sum(), state)


@functools.partial(jax.jit, donate_argnums=(0, 1))
def greedy(state: Any, batch: jax.Array) -> Any:
    return jax.tree.map(lambda x: x - batch.sum(), state)


@functools.partial(jax.jit, donate_argnums=(0, 1))
def both(x: jax.Array, y: jax.Array) -> Any:
    return x + 1, y + 1


class Model:
    scale = 2

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def train(self, state: jax.Array) -> jax.Array:
        return state * self.scale

    @functools.partial(jax.jit, static_argnums=0)
    def evaluate(self, state: jax.Array) -> jax.Array:
        return state * self.scale


class Bias(eqx.Module):
    b: jax.Array

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.b


class Net(nnx.Module):
    def __init__(self) -> None:
        self.w = nnx.Param(ones(2, 2))
        self.b = nnx.Param(ones(2))


def train_net(net: Net, x: jax.Array) -> jax.Array:
    nnx.update(net, jax.tree.map(lambda p: p - x.sum(), nnx.state(net)))
    return x.sum()


def problems(fn: Any, *args: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(PurityError) as caught:
        assert_donated(fn, *args)
    return [(problem.kind, problem.path, problem.message) for problem in caught.value.problems]


def test_batch_that_is_donated_in_vain() -> None:
    state, batch = params(), ones(5)
    with pytest.raises(PurityError) as caught:
        assert_donated(greedy, state, batch)
    assert str(caught.value) == (
        "`greedy` does not donate all that it says\n"
        "  batch: is donated in vain: no output is float32[5]\n"
        "    donated: float32[5]\n"
        "    outputs: float32[2], float32[3]\n"
        f"  help: {HELP}"
    )


def test_same_holds_after_the_warning_of_jax_was_given() -> None:
    fresh = jax.jit(lambda s, b: s - b.sum(), donate_argnums=(0, 1))
    with pytest.warns(UserWarning, match="donated buffers were not usable"):
        fresh(ones(3), ones(5))
    for _ in range(2):
        assert problems(fresh, ones(3), ones(5)) == [
            ("not-donated", "args[1]", "is donated in vain: no output is float32[5]")
        ]


def test_output_is_returned_and_the_arguments_stay_alive() -> None:
    state, batch = params(), ones(5)
    out = assert_donated(step, state, batch)
    assert out["w"].tolist() == [-4.0, -4.0, -4.0]
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((state, batch)))
    step(state, batch)
    assert state["w"].is_deleted()


def test_state_in_another_dtype() -> None:
    state = params()
    half = jax.jit(lambda s: jax.tree.map(lambda x: x.astype(jnp.bfloat16), s), donate_argnums=0)
    assert problems(half, state) == [
        (
            "not-donated",
            "args[0]['b']",
            "is donated in vain: no output is float32[2], one of this shape is bfloat16[2]",
        ),
        (
            "not-donated",
            "args[0]['w']",
            "is donated in vain: no output is float32[3], one of this shape is bfloat16[3]",
        ),
    ]


def test_more_donated_than_outputs() -> None:
    x, y = ones(3), ones(3)
    add = jax.jit(lambda x, y: x + y, donate_argnums=(0, 1))
    with pytest.raises(PurityError) as caught:
        assert_donated(add, x, y)
    (problem,) = caught.value.problems
    assert problem.message == "is donated in vain: 2 donated arrays are float32[3], and 1 of the outputs is"


@pytest.mark.parametrize("nested", [False, True])
def test_unused_part_of_a_state(nested: bool) -> None:
    state = params()
    fn = lambda s: {"b": jnp.zeros(2), "w": s["w"] + 1}  # noqa: E731
    assert problems(jax.jit(jax.jit(fn) if nested else fn, donate_argnums=0), state) == [
        ("not-donated", "args[0]['b']", "is donated in vain: the function does not use it")
    ]


def test_unused_argument_that_is_kept_counts_as_given_back() -> None:
    kept = jax.jit(lambda x, y: y * 2, donate_argnums=0, keep_unused=True)
    x, y = ones(3), ones(3)
    assert assert_donated(kept, x, y).tolist() == [2, 2, 2]


def test_array_at_two_donated_places_is_told_before_anything_runs() -> None:
    ran = []

    @functools.partial(jax.jit, donate_argnums=0)
    def fn(state: Any) -> Any:
        jax.debug.callback(lambda: ran.append(1))
        return jax.tree.map(lambda x: x + 1, state)

    start = ones(3)
    state = {"params": start, "ema": start}
    with pytest.raises(PurityError) as caught:
        assert_donated(fn, state)
    assert str(caught.value) == (
        "`fn` cannot be called\n"
        "  state['params']: is the same array as `state['ema']`, and both are donated\n"
        "    donated: float32[3]\n"
        "  help: make one of the two a copy before the call, `jax.tree.map(jnp.copy, params)`: parameters and their average "
        "often start as one array"
    )
    assert not ran
    state["ema"] = jnp.copy(start)
    assert assert_donated(fn, state)["ema"].tolist() == [2, 2, 2]


def test_array_that_is_donated_and_read() -> None:
    x = ones(3)
    assert problems(step, x, x) == [
        ("donated-twice", "args[1]", "is the same array as `args[0]`, which is donated")
    ]


def test_argument_that_is_passed_twice_has_two_names() -> None:
    x = ones(3)
    with pytest.raises(
        PurityError, match=r"\n  args\[1\]: is the same array as `args\[0\]`, and both are donated\n"
    ):
        assert_donated(both, x, x)


def test_arrays_that_share_memory() -> None:
    x = ones(3)
    y = x.addressable_data(0)
    assert x is not y
    assert problems(both, x, y) == [
        ("donated-twice", "args[1]", "shares its memory with `args[0]`, and both are donated")
    ]


def test_donated_array_in_a_closure() -> None:
    x = ones(3)
    fn = jax.jit(lambda s: s + x, donate_argnums=0)
    with pytest.raises(PurityError) as caught:
        assert_donated(fn, x)
    (problem,) = caught.value.problems
    assert problem.kind == "donated-and-held"
    assert problem.path == "<lambda>.<closure>.x"
    assert problem.message == "is the same array as `x`, which is donated"
    assert caught.value.headline == "`<lambda>` donates an array that it holds itself"
    assert "pass it as an argument, and only as that" in caught.value.help
    assert_donated(fn, ones(3))


def test_donated_array_in_a_partial() -> None:
    x, batch = ones(3), ones(5)
    assert problems(functools.partial(step, x), batch) == [
        ("donated-and-held", "step.args[0]", "is bound to the function, and donated by the first call")
    ]
    named = jax.jit(lambda b, *, state: state + b.sum(), donate_argnames="state")
    assert problems(functools.partial(named, state=x), batch) == [
        (
            "donated-and-held",
            "<lambda>.keywords['state']",
            "is bound to the function, and donated by the first call",
        )
    ]
    assert not x.is_deleted()


@pytest.mark.parametrize(
    ("fn", "args"),
    [
        (jax.jit(lambda n, s, m: s * n, static_argnums=(0, 2), donate_argnums=1), (3, ones(3), 4)),
        (jax.jit(lambda c, s: s, static_argnums=0, donate_argnums=1), (("a", 1), ones(3))),
        (jax.jit(lambda f, s: f(s), static_argnums=0, donate_argnums=1), (jnp.sin, ones(3))),
        (jax.jit(lambda s, b: s * b, donate_argnames="s"), (ones(3), ones(3))),
        (functools.partial(jax.jit(lambda s, *, k: s * k, static_argnames="k", donate_argnums=0), k=2), (ones(3),)),
        (functools.partial(jax.jit(lambda b, s: s * b, donate_argnums=1), 2.0), (ones(3),)),
        (Model().train, (ones(3),)),
        (jax.jit(lambda s: {"step": s["step"] + 1, "w": s["w"] * 2}, donate_argnums=0), ({"step": 0, "w": ones(3)},)),
        (jax.jit(lambda s: (s[0] + 1, jax.random.split(s[1])[0]), donate_argnums=0), ((ones(3), jax.random.key(0)),)),
        (jax.jit(lambda s: s * 2, donate_argnums=0).lower(ones(3)).compile(), (ones(3),)),
        (jax.jit(lambda s: jax.lax.scan(lambda c, _: (c * 2, None), s, None, 3)[0], donate_argnums=0), (ones(3),)),
        (eqx.filter_jit(lambda m: jax.tree.map(lambda x: x * 2, m), donate="all"), (Bias(ones(3)),)),
        (eqx.filter_jit(lambda b, m: m * b.sum(), donate="all-except-first"), (ones(5), ones(3))),
    ],
    ids=[
        *("static", "static tuple", "static function", "by name", "static by keyword", "partial", "method", "number in a state"),
        *("key", "compiled", "scan", "equinox", "equinox, all but the first"),
    ],
)  # fmt: skip
def test_donations_that_work(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    assert_donated(fn, *args)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(args) if isinstance(leaf, jax.Array))


def test_equinox_with_everything_donated() -> None:
    model, x = Bias(ones(3)), ones(5)
    fn = eqx.filter_jit(lambda m, x: jax.tree.map(lambda b: b + x.sum(), m), donate="all")
    assert problems(fn, model, x) == [
        ("not-donated", "args[1]", "is donated in vain: no output is float32[5]")
    ]


def test_equinox_module_that_is_the_function() -> None:
    # Its own arrays are donated with the rest, so which is which is told by shape and dtype.
    module, x, y = Bias(ones(3)), ones(3), ones(5)
    assert assert_donated(eqx.filter_jit(module, donate="all"), x).tolist() == [2, 2, 2]
    scaled = eqx.filter_jit(eqx.Partial(lambda b, x, y: x * b.sum() + y.sum(), ones(2)), donate="all")
    assert problems(scaled, x, y) == [
        ("not-donated", "args[1]", "is donated in vain: no output is float32[5]")
    ]
    assert not any(array.is_deleted() for array in (module.b, x, y))


def test_equinox_method_that_donates_its_module() -> None:
    class Doubling(eqx.Module):
        b: jax.Array

        @eqx.filter_jit(donate="all")
        def double(self) -> Any:
            return Doubling(self.b * 2)

    model = Doubling(ones(3))
    ((kind, path, message),) = problems(model.double)
    assert (kind, message) == ("donated-and-held", "is bound to the function, and donated by the first call")
    assert path.endswith("args[0].b")
    assert not model.b.is_deleted()


def test_nnx_module() -> None:
    net, x = Net(), ones(5)
    assert assert_donated(nnx.jit(train_net, donate_argnums=0), net, x) == 5
    assert not jax.tree.leaves(nnx.state(net))[0].is_deleted()
    with pytest.raises(ValueError, match=r"^`train_net` donates nothing"):
        assert_donated(nnx.jit(train_net), net, x)


@pytest.mark.skipif(
    not hasattr(nnx.jit(lambda: None), "lower"), reason="the jit of nnx does not say what it donates"
)
def test_nnx_module_with_a_batch_that_is_donated_in_vain() -> None:
    net, x = Net(), ones(5)
    assert problems(nnx.jit(train_net, donate_argnums=(0, 1)), net, x) == [
        ("not-donated", "args[1]", "is donated in vain: no output is float32[5]")
    ]


def test_train_state() -> None:
    model = nn.Dense(2)
    x = ones(1, 3)
    state = TrainState.create(  # type: ignore[no-untyped-call]
        apply_fn=model.apply, params=model.init(jax.random.key(0), x)["params"], tx=optax.adam(1e-3)
    )

    def train(state: Any, x: jax.Array, forget: bool = False) -> Any:
        grads = jax.grad(lambda p: state.apply_fn({"params": p}, x).sum())(state.params)
        if forget:
            state = state.replace(opt_state=state.tx.init(state.params))
        return state.apply_gradients(grads=grads)

    after = assert_donated(jax.jit(train, donate_argnums=0), state, x)
    assert_donated(jax.jit(train, donate_argnums=0), after, x)
    found = problems(jax.jit(functools.partial(train, forget=True), donate_argnums=0), after, x)
    assert [(path, message) for _, path, message in found] == [
        (f"args[0].opt_state[0].{name}", "is donated in vain: the function does not use it")
        for name in ("count", "mu['bias']", "mu['kernel']", "nu['bias']", "nu['kernel']")
    ]


def test_both_findings_are_in_one_report() -> None:
    x, batch = ones(3), ones(5)
    fn = jax.jit(lambda s, b: s + x + b.sum(), donate_argnums=(0, 1))
    assert [kind for kind, _, _ in problems(fn, x, batch)] == ["not-donated", "donated-and-held"]


def test_declared_donations_go_by_the_leaves_of_the_arguments() -> None:
    assert declared_donations(step, (params(), ones(5))) == (True, True, False)
    assert declared_donations(Model().train, (ones(3),)) == (True,)
    assert declared_donations(functools.partial(step, ones(3)), (ones(5),)) == (False,)
    static = jax.jit(lambda n, s: s * n, static_argnums=0, donate_argnums=1)
    assert declared_donations(static, (3, ones(3))) == (False, True)
    assert declared_donations(lambda s: s, (ones(3),)) is None


# Circumstances and bad use


def test_warning_of_the_function_is_not_swallowed() -> None:
    def fn(x: jax.Array) -> jax.Array:
        warnings.warn("mine", UserWarning, stacklevel=2)
        return x

    with pytest.warns(UserWarning, match="^mine$"):
        assert_donated(jax.jit(fn, donate_argnums=0), ones(3))


def test_error_of_the_function_passes_through() -> None:
    def fn(x: jax.Array) -> jax.Array:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        assert_donated(jax.jit(fn, donate_argnums=0), ones(3))


@pytest.mark.parametrize(
    ("fn", "args", "message"),
    [
        (
            params,
            (),
            "`params` is not compiled, so it donates nothing: pass `jax.jit(params, donate_argnums=0)`, the compiled function itself",
        ),
        (
            jax.jit(len),
            ([ones(3)],),
            "`len` donates nothing: say which arguments it may overwrite, `jax.jit(len, donate_argnums=0)`",
        ),
        (
            Model().evaluate,
            (ones(3),),
            "`Model.evaluate` donates nothing: say which arguments it may overwrite, `jax.jit(Model.evaluate, donate_argnums=0)`",
        ),
        (
            step,
            (np.ones(3, np.float32), ones(5)),
            "what `step` donates has no array of JAX in it, so nothing of the caller's can be reused",
        ),
        (
            eqx.filter_jit(len),
            ([ones(3)],),
            "`len` donates nothing: say which arguments it may overwrite, `jax.jit(len, donate_argnums=0)`",
        ),
    ],
    ids=["not compiled", "no donation", "method", "numpy", "equinox"],
)
def test_function_that_donates_nothing_is_refused(fn: Any, args: Any, message: str) -> None:
    with pytest.raises(ValueError, match="donates") as caught:
        assert_donated(fn, *args)
    assert str(caught.value) == message


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(
        TypeError, match=r"^assert_donated needs a function and its arguments, not the value 3$"
    ):
        assert_donated(3)  # type: ignore[arg-type]
    x = ones(3)
    x.delete()
    with pytest.raises(ValueError, match=r"^`x` was deleted: it was donated to a function before"):
        assert_donated(step, x, ones(5))
    with pytest.raises(TypeError, match="call it outside of jit, grad, vmap and scan"):
        jax.jit(lambda y: assert_donated(step, y, y))(ones(3))
