"""Customer accounts of one site, kept in memory for as long as the process runs."""

import threading
from dataclasses import dataclass, replace

from werkzeug.security import check_password_hash, generate_password_hash

_FIRST_NUMBER = 10001


class AccountError(ValueError):
    """The account cannot be opened or changed; `field` is the form field to show `message` at."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


@dataclass(frozen=True)
class Account:
    """One customer. `email` and `phone` are kept as they were typed."""

    number: int
    email: str
    password_hash: str
    first_name: str = ""
    last_name: str = ""
    phone: str = ""

    @property
    def customer_id(self) -> str:
        """The customer number as this site writes it, e.g. `CUS10001`."""
        return f"CUS{self.number}"


class Accounts:
    """All accounts of one site, found by number or by e-mail address in any capitals."""

    def __init__(self) -> None:
        self._by_number: dict[int, Account] = {}
        self._lock = threading.Lock()

    def get(self, number: int) -> Account | None:
        """The account with that number, or None."""
        return self._by_number.get(number)

    def sign_up(self, email: str, password: str, first_name: str = "", last_name: str = "", phone: str = "") -> Account:
        """A new account. Raises AccountError where the address already has one."""
        password_hash = generate_password_hash(password)
        with self._lock:
            self._refuse_taken(email, by=None)
            number = _FIRST_NUMBER + len(self._by_number)
            account = Account(number, email, password_hash, first_name, last_name, phone)
            self._by_number[number] = account
        return account

    def log_in(self, email: str, password: str) -> Account:
        """The account of that address, made on the spot where there is none: nobody registers twice for a demo.

        Raises AccountError where the password is not the account's.
        """
        account = self._find(email)
        if account is None:
            return self.sign_up(email, password)
        if not check_password_hash(account.password_hash, password):
            raise AccountError("password", "This is not the password of this account.")
        return account

    def update(self, number: int, email: str, phone: str) -> Account:
        """The account with its new address and phone. Raises AccountError where the address is somebody else's."""
        with self._lock:
            self._refuse_taken(email, by=number)
            account = replace(self._by_number[number], email=email, phone=phone)
            self._by_number[number] = account
        return account

    def _find(self, email: str) -> Account | None:
        key = _key(email)
        return next((account for account in list(self._by_number.values()) if _key(account.email) == key), None)

    def _refuse_taken(self, email: str, by: int | None) -> None:
        owner = self._find(email)
        if owner is not None and owner.number != by:
            raise AccountError("email", "There already is an account with this e-mail address.")


def _key(email: str) -> str:
    return email.strip().lower()
