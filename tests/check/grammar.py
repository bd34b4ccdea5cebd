"""Programs made up from a grammar of the Python and the JAX that people write, meaningful or not.

`program` writes one. All it needs is somebody who picks a number below a bound, so the same grammar serves
a property test, which shrinks what fails, and a plain random generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["program"]

HEADER = """\
import functools
from functools import partial
from typing import NamedTuple

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx, struct
from flax.training.train_state import TrainState
from jax import lax, random
from jax.random import split
"""

NAMES = "key k1 subkey keys rng state params opt_state x y i n self f g step model tx C D out".split()
ATTRIBUTES = "key rng params opt_state step x at T shape kernel apply_fn tx value".split()
FIELDS = ["key: jax.Array", "x: int = 0", "params: dict", "rng: jax.Array = None", "y = {}"]

# ``e`` is an expression, ``f`` something that can be called.
CALLS = (
    """
jax.random.key(e)|jax.random.PRNGKey(0)|random.normal(e)|random.split(e)|split(e, e)|random.split(e, 3)
random.fold_in(e, e)|random.fold_in(e, 1)|random.uniform(key=e)|jax.random.clone(e)|random.bits(*e)
random.permutation(e, e)|jax.random.key_data(e)|jax.random.wrap_key_data(e)|random.choice(e, **e)
lax.scan(f, e, e)|lax.scan(f, (e, e), xs=e)|lax.scan(f, init=e, xs=None, length=3)|lax.map(f, e)
lax.cond(e, f, f, e)|lax.cond(e, f, f)|lax.switch(e, [f, f], e)|lax.switch(e, e, *e)
lax.while_loop(f, f, e)|lax.while_loop(f, f, (e, e))|lax.fori_loop(0, e, f, e)|lax.fori_loop(e, e, f, (e, e))
jax.vmap(f)(e)|jax.vmap(f, in_axes=(None, 0))(e, e)|jax.vmap(f, e)(*e)|jax.pmap(f)(e)|jax.jit(f)(e, e)
jax.jit(f, static_argnums=0)(e)|jax.jit(f, donate_argnums=(0,))(e)|jax.jit(f).lower(e)|jax.grad(f)(e, e)
jax.value_and_grad(f, has_aux=True)(e)|jax.checkpoint(f)(e)|jax.eval_shape(f, e)|jax.make_jaxpr(f)(e)
jax.tree.map(f, e)|jax.tree.map(f, e, e)|jax.lax.associative_scan(f, e)|jax.debug.print('{}', e)
jnp.array(e)|jnp.stack([e, e])|jnp.concatenate([e[None], e])|jnp.where(e, e, e)|jax.device_put(e)|e.reshape(e)
e.at[e].set(e)|e.at[e].add(e)|e.replace(x=e)|e.replace(key=e, step=e)|e._replace(key=e)|e.apply_gradients(grads=e)
optax.adam(e)|optax.apply_updates(e, e)|e.update(e, e, e)|e.init(e)|e.init(e, e)|e.apply(e, e, rngs={'dropout': e})
e.init({'params': e, 'dropout': e}, e)|TrainState.create(apply_fn=e, params=e, tx=e)|nnx.Rngs(e)|nnx.Rngs(params=e)
nn.Dense(e)(e)|self.make_rng('noise')|self.param('w', f, e)|eqx.nn.Linear(2, 3, key=e)|eqx.tree_at(f, e, e)
partial(f, e)(e)|partial(f, key=e)|functools.reduce(f, e)|map(f, e)|list(map(f, e, e))|zip(e, e)|next(iter(e))
enumerate(e)|reversed(e)|list(zip(e, e))|dict(e)|dict(key=e)|tuple(e)|sorted(e)|range(e)|len(e)|print(e)|iter(e)
isinstance(e, C)|getattr(e, 'key')|setattr(e, 'key', e)|super().__init__(e)|e.append(e)|e.update(key=e)|e.pop(e)
e.setdefault(e, e)|e.items()|e.values()|e.get(e)|e.copy()|np.random.normal(e)|np.asarray(e)|f(e)|f(e, e)
f(*e, **e)|f(key=e)|f(*e, e)|C(e)|C(key=e)|D(e, e).key|f()|e()|e.f(e)|self.step(e)|jax.tree_util.Partial(f, e)(e)
""".replace("\n", "|")
    .strip("|")
    .split("|")
)

DECORATORS = (
    """
jax.jit|partial(jax.jit, static_argnums=0)|jax.vmap|partial(jax.vmap, in_axes=(0, None))|functools.wraps(f)|nn.compact
staticmethod|classmethod|property|functools.lru_cache(maxsize=None)|jax.custom_jvp|f|f(e)|jax.checkpoint|struct.dataclass
""".replace("\n", "|")
    .strip("|")
    .split("|")
)

BASES = "nn.Module NamedTuple nnx.Module eqx.Module struct.PyTreeNode object C D Unknown".split()
ANNOTATIONS = ["jax.Array", "int", "TrainState", "C", "dict[str, jax.Array]", "'D'", "jax.Array | None", "e"]
# ``P`` is a smaller pattern, ``@`` a name.
PATTERNS = (
    *("0", "'a'", "None", "-1", "_", "x", "key", "[P, P]", "[P, *out]", "(P, _, P)", "[]", "{}", "(P)"),
    *("{'key': P}", "{'key': P, **out}", "C(P)", "C(key=P)", "C(P, x=P)", "[P] as y", "C.x", "[*_, P]"),
    *("0 | 1", "C() | D()", "{1: P} | [P]", "jax.random.key"),
)
INDICES = "0|1|-1|i|i + 1|n - 1|'key'|:|1:|:-1|::2|0, 1|..., None|@|@:@|@, :".split("|")


class Writer:
    """Writes a program by picking one way after another until its fuel is spent."""

    def __init__(self, pick: Callable[[int], int], fuel: int) -> None:
        self._pick = pick
        self._fuel = fuel
        self._depth = 0  # of expressions
        self._async = False

    def one(self, options: Sequence[str]) -> str:
        return options[self._pick(len(options))]

    def name(self) -> str:
        return self.one(NAMES)

    # --- expressions -----------------------------------------------------------------------

    def expr(self) -> str:
        self._fuel -= 1
        if self._fuel < 0 or self._depth > 4:
            return self.name()
        self._depth += 1
        kind = self._pick(24)
        text = self._simple(kind) if kind < 12 else self._compound(kind)
        self._depth -= 1
        return text

    def _simple(self, kind: int) -> str:
        if kind < 4:
            return self.name()
        if kind < 9:
            return self.filled(self.one(CALLS))
        if kind == 9:
            return f"{self.expr_tight()}.{self.one(ATTRIBUTES)}"
        if kind == 10:
            return f"{self.expr_tight()}[{self.index()}]"
        return self.one(["0", "1", "-1", "1.5", "'key'", "None", "True", "...", "b''"])

    def _compound(self, kind: int) -> str:
        e = self.expr
        if kind == 12:
            return f"({e()} {self.one(['+', '-', '*', '@', '%', '//', '|', '**'])} {e()})"
        if kind == 13:
            return f"({e()} {self.one(['==', '!=', '<', 'is', 'is not', 'in', 'not in'])} {e()})"
        if kind == 14:
            return f"({e()} {self.one(['and', 'or'])} {self.one(['', 'not '])}{e()})"
        if kind == 15:
            return f"({e()} if {e()} else {e()})"
        if kind == 16:
            return self.callee()
        if kind == 17:
            return self.comprehension()
        if kind == 18:
            return self.one(["[{}, {}]", "({}, {})", "({},)", "[*{}, {}]", "({}, *{})", "{{{}, {}}}"]).format(
                *(e() for _ in range(2))
            )
        if kind == 19:
            return self.one(["{{'key': {}, 'x': {}}}", "{{**{}, 'key': {}}}", "{{{}: {}}}", "{{}}"]).format(
                e(), e()
            )
        if kind == 20:
            return f"({self.name()} := {e()})"
        if kind == 21:
            return f"f'{{{self.name()}}} {{{self.name()}!r:>{{{self.name()}}}}}'"
        if kind == 22:
            return f"(await ({e()}))" if self._async else f"(yield {e()})"
        return f"({self.one(['-', '~', 'not '])}{e()})"

    def expr_tight(self) -> str:
        """An expression that can stand before a dot or a bracket."""
        return self.name() if self._pick(2) else f"({self.expr()})"

    def index(self) -> str:
        return self.one(INDICES).replace("@", self.name())

    def filled(self, template: str) -> str:
        """A template of a call with its holes filled."""
        out = []
        for at, char in enumerate(template):
            hole = char in "ef" and not _is_word(template, at)
            out.append(char if not hole else self.callee() if char == "f" else self.argument(template, at))
        return "".join(out)

    def argument(self, template: str, at: int) -> str:
        before_dot = template[at + 1 : at + 2] in (".", "[", "(")
        return self.expr_tight() if before_dot else self.expr()

    def callee(self) -> str:
        kind = self._pick(5)
        if kind < 2 or self._fuel < 0 or self._depth > 4:
            return self.one(
                ["f", "g", "step", "random.normal", "C", "self.step", "jax.random.uniform", "lax.add"]
            )
        if kind == 2:
            return f"partial({self.callee()}, {self.expr()})"
        self._depth += 1
        text = f"(lambda {self.one(['', 'x', 'key', 'c, x', 'key, *rest', 'x=key, **kw'])}: {self.expr()})"
        self._depth -= 1
        return text

    def comprehension(self) -> str:
        clauses = f"for {self.target()} in {self.expr_tight()}"
        for _ in range(self._pick(3)):
            clauses += self.one([f" if {self.expr_tight()}", f" for {self.name()} in {self.expr_tight()}"])
        if self._async and not self._pick(4):
            clauses = f"async {clauses}"
        return self.one(["[{} {}]", "list({} {})", "{{{} {}}}", "sum({} {})"]).format(self.expr(), clauses)

    def target(self) -> str:
        return self.one(
            [self.name(), self.name(), f"({self.name()}, {self.name()})", f"({self.name()}, *{self.name()})"]
        )

    # --- statements ------------------------------------------------------------------------

    def block(self, indent: str, *, loop: bool = False, inside: bool = False, width: int = 4) -> list[str]:
        lines: list[str] = []
        for _ in range(1 + self._pick(width)):
            lines += self.statement(indent, loop=loop, inside=inside)
            if self._fuel < 0:
                break
        return lines

    def statement(self, indent: str, *, loop: bool, inside: bool) -> list[str]:
        self._fuel -= 1
        kind = self._pick(30)
        if self._fuel < 0 or len(indent) > 20 or kind < 17:
            return [indent + self._plain(kind % 17, loop=loop, inside=inside)]
        return self._nested(kind, indent, loop=loop, inside=inside)

    def _plain(self, kind: int, *, loop: bool, inside: bool) -> str:
        e = self.expr
        if kind < 5:
            return f"{self.name()} = {e()}"
        if kind == 5:
            return f"{self.name()}, {self.name()} = {self.filled(self.one(['random.split(e)', 'e, e', 'f(e)', 'e']))}"
        if kind == 6:
            return f"{self.one(['key, *out', '(k1, (x, y))', '[key, subkey]', 'x = y', '*keys,'])} = {e()}"
        if kind == 7:
            return f"{self.expr_tight()}.{self.one(ATTRIBUTES)} = {e()}"
        if kind == 8:
            return f"{self.expr_tight()}[{self.index()}] {self.one(['=', '+=', '|='])} {e()}"
        if kind == 9:
            return f"{self.name()} += {e()}"
        if kind == 10:
            return f"{self.name()}: {self.filled(self.one(ANNOTATIONS))} = {e()}"
        if kind == 11:
            return self.one(["return", f"return {e()}"] if inside else ["pass"])
        if kind == 12:
            return self.one(["break", "continue"] if loop else ["pass"])
        if kind == 13:
            return self.one(
                [f"del {self.name()}", f"del {self.name()}[{self.index()}]", f"del ({self.name()}, x.y)"]
            )
        if kind == 14:
            return self.one(
                ["global key, n", "nonlocal key", "import jax.random as random", "from m import *"]
            )
        if kind == 15:
            return self.one([f"assert {e()}, {e()}", f"raise {e()} from {self.name()}", "raise", "pass"])
        return e()

    def _nested(self, kind: int, indent: str, *, loop: bool, inside: bool) -> list[str]:
        deeper = indent + "    "

        def body(loop: bool = loop, inside: bool = inside) -> list[str]:
            return self.block(deeper, loop=loop, inside=inside)

        def maybe(head: str, loop: bool = loop) -> list[str]:
            return [] if self._pick(2) else [indent + head, *body(loop)]

        if kind < 20:
            lines = [f"{indent}if {self.expr()}:", *body(), *maybe(f"elif {self.name()}:")]
            return [*lines, *maybe("else:")]
        if kind == 20:
            head = "async for" if self._async and self._pick(2) else "for"
            lines = [f"{indent}{head} {self.target()} in {self.expr()}:", *body(loop=True)]
            return [*lines, *maybe("else:")]
        if kind == 21:
            return [f"{indent}while {self.expr()}:", *body(loop=True), *maybe("else:")]
        if kind == 22:
            return self._try(indent, body, maybe)
        if kind == 23:
            head = "async with" if self._async and self._pick(2) else "with"
            item = f"{self.expr()} as {self.one([self.name(), 'self.x', '(x, y)'])}"
            return [f"{indent}{head} {self.one([self.expr(), item, f'{item}, {self.expr()}'])}:", *body()]
        if kind == 24:
            lines = [f"{indent}match {self.one([self.name(), f'({self.expr()}), x'])}:"]
            for _ in range(1 + self._pick(3)):
                guard = self.one(["", "", f" if {self.name()}.x[{self.index()}]", f" if f({self.name()})"])
                lines += [
                    f"{deeper}case {self.pattern()}{guard}:",
                    *self.block(deeper + "    ", loop=loop, inside=inside),
                ]
            return lines
        if kind == 25:
            return self._class(indent)
        return self._function(indent, method=False)

    def _try(
        self, indent: str, body: Callable[[], list[str]], maybe: Callable[[str], list[str]]
    ) -> list[str]:
        lines = [f"{indent}try:", *body()]
        if not self._pick(4):
            return [*lines, f"{indent}finally:", *body()]
        heads = ["except ValueError:", f"except (KeyError, {self.name()}) as y:", "except* OSError as e:"]
        lines.append(indent + self.one(heads))
        return [*lines, *body(), *maybe("else:"), *maybe("finally:")]

    def pattern(self) -> str:
        return self.one(PATTERNS).replace("P", self.one(["_", "0", "[_, 0]", "C()", "None", "{'x': _}"]))

    def _class(self, indent: str) -> list[str]:
        deeper = indent + "    "
        lines = [f"{indent}@{self.filled(self.one(DECORATORS))}"] if not self._pick(3) else []
        lines.append(f"{indent}class {self.one(['C', 'D'])}({self.one(BASES)}):")
        for _ in range(1 + self._pick(3)):
            kind = self._pick(4)
            lines += [deeper + self.one(FIELDS)] if kind == 0 else self._function(deeper, method=True)
        return lines

    def _function(self, indent: str, *, method: bool) -> list[str]:
        outer = self._async
        self._async = not self._pick(5)
        lines = [f"{indent}@{self.filled(self.one(DECORATORS))}" for _ in range(self._pick(2))]
        name = self.one(["step", "__call__", "setup", "__init__"] if method else ["f", "g", "step"])
        params = self.one(
            [
                "key",
                "key, x",
                "state, batch",
                "key, /, x",
                "*args, **kwargs",
                "x, *, key",
                "key=None, x=0",
                "",
            ]
        )
        if method:
            params = f"self, {params}" if params else "self"
        elif not self._pick(3):
            params = f"carry: {self.filled(self.one(ANNOTATIONS))}{', ' if params else ''}{params}"
            params = params.replace("key=None", "key").replace("x=0", "x")
        arrow = self.one(["", "", " -> jax.Array"])
        lines.append(f"{indent}{'async ' if self._async else ''}def {name}({params}){arrow}:")
        lines += self.block(indent + "    ", inside=True, width=6)
        self._async = outer
        return lines


def _is_word(template: str, at: int) -> bool:
    """Whether the letter is part of a longer word, an attribute or the name of an argument."""
    before, after = template[at - 1 : at], template[at + 1 : at + 2]
    return before.isalnum() or before in ("_", ".", "'") or after.isalnum() or after in ("_", "=", "'")


def program(pick: Callable[[int], int], fuel: int = 120) -> str:
    """A program. ``pick`` gives a number below its argument; ``fuel`` bounds the size."""
    writer = Writer(pick, fuel)
    lines = writer.block("", width=8)
    return "\n".join([HEADER, *lines, ""])
