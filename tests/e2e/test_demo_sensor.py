"""The demonstration shows what the sensor can do: marked forms, match keys, changing pages, its trace, a withdrawal."""

from __future__ import annotations

import json
import sqlite3
from hashlib import sha256
from typing import Any, Final

from e2e.demo import Endpoint, until
from e2e.visitor import Visitor

SHOWN: Final = "return document.querySelector('#did').innerText"


def each_once(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events without those that a page has posted again, because the one before it was left too early."""
    return list({event["event_id"]: event for event in events}.values())


def journal_body(endpoint: Endpoint, email_hash: str) -> Any:
    """What the journal keeps of the event with this match key, beside what it is resolved by."""
    with sqlite3.connect(f"file:{endpoint.database}?mode=ro", uri=True) as connection:
        bodies = [json.loads(body) for (body,) in connection.execute("select body from journal where body is not null")]
    connection.close()
    return next(body for body in bodies if email_hash in json.dumps(body))


def test_match_keys_arrive_in_the_journal(visitor: Visitor, endpoint: Endpoint) -> None:
    """Alder's links carry the hashes that ad platforms match on; the journal keeps them, no profile does."""
    visitor.visit("brand-a")
    linked = visitor.submit("brand-a", "signup", **PERSON)
    keys = {
        "google_email_hash": sha256(b"mayawind@gmail.com").hexdigest(),
        "phone_digits_hash": sha256(b"31612340987").hexdigest(),
    }
    assert visitor.sent("identity_link")[-1]["match_keys"] == keys
    assert journal_body(endpoint, keys["google_email_hash"])["extra"]["match_keys"] == keys
    found = endpoint.profile(linked["profile"])
    assert not any(key in line["identifier"] for line in found["identifiers"] for key in keys.values())


PERSON: Final = {
    "email": "Maya.Wind+news@gmail.com",
    "phone": "06-12340987",
    "first_name": "Maya",
    "last_name": "Wind",
    "password": "four",
}


def test_a_marked_form_links_and_an_invalid_one_does_not(visitor: Visitor) -> None:
    """Birch's sign-up is read as it is sent; while the browser still complains about a field, nothing leaves."""
    visitor.visit("brand-b")
    visitor.fill("brand-b", "signup", email="tess@example.com", password="four", first_name="Tess")
    assert visitor.browser.run("return document.querySelector('#last_name').matches(':invalid')")
    assert visitor.sent("identity_link") == []
    visitor.browser.driver.find_element("css selector", "#last_name").send_keys("Ng")
    visitor.click("#signup .button")
    until(lambda: visitor.sent("identity_link"), "the link")
    (link,) = each_once(visitor.sent("identity_link"))
    assert (link["_meta"]["trigger"], set(link["identifiers"])) == ("signup", {"email_hash"})
    assert "match_keys" not in link
    assert "link (signup)" in visitor.told()


def test_a_part_of_an_item_is_a_view_of_its_own(visitor: Visitor, endpoint: Endpoint) -> None:
    """Going to the second part and back loads nothing, shows the right part, and is counted by address."""
    visitor.visit("blog")
    visitor.open("blog", "/articles/the-case-for-mending")
    visitor.browser.run("window.untouched = true")
    visitor.click(".parts a:last-child")
    shown = "return [...document.querySelectorAll('.part')].findIndex((part) => !part.hidden)"
    assert visitor.browser.run(shown) == 1
    visitor.browser.run("history.back()")
    visitor.browser.wait(f"{shown} === 0")
    until(lambda: len(each_once(visitor.sent("page_view"))) == 4, "four views")
    views = each_once(visitor.sent("page_view"))
    paths = [event["_meta"]["page_url"].removeprefix(endpoint.site("blog")) for event in views]
    item = "/articles/the-case-for-mending"
    assert paths == ["/", item, item + "?part=2", item]
    assert visitor.browser.run("return window.untouched")


def test_the_page_shows_what_the_sensor_did(visitor: Visitor) -> None:
    """From waiting over accepting and sending to a withdrawal, the panel says it in words."""
    visitor.open("brand-a")
    assert visitor.browser.run(SHOWN) == "Nothing: it waits for your choice"
    visitor.choose("T1")
    visitor.browser.wait(f"{SHOWN}.includes('Sent: page_view')")
    assert "Consent is T1: links and page views may leave" in visitor.browser.run(SHOWN)
    visitor.click("#consent-now")
    assert visitor.browser.run("return document.querySelector('[name=tier][value=T3]').innerText") == "Withdraw T3"
    visitor.click("[name=tier][value=T3]")
    visitor.browser.wait(f"{SHOWN}.includes('Sent: consent_update')")
    assert "Consent is T3: nothing is stored and nothing leaves" in visitor.browser.run(SHOWN)
    assert visitor.browser.run("return onefold('uid')") is None


def test_the_trace_can_be_switched_on_by_a_link(visitor: Visitor) -> None:
    """With the trace on the sensor's decisions are in the console, and only then."""
    visitor.visit("brand-b")
    for on in (True, False):
        visitor.click("#debug")
        visitor.browser.wait("return window.onefold && onefold.version && document.readyState === 'complete'")
        visitor.browser.driver.get_log("browser")  # type: ignore[no-untyped-call]
        visitor.browser.run("return onefold('page')")
        said = [line["message"] for line in visitor.browser.driver.get_log("browser")]  # type: ignore[no-untyped-call]
        assert any("[onefold]" in line for line in said) == on


def test_logging_out_shows_a_new_uid(visitor: Visitor) -> None:
    """After reset() the browser is somebody else, and the panel says so."""
    visitor.visit("brand-a")
    visitor.log_in("brand-a", "reset@example.com")
    before = visitor.uid()
    visitor.click("#log-out")
    visitor.browser.wait(f"{SHOWN}.includes('Forgot who was here')")
    assert visitor.uid() != before
