# SPDX-License-Identifier: Apache-2.0
"""Real models over real protocols: the numbers of onnxruntime, and text read from pictures."""

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
from PIL import Image, ImageDraw, ImageFont

from conftest import ROOT, Server, Store

sys.path.insert(0, str(ROOT / "tests" / "models"))
import fetch  # noqa: E402


def of(name):
    path = pathlib.Path(fetch.FOLDER) / fetch.NAMES[name]
    if not path.exists():
        pytest.skip(f"{path} is not there: python3 tests/models/fetch.py")
    return str(path)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    store = Store(folder / "store")
    for name in ("mlp", "magika", "resnet50"):
        store.add(of(name), name)
    charset = {p.key: p.value for p in onnx.load(of("ocr_rec")).metadata_props}["character"]
    image = {"resize": "height", "height": 48, "min_width": 320, "mean": 127.5, "scale": 1 / 127.5, "order": "BGR"}
    recipe = {"image": image, "postprocess": {"ctc": {"charset": charset, "space": True}}}
    (folder / "rec.json").write_text(json.dumps(recipe))
    store.add(of("ocr_rec"), "ocr", "--preprocess", str(folder / "rec.json"))
    server = Server(store)
    server.charset = ["", *charset.splitlines(), " "]
    yield server
    server.stop()


def reference(name, **inputs):
    session = onnxruntime.InferenceSession(of(name), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def close(got, want):
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= 1e-3 * max(np.abs(want).max(), 1e-6), np.abs(got - want).max()


def test_mlp_says_the_same_everywhere(real):
    x = np.random.default_rng(0).standard_normal((7, 4)).astype(np.float32)
    (want,) = reference("mlp", x=x)
    rows = {"instances": x.astype(float).tolist()}
    close(np.array(real.post("/v1/models/mlp:predict", json=rows).json()["predictions"]), want)
    close(np.array(real.post("/predict/mlp", json=x.astype(float).tolist()).json()["outputs"]["y"]), want)
    body = {"inputs": [{"name": "x", "shape": [7, 4], "datatype": "FP32", "data": x.ravel().astype(float).tolist()}]}
    close(np.array(real.post("/v2/models/mlp/infer", json=body).json()["outputs"][0]["data"]).reshape(7, 3), want)


def test_binary_in_and_out(real):
    with triton.InferenceServerClient(real.address, network_timeout=60) as client:
        for name in ("magika", "resnet50"):
            about = client.get_model_metadata(name)["inputs"][0]
            shape = [2 if d < 0 else d for d in about["shape"]]
            kind = {"FP32": np.float32, "INT32": np.int32, "INT64": np.int64}[about["datatype"]]
            x = (np.random.default_rng(1).random(shape) * (1 if kind == np.float32 else 255)).astype(kind)
            tensor = triton.InferInput(about["name"], shape, about["datatype"])
            tensor.set_data_from_numpy(x)
            got = client.infer(name, [tensor])
            want = reference(name, **{about["name"]: x})
            for out, value in zip(client.get_model_metadata(name)["outputs"], want):
                close(got.as_numpy(out["name"]), value)


def line_of_text(text, width):
    image = Image.new("RGB", (width, 64), "white")
    font = ImageFont.load_default(36)
    ImageDraw.Draw(image).text((10, 8), text, fill="black", font=font)
    out = io.BytesIO()
    image.save(out, "PNG")
    return np.array(image), out.getvalue()


@pytest.mark.parametrize(
    "text,width", [("Slipway 2026, hello", 420), ("A1", 90), ("machine learning", 380)]
)
def test_reads_text(real, text, width):
    pixels, png = line_of_text(text, width)
    got = real.post("/predict/ocr", data=png).json()
    # what PP-OCR's own code would feed, through onnxruntime
    wide = int(np.ceil(48 * pixels.shape[1] / pixels.shape[0]))
    resized = cv2.resize(pixels[:, :, ::-1], (wide, 48)).astype(np.float32)
    x = np.zeros((1, 3, 48, max(wide, 320)), np.float32)
    x[0, :, :, :wide] = ((resized / 255 - 0.5) / 0.5).transpose(2, 0, 1)
    (scores,) = reference("ocr_rec", x=x)
    best = scores[0].argmax(1)
    kept = [i for i, c in enumerate(best) if c and (i == 0 or c != best[i - 1])]
    assert got["text"] == "".join(real.charset[best[i]] for i in kept)
    assert got["text"].replace(" ", "") == text.replace(" ", "")
    assert abs(got["confidence"] - scores[0].max(1)[kept].mean()) < 0.02
