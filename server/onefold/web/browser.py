"""What every browser-plane view needs: whose page is asking, the answer's CORS headers, and the cookie."""

import functools
from urllib.parse import urlsplit

from flask import request as current_request
from publicsuffixlist import PublicSuffixList
from werkzeug import Request, Response

from onefold.config import Config, Site
from onefold.core.consent import Policy
from onefold.errors import OnefoldError
from onefold.web.state import state

COOKIE = "uiaf_uid"
COOKIE_SECONDS = 34_560_000  # 400 days, the longest browsers keep (UIAF, tests/scenarios)
_SUFFIXES = PublicSuffixList()
_MEDIA_TYPES = ("application/json", "text/plain")


def site_of_request(request: Request, config: Config) -> Site:
    """The configured site whose page sends this request. Raises `origin_not_allowed`."""
    site = config.site_of(request.headers.get("Origin"))
    if site is None:
        detail = "The Origin of this request belongs to no configured site; add it to a site's origins."
        raise OnefoldError("origin_not_allowed", detail)
    return site


def check_media_type(request: Request) -> None:
    """Raise `unsupported_media_type` unless the body comes as JSON, or as text so that a beacon needs no preflight."""
    if request.mimetype not in _MEDIA_TYPES:
        raise OnefoldError("unsupported_media_type", "Send application/json or text/plain.")


def policy_of(site: Site) -> Policy:
    """What the site decided about consent."""
    return Policy(t2_identity_link=site.t2_identity_link, honour_gpc=site.honour_gpc)


def sends_gpc(request: Request) -> bool:
    """Whether the browser says Global Privacy Control. Only the value `1` counts (W3C GPC), in any of several headers,
    which a WSGI server joins by commas.
    """
    return "1" in [value.strip() for value in request.headers.get("Sec-GPC", "").split(",")]


def allow_origin(request: Request, response: Response, config: Config) -> Response:
    """Let the page of a configured site read the answer: its exact origin, never a wildcard."""
    origin = request.headers.get("Origin")
    response.headers["Vary"] = "Origin"
    if origin is not None and config.site_of(origin) is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = "Retry-After"  # the sensor comes back when told to
    return response


def allow_current_origin(response: Response) -> Response:
    """`allow_origin` for whatever Flask answers now, refusals too: to be called after each request of a blueprint."""
    return allow_origin(current_request, response, state().config)


def preflight(methods: str) -> Response:
    """The answer to a CORS preflight: what a configured site's page may send."""
    site_of_request(current_request, state().config)
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = methods
    response.headers["Access-Control-Allow-Headers"] = "Content-Type"
    response.headers["Access-Control-Max-Age"] = "86400"
    return response


def set_uid_cookie(request: Request, response: Response, config: Config, uid: str) -> None:
    """Keep the uid as a cookie of the server, where endpoint and page are the same site: browsers cap script-written
    ones.
    """
    domain = _common_domain(config.server.public_url, request.headers["Origin"])
    if domain is None:
        return
    secure = config.server.public_url.startswith("https:")
    response.set_cookie(COOKIE, uid, max_age=COOKIE_SECONDS, domain=domain, path="/", secure=secure, samesite="Lax")


@functools.lru_cache(maxsize=1024)  # only origins of configured sites come here
def _common_domain(one: str, other: str) -> str | None:
    """The registrable domain of two URLs; None where it is not one and the same."""
    domain = _registrable(urlsplit(one).hostname)
    return domain if domain == _registrable(urlsplit(other).hostname) else None


def _registrable(host: str | None) -> str | None:
    """The registrable domain of a host; None for addresses and single labels."""
    if host is None or host.replace(".", "").isdigit() or ":" in host:
        return None
    domain: str | None = _SUFFIXES.privatesuffix(host)
    return domain
