# SPDX-License-Identifier: Apache-2.0
"""slipway chat: the conversation is the one that a server would be sent; Ctrl-C stops an answer, not the program."""

import os
import pty
import re
import select
import subprocess
import time

import pytest
from conftest import BINARY, Server, Store
from language import smollm2

FLAGS = ["--temperature", "0", "--max-tokens", "24", "--threads", "2"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    s = Store(tmp_path_factory.mktemp("chat"))
    s.add(smollm2(), "chat")
    return s


@pytest.fixture(scope="module")
def server(store):
    s = Server(store, "--context", "2048", "--threads", "2")
    yield s
    s.stop()


def said(server, *turns, most=24):
    """What a server answers to these turns: question, answer, question; the first may be instructions."""
    roles = ["system"] * (len(turns) % 2 == 0) + ["user", "assistant"] * len(turns)
    messages = [{"role": role, "content": text} for role, text in zip(roles, turns)]
    body = {"model": "chat", "messages": messages, "temperature": 0, "max_tokens": most}
    return server.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]


def test_lines_from_a_pipe(store, server):
    one, two, system = "Name a colour.", "And another?", "Answer like a pirate."
    first = said(server, one)
    answers = [first, said(server, one, first, two), said(server, system, one), first]
    lines = [one, two, f"/system {system}", one, "/clear", one, "/quit", "not asked"]
    done = subprocess.run([BINARY, "chat", "chat", "--store", store.folder, *FLAGS], input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout == "".join(a + "\n" for a in answers), (done.stdout, answers)


def test_questions_as_arguments(store, server):
    done = store.run("chat", "chat", "Name a colour.", "--system", "Answer like a pirate.", *FLAGS)
    assert done.stdout == said(server, "Answer like a pirate.", "Name a colour.") + "\n"
    again = [store.run("chat", "chat", "Tell a story.", "--seed", "5", "--max-tokens", "12").stdout for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize("more, why", [(["--temperature", "warm"], "warm"), (["--kv-type", "f8"], "f8"), (["--nonsense"], "nonsense")])
def test_wrong_flags(store, more, why):
    done = store.run("chat", "chat", "hi", *more, check=False)
    assert done.returncode != 0 and why in done.stderr and len(done.stderr.splitlines()) == 1


class Terminal:
    def __init__(self, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(BINARY, [BINARY, *args])
        self.text = ""

    def wait(self, pattern, since=0):
        """Reads on until the pattern is there; where it ends."""
        deadline = time.monotonic() + 120
        while not (m := re.compile(pattern).search(self.text, since)):
            assert time.monotonic() < deadline and select.select([self.fd], [], [], 120)[0], self.text
            self.text += os.read(self.fd, 4096).decode(errors="replace")
        return m.end()

    def type(self, text):
        os.write(self.fd, text.encode())

    def close(self):
        try:
            while select.select([self.fd], [], [], 60)[0]:
                self.text += os.read(self.fd, 4096).decode(errors="replace")
            raise AssertionError(f"it does not leave: {self.text}")
        except OSError:  # the other side is closed
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_control_c(store, server):
    """In the middle of an answer: what was said stays said, and the next question is answered. At the prompt: it leaves."""
    whole = said(server, "Write a very long story about a cat.", most=100)
    t = Terminal("chat", "chat", "--store", store.folder, "--temperature", "0", "--max-tokens", "5000", "--context", "8000", "--threads", "2")
    at = t.wait("> ")
    t.type("/help\n")
    at = t.wait("/system TEXT", at)
    at = t.wait("> ", at)
    t.type("Write a very long story about a cat.\n")
    begun = t.wait(re.escape(whole[:12]), at)
    t.type("\x03")
    ended = t.wait("> ", begun)
    answer, _, rates = t.text[begun - 12 : ended].replace("^C", "").replace("\r\n", "\n").partition("\n  [")
    assert len(answer) >= 12 and (whole.startswith(answer) or answer.startswith(whole))
    assert int(rates.split()[0]) < 1000 and "cut" not in rates
    t.type("Name a colour.\n")
    at = t.wait(r"\w+[^>]*\n> ", ended)
    t.type("\x03")
    assert t.close() == 0


def test_end_of_input_leaves(store):
    t = Terminal("chat", "chat", "--store", store.folder, "--threads", "2")
    t.wait("> ")
    t.type("\x04")
    assert t.close() == 0


def test_not_a_language_model(tmp_path):
    from conftest import affine

    s = Store(tmp_path)
    s.add(affine(tmp_path / "net.onnx"), "net")
    done = s.run("chat", "net", "hi", check=False)
    assert done.returncode != 0 and "slipway predict" in done.stderr
