"""The forms: their fields, and what is wrong with what was typed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

MAX_LENGTH: Final = 254
_EMAIL: Final = re.compile(r"\s*[^@\s]+@[^@\s.][^@\s]*\s*")
_PHONE: Final = re.compile(r"\s*\+?[\d\s()./-]{6,24}\s*")
_MIN_PASSWORD: Final = 4


@dataclass(frozen=True)
class Field:
    """One input. `kind` is the HTML input type, `autocomplete` the HTML autofill name."""

    name: str
    label: str
    kind: str
    autocomplete: str
    required: bool = True


@dataclass(frozen=True)
class Form:
    """One form page: the name of its route, its words and its fields. `intro` follows the title."""

    name: str
    title: str
    intro: str
    button: str
    fields: tuple[Field, ...]


_EMAIL_FIELD = Field("email", "E-mail", "email", "email")
_PHONE_FIELD = Field("phone", "Phone", "tel", "tel-national", required=False)
_FIRST_NAME = Field("first_name", "First name", "text", "given-name")
_LAST_NAME = Field("last_name", "Last name", "text", "family-name")
_PASSWORD = Field("password", "Password", "password", "current-password")
_NEW_PASSWORD = Field("password", "Password", "password", "new-password")

LOGIN: Final = Form(
    "login",
    "Log in",
    "This is a demonstration: an address without an account gets one at once. Do not type a password you really use.",
    "Log in",
    (_EMAIL_FIELD, _PASSWORD),
)
SIGNUP: Final = Form(
    "signup",
    "Create an account",
    "Any password of four characters or more will do. Do not type one you really use.",
    "Create account",
    (_EMAIL_FIELD, _NEW_PASSWORD, _FIRST_NAME, _LAST_NAME, _PHONE_FIELD),
)
CHECKOUT: Final = Form(
    "checkout",
    "Checkout",
    "With or without an account. Nothing is charged and no parcel will come.",
    "Place the order",
    (_EMAIL_FIELD, _PHONE_FIELD, _FIRST_NAME, _LAST_NAME),
)
NEWSLETTER: Final = Form("newsletter", "Newsletter", "", "Subscribe", (_EMAIL_FIELD,))
PROFILE: Final = Form("profile", "Your details", "", "Save the changes", (_EMAIL_FIELD, _PHONE_FIELD))


def read(fields: Iterable[Field], sent: Mapping[str, str]) -> dict[str, str]:
    """What was typed into each field, untouched; '' where nothing was."""
    return {field.name: sent.get(field.name, "") for field in fields}


def check(fields: Iterable[Field], typed: Mapping[str, str]) -> dict[str, str]:
    """A message for each field that cannot be used, by field name; empty when all can."""
    found = {field.name: _fault(field, typed[field.name]) for field in fields}
    return {name: message for name, message in found.items() if message}


def _fault(field: Field, value: str) -> str:
    if not value.strip():
        return f"{field.label} is missing." if field.required else ""
    if len(value) > MAX_LENGTH:
        return f"{field.label} is too long."
    if field.kind == "email" and not _EMAIL.fullmatch(value):
        return "This does not look like an e-mail address."
    if field.kind == "tel" and not _PHONE.fullmatch(value):
        return "This does not look like a phone number."
    if field.kind == "password" and len(value) < _MIN_PASSWORD:
        return f"At least {_MIN_PASSWORD} characters, please."
    return ""
