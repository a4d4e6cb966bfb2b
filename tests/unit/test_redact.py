"""What a stored page URL never holds: a cross-domain token, however it is written."""

from typing import Any, Final

import pytest

from onefold.core.redact import redact_url

TOKEN: Final = "R26fhPNAOQSOCh1euqzlDAGiA73ZIA.WJhvljIWBz8V9Og8Cr_Jh9Sz8pZQrmx1ojgphJHPV8Y"

WITH_A_TOKEN: Final[list[Any]] = [
    pytest.param("https://b.example/?_uiaf_token=T", "https://b.example/", id="alone in the query"),
    pytest.param("https://b.example/?a=1&_uiaf_token=T&b=2", "https://b.example/?a=1&b=2", id="between others"),
    pytest.param("https://b.example/?_uiaf_token=T&_uiaf_token=T&a=1", "https://b.example/?a=1", id="repeated"),
    pytest.param("https://b.example/?_uiaf_token=&a=1&_uiaf_token=T", "https://b.example/?a=1", id="first one empty"),
    pytest.param("https://b.example/?_UIAF_token=T", "https://b.example/", id="in capitals"),
    pytest.param("https://b.example/?a=1;_uiaf_token=T;b=2", "https://b.example/?a=1;;b=2", id="between semicolons"),
    pytest.param("https://b.example/#_uiaf_token=T", "https://b.example/#", id="in the fragment"),
    pytest.param("https://b.example/#/shop?_uiaf_token=T", "https://b.example/#/shop", id="in a hash route's query"),
    pytest.param(
        "https://b.example/#!/shop?a=1&_uiaf_token=T", "https://b.example/#!/shop?a=1", id="last in a hash route"
    ),
    pytest.param("https://b.example/?_uiaf_token=T#top", "https://b.example/?#top", id="before a fragment"),
    pytest.param("https://b.example/?%5Fuiaf_token=T", "https://b.example/", id="its name percent-encoded"),
    pytest.param("https://b.example/?_ui%61f%5ftoken=T", "https://b.example/", id="its name encoded in part"),
    pytest.param("https://b.example/?%255Fuiaf_token=T", "https://b.example/", id="its name encoded twice"),
    pytest.param("https://b.example/?_uiaf_token%3DT", "https://b.example/", id="the equals sign encoded"),
    pytest.param(
        "https://b.example/?next=https%3A%2F%2Fb.example%2F%3F_uiaf_token%3DT%26a%3D1",
        "https://b.example/?next=https%3A%2F%2Fb.example%2F%3Fa%3D1",
        id="in a link in the link",
    ),
    pytest.param(
        "https://b.example/?next=%253F_uiaf_token%253DT&a=1", "https://b.example/?next=%253F&a=1", id="encoded twice"
    ),
    pytest.param("https://b.example/?my_uiaf_token=T", "https://b.example/?my_uiaf_token=[removed]", id="a copy"),
    pytest.param("https://b.example/?_uiaf_token[]=T", "https://b.example/?_uiaf_token[]=[removed]", id="an array"),
    pytest.param("https://b.example/T/page", "https://b.example/[removed]/page", id="in the path"),
]


@pytest.mark.parametrize(("url", "stored"), WITH_A_TOKEN)
def test_a_token_leaves_the_url(url: str, stored: str) -> None:
    for token in (TOKEN, TOKEN.replace(".", "%2E"), TOKEN.replace(".", "%252e")):
        assert redact_url(url.replace("T", token)) == stored


@pytest.mark.parametrize(
    "url",
    [
        "https://b.example/?a=1&b=2#top",
        "https://b.example/?token=abc&uiaf_token=abc",
        "https://b.example/a-long-name-of-an-article-about-nothing.html",
        "https://b.example/?q=100%25&r=%3F",
    ],
)
def test_another_url_stays_as_it_is(url: str) -> None:
    assert redact_url(url) == url
