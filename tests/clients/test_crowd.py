# SPDX-License-Identifier: Apache-2.0
"""500 clients at once where 4 answers are made at a time and 12 may wait: who is taken is answered whole, who is not hears so at once and
when to come back, who leaves in the middle takes nothing with them."""

import asyncio
import collections
import json

import pytest
from conftest import Server, Store, until
from language import ask, smollm2

SEQUENCES, QUEUE = 4, 12


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    s = Store(tmp_path_factory.mktemp("crowd"))
    s.add(smollm2(), "chat")
    server = Server(s, "--context", "512", "--sequences", str(SEQUENCES), "--queue", str(QUEUE), "--threads", "2")
    yield server
    server.stop()


def idle(server):
    return until(lambda: not any(s["is_processing"] for s in server.get("/slots").json())) and until(
        lambda: server.metric("slipway_sequences_waiting", model="chat") + server.metric("vllm:kv_cache_usage_perc") == 0
    )


async def open_all(server, n):
    return [await asyncio.open_connection(server.host, server.port) for _ in range(n)]


def request(stream, max_tokens, **more):
    body = json.dumps({"model": "chat", "messages": ask("Tell me."), "max_tokens": max_tokens, "stream": stream, "ignore_eos": True, **more}).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def answer(reader, writer, sent):
    writer.write(sent)
    data = await asyncio.wait_for(reader.read(-1), 120)
    writer.close()
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:]), body


async def crowd(server, n):
    connections = await open_all(server, n)
    return await asyncio.gather(*[answer(*c, request(i % 2 == 0, 6)) for i, c in enumerate(connections)])


def test_500_at_once(small):
    got = asyncio.run(crowd(small, 500))
    statuses = collections.Counter(status for status, _, _ in got)
    assert set(statuses) == {200, 429} and statuses[200] >= SEQUENCES + QUEUE, statuses
    for k, (status, head, body) in enumerate(got):
        if status == 429:
            assert int(head[b"retry-after"]) >= 1
            assert json.loads(body)["error"]["code"] == "rate_limit_exceeded"
        elif k % 2 == 0:
            assert body.count(b'"finish_reason":"length"') == 1 and b"data: [DONE]" in body
        else:
            assert json.loads(body)["usage"]["completion_tokens"] == 6
    assert idle(small)
    assert small.metric("slipway_requests_total", code="200", protocol="openai") >= statuses[200]


async def leave(server, n):
    """All begin, and are cut off: some by a close, some by a reset, some before their first word."""
    connections = await open_all(server, n)
    for k, (reader, writer) in enumerate(connections):
        writer.write(request(True, 400))
        if k < SEQUENCES:
            assert b"200 OK" in await asyncio.wait_for(reader.read(4096), 60)
    for k, (_, writer) in enumerate(connections):
        writer.transport.abort() if k % 2 else writer.close()


def test_who_leaves_makes_room(small):
    """Of 400 words each, nearly none are made; the next client is served at once."""
    before = small.metric("slipway_generated_tokens_total", model="chat")
    asyncio.run(leave(small, SEQUENCES + QUEUE))
    assert idle(small)
    assert small.metric("slipway_generated_tokens_total", model="chat") - before < (SEQUENCES + QUEUE) * 400 / 2
    for status, _, _ in asyncio.run(crowd(small, SEQUENCES + QUEUE)):
        assert status == 200
