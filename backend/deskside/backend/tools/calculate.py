"""Arithmetic without running anything: an allow-list over Python's syntax tree.

Invariants
  - Only the nodes, names and functions listed here are ever evaluated: no attribute, no subscript, no
    comprehension, no text, no call of anything but the functions below.
  - Every step is bounded before it is taken, so no expression takes more than a few milliseconds or
    more than a few kilobytes: length, nodes, nesting, the size of whole numbers, the arguments of
    functions that grow fast.

A whole number stays below 4,096 bits (1,233 digits), which also keeps it below the 4,300 digits past
which Python refuses to write one as text.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Annotated

import msgspec

from deskside.backend.tools.declaration import tool

Number = int | float

LENGTH_LIMIT = 500  # characters; the parser's memory grows with it
NODE_LIMIT = 600
DEPTH_LIMIT = 150  # a sum of 150 numbers; far below the interpreter's own limit of 1,000 frames
BIT_LIMIT = 4096
GROWING_LIMIT = 500  # the largest argument of factorial, comb and perm
DIGIT_LIMIT = 30  # decimal places for round
# What people and models also write for the operators. (`^` is never "exclusive or" in arithmetic.)
SPELLINGS = str.maketrans({"^": "**", "×": "*", "·": "*", "÷": "/", "−": "-"})


class CannotCalculate(ValueError):
    """The expression is not arithmetic, or its result would be too large. The text is for the model."""


@tool(approval="never", time_limit_s=2, is_repeatable=True)
def calculate(expression: Annotated[str, msgspec.Meta(min_length=1, max_length=LENGTH_LIMIT)]) -> str:
    """Work out an arithmetic expression, for example "(3 + 4) * 2 ** 10" or "sqrt(2) / 3".

    Use it instead of calculating in your head. Operators: + - * / // % ** (or ^) and parentheses.
    Functions: abs, min, max, sum, mean, round, floor, ceil, sqrt, exp, ln, log, log2, log10, sin, cos,
    tan, asin, acos, atan, atan2, sinh, cosh, tanh, hypot, degrees, radians, factorial, comb, perm, gcd,
    lcm, isqrt. Names: pi, e, tau. Angles are in radians; log(x) is natural, log(x, base) takes a base.
    Write numbers without thousands separators. Whole numbers are exact, others good to 15 digits.
    """
    return _written(evaluate(expression))


def evaluate(expression: str) -> Number:
    """The expression's value. Raises CannotCalculate."""
    if len(expression) > LENGTH_LIMIT:
        raise CannotCalculate(f"the expression is longer than {LENGTH_LIMIT} characters")
    try:
        tree = ast.parse(expression.strip().translate(SPELLINGS), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise CannotCalculate("this is not an arithmetic expression") from error
    if sum(1 for _ in ast.walk(tree)) > NODE_LIMIT:
        raise CannotCalculate("the expression has too many parts; calculate it in steps")
    try:
        return _value(tree.body, 0)
    except ZeroDivisionError as error:
        raise CannotCalculate("division by zero") from error
    except OverflowError as error:
        raise CannotCalculate("the result is too large") from error
    except CannotCalculate:
        raise
    except (ValueError, TypeError) as error:
        raise CannotCalculate(str(error)) from error


def _value(node: ast.expr, depth: int) -> Number:
    if depth > DEPTH_LIMIT:
        raise CannotCalculate("the expression is nested too deeply; calculate it in steps")
    match node:
        case ast.Constant(value=value):
            return _bounded(value)
        case ast.Name(id=name) if name in NAMES:
            return NAMES[name]
        case ast.Name(id=name):
            raise CannotCalculate(f"no name {name!r}; there are {', '.join(NAMES)}")
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in SIGNS:
            return _bounded(SIGNS[type(sign)](_value(operand, depth + 1)))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in OPERATORS:
            return _bounded(OPERATORS[type(sign)](_value(left, depth + 1), _value(right, depth + 1)))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            return _bounded(FUNCTIONS[name](*[_value(each, depth + 1) for each in arguments]))
        case ast.Call(func=ast.Name(id=name)):
            raise CannotCalculate(f"no function {name!r} that is called like this")
        case ast.Tuple():
            raise CannotCalculate("write one expression, and numbers without thousands separators")
        case _:
            raise CannotCalculate(f"{type(node).__name__} is not arithmetic")


def _bounded(value: object) -> Number:
    """The value, if it is a number of a size we keep."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CannotCalculate("only real numbers can be calculated with")
    if isinstance(value, int) and value.bit_length() > BIT_LIMIT:
        raise CannotCalculate("the number is too large")
    if isinstance(value, float) and not math.isfinite(value):
        raise CannotCalculate("the result is not a finite number")
    return value


def _power(base: Number, exponent: Number) -> Number:
    """`base ** exponent`, refused before it is worked out when it would be too large."""
    if isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1:
        # 2**n has n + 1 bits: (bits - 1) is the smallest growth a factor can have.
        if (base.bit_length() - 1) * exponent > BIT_LIMIT:
            raise CannotCalculate("the power is too large")
        if exponent < -BIT_LIMIT:
            return 0.0
    result = base**exponent
    if isinstance(result, complex):
        raise CannotCalculate("the result is not a real number")
    return result


def _growing(function: Callable[..., int]) -> Callable[..., int]:
    """The function, for whole arguments up to GROWING_LIMIT."""

    def limited(*arguments: Number) -> int:
        if any(not isinstance(each, int) or each > GROWING_LIMIT for each in arguments):
            raise CannotCalculate(f"{function.__name__} takes whole numbers up to {GROWING_LIMIT}")
        return function(*arguments)

    return limited


def _round(value: Number, digits: Number = 0) -> Number:
    if not isinstance(digits, int) or abs(digits) > DIGIT_LIMIT:
        raise CannotCalculate(f"round takes a whole number of digits from -{DIGIT_LIMIT} to {DIGIT_LIMIT}")
    return round(value, digits) if digits else round(value)


def _sum(*values: Number) -> Number:
    return math.fsum(values) if any(isinstance(each, float) for each in values) else sum(values)


def _mean(*values: Number) -> Number:
    return _sum(*values) / len(values)


def _least(*values: Number) -> Number:
    return min(values)


def _largest(*values: Number) -> Number:
    return max(values)


NAMES: dict[str, Number] = {"pi": math.pi, "e": math.e, "tau": math.tau}
SIGNS: dict[type[ast.unaryop], Callable[[Number], Number]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
FUNCTIONS: dict[str, Callable[..., Number]] = {
    "abs": abs,
    "min": _least,
    "max": _largest,
    "sum": _sum,
    "mean": _mean,
    "round": _round,
    "floor": math.floor,
    "ceil": math.ceil,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "ln": math.log,
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": math.asin,
    "acos": math.acos,
    "atan": math.atan,
    "atan2": math.atan2,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
    "hypot": math.hypot,
    "degrees": math.degrees,
    "radians": math.radians,
    "factorial": _growing(math.factorial),
    "comb": _growing(math.comb),
    "perm": _growing(math.perm),
    "gcd": math.gcd,
    "lcm": math.lcm,
    "isqrt": math.isqrt,
}


def _written(value: Number) -> str:
    """As a person would write it: 0.3 for 0.1 + 0.2, 6 for 6.0. (Adding 0.0 takes the sign off -0.0.)"""
    return str(value) if isinstance(value, int) else f"{value + 0.0:.15g}"
