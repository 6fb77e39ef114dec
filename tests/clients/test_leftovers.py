# SPDX-License-Identifier: Apache-2.0
"""The fixtures themselves: a test that fails leaves no server behind."""

import os
import pathlib
import subprocess
import sys

FAILS = """
from conftest import Server, Store

def test_fails(tmp_path, models):
    store = Store(tmp_path / "store")
    store.add(models["affine"], "affine")
    print("started", Server(store).process.pid)
    assert False
"""


def test_a_failed_test_leaves_no_server(tmp_path):
    here = pathlib.Path(__file__).parent
    (tmp_path / "test_it.py").write_text(FAILS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(here)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "1 failed" in done.stdout, done.stdout
    pid = next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("started "))
    assert not os.path.exists(f"/proc/{pid}")
