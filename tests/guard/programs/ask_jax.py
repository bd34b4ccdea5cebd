"""Asks JAX's own key checker about every program: `python tests/guard/programs/ask_jax.py` writes jax_says.json."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import jax

HERE = Path(__file__).resolve().parent


def ask(program: Callable[[], object]) -> str:
    jax.clear_caches()  # type: ignore[no-untyped-call]
    try:
        with jax.debug_key_reuse(True):
            program()
    except jax.errors.KeyReuseError:
        return "reports"
    except Exception as error:
        return f"fails: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return "silent"


def main() -> None:
    from programs import every

    answers = {"jax": jax.__version__} | {name: ask(program) for name, program in every()}
    (HERE / "jax_says.json").write_text(json.dumps(answers, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    main()
