# SPDX-License-Identifier: Apache-2.0
"""Everything a language server does at once, for half an hour, and nothing goes wrong.

    python tests/soak/soak_language.py [--seconds 1800] [--clients 10] [--miniature] [-- flags of slipway serve]

Clients, each in a thread, pick at random among the kinds below: chats streamed to their end or left in the middle, schemas, tool
calls, long prompts, embeddings, several answers at once, other protocols, requests that must be refused. Every answer is checked:
its form, its schema, that a question asked before gets the same words again. At the end no slot may be taken, nothing wait, no
answer have been a 5xx, the log hold no error, and memory have stayed flat: the line through the resident size of the last half
may rise at most --slope MB an hour (looked at from ten minutes up). --miniature: a few random weights instead of SmolLM2, and shorter
texts, for a build in which arithmetic is slow; and new versions take over while clients ask. Prints one JSON object; exits 1 when anything failed."""
import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import re
import sys
import tempfile
import threading
import time

import jsonschema
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "clients"))
import conftest  # noqa: E402
import language  # noqa: E402

WORDS = "the cat sat on a mat and saw big red dogs run past old green trees near cold water while birds sing of rain".split()
QUESTIONS = ["Name three colours.", "What is the capital of France?", "Count to ten.", "Write a line about rain.", "Say hello in Spanish."]
FLAGS = ["--context", "2048", "--sequences", "12", "--kv-memory", "128M", "--queue", "64", "--timeout-ms", "600000", "--quiet"]


class Wrong(Exception):
    pass


def check(true, *what):
    if not true:
        raise Wrong(" ".join(map(str, what))[:400])


class Client:
    """One thread's requests. Kinds are the methods that start with `do_`."""

    def __init__(self, host, port, seed, known, longest):
        self.where, self.rng, self.known, self.longest = (host, port), random.Random(seed), known, longest
        self.tokens = 0

    def words(self, least, most):
        return " ".join(self.rng.choices(WORDS, k=self.rng.randint(least, most)))

    def open(self, path, body):
        c = http.client.HTTPConnection(*self.where, timeout=600)
        c.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return c, c.getresponse()

    def ask(self, path, body, status=200):
        c, r = self.open(path, body)
        data = r.read()
        c.close()
        check(r.status == status, path, r.status, data[:300])
        return json.loads(data)

    def events(self, response):
        """Server-sent events as they come; the end of the body without [DONE] is an error."""
        check(response.status == 200, response.status)
        while line := response.readline():
            if line.startswith(b"data: [DONE]"):
                return
            if line.startswith(b"data: "):
                yield json.loads(line[6:])
        raise Wrong("a stream ended without [DONE]")

    def chat(self, text, **more):
        return {"model": "chat", "messages": [{"role": "user", "content": text}], **more}

    def same(self, question, text):
        """At temperature 0 a question has one answer, whoever else is served."""
        before = self.known.setdefault(question, text)
        check(before == text, "two answers to", question, repr(before), repr(text))

    def stream(self, body):
        c, r = self.open("/v1/chat/completions", {**body, "stream": True, "stream_options": {"include_usage": True}})
        text, reason, usage = "", None, None
        for event in self.events(r):
            usage = event.get("usage") or usage
            for choice in event["choices"]:
                text += choice["delta"].get("content") or ""
                reason = choice["finish_reason"] or reason
        c.close()
        check(reason in ("stop", "length") and usage and usage["completion_tokens"] > 0, reason, usage)
        self.tokens += usage["completion_tokens"]
        return text

    def do_chat(self):
        question = self.rng.choice(QUESTIONS)
        self.same(question, self.stream(self.chat(question, temperature=0, max_tokens=48)))

    def do_talk(self):
        self.stream(self.chat(self.words(5, 60), temperature=1.0, top_p=0.9, seed=self.rng.randint(0, 1 << 30), max_tokens=self.rng.randint(1, 120)))

    def do_leave(self):
        """In the middle of the answer, or of the prompt."""
        c, r = self.open("/v1/chat/completions", self.chat(self.words(5, 700), max_tokens=1000, stream=True))
        for _, event in zip(range(self.rng.randint(0, 12)), self.events(r)):
            check("error" not in event, event)
        c.sock and c.sock.close()
        r.close()

    def do_schema(self):
        form = {"type": "json_schema", "json_schema": {"name": "p", "strict": True, "schema": language.PERSON}}
        body = self.chat("Describe a person.", temperature=1.2, seed=self.rng.randint(0, 1 << 30), max_tokens=200, response_format=form)
        jsonschema.validate(json.loads(self.stream(body)), language.PERSON)

    def do_tools(self):
        choice = {"type": "function", "function": {"name": "get_weather"}}
        r = self.ask("/v1/chat/completions", self.chat("Weather in " + self.words(1, 3), tools=[language.TOOL], tool_choice=choice, max_tokens=300))
        call = r["choices"][0]["message"]["tool_calls"][0]["function"]
        check(r["choices"][0]["finish_reason"] == "tool_calls" and call["name"] == "get_weather", r)
        jsonschema.validate(json.loads(call["arguments"]), language.TOOL["function"]["parameters"])

    def do_long(self):
        r = self.ask("/v1/completions", {"model": "chat", "prompt": self.words(600, 1400), "max_tokens": 8})
        check(r["usage"]["prompt_tokens"] >= 600, r["usage"])

    def do_prefix(self):
        """One long beginning shared by all: found in the prefix cache, or computed again after it went."""
        prompt = " ".join(WORDS * 20)
        self.same("prefix", self.ask("/v1/completions", {"model": "chat", "prompt": prompt, "max_tokens": 12, "temperature": 0})["choices"][0]["text"])

    def do_several(self):
        r = self.ask("/v1/completions", {"model": "chat", "prompt": ["One two", self.words(3, 9)], "n": 2, "logprobs": 2, "max_tokens": 10, "stop": ["\n\n"]})
        check([c["index"] for c in r["choices"]] == [0, 1, 2, 3], r)

    def do_embed(self):
        texts = [self.words(1, self.longest) for _ in range(self.rng.randint(1, 1 + self.longest // 6))] + ["hello"]
        data = self.ask("/v1/embeddings", {"model": "embed", "input": texts})["data"]
        vectors = np.array([d["embedding"] for d in data])
        check(vectors.shape == (len(texts), 384) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4), vectors.shape)
        self.same("embedding", vectors[-1].tolist())

    def do_ollama(self):
        c, r = self.open("/api/chat", self.chat(self.words(3, 30), options={"num_predict": 20, "temperature": 0}))
        check(r.status == 200, r.status)
        last = [json.loads(line) for line in r.read().splitlines()][-1]
        c.close()
        check(last["done"] and last["eval_count"] > 0, last)

    def do_llama(self):
        r = self.ask("/completion", {"model": "chat", "prompt": self.words(3, 30), "n_predict": 9, "grammar": 'root ::= ("yes" | "no") " "*'})
        check(r["content"].strip() in ("yes", "no"), r["content"])

    def do_respond(self):
        r = self.ask("/v1/responses", {"model": "chat", "input": self.words(3, 30), "max_output_tokens": 16})
        check(r["status"] in ("completed", "incomplete"), r["status"])

    def do_refused(self):
        """One line that says why, and 400."""
        wrong = self.rng.choice([{"temperature": -1}, {"messages": []}, {"messages": [{"role": "user", "content": "x " * 5000}]}, {"grammar": "root ::= root"},
                                 {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}}])
        check(self.ask("/v1/chat/completions", {**self.chat("hi"), **wrong}, status=400)["error"]["message"], wrong)


SHARES = {"chat": 6, "talk": 6, "leave": 5, "schema": 4, "tools": 3, "embed": 3, "long": 2, "prefix": 2, "several": 2, "ollama": 2,
          "llama": 2, "respond": 2, "refused": 2}


class Soak:
    def __init__(self, folder, flags, miniature):
        self.store = store = conftest.Store(folder)
        self.model = language.miniature(folder) if miniature else language.smollm2()
        store.add(self.model, "chat")
        self.swaps = 2 if miniature else 0
        self.longest = 5 if miniature else 90
        store.add(language.fetch.all_models()["minilm"], "embed")
        self.server = conftest.Server(store, *FLAGS, *flags)
        self.counts, self.problems = collections.Counter(), []
        self.known, self.memory, self.versions = {}, [], 1

    def resident(self):
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{self.server.process.pid}/status").read()).group(1)) / 1024

    def work(self, client, end, first):
        """The kinds in `first` whatever the time, then any."""
        kinds, weights = list(SHARES), list(SHARES.values())
        while (first or time.monotonic() < end) and len(self.problems) < 10:
            kind = first.pop() if first else client.rng.choices(kinds, weights)[0]
            try:
                getattr(client, "do_" + kind)()
                self.counts[kind] += 1
            except Exception as e:  # whatever it is, it is what the run is for
                self.problems.append(f"{kind}: {type(e).__name__}: {e}"[:600])

    def run(self, seconds, clients):
        began = time.monotonic()
        all = [Client(self.server.host, self.server.port, seed, self.known, self.longest) for seed in range(clients)]
        kinds = list(SHARES)
        threads = [threading.Thread(target=self.work, args=(c, began + seconds, kinds[k::clients])) for k, c in enumerate(all)]
        for t in threads:
            t.start()
        while any(t.is_alive() for t in threads):
            self.memory.append((time.monotonic() - began, self.resident()))
            if self.versions <= self.swaps and time.monotonic() - began > seconds * self.versions / (self.swaps + 1):
                self.swap()
            time.sleep(min(5, seconds / 30))
        for t in threads:
            t.join()
        return time.monotonic() - began, sum(c.tokens for c in all)

    def swap(self):
        """The same weights as another version: the one before guesses for it, and answers must stay the same."""
        self.store.add(self.model, "chat", "--draft", f"chat@{self.versions}")
        self.versions += 1

    def slope(self):
        """MB an hour, of the last half."""
        at, mb = np.array(self.memory[len(self.memory) // 2 :]).T
        return float(np.polyfit(at / 3600, mb, 1)[0])

    def finish(self):
        """What must be true once nobody asks any more."""
        idle = lambda: not any(s["is_processing"] for s in self.server.get("/slots?model=chat").json())
        if not conftest.until(idle):
            self.problems.append("a slot is still taken")
        if self.server.get("/v1/models/chat").json()["model_version_status"][0]["version"] != str(self.versions):
            self.problems.append("the newest version is not served")
        for name in ("slipway_sequences_running", "slipway_sequences_waiting", "vllm:kv_cache_usage_perc"):
            if not conftest.until(lambda: self.server.metric(name) == 0):
                self.problems.append(f"{name} is {self.server.metric(name)}")
        self.problems += re.findall(r'slipway_requests_total\{.*code="5\d\d".*', self.server.get("/metrics").text)
        code, log = self.server.stop()
        self.problems += [line for line in log.splitlines() if re.search(r"error|warn", line, re.I)][:5]
        if code != 0:
            self.problems.append(f"the server's exit was {code}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seconds", type=float, default=1800)
    p.add_argument("--clients", type=int, default=10)
    p.add_argument("--slope", type=float, default=4)
    p.add_argument("--miniature", action="store_true")
    p.add_argument("flags", nargs="*", help="for slipway serve, after --")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(folder, a.flags, a.miniature)
        seconds, tokens = soak.run(a.seconds, a.clients)
        slope = soak.slope()
        if a.seconds >= 600 and slope > a.slope:
            soak.problems.append(f"memory rises by {slope:.1f} MB an hour")
        soak.finish()
    missing = set(SHARES) - set(soak.counts)
    mb = [m for _, m in soak.memory]
    print(json.dumps({"seconds": round(seconds), "requests": sum(soak.counts.values()), "streamed_tokens": tokens, "kinds": soak.counts, "never": sorted(missing),
                      "resident_mb": {"tenth": round(mb[len(mb) // 10], 1), "half": round(mb[len(mb) // 2], 1), "end": round(mb[-1], 1), "most": round(max(mb), 1)},
                      "slope_mb_per_hour": round(slope, 2), "problems": soak.problems}))
    sys.exit(bool(soak.problems or missing))


if __name__ == "__main__":
    main()
