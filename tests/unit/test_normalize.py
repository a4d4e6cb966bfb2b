"""Normalisation `uiaf-1`: the shared vectors, the corners of Unicode, and the promises that hold for every text."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onefold.core.normalize import KINDS, Kind, hash_value, normalize, sha256_hex


def shared_vectors() -> Iterator[Any]:
    """The vectors that Python and JavaScript share."""
    for name in ("normalize", "phone", "unicode"):
        text = (Path(__file__).parents[1] / "vectors" / f"{name}.json").read_text(encoding="utf-8")
        for number, vector in enumerate(json.loads(text)["vectors"]):
            yield pytest.param(vector, id=f"{name}-{number}-{vector.get('description') or vector['type']}")


VECTORS: Final = list(shared_vectors())


@pytest.mark.parametrize("vector", VECTORS)
def test_the_shared_vectors(vector: dict[str, Any]) -> None:
    normalized = normalize(vector["type"], vector["input"], vector.get("region"))
    assert normalized == vector["normalized"]
    assert hash_value(vector["type"], vector["input"], vector.get("region")) == vector["sha256"]


def test_the_shared_vectors_cover_every_kind_and_refusals() -> None:
    seen = {(vector.values[0]["type"], vector.values[0]["normalized"] is None) for vector in VECTORS}
    assert seen == {(kind, refused) for kind in KINDS for refused in (True, False)}


WHITE_SPACE: Final = [*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F]
WHITE_SPACE_TOO: Final = [0x205F, 0x3000]
NOT_WHITE_SPACE: Final = [0x00, 0x1C, 0x1D, 0x1E, 0x1F, 0x180E, 0x200B, 0x200D, 0x2060, 0xFEFF]


@pytest.mark.parametrize("point", [*WHITE_SPACE, *WHITE_SPACE_TOO], ids=hex)
def test_white_space_as_unicode_defines_it_is_trimmed_and_collapsed(point: int) -> None:
    space = chr(point)
    assert normalize("name", f"{space}Ada{space}{space}Byron{space}") == "ada byron"
    assert normalize("email", f"{space}ada@example.com{space}") == "ada@example.com"
    assert normalize("email", f"ada{space}b@example.com") is None
    assert normalize("name", space * 3) is None


@pytest.mark.parametrize("point", NOT_WHITE_SPACE, ids=hex)
def test_what_unicode_does_not_call_white_space_stays(point: int) -> None:
    assert normalize("name", f"{chr(point)}Ada{chr(point)}") == f"{chr(point)}ada{chr(point)}"


CASES: Final[list[Any]] = [
    pytest.param("name", "ΝΙΚΟΣ", "νικος", id="a sigma that ends a word is a final sigma"),
    pytest.param("name", "ΣΙΣΥΦΟΣ ΣΑΣ", "σισυφος σας", id="sigmas inside and at the end of words"),
    pytest.param("name", "Σ", "σ", id="a sigma alone is no final one"),
    pytest.param("name", "İlker", "i̇lker", id="the Turkish dotted I is lower-cased as everywhere, not as in Turkey"),
    pytest.param("name", "IŞIK", "işik", id="a Turkish capital I becomes the dotted i"),
    pytest.param("name", "STRASSE ẞ", "strasse ß", id="a capital sharp s"),
    pytest.param("name", "Straße", "straße", id="lower-casing is no case folding"),
    pytest.param("name", "Jose\u0301", "josé", id="a combining accent composes"),
    pytest.param("name", "JOSE\u0301", "josé", id="a combining accent composes after lower-casing"),
    pytest.param("name", "\u212b", "å", id="the ångström sign is an å"),
    pytest.param("name", "ﬁnn", "ﬁnn", id="a ligature is left alone: NFC, not NFKC"),
    pytest.param("name", "Ａｄａ", "ａｄａ", id="full-width letters are lower-cased and stay full-width"),
    pytest.param("name", "\ud800", None, id="half of a surrogate pair alone"),
    pytest.param("name", "ada \udc00", None, id="half of a surrogate pair at the end"),
    pytest.param("name", "😀", "😀", id="a character beyond the first plane"),
    pytest.param("name", "O'Connor-Smith", "o'connor-smith", id="punctuation stays"),
    pytest.param("name", "", None, id="an empty name"),
    pytest.param("email", "A.D.A@gmail.com", "ada@gmail.com", id="dots leave a Gmail address"),
    pytest.param("email", "a.d.a@GMAIL.COM", "ada@gmail.com", id="dots leave it whatever the case of the domain"),
    pytest.param(
        "email", "a.d.a+x.y@gmail.com", "ada+xy@gmail.com", id="plus tags stay; dots leave the whole local part"
    ),
    pytest.param("email", "a.d.a@googlemail.com", "a.d.a@googlemail.com", id="googlemail.com is not touched"),
    pytest.param("email", "a.d.a@example.com", "a.d.a@example.com", id="dots stay elsewhere"),
    pytest.param("email", "a.b@mail.gmail.com", "a.b@mail.gmail.com", id="a subdomain of gmail.com is elsewhere"),
    pytest.param("email", "a.b@notgmail.com", "a.b@notgmail.com", id="a domain that ends alike is elsewhere"),
    pytest.param("email", "...@gmail.com", None, id="nothing is left of the local part without its dots"),
    pytest.param("email", ".@example.com", ".@example.com", id="a dot is a local part elsewhere"),
    pytest.param("email", "@example.com", None, id="no local part"),
    pytest.param("email", "ada@", None, id="no domain"),
    pytest.param("email", "ada", None, id="no at sign"),
    pytest.param("email", "ada@@example.com", None, id="two at signs together"),
    pytest.param("email", "ada@b@example.com", None, id="two at signs apart"),
    pytest.param("email", "ada byron@example.com", None, id="inner white space"),
    pytest.param("email", "ada @example.com", None, id="white space before the at sign"),
    pytest.param("email", "ada@localhost", "ada@localhost", id="a domain without a dot"),
    pytest.param("email", "ADA@EXÄMPLE.COM", "ada@exämple.com", id="a domain in Unicode stays Unicode"),
    pytest.param("email", "a\u0308@example.com", "ä@example.com", id="an address composes"),
    pytest.param("email", "ada\ud800@example.com", None, id="a lone surrogate in an address"),
    pytest.param("email", "", None, id="an empty address"),
]


@pytest.mark.parametrize(("kind", "value", "normalized"), CASES)
def test_names_and_addresses(kind: Kind, value: str, normalized: str | None) -> None:
    assert normalize(kind, value) == normalized


PHONES: Final[list[Any]] = [
    pytest.param("06-12345678", "NL", "+31612345678", id="national, with its region"),
    pytest.param("06-12345678", "nl", "+31612345678", id="the region in lower case"),
    pytest.param("06-12345678", "Nl", "+31612345678", id="the region in mixed case"),
    pytest.param("06-12345678", None, None, id="national, without a region"),
    pytest.param("06-12345678", "", None, id="national, with an empty region"),
    pytest.param("06-12345678", "XX", None, id="national, with a region that does not exist"),
    pytest.param("+31 6 12345678", None, "+31612345678", id="international"),
    pytest.param("+31 6 12345678", "US", "+31612345678", id="international, whatever the region"),
    pytest.param("+31 6 12345678", "XX", "+31612345678", id="international, with a region that does not exist"),
    pytest.param("0031 6 12345678", "NL", "+31612345678", id="international prefix"),
    pytest.param("＋31612345678", None, "+31612345678", id="a full-width plus"),
    pytest.param("٠٦١٢٣٤٥٦٧٨", "NL", "+31612345678", id="Arabic digits"),
    pytest.param("(555) 123-4567", "US", "+15551234567", id="possible is enough: UIAF's own example"),
    pytest.param("+1 (202) 555-0123 ext. 99", None, "+12025550123", id="an extension is dropped"),
    pytest.param("+12025550123;ext=99", None, "+12025550123", id="an extension as in RFC 3966"),
    pytest.param("+1 202-555-0123 x99", None, "+12025550123", id="an extension as x"),
    pytest.param("1-800-FLOWERS", "US", "+18003569377", id="letters on the keypad"),
    pytest.param("555-0123", "US", None, id="a number without its area code is many people's"),
    pytest.param("12", "NL", None, id="too short"),
    pytest.param("+31 6 1234567890123456", None, None, id="too long"),
    pytest.param("hello", "NL", None, id="no number at all"),
    pytest.param("", "NL", None, id="nothing"),
    pytest.param("+", None, None, id="a plus alone"),
    pytest.param("+31\ud800612345678", None, None, id="a lone surrogate"),
]


@pytest.mark.parametrize(("value", "region", "normalized"), PHONES)
def test_phone_numbers(value: str, region: str | None, normalized: str | None) -> None:
    assert normalize("phone", value, region) == normalized


def test_a_salt_goes_before_the_normalised_form() -> None:
    expected = hashlib.sha256(b"peppersada@example.com").hexdigest()
    assert hash_value("email", " Ada@Example.com", salt="peppers") == expected


def test_no_salt_is_the_plain_hash() -> None:
    assert sha256_hex("ada@example.com") == hashlib.sha256(b"ada@example.com").hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_refused_is_never_hashed(kind: Kind) -> None:
    assert hash_value(kind, " ", "NL", "salt") is None


ANY_TEXT: Final = st.text(st.characters())
ADDRESSES: Final = st.builds("{}@{}".format, st.text(min_size=1), st.sampled_from(["gmail.com", "Example.COM", "ä.de"]))


@given(st.sampled_from(["email", "name"]), ANY_TEXT | ADDRESSES)
def test_normalising_twice_changes_nothing_more(kind: Kind, value: str) -> None:
    once = normalize(kind, value)
    assert once is None or normalize(kind, once) == once


@given(st.sampled_from(KINDS), ANY_TEXT | ADDRESSES, st.sampled_from([None, "NL", "us", "??"]))
def test_any_text_is_refused_or_hashed_to_64_hex_characters(kind: Kind, value: str, region: str | None) -> None:
    hashed = hash_value(kind, value, region)
    assert hashed is None or re.fullmatch(r"[0-9a-f]{64}", hashed)
    assert (hashed is None) is (normalize(kind, value, region) is None)


@given(st.sampled_from(["email", "name"]), st.text(st.characters(max_codepoint=0x2FFF)))
def test_composed_and_decomposed_spellings_are_one(kind: Kind, value: str) -> None:
    spellings = {normalize(kind, unicodedata.normalize(form, value)) for form in ("NFC", "NFD")}
    assert spellings == {normalize(kind, value)}
