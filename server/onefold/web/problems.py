"""Errors as RFC 9457 problem documents: type, title, status, code, detail."""

import msgspec
import structlog
from flask import Flask
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from onefold.errors import OnefoldError
from onefold.web.logs import request_id
from onefold.web.reply import Reply

log = structlog.get_logger()

_BY_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}
_RETRY_AFTER_SECONDS = 2


def problem(error: OnefoldError) -> Reply:
    """The answer to a problem, which is logged by its code alone."""
    _log(error)
    body = {
        "type": f"urn:onefold:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
    }
    if error.field is not None:
        body["field"] = error.field
    if (request := request_id()) is not None:
        body["instance"] = f"urn:onefold:request:{request}"  # RFC 9457, 3.1.5
    headers = [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")]
    if error.status == 401:
        headers.append(("WWW-Authenticate", 'Bearer realm="onefold"'))  # RFC 9110, 15.5.2
    if error.status in (429, 503):
        headers.append(("Retry-After", str(error.retry_after or _RETRY_AFTER_SECONDS)))
    return Reply(error.status, headers, msgspec.json.encode(body))


def _log(error: OnefoldError) -> None:
    say = log.warning if error.status >= 500 else log.info
    say("request_refused", code=error.code, status=error.status)


def answer_to(error: Exception) -> Reply:
    """The answer to whatever went wrong; what nobody foresaw is logged, and told to nobody."""
    if isinstance(error, OnefoldError):
        return problem(error)
    if isinstance(error, HTTPException):
        return _http_problem(error)
    log.exception("request_failed")
    return problem(OnefoldError("internal_error", "The endpoint failed; the operator finds the reason in its log."))


def register(app: Flask) -> None:
    """Answer every error of the application with a problem document."""
    app.register_error_handler(Exception, lambda error: answer_to(error).response())


def _http_problem(error: HTTPException) -> Reply:
    status = error.code or 500
    code = _BY_STATUS.get(status, "invalid_event" if status < 500 else "internal_error")
    _, headers, body = problem(OnefoldError(code, error.description or ""))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers.append(("Allow", ", ".join(sorted(error.valid_methods))))  # RFC 9110, 15.5.6
    return Reply(status, headers, body)
