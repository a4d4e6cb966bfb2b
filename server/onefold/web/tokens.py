"""POST /v1/tokens and /v1/tokens/redeem: what a link between two sites carries, and what arriving by it does."""

import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, request
from werkzeug import Response

from onefold.config import Site
from onefold.core.consent import Permitted
from onefold.core.event import Event
from onefold.core.redact import TOKEN_PARAM
from onefold.core.tokens import NONCE_BYTES, Record, check_redeemable, event_id_of, linked, open_token, sign_token
from onefold.errors import PROBLEMS, OnefoldError
from onefold.intake.tokens import MAX_BODY_BYTES, parse_minting, parse_redeeming
from onefold.web.browser import allow_origin, check_media_type, policy_of, preflight, sends_gpc, site_of_request
from onefold.web.events import Rejected, check, error_of
from onefold.web.state import as_json, now_ms, state

blueprint = Blueprint("tokens", __name__)
blueprint.after_request(allow_origin)


@blueprint.route("/v1/tokens", methods=["OPTIONS"], provide_automatic_options=False)
@blueprint.route("/v1/tokens/redeem", methods=["OPTIONS"], provide_automatic_options=False)
def allow_tokens() -> Response:
    """Answer a preflight, for pages that send application/json."""
    return preflight("POST")


@blueprint.post("/v1/tokens")
def mint() -> Response:
    """Issue a token for a link from the page's site to a partner's."""
    return _answered(_mint)


@blueprint.post("/v1/tokens/redeem")
def redeem() -> Response:
    """Link the page's uid with the uid that the token was made for."""
    return _answered(_redeem)


def _answered(answer: Callable[[Site], Response]) -> Response:
    """The answer, never kept by a cache; a refusal is noted for the live page."""
    try:
        response = answer(site_of_request())
    except OnefoldError as error:
        state().note_refused(request.headers.get("Origin"), "token", error)
        raise
    response.headers["Cache-Control"] = "no-store"
    return response


def _body() -> bytes:
    """The body, refused by its length before it is read. Raises `unsupported_media_type`, `too_large`."""
    check_media_type(request.mimetype)
    request.max_content_length = MAX_BODY_BYTES
    return request.get_data(cache=False)


def _mint(site: Site) -> Response:
    now = now_ms()
    asked = parse_minting(_body(), now, site.id)
    target = _partner(site, asked.target)
    source = _permitted(asked.event, site, sends_gpc(request.headers.get("Sec-GPC", "")))
    uid = _uid(source)
    state().limits.mint(uid, site.id)
    nonce = secrets.token_bytes(NONCE_BYTES)
    ttl = state().config.tokens.ttl_seconds
    expires_at = now + ttl * 1_000
    tier = source.tier or "T0"
    state().desk.keep(Record(event_id_of(nonce), uid, site.id, target.id, tier, now, expires_at))
    token = sign_token(state().secrets.token_keys, nonce, expires_at)
    return _json({"token": token, "param": TOKEN_PARAM, "expires_in": ttl}, 201)


def _redeem(site: Site) -> Response:
    now = now_ms()
    asked = parse_redeeming(_body(), now, site.id)
    redeeming = _permitted(asked.event, site, sends_gpc(request.headers.get("Sec-GPC", "")))
    uid = _uid(redeeming)
    event_id = open_token(asked.token, state().secrets.token_keys, now)
    state().limits.redeem(uid, site.id)
    record = state().desk.find(event_id)
    check_redeemable(record, uid, site.id, _referrer(record, asked.referrer))
    _link(_gated(linked(record, redeeming), site))
    return _json({"linked": True}, 202)


def _partner(site: Site, target: str) -> Site:
    """The site that an origin belongs to, if links to it may carry tokens. Raises `audience_mismatch`."""
    found = state().config.site_of(target)
    if found is None or not state().config.partners(site.id, found.id):
        raise OnefoldError("audience_mismatch", "The target is not an origin of this site's partners.", "target")
    return found


def _referrer(record: Record, referrer: str | None) -> str | None:
    """The id of the site that the page was opened from; the token's own source where nobody asks for a referrer."""
    if not state().config.tokens.require_referrer:
        return record.source_site
    site = state().config.site_of(_origin(referrer or ""))
    return site.id if site is not None and state().config.partners(site.id, record.target_site) else None


def _origin(url: str) -> str | None:
    """The origin of a URL as browsers write it; None for what is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}"


def _permitted(event: Event, site: Site, gpc: bool = False) -> Event:
    """The event as the consent gate lets it in. Raises `consent_missing`, `consent_mismatch`, `consent_denied`."""
    return _gated(event, site, gpc).event


def _gated(event: Event, site: Site, gpc: bool = False) -> Permitted:
    passed = check(event, policy_of(site), gpc)
    if isinstance(passed, Rejected):
        raise passed.error
    return passed


def _uid(event: Event) -> str:
    """The event's uid, if the rules can link it: a token for another would be used up for nothing."""
    sent = event.identifiers[0]
    rules = state().rules
    if (code := rules.fault(rules.canonical(sent))) is not None:
        raise OnefoldError(code, f"{PROBLEMS[code][1]}.", "identity.uid")
    return sent.value


def _link(permitted: Permitted) -> None:
    """Let the link be made. Raises `token_used`, `unavailable`, and the resolver's codes."""
    if (error := error_of(state().desk.redeem(permitted))) is not None:
        raise error


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(as_json(body), status=status, content_type="application/json")
