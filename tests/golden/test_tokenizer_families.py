"""The tokenizer of each family of models, as its tokenizer.json is built, trained here on mixed text: ids and text equal to the
tokenizers library's. SentencePiece's own models, in GGUF, are compared with the sentencepiece library.

Real files are compared too where SLIPWAY_TOKENIZERS names a folder of folders with a tokenizer.json each."""
import glob
import io
import json
import os
import random
import shutil
import struct
import unicodedata

import gguf
import mixed_text
import numpy as np
import pytest
import sentencepiece
import tokenizers
from test_huggingface import GPT4O, LINES, LLAMA3, QWEN2, dec, folder_of, norm, post, pre, refused, write_folder
from test_tokenizers import ours

BLANK = "\u2581"
TEKKEN = GPT4O.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace("{1,3}", "")
ADD, PARSE = 1, 2
MARKS = [chr(c) for c in [*range(0x300, 0x320), 0x323, 0x327, 0x328, 0x338, 0x345, 0x5B0, 0x5B4, 0x64B, 0x651, 0x9BC, 0x93C, 0x3099, 0x20D0, 0xFE0F, 0x200D]]
BASES = list("aeiouAEIOUcnsyz<=>#1") + [chr(c) for c in (0x3B1, 0x3C9, 0x418, 0x627, 0x6C1, 0x915, 0x928, 0x9AF, 0x5D1, 0x304B, 0x30CF, 0x212B, 0x2126, 0xF900,
                                                        0xFB1D, 0xFB01, 0xFF21, 0xFF76, 0xFF9E, 0x3392, 0xFDFA, 0xE33, 0x1100, 0x1161, 0x11A8, 0xAC00, 0xAC01,
                                                        0x1EA5, 0x1F82, 0xE9, 0x2460, 0xBD, 0x2009, 0x85, 0x3000, 0x600, 0x70F, 0x1F3FD, 0xA0)]


def marked(n, seed=7):
    """Lines of letters with marks, in any order and number, of Jamo, compatibility characters and odd spaces."""
    r = random.Random(seed)
    return ["".join(r.choice(BASES) + "".join(r.choice(MARKS) for _ in range(r.choice([0, 0, 1, 1, 2, 3, 20 if r.random() < 0.05 else 1]))) +
                    r.choice(["", "", " ", "  ", "\r\n", "\t"]) for _ in range(r.randrange(1, 25))) for _ in range(n)]


def texts(special=False):
    return mixed_text.lines(LINES, seed=11, special=special) + marked(LINES // 2) + ["", " ", "  ", "\n", " a", "  a ", "\u3000", "a" * 300]


def equal(path, peer, some, flags=ADD, decodes=True):
    peer.encode_special_tokens = not flags & PARSE
    got, theirs = ours(path, [t.encode() for t in some], flags), peer.encode_batch(some)
    wrong = [(t, ids, t2.ids) for t, (ids, _), t2 in zip(some, got, theirs) if ids != t2.ids]
    assert wrong[:2] == [] and len(wrong) == 0
    for text, (ids, back) in zip(some, got):
        if decodes:
            assert back.decode() == peer.decode(ids), text


def corpus():
    return mixed_text.lines(1500) + marked(500, seed=3)


# --- byte-level BPE ---

def byte_bpe(pattern, words=False, nfc=False, digits=False):
    t = tokenizers.Tokenizer(tokenizers.models.BPE(ignore_merges=words))
    t.normalizer = norm.NFC() if nfc else None
    level = pre.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    first = [pre.Split(tokenizers.Regex(pattern), "isolated")] if pattern else [pre.Digits(individual_digits=True)] if digits else []
    t.pre_tokenizer, t.decoder = pre.Sequence(first + [level]), dec.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    t.train_from_iterator(corpus(), tokenizers.trainers.BpeTrainer(vocab_size=2500, special_tokens=special, show_progress=False,
                                                                   initial_alphabet=pre.ByteLevel.alphabet()))
    t.post_processor = post.TemplateProcessing(single="<|im_start|> $A", special_tokens=[("<|im_start|>", 1)]) if words else post.ByteLevel()
    t.add_tokens([tokenizers.AddedToken("<tool_call>", normalized=False), tokenizers.AddedToken("</tool_call>", normalized=False)])
    return t


BYTE_FAMILIES = {
    "smollm2": {"pattern": None, "digits": True}, "llama3": {"pattern": LLAMA3, "words": True}, "llama3_merged": {"pattern": LLAMA3},
    "qwen2": {"pattern": QWEN2, "nfc": True}, "mistral_tekken": {"pattern": TEKKEN, "words": True}, "tekken_merged": {"pattern": TEKKEN},
    "phi4": {"pattern": GPT4O}, "gpt4o_words": {"pattern": GPT4O, "words": True},
}


@pytest.mark.parametrize("family", BYTE_FAMILIES)
def test_byte_level(tmp_path, family):
    peer = byte_bpe(**BYTE_FAMILIES[family])
    path = folder_of(peer, tmp_path / "m")
    equal(path, peer, texts())
    equal(path, peer, texts(special=True), ADD | PARSE)
    equal(path, peer, ["<tool_call>{}</tool_call> <|im_end|>"])


# --- SentencePiece's BPE, as tokenizer.json has it ---

def sentence_bpe(style):
    t = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    t.normalizer = norm.Replace(" ", BLANK)
    if style == "gemma3":
        t.pre_tokenizer = pre.Split(" ", "merged_with_previous")
    special = ["<unk>", "<s>", "</s>"]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=3000, special_tokens=special + [f"<0x{b:02X}>" for b in range(256)], show_progress=False)
    t.train_from_iterator([" " + line for line in corpus()], trainer)
    made = json.loads(t.to_str())
    made["added_tokens"] = [a for a in made["added_tokens"] if not a["content"].startswith("<0x")]
    made["model"] |= {"byte_fallback": True, "fuse_unk": True}
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}
    if style == "llama2":
        made["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": BLANK}, replace]}
    elif style.startswith("metaspace"):
        made["normalizer"] = None
        made["pre_tokenizer"] = {"type": "Metaspace", "replacement": BLANK, "prepend_scheme": style.split("_")[1], "split": False}
    t = tokenizers.Tokenizer.from_str(json.dumps(made))
    strip = [dec.Strip(" ", 1, 0)] if style == "llama2" or style == "metaspace_first" else []
    t.decoder = dec.Sequence([dec.Replace(BLANK, " "), dec.ByteFallback(), dec.Fuse()] + strip)
    t.post_processor = post.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t


@pytest.mark.parametrize("style", ["llama2", "metaspace_first", "metaspace_always", "metaspace_never", "gemma3"])
def test_sentencepiece_bpe(tmp_path, style):
    peer = sentence_bpe(style)
    peer.add_tokens([tokenizers.AddedToken("\n\n", normalized=False), tokenizers.AddedToken("<start_of_turn>", normalized=False)])
    path = folder_of(peer, tmp_path / "m")
    equal(path, peer, texts())
    equal(path, peer, texts(special=True), ADD | PARSE)


# --- tokens that were added ---

EDGES = ["<|user|> \n hi <|end|>\n\n<|user|>x", "  <mask>  a<mask>", "word words reword word_ wordé éword word\u0301 (word) word", "\u00a0<mask>\u3000 <|end|>\u2003x",
         "a\u0338<tool> <tool>\u0301 <tool>\u0338", "x<tool>y", "<TOOL> tool", "word", "<mask>", "<|end|><|end|> <mask><mask>", "\u0301word\u0301"]


@pytest.mark.parametrize("style", ["qwen2", "llama2", "metaspace_first", "gemma3", "smollm2"])
def test_edges_of_added_tokens(tmp_path, style):
    peer = byte_bpe(**BYTE_FAMILIES[style]) if style in BYTE_FAMILIES else sentence_bpe(style)
    added = tokenizers.AddedToken
    peer.add_special_tokens([added("<|user|>", rstrip=True, normalized=False), added("<|end|>", rstrip=True, normalized=False)])
    peer.add_tokens([added("<mask>", lstrip=True, normalized=False), added("word", single_word=True, normalized=False), added("<tool>", normalized=True),
                     added("caf\u00e9", normalized=True)])
    path = folder_of(peer, tmp_path / "m")
    some = EDGES + ["cafe\u0301 caf\u00e9s caf\u00e9\u0301", " caf\u00e9", "a caf\u00e9"]
    r = random.Random(4)
    parts = ["<|user|>", "<|end|>", "<mask>", "word", "<tool>", "caf\u00e9", " ", "  ", "\n", "a", "\u0301", "e\u0301", "_", "1", "."]
    some += ["".join(r.choice(parts) for _ in range(r.randrange(1, 12))) for _ in range(LINES)]
    decodes = style not in BYTE_FAMILIES  # the library's ByteLevel takes the letters of added tokens for bytes
    equal(path, peer, some, ADD | PARSE, decodes)
    equal(path, peer, some, ADD, decodes)


def test_the_configuration_has_the_last_word(tmp_path):
    peer = byte_bpe(**BYTE_FAMILIES["smollm2"])
    path = folder_of(peer, tmp_path / "m")
    with open(f"{path}/tokenizer_config.json", "w") as f:
        json.dump({"added_tokens_decoder": {str(peer.get_vocab_size()): {"content": "<|late|>", "special": True, "rstrip": True}}}, f)
    peer.add_special_tokens([tokenizers.AddedToken("<|late|>", rstrip=True, normalized=False)])
    equal(path, peer, ["a <|late|>  b"], PARSE)


# --- unigram, with SentencePiece's table of characters ---

@pytest.fixture(scope="module")
def charsmap():
    return sentence_model("unigram", "nmt_nfkc").charsmap


def fields(raw):
    """[(number, value)] of a protobuf message."""
    at, out = 0, []

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            value |= (raw[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if raw[at - 1] < 128:
                return value
    while at < len(raw):
        key = varint()
        n = {0: 0, 1: 8, 2: None, 5: 4}[key & 7]
        if key & 7 == 0:
            out.append((key >> 3, varint()))
            continue
        n = varint() if n is None else n
        out.append((key >> 3, raw[at:at + n]))
        at += n
    return out


class SentenceModel:
    """ModelProto of sentencepiece_model.proto: pieces 1 (spelling 1, score 2, type 3), normalizer_spec 3."""

    def __init__(self, raw):
        self.raw, top = raw, fields(raw)
        pieces = [dict(fields(v)) for k, v in top if k == 1]
        self.pieces = [(p[1], struct.unpack("<f", p[2])[0], p.get(3, 1)) for p in pieces]
        spec = dict(fields(dict(top)[3]))
        self.charsmap, self.prefix, self.squeezes = spec.get(2, b""), bool(spec.get(3, 1)), bool(spec.get(4, 1))
        self.unknown = next(i for i, p in enumerate(self.pieces) if p[2] == 2)


def sentence_model(kind, rule, **options):
    """What the sentencepiece library trains."""
    out = io.BytesIO()
    words = [line.replace("\0", "").replace("\n", " ") for line in corpus()]
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(w for w in words if w.strip()), model_writer=out, model_type=kind, vocab_size=1500,
                                             normalization_rule_name=rule, character_coverage=0.99, hard_vocab_limit=False, minloglevel=2,
                                             num_threads=2, **options)
    return SentenceModel(out.getvalue())


XLMR = {
    "xlmr": ([], [pre.WhitespaceSplit(), pre.Metaspace()]),
    "e5": ([norm.Replace(tokenizers.Regex(" {2,}"), " ")], [pre.WhitespaceSplit(), pre.Metaspace()]),
    "xlmr_new": ([norm.Strip(left=False, right=True), norm.Replace(tokenizers.Regex(" {2,}"), BLANK)], [pre.Metaspace()]),
}


@pytest.mark.parametrize("style", XLMR)
def test_unigram_with_a_table_of_characters(tmp_path, style, charsmap):
    normalizers, pretokenizers = XLMR[style]
    t = tokenizers.Tokenizer(tokenizers.models.Unigram())
    t.normalizer = norm.Sequence([norm.Precompiled(charsmap), *normalizers])
    t.pre_tokenizer = pre.Sequence(pretokenizers) if len(pretokenizers) > 1 else pretokenizers[0]
    t.decoder = dec.Metaspace()
    trainer = tokenizers.trainers.UnigramTrainer(vocab_size=2000, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False)
    t.train_from_iterator(corpus(), trainer)
    t.post_processor = post.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    t.add_special_tokens([tokenizers.AddedToken("<mask>", lstrip=True, normalized=False)])
    made = json.loads(t.to_str())
    made["model"]["vocab"] = [[piece, float(np.float32(score))] for piece, score in made["model"]["vocab"]]  # as SentencePiece's are
    t = tokenizers.Tokenizer.from_str(json.dumps(made))
    path = folder_of(t, tmp_path / "m")
    equal(path, t, texts())
    equal(path, t, texts(special=True) + EDGES, ADD | PARSE)


def write_sentence_gguf(path, model, kind):
    g = gguf.GGUFWriter(path, "llama")
    g.add_tokenizer_model(kind)
    g.add_token_list([p[0] for p in model.pieces])
    g.add_token_scores([p[1] for p in model.pieces])
    g.add_token_types([p[2] for p in model.pieces])  # both number them alike
    g.add_add_space_prefix(model.prefix)
    g.add_unk_token_id(model.unknown)
    g.add_add_bos_token(False)
    if kind == "t5":
        g.add_remove_extra_whitespaces(model.squeezes)
        if model.charsmap:
            g.add_precompiled_charsmap(model.charsmap)
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()
    return str(path)


@pytest.mark.parametrize("kind, rule, options", [
    ("unigram", "nmt_nfkc", {}), ("unigram", "nfkc", {"byte_fallback": True}), ("unigram", "identity", {"remove_extra_whitespaces": False}),
    ("unigram", "nmt_nfkc_cf", {"add_dummy_prefix": False}), ("bpe", "identity", {"byte_fallback": True, "remove_extra_whitespaces": False}),
])
def test_sentencepiece_in_gguf(tmp_path, kind, rule, options):
    model = sentence_model(kind, rule, **options)
    peer = sentencepiece.SentencePieceProcessor(model_proto=model.raw)
    path = write_sentence_gguf(tmp_path / "m.gguf", model, "t5" if kind == "unigram" else "llama")
    some = [t.replace("\0", "") for t in texts() + texts(special=True)]
    scores = [p[1] for p in model.pieces]
    wrong = [(t, ids, peer.encode(t)) for t, (ids, _) in zip(some, ours(path, [t.encode() for t in some], ADD)) if ids != peer.encode(t)]
    # sums of floats, where ours are of doubles: two ways of equal score may trade places
    wrong = [w for w in wrong if kind == "bpe" or abs(sum(scores[i] for i in w[1]) - sum(scores[i] for i in w[2])) > 1e-3]
    assert wrong[:2] == [] and len(wrong) == 0


# --- BERT ---

@pytest.mark.parametrize("lower, strip", [(True, None), (False, None), (True, False), (False, True)])
def test_wordpiece(tmp_path, lower, strip):
    t = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = norm.BertNormalizer(lowercase=lower, strip_accents=strip), pre.BertPreTokenizer()
    t.decoder = dec.WordPiece()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t.train_from_iterator(corpus(), tokenizers.trainers.WordPieceTrainer(vocab_size=2000, special_tokens=names, show_progress=False))
    t.post_processor = post.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    path = folder_of(t, tmp_path / "m", "bert")
    some = ["".join(c for c in line if known(c)) for line in texts()]
    equal(path, t, some, decodes=False)  # the library's decoder mends spaces before punctuation


def known(c):
    """Characters that came, or changed their kind, after the library's tables of Unicode were made."""
    return unicodedata.category(c) == unicodedata.ucd_3_2_0.category(c)


# --- who wrote what ---

@pytest.mark.parametrize("family", [*BYTE_FAMILIES, "llama2", "metaspace_first", "gemma3"])
def test_users_cannot_spell_control_tokens(tmp_path, family):
    """Not as it is written, not composed, not by merges that lead to its spelling."""
    peer = byte_bpe(**BYTE_FAMILIES[family]) if family in BYTE_FAMILIES else sentence_bpe(family)
    made = json.loads(peer.to_str())
    controls = {a["id"]: a["content"] for a in made["added_tokens"] if a["special"]}
    for spelling in controls.values():  # a vocabulary trained on text with such words in it
        merge_up(made["model"], spelling)
    path = write_folder("llama", f"{tmp_path}/m")
    with open(f"{path}/tokenizer.json", "w") as f:
        json.dump(made, f)
    evil = [e for s in controls.values() for e in (s, f" {s}", f"x{s}y", s * 3, s.replace("<", "\uff1c"), s[:-1] + "\u200d>", f"{s}\u0338")]
    for text, (ids, back) in zip(evil, ours(path, [t.encode() for t in evil])):
        assert not set(ids) & set(controls), text
        want = unicodedata.normalize("NFC", text) if BYTE_FAMILIES.get(family, {}).get("nfc") else text
        assert back.decode() == (want.lstrip(" ") if family == "metaspace_first" else want)


def merge_up(model, spelling):
    """Merges that put a spelling together, letter by letter."""
    for end in range(2, len(spelling) + 1):
        left, right, whole = spelling[:end - 1], spelling[end - 1], spelling[:end]
        for piece in (left, right, whole):
            if piece not in model["vocab"]:
                model["vocab"][piece] = max(model["vocab"].values()) + 100
        if [left, right] not in model["merges"]:
            model["merges"].insert(0, [left, right])


def test_scores_do_not_lead_to_control_tokens(tmp_path):
    """SentencePiece's BPE in GGUF: "</" and "s>" are tokens, and "</s>" is another one, with the best score of all."""
    g = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    words = ["<unk>", "<s>", "</s>", "<", "/", "s", ">", "</", "s>", "<s", "<0x41>", "<0", "x41>", "x", "4", "1", "0", "41", "x41"]
    g.add_tokenizer_model("llama")
    g.add_token_list(words)
    g.add_token_scores([0.0, 0.0, 0.0] + [-float(i) for i in range(3, len(words))])
    g.add_token_types([2, 3, 3] + [6 if w == "<0x41>" else 1 for w in words[3:]])
    g.add_add_space_prefix(False)
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()
    answers = ours(str(tmp_path / "m.gguf"), [b"</s>", b"<s>", b"<unk>", b"<0x41>"])
    assert [{1, 2, 10} & set(ids) for ids, _ in answers] == [set()] * 4
    assert answers[0][1] == b"</s>"


# --- refused ---

@pytest.mark.parametrize("change, says", [
    ({"normalizer": {"type": "NFKD"}}, "normalizer 'NFKD'"),
    ({"normalizer": {"type": "Replace", "pattern": {"String": "a"}, "content": "b"}}, "normalizer Replace of 'a'"),
    ({"decoder": {"type": "CTC"}}, "decoder 'CTC'"),
    ({"decoder": {"type": "Metaspace"}}, "decoder 'Metaspace'"),
    ({"post_processor": {"type": "Strange"}}, "post_processor 'Strange'"),
    ({"model": {"dropout": 0.1}}, "dropout '0.1'"),
    ({"model": {"end_of_word_suffix": "</w>"}}, "end_of_word_suffix '</w>'"),
    ({"pre_tokenizer": {"type": "Split", "pattern": {"String": "x"}, "behavior": "Isolated", "invert": False}}, "pre_tokenizer 'Split'"),
    ({"model": {"type": "WordLevel"}}, "model 'WordLevel'"),
])
def test_parts_that_are_refused(tmp_path, change, says):
    made = json.loads(byte_bpe(None).to_str())
    for key, value in change.items():
        made[key] = made[key] | value if key == "model" else value
    path = write_folder("llama", f"{tmp_path}/m")
    with open(f"{path}/tokenizer.json", "w") as f:
        json.dump(made, f)
    assert says in refused(path)


@pytest.mark.parametrize("damage", [lambda b: b[:3], lambda b: b"\xff\xff\xff\x7f" + b[4:], lambda b: b"\x03\0\0\0" + b[4:], lambda b: b"\0\0\0\0" + b[4:]])
def test_broken_tables_of_characters(tmp_path, damage, charsmap):
    model = sentence_model("unigram", "nmt_nfkc")
    model.charsmap = damage(charsmap)
    with pytest.raises(Exception):
        ours(write_sentence_gguf(tmp_path / "m.gguf", model, "t5"), [b"a"])


# --- real files ---

def real():
    return sorted(glob.glob(os.path.join(os.environ.get("SLIPWAY_TOKENIZERS", "/nonexistent"), "**", "tokenizer.json"), recursive=True))


@pytest.mark.parametrize("file", real() or [pytest.param("", marks=pytest.mark.skip(reason="SLIPWAY_TOKENIZERS names no folder of tokenizers"))])
def test_real_files(tmp_path, file):
    path = write_folder("llama", f"{tmp_path}/m")
    for name in os.listdir(os.path.dirname(file)):
        if name.startswith("tokenizer"):
            shutil.copy(os.path.join(os.path.dirname(file), name), path)
    peer = tokenizers.Tokenizer.from_file(file)
    peer.no_truncation()
    peer.no_padding()
    decodes = json.loads(peer.to_str())["model"]["type"] != "WordPiece"
    equal(path, peer, texts(), decodes=decodes)
    equal(path, peer, texts(special=True), ADD | PARSE, decodes)
