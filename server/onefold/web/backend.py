"""What every server-plane view needs: which key is asking, and whether it may.

Nothing here is for browsers: no CORS header, no cookie, and no answer that a cache may keep.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import Response, request
from werkzeug.datastructures import Authorization

from onefold.core.keys import Scope, allows
from onefold.errors import OnefoldError
from onefold.web.state import now_ms, state

P = ParamSpec("P")
R = TypeVar("R")


def needs(scope: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Serve a view to keys with this scope only; nothing of a request is read before. Raises `unauthenticated`,
    `scope_missing`.
    """

    def guard(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            shown = presented()
            if not shown:
                raise OnefoldError("unauthenticated", "Send a secret key: Authorization: Bearer ofk_….")
            key = state().keys.recognise(shown, now_ms())
            if not allows(key.scopes, scope):
                raise OnefoldError("scope_missing", f"This key may not {scope}; create one with --scope {scope}.")
            return view(*args, **kwargs)

        return guarded

    return guard


def keep_private(response: Response) -> Response:
    """Let no cache keep an answer."""
    response.headers["Cache-Control"] = "no-store"
    return response


def presented() -> str:
    """The secret that this request shows: a bearer token, or the user name of Basic with any password. Empty where it
    shows none.
    """
    given = request.authorization or Authorization("none")
    return {"bearer": given.token, "basic": given.username}.get(given.type) or ""
