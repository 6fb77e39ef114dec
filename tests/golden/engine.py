"""The graph engine behind run_model's pipe, and ways to compare its answers."""

import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "models"))
BUILD = os.environ.get("SLIPWAY_BUILD") or os.path.dirname(os.environ.get("SLIPWAY", os.path.join(ROOT, "build", "slipway")))
DRIVER = os.path.join(BUILD, "tests", "golden", "run_model")


class Refused(Exception):
    """The engine said no: "CODE text"."""


class Engine:
    def __init__(self, model, threads=2, off=0, profile=False, cpu=None, precision="f32", preload=None):
        arguments = [DRIVER, model, "--threads", str(threads), "--off", str(off), "--precision", precision]
        arguments += ["--profile"] if profile else []
        environment = dict(os.environ, **({"SLIPWAY_CPU": cpu} if cpu else {}), **({"LD_PRELOAD": preload} if preload else {}))
        self.folder = tempfile.mkdtemp()
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self._answer("ready")
        facts = [line.split("\t") for line in self._ask("info")]
        self.inputs = [f[1:] for f in facts if f[0] == "in"]  # [name, dtype, dims]
        self.outputs = [f[1:] for f in facts if f[0] == "out"]
        self.passes = [f[1] for f in facts if f[0] == "pass"]
        self.batches = any(f == ["batches", "1"] for f in facts)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        shutil.rmtree(self.folder)
        assert self.process.returncode == 0

    def _answer(self, last="ok"):
        lines = []
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"the engine died with {self.process.wait()} after {lines[-3:]}")
            line = line.rstrip("\n")
            if line.startswith("error "):
                raise Refused(line[6:])
            if line.split(" ")[0] == last:
                return lines + ([line] if line != last else [])
            lines.append(line)

    def _ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer()

    def feed(self, inputs):
        """inputs: arrays in the model's order, or {name: array}; None: the default."""
        if isinstance(inputs, dict):
            inputs = [inputs.get(name) for name, _, _ in self.inputs]
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        for i, x in enumerate(inputs):
            if x is not None:
                np.save(os.path.join(self.folder, f"in_{i}.npy"), np.array(x, order="C"))

    def run(self, inputs):
        self.feed(inputs)
        self._ask(f"run {self.folder}")
        return [np.load(os.path.join(self.folder, f"out_{i}.npy")) for i in range(len(self.outputs))]

    def bench_again(self, runs):
        """Milliseconds of each run, over what was fed last."""
        return [int(ns) / 1e6 for ns in self._ask(f"bench {runs} {self.folder}")[-1].split()[1:]]

    def steps(self, inputs):
        """[calls, total ns, min ns, op, kernel, layout, shapes, node] of each step."""
        self.feed(inputs)
        return [line.split("\t") for line in self._ask(f"steps {self.folder}")]

    def needs(self, inputs):
        """{planned, alive, late, measured, heap} of the first run of these shapes."""
        self.feed(inputs)
        names = ("planned", "alive", "late", "measured", "heap")
        return dict(zip(names, map(int, self._ask(f"needs {self.folder}")[0].split())))

    def memory(self):
        names = ("constant", "packed", "slab", "plans", "runners")
        return dict(zip(names, map(int, self._ask("memory")[0].split())))


def distance(ours, theirs):
    """max |ours - theirs| / max(max |theirs|, 1e-3), over one output: what "relative error" means in these tests."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    assert ours.dtype == theirs.dtype, (ours.dtype, theirs.dtype)
    if ours.size == 0:
        return 0.0
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    scale = np.nanmax(np.abs(theirs))
    return float(np.nanmax(np.abs(ours - theirs)) / max(scale, 1e-3))


def same(ours, theirs, limit=1e-3):
    for a, b in zip(ours, theirs, strict=True):
        d = distance(a, b)
        assert d <= limit, f"differs by {d:.3g} of the largest element, limit {limit:g}"


class Peer:
    """onnxruntime on one model."""

    def __init__(self, model, threads=2):
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.names = [i.name for i in self.session.get_inputs()]

    def run(self, inputs):
        feed = inputs if isinstance(inputs, dict) else {n: x for n, x in zip(self.names, inputs) if x is not None}
        return self.session.run(None, feed)
