"""com.microsoft's Rfft and Irfft, for which onnxruntime has no CPU kernel, against numpy."""

import numpy as np
import pytest
from onnx import TensorProto, helper

import random_graphs as rg


def run(op, x, dims):
    node = helper.make_node(op, ["x"], ["y"], domain="com.microsoft", signal_ndim=dims, onesided=1, normalized=0)
    value = rg.Value("x", x)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)], [helper.make_empty_tensor_value_info("y")])
    with rg.Cases() as cases:
        return cases.run(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]), [value])["y"]


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_there_and_back(dims):
    x = np.random.default_rng(dims).standard_normal((2, 3, 4, 6)).astype(np.float32)
    spectrum = np.fft.rfftn(x, axes=tuple(range(4 - dims, 4)))
    ours = run("Rfft", x, dims)
    np.testing.assert_allclose(ours, np.stack([spectrum.real, spectrum.imag], -1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(run("Irfft", ours, dims), x, rtol=1e-4, atol=1e-5)
