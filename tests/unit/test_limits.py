"""Rate limits: so many a minute for each key, in bounded memory."""

import pytest

from onefold.config import Tokens
from onefold.errors import OnefoldError
from onefold.web.limits import RateLimit, TokenLimits

SECOND = 1_000_000


@pytest.mark.parametrize("per_minute", [1, 2, 7, 60, 120, 999])
def test_a_minutes_worth_is_there_at_once_and_no_more(per_minute: int) -> None:
    limit = RateLimit(per_minute)
    assert [limit.take("a", 0) for _ in range(per_minute)] == [0] * per_minute
    assert limit.take("a", 0) > 0


def test_what_was_taken_comes_back_with_time() -> None:
    limit = RateLimit(60)
    for _ in range(60):
        limit.take("a", 0)
    assert limit.take("a", SECOND - 1) == 1
    assert limit.take("a", SECOND) == 0
    assert limit.take("a", SECOND) == SECOND


def test_a_refusal_takes_nothing() -> None:
    limit = RateLimit(1)
    limit.take("a", 0)
    assert [limit.take("a", 0) for _ in range(5)] == [60 * SECOND] * 5


def test_waiting_longer_than_a_minute_saves_nothing_up() -> None:
    limit = RateLimit(2)
    assert [limit.take("a", 3_600 * SECOND) for _ in range(3)] == [0, 0, 30 * SECOND]


def test_each_key_has_its_own() -> None:
    limit = RateLimit(1)
    assert [limit.take(key, 0) for key in "aba"] == [0, 0, 60 * SECOND]


def test_many_keys_take_bounded_memory_and_the_newest_are_remembered() -> None:
    limit = RateLimit(1, most=100)
    for number in range(10_000):
        assert limit.take(str(number), 0) == 0
    assert len(limit) == 100
    assert limit.take("9999", 0) > 0


def test_a_token_of_the_site_is_not_used_up_by_a_uid_that_asks_too_often() -> None:
    limits = TokenLimits(Tokens(uid_mints_per_minute=1, site_mints_per_minute=2))
    limits.mint("a", "site")
    for _ in range(5):
        with pytest.raises(OnefoldError, match="Too many"):
            limits.mint("a", "site")
    limits.mint("b", "site")
