"""Pair 1, object: a turnstile that remembers by itself whether somebody paid.

What to see: `action(PUSH)` answers `False`, then, after a coin, `True`. The same call gives two
answers, because the reason for the answer, `self.unlocked`, is neither in the arguments nor in the
result. No static rule is broken, since the object works as written. It is the caller who cannot
replay, compile or batch it.
"""

from typing import Final

__all__ = ["COIN", "PUSH", "Turnstile"]

COIN: Final = 0
PUSH: Final = 1


class Turnstile:
    """A turnstile: a coin unlocks it, a push lets one person through and locks it again."""

    def __init__(self) -> None:
        self.unlocked = False

    def action(self, input: int) -> bool:
        """Feed one input, `COIN` or `PUSH`, and learn whether a person passes."""
        passes = self.unlocked and input == PUSH
        self.unlocked = input == COIN
        return passes
