"""The texts of failures, and where they say that something is."""

import functools
import linecache
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from pytest_purestate import Problem, PurityError
from pytest_purestate._runtime import frames
from pytest_purestate._runtime.frames import argument_names, user_frame, user_place


def problem(number: int, kind: str = "value") -> Problem:
    return Problem(kind, f"x[{number}]", "was changed", "1", "2")


def test_headline_alone() -> None:
    assert str(PurityError("it is broken")) == "it is broken"


def test_problems_notes_and_help_are_listed() -> None:
    error = PurityError(
        "`x` is broken",
        [problem(0), Problem("added", "x[1]", "was added", after="3"), problem(2, "hidden-state")],
        ("one", "the other"),
        ("note: first", "note: second"),
        "repair it",
    )
    assert str(error) == (
        "`x` is broken\n"
        "  x[0]: was changed\n"
        "    one:       1\n"
        "    the other: 2\n"
        "  x[1]: was added\n"
        "    the other: 3\n"
        "  x[2]: was changed\n"
        "    before: 1\n"
        "    after:  2\n"
        "  note: first\n"
        "  note: second\n"
        "  help: repair it"
    )


@pytest.mark.parametrize(
    ("count", "last"), [(10, "    after:  2"), (11, "  and 1 more, all of them in `.problems` of this error")]
)
def test_ten_problems_are_shown(count: int, last: str) -> None:
    error = PurityError("broken", map(problem, range(count)))
    lines = str(error).split("\n")
    assert sum("was changed" in line for line in lines) == 10
    assert lines[-1] == last
    assert len(error.problems) == count


def test_error_travels_between_processes() -> None:
    error = PurityError("broken", (problem(0),), ("a", "b"), ("note",), "help")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is PurityError
    assert str(again) == str(error)
    assert again.problems == error.problems


def test_error_is_named_as_it_is_imported() -> None:
    assert f"{PurityError.__module__}.{PurityError.__qualname__}" == "pytest_purestate.PurityError"
    assert issubclass(PurityError, AssertionError)


# Frames. The calls stand outside of `assert`, which old versions of pytest rewrite as if it were one place.


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function that counts as part of this package, and gives the names of its arguments."""
    namespace: dict[str, Any] = {"argument_names": argument_names, "user_place": user_place}
    source = (
        "def names(*args):\n    return argument_names(len(args))\ndef place():\n    return user_place()\n"
    )
    exec(compile(source, frames._OURS + "made_up.py", "exec"), namespace)
    names: Callable[..., Any] = namespace["names"]
    names.place = namespace["place"]  # type: ignore[attr-defined]
    return names


def test_short_places_are_names(ours: Any) -> None:
    state: Any = functools.partial(list)
    i = 0
    values = {"a": [1]}
    found = ours(state, state.args, values["a"][i], values["a"])
    assert found == (
        "state",
        "state.args",
        "values['a'][i]",
        "values['a']",
    )


def test_anything_longer_has_no_name(ours: Any) -> None:
    x = [1]
    found = ours(x + x, list(x), x[-1], x[0:1], 3)
    assert found == ("", "", "", "", "")


def test_call_over_several_lines_beside_others_is_found(ours: Any) -> None:
    äöü, y = 1, 2
    found = [ours(y), ours(
        äöü,
        y,  # a comment (with a bracket
    )]  # fmt: skip
    assert found == [("y",), ("äöü", "y")]


def test_unpacked_arguments_have_no_names(ours: Any) -> None:
    both = (1, 2)
    found = [ours(*both), ours(both, *both)]
    assert found == [None, None]


def test_call_that_is_not_written_has_no_names(ours: Any) -> None:
    assert functools.partial(ours, 1)(2) is None


def test_source_that_is_not_there_or_changed(ours: Any, tmp_path: Any) -> None:
    namespace = {"ours": ours, "x": 1}
    assert eval("ours(x)", namespace) is None
    file = tmp_path / "module.py"
    code = compile("y = ours(x)", str(file), "exec")
    for text, expected in [("y = ours(x)", ("x",)), ("y = (((((", None), ("", None), ("y = 1234567", None)]:
        file.write_text(text)
        linecache.checkcache(str(file))
        exec(code, namespace)
        assert namespace["y"] == expected, text
        linecache.clearcache()


def test_place_is_that_of_the_user(ours: Any) -> None:
    file, line = ours.place()
    assert file == __file__
    assert line == test_place_is_that_of_the_user.__code__.co_firstlineno + 1
    frame = user_frame()
    assert frame is not None
    assert frame.f_code.co_name == "test_place_is_that_of_the_user"
