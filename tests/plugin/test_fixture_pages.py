"""What docs/fixtures.md shows is what happens."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "fixtures.md").read_text(encoding="utf-8")


def test_examples_of_the_page_pass_with_the_guard(pytester: pytest.Pytester) -> None:
    blocks = re.findall(r"^```python\n(# (test_\w+\.py)\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == PAGE.count("```python") == 4
    for block, name in blocks:
        (pytester.path / name).write_text(block, encoding="utf-8")
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    result = pytester.runpytest_subprocess(
        "-p", "no:randomly", "--purestate", "--purestate-level=host=error", timeout=300
    )
    tests = sum(block.count("\ndef test_") for block, _ in blocks)
    result.assert_outcomes(passed=tests + 1)  # one has two parameters


def test_every_fixture_and_strategy_is_on_the_page() -> None:
    from pytest_purestate import plugin, strategies

    for name in plugin.__all__:
        assert f"| `{name}` |" in PAGE
    for name in strategies.__all__:
        assert re.search(rf"^\| `{name}\(.*\)` \|", PAGE, re.MULTILINE), name
