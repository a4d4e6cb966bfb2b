"""The live page of a demonstration: the graph as a picture, with everything in it. Never part of a real endpoint."""

from flask import Blueprint, Response, render_template

from onefold.engine import ask
from onefold.web.state import as_json, now_ms, state

blueprint = Blueprint("live", __name__, template_folder="templates", static_folder="static", static_url_path="/static")

_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:"


@blueprint.get("/")
def page() -> Response:
    """The page."""
    response = Response(render_template("live.html"), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@blueprint.get("/live.json")
def feed() -> Response:
    """What the page draws, anew each second."""
    found = ask.live(state().database, state().rules)
    found |= {
        "now": now_ms(),
        "sites": [{"id": site.id, "url": site.origins[0]} for site in state().config.sites if site.origins],
        "refused": list(reversed(state().turned_away)),
    }
    response = Response(as_json(found), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
