"""The demo sites behave like careful customers: every page, every form, one sensor call, consent first."""

import json
import re
from typing import Any, Final

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from demo_site import create_app

ENDPOINT: Final = "http://id.localhost:8000"
GROUP: Final = {brand: f"http://{brand}.localhost:8000" for brand in ("brand-a", "brand-b", "blog")}
PASSWORD: Final = "four"
PERSON: Final = {"first_name": "Ada", "last_name": "Byron", "phone": "06-12345678"}


def visitor(brand: str = "brand-a") -> FlaskClient:
    """A new browser on a new site."""
    return create_app(brand, ENDPOINT, GROUP).test_client()


def page_data(response: TestResponse) -> Any:
    """What the page says to its own script."""
    blocks = re.findall(r'<script type="application/json" id="page-data">(.*?)</script>', response.text, re.DOTALL)
    assert len(blocks) == 1
    return json.loads(blocks[0])


def csrf(browser: FlaskClient) -> str:
    """The token of a form on the front page: every form of a session carries the same one."""
    found = re.search(r'name="csrf" value="([^"]+)"', browser.get("/newsletter").text)
    assert found is not None
    return found[1]


def send(browser: FlaskClient, path: str, **typed: str) -> TestResponse:
    """Submit a form with its token; the answer is not followed."""
    return browser.post(path, data={"csrf": csrf(browser), **typed})


def after(browser: FlaskClient, response: TestResponse) -> TestResponse:
    """The page that a successful form leads to."""
    assert response.status_code == 303, response.text
    return browser.get(response.headers["Location"])


def log_in(browser: FlaskClient, email: str = "ada@example.com") -> TestResponse:
    """Log in and open the page after it."""
    return after(browser, send(browser, "/login", email=email, password=PASSWORD))


@pytest.mark.parametrize(
    ("brand", "path", "expected"),
    [
        *((brand, path, 200) for brand in GROUP for path in ("/", "/login", "/signup", "/checkout", "/newsletter")),
        *((brand, path, 200) for brand in GROUP for path in ("/logout", "/thanks", "/static/demo.js")),
        ("brand-a", "/products/ridge-38", 200),
        ("brand-b", "/products/globe-lamp", 200),
        ("blog", "/articles/the-case-for-mending", 200),
        ("blog", "/articles/membership", 200),
        ("brand-a", "/products/globe-lamp", 404),
        ("brand-a", "/profile", 302),
    ],
)
def test_each_page_answers(brand: str, path: str, expected: int) -> None:
    """Every page of every site is there, and another site's products are not."""
    with visitor(brand).get(path) as answer:
        assert answer.status_code == expected


def test_the_catalogue_has_a_page_for_everything_the_front_page_links_to() -> None:
    """No link of a front page is broken."""
    for brand in GROUP:
        browser = visitor(brand)
        for path in set(re.findall(r'href="(/[^"#]*)', browser.get("/").text)):
            with browser.get(path, follow_redirects=True) as answer:
                assert answer.status_code == 200, path


SENT_CASES: Final = [
    ("login", "login", {"email": " Ada@Example.com ", "password": PASSWORD}, "CUS10001"),
    ("signup", "signup", {"email": "Ada@Example.com", "password": PASSWORD, **PERSON}, "CUS10001"),
    ("checkout", "purchase", {"email": "Ada@Example.com", **PERSON}, None),
    ("newsletter", "newsletter", {"email": "Ada@Example.com"}, None),
]
MARKED: Final = {"brand-a": {"newsletter"}, "brand-b": {"newsletter", "signup"}, "blog": {"newsletter", "signup"}}


@pytest.mark.parametrize("brand", list(GROUP))
@pytest.mark.parametrize(("form", "trigger", "typed", "number"), SENT_CASES, ids=[case[0] for case in SENT_CASES])
def test_a_form_links_what_was_typed_once(
    brand: str, form: str, trigger: str, typed: dict[str, str], number: str | None
) -> None:
    """Either the form is marked for the sensor, or the page after it has the call: the values as typed, never the
    password. The page after that has neither.
    """
    browser = visitor(brand)
    marked = f'data-onefold="{trigger}"' in browser.get(f"/{form}").text
    assert marked == (form in MARKED[brand])
    landed = page_data(after(browser, send(browser, f"/{form}", **typed)))
    identity = {name: value for name, value in typed.items() if name != "password"}
    if number and brand == "brand-a":
        identity["customer_id"] = number
    assert landed["commands"] == ([] if marked else [["link", identity, {"trigger": trigger}]])
    assert landed["form"] == (form if marked else "")
    following = page_data(browser.get("/"))
    assert (following["commands"], following["form"]) == ([], "")


@pytest.mark.parametrize(
    ("path", "trigger", "typed"),
    [
        ("/profile", "profile_update", {"email": "countess@example.com", "phone": "06-87654321"}),
        ("/checkout", "purchase", {"email": "b@example.com", "first_name": "Ada", "last_name": "Byron"}),
    ],
)
def test_a_logged_in_customer_of_alder_is_linked_by_customer_number(
    path: str, trigger: str, typed: dict[str, str]
) -> None:
    """Whatever a customer with a number does, the number goes with it; fields left empty do not."""
    browser = visitor()
    log_in(browser)
    landed = after(browser, send(browser, path, **typed))
    assert page_data(landed)["commands"] == [["link", {**typed, "customer_id": "CUS10001"}, {"trigger": trigger}]]


@pytest.mark.parametrize(
    ("path", "typed", "field", "message"),
    [
        ("/login", {"email": "ada", "password": PASSWORD}, "email", "This does not look like an e-mail address."),
        ("/login", {"email": "a@b.example", "password": "abc"}, "password", "At least 4 characters, please."),
        ("/login", {"email": "ada@example.com", "password": "wrong"}, "password", "not the password of this account"),
        ("/signup", {"email": "", "password": PASSWORD, **PERSON}, "email", "E-mail is missing."),
        ("/signup", {"email": "ADA@example.com ", "password": PASSWORD, **PERSON}, "email", "already is an account"),
        (
            "/signup",
            {**PERSON, "email": "a@b.example", "password": PASSWORD, "first_name": " "},
            "first_name",
            "missing",
        ),
        ("/checkout", {**PERSON, "email": "a@b.example", "phone": "call me"}, "phone", "look like a phone number."),
        ("/checkout", {**PERSON, "email": "a@b.example", "last_name": "x" * 255}, "last_name", "too long"),
        ("/newsletter", {"email": "a@b@c"}, "email", "This does not look like an e-mail address."),
        ("/profile", {"email": "", "phone": ""}, "email", "E-mail is missing."),
        ("/profile", {"email": "ada@example.com", "phone": ""}, "email", "already is an account"),
    ],
)
def test_a_form_that_cannot_be_used_comes_back_with_a_message(
    path: str, typed: dict[str, str], field: str, message: str
) -> None:
    """The field is marked, the message is there, what was typed is kept, and the sensor is told nothing."""
    browser = visitor()
    log_in(browser, "ada@example.com")
    log_in(browser, "b@example.com")
    answer = send(browser, path, **typed)
    assert answer.status_code == 422
    assert message in answer.text
    assert f'aria-describedby="{field}-error"' in answer.text
    assert all(f'value="{value}"' in answer.text for name, value in typed.items() if name != "password")
    assert page_data(answer)["commands"] == []


def test_a_marked_form_carries_the_number_of_a_logged_in_customer() -> None:
    """The sensor finds Alder's customer number in a field that is not sent; nobody else's form has one."""
    field = '<input type="hidden" value="CUS10001" data-onefold-field="customer_id">'
    for brand in GROUP:
        browser = visitor(brand)
        assert "data-onefold-field" not in browser.get("/newsletter").text
        log_in(browser)
        assert (field in browser.get("/newsletter").text) == (brand == "brand-a")


def test_an_item_has_two_parts_under_two_addresses() -> None:
    """Without scripts the server shows the part that the address names; with them the page does, without loading."""
    browser = visitor()
    for query, shown in (("", 0), ("?part=2", 1), ("?part=nonsense", 0)):
        text = browser.get("/products/ridge-38" + query).text
        assert re.findall(r'<div class="part"( hidden)?>', text) == [" hidden" if i != shown else "" for i in (0, 1)]
        assert re.findall(r'aria-current="page">([^<]+)</a>', text) == [("What it is", "How it lasts")[shown]]


def test_the_trace_is_switched_by_a_link() -> None:
    """The link adds data-debug to the script and leads back; the next one takes it away."""
    browser = visitor()
    for state, on in (("on", True), ("off", False)):
        link = f'href="/debug/{state}?next=/newsletter"'
        assert link in browser.get("/newsletter").text
        assert browser.get(f"/debug/{state}?next=/newsletter").headers["Location"] == "/newsletter"
        assert (" data-debug></script>" in browser.get("/newsletter").text) == on
    assert browser.get("/debug/on?next=//elsewhere.example").headers["Location"] == "/"


def test_an_address_is_one_account_in_any_capitals() -> None:
    """Logging in again as ADA@Example.COM finds ada@example.com's account."""
    browser = visitor()
    log_in(browser, "ada@example.com")
    landed = log_in(browser, "ADA@Example.COM")
    assert page_data(landed)["commands"][0][1]["customer_id"] == "CUS10001"


def test_logging_out_resets_the_sensor_once() -> None:
    """Only the form logs out; the page after it calls reset, and the next one nothing."""
    browser = visitor()
    log_in(browser)
    assert browser.get("/logout").status_code == 200
    assert browser.get("/profile").status_code == 200
    assert page_data(after(browser, send(browser, "/logout")))["commands"] == [["reset"]]
    assert page_data(browser.get("/logout"))["commands"] == []
    assert browser.get("/profile").status_code == 302


@pytest.mark.parametrize("tier", ["T1", "T2", "T3", "T4"])
def test_a_consent_choice_is_kept_and_shown(tier: str) -> None:
    """The choice lands in the site's own cookie, on every later page, and can be changed."""
    browser = visitor()
    assert page_data(browser.get("/"))["tier"] is None
    answer = send(browser, "/consent", tier=tier, next="/products/ridge-38")
    assert answer.headers["Location"] == "/products/ridge-38"
    cookie = browser.get_cookie("demo_consent")
    assert cookie is not None
    assert cookie.value == tier
    page = browser.get("/login")
    assert page_data(page)["tier"] == tier
    assert f"Consent: {tier} (change)" in page.text


@pytest.mark.parametrize("value", ["", "T0", "T9", "granted", "<b>"])
def test_a_consent_cookie_that_names_no_choice_is_no_choice(value: str) -> None:
    """Garbage in the cookie asks again instead of granting anything."""
    browser = visitor()
    browser.set_cookie("demo_consent", value)
    assert page_data(browser.get("/"))["tier"] is None
    assert send(browser, "/consent", tier=value).status_code == 400


@pytest.mark.parametrize("target", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", ""])
def test_a_consent_choice_never_leads_to_another_site(target: str) -> None:
    """A foreign return address leads to the front page."""
    assert send(visitor(), "/consent", tier="T1", next=target).headers["Location"] == "/"


@pytest.mark.parametrize("path", ["/login", "/signup", "/checkout", "/newsletter", "/profile", "/logout", "/consent"])
def test_a_form_without_its_token_is_refused(path: str) -> None:
    """No form works from outside: missing and wrong tokens get 400, and nobody is logged out."""
    browser = visitor()
    log_in(browser)
    typed = {"email": "x@example.com", "password": PASSWORD, "tier": "T1", **PERSON}
    for token in ({}, {"csrf": ""}, {"csrf": "guess"}, {"csrf": "ü"}):
        assert browser.post(path, data={**typed, **token}).status_code == 400, token
    assert browser.get("/profile").status_code == 200
    assert browser.get_cookie("demo_consent") is None


def test_a_refused_form_leaves_a_waiting_sensor_call_for_its_own_page() -> None:
    """An error page between a form and the page after it does not swallow the link."""
    browser = visitor()
    answer = send(browser, "/checkout", email="ada@example.com", **PERSON)
    assert page_data(browser.get("/no-such-page"))["commands"] == []
    assert page_data(after(browser, answer))["commands"][0][0] == "link"


def test_a_name_with_markup_is_shown_as_text() -> None:
    """A script in a name or an address never becomes one."""
    browser = visitor()
    evil = "</script><script>alert(1)</script>"
    typed = {"email": "a@b.example", "password": PASSWORD, **PERSON, "first_name": evil}
    landed = after(browser, send(browser, "/signup", **typed))
    assert page_data(landed)["commands"][0][1]["first_name"] == evil
    assert "<script>alert" not in landed.text
    assert "&lt;script&gt;alert(1)" in landed.text
    again = send(browser, "/checkout", email='"><script>alert(2)</script>', first_name="A", last_name="B")
    assert again.status_code == 422
    assert "<script>alert" not in again.text


@pytest.mark.parametrize(("brand", "region"), [("brand-a", "NL"), ("brand-b", "GB"), ("blog", "NL")])
def test_the_script_tag_is_the_one_a_customer_pastes(brand: str, region: str) -> None:
    """Stub, then the async script with the site's region, manual consent and its partners' hosts."""
    text = visitor(brand).get("/").text
    partners = ",".join(f"{other}.localhost" for other in GROUP if other != brand)
    tag = f'<script async src="{ENDPOINT}/onefold.js" data-region="{region}" data-consent="manual"'
    assert text.index("window.onefold=window.onefold||") < text.index(tag)
    assert f'data-domains="{partners}" data-page-views' in text
    assert ("data-match-keys" in text) == (brand == "brand-a")


def test_the_pages_run_under_a_strict_policy() -> None:
    """The policy names the endpoint, its nonce is the stub's and new each time, and nothing on the page is inline."""
    browser = visitor()
    nonces = set()
    for path in ("/", "/login", "/products/ridge-38"):
        answer = browser.get(path)
        policy = answer.headers["Content-Security-Policy"]
        (nonce,) = re.findall(r"'nonce-([^']+)'", policy)
        nonces.add(nonce)
        assert f"script-src 'self' {ENDPOINT} 'nonce-{nonce}'" in policy
        assert f"connect-src 'self' {ENDPOINT};" in policy
        assert "style-src 'self';" in policy
        assert answer.text.count(f'<script nonce="{nonce}">') == 1
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", answer.text)
    assert len(nonces) == 3


def test_each_footer_says_that_nothing_is_real() -> None:
    """Every page says it is a demonstration, links to the live graph and to the two other sites."""
    for brand in GROUP:
        text = visitor(brand).get("/login").text
        assert "A local demonstration. Nothing here is a real shop." in text
        assert f'href="{ENDPOINT}/"' in text
        assert all((f'href="{url}/"' in text) == (other != brand) for other, url in GROUP.items())


def test_the_login_page_says_that_unknown_addresses_get_an_account() -> None:
    """Nobody is surprised by an account: the page says so before."""
    assert "an address without an account gets one at once" in visitor().get("/login").text


def test_a_logged_in_customer_finds_the_forms_filled_in() -> None:
    """Checkout knows what the account knows; the login form does not, for it is for somebody else."""
    browser = visitor()
    after(browser, send(browser, "/signup", email="ada@example.com", password=PASSWORD, **PERSON))
    text = browser.get("/checkout").text
    assert all(f'value="{value}"' in text for value in ("ada@example.com", *PERSON.values()))
    assert "ada@example.com" not in browser.get("/login").text


def test_the_order_names_the_item_that_was_chosen() -> None:
    """A checkout opened from a product sells that product; an unknown one sells the site's offer."""
    browser = visitor()
    assert "Tarn kettle" in browser.get("/checkout?item=tarn-kettle").text
    assert "Ridge 38 pack" in browser.get("/checkout?item=nothing").text
    typed = {"email": "ada@example.com", **PERSON}
    assert "Tarn kettle" in after(browser, send(browser, "/checkout?item=tarn-kettle", **typed)).text
