"""`make bench`: every measurement, each as a ratio against a baseline of the same run.

make bench, or PYTHONPATH=tests python -m bench [--quick] [ingestion|journal|sensor …]
"""

import argparse
import tempfile
from pathlib import Path

from bench import ingestion, journal, sensor


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=["ingestion", "journal", "sensor", []], help="all when left out")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it works, not to quote")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="onefold-bench-") as folder:
        if not asked.what or "ingestion" in asked.what:
            _ingestion(Path(folder), (10_000,) if asked.quick else (10_000, 1_000_000))
        if not asked.what or "journal" in asked.what:
            _journal(Path(folder), 20_000 if asked.quick else 1_000_000)
        if not asked.what or "sensor" in asked.what:
            sensor.print_table(1 if asked.quick else 5)


def _ingestion(folder: Path, sizes: tuple[int, ...]) -> None:
    print("\nIngestion in process, batches of 256, synchronous=FULL: events per second (medians)")
    print(f"{'identifiers':>12} {'ingested':>10} {'rows only':>10} {'ratio':>6}")
    for identifiers in sizes:
        found = ingestion.measure(folder, identifiers, events=20_000, rounds=5)
        print(f"{identifiers:>12,} {found['ingested']:>10,.0f} {found['rows only']:>10,.0f} {found['ratio']:>6.2f}")


def _journal(folder: Path, events: int) -> None:
    print(f"\nA journal of {events:,} entries")
    print(f"{'':<18} {'events/s':>10} {'ratio':>6} {'peak MB':>8}")
    for name, found in journal.measure(folder, events).items():
        print(f"{name:<18} {found['events/s']:>10,.0f} {found['ratio']:>6.2f} {found['peak MB']:>8,.0f}")


if __name__ == "__main__":
    main()
