"""Claims: a site's back end vouches for who is on its page.

A claim holds the uid and the personal identifiers of one event, signed with the site's claim secret and good for five
minutes. With it an event is *verified*: a hostile page cannot make one. The format is itsdangerous' timed, URL-safe
one with HMAC-SHA256 throughout; docs/how-to/sign-claims.md spells it out for other languages.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from itsdangerous import BadData, SignatureExpired, TimestampSigner, URLSafeTimedSerializer

from onefold.core.event import Event
from onefold.core.identifiers import Identifier
from onefold.core.rules import Rules
from onefold.errors import OnefoldError

TTL_SECONDS: Final = 300
_SALT: Final = "onefold.claim"


def sign_claim(secret: str | bytes, uid: str, identifiers: Mapping[str, str], now: int) -> str:
    """A claim for one event: the browser's uid and the hashed personal identifiers it is about.

    `now` is in seconds since 1970. Identifiers are named as in the event: `{"email_hash": "…", "customer_id": "…"}`.
    """
    content = {"uid": uid.lower(), "identifiers": dict(sorted(identifiers.items()))}
    signed: str | bytes = _serializer(secret, now).dumps(content)
    return signed if isinstance(signed, str) else signed.decode()


def check_claim(claim: str, secret: str | bytes, event: Event, rules: Rules, now: int) -> None:
    """Raise `claim_invalid` unless the claim is signed, fresh, and vouches for every personal
    identifier of the event.
    """
    try:
        content = _serializer(secret, now).loads(claim, max_age=TTL_SECONDS)
    except SignatureExpired:
        raise OnefoldError("claim_invalid", "The claim is older than five minutes; sign a fresh one.") from None
    except (BadData, UnicodeEncodeError):  # a lone surrogate is no base64 either
        raise OnefoldError("claim_invalid", "The claim is not signed with this site's claim secret.") from None
    claimed = {rules.canonical(identifier) for identifier in _identifiers(content)}
    vouched_for = {rules.canonical(i) for i in event.identifiers if i.type == "uid" or _is_personal(i, rules)}
    if not vouched_for <= claimed:
        raise OnefoldError("claim_invalid", "The claim vouches for another uid or other identifiers than the event.")


def _is_personal(identifier: Identifier, rules: Rules) -> bool:
    rule = rules.rule(identifier.type)
    return rule is not None and rule.personal


def _identifiers(content: Any) -> set[Identifier]:
    """What a signed claim is about. Raises `claim_invalid` for a signed content of another shape."""
    match content:
        case {"uid": str(uid), "identifiers": dict(identifiers)}:
            return {Identifier("uid", uid), *(Identifier(str(name), str(value)) for name, value in identifiers.items())}
    raise OnefoldError("claim_invalid", "The claim must hold uid and identifiers.")


def _serializer(secret: str | bytes, now: int) -> URLSafeTimedSerializer:
    class At(TimestampSigner):
        """Signs and judges age at a given time: the core has no clock."""

        def get_timestamp(self) -> int:
            return now

    return URLSafeTimedSerializer(
        secret,
        salt=_SALT,
        signer=At,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
