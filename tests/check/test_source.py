from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_purestate._check.model import Span
from pytest_purestate._check.source import Source, UnreadableSourceError


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"x = 1\n",
        b"x = 1\r\ny = 2\rz = 3",
        b"\x0cx = 1\n",
        codecs.BOM_UTF8 + "x = 'é'\n".encode(),
        "# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1"),
        "#!/usr/bin/python\n# vim: set fileencoding=koi8-r :\nx = 'ж'\n".encode("koi8-r"),
        codecs.BOM_UTF8 + b"# coding: utf-8\n",
    ],
    ids=["empty", "lf", "mixed-endings", "form-feed", "bom", "latin-1", "koi8-r", "bom-and-cookie"],
)
def test_reads_what_python_reads_and_writes_it_back(raw: bytes) -> None:
    source = Source.from_bytes(raw, "a.py")
    assert source.to_bytes() == raw
    assert source.data.decode() == source.text
    assert not source.text.startswith("\ufeff")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"x = '\xe9'\n", "line 1 is not utf-8: unexpected byte 0xe9"),
        (b"a\n\nb\xff", "line 3 is not utf-8: unexpected byte 0xff"),
        (b"# coding: ascii\nx = '\xe9'\n", "line 2 is not ascii: unexpected byte 0xe9"),
        (b"# coding: klingon\n", "unknown encoding: klingon"),
        (b"# coding: utf-16\n", "its coding line names `utf-16`, which does not contain ASCII"),
        (b"# coding: rot13\nx", "cannot be decoded as `rot13`"),
        (codecs.BOM_UTF8 + b"# coding: latin-1\n", "has a UTF-8 byte order mark, but its coding line names"),
        (b"x = 1\ny\x00", "line 2 has a null byte, so this is not Python source"),
        (b"# coding: unicode_escape\n'\\ud800'", "line 2 has a lone surrogate, which is not text"),
        (codecs.BOM_UTF16_LE + "x".encode("utf-16-le"), "line 1 is not utf-8: unexpected byte 0xff"),
    ],
)
def test_says_why_bytes_are_not_source(raw: bytes, message: str) -> None:
    with pytest.raises(UnreadableSourceError) as caught:
        Source.from_bytes(raw, "a.py")
    assert str(caught.value).startswith(message)


def test_read_names_the_reason_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSourceError, match=r"^no such file or directory$"):
        Source.read(tmp_path / "none.py", "none.py")
    with pytest.raises(UnreadableSourceError, match=r"^is a directory$"):
        Source.read(tmp_path, "x")


def test_positions_count_code_points() -> None:
    source = Source.from_text("a = 'é日𝔸'; key\r\nb\rc\n", "a.py")
    offset = source.data.index(b"key")
    assert source.position(offset) == (1, 12)
    assert source.offset(1, 12) == offset
    assert [source.position(source.data.index(c)) for c in (b"b", b"c")] == [(2, 1), (3, 1)]
    assert source.line_count == 3
    assert [source.line(n) for n in range(5)] == ["", "a = 'é日𝔸'; key", "b", "c", ""]
    assert source.slice(Span(offset, offset + 3)) == "key"


def test_places_outside_the_text_are_clamped() -> None:
    source = Source.from_text("ab\ncd", "a.py")
    assert source.position(-1) == (1, 1)
    assert source.position(99) == (2, 3)
    assert source.offset(9, 9) == 5
    assert source.offset(0, 0) == 0


def test_unicode_line_separators_and_form_feeds_end_no_line() -> None:
    source = Source.from_text("a = 1 \u2028\x0c\x0b\x85 b\nc", "a.py")
    assert source.line_count == 2


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=60), st.data())
def test_position_and_offset_are_inverse(text: str, data: st.DataObject) -> None:
    source = Source.from_text(text, "a.py")
    index = data.draw(st.integers(0, len(text)))
    if text[index - 1 : index + 1] == "\r\n":
        return  # between the two bytes of a line ending there is no column
    offset = len(text[:index].encode())
    assert source.offset(*source.position(offset)) == offset
