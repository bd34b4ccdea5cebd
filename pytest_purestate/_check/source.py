"""Source text as the checker sees it: decoded once, indexed by UTF-8 byte offsets.

Every `Span` in the package counts bytes of `Source.data`. Decoding follows PEP 263 (a byte order
mark, then a coding line, then UTF-8), so a file that Python reads is a file that we read, whatever
its encoding. Lines end where Python ends them: at ``\\n``, ``\\r\\n`` or a lone ``\\r``; form feeds and
Unicode line separators do not end a line.
"""

from __future__ import annotations

import codecs
import io
import re
import tokenize
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_purestate._check.documents import SUFFIXES, DocumentError, View, view_of

if TYPE_CHECKING:
    from pytest_purestate._check.model import Span

__all__ = ["Source", "UnreadableSourceError"]

_LINE_END = re.compile(rb"\r\n?|\n")


class UnreadableSourceError(Exception):
    """A file that cannot be opened or decoded; the message says why, in the user's terms."""


@dataclass(frozen=True, slots=True)
class Source:
    """One Python source text.

    ``path`` is what the user sees, ``file`` the absolute file on disk (None for text without one),
    ``text`` the decoded text without byte order mark and with its own line endings, ``data`` the same
    text as UTF-8, which all spans index. ``encoding`` and ``bom`` say how to write the text back. ``document`` is set for
    what is no Python file: then ``text`` is a view, in which all but the code is blank.
    """

    path: str
    file: Path | None
    text: str
    data: bytes
    encoding: str = "utf-8"
    bom: bool = False
    document: View | None = None
    _starts: list[int] = field(default_factory=list, init=False, repr=False, compare=False)

    @classmethod
    def read(cls, file: Path, path: str) -> Source:
        """Read and decode ``file``.

        Raises:
            UnreadableSourceError: it cannot be opened, or its bytes are not text in its encoding.
        """
        try:
            raw = file.read_bytes()
        except OSError as error:
            raise UnreadableSourceError(describe(error)) from error
        return cls.from_bytes(raw, path, file)

    @classmethod
    def from_bytes(cls, raw: bytes, path: str, file: Path | None = None) -> Source:
        """Decode the bytes of a file.

        Raises:
            UnreadableSourceError: the bytes are not text in the encoding that they declare, or no notebook.
        """
        if path.lower().endswith(SUFFIXES):
            try:
                view = view_of(path, raw)
            except DocumentError as error:
                raise UnreadableSourceError(str(error)) from error
            if view is not None:
                return cls.of_view(view, path, file)
        text, encoding, bom = _decode(raw)
        return cls(path, file, text, _encode(text), encoding, bom)

    @classmethod
    def of_view(cls, view: View, path: str, file: Path | None = None) -> Source:
        """The Python of a document.

        Raises:
            UnreadableSourceError: there are null characters in it.
        """
        return cls(path, file, view.python, _encode(view.python), document=view)

    @classmethod
    def from_text(cls, text: str, path: str = "<text>", file: Path | None = None) -> Source:
        """Wrap text that is decoded already; a leading byte order mark is taken off.

        Raises:
            UnreadableSourceError: the text has lone surrogates, or null characters.
        """
        bom = text.startswith("\ufeff")
        text = text[1:] if bom else text
        return cls(path, file, text, _encode(text), "utf-8", bom)

    def to_bytes(self, text: str | None = None) -> bytes:
        """The text (or a changed one) as it is written to disk: same encoding, same byte order mark.

        Raises:
            UnicodeEncodeError: a changed text has characters which the file's encoding lacks.
        """
        if self.document is not None:
            return self.document.restore(self.document.text if text is None else text)
        body = (self.text if text is None else text).encode(self.encoding)
        return codecs.BOM_UTF8 + body if self.bom else body

    @property
    def original(self) -> str:
        """What edits are applied to: as long as ``text``, and the same where there is no document."""
        return self.text if self.document is None else self.document.text

    def place(self, offset: int) -> tuple[int | None, int, int]:
        """The number of the cell in a notebook (else None), and the 1-based line and column in it."""
        line, column = self.position(offset)
        number, first = self.cell(line)
        return number, line - first, column

    def spot(self, offset: int) -> str:
        """``line:column`` of a byte offset, as reports write it: behind ``cell n:`` in a notebook."""
        cell, line, column = self.place(offset)
        return (f"cell {cell}:" if cell is not None else "") + f"{line}:{column}"

    def cell(self, line: int) -> tuple[int | None, int]:
        """The number of the cell that a 1-based line is in (else None), and how many lines come before the cell."""
        parts = self.document.parts if self.document is not None else ()
        if not parts:
            return None, 0
        starts = [self.position(part.start)[0] for part in parts]
        at = max(bisect_right(starts, line) - 1, 0)
        return parts[at].number, starts[at] - 1

    def line_in(self, number: int, line: int) -> int | None:
        """The 1-based line of the text that is a 1-based line of a cell; None where there is no such cell or line."""
        parts = self.document.parts if self.document is not None else ()
        starts = {part.number: self.position(part.start)[0] for part in parts}
        if number not in starts or line < 1:
            return None
        found = starts[number] + line - 1
        # Behind the last line of a cell stands the line that ends it.
        ends = [start for start in starts.values() if start > starts[number]]
        end = min(ends, default=self.line_count + 1) - 1
        return found if found < end else None

    def position(self, offset: int) -> tuple[int, int]:
        """1-based (line, column) of a byte offset; the column counts code points."""
        offset = max(0, min(offset, len(self.data)))
        starts = self._line_starts()
        line = bisect_right(starts, offset)
        return line, len(self.data[starts[line - 1] : offset].decode("utf-8", "replace")) + 1

    def offset(self, line: int, column: int) -> int:
        """Byte offset of a 1-based (line, column in code points); places outside the text are clamped."""
        starts = self._line_starts()
        line = max(1, min(line, len(starts)))
        return starts[line - 1] + len(self.line(line)[: max(0, column - 1)].encode("utf-8"))

    def slice(self, span: Span) -> str:
        """The text of a span."""
        return self.data[span.start : span.end].decode("utf-8", "replace")

    def line(self, number: int) -> str:
        """The text of a 1-based line without its line ending; empty where there is no such line."""
        starts = self._line_starts()
        if not 1 <= number <= len(starts):
            return ""
        end = starts[number] if number < len(starts) else len(self.data)
        return self.data[starts[number - 1] : end].decode("utf-8", "replace").rstrip("\r\n")

    @property
    def line_count(self) -> int:
        """Number of lines; a text that ends with a line ending has no extra empty line."""
        starts = self._line_starts()
        return len(starts) - (starts[-1] == len(self.data))

    def _line_starts(self) -> list[int]:
        # Filled on first use: most files have no finding, and then nobody asks for a position.
        if not self._starts:
            self._starts.append(0)
            self._starts.extend(match.end() for match in _LINE_END.finditer(self.data))
        return self._starts


def describe(error: OSError) -> str:
    """What an OSError says, without its number and file name."""
    return (error.strerror or str(error) or type(error).__name__).lower()


def _decode(raw: bytes) -> tuple[str, str, bool]:
    bom = raw.startswith(codecs.BOM_UTF8)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
    except SyntaxError as error:
        if bom:
            raise UnreadableSourceError(
                "has a UTF-8 byte order mark, but its coding line names another encoding"
            ) from error
        raise UnreadableSourceError(_invalid_utf8(raw) or str(error.msg or error)) from error
    encoding = "utf-8" if encoding == "utf-8-sig" else encoding
    try:
        if "coding".encode(encoding) != b"coding":
            raise UnreadableSourceError(f"its coding line names `{encoding}`, which does not contain ASCII")
        text = raw[len(codecs.BOM_UTF8) if bom else 0 :].decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        byte = raw[error.start]
        raise UnreadableSourceError(f"line {line} is not {encoding}: unexpected byte 0x{byte:02x}") from error
    except (LookupError, UnicodeError, ValueError) as error:
        raise UnreadableSourceError(f"cannot be decoded as `{encoding}`: {error}") from error
    return text, encoding, bom


def _invalid_utf8(raw: bytes) -> str:
    """Where the bytes stop being UTF-8, or an empty string."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return f"line {line} is not utf-8: unexpected byte 0x{raw[error.start]:02x}"
    return ""


def _encode(text: str) -> bytes:
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise UnreadableSourceError(f"line {line} has a lone surrogate, which is not text") from error
    if (where := data.find(b"\0")) >= 0:
        line = data.count(b"\n", 0, where) + 1
        raise UnreadableSourceError(f"line {line} has a null byte, so this is not Python source")
    return data
