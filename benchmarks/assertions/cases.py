"""The steps and defects of the tests, for the benchmarks: `tests/runtime/steps_models.py` and `steps_defects.py`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "runtime"))

from steps_defects import plant, planted
from steps_models import MODELS, Case, make

__all__ = ["MODELS", "Case", "make", "plant", "planted"]
