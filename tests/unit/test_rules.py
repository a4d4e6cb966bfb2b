"""Rules: every key has a default, every mistake is refused by name, and JSON says the same as TOML."""

import json
import re
from typing import Any, Final

import pytest

from onefold.core.identifiers import Identifier
from onefold.core.rules import Rules, TypeRule, default_rules, load_rules, parse_rules
from onefold.errors import RulesError

TYPE_DEFAULTS: Final[list[tuple[str, Any]]] = [
    ("priority", 100),
    ("limit", None),
    ("window", "ever"),
    ("on_conflict", "keep"),
    ("personal", False),
    ("hashed", False),
    ("aliases", ()),
    ("blocked", frozenset()),
    ("blocked_patterns", ()),
    ("sources", frozenset({"*"})),
    ("min_length", 1),
    ("max_length", 255),
]


@pytest.mark.parametrize(("key", "value"), TYPE_DEFAULTS)
def test_a_declared_type_takes_the_default_for_what_it_leaves_out(key: str, value: Any) -> None:
    assert getattr(parse_rules({"identifiers": {"loyalty": {}}}).types["loyalty"], key) == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_identifiers", 1000),
        ("max_merges", 100),
        ("heal", True),
        ("unsigned", "merge"),
        ("allow_undeclared", False),
    ],
)
def test_rules_take_the_default_for_what_they_leave_out(key: str, value: Any) -> None:
    assert getattr(default_rules(), key) == value


SHIPPED: Final[dict[str, dict[str, Any]]] = {
    "customer_id": {"priority": 1, "limit": 1, "on_conflict": "keep", "personal": True, "hashed": False},
    "email_hash": {"priority": 2, "limit": 5, "on_conflict": "keep", "personal": True, "hashed": True},
    "phone_hash": {"priority": 3, "limit": 5, "on_conflict": "keep", "personal": True, "hashed": True},
    "uid": {"priority": 9, "limit": None, "on_conflict": "share", "personal": False, "hashed": False},
}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_types_that_come_with_onefold(name: str) -> None:
    rule = default_rules().types[name]
    assert {key: getattr(rule, key) for key in SHIPPED[name]} == SHIPPED[name]


def test_no_other_type_comes_with_onefold() -> None:
    assert list(default_rules().types) == sorted(SHIPPED)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("user_id", "customer_id"),
        ("domain_userid", "uid"),
        ("refr_domain_userid", "uid"),
        ("anonymous_id", "uid"),
    ],
)
def test_default_aliases(alias: str, name: str) -> None:
    rule = default_rules().rule(alias)
    assert rule is not None
    assert rule.name == name


def test_saying_one_key_of_a_shipped_type_keeps_its_others() -> None:
    rule = parse_rules({"identifiers": {"email_hash": {"limit": 2}}}).types["email_hash"]
    assert (rule.limit, rule.priority, rule.hashed, rule.personal) == (2, 2, True, True)


OVERRIDDEN: Final[list[Any]] = [
    pytest.param({"user_id": {}}, "user_id", "user_id", id="a type of that name"),
    pytest.param({"crm": {"aliases": ["user_id"]}}, "user_id", "crm", id="another type claims the alias"),
    pytest.param({"customer_id": {"aliases": ["crm"]}}, "crm", "customer_id", id="the type names other aliases"),
]


@pytest.mark.parametrize(("types", "sent", "means"), OVERRIDDEN)
def test_a_default_alias_gives_way_to_what_the_rules_say(types: dict[str, Any], sent: str, means: str) -> None:
    rule = parse_rules({"identifiers": types}).rule(sent)
    assert rule is not None
    assert rule.name == means


def test_naming_aliases_replaces_the_default_ones() -> None:
    assert parse_rules({"identifiers": {"customer_id": {"aliases": ["crm"]}}}).rule("user_id") is None


UNIQUE: Final[list[Any]] = [
    pytest.param({"loyalty": {"unique": True}}, "loyalty", 1, id="unique is short for limit 1"),
    pytest.param({"loyalty": {"unique": False}}, "loyalty", None, id="not unique is no limit"),
    pytest.param({"loyalty": {"unique": True, "limit": 1}}, "loyalty", 1, id="both may be said"),
    pytest.param({"loyalty": {"unique": False, "limit": 3}}, "loyalty", 3, id="not unique, with a limit"),
    pytest.param({"email_hash": {"unique": True}}, "email_hash", 1, id="unique is above a default limit"),
    pytest.param({"customer_id": {"unique": False}}, "customer_id", None, id="not unique takes a default limit away"),
    pytest.param({"customer_id": {"limit": 3}}, "customer_id", 3, id="limit is above a default limit"),
]


@pytest.mark.parametrize(("types", "name", "limit"), UNIQUE)
def test_unique_and_limit(types: dict[str, Any], name: str, limit: int | None) -> None:
    assert parse_rules({"identifiers": types}).types[name].limit == limit


def of_type(**said: Any) -> dict[str, Any]:
    """A document that declares one type."""
    return {"identifiers": {"loyalty": said}}


ERRORS: Final[list[Any]] = [
    pytest.param({"identifier": {}}, "unknown key identifier; did you mean identifiers?", id="unknown top key"),
    pytest.param({"zzz": 1}, "unknown key zzz; known keys: profile", id="nothing near"),
    pytest.param({"profile": {"max_merge": 1}}, "profile.max_merge; did you mean profile.max_merges?", id="profile"),
    pytest.param(of_type(limits=1), "identifiers.loyalty.limits; did you mean identifiers.loyalty.limit?", id="typo"),
    pytest.param({"profile": 1}, "profile must be a table", id="profile is no table"),
    pytest.param({"identifiers": []}, "identifiers must be a table", id="identifiers is no table"),
    pytest.param({"identifiers": {"loyalty": 1}}, "loyalty must be a table", id="type is no table"),
    pytest.param({"profile": {"max_merges": "1"}}, "profile.max_merges must be a whole number", id="text for number"),
    pytest.param({"profile": {"max_merges": True}}, "profile.max_merges must be a whole number", id="true for number"),
    pytest.param({"profile": {"max_merges": 1.5}}, "profile.max_merges must be a whole number", id="fraction"),
    pytest.param({"profile": {"max_merges": 0}}, "profile.max_merges must be at least 1", id="zero"),
    pytest.param({"profile": {"max_identifiers": -1}}, "profile.max_identifiers must be at least 1", id="negative"),
    pytest.param({"profile": {"heal": 1}}, "profile.heal must be true or false", id="heal"),
    pytest.param({"allow_undeclared": "yes"}, "allow_undeclared must be true or false", id="allow_undeclared"),
    pytest.param({"unsigned": "maybe"}, "unsigned must be one of merge, attach, refuse", id="unsigned"),
    pytest.param(of_type(priority="1"), "identifiers.loyalty.priority must be a whole number", id="priority"),
    pytest.param(of_type(limit=0), "identifiers.loyalty.limit must be at least 1", id="limit"),
    pytest.param(of_type(limit="5"), "identifiers.loyalty.limit must be a whole number", id="limit is text"),
    pytest.param(of_type(unique=1), "identifiers.loyalty.unique must be true or false", id="unique"),
    pytest.param(of_type(unique=True, limit=5), "identifiers.loyalty", id="unique and a limit that disagrees"),
    pytest.param(of_type(unique=False, limit=1), "identifiers.loyalty", id="not unique, but limit 1"),
    pytest.param(of_type(window="yearly"), "window must be one of ever, annually, monthly, weekly, daily", id="window"),
    pytest.param(of_type(on_conflict="drop"), "on_conflict must be one of keep, share, move", id="on_conflict"),
    pytest.param(of_type(on_conflict=["keep"]), "on_conflict must be one of keep, share, move", id="a list for a word"),
    pytest.param(of_type(personal="yes"), "identifiers.loyalty.personal must be true or false", id="personal"),
    pytest.param(of_type(hashed="yes"), "identifiers.loyalty.hashed must be true or false", id="hashed"),
    pytest.param(of_type(aliases="crm"), "identifiers.loyalty.aliases must be a list of strings", id="aliases"),
    pytest.param(of_type(blocked=[1]), "identifiers.loyalty.blocked must be a list of strings", id="blocked"),
    pytest.param(of_type(sources="*"), "identifiers.loyalty.sources must be a list of strings", id="sources"),
    pytest.param(of_type(blocked_patterns=["("]), "loyalty.blocked_patterns: not a regular expression", id="pattern"),
    pytest.param(of_type(min_length=9, max_length=8), "loyalty.min_length is larger than max_length", id="lengths"),
    pytest.param(of_type(min_length=0), "identifiers.loyalty.min_length must be at least 1", id="min_length"),
    pytest.param({"identifiers": {"stand_in": {}}}, "stand_in is reserved", id="reserved type"),
    pytest.param(of_type(aliases=["stand_in"]), "stand_in is reserved", id="reserved alias"),
    pytest.param({"identifiers": {"7up": {}}}, "not a usable type name", id="type starts with a digit"),
    pytest.param({"identifiers": {"a:b": {}}}, "not a usable type name", id="type with a colon"),
    pytest.param({"identifiers": {"": {}}}, "not a usable type name", id="type without a name"),
    pytest.param(of_type(aliases=["uid"]), "'uid' already means uid", id="alias is a type"),
    pytest.param(of_type(aliases=["loyalty"]), "'loyalty' already means loyalty", id="alias is the type itself"),
    pytest.param(
        {"identifiers": {"a": {"aliases": ["x"]}, "b": {"aliases": ["x"]}}}, "'x' already means a", id="alias of two"
    ),
]


@pytest.mark.parametrize(("document", "message"), ERRORS)
def test_a_mistake_is_refused_by_name(document: dict[str, Any], message: str) -> None:
    with pytest.raises(RulesError, match=re.escape(message)):
        parse_rules(document)


WRITTEN: Final = """
allow_undeclared = true
unsigned = "attach"
[profile]
max_merges = 7
[identifiers.loyalty]
priority = 4
blocked_patterns = ["^0+$"]
sources = ["server"]
"""
SAME_IN_JSON: Final = {
    "allow_undeclared": True,
    "unsigned": "attach",
    "profile": {"max_merges": 7},
    "identifiers": {"loyalty": {"priority": 4, "blocked_patterns": ["^0+$"], "sources": ["server"]}},
}


def test_toml_and_json_say_the_same() -> None:
    assert load_rules(WRITTEN) == load_rules(json.dumps(SAME_IN_JSON, indent=1)) == parse_rules(SAME_IN_JSON)


def test_an_empty_file_means_the_defaults() -> None:
    assert load_rules("") == load_rules("{}") == default_rules()


@pytest.mark.parametrize("text", ["[", "a = ", "{", '{"profile": }', "{" * 50_000, '{"a":' * 50_000])
def test_text_that_is_neither_toml_nor_json_is_refused(text: str) -> None:
    with pytest.raises(RulesError):
        load_rules(text)


def fault(value: str, **said: Any) -> str | None:
    """What is wrong with a value of a type with these keys."""
    rule: TypeRule = parse_rules(of_type(**said)).types["loyalty"]
    return rule.fault(rule.identifier(Identifier("loyalty", value)).value)


ALWAYS_BLOCKED: Final = [
    *("anonymous", "Guest", "distinct_id", "distinctid", "ID", "not_authenticated", "Email", "UNDEFINED", "true"),
    *("False", "null", "None", "NaN", "nil", "[object Object]", "0", "-1", "", " ", "\t", "\u00a0", '""', "''"),
    *('"null"', "'undefined'", ' "guest" ', "00000000-0000-0000-0000-000000000000", "0" * 32),
    "00000000-0000-0000-0000-000000000000.1647291600",
]


@pytest.mark.parametrize("value", ALWAYS_BLOCKED)
def test_a_value_that_means_no_value_is_blocked_everywhere(value: str) -> None:
    assert fault(value) == "blocked_identifier"


@pytest.mark.parametrize("value", ["00", "1", "-2", "nobody", "anonymous1", "null@", "user-0", "0x0", "identifier"])
def test_a_value_that_only_resembles_one_is_not_blocked(value: str) -> None:
    assert fault(value) is None


HASHES: Final[list[Any]] = [
    pytest.param("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "blocked_identifier", id="empty"),
    pytest.param("E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", "blocked_identifier", id="upper"),
    pytest.param("74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b", "blocked_identifier", id="null"),
    pytest.param(
        "eb045d78d273107348b0300c01d29b7552d622abbc6faf81b3ec55359aa9950c", "blocked_identifier", id="undefined"
    ),
    pytest.param("5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9", "blocked_identifier", id="0"),
    pytest.param("a" * 64, None, id="any other hash"),
    pytest.param("a" * 63, "invalid_identifier", id="too short"),
    pytest.param("a" * 65, "invalid_identifier", id="too long"),
    pytest.param("g" * 64, "invalid_identifier", id="not hex"),
    pytest.param("a" * 64 + "\n", "invalid_identifier", id="trailing newline"),
    pytest.param("", "invalid_identifier", id="nothing"),
    pytest.param("\u0661" * 64, "invalid_identifier", id="digits of another script"),
]


@pytest.mark.parametrize(("value", "code"), HASHES)
def test_a_hashed_type_wants_64_hex_characters_and_no_null_hash(value: str, code: str | None) -> None:
    assert fault(value, hashed=True) == code


def test_a_blocked_hash_may_be_written_in_either_case() -> None:
    assert fault("ab" * 32, hashed=True, blocked=["AB" * 32]) == "blocked_identifier"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("test", "blocked_identifier"),
        ("TEST", None),
        ("x-demo-1", "blocked_identifier"),
        ("demo", "blocked_identifier"),
    ],
)
def test_blocked_values_are_exact_and_patterns_match_anywhere(value: str, code: str | None) -> None:
    assert fault(value, blocked=["test"], blocked_patterns=["demo"]) == code


@pytest.mark.parametrize(
    ("length", "code"), [(2, "invalid_identifier"), (3, None), (5, None), (6, "invalid_identifier")]
)
def test_lengths_are_inclusive(length: int, code: str | None) -> None:
    assert fault("x" * length, min_length=3, max_length=5) == code


@pytest.mark.parametrize(
    ("sources", "source", "votes"),
    [(["*"], "any", True), (["server"], "server", True), (["server"], "sensor", False), ([], "server", False)],
)
def test_sources(sources: list[str], source: str, votes: bool) -> None:
    assert parse_rules(of_type(sources=sources)).types["loyalty"].votes_from(source) is votes


def test_an_undeclared_type_is_last_and_takes_five() -> None:
    rule = parse_rules({"allow_undeclared": True}).rule("loyalty")
    assert rule is not None
    assert rule.priority > max(known.priority for known in default_rules().types.values())
    assert (rule.limit, rule.on_conflict) == (5, "keep")


@pytest.mark.parametrize("name", ["7up", "a b", "ann@example.com", "", "x" * 65])
def test_what_is_no_type_name_is_refused_even_where_undeclared_types_are_allowed(name: str) -> None:
    assert parse_rules({"allow_undeclared": True}).rule(name) is None


def test_a_type_that_the_rules_no_longer_declare_still_has_a_rule() -> None:
    assert rule_of(default_rules(), "gone") == (5, "keep")


def rule_of(rules: Rules, name: str) -> tuple[int | None, str]:
    """Limit and policy of a type in the graph."""
    rule = rules.rule_of(name)
    return rule.limit, rule.on_conflict
