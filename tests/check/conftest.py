"""A stand-in for the analysis, so that what surrounds it is tested on its own."""

from __future__ import annotations

import pytest
from marked import marked

from pytest_purestate._check import engine


@pytest.fixture
def marked_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the analysis, in worker processes too."""
    monkeypatch.setattr(engine, "analyse", marked)
