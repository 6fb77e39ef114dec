# SPDX-License-Identifier: Apache-2.0
"""all-MiniLM-L6-v2 over HTTP, against what sentence-transformers computes: the `tokenizers` library, BERT's equations in float64 over the
file's own numbers, mean pooling over the mask, length 1."""

import base64
import json
import pathlib

import numpy as np
import openai
import pytest
import tokenizers
from conftest import Server, Store
from language import fetch
from scipy.special import erf

TEXTS = [
    "The cat sits outside.",
    "A man is playing guitar",
    "hello",
    "Zürich, Ångström & naïve café — 12,345.67 €",
    "机器学习 モデル 모델",
    "def f(x):\n    return x ** 2  # code",
    "long " * 120,
    "?",
]


class Reference:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        raw = (folder / "model.safetensors").read_bytes()
        n = int.from_bytes(raw[:8], "little")
        self.t = {}
        for name, v in json.loads(raw[8 : 8 + n]).items():
            if name != "__metadata__" and v["dtype"] == "F32":
                a, b = v["data_offsets"]
                self.t[name] = np.frombuffer(raw[8 + n + a : 8 + n + b], np.float32).reshape(v["shape"]).astype(np.float64)
        self.config = json.loads((folder / "config.json").read_text())
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    def norm(self, x, name):
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / np.sqrt(var + self.config["layer_norm_eps"]) * self.t[name + ".weight"] + self.t[name + ".bias"]

    def linear(self, x, name):
        return x @ self.t[name + ".weight"].T + self.t[name + ".bias"]

    def embed(self, text):
        ids = self.tokenizer.encode(text).ids
        heads = self.config["num_attention_heads"]
        x = self.t["embeddings.word_embeddings.weight"][ids] + self.t["embeddings.position_embeddings.weight"][: len(ids)]
        x = self.norm(x + self.t["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for k in range(self.config["num_hidden_layers"]):
            at = f"encoder.layer.{k}."
            q, key, v = (self.linear(x, at + f"attention.self.{p}").reshape(len(ids), heads, -1) for p in ("query", "key", "value"))
            score = np.einsum("qhd,khd->hqk", q, key) / np.sqrt(q.shape[-1])
            score = np.exp(score - score.max(-1, keepdims=True))
            score /= score.sum(-1, keepdims=True)
            mixed = np.einsum("hqk,khd->qhd", score, v).reshape(len(ids), -1)
            x = self.norm(self.linear(mixed, at + "attention.output.dense") + x, at + "attention.output.LayerNorm")
            wide = self.linear(x, at + "intermediate.dense")
            wide = wide * 0.5 * (1 + erf(wide / np.sqrt(2)))
            x = self.norm(self.linear(wide, at + "output.dense") + x, at + "output.LayerNorm")
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("embeddings"))
    store.add(fetch.all_models()["minilm"], "minilm")
    server = Server(store, "--threads", "2")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(minilm):
    return openai.OpenAI(base_url=minilm.url + "/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def reference():
    return Reference(fetch.all_models()["minilm"])


def test_equals_the_reference(client, reference):
    """The client asks for base64 by itself."""
    r = client.embeddings.create(model="minilm", input=TEXTS)
    assert [d.index for d in r.data] == list(range(len(TEXTS))) and r.model == "minilm"
    assert r.usage.prompt_tokens == sum(len(reference.tokenizer.encode(t).ids) for t in TEXTS)
    for text, d in zip(TEXTS, r.data):
        v = np.array(d.embedding)
        assert v.shape == (384,) and abs(np.linalg.norm(v) - 1) < 1e-5
        assert v @ reference.embed(text) >= 0.9999, text


def test_encodings_are_the_same_numbers(minilm, client):
    asked = {"model": "minilm", "input": "hello"}
    floats = minilm.post("/v1/embeddings", json={**asked, "encoding_format": "float"}).json()["data"][0]["embedding"]
    coded = minilm.post("/v1/embeddings", json={**asked, "encoding_format": "base64"}).json()["data"][0]["embedding"]
    assert np.array_equal(np.frombuffer(base64.b64decode(coded), np.float32), np.array(floats, np.float32))
    assert client.embeddings.create(**asked).data[0].embedding == pytest.approx(floats, abs=1e-7)


def test_dimensions(client):
    whole = np.array(client.embeddings.create(model="minilm", input="hello").data[0].embedding)
    short = np.array(client.embeddings.create(model="minilm", input="hello", dimensions=128).data[0].embedding)
    assert short.shape == (128,) and np.allclose(short, whole[:128] / np.linalg.norm(whole[:128]), atol=1e-6)
    with pytest.raises(openai.BadRequestError, match="dimensions is 385"):
        client.embeddings.create(model="minilm", input="hello", dimensions=385)


def test_tokens(client, reference):
    """Token lists, as clients that tokenise themselves send them, with [CLS] and [SEP] or without."""
    texts = ["the cat sits outside .", "a man is playing guitar"]
    whole = client.embeddings.create(model="minilm", input=texts, encoding_format="float")
    ids = [reference.tokenizer.encode(t).ids for t in texts]
    for sent in (ids, [i[1:-1] for i in ids]):
        r = client.embeddings.create(model="minilm", input=sent, encoding_format="float")
        assert [d.embedding for d in r.data] == [d.embedding for d in whole.data]
    one = client.embeddings.create(model="minilm", input=ids[0], encoding_format="float")
    assert [d.embedding for d in one.data] == [whole.data[0].embedding]
    with pytest.raises(openai.BadRequestError, match="send text"):
        client.embeddings.create(model="minilm", input=[2000, 102, 3000, 101])


def test_alone_and_together(client):
    together = client.embeddings.create(model="minilm", input=TEXTS * 10, encoding_format="float")
    for k, text in enumerate(TEXTS):
        alone = client.embeddings.create(model="minilm", input=text, encoding_format="float").data[0].embedding
        assert all(together.data[k + len(TEXTS) * i].embedding == alone for i in range(10))


@pytest.mark.parametrize(
    "given, part", [([], "from 1 to 2048"), (["x"] * 2049, "from 1 to 2048"), ("word " * 300, "the model takes 256"), ({"a": 1}, "a text or a list"), ([1.5], "")]
)
def test_errors(minilm, given, part):
    r = minilm.post("/v1/embeddings", json={"model": "minilm", "input": given})
    assert r.status_code == 400 and part in r.json()["error"]["message"]


def test_ollama(minilm, reference):
    client = pytest.importorskip("ollama").Client(host=minilm.url)
    r = client.embed(model="minilm", input=TEXTS[:2])
    assert r.model == "minilm" and r.prompt_eval_count > 0
    for text, v in zip(TEXTS, r.embeddings):
        assert np.array(v) @ reference.embed(text) >= 0.9999
    assert list(client.embed(model="minilm:latest", input=TEXTS[0]).embeddings[0]) == list(r.embeddings[0])
    assert list(client.embeddings(model="minilm", prompt=TEXTS[0]).embedding) == list(r.embeddings[0])


def test_a_long_text_is_cut_where_asked(minilm, reference):
    """As the model's own tokenizer cuts: the end goes, [SEP] stays."""
    long = "A text that does not end. " * 200
    ask = {"model": "minilm", "input": [long, TEXTS[0]]}
    for refused in (ask, {**ask, "truncate": False}):
        r = minilm.post("/api/embed", json=refused)
        assert r.status_code == 400 and "tokens, the model takes" in r.text
    r = minilm.post("/api/embed", json={**ask, "truncate": True}).json()
    most = r["prompt_eval_count"] - len(reference.tokenizer.encode(TEXTS[0]).ids)
    reference.tokenizer.enable_truncation(most)
    assert len(reference.tokenizer.encode(long).ids) == most
    for text, v in zip(ask["input"], r["embeddings"]):
        assert np.array(v) @ reference.embed(text) >= 0.9999
    reference.tokenizer.no_truncation()


def test_langchain(minilm):
    embeddings = pytest.importorskip("langchain_openai").OpenAIEmbeddings(
        base_url=minilm.url + "/v1", api_key="none", model="minilm", check_embedding_ctx_length=False
    )
    assert len(embeddings.embed_query("hello")) == 384 and len(embeddings.embed_documents(TEXTS)) == len(TEXTS)


def test_more_texts_than_sequences(minilm, client):
    """--sequences bounds what is computed at one time, not what may be asked."""
    few = Server(minilm.store, "--sequences", "3", "--admin", "off")
    try:
        asked = {"model": "minilm", "input": TEXTS, "encoding_format": "float"}
        got = few.post("/v1/embeddings", json=asked).json()["data"]
        assert [d["embedding"] for d in got] == [d.embedding for d in client.embeddings.create(**asked).data]
    finally:
        few.stop()
