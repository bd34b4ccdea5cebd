"""Runs the steps of tests/gpu on this device, with and without the settings for determinism, and writes what came out.

python -m benchmarks.gpu OUT.json [--runs 20]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

STEPS = Path(__file__).resolve().parents[2] / "tests" / "gpu" / "steps.py"
NAMES = ("scatter", "segment", "convolution")
FLAGS = ("", "--xla_gpu_deterministic_ops=true", "--xla_gpu_autotune_level=0")


def device() -> str:
    """The device and its driver, as the driver names them."""
    if (program := shutil.which("nvidia-smi")) is None:
        return "no nvidia-smi: the device is not known"
    query = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()


def run(name: str, flags: str, runs: int) -> dict[str, Any]:
    """One step in a process of its own."""
    environment = {**os.environ, "XLA_FLAGS": flags, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    done = subprocess.run(
        [sys.executable, str(STEPS), name, str(runs)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Run all and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    outcomes = [run(name, flags, options.runs) for name in NAMES for flags in FLAGS]
    found = {"device": device(), "outcomes": outcomes}
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for each in outcomes:
        print(
            f"{each['step']:12} {each['differing calls']:3} of {each['runs'] - 1} calls differ   {each['settings']}"
        )


if __name__ == "__main__":
    main()
