"""The application: one site under one Content-Security-Policy, as strict as a careful customer's."""

import secrets
from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, request

from demo_site import visit
from demo_site.accounts import Accounts
from demo_site.brands import BRANDS
from demo_site.pages import Site, page_values, pages, problem

_POLICY: Final = (
    "default-src 'self'; script-src 'self' {endpoint} 'nonce-{nonce}'; connect-src 'self' {endpoint}; "
    "img-src 'self' data:; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def create_app(brand: str, endpoint: str, group: dict[str, str]) -> Flask:
    """The site of one brand: `brand-a`, `brand-b` or `blog`.

    `endpoint` is the origin that serves the sensor, e.g. `http://id.localhost:8000`; `group` maps each brand to its
    URL. Sessions and accounts last as long as the process. Raises KeyError for a brand there is none of.
    """
    app = Flask(__name__)
    app.secret_key = secrets.token_bytes(32)
    app.config.update(SESSION_COOKIE_NAME="demo_session", SESSION_COOKIE_SAMESITE="Lax")
    partners = ",".join(_host(url) for name, url in group.items() if name != brand)
    site = Site(BRANDS[brand], endpoint.rstrip("/"), dict(group), partners, Accounts())
    app.extensions["site"] = site
    app.before_request(_begin)
    app.after_request(lambda response: _protect(response, site.endpoint))
    app.context_processor(page_values)
    for code in (400, 404):
        app.register_error_handler(code, problem)
    app.register_blueprint(pages(site.brand))
    return app


def _begin() -> None:
    g.nonce = secrets.token_urlsafe(16)
    if request.method == "POST" and not visit.csrf_holds(request.form.get("csrf", "")):
        abort(400)


def _protect(response: Response, endpoint: str) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY.format(endpoint=endpoint, nonce=g.nonce)
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.endpoint != "static":
        # A page carries what just happened to one visitor: the back button must not tell it to the sensor again.
        response.headers["Cache-Control"] = "no-store"
    return response


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
