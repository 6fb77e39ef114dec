"""Our tokenizers against Hugging Face's, ids and text, on lines of mixed text; bytes that are no UTF-8 must come back as they were."""

import os
import subprocess

import fetch
import gguf
import pytest
import tokenizers

import engine
import mixed_text

LINES = int(os.environ.get("SLIPWAY_TOKENIZER_LINES", "1500"))
PROGRAM = os.path.join(engine.BUILD, "tests", "golden", "tokenize")
PARSE = 2


def ours(model, texts, flags=0):
    """[(ids, decoded bytes)] of each text (bytes)."""
    stdin = b"".join(b"%d\n" % len(t) + t for t in texts)
    out = subprocess.run([PROGRAM, model, str(flags)], input=stdin, capture_output=True, check=True).stdout
    answers, at = [], 0
    for _ in texts:
        end = out.index(b"\n", at)
        ids = [int(x) for x in out[at:end].split()]
        at, end = end + 1, out.index(b"\n", end + 1)
        n = int(out[at:end])
        answers.append((ids, out[end + 1 : end + 1 + n]))
        at = end + n + 2
    return answers


def field(reader, key):
    f = reader.fields[key]
    return f.contents()


@pytest.fixture(scope="module")
def smollm():
    """Path, and the same vocabulary and merges in Hugging Face's implementation, pre-split as SmolLM's tokenizer.json says."""
    path = fetch.all_models()["smollm2"]
    reader = gguf.GGUFReader(path)
    words = field(reader, "tokenizer.ggml.tokens")
    kinds = field(reader, "tokenizer.ggml.token_type")
    merges = [tuple(m.split(" ")) for m in field(reader, "tokenizer.ggml.merges")]
    peer = tokenizers.Tokenizer(tokenizers.models.BPE({w: i for i, w in enumerate(words)}, merges))
    peer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [tokenizers.pre_tokenizers.Digits(individual_digits=True), tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    peer.decoder = tokenizers.decoders.ByteLevel()
    return path, peer, [w for w, k in zip(words, kinds) if k == 3]


def test_ids_and_text(smollm):
    path, peer, _ = smollm
    texts = mixed_text.lines(LINES)
    differing = [t for t, (ids, _), theirs in zip(texts, ours(path, [t.encode() for t in texts]), peer.encode_batch(texts)) if ids != theirs.ids]
    assert differing == []
    for text, (ids, back) in zip(texts, ours(path, [t.encode() for t in texts])):
        assert back.decode() == peer.decode(ids, skip_special_tokens=False)


def test_special_tokens_only_where_allowed(smollm):
    path, peer, controls = smollm
    text = "a " + " b ".join(controls) + " c"
    plain = ours(path, [text.encode()])[0][0]
    assert plain == peer.encode(text).ids and not set(plain) & {peer.token_to_id(c) for c in controls}
    peer.add_special_tokens(controls)
    assert ours(path, [text.encode()], PARSE)[0][0] == peer.encode(text).ids


def test_bytes_that_are_no_text_come_back(smollm):
    path, peer, _ = smollm
    known = {i for i, (ids, _) in enumerate(ours(path, [bytes([i]) for i in range(256)])) if ids}
    texts = [bytes(b for b in t if b in known) for t in mixed_text.broken(LINES // 4)]
    for text, (_, back) in zip(texts, ours(path, texts)):
        assert back.decode() == text.decode("utf-8", "replace")


def test_long_texts_take_no_longer_than_their_length(smollm):
    path, peer, _ = smollm
    for text in ("a" * 200_000, " " * 200_000, "ab" * 100_000, "汉" * 60_000, "\x00" * 100_000):
        assert ours(path, [text.encode()])[0][1].decode() == text
