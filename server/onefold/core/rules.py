"""Rules: how each identifier type behaves. Parsed from TOML (or JSON), every key with a default, typos refused by name.

The keys and the defaults are documented in docs/reference/rules.md.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, cast, get_args

import msgspec

from onefold.core.event import OPERATOR
from onefold.core.identifiers import NULL_HASHES, SHA256_PATTERN, STAND_IN, Identifier, is_placeholder
from onefold.errors import RulesError

Conflict = Literal["keep", "share", "move"]
Window = Literal["ever", "annually", "monthly", "weekly", "daily"]
Unsigned = Literal["merge", "attach", "refuse"]

_DAY_MS: Final = 86_400_000
WINDOW_MS: Final[dict[Window, int | None]] = {
    "ever": None,
    "annually": 365 * _DAY_MS,
    "monthly": 30 * _DAY_MS,
    "weekly": 7 * _DAY_MS,
    "daily": _DAY_MS,
}

_TYPE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_UNDECLARED_PRIORITY: Final = 1_000_000


class TypeRule(msgspec.Struct, frozen=True, kw_only=True):
    """How one identifier type behaves. `limit` None means as many as a profile holds."""

    name: str
    priority: int = 100
    limit: int | None = None
    window: Window = "ever"
    on_conflict: Conflict = "keep"
    personal: bool = False
    hashed: bool = False
    aliases: tuple[str, ...] = ()
    blocked: frozenset[str] = frozenset()
    blocked_patterns: tuple[re.Pattern[str], ...] = ()
    sources: frozenset[str] = frozenset({"*"})
    min_length: int = 1
    max_length: int = 255

    @property
    def limit_text(self) -> str:
        """The limit as refusals cite it: `email_hash.limit=5`."""
        return f"{self.name}.limit={self.limit}"

    def votes_from(self, source: str) -> bool:
        """Whether events of this source may link and merge through the type."""
        return "*" in self.sources or source in self.sources or source == OPERATOR

    def identifier(self, sent: Identifier) -> Identifier:
        """An identifier that came under this type's name or an alias, as it is matched on: hashes in lower case."""
        value = sent.value.lower() if self.hashed else sent.value
        return sent if value == sent.value and self.name == sent.type else Identifier(self.name, value)

    def fault(self, value: str) -> str | None:
        """The code for which a canonical value is dropped: `invalid_identifier`, `blocked_identifier`, or None."""
        if self.hashed:
            if SHA256_PATTERN.fullmatch(value) is None:
                return "invalid_identifier"
            return "blocked_identifier" if value in NULL_HASHES or value in self.blocked else None
        if is_placeholder(value) or value in self.blocked:
            return "blocked_identifier"
        if self.blocked_patterns and any(pattern.search(value) for pattern in self.blocked_patterns):
            return "blocked_identifier"
        return None if self.min_length <= len(value) <= self.max_length else "invalid_identifier"


_STAND_IN_RULE: Final = TypeRule(name=STAND_IN, on_conflict="keep", max_length=1024)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """All rules of one resolution. Build it with `parse_rules` or `default_rules`."""

    types: dict[str, TypeRule]
    max_identifiers: int = 1000
    max_merges: int = 100
    heal: bool = True
    unsigned: Unsigned = "merge"
    allow_undeclared: bool = False
    by_name: dict[str, TypeRule] = {}
    """Every type under its own name and its aliases."""

    def rule(self, name: str) -> TypeRule | None:
        """The rule for a type or alias; None where an undeclared type is not allowed."""
        found = self.by_name.get(name)
        if found is None and name == STAND_IN:
            return _STAND_IN_RULE
        if found is None and self.allow_undeclared and _TYPE_NAME.fullmatch(name):
            return TypeRule(name=name, priority=_UNDECLARED_PRIORITY, limit=5)
        return found

    def canonical(self, sent: Identifier) -> Identifier:
        """An identifier under its type's own name and in the form it is matched on; one of no known type as it is."""
        rule = self.rule(sent.type)
        return sent if rule is None else rule.identifier(sent)

    def fault(self, identifier: Identifier) -> str | None:
        """Why a canonical identifier cannot be linked: its rule's code, `unknown_identifier_type`, or None."""
        rule = self.rule(identifier.type)
        return "unknown_identifier_type" if rule is None else rule.fault(identifier.value)

    def rule_of(self, name: str) -> TypeRule:
        """The rule of a type already in the graph. A type the rules no longer declare behaves as an undeclared one."""
        return self.rule(name) or TypeRule(name=name, priority=_UNDECLARED_PRIORITY, limit=5)


DEFAULT_TYPES: Final[dict[str, dict[str, Any]]] = {
    "customer_id": {"priority": 1, "limit": 1, "personal": True, "aliases": ["user_id"]},
    "email_hash": {"priority": 2, "limit": 5, "personal": True, "hashed": True},
    "phone_hash": {"priority": 3, "limit": 5, "personal": True, "hashed": True},
    "uid": {
        "priority": 9,
        "on_conflict": "share",
        "aliases": ["domain_userid", "refr_domain_userid", "anonymous_id"],
    },
}

_PROFILE_KEYS: Final = ("max_identifiers", "max_merges", "heal")
_TOP_KEYS: Final = ("profile", "identifiers", "unsigned", "allow_undeclared")
_TYPE_KEYS: Final = (
    "priority", "limit", "unique", "window", "on_conflict", "personal", "hashed", "aliases",
    "blocked", "blocked_patterns", "sources", "min_length", "max_length",
)  # fmt: skip


def default_rules() -> Rules:
    """The rules that hold where nothing else is said."""
    return parse_rules({})


def load_rules(text: str) -> Rules:
    """Rules from TOML text, or from JSON text (recognised by its opening brace). Raises RulesError."""
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise RulesError(f"the rules are not valid TOML or JSON: {error}") from None
    return parse_rules(document)


def parse_rules(document: Mapping[str, Any]) -> Rules:
    """Rules from a parsed document; what it leaves out takes the default. Raises RulesError naming the key."""
    _check_keys("", document, _TOP_KEYS)
    profile = _table(document, "profile")
    _check_keys("profile.", profile, _PROFILE_KEYS)
    types = _types(_table(document, "identifiers"))
    return Rules(
        types=types,
        max_identifiers=_positive("profile.max_identifiers", profile.get("max_identifiers", 1000)),
        max_merges=_positive("profile.max_merges", profile.get("max_merges", 100)),
        heal=_boolean("profile.heal", profile.get("heal", True)),
        unsigned=cast(Unsigned, _one_of("unsigned", document.get("unsigned", "merge"), get_args(Unsigned))),
        allow_undeclared=_boolean("allow_undeclared", document.get("allow_undeclared", False)),
        by_name=_by_name(types),
    )


def _types(declared: Mapping[str, Any]) -> dict[str, TypeRule]:
    """The default types with what the document says laid over them, by name."""
    taken = set(declared) | {alias for table in declared.values() for alias in _aliases(table)}
    types = {}
    for name in sorted({*DEFAULT_TYPES, *declared}):
        said = _table(declared, name)
        table = {**DEFAULT_TYPES.get(name, {}), **said}
        if "aliases" not in said:  # a name the document uses itself is no longer a default alias
            table["aliases"] = [alias for alias in table.get("aliases", []) if alias not in taken]
        if "unique" in said and "limit" not in said:
            table.pop("limit", None)
        types[name] = _type_rule(name, table)
    return types


def _aliases(table: object) -> list[str]:
    aliases = table.get("aliases", []) if isinstance(table, Mapping) else []
    return [alias for alias in aliases if isinstance(alias, str)] if isinstance(aliases, list) else []


def _type_rule(name: str, table: Mapping[str, Any]) -> TypeRule:
    at = f"identifiers.{name}."
    if not _TYPE_NAME.fullmatch(name) or name == STAND_IN:
        raise RulesError(f"identifiers.{name}: not a usable type name (letters, digits, _ . -; stand_in is reserved)")
    _check_keys(at, table, _TYPE_KEYS)
    minimum = _positive(at + "min_length", table.get("min_length", 1))
    maximum = _positive(at + "max_length", table.get("max_length", 255))
    if minimum > maximum:
        raise RulesError(f"{at}min_length is larger than max_length")
    return TypeRule(
        name=name,
        priority=_integer(at + "priority", table.get("priority", 100)),
        limit=_limit(at, table),
        window=cast(Window, _one_of(at + "window", table.get("window", "ever"), get_args(Window))),
        on_conflict=cast(Conflict, _one_of(at + "on_conflict", table.get("on_conflict", "keep"), get_args(Conflict))),
        personal=_boolean(at + "personal", table.get("personal", False)),
        hashed=_boolean(at + "hashed", table.get("hashed", False)),
        aliases=tuple(_strings(at + "aliases", table.get("aliases", []))),
        blocked=frozenset(_blocked(at, table)),
        blocked_patterns=tuple(_patterns(at, table.get("blocked_patterns", []))),
        sources=frozenset(_strings(at + "sources", table.get("sources", ["*"]))),
        min_length=minimum,
        max_length=maximum,
    )


def _blocked(at: str, table: Mapping[str, Any]) -> list[str]:
    """The blocked values in the form they are matched on."""
    values = _strings(at + "blocked", table.get("blocked", []))
    return [value.lower() for value in values] if table.get("hashed") is True else values


def _limit(at: str, table: Mapping[str, Any]) -> int | None:
    """`unique = true` is short for `limit = 1`; said together they must agree."""
    unique = _boolean(at + "unique", table.get("unique", False))
    limit = table.get("limit")
    if limit is None:
        return 1 if unique else None
    number = _positive(at + "limit", limit)
    if "unique" in table and unique != (number == 1):
        raise RulesError(f"{at}unique and {at}limit disagree; unique is short for limit = 1, say one of them")
    return number


def _by_name(types: Mapping[str, TypeRule]) -> dict[str, TypeRule]:
    names = dict(types)
    for rule in types.values():
        for alias in rule.aliases:
            if alias == STAND_IN:
                raise RulesError(f"identifiers.{rule.name}.aliases: {STAND_IN} is reserved")
            if alias in names:
                raise RulesError(f"identifiers.{rule.name}.aliases: {alias!r} already means {names[alias].name}")
            names[alias] = rule
    return names


def _check_keys(at: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
            hint = f"; did you mean {at}{near[0]}?" if near else f"; known keys: {', '.join(known)}"
            raise RulesError(f"unknown key {at}{key}{hint}")


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, Mapping):
        raise RulesError(f"{key} must be a table")
    return table


def _integer(key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise RulesError(f"{key} must be a whole number")
    return value


def _positive(key: str, value: object) -> int:
    if (number := _integer(key, value)) < 1:
        raise RulesError(f"{key} must be at least 1")
    return number


def _boolean(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise RulesError(f"{key} must be true or false")
    return value


def _one_of(key: str, value: object, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise RulesError(f"{key} must be one of {', '.join(choices)}")
    return str(value)


def _strings(key: str, value: object) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise RulesError(f"{key} must be a list of strings")
    return list(value)


def _patterns(at: str, value: object) -> list[re.Pattern[str]]:
    key = at + "blocked_patterns"
    try:
        return [re.compile(pattern) for pattern in _strings(key, value)]
    except re.error as error:
        raise RulesError(f"{key}: not a regular expression: {error}") from None
