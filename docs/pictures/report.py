"""Makes the pictures of docs/report.md: runs the tests of a small project, and lets Chromium look at the page.

    python docs/pictures/report.py

Needs ``chromium`` on the path, and the extra ``jax``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIZE = "1180,2189"
OPEN = ("test_augment", "test_training")

PROJECT = {
    "pytest.ini": "[pytest]\n",
    "model.py": """\
import itertools

import jax
import jax.numpy as jnp

EPOCHS = itertools.count()


def augment(key, images):
    shift = jax.random.uniform(key, (2,))
    noise = 0.1 * jax.random.normal(key, images.shape)
    return images + shift.sum() + noise


@jax.jit
def train_step(weights, key, images):
    key, dropout_key = jax.random.split(key)
    kept = jax.random.bernoulli(dropout_key, 0.9, images.shape)
    return weights - 0.01 * (images * kept).mean(), key


def train(weights, key, images, steps):
    for step in range(steps):
        weights, key = train_step(weights, key, images)
        if step % 10 == 9:
            evaluate(weights, jax.random.fold_in(key, step))
    return weights


def evaluate(weights, key):
    left, right = jax.random.split(key)
    return weights @ jax.random.normal(left, weights.shape) + jax.random.uniform(right)


def clear_bias(state):
    state.params["bias"] = jnp.full_like(state.params["bias"], 0.5)
    return state


def shuffle(key, images):
    return jax.random.permutation(jax.random.fold_in(key, next(EPOCHS)), images)
""",
    "test_model.py": """\
import flax.linen as nn
import jax
import jax.numpy as jnp
import model
from pytest_purestate import assert_deterministic

IMAGES = jnp.linspace(0, 1, 64).reshape(8, 8)


def test_augment(key):
    assert model.augment(key, IMAGES).shape == IMAGES.shape


def test_training(keys):
    weights = model.train(jnp.ones(4), keys("train"), IMAGES, steps=40)
    assert jnp.isfinite(weights).all()


def test_evaluate_repeats(key):
    assert_deterministic(model.evaluate, jnp.ones(4), key)


def test_clear_bias(make_train_state):
    model.clear_bias(make_train_state(nn.Dense(2), IMAGES))


def test_shuffle(key):
    assert_deterministic(model.shuffle, key, IMAGES)
""",
}


def main() -> None:
    """Write report.png and report-dark.png."""
    browser = shutil.which("chromium") or sys.exit("chromium is not on the path")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "vision")
        project.mkdir()
        for name, text in PROJECT.items():
            (project / name).write_text(text, encoding="utf-8")
        tests = [sys.executable, "-m", "pytest", "-q", "--purestate-html", "report.html", "test_model.py"]
        subprocess.run([*tests, "-p", "no:randomly", "-p", "no:cacheprovider"], cwd=project, check=False)
        page = project / "report.html"
        page.write_text(_opened(page.read_text(encoding="utf-8")), encoding="utf-8")
        for name, scheme in (("report.png", 1), ("report-dark.png", 0)):
            command = [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ]
            command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
            command += [
                f"--user-data-dir={folder}/profile{scheme}",
                "--hide-scrollbars",
                f"--window-size={SIZE}",
            ]
            command += [f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={HERE / name}"]
            subprocess.run([*command, page.as_uri()], check=True, stderr=subprocess.DEVNULL)


def _opened(page: str) -> str:
    """The page with some of its tests open, and without the script, which would show the same."""
    for name in OPEN:
        page = re.sub(
            rf'<details class="test"(?=[^>]*>(?:(?!</summary>).)*<bdi>{name}<)',
            '<details open class="test"',
            page,
        )
    return page


if __name__ == "__main__":
    main()
