"""Rate limits in memory, one process's own: so many requests a minute for each key, all of them at once if need be."""

import threading
import time
from collections import OrderedDict
from typing import Final

from onefold.config import Tokens
from onefold.errors import OnefoldError

MOST_KEYS: Final = 10_000
_MINUTE_US: Final = 60_000_000


class RateLimit:
    """A token bucket for each key, as one number: the time at which the bucket would be full again (GCRA, ITU-T I.371).

    The keys used longest ago are forgotten beyond `most`, which can only be to their advantage.
    """

    def __init__(self, per_minute: int, most: int = MOST_KEYS) -> None:
        self._interval = _MINUTE_US // per_minute
        self._slack = _MINUTE_US - self._interval
        self._most = most
        self._full_at: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, now: int) -> int:
        """Take one from the key's bucket: 0 when it was there, otherwise how long until it will be. Times are in µs,
        `now` by a clock that never goes back.
        """
        with self._lock:
            full_at = max(self._full_at.pop(key, now), now)
            wait = full_at - now - self._slack
            self._full_at[key] = full_at if wait > 0 else full_at + self._interval
            if len(self._full_at) > self._most:
                self._full_at.popitem(last=False)
            return max(wait, 0)

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._full_at)


class TokenLimits:
    """How often one uid, and how often one site, may mint and try to redeem."""

    def __init__(self, config: Tokens) -> None:
        self._minting = RateLimit(config.uid_mints_per_minute), RateLimit(config.site_mints_per_minute)
        self._redeeming = RateLimit(config.uid_redeems_per_minute), RateLimit(config.site_redeems_per_minute)

    def mint(self, uid: str, site: str) -> None:
        """Count a token asked for. Raises `rate_limited`."""
        _take(self._minting, uid, site)

    def redeem(self, uid: str, site: str) -> None:
        """Count an attempt to redeem. Raises `rate_limited`."""
        _take(self._redeeming, uid, site)


def _take(limits: tuple[RateLimit, RateLimit], uid: str, site: str) -> None:
    now = time.monotonic_ns() // 1_000
    for limit, key in zip(limits, (uid, site), strict=True):
        if (wait := limit.take(key, now)) > 0:
            raise OnefoldError("rate_limited", "Too many tokens a minute.", retry_after=-(-wait // 1_000_000))
