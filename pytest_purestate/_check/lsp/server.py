"""The server: events of the editor in, diagnostics, code actions and hovers out."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path

from pytest_purestate._check import docs
from pytest_purestate._check.lsp.convert import (
    SOURCE,
    Places,
    diagnostic,
    is_preferred,
    line_edits,
    path_of,
    text_edits,
)
from pytest_purestate._check.lsp.session import Checked, Session
from pytest_purestate._check.model import Finding
from pytest_purestate._check.registry import rules_by_code
from pytest_purestate._check.report.sources import Sources
from pytest_purestate.config import ConfigError

__all__ = ["DELAY", "Server", "serve"]

DELAY = 0.25
"""Seconds without a change before a text is checked."""

_STACK = 256 * 1024 * 1024  # the analysis recurses as deep as the code is nested
_FIX_ALL = f"{types.CodeActionKind.SourceFixAll.value}.{SOURCE}"
_SETTINGS = ("pyproject.toml", "purestate.toml")
_T = TypeVar("_T")


class Server(LanguageServer):
    """One editor's server."""

    def __init__(self) -> None:
        cells = types.NotebookDocumentFilterWithCells(
            notebook=types.NotebookDocumentFilterPattern(pattern="**/*.ipynb"),
            cells=[types.NotebookCellLanguage(language="python")],
        )
        super().__init__(
            "purestate",
            version("pytest-purestate"),
            notebook_document_sync=types.NotebookDocumentSyncOptions(notebook_selector=[cells], save=True),
        )
        self.session = Session()
        self.checked: dict[Path, Checked] = {}
        self._waiting: dict[Path, asyncio.TimerHandle] = {}
        self._notebooks: dict[Path, tuple[str, ...]] = {}  # the addresses of the cells
        self._complained = ""
        outer = threading.stack_size(_STACK)
        self._worker = ThreadPoolExecutor(1)
        self._worker.submit(int).result()  # its thread starts with the large stack
        threading.stack_size(outer)

    async def run(self, work: Callable[[], _T]) -> _T:
        """Do something in the one thread that checks."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    # --- what is open -----------------------------------------------------------------------

    def put(self, uri: str) -> Path | None:
        """Take over the text of a document."""
        file = path_of(uri)
        if file is not None and file.suffix != ".ipynb":
            self.session.put(file, self.workspace.get_text_document(uri).source)
        return file

    def put_notebook(self, uri: str) -> Path | None:
        """Take over the cells of a notebook."""
        file = path_of(uri)
        notebook = self.workspace.get_notebook_document(notebook_uri=uri)
        if file is None or notebook is None:
            return None
        uris = [cell.document for cell in notebook.cells if cell.kind == types.NotebookCellKind.Code]
        known = [
            each for each in uris if self.workspace.get_text_document(each).language_id in (None, "python")
        ]
        self._notebooks[file] = tuple(known)
        self.session.put_cells(file, [self.workspace.get_text_document(each).source for each in known])
        return file

    def close(self, uri: str) -> None:
        """Forget a document, and what was found in it."""
        file = path_of(uri)
        if file is None:
            return
        self.session.remove(file)
        self.checked.pop(file, None)
        if (waiting := self._waiting.pop(file, None)) is not None:
            waiting.cancel()
        for each in self._notebooks.pop(file, (uri,)):
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(each, []))

    # --- checking ---------------------------------------------------------------------------

    def soon(self, file: Path | None, delay: float = DELAY) -> None:
        """Check a file when nothing has changed for a while."""
        if file is None:
            return
        if (waiting := self._waiting.pop(file, None)) is not None:
            waiting.cancel()
        loop = asyncio.get_running_loop()
        self._waiting[file] = loop.call_later(delay, lambda: loop.create_task(self.check(file)))

    def all_soon(self) -> None:
        """Check all that is open."""
        for file in [*self.checked]:
            self.soon(file, 0)

    async def check(self, file: Path) -> None:
        """Check a file and show what is found."""
        self._waiting.pop(file, None)
        try:
            checked = await self.run(partial(self.session.check, file))
        except ConfigError as error:
            self._complain(f"purestate: {error}")
            return
        except KeyError:
            return  # it was closed meanwhile
        self._complained = ""
        self.checked[file] = checked
        self.publish(file, checked)

    def publish(self, file: Path, checked: Checked) -> None:
        """Send the diagnostics of a file, or of each cell of a notebook."""
        uris = self._notebooks.get(file) or (self._uri(checked, checked.source.path, None),)
        found: dict[str, list[types.Diagnostic]] = {uri: [] for uri in uris}
        places = self.places(checked)
        for finding in checked.findings:
            uri, shown = diagnostic(finding, places)
            found.setdefault(uri, []).append(shown)
        for uri, diagnostics in found.items():
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, diagnostics))

    def places(self, checked: Checked) -> Places:
        """Where the spans of what was found are."""
        files = {label.path: Path.cwd() / label.path for f in checked.findings for label in f.related}
        others = Sources(files)

        def source(path: str) -> object:
            return checked.source if path == checked.source.path else others(path)

        return Places(self.workspace.position_codec, source, partial(self._uri, checked))  # type: ignore[arg-type]

    def _uri(self, checked: Checked, path: str, cell: int | None) -> str:
        file = checked.target.file if path == checked.source.path else Path.cwd() / path
        cells = self._notebooks.get(file, ())
        if cell is not None and cell < len(cells):
            return cells[cell]
        return from_fs_path(str(file)) or ""

    def _complain(self, text: str) -> None:
        if text != self._complained:
            self._complained = text
            self.window_show_message(types.ShowMessageParams(types.MessageType.Error, text))

    # --- asking -----------------------------------------------------------------------------

    def at(self, uri: str, where: types.Range) -> list[tuple[Checked, Finding]]:
        """The findings that touch a range of a document."""
        file = self._file(uri)
        checked = self.checked.get(file) if file is not None else None
        if checked is None:
            return []
        places = self.places(checked)
        found = []
        for finding in checked.findings:
            document, spot = places.of(finding.path, finding.primary.span)
            if document == uri and _touch(spot, where):
                found.append((checked, finding))
        return found

    def actions(self, uri: str, where: types.Range) -> list[types.CodeAction]:
        """The fixes of what is in the lines of a range, and a comment for each to ignore it."""
        out = []
        last = types.Position(where.end.line + 1, 0)
        lines = types.Range(types.Position(where.start.line, 0), last)
        for checked, finding in self.at(uri, lines):
            places = self.places(checked)
            if places.of(finding.path, finding.primary.span)[1].start == last:
                continue
            _, shown = diagnostic(finding, places)
            if finding.fix is not None:
                edit = types.WorkspaceEdit(changes=text_edits(finding.path, finding.fix.edits, places))
                out.append(
                    types.CodeAction(
                        f"{finding.code}: {finding.fix.title}", types.CodeActionKind.QuickFix, [shown],
                        is_preferred=is_preferred(finding), edit=edit,
                    )
                )  # fmt: skip
            ignored = self.session.ignored(checked, finding)
            if ignored:
                edit = types.WorkspaceEdit(changes=text_edits(finding.path, ignored, places))
                out.append(
                    types.CodeAction(
                        f"{finding.code}: ignore on this line",
                        types.CodeActionKind.QuickFix,
                        [shown],
                        edit=edit,
                    )
                )
        return out

    async def fix_all(self, uri: str) -> list[types.CodeAction]:
        """One action that applies all safe fixes, if there are any."""
        file = self._file(uri)
        if file is None or file not in self.checked:
            return []
        texts = await self.run(partial(self.session.fixed, file))
        uris = self._notebooks.get(file, (uri,))
        changes: dict[str, Sequence[types.TextEdit]] = {
            each: list(line_edits(*text))
            for each, text in zip(uris, texts, strict=False)
            if text[0] != text[1]
        }
        if not changes:
            return []
        edit = types.WorkspaceEdit(changes=changes)
        return [types.CodeAction("purestate: fix all that is safe to fix", _FIX_ALL, edit=edit)]

    def _file(self, uri: str) -> Path | None:
        notebook = next((file for file, cells in self._notebooks.items() if uri in cells), None)
        return notebook or path_of(uri)


def _touch(one: types.Range, other: types.Range) -> bool:
    def key(position: types.Position) -> tuple[int, int]:
        return position.line, position.character

    return key(one.start) <= key(other.end) and key(other.start) <= key(one.end)


def build() -> Server:
    """A server with its features."""
    server = Server()

    @server.feature(types.INITIALIZED)
    def initialized(_: types.InitializedParams) -> None:
        watched = server.client_capabilities.workspace
        files = watched.did_change_watched_files if watched is not None else None
        if files is not None and files.dynamic_registration:
            watchers = [types.FileSystemWatcher(f"**/{name}") for name in _SETTINGS]
            options = types.DidChangeWatchedFilesRegistrationOptions(watchers)
            method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
            server.client_register_capability(
                types.RegistrationParams([types.Registration("settings", method, options)]), lambda _: None
            )

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        server.soon(server.put(params.text_document.uri), 0)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: types.DidChangeTextDocumentParams) -> None:
        server.soon(server.put(params.text_document.uri))

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: types.DidSaveTextDocumentParams) -> None:
        server.session.reload()
        server.put(params.text_document.uri)
        server.all_soon()

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        server.close(params.text_document.uri)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    def notebook_opened(params: types.DidOpenNotebookDocumentParams) -> None:
        server.soon(server.put_notebook(params.notebook_document.uri), 0)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def notebook_changed(params: types.DidChangeNotebookDocumentParams) -> None:
        server.soon(server.put_notebook(params.notebook_document.uri))

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_SAVE)
    def notebook_saved(params: types.DidSaveNotebookDocumentParams) -> None:
        server.session.reload()
        server.put_notebook(params.notebook_document.uri)
        server.all_soon()

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def notebook_closed(params: types.DidCloseNotebookDocumentParams) -> None:
        server.close(params.notebook_document.uri)

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def watched(_: types.DidChangeWatchedFilesParams) -> None:
        server.session.reload()
        server.all_soon()

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION,
        types.CodeActionOptions([types.CodeActionKind.QuickFix, types.CodeActionKind(_FIX_ALL)])
        if _FIX_ALL in {kind.value for kind in types.CodeActionKind}
        else types.CodeActionOptions([types.CodeActionKind.QuickFix, types.CodeActionKind.SourceFixAll]),
    )
    async def actions(params: types.CodeActionParams) -> Sequence[types.CodeAction]:
        uri, only = params.text_document.uri, params.context.only
        wanted = [str(getattr(kind, "value", kind)) for kind in only] if only else None
        found: list[types.CodeAction] = []
        if wanted is None or any("quickfix".startswith(kind) or kind == "quickfix" for kind in wanted):
            found += server.actions(uri, params.range)
        if wanted is None or any(kind == _FIX_ALL or _FIX_ALL.startswith(f"{kind}.") for kind in wanted):
            found += await server.fix_all(uri)
        return found

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def hover(params: types.HoverParams) -> types.Hover | None:
        spot = types.Range(params.position, params.position)
        found = server.at(params.text_document.uri, spot)
        if not found:
            return None
        codes = dict.fromkeys(finding.code for _, finding in found)
        pages = [docs.render_page(docs.page(rules_by_code()[code])) for code in codes]
        content = types.MarkupContent(types.MarkupKind.Markdown, "\n\n---\n\n".join(pages))
        return types.Hover(content)

    return server


def serve() -> None:
    """Serve one editor on standard input and output, until it closes them."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 50_000))
    build().start_io()
