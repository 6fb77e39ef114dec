# SPDX-License-Identifier: Apache-2.0
"""Greedy answers of slipway and of llama.cpp (its own server, from the package xllamacpp) where neither rounds anything to fewer bits than f32: the model's
blocks as F32, f32 caches, no flash attention. The rule: the same tokens, or at the first difference two tokens whose logits are less than GAP apart.

Usage: python tests/golden/exact_greedy.py [MODEL.gguf...] [--prompts 50] [--tokens 200]      (by default SmolLM2 and Gemma 3, from packages)"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import gguf
import numpy as np
from engine import BUILD

import fetch

DRIVER = os.path.join(BUILD, "tests", "golden", "run_language")
GAP = 1e-2
PROMPTS = """The capital of France is|Once upon a time, there was a little|def fibonacci(n):|Water boils at|The history of Rome begins
In mathematics, a prime number is|Dear Sir or Madam,|The best way to learn programming|List three colours:|Photosynthesis is the process
import numpy as np|Q: What is gravity? A:|She opened the door and|The weather in London|To bake a cake, first|Der schnelle braune Fuchs|La vie est
SELECT name FROM|The year 1969 was|A neural network consists of|Shakespeare wrote|The Pacific Ocean|#include <stdio.h>|My favourite book is
The human heart|Economics studies|When the sun rises|Machine learning models|A haiku about rain:|The law of supply|Newton's second law
Yesterday I went|Computers store data|The Great Wall|In the beginning|The recipe calls for|Dogs are known for|Electric cars|The moon orbits
Our company|Breaking news:|The theory of evolution|If x = 3 then|HTML stands for|Mount Everest|The piano was invented|Exercise is important because
The French Revolution|Quantum mechanics|Good morning""".replace("\n", "|").split("|")


def widen(path, out, matrices=np.float32):
    """The same model with every tensor as F32, or its matrices as float16."""
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(out, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type", "general.quantization_version"):
            continue
        kind = field.types[0]
        writer.add_key_value(field.name, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    for t in reader.tensors:
        values = gguf.quants.dequantize(t.data, t.tensor_type).reshape(t.shape[::-1])
        writer.add_tensor(t.name, values.astype(matrices if values.ndim > 1 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Llama:
    """llama.cpp's server with f32 caches and plain attention, all prompts at one time."""

    def __init__(self, path, prompts, tokens):
        import xllamacpp as x

        p = x.CommonParams()
        p.model.path, p.n_parallel, p.n_ctx, p.kv_unified = path, prompts, prompts * (tokens + 32), True
        p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 2
        p.flash_attn_type = x.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        p.cache_type_k = p.cache_type_v = x.ggml_type.GGML_TYPE_F32
        p.warmup, p.verbosity = False, -1
        self.server = x.Server(p)

    def ask(self, path, body):
        request = urllib.request.Request(self.server.listening_address + path, json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def ids(self, text):
        return self.ask("/tokenize", {"content": text, "add_special": True})["tokens"]

    def greedy(self, prompts, n):
        """(tokens, {token: log probability} at each) of each prompt, which end before n where the model ends them."""
        def one(ids):
            answer = self.ask("/completion", {"prompt": ids, "n_predict": n, "temperature": 0, "n_probs": 8, "return_tokens": True, "cache_prompt": False})
            tops = [{top["id"]: top["logprob"] for top in step["top_logprobs"]} for step in answer["completion_probabilities"]]
            return [step["id"] for step in answer["completion_probabilities"]], tops

        with ThreadPoolExecutor(len(prompts)) as pool:
            return list(pool.map(one, prompts))


def ours(path, prompts, n):
    words = " , ".join(" ".join(map(str, ids)) for ids in prompts)
    done = subprocess.run([DRIVER, path, "--threads", "2", "--kv", "f32"], input=f"greedy {n} {words}\n", capture_output=True, text=True, check=True)
    return [[int(pair.split(":")[0]) for pair in answer.split()] for answer in done.stdout.split("\n")[1].split(" , ")]


def first_differences(one, theirs):
    """[(step, gap)] of the prompts whose tokens differ: by how much llama.cpp prefers its own; inf: ours is not among its best."""
    found = []
    for tokens, (other, tops) in zip(one, theirs, strict=True):
        at = next((i for i, (a, b) in enumerate(zip(tokens, other)) if a != b), None)
        if at is not None:
            found.append((at, tops[at][other[at]] - tops[at].get(tokens[at], -np.inf)))
    return found


def compare(path, texts, n):
    """Of the model at `path`, made F32: how many answers there are, and where they part."""
    with tempfile.TemporaryDirectory() as folder:
        wide = os.path.join(folder, "f32.gguf")
        widen(path, wide)
        llama = Llama(wide, len(texts), n)
        prompts = [llama.ids(text) for text in texts]
        theirs = llama.greedy(prompts, n)
        return first_differences(ours(wide, prompts, n), theirs)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model", nargs="*")
    p.add_argument("--prompts", type=int, default=len(PROMPTS))
    p.add_argument("--tokens", type=int, default=200)
    a = p.parse_args()
    failed = False
    for path in a.model or [str(fetch.all_models()["smollm2"]), fetch.gemma3()]:
        parted = compare(path, PROMPTS[: a.prompts], a.tokens)
        print(f"{os.path.basename(path)} as F32: {a.prompts - len(parted)} of {a.prompts} answers of {a.tokens} tokens are the same"
              + "".join(f"; one parts at token {at}, gap {gap:.2g}" for at, gap in parted), flush=True)
        failed |= any(gap >= GAP for _, gap in parted)
    return failed


if __name__ == "__main__":
    sys.exit(main())
