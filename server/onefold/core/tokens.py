"""Cross-domain tokens: what a link carries from one site to the next, so that the visits on both can be one person's.

A token says nothing about anybody: it is a random nonce and the time it expires, signed. What it stands for is a
`Record` in the store, found by an id that is derived from the nonce. That id is also the id of the event that redeeming
makes: the journal takes an event id once, so a token works once.

The requirements are UIAF's (06-identity-resolution, "Cross-domain token": short-lived, 120 seconds, single-use, judged
by the server); the form, the audience and the referrer rule are Onefold's own, see docs/reference/tokens.md.
"""

import hashlib
import re
import uuid
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from onefold.core.event import IDENTITY_LINK, TIERS, Event, Tier
from onefold.core.identifiers import Identifier
from onefold.errors import OnefoldError

CROSS_DOMAIN: Final = "cross_domain"
"""The source, and the trigger, of the events that redeeming makes."""

NONCE_BYTES: Final = 16
_TIME_BYTES: Final = 6
_SOURCE_SITE: Final = "source_site"
_SALT: Final = b"onefold.token"
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{30}\.([A-Za-z0-9_-]{43})")


class Record(msgspec.Struct, frozen=True):
    """What a token stands for: whose uid, from which site to which, under which tier. Times are ms since 1970 UTC."""

    event_id: str
    uid: str
    source_site: str
    target_site: str
    tier: Tier
    minted_at: int
    expires_at: int


def sign_token(keys: Sequence[bytes], nonce: bytes, expires_at: int) -> str:
    """A token for a nonce of 16 bytes, good until `expires_at` (ms), signed with the first key. URL-safe, 74
    characters.
    """
    content = base64_encode(nonce + expires_at.to_bytes(_TIME_BYTES, "big"))
    return _signer(keys).sign(content).decode()


def open_token(token: str, keys: Sequence[bytes], now: int) -> str:
    """The id under which the token's record is kept, if one of the keys signed it and it is still good at `now` (ms).

    Raises `token_malformed` and `token_expired`. Reads nothing but its arguments: a forged token costs no look-up.
    """
    content = base64_decode(_signed_content(token, keys))
    if now > int.from_bytes(content[NONCE_BYTES:], "big"):
        raise OnefoldError("token_expired", "The token has expired; the next link carries a fresh one.")
    return event_id_of(content[:NONCE_BYTES])


def event_id_of(nonce: bytes) -> str:
    """The id of a token's record and of the event that redeeming it makes; the nonce cannot be found from it."""
    return str(uuid.UUID(bytes=hashlib.sha256(_SALT + nonce).digest()[:16]))


def check_redeemable(record: Record, uid: str, site: str, referrer: str | None) -> None:
    """Raise where this uid on this site may not redeem the token: `audience_mismatch`, `referrer_mismatch`,
    `token_same_uid`.

    `referrer` is the id of the site the page was opened from, None for no configured one.
    """
    if record.target_site != site:
        raise OnefoldError("audience_mismatch", "The token was made for a link to another site.")
    if record.source_site != referrer:
        raise OnefoldError("referrer_mismatch", "The page was not opened from a page of the token's source site.")
    if record.uid == uid:
        raise OnefoldError("token_same_uid", "The uid is the one that the token was made for: nothing is to be linked.")


def linked(record: Record, redeeming: Event) -> Event:
    """The event that says both uids are one browser's: the redeeming page's uid first, the token's second.

    Its tier is the stricter of both sides, so it must pass the gate again.
    """
    tier = max(record.tier, redeeming.tier or "T0", key=TIERS.index)
    consent = {} if redeeming.signals is None else {"consent": redeeming.signals}
    return msgspec.structs.replace(
        redeeming,
        event_id=record.event_id,
        kind=IDENTITY_LINK,
        identifiers=(*redeeming.identifiers, Identifier("uid", record.uid)),
        tier=tier,
        signals=None,  # they speak for one side only
        source=CROSS_DOMAIN,
        body={**redeeming.body, **consent, "trigger": CROSS_DOMAIN, _SOURCE_SITE: record.source_site},
    )


def places(event: Event) -> Iterator[tuple[Identifier, str]]:
    """The identifiers of an event, each with the site it was seen on: a token brings one from elsewhere."""
    sites = [event.site] * len(event.identifiers)
    if event.source == CROSS_DOMAIN and sites:
        sites[-1] = event.body.get(_SOURCE_SITE, event.site)
    return zip(event.identifiers, sites, strict=True)


def _signed_content(token: str, keys: Sequence[bytes]) -> bytes:
    """What the token signs. Raises `token_malformed`.

    A signature must be written in its one canonical way: base64 has four spellings of its last bits.
    """
    form = _FORM.fullmatch(token)
    if form is not None and base64_encode(base64_decode(form[1])) == form[1].encode():
        try:
            return _signer(keys).unsign(token)
        except BadSignature:
            pass
    raise OnefoldError("token_malformed", "The token was not signed here, or something has changed it.")


def _signer(keys: Sequence[bytes]) -> Signer:
    """Signs with the first key and takes what any of them signed; the library wants the newest last."""
    return Signer(list(reversed(keys)), salt=_SALT, key_derivation="hmac", digest_method=hashlib.sha256)
