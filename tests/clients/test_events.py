# SPDX-License-Identifier: Apache-2.0
"""CloudEvents with the SDK that KServe uses: what it writes is read, what is answered it reads, V1 and V2, both modes."""

import json

import pytest
import requests

cloudevents = pytest.importorskip("cloudevents.http")

FROM = {"type": "ask", "source": "test", "id": "77", "time": "2026-01-02T03:04:05Z"}
V1, V2 = "/v1/models/affine:predict", "/v2/models/affine/infer"
BODIES = {
    V1: {"instances": [[1, 2, 3, 4]]},
    V2: {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]},
}
WANT = [1.5, 4, 9, 17]


def values(path, data):
    return data["predictions"][0] if path == V1 else data["outputs"][0]["data"]


def ask(server, path, headers, body):
    answer = requests.post(server.url + path, headers=headers, data=body, timeout=20)
    return answer, cloudevents.from_http(answer.headers, answer.content) if answer.status_code == 200 else None


@pytest.mark.parametrize("path", [V1, V2])
@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_as_the_sdk_writes_and_reads_them(server, path, mode):
    event = cloudevents.CloudEvent(FROM, BODIES[path])
    headers, body = (cloudevents.to_structured if mode == "structured" else cloudevents.to_binary)(event)
    answer, got = ask(server, path, headers, body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == ("application/cloudevents+json" if mode == "structured" else "application/json")
    assert values(path, got.data) == WANT
    assert got["id"] == "77" and got["type"] == "io.kserve.inference.response" and got["source"] == "io.kserve.inference.affine"
    assert ("ce-id" in answer.headers) == (mode == "binary")


@pytest.mark.parametrize("path", [V1, V2])
def test_data_in_base64(server, path):
    event = cloudevents.CloudEvent(FROM, json.dumps(BODIES[path]).encode())
    headers, body = cloudevents.to_structured(event)
    assert "data_base64" in json.loads(body)
    answer, got = ask(server, path, headers, body)
    assert answer.status_code == 200 and values(path, got.data) == WANT, answer.text


def test_a_type_with_parameters_and_extensions(server):
    event = {"specversion": "1.0", **FROM, "traceparent": "00-1", "datacontenttype": "application/json; charset=utf-8", "data": BODIES[V1]}
    answer, got = ask(server, V1, {"Content-Type": "Application/CloudEvents+JSON; charset=UTF-8"}, json.dumps(event))
    assert answer.status_code == 200 and values(V1, got.data) == WANT, answer.text


@pytest.mark.parametrize(
    "change,status,why",
    [
        ({"id": None}, 400, "a CloudEvent needs id, source, type and specversion"),
        ({"specversion": "2.0"}, 501, "specversion '2.0'"),
        ({"data": None}, 400, "in one of 'data' and 'data_base64'"),
        ({"data_base64": "e30="}, 400, "in one of 'data' and 'data_base64'"),
        ({"data": None, "data_base64": "*"}, 400, "data_base64"),
        ({"datacontenttype": "text/xml"}, 501, "data of type 'text/xml'"),
        ({"data": {}}, 400, "Missing 'inputs' or 'instances' key"),
    ],
)
def test_what_is_wrong_is_said(server, change, status, why):
    event = {"specversion": "1.0", **FROM, "data": BODIES[V1], **change}
    body = json.dumps({k: v for k, v in event.items() if v is not None})
    answer = server.post(V1, data=body, headers={"Content-Type": "application/cloudevents+json"})
    assert answer.status_code == status and why in answer.json()["error"], answer.text


@pytest.mark.parametrize("path", [V1, V2])
def test_batches_are_refused(server, path):
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    answer = server.post(path, data=json.dumps([{**FROM, "data": BODIES[path]}]), headers=headers)
    assert answer.status_code == 501 and "send one a request" in answer.json()["error"]


def test_binary_tensors_do_not_fit(server):
    data = {**BODIES[V2], "parameters": {"binary_data_output": True}}
    headers, body = cloudevents.to_structured(cloudevents.CloudEvent(FROM, data))
    answer = server.post(V2, data=body, headers=headers)
    assert answer.status_code == 400 and "do not fit into a structured CloudEvent" in answer.json()["error"]
