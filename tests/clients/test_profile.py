"""What the engine says about its own work: show --plan, bench --profile, and the timeline it writes."""
import collections
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from test_cli import Box

RNG = np.random.default_rng(5)
RUNS = 7


def weights(name, *shape):
    return numpy_helper.from_array(RNG.standard_normal(shape, dtype=np.float32), name)


def save(path, nodes, inputs, outputs, initializers):
    def io(name, shape, kind=TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(nodes, "g", [io(*i) for i in inputs], [io(*o) for o in outputs], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


def network(path):
    """A convolution and a product: both count their operations."""
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("MatMul", ["f", "w"], ["y"], name="product"),
    ]
    return save(path, nodes, [("x", ["N", 16, 40, 40])], [("y", ["N", 10])], [weights("k", 32, 16, 3, 3), weights("w", 32, 10)])


def loop(path):
    """y = x after n times x * w: a body that runs, and a sum in front of it."""
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["state", "w"], ["next"], name="inner"),
            helper.make_node("Identity", ["go"], ["on"], name="on"),
        ],
        "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("state", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_tensor_value_info("next", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("Add", ["x", "w"], ["sum"], name="outer"),
        helper.make_node("Loop", ["n", "", "sum"], ["y"], name="loop", body=body),
    ]
    return save(path, nodes, [("x", ["N", 8])], [("y", ["N", 8])],
                [weights("w", 8), numpy_helper.from_array(np.array(3, np.int64), "n")])


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profile")
    box = Box(folder)
    box.run("add", network(folder / "n.onnx"), "network")
    box.run("add", loop(folder / "l.onnx"), "loop")
    return box


def by_name(nodes):
    return {n["node"]: n for n in nodes}


def test_plan_tells_work_and_memory(box):
    facts = box.json("show", "network", "--plan", "--batch", "2")
    conv = by_name(facts["plan"])["conv"]
    assert conv["flops"] == 2 * (2 * 32 * 40 * 40) * (16 * 3 * 3)
    assert conv["bytes"] == 4 * (2 * 16 * 40 * 40 + 32 * 16 * 9 + 2 * 32 * 40 * 40)
    assert conv["kernel"] and conv["layout"] and conv["computes"] == "f32"
    assert facts["memory"]["planned_bytes"] >= facts["memory"]["alive_bytes"] >= 4 * 2 * 32 * 40 * 40
    text = box.run("show", "network", "--plan").stdout
    assert "BYTES" in text and "memory of a run: " in text


def test_profile_is_of_the_peak_measured(box):
    facts = box.json("bench", "network", "--profile", "--runs", str(RUNS), "--threads", "1")
    peak = facts["peak"]
    assert peak["threads"] == 1 and all(peak[k] > 0 for k in ("f32_gflops", "bf16_gflops", "int8_gops", "read_gbs"))
    for node in facts["nodes"]:
        assert node["calls"] >= RUNS and node["total_ms"] >= node["min_ms"] > 0 and node["bytes"] > 0
        assert node["gbs"] == pytest.approx(node["bytes"] / node["min_ms"] / 1e6, rel=1e-6)
        assert node["gflops"] == pytest.approx(node["flops"] / node["min_ms"] / 1e6, rel=1e-6)
        assert node["peak_share"] == pytest.approx(node["gflops"] / peak["f32_gflops"], rel=1e-6)
    assert facts["memory"]["measured_bytes"] == facts["memory"]["planned_bytes"] and facts["memory"]["late_steps"] == 0
    text = box.run("bench", "network", "--profile", "--runs", "3").stdout
    assert "OF PEAK" in text and "GB/s" in text and "measured now: f32 " in text


def read_trace(path):
    """The events by kind, checked against what the Trace Event Format asks of each."""
    with open(path) as f:
        trace = json.load(f)
    assert trace["displayTimeUnit"] in ("ms", "ns") and trace["otherData"]["events_lost"] == 0
    for event in trace["traceEvents"]:
        assert isinstance(event["name"], str) and isinstance(event["pid"], int) and isinstance(event["tid"], int)
        assert event["ph"] in ("X", "M")
        if event["ph"] == "X":
            assert event["ts"] >= 0 and event["dur"] >= 0 and isinstance(event["cat"], str)
        else:
            assert event["name"] in ("process_name", "thread_name") and isinstance(event["args"]["name"], str)
    complete = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    runs = [e for e in complete if e["cat"] == "run"]
    return runs, [e for e in complete if e["cat"] != "run"]


def within(inner, outer, slack=1e-2):
    """Microseconds; slack: what writing them down rounds off."""
    return outer["ts"] - slack <= inner["ts"] and inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"] + slack


@pytest.mark.parametrize("model", ["network", "loop"])
def test_trace_adds_up(box, tmp_path, model):
    path = str(tmp_path / "trace.json")
    nodes = box.json("bench", model, "--profile", "--runs", str(RUNS), "--trace", path)["nodes"]
    runs, calls = read_trace(path)
    assert [r["name"] for r in runs] == [f"run {k + 1}" for k in range(RUNS)]
    times = collections.Counter(c["name"] for c in calls)
    per_run = {"inner": 3}  # iterations
    assert times == {n["node"]: RUNS * per_run.get(n["node"], 1) for n in nodes}
    for run in runs:
        inside = [c for c in calls if within(c, run)]
        top = [c for c in inside if c["args"]["depth"] == 0]
        assert len(top) == sum(n["depth"] == 0 for n in nodes)
        assert all(a["ts"] + a["dur"] <= b["ts"] + 1e-2 for a, b in zip(top, top[1:]))  # one after the other
        assert sum(c["dur"] for c in top) <= run["dur"] + 1e-2
        for c in inside:
            if c["args"]["depth"]:
                assert any(t["args"]["op"] == "loop" and within(c, t) for t in top)
    best = by_name(nodes)
    for c in calls:
        assert c["dur"] >= best[c["name"]]["min_ms"] * 1e3 - 1e-2 and c["args"]["shapes"] == best[c["name"]]["shapes"]


def test_trace_needs_profile(box, tmp_path):
    box.fails("bench", "network", "--trace", str(tmp_path / "t.json"), code=64, says="--profile")
    box.fails("bench", "network", "--profile", "--runs", "1", "--trace", str(tmp_path / "none" / "t.json"), code=66, says="none")


def test_inputs_that_are_made_up(tmp_path):
    """Numbers that pick rows of a table stay inside; free dims that did not fit are named, whatever ran them."""
    box = Box(tmp_path)
    table = [helper.make_node("Cast", ["ids"], ["at"], to=TensorProto.INT64), helper.make_node("Gather", ["t", "at"], ["y"])]
    box.run("add", save(tmp_path / "rows.onnx", table, [("ids", ["N", 8], TensorProto.INT32)], [("y", ["N", 8, 4])], [weights("t", 2, 4)]))
    box.run("bench", "rows", "--runs", "3")
    box.run("bench", "rows", "--compare", "--runs", "1")
    pool = [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2])]
    box.run("add", save(tmp_path / "pool.onnx", pool, [("x", ["N", 1, "H", "W"])], [("y", ["N", 1, None, None])], []))
    for what in (["bench", "--runs", "1"], ["bench", "--compare"], ["bench", "--profile"], ["show", "--plan"]):
        box.fails(what[0], "pool", *what[1:], code=65, says="dim 2 of input 'x' is free")
    box.fails("bench", "pool", "--compare", "--against", "rows", "--shape", "x=1,1,4,4", code=65, says="input 'x' is f32 in pool@1 and i32 in rows@1")
    box.run("bench", "pool", "--runs", "1", "--shape", "x=1,1,4,4")
