# SPDX-License-Identifier: Apache-2.0
"""Text encoders that are graphs: an ONNX file with tokenizer.json beside it is asked in text, over every protocol.
The tokens are transformers' own, the answers ONNX Runtime's."""

import concurrent.futures
import threading

import grpc
import numpy as np
import onnxruntime
import pytest
import tensorflow_missing  # noqa: F401
import tritonclient.grpc
import tritonclient.http
from onnx import TensorProto, helper
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from conftest import Server, Store, constant, info, save, slow

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")

TEXTS = ["The cat sat on the mat.", "dogs!", "Unbelievably, the caf\u00e9 was open: 12 dogs & one cat sat.", ""]
CORPUS = [t.lower() for t in TEXTS] + ["the mat was open", "one two twelve cats and dogs", "believe the unopened"]
WIDTH = 6


def tokenizer(folder, kind, pad="[PAD]"):
    """Trained here, saved as transformers saves it."""
    models, trainers, pre, post = tokenizers.models, tokenizers.trainers, tokenizers.pre_tokenizers, tokenizers.processors
    if kind == "wordpiece":
        made = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = pre.BertPreTokenizer()
        special = ["[UNK]", "[CLS]", "[SEP]", "[MASK]", pad] if pad != "[PAD]" else [pad, "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        made.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=120, special_tokens=special))
        made.post_processor = post.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[(t, made.token_to_id(t)) for t in ("[CLS]", "[SEP]")]
        )
        names = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": pad, "mask_token": "[MASK]"}
    else:
        made = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
        made.pre_tokenizer = pre.ByteLevel(add_prefix_space=False)
        special = ["<s>", "<pad>", "</s>", "<unk>"]
        trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=special, initial_alphabet=pre.ByteLevel.alphabet())
        made.train_from_iterator(CORPUS, trainer)
        made.post_processor = post.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
        made.decoder = tokenizers.decoders.ByteLevel()
        names = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)
    fast.save_pretrained(str(folder))
    return fast


def encoder(folder, vocab, inputs=("input_ids", "attention_mask", "token_type_ids"), kind=TensorProto.INT64, length="length"):
    """Mean of the embeddings under the mask; types and positions count, so that a wrong one shows."""
    random = np.random.default_rng(3)
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["words"])]
    last = "words"
    if "token_type_ids" in inputs:
        nodes += [helper.make_node("Gather", ["types", "token_type_ids"], ["kinds"]), helper.make_node("Add", [last, "kinds"], ["both"])]
        last = "both"
    if "attention_mask" in inputs:
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["m"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["m", "minus"], ["m3"]),
            helper.make_node("Mul", [last, "m3"], ["masked"]),
            helper.make_node("ReduceSum", ["masked", "one"], ["sum"], keepdims=0),
            helper.make_node("ReduceSum", ["m", "one"], ["n"], keepdims=1),
            helper.make_node("Div", ["sum", "n"], ["embedding"]),
        ]
    else:
        nodes += [helper.make_node("ReduceMean", [last], ["embedding"], axes=[1], keepdims=0)]
    tables = [constant("table", random.normal(size=(vocab, WIDTH)).astype(np.float32)), constant("types", random.normal(size=(2, WIDTH)).astype(np.float32))]
    tables += [constant("minus", np.array([-1])), constant("one", np.array([1]))]
    path = folder / "model.onnx"
    save(path, nodes, [info(n, kind, ["batch", length]) for n in inputs], [info("embedding", TensorProto.FLOAT, ["batch", WIDTH])], tables)
    return path


def expected(path, fast, texts, most=512, length=None):
    session = onnxruntime.InferenceSession(str(path))
    padding = "max_length" if length else True
    tokens = fast(texts, padding=padding, truncation=True, max_length=length or most, return_tensors="np", return_token_type_ids=True)
    kinds = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
    return session.run(None, {i.name: tokens[i.name].astype(kinds[i.type]) for i in session.get_inputs()})[0]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("texts"), {}
    store = Store(folder / "store")
    cases = {
        "bert": ("wordpiece", {}, ("--input", "text")),
        "short": ("wordpiece", {"kind": TensorProto.INT32}, ("--input", "text:7")),
        "fixed": ("wordpiece", {"length": 16}, ()),
        "roberta": ("bpe", {"inputs": ("input_ids", "attention_mask")}, ("--input", "text:256")),
    }
    for name, (kind, more, flags) in cases.items():
        (folder / name).mkdir()
        fast = tokenizer(folder / name, kind)
        path = encoder(folder / name, len(fast), **more)
        made[name] = (path, fast)
        store.add(path, name, *flags)
    server = Server(store)
    yield server, made
    server.stop()


@pytest.mark.parametrize("name,limits", [("bert", {}), ("short", {"most": 7}), ("fixed", {"length": 16}), ("roberta", {})])
def test_as_transformers_and_onnx_runtime(texts, name, limits):
    server, (path, fast) = texts[0], texts[1][name]
    got = server.post(f"/v1/models/{name}:predict", json={"instances": TEXTS})
    assert got.status_code == 200, got.text
    assert np.allclose(got.json()["predictions"], expected(path, fast, TEXTS, **limits), atol=1e-5)
    for text in TEXTS:  # a row's answer does not hang on what it is padded with
        alone = server.post(f"/v1/models/{name}:predict", json={"instances": [text]}).json()["predictions"]
        assert np.allclose(alone, expected(path, fast, [text], **limits), atol=1e-5), text


def test_every_protocol(texts):
    server, (path, fast) = texts[0], texts[1]["bert"]
    want = expected(path, fast, TEXTS)

    def close(got):
        return np.allclose(got, want, atol=1e-5)

    assert close(server.post("/v1/models/bert:predict", json={"inputs": TEXTS}).json()["outputs"])
    assert close(server.post("/v1/models/bert:predict", json={"instances": [{"input_ids": t} for t in TEXTS]}).json()["predictions"])
    assert close(server.post("/predict/bert", json={"text": TEXTS}).json()["outputs"]["embedding"])
    assert close(server.post("/invocations?model=bert", json={"inputs": TEXTS}).json()["predictions"])
    frame = {"dataframe_split": {"columns": ["input_ids"], "data": [[t] for t in TEXTS]}}
    assert close(server.post("/invocations?model=bert", json=frame).json()["predictions"])
    assert close(server.post("/predictions/bert", json={"instances": TEXTS}).json())
    v2 = {"inputs": [{"name": "input_ids", "datatype": "BYTES", "shape": [len(TEXTS)], "data": TEXTS}]}
    assert close(np.reshape(server.post("/v2/models/bert/infer", json=v2).json()["outputs"][0]["data"], want.shape))
    data = np.array([t.encode() for t in TEXTS], np.object_)
    for module, address in ((tritonclient.http, server.address), (tritonclient.grpc, server.address)):
        x = module.InferInput("input_ids", [len(TEXTS), 1], "BYTES")
        x.set_data_from_numpy(data.reshape(-1, 1))
        assert close(module.InferenceServerClient(address).infer("bert", [x]).as_numpy("embedding"))
    with grpc.insecure_channel(server.address) as channel:
        r = predict_pb2.PredictRequest()
        r.model_spec.name = "bert"
        r.inputs["input_ids"].dtype = types_pb2.DT_STRING
        r.inputs["input_ids"].tensor_shape.dim.add(size=len(TEXTS))
        r.inputs["input_ids"].string_val.extend(t.encode() for t in TEXTS)
        y = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(r).outputs["embedding"]
        assert close(np.reshape(y.float_val, want.shape))


def test_numbers_are_still_taken(texts):
    server, (path, fast) = texts[0], texts[1]["bert"]
    tokens = fast(TEXTS, padding=True, return_tensors="np", return_token_type_ids=True)
    rows = [{k: tokens[k][i].tolist() for k in ("input_ids", "attention_mask", "token_type_ids")} for i in range(len(TEXTS))]
    got = server.post("/v1/models/bert:predict", json={"instances": rows}).json()["predictions"]
    assert np.allclose(got, expected(path, fast, TEXTS), atol=1e-5)
    one = fast(TEXTS[:1])["input_ids"]  # ids alone: all of them count
    got = server.post("/v1/models/bert:predict", json={"instances": one}).json()["predictions"]
    assert np.allclose(got, expected(path, fast, TEXTS[:1]), atol=1e-5)


def test_what_is_wrong_is_said(texts, tmp_path):
    server = texts[0]
    nested = server.post("/v1/models/bert:predict", json={"instances": [["a", "b"], ["c", "d"]]})
    assert nested.status_code == 400 and "one a row" in nested.json()["error"]
    assert server.post("/v1/models/bert:predict", json={"instances": ["a"] * 1025}).status_code == 400
    store = Store(tmp_path / "store")
    bare = encoder(tmp_path, 20)
    done = store.run("add", str(bare), "bare", "--input", "text", check=False)
    assert done.returncode != 0 and "no tokenizer.json" in done.stderr, done.stderr
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "Strange"}}')
    store.add(bare, "bare")  # of no use, and no reason to refuse the model
    for spec, why in (("text:x", "no number of tokens"), ("text:1", "2 to"), ("words", "image")):
        done = store.run("add", str(bare), "b", "--input", spec, check=False)
        assert done.returncode != 0 and why in done.stderr, done.stderr


def test_the_padding_token_is_the_model_s_own(tmp_path):
    """Under a name that nobody would guess; without a mask every answer tells what a row was filled with."""
    fast = tokenizer(tmp_path, "wordpiece", pad="<blank>")
    path = encoder(tmp_path, len(fast), inputs=("input_ids",))
    assert fast.pad_token_id == 4
    store = Store(tmp_path / "store")
    store.add(path, "odd", "--input", "text")
    server = Server(store)
    got = server.post("/v1/models/odd:predict", json={"instances": TEXTS})
    assert got.status_code == 200, got.text
    assert np.allclose(got.json()["predictions"], expected(path, fast, TEXTS), atol=1e-5)
    _, log = server.stop()
    assert "requests are not padded" in log  # what is filled in counts: requests of other lengths stay apart


def test_texts_of_other_lengths_share_runs(tmp_path):
    """A text encoder with a mask needs no word from whoever adds it."""
    fast = tokenizer(tmp_path, "wordpiece")
    path = encoder(tmp_path, len(fast))
    store = Store(tmp_path / "store")
    store.add(path, "bert")
    store.add(slow(tmp_path / "slow.onnx"), "slow")
    server = Server(store, "--threads", "1")
    counting = threading.Thread(target=lambda: server.post("/v1/models/slow:predict", json={"inputs": [60000]}))
    counting.start()
    asked = [" ".join(["cats"] * n) for n in range(24)]
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        got = list(pool.map(lambda t: server.post("/v1/models/bert:predict", json={"instances": [t]}).json()["predictions"][0], asked))
    counting.join()
    for text, vector in zip(asked, got):
        assert np.allclose(vector, expected(path, fast, [text])[0], atol=1e-5), text
    _, log = server.stop()
    assert "requests of other lengths join" in log
