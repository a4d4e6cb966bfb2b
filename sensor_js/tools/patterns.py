r"""Patterns over digits: two short alphabets, automata, and shorter patterns that decide the same.

A numbering plan's general pattern is used in three places only: to tell which lengths are possible, to
refuse stripping a national prefix that would spoil a good number, and to recognise a country code
written without plus. Where a number that begins with the prefix never matches, and a number with its
country code is longer than any of the plan, most of the pattern decides nothing. `shorten` finds a
shorter pattern and proves on automata, for every string of digits, that all three decisions stay the
same.
"""

from __future__ import annotations

import re
import re._parser as regex_parser  # type: ignore[import-not-found]
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

DIGITS = "0123456789"

# --- alphabets: one to reckon with, one for the table ----------------------------------------------


def encode(pattern: str) -> str:
    r"""Shorten: `(?:` to `(`, `(` to `<`, `\d{7}` to `g`, `\d{7,9}` to `gp`."""
    text = re.sub(r"\((?!\?:)", "<", pattern.replace(" ", "")).replace("(?:", "(")
    text = re.sub(r"\\d\{(\d+),(\d+)\}", lambda m: _span(int(m[1]), int(m[2])), text)
    text = re.sub(r"\\d\{(\d+)\}", lambda m: _span(int(m[1]), int(m[1])), text)
    text = text.replace("\\d?", _span(0, 1)).replace("\\d", _span(1, 1))
    if re.search(r"[\\{},=]", text):
        raise ValueError(f"the table's alphabet cannot write {pattern!r}")
    return text


def squeeze(text: str) -> str:
    """Write what `encode` gives in the alphabet of the table: `[2-9]` as `2-9`, `4[13]` as `4t13`, `gp` as `gi`."""
    text = re.sub(r"\[([^]]*)\]|\d", lambda m: "{" + (m[1] or m[0]) + "}", text).replace("}{", "t")
    while (joined := _joined(text)) != text:
        text = joined
    text = re.sub(r"([`-n])([o-z])", lambda m: m[1] + chr(ord(m[1]) + ord(m[2]) - 110), text)
    return re.sub("[{}]", "", text).replace("|", ",")


def _span(low: int, high: int) -> str:
    if low > 14 or high - low > 12:
        raise ValueError(f"the table's alphabet has no letter for {low} to {high} digits")
    return chr(96 + low) + (chr(110 + high - low) if high > low else "")


def decode(text: str) -> str:
    """Undo encode."""
    text = text.replace("(", "(?:").replace("<", "(")
    return re.sub(r"([`-n])([o-z]?)", _digits, text)


def _digits(match: re.Match[str]) -> str:
    low = ord(match[1]) - 96
    high = low + ord(match[2]) - 110 if match[2] else low
    return rf"\d{{{low},{high}}}"


@cache
def lengths(text: str) -> tuple[int, ...]:
    """Return the lengths that an encoded pattern can match, found the way phone.js finds them."""
    shape = re.compile(decode(re.sub(r"\[[^]]*\]|\d", "a", text)))
    return tuple(n for n in range(1, 21) if shape.fullmatch("0" * n))


def alternatives(text: str) -> list[str]:
    """Split an encoded pattern at the bars that stand outside parentheses."""
    found, depth = [""], 0
    for char in text:
        depth += (char in "(<") - (char == ")")
        if char == "|" and depth == 0:
            found.append("")
        else:
            found[-1] += char
    return found


# --- automata ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Automaton:
    """A deterministic automaton over digits: state 0 starts; `step[state][digit]`; who accepts."""

    step: tuple[tuple[int, ...], ...]
    accepts: tuple[bool, ...]


class _Builder:
    """A non-deterministic automaton while it is being put together; an edge of None costs nothing."""

    def __init__(self) -> None:
        self.edges: list[list[tuple[frozenset[str] | None, int]]] = []

    def state(self) -> int:
        self.edges.append([])
        return len(self.edges) - 1

    def edge(self, start: int, over: frozenset[str] | None, end: int) -> int:
        self.edges[start].append((over, end))
        return end

    def add(self, parsed: Any, at: int) -> int:
        for op, arg in parsed:
            at = getattr(self, "add_" + str(op).lower())(arg, at)
        return at

    def add_literal(self, arg: int, at: int) -> int:
        return self.edge(at, frozenset(chr(arg)), self.state())

    def add_in(self, arg: Any, at: int) -> int:
        over: set[str] = set()
        for kind, value in arg:
            low, high = value if str(kind) == "RANGE" else (value, value)
            over |= set(DIGITS) if str(kind) == "CATEGORY" else set(map(chr, range(low, high + 1)))
        return self.edge(at, frozenset(over), self.state())

    def add_subpattern(self, arg: Any, at: int) -> int:
        return self.add(arg[3], at)

    def add_branch(self, arg: Any, at: int) -> int:
        end = self.state()
        for branch in arg[1]:
            self.edge(self.add(branch, self.edge(at, None, self.state())), None, end)
        return end

    def add_max_repeat(self, arg: Any, at: int) -> int:
        low, high, body = arg
        for _ in range(low):
            at = self.add(body, at)
        end = self.edge(at, None, self.state())
        for _ in range(high - low):
            at = self.add(body, at)
            self.edge(at, None, end)
        return end

    def closure(self, states: set[int]) -> frozenset[int]:
        todo = list(states)
        while todo:
            for over, end in self.edges[todo.pop()]:
                if over is None and end not in states:
                    states.add(end)
                    todo.append(end)
        return frozenset(states)

    def deterministic(self, start: int, end: int) -> Automaton:
        sets = [self.closure({start})]
        number = {sets[0]: 0}
        rows: list[tuple[int, ...]] = []
        for current in sets:  # grows while it is walked
            row = []
            for digit in DIGITS:
                ends = {e for s in current for over, e in self.edges[s] if over and digit in over}
                reached = self.closure(ends)
                if reached not in number:
                    number[reached] = len(sets)
                    sets.append(reached)
                row.append(number[reached])
            rows.append(tuple(row))
        return Automaton(tuple(rows), tuple(end in states for states in sets))


@cache
def automaton(text: str, anything_after: bool = False) -> Automaton:
    """Build the automaton of an encoded pattern, matched as a whole or as a beginning."""
    builder = _Builder()
    start = builder.state()
    end = builder.add(regex_parser.parse(decode(text)), start)
    if anything_after:
        builder.edge(end, frozenset(DIGITS), end)
    return builder.deterministic(start, end)


def exists(machines: list[Automaton], test: Callable[..., bool], longest: int | None = None) -> bool:
    """Tell whether some string, at most so long, is accepted by the machines as `test` asks."""
    layer = {(0,) * len(machines)}
    seen = set(layer)
    length = 0
    while layer and (longest is None or length <= longest):
        if any(test(*(m.accepts[s] for m, s in zip(machines, at, strict=True))) for at in layer):
            return True
        layer = {after for at in layer for after in _after(machines, at)} - seen
        seen |= layer
        length += 1
    return False


def _after(machines: list[Automaton], at: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for digit in range(10):
        yield tuple(m.step[s][digit] for m, s in zip(machines, at, strict=True))


# --- shorter patterns ----------------------------------------------------------------------------

FIRST_DIGITS = ["", "[1-9]", "[02-9]", "[0-79]", "[2-9]", "[1-79]"]


@dataclass(frozen=True)
class Plan:
    """What decides beside the general pattern; everything encoded. `longest` is a possible length."""

    code: str
    pattern: str
    prefix: str
    transform: str
    longest: int

    def before(self) -> list[Automaton]:
        """Return automata of the strings on which the prefix matches."""
        parts = alternatives(self.prefix) if self.prefix else []
        return [automaton(part.rstrip("$"), not part.endswith("$")) for part in parts]

    def transformed(self) -> re.Match[str] | None:
        """Match a prefix such as `<[457]f)$|1`: a local number to complete, or a plain digit."""
        rule = self.transform.endswith("$1") and re.fullmatch(r"<([^<]*)\)\$\|(\d)", self.prefix)
        return rule or None

    def plain_prefix(self) -> str:
        """Return the prefix where it is one digit, or several digits in a row; else nothing."""
        rule = self.transformed()
        plain = re.fullmatch(r"\d+|\[\d+\]", self.prefix)
        return rule[2] if rule else self.prefix if plain else ""

    def hides_prefix(self, pattern: str) -> bool:
        """Tell whether no string that begins with the prefix matches: then it is always stripped."""
        whole = automaton(pattern)
        return not any(exists([whole, part], lambda a, b: a and b) for part in self.before())

    def completes(self, pattern: str) -> bool:
        """Tell whether every local number, completed, matches."""
        rule = self.transformed()
        if not rule:
            return not self.transform
        done = automaton(f"{self.transform[:-2]}({rule[1]})")
        return not exists([done, automaton(pattern)], lambda a, b: a and not b)

    def strips_alike(self, pattern: str) -> bool:
        """Tell whether the prefix is left where it was left before: where it would spoil a good number."""
        if re.fullmatch(r"\d+|\[\d+\]", self.prefix) and not self.transform:
            return all(self._leaves_alike(one, pattern) for one in self._plain_prefixes())
        if self.hides_prefix(self.pattern) and self.completes(self.pattern):
            return self.hides_prefix(pattern) and self.completes(pattern)
        return pattern == self.pattern

    def _plain_prefixes(self) -> list[str]:
        return list(self.prefix.strip("[]")) if self.prefix.startswith("[") else [self.prefix]

    def _leaves_alike(self, prefix: str, pattern: str) -> bool:
        machines = [automaton(prefix, anything_after=True)]
        for one in (self.pattern, pattern):
            machines += [automaton(one), automaton(f"{prefix}({one})")]
        return not exists(machines, lambda p, a, b, c, d: p and (a and not b) != (c and not d))

    def same_code(self, pattern: str) -> bool:
        """Tell whether the same strings are taken to begin with the country code."""
        if self.prefix and not self.plain_prefix():
            # However much is stripped: with its code, no possible number is short enough to matter.
            return min(lengths(self.pattern)) > self.longest - len(self.code)
        machines = []
        for one in (self.pattern, pattern):
            optional = f"({self.plain_prefix()})?" if self.prefix else ""
            machines += [automaton(f"{self.code}{optional}({one})"), automaton(one)]
        if exists(machines, lambda a, b, c, d: (a and not b) != (c and not d), self.longest):
            return False
        rule = self.transformed()
        if not rule:
            return True
        local = [automaton(f"{self.code}({rule[1]})"), automaton(self.pattern), automaton(pattern)]
        return not exists(local, lambda a, b, c: a and b != c, self.longest)

    def allows(self, pattern: str) -> bool:
        """Tell whether a pattern decides everything as the plan's own does."""
        return lengths(pattern) == lengths(self.pattern) and self.strips_alike(pattern) and self.same_code(pattern)


def shorten(plan: Plan) -> str:
    """Return the shortest pattern found that decides as the plan's own does."""
    found = [plan.pattern]
    for first in FIRST_DIGITS:
        found += filter(plan.allows, [any_of(lengths(plan.pattern), first), *_partly(plan, first)])
    return _shaved(plan, _fewer_classes(plan, min(found, key=len)))


def any_of(sizes: tuple[int, ...], first: str = "") -> str:
    """Write the pattern of all numbers of these lengths, with these first digits."""
    spans: list[list[int]] = []
    for size in sizes:
        rest = size - bool(first)
        if spans and spans[-1][1] == rest - 1:
            spans[-1][1] = rest
        else:
            spans.append([rest, rest])
    body = "|".join(_span(low, high) for low, high in spans)
    return f"{first}({body})" if first and "|" in body else first + body


def _partly(plan: Plan, first: str) -> Iterator[str]:
    """Widen one alternative after another to all numbers of its lengths."""
    widened: tuple[int, ...] = ()
    kept: list[str] = []
    todo = alternatives(plan.pattern)
    while todo:
        one = todo.pop(0)
        wider = tuple(sorted({*widened, *lengths(one)}))
        if plan.allows("|".join([any_of(wider, first), *kept, *todo])):
            widened = wider
        else:
            kept.append(one)
    if widened:
        for one in list(kept):
            fewer = [other for other in kept if other != one]
            if plan.allows("|".join([any_of(widened, first), *fewer])):
                kept = fewer
        yield "|".join([any_of(widened, first), *kept])


def _fewer_classes(plan: Plan, pattern: str) -> str:
    """Widen single digits and classes of digits to any digit while that makes it shorter."""
    for match in re.finditer(r"\[[^]]*\]|\d", pattern):
        wider = _joined(pattern[: match.start()] + "a" + pattern[match.end() :])
        if len(wider) < len(pattern) and plan.allows(wider):
            return _fewer_classes(plan, wider)
    return pattern


def _shaved(plan: Plan, pattern: str) -> str:
    """Leave out pieces, the longest first, and join or widen classes, until nothing more can go."""
    for shorter in _shorter(pattern):
        if _is_pattern(shorter) and plan.allows(shorter):
            return _shaved(plan, shorter)
    return pattern


def _shorter(pattern: str) -> Iterator[str]:
    """Give texts with one class narrowed or widened, with parentheses or any piece left out, or with a part widened."""
    for match in re.finditer(r"\[[^]]*(\d)\]", pattern):
        yield pattern[: match.start()] + match[1] + pattern[match.end() :]
    for match in re.finditer(r"\(([^()]*)\)(?!\?)", pattern):
        yield _joined(pattern[: match.start()] + match[1] + pattern[match.end() :])
    for match in re.finditer(r"\[[^]]*\]|\d", pattern):
        yield _joined(pattern[: match.start()] + "a" + pattern[match.end() :])
    for size in range(len(pattern) - 1, 0, -1):
        for start in range(len(pattern) - size + 1):
            yield pattern[:start] + pattern[start + size :]
    for match in re.finditer(r"\([^()]*\)|\[[^]]*\]\d?|\d\[[^]]*\]|\d\d", pattern):
        for wider in ("a", "b", "c", "[1-9]", "[1-9]a", "[2-9]", "[2-9]a"):
            text = _joined(pattern[: match.start()] + wider + pattern[match.end() :])
            if len(text) < len(pattern):
                yield text


def _is_pattern(text: str) -> bool:
    """Tell whether a text, cut anywhere, still is a pattern in the table's alphabet, with all alternatives filled."""
    if not text or re.search(
        r"^[|?)\]-]|[(<|][|)?]|\|$|\[[\]-]|-\]|[([]$|\?\?|[o-x?][o-z]|(?<![`-n])[o-z]|[`-z]\?|\[[^]]*[^]\d-]|\d-(?!\d)|--",
        text,
    ):
        return False
    try:
        regex_parser.parse(decode(text))
    except (re.error, OverflowError):
        return False
    return bool(lengths(text))


def _joined(text: str) -> str:
    """Write neighbouring runs of digits as one: `ag` as `h`."""
    return re.sub(r"([a-m])([`-m])([o-z]?)(?!\?)", _sum, text)


def _sum(match: re.Match[str]) -> str:
    return chr(ord(match[1]) + ord(match[2]) - 96) + match[3]
