# SPDX-License-Identifier: Apache-2.0
"""MLflow's own scoring client against /invocations, SageMaker's and Vertex AI's conventions by requests."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from conftest import Server, Store, serve

WANT = [[1.5, 4, 9, 17], [5.5, 12, 21, 33]]
X = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)


def close(got, want):
    assert np.allclose(np.array(got, float), want), got


@pytest.fixture(scope="module")
def sole(tmp_path_factory, models):
    store = Store(tmp_path_factory.mktemp("sole"))
    store.add(models["affine"], "iris")
    s = Server(store)
    yield s
    s.stop()


@pytest.fixture(scope="module")
def two_inputs(tmp_path_factory, models):
    store = Store(tmp_path_factory.mktemp("two"))
    store.add(models["pair"], "pair")
    s = Server(store)
    yield s
    s.stop()


def real(server):
    return ScoringServerClient(server.host, server.port)


def test_client_waits_and_asks_the_version(sole):
    client = real(sole)
    client.wait_server_ready(timeout=10)
    client.ping()
    assert client.get_version()[0].isdigit()
    assert sole.get("/health").status_code == 200


def test_client_sends_frames(sole):
    got = real(sole).invoke(pd.DataFrame(X, columns=["a", "b", "c", "d"]))
    close(got.get_predictions().to_numpy(), WANT)
    close(real(sole).invoke(pd.DataFrame(X)).get_predictions().to_numpy(), WANT)


def test_client_sends_arrays(sole):
    close(real(sole).invoke(X).get_predictions().to_numpy(), WANT)


def test_columns_that_are_inputs(two_inputs):
    """Each column holds one input's rows: here vectors of two."""
    frame = pd.DataFrame({"a": [[1.0, 2.0], [3.0, 4.0]], "b": [[5.0, 6.0], [7.0, 8.0]]})
    got = json.loads(real(two_inputs).invoke(frame).to_json())["predictions"]
    assert got == [{"s": [6, 8], "d": [-4, -4]}, {"s": [10, 12], "d": [-4, -4]}]
    body = {"inputs": {"a": [[1, 2]], "b": [[3, 4]]}}
    assert two_inputs.post("/invocations", json=body).json() == {"predictions": {"s": [[4, 6]], "d": [[-2, -2]]}}


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["a", "b", "c", "d"], "index": [0, 1], "data": X.tolist()}},
        {"dataframe_split": {"data": X.tolist(), "columns": ["a", "b", "c", "d"]}},
        {"dataframe_split": {"data": X.tolist()}},
        {"dataframe_records": [dict(zip("abcd", row)) for row in X.tolist()]},
        {"dataframe_records": [dict(zip("abcd", X.tolist()[0])), dict(zip("dcba", X.tolist()[1][::-1]))]},
        {"instances": X.tolist(), "params": {"temperature": 1}},
        {"inputs": X.tolist()},
        X.tolist(),  # SageMaker
    ],
)
def test_every_json_form(sole, body):
    got = sole.post("/invocations", json=body)
    assert got.status_code == 200, got.text
    close(got.json()["predictions"], WANT)


@pytest.mark.parametrize(
    "text", ["a,b,c,d\n1,2,3,4\n5,6,7,8\n", "1,2,3,4\r\n5,6,7,8", '"a","b ""x""",c,d\n"1",2,3,4\n5,6,7,8']
)
def test_csv(sole, text):
    if '"1"' in text:
        got = sole.post("/invocations", data=text, headers={"Content-Type": "text/csv"})
        assert got.status_code == 400 and "input 'x'" in got.json()["message"]
        text = text.replace('"1"', "1")
    got = sole.post("/invocations", data=text, headers={"Content-Type": "text/csv; charset=utf-8"})
    assert got.status_code == 200, got.text
    close(got.json()["predictions"], WANT)


@pytest.mark.parametrize(
    "body,kind,code,name,text",
    [
        ("{}", "application/json", 400, "BAD_REQUEST", "exactly one of the input fields"),
        ('{"instances": [[1,2,3,4]], "inputs": [[1,2,3,4]]}', "application/json", 400, "BAD_REQUEST", "exactly one"),
        ('{"instances": [[1,2]]}', "application/json", 400, "BAD_REQUEST", "expected shape [-1,4]"),
        ('{"dataframe_split": {"columns": ["a"]}}', "application/json", 400, "BAD_REQUEST", 'needs "data"'),
        ('{"dataframe_records": []}', "application/json", 400, "BAD_REQUEST", "at least one row"),
        ('{"dataframe_records": [{"a":1,"b":2},{"a":1}]}', "application/json", 400, "BAD_REQUEST", "this row has 1"),
        ('{"dataframe_records": [{"a":1},{"b":1}]}', "application/json", 400, "BAD_REQUEST", "column 'b' is not in"),
        ('{"dataframe_split": {"columns": ["x"], "data": 3}}', "application/json", 400, "BAD_REQUEST", "expected"),
        ("{", "application/json", 400, "BAD_REQUEST", "line 1"),
        ("a,b\n1,2,3\n", "text/csv", 400, "BAD_REQUEST", "row 1 has 3 cells, the first line 2"),
        ('a\n"1', "text/csv", 400, "BAD_REQUEST", "does not end"),
        ("", "text/csv", 400, "BAD_REQUEST", "no rows"),
        ("x", "text/plain", 415, "BAD_REQUEST", "only supports the following content types"),
    ],
)
def test_mistakes(sole, body, kind, code, name, text):
    got = sole.post("/invocations", data=body, headers={"Content-Type": kind})
    assert got.status_code == code, got.text
    assert got.json()["error_code"] == name and text in got.json()["message"], got.text


def test_the_client_sees_the_error(sole):
    with pytest.raises(Exception, match="error code 400, response: .*BAD_REQUEST"):
        real(sole).invoke(pd.DataFrame([[1, 2]]))


def test_several_models(server):
    got = server.post("/invocations", json={"inputs": X.tolist()})
    assert got.status_code == 400 and "several models are served" in got.json()["message"]
    got = server.post("/invocations?model=affine@1", json={"inputs": X.tolist()})
    close(got.json()["predictions"], WANT)
    headers = {"X-Amzn-SageMaker-Target-Model": "affine@prod"}
    close(server.post("/invocations", json={"inputs": X.tolist()}, headers=headers).json()["predictions"], WANT)
    got = server.post("/invocations?model=none", json={"inputs": X.tolist()})
    assert got.status_code == 404 and got.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"


def test_vertex(tmp_path, models):
    """Google's containers are told port and paths by the environment."""
    store = Store(tmp_path / "s")
    store.add(models["affine"], "iris")
    env = os.environ | {
        "AIP_HTTP_PORT": "0",
        "AIP_HEALTH_ROUTE": "/v1/endpoints/12/health",
        "AIP_PREDICT_ROUTE": "/v1/endpoints/12/deployedModels/3:predict",
    }
    server = Server.__new__(Server)
    server.process = serve("--store", store.folder, env=env)
    line = server.process.stdout.readline()
    assert line.startswith("listening on http://0.0.0.0:"), line
    port = int(line.rsplit(":", 1)[1])
    import requests

    url = f"http://127.0.0.1:{port}"
    assert requests.get(url + env["AIP_HEALTH_ROUTE"], timeout=10).status_code == 200
    got = requests.post(
        url + env["AIP_PREDICT_ROUTE"], json={"instances": X.tolist(), "parameters": {"k": 1}}, timeout=10
    )
    close(got.json()["predictions"], WANT)
    server.stop()
