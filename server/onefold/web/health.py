"""GET /healthz (the process answers) and /readyz (and so does its database)."""

from flask import Blueprint, Response

from onefold.web.state import as_json, state

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthy() -> Response:
    """The process is up."""
    return Response(as_json({"status": "ok"}), content_type="application/json")


@blueprint.get("/readyz")
def ready() -> Response:
    """The database answers too. Raises `unavailable`."""
    with state().database.snapshot() as reader:
        reader.one("ping")
    return Response(as_json({"status": "ok"}), content_type="application/json")
