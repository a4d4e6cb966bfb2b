"""The files that the pages on operating show are what the programs they are for accept."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from docs.pages import blocks, page

ONEFOLD: Final = Path(sys.executable).with_name("onefold")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze to ask")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    (shown,) = [block for block in blocks(page("docs/how-to/run-with-systemd.md")) if block.file == "onefold.service"]
    unit = tmp_path / shown.file
    unit.write_text(shown.text.replace("/opt/onefold/bin/onefold", str(ONEFOLD)), encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in verified.stderr.splitlines() if unit.name in line]
    assert (verified.returncode, complaints) == (0, [])
