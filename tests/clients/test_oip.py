# SPDX-License-Identifier: Apache-2.0
"""Open Inference Protocol by hand: documented forms, and bytes no client library would send."""

import json
import struct

import numpy as np
import pytest


def infer(server, model, head, raw=None, **headers):
    data = head if isinstance(head, (bytes, str)) else json.dumps(head).encode()
    if raw is not None:
        headers = {
            "Inference-Header-Content-Length": str(len(data)),
            "Content-Type": "application/octet-stream",
            **headers,
        }
        data = data + raw
    return server.post(f"/v2/models/{model}/infer", data=data, headers=headers)


X = {"name": "x", "shape": [1, 4], "datatype": "FP32"}


def test_documented_form(server):
    answer = infer(
        server, "affine", {"id": "42", "inputs": [{**X, "data": [1, 2, 3, 4]}], "outputs": [{"name": "y"}]}
    )
    assert answer.json() == {
        "id": "42",
        "model_name": "affine",
        "model_version": "1",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 4], "data": [1.5, 4, 9, 17]}],
    }
    nested = infer(server, "affine", {"inputs": [{"data": [[1, 2, 3, 4]], **X}]})  # data before its datatype
    assert nested.json()["outputs"][0]["data"] == [1.5, 4, 9, 17] and "id" not in nested.json()


def test_unknown_members_are_ignored(server):
    answer = infer(
        server,
        "affine",
        {
            "inputs": [{**X, "data": [1, 2, 3, 4], "parameters": {"content_type": "np"}, "more": {}}],
            "parameters": {"sequence_id": 0, "priority": 3, "mine": "a"},
            "future": [1, {"a": None}],
        },
    )
    assert answer.status_code == 200, answer.text


def test_half_precision_as_numbers(server):
    answer = infer(
        server, "echo_f16", {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP16", "data": [0.5, 65504]}]}
    )
    assert answer.json()["outputs"][0] == {
        "name": "y",
        "datatype": "FP16",
        "shape": [1, 2],
        "data": [0.5, 65504],
    } or answer.json()["outputs"][0]["data"] == [0.5, 65504]


def test_nan(server):
    answer = infer(
        server,
        "echo_f32",
        '{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[NaN,Infinity,-Infinity]}]}',
    )
    assert '"data":[NaN,Infinity,-Infinity]' in answer.text


def test_binary_at_every_alignment(server):
    rows = {pad: 2 if pad % 3 else 5000 for pad in range(16)}  # a long body is placed, a long answer is sent from where it was computed
    for pad, n in rows.items():
        x = np.arange(4 * n, dtype=np.float64).reshape(n, 4)
        head = (
            json.dumps(
                {
                    "inputs": [
                        {"name": "x", "shape": [n, 4], "datatype": "FP64", "parameters": {"binary_data_size": x.nbytes}}
                    ],
                    "parameters": {"binary_data_output": True},
                }
            )
            + " " * pad
        )
        answer = infer(server, "echo_f64", head.encode(), x.tobytes())
        size = int(answer.headers["inference-header-content-length"])
        assert np.array_equal(np.frombuffer(answer.content[size:], np.float64).reshape(n, 4), x)


def test_empty_batch_and_large(server):
    answer = infer(server, "echo_f32", {"inputs": [{"name": "x", "shape": [0, 4], "datatype": "FP32", "data": []}]})
    assert answer.status_code in (200, 400) and "error" in answer.json() or answer.json()["outputs"][0]["data"] == []
    x = np.random.default_rng(0).standard_normal((1000, 1000)).astype(np.float32)
    head = {
        "inputs": [
            {"name": "x", "shape": [1000, 1000], "datatype": "FP32", "parameters": {"binary_data_size": x.nbytes}}
        ]
    }
    answer = infer(server, "echo_f32", head, x.tobytes())  # a long answer as JSON
    assert np.array_equal(np.array(answer.json()["outputs"][0]["data"], np.float32), x.ravel())
    answer = infer(
        server,
        "echo_f32",
        {
            "inputs": [{"name": "x", "shape": [1000, 1000], "datatype": "FP32", "data": x.ravel().tolist()}],
            "parameters": {"binary_data_output": True},
        },
    )
    size = int(answer.headers["inference-header-content-length"])
    assert answer.content[size:] == x.tobytes()


BYTES = {"name": "x", "shape": [1, 2], "datatype": "BYTES"}
SIZED = {**X, "parameters": {"binary_data_size": 16}}


@pytest.mark.parametrize(
    "model,head,raw,text",
    [
        ("affine", {"inputs": []}, None, "input 'x'"),
        ("affine", {}, None, '"inputs" is missing'),
        ("affine", {"inputs": [X]}, None, 'neither "data" nor binary_data_size'),
        ("affine", {"inputs": [{**X, "data": [1, 2, 3]}]}, None, "shape [1,4] holds 4 values, data has 3"),
        (
            "affine",
            {"inputs": [{**X, "data": [1, 2, 3, 4]}, {**X, "data": [1, 2, 3, 4]}]},
            None,
            "expected 1 inputs but got more",
        ),
        ("affine", {"inputs": [{"name": "x", "datatype": "FP32", "data": []}]}, None, "must be given"),
        ("affine", {"inputs": [{**X, "datatype": "FLOAT", "data": [1]}]}, None, "unknown datatype 'FLOAT'"),
        ("affine", {"inputs": [{**X, "shape": [1, -4], "data": [1]}]}, None, "may not be negative"),
        ("affine", {"inputs": [{**X, "shape": [1] * 9, "data": [1]}]}, None, "at most 8 dims"),
        ("affine", {"inputs": [{**X, "shape": [2**62, 4], "data": [1]}]}, None, "holds 0 values"),
        ("affine", {"inputs": [{**X, "data": {}}]}, None, "expected"),
        ("affine", {"inputs": [SIZED]}, b"123", "binary_data_size is 16, 3 bytes of the body are left"),
        ("affine", {"inputs": [SIZED]}, b"x" * 17, "1 bytes follow the tensors"),
        (
            "affine",
            {"inputs": [{**X, "parameters": {"binary_data_size": 15}}]},
            b"x" * 15,
            "got 15 bytes, expected 16",
        ),
        ("affine", {"inputs": [{**SIZED, "data": [1, 2, 3, 4]}]}, b"x" * 16, 'both "data" and binary_data_size'),
        (
            "affine",
            {"inputs": [{**X, "shape": [2**40, 2**40], "parameters": {"binary_data_size": 16}}]},
            b"x" * 16,
            "too large",
        ),
        ("affine", {"inputs": [{**X, "parameters": {"binary_data_size": -1}}]}, b"", "may not be negative"),
        (
            "affine",
            {"inputs": [{**X, "parameters": {"shared_memory_region": "r"}}]},
            None,
            "Unable to find shared memory region: 'r'",
        ),
        (
            "affine",
            {"inputs": [{**X, "data": [1, 2, 3, 4]}], "outputs": [{"name": "y"}, {"name": "y"}]},
            None,
            "more outputs asked for",
        ),
        ("affine", {"inputs": [{**X, "data": [1, 2, 3, 4]}], "outputs": [{}]}, None, 'without "name"'),
        (
            "echo_text",
            {"inputs": [{**BYTES, "parameters": {"binary_data_size": 6}}]},
            struct.pack("<I", 100) + b"ab",
            "2 elements do not fit in 6 bytes",
        ),
        (
            "echo_text",
            {"inputs": [{**BYTES, "parameters": {"binary_data_size": 10}}]},
            struct.pack("<I", 100) + b"abcdef",
            "element 0 says 100 bytes, 6 are left",
        ),
        (
            "echo_text",
            {"inputs": [{**BYTES, "parameters": {"binary_data_size": 10}}]},
            struct.pack("<I", 4) + b"abcdef",
            "ends inside element 1",
        ),
        (
            "echo_text",
            {"inputs": [{**BYTES, "parameters": {"binary_data_size": 12}}]},
            struct.pack("<I", 1) + b"a" + struct.pack("<I", 1) + b"bcd",
            "2 bytes follow its 2 elements",
        ),
    ],
)
def test_mistakes(server, model, head, raw, text):
    answer = infer(server, model, head, raw)
    assert answer.status_code == 400, answer.text
    assert text in answer.json()["error"], answer.json()["error"]


def test_bad_header_lengths(server):
    body = json.dumps({"inputs": [{**X, "data": [1, 2, 3, 4]}]})
    for bad in ("-1", "x", "999999", "18446744073709551616", "1e3"):
        answer = server.post("/v2/models/affine/infer", data=body, headers={"Inference-Header-Content-Length": bad})
        assert answer.status_code == 400 and "Inference-Header-Content-Length" in answer.json()["error"], (
            bad,
            answer.text,
        )


def test_health_and_names(server):
    assert server.get("/v2/health/live").json() == {"live": True}
    assert server.get("/v2/health/ready").json() == {"ready": True}
    assert server.get("/v2/models/affine/ready").json() == {"name": "affine", "ready": True}
    assert server.get("/v2/models/nobody/ready").status_code == 404
    assert set(server.get("/v2/models").json()["models"]) >= {"affine", "pair"}
    assert server.get("/v2/").json()["version"]
    answer = server.post("/v2/repository/models/pair", data="")
    assert answer.status_code == 404 and "error" in answer.json()
    answer = server.post("/v2/repository/other/models/pair/load", data="")
    assert answer.status_code == 501 and answer.json()["error"] == "'repository_name' specification is not supported"


def test_timeout_parameter(server):
    answer = infer(
        server,
        "slow",
        {
            "inputs": [{"name": "n", "shape": [1], "datatype": "INT64", "data": [900000]}],
            "parameters": {"timeout": 1000},
        },
    )
    assert answer.status_code in (200, 504), answer.text
