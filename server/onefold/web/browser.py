"""What every browser-plane view needs: whose page is asking, the answer's CORS headers, and the cookie."""

import functools
from urllib.parse import urlsplit

from flask import request
from publicsuffixlist import PublicSuffixList
from werkzeug import Response
from werkzeug.http import dump_cookie

from onefold.config import Config, Site
from onefold.core.consent import Policy
from onefold.errors import OnefoldError
from onefold.web.state import state

COOKIE = "uiaf_uid"
COOKIE_SECONDS = 34_560_000  # 400 days, the longest browsers keep (UIAF, tests/scenarios)
_SUFFIXES = PublicSuffixList()
_MEDIA_TYPES = ("application/json", "text/plain")


def site_of(origin: str | None, config: Config) -> Site:
    """The configured site whose page sends a request with this Origin. Raises `origin_not_allowed`."""
    site = config.site_of(origin)
    if site is None:
        detail = "The Origin of this request belongs to no configured site; add it to a site's origins."
        raise OnefoldError("origin_not_allowed", detail)
    return site


def site_of_request() -> Site:
    """The configured site whose page sends the request that Flask answers now. Raises `origin_not_allowed`."""
    return site_of(request.headers.get("Origin"), state().config)


def check_media_type(content_type: str) -> None:
    """Raise `unsupported_media_type` unless the body comes as JSON, or as text so that a beacon needs no preflight."""
    if content_type.partition(";")[0].strip().lower() not in _MEDIA_TYPES:
        raise OnefoldError("unsupported_media_type", "Send application/json or text/plain.")


def policy_of(site: Site) -> Policy:
    """What the site decided about consent."""
    return Policy(t2_identity_link=site.t2_identity_link, honour_gpc=site.honour_gpc)


def sends_gpc(header: str) -> bool:
    """Whether a Sec-GPC header says Global Privacy Control. Only the value `1` counts (W3C GPC), in any of several
    headers, which servers join by commas.
    """
    return "1" in [value.strip() for value in header.split(",")]


def cors_headers(origin: str | None, config: Config) -> list[tuple[str, str]]:
    """What lets the page of a configured site read the answer: its exact origin, never a wildcard."""
    if origin is None or config.site_of(origin) is None:
        return [("Vary", "Origin")]
    return [
        ("Vary", "Origin"),
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "Retry-After"),  # the sensor comes back when told to
    ]


def allow_origin(response: Response) -> Response:
    """Put the CORS headers on what Flask answers now, refusals too: to be called after each request of a blueprint."""
    for name, value in cors_headers(request.headers.get("Origin"), state().config):
        response.headers[name] = value
    return response


def preflight(methods: str) -> Response:
    """The answer to a CORS preflight: what a configured site's page may send."""
    site_of_request()
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = methods
    response.headers["Access-Control-Allow-Headers"] = "Content-Type"
    response.headers["Access-Control-Max-Age"] = "86400"
    return response


def uid_cookie(uid: str, origin: str, config: Config) -> str | None:
    """The uid as a cookie of the server, where endpoint and page are the same site: browsers cap script-written
    ones.
    """
    domain = _common_domain(config.server.public_url, origin)
    if domain is None:
        return None
    secure = config.server.public_url.startswith("https:")
    return dump_cookie(COOKIE, uid, max_age=COOKIE_SECONDS, domain=domain, path="/", secure=secure, samesite="Lax")


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
