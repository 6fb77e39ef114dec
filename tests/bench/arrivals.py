"""Load that does not wait for answers, by open_load.c."""
import json
import os
import subprocess
import tempfile

BUILD = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "build")


def open_load(url, body, rate, seconds, connections):
    """By status: count, per second, percentiles in milliseconds; arrivals at random moments."""
    subprocess.run(["ninja", "-C", BUILD, "tests/bench/open_load"], check=True, stdout=subprocess.DEVNULL)
    _, _, address, path = url.split("/", 3)
    with tempfile.NamedTemporaryFile("w") as f:
        f.write(body)
        f.flush()
        said = subprocess.run(["nice", "-n", "-10", os.path.join(BUILD, "tests", "bench", "open_load"), address.split(":")[1], "/" + path, f.name,
                               str(rate), str(seconds), str(connections)], check=True, capture_output=True, text=True)
    return json.loads(said.stdout)
