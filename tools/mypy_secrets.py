"""A mypy plugin: key material (SecretBytes) must not become text, a pickle, a hash, or an operand of a comparison.

Types alone cannot say it: `str`, `print`, `format`, loggers and picklers take `object`. This plugin looks at what is handed to
them, also inside tuples, lists and dicts. `repr` is free: it shows `SecretBytes(***)`. What no hook reaches (percent
formatting, which ruff refuses as UP031; displays and `in`) raises TypeError at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mypy.errorcodes import ErrorCode
from mypy.nodes import DictExpr, Expression, ListExpr, SetExpr, TupleExpr
from mypy.plugin import FunctionContext, MethodContext, Plugin
from mypy.types import Instance, TupleType, Type, UnionType, get_proper_type

SECRET = "hermes_core.crypto.secret.SecretBytes"  # noqa: S105  # the name of a type
CODE = ErrorCode("secret", "Check that key material is not logged, formatted, compared or pickled", "Hermes")

LOG_METHODS = ("debug", "info", "warning", "error", "exception", "critical", "log")
FUNCTIONS = {
    **dict.fromkeys(("builtins.str", "builtins.format", "builtins.ascii"), "turned into text"),
    "builtins.print": "printed",
    "builtins.hash": "hashed",
    **dict.fromkeys(("builtins.set", "builtins.frozenset"), "hashed"),
    **dict.fromkeys(
        (f"{module}.{name}" for module in ("pickle", "_pickle", "marshal") for name in ("dump", "dumps")), "pickled"
    ),
    **dict.fromkeys(("json.dump", "json.dumps"), "turned into text"),
    **dict.fromkeys(("copy.copy", "copy.deepcopy"), "copied other than by copy()"),
    **dict.fromkeys((f"logging.{name}" for name in LOG_METHODS), "logged"),
}
METHODS = {
    **dict.fromkeys((f"builtins.str.{name}" for name in ("format", "format_map", "join", "__mod__")), "turned into text"),
    **dict.fromkeys((f"logging.{kind}.{name}" for kind in ("Logger", "LoggerAdapter") for name in LOG_METHODS), "logged"),
    **dict.fromkeys((f"hermes_node.logs.event_log.EventLog.{name}" for name in (*LOG_METHODS, "write")), "logged"),
    **dict.fromkeys(
        (f"builtins.{kind}.{name}" for kind in ("object", "bytes", "bytearray", "memoryview") for name in ("__eq__", "__ne__")),
        "compared",
    ),
    **dict.fromkeys((f"builtins.{kind}.{name}" for kind in ("list", "tuple") for name in ("index", "count")), "compared"),
    **dict.fromkeys(("builtins.set.add", "builtins.dict.__setitem__"), "hashed"),
}


class SecretsPlugin(Plugin):
    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        verb = FUNCTIONS.get(fullname)
        return None if verb is None else lambda ctx: refuse(ctx, verb)

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        verb = METHODS.get(fullname)
        if fullname == "builtins.dict.__setitem__":
            return lambda ctx: refuse(ctx, "hashed", only_first=True)
        return None if verb is None else lambda ctx: refuse(ctx, verb)


def refuse(ctx: FunctionContext | MethodContext, verb: str, *, only_first: bool = False) -> Type:
    groups = zip(ctx.arg_types[:1] if only_first else ctx.arg_types, ctx.args, strict=False)
    for types, expressions in groups:
        for given, expression in zip(types, expressions, strict=False):
            if holds_secret(given) or any(holds_secret(inner) for inner in list_types(ctx, expression)):
                ctx.api.fail(f"Key material must not be {verb}", expression, code=CODE)
    return ctx.default_return_type


def list_types(ctx: FunctionContext | MethodContext, expression: Expression) -> Iterator[Type]:
    """Types of the items of a display: its own type may have been widened to `object`."""
    items: list[Expression] = []
    if isinstance(expression, DictExpr):
        items = [item for pair in expression.items for item in pair if item is not None]
    elif isinstance(expression, ListExpr | TupleExpr | SetExpr):
        items = expression.items
    for item in items:
        yield ctx.api.get_expression_type(item)
        yield from list_types(ctx, item)


def holds_secret(given: Type) -> bool:
    proper = get_proper_type(given)
    if isinstance(proper, Instance):
        return proper.type.has_base(SECRET) or any(holds_secret(inner) for inner in proper.args)
    if isinstance(proper, UnionType | TupleType):
        return any(holds_secret(inner) for inner in proper.items)
    return False


def plugin(_version: str) -> type[Plugin]:
    return SecretsPlugin
