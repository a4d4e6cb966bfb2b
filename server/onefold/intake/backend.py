"""What a back end sends: UIAF events, and beside them raw values of a person, which end here.

`traits` are normalised and hashed before the event is read. From then on the event is one that a sensor might have
sent; docs/reference/server-plane.md has the form.
"""

import re
from collections.abc import Collection
from typing import Any, Final, NamedTuple

import msgspec

from onefold.core.event import SERVER, Event
from onefold.core.normalize import REFUSED, Kind, hash_value
from onefold.errors import PROBLEMS, OnefoldError
from onefold.intake import uiaf

MAX_TRAITS: Final = uiaf.MAX_IDENTIFIERS
SITE: Final = "site"
REGION: Final = "region"

# trait -> the rule it is normalised by, and the member of the event that its hash belongs to
_TRAITS: Final[dict[str, tuple[Kind, str]]] = {
    "email": ("email", "identifiers"),
    "phone": ("phone", "identifiers"),
    "first_name": ("name", "attributes"),
    "last_name": ("name", "attributes"),
}
TRAITS: Final = (*_TRAITS, REGION)
_SHOWN: Final = re.compile("[A-Za-z_]{1,40}")


class Unused(NamedTuple):
    """A trait that gave no hash: its name as far as it may be shown, a code, and what is wrong with it."""

    trait: str
    code: str
    detail: str


class Received(NamedTuple):
    """An event of a back end, and the traits that were of no use."""

    event: Event
    unused: tuple[Unused, ...]


def parse(raw: Any, received_at: int, sites: Collection[str], salt: str = "") -> Received:
    """One event from plain JSON data; `sites` are the ids of those that it may name.

    Hashes are `sha256(salt + normalized)`, as the sensor makes them. Raises what `uiaf.parse` raises, and
    `no_identifiers` where nothing names anybody.
    """
    uiaf.check_size(raw)
    site = _site(raw, sites)
    hashed, unused = _hashed(raw, salt)
    if hashed.get("event_id") is None:  # before the site is taken away: it is part of what was said
        hashed["event_id"] = uiaf.content_id(hashed)
    hashed.pop(SITE, None)
    event = uiaf.parse(hashed, received_at, site, SERVER)
    if not event.identifiers:
        why = " ".join(f"traits.{item.trait}: {item.detail}" for item in unused) or PROBLEMS["no_identifiers"][1] + "."
        raise OnefoldError("no_identifiers", why)
    return Received(msgspec.structs.replace(event, verified=True), unused)


def _site(raw: dict[str, Any], sites: Collection[str]) -> str:
    """The site an event is about: the one it names, or none."""
    named = raw.get(SITE)
    if named is None:
        return ""
    if not isinstance(named, str) or named not in sites:
        raise OnefoldError("invalid_event", "site must be the id of a configured site.", SITE)
    return named


def _hashed(raw: dict[str, Any], salt: str) -> tuple[dict[str, Any], tuple[Unused, ...]]:
    """The event with hashes in place of its traits, and what was wrong with some of these."""
    event = {name: value for name, value in raw.items() if name != uiaf.TRAITS}
    traits = _checked(raw.get(uiaf.TRAITS))
    region = traits.pop(REGION, None)
    unused = []
    for trait, value in traits.items():
        if trait not in _TRAITS:
            unused.append(_unknown(trait))
            continue
        kind, member = _TRAITS[trait]
        digest = _digest(kind, value, region, salt)
        if digest is None:
            unused.append(Unused(trait, "invalid_identifier", f"Refused: {REFUSED[kind]}."))
        else:
            _add(event, member, f"{trait}_hash", digest, trait)
    return event, tuple(unused)


def _checked(traits: Any) -> dict[str, str]:
    """The traits that are there. Raises `invalid_event` for what is no object of texts."""
    if traits is None:
        return {}
    if not isinstance(traits, dict) or len(traits) > MAX_TRAITS:
        raise OnefoldError("invalid_event", f"traits must be an object with at most {MAX_TRAITS} members.", uiaf.TRAITS)
    given = {name: value for name, value in traits.items() if value is not None}
    for name in filter(given.__contains__, TRAITS):
        if not isinstance(given[name], str) or len(given[name]) > uiaf.MAX_TEXT:
            field = f"{uiaf.TRAITS}.{name}"
            detail = f"{field} must be a text of at most {uiaf.MAX_TEXT:,} characters."
            raise OnefoldError("invalid_event", detail, field)
    return given


def _digest(kind: Kind, value: str, region: str | None, salt: str) -> str | None:
    """The hash of a value, or None where it is refused. What an unforeseen error says of it must not reach a log."""
    try:
        return hash_value(kind, value, region, salt)
    except Exception as error:
        raise RuntimeError(f"{kind}: {type(error).__name__} in normalisation") from None


def _unknown(trait: str) -> Unused:
    name = trait if _SHOWN.fullmatch(trait) else "…"
    return Unused(name, "unknown_identifier_type", f"A trait is one of {', '.join(TRAITS)}; others are not kept.")


def _add(event: dict[str, Any], member: str, name: str, digest: str, trait: str) -> None:
    """Put a hash where the sensor would have put it. What stands there already must be the same."""
    there = event.get(member)
    if there is not None and not isinstance(there, dict):
        return  # the event's own parser refuses it
    said = (there or {}).get(name)
    if said is not None and str(said).lower() != digest:
        field = f"{uiaf.TRAITS}.{trait}"
        raise OnefoldError("invalid_event", f"{field} and {member}.{name} are not the same person's.", field)
    event[member] = {**(there or {}), name: digest}
