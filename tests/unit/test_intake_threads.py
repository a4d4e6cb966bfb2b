"""The first events of a process may come all at once: no thread finds the parser half made."""

import subprocess
import sys
from typing import Final

# In a process of its own, because what it looks for ends the process. Each reload makes the parser's types anew.
FIRST_USES: Final = """
import importlib, sys, threading
from onefold.intake import uiaf

sys.setswitchinterval(1e-6)
raw = {"event": "page_view", "identity": {"uid": "aaaaaaaa-1111-4111-8111-111111111111.1"}, "_meta": {"ts": 1}}

def first_use(together):
    together.wait()
    uiaf.parse(raw, 10)

for _ in range(100):
    importlib.reload(uiaf)
    together = threading.Barrier(30)
    threads = [threading.Thread(target=first_use, args=(together,)) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_many_threads_may_parse_the_first_event_at_once() -> None:
    assert subprocess.run([sys.executable, "-c", FIRST_USES], check=False).returncode == 0
