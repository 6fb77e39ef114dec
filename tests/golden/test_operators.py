"""docs/operators is what the source says."""

import os
import subprocess
import sys

import engine


def test_page_is_fresh():
    subprocess.run([sys.executable, os.path.join(engine.ROOT, "tools", "operators"), "--check"], check=True)
