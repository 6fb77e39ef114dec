"""Models quantised by ONNX Runtime (QDQ), in which bytes meet: joined with other scales, enlarged, pooled. No value between the first
quantiser and the last dequantiser is real, and answers are ONNX Runtime's but for roundings in front of a quantiser."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from engine import Engine, Peer

SHAPE = (1, 3, 32, 32)


class Net:
    """Nodes in a row; every method names a value and answers the name."""

    def __init__(self):
        self.rng, self.nodes, self.weights = np.random.default_rng(5), [], []

    def add(self, op, *inputs, **attributes):
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def constant(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def conv(self, x, channels, out, kernel=1, stride=1):
        w = self.rng.standard_normal((out, channels, kernel, kernel)) / np.sqrt(channels * kernel * kernel)
        b = self.rng.standard_normal(out) * 0.1
        pad = kernel // 2
        y = self.add("Conv", x, self.constant(w.astype(np.float32)), self.constant(b.astype(np.float32)), strides=[stride] * 2,
                     pads=[pad] * 4)
        return self.add("Relu", y)

    def save(self, path, y):
        graph = helper.make_graph(self.nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
                                  [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)], self.weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def dense(path):
    """As DenseNet: every layer reads what all before it made; transitions average."""
    net = Net()
    x, channels = net.add("MaxPool", net.conv("x", 3, 16, 3), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), 16
    for stage in range(2):
        for _ in range(3):
            new = net.conv(net.conv(x, channels, 32), 32, 12, 3)
            x, channels = net.add("Concat", x, new, axis=1), channels + 12
        if stage == 0:
            x, channels = net.conv(x, channels, channels // 2), channels // 2
            x = net.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    net.save(path, net.add("GlobalAveragePool", x))


def yolo(path):
    """As YOLO: pools of one size in a row joined, a small picture enlarged and joined with a larger one."""
    net = Net()
    large = net.conv(net.conv("x", 3, 16, 3, 2), 16, 32, 3, 2)
    small = net.conv(net.conv(large, 32, 48, 3, 2), 48, 24)
    pools = [small]
    for _ in range(3):
        pools.append(net.add("MaxPool", pools[-1], kernel_shape=[5, 5], strides=[1, 1], pads=[2, 2, 2, 2]))
    small = net.conv(net.add("Concat", *pools, axis=1), 96, 32)
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    up = net.add("Resize", small, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    net.save(path, net.conv(net.add("Concat", up, large, axis=1), 64, 20, 3))


class Noise(CalibrationDataReader):
    def __init__(self):
        self.rng, self.left = np.random.default_rng(1), 3

    def get_next(self):
        self.left -= 1
        return {"x": self.rng.random(SHAPE, dtype=np.float32)} if self.left >= 0 else None


@pytest.mark.parametrize("make,joined,others", [
    (dense, 6, {"max_pool": 1, "q_linear_average_pool": 1, "q_linear_global_average_pool": 1}),
    (yolo, 2, {"max_pool": 3, "resize": 1}),
])
@pytest.mark.parametrize("activations", [QuantType.QUInt8, QuantType.QInt8], ids=["u8", "i8"])
@pytest.mark.parametrize("cpu", [None, "avx2"])
def test_bytes_stay_bytes(tmp_path, make, joined, others, activations, cpu):
    real, path = str(tmp_path / "real.onnx"), str(tmp_path / "bytes.onnx")
    make(real)
    quantize_static(real, path, Noise(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=activations,
                    weight_type=QuantType.QInt8)
    x = np.random.default_rng(7).random(SHAPE, dtype=np.float32)
    theirs = Peer(path).run([x])[0]
    with Engine(path, cpu=cpu) as engine:
        ours = engine.run([x])[0]
        names = [step[3].split("+")[0] for step in engine.steps([x])]
    assert names.count("quantize_linear") == names.count("dequantize_linear") == 1
    assert sum(name in ("concat", "q_linear_concat") for name in names) == joined
    assert {name: names.count(name) for name in others} == others
    step = np.diff(np.unique(theirs)).min()  # of the last quantiser
    off = np.abs(ours - theirs) / step
    assert off.max() < 2.5 and (off > 0.5).mean() < 0.05
