"""placeholder"""
from __future__ import annotations
from dataclasses import dataclass
__all__ = ["Problem", "problem"]
@dataclass(frozen=True, slots=True)
class Problem:
    message: str
    help: str
    offset: int
def problem(data: bytes) -> Problem | None:
    return None
