"""The language server, asked by a client over standard input and output."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.lsp.client import LanguageClient

TRAIN = """\
import jax
import jax.numpy as jnp


def step(key, x):
    größe = "𝛼"; a = jax.random.normal(key, x.shape)
    return a + jax.random.normal(key, x.shape)


def clear(n):
    x = jnp.zeros(n)
    x[0] = 1.0
    return x
"""
HELPER = "import jax\n\n\ndef draw(key):\n    return jax.random.normal(key)\n"
USER = "import jax\nfrom helper import draw\n\n\ndef twice(key):\n    return draw(key) + jax.random.normal(key)\n"
WAIT = 60.0


class Editor:
    """A client that keeps what the server shows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = LanguageClient("editor", "1")
        self.shown: asyncio.Queue[types.PublishDiagnosticsParams] = asyncio.Queue()
        self.messages: asyncio.Queue[str] = asyncio.Queue()
        self.capabilities: types.ServerCapabilities | None = None

        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)  # type: ignore[untyped-decorator]
        def shown(params: types.PublishDiagnosticsParams) -> None:
            self.shown.put_nowait(params)

        @self.client.feature(types.WINDOW_SHOW_MESSAGE)  # type: ignore[untyped-decorator]
        def message(params: types.ShowMessageParams) -> None:
            self.messages.put_nowait(params.message)

        @self.client.feature(types.CLIENT_REGISTER_CAPABILITY)  # type: ignore[untyped-decorator]
        def register(params: types.RegistrationParams) -> None:
            self.registered = [registration.method for registration in params.registrations]

    async def start(self) -> None:
        await self.client.start_io(sys.executable, "-m", "pytest_purestate", "lsp", cwd=self.folder)
        watch = types.DidChangeWatchedFilesClientCapabilities(dynamic_registration=True)
        capabilities = types.ClientCapabilities(
            workspace=types.WorkspaceClientCapabilities(did_change_watched_files=watch),
            general=types.GeneralClientCapabilities(position_encodings=[types.PositionEncodingKind.Utf16]),
        )
        uri = self.folder.as_uri()
        params = types.InitializeParams(
            capabilities, root_uri=uri, workspace_folders=[types.WorkspaceFolder(uri, "here")]
        )
        self.capabilities = (await self.client.initialize_async(params)).capabilities
        self.client.initialized(types.InitializedParams())

    async def stop(self) -> None:
        await self.client.shutdown_async(None)
        self.client.exit(None)
        await self.client.stop()  # type: ignore[no-untyped-call]

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, name: str, text: str) -> None:
        document = types.TextDocumentItem(self.uri(name), "python", 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(document))

    def change(self, name: str, text: str, version: int = 2) -> None:
        document = types.VersionedTextDocumentIdentifier(version, self.uri(name))
        whole = types.TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [whole]))

    async def diagnostics(self, name: str = "") -> list[types.Diagnostic]:
        """The next diagnostics that are shown, of a file."""
        while True:
            params = await asyncio.wait_for(self.shown.get(), WAIT)
            if not name or params.uri == self.uri(name):
                return list(params.diagnostics)

    async def actions(self, name: str, line: int, *only: str) -> list[types.CodeAction]:
        spot = types.Position(line, 10)
        context = types.CodeActionContext([], [types.CodeActionKind(kind) for kind in only] or None)
        found = await self.client.text_document_code_action_async(
            types.CodeActionParams(
                types.TextDocumentIdentifier(self.uri(name)), types.Range(spot, spot), context
            )
        )
        return [each for each in found or [] if isinstance(each, types.CodeAction)]


def talk(folder: Path, conversation: Callable[[Editor], Awaitable[None]]) -> None:
    async def whole() -> None:
        editor = Editor(folder)
        await editor.start()
        try:
            await conversation(editor)
        finally:
            await editor.stop()

    asyncio.run(whole())


def edited(text: str, edits: object) -> str:
    """A text after edits of the protocol; its lines hold no character beyond the basic plane."""
    assert isinstance(edits, list | tuple)
    lines = text.splitlines(keepends=True)
    starts = [sum(map(len, lines[:number])) for number in range(len(lines) + 1)]
    for edit in sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character), reverse=True):
        begin, end = (starts[p.line] + p.character for p in (edit.range.start, edit.range.end))
        text = text[:begin] + edit.new_text + text[end:]
    return text


def test_diagnostics_on_open_and_change_with_their_other_places(tmp_path: Path) -> None:
    async def conversation(editor: Editor) -> None:
        editor.open("train.py", TRAIN)
        reuse, array = await editor.diagnostics("train.py")
        assert (reuse.code, reuse.source, reuse.severity) == (
            "PS101",
            "purestate",
            types.DiagnosticSeverity.Error,
        )
        assert reuse.message.startswith(
            "key `key` is used again after `normal` consumed it\nhelp: split it first"
        )
        assert reuse.range == types.Range(types.Position(6, 33), types.Position(6, 36))
        assert reuse.related_information is not None
        (first,) = reuse.related_information
        assert first.message == "first consumed here"
        # Columns count UTF-16 units: the string before has a letter of two of them.
        column = TRAIN.splitlines()[5].index("(key") + 2
        assert first.location.range.start == types.Position(5, column)
        assert array.code == "PS201"
        editor.change("train.py", "import jax\n")
        assert await editor.diagnostics("train.py") == []

    talk(tmp_path, conversation)


def test_changes_are_waited_for_and_checked_once(tmp_path: Path) -> None:
    async def conversation(editor: Editor) -> None:
        editor.open("train.py", "import jax\n")
        assert await editor.diagnostics() == []
        for version in range(2, 12):
            editor.change("train.py", TRAIN + "#" * version, version)
        assert len(await editor.diagnostics()) == 2
        await asyncio.sleep(1.0)
        assert editor.shown.empty()

    talk(tmp_path, conversation)


def test_actions_fix_ignore_and_fix_all(tmp_path: Path) -> None:
    text = TRAIN.replace("𝛼", "a")

    async def conversation(editor: Editor) -> None:
        editor.open("train.py", text)
        await editor.diagnostics()
        fix, ignore = await editor.actions("train.py", 11, "quickfix")
        assert (fix.title, fix.is_preferred) == ("PS201: use a functional update", True)
        assert fix.edit is not None
        assert ignore.edit is not None
        assert fix.edit.changes is not None
        assert ignore.edit.changes is not None
        uri = editor.uri("train.py")
        fixed = text.replace("x[0] = 1.0", "x = x.at[0].set(1.0)")
        assert edited(text, fix.edit.changes[uri]) == fixed
        assert ignore.title == "PS201: ignore on this line"
        assert edited(text, ignore.edit.changes[uri]) == text.replace(
            "x[0] = 1.0", "x[0] = 1.0  # noqa: PS201"
        )
        (ignore_reuse,) = await editor.actions("train.py", 6, "quickfix")
        assert ignore_reuse.title == "PS101: ignore on this line"
        (fix_all,) = await editor.actions("train.py", 0, "source.fixAll")
        assert fix_all.title == "purestate: fix all that is safe to fix"
        assert fix_all.edit is not None
        assert fix_all.edit.changes is not None
        assert edited(text, fix_all.edit.changes[uri]) == fixed
        assert await editor.actions("train.py", 3) == [fix_all]
        editor.change("train.py", fixed)
        await editor.diagnostics()
        assert await editor.actions("train.py", 0, "source.fixAll") == []

    talk(tmp_path, conversation)


def test_hover_shows_the_page_of_the_rule(tmp_path: Path) -> None:
    async def conversation(editor: Editor) -> None:
        editor.open("train.py", TRAIN)
        await editor.diagnostics()
        document = types.TextDocumentIdentifier(editor.uri("train.py"))
        found = await editor.client.text_document_hover_async(
            types.HoverParams(document, types.Position(6, 34))
        )
        assert found is not None
        assert isinstance(found.contents, types.MarkupContent)
        assert found.contents.value.startswith("# key-reuse (PS101)\n")
        assert (
            await editor.client.text_document_hover_async(types.HoverParams(document, types.Position(0, 0)))
            is None
        )

    talk(tmp_path, conversation)


def test_open_texts_count_and_not_what_is_on_disk(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text(HELPER)

    async def conversation(editor: Editor) -> None:
        editor.open("user.py", USER)
        (reuse,) = await editor.diagnostics("user.py")
        assert reuse.code == "PS101"
        editor.open("helper.py", HELPER.replace("jax.random.normal(key)", "0.0"))
        assert await editor.diagnostics("helper.py") == []
        editor.change("user.py", USER + "\n")
        assert await editor.diagnostics("user.py") == []
        editor.client.text_document_did_close(
            types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(editor.uri("helper.py")))
        )
        assert await editor.diagnostics("helper.py") == []
        editor.change("user.py", USER, 3)
        assert len(await editor.diagnostics("user.py")) == 1

    talk(tmp_path, conversation)


def test_saving_checks_all_that_is_open(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text(HELPER)

    async def conversation(editor: Editor) -> None:
        editor.open("user.py", USER)
        assert len(await editor.diagnostics("user.py")) == 1
        (tmp_path / "helper.py").write_text(HELPER.replace("jax.random.normal(key)", "0.0"))
        document = types.TextDocumentIdentifier(editor.uri("user.py"))
        editor.client.text_document_did_save(types.DidSaveTextDocumentParams(document))
        assert await editor.diagnostics("user.py") == []

    talk(tmp_path, conversation)


def test_settings_are_followed_and_read_again(tmp_path: Path) -> None:
    settings = tmp_path / "purestate.toml"

    async def conversation(editor: Editor) -> None:
        editor.open("train.py", TRAIN)
        assert len(await editor.diagnostics()) == 2
        event = types.FileEvent(settings.as_uri(), types.FileChangeType.Changed)
        params = types.DidChangeWatchedFilesParams([event])
        settings.write_text("ignore = ['PS201']\nseverity = { PS101 = 'info' }\n")
        editor.client.workspace_did_change_watched_files(params)
        (reuse,) = await editor.diagnostics()
        assert reuse.severity == types.DiagnosticSeverity.Information
        settings.write_text("ignor = []\n")
        editor.client.workspace_did_change_watched_files(params)
        message = await asyncio.wait_for(editor.messages.get(), WAIT)
        assert message.startswith("purestate: ")
        assert "unknown key `ignor`, did you mean `ignore`?" in message
        settings.write_text("exclude = ['train.py']\n")
        editor.client.workspace_did_change_watched_files(params)
        assert await editor.diagnostics() == []
        assert editor.registered == ["workspace/didChangeWatchedFiles"]

    talk(tmp_path, conversation)


def test_notebooks_are_checked_cell_by_cell(tmp_path: Path) -> None:
    cells = [
        "%time\nimport jax\nkey = jax.random.key(0)",
        "a = jax.random.normal(key)\nb = jax.random.normal(key)",
    ]

    async def conversation(editor: Editor) -> None:
        uri = editor.uri("a.ipynb")
        uris = [f"vscode-notebook-cell:a.ipynb#{number}" for number in range(2)]
        notebook = types.NotebookDocument(
            uri,
            "jupyter-notebook",
            1,
            [types.NotebookCell(types.NotebookCellKind.Code, each) for each in uris],
        )
        items = [
            types.TextDocumentItem(each, "python", 1, text) for each, text in zip(uris, cells, strict=True)
        ]
        editor.client.notebook_document_did_open(types.DidOpenNotebookDocumentParams(notebook, items))
        shown = [await asyncio.wait_for(editor.shown.get(), WAIT) for _ in uris]
        found = {params.uri: params.diagnostics for params in shown}
        assert list(found[uris[0]]) == []
        (reuse,) = found[uris[1]]
        assert reuse.range == types.Range(types.Position(1, 22), types.Position(1, 25))
        assert reuse.related_information is not None
        assert reuse.related_information[0].location.uri == uris[1]
        editor.client.notebook_document_did_close(
            types.DidCloseNotebookDocumentParams(
                types.NotebookDocumentIdentifier(uri), [types.TextDocumentIdentifier(each) for each in uris]
            )
        )
        shown = [await asyncio.wait_for(editor.shown.get(), WAIT) for _ in uris]
        assert [list(params.diagnostics) for params in shown] == [[], []]

    talk(tmp_path, conversation)


def test_cells_of_a_notebook_are_fixed_and_ignored_where_they_stand(tmp_path: Path) -> None:
    cells = [
        "import jax\nimport jax.numpy as jnp\nkey = jax.random.key(0)\nx = jnp.zeros(3)",
        "%time\n# größer\nx[0] = 1.0",
        "a = jax.random.normal(key)\nb = jax.random.normal(key); x[1] = 2.0",
    ]
    uris = [f"vscode-notebook-cell:a.ipynb#{number}" for number in range(len(cells))]

    async def conversation(editor: Editor) -> None:
        notebook = types.NotebookDocument(
            editor.uri("a.ipynb"),
            "jupyter-notebook",
            1,
            [types.NotebookCell(types.NotebookCellKind.Code, each) for each in uris],
        )
        items = [
            types.TextDocumentItem(each, "python", 1, text) for each, text in zip(uris, cells, strict=True)
        ]
        editor.client.notebook_document_did_open(types.DidOpenNotebookDocumentParams(notebook, items))
        for _ in uris:
            await asyncio.wait_for(editor.shown.get(), WAIT)

        async def actions(cell: int, line: int, *only: str) -> dict[str, types.CodeAction]:
            spot = types.Position(line, 2)
            context = types.CodeActionContext([], [types.CodeActionKind(kind) for kind in only] or None)
            params = types.CodeActionParams(
                types.TextDocumentIdentifier(uris[cell]), types.Range(spot, spot), context
            )
            found = await editor.client.text_document_code_action_async(params)
            return {each.title: each for each in found or [] if isinstance(each, types.CodeAction)}

        def after(action: types.CodeAction) -> dict[int, str]:
            assert action.edit is not None
            assert action.edit.changes is not None
            return {
                uris.index(uri): edited(cells[uris.index(uri)], edits)
                for uri, edits in action.edit.changes.items()
            }

        found = await actions(1, 2, "quickfix")
        assert after(found["PS201: ignore on this line"]) == {1: "%time\n# größer\nx[0] = 1.0  # noqa: PS201"}
        (fix,) = [action for title, action in found.items() if "ignore" not in title]
        assert after(fix) == {1: "%time\n# größer\nx = x.at[0].set(1.0)"}
        found = await actions(2, 1, "quickfix")
        assert after(found["PS101: ignore on this line"]) == {2: f"{cells[2]}  # noqa: PS101"}
        (all_fixed,) = (await actions(0, 0, "source.fixAll")).values()
        assert after(all_fixed) == {
            1: "%time\n# größer\nx = x.at[0].set(1.0)",
            2: "a = jax.random.normal(key)\nb = jax.random.normal(key); x = x.at[1].set(2.0)",
        }

    talk(tmp_path, conversation)


@pytest.mark.parametrize("text", ["def (\n", "", "x = 1\x00\n", "(" * 5_000, "# coding: no-such\n"])
def test_no_text_ends_the_server(tmp_path: Path, text: str) -> None:
    async def conversation(editor: Editor) -> None:
        editor.open("odd.py", text)
        await editor.diagnostics("odd.py")
        editor.open("train.py", TRAIN)
        assert len(await editor.diagnostics("train.py")) == 2

    talk(tmp_path, conversation)


def test_without_pygls_it_says_what_to_install() -> None:
    script = (
        "import sys\nsys.modules['pygls'] = None\nsys.modules['lsprotocol'] = None\n"
        "from pytest_purestate.cli import main\nsys.exit(main(['lsp']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "purestate: `lsp` needs pygls: pip install 'pytest-purestate[lsp]'\n"
