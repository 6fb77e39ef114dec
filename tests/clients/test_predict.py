# SPDX-License-Identifier: Apache-2.0
"""/predict: JSON as people write it, .npy, images. Pixels are compared with what Pillow and OpenCV would have fed."""

import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from conftest import Server, Store, affine, picture


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def ask(server, path, body, code=200, **headers):
    data = body if isinstance(body, (bytes, str)) else json.dumps(body)
    answer = server.post("/predict" + path, data=data, headers=headers)
    assert answer.status_code == code, answer.text
    return answer.json()


@pytest.mark.parametrize(
    "body",
    [
        [1, 2, 3, 4],
        [[1, 2, 3, 4]],
        {"x": [1, 2, 3, 4]},
        {"x": [[1, 2, 3, 4]]},
        {"x_test": [[1, 2, 3, 4]]},
        {"data": [[1, 2, 3, 4]]},
        {"instances": [[1, 2, 3, 4]]},
        {"inputs": [[1, 2, 3, 4]]},
        {"inputs": {"x": [1, 2, 3, 4]}},
        {"instances": [{"x": [1, 2, 3, 4]}]},
        {"id": "a", "features": [1, 2, 3, 4], "parameters": {}},
    ],
)
def test_json_as_people_write_it(server, body):
    got = ask(server, "/affine", body)
    assert got["outputs"] == {"y": [[1.5, 4, 9, 17]]} and got["shapes"] == {"y": [1, 4]}
    assert got["model"] == "affine" and got["version"] == 1
    assert [t["class"] for t in got["top"]] == [3, 2, 1, 0]


def test_several_inputs(server):
    assert ask(server, "/pair", {"a": [1, 2], "b": [3, 4]})["outputs"] == {"s": [[4, 6]], "d": [[-2, -2]]}
    got = server.post(
        "/predict/pair", files={"a": ("a.npy", npy(np.array([[1, 2]], np.float32))), "b": (None, "[[3, 4]]")}
    )
    assert got.json()["outputs"] == {"s": [[4, 6]], "d": [[-2, -2]]}, got.text


def test_selectors(server):
    assert ask(server, "/affine@1", [1, 2, 3, 4])["version"] == 1
    assert ask(server, "/affine@prod", [1, 2, 3, 4])["version"] == 1
    assert "no alias 'gone'" in ask(server, "/affine@gone", [1, 2, 3, 4], 404)["error"]
    assert "several models are served" in ask(server, "", [1, 2, 3, 4], 400)["error"]


def test_one_model_needs_no_name(tmp_path, models):
    store = Store(tmp_path / "one")
    store.add(models["affine"], "only")
    server = Server(store)
    assert ask(server, "", [1, 2, 3, 4])["model"] == "only"
    server.stop()


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16, np.int32, np.uint8, np.int64])
def test_npy(server, kind):
    x = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], kind)
    answer = server.post("/predict/affine", data=npy(x), headers={"Accept": "application/x-npy"})
    assert answer.headers["content-type"] == "application/x-npy"
    got = np.load(io.BytesIO(answer.content))
    assert got.dtype == np.float32 and np.array_equal(got, x * np.array([1, 2, 3, 4]) + np.array([0.5, 0, 0, 1]))


def test_npy_orders(server):
    x = np.arange(12).reshape(3, 4)
    for array in (np.asfortranarray(x.astype("f4")), x.astype(">f4"), x[0].astype("f8")):
        got = ask(server, "/affine", npy(array))
        assert np.array_equal(got["outputs"]["y"], np.atleast_2d(array) * [1, 2, 3, 4] + [0.5, 0, 0, 1])
    got = server.post(
        "/predict/many?output=y3", data=npy(np.ones((1, 3), "f4")), headers={"Accept": "application/x-npy"}
    )
    assert np.load(io.BytesIO(got.content)).tolist() == [[4, 4, 4]]


@pytest.mark.parametrize(
    "path,body,code,text",
    [
        ("/affine", {"y": 5}, 400, "unexpected 'y'; the model takes 'x'"),
        ("/affine", {}, 400, "no input given; the model takes 'x'"),
        ("/affine", b"", 400, "the body is empty"),
        ("/affine", b"GIF89a", 415, "neither JSON nor .npy nor a JPEG or PNG image"),
        ("/affine", [1, 2, 3], 400, "expected shape [-1,4] (-1: any), got [3]"),
        ("/affine", {"a": [[1, 2, 3, 4]], "b": [[1, 2, 3, 4]]}, 400, "unexpected 'b'"),
        ("/pair", [1, 2], 400, "the model has 2 inputs, send an object of them: 'a', 'b'"),
        ("/pair", {"a": [1, 2]}, 400, "input 'b' (f32 [-1,2]) is missing"),
        ("/pair", {"a": [1, 2], "a ": [1, 2]}, 400, "unexpected 'a '"),
        ("/pair", {"a": [1, 2], "b": [[1, 2], [1, 2]]}, 400, "rows"),
        ("/affine", npy(np.array([["a"]])), 400, "the array is string, the model takes f32"),
        ("/echo_i32", npy(np.array([[1.5]])), 400, "the array is f64, the model takes i32"),
        ("/echo_i8", npy(np.array([[300]])), 400, "values that do not fit in i8"),
        ("/affine", npy(np.zeros((1, 4), "f4"))[:-1], 400, ".npy"),
        ("/affine@0", [1, 2, 3, 4], 400, "is not a version"),
        ("/affine@", [1, 2, 3, 4], 400, "must follow '@'"),
    ],
)
def test_mistakes(server, path, body, code, text):
    got = ask(server, path, body, code)
    assert text in got["error"], got["error"]


def test_strict_json_out(server):
    answer = server.post("/predict/echo_f32", data="[[NaN, 1.5, Infinity]]")
    assert answer.json()["outputs"]["y"] == [[None, 1.5, None]] and "NaN" not in answer.text


def test_listing(server):
    got = {m["model"]: m for m in server.get("/predict").json()["models"] if m["default"]}
    assert got["pair"]["inputs"] == [
        {"name": "a", "dtype": "f32", "shape": [-1, 2]},
        {"name": "b", "dtype": "f32", "shape": [-1, 2]},
    ]
    assert got["picture"]["image"] and not got["pair"]["image"]
    assert server.get("/predict/affine@prod").json()["version"] == 1


# --- images ---


def photo(width=37, height=23, seed=3):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.BICUBIC))


def encode(pixels, kind):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return out.getvalue()


def decoded(data):
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


RECIPES = {
    "plain": (8, 8, None, lambda p: cv2.resize(p, (8, 8), interpolation=cv2.INTER_LINEAR) / 255),
    "pillow": (
        8,
        8,
        {"image": {"filter": "antialias"}},
        lambda p: np.array(Image.fromarray(p).resize((8, 8), Image.BILINEAR)) / 255,
    ),
    "imagenet": (
        16,
        16,
        {
            "image": {
                "resize": "crop",
                "short_side": 20,
                "filter": "antialias",
                "mean": [123.675, 116.28, 103.53],
                "scale": [0.0171247, 0.0175070, 0.0174291],
            }
        },
        lambda p: (
            np.array(Image.fromarray(p).resize((32, 20), Image.BILINEAR))[2:18, 8:24] - [123.675, 116.28, 103.53]
        )
        * [0.0171247, 0.0175070, 0.0174291],
    ),
    "letterbox": (
        16,
        16,
        {"image": {"resize": "pad", "place": "centre", "fill": 114}},
        lambda p: np.pad(cv2.resize(p, (16, 10)), ((3, 3), (0, 0), (0, 0)), constant_values=114) / 255,
    ),
    "bgr": (
        12,
        30,
        {"image": {"order": "BGR", "mean": 127.5, "scale": 0.00784314}},
        lambda p: (cv2.resize(p, (30, 12))[:, :, ::-1] - 127.5) * 0.00784314,
    ),
}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    store = Store(folder / "store")
    for name, (height, width, recipe, _) in RECIPES.items():
        path = picture(folder / f"{name}.onnx", height, width)
        more = []
        if recipe:
            (folder / f"{name}.json").write_text(json.dumps(recipe))
            more = ["--preprocess", str(folder / f"{name}.json")]
        store.add(path, name, *more)
    free = picture(folder / "free.onnx", "H", "W")
    (folder / "free.json").write_text(
        json.dumps({"image": {"resize": "sides", "max_side": 96, "multiple": 32, "mean": 0, "scale": 1}})
    )
    store.add(free, "free", "--preprocess", str(folder / "free.json"))
    (folder / "line.json").write_text(
        json.dumps({"image": {"resize": "height", "height": 10, "min_width": 24, "mean": 127.5, "scale": 0.00784314}})
    )
    store.add(free, "line", "--preprocess", str(folder / "line.json"))
    server = Server(store, "--max-body", "1M")
    yield server
    server.stop()


def pixels_of(server, name, data, **more):
    answer = server.post(f"/predict/{name}", data=data, headers={"Accept": "application/x-npy"}, **more)
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))[0].transpose(1, 2, 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("name", list(RECIPES))
def test_images(gallery, name, kind):
    data = encode(photo(), kind)
    want = RECIPES[name][3](decoded(data))
    got = pixels_of(gallery, name, data)
    step = (
        1.01 * (RECIPES[name][2] or {"image": {}})["image"].get("scale", [1 / 255])[0]
        if name == "imagenet"
        else 1.01 * (0.00784314 if name == "bgr" else 1 / 255)
    )
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= step * 1.05, np.abs(got - want).max() / step
    assert np.abs(got - want).mean() <= step * 0.3


def test_free_sizes(gallery):
    data = encode(photo(200, 120), "PNG")
    got = pixels_of(gallery, "free", data)
    assert got.shape == (64, 96, 3)  # 96 x 57.6, both to multiples of 32
    assert np.abs(got - cv2.resize(decoded(data), (96, 64)).astype(float)).max() <= 1
    got = pixels_of(gallery, "line", data)
    assert got.shape == (10, 24, 3)
    want = (cv2.resize(decoded(data), (17, 10)) - 127.5) * 0.00784314
    assert np.abs(got[:, :17] - want).max() <= 0.0081 and np.all(got[:, 17:] == 0)
    assert pixels_of(gallery, "line", encode(photo(400, 50), "PNG")).shape == (10, 80, 3)


def test_image_in_a_form(gallery):
    data = encode(photo(), "PNG")
    for field in ("file", "image"):
        got = gallery.post("/predict/plain", files={field: ("cat.png", data, "image/png")})
        assert got.json()["shapes"] == {"pixels": [1, 3, 8, 8]}, got.text
    got = gallery.post("/predict/plain", files={"other": (None, "[1]")})
    assert got.status_code == 400 and "form field 'other': unexpected 'other'" in got.json()["error"]


def test_bad_images(gallery):
    jpeg, png = encode(photo(), "JPEG"), encode(photo(), "PNG")
    for data, code, text in [
        (jpeg[:200], 400, "damaged JPEG"),
        (png[:60], 400, "damaged PNG"),
        (jpeg[:3], 400, "damaged JPEG"),
        (png[:30] + b"x" * 40, 400, "damaged PNG"),
    ]:
        answer = gallery.post("/predict/plain", data=data)
        assert answer.status_code == code and text in answer.json()["error"], answer.text
    bomb = io.BytesIO()
    Image.new("1", (20000, 20000)).save(bomb, "PNG")
    answer = gallery.post("/predict/plain", data=bomb.getvalue())
    assert answer.status_code == 413 and "20000x20000 pixels" in answer.json()["error"], answer.text
    answer = gallery.post("/predict/plain", data=png + b"x" * 2_000_000)
    assert answer.status_code == 413 and "--max-body" in answer.json()["error"], answer.text


def test_recipes_are_checked_when_added(tmp_path, models):
    store = Store(tmp_path / "s")
    bad = tmp_path / "bad.json"
    for text, why in [
        ('{"image": {"meen": 1}}', 'no member "meen"'),
        ('{"image": {"resize": "fit"}}', '"fit" is none of "stretch"'),
        ('{"image": {"width": 100000}}', "1 to 8192 pixels"),
        ('{"postprocess": {"ctc": {}}}', 'needs a "charset"'),
        ("{", "line 1"),
    ]:
        bad.write_text(text)
        done = store.run("add", models["picture"], "p", "--preprocess", str(bad), check=False)
        assert done.returncode != 0 and why in done.stderr, done.stderr


def test_labels_and_text(tmp_path):
    store = Store(tmp_path / "s")
    (tmp_path / "labels.json").write_text(
        json.dumps({"labels": ["ant", "bee", "cat", "dog"], "postprocess": {"top": 2}})
    )
    store.add(
        affine(tmp_path / "a.onnx", factor=(1, 1, 1, 1), offset=(0, 0, 0, 0)),
        "names",
        "--preprocess",
        str(tmp_path / "labels.json"),
    )
    from conftest import echo
    from onnx import TensorProto

    (tmp_path / "ctc.json").write_text(json.dumps({"postprocess": {"ctc": {"charset": "a\nb\nñ", "space": True}}}))
    store.add(echo(tmp_path / "e.onnx", TensorProto.FLOAT), "reader", "--preprocess", str(tmp_path / "ctc.json"))
    server = Server(store)
    assert ask(server, "/names", [0.1, 0.2, 0.9, 0.3])["top"] == [
        {"class": 2, "label": "cat", "score": 0.9},
        {"class": 3, "label": "dog", "score": 0.3},
    ]
    steps = np.full((8, 5), 0.01, np.float32)
    for step, best in enumerate([0, 1, 1, 0, 1, 4, 3, 0]):  # blank a a blank a space ñ blank
        steps[step, best] = 0.9
    got = ask(server, "/reader", npy(steps))
    assert got["text"] == "aa ñ" and abs(got["confidence"] - 0.9) < 1e-6 and "outputs" not in got
    assert ask(server, "/reader?outputs=all", npy(steps))["shapes"] == {"y": [8, 5]}
    server.stop()
