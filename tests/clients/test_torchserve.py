# SPDX-License-Identifier: Apache-2.0
"""TorchServe's documented curl calls (docs/inference_api.md, docs/management_api.md of pytorch/serve), by curl itself."""

import http.server
import io
import json
import pathlib
import re
import shutil
import subprocess
import zipfile

import numpy as np
import pytest
from PIL import Image

from conftest import Server, Store, affine, picture, until, web


def curl(server, path, *args, code=200):
    done = subprocess.run(
        ["curl", "-sS", "-w", "\n%{http_code}", server.url + path, *args], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    assert int(status) == code, done.stdout
    try:
        return json.loads(body)
    except ValueError:
        return body


def png(seed=1, size=(20, 20)):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def archive(path, model, manifest, **more):
    """What torch-model-archiver writes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("MAR-INF/MANIFEST.json", json.dumps({"runtime": "python", "model": manifest}))
        z.write(model, manifest["serializedFile"])
        for name, text in more.items():
            z.writestr(name + ".json", json.dumps(text))
    return path


def mean_of_channels(path):
    """Classifier of three classes: the mean of each colour."""
    from onnx import TensorProto, helper

    from conftest import info, save

    f32 = TensorProto.FLOAT
    return save(
        path,
        [helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)],
        [info("x", f32, ["N", 3, 224, 224])],
        [info("y", f32, ["N", 3])],
    )


@pytest.fixture(scope="module")
def torch(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("torch")
    mars = folder / "model_store"
    mars.mkdir()
    shutil.copy(models["affine"], mars / "plain.onnx")
    colours = mean_of_channels(folder / "colours.onnx")
    archive(
        mars / "colours.mar",
        colours,
        {"modelName": "colours", "modelVersion": "1.0", "serializedFile": "colours.onnx", "handler": "image_classifier"},
        index_to_name={"0": ["n01", "red"], "1": "green", "2": "blue"},
    )
    archive(
        mars / "python.mar",
        colours,
        {"modelName": "p", "modelVersion": "1.0", "serializedFile": "colours.onnx", "handler": "handler.py"},
    )
    (mars / "torn.mar").write_bytes((mars / "colours.mar").read_bytes()[:-30])
    (mars / "bad.mar").write_bytes(b"PK\3\4" + b"x" * 200)
    with zipfile.ZipFile(mars / "slip.mar", "w") as z:
        z.writestr("../evil", "x")
    store = Store(folder / "store")
    store.add(models["affine"], "affine")
    store.add(models["affine2"], "affine")
    store.add(models["pair"], "pair")
    s = Server(store, "--allow-control", "--model-store", str(mars))
    s.mars = mars
    yield s
    s.stop()


def test_ping(torch):
    assert curl(torch, "/ping") == {"status": "Healthy"}


def test_predictions(torch, tmp_path):
    assert curl(torch, "/predictions/affine/1", "-d", "[1, 2, 3, 4]") == [1.5, 4, 9, 17]
    assert curl(torch, "/predictions/affine/1.0", "-d", "[1, 2, 3, 4]") == [1.5, 4, 9, 17]
    assert curl(torch, "/predictions/affine", "-d", '{"data": [1, 2, 3, 4]}') == [10, 20, 30, 40]
    two = curl(torch, "/predictions/affine/1.0", "-d", "[[1, 2, 3, 4], [0, 0, 0, 0]]")
    assert two == [[1.5, 4, 9, 17], [0.5, 0, 0, 1]]
    assert curl(torch, "/models/affine/invoke", "-d", "[1, 2, 3, 4]") == [10, 20, 30, 40]
    assert curl(torch, "/predictions/pair", "-d", '{"a": [1, 2], "b": [3, 4]}') == {"s": [4, 6], "d": [-2, -2]}
    file = tmp_path / "x.json"
    file.write_text("[1, 2, 3, 4]")
    for args in (["-T", str(file)], ["-F", f"data=@{file}"], ["-F", "data=[1, 2, 3, 4]"], ["--data-binary", f"@{file}"]):
        assert curl(torch, "/predictions/affine", *args) == [10, 20, 30, 40], args


def test_refusals(torch):
    got = curl(torch, "/predictions/nobody", "-d", "[1]", code=404)
    assert got == {"code": 404, "type": "ModelNotFoundException", "message": "Model not found: nobody"}
    got = curl(torch, "/predictions/affine/7.0", "-d", "[1]", code=404)
    assert got["type"] == "ModelVersionNotFoundException"
    got = curl(torch, "/explanations/affine", "-d", "[1]", code=501)
    assert got["code"] == 501 and "Explanations are not supported" in got["message"]
    assert curl(torch, "/explanations/nobody", "-d", "[1]", code=404)["code"] == 404
    got = curl(torch, "/predictions/affine", "-d", '{"x": "a"}', code=400)
    assert got["type"] == "BadRequestException" and "line 1" in got["message"]


def test_register_an_archive(torch, tmp_path):
    got = curl(torch, "/models?url=colours.mar&initial_workers=1&synchronous=true", "-X", "POST")
    assert got == {"status": 'Model "colours" Version: 1 registered with 1 initial workers'}
    (tmp_path / "p.png").write_bytes(png())
    for args in (["-T", str(tmp_path / "p.png")], ["-F", f"data=@{tmp_path}/p.png"]):
        got = curl(torch, "/predictions/colours", *args)
        assert set(got) == {"red", "green", "blue"} and abs(sum(got.values()) - 1) < 1e-5, got
    (row,) = curl(torch, "/models/colours")
    assert row["modelName"] == "colours" and row["modelVersion"] == "1.0" and row["workers"][0]["status"] == "READY"
    assert curl(torch, "/models?url=colours.mar", "-X", "POST")["status"].startswith('Model "colours" Version: 1 ')


def test_register_a_file(torch):
    body = json.dumps({"url": "plain.onnx", "model_name": "mine", "initial_workers": 1})
    got = curl(torch, "/models", "-d", body)
    assert got["status"] == 'Model "mine" Version: 1 registered with 1 initial workers'
    assert curl(torch, "/predictions/mine", "-d", "[1, 2, 3, 4]") == [1.5, 4, 9, 17]
    assert curl(torch, "/models/mine", "-X", "DELETE") == {"status": 'Model "mine" unregistered'}
    assert until(lambda: curl_code(torch, "/predictions/mine") != 200)
    got = curl(torch, "/models/mine?min_worker=1&synchronous=true", "-X", "PUT")
    assert got == {"status": "Workers scaled to 1 for model: mine"}
    assert curl(torch, "/predictions/mine", "-d", "[1, 2, 3, 4]") == [1.5, 4, 9, 17]
    assert "Workers scaled to 0" in curl(torch, "/models/mine?min_worker=0", "-X", "PUT")["status"]


def curl_code(server, path):
    return server.post(path, data="[1, 2, 3, 4]").status_code


@pytest.mark.parametrize(
    "url,code,text",
    [
        ("", 400, "Parameter url is required."),
        ("nothing.mar", 404, "Model not found in model store: nothing.mar"),
        ("../secret.onnx", 400, "Relative path is not allowed in url"),
        ("sub/x.onnx", 400, "Relative path is not allowed in url"),
        ("file:///etc/passwd", 400, "Relative path"),
        ("https://example.com/x.mar", 403, "nothing is fetched from 'example.com': serve with --allow-fetch example.com:443"),
        ("s3://bucket/x.mar", 501, "want a file of --model-store, http or https"),
        ("python.mar", 501, "is Python and cannot be run"),
        ("torn.mar", 422, "ZIP: no end of directory"),
        ("bad.mar", 422, "ZIP: no end of directory"),
        ("slip.mar", 403, "would leave its folder"),
    ],
)
def test_registering_what_will_not_do(torch, url, code, text):
    got = curl(torch, f"/models?url={url}", "-X", "POST", code=code)
    assert text in got["message"] and got["code"] == code
    assert not list(pathlib.Path(torch.mars).parent.glob("store/.arrival*"))


class Shelf(http.server.BaseHTTPRequestHandler):
    """A web server with models, redirects and traps."""

    files: dict = {}

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", path[3:] if path != "/to/far" else "http://other.invalid/x.onnx")
            self.end_headers()
            return
        if path == "/round":
            self.send_response(302)
            self.send_header("Location", "/round")
            self.end_headers()
            return
        body = self.files.get(path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def shelf(torch, models):
    plain = pathlib.Path(models["affine"]).read_bytes()
    mar = (torch.mars / "colours.mar").read_bytes()
    Shelf.files = {"/plain.onnx": plain, "/colours.mar": mar, "/big.onnx": b"\0" * 3_000_000, "/bad.onnx": b"no model"}
    with web(Shelf) as url:
        yield url


@pytest.fixture(scope="module")
def fetcher(tmp_path_factory, shelf):
    store = Store(tmp_path_factory.mktemp("fetch"))
    store.run("list", check=False)
    s = Server(store, "--allow-control", "--allow-fetch", shelf.removeprefix("http://"), "--max-fetch", "2M")
    yield s
    s.stop()


def test_register_from_an_address(fetcher, shelf, models):
    got = curl(fetcher, f"/models?url={shelf}/plain.onnx?token=secret&model_name=far&initial_workers=1", "-X", "POST")
    assert got["status"] == 'Model "far" Version: 1 registered with 1 initial workers'
    assert re.fullmatch("[0-9a-f]{64}", got["digest"])
    assert curl(fetcher, "/predictions/far", "-d", "[1, 2, 3, 4]") == [1.5, 4, 9, 17]
    got = curl(fetcher, f"/models?url={shelf}/to/to/colours.mar&initial_workers=1", "-X", "POST")
    assert got["status"] == 'Model "colours" Version: 1 registered with 1 initial workers'
    listed = {m["modelName"]: m["modelUrl"] for m in curl(fetcher, "/models")["models"]}
    assert got["digest"] in listed["colours"]
    assert "secret" not in json.dumps(curl(fetcher, "/admin/models/far", code=404)) + json.dumps(listed)


@pytest.mark.parametrize(
    "path,code,text",
    [
        ("/nothing.onnx", 404, "is not there"),
        ("/big.onnx", 413, "has more than 2097152 bytes (--max-fetch)"),
        ("/bad.onnx", 422, ""),
        ("/round", 503, "more than 5 redirects"),
        ("/to/far", 403, "nothing is fetched from 'other.invalid'"),
    ],
)
def test_addresses_that_will_not_do(fetcher, shelf, path, code, text):
    got = curl(fetcher, f"/models?url={shelf}{path}&model_name=m", "-X", "POST", code=code)
    assert text in got["message"] and ".arrival" not in got["message"]
    elsewhere = curl(fetcher, "/models?url=http://127.0.0.1:1/x.onnx&model_name=m", "-X", "POST", code=403)
    assert "nothing is fetched from '127.0.0.1'" in elsewhere["message"]
    assert "m" not in [m["modelName"] for m in curl(fetcher, "/models")["models"]]


def test_list_and_describe(torch):
    got = curl(torch, "/models")
    names = [m["modelName"] for m in got["models"]]
    assert names[:2] == ["affine", names[1]] and len(set(names)) == len(names)
    page = curl(torch, "/models?limit=1")
    assert [m["modelName"] for m in page["models"]] == names[:1] and page["nextPageToken"] == "1"
    assert [m["modelName"] for m in curl(torch, "/models?limit=1&next_page_token=1")["models"]] == names[1:2]
    (row,) = curl(torch, "/models/affine")
    assert row["modelVersion"] == "2.0" and row["batchSize"] >= 1
    assert {r["modelVersion"] for r in curl(torch, "/models/affine/all")} == {"1.0", "2.0"}
    assert curl(torch, "/models/affine/1.0")[0]["modelVersion"] == "1.0"
    assert curl(torch, "/models/nobody", code=404)["type"] == "ModelNotFoundException"


def test_set_default(torch):
    assert curl(torch, "/predictions/affine", "-d", "[1, 2, 3, 4]") == [10, 20, 30, 40]
    got = curl(torch, "/models/affine/1.0/set-default", "-X", "PUT")
    assert got == {"status": 'Default version successfully updated for model "affine" to "1.0"'}
    assert until(lambda: curl(torch, "/predictions/affine", "-d", "[1, 2, 3, 4]") == [1.5, 4, 9, 17])
    curl(torch, "/models/affine/2.0/set-default", "-X", "PUT")
    assert until(lambda: curl(torch, "/predictions/affine", "-d", "[1, 2, 3, 4]") == [10, 20, 30, 40])
    assert curl(torch, "/models/affine/9/set-default", "-X", "PUT", code=404)["code"] == 404


def test_scale_says_what_it_did(torch):
    got = curl(torch, "/models/affine?min_worker=2&max_worker=4", "-X", "PUT")["status"]
    assert got.startswith("Workers scaled to 1 for model: affine; there is one of each version"), got
    for query, text in [
        ("min_worker=2&max_worker=1", "max_worker cannot be less than min_worker."),
        ("min_worker=x", "min_worker: 'x' is no number"),
        ("max_worker=-1", "max_worker: '-1' is no number"),
    ]:
        got = curl(torch, "/models/affine?" + query, "-X", "PUT", code=400)
        assert got == {"code": 400, "type": "BadRequestException", "message": text}


def test_descriptions_by_options(torch):
    """The API describes itself; a browser's preflight is answered as one."""
    whole = curl(torch, "/", "-X", "OPTIONS")
    assert whole["openapi"].startswith("3.") and "/predictions/{model}" in whole["paths"] and "/models/{model}" in whole["paths"]
    assert whole == curl(torch, "/openapi.json")
    one = curl(torch, "/predictions/affine", "-X", "OPTIONS")
    assert list(one["paths"]) == ["/predictions/affine"]
    body = one["paths"]["/predictions/affine"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["x"] and body["properties"]["x"]["items"]["minItems"] == 4
    assert "not_there" in curl(torch, "/predictions/not_there", "-X", "OPTIONS", code=404)["error"]
    preflight = ["-X", "OPTIONS", "-H", "Origin: https://a.example", "-H", "Access-Control-Request-Method: POST", "-D", "-", "-o", "/dev/null"]
    for path, allowed in (("/", "GET, HEAD, OPTIONS"), ("/predictions/affine", "POST, PUT, OPTIONS")):
        assert f"Allow: {allowed}" in curl(torch, path, *preflight, code=204)


@pytest.mark.parametrize(
    "method,path,text",
    [
        ("GET", "/token?type=management", "slipway key"),
        ("POST", "/workflows?url=a.war", "workflows"),
        ("GET", "/workflows", "workflows"),
        ("DELETE", "/workflows/w", "workflows"),
        ("POST", "/wfpredict/w", "workflows"),
    ],
)
def test_what_there_is_none_of_is_refused_by_name(torch, method, path, text):
    got = curl(torch, path, "-X", method, code=501)
    assert got["code"] == 501 and text in got["message"]


def test_management_needs_leave(tmp_path, models):
    store = Store(tmp_path / "s")
    store.add(models["affine"], "affine")
    server = Server(store)
    assert curl(server, "/models?url=x.onnx", "-X", "POST", code=503)["code"] == 503
    assert curl(server, "/models/affine", "-X", "DELETE", code=503)["code"] == 503
    assert curl(server, "/models/affine")[0]["modelName"] == "affine"
    server.stop()


def test_metrics(torch):
    curl(torch, "/predictions/affine", "-d", "[1, 2, 3, 4]")
    assert torch.metric("ts_inference_requests_total", model_name="affine") >= 1
    assert torch.metric("ts_inference_latency_microseconds", model_name="affine") > 0
    text = curl(torch, "/metrics")
    assert "# TYPE ts_queue_latency_microseconds counter" in text
    names = ["ts_inference_latency_microseconds", "slipway_queue_wait_seconds", "none"]
    for asked in ("&".join(f"name[]={n}" for n in names), "&".join(f"name%5B%5D={n}" for n in names)):
        some = curl(torch, f"/metrics?{asked}", "--globoff")
        assert re.findall(r"^# TYPE (\S+)", some, re.M) == ["slipway_queue_wait_seconds", "ts_inference_latency_microseconds"]
        assert "slipway_queue_wait_seconds_bucket{" in some and 'ts_inference_latency_microseconds{model_name="affine"' in some
    assert curl(torch, "/metrics?name[]=none", "--globoff") == ""
