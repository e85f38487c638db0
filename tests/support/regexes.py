"""All regular expressions of a package, and inputs made to slow each of them down.

For every pattern its syntax tree is walked: what leads up to a repetition, what the repetition
takes, and something that then does not fit. That is how backtracking is provoked; repeating the
beginning of the whole pattern is how a search is made to start again and again.
"""

from __future__ import annotations

import ast
import importlib
import re
import re._parser as parser  # type: ignore[import-not-found]  # CPython's own; has no types
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FUNCTIONS = frozenset(
    {"compile", "match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
)
_MANY = 8
"""A repetition that may take so many characters is worth an attack."""
_CANDIDATES = "a0 A-_.,:;<>()[]{}'\"=?!@#%&*+/\\|~^$`\n\r\t\x00éß>"
_ENDINGS = ("", "\x00", "!", "\n!")

Pattern = re.Pattern[str] | re.Pattern[bytes]


@dataclass(frozen=True, slots=True)
class Found:
    """One use of `re` in the source: `pattern` is None when it is put together at run time."""

    place: str
    pattern: Pattern | None


def patterns_in(package: Path) -> Iterator[Found]:
    """Every use of a function of `re` below a package, in the order of files and lines."""
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        relative = path.relative_to(package.parent).with_suffix("")
        module = ".".join(part for part in relative.parts if part != "__init__")
        at_top = {id(n) for statement in tree.body for n in _of_module_level(statement)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _is_use(node.func):
                place = f"{module}:{_function_around(tree, node)}"
                yield Found(place, _pattern_of(node, module, at_top, tree))


def _is_use(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "re"
        and function.attr in FUNCTIONS
    )


def _of_module_level(statement: ast.stmt) -> Iterator[ast.AST]:
    if not isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield from ast.walk(statement)


def _function_around(tree: ast.Module, wanted: ast.AST) -> str:
    """The innermost function, or the name that is assigned to at module level."""
    name = "?"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(n is wanted for n in ast.walk(node)):
            name = node.name
        elif isinstance(node, ast.Assign) and any(n is wanted for n in ast.walk(node)):
            target = node.targets[0]
            if name == "?" and isinstance(target, ast.Name):
                name = target.id
    return name


def _pattern_of(call: ast.Call, module: str, at_top: set[int], tree: ast.Module) -> Pattern | None:
    function = call.func
    assert isinstance(function, ast.Attribute)
    if id(call) in at_top and function.attr == "compile":
        found = getattr(importlib.import_module(module), _function_around(tree, call))
        assert isinstance(found, re.Pattern)
        return found
    first = call.args[0]
    value = first.value if isinstance(first, ast.Constant) else None
    if isinstance(value, bytes):
        return re.compile(value)
    return re.compile(value) if isinstance(value, str) else None


# Attacks --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attack:
    """`before`, then `pump` again and again, then `after`."""

    before: str
    pump: str
    after: str

    def text(self, length: int) -> str:
        """An input of about `length` characters."""
        return self.before + self.pump * (length // max(1, len(self.pump))) + self.after


def attacks(pattern: Pattern) -> Iterator[Attack]:
    """Inputs that should be worst for `pattern`, each once."""
    text = (
        pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    )
    tree = parser.parse(
        text, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    )
    pairs = dict.fromkeys(_repetitions(list(tree), ""))
    whole = _sample(list(tree))
    starts = [whole, whole[:1], whole[: len(whole) // 2], whole[:-1]]
    pairs.update(dict.fromkeys(("", start) for start in starts if start))
    for before, pump in pairs:
        for after in _ENDINGS:
            yield Attack(before, pump, after)


def _repetitions(items: list[Any], before: str) -> Iterator[tuple[str, str]]:
    """(what leads to a repetition, what it repeats) for each that may take many."""
    for position, (operation, argument) in enumerate(items):
        kind = str(operation)
        if kind in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
            low, high, body = argument
            if high is parser.MAXREPEAT or high > _MANY:
                following = _sample(items[position + 1 :])
                for pump in dict.fromkeys([_sample(list(body)), *_alternatives(list(body))]):
                    if pump:
                        yield before, pump
                        # What the rest of the pattern looks for, in between.
                        yield before, pump + following[:1]
            yield from _repetitions(list(body), before)
            before += _sample(list(body)) * max(1, low)
            continue
        for inner in _inner(kind, argument):
            yield from _repetitions(list(inner), before)
        before += _sample([(operation, argument)])


def _inner(kind: str, argument: Any) -> list[Any]:
    if kind == "SUBPATTERN":
        return [argument[-1]]
    if kind == "BRANCH":
        return list(argument[1])
    if kind in {"ASSERT", "ASSERT_NOT"}:
        return [argument[1]]
    return [argument] if kind == "ATOMIC_GROUP" else []


def _alternatives(body: list[Any]) -> list[str]:
    """Other characters that a repetition of one class takes."""
    if len(body) != 1 or str(body[0][0]) not in {"IN", "ANY", "NOT_LITERAL"}:
        return []
    return [char for char in _CANDIDATES if _takes(body[0], char)][:4]


def _sample(items: list[Any]) -> str:
    """A text that such a sequence would match, assertions aside."""
    return "".join(_sample_of(str(operation), argument) for operation, argument in items)


def _sample_of(kind: str, argument: Any) -> str:
    if kind == "LITERAL":
        return chr(int(argument))
    if kind in {"IN", "ANY", "NOT_LITERAL"}:
        item = (getattr(parser, kind), argument)
        return next((char for char in _CANDIDATES if _takes(item, char)), "")
    if kind in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        return _sample(list(argument[2])) * max(1, int(argument[0]))
    if kind in {"SUBPATTERN", "ATOMIC_GROUP"}:
        return _sample(list(argument[-1] if kind == "SUBPATTERN" else argument))
    return _sample(list(argument[1][0])) if kind == "BRANCH" else ""


_CATEGORIES = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}


def _takes(item: Any, char: str) -> bool:
    kind, argument = str(item[0]), item[1]
    if kind == "ANY":
        return char != "\n"
    if kind == "NOT_LITERAL":
        return bool(ord(char) != argument)
    negated = any(str(operation) == "NEGATE" for operation, _ in argument)
    return any(_is_member(str(o), a, char) for o, a in argument) != negated


def _is_member(kind: str, argument: Any, char: str) -> bool:
    if kind == "LITERAL":
        return bool(ord(char) == argument)
    if kind == "RANGE":
        return bool(argument[0] <= ord(char) <= argument[1])
    if kind == "CATEGORY":
        name = str(argument).removeprefix("CATEGORY_")
        known = _CATEGORIES.get(name.removeprefix("NOT_"))
        matches = known is not None and re.match(known, char) is not None
        return matches != name.startswith("NOT_")
    return False


# Measuring ------------------------------------------------------------------------------------

_FEW = (12, 16, 20, 24, 28, 32)
"""Repetitions: an exponential cost is seen here, before it takes minutes."""
_GROWING = (125, 250, 500, 1_000, 2_000, 4_000)
"""Lengths; a cubic cost is seen on the way, before it takes minutes."""
_TOO_LONG_SECONDS = 0.06
"""Linear cost of such inputs is far below a millisecond for `_FEW`, some milliseconds at most."""
_SHORT, _LONG = 1_000, 8_000
_HARMLESS_SECONDS = 0.005
"""A quadratic search of `_LONG` characters takes ten times that."""
_MOST_GROWTH = 20.0
"""Linear cost grows by the factor 8 from `_SHORT` to `_LONG`, quadratic cost by 64."""


def is_super_linear(pattern: Pattern, attack: Attack) -> bool:
    """Whether the cost of this attack grows faster than its length, by processor time.

    Only what takes long at all is measured again; the lowest of several ratios counts, since
    a busy machine can make any single one look bad.
    """
    lengths = (*(len(attack.pump) * few for few in _FEW), *_GROWING)
    if any(_lowest_seconds(pattern, attack.text(n)) > _TOO_LONG_SECONDS for n in lengths):
        return True
    if _seconds(pattern, attack.text(_LONG)) < _HARMLESS_SECONDS:
        return False
    return all(_growth(pattern, attack) > _MOST_GROWTH for _ in range(3))


def _growth(pattern: Pattern, attack: Attack) -> float:
    short = _seconds(pattern, attack.text(_SHORT))
    return _seconds(pattern, attack.text(_LONG)) / max(short, 1e-6)


def _lowest_seconds(pattern: Pattern, text: str) -> float:
    """Measured once more when it looks too long: that may have been the machine."""
    seconds = _seconds(pattern, text)
    return min(seconds, _seconds(pattern, text)) if seconds > _TOO_LONG_SECONDS else seconds


def _seconds(pattern: Pattern, text: str) -> float:
    """Processor time to find all matches, and to match the whole."""
    subject: Any = text if isinstance(pattern.pattern, str) else text.encode("latin-1", "replace")
    started = time.thread_time()
    for _ in pattern.finditer(subject):
        pass
    pattern.fullmatch(subject)
    return time.thread_time() - started
