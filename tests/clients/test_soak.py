# SPDX-License-Identifier: Apache-2.0
"""A few seconds of `make soak` and of `make soak-language`: everything happens at once, and nothing fails."""

import pathlib
import shutil
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "soak"


def soak(script, *arguments):
    done = subprocess.run([sys.executable, str(FOLDER / script), *arguments], capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("wrk"), reason="needs wrk (tools/deps bench)")
def test_smoke():
    soak("soak.py", "--seconds", "12", "--swaps", "30", "--canaries", "10", "--loads", "8", "--certificates", "4")


def test_language():
    soak("soak_language.py", "--seconds", "10", "--clients", "6")
