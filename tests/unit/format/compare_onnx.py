#!/usr/bin/env python3
"""Our reading of ONNX files against Python's: usage: compare_onnx.py DUMP_PROGRAM FILE...

What the program (tests/unit/format/dump.c) should print is made from the onnx package. Needs onnx and numpy.
A model whose operators this build lacks is skipped with its reason; any difference exits 1.
"""
import hashlib
import subprocess
import sys

import numpy as np
import onnx
from onnx import numpy_helper as nh

NAMES = {1: "f32", 2: "u8", 3: "i8", 4: "u16", 5: "i16", 6: "i32", 7: "i64", 8: "string", 9: "bool", 10: "f16",
         11: "f64", 12: "u32", 13: "u64", 14: "c64", 15: "c128", 16: "bf16", 17: "f8e4m3fn", 18: "f8e4m3fnuz",
         19: "f8e5m2", 20: "f8e5m2fnuz", 21: "u4", 22: "i4", 23: "f4e2m1", 24: "f8e8m0", 25: "u2", 26: "i2"}


def tensor(t, folder):
    if t.data_type == 8:
        data = b"".join(s + b"\n" for s in t.string_data)
    else:
        array = nh.to_array(t, folder)
        if t.data_type in (21, 22, 25, 26):
            array = array.astype(np.int8)
        elif t.data_type == 23:
            array = array.view(np.uint8)
        data = np.ascontiguousarray(array).tobytes()
    shape = ",".join(str(d) for d in t.dims)
    return f"{NAMES[t.data_type]} [{shape}] {hashlib.sha256(data).hexdigest()[:16]}"


def listed(values, kind):
    shape = f"[{len(values)}]" if kind.endswith("s") else "[]"
    name = {"i": "i64", "f": "f32", "s": "string"}[kind[6]]
    if name == "string":
        data = b"".join(v + b"\n" for v in values)
    else:
        data = np.array(values, np.int64 if name == "i64" else np.float32).tobytes()
    return f"{name} {shape} {hashlib.sha256(data).hexdigest()[:16]}"


def constant(node, folder):
    a = node.attribute[0]
    v = onnx.helper.get_attribute_value(a)
    if a.name == "value":
        return tensor(a.t, folder)
    return listed(list(v) if a.name.endswith("s") else [v], a.name)


def attribute(a, opsets, ir, folder, out):
    A = onnx.AttributeProto
    text = f"  attr {a.name}"
    if a.type == A.INT:
        text += f" {a.i}"
    elif a.type == A.FLOAT:
        text += " " + "%.9g" % a.f
    elif a.type == A.STRING:
        text += f" '{a.s.decode()}'"
    elif a.type == A.INTS:
        text += "".join(f" {v}" for v in a.ints)
    elif a.type == A.FLOATS:
        text += "".join(" %.9g" % v for v in a.floats)
    elif a.type == A.STRINGS:
        text += "".join(f" '{v.decode()}'" for v in a.strings)
    elif a.type == A.TENSOR:
        text += " " + tensor(a.t, folder)
    out.append(text)
    if a.type == A.GRAPH:
        graph(a.g, opsets, ir, folder, out)


def graph(g, opsets, ir, folder, out, main=False):
    weights = {t.name for t in g.initializer}
    inputs = [i.name for i in g.input if not (main and ir < 4 and i.name in weights)]
    out.append("inputs" + "".join(f" [{n}]" for n in inputs))
    out.append("outputs" + "".join(f" [{o.name}]" for o in g.output))
    constants = [(t.name, tensor(t, folder)) for t in g.initializer]
    constants += [(n.output[0], constant(n, folder)) for n in g.node if n.op_type == "Constant"]
    out.extend(sorted(f"constant [{name}] {text}" for name, text in constants))
    for n in g.node:
        if n.op_type == "Constant":
            continue
        domain = n.domain or "ai.onnx"
        out.append(f"node {n.op_type} {domain} {opsets[domain]}")
        out.append("  in" + "".join(f" [{i}]" for i in n.input))
        out.append("  out" + "".join(f" [{o}]" for o in n.output))
        for a in n.attribute:
            if a.type in (13, 14):  # TYPE_PROTO: dropped, no operator reads it
                continue
            attribute(a, opsets, ir, folder, out)
    out.append("end")


def count(g):
    return sum((n.op_type != "Constant") + sum(count(a.g) for a in n.attribute if a.type == onnx.AttributeProto.GRAPH)
               for n in g.node)


def sort_constants(lines):
    """Constants come in the file's order there, sorted here: runs of constant lines are sorted."""
    out, run = [], []
    for line in lines:
        if line.startswith("constant "):
            run.append(line)
        else:
            out += sorted(run) + [line]
            run = []
    return out + sorted(run)


def compare(program, path):
    got = subprocess.run([program, path], capture_output=True, text=True, errors="replace")
    if got.returncode:
        skip = "not supported" in got.stderr or "this build" in got.stderr
        print(f"{'skip' if skip else 'FAIL'} {path}: {got.stderr.strip()}")
        return skip
    folder = path.rsplit("/", 1)[0] if "/" in path else "."
    model = onnx.load(path)
    opsets = {o.domain or "ai.onnx": o.version for o in model.opset_import}
    want = []
    graph(model.graph, opsets, model.ir_version, folder, want, main=True)
    lines = got.stdout.splitlines()
    nodes = int(lines[0].split()[3])
    have, want = sort_constants(lines[1:]), sort_constants(want)
    if nodes != count(model.graph) or have != want:
        first = next((i for i, (a, b) in enumerate(zip(have, want)) if a != b), min(len(have), len(want)))
        print(f"FAIL {path}: {nodes} nodes, expected {count(model.graph)}; line {first}:")
        print("  have", have[first:first + 1], "\n  want", want[first:first + 1])
        return False
    print(f"ok   {path}: {lines[0]}")
    return True


if __name__ == "__main__":
    results = [compare(sys.argv[1], path) for path in sys.argv[2:]]
    sys.exit(0 if all(results) else 1)
