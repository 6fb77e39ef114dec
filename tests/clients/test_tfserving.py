# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Serving's REST forms: what the documentation of its API shows, asked of the real binary."""

import base64
import gzip
import json
import zlib

import numpy as np
import pytest
import zstandard

from conftest import until


def predict(server, model, body, code=200):
    data = body if isinstance(body, (str, bytes)) else json.dumps(body)
    answer = server.post(f"/v1/models/{model}:predict", data=data)
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_row_form(server):
    # affine@1 is "prod", which a model without selector means
    assert predict(server, "affine", {"instances": [[1, 2, 3, 4], [0, 0, 0, 0]]}) == {
        "predictions": [[1.5, 4, 9, 17], [0.5, 0, 0, 1]]
    }
    assert predict(server, "pair", {"instances": [{"a": [1, 2], "b": [3, 4]}, {"b": [1, 1], "a": [1, 1]}]}) == {
        "predictions": [{"s": [4, 6], "d": [-2, -2]}, {"s": [2, 2], "d": [0, 0]}]
    }


def test_column_form(server):
    assert predict(server, "affine", {"inputs": [[1, 2, 3, 4]]}) == {"outputs": [[1.5, 4, 9, 17]]}
    assert predict(server, "affine", {"inputs": {"x": [[1, 2, 3, 4]]}, "signature_name": "serving_default"}) == {
        "outputs": [[1.5, 4, 9, 17]]
    }
    assert predict(server, "pair", {"inputs": {"a": [[1, 2]], "b": [[3, 4]]}}) == {
        "outputs": {"s": [[4, 6]], "d": [[-2, -2]]}
    }


def test_versions_and_labels(server):
    # version 2 is neither "prod" nor the newest asked for: the first request loads it
    server.post("/v1/models/affine/versions/2:predict", data="{}")
    assert until(
        lambda: server.get("/v1/models/affine/versions/2").json()["model_version_status"][0]["state"] == "AVAILABLE"
    )
    assert predict(server, "affine/versions/2", {"instances": [[1, 2, 3, 4]]}) == {"predictions": [[10, 20, 30, 40]]}
    assert predict(server, "affine/versions/1", {"instances": [[1, 2, 3, 4]]})["predictions"] == [[1.5, 4, 9, 17]]
    assert predict(server, "affine/labels/prod", {"instances": [[1, 2, 3, 4]]})["predictions"] == [[1.5, 4, 9, 17]]


def test_strings(server):
    text = [["plain", "größe"], ["", 'a"b\\c\n']]
    assert predict(server, "echo_text", {"instances": text}) == {"predictions": text}
    coded = [[{"b64": base64.b64encode(t.encode()).decode()} for t in row] for row in text]
    assert predict(server, "echo_text", {"instances": coded}) == {"predictions": text}
    assert predict(server, "echo_text", {"inputs": coded}) == {"outputs": text}


@pytest.mark.parametrize(
    "name,values",
    [
        ("bool", [[True, False]]),
        ("i64", [[-9223372036854775808, 9223372036854775807]]),
        ("u64", [[0, 18446744073709551615]]),
        ("i8", [[-128, 127]]),
        ("u8", [[0, 255]]),
        ("i32", [[-2147483648, 2147483647]]),
        ("f64", [[0.1, -1e300]]),
        ("f16", [[0.5, 65504]]),
    ],
)
def test_types(server, name, values):
    assert predict(server, "echo_" + name, {"instances": values}) == {"predictions": values}


def test_floats_round_trip(server):
    values = np.frombuffer(np.random.default_rng(1).bytes(4 * 4096), np.float32)
    values = values[np.isfinite(values)].reshape(1, -1)
    got = predict(server, "echo_f32", {"inputs": values.astype(float).tolist()})["outputs"]
    assert np.array_equal(np.array(got, np.float32).view(np.uint32), values.view(np.uint32))


def test_nan_and_infinity(server):
    answer = server.post("/v1/models/echo_f32:predict", data='{"instances": [[NaN, Infinity, -Infinity]]}')
    assert answer.text == '{"predictions":[[NaN,Infinity,-Infinity]]}'


# How clients compress a request: httpx and browsers say deflate for zlib's form, some send it bare.
CODINGS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate ": lambda body: zlib.compress(body)[2:-4],
    "zstd": zstandard.compress,
    "ZSTD": lambda body: zstandard.ZstdCompressor().stream_reader(body).read(),  # without its length in front
}


@pytest.mark.parametrize("coding", CODINGS)
def test_compressed_requests(server, coding):
    body = json.dumps({"instances": [[1, 2, 3, 4]] * 500}).encode()
    compressed = CODINGS[coding](body)
    headers = {"Content-Encoding": coding.strip()}
    assert server.post("/v1/models/affine:predict", data=compressed, headers=headers).json() == {"predictions": [[1.5, 4, 9, 17]] * 500}
    chunked = server.post("/v1/models/affine:predict", data=iter([compressed[:9], compressed[9:]]), headers=headers)
    assert chunked.json() == {"predictions": [[1.5, 4, 9, 17]] * 500}
    for damaged in (compressed[:-6] if coding != "deflate " else compressed[:20], b"not compressed", b""):
        answer = server.post("/v1/models/affine:predict", data=damaged, headers=headers)
        assert answer.status_code == 400 and "error" in answer.json(), (damaged, answer.text)


def test_form_encoded_and_gzip(server):
    body = b'{"instances": [[1, 2, 3, 4]]}'
    answer = server.post(
        "/v1/models/affine:predict", data=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.json() == {"predictions": [[1.5, 4, 9, 17]]}
    answer = server.post("/v1/models/affine:predict", data=gzip.compress(body), headers={"Content-Encoding": "gzip"})
    assert answer.json() == {"predictions": [[1.5, 4, 9, 17]]}
    answer = server.post("/v1/models/affine:predict", data=b"not gzip", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 400 and "compressed body is damaged" in answer.json()["error"]
    answer = server.post("/v1/models/affine:predict", data=body, headers={"Content-Encoding": "br"})
    assert answer.status_code == 415


def test_status(server):
    got = server.get("/v1/models/affine").json()
    assert {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}} in got[
        "model_version_status"
    ]
    assert got["ready"] is True and got["name"] == "affine"  # KServe V1
    one = server.get("/v1/models/affine/labels/prod").json()["model_version_status"]
    assert one == [{"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]
    assert "pair" in server.get("/v1/models").json()["models"]


def test_metadata(server):
    got = server.get("/v1/models/pair/metadata").json()
    tensor = {
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "-1", "name": "N"}, {"size": "2", "name": ""}], "unknown_rank": False},
    }
    assert got == {
        "model_spec": {"name": "pair", "signature_name": "", "version": "1"},
        "metadata": {
            "signature_def": {
                "signature_def": {
                    "serving_default": {
                        "inputs": {"a": {**tensor, "name": "a"}, "b": {**tensor, "name": "b"}},
                        "outputs": {"s": {**tensor, "name": "s"}, "d": {**tensor, "name": "d"}},
                        "method_name": "tensorflow/serving/predict",
                        "defaults": {},
                    }
                }
            }
        },
    }


@pytest.mark.parametrize(
    "path,body,code,text",
    [
        ("nobody:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(nobody)"),
        (
            "affine/versions/99:predict",
            {"instances": [1]},
            404,
            "Servable not found for request: Specific(affine, 99)",
        ),
        ("affine/labels/none:predict", {"instances": [1]}, 400, "Unrecognized servable version label: none"),
        ("nobody/labels/none:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(nobody)"),
        ("affine/versions/x:predict", {"instances": [1]}, 400, "'x' is not a version"),
        ("affine:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        (
            "affine:predict",
            {"instances": [[1, 2, 3, 4]], "inputs": [[1, 2, 3, 4]]},
            400,
            "only one of 'inputs' or 'instances'",
        ),
        ("affine:predict", {"instances": []}, 400, "at least one row"),
        ("affine:predict", {"instances": 5}, 400, "expected an array of rows"),
        (
            "affine:predict",
            {"signature_name": "other", "instances": [[1, 2, 3, 4]]},
            400,
            'Serving signature name: "other" not found',
        ),
        ("affine:predict", {"instances": [[1, 2, 3]]}, 400, "expected shape [-1,4] (-1: any), got [1,3]"),
        ("affine:predict", {"instances": [[1, 2, 3, 4], [1, 2]]}, 400, "line 1 column"),
        ("affine:predict", {"instances": [[1, 2, 3, "4"]]}, 400, "expected a number, found a string"),
        ("pair:predict", {"instances": [{"a": [1, 2]}]}, 400, "'b' is missing; the model takes 'a', 'b'"),
        (
            "pair:predict",
            {"instances": [{"a": [1, 2], "b": [1, 2], "c": 1}]},
            400,
            "unexpected 'c'; the model takes 'a', 'b'",
        ),
        ("pair:predict", {"instances": [[1, 2]]}, 400, "each row must be an object"),
        ("pair:predict", {"instances": [{"a": [1, 2], "b": [1, 2]}, {"a": [1, 2]}]}, 400, "'b' is missing"),
        (
            "pair:predict",
            {"instances": [{"a": [1, 2], "b": [1, 2]}, {"a": [1, 2, 3], "b": [1, 2]}]},
            400,
            "value 1 has shape [3]",
        ),
        ("echo_i32:predict", {"instances": [[1.5]]}, 400, "no whole number"),
        ("echo_i32:predict", {"instances": [[2147483648]]}, 400, "out of range"),
        ("echo_text:predict", {"instances": [[{"b64": "***"}]]}, 400, "line 1 column"),
    ],
)
def test_mistakes(server, path, body, code, text):
    answer = server.post("/v1/models/" + path, data=json.dumps(body))
    assert answer.status_code == code, answer.text
    assert list(answer.json()) == ["error"] and text in answer.json()["error"]


def test_wrong_json_says_where(server):
    answer = server.post("/v1/models/affine:predict", data='{"instances":\n [[1, 2, 3, 4],\n  [1, 2,, 4]]}')
    assert answer.status_code == 400 and "line 3 column 9" in answer.json()["error"], answer.text
    for bad in ("", "{", "[]", '{"instances": [[1,2,3,4]]', '{"instances": [[1,2,3,4]]} x', '{"a" 1}', "\x00"):
        answer = server.post("/v1/models/affine:predict", data=bad)
        assert answer.status_code == 400 and "line 1 column" in answer.json()["error"], (bad, answer.text)


def test_unknown_status(server):
    answer = server.get("/v1/models/nobody")
    assert answer.status_code == 404 and answer.json()["error"] == "Could not find any versions of model nobody"
    answer = server.get("/v1/models/affine:predict")
    assert answer.status_code == 405 and answer.headers["allow"] == "POST, OPTIONS"


# --- classify, regress: transcripts of request and reply ---


@pytest.fixture(scope="module")
def classic(tmp_path_factory):
    """What :classify and :regress need: scores with labels, one number a row."""
    from conftest import Server, Store, affine, info, save
    from onnx import TensorProto, helper

    folder = tmp_path_factory.mktemp("classic")
    f32 = TensorProto.FLOAT
    line = save(
        folder / "line.onnx",
        [helper.make_node("Add", ["age", "income"], ["outputs"])],
        [info("age", f32, ["N", 1]), info("income", f32, ["N", 1])],
        [info("outputs", f32, ["N", 1])],
    )
    (folder / "labels.txt").write_text("ant\nbee\ncat\ndog\n")
    store = Store(folder / "store")
    store.add(line, "line")
    store.add(affine(folder / "a.onnx", (1, 1, 1, 1), (0, 0, 0, 0)), "plain")
    store.add(affine(folder / "b.onnx", (1, 1, 1, 2), (0, 0, 0, 0)), "named", "--labels", str(folder / "labels.txt"))
    server = Server(store)
    yield server
    server.stop()


@pytest.mark.parametrize(
    "path,body,reply",
    [
        (
            "line:regress",
            {"examples": [{"age": 3, "income": 4.5}, {"income": 1, "age": 2}]},
            {"results": [7.5, 3.0]},
        ),
        ("line:regress", {"context": {"age": 10}, "examples": [{"income": 1}, {"income": 2}]}, {"results": [11.0, 12.0]}),
        ("line:regress", {"context": {}, "examples": [{"age": 1, "income": 1}]}, {"results": [2.0]}),
        ("line:regress", {"signature_name": "serving_default", "examples": [{"age": 0, "income": 0}]}, {"results": [0.0]}),
        (
            "plain:classify",
            {"examples": [{"x": [4, 3, 2, 1]}]},
            {"results": [[["0", 4.0], ["1", 3.0], ["2", 2.0], ["3", 1.0]]]},
        ),
        ("plain:classify", {"examples": [{"a": 1, "b": 2, "c": 3, "d": 4}]}, {"results": [[["0", 1.0], ["1", 2.0], ["2", 3.0], ["3", 4.0]]]}),
        (
            "named:classify",
            {"examples": [{"x": [4, 3, 2, 3]}, {"x": [0, 1, 2, 3]}]},
            {"results": [
                [["dog", 6.0], ["ant", 4.0], ["bee", 3.0], ["cat", 2.0]],
                [["dog", 6.0], ["cat", 2.0], ["bee", 1.0], ["ant", 0.0]],
            ]},
        ),
        ("named/versions/1:classify", {"examples": [{"x": [0, 0, 0, 1]}]}, {"results": [[["dog", 2.0], ["ant", 0.0], ["bee", 0.0], ["cat", 0.0]]]}),
    ],
)  # fmt: skip
def test_classify_and_regress(classic, path, body, reply):
    answer = classic.post(f"/v1/models/{path}", json=body)
    assert answer.status_code == 200 and answer.json() == reply, answer.text


@pytest.mark.parametrize(
    "path,body,code,text",
    [
        ("line:regress", {}, 400, "key 'examples' is expected"),
        ("line:regress", {"examples": {}}, 400, "expected"),
        ("line:regress", {"examples": [3]}, 400, "expected"),
        ("line:regress", {"examples": []}, 400, "at least one row"),
        ("line:regress", {"examples": [{"age": 3}]}, 400, "income"),
        ("line:regress", {"examples": [{"age": 3, "income": None}]}, 400, "column 'income'"),
        ("line:regress", {"examples": [{"age": "a", "income": 1}]}, 400, "column 'age'"),
        ("line:regress", {"context": 3, "examples": [{"age": 1, "income": 1}]}, 400, "expected"),
        ("plain:regress", {"examples": [{"x": [1, 2, 3, 4]}]}, 400, "Expected a regression"),
        ("none:classify", {"examples": [{"x": [1]}]}, 404, "Servable not found for request: Latest(none)"),
        ("plain:classify", {"signature_name": "x", "examples": [{"x": [1]}]}, 400, 'signature name: "x" not found'),
        ("plain:explain", {"instances": [1]}, 501, "explanations are not supported"),
    ],
)
def test_classify_mistakes(classic, path, body, code, text):
    answer = classic.post(f"/v1/models/{path}", json=body)
    assert answer.status_code == code and text in answer.json()["error"], answer.text


def test_cloud_events(classic):
    """KServe, binary mode: an event is answered by an event."""
    headers = {"ce-id": "77", "ce-source": "test", "ce-type": "ask", "ce-specversion": "1.0"}
    answer = classic.post("/v1/models/plain:predict", json={"instances": [[1, 2, 3, 4]]}, headers=headers)
    assert answer.json() == {"predictions": [[1, 2, 3, 4]]}
    got = {k: v for k, v in answer.headers.items() if k.startswith("ce-")}
    assert got == {
        "ce-id": "77",
        "ce-specversion": "1.0",
        "ce-type": "io.kserve.inference.response",
        "ce-source": "io.kserve.inference.plain",
    }
