"""What a finding says in full: both places, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_purestate.cli import main

SEEDS = """\
import time

import jax


def noise():
    now = time.time()
    seed = int(now)
    return jax.random.key(seed)


def at_once():
    return jax.random.key(int(time.time()))
"""
SEEDS_SAY = """\
PS110 the seed of this key comes from `time.time`, so no run can be repeated
  --> code.py:9:12
   |
 7 |     now = time.time()
   |           --------- made here
 9 |     return jax.random.key(seed)
   |            ^^^^^^^^^^^^^^^^^^^^ another key in every run
   = help: take the seed as an argument, and log it

PS110 the seed of this key comes from `time.time`, so no run can be repeated
  --> code.py:13:12
   |
13 |     return jax.random.key(int(time.time()))
   |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ another key in every run
   = help: take the seed as an argument, and log it
"""
TRACED = """\
import jax
import jax.numpy as jnp


@jax.jit
def step(batch):
    batch["x"][0] = 0.0
    return jnp.sum(batch["x"])
"""
LOOP = """\
from flax import struct


@struct.dataclass
class State:
    pos: float
    done: bool


def expand(pairs):
    out = []
    for state, action in pairs:
        out.append(state.replace(pos=state.pos + action))
        state = state.replace(done=True)
    return out
"""
LOOP_SAYS = """\
PS207 the new `state` is never used: the old one stays as it was
  --> code.py:14:9
   |
14 |         state = state.replace(done=True)
   |         ^^^^^ `state` is made here and lost
15 |     return out
   |            --- the old `done` is returned as it was
   = help: carry the new value on in place of the old one
"""
HANDED = """\
import optax


def fill(pair):
    pair[0]["w"] = 1.0


def run(params: optax.Params, name):
    fill((params["a"], name))
    return params
"""
HANDED_SAYS = """\
PS202 state `params['a']` of the caller is edited in place
  --> code.py:9:11
   |
 5 |     pair[0]["w"] = 1.0
   |     ------------------ an item is assigned here
 9 |     fill((params["a"], name))
   |           ^^^^^^^^^^^^^^^^^ handed over here to be edited
   = help: build a new tree and return it, for example with `jax.tree.map`, `{**tree, name: value}` or `state.replace(...)`
"""
LOST = """\
import jax


@jax.jit
def step(cache, x):
    cache["last"] = x
    return x + 1
"""
LOST_SAYS = """\
PS202 the edit of `cache` is lost: `jax.jit` hands over new containers, and nobody else sees this one
  --> code.py:6:5
   |
 6 |     cache["last"] = x
   |     ^^^^^^^^^^^^^^^^^ an item is assigned here
   = help: build a new tree and return it, for example with `jax.tree.map`, `{**tree, name: value}` or `state.replace(...)`
"""
TRACED_SAYS = """\
PS201 `batch["x"]` is a JAX array and cannot be assigned in place
  --> code.py:7:5
   |
 7 |     batch["x"][0] = 0.0
   |     ^^^^^^^^^^^^^^^^^^^ raises TypeError when it runs
   = help: JAX arrays are immutable: `batch["x"] = batch["x"].at[...].set(...)`
"""

BATCH = """\
import jax


class Envs:
    def __init__(self, env, seeds):
        self.keys = jax.vmap(jax.random.key)(seeds)
        self.env = env

    def reset(self):
        return jax.vmap(jax.random.normal)(self.keys)
"""
BATCH_SAYS = """\
PS109 `reset` consumes `self.keys` and leaves it in place: the next call draws the same numbers
  --> code.py:10:44
   |
10 |         return jax.vmap(jax.random.normal)(self.keys)
   |                                            ^^^^^^^^^ consumed here and kept
   = help: split each, spend one part and store the other: `jax.vmap(jax.random.split)(self.keys)`
"""
REMADE = """\
import jax


def run(config):
    params = jax.random.normal(jax.random.key(config.seed), (3,))
    return params + jax.random.uniform(jax.random.key(config.seed), (3,))
"""
REMADE_SAYS = """\
PS101 key `jax.random.key(config.seed)` is used again after `normal` consumed it
  --> code.py:6:40
   |
 5 |     params = jax.random.normal(jax.random.key(config.seed), (3,))
   |                                --------------------------- first consumed here
 6 |     return params + jax.random.uniform(jax.random.key(config.seed), (3,))
   |                                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^ the same key again, of the same seed
   |                                        |
   |                                        used again here
   = help: make it once and split it, or tell the two apart with `jax.random.fold_in` and a number
"""

SWAPPED = """\
import jax


def init(net, rng, x):
    rng, _rng = jax.random.split(rng)
    params = jax.random.normal(rng, x.shape)
    rng, _rng = jax.random.split(rng)
    return params, jax.random.normal(_rng, x.shape)
"""
SWAPPED_SAYS = """\
PS104 key `rng` is used again after `normal` consumed it, while `_rng` is never used
  --> code.py:7:34
   |
 6 |     params = jax.random.normal(rng, x.shape)
   |                                --- first consumed here
 7 |     rng, _rng = jax.random.split(rng)
   |                                  ^^^ used again here
   = help: hand `_rng` to `normal`
"""


@pytest.mark.parametrize(
    ("code", "says"),
    [
        pytest.param(SEEDS, SEEDS_SAY, id="seeds"),
        pytest.param(TRACED, TRACED_SAYS, id="traced"),
        pytest.param(SWAPPED, SWAPPED_SAYS, id="swapped"),
        pytest.param(LOOP, LOOP_SAYS, id="loop"),
        pytest.param(HANDED, HANDED_SAYS, id="handed"),
        pytest.param(LOST, LOST_SAYS, id="lost"),
        pytest.param(BATCH, BATCH_SAYS, id="batch"),
        pytest.param(REMADE, REMADE_SAYS, id="remade"),
    ],
)
def test_says(
    code: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("code.py").write_text(code)
    assert main(["check", "--isolated", "--no-cache", "--jobs=0"]) == 1
    assert capsys.readouterr().out.startswith(says)
