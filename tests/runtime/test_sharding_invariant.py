import functools
import os
import re
import subprocess
import sys
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
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pytest_purestate import KeyStream, PurityError, assert_sharding_invariant, make_train_state

pytestmark = pytest.mark.slow

P: Any = PartitionSpec
psum: Any = jax.lax.psum
with_sharding_constraint: Any = jax.lax.with_sharding_constraint
HERE = Path(__file__)

# Most of these need eight devices, which only a fresh process can have: the last test of this file runs them in one.
eight = pytest.mark.skipif(jax.device_count() < 8, reason="run by test_all_of_this_runs_on_eight_devices")


def shard_map(fn: Callable[..., Any], mesh: Any, in_specs: Any, out_specs: Any, check: bool = True) -> Any:
    if hasattr(jax, "shard_map"):
        return jax.shard_map(fn, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=check)
    from jax.experimental.shard_map import shard_map as mapped

    return mapped(fn, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_rep=check)  # type: ignore[no-untyped-call]


def batch(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def failure(fn: Callable[..., Any], *args: Any, **options: Any) -> PurityError:
    with pytest.raises(PurityError) as caught:
        assert_sharding_invariant(fn, *args, **options)
    return caught.value


def text(error: PurityError) -> str:
    return re.sub(
        r"by at most \d+ ULP", "by at most N ULP", re.sub(r"settings: .*", "settings: ...", str(error))
    )


# What passes


@eight
@pytest.mark.parametrize("donate", [False, True])
def test_train_step(donate: bool) -> None:
    state = make_train_state(nn.Dense(4), jnp.ones((8, 6)), tx=optax.adam(1e-2))
    data = {"x": batch(8, 6), "y": batch(8, 4)}

    def step(state: Any, batch: Any) -> Any:
        def loss_of(params: Any) -> Any:
            return ((state.apply_fn({"params": params}, batch["x"]) - batch["y"]) ** 2).mean()

        loss, grads = jax.value_and_grad(loss_of)(state.params)
        return state.apply_gradients(grads=grads), loss

    new, loss = assert_sharding_invariant(jax.jit(step, donate_argnums=(0,) if donate else ()), state, data)
    assert new.step == 1
    assert len(loss.devices()) == 1
    assert not state.params["kernel"].is_deleted()
    specs = ({"kernel": P(None, "model")}, {"x": P("data"), "y": P("data", "model")})
    assert_sharding_invariant(
        lambda params, data: data["x"] @ params["kernel"] - data["y"],
        {"kernel": batch(6, 4)},
        data,
        shardings=specs,
    )


@eight
def test_eager_functions_methods_and_partials() -> None:
    class Scaler:
        rate = 2.0

        def scaled(self, x: Any, *, by: float = 1.0) -> Any:
            return {"mean": (x * self.rate * by).mean(0), "rows": len(x), "name": "a"}

    scaler, x = Scaler(), batch(8, 4)
    partial: Any = functools.partial(scaler.scaled, by=3.0)
    functions: list[Any] = [scaler.scaled, partial, jax.vmap(jnp.sin), jnp.sort]
    for fn in functions:
        assert_sharding_invariant(fn, x)


@eight
def test_nnx_and_equinox() -> None:
    model = nnx.BatchNorm(4, rngs=nnx.Rngs(0))

    @nnx.jit
    def train(model: Any, x: Any) -> Any:
        y = model(x)
        return y, model.mean[...]

    assert_sharding_invariant(train, model, batch(16, 4))
    assert not model.mean[...].any()
    linear = eqx.nn.Linear(4, 8, key=jax.random.key(0))
    apply: Any = eqx.filter_jit(lambda m, x: jax.vmap(m)(x))  # type: ignore[misc]
    assert_sharding_invariant(apply, linear, batch(8, 4))


@eight
def test_layouts_that_are_tried() -> None:
    seen: list[Any] = []

    def fn(x: Any, key: Any, raw: Any, scale: float, odd: Any) -> Any:
        specs = [
            {i: axis for i, axis in enumerate(array.sharding.spec) if axis} for array in (x, key, raw, odd)
        ]
        seen.append((tuple(x.sharding.mesh.shape.values()), *specs))
        assert scale == 2.0
        return x

    raw = jax.random.split(jax.random.PRNGKey(0), 8)
    assert_sharding_invariant(fn, batch(8, 4), jax.random.split(jax.random.key(0), 8), raw, 2.0, batch(3))
    assert seen == [
        ((1, 1), {}, {}, {}, {}),
        ((8, 1), {}, {}, {}, {}),
        ((8, 1), {0: "data"}, {0: "data"}, {0: "data"}, {}),
        ((4, 2), {0: "data", 1: "model"}, {0: "data"}, {0: "data"}, {}),
        ((2, 4), {0: "data", 1: "model"}, {0: "data"}, {0: "data"}, {}),
    ]
    seen.clear()
    mesh = Mesh(np.array(jax.devices()).reshape(2, 2, 2), ("a", "b", "c"))
    args = (batch(8, 4), jax.random.key(0), raw, 2.0, batch(3))
    assert_sharding_invariant(fn, *args, meshes=[mesh, (4,)], shardings=(None, None, None, None, None))
    assert [shape for shape, *_ in seen] == [(1, 1, 1), (2, 2, 2), (4,)]
    seen.clear()
    assert_sharding_invariant(fn, *args, devices=jax.devices()[4:6])
    assert [shape for shape, *_ in seen] == [(1, 1), (2, 1), (2, 1)]
    assert {
        device.id
        for device in assert_sharding_invariant(lambda x: x, batch(2), devices=jax.devices()[4:6]).devices()
    } == {4}


@eight
def test_mesh_is_in_force_and_given() -> None:
    def total(x: Any, mesh: Any) -> Any:
        return shard_map(lambda x: psum(x.sum(), "data"), mesh, P("data"), P())(x)

    assert_sharding_invariant(jax.jit(total, static_argnames="mesh"), batch(8, 4), shardings=(P("data"),))
    if hasattr(jax, "set_mesh"):
        constrained = jax.jit(lambda x: with_sharding_constraint(x * 2, P("data", "model")))
        assert_sharding_invariant(constrained, batch(8, 4))
    bound = functools.partial(lambda x, mesh: x * mesh, mesh=3)
    assert_sharding_invariant(bound, batch(8))


@eight
def test_rounding_is_no_difference() -> None:
    x = batch(4096, 2)
    assert_sharding_invariant(lambda x: x.sum(0), x)
    assert_sharding_invariant(lambda x: x.sum(0), x.astype(jnp.bfloat16))
    assert failure(lambda x: x.sum(0), x, rtol=0, atol=0).problems[0].kind == "value"


@eight
@pytest.mark.parametrize("partitionable", [True, False])
def test_keys_and_draws_are_the_same_on_any_mesh(partitionable: bool) -> None:
    @functools.partial(jax.jit, static_argnames="mesh")
    def draw(key: Any, keys: Any, raw: Any, mesh: Any) -> Any:
        place = functools.partial(with_sharding_constraint, shardings=NamedSharding(mesh, P("data", "model")))
        bits = place(jax.random.bits(key, (8, 4)))
        each = jax.vmap(lambda key: jax.random.uniform(key, (4,)))(keys)
        return (
            bits,
            place(jax.random.uniform(raw, (8, 4))),
            each,
            jax.random.split(key, 8),
            jax.random.fold_in(key, 3),
        )

    stream = KeyStream(0, "test")
    keys = (stream("dropout"), stream.take(8, "batch"), KeyStream(0, "raw", typed=False)())
    with jax.threefry_partitionable(partitionable):
        assert_sharding_invariant(draw, *keys, meshes=[(4, 2), (2, 4)])


@eight
def test_a_stream_gives_the_same_keys_under_any_mesh() -> None:
    def fn(x: Any) -> Any:
        return KeyStream(3, "a test").take(8)

    assert_sharding_invariant(fn, batch(8, 4), meshes=[(2, 4)])


# What is caught


@eight
def test_index_of_the_device() -> None:
    def dropout(x: Any, key: Any, mesh: Any) -> Any:
        def local(x: Any, key: Any) -> Any:
            key = jax.random.fold_in(key, jax.lax.axis_index("data"))
            return x * jax.random.bernoulli(key, 0.5, x.shape)

        return shard_map(local, mesh, (P("data"), P()), P("data"))(x, key)

    error = failure(jax.jit(dropout, static_argnames="mesh"), jnp.ones((8, 4)), jax.random.key(0))
    assert error.headline == "`dropout` depends on how its arguments are spread over 8 devices"
    assert error.problems[0].kind == "value"
    assert error.problems[0].path.startswith("output[")
    assert error.problems[0].labels == ("one device", "data=8 x model=1, whole")
    assert "a key folded with it" in error.help


@eight
def test_report() -> None:
    def normalized(data: Any, mesh: Any) -> Any:
        fn = shard_map(lambda x: x - x.mean(0), mesh, P("data"), P("data"))
        return {"y": fn(data["x"]), "n": data["x"].shape[0]}

    data = {"x": jnp.arange(8.0).reshape(8, 1)}
    with pytest.raises(PurityError) as caught:
        assert_sharding_invariant(normalized, data, meshes=[(2, 4), (4, 2)])
    assert text(caught.value) == (
        "`normalized` depends on how its arguments are spread over 8 devices\n"
        "  output['y'][0, 0]: 8 of 8 elements differ, by at most N ULP\n"
        "    one device:              -3.5\n"
        "    data=2 x model=4, whole: -1.5\n"
        "  mesh: data=2 x model=4, whole\n"
        "  also on the mesh: data=2 x model=4, split\n"
        "  also on the mesh: data=4 x model=2, split\n"
        "  settings: ...\n"
        "  help: look for what depends on the mesh: `lax.axis_index` and a key folded with it, its size, statistics or "
        "shuffles of a shard instead of the batch (`lax.pmean` over the axis makes them the same); where only rounding is "
        "left, give the distance that is acceptable as `rtol` and `atol`"
    )


@eight
def test_report_says_how_arguments_are_split() -> None:
    def fn(x: Any, y: Any) -> Any:
        return x + (0 if x.sharding.is_fully_replicated else 1), y

    x, y = jnp.zeros((4, 2), jnp.int32), jnp.zeros(3)
    with pytest.raises(PurityError) as caught:
        assert_sharding_invariant(fn, x, y, devices=4)
    assert caught.value.notes[0] == "mesh: data=4 x model=1, split; x: P('data', None)"
    assert caught.value.notes[1] == "also on the mesh: data=2 x model=2, split"
    assert [(p.path, p.before, p.after) for p in caught.value.problems] == [("output[0][0, 0]", "0", "1")]


@eight
def test_copies_that_are_not_equal() -> None:
    def fn(x: Any, mesh: Any) -> Any:
        return shard_map(lambda x: x.sum(keepdims=True), mesh, P("data"), P(), check=False)(x)

    error = failure(fn, jnp.arange(8.0), shardings=(P("data"),), meshes=[(8, 1)])
    assert "devices hold copies that are not equal" in error.problems[0].message
    assert error.problems[0].labels == ("on device 0", "on device 1")
    assert (error.problems[0].before, error.problems[0].after) == ("0.0", "1.0")

    def keys(x: Any, mesh: Any) -> Any:
        def local(x: Any) -> Any:
            return jax.random.key_data(jax.random.key(jax.lax.axis_index("data")))

        return jax.random.wrap_key_data(shard_map(local, mesh, P("data"), P(), check=False)(x))

    assert "not equal" in failure(keys, jnp.arange(8.0)).problems[0].message


@eight
def test_shape_that_depends_on_the_mesh() -> None:
    def fn(x: Any, mesh: Any) -> Any:
        return x[: mesh.shape["data"]], mesh.shape["model"]

    found = failure(fn, batch(8, 4), meshes=[(8, 1), (4, 2)]).problems
    assert [(p.kind, p.path) for p in found] == [("shape", "output[0]"), ("value", "output[1]")]


@eight
def test_what_does_not_repeat_itself_is_told_as_that() -> None:
    error = failure(lambda x: x * np.random.normal(), batch(8))
    assert (
        error.headline == "`<lambda>` does not repeat itself on one device, so nothing can be said about many"
    )
    assert [p.path for p in error.problems if p.kind == "hidden-state"] == ["numpy.random"]


@eight
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"devices": 1}, ValueError, "devices must be two or more, to have something to compare: 1"),
        ({"devices": "8"}, TypeError, "devices must be a number or a list of devices, not '8'"),
        ({"devices": True}, TypeError, "devices must be a number or a list of devices, not True"),
        ({"devices": [1, 2]}, TypeError, "and has 1"),
        (
            {"meshes": []},
            TypeError,
            "meshes must be a list of shapes, such as [(4, 2)], or of meshes, not []",
        ),
        ({"meshes": [8]}, TypeError, "a mesh has the shape (data, model), such as (4, 2), not 8"),
        ({"meshes": [(8, 2)]}, ValueError, "a mesh of the shape (8, 2) needs 16 devices, and there are 8"),
        ({"meshes": [(1, 1)]}, ValueError, "a mesh of the shape (1, 1) needs 1 devices, and there are 8"),
        ({"rtol": "a"}, TypeError, "rtol must be a number, not 'a'"),
        ({"atol": -1.0}, ValueError, "atol must not be negative: -1.0"),
        (
            {"shardings": P("data")},
            TypeError,
            "shardings must be a tuple with a PartitionSpec for each argument",
        ),
        ({"shardings": (None, None)}, ValueError, "shardings must have an entry for each argument: 2 for 1"),
        (
            {"shardings": (P("data"),)},
            ValueError,
            "shardings: P('data') does not fit `x['b']`, which is float32[3]",
        ),
        (
            {"shardings": (P("data", "data"),)},
            ValueError,
            "shardings: P('data', 'data') does not fit `x['a']`",
        ),
        (
            {"shardings": ({"a": P()},)},
            ValueError,
            "shardings: `x` has another structure than what is said of it",
        ),
    ],
)
def test_bad_options(options: Any, error: type[Exception], message: str) -> None:
    x = {"a": batch(8, 4), "b": batch(3), "c": 1.0, "d": jnp.asarray(1.0)}
    calls: list[Any] = []
    with pytest.raises(error) as caught:
        assert_sharding_invariant(calls.append, x, **options)
    assert message in str(caught.value)
    assert not calls


@eight
def test_bad_devices() -> None:
    with pytest.raises(ValueError, match="devices must be two or more, each of them once"):
        assert_sharding_invariant(jnp.sin, batch(8), devices=[jax.devices()[0]] * 2)


@eight
def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="needs an array in the arguments: there is nothing to spread"):
        assert_sharding_invariant(lambda x: x, 1.0)
    with pytest.raises(TypeError, match="is a list_iterator, which can be read only once"):
        assert_sharding_invariant(lambda x: x, iter([batch(8)]))
    with pytest.raises(TypeError, match="list_iterator, which cannot be compared"):
        assert_sharding_invariant(lambda x: iter([x]), batch(8))
    sharded = jax.device_put(batch(8), NamedSharding(Mesh(np.array(jax.devices()), ("x",)), P("x")))
    assert len(assert_sharding_invariant(lambda x: x, sharded).devices()) == 1


# One device is not enough


def test_function_is_checked_first() -> None:
    with pytest.raises(
        TypeError, match="assert_sharding_invariant needs a function and its arguments, not the value 3"
    ):
        assert_sharding_invariant(3)  # type: ignore[arg-type]


def test_one_device_skips_and_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    with pytest.raises(pytest.skip.Exception) as skipped:
        assert_sharding_invariant(jnp.sin, batch(8))
    assert str(skipped.value) == (
        "assert_sharding_invariant needs 8 devices, and there is 1 cpu device: on CPU set `purestate_host_devices = 8` in "
        "the configuration of pytest"
    )
    with pytest.raises(pytest.skip.Exception, match=r"needs 4 devices.*purestate_host_devices = 4"):
        assert_sharding_invariant(jnp.sin, batch(8), devices=4)


def test_one_device_is_an_error_outside_of_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    try:
        with pytest.raises(RuntimeError) as caught:
            assert_sharding_invariant(jnp.sin, batch(8))
    finally:
        os.environ["PYTEST_CURRENT_TEST"] = "put back, for pytest removes it"
    assert str(caught.value) == (
        "assert_sharding_invariant needs 8 devices, and there is 1 cpu device: on CPU set "
        "XLA_FLAGS=--xla_force_host_platform_device_count=8 before JAX starts"
    )


def test_a_user_sees_a_skip_or_a_result(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    pytester.makepyfile(
        """
        import jax, jax.numpy as jnp
        from pytest_purestate import assert_sharding_invariant

        def test_mean():
            x = jnp.arange(16.0).reshape(8, 2)
            assert assert_sharding_invariant(jax.jit(lambda x: x.mean(0)), x).shape == (2,)

        def test_local():
            assert_sharding_invariant(lambda x, mesh: x * mesh.shape["data"], jnp.ones(8))
        """
    )
    pytester.makeini("[pytest]\npurestate_host_devices = 8\n")
    result = pytester.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*`<lambda>` depends on how its arguments are spread over 8 devices",
            "*data=8 x model=1, whole: 8.0",
        ]
    )
    result.stdout.no_fnmatch_line("*sharding_invariant.py*")
    pytester.makeini("[pytest]\n")
    result = pytester.runpytest_subprocess("-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(
        ["*needs 8 devices, and there is 1 cpu device: on CPU set `purestate_host_devices = 8`*"]
    )


@pytest.mark.skipif(jax.device_count() >= 8, reason="all of this runs on eight devices already")
def test_all_of_this_runs_on_eight_devices() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        "-o",
        "purestate_host_devices=8",
        str(HERE),
    ]
    done = subprocess.run(
        [*command, "-k", "not one_device and not a_user_sees and not all_of_this"],
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d\d passed", done.stdout)
    assert "skipped" not in done.stdout
