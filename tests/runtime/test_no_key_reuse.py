"""Keys that are used twice: each told by name, with the lines of both uses."""

import functools
import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax, random

from pytest_purestate import PurityError, assert_no_key_reuse
from pytest_purestate._runtime._compat import seam
from pytest_purestate._runtime.guard.lineage_watch import LineageWatch

HERE = Path(__file__).name


def failure(fn: Callable[..., object], *args: Any) -> PurityError:
    with pytest.raises(PurityError) as caught:
        assert_no_key_reuse(fn, *args)
    assert all(problem.kind == "key-reuse" for problem in caught.value.problems)
    return caught.value


def paths(fn: Callable[..., object], *args: Any) -> list[str]:
    return [problem.path for problem in failure(fn, *args).problems]


def line_of(fn: Callable[..., object], text: str) -> int:
    lines, start = inspect.getsourcelines(inspect.unwrap(fn))
    return next(start + n for n, line in enumerate(lines) if text in line)


def draw_twice(key: jax.Array) -> jax.Array:
    one = random.normal(key, (2,))
    return one + random.uniform(key, (2,))


def split_well(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    key, sub = random.split(key)
    return random.normal(sub), key


class Noise:
    def __init__(self, key: jax.Array) -> None:
        self.key = key

    def twice(self) -> jax.Array:
        return random.normal(self.key) + random.normal(self.key, (2,))

    def __call__(self, key: jax.Array) -> jax.Array:
        return draw_twice(key)


def test_report_has_the_argument_and_both_lines() -> None:
    key = random.key(0)
    with pytest.raises(PurityError) as caught:
        assert_no_key_reuse(draw_twice, key)
    first, again = (line_of(draw_twice, text) for text in ("one = ", "return one"))
    folder = Path(__file__).parent
    here = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    assert str(caught.value) == (
        "`draw_twice` uses a key twice\n"
        "  key: is drawn from after it was drawn from\n"
        f"    first: {here / HERE}:{first} in draw_twice: drawn from\n"
        f"    again: {here / HERE}:{again} in draw_twice: drawn from\n"
        "  help: split it first, `key_a, key_b = jax.random.split(key)`, and use each part once"
    )


def test_result_is_returned() -> None:
    key = random.key(0)
    drawn, rest = assert_no_key_reuse(split_well, key)
    assert drawn == split_well(key)[0]
    assert random.key_data(rest).tolist() == random.key_data(split_well(key)[1]).tolist()


@pytest.mark.parametrize(
    "fn",
    [
        split_well,
        jax.jit(split_well),
        functools.partial(split_well),
        lambda key: jnp.stack([random.normal(each) for each in random.split(key, 3)]),
        lambda key: jnp.flip(random.split(key)) is not None,
        lambda key: random.normal(random.fold_in(key, 0)) + random.normal(random.fold_in(key, 1)),
        lambda key: jax.vmap(random.normal)(random.split(key, 3)),
        lambda key: lax.cond(True, random.normal, random.uniform, key),
        lambda key: None,
    ],
)
def test_good_code_passes(fn: Callable[..., object]) -> None:
    assert_no_key_reuse(fn, random.key(0))
    assert_no_key_reuse(fn, random.PRNGKey(0))


def test_nothing_about_keys_passes() -> None:
    assert assert_no_key_reuse(lambda x, mode: x * 2 if mode == "double" else x, 3.0, "double") == 6.0
    assert assert_no_key_reuse(lambda: 1) == 1
    assert assert_no_key_reuse(jnp.sin, jnp.zeros(2)).shape == (2,)


def test_every_reuse_is_told() -> None:
    def many(one: jax.Array, other: jax.Array) -> jax.Array:
        a = random.normal(one)
        b = random.normal(one)
        c = random.split(other)
        d = random.normal(other)
        return a + b + d + random.normal(one) + random.normal(c[0])

    error = failure(many, random.key(0), random.key(1))
    assert error.headline == "`many` uses keys in 3 places twice"
    lines = [
        [int(text.partition(".py:")[2].partition(" ")[0]) for text in (problem.before, problem.after)]
        for problem in error.problems
    ]
    a = line_of(many, "a = ")
    assert lines == [[a, a + 1], [a + 2, a + 3], [a, a + 4]]
    assert [problem.message for problem in error.problems] == [
        "is drawn from after it was drawn from",
        "is drawn from after it was split",
        "is drawn from after it was drawn from",
    ]


def test_key_has_the_name_that_the_caller_gave_it() -> None:
    state = {"params": jnp.ones(2), "rngs": [random.key(0), random.key(1)]}
    with pytest.raises(PurityError) as caught:
        assert_no_key_reuse(lambda s: draw_twice(s["rngs"][1]), state)
    assert [problem.path for problem in caught.value.problems] == ["state['rngs'][1]"]


def test_element_of_a_key_array_has_its_index() -> None:
    assert paths(lambda ks: draw_twice(ks[2]), random.split(random.key(0), 3)) == ["args[0][2]"]
    assert paths(jax.jit(lambda ks: draw_twice(ks[2])), random.split(random.key(0), 3)) == ["args[0][2]"]
    raw = random.split(random.PRNGKey(0), 3)
    assert paths(lambda ks: draw_twice(ks[2]), raw) == ["args[0][2]"]
    assert paths(lambda ks: draw_twice(ks[2]), np.asarray(raw)) == ["args[0][2]"]


def test_key_that_was_made_of_an_argument_says_how() -> None:
    key = random.key(0)

    def child(key: jax.Array) -> jax.Array:
        return draw_twice(random.split(key)[1])

    def fold(key: jax.Array) -> jax.Array:
        return draw_twice(random.fold_in(key, 7))

    def grandchild(key: jax.Array) -> jax.Array:
        return draw_twice(random.split(random.split(key)[0], 4)[3])

    for wrap in (lambda f: f, jax.jit):
        found = [paths(wrap(f), key) for f in (child, fold, grandchild)]
        assert found == [
            ["jax.random.split(args[0])[1]"],
            ["jax.random.fold_in(args[0], 7)"],
            ["jax.random.split(jax.random.split(args[0])[0], 4)[3]"],
        ]


def test_key_that_is_made_inside() -> None:
    def seeded(x: jax.Array) -> jax.Array:
        return x + random.normal(random.key(3)) + random.normal(random.key(3))

    def again(x: jax.Array) -> jax.Array:
        return random.normal(random.key(3)) * 2

    error = failure(seeded, 1.0)
    assert [problem.path for problem in error.problems] == ["jax.random.key(3)"]
    assert_no_key_reuse(again, 1.0)
    assert_no_key_reuse(again, 1.0)


def loop_in_python(key: jax.Array) -> list[jax.Array]:
    return [random.normal(key) for _ in range(3)]


def loop_compiled(key: jax.Array) -> Any:
    return lax.fori_loop(0, 3, lambda i, total: total + random.normal(key), 0.0)


def loop_carries(key: jax.Array) -> Any:
    def body(key: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        return key, random.normal(key)

    return lax.scan(body, key, None, length=3)


def until(key: jax.Array) -> Any:
    return lax.while_loop(lambda x: x < 9, lambda x: x + 1 + random.uniform(key), jnp.zeros(()))


def branches(key: jax.Array) -> Any:
    return lax.cond(True, random.normal, random.uniform, key) + random.normal(key)


def in_a_branch(key: jax.Array) -> Any:
    return lax.cond(True, lambda k: random.normal(k) + random.normal(k), random.uniform, key)


def mapped(keys: jax.Array) -> Any:
    return jax.vmap(draw_twice)(random.split(keys))


def rematerialised(key: jax.Array) -> Any:
    return jax.checkpoint(draw_twice)(key)


@jax.custom_jvp
def custom(key: jax.Array, x: float) -> Any:
    return draw_twice(key) + x


@jax.custom_vjp
def custom_backwards(key: jax.Array, x: float) -> Any:
    return draw_twice(key) + x


custom.defjvp(lambda primals, tangents: (custom(*primals), tangents[1]))
custom_backwards.defvjp(lambda key, x: (draw_twice(key) + x, None), lambda _, g: (None, g.sum()))


def nested(key: jax.Array) -> Any:
    return jax.jit(lambda k: lax.scan(lambda c, _: (c + loop_compiled(k), None), 0.0, None, length=2)[0])(key)


@pytest.mark.parametrize(
    "fn",
    [
        *(loop_in_python, loop_compiled, loop_carries, until, branches, in_a_branch, mapped),
        *(rematerialised, nested),
        functools.partial(custom, x=1.0),
        functools.partial(custom_backwards, x=1.0),
    ],
)
@pytest.mark.parametrize("raw", [False, True])
def test_bodies_are_looked_into(fn: Any, raw: bool) -> None:
    if raw and getattr(fn, "func", None) is custom_backwards and jax.__version_info__ < (0, 7):
        pytest.xfail("JAX 0.6 does not tell it from a draw that the backward pass makes once more")
    assert failure(*((jax.jit(fn), random.PRNGKey(0)) if raw else (fn, random.key(0)))).problems


def test_loop_says_that_it_is_one_line() -> None:
    (problem,) = failure(loop_compiled, random.key(0)).problems
    assert problem.message == "is drawn from in every pass of the loop, and is the same each time"
    assert problem.labels == ("first", "each time")
    assert (problem.path, problem.before) == ("args[0]", "")
    assert f"{HERE}:{line_of(loop_compiled, 'fori_loop')} in " in problem.after


def test_one_key_for_two_arguments() -> None:
    def add(one: jax.Array, other: jax.Array) -> jax.Array:
        return random.normal(one) + random.uniform(other)

    key = random.key(0)
    assert_no_key_reuse(add, *random.split(key))
    assert failure(add, key, random.key(0)).problems


def test_what_the_caller_used_before_is_no_reuse() -> None:
    key = random.key(0)
    random.normal(key)
    random.split(key)
    assert_no_key_reuse(random.normal, key)
    assert_no_key_reuse(random.normal, key)


def test_methods_and_callable_objects() -> None:
    assert failure(Noise(random.key(0)).twice).headline == "`Noise.twice` uses a key twice"
    assert paths(Noise(random.key(0)), random.key(1)) == ["args[0]"]
    assert failure(functools.partial(draw_twice, random.key(0))).problems


def test_function_that_branches_on_values_is_only_run() -> None:
    def step(key: jax.Array, x: jax.Array) -> jax.Array:
        if x > 0:
            return draw_twice(key)
        return random.normal(key)

    assert paths(step, random.key(0), jnp.ones(())) == ["args[0]"]
    assert_no_key_reuse(step, random.key(0), jnp.zeros(()))


def test_donated_key() -> None:
    def reuse(state: dict[str, jax.Array]) -> dict[str, jax.Array]:
        return {"x": state["x"] + draw_twice(state["key"]), "key": state["key"]}

    step = jax.jit(reuse, donate_argnums=0)
    state = {"x": jnp.ones(2), "key": random.key(0)}
    assert paths(step, state) == ["args[0]['key']"]
    assert not state["x"].is_deleted()


# --- modules -----------------------------------------------------------------------------------


def apply_twice(rngs: Any, x: jax.Array) -> jax.Array:
    model = nn.Dropout(0.5, deterministic=False)
    return jnp.asarray(model.apply({}, x, rngs=rngs)) + jnp.asarray(model.apply({}, x, rngs=rngs))


def init_with_one_key(key: jax.Array) -> Any:
    model = nn.Sequential([nn.Dense(2), nn.Dropout(0.5, deterministic=False)])
    return model.init({"params": key, "dropout": key}, jnp.ones((1, 2)))


def test_linen_modules_use_what_they_are_given() -> None:
    (problem,) = failure(apply_twice, {"dropout": random.key(0)}, jnp.ones(3)).problems
    assert problem.path == "args[0]['dropout']"
    assert problem.after.endswith("in apply_twice: given to a linen module as `dropout`")
    assert paths(init_with_one_key, random.key(0)) == ["args[0]"]
    assert_no_key_reuse(nn.Dense(2).init, random.key(0), jnp.ones((1, 2)))


def test_linen_module_in_a_function_that_was_compiled_before() -> None:
    jitted = jax.jit(init_with_one_key)
    jitted(random.key(0))
    assert failure(jitted, random.key(0)).problems
    assert failure(lambda key: jitted(key), random.key(0)).problems


def test_shapes_of_a_linen_module_use_no_key() -> None:
    def make(key: jax.Array) -> Any:
        shapes = jax.eval_shape(lambda: nn.Dense(2).init(key, jnp.ones((1, 2))))
        return shapes["params"]["kernel"].shape, nn.Dense(2).init(key, jnp.ones((1, 2)))

    assert_no_key_reuse(make, random.key(0))
    assert_no_key_reuse(lambda key: jax.jit(lambda k: make(k)[1])(key), random.key(0))


def test_nnx_modules() -> None:
    def well(x: jax.Array) -> Any:
        return nnx.Dropout(0.5, rngs=nnx.Rngs(0))(nnx.Linear(3, 3, rngs=nnx.Rngs(1))(x))

    def twice(x: jax.Array) -> Any:
        return nnx.Linear(3, 3, rngs=nnx.Rngs(0))(nnx.Linear(3, 3, rngs=nnx.Rngs(0))(x))

    assert_no_key_reuse(well, jnp.ones(3))
    assert failure(twice, jnp.ones(3)).problems
    model = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    assert_no_key_reuse(lambda model, x: model(model(x)), model, jnp.ones(3))


def test_equinox_modules() -> None:
    model = eqx.nn.Dropout(0.5)
    assert_no_key_reuse(lambda m, x, key: m(x, key=key), model, jnp.ones(3), random.key(0))
    bad = failure(lambda m, x, key: m(m(x, key=key), key=key), model, jnp.ones(3), random.key(0))
    assert [problem.path for problem in bad.problems] == ["args[2]"]


# --- others who watch ----------------------------------------------------------------------------


def test_checker_of_jax_is_not_in_the_way() -> None:
    with jax.debug_key_reuse(True):
        assert paths(draw_twice, random.key(0)) == ["args[0]"]
        assert_no_key_reuse(lambda k: jax.jit(jnp.stack)([k, k]) is not None, random.key(0))
        assert jax.config.jax_debug_key_reuse  # type: ignore[attr-defined]
        with pytest.raises(jax.errors.KeyReuseError):
            draw_twice(random.key(0))
    assert not jax.config.jax_debug_key_reuse  # type: ignore[attr-defined]


def test_nothing_is_watched_behind_the_call() -> None:
    before = jax.config.jax_debug_key_reuse  # type: ignore[attr-defined]
    failure(draw_twice, random.key(0))
    with pytest.raises(ZeroDivisionError):
        assert_no_key_reuse(lambda key: 1 // 0, random.key(0))
    assert jax.config.jax_debug_key_reuse == before  # type: ignore[attr-defined]
    draw_twice(random.key(0))


def test_a_guard_that_watches_already_sees_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        library="""
        import jax

        def twice(key):
            return jax.random.normal(key) + jax.random.normal(key)
        """,
        test_it="""
        import flax.linen as nn
        import jax
        import jax.numpy as jnp
        import pytest
        import library
        from pytest_purestate import PurityError, assert_no_key_reuse

        def test_told(purestate):
            with pytest.raises(PurityError, match="key: is drawn from"):
                key = jax.random.key(0)
                assert_no_key_reuse(library.twice, key)
            with pytest.raises(PurityError):
                assert_no_key_reuse(jax.jit(library.twice), jax.random.key(0))
            assert purestate.findings == ()

        def test_linen():
            model = nn.Dense(2)
            def init(key):
                return model.init(key, jnp.ones((1, 2))), model.init(key, jnp.ones((1, 2)))
            with pytest.raises(PurityError):
                assert_no_key_reuse(init, jax.random.key(0))

        def test_goes_on_behind_it():
            assert_no_key_reuse(jax.random.normal, jax.random.key(0))
            library.twice(jax.random.key(0))
        """,
    )
    run = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pytest",
                "--purestate",
                "-q",
                "-p",
                "no:randomly",
                "-p",
                "no:cacheprovider",
            ),
            *("-p", "no:hypothesispytest"),
            *(f"test_it.py::{name}" for name in ("test_told", "test_linen", "test_goes_on_behind_it")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 2 passed" in run.stdout, run.stdout + run.stderr
    assert "test_goes_on_behind_it" in run.stdout
    assert "library.py:4 in twice" in run.stdout


def test_without_the_place_to_watch_from_the_trace_is_analysed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seam, "replace_seam", lambda call, traced, **_: None)
    assert failure(jax.jit(draw_twice), random.key(0)).problems
    assert failure(loop_compiled, random.PRNGKey(0)).problems
    assert_no_key_reuse(jax.jit(split_well), random.key(0))


def test_mistake_of_ours_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LineageWatch, "_apply", lambda *_: 1 // 0)
    with pytest.warns(RuntimeWarning, match="a mistake of ours, please report it.*ZeroDivisionError"):
        assert_no_key_reuse(random.normal, random.key(0))


def test_typed_in_lines_have_a_place() -> None:
    code = """
import jax
from pytest_purestate import PurityError, assert_no_key_reuse
def twice(key):
    return jax.random.normal(key) + jax.random.normal(key)

key = jax.random.key(0)
try:
    assert_no_key_reuse(twice, key)
except PurityError as error:
    import json
    print(json.dumps([error.problems[0].path, error.problems[0].after]))
"""
    run = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout.splitlines()[-1]) == ["args[0]", "<stdin>:5 in twice: drawn from"]


# --- bad use -------------------------------------------------------------------------------------


def generator() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((3,), "assert_no_key_reuse needs a function and its arguments, not the value 3"),
        (
            (len, generator()),
            "`args[0]` is a generator, which can be read only once; pass a list or an array",
        ),
    ],
)
def test_bad_use_is_refused_before_anything_runs(args: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        assert_no_key_reuse(*args)
    assert str(caught.value) == message


def test_coroutine_and_transformation_are_refused() -> None:
    async def later() -> None: ...

    with pytest.raises(TypeError, match="`later` is a coroutine function"):
        assert_no_key_reuse(later)  # type: ignore[unused-coroutine]
    with pytest.raises(TypeError, match="call it outside of jit, grad, vmap and scan"):
        jax.jit(lambda k: assert_no_key_reuse(random.normal, k))(random.key(0))


def test_deleted_key_is_refused() -> None:
    key = random.key(0)
    key.delete()
    with pytest.raises(ValueError, match="`key` was deleted"):
        assert_no_key_reuse(random.normal, key)
