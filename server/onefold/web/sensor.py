"""GET /onefold.js, /onefold.mjs and the versioned files: the sensor, as built."""

import base64
import functools
import gzip
import hashlib
import json
import re
from pathlib import Path

from flask import Blueprint, Response, request

import onefold
from onefold.errors import OnefoldError

blueprint = Blueprint("sensor", __name__)

_FOLLOWS = "public, max-age=3600, stale-while-revalidate=86400"
_NEVER_CHANGES = "public, max-age=31536000, immutable"

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


@blueprint.get("/onefold.lite.js")
def lite() -> Response:
    """The script without the table of numbering plans, forms and TCF."""
    return _serve("onefold.lite.js")


@blueprint.get("/onefold.v<int:version>.js")
def versioned(version: int) -> Response:
    """A version that never changes once it is released, for pages that pin its hash."""
    return _serve_version(f"onefold.v{version}.js")


@blueprint.get("/onefold.links.v<int:version>.mjs")
def links(version: int) -> Response:
    """What the script of a version loads besides, on pages with partners."""
    return _serve_version(f"onefold.links.v{version}.mjs")


def integrity(name: str) -> str:
    """The value of a script tag's `integrity` attribute (W3C SRI) for a built file, such as `onefold.v1.js`.

    Raises OnefoldError `not_found` where there is no such file.
    """
    return "sha384-" + base64.b64encode(hashlib.sha384(_read(name)[0]).digest()).decode()


def released(name: str) -> bool:
    """Whether a built file is a version that never changes again; until then it follows `onefold.js`."""
    return bool(json.loads(_read("sizes.json")[0]).get(name, {}).get("frozen"))


def newest_version() -> str:
    """The versioned file with the highest number, such as `onefold.v1.js`."""
    found = (re.fullmatch(r"onefold\.v(\d+)\.js", name) for name in json.loads(_read("sizes.json")[0]))
    return f"onefold.v{max(int(one[1]) for one in found if one)}.js"


def _serve_version(name: str) -> Response:
    return _serve(name, _NEVER_CHANGES if released(name) else _FOLLOWS)


def _serve(name: str, caching: str = _FOLLOWS) -> Response:
    content, packed, etag = _read(name)
    packing = request.accept_encodings["gzip"] > 0
    response = Response(packed if packing else content, content_type="text/javascript; charset=utf-8")
    if packing:
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(etag + ("-gzip" if packing else ""))
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = caching
    response.headers["Access-Control-Allow-Origin"] = "*"  # a public file: SRI needs to read it
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.make_conditional(request)
    return response


@functools.cache
def _read(name: str) -> tuple[bytes, bytes, str]:
    """The bytes, the bytes in gzip, and the ETag of a built file.

    A wheel carries them inside the package, a checkout in sensor_js/dist.
    """
    folder = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
    try:
        content = (folder / name).read_bytes()
    except FileNotFoundError:
        raise OnefoldError("not_found", f"{name} is not there; the sensor is built with `make sensor`.") from None
    return content, gzip.compress(content, 9, mtime=0), hashlib.sha256(content).hexdigest()[:20]
