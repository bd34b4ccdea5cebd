"""One function (or module body) while it is being interpreted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_purestate._check import ir
from pytest_purestate._check.flow.facts import FunctionFacts, Handed
from pytest_purestate._check.flow.state import State
from pytest_purestate._check.flow.values import START, Donation, Guards, Origin, Root, Sym, Type, Use, Value
from pytest_purestate._check.model import Confidence

if TYPE_CHECKING:
    from pytest_purestate._check.flow.project import ModuleContext
    from pytest_purestate._check.flow.statics import Static

__all__ = ["Frame", "Late", "Loop", "Product"]


class Loop:
    """The states that leave a loop body early."""

    __slots__ = ("breaks", "continues")

    def __init__(self) -> None:
        self.breaks: list[State] = []
        self.continues: list[State] = []


class Product(NamedTuple):
    """A successor as a call made it: the call, where the result got its name (or a place of its own), the name.

    ``old`` is the variable that holds the old value then, or an empty string.
    """

    call: int
    ref: int
    name: str
    passes: tuple[tuple[int, int], ...]
    old: str = ""


class Late(NamedTuple):
    """A variable that a nested function captures is bound anew, after calls of these functions."""

    ref: int
    name: str
    path: Guards
    ran: frozenset[tuple[ir.Function, bool]]


class Frame:
    """One function (or module body) being interpreted."""

    def __init__(self, function: ir.Function | None, context: ModuleContext, parent: Frame | None) -> None:
        self.function = function
        self.context = context
        self.parent = parent
        self.state: State | None = State({}, {}, {}, START)
        self.last = self.state
        self.facts = FunctionFacts(function)
        self.returns: list[tuple[Value, State]] = []
        self.exits: list[int] = []  # what each return statement returns
        self.raises: list[State] = []
        self.loops: list[Loop] = []
        self.depth = 0
        self.sweeps: set[int] = set()  # loops over a few settings that are written out
        self.began: list[int] = []  # how many calls there were when each loop around began
        self.free: dict[str, Sym] = {}
        self.declared: dict[str, bool] = {}  # name -> nonlocal?
        self.passes: tuple[tuple[int, int], ...] = ()
        self.assigned: dict[tuple[Root, str], list[tuple[int, str]]] = {}  # attributes, and where
        self.handed: dict[str, list[Handed]] = {}  # names of what was handed to a function
        self.calling = -1  # the expression that is looked up to be called
        self.jitted: dict[str, int] = {}  # names of compiled functions that were made here, and where
        self.before: dict[str, Value] = {}  # the names before the loop around began
        self.popped: set[Sym] = set()  # what was taken out of containers
        self.replay = 0
        self.statement = -1
        self.alone = -1  # the call that the statement consists of: its result is let go
        self.valued: set[int] = set()  # calls whose result is handed on or gets a name
        self.read: set[tuple[int, int]] = set()  # (split call, element) of keys that were looked at
        self.used: dict[tuple[int, int], Use] = {}  # ... that were spent
        self.looked: set[Root] = set()  # keys that were looked at
        self.told: set[Root] = set()  # what is printed or logged, and what that is made of
        self.named: dict[Root, tuple[str, int]] = {}  # keys that got a name, and where
        self.moved: set[Root] = set()
        self.fresh: dict[Root, tuple[int, int, str, str]] = {}
        self.renewed: dict[
            Root, tuple[int, int, str]
        ] = {}  # new values of parameters, under the same name: where, the statement, the name
        self.folds: dict[
            Sym, set[tuple[int, tuple[tuple[int, int], ...]]]
        ] = {}  # fold_in calls, in which passes
        self.called: dict[Sym, Guards] = {}  # parameters that are called
        self.seeded: dict[
            tuple[str, Sym, tuple[tuple[int, int], ...]], Sym
        ] = {}  # keys, by what made them, of which seed, in which passes
        self.bound: set[Root] = set()  # objects that the partial in force brings along
        self.quiet: set[int] = set()  # calls of methods of a library that do nothing but return something
        self.products: dict[Root, Product] = {}  # successors that were made
        self.whole: set[Root] = set()  # ... those that were looked at as a whole
        self.taken: dict[Root, set[object]] = {}  # ... and the elements of them that were looked at
        self.advanced: set[Sym] = set()  # what optimizer steps are made of, and what is differentiated by
        self.applied: set[int] = set()  # calls that make a step with what flows into them
        self.joined: set[int] = set()  # those among them that only put trees together
        self.through: set[int] = set()  # calls of a library that do nothing but return something
        self.outlines: set[int] = set()  # calls that look at shapes and the like, and at no numbers
        self.measures: set[int] = set()  # calls that only tell something of it, or make something else
        self.crowded: set[str] = set()  # names that were looked at and may hold more than is remembered
        self.hurried = False  # loops were run once that may run more often
        self.steps = 0
        self.mapped = False
        self.repeats = False
        self.lanes: tuple[set[Root], set[Root]] | None = (
            None  # objects alike for all lanes of a vmap: by in_axes, by being bound
        )
        self.glance = 0  # how many looks at no more than what a value is made like enclose this
        self.tracing = 0  # how many transforms enclose this call
        self.shared_given: frozenset[str] | None = (
            None  # parameters that the transform around this call hands the caller's containers, if it hands others new ones
        )
        self.given: list[tuple[Sym, Donation]] = []  # parameters and captured variables that were donated
        self.pure: tuple[int, str, str, Type, Confidence, int] | None = None
        self.yields: list[Value] = []  # where a buffer was lent before
        self.lent: list[tuple[str, Origin]] = []  # attributes whose buffers JAX was handed
        self.nested: dict[
            tuple[ir.Function, bool], list[Guards]
        ] = {}  # nested functions that ran (whether under a transform), and under which guards
        self.watched: dict[
            str, set[tuple[ir.Function, bool]]
        ] = {}  # names of this function that those capture
        self.late: list[Late] = []
        self.params: tuple[tuple[ir.Param, Sym], ...] = ()
        self.shared: dict[Root, tuple[ir.Param, Type]] = {}  # parameters with a mutable default
        self.caught: frozenset[str] = frozenset()  # exceptions that the code around awaits
        self.unseeded: list[
            tuple[int, str, Guards]
        ] = []  # generators made without a seed: where, which, when
        self.statics: dict[Sym, list[Static]] = {}  # objects that compiled functions took for constants
        self.disorder: list[
            tuple[Origin, int, int]
        ] = []  # loops without an order; their and their pass's beginning

    @property
    def replays(self) -> bool:
        """Whether this body may replay a key: a test's own body, or a helper of a test module."""
        function = self.function
        if function is not None and function.parent is not None:
            return False
        facts = self.context.facts
        if facts.is_test:
            return True
        return function is not None and (function.name.startswith("test") or facts.is_tests_own(function))
