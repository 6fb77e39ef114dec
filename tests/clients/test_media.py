# SPDX-License-Identifier: Apache-2.0
"""A picture in, names out, on every protocol: what a version declares when it is added is done once for all of them.
Real networks (ResNet-50, NudeNet, PP-OCR) against onnxruntime, Pillow and OpenCV."""

import base64
import io
import json
import pathlib
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import tritonclient.http as triton
from onnx import TensorProto, helper
from PIL import Image, ImageDraw, ImageFont

from conftest import ROOT, Server, Store, info, save

sys.path.insert(0, str(ROOT / "tests" / "models"))
import fetch  # noqa: E402

NAMES = ["red", "green", "blue"]


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def photo(seed=5, width=300, height=260):
    small = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.BICUBIC))


def colours(path):
    """The mean of each colour over 8x8 pixels."""
    f32 = TensorProto.FLOAT
    return save(
        path,
        [helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0)],
        [info("image", f32, ["N", 3, 8, 8])],
        [info("means", f32, ["N", 3])],
    )


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    (folder / "names.txt").write_text("\n".join(NAMES))
    store = Store(folder / "store")
    spec = ["--input", "image:8x8,unit", "--output", "classes:2,softmax", "--labels", str(folder / "names.txt")]
    store.add(colours(folder / "colours.onnx"), "colours", *spec)
    server = Server(store)
    yield server
    server.stop()


PIXELS = photo()
PICTURE = png(PIXELS)
BASE64 = base64.b64encode(PICTURE).decode()


def best():
    means = (cv2.resize(PIXELS, (8, 8), interpolation=cv2.INTER_LINEAR) / 255).mean((0, 1))
    share = np.exp(means) / np.exp(means).sum()
    order = np.argsort(-share)[:2]
    return [NAMES[i] for i in order], share[order]


def check(classes, scores):
    names, want = best()
    assert list(classes) == names and np.abs(np.array(scores, float) - want).max() < 2e-3


def test_predict(gallery):
    top = gallery.post("/predict/colours", data=PICTURE).json()["top"]
    check([t["label"] for t in top], [t["score"] for t in top])
    (top,) = [gallery.post("/predict/colours", json={"image": BASE64}).json()["top"]]
    check([t["label"] for t in top], [t["score"] for t in top])


@pytest.mark.parametrize("body", [{"instances": [{"b64": BASE64}]}, {"instances": [{"image": {"b64": BASE64}}]}])
def test_tfserving(gallery, body):
    (row,) = gallery.post("/v1/models/colours:predict", json=body).json()["predictions"]
    check(row["classes"], row["scores"])
    got = gallery.post("/v1/models/colours:predict", json={"inputs": {"image": {"b64": BASE64}}}).json()["outputs"]
    check(got["classes"][0], got["scores"][0])


def test_tfserving_many(gallery):
    body = {"instances": [{"b64": BASE64}] * 3}
    rows = gallery.post("/v1/models/colours:predict", json=body).json()["predictions"]
    assert len(rows) == 3
    for row in rows:
        check(row["classes"], row["scores"])


@pytest.mark.parametrize("binary", [True, False])
def test_oip_by_the_real_client(gallery, binary):
    client = triton.InferenceServerClient(gallery.address)
    tensor = triton.InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([PICTURE if binary else BASE64.encode()], object), binary_data=binary)
    got = client.infer("colours", [tensor])
    check([c.decode() for c in got.as_numpy("classes")[0]], got.as_numpy("scores")[0])
    wanted = [triton.InferRequestedOutput("means"), triton.InferRequestedOutput("scores")]
    got = client.infer("colours", [tensor], outputs=wanted)
    assert got.as_numpy("means").shape == (1, 3) and got.as_numpy("classes") is None
    check(best()[0], got.as_numpy("scores")[0])
    names = [o["name"] for o in client.get_model_metadata("colours")["outputs"]]
    assert names == ["means", "classes", "scores"]


def test_a_tensor_is_still_a_tensor(gallery):
    x = np.random.default_rng(0).random((2, 3, 8, 8), np.float32)
    got = gallery.post("/v1/models/colours:predict", json={"inputs": x.tolist()}).json()["outputs"]
    assert np.allclose(got["scores"][1], np.sort(np.exp(m := x[1].mean((1, 2))) / np.exp(m).sum())[::-1][:2], atol=1e-5)
    client = triton.InferenceServerClient(gallery.address)
    tensor = triton.InferInput("image", x.shape, "FP32")
    tensor.set_data_from_numpy(x)
    got = client.infer("colours", [tensor], outputs=[triton.InferRequestedOutput("means")])
    assert np.allclose(got.as_numpy("means"), x.mean((2, 3)), atol=1e-5)


def test_torchserve(gallery):
    for more in ({"data": PICTURE}, {"files": {"data": ("p.png", PICTURE)}}):
        got = gallery.post("/predictions/colours", **more).json()
        check(list(got), list(got.values()))


def test_mlflow_and_sagemaker(gallery):
    got = gallery.post("/invocations", data=PICTURE, headers={"Content-Type": "application/x-image"}).json()
    check(got["predictions"][0]["classes"], got["predictions"][0]["scores"])
    body = {"dataframe_split": {"columns": ["image"], "data": [[BASE64]]}}
    got = gallery.post("/invocations", json=body).json()
    check(got["predictions"][0]["classes"], got["predictions"][0]["scores"])


@pytest.mark.parametrize(
    "path,body,text",
    [
        ("/v1/models/colours:predict", {"instances": [{"b64": "aGVsbG8="}]}, "input 'image': "),
        ("/v1/models/colours:predict", {"instances": ["hello"]}, "neither a JPEG nor a PNG"),
        ("/v1/models/colours:predict", {"instances": [{"b64": "%%"}]}, "base64"),
        ("/predictions/colours", {"image": BASE64[:400]}, "damaged PNG"),
    ],
)
def test_what_is_no_picture(gallery, path, body, text):
    got = gallery.post(path, json=body)
    assert got.status_code in (400, 415) and text in got.text, got.text


# --- real networks ---


def of(name):
    path = pathlib.Path(fetch.FOLDER) / fetch.NAMES[name]
    if not path.exists():
        pytest.skip(f"{path} is not there: python3 tests/models/fetch.py")
    return str(path)


def run(name, x):
    session = onnxruntime.InferenceSession(of(name), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    store = Store(folder / "store")
    (folder / "classes.txt").write_text("\n".join(f"class {i}" for i in range(1000)))
    spec = ["--input", "image:224x224,imagenet", "--output", "softmax", "--labels", str(folder / "classes.txt")]
    store.add(of("resnet50"), "resnet50", *spec)
    (folder / "parts.json").write_text(json.dumps([f"part {i}" for i in range(18)]))
    spec = ["--input", "image:320x320,unit,pad", "--output", "boxes:yolov8,score=0.2,iou=0.45,agnostic"]
    store.add(of("nudenet"), "nudenet", *spec, "--labels", str(folder / "parts.json"))
    charset = {p.key: p.value for p in onnx.load(of("ocr_rec")).metadata_props}["character"]
    (folder / "charset.txt").write_text(charset)
    spec = ["--input", "image:3200x48,inception,height,bgr", "--output", "text,space"]
    recipe = {"image": {"resize": "height", "height": 48, "min_width": 320, "mean": 127.5, "scale": 1 / 127.5, "order": "BGR"},
              "postprocess": {"ctc": {"charset": charset, "space": True}}}
    (folder / "rec.json").write_text(json.dumps(recipe))
    store.add(of("ocr_rec"), "ocr", "--preprocess", str(folder / "rec.json"))
    server = Server(store)
    yield server
    server.stop()


def everywhere(server, model, data):
    """{protocol: outcome tensors of one picture}"""
    text = base64.b64encode(data).decode()
    client = triton.InferenceServerClient(server.address)
    name = client.get_model_metadata(model)["inputs"][0]["name"]
    tensor = triton.InferInput(name, [1], "BYTES")
    tensor.set_data_from_numpy(np.array([data], object))
    answer = client.infer(model, [tensor])
    oip = {o["name"]: answer.as_numpy(o["name"])[0] for o in answer.get_response()["outputs"]}
    oip = {k: [v.decode() if isinstance(v, bytes) else v for v in np.atleast_1d(x)] for k, x in oip.items()}
    tfs = server.post(f"/v1/models/{model}:predict", json={"instances": [{"b64": text}]}).json()["predictions"][0]
    headers = {"Content-Type": "image/png"}
    mlflow = server.post(f"/invocations?model={model}", data=data, headers=headers).json()["predictions"][0]
    torch = server.post(f"/predictions/{model}", files={"data": ("x.png", data)})
    plain = server.post(f"/predict/{model}", data=data).json()
    return oip, tfs, mlflow, torch, plain


def test_resnet50(real):
    pixels = photo(7, 400, 300)
    oip, tfs, mlflow, torch, plain = everywhere(real, "resnet50", png(pixels))
    image = Image.fromarray(pixels).resize((341, 256), Image.BILINEAR).crop((58, 16, 282, 240))
    x = (np.array(image, np.float32) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    logits = run("resnet50", x.transpose(2, 0, 1)[None].astype(np.float32))[0].astype(float)
    share = np.exp(logits - logits.max())
    share /= share.sum()
    want = [f"class {i}" for i in np.argsort(-share)[:5]]
    assert oip["classes"] == tfs["classes"] == mlflow["classes"] == list(torch.json()) == [t["label"] for t in plain["top"]]
    assert oip["classes"][0] == want[0] and set(oip["classes"][:3]) <= set(want)
    assert abs(oip["scores"][0] - share.max()) < 0.05 * share.max() + 1e-3
    assert np.allclose(tfs["scores"], mlflow["scores"]) and np.allclose(tfs["scores"], list(torch.json().values()))


def test_nudenet_boxes(real):
    """Boxes after suppression are those of OpenCV's NMSBoxes over onnxruntime's numbers, in the picture's own pixels."""
    pixels = cv2.GaussianBlur(photo(3, 500, 400), (0, 0), 9)
    data = png(pixels)
    square = np.zeros((320, 320, 3), np.uint8)
    square[:256] = cv2.resize(pixels, (320, 256), interpolation=cv2.INTER_LINEAR)
    raw = run("nudenet", (square / 255).astype(np.float32).transpose(2, 0, 1)[None])[0].T
    best = raw[:, 4:].max(1)
    floor = float(np.sort(best)[-40]) if best.max() < 0.2 else 0.2
    oip, tfs, mlflow, torch, plain = everywhere(real, "nudenet", data)
    if floor < 0.2:  # nothing in the picture: no boxes, on every protocol
        assert len(oip["boxes"]) == 0 and tfs["boxes"] == [] and torch.json() == [] and plain["boxes"] == []
        return
    corners = [[r[0] - r[2] / 2, r[1] - r[3] / 2, r[2], r[3]] for r in raw]
    kept = cv2.dnn.NMSBoxes(corners, best.tolist(), 0.2, 0.45)
    assert len(oip["boxes"]) == len(kept)
    for i, at in enumerate(np.array(kept).ravel()):
        x, y, w, h = np.array(corners[at]) * 500 / 320
        assert np.allclose(oip["boxes"][i], np.clip([x, y, x + w, y + h], 0, [500, 400] * 2), atol=2)


def test_ocr_text(real):
    image = Image.new("RGB", (420, 48), "white")
    font = ImageFont.load_default(size=34)
    ImageDraw.Draw(image).text((8, 2), "Slipway 2026 text", "black", font=font)
    oip, tfs, mlflow, torch, plain = everywhere(real, "ocr", png(np.array(image)))
    assert oip["text"] == [tfs["text"]] == [mlflow["text"]] == [torch.text] == [plain["text"]]
    assert torch.text.replace(" ", "") == "Slipway2026text" and torch.headers["content-type"].startswith("text/plain")
