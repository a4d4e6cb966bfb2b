"""GET /onefold.js and /onefold.mjs: the sensor, as built."""

import functools
import hashlib
from pathlib import Path

from flask import Blueprint, Response, request

import onefold
from onefold.errors import OnefoldError

blueprint = Blueprint("sensor", __name__)

_INSTALLED = Path(onefold.__file__).parent / "sensor"
_CHECKOUT = Path(onefold.__file__).parents[2] / "sensor_js" / "dist"


@blueprint.get("/onefold.js")
def script() -> Response:
    """The script for a page."""
    return _serve("onefold.js")


@blueprint.get("/onefold.mjs")
def module() -> Response:
    """The ES module for bundlers and import maps."""
    return _serve("onefold.mjs")


def _serve(name: str) -> Response:
    content, etag = _read(name)
    response = Response(content, content_type="text/javascript; charset=utf-8")
    response.set_etag(etag)
    response.headers["Cache-Control"] = "public, max-age=3600, stale-while-revalidate=86400"
    response.headers["Access-Control-Allow-Origin"] = "*"  # a public file: SRI needs to read it
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.make_conditional(request)
    return response


@functools.cache
def _read(name: str) -> tuple[bytes, str]:
    """The bytes and the ETag of a built file. A wheel carries them inside the package, a checkout in sensor_js/dist."""
    folder = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
    try:
        content = (folder / name).read_bytes()
    except FileNotFoundError:
        raise OnefoldError("not_found", f"{name} is not built; run `make sensor`.") from None
    return content, hashlib.sha256(content).hexdigest()[:20]
