#!/usr/bin/env python3
"""Writes the corpora of the fuzzers onnx, crate and wire: tests/fuzz/corpus/{onnx,crate,wire}. No dependencies.

usage: make_corpus.py [ONNX_DUMP]     the built tests/unit/format/onnx_dump; without it `wire` is left out

The models are small and each shows something: subgraphs, functions, kinds of attributes and of data, what is refused.
The wire corpus is what the import of those that are accepted gives.
"""
import os
import struct
import subprocess
import sys
import tempfile

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def varint(v):
    v &= (1 << 64) - 1
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7F | 0x80])
        v >>= 7
    return out + bytes([v])


def f(number, value):
    """One field: int -> varint, float -> 32 bits, str, bytes or list of fields -> length-delimited."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, list):
        value = b"".join(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def opset(version, domain="", field=8):
    return f(field, [f(1, domain), f(2, version)])


def value(field, name, elem=1, dims=()):
    shape = [f(1, [f(1, d) if isinstance(d, int) else f(2, d)]) for d in dims]
    return f(field, [f(1, name), f(2, [f(1, [f(1, elem), f(2, shape)])])])


def tensor(field, name, elem, dims, *data):
    return f(field, [*(f(1, d) for d in dims), f(2, elem), f(8, name), *data])


def raw(fmt, *v):
    return f(9, struct.pack("<" + fmt, *v))


def node(op, ins, outs, *attrs, domain="", field=1, name=""):
    inputs, outputs = [f(1, i) for i in ins.split(",") if ins], [f(2, o) for o in outs.split(",")]
    return f(field, [*inputs, *outputs, f(3, name), f(4, op), *attrs, f(7, domain)])


def attr(name, kind, *fields, field=5):
    return f(field, [f(1, name), f(20, kind), *fields])


def model(graph, ir=8, version=17, *more):
    return b"".join([f(1, ir), f(2, "make_corpus"), opset(version), f(7, graph), *more])


def branch(name, *fields):
    return attr(name, 5, f(6, [f(2, name), *fields]))


def nested(depth):
    if depth == 0:
        return [node("Add", "x,x", "y0")]
    inner = nested(depth - 1)
    return [node("If", "c", f"y{depth}", branch("then_branch", *inner, value(12, f"y{depth - 1}")),
                 branch("else_branch", value(12, "x")))]


def function(name, *body, ins=("a", "b"), outs=("out",), attrs=()):
    return f(25, [f(1, name), *(f(4, i) for i in ins), *(f(5, o) for o in outs), *body, opset(16, field=9),
                  opset(1, "f", field=9), f(10, "f"), *attrs])


def models():
    x, y = value(11, "x", 1, ("n", 3)), value(12, "y", 1, ("n", 3))
    w = tensor(5, "w", 1, [3], raw("3f", 1, 2, 3))
    yield "add", model([x, w, node("Add", "x,w", "y"), y])
    layers = [tensor(5, "w1", 1, [3, 4], raw("12f", *(i / 8 for i in range(12)))),
              tensor(5, "b1", 1, [4], raw("4f", 1, 2, 3, 4)),
              tensor(5, "w2", 1, [4, 2], raw("8f", *(i / 4 for i in range(8))))]
    yield "mlp", model([x, *layers, node("Gemm", "x,w1,b1", "h", attr("alpha", 1, f(2, 0.5))), node("Relu", "h", "r"),
                        node("MatMul", "r,w2", "m"), node("Softmax", "m", "y", attr("axis", 2, f(3, -1))), y])
    yield "weights_in_inputs", model([x, value(11, "w", 1, (3,)), w, node("Add", "x,w", "y"), y], 3, 9)
    yield "default_input", model([x, value(11, "w", 1, (3,)), w, node("Add", "x,w", "y"), y], 4, 9)
    yield "unsorted", model([node("Abs", "h", "y"), node("Neg", "x", "h"), value(13, "h"), x, y])
    yield "cycle", model([node("Abs", "b", "a"), node("Abs", "a", "b")])
    yield "unknown_op", model([node("Frobnicate", "x", "y", domain="com.nobody"), x, y])
    yield "absent", model([x, node("Clip", "x,,x", "y,"), y])
    yield "nested", model([x, value(11, "c", 9), *nested(4), value(12, "y4")])
    yield "too_deep", model([x, value(11, "c", 9), *nested(17), value(12, "y17")])
    body = [node("Add", "s,x", "t"), node("Identity", "k", "k2"), value(11, "i", 7), value(11, "k", 9), value(11, "s"),
            value(12, "k2", 9), value(12, "t")]
    loop = node("Loop", "n,k0,x", "y", branch("body", *body))
    yield "loop", model([x, value(11, "n", 7), value(11, "k0", 9), loop, y])
    leaf = function("Leaf", node("LeakyRelu", "a", "t", f(5, [f(1, "alpha"), f(20, 1), f(21, "slope")]), field=7),
                    node("Add", "t,b", "out", field=7), attrs=[attr("slope", 1, f(2, 0.25), field=11)])
    outer = function("Outer", node("Leaf", "a,b", "out", domain="f", field=7))
    call = node("Outer", "x,x", "y", attr("slope", 1, f(2, 0.5)), domain="f", name="call")
    yield "functions", model([x, call, y], 8, 17, opset(1, "f"), leaf, outer)
    loop = function("Outer", node("Outer", "a,b", "out", domain="f", field=7))
    yield "recursion", model([x, call, y], 8, 17, opset(1, "f"), loop)
    typed = [tensor(5, "f32", 1, [2], f(4, struct.pack("<2f", 1, 2))), tensor(5, "i64", 7, [2], f(7, b"\x01\xff\x01")),
             tensor(5, "u8", 2, [2], f(5, 200), f(5, 1)), tensor(5, "f16", 10, [1], f(5, 0x3C00)),
             tensor(5, "i4", 22, [3], f(9, b"\x8f\x07")), tensor(5, "u2", 25, [5], f(9, b"\xe4\x01")),
             tensor(5, "f64", 11, [1], f(10, struct.pack("<d", 0.5))), tensor(5, "u64", 13, [1], f(11, 7)),
             tensor(5, "bool", 9, [3], f(9, b"\0\1\2")), tensor(5, "s", 8, [2], f(6, "ab"), f(6, "")),
             tensor(5, "c64", 14, [1], f(4, struct.pack("<2f", 1, 2))), tensor(5, "empty", 1, [0, 4], f(9, b""))]
    yield "typed", model([*typed, value(12, "f32"), value(12, "s", 8)])
    yield "bomb", model([tensor(5, "w", 1, [1 << 20, 1 << 20], raw("f", 1)), value(12, "w")])
    sparse = f(15, [tensor(1, "sp", 1, [2], raw("2f", 5, 6)), tensor(2, "", 7, [2, 2], raw("4q", 0, 2, 1, 0)),
                    f(3, 2), f(3, 3)])
    yield "sparse", model([sparse, value(12, "sp")])
    external = tensor(5, "w", 1, [3], f(14, 1), *(f(13, [f(1, k), f(2, v)]) for k, v in
                                                 (("location", "w.bin"), ("offset", "16"), ("length", "12"))))
    yield "external", model([external, value(12, "w")])
    kinds = [attr("f", 1, f(2, 0.5)), attr("i", 2, f(3, -3)), attr("s", 3, f(4, "text")),
             attr("t", 4, tensor(5, "", 1, [1], raw("f", 9))), attr("fs", 6, f(7, 1.0), f(7, struct.pack("<f", 2))),
             attr("is", 7, f(8, 1), f(8, b"\2\3")), attr("ss", 8, f(9, "a"), f(9, "b")),
             attr("ts", 9, tensor(10, "", 7, [1], raw("q", 4))), attr("tp", 13, f(14, b""))]
    yield "attributes", model([x, node("Abs", "x", "y", *kinds), y])
    constants = [node("Constant", "", n, attr(n, k, *v)) for n, k, v in (
        ("value_int", 2, [f(3, 5)]), ("value_floats", 6, [f(7, 1.5)]), ("value_string", 3, [f(4, "s")]),
        ("value", 4, [tensor(5, "", 7, [1], raw("q", 4))]))]
    yield "constants", model([*constants, value(12, "value_int", 7), value(12, "value", 7)])
    yield "metadata", model([x, node("Abs", "x", "y"), y], 8, 17, f(14, [f(1, "key"), f(2, "value")]), f(6, "doc"))
    yield "newer", model([x, node("Abs", "x", "y"), y], 15, 99)
    yield "tensor_pb", tensor(1, "t", 1, [2], raw("2f", 1, 2))[2:]
    yield "sequence_pb", f(1, "s") + f(2, 1) + tensor(3, "a", 7, [1], raw("q", 1)) + tensor(3, "b", 8, [1], f(6, "x"))


def crate(*items):
    """As plan/crate.h lays it out. items: (provenance a, b, packing, bytes), sorted."""
    at = -(-(64 + 40 * len(items)) // 64) * 64
    head, body = b"SLIPCRAT" + struct.pack("<Q", len(items)) + bytes(48), b""
    for a, b, packing, data in items:
        head += struct.pack("<5Q", a, b, packing, len(data), at + len(body))
        body += data + bytes(-len(data) % 64)
    return head + bytes(at - len(head)) + body


def crates():
    items = [(1, k, k % 3, bytes(range(30 * k))) for k in range(6)]
    return {"none": crate(), "some": crate(*items), "unsorted": crate(*reversed(items)), "beyond": crate(*items)[:-64]}


def write(folder, name, data):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
    with open(os.path.join(HERE, folder, name), "wb") as out:
        out.write(data)


def main():
    dump = sys.argv[1] if len(sys.argv) > 1 else None
    for name, data in crates().items():
        write("crate", name, data)
    for name, data in models():
        write("onnx", name, data)
        if not dump:
            continue
        with tempfile.TemporaryDirectory() as at:
            path = os.path.join(at, "m.onnx")
            with open(path, "wb") as out:
                out.write(data)
            with open(os.path.join(at, "w.bin"), "wb") as out:
                out.write(bytes(64))
            got = subprocess.run([dump, "--wire", path], capture_output=True)
            said = f"wire {len(got.stdout)}" if got.returncode == 0 else got.stderr.decode().strip()
            print(f"{name}: {len(data)} bytes, {said}")
            if got.returncode == 0:
                write("wire", name, got.stdout)


if __name__ == "__main__":
    main()
