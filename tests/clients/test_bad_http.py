# SPDX-License-Identifier: Apache-2.0
"""Bytes that are not quite HTTP, sent to the whole server: one clear refusal, and it goes on serving."""

import gzip
import re
import socket
import time
import zlib

import pytest
import zstandard

from conftest import Server

GOOD = b'{"instances": [[1, 2, 3, 4]]}'
LINE = b"POST /v1/models/affine:predict HTTP/1.1\r\n"


def status(answer):
    found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(found.group(1)) if found else None


@pytest.mark.parametrize(
    "data,code",
    [
        (LINE + b"Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (LINE + b"Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", 400),
        (LINE + b"Host: x\r\nContent-Length: +5\r\n\r\nabcde", 400),
        (LINE + b"Host: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
        (LINE + b"Host: x\nContent-Length: 0\n\n", 400),
        (LINE + b"Host: x\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", 400),
        (LINE + b"Host : x\r\nContent-Length: 0\r\n\r\n", 400),
        (LINE + b"Content-Length: 0\r\n\r\n", 400),
        (LINE + b"Host: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (LINE + b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", (400, 505)),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(200)) + b"\r\n", 431),
        (b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (400, 414, 431)),
    ],
)
def test_refused(server, data, code):
    got = status(server.raw(data, 3))
    assert got == code or isinstance(code, tuple) and got in code, server.raw(data, 1)[:300]
    assert server.get("/healthz").status_code == 200


def test_errors_are_json(server):
    answer = server.raw(LINE + b"Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", 3)
    assert b"Content-Type: application/json" in answer and b'{"error":' in answer


def test_too_large(store):
    server = Server(store, "--max-body", "1000")
    answer = server.post("/v1/models/affine:predict", data=b"x" * 1001)
    assert answer.status_code == 413 and "1001 bytes, the limit is 1000 (--max-body)" in answer.json()["error"]
    chunked = server.post("/v1/models/affine:predict", data=iter([b"x" * 600] * 3))
    assert chunked.status_code == 413 and "1000" in chunked.json()["error"], chunked.text
    assert server.post("/v1/models/affine:predict", data=GOOD).status_code == 200
    head = LINE + b"Host: x\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n"
    assert status(server.raw(head, 2)) == 413  # before the body is sent
    server.stop()


@pytest.mark.parametrize("coding,compress", [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstandard.compress)])
def test_inflating_beyond_the_limit(store, coding, compress):
    """Of each coding 256 MB in a small body: refused, and never held."""
    server = Server(store, "--max-body", "1M")
    bomb = compress(b'{"instances": [[' + b"1," * (128 << 20) + b"1]]}")
    assert len(bomb) < 1 << 20
    before = server.peak()
    for _ in range(3):
        answer = server.post("/v1/models/affine:predict", data=bomb, headers={"Content-Encoding": coding})
        assert answer.status_code == 413 and "inflates beyond the limit of 1048576 bytes (--max-body)" in answer.json()["error"], answer.text
    assert server.peak() - before < 32 << 20
    several = ", ".join([coding, coding])  # one inside another
    answer = server.post("/v1/models/affine:predict", data=compress(compress(GOOD)), headers={"Content-Encoding": several})
    assert answer.status_code == 415, answer.text
    server.stop()


def test_chunked_and_expect(server):
    assert server.post("/v1/models/affine:predict", data=iter([GOOD[:10], GOOD[10:]])).json() == {
        "predictions": [[1.5, 4, 9, 17]]
    }
    with socket.create_connection((server.host, server.port), timeout=5) as s:
        s.sendall(LINE + b"Host: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(GOOD))
        assert s.recv(1000).startswith(b"HTTP/1.1 100 ")
        s.sendall(GOOD)
        assert b"predictions" in s.recv(1000)


def test_pipelining(server):
    one = LINE + b"Host: x\r\nContent-Length: %d\r\n\r\n" % len(GOOD) + GOOD
    answer = server.raw(one * 20 + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 5)
    assert answer.count(b'{"predictions":[[1.5,4.0,9.0,17.0]]}') == 20 and answer.endswith(b'{"status":"ok"}')


def test_half_closed_client_gets_its_answer(server):
    with socket.create_connection((server.host, server.port), timeout=5) as s:
        s.sendall(LINE + b"Host: x\r\nContent-Length: %d\r\n\r\n" % len(GOOD) + GOOD)
        s.shutdown(socket.SHUT_WR)
        got = b""
        while piece := s.recv(4096):
            got += piece
    assert b"predictions" in got


def test_a_thousand_idle_connections(server):
    idle = [socket.create_connection((server.host, server.port)) for _ in range(1000)]
    assert server.post("/v1/models/affine:predict", data=GOOD).status_code == 200
    for s in idle:
        s.close()


def test_slow_head_and_torn_bodies(server):
    torn = []
    for cut in range(1, 60, 3):
        s = socket.create_connection((server.host, server.port))
        s.sendall((LINE + b"Host: x\r\nContent-Length: %d\r\n\r\n" % len(GOOD) + GOOD)[:cut])
        torn.append(s)
    time.sleep(0.1)
    assert server.post("/v1/models/affine:predict", data=GOOD).status_code == 200
    for s in torn:
        s.close()
    assert server.get("/readyz").status_code == 200
