"""Errors as RFC 9457 problem documents: type, title, status, code, detail."""

import structlog
from flask import Flask
from werkzeug import Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from onefold.errors import OnefoldError
from onefold.web.state import as_json

log = structlog.get_logger()

_BY_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}
_RETRY_AFTER_SECONDS = 2


def problem(error: OnefoldError) -> Response:
    """The response for a problem."""
    body = {
        "type": f"urn:onefold:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
    }
    if error.field is not None:
        body["field"] = error.field
    response = Response(as_json(body), status=error.status, content_type="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="onefold"'  # RFC 9110, 15.5.2
    if error.status in (429, 503):
        response.headers["Retry-After"] = str(error.retry_after or _RETRY_AFTER_SECONDS)
    return response


def answer_to(error: Exception) -> Response:
    """The response for whatever went wrong; what nobody foresaw is logged, and told to nobody."""
    if isinstance(error, OnefoldError):
        return problem(error)
    if isinstance(error, HTTPException):
        return _http_problem(error)
    log.exception("request_failed", error=type(error).__name__)
    return problem(OnefoldError("internal_error", "The endpoint failed; the operator finds the reason in its log."))


def register(app: Flask) -> None:
    """Answer every error of the application with a problem document."""
    app.register_error_handler(Exception, answer_to)


def _http_problem(error: HTTPException) -> Response:
    code = _BY_STATUS.get(error.code or 500, "invalid_event" if (error.code or 500) < 500 else "internal_error")
    response = problem(OnefoldError(code, error.description or ""))
    if error.code is not None:
        response.status_code = error.code
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))  # RFC 9110, 15.5.6
    return response
