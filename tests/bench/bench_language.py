"""The language engine beside llama.cpp (llama-cpp-python), interleaved: one process each per round, taking turns, so that a busy machine
slows both. Best of the rounds; a ratio above 1 means that we are faster.

Usage: python tests/bench/bench_language.py [--threads 2] [--rounds 3] [--kinds Q4_0,...] [--models FILE.gguf,...] [--depth N] [--json FILE]
Without --models it writes random models of a small Llama's shape (0.28 billion weights, vocabulary of 32,000) in every kind, once, to the
folder of --keep. Kinds of K-quants are made from F16 by llama.cpp itself."""
import argparse
import json
import os
import platform
import subprocess
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DRIVER = os.path.join(os.environ.get("SLIPWAY_BUILD", os.path.join(ROOT, "build")), "tests", "golden", "run_language")
WORK = ("prefill 512", "decode 1", "decode 8", "decode 16")
SHAPE = dict(vocab=32000, width=1024, ffn=4096, layers=16, heads=16, kv_heads=4)
PLAIN = ("Q4_0", "Q4_1", "Q5_0", "Q8_0", "F16", "BF16")
K_QUANTS = {"Q4_K": "LLAMA_FTYPE_MOSTLY_Q4_K_S", "Q5_K": "LLAMA_FTYPE_MOSTLY_Q5_K_S", "Q6_K": "LLAMA_FTYPE_MOSTLY_Q6_K"}


def write_model(path, kind, vocab, width, ffn, layers, heads, kv_heads):
    import gguf
    q = gguf.GGMLQuantizationType[kind]
    rng = np.random.default_rng(0)
    w = gguf.GGUFWriter(path, "llama")
    w.add_context_length(8192)
    w.add_embedding_length(width)
    w.add_block_count(layers)
    w.add_feed_forward_length(ffn)
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_vocab_size(vocab)
    w.add_tokenizer_model("no_vocab")

    def matrix(name, rows, cols):
        w.add_tensor(name, gguf.quants.quantize(rng.standard_normal((rows, cols), dtype=np.float32) * 0.02, q), raw_dtype=q)

    matrix("token_embd.weight", vocab, width)
    w.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for i in range(layers):
        p, kv = f"blk.{i}.", width // heads * kv_heads
        w.add_tensor(p + "attn_norm.weight", np.ones(width, np.float32))
        w.add_tensor(p + "ffn_norm.weight", np.ones(width, np.float32))
        for name, rows, cols in (("attn_q", width, width), ("attn_k", kv, width), ("attn_v", kv, width), ("attn_output", width, width),
                                 ("ffn_gate", ffn, width), ("ffn_up", ffn, width), ("ffn_down", width, ffn)):
            matrix(p + name + ".weight", rows, cols)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def model_of(kind, folder):
    path = os.path.join(folder, f"small_{kind.lower()}.gguf")
    if os.path.exists(path):
        return path
    if kind in PLAIN:
        write_model(path + ".part", kind, **SHAPE)
    else:
        import llama_cpp as L
        how = L.llama_model_quantize_default_params()
        how.ftype, how.pure, how.nthread = getattr(L, K_QUANTS[kind]), True, 2
        assert L.llama_model_quantize(model_of("F16", folder).encode(), (path + ".part").encode(), how) == 0
    os.rename(path + ".part", path)
    return path


def ours(path, threads, depth):
    done = subprocess.run([DRIVER, path, "--threads", str(threads)], input=f"bench_depth {depth}\n" if depth else "bench\n", capture_output=True,
                          text=True, timeout=300)
    return [float(x) for x in done.stdout.split("\n")[1].split()]


def llama(path, threads, depth):
    done = subprocess.run([sys.executable, __file__, "--llama", path, "--threads", str(threads), "--depth", str(depth)], capture_output=True,
                          text=True, timeout=300)
    return json.loads(done.stdout.strip().split("\n")[-1])


def time_llama(path, threads, depth):
    """What `run_language bench` (bench_depth) does, by llama.cpp."""
    import time

    import llama_cpp as L
    L.llama_backend_init()
    model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
    p = L.llama_context_default_params()
    p.flash_attn_type = 1 if depth else p.flash_attn_type
    p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max, p.kv_unified = max(4096, depth + 64), 512, 512, 16, True
    p.n_threads = p.n_threads_batch = threads
    context = L.llama_init_from_model(model, p)

    def step(tokens, positions, sequences, want):
        batch = L.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, positions[i], 1, sequences[i], want[i]
        assert L.llama_decode(context, batch) == 0
        L.llama_synchronize(context)
        L.llama_batch_free(batch)

    def prefill(n):
        L.llama_memory_clear(L.llama_get_memory(context), True)
        start = time.perf_counter()
        step([100] * n, range(n), [0] * n, [0] * (n - 1) + [1])
        return n / (time.perf_counter() - start)

    def decode(n, width):
        L.llama_memory_clear(L.llama_get_memory(context), True)
        step([100] * width, [0] * width, range(width), [1] * width)
        start = time.perf_counter()
        for i in range(n):
            step([101 + i] * width, [i + 1] * width, range(width), [1] * width)
        return n * width / (time.perf_counter() - start)

    def at_depth():
        start = time.perf_counter()
        for at in range(0, depth, 512):
            n = min(512, depth - at)
            step([100] * n, range(at, at + n), [0] * n, [0] * (n - 1) + [at + n == depth])
        then = time.perf_counter()
        for i in range(32):
            step([101 + i], [depth + i], [0], [1])
        return [depth / (then - start), 32 / (time.perf_counter() - then)]

    if depth:
        return print(json.dumps(at_depth()))
    return print(json.dumps([max(prefill(512) for _ in range(4))] + [max(decode(n, w) for _ in range(4)) for n, w in ((64, 1), (32, 8), (32, 16))]))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--kinds", default=",".join(PLAIN + tuple(K_QUANTS)))
    a.add_argument("--models", default="")
    a.add_argument("--keep", default=os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "slipway-bench"))
    a.add_argument("--json")
    a.add_argument("--depth", type=int, default=0, help="a prompt of so many tokens, and decoding behind it; llama.cpp with flash attention")
    a.add_argument("--llama")
    a = a.parse_args()
    work = (f"prefill {a.depth}", f"decode 1 behind {a.depth}") if a.depth else WORK
    if a.llama:
        return time_llama(a.llama, a.threads, a.depth)
    os.makedirs(a.keep, exist_ok=True)
    paths = a.models.split(",") if a.models else [model_of(kind, a.keep) for kind in a.kinds.split(",")]
    result = {"machine": platform.processor() or platform.machine(), "threads": a.threads, "models": {}}
    print("| model | work | llama.cpp tok/s | Slipway tok/s | ratio |\n|---|---|---:|---:|---:|")
    for path in paths:
        rounds = [(ours(path, a.threads, a.depth), llama(path, a.threads, a.depth)) for _ in range(a.rounds)]
        best = [[max(r[side][i] for r in rounds) for i in range(len(work))] for side in (0, 1)]
        name = os.path.splitext(os.path.basename(path))[0]
        result["models"][name] = {"slipway": best[0], "llama.cpp": best[1]}
        for i, what in enumerate(work):
            print(f"| {name} | {what} | {best[1][i]:.0f} | {best[0][i]:.0f} | {best[0][i] / best[1][i]:.2f} |", flush=True)
    if a.json:
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump(result, f, indent=1)
    return None


if __name__ == "__main__":
    main()
