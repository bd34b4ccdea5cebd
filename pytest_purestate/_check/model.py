"""The values every part of the checker exchanges: spans, labels, findings, edits, rules.

All of them are frozen, slotted and free of syntax-tree nodes, so a finding can be compared,
cached, sent to another process and printed in any format.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

if TYPE_CHECKING:
    from pytest_purestate._check.flow.facts import ModuleFacts

__all__ = [
    "Applicability",
    "Confidence",
    "Edit",
    "Finding",
    "Fix",
    "Label",
    "Rule",
    "Severity",
    "Span",
]


class Confidence(enum.IntEnum):
    """How sure the checker is that a finding is a defect. Ordered: LOW < MEDIUM < HIGH."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2

    @property
    def label(self) -> str:
        return self.name.lower()


class Severity(enum.Enum):
    """How bad the defect is if the finding is right."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Applicability(enum.Enum):
    """What may be done with a fix without asking."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    DISPLAY_ONLY = "display-only"


class Span(Struct, frozen=True, order=True):
    """Half-open byte range ``[start, end)`` of the normalised UTF-8 source (no BOM)."""

    start: int
    end: int


class Label(Struct, frozen=True):
    """A place in a file with a short text that says what happens there (may be empty)."""

    span: Span
    text: str
    path: str


class Edit(Struct, frozen=True):
    """Replace the bytes of ``span`` by ``replacement``; an empty span inserts."""

    span: Span
    replacement: str


class Fix(Struct, frozen=True):
    """Text edits which together repair one finding. Edits never overlap."""

    title: str
    edits: tuple[Edit, ...]
    applicability: Applicability


class Finding(Struct, frozen=True):
    """One defect: what, both places, help.

    ``path`` is the path as given by the user (display form). ``scope`` is the qualified name of
    the function or class around the primary span (``""`` at module level); together with the rule
    and the code text it makes the fingerprint, so a finding survives moved lines. ``severity`` is what the
    settings of the file say of the rule; None before the engine has looked at them.
    """

    code: str
    path: str
    message: str
    primary: Label
    related: tuple[Label, ...] = ()
    help: str = ""
    confidence: Confidence = Confidence.HIGH
    fix: Fix | None = None
    scope: str = ""
    severity: Severity | None = None


class Check(Protocol):
    """A rule's query: read facts, yield findings."""

    def __call__(self, module: ModuleFacts, /) -> Iterator[Finding]: ...


class Rule(Struct, frozen=True):
    """A rule. ``check`` is None for rules the checker itself raises (PS0xx)."""

    code: str
    name: str
    since: str
    severity: Severity
    check: Callable[[ModuleFacts], Iterator[Finding]] | None = None
    opt_in: bool = field(default=False)
