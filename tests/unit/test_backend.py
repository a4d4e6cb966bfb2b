"""Whatever a back end puts into an event, the intake gives an event without raw values, or a refusal without them."""

from typing import Any, Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from onefold.core.normalize import KINDS, hash_value
from onefold.errors import OnefoldError
from onefold.intake import backend
from support.web import TS, UID

MARKER: Final = "zeldaquark"
NAMES: Final = st.sampled_from([*backend.TRAITS, "customer_id", "Email", "x"])
MARKED: Final = st.text(max_size=20).map(lambda text: f"{text}{MARKER}@x.example {MARKER}")
ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | MARKED,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
EVENT: Final = {
    "event": "identity_link",
    "event_id": "1",
    "identity": {"uid": UID},
    "identifiers": {"customer_id": "CUS1"},
    "_meta": {"ts": TS, "tier": "T1"},
}


def told(raw: Any) -> str:
    """All that is left of an event: what goes on, what is told of its traits, or its refusal."""
    try:
        received = backend.parse(raw, TS, {"main"}, "salt")
    except OnefoldError as error:
        return f"{error.code} {error.detail} {error.field}"
    return msgspec.json.encode([received.event, received.unused]).decode()


@settings(max_examples=400)
@given(st.dictionaries(NAMES, ANYTHING, max_size=6) | ANYTHING)
def test_no_trait_is_left_of_an_event(traits: Any) -> None:
    assert MARKER not in told(EVENT | {"traits": traits}).lower()


@settings(max_examples=400)
@given(st.sampled_from([*EVENT, "site", "claim", "consent", "attributes", "click_ids"]), ANYTHING)
def test_no_member_of_any_type_is_more_than_refused(member: str, value: Any) -> None:
    assert MARKER not in told({**EVENT, "traits": {"email": f"{MARKER}@x.example"}, member: value}).lower()


@given(
    st.sampled_from(KINDS),
    st.text(st.characters(exclude_characters="\0"), max_size=30) | st.sampled_from(["06-12345678", "Ann@Example.com"]),
    st.sampled_from([None, "NL", "US", "xx", "Netherlands"]),
)
def test_a_trait_gives_the_hash_that_the_rules_give(kind: Any, value: str, region: str | None) -> None:
    trait = "first_name" if kind == "name" else kind
    received = backend.parse(EVENT | {"traits": {trait: value, "region": region}}, TS, (), "salt")
    wanted = hash_value(kind, value, region, "salt")
    found = [identifier.value for identifier in received.event.identifiers if identifier.type == f"{trait}_hash"]
    found += received.event.body.get("attributes", {}).values()
    assert found == ([] if wanted is None else [wanted])
    assert [item.trait for item in received.unused] == ([trait] if wanted is None else [])


def test_the_same_hash_beside_a_trait_is_no_contradiction() -> None:
    digest = hash_value("email", "ann@example.com", None, "salt") or ""
    raw = EVENT | {"traits": {"email": "ANN@example.com"}, "identifiers": {"email_hash": digest.upper()}}
    received = backend.parse(raw, TS, (), "salt")
    assert [identifier.value for identifier in received.event.identifiers[1:]] == [digest]
