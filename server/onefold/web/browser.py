"""What every browser-plane view needs: whose page is asking, the answer's CORS headers, and the cookie."""

from urllib.parse import urlsplit

from flask import Response, request
from publicsuffixlist import PublicSuffixList

from onefold.config import Site
from onefold.core.consent import Policy
from onefold.errors import OnefoldError
from onefold.web.state import state

COOKIE = "uiaf_uid"
COOKIE_SECONDS = 34_560_000  # 400 days, the longest browsers keep (UIAF, tests/scenarios)
_SUFFIXES = PublicSuffixList()
_MEDIA_TYPES = ("application/json", "text/plain")


def site_of_request() -> Site:
    """The configured site whose page sends this request. Raises `origin_not_allowed`."""
    site = state().config.site_of(request.headers.get("Origin"))
    if site is None:
        detail = "The Origin of this request belongs to no configured site; add it to a site's origins."
        raise OnefoldError("origin_not_allowed", detail)
    return site


def check_media_type() -> None:
    """Raise `unsupported_media_type` unless the body comes as JSON, or as text so that a beacon needs no preflight."""
    if request.mimetype not in _MEDIA_TYPES:
        raise OnefoldError("unsupported_media_type", "Send application/json or text/plain.")


def policy_of(site: Site) -> Policy:
    """What the site decided about consent."""
    return Policy(t2_identity_link=site.t2_identity_link, honour_gpc=site.honour_gpc)


def sends_gpc() -> bool:
    """Whether the browser says Global Privacy Control. Only the value `1` counts (W3C GPC), in any of
    several headers.
    """
    return "1" in [value.strip() for value in request.headers.getlist("Sec-GPC")]


def allow_origin(response: Response) -> Response:
    """Let the page of a configured site read the answer: its exact origin, never a wildcard."""
    origin = request.headers.get("Origin")
    response.headers.add("Vary", "Origin")
    if origin is not None and state().config.site_of(origin) is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = "Retry-After"  # the sensor comes back when told to
    return response


def preflight(methods: str) -> Response:
    """The answer to a CORS preflight: what a configured site's page may send."""
    site_of_request()
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = methods
    response.headers["Access-Control-Allow-Headers"] = "Content-Type"
    response.headers["Access-Control-Max-Age"] = "86400"
    return response


def set_uid_cookie(response: Response, uid: str) -> None:
    """Keep the uid as a cookie of the server, where endpoint and page are the same site: browsers cap script-written
    ones.
    """
    endpoint = urlsplit(state().config.server.public_url)
    domain = _registrable(endpoint.hostname)
    if domain is None or domain != _registrable(urlsplit(request.headers["Origin"]).hostname):
        return
    secure = endpoint.scheme == "https"
    response.set_cookie(COOKIE, uid, max_age=COOKIE_SECONDS, domain=domain, path="/", secure=secure, samesite="Lax")


def _registrable(host: str | None) -> str | None:
    """The registrable domain of a host; None for addresses and single labels."""
    if host is None or host.replace(".", "").isdigit() or ":" in host:
        return None
    domain: str | None = _SUFFIXES.privatesuffix(host)
    return domain
