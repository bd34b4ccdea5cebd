"""PS002 and PS005: comments that suppress nothing, and comments that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_purestate._check import fixer
from pytest_purestate._check.engine import check_paths, check_source
from pytest_purestate._check.lexer import Kind, lex
from pytest_purestate._check.model import Applicability, Finding
from pytest_purestate._check.source import Source
from pytest_purestate.config import Config, ConfigFinder, Overrides

pytestmark = pytest.mark.usefixtures("marked_analysis")


def check(text: str, **overrides: object) -> list[Finding]:
    chosen = Overrides(**overrides)  # type: ignore[arg-type]
    return check_source(Source.from_text(text, "a.py"), config=Config(Path()), overrides=chosen)


def told(text: str, **overrides: object) -> list[str]:
    """Code, message and the text that the finding points at."""
    data = text.encode()
    return [
        f"{f.code} {f.message} @ {data[f.primary.span.start : f.primary.span.end].decode()}"
        for f in check(text, **overrides)
    ]


def fixed(text: str) -> str:
    """The text after all fixes, which must settle at once."""
    source = Source.from_text(text, "a.py")
    once = fixer.apply(source, check(text)).text
    again = [f for f in check(once) if f.code == "PS002"]
    assert again == []
    return once


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1  # noqa: PS101\n", "x = 1\n"),
        ("x = 1 \t # noqa: PS101   \n", "x = 1\n"),
        ("x = 1  # noqa: PS101", "x = 1"),
        ("x = 1  # noqa: PS101\r\ny = 2\r\n", "x = 1\r\ny = 2\r\n"),
        ("x = 1  # noqa: PS101 for a reason\n", "x = 1\n"),
        ("x = 1  # noqa: PS1\n", "x = 1\n"),
        ("x = 1  # noqa: ps101\n", "x = 1\n"),
        ("x = 1  # noqa: E501, PS101\n", "x = 1  # noqa: E501\n"),
        ("x = 1  # noqa: PS101, E501\n", "x = 1  # noqa: E501\n"),
        ("x = 1  # noqa: PS101,E501,PS102,W1 why\n", "x = 1  # noqa: E501,W1 why\n"),
        ("x = 1  # noqa:E501 PS101\n", "x = 1  # noqa:E501\n"),
        ("PS101(a)  # noqa: PS101, PS102\n", "PS101(a)  # noqa: PS101\n"),
        ("PS101(a)  # noqa: PS102, PS101\n", "PS101(a)  # noqa: PS101\n"),
        ("PS101(a)  # noqa: PS101, PS101\n", "PS101(a)  # noqa: PS101\n"),
        ("x = 1  # noqa: PS101  # type: ignore\n", "x = 1  # type: ignore\n"),
        ("x = 1  # see below  # noqa: PS101\n", "x = 1  # see below\n"),
        ("x = 1  # purestate: ignore\n", "x = 1\n"),
        ("x = 1  # purestate: ignore[PS101] the same bits\n", "x = 1\n"),
        ("x = 1  # purestate: ignore[key-reuse]\n", "x = 1\n"),
        ("x = 1  # purestate: ignore[ALL]\n", "x = 1\n"),
        ("PS101(a)  # purestate: ignore[PS102, key-reuse] why\n", "PS101(a)  # purestate: ignore[key-reuse] why\n"),
        ("# purestate: ignore\nx = 1\n", "x = 1\n"),
        ("if x:\n    # purestate: ignore[PS101]\r\n    y = 1\n", "if x:\n    y = 1\n"),
        ("f(\n    1,\n    # noqa: PS101\n)\n", "f(\n    1,\n)\n"),
        ("# purestate: ignore-file[PS101]\nPS102(a)\n", "PS102(a)\n"),
        ("# purestate: ignore-file[PS101, PS102]\nPS102(a)\n", "# purestate: ignore-file[PS102]\nPS102(a)\n"),
        ("# purestate: ignore-file", ""),
        ("# purestate: ignore[PS101]\nPS101(a)\n", "PS101(a)\n"),
        ("é = 1  # ä  # noqa: PS101\n", "é = 1  # ä\n"),
        ("x = 1  # noqa: PS101\ny = 2  # purestate: ignore\n# purestate: ignore-file\n", "x = 1\ny = 2\n"),
    ],
)  # fmt: skip
def test_the_fix_takes_out_what_is_unused_and_nothing_else(before: str, after: str) -> None:
    assert fixed(before) == after
    findings = [f for f in check(before) if f.code == "PS002"]
    assert findings
    assert all(f.fix is not None and f.fix.applicability is Applicability.SAFE for f in findings)


@pytest.mark.parametrize(
    "text",
    [
        "x = 1  # noqa\n",
        "x = 1  # noqa: E501\n",
        "x = 1  # noqa: E501, W291\n",
        "x = 1  # noqa: because\n",
        "x = 1  # noqa:\n",
        "x = 1  # noqa: PYI011\n",
        "x = 1  # noqa: PSEUDO1\n",
        "x = 1  # type: ignore\n",
        "x = '# purestate: ignore'\n",
        "'''\n# noqa: PS101\n'''\n",
        "PS101(a)  # noqa: PS101\n",
        "PS101(a)  # noqa: PS1, PS101\n",
        "PS101_low(a)  # noqa: PS101\n",
        "PS101(a)  # purestate: ignore\n",
        "PS101(a)  # noqa: PS101  # purestate: ignore[PS101]\n",
        "# purestate: ignore-file\nPS101(a)  # noqa: PS101\n",
        "@dec(  # noqa: PS101\n    PS101(a)\n)\ndef f(): pass\n",
        "x = 1  # noqa: PS002\n",
        "x = 1  # noqa: PS101, PS002\n",
        "x = 1  # purestate: ignore[PS101]  # noqa: PS002\n",
        "# purestate: ignore-file[PS002]\nx = 1  # noqa: PS101\n",
        "# the `# purestate: ignored` of old\n",
        "# purestate is what we use\n",
        "x = 1  # purestate: ignored  # noqa: PS005\n",
    ],
)
def test_silent(text: str) -> None:
    assert check(text) == []


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("x  # noqa: PS101\n", ["PS002 unused suppression of `PS101` @ # noqa: PS101"]),
        ("x  # noqa: E1, PS101, PS102 w\n", ["PS002 unused suppression of `PS101` and `PS102` @ PS101"]),
        ("x  # purestate: ignore why\n", ["PS002 unused suppression @ # purestate: ignore"]),
        ("x  # purestate: ignore[key-reuse] why\n", ["PS002 unused suppression of `key-reuse` @ # purestate: ignore[key-reuse]"]),
        ("x  # purestate: ignored[PS101]\n", ["PS005 suppression that cannot be read: `ignored` is no suppression @ # purestate: ignored"]),
        ("x  # purestate:\n", ["PS005 suppression that cannot be read: `purestate:` is followed by nothing @ # purestate:"]),
        ("x  # purestate: ignore[PS101  \n", ["PS005 suppression that cannot be read: the bracket is never closed @ # purestate: ignore[PS101"]),
        ("x  # purestate: ignore[]\n", ["PS005 suppression that cannot be read: the brackets name no rule @ # purestate: ignore[]"]),
        ("x  # purestate: ignore PS101\n", ["PS005 suppression that cannot be read: `PS101` is in no brackets @ # purestate: ignore PS101"]),
        ("x  # purestate: ignore: key-reuse\n", ["PS005 suppression that cannot be read: `key-reuse` is in no brackets @ # purestate: ignore: key-reuse"]),
        ("x  # purestate: ignore[PS10l]\n", ["PS005 suppression that cannot be read: `PS10l` is no rule @ PS10l"]),
        ("PS101(a)  # purestate: ignore[PS101, rubbish]\n", ["PS005 suppression that cannot be read: `rubbish` is no rule @ rubbish"]),
        ("x  # noqa: PS999\n", ["PS005 suppression that cannot be read: `PS999` is no rule @ PS999"]),
        ("x  # noqa: PS1O1\n", ["PS005 suppression that cannot be read: `PS1O1` is no rule @ PS1O1"]),
        ("x  # noqa: E501 PS1O1\n", ["PS005 suppression that cannot be read: `PS1O1` is no rule @ PS1O1"]),
        ("x  # noqa: PS\n", ["PS005 suppression that cannot be read: `PS` is not a code @ PS"]),
        ("x  # noqa: key-reuse\n", ["PS005 suppression that cannot be read: `noqa` takes codes, and `key-reuse` is a name @ key-reuse"]),
        ("# purestate: ignore-files[PS101]\n", ["PS005 suppression that cannot be read: `ignore-files` is no suppression @ # purestate: ignore-files"]),
    ],
)  # fmt: skip
def test_messages(text: str, findings: list[str]) -> None:
    assert told(text) == findings


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("# purestate: ignored[PS101]", "did you mean `ignore`?"),
        ("# purestate: ignore-files", "did you mean `ignore-file`?"),
        ("# purestate: xyz", "write `ignore[CODE]` or `ignore-file[CODE]`"),
        ("# purestate: ignore[key-resue]", "did you mean `key-reuse`?"),
        ("# purestate: ignore[PS10l]", "did you mean `PS101`?"),
        ("# purestate: ignore[qqqqqq]", "see `purestate rule --all`"),
        ("# purestate: ignore PS101", "write `ignore[PS101]`"),
        ("# purestate: ignore[]", "write `ignore[CODE]`, or `ignore` for every rule"),
        ("# purestate: ignore[PS101", "close it with `]` behind the last rule"),
        ("# noqa: key-reuse", "write `PS101`"),
        ("# noqa: PS10l", "did you mean `PS101`?"),
    ],
)
def test_help_offers_what_is_right(text: str, help: str) -> None:
    assert [f.help for f in check(text)] == [help]


def test_a_comment_is_judged_by_all_rules_whichever_are_selected() -> None:
    text = "PS201(a)  # noqa: PS201\nPS190(b)  # noqa: PS190\nx = 1  # noqa: PS102\n"
    assert told(text, select=("PS002",)) == ["PS002 unused suppression of `PS102` @ # noqa: PS102"]
    assert told(text, select=("PS1",)) == []
    assert told(text, ignore=("PS002",)) == []
    assert told(text, ignore=("PS201",)) == told(text)


def test_what_cannot_be_read_is_told_whatever_is_selected() -> None:
    assert len(told("x  # purestate: ignored\n", select=("PS101",))) == 1
    assert told("x  # purestate: ignored\n", ignore=("PS0",)) == told("x  # purestate: ignored\n")
    assert told("x  # purestate: ignored\n", ignore=("PS005",)) == []


def test_an_unused_comment_for_every_rule_does_not_hide_itself() -> None:
    assert told("x = 1  # purestate: ignore\n") == ["PS002 unused suppression @ # purestate: ignore"]
    assert len(told("# purestate: ignore-file\nx = 1  # noqa: PS101\n")) == 2


def test_nothing_is_judged_in_a_file_that_could_not_be_checked() -> None:
    assert [f.code for f in check("# UNPARSABLE 1:1\nx = 1  # noqa: PS101\n")] == ["PS001"]


def test_a_file_that_no_longer_mentions_jax_is_still_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.py").write_text("x = 1  # noqa: PS101\n", encoding="utf-8")
    Path("b.py").write_text("x = 1  # noqa: E501\n", encoding="utf-8")
    run = check_paths([Path()], ConfigFinder(isolated=True), jobs=0)
    assert [f"{f.path} {f.code}" for f in run.findings] == ["a.py PS002"]
    assert run.summary() == (
        "1 finding in 1 file (PS002 1); 1 file checked; 1 skipped that never mention JAX"
    )


def test_a_comment_that_is_unused_and_unreadable_in_part_is_left_to_its_author() -> None:
    text = "PS101(a)\nx = 1  # noqa:PS101 PS1O1\n"
    unused, broken = (finding for finding in check(text) if finding.code in ("PS002", "PS005"))
    assert (unused.code, unused.fix, broken.code) == ("PS002", None, "PS005")


PIECES = (
    *("# noqa", ":", " ", ",", "PS101", "PS1", "ps102", "E501", "PS1O1", "PS", "key-reuse", "é", "why", "#"),
    *("# purestate: ignore", "[", "]", "# purestate:", "ignore-file", "ALL", "\t", "`"),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    comments=st.lists(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), min_size=4, max_size=4),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_whatever_the_comments_are_the_fixes_settle_and_leave_the_code(
    comments: list[str], ending: str
) -> None:
    one, two, three, four = (f"#{comment}" if comment else "" for comment in comments)
    text = ending.join((f"f(  {one}", f"  PS101(a), {two}", ")", three, f"if x: {four}", "  PS102(b)", ""))
    code = tokens(text)
    for _ in range(10):
        findings = [finding for finding in check(text) if finding.code == "PS002" and finding.fix is not None]
        if not findings:
            break
        kept = [finding.code for finding in check(text) if finding.code != "PS002"]
        text = fixer.apply(Source.from_text(text, "a.py"), findings).text
        assert tokens(text) == code
        assert [finding.code for finding in check(text) if finding.code != "PS002"] == kept
    else:
        raise AssertionError(text)


def tokens(text: str) -> list[bytes]:
    data = text.encode()
    return [
        data[token.start : token.end]
        for token in lex(data)
        if token.kind not in (Kind.COMMENT, Kind.BLANK, Kind.NEWLINE)
    ]
