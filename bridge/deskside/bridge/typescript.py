"""Write the page's typed client from the commands' signatures.

Input and output types differ on purpose: a field with a default is optional in what the page sends
and always there in what Python answers. A struct whose two forms differ gets two interfaces, the one
the page sends called `…Input`. An annotation that has no TypeScript is a TypeError that names it.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec
from msgspec import inspect

from deskside.bridge.registry import Command, Registry

Direction = Literal["in", "out"]

SIMPLE: dict[type[inspect.Type], str] = {
    inspect.AnyType: "unknown",
    inspect.NoneType: "null",
    inspect.BoolType: "boolean",
    inspect.IntType: "number",
    inspect.FloatType: "number",
    inspect.StrType: "string",
}
LIMITS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "length ≥", "max_length": "length ≤"}

HEADER = """\
// Written by build/api.py from the commands' signatures in Python. Do not edit.
import type { Call, CallOptions, Stream } from "./bridge";
"""


class TypeScript:
    """Collects the interfaces that commands and events need, in the order they are met."""

    def __init__(self, registry: Registry, events: Any) -> None:
        self._registry = registry
        self._events = events
        self._interfaces: dict[str, str] = {}

    def render(self) -> str:
        """The whole file."""
        domains: dict[str, list[Command]] = {}
        for command in self._registry.commands.values():
            domains.setdefault(command.name.split(".")[0], []).append(command)
        clients = [self._domain(name, commands) for name, commands in sorted(domains.items())]
        event = self._union("AppEvent", self._events)
        return "\n".join(
            [
                HEADER,
                "\n\n".join(self._interfaces.values()),
                f"\n{event}\n",
                "export function commandsOver(call: Call, _stream: Stream) {",
                "  return {",
                *clients,
                "  } as const;",
                "}",
                "",
                "export type Commands = ReturnType<typeof commandsOver>;",
                "",
            ]
        )

    def _domain(self, domain: str, commands: list[Command]) -> str:
        methods = "\n".join(self._method(command) for command in commands)
        return f"    {domain}: {{\n{methods}\n    }},"

    def _method(self, command: Command) -> str:
        try:
            takes = self._type(inspect.type_info(command.params), "in") if command.params else None
            gives = self._type(inspect.type_info(command.returns), "out")
        except TypeError as error:
            raise TypeError(f"{command.function.__module__}, {command.name}: {error}") from error
        gives = "void" if command.returns is type(None) else gives
        parameter, value = (f"params: {takes}, ", "params") if takes else ("", "null")
        via, result = ("_stream", "AsyncIterable") if command.is_stream else ("call", "Promise")
        verb = command.name.split(".")[1]
        return (
            f"{_doc(command.doc, '      ')}"
            f"      {verb}: ({parameter}options?: CallOptions): {result}<{gives}> =>\n"
            f'        {via}("{command.name}", {value}, options),'
        )

    def _union(self, name: str, union: Any) -> str:
        members = inspect.type_info(union)
        return f"export type {name} =\n  | " + "\n  | ".join(self._type(members, "out").split(" | ")) + ";"

    def _type(self, shape: inspect.Type, direction: Direction) -> str:
        if type(shape) in SIMPLE:
            return SIMPLE[type(shape)]
        match shape:
            case inspect.Metadata(type=inner):
                return self._type(inner, direction)
            case inspect.LiteralType(values=values):
                return " | ".join(json.dumps(value) for value in values)
            case inspect.UnionType(types=types):
                # One shape for `T | UnsetType`: the field is optional, see `_field`.
                return " | ".join(self._type(each, direction) for each in types)
            case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
                each_type = self._type(item, direction)
                return f"({each_type})[]" if " | " in each_type else f"{each_type}[]"
            case inspect.DictType(key_type=inspect.StrType(), value_type=value):
                return f"Record<string, {self._type(value, direction)}>"
            case inspect.StructType():
                return self._struct(shape, direction)
            case _:
                raise TypeError(f"no TypeScript for {shape!r}")

    def _struct(self, shape: inspect.StructType, direction: Direction) -> str:
        name = shape.cls.__name__ + ("Input" if direction == "in" and _forms_differ(shape, set()) else "")
        if name in self._interfaces:
            return name
        self._interfaces[name] = ""  # breaks recursion and keeps the order of first use
        lines = [f'  {shape.tag_field}: "{shape.tag}";'] if shape.tag is not None else []
        lines += [self._field(field, direction) for field in shape.fields]
        doc = _doc(shape.cls.__doc__ or "", "")
        self._interfaces[name] = f"{doc}export interface {name} {{\n" + "\n".join(lines) + "\n}"
        return name

    def _field(self, field: inspect.Field, direction: Direction) -> str:
        optional = "?" if not field.required and (direction == "in" or _is_unset(field)) else ""
        limits = _limits(field.type)
        return (
            f"  /** {limits} */\n" if limits else ""
        ) + f"  {field.encode_name}{optional}: {self._type(field.type, direction)};"


def _is_unset(field: inspect.Field) -> bool:
    return field.default is msgspec.UNSET


def _limits(shape: inspect.Type) -> str:
    if isinstance(shape, inspect.Metadata):
        shape = shape.type
    found = [
        f"{sign} {value}"
        for name, sign in LIMITS.items()
        if (value := getattr(shape, name, None)) is not None
    ]
    return ", ".join(found)


def _forms_differ(shape: inspect.StructType, seen: set[type]) -> bool:
    """Whether what the page sends and what Python answers have different fields."""
    if shape.cls in seen:
        return False
    seen.add(shape.cls)
    return any(
        (not field.required and not _is_unset(field))
        or any(_forms_differ(inner, seen) for inner in _structs_in(field.type))
        for field in shape.fields
    )


def _structs_in(shape: inspect.Type) -> list[inspect.StructType]:
    match shape:
        case inspect.StructType():
            return [shape]
        case inspect.UnionType(types=types):
            return [found for each in types for found in _structs_in(each)]
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return _structs_in(item)
        case inspect.DictType(value_type=value):
            return _structs_in(value)
        case inspect.Metadata(type=inner):
            return _structs_in(inner)
        case _:
            return []


def _doc(text: str, indent: str) -> str:
    """A docstring as a JSDoc comment; nothing for msgspec's generated signature docs."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if not lines:
        return ""
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    body = "\n".join(f"{indent} * {line}".rstrip() for line in lines)
    return f"{indent}/**\n{body}\n{indent} */\n"
