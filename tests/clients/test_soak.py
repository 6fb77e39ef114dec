# SPDX-License-Identifier: Apache-2.0
"""A few seconds of `make soak`: everything changes while requests go by, and none fails."""

import pathlib
import shutil
import subprocess
import sys

import pytest

SOAK = pathlib.Path(__file__).resolve().parents[1] / "soak" / "soak.py"


@pytest.mark.skipif(not shutil.which("wrk"), reason="needs wrk (tools/deps bench)")
def test_smoke():
    done = subprocess.run(
        [sys.executable, str(SOAK), "--seconds", "12", "--swaps", "30", "--canaries", "10", "--loads", "8"],
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr
