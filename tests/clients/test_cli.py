"""The command line as scripts and people use it: the real binary on a store of its own."""
import json
import os
import shutil
import subprocess
import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLIPWAY = os.environ.get("SLIPWAY", os.path.join(ROOT, "build", "slipway"))


def linear(path, scale, big=None):
    """y = x * w over [N, 4]; `big` adds a tensor of that many floats that a second output sums."""
    nodes = [helper.make_node("Mul", ["x", "w"], ["y"])]
    weights = [numpy_helper.from_array(np.full(4, scale, np.float32), "w")]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])]
    if big is not None:
        weights.append(numpy_helper.from_array(big, "big"))
        nodes.append(helper.make_node("ReduceSum", ["big"], ["total"], keepdims=0))
        outputs.append(helper.make_tensor_value_info("total", TensorProto.FLOAT, []))
    graph = helper.make_graph(nodes, "linear", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])], outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


class Box:
    def __init__(self, folder):
        self.folder, self.store = folder, str(folder / "store")

    def run(self, *arguments, code=0, stdin=None, env=None):
        done = subprocess.run([SLIPWAY, *arguments, "--store", self.store], capture_output=True, text=True, input=stdin,
                              env={**os.environ, **(env or {})}, timeout=60)
        assert done.returncode == code, f"{arguments}: exit {done.returncode}, {done.stderr}"
        return done

    def json(self, *arguments, **more):
        return json.loads(self.run(*arguments, "--json", **more).stdout)

    def fails(self, *arguments, code, says, **more):
        done = self.run(*arguments, code=code, **more)
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("slipway: ") and says in lines[0], done.stderr
        return done


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path)


def test_versions_aliases_and_back(box, tmp_path):
    first, second = linear(tmp_path / "a.onnx", 1.0), linear(tmp_path / "b.onnx", 2.0)
    facts = box.json("add", first, "net")
    assert {"model": "net", "version": 1, "format": "onnx"}.items() <= facts.items() and len(facts["digest"]) == 64
    assert box.json("add", first, "net")["existed"] is True
    assert box.json("add", second, "net", "--alias", "prod")["version"] == 2
    assert [v["version"] for v in box.json("list", "net")] == [2, 1]
    assert box.json("alias", "net@1", "prod") == {"model": "net", "alias": "prod", "version": 1}
    assert box.json("rollback", "net")["version"] == 2
    assert [e["what"] for e in box.json("log", "net")] == ["rollback", "alias", "alias", "add", "add"]
    box.fails("remove", "net@2", code=75, says="prod")
    box.run("remove", "net@1")
    assert [v["version"] for v in box.json("list")] == [2]
    assert box.json("add", first, "net")["version"] == 3  # a number is never used again
    assert box.json("verify")["bad"] == 0


def test_show_says_what_scripts_rely_on(box, tmp_path):
    box.run("add", linear(tmp_path / "a.onnx", 1.0), "net")
    facts = box.json("show", "net")
    assert facts["inputs"] == [{"name": "x", "dtype": "f32", "shape": [-1, 4], "dims": ["N", None]}]
    assert facts["outputs"][0]["name"] == "y" and facts["operators"] == {"Mul": 1}
    assert facts["parameters"] == 4
    assert "x  f32 [N, 4]" in box.run("show", "net").stdout
    assert "mul" in box.run("show", "net", "--plan").stdout


def test_predict_gives_up_in_time(box, tmp_path):
    """A loop of 900,000 rounds: longer than the deadline on any machine, and without one it is answered."""
    body = helper.make_graph([helper.make_node("Identity", ["going"], ["on"]), helper.make_node("Add", ["v", "v"], ["w"])], "body",
                             [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("going", TensorProto.BOOL, []),
                              helper.make_tensor_value_info("v", TensorProto.FLOAT, [1])],
                             [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_tensor_value_info("w", TensorProto.FLOAT, [1])])
    graph = helper.make_graph([helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)], "slow",
                              [helper.make_tensor_value_info("n", TensorProto.INT64, []), helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "slow.onnx")
    box.run("add", str(tmp_path / "slow.onnx"), "slow")
    for name, x in {"few": np.array(3, np.int64), "many": np.array(900000, np.int64), "x": np.ones(1, np.float32)}.items():
        np.save(tmp_path / f"{name}.npy", x)
    ask = ("predict", "slow", f"x={tmp_path}/x.npy")
    assert box.json(*ask, f"n={tmp_path}/few.npy", "--timeout-ms", "60000")["outputs"][0]["data"] == [8]
    box.fails(*ask, f"n={tmp_path}/many.npy", "--timeout-ms", "30", code=75, says="deadline")
    box.fails(*ask, f"n={tmp_path}/few.npy", "--timeout-ms", "-1", code=64, says="--timeout-ms")


def test_predict_is_exact(box, tmp_path):
    box.run("add", linear(tmp_path / "a.onnx", 3.0), "net")
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    np.save(tmp_path / "x.npy", x)
    box.run("predict", "net", "--input", f"x={tmp_path}/x.npy", "--output", f"y={tmp_path}/y.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), x * 3)
    answer = box.json("predict", "net", "-", stdin="[[1, 2, 3, 4.5]]")
    assert answer["outputs"][0]["data"] == [[3, 6, 9, 13.5]]
    assert box.json("predict", "net", "-", stdin="[1, 2, 3, 4]")["outputs"][0]["shape"] == [1, 4]  # batch dim added
    box.fails("predict", "net", "-", code=65, stdin="[[1, 2, 3]]", says="[-1,4]")
    box.fails("predict", "net", "-", code=65, stdin="[[1, 2,\n x]]", says="line 2 column 2")
    box.fails("predict", "net", "z=" + str(tmp_path / "x.npy"), code=65, says="'z'")
    box.fails("predict", "net", code=65, says="x")


def test_export_is_bit_exact_and_tensors_are_shared(box, tmp_path):
    big = np.random.default_rng(0).random(300_000, np.float32)
    first, second = linear(tmp_path / "a.onnx", 1.0, big), linear(tmp_path / "b.onnx", 2.0, big)
    one, two = box.json("add", first, "net"), box.json("add", second, "net")
    assert one["new_bytes"] > big.nbytes and two["new_bytes"] < 10_000
    for version, path in ((1, first), (2, second)):
        box.run("export", f"net@{version}", str(tmp_path / "out.onnx"))
        assert open(tmp_path / "out.onnx", "rb").read() == open(path, "rb").read()
        os.unlink(tmp_path / "out.onnx")
    box.run("remove", "net@1")
    assert box.json("gc", "--grace", "0")["blobs"] >= 1
    assert box.json("verify")["bad"] == 0
    np.save(tmp_path / "x.npy", np.ones((1, 4), np.float32))
    total = [o for o in box.json("predict", "net", str(tmp_path / "x.npy"))["outputs"] if o["name"] == "total"][0]["data"]
    assert abs(total - float(big.astype(np.float64).sum())) < 1.0


def test_bench_prints_the_agreed_object(box, tmp_path):
    box.run("add", linear(tmp_path / "a.onnx", 1.0), "net")
    for scenario in ("single", "server", "offline"):
        facts = box.json("bench", "net", "--scenario", scenario, "--threads", "1", "--batch", "2", "--runs", "50")
        assert {"scenario", "threads", "batch", "precision", "shapes", "runs", "min_ms", "median_ms", "p99_ms", "per_second", "load_ms", "resident_bytes"} <= set(facts)
        assert facts["shapes"] == {"x": [2, 4]} and facts["runs"] == 50 and facts["min_ms"] <= facts["median_ms"] <= facts["p99_ms"]
        assert facts["memory"]["planned_bytes"] == facts["memory"]["measured_bytes"] > 0
    box.fails("bench", "net", "--scenario", "fast", code=64, says="single, server, offline")
    box.fails("bench", "net", "--shape", "q=1", code=65, says="'q'")


def test_wrong_usage_is_one_clear_line(box, tmp_path):
    path = linear(tmp_path / "a.onnx", 1.0)
    box.run("add", path, "net")
    box.fails("shwo", code=64, says="did you mean 'show'?")
    box.fails("show", code=64, says="usage: slipway show")
    box.fails("show", "net", "--nope", code=64, says="'--nope'")
    box.fails("show", "other", code=66, says="other")
    box.fails("show", "net@7", code=66, says="7")
    box.fails("show", "net@prod", code=66, says="prod")
    box.fails("add", str(tmp_path / "missing.onnx"), code=66, says="missing.onnx")
    box.fails("add", path, "bad/name", code=65, says="bad/name")
    box.fails("add", path, "net@3", code=64, says="version")
    box.fails("remove", "net", code=64, says="@")
    box.fails("bench", "net", "--threads", code=64, says="--threads")
    box.fails("list", code=64, says="SLIPWAY_CPU", env={"SLIPWAY_CPU": "pentium"})
    assert json.loads(box.run("show", "other", "--json", code=66).stdout)["code"] == "NOT_FOUND"


@pytest.mark.parametrize("spoil,says", [
    (lambda b: b"", "empty"),
    (lambda b: b"hello, this is no model at all\n" * 9, "no model"),
    (lambda b: b[:len(b) // 2], ""),
    (lambda b: b.replace(b"Mul", b"Foo"), "Foo"),
])
def test_wrong_files_store_nothing(box, tmp_path, spoil, says):
    good = linear(tmp_path / "good.onnx", 1.0)
    (tmp_path / "bad.onnx").write_bytes(spoil(open(good, "rb").read()))
    done = box.run("add", str(tmp_path / "bad.onnx"), "net", code=69 if says == "Foo" else 65)
    assert done.stderr.count("\n") == 1 and says in done.stderr and "bad.onnx" in done.stderr
    assert box.json("list") == []


def test_read_only_store(box, tmp_path):
    path = linear(tmp_path / "a.onnx", 1.0)
    box.run("add", path, "net")
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere; the fault suite covers refused writes")
    for at, _, _ in os.walk(box.store):
        os.chmod(at, 0o555)
    box.run("show", "net")
    box.fails("add", path, "other", code=77, says="store")


def test_two_adds_at_once_get_two_numbers(box, tmp_path):
    paths = [linear(tmp_path / f"{i}.onnx", float(i)) for i in range(8)]
    box.run("list")
    found = []
    threads = [threading.Thread(target=lambda p=p: found.append(box.json("add", p, "net")["version"])) for p in paths]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(found) == list(range(1, 9))


def test_help_and_doctor(box):
    text = subprocess.run([SLIPWAY], capture_output=True, text=True).stdout
    for command in "add list show log alias rollback remove verify gc predict serve bench export doctor".split():
        assert f"\n  {command} " in text
        assert "usage: slipway " + command in subprocess.run([SLIPWAY, "help", command], capture_output=True, text=True).stdout
    assert {f["what"] for f in box.json("doctor")} >= {"cpu", "memory", "store"}
    assert subprocess.run([SLIPWAY, "--version"], capture_output=True, text=True).stdout.startswith("slipway 0.")


def test_output_to_a_full_disk_is_an_error():
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:
        assert subprocess.run([SLIPWAY, "help"], stdout=full, stderr=subprocess.PIPE).returncode == 74


def test_store_moves_as_a_folder(box, tmp_path):
    box.run("add", linear(tmp_path / "a.onnx", 1.0), "net")
    shutil.move(box.store, str(tmp_path / "elsewhere"))
    box.store = str(tmp_path / "elsewhere")
    assert box.json("verify")["bad"] == 0


def dense(path, seed):
    """y = tanh(x w1) w2 over [N, 256]: products large enough to be multiplied as bf16."""
    rng = np.random.default_rng(seed)
    weights = [numpy_helper.from_array((rng.standard_normal(s) / 16).astype(np.float32), n) for n, s in (("w1", (256, 512)), ("w2", (512, 64)))]
    nodes = [helper.make_node("MatMul", ["x", "w1"], ["a"]), helper.make_node("Tanh", ["a"], ["b"]), helper.make_node("MatMul", ["b", "w2"], ["y"])]
    ends = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", s])] for n, s in (("x", 256), ("y", 64))]
    onnx.save(helper.make_model(helper.make_graph(nodes, "dense", *ends, weights), opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


def test_kernels_are_tried(box, tmp_path):
    """What the trial finds is a matter of time, so not asked for: that it tries, keeps or not, and changes no answer."""
    rng = np.random.default_rng(5)
    weights = numpy_helper.from_array((rng.standard_normal((64, 32, 3, 3)) / 17).astype(np.float32), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    ends = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", c, 28, 28])] for n, c in (("x", 32), ("y", 64))]
    onnx.save(helper.make_model(helper.make_graph([node], "conv", *ends, [weights]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "c.onnx")
    box.run("add", str(tmp_path / "c.onnx"), "net")
    np.save(tmp_path / "x.npy", rng.random((1, 32, 28, 28), dtype=np.float32))
    ask = lambda name: (box.run("predict", "net", str(tmp_path / "x.npy"), "-o", f"y={tmp_path}/{name}.npy"), np.load(tmp_path / f"{name}.npy"))[1]
    before = ask("before")
    report = box.json("bench", "net", "--tune", "--runs", "3", "--threads", "1")
    assert report["tried"] == 1 and report["threads"] == 1 and report["kept"] == (report["changed"] > 0 and report["ms"] < report["rule_ms"])
    rows = [r for r in box.json("show", "net", "--plan", "--threads", "1")["plan"] if r["op"] == "conv"]
    assert [r["chosen"] for r in rows] == ["trial" if report["kept"] else "rule"]
    assert "faster another way" in box.run("bench", "net", "--tune", "--runs", "3", "--threads", "1").stdout
    np.testing.assert_allclose(ask("after"), before, rtol=1e-4, atol=1e-4)


def test_precision_is_measured_then_chosen(box, tmp_path):
    box.run("add", dense(tmp_path / "d.onnx", 1), "net")
    usable = "bf16" in box.run("doctor").stdout or box.json("bench", "net", "--runs", "2")["cpu"] in ("bf16", "amx")
    bench = lambda *more, **how: box.json("bench", "net", "--runs", "2", *more, **how)["precision"]
    assert [bench(), bench("--precision", "bf16"), bench("--precision", "auto")] == ["f32", "bf16", "f32"]  # nothing was measured yet
    report = box.json("bench", "net", "--compare", "--batch", "4", "--runs", "2")
    assert report["a"]["precision"] == "f32" and report["b"]["precision"] == "bf16" and report["recorded"] == 0
    output = report["outputs"][0]
    assert output["name"] == "y" and output["rows"] == 4 * report["samples"] and 0 < output["of_largest"] < 0.02 and report["fits"]
    assert bench("--precision", "auto") == ("bf16" if usable else "f32")
    assert bench("--precision", "auto", env={"SLIPWAY_CPU": "avx512"}) == "f32"  # no such processor: f32

    x = np.random.default_rng(2).random((3, 256), dtype=np.float32)
    np.save(tmp_path / "x.npy", x)
    answers = {}
    for precision in ("f32", "bf16"):
        box.run("predict", "net", str(tmp_path / "x.npy"), "--precision", precision, "-o", f"y={tmp_path}/{precision}.npy")
        answers[precision] = np.load(tmp_path / f"{precision}.npy")
    off = np.abs(answers["f32"] - answers["bf16"]).max() / np.abs(answers["f32"]).max()
    assert 0 < off < 0.02

    box.run("add", dense(tmp_path / "e.onnx", 2), "net")
    other = box.json("bench", "net@2", "--compare", "--against", "net@1", "--runs", "2")
    assert other["a"]["version"] == 2 and other["b"]["version"] == 1 and not other["fits"]
    assert bench("--precision", "auto") == "f32"  # version 2 was never measured
    box.run("policy", "net", "precision=auto")
    assert '"precision":"auto"' in box.run("policy", "net", "--json").stdout.replace(" ", "")
    box.fails("bench", "net", "--precision", "f8", code=64, says="f32, bf16, auto")
    box.fails("bench", "net", "--against", "net@1", code=64, says="--compare")
