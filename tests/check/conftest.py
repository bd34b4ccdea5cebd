"""A stand-in for the analysis, so that what surrounds it is tested on its own."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from marked import marked

from pytest_purestate._check import engine


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """A checker freezes what there is, in the whole process: later tests ask the collector who keeps what."""
    yield
    gc.unfreeze()


@pytest.fixture
def marked_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the analysis, in worker processes too."""
    monkeypatch.setattr(engine, "analyse", marked)
