"""Real models of many kinds, out of public packages (tests/models/fetch.py), against onnxruntime: the same answers, and how long.

    zoo.py [NAME...] [--runs N] [--threads N] [--table]      a line, or (--table) a row of docs/measurements/graph-models.md, per model

Times are the least of N interleaved runs; "error" is engine.distance, the largest over all outputs."""

import argparse
import sys
import time

import numpy as np


from engine import Engine, Peer, Refused, distance  # puts tests/models on the path

import fetch  # noqa: E402 isort: skip

RNG = np.random.default_rng(3)


def f32(*shape, low=None, high=None):
    return RNG.standard_normal(shape, dtype=np.float32) if low is None else (RNG.random(shape, dtype=np.float32) * (high - low) + low)


def whole(high, *shape, low=0, type=np.int64):
    return RNG.integers(low, high, shape).astype(type)


def silero(n):
    return lambda: [f32(n, 576), f32(2, n, 128), np.array(16000, np.int64)]


# name -> (what it is, inputs, limit of the error where 1e-3 of the largest element is not it)
CASES = {
    "ocr_det": ("text detector, PP-OCRv4 (PP-LCNet, DB)", lambda: [f32(1, 3, 320, 320)]),
    "ocr_rec": ("text recogniser, PP-OCRv4 (SVTR, CTC)", lambda: [f32(1, 3, 48, 320)]),
    "ocr_cls": ("text orientation (MobileNetV3)", lambda: [f32(1, 3, 48, 192)]),
    "ocr6_det": ("text detector, PP-OCRv6", lambda: [f32(1, 3, 320, 320)]),
    "ocr6_rec": ("text recogniser, PP-OCRv6", lambda: [f32(1, 3, 48, 320)]),
    "nudenet": ("detector (YOLOv8n)", lambda: [f32(1, 3, 320, 320, low=0, high=1)]),
    "captcha": ("captcha recogniser (CNN, LSTM)", lambda: [f32(1, 1, 64, 160, low=0, high=1)]),
    "captcha_old": ("captcha recogniser, quantised by onnxruntime (DynamicQuantizeLSTM)", lambda: [f32(1, 1, 64, 160, low=0, high=1)], 0.1),
    "captcha_det": ("detector (YOLOX)", lambda: [f32(1, 3, 416, 416, low=0, high=255)]),
    "layout": ("page layout (PicoDet)", lambda: [f32(1, 3, 800, 608)]),
    "orientation": ("page orientation (PP-LCNet)", lambda: [f32(1, 3, 224, 224)]),
    "mrz": ("passport zone segmentation (U-Net, channels last)", lambda: [f32(1, 256, 256, 3, low=0, high=1)]),
    "nsfw": ("picture classifier (ResNet-50, channels last)", lambda: [f32(1, 224, 224, 3)]),
    "magika": ("file types (dense, byte n-grams)", lambda: [whole(257, 1, 2048, type=np.int32)]),
    "silero": ("voice activity (STFT, CNN, LSTM, If)", silero(1)),
    "silero_f16": ("voice activity, f16 weights", lambda: [f32(1, 576), f32(2, 1, 128), np.array(16000, np.int64)]),
    "silero_v6": ("voice activity, sequences", lambda: [f32(8, 576), f32(1, 1, 128), f32(1, 1, 128)]),
    "smart_turn": ("end of turn (Whisper encoder, int8)", lambda: [f32(1, 80, 800)], 0.05),
    "pitch": ("notes of music (CNN over harmonics)", lambda: [f32(1, 43844, 1, low=-1, high=1)]),
    "mos_signal": ("speech quality, DNSMOS sig (CNN)", lambda: [f32(1, 901, 161)]),
    "mos_p808": ("speech quality, DNSMOS P.808 (CNN)", lambda: [f32(1, 900, 120)]),
    "mos_all": ("speech quality, DNSMOS with its own spectrum", lambda: [f32(1, 144160, low=-1, high=1)]),
    "mos_echo": ("echo quality, AECMOS (CNN, GRU)", lambda: [f32(1, 3, 200, 160), f32(4, 1, 64)]),
    "mos_loss": ("packet loss quality, PLCMOS (CNN, GRU)", lambda: [f32(1, 1, 300, 257), f32(1, 64)]),
    "tashkeel": ("Arabic vowels (transformer, dynamic)", lambda: [whole(30, 1, 24, low=1), whole(10, 1, 24), np.array([24], np.int64)]),
    "nakdimon": ("Hebrew vowels (bidirectional LSTM)", lambda: [whole(40, 1, 40, low=1).astype(np.float32)]),
    "g2p_bert": ("pronunciation (BERT)", lambda: [whole(30, 1, 32)]),
    "g2p_lstm": ("pronunciation (unrolled LSTM, 6,369 nodes)", lambda: [whole(20, 1, 28)]),
    "yomi_encode": ("one-hot encoder of texts (sklearn)", lambda: [np.array([["名詞", "助詞", "x", "y", "z", "動詞"]] * 3)]),
    "yomi": ("random forest (sklearn)", lambda: [f32(5, 131, low=0, high=1)]),
    "resnet50": ("picture classifier (ResNet-50)", lambda: [f32(1, 3, 224, 224)]),
    "resnet50_int8": ("picture classifier, int8 (QDQ)", lambda: [f32(1, 3, 224, 224, low=0, high=1)], 0.05),
}


def error_of(ours, theirs):
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        b = np.asarray(b)
        if b.dtype.kind in "USO":
            assert [str(x) for x in a.ravel()] == [str(x) for x in b.ravel()]
        else:
            worst = max(worst, distance(a, b))
    return worst


def measure(name, runs, threads=2):
    """(error, limit, our ms, their ms)"""
    what, make, *limit = CASES[name]
    path, inputs = fetch.zoo(name), make()
    peer = Peer(path, threads)
    feed = dict(zip(peer.names, inputs))
    theirs = peer.session.run(None, feed)
    with Engine(path, threads=threads) as engine:
        ours = engine.run(inputs)
        error = error_of(ours, theirs)
        mine, other = [], []
        for _ in range(runs):
            began = time.perf_counter()
            peer.session.run(None, feed)
            other.append((time.perf_counter() - began) * 1e3)
            mine += engine.bench_again(1)
    return error, (limit or [1e-3])[0], min(mine, default=0), min(other, default=0)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("names", nargs="*")
    p.add_argument("--runs", type=int, default=15)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--table", action="store_true")
    o = p.parse_args()
    failed = 0
    for name in o.names or CASES:
        try:
            error, limit, mine, other = measure(name, o.runs, o.threads)
        except (Refused, AssertionError) as e:
            print(f"{name}: {str(e)[:300]}", flush=True)
            failed += 1
            continue
        failed += error > limit
        what = CASES[name][0]
        row = (
            f"| {name} | {what} | {error:.1e} | {mine:.2f} | {other:.2f} | {mine / other:.2f} |"
            if o.table
            else f"{name}: error {error:.2e}, limit {limit:g}; {mine:.2f} ms, onnxruntime {other:.2f} ms"
        )
        print(row + (" WRONG" if error > limit else ""), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
