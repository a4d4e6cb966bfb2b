"""The pages: browse, and five forms that each end in one link: by their mark, or by a call on the page that follows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from flask import Blueprint, Response, abort, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from demo_site import consent, forms, visit
from demo_site.accounts import Account, AccountError, Accounts
from demo_site.brands import BRANDS, Brand, Item

Values = dict[str, str]
Submit = Callable[[Values], str]

_DEBUG_COOKIE: Final = "demo_debug"


@dataclass(frozen=True)
class Site:
    """One running site. `partners` are the hosts of the other sites, comma-separated."""

    brand: Brand
    endpoint: str
    group: dict[str, str]
    partners: str
    accounts: Accounts


def pages(brand: Brand) -> Blueprint:
    """The routes of one brand's site."""
    blueprint = Blueprint("pages", __name__)
    both = ("GET", "POST")
    blueprint.add_url_rule("/", view_func=home)
    blueprint.add_url_rule(f"/{brand.section}/<slug>", view_func=item)
    blueprint.add_url_rule("/login", view_func=login, methods=both)
    blueprint.add_url_rule("/signup", view_func=signup, methods=both)
    blueprint.add_url_rule("/checkout", view_func=checkout, methods=both)
    blueprint.add_url_rule("/thanks", view_func=thanks)
    blueprint.add_url_rule("/newsletter", view_func=newsletter, methods=both)
    blueprint.add_url_rule("/profile", view_func=profile, methods=both)
    blueprint.add_url_rule("/logout", view_func=logout, methods=both)
    blueprint.add_url_rule("/consent", view_func=choose, methods=("POST",))
    blueprint.add_url_rule("/debug/<any(on,off):state>", view_func=debug)
    return blueprint


def page_values() -> dict[str, Any]:
    """What every template may use."""
    site = _site()
    return {
        "brand": site.brand,
        "brands": BRANDS,
        "endpoint": site.endpoint,
        "group": site.group,
        "partners": site.partners,
        "nonce": g.nonce,
        "account": visit.account(site.accounts),
        "csrf_token": visit.csrf_token(),
        "choices": consent.CHOICES,
        "tier": consent.chosen(request),
        "debug": request.cookies.get(_DEBUG_COOKIE) == "on",
        "take_notice": visit.take_notice,
        "take_commands": visit.take_commands,
        "take_marked": visit.take_marked,
    }


def home() -> ResponseReturnValue:
    """The front page."""
    return render_template("home.html")


def item(slug: str) -> ResponseReturnValue:
    """One product or article."""
    found = _site().brand.item(slug) or abort(404)
    part = 2 if request.args.get("part") == "2" else 1
    return render_template("item.html", item=found, part=part)


def login() -> ResponseReturnValue:
    """Log in, or become a customer on the spot."""
    return _form_page(forms.LOGIN, _log_in)


def signup() -> ResponseReturnValue:
    """Create an account."""
    return _form_page(forms.SIGNUP, _sign_up)


def checkout() -> ResponseReturnValue:
    """Buy one item, as a guest or logged in."""
    return _form_page(forms.CHECKOUT, _purchase, item=_wanted())


def thanks() -> ResponseReturnValue:
    """The page after an order."""
    return render_template("message.html", title="Thank you", text="It is only a demonstration: nothing will arrive.")


def newsletter() -> ResponseReturnValue:
    """Subscribe an address."""
    return _form_page(replace(forms.NEWSLETTER, intro=_site().brand.newsletter), _subscribe)


def profile() -> ResponseReturnValue:
    """The customer's own details; others are sent to log in."""
    if _account() is None:
        return redirect(url_for("pages.login"))
    return _form_page(forms.PROFILE, _update)


def logout() -> ResponseReturnValue:
    """Ask, log out, and say so. Only a POST logs out: a link on a foreign page must not."""
    if request.method == "POST":
        visit.log_out()
        visit.leave("You are logged out.", ["reset"])
        return redirect(url_for("pages.logout"), 303)
    return render_template("logout.html")


def choose() -> ResponseReturnValue:
    """Remember the visitor's consent choice and go back to where it was made."""
    tier = request.form.get("tier", "")
    if tier not in consent.CHOICES:
        abort(400)
    response = redirect(_local(request.form.get("next", "")), 303, Response=Response)
    assert isinstance(response, Response)
    consent.remember(response, tier)
    return response


def debug(state: str) -> ResponseReturnValue:
    """Switch the sensor's trace on or off, and go back."""
    response = redirect(_local(request.args.get("next", "")), 303, Response=Response)
    assert isinstance(response, Response)
    response.set_cookie(_DEBUG_COOKIE, state, samesite="Lax")
    return response


def problem(error: HTTPException) -> ResponseReturnValue:
    """A page for what went wrong."""
    missing = error.code == 404
    title = "There is nothing here" if missing else "This form is no longer valid"
    text = "The page may have moved." if missing else "Please go back, reload the page and send it again."
    return render_template("message.html", title=title, text=text, quiet=True), error.code or 500


def _form_page(form: forms.Form, submit: Submit, item: Item | None = None) -> ResponseReturnValue:
    if request.method == "GET":
        # Who logs in or signs up may be somebody else than the customer this browser last saw.
        values = {} if form in (forms.LOGIN, forms.SIGNUP) else _known()
        return render_template("form.html", form=form, values=values, errors={}, item=item)
    typed = forms.read(form.fields, request.form)
    errors = forms.check(form.fields, typed)
    try:
        target = "" if errors else submit(typed)
    except AccountError as error:
        errors = {error.field: error.message}
    if errors:
        return render_template("form.html", form=form, values=typed, errors=errors, item=item), 422
    return redirect(target, 303)


def _log_in(typed: Values) -> str:
    visit.log_in(_site().accounts.log_in(typed["email"], typed["password"]))
    _leave("You are logged in.", typed, "login")
    return url_for("pages.profile")


def _sign_up(typed: Values) -> str:
    visit.log_in(_site().accounts.sign_up(**typed))
    _leave("Your account is ready.", typed, "signup")
    return url_for("pages.profile")


def _purchase(typed: Values) -> str:
    _leave(f"Your order is placed: {_wanted().title}.", typed, "purchase")
    return url_for("pages.thanks")


def _subscribe(typed: Values) -> str:
    _leave("You are on the list.", typed, "newsletter")
    return url_for("pages.newsletter")


def _update(typed: Values) -> str:
    account = _account() or abort(400)
    _site().accounts.update(account.number, **typed)
    _leave("Your details are saved.", typed, "profile_update")
    return url_for("pages.profile")


def _leave(notice: str, typed: Values, trigger: str) -> None:
    """Leave a notice and a link, unless the form was marked: then the sensor has made its link already."""
    if trigger in _site().brand.marked:
        visit.leave_marked(notice, trigger)
    else:
        visit.leave(notice, _link(typed, trigger))


def _link(typed: Values, trigger: str) -> visit.Command:
    """`onefold('link', …)` with what was typed, as it was typed: normalising and hashing are the sensor's work."""
    identity = {name: value for name, value in typed.items() if name != "password" and value.strip()}
    account = _account()
    if account is not None and _site().brand.customer_numbers:
        identity["customer_id"] = account.customer_id
    return ["link", identity, {"trigger": trigger}]


def _known() -> Values:
    account = _account()
    if account is None:
        return {}
    return {name: str(getattr(account, name)) for name in ("email", "phone", "first_name", "last_name")}


def _wanted() -> Item:
    brand = _site().brand
    return brand.item(request.args.get("item", "")) or brand.offer


def _local(path: str) -> str:
    """The path where it stays on this site, otherwise the front page: a form field must not redirect elsewhere."""
    stays = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if stays else "/"


def _account() -> Account | None:
    return visit.account(_site().accounts)


def _site() -> Site:
    site = current_app.extensions["site"]
    assert isinstance(site, Site)
    return site
