"""What comes before an endpoint can use its store: the schema, the id secret, the rules. Where the store is away that
is tried again and again, while the endpoint serves and events wait in the spool. Why: docs/decisions/0029.
"""

import hashlib
import hmac
import threading
from collections.abc import Callable
from typing import Final

import structlog

from onefold.errors import ConfigError, OnefoldError
from onefold.store.database import Database, Reader, Unfit

log = structlog.get_logger()

_PAUSE_SECONDS: Final = 0.5
_ID_SECRET_CHECK: Final = "id_secret_check"
_MEANWHILE: Final = "events are answered and wait in the spool; the store is tried twice a second"


class Opening:
    """Opens a store in a thread of its own, as often as it takes. Until it is `done` nobody may write to the store."""

    def __init__(self, attempt: Callable[[], None]) -> None:
        self.done = False
        self._attempt = attempt
        self._trouble: Exception = OnefoldError("unavailable", "The database does not answer.")
        self._logged = ""
        self._serving = False
        self._tried = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="opening", daemon=True)

    def begin(self, seconds: float) -> None:
        """Try, and come back when that has succeeded or failed, or takes longer than this: then it goes on by itself.

        Raises ConfigError where waiting would not help, and what else goes wrong but for a store that is away.
        """
        self._thread.start()
        if self._tried.wait(seconds) and not self.done and not _is_away(self._trouble):
            self.stop()
            raise self._trouble
        self._serving = True
        if not self.done:
            self._say(self._trouble)

    def check(self) -> None:
        """Raise `unavailable`, with the reason, while the store is not open."""
        if not self.done:
            raise OnefoldError("unavailable", f"The store is not open yet; events wait in the spool. {self._trouble}")

    def stop(self) -> None:
        """Try no more. An attempt under way may still come to its end."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._attempt()
                self._open()
            except Exception as error:
                self._trouble = _as_told(error)
                if self._serving:
                    self._say(self._trouble)
            self._tried.set()
            self._stopping.wait(_PAUSE_SECONDS)

    def _open(self) -> None:
        self.done = True
        self._stopping.set()
        if self._logged:
            log.info("store_opened")

    def _say(self, trouble: Exception) -> None:
        """Log what stands in the way, once for each reason."""
        if (reason := str(trouble)) == self._logged:
            return
        self._logged = reason
        if _is_away(trouble):
            log.warning("store_away_at_start", reason=reason, meanwhile=_MEANWHILE)
        else:
            log.error("store_not_opened", reason=reason, meanwhile=_MEANWHILE)


def _is_away(trouble: Exception) -> bool:
    return isinstance(trouble, OnefoldError) and trouble.code == "unavailable"


def _as_told(error: Exception) -> Exception:
    """The configuration is wrong where a database will never do as it is configured."""
    return ConfigError(error.detail) if isinstance(error, Unfit) else error


def check_id_secret(database: Database, id_secret: bytes) -> None:
    """Refuse a database whose profile ids were derived from another secret, and mark one that has none yet. Raises
    ConfigError.
    """
    with database.transaction() as tx:
        if not _is_marked(tx, id_secret):
            tx.run("meta_set", _ID_SECRET_CHECK, _mark(id_secret))


def check_fits(database: Database, id_secret: bytes) -> None:
    """Raise ConfigError where the database will not do as it is configured, as far as can be told at once. One that is
    away, or not there yet, is nothing to complain of.
    """
    try:
        if database.exists():
            with database.snapshot() as reader:
                _is_marked(reader, id_secret)
    except Unfit as error:
        raise ConfigError(error.detail) from error
    except OnefoldError:
        pass
    finally:
        database.close()


def _is_marked(reader: Reader, id_secret: bytes) -> bool:
    known = reader.one("meta_get", _ID_SECRET_CHECK)
    if known is not None and known[0] != _mark(id_secret):
        # a rebuild would change every id
        raise ConfigError("the database was written with another id_secret; restore the secrets file it belongs to")
    return known is not None


def _mark(id_secret: bytes) -> str:
    return hmac.digest(id_secret, b"onefold id secret", hashlib.sha256).hex()
