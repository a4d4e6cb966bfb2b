"""The visitor's consent choice: one necessary first-party cookie that names a tier.

Until there is a choice the pages give the sensor nothing at all.
"""

from typing import Final

from flask import Request, Response

COOKIE: Final = "demo_consent"
_MAX_AGE_SECONDS: Final = 180 * 24 * 3600

CHOICES: Final[dict[str, str]] = {
    "T1": "Allow all",
    "T2": "Analytics only",
    "T3": "Nothing",
    "T4": "Switch the sensor off",
}


def chosen(request: Request) -> str | None:
    """The tier the visitor chose, T1 to T4; None before a choice, and for a cookie that names no tier."""
    tier = request.cookies.get(COOKIE)
    return tier if tier in CHOICES else None


def remember(response: Response, tier: str) -> None:
    """Keep the choice for 180 days. It must be one of CHOICES."""
    response.set_cookie(COOKIE, tier, max_age=_MAX_AGE_SECONDS, samesite="Lax")
