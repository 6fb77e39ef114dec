# SPDX-License-Identifier: Apache-2.0
"""The generator of load that the measurements stand on (tests/bench/http_load.c), against a server that is not ours: answers of every
length are counted, and what is none is counted as lost."""

import http.server
import sys

import pytest
from conftest import ROOT, web

sys.path.insert(0, str(ROOT / "tests" / "bench"))
from load import http_load  # noqa: E402


class Answers(http.server.BaseHTTPRequestHandler):
    """/STATUS/BYTES: a body of that length, in two pieces; BYTES of -1: one without a length."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status, n = (int(part) for part in self.path.split("/")[1:])
        self.send_response(status)
        if n >= 0:
            self.send_header("Content-Length", str(n))
        self.end_headers()
        self.wfile.write(b"x" * (n // 2))
        self.wfile.write(b"y" * (n - n // 2))

    def log_message(self, *_):
        pass


# The head takes some 130 bytes of the 4 KB that are looked at.
@pytest.mark.parametrize("n", [0, 3900, 3960, 3970, 4096, 5000, 3_000_000])
def test_answers_of_every_length(n):
    with web(Answers) as url:
        got = http_load(f"{url}/200/{n}", "{}", 0.1, 4)
    assert set(got) == {"200", "left_late"} and got["200"]["count"] >= 1, got


def test_other_answers():
    with web(Answers) as url:
        assert set(http_load(f"{url}/503/100000", "{}", 0.1, 4)) == {"503", "left_late"}
        assert set(http_load(f"{url}/200/-1", "{}", 0.1, 4, rate=100)) == {"0", "left_late"}  # no length: not to be told from a torn one


def test_random_moments():
    with web(Answers) as url:
        got = http_load(f"{url}/200/20000", "{}", 0.3, 16, rate=200)
    assert set(got) == {"200", "left_late"} and got["200"]["count"] == got["left_late"]["count"] > 0, got
