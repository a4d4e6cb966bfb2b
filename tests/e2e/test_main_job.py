"""The main job, in a real browser: one person is one profile, with consent, and nothing raw ever leaves the page."""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import pytest

from e2e.browser import LINKS, open_site
from e2e.demo import BRANDS, Endpoint, free_port, run_server, until
from e2e.visitor import PASSWORD, Traffic, Visitor
from onefold.core.normalize import hash_value, normalize

REGIONS: Final = {"brand-a": "NL", "brand-b": "GB", "blog": "NL"}
ITEMS: Final = {
    "brand-a": "/products/ridge-38",
    "brand-b": "/products/globe-lamp",
    "blog": "/articles/the-case-for-mending",
}
NECESSARY: Final = {"demo_session", "demo_consent"}
DENIED_TIERS: Final = ("T2", "T3", "T4")
LIVE: Final = "return document.querySelector('#status').textContent === 'live'"
COUNTS: Final = """return Object.fromEntries([...document.querySelectorAll('[data-count]')]
  .map((count) => [count.dataset.count, Number(count.textContent)]))"""
POST: Final = """return fetch(arguments[0], {method: 'POST', body: arguments[1]})
  .then(async (answer) => [answer.status, (await answer.json()).code])"""


def email_hash(email: str) -> str:
    """The identifier of an email address."""
    return f"email_hash:{hash_value('email', email)}"


def names(profile: dict[str, Any]) -> set[str]:
    """The identifiers of a profile."""
    return {line["identifier"] for line in profile["identifiers"]}


# ---- one person ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [("brand-a", "brand-b"), ("brand-b", "brand-a")])
def test_one_person_on_two_brands_is_one_profile(visitor: Visitor, endpoint: Endpoint, first: str, second: str) -> None:
    """The same address, typed differently on another brand under another uid, joins both; the older profile stays."""
    seen = {}
    for brand in (first, second):
        visitor.visit(brand)
        visitor.open(brand, ITEMS[brand])
        seen[brand] = (visitor.uid(), visitor.look()["profile"])
    (uid_of_first, older), (uid_of_second, younger) = seen[first], seen[second]
    assert (uid_of_first != uid_of_second, older != younger) == (True, True)

    at_a = visitor.log_in("brand-a", f"Maria.Lopez.{first}@gmail.com")
    assert (at_a["outcome"], at_a["profile"]) == ("attached", seen["brand-a"][1])
    at_b = visitor.log_in("brand-b", f"  MARIALOPEZ.{first.upper()}@GMail.com ")
    assert (at_b["outcome"], at_b["profile"]) == ("merged", older)

    email = email_hash(f"marialopez{first}@gmail.com")
    customer = f"customer_id:{visitor.customer_id('brand-a')}"
    found = endpoint.profile(email)
    assert (found["id"], found["merged"]) == (older, [younger])
    assert names(found) == {uid_of_first, uid_of_second, email, customer}
    assert endpoint.profile(younger)["id"] == older
    merges = [entry for entry in endpoint.ledger(about=younger) if entry["kind"] == "merged"]
    assert [(entry["survivor"], entry["merged"]) for entry in merges] == [(older, [younger])]
    drawn = {profile["id"]: profile["merged"] for profile in endpoint.live()["profiles"]}
    assert (drawn[older], younger in drawn) == ([younger], False)


def test_clearing_storage_and_logging_in_again_joins_the_old_profile(visitor: Visitor, endpoint: Endpoint) -> None:
    """A browser that forgot everything is somebody unknown, until the next login."""
    visitor.visit("brand-a")
    before = visitor.uid()
    old = visitor.log_in("brand-a", "noor@example.com")["profile"]
    customer = f"customer_id:{visitor.customer_id('brand-a')}"

    visitor.clear()
    visitor.visit("brand-a")
    after = visitor.uid()
    assert after != before
    assert visitor.look()["profile"] != old

    assert visitor.log_in("brand-a", "Noor@Example.com")["profile"] == old
    assert names(endpoint.profile(old)) == {before, after, email_hash("noor@example.com"), customer}
    assert endpoint.profile(after)["id"] == old


def test_two_people_on_one_browser_stay_two_and_a_third_is_neither(visitor: Visitor, endpoint: Endpoint) -> None:
    """Two customer numbers on one uid make the uid shared; whoever comes next without logging in is nobody known."""
    visitor.visit("brand-a")
    uid = visitor.uid()
    anna = visitor.log_in("brand-a", "anna@example.com")["profile"]
    visitor.click("a[href='/login']")
    ben = visitor.log_in("brand-a", "ben@example.com")
    assert ben["profile"] != anna
    assert [(refusal["action"], refusal["identifier"]) for refusal in ben["refusals"]] == [("share", uid)]

    assert endpoint.profile(uid) == {"identifier": uid, "shared": True, "profiles": [anna, ben["profile"]]}
    owners = {name: profile["id"] for profile in endpoint.live()["profiles"] for name in names(profile)}
    assert owners[email_hash("anna@example.com")] == anna
    assert owners[email_hash("ben@example.com")] == ben["profile"]
    assert [entry["identifier"] for entry in endpoint.ledger(about=uid) if entry["kind"] == "shared"] == [uid]
    assert visitor.look()["profile"] == ben["profile"], "this session is Ben's"

    visitor.new_session()
    visitor.open("brand-a")
    visitor.browser.driver.delete_cookie("demo_session")
    visitor.open("brand-a", ITEMS["brand-a"])
    assert visitor.uid() == uid
    third = visitor.look()["profile"]
    assert third not in (anna, ben["profile"])
    nobody = endpoint.profile(third)
    assert (names(nobody), nobody["flags"]) == (set(), ["anonymous_on_shared_identifier"])


def test_asking_from_the_command_line_disturbs_no_endpoint_that_runs(visitor: Visitor, endpoint: Endpoint) -> None:
    """A process that opens the database, asks and leaves does not take the write-ahead log away with it."""
    log = endpoint.database.with_name("onefold.db-wal")
    visitor.visit("brand-a")
    visitor.look()
    before = log.stat().st_ino
    for _ in range(2):
        assert names(endpoint.profile(visitor.uid())) == {visitor.uid()}
        assert log.exists()
        visitor.look()
    assert log.stat().st_ino == before


# ---- consent -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", DENIED_TIERS)
def test_without_advertising_consent_no_link_leaves_the_browser(visitor: Visitor, tier: str) -> None:
    """Below T1 forms and calls by hand send no link; T2 still counts pages, T3 and T4 send and keep nothing at all."""
    visitor.visit("brand-a", tier)
    visitor.fill("brand-a", "newsletter", email="noconsent@example.com")
    assert "link (newsletter)" in visitor.told()
    visitor.fill("brand-a", "login", email="noconsent@example.com", password=PASSWORD)
    assert "link (login)" in visitor.told()
    answer = visitor.browser.run("return onefold('link', {email: 'noconsent@example.com'}, {trigger: 'login'})")
    assert answer == {"sent": False, "reason": "consent"}
    answer = visitor.browser.run("return onefold('page')")
    if tier == "T2":
        assert answer == {"sent": True}
        assert {event["event"] for event in visitor.sent()} == {"page_view"}
    else:
        assert answer == {"sent": False, "reason": "consent"}
        assert visitor.sent() == []
        assert visitor.kept() == NECESSARY


@pytest.mark.parametrize("tier", DENIED_TIERS)
def test_a_link_sent_by_hand_without_consent_is_refused(visitor: Visitor, endpoint: Endpoint, tier: str) -> None:
    """The endpoint does not rely on the sensor: it answers 403 consent_denied to a page and to a program alike."""
    email = f"byhand.{tier}@example.com"
    event: dict[str, Any] = {
        "event": "identity_link",
        "event_id": str(uuid.uuid4()),
        "identity": {"uid": f"{uuid.uuid4()}.1647291600", "session_id": str(uuid.uuid4())},
        "identifiers": {"email_hash": hash_value("email", email), "customer_id": f"HAND-{tier}"},
        "_meta": {"ts": time.time_ns() // 1_000_000, "tier": tier, "trigger": "login"},
    }
    visitor.expected.append("/v1/events - Failed to load resource: the server responded with a status of 403")
    visitor.visit("brand-a", tier)
    sent = visitor.browser.run(POST, endpoint.origin + "/v1/events", json.dumps(event))
    assert sent == [403, "consent_denied"]
    status, problem = endpoint.post(event, endpoint.site("brand-a"))
    assert (status, problem["code"]) == (403, "consent_denied")
    feed = endpoint.live()
    for secret in (event["identity"]["uid"], *event["identifiers"].values()):
        assert secret not in json.dumps(feed)
    assert [one["code"] for one in feed["refused"][:2]] == ["consent_denied", "consent_denied"]


def test_before_any_choice_nothing_is_sent_or_stored(visitor: Visitor) -> None:
    """Until the visitor chooses, scripts are loaded and that is all; what happened last leaves once they allow it."""
    visitor.open("brand-a")
    visitor.open("brand-a", ITEMS["brand-a"])
    visitor.fill("brand-a", "checkout", email="undecided@example.com", first_name="Ursulina", last_name="Undecided")
    visitor.browser.wait("return document.querySelector('.notice') && window.onefold.version")
    visitor.browser.run("window.held = onefold('link', {email: 'undecided@example.com'}); return 1")
    assert {(one.method, one.url) for one in visitor.to_endpoint()} == {
        ("GET", f"{visitor.endpoint.origin}/onefold.js"),
        ("GET", f"{visitor.endpoint.origin}/{LINKS}"),
    }
    assert visitor.kept() == {"demo_session"}
    visitor.choose("T1")
    assert visitor.browser.run("return held") == {"sent": True}
    assert visitor.kept() > NECESSARY
    assert [event["_meta"]["tier"] for event in visitor.sent("identity_link")] == ["T1", "T1"]


def test_withdrawing_consent_on_a_live_page_purges_uid_and_queue(visitor: Visitor, endpoint: Endpoint) -> None:
    """From T1 to T3 without a reload: what waited never leaves, and the browser's id is gone."""
    visitor.expected.append("/v1/events - Failed to load resource: net::ERR_BLOCKED_BY_CLIENT")
    visitor.visit("brand-a")
    uid = visitor.uid()
    visitor.look()
    visitor.browser.command("Network.setBlockedURLs", {"urls": ["*/v1/events"]})
    try:
        waiting = visitor.browser.run("return onefold('link', {email: 'changed.mind@example.com'})")
        assert waiting == {"sent": False, "reason": "queued"}
        assert {"uiaf_uid", "uiaf_queue"} < visitor.kept()
        visitor.choose("T3")
        assert visitor.kept() == NECESSARY
    finally:
        visitor.browser.command("Network.setBlockedURLs", {"urls": []})
    tried = len(visitor.sent("identity_link"))
    visitor.browser.run("window.dispatchEvent(new Event('online'))")
    visitor.open("brand-a", ITEMS["brand-a"])
    answer = visitor.browser.run("return onefold('link', {email: 'changed.mind@example.com'})")
    assert answer == {"sent": False, "reason": "consent"}
    assert len(visitor.sent("identity_link")) == tried
    assert visitor.browser.run("return onefold('uid')") is None
    assert visitor.kept() == NECESSARY
    (profile,) = [one for one in endpoint.live()["profiles"] if uid in names(one)]
    assert names(profile) == {uid}


# ---- what is sent --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filled:
    """A form as somebody fills it. `fields` are typed; a `customer` has signed up first."""

    form: str
    trigger: str
    fields: tuple[str, ...]
    customer: bool = False


EVERYTHING: Final = ("email", "phone", "first_name", "last_name")
FORMS: Final = {
    "login": Filled("login", "login", ("email", "password")),
    "signup": Filled("signup", "signup", (*EVERYTHING, "password")),
    "checkout as a guest": Filled("checkout", "purchase", EVERYTHING),
    "checkout as a customer": Filled("checkout", "purchase", (), customer=True),
    "newsletter": Filled("newsletter", "newsletter", ("email",)),
    "profile change": Filled("profile", "profile_update", ("email", "phone"), customer=True),
}
NAMES: Final = {"first_name": " Zoë  Mae ", "last_name": "VAN DER Berg"}


def answers(brand: str, number: int) -> dict[str, str]:
    """What a person of their own types; nobody else has this address or phone."""
    phone = f"06-{2_000_0000 + number}" if REGIONS[brand] == "NL" else f"(07400) {100_000 + number}"
    return {"email": f"Form.{number}@Example.com", "phone": phone, "password": PASSWORD, **NAMES}


def hashed(brand: str, values: dict[str, str]) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """The identifiers and attributes that these values amount to."""
    region = REGIONS[brand]
    identifiers = {"email_hash": hash_value("email", values["email"])}
    if "phone" in values:
        identifiers["phone_hash"] = hash_value("phone", values["phone"], region)
    attributes = {f"{name}_hash": hash_value("name", values[name]) for name in NAMES if name in values}
    return identifiers, attributes


@pytest.mark.parametrize("brand", BRANDS)
@pytest.mark.parametrize("name", FORMS)
def test_every_form_sends_exactly_one_link(visitor: Visitor, brand: str, name: str) -> None:
    """Each form of each site sends one link with its trigger and the hashes of what it asked for, and only brand-a's
    customers have a number.
    """
    filled, number = FORMS[name], 10 * list(FORMS).index(name) + BRANDS.index(brand)
    visitor.visit(brand)
    known: dict[str, str] = {}
    if filled.customer:
        known = answers(brand, number)
        visitor.submit(brand, "signup", **known)
    values = answers(brand, number + 100 if filled.customer else number)
    values = {field: values[field] for field in filled.fields}
    before = len(visitor.sent("identity_link"))
    happened = visitor.submit(brand, filled.form, **values)
    assert (happened["site"], happened["trigger"], happened["tier"]) == (brand, filled.trigger, "T1")

    visitor.browser.driver.refresh()
    visitor.browser.wait("return window.onefold && onefold.version")
    visitor.look()
    # A page that is left before the answer posts its event again from the next one; it is one event all the same.
    (link,) = {event["event_id"]: event for event in visitor.sent("identity_link")[before:]}.values()
    # A customer's checkout is filled in already; changing one's details asks for no name.
    asked = EVERYTHING if filled.form == "checkout" else filled.fields
    identifiers, attributes = hashed(brand, {field: (known | values)[field] for field in asked})
    if brand == "brand-a" and (filled.customer or filled.form in ("login", "signup")):
        identifiers["customer_id"] = visitor.customer_id(brand)
    assert link["identifiers"] == identifiers
    assert (link["attributes"] or {}) == attributes
    assert link["_meta"]["trigger"] == filled.trigger


LINK: Final = """let sent;
  onefold('on', 'sent', ({event}) => { sent = event });
  return onefold('link', arguments[0]).then((answer) => [answer, sent.identifiers, sent.attributes])"""
PERSON: Final = {
    "email": " Plain.Http@GMail.com",
    "phone": "06 87654321",
    "first_name": "Ingeborg",
    "last_name": "de  Wit",
}


def configuration(endpoint: str, origins: list[str]) -> str:
    """The configuration file of an endpoint that takes events from these origins."""
    return f'[server]\npublic_url = "{endpoint}"\n[[sites]]\nid = "shop"\norigins = {json.dumps(origins)}\n'


def test_hashes_are_the_same_without_a_secure_context(traffic: Traffic, tmp_path: Path) -> None:
    """A page on plain http, where browsers offer no crypto.subtle, sends the hashes that a secure one sends."""
    browser, port, identifiers, attributes = traffic.browser, free_port(), *hashed("brand-a", PERSON)
    endpoint = Endpoint("id.test", port, tmp_path / "onefold.db", tmp_path / "output.txt")
    config = tmp_path / "onefold.toml"
    with open_site() as site:
        shops = {
            site.url(f"shop.{top}", ""): (f"http://id.{top}:{port}", top == "localhost")
            for top in ("test", "localhost")
        }
        config.write_text(configuration(endpoint.origin, list(shops)))
        with run_server(["serve", "--config", str(config), "--port", str(port)], endpoint.host, port, tmp_path):
            for shop, (sensor, secure) in shops.items():
                script = f'<script src="{sensor}/onefold.js" data-region="NL"></script>'
                site.pages["/"] = f'<!doctype html><link rel="icon" href="data:,">{script}'
                browser.open(f"{shop}/")
                assert browser.run("return [isSecureContext, !!crypto.subtle]") == [secure, secure]
                assert browser.run(LINK, PERSON) == [{"sent": True}, identifiers, attributes]
            found = endpoint.profile(email_hash(PERSON["email"]))
    assert sorted(line["type"] for line in found["identifiers"]) == ["email_hash", "phone_hash", "uid", "uid"]


# ---- privacy -------------------------------------------------------------------------------------------------------


def base64_of(text: bytes) -> set[bytes]:
    """The letters that stand for a text wherever it begins in something that is base64."""
    found = set()
    for skipped in range(3):
        whole = base64.b64encode(bytes(skipped) + text)
        inner = whole[ceil(skipped * 4 / 3) : (skipped + len(text)) * 4 // 3]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def spellings(value: str) -> set[str]:
    """The ways to write what was typed: as it was, in one case or another, normalised, and a phone's digits alone."""
    stripped = value.strip()
    written = {stripped, stripped.lower(), stripped.upper(), stripped.title()}
    written |= {normalize("email", value) or stripped, normalize("name", value) or stripped}
    for region in REGIONS.values():
        written.add(normalize("phone", value, region) or stripped)
    digits = {"".join(filter(str.isdigit, text)) for text in written}
    return written | {text for text in digits if len(text) > 7}


def traces(value: str, found_in: bytes) -> set[str]:
    """The forms of a typed value that stand somewhere: plain, URL-encoded, as a JSON escape, in hex, in base64."""
    lowered, seen = found_in.lower(), set()
    for text in spellings(value):
        plain = {
            text,
            quote(text),
            quote(text, safe="@"),
            quote_plus(text),
            json.dumps(text)[1:-1],
            text.encode().hex(),
        }
        seen |= {form for form in plain if form.lower().encode() in lowered}
        seen |= {form.decode() for form in base64_of(text.encode()) if form in found_in}
    return seen


def test_the_search_for_traces_finds_every_disguise() -> None:
    """What the next test looks for is found where it is: a search that finds nothing proves nothing."""
    raw = " Quentin.Öz+x@GMail.com "
    for disguised in (
        b"mail=quentin.\xc3\xb6z+x@gmail.com&",
        b"QUENTIN.%C3%96Z%2BX%40GMAIL.COM",
        b"quentin\xc3\xb6z+x@gmail.com",
        b'"Quentin.\\u00d6z+x@GMail.com"',
        *(base64.b64encode(b"-" * shift + raw.strip().encode() + b".") for shift in range(4)),
        base64.urlsafe_b64encode(raw.strip().upper().encode()),
        raw.strip().lower().encode().hex().encode(),
    ):
        assert traces(raw, disguised), disguised
    assert traces("06-20000001", b"tel:+31620000001")
    assert traces(raw, b"quentin") == set()


def test_nothing_typed_reaches_the_endpoint_or_its_database(visitor: Visitor, endpoint: Endpoint) -> None:
    """Not one email address, phone number or name typed in this module stands in any request to the endpoint, in its
    database, in whatever stands beside it, or in its output: in no capitalisation, URL-encoded, or in base64.
    """
    person = {
        "email": "Zebulon.Quackenbush+News@GMail.com",
        "first_name": "Zebulon-Éloïse",
        "last_name": "QUACKENBUSH",
        "password": PASSWORD,
    }
    for brand, phone in (("brand-a", "06-83 72 91 64"), ("brand-b", "(07400) 837291")):
        visitor.visit(brand)
        visitor.submit(brand, "signup", **person, phone=phone)
        # Links in newsletters carry addresses; no page of a shop is safe from that.
        visitor.open(brand, f"/newsletter?email={quote_plus(person['email'])}")
        visitor.look()
        visitor.submit(brand, "checkout")
    visitor.visit("blog")
    visitor.submit("blog", "newsletter", email=person["email"].upper())

    files = [file for file in endpoint.database.parent.rglob("*") if file.is_file()]  # what waits on disk, too
    assert {"onefold.db", "onefold.db-shm", "onefold.db-wal"} <= {file.name for file in files}
    kept = b"\n".join(file.read_bytes() for file in files)
    assert bytes.fromhex(email_hash(person["email"]).removeprefix("email_hash:")) in kept, "these are the right files"
    wire, shops = b"", b""
    for one in visitor.traffic.read():
        if one.url.startswith(endpoint.origin):
            wire += one.text.encode()
        else:
            shops += one.text.encode()
    assert b"'Origin': 'http://brand-a.localhost" in wire, "the log has the headers that went over the wire"
    assert {*person.values(), person["email"].upper()} - {PASSWORD} <= visitor.typed
    for value in visitor.typed:
        assert traces(value, shops), f"the log lacks what was typed: {value}"
        for where, haystack in {"traffic": wire, "database": kept, "output": endpoint.output.read_bytes()}.items():
            assert traces(value, haystack) == set(), where


# ---- the live page -------------------------------------------------------------------------------------------------


def test_the_live_page_follows_what_happens_in_the_other_window(
    visitor: Visitor, endpoint: Endpoint, tmp_path: Path
) -> None:
    """It draws profiles, the shared mark and the last events, and changes by itself while somebody clicks elsewhere."""
    driver = visitor.browser.driver
    visitor.visit("brand-a")
    uid = visitor.uid()
    shop = driver.current_window_handle
    driver.switch_to.new_window("tab")
    live = driver.current_window_handle
    visitor.browser.open(endpoint.origin)
    visitor.browser.wait(LIVE)
    titles = "[...document.querySelectorAll('#picture title')].map((title) => title.textContent).join()"
    assert uid.replace(":", ": ") in visitor.browser.run(f"return {titles}")
    visitor.browser.run("window.untouched = true")

    driver.switch_to.window(shop)
    carla = visitor.log_in("brand-a", "carla@example.com")["profile"]
    dirk = visitor.log_in("brand-a", "dirk@example.com")["profile"]
    driver.switch_to.window(live)
    visitor.browser.wait(
        f"return [...document.querySelectorAll('.shared-node title')].some(({{textContent}}) => "
        f"textContent.includes('{carla}') && textContent.includes('{dirk}'))"
    )
    assert visitor.browser.run("return window.untouched"), "the page was not loaded again"
    words = visitor.browser.run(
        "return [...document.querySelectorAll('.shared-node .words')].map((node) => node.textContent)"
    )
    assert "shared by 2 profiles" in words
    until(lambda: visitor.browser.run(COUNTS) == endpoint.live()["counts"], "the counts on the live page")
    (newest, *_) = visitor.browser.run(
        "return [...document.querySelectorAll('#events li')].map((line) => line.innerText)"
    )
    assert "brand-a" in newest
    logins = visitor.browser.run("""return [...document.querySelectorAll('#events li')]
        .filter((line) => line.innerText.includes('identity_link, login')).map((line) => line.innerText)""")
    assert "uid is now shared: customer_id.limit=1" in logins[0]
    assert driver.save_screenshot(str(tmp_path / "live-picture.png"))

    visitor.click("[data-view=table]")
    rows = visitor.browser.wait(
        "return [...document.querySelectorAll('#table:not([hidden]) tbody')].map((b) => b.innerText)"
    )
    for profile in (carla, dirk):
        assert any(row.startswith(profile) and uid.removeprefix("uid:") in row for row in rows)
    assert driver.save_screenshot(str(tmp_path / "live-table.png"))


# ---- the console ---------------------------------------------------------------------------------------------------


def test_the_console_stays_clean_on_every_page(visitor: Visitor, endpoint: Endpoint) -> None:
    """No page of the sites, nor the live page, causes an error or a warning: no policy violation, no 4xx, no 5xx."""
    for brand in BRANDS:
        visitor.visit(brand)
        for path in ("/", ITEMS[brand], "/login", "/signup", "/checkout", "/newsletter", "/logout"):
            visitor.open(brand, path)
        visitor.log_in(brand, "console@example.com")
        for path in ("/profile", "/checkout", "/thanks"):
            visitor.open(brand, path)
        visitor.click("#log-out")
        assert "reset" in visitor.told()
        visitor.look()
    visitor.browser.open(endpoint.origin)
    visitor.browser.wait(LIVE)
    assert visitor.complaints() == []
    visitor.browser.run("console.error('a control')")
    assert [line for line in visitor.complaints() if "a control" in line], "complaints are heard"
