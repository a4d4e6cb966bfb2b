"""What the views of one application share."""

import time
from collections import deque
from collections.abc import Iterable
from typing import Any, cast

import msgspec
from flask import current_app

from onefold.config import Config, Secrets
from onefold.core.rules import Rules
from onefold.engine.ingest import Ingest
from onefold.engine.keys import KeyRing
from onefold.engine.opening import Opening
from onefold.engine.reconcile import Reconciler
from onefold.engine.spool import Spool
from onefold.engine.tokens import TokenDesk
from onefold.errors import OnefoldError
from onefold.store.database import Database
from onefold.web.events import Answer
from onefold.web.limits import TokenLimits
from onefold.web.metrics import Metrics


class Turned(msgspec.Struct, frozen=True):
    """A request or event that was turned away; kept in memory only, without anything it carried."""

    at: int
    site: str
    kind: str
    code: str
    detail: str


class State:
    """The configuration, the rules, the secrets, the database, the engine, the keys, the rate limits, and the last
    refusals.
    """

    def __init__(
        self,
        config: Config,
        secrets: Secrets,
        database: Database,
        ingest: Ingest,
        spool: Spool,
        metrics: Metrics,
        opening: Opening,
    ) -> None:
        self.config = config
        self.secrets = secrets
        self.database = database
        self.ingest = ingest
        self.desk = TokenDesk(database, ingest)
        self.keys = KeyRing(database, lambda: ingest.store_away)
        self.limits = TokenLimits(config.tokens)
        self.spool = spool
        self.metrics = metrics
        self.opening = opening
        self.reconciler = Reconciler(ingest, spool, lambda: metrics.look(ingest, spool), lambda: opening.done)
        self.turned_away: deque[Turned] = deque(maxlen=50)

    @property
    def rules(self) -> Rules:
        """The rules in force."""
        return self.ingest.rules

    def close(self) -> None:
        """Finish what was taken, and let go of the spool and the database."""
        self.opening.stop()
        self.reconciler.stop()
        self.desk.close()
        self.ingest.close()
        self.spool.close()
        self.database.close()

    def turn_away(self, site: str, kind: str, code: str, detail: str) -> None:
        """Remember a refusal for the live page."""
        self.turned_away.append(Turned(now_ms(), site, kind, code, detail))
        self.metrics.refused(code)

    def note_refused(self, origin: str | None, kind: str, error: OnefoldError) -> None:
        """Remember a request of a page that was refused as a whole."""
        site = self.config.site_of(origin)
        self.turn_away("" if site is None else site.id, kind, error.code, error.detail)

    def note_refusals(self, site: str, answers: Iterable[Answer]) -> None:
        """Remember the events of a request that were refused."""
        for answer in answers:
            if answer.error is not None:
                kind = "event" if answer.event is None else answer.event.kind
                self.turn_away(site, kind, answer.error.code, answer.error.detail)


def state() -> State:
    """The state of the application that serves this request."""
    return cast(State, current_app.extensions["onefold"])


def now_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def as_json(value: Any) -> str:
    """JSON text, compact, characters as they are."""
    return msgspec.json.encode(value).decode()
