"""A marker for tests of code that is wrong on purpose."""

import functools
from collections.abc import Callable
from typing import ParamSpec

import pytest

from pytest_purestate import PurityError

__all__ = ["caught"]

P = ParamSpec("P")


def caught(*messages: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Expect that the test fails, for the reason the story tells: a PurityError that says each of `messages`.

    The test is a strict xfail. It is reported as failed when nothing is caught, and also when the
    message is another one, because that ends in an error which is not a PurityError.
    """

    def decorate(test: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(test)
        def checked(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                test(*args, **kwargs)
            except PurityError as error:
                missing = [message for message in messages if message not in str(error)]
                if missing:
                    raise LookupError(f"the failure does not say {missing}, it says:\n{error}") from error
                raise

        return pytest.mark.xfail(
            strict=True, raises=PurityError, reason="hidden state: " + ", ".join(messages)
        )(checked)

    return decorate
