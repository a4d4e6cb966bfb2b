"""The form of secret keys: what is one, what may be shown of it, and what it allows."""

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onefold.core.keys import KEY_PATTERN, RANDOM_BYTES, SCOPES, Scope, allows, key_digest, key_id, new_key

KEY: Final = new_key(bytes(range(RANDOM_BYTES)))
BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"


def test_a_key_is_always_made_the_same_way() -> None:
    """A change of form would end every key there is."""
    assert KEY == "ofk_aaaqeaye_audaocajbifqydiob4ibceqtcqkrmfyy245t4li"
    assert key_digest(KEY).hex() == "d010ebeeb0237ec87f6e4a3f1292d1d4f23d31a003eb80412f4b8e57ebd3e651"


@given(st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_a_key_names_itself_and_nothing_secret_is_in_its_name(random: bytes) -> None:
    key = new_key(random)
    assert KEY_PATTERN.fullmatch(key)
    assert key_id(key) == key[:12]
    assert new_key(random[:5] + bytes(20))[:12] == key[:12]


@given(st.integers(0, len(KEY) - 1), st.sampled_from(BASE32 + "_O-"))
def test_a_typing_error_anywhere_is_noticed(at: int, typed: str) -> None:
    changed = KEY[:at] + typed + KEY[at + 1 :]
    assert (key_id(changed) is None) == (changed != KEY)


NO_KEYS: Final[list[Any]] = [
    pytest.param("", id="nothing"),
    pytest.param(KEY[:-1], id="too short"),
    pytest.param(KEY + "a", id="too long"),
    pytest.param(KEY + "\n", id="a line end behind it"),
    pytest.param(" " + KEY, id="a blank before it"),
    pytest.param(KEY.upper(), id="in capitals"),
    pytest.param(KEY[:12], id="its name alone"),
    pytest.param(f"{KEY},{KEY}", id="two keys"),
    pytest.param("ofk_" * 100_000, id="much"),
    pytest.param("ofk_ÄÄÄÄÄÄÄÄ_" + "ä" * 39, id="other letters"),
    pytest.param(KEY.replace("a", "\ud800"), id="half a surrogate pair"),
]


@pytest.mark.parametrize("text", NO_KEYS)
def test_what_is_no_key_has_no_name(text: str) -> None:
    assert key_id(text) is None


ALLOWED: Final[list[Any]] = [
    pytest.param((), (), id="no scope allows nothing"),
    pytest.param(("read",), ("read",), id="read allows to read"),
    pytest.param(("write",), ("write",), id="write does not allow to read"),
    pytest.param(("read", "write"), ("read", "write"), id="two scopes allow both"),
    pytest.param(("admin",), SCOPES, id="admin allows everything"),
]


@pytest.mark.parametrize(("scopes", "allowed"), ALLOWED)
def test_a_scope_allows_itself_and_admin_all(scopes: tuple[Scope, ...], allowed: tuple[Scope, ...]) -> None:
    assert tuple(scope for scope in SCOPES if allows(scopes, scope)) == allowed
