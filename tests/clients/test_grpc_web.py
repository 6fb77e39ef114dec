# SPDX-License-Identifier: Apache-2.0
"""gRPC-Web from a real browser: Chromium calls by fetch, from another origin and from our own, HTTP/1.1 and HTTP/2 with TLS."""

import asyncio
import base64
import http.server
import json

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from conftest import Server, Store, web
from test_docs_page import CHROMIUM, browse
from test_grpc import frame, infer
from test_tls import key_and_certificate

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: apt-get install chromium")

# What generated clients do: frames in, frames out one by one, base64 of separately padded pieces in text mode.
CLIENT = """
async function call(url, method, text, frames64) {
    const kind = 'application/grpc-web' + (text ? '-text' : '') + '+proto';
    const raw = Uint8Array.from(atob(frames64), (c) => c.charCodeAt(0));
    const headers = { 'content-type': kind, accept: kind, 'x-grpc-web': '1', 'x-user-agent': 'grpc-web-javascript/0.1' };
    const answer = await fetch(url + method, { method: 'POST', headers, body: text ? btoa(String.fromCharCode(...raw)) : raw });
    const reader = answer.body.getReader(), messages = [], times = [];
    let bytes = new Uint8Array(0), letters = '', trailers = null;
    const add = (more) => { const joined = new Uint8Array(bytes.length + more.length); joined.set(bytes); joined.set(more, bytes.length); bytes = joined; };
    for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        if (!text) add(value);
        else {
            letters += new TextDecoder().decode(value);
            const whole = letters.length - letters.length % 4;
            for (const piece of letters.slice(0, whole).match(/[^=]+=*/g) || []) add(Uint8Array.from(atob(piece), (c) => c.charCodeAt(0)));
            letters = letters.slice(whole);
        }
        while (bytes.length >= 5) {
            const n = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
            if (bytes.length < 5 + n) break;
            const one = bytes.slice(5, 5 + n);
            if (bytes[0] & 0x80) trailers = new TextDecoder().decode(one);
            else messages.push(btoa(String.fromCharCode(...one)));
            bytes = bytes.slice(5 + n);
            times.push(performance.now());
        }
    }
    return { status: answer.status, type: answer.headers.get('content-type'), messages, trailers, left: bytes.length };
}
"""


class Elsewhere(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = b"<!doctype html><title>elsewhere</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


@pytest.fixture
def elsewhere():
    with web(Elsewhere) as url:
        yield url


async def called(page, url, method, text, *messages):
    body = base64.b64encode(b"".join(frame(m) for m in messages)).decode()
    got = json.loads(await page.run(f"call({url!r}, {method!r}, {str(text).lower()}, {body!r}).then(JSON.stringify)"))
    assert got["status"] == 200 and got["left"] == 0 and got["type"].startswith("application/grpc-web" + ("-text" if text else ""))
    return [base64.b64decode(m) for m in got["messages"]], got["trailers"]


async def use(page, url):
    """Unary and server-streaming, binary and text; an error."""
    service = "/inference.GRPCInferenceService/"
    for text in (False, True):
        (answer,), trailers = await called(page, url, service + "ModelInfer", text, infer().SerializeToString())
        values = np.frombuffer(service_pb2.ModelInferResponse.FromString(answer).raw_output_contents[0], np.float32)
        assert values.tolist() == [1.5, 4, 9, 17] and trailers == "grpc-status:0\r\n"
        asked = []
        for i in range(5):
            r = infer()
            r.id = str(i)
            asked.append(r.SerializeToString())
        answers, trailers = await called(page, url, service + "ModelStreamInfer", text, *asked)
        ids = [service_pb2.ModelStreamInferResponse.FromString(a).infer_response.id for a in answers]
        assert ids == list("01234") and trailers == "grpc-status:0\r\n"
        answers, trailers = await called(page, url, service + "ModelInfer", text, infer("nope").SerializeToString())
        assert not answers and "grpc-status:5" in trailers and "nope" in trailers


def test_the_browser(tmp_path, models, elsewhere):
    store = Store(tmp_path / "store")
    store.add(models["affine"], "affine")
    cert = key_and_certificate(tmp_path, "server")
    server = Server(store, "--cors", elsewhere)
    secure = Server(store, "--cors", elsewhere, "--tls-cert", cert, "--tls-key", cert.replace(".pem", ".key"))

    async def walk(page):
        await page.until("document.title === 'elsewhere'")
        await page.run(CLIENT)
        await use(page, server.url)
        await use(page, "https://" + secure.address)
        protocol = "performance.getEntriesByType('resource').filter((r) => r.name.startsWith('https')).map((r) => r.nextHopProtocol)[0]"
        assert await page.run(protocol) in ("h2", "")  # "": other origins do not say
        await page.call("Page.navigate", url=server.url + "/docs")
        await page.until("location.pathname === '/docs' && document.readyState === 'complete'")
        await page.run(CLIENT)
        await use(page, "")
        await page.call("Page.navigate", url=elsewhere.replace("127.0.0.1", "localhost"))  # an origin that --cors does not list
        await page.until("location.hostname === 'localhost' && document.readyState === 'complete'")
        await page.run(CLIENT)
        refused = f"call({server.url!r}, '/inference.GRPCInferenceService/ServerLive', false, '').catch((e) => String(e))"
        assert "Failed to fetch" in await page.run(refused)

    try:
        asyncio.run(browse(elsewhere, tmp_path, walk, "--ignore-certificate-errors"))
    finally:
        server.stop()
        secure.stop()
