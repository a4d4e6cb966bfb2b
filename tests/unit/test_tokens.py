"""Tokens by themselves: what was signed here is opened until it expires, and nothing else is ever opened."""

import hashlib
import unicodedata
from collections.abc import Iterator
from random import Random
from typing import Any, Final

import pytest
from itsdangerous import Signer
from itsdangerous.encoding import base64_decode, base64_encode

from onefold.core.claims import sign_claim
from onefold.core.event import Event
from onefold.core.identifiers import Identifier
from onefold.core.tokens import Record, event_id_of, linked, open_token, places, sign_token
from onefold.errors import OnefoldError

KEYS: Final = (b"the newest key, long enough", b"an older key, long enough")
NOW: Final = 1_760_000_000_000
TTL: Final = 120_000
NONCE: Final = bytes(range(16))
TOKEN: Final = sign_token(KEYS, NONCE, NOW + TTL)
FUZZED: Final = 100_000


def refusal(token: str, now: int = NOW, keys: tuple[bytes, ...] = KEYS) -> str | None:
    """The code a token is refused with; None where it is opened."""
    try:
        open_token(token, keys, now)
    except OnefoldError as error:
        return error.code
    return None


def test_a_token_opens_to_the_id_of_its_event() -> None:
    assert open_token(TOKEN, KEYS, NOW) == event_id_of(NONCE)


def test_a_token_holds_a_nonce_and_a_time_and_nothing_about_anybody() -> None:
    content = base64_decode(TOKEN.partition(".")[0])
    assert content == NONCE + (NOW + TTL).to_bytes(6, "big")


@pytest.mark.parametrize(
    ("age", "code"),
    [
        pytest.param(0, None, id="new"),
        pytest.param(TTL - 1, None, id="a millisecond left"),
        pytest.param(TTL, None, id="on the boundary"),
        pytest.param(TTL + 1, "token_expired", id="a millisecond too late"),
        pytest.param(10 * 365 * 86_400_000, "token_expired", id="years later"),
        pytest.param(-1_000, None, id="a clock that went back"),
    ],
)
def test_a_token_is_good_for_its_time_to_the_millisecond(age: int, code: str | None) -> None:
    assert refusal(TOKEN, NOW + age) == code


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        pytest.param((b"a fresh key, long enough", *KEYS), None, id="one rotation later"),
        pytest.param((KEYS[1], KEYS[0]), None, id="in another order"),
        pytest.param((KEYS[0],), None, id="the older key gone"),
        pytest.param((KEYS[1],), "token_malformed", id="its own key gone"),
        pytest.param((), "token_malformed", id="no key at all"),
    ],
)
def test_a_token_is_good_as_long_as_its_key_is_among_the_keys(keys: tuple[bytes, ...], code: str | None) -> None:
    assert refusal(TOKEN, keys=keys) == code


def test_the_first_key_signs() -> None:
    assert refusal(sign_token(KEYS, NONCE, NOW), keys=KEYS[:1]) is None


def signed(content: bytes, salt: bytes = b"onefold.token", **options: Any) -> str:
    """Something signed with our key, in the form of a token where content and options are right."""
    options = {"key_derivation": "hmac", "digest_method": hashlib.sha256, **options}
    return Signer(KEYS[0], salt=salt, **options).sign(content).decode()


CONTENT: Final = base64_encode(NONCE + (NOW + TTL).to_bytes(6, "big"))


def test_the_forgeries_below_differ_from_a_token_in_one_thing_each() -> None:
    assert signed(CONTENT) == TOKEN


FORGED: Final[list[Any]] = [
    pytest.param("", id="nothing"),
    pytest.param(".", id="a point"),
    pytest.param(TOKEN + "=", id="padding"),
    pytest.param(TOKEN + "\n", id="a line break at the end"),
    pytest.param(" " + TOKEN, id="a space before"),
    pytest.param(TOKEN.replace(".", ".."), id="two points"),
    pytest.param(TOKEN.replace(".", ""), id="no point"),
    pytest.param(TOKEN.partition(".")[0], id="no signature"),
    pytest.param("." + TOKEN.partition(".")[2], id="no content"),
    pytest.param(TOKEN.upper(), id="in capitals"),
    pytest.param(TOKEN[:-1] + chr(ord(TOKEN[-1]) + 1), id="the unused bits of the last character"),
    pytest.param(TOKEN.translate({ord(c): ord(c) + 0xFEE0 for c in "abcdefghij"}), id="full-width letters"),
    pytest.param(TOKEN.replace(".", "\uff0e"), id="a full-width point"),
    pytest.param(TOKEN[:20] + "\u0000" + TOKEN[21:], id="a NUL"),
    pytest.param(TOKEN[:20] + "\ud800" + TOKEN[21:], id="half a surrogate pair"),
    pytest.param(TOKEN * 140_000, id="10 MB"),
    pytest.param(sign_token((KEYS[0] + b"!",), NONCE, NOW + TTL), id="another key"),
    pytest.param(signed(CONTENT, salt=b"onefold.claim"), id="another purpose"),
    pytest.param(signed(CONTENT, salt=b"itsdangerous.Signer"), id="the library's own purpose"),
    pytest.param(signed(CONTENT, key_derivation="django-concat"), id="the library's own derivation"),
    pytest.param(signed(CONTENT, digest_method=hashlib.sha1), id="SHA-1"),
    pytest.param(signed(CONTENT[:-1]), id="content that is too short, signed"),
    pytest.param(signed(CONTENT + b"A"), id="content that is too long, signed"),
    pytest.param(sign_claim(KEYS[0], "aaaaaaaa-1111-4111-8111-111111111111.1", {}, NOW // 1000), id="a claim"),
]


@pytest.mark.parametrize("token", FORGED)
def test_what_was_not_signed_as_a_token_is_malformed(token: str) -> None:
    assert refusal(token) == "token_malformed"


def mutations(chance: Random, count: int) -> Iterator[str]:
    """Tokens with something wrong, none of them one that was signed."""
    other = sign_token(KEYS, bytes(reversed(NONCE)), NOW + TTL)
    made = 0
    while made < count:
        token = chance.choice(KINDS)(chance, chance.choice((TOKEN, other)), other)
        if token not in (TOKEN, other):
            made += 1
            yield token


def flip(chance: Random, token: str, other: str) -> str:
    raw = bytearray(token.encode())
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return raw.decode("latin-1")


def flip_inside(chance: Random, token: str, _: str) -> str:
    part = chance.randrange(2)
    parts = token.split(".")
    raw = bytearray(base64_decode(parts[part]))
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    parts[part] = base64_encode(bytes(raw)).decode()
    return ".".join(parts)


def cut(chance: Random, token: str, _: str) -> str:
    start, end = sorted((chance.randrange(len(token) + 1), chance.randrange(len(token) + 1)))
    return token[:start] + token[end:] if chance.random() < 0.5 else token[start:end]


def lengthen(chance: Random, token: str, _: str) -> str:
    at = chance.randrange(len(token) + 1)
    return token[:at] + chance.choice(("A", "=", ".", "-", " ", "\n", "%00", "\x00", "\u200b", "é", "😀")) + token[at:]


def swap(chance: Random, token: str, other: str) -> str:
    return f"{token.partition('.')[0]}.{other.partition('.')[2]}"


def resign(chance: Random, token: str, _: str) -> str:
    salt = chance.choice((b"onefold.claim", b"onefold.tokens", b"", b"\x00", chance.randbytes(8)))
    content = base64_encode(chance.randbytes(22))
    key = chance.choice((KEYS[0], KEYS[0][:-1], b"", chance.randbytes(32)))
    purpose = salt if key == KEYS[0] else b"onefold.token"
    return Signer(key, salt=purpose, key_derivation="hmac", digest_method=hashlib.sha256).sign(content).decode()


def noise(chance: Random, token: str, _: str) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
    return "".join(chance.choices(alphabet, k=30)) + "." + "".join(chance.choices(alphabet, k=43))


def disguise(chance: Random, token: str, _: str) -> str:
    wide = "".join(chr(ord(c) + 0xFEE0) if chance.random() < 0.2 else c for c in token)
    return chance.choice((wide, unicodedata.normalize("NFD", wide), token.swapcase(), token.replace("-", "\u2010")))


KINDS: Final = (flip, flip, flip_inside, flip_inside, cut, lengthen, swap, resign, noise, disguise)


def test_not_one_of_many_mutated_tokens_is_opened() -> None:
    codes = {refusal(token) for token in mutations(Random(20_260_101), FUZZED)}
    assert codes == {"token_malformed"}


# The event that redeeming makes.

UIDS: Final = (Identifier("uid", "b"), Identifier("uid", "a"))
RECORD: Final = Record(event_id_of(NONCE), "a", "brand-a", "brand-b", "T1", NOW, NOW + TTL)


def redeeming(**more: Any) -> Event:
    """The redeeming page's side."""
    fields: dict[str, Any] = {"tier": "T1", "site": "brand-b", **more}
    return Event(event_id="token", kind="identity_link", ts=NOW, received_at=NOW, identifiers=(UIDS[0],), **fields)


def test_the_event_has_both_uids_and_says_where_each_was_seen() -> None:
    event = linked(RECORD, redeeming(session_id="s", body={"page_url": "https://b.example/"}))
    assert (event.event_id, event.kind, event.source, event.verified) == (
        event_id_of(NONCE), "identity_link", "cross_domain", False,
    )  # fmt: skip
    assert list(places(event)) == [(UIDS[0], "brand-b"), (UIDS[1], "brand-a")]
    assert (event.site, event.session_id, event.body["page_url"]) == ("brand-b", "s", "https://b.example/")


@pytest.mark.parametrize(
    ("source", "target", "tier"),
    [("T0", "T0", "T0"), ("T0", "T1", "T1"), ("T1", "T0", "T1"), ("T1", "T2", "T2"), ("T2", "T1", "T2")],
)
def test_the_event_has_the_stricter_tier_of_both_sides(source: Any, target: str, tier: str) -> None:
    record = Record("id", "a", "brand-a", "brand-b", source, NOW, NOW + TTL)
    event = linked(record, redeeming(tier=target, signals={"analytics_storage": "granted"}))
    assert (event.tier, event.signals, event.body["consent"]) == (tier, None, {"analytics_storage": "granted"})
