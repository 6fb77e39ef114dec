# SPDX-License-Identifier: Apache-2.0
"""A classifier as skl2onnx writes it: its scores are a map a row (ZipMap). Every protocol answers them, by name where it can."""

import concurrent.futures

import grpc
import numpy as np
import onnxruntime
import pytest
import tensorflow_missing  # noqa: F401
import tritonclient.http
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc

from conftest import Server, Store

skl2onnx = pytest.importorskip("skl2onnx")
linear_model = pytest.importorskip("sklearn.linear_model")

ROWS = np.array([[5.1, 3.5], [6.0, 1.0], [0.5, 7.5], [3.0, 3.0]], np.float32)


def classifier(path, labels):
    """Logistic regression of two features; the reference is ONNX Runtime's answer: a list of dicts."""
    random = np.random.default_rng(7)
    x = random.normal(size=(90, 2)).astype(np.float32) * 3 + np.repeat([[0, 6], [5, 0], [4, 4]], 30, axis=0)
    fitted = linear_model.LogisticRegression().fit(x, np.repeat(labels, 30))
    model = skl2onnx.to_onnx(fitted, x[:1].astype(np.float32))
    path.write_bytes(model.SerializeToString())
    return onnxruntime.InferenceSession(str(path)).run(None, {"X": ROWS})


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    expected = {
        "named": classifier(folder / "named.onnx", ["cat", "dog", "eel"]),
        "numbered": classifier(folder / "numbered.onnx", [10, 20, 30]),
    }
    store = Store(folder / "store")
    for name in expected:
        store.add(folder / f"{name}.onnx", name)
    server = Server(store)
    yield server, expected
    server.stop()


def close(got, want):
    return len(got) == len(want) and all(
        list(g) == [str(k) for k in w] and np.allclose(list(g.values()), list(w.values()), atol=1e-5) for g, w in zip(got, want)
    )


@pytest.mark.parametrize("name", ["named", "numbered"])
def test_json(maps, name):
    server, (label, scores) = maps[0], maps[1][name]
    inputs = ROWS.tolist()
    plain = server.post(f"/predict/{name}", json={"X": inputs}).json()
    outputs = plain["outputs"]
    assert outputs["output_label"] == label.tolist() and close(outputs["output_probability"], scores)
    rows = server.post(f"/v1/models/{name}:predict", json={"instances": inputs}).json()["predictions"]
    assert [r["output_label"] for r in rows] == label.tolist() and close([r["output_probability"] for r in rows], scores)
    columns = server.post(f"/v1/models/{name}:predict", json={"inputs": inputs}).json()["outputs"]
    assert close(columns["output_probability"], scores)
    classes = server.post(f"/v1/models/{name}:classify", json={"examples": [{"X": r} for r in inputs]}).json()["results"]
    assert close([dict(r) for r in classes], scores)
    mlflow = server.post(f"/invocations?model={name}", json={"instances": inputs}).json()["predictions"]
    assert close([r["output_probability"] for r in mlflow], scores)
    torch = server.post(f"/predictions/{name}", json={"instances": inputs}).json()
    assert close(torch["output_probability"], scores)


def test_triton_has_the_scores_as_a_tensor(maps):
    server, (_, scores) = maps[0], maps[1]["named"]
    client = tritonclient.http.InferenceServerClient(server.address)
    x = tritonclient.http.InferInput("X", list(ROWS.shape), "FP32")
    x.set_data_from_numpy(ROWS)
    got = client.infer("named", [x]).as_numpy("output_probability")
    assert np.allclose(got, [list(s.values()) for s in scores], atol=1e-5)
    output = next(o for o in client.get_model_metadata("named")["outputs"] if o["name"] == "output_probability")
    assert (output["datatype"], output["shape"]) == ("FP32", [-1, 3])


def test_tfserving_grpc_classifies(maps):
    server, (_, scores) = maps[0], maps[1]["named"]
    with grpc.insecure_channel(server.address) as channel:
        r = classification_pb2.ClassificationRequest()
        r.model_spec.name = "named"
        for row in ROWS:
            example = r.input.example_list.examples.add()
            example.features.feature["X"].float_list.value.extend(row)
        got = prediction_service_pb2_grpc.PredictionServiceStub(channel).Classify(r).result.classifications
    assert close([{k.label: k.score for k in row.classes} for row in got], scores)


def test_rows_of_one_batch_are_told_apart(maps):
    """Many askers at one time: what is joined into a run is split again, maps too."""
    server, (_, scores) = maps[0], maps[1]["named"]

    def ask(turn):
        row = turn % len(ROWS)
        got = server.post("/v1/models/named:predict", json={"instances": ROWS[row : row + 1].tolist()}).json()["predictions"]
        return close([got[0]["output_probability"]], scores[row : row + 1])

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(400)))
