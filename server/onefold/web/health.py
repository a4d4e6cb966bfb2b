"""GET /healthz (the process answers), /readyz (its database does too, and is open) and /metrics."""

import hmac

from flask import Blueprint, Response

from onefold.errors import OnefoldError
from onefold.web.backend import presented
from onefold.web.state import as_json, state

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthy() -> Response:
    """The process is up."""
    return Response(as_json({"status": "ok"}), content_type="application/json")


@blueprint.get("/readyz")
def ready() -> Response:
    """The database answers too, and everything that comes before its use is done. Raises `unavailable`."""
    state().opening.check()
    with state().database.snapshot() as reader:
        reader.one("ping")
    return Response(as_json({"status": "ok"}), content_type="application/json")


@blueprint.get("/metrics")
def measured() -> Response:
    """The metrics of all processes of this endpoint. Raises `unauthenticated`."""
    _check_token(state().secrets.metrics_token)
    here = state()
    here.metrics.look(here.ingest, here.spool)  # of this process; others look twice a second
    response = Response(here.metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    return response


def _check_token(token: bytes) -> None:
    """Whoever asks must show the token, wherever they are: behind a proxy here, everybody is on this machine."""
    if not token or not hmac.compare_digest(token, presented().encode()):
        raise OnefoldError("unauthenticated", "Send the metrics_token of the secrets as Authorization: Bearer.")
