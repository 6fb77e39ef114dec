"""The same answer, whatever is switched: each pass off, all passes off, instruction sets, team sizes, batches and singles."""

import numpy as np
import pytest

import fetch
from engine import Engine, same

MODELS = fetch.all_models()
LIGHT = {name: model for name, model, _ in fetch.light_models()}
RNG = np.random.default_rng(11)


def f32(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


def texts(*lengths):
    """Ids, mask and types of a BERT."""
    n = max(lengths)
    ids = RNG.integers(1000, 29000, (len(lengths), n))
    return [ids, (np.arange(n) < np.array(lengths)[:, None]).astype(np.int64), np.zeros_like(ids)]


INPUTS = {
    "mlp": [f32(5, 4)],
    "ocr_cls": [f32(2, 3, 48, 192)],
    "ocr_rec": [f32(1, 3, 48, 160)],
    "ocr_det": [f32(1, 3, 64, 96)],
    "magika": [RNG.integers(0, 257, (2, 2048), dtype=np.int32)],
    "nudenet": [np.abs(f32(1, 3, 128, 160))],
    "silero": [f32(1, 576), np.zeros((2, 1, 128), np.float32), np.array(16000, np.int64)],
    "silero_sequence": [f32(3, 576), np.zeros((1, 1, 128), np.float32), np.zeros((1, 1, 128), np.float32)],
    "resnet50_int8": [np.abs(f32(1, 3, 224, 224)) % 1],
    "minilm_14": texts(17, 9),
    "minilm_17": texts(71, 9),
    "light_shufflenet": [f32(1, 3, 224, 224)],
    "light_inception_v2": [f32(1, 3, 224, 224)],
}
# Other roundings in front of a quantiser become whole steps: see test_models.test_resnet50_int8.
LIMIT = {"resnet50_int8": 0.08}


def path(name):
    return MODELS.get(name) or LIGHT[name]


def answer(name, **options):
    with Engine(path(name), **options) as engine:
        return engine.run(INPUTS[name])


@pytest.fixture(scope="module")
def usual():
    kept = {}

    def get(name):
        if name not in kept:
            kept[name] = answer(name)
        return kept[name]

    return get


def pass_names():
    with Engine(MODELS["mlp"]) as engine:
        return engine.passes


@pytest.mark.parametrize("name", INPUTS)
def test_passes(name, usual):
    for bit, _ in enumerate(pass_names()):
        same(answer(name, off=1 << bit), usual(name), LIMIT.get(name, 2e-4))
    same(answer(name, off=0xFFFFFFFF), usual(name), LIMIT.get(name, 2e-4))


# avx512: without VNNI, so that products of bytes go another way; vnni: without BF16. What this machine lacks is left off anyway.
@pytest.mark.parametrize("cpu", ["scalar", "avx2", "avxvnni", "avx512", "vnni", "bf16"])
@pytest.mark.parametrize("name", ["mlp", "ocr_cls", "ocr_rec", "magika", "silero", "light_shufflenet", "resnet50_int8", "minilm_17"])
def test_cpu(name, cpu, usual):
    if name == "resnet50_int8":  # sums of bytes are exact, and every kernel makes bytes of them in the same way
        assert (answer(name, cpu=cpu)[0] == usual(name)[0]).all()
    else:
        same(answer(name, cpu=cpu), usual(name), LIMIT.get(name, 2e-4))


@pytest.mark.parametrize("name", INPUTS)
def test_threads(name, usual):
    same(answer(name, threads=1), usual(name), LIMIT.get(name, 2e-4))


@pytest.mark.parametrize("name", ["mlp", "ocr_cls", "ocr_rec", "ocr_det", "magika", "nudenet", "resnet50_int8"])
def test_batch_is_singles(name):
    """What the host relies on when it joins requests, and what session_batches must have said."""
    with Engine(path(name)) as engine:
        assert engine.batches
        x = np.concatenate([INPUTS[name][0][:1], *(np.roll(INPUTS[name][0][:1], k, -1) for k in (1, 5))])
        together = engine.run([x])
        for row in range(3):
            alone = engine.run([x[row : row + 1]])
            same([t[row : row + 1] for t in together], alone, LIMIT.get(name, 1e-4))


def test_texts_are_singles():
    """Padding and company do not show in an answer."""
    ids, mask, types = texts(20, 11, 20)
    with Engine(path("minilm_17")) as engine:
        assert engine.batches
        together = engine.run([ids, mask, types])[0]
        for row, n in enumerate(mask.sum(-1)):
            alone = engine.run([x[row : row + 1, :n] for x in (ids, mask, types)])[0]
            same([together[row : row + 1, :n]], [alone], 1e-4)


@pytest.mark.parametrize("name", ["silero", "silero_sequence"])
def test_not_batched(name):
    """A state, or a scalar beside the batch: requests must not be joined."""
    with Engine(path(name)) as engine:
        assert not engine.batches


@pytest.mark.parametrize("name", ["mlp", "ocr_cls", "silero"])
def test_again(name):
    """The same question twice: bit for bit."""
    with Engine(path(name)) as engine:
        first, second = engine.run(INPUTS[name]), engine.run(INPUTS[name])
        assert all(np.array_equal(a, b) for a, b in zip(first, second))
