"""Real models against onnxruntime. "Relative error" is engine.distance: the largest difference over the largest element of an
output. f32 models stay below 1e-3 (most are near 1e-6); int8 models below what one quantisation step can do."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image, ImageDraw, ImageFont

import fetch
from engine import Engine, Peer, distance, same

MODELS = fetch.all_models()
RNG = np.random.default_rng(7)


def pictures(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


def check(name, inputs, limit=1e-3, **options):
    """Answers of one engine to several inputs."""
    peer = Peer(MODELS[name])
    with Engine(MODELS[name], **options) as engine:
        for x in inputs:
            same(engine.run(x), peer.run(x), limit)


def test_mlp():
    check("mlp", [[pictures(n, 4)] for n in (1, 2, 7, 64)])


def test_resnet50():
    check("resnet50", [[pictures(n, 3, 224, 224)] for n in (1, 3)])


def test_ocr_detection():
    shapes = [(1, 3, 64, 96), (2, 3, 96, 64), (1, 3, 320, 320), (1, 3, 640, 640)]
    check("ocr_det", [[pictures(*s)] for s in shapes])


def test_ocr_orientation():
    check("ocr_cls", [[pictures(n, 3, 48, 192)] for n in (1, 3, 6)])


def written(text, width):
    """A picture of a text, as the recogniser wants it: (3, 48, width) in [-1, 1]."""
    image = Image.new("RGB", (width, 48), "white")
    ImageDraw.Draw(image).text((4, 4), text, fill="black", font=ImageFont.load_default(32))
    return (np.asarray(image, np.float32).transpose(2, 0, 1) / 255 - 0.5) / 0.5


def decoded(scores):
    """Best path: character indexes without repeats and blanks, per row."""
    return [[int(c) for c, before in zip(row, np.r_[0, row]) if c != before and c] for row in scores.argmax(-1)]


@pytest.mark.parametrize("width", [160, 320, 640])
def test_ocr_recognition(width):
    texts = ["Hello 2026", "slipway 42", "first light"]
    peer = Peer(MODELS["ocr_rec"])
    with Engine(MODELS["ocr_rec"]) as engine:
        for batch in (1, 3):
            x = np.stack([written(t, width) for t in texts[:batch]])
            ours, theirs = engine.run([x]), peer.run([x])
            same(ours, theirs)
            assert decoded(ours[0]) == decoded(theirs[0])
            assert all(len(row) > 4 for row in decoded(ours[0]))


def test_recogniser_of_ever_new_widths():
    """Plans come and go; memory does not grow with the number of widths."""
    with Engine(MODELS["ocr_rec"]) as engine:
        engine.run([pictures(1, 3, 48, 480)])
        for width in range(160, 480, 8):
            engine.run([pictures(1, 3, 48, width)])
        memory = engine.memory()
        assert memory["plans"] <= 16
        assert memory["slab"] < 32 << 20


def test_magika():
    rows = [RNG.integers(0, 257, (n, 2048), dtype=np.int32) for n in (1, 4)]
    check("magika", [[r] for r in rows])


def test_nudenet():
    check("nudenet", [[np.abs(pictures(*s))] for s in [(1, 3, 320, 320), (2, 3, 320, 320), (1, 3, 256, 192)]])


@pytest.mark.parametrize("name", ["minilm_14", "minilm_17"])
def test_minilm(name):
    """Texts of several lengths in a batch: a mask hides what is padded."""
    peer = Peer(MODELS[name])
    with Engine(MODELS[name]) as engine:
        for lengths in ([128], [7], [40, 3, 39], [1]):
            n = max(lengths)
            ids = RNG.integers(1000, 29000, (len(lengths), n))
            mask = (np.arange(n) < np.array(lengths)[:, None]).astype(np.int64)
            x = [ids, mask, np.zeros_like(ids)]
            ours, theirs = engine.run(x), peer.run(x)
            same(ours, theirs, 1e-4)


@pytest.mark.parametrize("name", sorted(n for n in MODELS if n.startswith("silero")))
def test_silero(name):
    """Fifty steps, the state of each carried into the next."""
    peer = Peer(MODELS[name])
    rate = np.array(16000, np.int64)
    with Engine(MODELS[name]) as engine:
        names = [i[0] for i in engine.inputs]
        sequence = "h" in names
        states = [n for n in names if n in ("state", "h", "c")]
        shape = (1, 1, 128) if sequence else (2, 1, 128)
        ours = {n: np.zeros(shape, np.float32) for n in states}
        theirs = dict(ours)
        heard = np.cumsum(RNG.standard_normal((50, 3, 576) if sequence else (50, 1, 576), dtype=np.float32), -1) * 0.02
        for step in heard:
            fixed = {"input": step, "sr": rate}
            a = engine.run({**fixed, **ours})
            b = peer.run({n: x for n, x in {**fixed, **theirs}.items() if n in names})
            same(a, b)
            ours, theirs = dict(zip(states, a[1:])), dict(zip(states, b[1:]))


def test_silero_other_rate():
    """The branch that the sample rate chooses at run time."""
    x = {"input": pictures(1, 288), "state": np.zeros((2, 1, 128), np.float32), "sr": np.array(8000, np.int64)}
    peer = Peer(MODELS["silero"])
    with Engine(MODELS["silero"]) as engine:
        for _ in range(3):
            a, b = engine.run(x), peer.run(x)
            same(a, b)
            x["state"] = a[1]


@pytest.mark.parametrize("name,model,expected", fetch.light_models(), ids=lambda v: v if "/" not in str(v) else "")
def test_light(name, model, expected):
    """The outputs that the onnx package carries, for the input that its runner makes; and onnxruntime's."""
    with open(expected, "rb") as f:
        want = numpy_helper.to_array(onnx.TensorProto.FromString(f.read()))
    with Engine(model) as engine:
        dims = [int(d) for d in engine.inputs[0][2].strip("[]").split(",")]
        n = int(np.prod(dims))
        x = (np.arange(n).reshape(dims) / n).astype(np.float32)
        ours = engine.run([x])
        same(ours, [want])
        same(ours, Peer(model).run([x]))


def test_resnet50_int8():
    """Sums of int8 products are exact; what differs is the rounding of a few elements in front of a quantiser, by one step
    each. Near the end that is far below the distance between the best classes."""
    peer = Peer(MODELS["resnet50_int8"])
    with Engine(MODELS["resnet50_int8"]) as engine:
        for n in (1, 2):
            x = np.abs(pictures(n, 3, 224, 224)) % 1
            ours, theirs = engine.run([x])[0], peer.run([x])[0]
            assert distance(ours, theirs) < 0.05
            assert (ours.argmax(-1) == theirs.argmax(-1)).all()
        kernels = [s[3] for s in engine.steps([x])]
        assert sum(k.startswith("q_linear_conv") for k in kernels) == 53
        assert not any(k.startswith("conv") for k in kernels)
