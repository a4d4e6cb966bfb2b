"""Who says something to a store that does not answer is told so in time, and nothing is done behind their back."""

import threading
from contextlib import closing

import pytest

from onefold.core.assertions import Assertion
from onefold.core.identifiers import Identifier
from onefold.errors import OnefoldError
from onefold.store.database import Database
from support.brain import Brain
from support.stores import rows

ANN = Identifier("customer_id", "ann")
JOINED = Assertion("join", ANN, Identifier("customer_id", "bob"), "op", "ticket 1")
PATIENCE_SECONDS = 60


def test_an_assertion_that_the_store_does_not_take_in_time_is_never_made(brain: Brain) -> None:
    with closing(Database(brain.database.url)) as other:
        with other.transaction(), pytest.raises(OnefoldError, match="Nothing was changed"):
            brain.ingest.say(JOINED, brain.now, patience_seconds=0.05)
        for thread in threading.enumerate():
            if thread.name == "change":
                thread.join(PATIENCE_SECONDS)
    assert rows(brain.database)["assertion"] == []


def test_an_assertion_that_is_said_twice_is_done_once(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann")
    brain.tell("2", "customer_id:bob")
    assert [len(brain.ingest.say(JOINED, brain.now).entries) for _ in range(2)] == [1, 0]
