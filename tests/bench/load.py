"""Load by http_load.c: as fast as it is answered, or at random moments whether or not it is."""
import json
import os
import subprocess
import tempfile

BUILD = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "build")


def http_load(url, body, seconds, connections, rate=0, before=()):
    """By status: count, per second, percentiles in milliseconds. rate 0: each connection asks again when it is answered.
    before: a command that starts the generator, as taskset."""
    subprocess.run(["ninja", "-C", BUILD, "tests/bench/http_load"], check=True, stdout=subprocess.DEVNULL)
    _, _, address, path = url.split("/", 3)
    with tempfile.NamedTemporaryFile("w") as f:
        f.write(body)
        f.flush()
        said = subprocess.run([*before, os.path.join(BUILD, "tests", "bench", "http_load"), address.split(":")[1], "/" + path, f.name,
                               str(rate), str(seconds), str(connections)], check=True, capture_output=True, text=True)
    return json.loads(said.stdout)


def closed_load(url, body, seconds, connections):
    """As wrk, for less of the processor; ends when anything but 200 comes."""
    got = http_load(url, body, seconds, connections)
    if set(got) - {"200", "left_late"}:
        raise SystemExit(f"{url}: requests failed, no figure\n{got}")
    return {"rate": got["200"]["per_s"], "p99_ms": got["200"]["p99_ms"]}


def open_load(url, body, rate, seconds, connections, before=("nice", "-n", "-10")):
    return http_load(url, body, seconds, connections, rate, before)
