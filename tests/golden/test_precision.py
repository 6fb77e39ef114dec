"""Sessions of precision bf16 against onnxruntime in f32, and against themselves. bf16 keeps 8 bits: a rounding is at most 2^-9 of
a number, and what dozens of layers make of it stays below LIMIT of the largest element of an output ("relative error" of
engine.distance). ResNet-50 keeps its highest class, the recogniser its decoded text (its probabilities move by more than LIMIT)."""

import numpy as np
import pytest

import fetch
from engine import Engine, Peer, distance, same
from test_equivalence import INPUTS, path
from test_models import decoded, written

LIMIT = 0.05
NAMES = ["mlp", "ocr_cls", "ocr_det", "magika", "nudenet", "silero", "light_shufflenet", "light_inception_v2"]


def answer(name, inputs=None, **options):
    with Engine(path(name), precision="bf16", **options) as engine:
        return engine.run(INPUTS[name] if inputs is None else inputs)


def close(ours, theirs, limit=LIMIT):
    for a, b in zip(ours, theirs, strict=True):
        if b.dtype.kind == "f":
            d = distance(a, b)
            assert d <= limit, f"differs by {d:.3g} of the largest element, limit {limit:g}"


@pytest.mark.parametrize("name", NAMES)
def test_against_onnxruntime(name):
    close(answer(name), Peer(path(name)).run(INPUTS[name]))


def test_resnet50():
    x = np.random.default_rng(5).standard_normal((3, 3, 224, 224), dtype=np.float32)
    model = fetch.all_models()["resnet50"]
    with Engine(model, precision="bf16", profile=True) as engine:
        ours = engine.run([x])
        ops = [step[3] for step in engine.steps([x])]
    theirs = Peer(model).run([x])
    close(ours, theirs, 0.02)
    assert np.array_equal(ours[0].argmax(-1), theirs[0].argmax(-1))
    assert sum(op.startswith("conv_bf16") for op in ops) == 53 and ops.count("cast") == 1


@pytest.mark.parametrize("cpu", ["scalar", "avx2", "avx512", "vnni", "bf16"])
@pytest.mark.parametrize("name", ["mlp", "ocr_cls", "magika", "light_shufflenet"])
def test_cpu(name, cpu):
    """Processors without bf16 multiply the same rounded numbers in f32."""
    close(answer(name, cpu=cpu), answer(name), LIMIT / 2)


@pytest.mark.parametrize("name", NAMES)
def test_threads(name):
    close(answer(name, threads=1), answer(name), LIMIT / 2)


@pytest.mark.parametrize("name", ["mlp", "ocr_cls", "magika"])
def test_batch_is_singles(name):
    x = INPUTS[name][0][:1]
    x = np.concatenate([x, *(np.roll(x, k, -1) for k in (1, 5))])
    with Engine(path(name), precision="bf16") as engine:
        together = engine.run([x])
        for row in range(3):
            close([t[row : row + 1] for t in together], engine.run([x[row : row + 1]]), LIMIT / 2)


def test_text_is_read_the_same():
    """A recogniser whose probabilities are too sharp for LIMIT: the text counts, and how far their logarithms are off: 0.32 (rms,
    they spread by 3.1), 0.27 in OpenVINO's bf16, and 1.16 when one product had its bias twice."""
    x = np.stack([written(text, 320) for text in ("Hello 2026", "slipway 42", "first light")])
    ours, theirs = answer("ocr_rec", [x]), Peer(path("ocr_rec")).run([x])
    assert decoded(ours[0]) == decoded(theirs[0])
    off = np.log(np.maximum(ours[0], 1e-30)) - np.log(np.maximum(theirs[0], 1e-30))
    off -= off.mean(-1, keepdims=True)
    assert np.sqrt((off**2).mean()) < 0.4


def test_f32_is_the_default():
    with Engine(path("ocr_cls")) as engine:
        same(engine.run(INPUTS["ocr_cls"]), Peer(path("ocr_cls")).run(INPUTS["ocr_cls"]))
