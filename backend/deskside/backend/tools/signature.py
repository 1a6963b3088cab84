"""What a tool's source says about it: the name, the description and the parameters, read off its function.

The source is parsed and never run. One public function is the tool; helpers start with an underscore. Its
docstring is what the model reads; lines of the form `city: where to look` in it describe a parameter.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from deskside.backend.tools.sandbox import SOURCE_LIMIT

SIMPLE: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "list": {"type": "array"},
    "tuple": {"type": "array"},
    "dict": {"type": "object"},
    "None": {"type": "null"},
    "Any": {},
    "object": {},
}
CAPITALS = {"List": "list", "Dict": "dict", "Tuple": "tuple"}

Plain = dict[str, Any]


class ToolDraft(msgspec.Struct, frozen=True):
    """What was read. `function` is what is called, "" where there is none to call. `problems` are sentences
    for the writer, most with a line."""

    function: str
    name: str
    description: str
    parameters: dict[str, Any]
    problems: list[str]


NO_PARAMETERS: Plain = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def draft(source: str) -> ToolDraft:
    """Read a source. Never raises: what is wrong is among the problems."""
    if len(source) > SOURCE_LIMIT:
        return _nothing(f"The code is longer than {SOURCE_LIMIT:,} characters.")
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return _nothing(f"{_at(error.lineno)}{error.msg}.")
    except (ValueError, MemoryError, RecursionError):
        return _nothing(
            "The code cannot be read: it is nested too deeply, or holds a character that is no text."
        )
    public = [node for node in tree.body if isinstance(node, FUNCTIONS) and not node.name.startswith("_")]
    problems = list(_unsupported(tree))
    if not public:
        return _nothing("Write the tool as a function: def name(…).", *problems)
    found = public[0]
    if len(public) > 1:
        names = " and ".join(node.name for node in public)
        problems.insert(0, f"Which one is the tool, {names}? Start the names of helpers with an underscore.")
    if isinstance(found, ast.AsyncFunctionDef):
        problems.insert(0, f"{_at(found.lineno)}write def without async; Deskside's functions need no await.")
    try:
        return _read(found, problems, is_callable=len(public) == 1)
    except RecursionError:
        return _nothing(f"{_at(found.lineno)}the types of {found.name!r} are nested too deeply.")


FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def _nothing(*problems: str) -> ToolDraft:
    return ToolDraft("", "", "", NO_PARAMETERS, list(problems))


def _at(line: int | None) -> str:
    return f"Line {line}: " if line else ""


def _read(
    function: ast.FunctionDef | ast.AsyncFunctionDef, problems: list[str], *, is_callable: bool
) -> ToolDraft:
    text = inspect.cleandoc(ast.get_docstring(function) or "")
    if not text:
        problems.append("Describe the tool in the function's docstring: the model reads it.")
    described = _described(text)
    properties: Plain = {}
    required: list[str] = []
    takes = function.args
    for argument in takes.posonlyargs:
        problems.append(
            f"{_at(argument.lineno)}{argument.arg!r} cannot be passed by its name; take out the “/”."
        )
    if takes.vararg:
        problems.append(f"{_at(takes.vararg.lineno)}name the parameters instead of *{takes.vararg.arg}.")
    if takes.kwarg:
        problems.append(f"{_at(takes.kwarg.lineno)}name the parameters instead of **{takes.kwarg.arg}.")
    for argument, default in _with_defaults(takes):
        schema = _schema(argument, default, problems)
        if argument.arg in described:
            schema["description"] = described[argument.arg]
        if default is None:
            required.append(argument.arg)
        else:
            _add_default(schema, default)
        properties[argument.arg] = schema
    parameters = NO_PARAMETERS | {"properties": properties, "required": required}
    problems.sort(key=_line_of)
    return ToolDraft(function.name if is_callable else "", function.name, text, parameters, problems)


def _line_of(problem: str) -> int:
    """Where a problem is; those of the whole come first."""
    found = re.match(r"Line (\d+):", problem)
    return int(found[1]) if found else 0


def _with_defaults(takes: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    positional = [*takes.posonlyargs, *takes.args]
    without = len(positional) - len(takes.defaults)
    yield from zip(positional, [*[None] * without, *takes.defaults], strict=True)
    yield from zip(takes.kwonlyargs, takes.kw_defaults, strict=True)


def _add_default(schema: Plain, default: ast.expr) -> None:
    try:
        given = ast.literal_eval(default)
        value = msgspec.json.decode(msgspec.json.encode(given))
    except (ValueError, TypeError, MemoryError, RecursionError, msgspec.MsgspecError):
        return  # the function knows it; the model need not
    if (value is None) == (given is None):  # an infinite number is null in JSON
        schema["default"] = value


def _schema(argument: ast.arg, default: ast.expr | None, problems: list[str]) -> Plain:
    if argument.annotation is None and isinstance(default, ast.Constant) and default.value is not None:
        return dict(SIMPLE.get(type(default.value).__name__, {}))
    if argument.annotation is None:
        problems.append(
            f"{_at(argument.lineno)}say what {argument.arg!r} is, for example {argument.arg}: str."
        )
        return {}
    try:
        return _of(argument.annotation)
    except _Unknown as error:
        problems.append(f"{_at(argument.lineno)}{str(error)!r} is no type that a model could be told about.")
        return {}


class _Unknown(Exception):
    """An annotation, as written, that has no JSON Schema."""


def _of(annotation: ast.expr) -> Plain:
    """The JSON Schema of an annotation. Raises _Unknown."""
    match annotation:
        case ast.Constant(value=None):
            return dict(SIMPLE["None"])
        case ast.Constant(value=str(text)):  # an annotation in quotes
            return _of_text(text, annotation)
        case ast.Name() | ast.Attribute() if _name(annotation) in SIMPLE:
            return dict(SIMPLE[_name(annotation)])
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _any_of([_of(left), _of(right)])
        case ast.Subscript(value=value, slice=inner):
            return _of_generic(_name(value), _parts(inner), annotation)
        case _:
            raise _Unknown(ast.unparse(annotation))


def _of_text(text: str, annotation: ast.expr) -> Plain:
    try:
        return _of(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, MemoryError) as error:
        raise _Unknown(ast.unparse(annotation)) from error


def _of_generic(name: str, inner: list[ast.expr], annotation: ast.expr) -> Plain:
    if name == "Literal":
        return _of_literal(inner, annotation)
    if name == "list" and len(inner) == 1:
        return {"type": "array", "items": _of(inner[0])}
    if name == "tuple":
        return {"type": "array"}
    if name == "dict" and len(inner) == 2:
        return {"type": "object", "additionalProperties": _of(inner[1])}
    if name == "Optional" and len(inner) == 1:
        return _any_of([_of(inner[0]), dict(SIMPLE["None"])])
    if name == "Union":
        return _any_of([_of(each) for each in inner])
    if name == "Annotated" and inner:
        texts = [
            each.value for each in inner[1:] if isinstance(each, ast.Constant) and isinstance(each.value, str)
        ]
        return _of(inner[0]) | ({"description": texts[0]} if texts else {})
    raise _Unknown(ast.unparse(annotation))


def _of_literal(inner: list[ast.expr], annotation: ast.expr) -> Plain:
    values = [each.value for each in inner if isinstance(each, ast.Constant)]
    if len(values) != len(inner) or not all(isinstance(each, str | int | bool | None) for each in values):
        raise _Unknown(ast.unparse(annotation))
    return {"enum": values}


def _any_of(schemas: list[Plain]) -> Plain:
    """One schema for several; `str | int | None` nests to the left."""
    flat: list[Plain] = []
    for schema in schemas:
        flat.extend(schema["anyOf"] if set(schema) == {"anyOf"} else [schema])
    return {"anyOf": flat} if len(flat) > 1 else flat[0]


def _parts(inner: ast.expr) -> list[ast.expr]:
    return inner.elts if isinstance(inner, ast.Tuple) else [inner]


def _name(node: ast.expr) -> str:
    """`typing.List` and `List` as "list"; other names as they are."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return CAPITALS.get(name, name)


DESCRIBED = re.compile(r"^\s*(?::param\s+)?\*{0,2}([A-Za-z_]\w*)(?:\s*\([^)]*\))?\s*:\s+(\S.*)$")


def _described(docstring: str) -> dict[str, str]:
    """What the docstring says of each name: `city: where to look`, also below "Args:" or after ":param"."""
    return {match[1]: match[2].strip() for line in docstring.splitlines() if (match := DESCRIBED.match(line))}


# -- what the sandbox lacks ------------------------------------------------------------------------

# fmt: off
MODULES = frozenset({
    "asyncio", "base64", "binascii", "bisect", "collections", "copy", "csv", "dataclasses", "datetime",
    "decimal", "functools", "hashlib", "itertools", "json", "math", "os", "pathlib", "random", "re", "sys",
    "time", "tomllib", "typing", "unicodedata",
})
# fmt: on
DECORATORS = {"property", "staticmethod", "classmethod"}


def _unsupported(tree: ast.Module) -> Iterator[str]:
    """What would only fail when the code runs, in the order of the lines."""
    found = [(_line(node), words) for node in ast.walk(tree) if (words := _lacking(node))]
    for line, words in sorted(found):
        yield f"{_at(line)}{words}."


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _lacking(node: Any) -> str:
    match node:
        case ast.ClassDef(bases=bases, keywords=keywords) if bases or keywords:
            return "the sandbox has no class inheritance"
        case ast.Delete():
            return "the sandbox has no del"
        case ast.Yield() | ast.YieldFrom():
            return "the sandbox has no yield; build a list"
        case ast.AsyncFor() | ast.TryStar():
            return "the sandbox has no async for and no except*"
        case ast.FunctionDef(decorator_list=decorators) if {_name(each) for each in decorators} & DECORATORS:
            return "the sandbox has no property, staticmethod or classmethod"
        case ast.Import(names=names):
            return _missing([alias.name for alias in names])
        case ast.ImportFrom(module=module, names=names, level=level):
            if names[0].name == "*":
                return "name what you import"
            return _missing([module or ""]) if not level else "there is nothing to import from “.”"
        case _:
            return ""


def _missing(names: list[str]) -> str:
    missing = [name for name in names if name.split(".")[0] not in MODULES]
    return f"the sandbox has no module {', '.join(missing)}" if missing else ""
