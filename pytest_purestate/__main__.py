"""``python -m pytest_purestate`` is the command ``purestate``."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # `python -m` puts the working directory first: a `string.py` there, which may be the very file to be
    # checked, must not replace the standard library's.
    sys.path.pop(0)

from pytest_purestate.cli import main

__all__ = ["run"]


def run() -> int:
    """The command, in a process of its own."""
    return main(own_process=True)


if __name__ == "__main__":
    sys.exit(run())
