"""Every type of a GGUF file, bit for bit as the gguf package widens it: blocks of random bits, scales that are infinite or no number among
them."""
import os
import subprocess

import gguf
import numpy as np
import pytest

import engine

PROGRAM = os.path.join(engine.BUILD, "tests", "golden", "widen")
TYPES = ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"]
BLOCKS = 3000


@pytest.mark.parametrize("name", TYPES)
def test_widened_bit_for_bit(name):
    kind = gguf.GGMLQuantizationType[name]
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    raw = np.random.default_rng(len(name)).integers(0, 256, (BLOCKS * (1 if elements > 1 else 256), size), dtype=np.uint8)
    done = subprocess.run([PROGRAM, name.lower()], input=raw.tobytes(), capture_output=True, check=True)
    got = np.frombuffer(done.stdout, np.float32)
    with np.errstate(all="ignore"):
        want = raw.view(np.float16).astype(np.float32) if name == "F16" else gguf.quants.dequantize(raw, kind)
    want = np.ascontiguousarray(want, np.float32).reshape(-1)
    assert got.size == want.size == raw.shape[0] * elements
    numbers = ~np.isnan(want)
    assert numbers.mean() > 0.9 and np.array_equal(np.isnan(got), ~numbers)
    assert np.array_equal(got[numbers].view(np.uint32), want[numbers].view(np.uint32))
