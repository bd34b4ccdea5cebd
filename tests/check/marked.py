"""A stand-in for the analysis, in a module of its own so that worker processes can import it."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Sequence

from pytest_purestate._check.analysis import Project, SyntaxProblem
from pytest_purestate._check.model import Confidence, Finding, Label, Rule, Span
from pytest_purestate._check.source import Source


def marked(source: Source, project: Project, rules: Sequence[Rule]) -> tuple[Finding, ...]:
    """A finding at every call of ``PSnnn(...)``, ``_low`` for low confidence; words that do harm do it."""
    if "CRASH" in source.text:
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(600)  # the signal may reach another thread first
    if "HANG" in source.text:
        time.sleep(600)
    if "BOOM" in source.text:
        raise KeyError("a\nb")
    if "DEEP" in source.text:
        raise RecursionError
    if match := re.search(r"UNPARSABLE (\d+):(\d+)", source.text):
        raise SyntaxProblem("expected an expression", int(match[1]), int(match[2]))
    codes = {rule.code for rule in rules}
    return tuple(
        Finding(
            match[1].decode(),
            source.path,
            f"found {match[3].decode()}",
            Label(Span(*match.span(3)), "here", source.path),
            confidence=Confidence.LOW if match[2] else Confidence.HIGH,
        )
        for match in re.finditer(rb"(PS\d{3})(_low)?\((.*?)\)", source.data)
        if match[1].decode() in codes
    )
