"""What looks like an address, and that nothing that does is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onefold.core.redact import REMOVED, looks_like_email, redact_text

TEXTS = [
    pytest.param("ann@shop.example", "[removed]", id="an address"),
    pytest.param("write to ann@shop.example, please", "write to [removed], please", id="an address in a sentence"),
    pytest.param("/u/ann%40shop.example/edit", "/u/[removed]/edit", id="a percent-encoded one in a path"),
    pytest.param("mail=ann@a.example&to=bo@b.example", "mail=[removed]&to=[removed]", id="two"),
    pytest.param("@ann said it", "@ann said it", id="nothing before the at"),
    pytest.param("meet me @ noon", "meet me @ noon", id="an at on its own"),
    pytest.param("ann@", "ann@", id="nothing after the at"),
    pytest.param("@@ann", "[removed]", id="an at is a character too"),
    pytest.param("40%", "40%", id="a per cent"),
    pytest.param("", "", id="nothing"),
]


@pytest.mark.parametrize(("text", "left"), TEXTS)
def test_words_that_look_like_an_address_are_removed_and_others_stay(text: str, left: str) -> None:
    assert redact_text(text) == left
    assert looks_like_email(text) is (text != left)


@given(st.lists(st.sampled_from([*"ab4%/ &\n@\u00e9", "%40", REMOVED])).map("".join))
def test_what_was_redacted_holds_nothing_that_looks_like_an_address(text: str) -> None:
    assert not looks_like_email(redact_text(text))
