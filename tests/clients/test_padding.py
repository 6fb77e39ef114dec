# SPDX-License-Identifier: Apache-2.0
"""Requests of different lengths in one run: the answers are those of ONNX Runtime, asked one by one."""

import concurrent.futures
import threading

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from conftest import Server, Store, constant, info, save, slow

WIDTH = 6


def tagger(path, masked=True):
    """Per token: its vector, and the mean of all; per text: the mean of all under the mask."""
    i64, f32 = TensorProto.INT64, TensorProto.FLOAT
    random = np.random.default_rng(5)
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["words"]),
        helper.make_node("Cast", ["mask"], ["m"], to=f32),
        helper.make_node("Unsqueeze", ["m", "minus"], ["m3"]),
        helper.make_node("Mul", ["words", "m3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept" if masked else "words", "one"], ["sum"], keepdims=1),
        helper.make_node("ReduceSum", ["m3", "one"], ["n"], keepdims=1),
        helper.make_node("Div", ["sum", "n"], ["mean"]),
        helper.make_node("Add", ["words", "mean"], ["tags"]),
        helper.make_node("Squeeze", ["mean", "one"], ["pooled"]),
        helper.make_node("MatMul", ["m3", "row"], ["square"]),
        helper.make_node("Transpose", ["m3"], ["row"], perm=[0, 2, 1]),
    ]
    nodes = nodes[:-2] + [nodes[-1], nodes[-2]]
    tables = [constant("table", random.normal(size=(50, WIDTH)).astype(np.float32)), constant("minus", np.array([-1])), constant("one", np.array([1]))]
    return save(
        path,
        nodes,
        [info("tokens", i64, ["batch", "length"]), info("mask", i64, ["batch", "length"])],
        [info("tags", f32, ["batch", "length", WIDTH]), info("pooled", f32, ["batch", WIDTH]), info("square", f32, ["batch", "length", "length"])],
        tables,
    )


def questions(n=48):
    random = np.random.default_rng(11)
    for i in range(n):
        length = int(random.integers(1, 40))
        rows = int(random.integers(1, 3))
        mask = np.ones((rows, length), np.int64)
        mask[:, length - length // 3 :] = 0
        yield {"tokens": random.integers(0, 50, (rows, length)), "mask": mask}


def ask(server, model, question):
    body = {"inputs": {k: v.tolist() for k, v in question.items()}}
    answer = server.post(f"/v1/models/{model}:predict", json=body)
    assert answer.status_code == 200, answer.text
    return {k: np.array(v, np.float32) for k, v in answer.json()["outputs"].items()}


def crowd(server, model, asked):
    """All at one time, while the only core counts."""
    counting = threading.Thread(target=lambda: server.post("/v1/models/slow:predict", json={"inputs": [60000]}))
    counting.start()
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda q: ask(server, model, q), asked))
    counting.join()
    return answers


def counts(server, model):
    stats = server.get(f"/v2/models/{model}/stats").json()["model_stats"][0]
    return stats["inference_count"], stats["execution_count"]


def compare(path, asked, answers):
    session = onnxruntime.InferenceSession(str(path))
    for question, answer in zip(asked, answers):
        for output, want in zip(session.get_outputs(), session.run(None, question)):
            assert answer[output.name].shape == want.shape
            assert np.allclose(answer[output.name], want, atol=1e-5), output.name


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    made.add(slow(tmp_path / "slow.onnx"), "slow")
    return made


def test_answers_are_those_of_one_by_one(store, tmp_path):
    path = tagger(tmp_path / "tagger.onnx")
    store.add(path, "tagger", "--pad", "tokens=3,mask=0")
    server = Server(store, "--threads", "1")
    asked = list(questions())
    for _ in range(3):
        compare(path, asked, crowd(server, "tagger", asked))
    rows, runs = counts(server, "tagger")
    assert rows == 3 * sum(len(q["mask"]) for q in asked) and runs <= 3 * len(asked)
    _, log = server.stop()
    assert "requests of other lengths join" in log


def test_lengths_stay_apart_where_it_was_not_declared(store, tmp_path):
    path = tagger(tmp_path / "tagger.onnx")
    store.add(path, "tagger")
    server = Server(store, "--threads", "1")
    asked = list(questions(24))
    compare(path, asked, crowd(server, "tagger", asked))
    assert counts(server, "tagger")[1] >= len({q["mask"].shape[1] for q in asked})
    server.stop()


def test_a_model_whose_answers_would_change_is_not_padded(store, tmp_path):
    """It was declared, but the try at loading shows that the filling counts."""
    path = tagger(tmp_path / "tagger.onnx", masked=False)
    store.add(path, "tagger", "--pad", "tokens,mask")
    server = Server(store, "--threads", "1")
    asked = list(questions(24))
    compare(path, asked, crowd(server, "tagger", asked))
    _, log = server.stop()
    assert "requests are not padded" in log and "output 'tags' changes by" in log, log


def test_tensorflow_serving_s_parameters(store, tmp_path):
    """pad_variable_length_inputs: all inputs, by zeros. allowed_batch_sizes: no others are joined."""
    path = tagger(tmp_path / "tagger.onnx")
    store.add(path, "tagger")
    file = tmp_path / "batching"
    file.write_text("max_batch_size { value: 8 }\nallowed_batch_sizes: [2, 8]\npad_variable_length_inputs: true\n")
    server = Server(store, "--threads", "1", "--batching-parameters-file", str(file))
    asked = [{k: v[:1] for k, v in q.items()} for q in questions(40)]
    for _ in range(3):
        compare(path, asked, crowd(server, "tagger", asked))
    assert counts(server, "tagger")[0] == 3 * len(asked)
    server.stop()


def product(path):
    """Of two texts of their own lengths: each with each, and the one beside the sum of the other."""
    f32 = TensorProto.FLOAT
    nodes = [
        helper.make_node("Unsqueeze", ["left", "minus"], ["column"]),
        helper.make_node("Unsqueeze", ["right", "one"], ["row"]),
        helper.make_node("Mul", ["column", "row"], ["table"]),
        helper.make_node("ReduceSum", ["right", "one"], ["sum"], keepdims=1),
        helper.make_node("Add", ["left", "sum"], ["shifted"]),
    ]
    return save(
        path,
        nodes,
        [info("left", f32, ["batch", "a"]), info("right", f32, ["batch", "b"])],
        [info("table", f32, ["batch", "a", "b"]), info("shifted", f32, ["batch", "a"])],
        [constant("minus", np.array([-1])), constant("one", np.array([1]))],
    )


def test_two_lengths(store, tmp_path):
    """Dims of two names are two lengths: each is filled up by itself, and cut back."""
    path = product(tmp_path / "product.onnx")
    store.add(path, "product", "--pad", "left=7,right=0")
    server = Server(store, "--threads", "1")
    random = np.random.default_rng(3)
    lengths = [(int(a), int(b)) for a, b in random.integers(1, 16, (24, 2))]
    asked = [{"left": random.normal(size=(1, a)).astype(np.float32), "right": random.normal(size=(1, b)).astype(np.float32)} for a, b in lengths]
    for _ in range(3):
        compare(path, asked, crowd(server, "product", asked))
    rows, runs = counts(server, "product")
    assert rows == 3 * len(asked) and runs <= rows
    _, log = server.stop()
    assert "requests of other lengths join" in log
    store.add(path, "summed", "--pad", "left,right=1")  # ones would count in the sum
    server = Server(store, "--threads", "1", models=["summed"])
    _, log = server.stop()
    assert "requests are not padded" in log and "output 'shifted' changes by" in log, log


@pytest.mark.parametrize(
    "pad,why",
    [
        ("words=0", "padding: the model has no input 'words'"),
        ("tokens=x", "padding: 'x' is not a number"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_added(store, tmp_path, pad, why):
    done = store.run("add", tagger(tmp_path / "tagger.onnx"), "tagger", "--pad", pad, check=False)
    assert done.returncode != 0 and why in done.stderr, done.stderr


@pytest.mark.parametrize(
    "text,why",
    [
        ("max_batch_size { value: 4 } allowed_batch_sizes: [2, 8]", "the last of allowed_batch_sizes must be max_batch_size"),
        ("max_batch_size { value: 4 } allowed_batch_sizes: [4, 2]", "allowed_batch_sizes must be positive and rising"),
        ("pad_variable_length_inputs: maybe", "pad_variable_length_inputs"),
    ],
)
def test_parameters_that_cannot_be(store, tmp_path, text, why):
    file = tmp_path / "batching"
    file.write_text(text)
    done = store.run("serve", "--listen", "127.0.0.1:0", "--batching-parameters-file", str(file), check=False)
    assert done.returncode != 0 and why in done.stderr, done.stderr
