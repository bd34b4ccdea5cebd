from __future__ import annotations

from pathlib import Path

import pytest

from pytest_purestate._check.engine import check_source
from pytest_purestate.config import Config, Overrides

pytestmark = pytest.mark.usefixtures("marked_analysis")


QUIET = Overrides(ignore=("PS002", "PS005"))  # what is said about the comments is for test_suppress_judged.py


def codes(text: str) -> list[str]:
    return [finding.code for finding in check_source(text, config=Config(Path()), overrides=QUIET)]


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "#noqa",
        "# NoQA",
        "#  noqa  ",
        "# why: see below  # noqa",
        "# noqa: PS101",
        "# noqa:PS101",
        "# noqa : PS101",
        "# NOQA: ps101",
        "# noqa: E501, PS101",
        "# noqa: E501 PS101",
        "# noqa: E501,PS101 the same bits on purpose",
        "# noqa: PS1",
        "# purestate: ignore",
        "#purestate:ignore",
        "# purestate: ignore[PS101]",
        "# purestate: ignore[PS101] the same bits on purpose",
        "# purestate: ignore[PS104, PS101]",
        "# purestate: ignore[key-reuse]",
        "# purestate: ignore[ALL]",
        "# purestate: ignore [PS101]",
        "# purestate: ignore[ps101]",
        "# purestate: ignore[PS101, PS999]",
        "# PureState: Ignore[PS101]",
        "# type: ignore  # purestate: ignore[PS101]",
        "# purestate: ignore[PS101]  # noqa: E501",
    ],
)
def test_suppresses(comment: str) -> None:
    assert codes(f"PS101(a)  {comment}\nPS101(b)\n") == ["PS101"]


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa: PS102",
        "# noqa: E501",
        "# noqa: because I say so",
        "# noqa:",
        "# noqa-ish",
        "# noqabc",
        "# flake8: noqa",
        "# ruff: noqa",
        "# purestate: ignore[]",
        "# purestate: ignore[PS102]",
        "# purestate: ignore[no-such-rule]",
        "# purestate: ignore[PS101",
        "# purestate: ignored",
        "# purestate ignore",
        "# purestate: ignore PS101",
        "# purestate: ignore: PS101",
        "# write `# purestate: ignore` here",
        "# noqa: PS1O1",
        "# noqa: PS101x",
        "# noqa: key-reuse",
        "+ '# noqa'",
        "+ '''# purestate: ignore'''",
    ],
)
def test_does_not_suppress(comment: str) -> None:
    assert codes(f"PS101(a)  {comment}\n") == ["PS101"]


@pytest.mark.parametrize(
    "text",
    [
        "f(\n    PS101(a),\n    2,\n)  # noqa\n",
        "f(  # noqa\n    PS101(a),\n)\n",
        "f(\n    # noqa\n    PS101(a),\n)\n",
        "x = 1 + \\\n  PS101(a) + \\\n  2  # noqa\n",
        "x = '''\n''' + PS101(a)  # noqa\n",
        "if PS101(a):  # noqa\n    pass\n",
        "@dec(PS101(a))  # noqa\ndef f(): pass\n",
        "@dec  # noqa\n@other\ndef f(x=PS101(a)): pass\n",
        "@dec(PS101(a))\n# a comment between\ndef f(): pass  # noqa\n",
        "class A: PS101(a)  # noqa\r\n",
        "x = f'{PS101(a)}'  # noqa",
        "a = 1; PS101(a)  # noqa\rb = 2",
    ],
)
def test_counts_for_the_whole_logical_line(text: str) -> None:
    assert codes(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "# noqa\nPS101(a)\n",
        "x = 1  # noqa\nPS101(a)\n",
        "PS101(a)\nx = 1  # noqa\n",
        "if x:  # noqa\n    PS101(a)\n",
        "@dec  # noqa\ndef f():\n    PS101(a)\n",
        "@dec\n# noqa\ndef f(x=PS101(a)): pass\n",
    ],
)
def test_and_for_no_other_line(text: str) -> None:
    assert codes(text) == ["PS101"]


def test_a_whole_file() -> None:
    text = "PS101(a)\nPS102(b)\n"
    assert codes(text + "# purestate: ignore-file\n") == []
    assert codes("# purestate: ignore-file[PS101] generated\n" + text) == ["PS102"]
    assert codes("x = '# purestate: ignore-file'\n" + text) == ["PS101", "PS102"]


def test_what_could_not_be_checked_stays() -> None:
    assert codes("# UNPARSABLE 2:1  noqa  # purestate: ignore-file\n1 +  # noqa\n") == ["PS001"]
