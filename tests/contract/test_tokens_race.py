"""One token, many who redeem it at the same moment, in several processes: exactly one of them does.

`ONEFOLD_RACE_ROUNDS` says how many tokens are raced for; `make race` takes 100.
"""

from pathlib import Path

from support.race import PROCESSES, ROUNDS, THREADS, race
from support.stores import NewDatabase
from support.tokens import UID_A, Web, configured


def test_exactly_one_of_many_who_redeem_a_token_at_once_is_linked(new_database: NewDatabase, tmp_path: Path) -> None:
    with new_database() as database:
        web = Web(configured(database, tmp_path, uid_mints_per_minute=100_000))
        tokens = [web.token(uid=_source(place)) for place in range(ROUNDS)]
        for place, answers in enumerate(race(web.config, tokens)):
            winners = [uid for uid, status, _ in answers if status == 202]
            assert len(winners) == 1
            assert {code for _, _, code in answers} == {"linked", "token_used"}
            assert web.same(_source(place), winners[0])
            assert [web.owner(f"uid:{uid}") for uid, *_ in answers if uid != winners[0]] == [None] * (
                PROCESSES * THREADS - 1
            )
        assert web.journaled() == ROUNDS
        web.check_and_close()


def _source(place: int) -> str:
    return UID_A.replace("1111", f"{place:04x}", 1)
