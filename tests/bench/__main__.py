"""`make bench`: every measurement as a ratio against a baseline of the same run, with its target where it has one.

make bench, or PYTHONPATH=tests python -m bench [--quick] [--huge] [--folder DIR] [http|ingestion|postgres|lookups …]
"""

import argparse
import os
import platform
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench import http, ingestion, journal, lookups, postgres, sensor

HUGE: Final = 10_000_000


class Asked(argparse.Namespace):
    """What was asked for."""

    what: list[str]
    quick: bool
    huge: bool
    folder: Path | None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*MEASUREMENTS, []], help="all when left out")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it works, not to quote")
    parser.add_argument("--huge", action="store_true", help="ingestion with 10 million identifiers too: 4 GB, and time")
    parser.add_argument("--folder", type=Path, help="where databases are made, and stay for the next run")
    asked = parser.parse_args(namespace=Asked())
    print(machine())
    with tempfile.TemporaryDirectory(prefix="onefold-bench-") as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, measurement in MEASUREMENTS.items():
            if not asked.what or name in asked.what:
                measurement(folder, asked)


def machine() -> str:
    """What it is measured on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    busy = f"load {os.getloadavg()[0]:.1f} before the run"
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return f"{os.cpu_count()} cores ({model}), {platform.system()}, {versions}; {busy}"


def verdict(what: str, value: float, target: float, at_least: bool = True) -> None:
    """Print a target, and whether it is met."""
    met = value >= target if at_least else value <= target
    sign = "at least" if at_least else "at most"
    print(f"  {'met    ' if met else 'NOT met'}  {what}: {value:.2f}, target {sign} {target:g}", flush=True)


def _http(folder: Path, asked: Asked) -> None:
    print(f"\nHTTP: durable identity_link events from {http.CLIENTS} keep-alive clients, one an answer (medians)")
    print(f"{'':<16} {'requests/s':>10} {'p50 ms':>7} {'p99 ms':>7} {'cpu us':>7} {'ratio':>6} {'cpu ratio':>9}")
    found = http.measure(folder, *((2_000, 1) if asked.quick else (8_000, 3)))
    for name, told in found.items():
        figures = f"{told['p50']:>7.1f} {told['p99']:>7.1f} {told['cpu us']:>7.0f} {told['ratio']:>6.2f}"
        print(f"{name:<16} {told['requests/s']:>10,.0f} {figures} {told['cpu ratio']:>9.2f}")
    ours, single = found["endpoint"], found["batches of one"]
    verdict("requests a second, beside the null Flask app", ours["ratio"], 0.7)
    verdict("requests a second, beside batches of one", ours["requests/s"] / single["requests/s"], 3)


_HEAD: Final = (
    f"{'':<12} {'ingested/s':>10} {'rows only/s':>11} {'ratio':>6} {'cpu ratio':>9}"
    f" {'own writes/s':>12} {'ratio':>6} {'cpu us':>7}"
)


def _line(name: str, told: ingestion.Told) -> str:
    plain = f"{told['plain/s']:>11,.0f} {told['plain ratio']:>6.2f} {told['plain cpu ratio']:>9.2f}"
    own = f"{told['write/s']:>12,.0f} {told['write ratio']:>6.2f}"
    return f"{name:<12} {told['ingest/s']:>10,.0f} {plain} {own} {told['cpu us']:>7.0f}"


def _ingestion(folder: Path, asked: Asked) -> None:
    print(f"\nIngestion in process into SQLite, batches of {ingestion.BATCH}, synchronous=FULL (medians)")
    print(f"{_HEAD} {'resident MB':>11}")
    sizes = [10_000] if asked.quick else [10_000, 1_000_000, *([HUGE] if asked.huge else [])]
    rounds = 1 if asked.quick else 3
    found = ingestion.measure(folder, sizes, 20_000, rounds)
    for size, told in found.items():
        print(f"{_line(f'{size:,}', told)} {told['resident MB']:>11.0f}")
    if 1_000_000 in found:
        verdict("ingested beside rows only, at 1,000,000", found[1_000_000]["plain ratio"], 0.5)
    if HUGE in found:
        growth = found[HUGE]["growth"]
        verdict("processor time an event at 10,000,000, beside 10,000", growth, 1.5, at_least=False)
        verdict("resident MB at 10,000,000", found[HUGE]["resident MB"], 200, at_least=False)


def _postgres(folder: Path, asked: Asked) -> None:
    print(f"\nIngestion in process into PostgreSQL, batches of {ingestion.BATCH}, durable (medians)")
    print(_HEAD)
    identifiers, rounds = (10_000, 1) if asked.quick else (100_000, 5)
    found = postgres.measure(folder, identifiers, 20_000, rounds)
    print(_line(f"{identifiers:,}", found))
    verdict("ingested beside rows only", found["plain ratio"], 0.5)
    verdict("two processes beside one", found["two/one"], 1)


def _lookups(folder: Path, asked: Asked) -> None:
    identifiers, rounds = (10_000, 1) if asked.quick else (1_000_000, 7)
    print(f"\nQuestions for a profile among {identifiers:,} identifiers while another process ingests, us (medians)")
    found = lookups.measure(folder, identifiers, 4_000, rounds)
    for name in ("primary key", "profile"):
        print(f"{name:<14} p50 {found[name]['p50']:>8.0f}  p99 {found[name]['p99']:>8.0f}")
    verdict("p99 of a profile, beside a select by primary key", found["ratio"]["p99"], 5, at_least=False)


def _journal(folder: Path, asked: Asked) -> None:
    events = 20_000 if asked.quick else 1_000_000
    print(f"\nA journal of {events:,} entries")
    print(f"{'':<18} {'events/s':>10} {'ratio':>6} {'peak MB':>8}")
    for name, found in journal.measure(folder, events).items():
        print(f"{name:<18} {found['events/s']:>10,.0f} {found['ratio']:>6.2f} {found['peak MB']:>8,.0f}")


def _sensor(folder: Path, asked: Asked) -> None:
    sensor.print_table(1 if asked.quick else 15)


MEASUREMENTS: Final[dict[str, Callable[[Path, Asked], None]]] = {
    "http": _http,
    "ingestion": _ingestion,
    "postgres": _postgres,
    "lookups": _lookups,
    "journal": _journal,
    "sensor": _sensor,
}


if __name__ == "__main__":
    main()
