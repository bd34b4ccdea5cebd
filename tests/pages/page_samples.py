"""Runs as they are recorded, made up for tests of the page."""

from __future__ import annotations

from typing import Any

EVIL = '<script>window.injected = 1</script>"><img src=x onerror="window.injected = 1">'

RUN: dict[str, Any] = {
    "began": "2026-01-01T12:00:00+0000",
    "seconds": 75.5,
    "command": f"pytest -k '{EVIL}'",
    "project": "noise",
    "seed": 7,
    "exit": 1,
    "stopped": "",
    "lineages": True,
    "note": "",
    "versions": {"python": "3.11.7", "jax": "0.10.2"},
}

LINEAGE: dict[str, Any] = {
    "roots": [
        {
            "is": "stream",
            "text": "key",
            "at": "test_noise.py:13",
            "kids": [
                {
                    "is": "draw",
                    "text": "normal float32[3]",
                    "at": "noise.py:5",
                    "in": "noisy",
                    "bad": "first",
                },
                {
                    "is": "draw",
                    "text": "uniform float32[3]",
                    "at": "noise.py:6",
                    "in": "noisy",
                    "bad": "again",
                },
            ],
        },
        {
            "is": "root",
            "text": "jax.random.key(0)",
            "at": "noise.py:9",
            "kids": [
                {
                    "is": "split",
                    "text": "split into 2",
                    "at": "noise.py:11",
                    "in": "step",
                    "within": "step",
                    "times": 19,
                    "carried": 0,
                    "kids": [
                        {
                            "is": "child",
                            "text": "[1]",
                            "kids": [
                                {"is": "draw", "text": "bernoulli bool[3]", "at": "noise.py:12", "loop": True}
                            ],
                        }
                    ],
                },
                {"is": "again", "times": 4, "kids": [{"is": "fold", "text": "fold_in(0 … 3)", "times": 4}]},
                {"is": "unused", "times": 1, "text": "fold"},
                {"is": "more", "times": 12},
            ],
        },
    ],
    "keys": 23,
    "uses": 22,
    "bad": 2,
    "left_out": 0,
}

TESTS: list[dict[str, Any]] = [
    {
        "id": "tests/test_noise.py::test_noise",
        "at": "tests/test_noise.py:13",
        "outcome": "failed",
        "seconds": 2.5,
        "attempts": 2,
        "text": "a key is drawn from that was drawn from before\n  first here: noise.py:5",
        "findings": [
            {"concern": "keys", "level": "error", "text": "a key is drawn from that was drawn from before"},
            {"concern": "host", "level": "warn", "text": f"state of the process is left changed {EVIL}"},
        ],
        "lineage": LINEAGE,
        "functions": [
            {"name": "step", "traces": 2, "compiles": 1, "seconds": 1.25, "at": "noise.py:9"},
            {"name": "", "library": 5, "traces": 7, "compiles": 3, "seconds": 0.02, "at": ""},
        ],
    },
    {
        "id": f"tests/test_noise.py::test_evil[{EVIL}]",
        "at": "tests/test_noise.py:20",
        "outcome": "passed",
        "seconds": 0.001,
        "attempts": 1,
    },
    {
        "id": "tests/test_state.py::test_edit",
        "at": "tests/test_state.py:3",
        "outcome": "failed",
        "seconds": 0.2,
        "attempts": 1,
        "findings": [{"concern": "state", "level": "error", "text": "state is edited in place"}],
        "changes": [
            {
                "source": "state",
                "kind": "type",
                "path": "state.params['bias'][0]",
                "message": "the type changed",
                "before": "float32[2]",
                "after": EVIL,
            },
            {
                "source": "host",
                "kind": "flag",
                "path": "jax_enable_x64",
                "message": "changed",
                "before": "False",
            },
        ],
        "changes_left_out": 3,
    },
    {
        "id": "tests/test_state.py::test_ways",
        "at": "tests/test_state.py:9",
        "outcome": "failed",
        "seconds": 0.2,
        "attempts": 1,
        "text": "AssertionError",
        "checks": [
            {
                "assertion": "assert_deterministic",
                "function": "step",
                "ways": ["calls", "recompile"],
                "failed": "",
                "runs": 3,
                "at": "tests/test_state.py:10",
                "problems": 0,
            },
            {
                "assertion": "assert_deterministic",
                "function": "noisy",
                "ways": ["calls", "recompile"],
                "failed": "recompile",
                "runs": 3,
                "at": "tests/test_state.py:11",
                "problems": 4,
            },
        ],
    },
    {
        "id": "noise.py::PS101",
        "at": "noise.py:6",
        "outcome": "failed",
        "seconds": 0,
        "static": True,
        "text": "PS101 …",
    },
    {
        "id": "tests/test_noise.py::test_skipped",
        "at": "",
        "outcome": "skipped",
        "seconds": 0,
        "text": "no <b>",
    },
    {"id": "tests/test_noise.py::test_known", "at": "", "outcome": "xfailed", "seconds": 0},
    {"id": "tests/test_noise.py::test_better", "at": "", "outcome": "xpassed", "seconds": 0, "worker": "gw1"},
    {
        "id": "tests/test_broken.py",
        "at": "tests/test_broken.py",
        "outcome": "error",
        "seconds": 0,
        "text": "ImportError",
    },
]


def many(count: int) -> list[dict[str, Any]]:
    """So many tests that passed, each with a lineage of some size."""
    kids = [{"is": "draw", "text": f"normal float32[{size}]", "at": "noise.py:5"} for size in range(60)]
    lineage = {
        "roots": [{"is": "stream", "text": "key", "kids": kids}],
        "keys": 1,
        "uses": 60,
        "bad": 0,
        "left_out": 0,
    }
    return [
        {
            "id": f"tests/test_{number % 40}.py::test_{number}",
            "at": f"tests/test_{number % 40}.py:{number}",
            "outcome": "passed",
            "seconds": 0.01,
            "attempts": 1,
            "lineage": lineage,
        }
        for number in range(count)
    ]
