"""Programs that use keys rightly and wrongly while they run; `every` of them, by name."""

import importlib
import inspect
from collections.abc import Callable, Iterator

__all__ = ["MODULES", "every"]

MODULES = ("expectations", "facts", "boundaries", "corpus", "replays", "correct")


def every() -> Iterator[tuple[str, Callable[[], object]]]:
    """Each program, as ``module.function``."""
    for module in MODULES:
        for name, function in vars(importlib.import_module(f"{__name__}.{module}")).items():
            if inspect.isfunction(function) and name.startswith(("good_", "bad_")):
                yield f"{module}.{name}", function
