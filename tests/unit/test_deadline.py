"""A change that somebody waits for: who has left is told what became of it, and nothing is done behind their back."""

import threading
from collections.abc import Callable

import pytest

from onefold.engine.deadline import within
from onefold.errors import OnefoldError

PATIENCE_SECONDS = 30.0
NOTHING = "Nothing was changed"
NOT_KNOWN = "not known"


class Slow:
    """A change that waits before it commits, or while it does."""

    def __init__(self, while_it_commits: bool) -> None:
        self.go = threading.Event()
        self.done = False
        self._while_it_commits = while_it_commits

    def __call__(self, about_to_commit: Callable[[], None]) -> None:
        if self._while_it_commits:
            about_to_commit()
        assert self.go.wait(PATIENCE_SECONDS)
        if not self._while_it_commits:
            about_to_commit()
        self.done = True

    def end(self) -> None:
        """Let it go on, and wait for its end."""
        self.go.set()
        for thread in threading.enumerate():
            if thread.name == "change":
                thread.join(PATIENCE_SECONDS)


def test_what_is_done_in_time_is_returned() -> None:
    def seven(about_to_commit: Callable[[], None]) -> int:
        about_to_commit()
        return 7

    assert within(PATIENCE_SECONDS, seven) == 7


def test_what_it_raises_is_raised() -> None:
    def fail(_: Callable[[], None]) -> None:
        raise OnefoldError("conflict", "another one stands against it")

    with pytest.raises(OnefoldError, match=r"^another one stands against it$"):
        within(PATIENCE_SECONDS, fail)


def test_who_has_left_before_the_commit_is_told_that_nothing_was_changed_and_nothing_is() -> None:
    slow = Slow(while_it_commits=False)
    with pytest.raises(OnefoldError, match=NOTHING) as raised:
        within(0.01, slow)
    assert raised.value.code == "unavailable"
    slow.end()
    assert not slow.done


def test_who_has_left_during_the_commit_is_told_that_nobody_knows() -> None:
    slow = Slow(while_it_commits=True)
    with pytest.raises(OnefoldError, match=NOT_KNOWN):
        within(0.01, slow)
    slow.end()
    assert slow.done


@pytest.mark.parametrize(("committing", "said"), [(False, NOTHING), (True, NOT_KNOWN)])
def test_a_store_that_fails_is_told_with_what_it_means(committing: bool, said: str) -> None:
    def fail(about_to_commit: Callable[[], None]) -> None:
        if committing:
            about_to_commit()
        raise OnefoldError("unavailable", "The server is gone.")

    with pytest.raises(OnefoldError, match=rf"The server is gone\. .*{said}"):
        within(PATIENCE_SECONDS, fail)
