"""One visitor's session: who is logged in, the CSRF token, and what the next page is to say and to tell the sensor."""

import secrets
from typing import Any, Final

from flask import session

from demo_site.accounts import Account, Accounts

Command = list[Any]

_ACCOUNT: Final = "account"
_COMMANDS: Final = "commands"
_CSRF: Final = "csrf"
_MARKED: Final = "marked"
_NOTICE: Final = "notice"


def account(accounts: Accounts) -> Account | None:
    """The account that is logged in here, or None."""
    number = session.get(_ACCOUNT)
    return None if number is None else accounts.get(number)


def log_in(found: Account) -> None:
    """Start a new session for this account: nothing of the anonymous one survives."""
    session.clear()
    session[_ACCOUNT] = found.number


def log_out() -> None:
    """Forget the whole session."""
    session.clear()


def csrf_token() -> str:
    """The token that each form of this session must carry."""
    token = session.setdefault(_CSRF, secrets.token_urlsafe(16))
    return str(token)


def csrf_holds(sent: str) -> bool:
    """Whether a form came with this session's token."""
    return _CSRF in session and secrets.compare_digest(str(session[_CSRF]).encode(), sent.encode())


def leave(notice: str, command: Command) -> None:
    """Leave a notice for the reader and one sensor command on the next page."""
    session[_NOTICE] = notice
    session[_COMMANDS] = [command]


def leave_marked(notice: str, form: str) -> None:
    """Leave a notice, and the name of the marked form that the sensor has read already."""
    session[_NOTICE] = notice
    session[_MARKED] = form


def take_notice() -> str:
    """The notice that was left, once; '' where there is none."""
    return str(session.pop(_NOTICE, ""))


def take_commands() -> list[Command]:
    """The sensor commands that were left, once."""
    commands: list[Command] = session.pop(_COMMANDS, [])
    return commands


def take_marked() -> str:
    """The marked form that was sent before this page, once; '' where there is none."""
    return str(session.pop(_MARKED, ""))
