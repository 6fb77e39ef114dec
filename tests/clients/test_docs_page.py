# SPDX-License-Identifier: Apache-2.0
"""/docs in a real browser: Chromium, driven over its DevTools protocol. Skipped where there is none."""

import asyncio
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess

import aiohttp
import pytest

from conftest import Server, Store
from test_media import NAMES, PICTURE, best, colours

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: apt-get install chromium")


class Page:
    def __init__(self, socket):
        self.socket, self.n = socket, 0

    async def call(self, method, **params):
        self.n += 1
        await self.socket.send_json({"id": self.n, "method": method, "params": params})
        while True:
            answer = json.loads((await self.socket.receive(timeout=20)).data)
            if answer.get("id") == self.n:
                assert "error" not in answer, answer
                return answer["result"]

    async def run(self, script):
        got = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    async def until(self, script, seconds=10):
        for _ in range(seconds * 20):
            value = await self.run(script)
            if value:
                return value
            await asyncio.sleep(0.05)
        raise AssertionError(f"never true: {script}\n" + await self.run("document.body.innerText"))


async def browse(url, folder, walk, *flags):
    process = subprocess.Popen(
        [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--window-size=1100,900"]
        + [f"--user-data-dir={folder}/profile", *flags, "about:blank"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        port = next(re.search(r":(\d+)/", line).group(1) for line in process.stderr if "DevTools listening" in line)
        async with aiohttp.ClientSession() as session:
            tabs = await (await session.get(f"http://127.0.0.1:{port}/json")).json()
            target = next(t["webSocketDebuggerUrl"] for t in tabs if t["type"] == "page")
            async with session.ws_connect(target, max_msg_size=0) as socket:
                page = Page(socket)
                await page.call("Page.enable")
                await page.call("Page.navigate", url=url)
                await walk(page)
                shot = await page.call("Page.captureScreenshot")
                target = pathlib.Path(os.environ.get("SLIPWAY_SCREENSHOTS", folder)) / "docs.png"
                target.write_bytes(base64.b64decode(shot["data"]))
    finally:
        process.kill()
        process.wait()


def test_a_picture_is_asked_about(tmp_path):
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    store = Store(tmp_path / "store")
    spec = ["--input", "image:8x8,unit", "--output", "classes:2,softmax", "--labels", str(tmp_path / "names.txt")]
    store.add(colours(tmp_path / "colours.onnx"), "colours", *spec)
    server = Server(store)
    picture = base64.b64encode(PICTURE).decode()

    async def walk(page):
        await page.until("document.querySelectorAll('#list button').length === 1 && !!document.querySelector('#send')")
        await page.run("[...document.querySelectorAll('.tabs button')].find((b) => /Image/.test(b.textContent))?.click()")
        await page.until("!!document.querySelector('.drop')")
        await page.run(
            f"file = new File([Uint8Array.from(atob('{picture}'), (c) => c.charCodeAt(0))], 'p.png', {{ type: 'image/png' }});"
            "drawDrop(document.querySelector('.drop')); document.querySelector('#send').click()"
        )
        await page.until("document.querySelectorAll('.score').length === 2")
        labels = await page.run("[...document.querySelectorAll('.score > span:first-child')].map((s) => s.textContent)")
        assert labels == best()[0]
        assert (await page.run("document.querySelector('#took').textContent")).startswith("200 in ")

    try:
        asyncio.run(browse(server.url + "/docs", tmp_path, walk))
    finally:
        server.stop()
