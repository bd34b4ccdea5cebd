"""The language server, ``purestate lsp``: what editors show while one types.

`session` knows the open texts and checks them, and has nothing to do with the protocol; `convert` turns findings into its
terms; `server` wires both to pygls.
"""

from __future__ import annotations

__all__: list[str] = []
