"""What can go wrong, in one table: every code of the public contract with its HTTP status.

`OnefoldError` is the only exception that carries a message meant for a caller. A detail never echoes
a value that could be personal: it names the field and says what to do.
"""

from typing import Final

# code -> (HTTP status, title). The codes are public API.
PROBLEMS: Final[dict[str, tuple[int, str]]] = {
    "malformed_json": (400, "The body is not JSON"),
    "token_malformed": (400, "The token is not one of ours"),
    "unauthenticated": (401, "A secret key is needed"),
    "origin_not_allowed": (403, "This origin belongs to no configured site"),
    "consent_denied": (403, "The visitor's consent does not allow this"),
    "consent_missing": (403, "The event does not say under which consent it was made"),
    "consent_mismatch": (403, "The consent tier disagrees with the consent signals"),
    "audience_mismatch": (403, "The token was made for another site"),
    "referrer_mismatch": (403, "The page did not come from the token's source site"),
    "claim_invalid": (403, "The signed claim is not valid"),
    "scope_missing": (403, "The key lacks the scope for this"),
    "not_found": (404, "There is nothing here"),
    "method_not_allowed": (405, "This path does not take that method"),
    "token_same_uid": (409, "The token came back to the browser that asked for it"),
    "token_expired": (410, "The token has expired"),
    "token_used": (410, "The token was used before"),
    "too_large": (413, "The request is too large"),
    "unsupported_media_type": (415, "Send application/json or text/plain"),
    "invalid_event": (422, "The event does not have the expected form"),
    "invalid_identifier": (422, "The identifier does not have the form its type asks for"),
    "no_identifiers": (422, "No usable identifier is left on the event"),
    "contradictory_identifiers": (422, "Two values of a unique identifier on one event"),
    "unknown_identifier_type": (422, "The rules do not declare this identifier type"),
    "blocked_identifier": (422, "The value is blocked: many people would share it"),
    "recorded_only": (422, "The rules let this source record the identifier, not link through it"),
    "unverified": (422, "The rules want personal identifiers signed"),
    "conflict": (409, "Linking would break a rule"),
    "rate_limited": (429, "Too many requests"),
    "internal_error": (500, "The endpoint failed"),
    "unavailable": (503, "The store cannot be written right now"),
}


class OnefoldError(Exception):
    """A problem with a code of the contract and a sentence that says what to do.

    `field` is the path of the offending member (`identity.uid`), where there is one. `retry_after` is in seconds, where
    the caller can be told better than by default.
    """

    def __init__(self, code: str, detail: str, field: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        """The HTTP status of this problem."""
        return PROBLEMS[self.code][0]

    @property
    def title(self) -> str:
        """The short, constant description of the code."""
        return PROBLEMS[self.code][1]


class RulesError(ValueError):
    """The rules cannot be used; the message names the key and, for a typo, the nearest valid one."""


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the key and what to do."""
