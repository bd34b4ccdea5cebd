"""``python -m pytest_purestate`` is the command ``purestate``."""

from __future__ import annotations

import sys

from pytest_purestate.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
