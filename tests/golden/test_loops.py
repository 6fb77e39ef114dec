"""Loops that run long: memory stays what an iteration needs, and values handed on are the right ones."""

import numpy as np
import pytest
from onnx import TensorProto, helper

import random_graphs as rg


class Leaf:
    def __init__(self, name, x):
        self.name, self.x, self.plain = name, np.asarray(x), True


def loop(nodes, carried, stacked, trips, more=()):
    """carried: (name in the body, name out, array); stacked: (name, type)."""
    info = lambda n, t: helper.make_tensor_value_info(n, t, None)  # noqa: E731
    kinds = [rg.elem_type(np.asarray(x)) for _, _, x in carried]
    ins = [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("c", TensorProto.BOOL, [])]
    ins += [info(n, t) for (n, _, _), t in zip(carried, kinds)]
    outs = [helper.make_tensor_value_info("c_out", TensorProto.BOOL, [])] + [info(o, t) for (_, o, _), t in zip(carried, kinds)] + [info(*s) for s in stacked]
    body = helper.make_graph([helper.make_node("Identity", ["c"], ["c_out"]), *nodes], "body", ins, outs)
    names = [f"y{k}" for k in range(len(carried) + len(stacked))]
    node = helper.make_node("Loop", ["trips", "", *[f"x{k}" for k in range(len(carried))]], names, body=body)
    inputs = [info("trips", TensorProto.INT64)] + [info(f"x{k}", t) for k, t in enumerate(kinds)] + [info(n, rg.elem_type(x)) for n, x in more]
    types = kinds + [t for _, t in stacked]
    g = helper.make_graph([node], "g", inputs, [info(n, t) for n, t in zip(names, types)])
    model = helper.make_model(g, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    leaves = [Leaf("trips", np.array(trips, np.int64))] + [Leaf(f"x{k}", x) for k, (_, _, x) in enumerate(carried)] + [Leaf(n, x) for n, x in more]
    return model, leaves


def run(model, leaves):
    with rg.Cases() as cases:
        return cases.run(model, leaves)


def test_state_of_a_long_loop():
    """128 KiB carried 20,000 times: 2.4 GiB if all were kept, over the driver's limit of 1 GiB."""
    x = np.zeros((32 << 10,), np.float32)
    nodes = [helper.make_node("Add", ["a", "one"], ["b"])]
    got = run(*loop(nodes, [("a", "b", x)], [], 20000, [("one", np.array(1, np.float32))]))
    assert (got["y0"] == 20000).all()


@pytest.mark.parametrize("trips", [0, 1, 15, 16, 17, 18, 40])
def test_values_handed_on(trips):
    """Two states that trade places, a text that grows, stacks of both; around the number at which older iterations go."""
    nodes = [
        helper.make_node("Identity", ["b"], ["a_out"]),
        helper.make_node("Add", ["a", "b"], ["b_out"]),
        helper.make_node("StringConcat", ["t", "letter"], ["t_out"]),
        helper.make_node("Identity", ["b_out"], ["s0"]),
        helper.make_node("Identity", ["t_out"], ["s1"]),
    ]
    state = [("a", "a_out", np.array([0, 1], np.int64)), ("b", "b_out", np.array([1, 1], np.int64)), ("t", "t_out", np.array(["x", ""], object))]
    model, leaves = loop(nodes, state, [("s0", TensorProto.INT64), ("s1", TensorProto.STRING)], trips, [("letter", np.array(["ab", "c"], object))])
    got, want = run(model, leaves), rg.peer_run(model, leaves)
    for k, w in enumerate(want):
        if trips or k < 3:
            assert not rg.difference(got[f"y{k}"], w), k


@pytest.mark.parametrize("trips", [0, 1, 20])
def test_states_that_stay(trips):
    """What is carried unchanged, by name or through Identity, and read by other states, by stacks and behind the loop."""
    rng = np.random.default_rng(4)
    nodes = [
        helper.make_node("Identity", ["w"], ["w_named"]),
        helper.make_node("Identity", ["w_named"], ["w_out"]),
        helper.make_node("MatMul", ["a", "w_named"], ["a_out"]),
        helper.make_node("Add", ["k", "k"], ["s"]),
    ]
    state = [("w", "w_out", rng.standard_normal((4, 4), dtype=np.float32) / 2), ("a", "a_out", rng.standard_normal((3, 4), dtype=np.float32))]
    state += [("k", "k", np.array([7, 8], np.int64)), ("last", "w", np.zeros((4, 4), np.float32))]
    model, leaves = loop(nodes, state, [("s", TensorProto.INT64)], trips)
    got, want = run(model, leaves), rg.peer_run(model, leaves)
    for k, w in enumerate(want[: 5 if trips else 4]):
        assert not rg.difference(got[f"y{k}"], w), k


@pytest.mark.parametrize("trips", [5, 60])
def test_shapes_that_grow(trips):
    """A state that is longer each time, made by a node whose shape only data tells."""
    nodes = [
        helper.make_node("Concat", ["a", "bit"], ["w"], axis=0),
        helper.make_node("NonZero", ["w"], ["where"]),
        helper.make_node("Size", ["where"], ["n"]),
        helper.make_node("Identity", ["w"], ["a_out"]),
    ]
    model, leaves = loop(nodes, [("a", "a_out", np.array([1, 0], np.float32))], [("n", TensorProto.INT64)], trips, [("bit", np.array([2], np.float32))])
    got, want = run(model, leaves), rg.peer_run(model, leaves)
    assert not rg.difference(got["y0"], want[0]) and not rg.difference(got["y1"], want[1])


def test_loops_in_loops():
    """The inner one's iterations go before the outer's do."""
    inner_in = [
        helper.make_tensor_value_info("j", TensorProto.INT64, []),
        helper.make_tensor_value_info("d", TensorProto.BOOL, []),
        helper.make_tensor_value_info("p", TensorProto.FLOAT, None),
    ]
    inner_out = [helper.make_tensor_value_info("d_out", TensorProto.BOOL, []), helper.make_tensor_value_info("p_out", TensorProto.FLOAT, None)]
    inner = helper.make_graph([helper.make_node("Identity", ["d"], ["d_out"]), helper.make_node("Add", ["p", "one"], ["p_out"])], "inner", inner_in, inner_out)
    nodes = [helper.make_node("Loop", ["trips", "", "a"], ["q"], body=inner), helper.make_node("Mul", ["q", "half"], ["a_out"])]
    x = np.arange(1000, dtype=np.float32)
    model, leaves = loop(nodes, [("a", "a_out", x)], [], 30, [("one", np.array(1, np.float32)), ("half", np.array(0.5, np.float32))])
    got = run(model, leaves)
    want = x.copy()
    for _ in range(30):
        want = (want + 30) * np.float32(0.5)
    assert np.allclose(got["y0"], want)
