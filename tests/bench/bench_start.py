"""From starting the program to the first token, and what is resident then, beside llama.cpp: a Llama 1B in Q4_0 with a vocabulary of 128,256,
its pages in the page cache. Ours is the whole program (`slipway serve`, asked over HTTP as soon as its port answers, and `slipway chat`);
llama.cpp's is what its library takes inside a Python that has started already.

Usage: python tests/bench/bench_start.py --weights llama1b_q4_0.gguf [--rounds 5] [--keep FOLDER]
--weights: a GGUF of the tensors (shared/peers/make_models.py); the vocabulary is made up here."""
import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLIPWAY = os.environ.get("SLIPWAY", os.path.join(ROOT, "build", "slipway"))
MARKS = ("Rss", "Pss_Anon", "Pss_File")


def vocabulary(n):
    """Bytes as GPT-2 spells them, then pairs of letters upon pairs."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    tokens = [chr(c) for c in plain] + [chr(256 + i) for i in range(256 - len(plain))]
    rng, merges, have = np.random.default_rng(0), [], set(tokens)
    pool = [t for t in tokens if t.isascii() and t.isalpha()]
    while len(tokens) < n:
        a, b = pool[rng.integers(len(pool))], pool[rng.integers(len(pool))]
        if a + b in have or len(a + b) > 12:
            continue
        have.add(a + b)
        tokens.append(a + b)
        merges.append(f"{a} {b}")
        if len(a + b) <= 8:
            pool.append(a + b)
    return tokens, merges


def write_model(weights, path):
    import gguf
    source = gguf.GGUFReader(weights)
    w = gguf.GGUFWriter(path + ".part", "llama")
    for field in source.fields.values():
        if field.name.startswith("llama."):
            w.add_key_value(field.name, field.contents(), field.types[0])
    size = next(int(t.shape[1]) for t in source.tensors if t.name == "token_embd.weight")
    tokens, merges = vocabulary(size - 256)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("llama-bpe")
    w.add_token_list(tokens + [f"<|control_{i}|>" for i in range(256)])
    w.add_token_types([1] * len(tokens) + [3] * 256)
    w.add_token_merges(merges)
    w.add_bos_token_id(len(tokens))
    w.add_eos_token_id(len(tokens) + 1)
    w.add_chat_template("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:")
    for t in source.tensors:
        w.add_tensor(t.name, t.data, raw_dtype=t.tensor_type)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    os.rename(path + ".part", path)


def resident(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as f:
        return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in f if line.split(":")[0] in MARKS}


def chat(env):
    begin = time.perf_counter()
    p = subprocess.Popen([SLIPWAY, "chat", "big", "--context", "4096"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    p.stdin.write(b"hello\n")
    p.stdin.flush()
    p.stdout.read(1)
    took = time.perf_counter() - begin
    memory = resident(p.pid)
    p.kill()
    p.wait()
    return took, memory


def serve(env):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    begin = time.perf_counter()
    p = subprocess.Popen([SLIPWAY, "serve", "--listen", f"127.0.0.1:{port}", "--context", "4096"], env=env, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    body = json.dumps({"model": "big", "prompt": "hello", "max_tokens": 1, "temperature": 0}).encode()
    while time.perf_counter() - begin < 30:
        try:
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/v1/completions", body, {"Content-Type": "application/json"})).read()
            break
        except OSError:  # not listening, or still loading
            time.sleep(0.005)
    took = time.perf_counter() - begin
    memory = resident(p.pid)
    p.terminate()
    p.wait()
    return took, memory


def llama(path):
    code = ("import sys, time\nimport llama_cpp as L\nL.llama_backend_init()\nbegin = time.perf_counter()\n"
            "m = L.llama_model_load_from_file(sys.argv[1].encode(), L.llama_model_default_params())\np = L.llama_context_default_params()\n"
            "p.n_ctx, p.n_threads, p.n_threads_batch = 4096, 2, 2\nc = L.llama_init_from_model(m, p)\nb = L.llama_batch_init(1, 0, 1)\n"
            "b.n_tokens, b.token[0], b.pos[0], b.n_seq_id[0], b.seq_id[0][0], b.logits[0] = 1, 100, 0, 1, 0, 1\nL.llama_decode(c, b)\n"
            "L.llama_synchronize(c)\nprint(time.perf_counter() - begin)\nprint(open('/proc/self/smaps_rollup').read())\n")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=300)
    lines = done.stdout.split("\n")
    return float(lines[0]), {x.split(":")[0]: int(x.split()[1]) * 1024 for x in lines if x.split(":")[0] in MARKS}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--weights", required=True)
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--keep", default=os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "slipway-bench"))
    a = a.parse_args()
    os.makedirs(a.keep, exist_ok=True)
    path, env = os.path.join(a.keep, "start.gguf"), dict(os.environ, SLIPWAY_STORE=os.path.join(a.keep, "start-store"))
    if not os.path.exists(path):
        write_model(a.weights, path)
    subprocess.run([SLIPWAY, "add", path, "big", "-q"], env=env, check=True, stdout=subprocess.DEVNULL)
    size = os.path.getsize(path)
    rounds = [(chat(env), serve(env), llama(path)) for _ in range(a.rounds)]
    print(f"file: {size / 2**20:.0f} MiB\n\n| | to the first token, s (best, median) | resident, MiB | x file | of it not file-backed |\n|---|---:|---:|---:|---:|")
    for i, name in enumerate(("slipway chat", "slipway serve + HTTP", "llama.cpp, library alone")):
        took = sorted(r[i][0] for r in rounds)
        memory = rounds[-1][i][1]
        print(f"| {name} | {took[0]:.2f}, {took[len(took) // 2]:.2f} | {memory['Rss'] / 2**20:.0f} | {memory['Rss'] / size:.2f} | {memory['Pss_Anon'] / 2**20:.0f} |")


if __name__ == "__main__":
    main()
