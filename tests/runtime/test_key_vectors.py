"""The derivation of keys is documented with vectors, which an implementation without JAX reproduces."""

import hashlib
import json
import re
import struct
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from pytest_purestate import KeyStream

VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("key_vectors.json").read_text(encoding="utf-8")
)
PAGE = (Path(__file__).parents[2] / "docs" / "keys.md").read_text(encoding="utf-8")
MASK = 0xFFFFFFFF
IDS = [f"{row['impl']}-{i}" for i, row in enumerate(VECTORS)]


def threefry2x32(key: tuple[int, int], count: tuple[int, int]) -> tuple[int, int]:
    """Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3": 20 rounds, a key word added after each four."""
    words = (*key, key[0] ^ key[1] ^ 0x1BD11BDA)
    a, b = (count[0] + words[0]) & MASK, (count[1] + words[1]) & MASK
    for block in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[block % 2]:
            a = (a + b) & MASK
            b = ((b << turn | b >> (32 - turn)) & MASK) ^ a
        a = (a + words[(block + 1) % 3]) & MASK
        b = (b + words[(block + 2) % 3] + block + 1) & MASK
    return a, b


def derived(impl: str, seed: int, path: str, name: str, index: int) -> list[int]:
    """The words of a key, by the text of docs/keys.md."""
    key = (0, seed)
    for component in (path, name, str(index)):
        for word in struct.unpack(">8I", hashlib.sha256(component.encode()).digest()):
            key = threefry2x32(key, (0, word))
    return [*key, *key] if impl == "rbg" else list(key)


def words(key: jax.Array) -> list[int]:
    return [int(word) for word in np.asarray(jax.random.key_data(key))]


@pytest.mark.parametrize(
    ("key", "count", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((MASK, MASK), (MASK, MASK), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_here_is_that_of_random123(key: Any, count: Any, expected: Any) -> None:
    """Its known answers, from ``kat_vectors`` of the Random123 library."""
    assert threefry2x32(key, count) == expected


@pytest.mark.parametrize("row", VECTORS, ids=IDS)
def test_stream_gives_the_vector(row: dict[str, Any]) -> None:
    stream = KeyStream(row["seed"], row["path"], impl=row["impl"])
    assert words(stream.take(row["index"] + 1, row["name"])[row["index"]]) == row["words"]


@pytest.mark.parametrize("row", VECTORS, ids=IDS)
def test_vector_follows_from_the_text_alone(row: dict[str, Any]) -> None:
    assert derived(row["impl"], row["seed"], row["path"], row["name"], row["index"]) == row["words"]


def test_derivation_of_the_page_runs_and_gives_the_vectors() -> None:
    (block,) = (
        text for text in re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S) if "def derive" in text
    )
    assert len(block.splitlines()) <= 14
    namespace: dict[str, Any] = {}
    exec(compile(block, "docs/keys.md", "exec"), namespace)
    for row in VECTORS[:3] + VECTORS[-3:]:
        key = namespace["derive"](row["seed"], row["path"], row["name"], row["index"], impl=row["impl"])
        assert words(key) == row["words"]


def test_page_shows_the_vectors() -> None:
    shown = {}
    for line in re.findall(r"^\| \d.*\|$", PAGE, re.M):
        seed, path, name, index, *keys = (cell.strip().strip("`") for cell in line.strip("|").split("|"))
        where = (int(seed), json.loads(path), json.loads(name), int(index))
        shown.update({(impl, *where): text for impl, text in zip(("threefry2x32", "rbg"), keys, strict=True)})
    assert shown == {
        (row["impl"], row["seed"], row["path"], row["name"], row["index"]): " ".join(
            f"{word:08x}" for word in row["words"]
        )
        for row in VECTORS
    }
