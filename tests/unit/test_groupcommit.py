"""Group commit: who waits, who commits, and what everybody is told."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from onefold.engine.groupcommit import GroupCommit, Overdue

PATIENCE_SECONDS = 30.0


class Slow:
    """Work that is held up until it is let go; notes the batches it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = threading.Event()
        self.go = threading.Event()

    def __call__(self, batch: list[int]) -> list[int]:
        self.batches.append(batch)
        self.begun.set()
        assert self.go.wait(PATIENCE_SECONDS)
        if 13 in batch:
            raise ValueError("13")
        return [item * 10 for item in batch]


@pytest.fixture
def slow() -> Slow:
    """Work that waits for `go`."""
    return Slow()


@pytest.fixture
def group(slow: Slow) -> Iterator[GroupCommit[int, int]]:
    """A group that commits slowly; closed at the end."""
    group = GroupCommit(slow, most=5)
    yield group
    slow.go.set()
    group.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """As many callers as a test wants."""
    with ThreadPoolExecutor(32) as pool:
        yield pool


Submit = Callable[[list[int]], list[int]]


def within(group: GroupCommit[int, int], seconds: float = PATIENCE_SECONDS) -> Submit:
    """Hand items over from a thread that has so much time."""
    return lambda items: group.submit_within(items, seconds)


def soon(group: GroupCommit[int, int], seconds: float = PATIENCE_SECONDS) -> Submit:
    """Hand items over from a coroutine that has so much time."""
    return lambda items: asyncio.run(group.submit_soon(items, seconds))


@pytest.fixture(params=["without end", "within a budget", "in a coroutine"])
def submit(request: pytest.FixtureRequest, group: GroupCommit[int, int]) -> Submit:
    """Every way to hand items over."""
    ways = {"without end": group.submit, "within a budget": within(group), "in a coroutine": soon(group)}
    return ways[request.param]


def begin(submit: Submit, pool: ThreadPoolExecutor, slow: Slow, group: GroupCommit[int, int]) -> Future[list[int]]:
    """A first caller, whose batch is now held up."""
    first = pool.submit(submit, [0])
    assert slow.begun.wait(PATIENCE_SECONDS)
    return first


def queue_up(
    submit: Submit, pool: ThreadPoolExecutor, group: GroupCommit[int, int], *callers: list[int]
) -> list[Future[list[int]]]:
    """Callers one after another, all of whom wait now."""
    futures = []
    for number, items in enumerate(callers, start=1):
        futures.append(pool.submit(submit, items))
        while len(group._queue) < number:
            threading.Event().wait(0.001)
    return futures


def test_who_comes_during_a_commit_is_committed_together_with_the_others(
    submit: Submit, group: GroupCommit[int, int], slow: Slow, pool: ThreadPoolExecutor
) -> None:
    first = begin(submit, pool, slow, group)
    others = queue_up(submit, pool, group, [1], [2, 3], [4])
    slow.go.set()
    assert [future.result() for future in (first, *others)] == [[0], [10], [20, 30], [40]]
    assert slow.batches == [[0], [1, 2, 3, 4]]


def test_a_batch_has_as_many_items_as_it_may_and_a_caller_is_never_divided(
    submit: Submit, group: GroupCommit[int, int], slow: Slow, pool: ThreadPoolExecutor
) -> None:
    first = begin(submit, pool, slow, group)
    others = queue_up(submit, pool, group, [1, 2, 3], [4, 5, 6], [1] * 7, [8])
    slow.go.set()
    assert [len(future.result()) for future in (first, *others)] == [1, 3, 3, 7, 1]
    assert [len(batch) for batch in slow.batches] == [1, 3, 3, 7, 1]


def test_an_error_reaches_everybody_in_the_batch_and_nobody_else(
    submit: Submit, group: GroupCommit[int, int], slow: Slow, pool: ThreadPoolExecutor
) -> None:
    first = begin(submit, pool, slow, group)
    unlucky = queue_up(submit, pool, group, [1], [13])
    slow.go.set()
    assert first.result() == [0]
    for future in unlucky:
        with pytest.raises(ValueError, match="13"):
            future.result()
    assert submit([2]) == [20]


@pytest.mark.parametrize("hurried", [within, soon])
def test_whose_budget_is_over_before_the_turn_comes_is_not_committed_later(
    group: GroupCommit[int, int], slow: Slow, pool: ThreadPoolExecutor, hurried: Callable[..., Submit]
) -> None:
    first = begin(within(group), pool, slow, group)
    with pytest.raises(Overdue):
        hurried(group, 0.01)([1])
    slow.go.set()
    assert (first.result(), group.submit([2]), slow.batches) == ([0], [20], [[0], [2]])


def test_many_coroutines_of_one_loop_wait_for_one_batch_together(group: GroupCommit[int, int], slow: Slow) -> None:
    async def all_at_once() -> list[list[int]]:
        callers = [group.submit_soon([number], PATIENCE_SECONDS) for number in range(5)]
        waiting = asyncio.gather(*callers)
        await asyncio.sleep(0)  # all have handed over
        slow.go.set()
        return await waiting

    assert asyncio.run(all_at_once()) == [[0], [10], [20], [30], [40]]
    assert sum(map(len, slow.batches)) == 5


def test_a_coroutine_that_is_cancelled_leaves_its_batch_to_the_others(
    group: GroupCommit[int, int], slow: Slow, pool: ThreadPoolExecutor
) -> None:
    async def impatient() -> None:
        async with asyncio.timeout(0.01):
            await group.submit_soon([1], PATIENCE_SECONDS)

    first = begin(within(group), pool, slow, group)
    with pytest.raises(TimeoutError):
        asyncio.run(impatient())
    other = pool.submit(within(group), [2])
    slow.go.set()
    assert (first.result(), other.result()) == ([0], [20])


def test_closing_finishes_what_was_handed_over(
    group: GroupCommit[int, int], slow: Slow, pool: ThreadPoolExecutor
) -> None:
    first = begin(within(group), pool, slow, group)
    others = queue_up(within(group), pool, group, [1], [2])
    slow.go.set()
    group.close()
    assert [future.result() for future in (first, *others)] == [[0], [10], [20]]


def test_a_closed_group_can_be_used_again(group: GroupCommit[int, int], slow: Slow) -> None:
    slow.go.set()
    assert group.submit_within([1], PATIENCE_SECONDS) == [10]
    group.close()
    assert group.submit_within([2], PATIENCE_SECONDS) == [20]
