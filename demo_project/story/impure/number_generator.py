"""Pair 2, object: a linear congruential generator that hides its state.

What to see: `generate()` takes nothing and gives a new number each time. Two parts of a program
which share one generator change each other's numbers, and nothing at the call says so.

The constants are those of "Numerical Recipes"; the modulus 2**32 is the wrap-around of a uint32.
"""

from typing import Final

__all__ = ["LinearCongruentialGenerator"]

MULTIPLIER: Final = 1664525
INCREMENT: Final = 1013904223


class LinearCongruentialGenerator:
    """Numbers from 0 to 65535: the upper half of a state of 32 bits, whose lower bits are too
    regular to use.
    """

    def __init__(self, seed: int) -> None:
        self.state = seed

    def generate(self) -> int:
        """Return the next number."""
        self.state = (MULTIPLIER * self.state + INCREMENT) % 2**32
        return self.state >> 16
