"""Random graphs, run by the engine and by ONNX Runtime: shapes, types, opsets, operators, subgraphs.

A graph grows node by node. Each node is drawn by a sampler (samples_*.py), run alone by ONNX Runtime on the values at hand, and
kept if ONNX Runtime takes it: so every intermediate value is known, and a difference is pinned to the first node that makes one.
The whole graph then goes to the engine once. What makes a difference explained, and nothing else does:
  * tolerance: TOLERANCE by type, relative to the largest element; quantising operators may be one step off (`steps`);
  * conditioning: no node differs alone, and leaves moved by one part in a million move ONNX Runtime's own answer as far.

    random_graphs.py [--graphs N] [--seed S] [--only OP[,OP]] [--single] [--threads N] [--off MASK] [--coverage] [--keep DIR]

--single: graphs of one node. --seed with --graphs 1 repeats a failing graph, which is printed with its smallest form."""

import argparse
import collections
import os
import select
import shutil
import subprocess
import sys
import tempfile

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

import engine

DRIVER = os.path.join(engine.BUILD, "tests", "golden", "run_cases")
OPSET_OLDEST, OPSET_NEWEST = 7, 28  # what onnxruntime has kernels for
DOMAINS = {"com.microsoft": 1, "ai.onnx.ml": 3}
TYPES = {
    "f32": np.float32,
    "f64": np.float64,
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "i8": np.int8,
    "i16": np.int16,
    "i32": np.int32,
    "i64": np.int64,
    "u8": np.uint8,
    "u16": np.uint16,
    "u32": np.uint32,
    "u64": np.uint64,
    "bool": np.bool_,
    "i4": ml_dtypes.int4,
    "u4": ml_dtypes.uint4,
    "i2": ml_dtypes.int2,
    "u2": ml_dtypes.uint2,
    "c64": np.complex64,
    "c128": np.complex128,
}
# of the largest element
TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-6, np.dtype(np.float16): 4e-3}
FLOATS, INTS = ["f32", "f64", "f16"], ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"]
LIMIT_ELEMENTS = 6000


class Value:
    """A value of the graph: what ONNX Runtime says it is. exact: no rounding of floats lies behind it."""

    def __init__(self, name, x, exact=True, steps=0):
        self.name, self.x, self.exact, self.steps = name, x, exact, steps
        self.plain = not isinstance(x, (list, dict))
        numeric = self.plain and x.dtype != object
        self.tame = bool(self.plain and (not numeric or x.size == 0 or x.dtype == bool or (np.isfinite(as_real(x)).all() and np.abs(as_real(x)).max() < 1e3)))

    @property
    def type(self):
        return "string" if self.x.dtype == object else engine_type(self.x.dtype)

    shape = property(lambda self: self.x.shape)
    rank = property(lambda self: self.x.ndim)


def as_real(x):
    return x if np.iscomplexobj(x) else x.astype(np.float64)


def engine_type(dtype):
    return next(name for name, t in TYPES.items() if np.dtype(t) == dtype)


def elem_type(x):
    return TensorProto.STRING if x.dtype == object else helper.np_dtype_to_tensor_dtype(x.dtype)


def map_type_proto(x):
    keys, values = list(x), list(x.values())
    value = helper.make_tensor_type_proto(TensorProto.STRING if isinstance(values[0], str) else TensorProto.FLOAT, [])
    return helper.make_map_type_proto(TensorProto.STRING if isinstance(keys[0], str) else TensorProto.INT64, value)


def type_proto(x, shape=None):
    if isinstance(x, dict):
        return map_type_proto(x)
    if isinstance(x, list):
        if x and isinstance(x[0], dict):
            return None
        return helper.make_sequence_type_proto(type_proto(x[0]) if x else helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    return helper.make_tensor_type_proto(elem_type(x), shape)


class Node:
    """A drawn node: one NodeProto (or several that belong together), its input values, its output names."""

    def __init__(self, op, ins, attrs=None, outs=1, domain="", exact=None, steps=0, terminal=False, protos=None, compare=None):
        self.op, self.ins, self.attrs, self.n_out, self.domain = op, ins, attrs or {}, outs, domain
        self.exact, self.steps, self.terminal, self.protos, self.compare = exact, steps, terminal, protos, compare
        self.outs, self.functions = [], []
        self.form = op  # what coverage counts

    def inputs(self):
        seen = {}
        for v in self.ins:
            if v is not None:
                seen[v.name] = v
        return list(seen.values())


class Skip(Exception):
    """The sampler has nothing for this opset or these values."""


class Graph:
    def __init__(self, seed, only=None, single=False):
        self.rng = np.random.default_rng(seed)
        self.seed, self.only = seed, only
        r = self.rng
        self.opset = int(r.choice(range(OPSET_OLDEST, OPSET_NEWEST + 1), p=weights()))
        self.ml = int(r.choice([1, 2, 3, 4, 5]))
        self.values, self.nodes, self.leaves, self.const = [], [], [], set()
        self.refused = collections.Counter()
        self.n_nodes = 1 if single else int(r.integers(1, 9))
        self.single = single
        self.zero_dims = r.random() < 0.15
        self.n = 0

    # --- drawing ---

    def chance(self, p):
        return self.rng.random() < p

    def one(self, options):
        return options[int(self.rng.integers(len(options)))]

    def int(self, low, high):
        """low <= result <= high"""
        if high < low:
            raise Skip
        return int(self.rng.integers(low, high + 1))

    def name(self, prefix="v"):
        self.n += 1
        return f"{prefix}{self.n}"

    def dim(self):
        if self.zero_dims and self.chance(0.15):
            return 0
        return self.one([1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17])

    def shape(self, low=0, high=4):
        while True:
            s = tuple(self.dim() for _ in range(self.int(low, high)))
            if np.prod(s) <= LIMIT_ELEMENTS:
                return s

    def data(self, type, shape, low=None, high=None):
        r = self.rng
        if type == "string":
            words = [""][: self.int(0, 1)] + ["a", "b", "ab", "Hello", "wörld", "x y", "42", "a.b.c", "日本"]
            return np.array([self.one(words) for _ in range(int(np.prod(shape)))], object).reshape(shape)
        t = TYPES[type]
        if type == "bool":
            return r.random(shape) < 0.5
        if type[0] in "fb" and low is None:
            return r.standard_normal(shape).astype(t)
        if type[0] in "fb":
            return (r.random(shape) * (high - low) + low).astype(t)
        if type[0] == "c":
            return (r.standard_normal(shape) + 1j * r.standard_normal(shape)).astype(t)
        if low is None:
            low, high = (0, 12) if type[0] == "u" else (-8, 8)
        return r.integers(low, high + 1, shape).astype(t)

    def leaf(self, x, const=None):
        """A new input or (const) initializer."""
        v = Value(self.name("x"), x if isinstance(x, (list, dict)) else np.asarray(x))
        self.leaves.append(v)
        if not isinstance(x, (list, dict)) and (self.chance(0.35) if const is None else const):
            self.const.add(v.name)
        return v

    def ints(self, values, const=None, type="i64"):
        return self.leaf(np.array(values, TYPES[type]), self.chance(0.75) if const is None else const)

    def new(self, type, shape, low=None, high=None, const=None):
        return self.leaf(self.data(type, shape, low, high), const)

    def any(self, types=("f32",), low=0, high=4, exact=False, tame=True, fresh=0.35, where=lambda v: True, shape=None, span=(None, None)):
        """A value at hand that fits, or a new one."""
        fits = [
            v
            for v in self.values
            if v.plain and v.type in types and low <= v.rank <= high and (v.exact or not exact) and (v.tame or not tame) and v.steps == 0 and where(v)
        ]
        if fits and not self.chance(fresh):
            return self.one(fits)
        v = self.new(self.one(list(types)), self.shape(low, high) if shape is None else shape, *span)
        if not where(v):
            raise Skip
        return v

    def like(self, v, **kw):
        """Another of the same type and shape."""
        return self.any([v.type], where=lambda o: o.shape == v.shape, shape=v.shape, **kw)

    def broadcast_with(self, v):
        """A value of v's type whose shape broadcasts with v's."""
        s = list(v.shape[self.int(0, v.rank) :]) if v.rank else []
        for k in range(len(s)):
            if self.chance(0.3):
                s[k] = 1
        return self.any([v.type], where=lambda o: o.shape == tuple(s), shape=tuple(s))

    def axis(self, rank, negative=True):
        a = self.int(0, rank - 1)
        return a - rank if negative and self.chance(0.3) else a

    # --- growing ---

    def try_node(self, node):
        """Runs it alone; True when onnxruntime took it."""
        node.attrs = {k: v for k, v in node.attrs.items() if not (isinstance(v, list) and not v)}
        outs = [self.name("v") for _ in range(node.n_out)] if not node.outs else node.outs
        node.outs = outs
        if node.protos is None:
            node.protos = [helper.make_node(node.op, [v.name if v is not None else "" for v in node.ins], outs, domain=node.domain, **node.attrs)]
        try:
            results = peer_run(self.model([node], node.inputs(), as_inputs=True), node.inputs())
        except PeerRefuses as e:
            self.refused[node.op] += 1
            self.why = str(e)
            return False
        exact = all(v.exact for v in node.inputs()) if node.exact is None else node.exact
        node.values = [
            Value(n, x, exact and not (isinstance(x, np.ndarray) and x.dtype.kind == "f" and node.exact is None), node.steps)
            for n, x in zip(filter(None, outs), results)
        ]
        if any(isinstance(x, np.ndarray) and x.size > 4 * LIMIT_ELEMENTS for x in results):
            return False
        self.nodes.append(node)
        for v in node.inputs():
            if v in self.leaves and v not in self.values:
                self.values.append(v)
        if not node.terminal:
            self.values += [v for v in node.values if v.name]
        return True

    def grow(self, samplers):
        tries = 0
        while len(self.nodes) < self.n_nodes and tries < 40:
            tries += 1
            name = self.one(self.only or sorted(samplers))
            before = len(self.leaves)
            try:
                node = samplers[name](self, name)
                node.form = name
                if self.chance(0.15) and not node.outs and node.protos is None and not node.terminal and node.compare is None:
                    node = self.one(WRAPPERS)(self, node) or node
                if self.try_node(node):
                    continue
            except Skip:
                pass
            del self.leaves[before:]
        return bool(self.nodes)

    # --- the model ---

    def model(self, nodes, leaves, as_inputs=False, outputs=None):
        """as_inputs: every leaf an input, every output wanted: one node alone. Else leaves are constants or inputs as drawn."""
        style = self.seed % 3  # static dims, named dims, no dims
        inputs, inits, protos = [], [], []
        for v in leaves:
            t = (
                v.plain
                and v.x.dtype.kind not in "V"
                and not isinstance(v.x.dtype.type(), (ml_dtypes.bfloat16, ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.int2, ml_dtypes.uint2))
            )
            shape = (
                None
                if not v.plain
                else (
                    list(v.shape)
                    if style == 0 or as_inputs
                    else None if style == 2 else [f"{v.name}_d{k}" if (v.rank + k) % 2 else d for k, d in enumerate(v.shape)]
                )
            )
            if v.plain and (v.name in self.const or not t):
                if hash_of(v.name) % 7 == 0 and not as_inputs:
                    protos.append(helper.make_node("Constant", [], [v.name], value=from_array(v.x, "")))
                    continue
                inits.append(from_array(v.x, v.name))
                if hash_of(v.name) % 5 or as_inputs:
                    continue
            inputs.append(onnx.ValueInfoProto(name=v.name, type=type_proto(v.x, shape)))
        functions = {}
        for n in nodes:
            protos += n.protos
            for f in n.functions:
                functions[f.name] = f
        wanted = outputs or [o for n in nodes for o in n.outs if o]
        outs = [onnx.ValueInfoProto(name=o) for o in wanted]
        g = helper.make_graph(protos, "g", inputs, outs, initializer=inits)
        imports = [helper.make_opsetid("", self.opset)] + [helper.make_opsetid(d, self.ml if d == "ai.onnx.ml" else v) for d, v in DOMAINS.items()]
        imports += [helper.make_opsetid("local", 1)] if functions else []
        return helper.make_model(g, opset_imports=imports, functions=list(functions.values()), ir_version=10 if self.opset <= 21 else 11)

    def wanted(self):
        """Names of the graph's outputs: what nobody uses, and some of the rest."""
        used = {v.name for n in self.nodes for v in n.inputs()}
        return [o for n in self.nodes for o in n.outs if o and (o not in used or hash_of(o) % 4 == 0)]

    def used_leaves(self, nodes):
        made = {o for n in nodes for o in n.outs}
        seen = {}
        for n in nodes:
            for v in n.inputs():
                if v.name not in made:
                    seen[v.name] = v
        return list(seen.values())


def hash_of(name):
    return sum(ord(c) * 31**k for k, c in enumerate(name)) >> 2


def weights():
    w = np.array([1, 1, 1, 1, 2, 1, 3, 1, 1, 1, 2, 3, 1, 1, 3, 2, 2, 1, 1, 1, 1, 1], float)
    return w / w.sum()


def from_array(x, name):
    if x.dtype == object:
        return helper.make_tensor(name, TensorProto.STRING, x.shape, [s.encode() for s in x.ravel()])
    return numpy_helper.from_array(x, name)


# --- subgraphs and functions around a node ---


def body_outputs(node):
    return [onnx.ValueInfoProto(name=o) for o in node.outs]


def proto_of(g, node, outs, rename=None):
    rename = rename or {}
    node.attrs = {k: v for k, v in node.attrs.items() if not (isinstance(v, list) and not v)}
    return helper.make_node(node.op, [rename.get(v.name, v.name) if v is not None else "" for v in node.ins], outs, domain=node.domain, **node.attrs)


def plain_outputs(node):
    return node.op not in ("SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceErase", "SplitToSequence", "SequenceMap", "Optional", "ZipMap")


def in_if(g, node):
    """The branch that a condition chooses; both are the same."""
    holds = g.leaf(np.array(g.chance(0.5)))
    inner = [[g.name("b") for _ in range(node.n_out)] for _ in range(2)]
    typed = typed_outputs(g, node, [])
    if typed is None:
        return None
    then, otherwise = (helper.make_graph([proto_of(g, node, names)], "b", [], rename_infos(typed, names)) for names in inner)
    wrapped = Node("If", [holds, *node.ins], outs=node.n_out, exact=node.exact, steps=node.steps)
    wrapped.outs = [g.name() for _ in range(node.n_out)]
    wrapped.protos = [helper.make_node("If", [holds.name], wrapped.outs, then_branch=then, else_branch=otherwise)]
    wrapped.form, wrapped.attrs = "If+" + node.form, node.attrs
    return wrapped


def typed_outputs(g, node, extra):
    """ValueInfos of the node's outputs: it is run once to know them."""
    outs = [g.name("t") for _ in range(node.n_out)]
    extra.clear()
    probe = Node(node.op, node.ins, node.attrs, node.n_out, node.domain)
    probe.outs, probe.protos = outs, [proto_of(g, node, outs)]
    try:
        results = peer_run(g.model([probe], probe.inputs(), as_inputs=True), probe.inputs())
    except PeerRefuses:
        return None
    if any(isinstance(x, list) and not x for x in results):
        return None
    extra += results
    return [onnx.ValueInfoProto(name=o, type=type_proto(x)) for o, x in zip(outs, results)]


def rename_infos(infos, names):
    return [onnx.ValueInfoProto(name=n, type=i.type) for i, n in zip(infos, names)]


def in_loop(g, node):
    """Iterations stack what the node gives; where it keeps shape and type, or they carry it."""
    if not plain_outputs(node) or g.opset < 8 or node.steps:
        return None
    results = []
    typed = typed_outputs(g, node, results)
    if typed is None or any(not t.type.HasField("tensor_type") for t in typed):
        return None
    trips = g.leaf(np.array(g.int(1, 3), np.int64))
    i, c, c_out = (g.name("b") for _ in range(3))
    names = [g.name("b") for _ in range(node.n_out)]
    ins = [
        onnx.ValueInfoProto(name=i, type=helper.make_tensor_type_proto(TensorProto.INT64, [])),
        onnx.ValueInfoProto(name=c, type=helper.make_tensor_type_proto(TensorProto.BOOL, [])),
    ]
    keep = helper.make_node("Identity", [c], [c_out])
    cond = onnx.ValueInfoProto(name=c_out, type=helper.make_tensor_type_proto(TensorProto.BOOL, []))
    first = node.ins[0] if node.ins else None
    carried = node.n_out == 1 and first is not None and first.plain and results[0].dtype == first.x.dtype and results[0].shape == first.shape and g.chance(0.5)
    if carried:
        state = g.name("b")
        ins.append(onnx.ValueInfoProto(name=state, type=helper.make_tensor_type_proto(elem_type(first.x), None)))
        inner = proto_of(g, node, names, {first.name: state})
    else:
        inner = proto_of(g, node, names)
    body = helper.make_graph([inner, keep], "b", ins, [cond, *rename_infos(typed, names)])
    wrapped = Node("Loop", [trips, *node.ins], outs=node.n_out, exact=node.exact, terminal=carried)
    wrapped.outs = [g.name() for _ in range(node.n_out)]
    wrapped.protos = [helper.make_node("Loop", [trips.name, ""] + ([first.name] if carried else []), wrapped.outs, body=body)]
    wrapped.form, wrapped.attrs = "Loop+" + node.form, node.attrs
    return wrapped


def in_scan(g, node):
    if not plain_outputs(node) or g.opset < 9 or node.steps:
        return None
    typed = typed_outputs(g, node, [])
    if typed is None or any(not t.type.HasField("tensor_type") for t in typed):
        return None
    x = g.any(["f32"], 1, 3, where=lambda v: 0 not in v.shape)
    axis = g.int(0, x.rank - 1)
    piece, piece_out, state, state_out = (g.name("b") for _ in range(4))
    names = [g.name("b") for _ in range(node.n_out)]
    start = g.new("f32", ())
    f32 = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    scalar = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    total = g.name("b")
    body = helper.make_graph(
        [
            proto_of(g, node, names),
            helper.make_node("Abs", [piece], [piece_out]),
            helper.make_node("Mul", [state, state], [total]),
            helper.make_node("Sqrt", [total], [state_out]),
        ],
        "b",
        [onnx.ValueInfoProto(name=state, type=scalar), onnx.ValueInfoProto(name=piece, type=f32)],
        [onnx.ValueInfoProto(name=state_out, type=scalar), onnx.ValueInfoProto(name=piece_out, type=f32), *rename_infos(typed, names)],
    )
    wrapped = Node("Scan", [start, x, *node.ins], outs=2 + node.n_out, exact=node.exact)
    wrapped.outs = [g.name() for _ in range(2 + node.n_out)]
    attrs = dict(num_scan_inputs=1, scan_input_axes=[axis])
    if g.chance(0.3):
        attrs["scan_input_directions"] = [1]
    if g.chance(0.3):
        attrs["scan_output_directions"] = [g.int(0, 1) for _ in range(1 + node.n_out)]
    wrapped.protos = [helper.make_node("Scan", [start.name, x.name], wrapped.outs, body=body, **attrs)]
    wrapped.form, wrapped.attrs = "Scan+" + node.form, node.attrs
    return wrapped


def in_function(g, node):
    if not plain_outputs(node):
        return None
    wrapped = Node("Call", node.ins, outs=node.n_out, exact=node.exact, steps=node.steps, compare=node.compare)
    wrapped.outs = [g.name() for _ in range(node.n_out)]
    formal = {v.name: f"f{k}" for k, v in enumerate(node.inputs())}
    names = [f"r{k}" for k in range(node.n_out)]
    kind = g.name("F")
    imports = [helper.make_opsetid("", g.opset)] + [helper.make_opsetid(d, g.ml if d == "ai.onnx.ml" else v) for d, v in DOMAINS.items()]
    wrapped.functions = [helper.make_function("local", kind, list(formal.values()), names, [proto_of(g, node, names, formal)], imports)]
    wrapped.protos = [helper.make_node(kind, list(formal), wrapped.outs, domain="local")]
    wrapped.form, wrapped.attrs = "function+" + node.form, node.attrs
    return wrapped


def in_bf16(g, node):
    """The node in bf16, of which Python has no numbers, between casts."""
    floats = [v for v in node.inputs() if v.plain and v.type == "f32"]
    if g.opset < 13 or node.domain or not floats or node.steps or not plain_outputs(node):
        return None
    results = []
    if typed_outputs(g, node, results) is None or any(not isinstance(x, np.ndarray) for x in results):
        return None
    wide = [x.dtype == np.float32 for x in results]
    narrow = {v.name: g.name("n") for v in floats}
    wrapped = Node("bf16", node.ins, outs=node.n_out, exact=False, compare=nearly, terminal=True)
    wrapped.outs = [g.name() for _ in range(node.n_out)]
    inner = [g.name("n") if w else o for w, o in zip(wide, wrapped.outs)]
    cast = lambda x, y, to: helper.make_node("Cast", [x], [y], to=to)
    wrapped.protos = [cast(x, y, TensorProto.BFLOAT16) for x, y in narrow.items()] + [proto_of(g, node, inner, narrow)]
    wrapped.protos += [cast(x, y, TensorProto.FLOAT) for x, y, w in zip(inner, wrapped.outs, wide) if w]
    wrapped.form, wrapped.attrs = "bf16+" + node.form, node.attrs
    return wrapped


def nearly(node, ours, v):
    """Sums of bf16 numbers are rounded on the way, by each engine in its places."""
    if v.x.dtype != np.float32 or ours.shape != v.x.shape or not np.isfinite(v.x).all():
        return difference(ours, v.x)
    far, most = np.abs(ours - v.x).max(initial=0), np.abs(v.x).max(initial=0)
    return None if far <= 0.02 * max(most, 1e-2) else f"by {far} of {most}"


WRAPPERS = [in_if, in_loop, in_scan, in_function, in_bf16]

# --- the two runtimes ---


class PeerRefuses(Exception):
    pass


ort.set_default_logger_severity(4)
OPTIONS = ort.SessionOptions()
OPTIONS.log_severity_level = 4
OPTIONS.intra_op_num_threads = 1
OPTIONS.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL


def peer_run(model, values):
    try:
        session = ort.InferenceSession(model.SerializeToString(), OPTIONS, providers=["CPUExecutionProvider"])
        names = {i.name for i in session.get_inputs()}
        return [out_of_peer(x) for x in session.run(None, {v.name: v.x for v in values if v.name in names})]
    except Exception as e:  # onnxruntime's exceptions have no common base but this
        raise PeerRefuses(str(e)) from None


def out_of_peer(x):
    if isinstance(x, (list, dict)) or x is None:
        return x
    x = np.asarray(x)
    return x.astype(object) if x.dtype.kind in "US" else x


class Refused(Exception):
    """The engine said no, or died."""


class Cases:
    """The engine's driver: one process for many graphs."""

    def __init__(self, threads=2, off=0, cpu=None, spoil=0):
        self.arguments = [DRIVER, "--threads", str(threads), "--off", str(off), "--spoil", str(spoil)]
        self.spoil = spoil
        self.environment = dict(os.environ, **({"SLIPWAY_CPU": cpu} if cpu else {}))
        self.folder = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process:
            self.process.stdin.close()
            self.process.wait()
        shutil.rmtree(self.folder)

    def run(self, model, leaves):
        """Outputs by name."""
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        with open(os.path.join(self.folder, "model.onnx"), "wb") as f:
            f.write(model.SerializeToString())
        by_name = {v.name: v for v in leaves}
        for k, i in enumerate(model.graph.input):
            write_input(self.folder, k, by_name[i.name].x)
        if self.process is None:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment)
        self.process.stdin.write(self.folder.encode() + b"\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        line = self.process.stdout.readline().decode(errors="replace").rstrip("\n") if ready else ""
        if not line:
            self.process.kill()
            status = self.process.wait()
            self.process = None
            raise Refused(f"the engine {'died with ' + str(status) if ready else 'took more than a minute'}")
        if line != "ok":
            raise Refused(line[6:])
        if self.spoil:
            return {}
        with open(os.path.join(self.folder, "out.bin"), "rb") as f:
            return {o.name: read_value(f) for o in model.graph.output}


def write_input(folder, k, x):
    if isinstance(x, list):
        name, proto = f"in_{k}.sequence.pb", sequence_proto(x)
    elif isinstance(x, dict):
        name, proto = f"in_{k}.map.pb", map_proto(x)
    else:
        name, proto = f"in_{k}.pb", from_array(x, "")
    with open(os.path.join(folder, name), "wb") as f:
        f.write(proto.SerializeToString())


def sequence_proto(items):
    if items and isinstance(items[0], dict):
        return onnx.SequenceProto(elem_type=onnx.SequenceProto.MAP, map_values=[map_proto(i) for i in items])
    return onnx.SequenceProto(elem_type=onnx.SequenceProto.TENSOR, tensor_values=[from_array(i, "") for i in items])


def map_proto(x):
    keys = list(x)
    strings = bool(keys) and isinstance(keys[0], str)
    values = list(x.values())
    text = bool(values) and isinstance(values[0], str)
    array = np.array(values, object if text else np.int64 if values and isinstance(values[0], (int, np.integer)) else np.float32)
    m = onnx.MapProto(key_type=TensorProto.STRING if strings else TensorProto.INT64)
    if strings:
        m.string_keys.extend(k.encode() for k in keys)
    else:
        m.keys.extend(keys)
    m.values.elem_type = onnx.SequenceProto.TENSOR
    m.values.tensor_values.append(from_array(array, ""))
    return m


def read_value(f):
    kind, *dims = f.readline().decode().split()
    dims = [int(d) for d in dims]
    if kind == "none":
        return None
    if kind == "sequence":
        return [read_value(f) for _ in range(dims[0])]
    if kind == "absent":
        return None
    if kind == "map":
        keys, values = read_value(f), read_value(f)
        return dict(zip(keys.tolist(), values.tolist()))
    count = int(np.prod(dims))
    if kind == "string":
        return np.array([f.read(int(f.readline())).decode(errors="replace") for _ in range(count)] + [None], object)[:-1].reshape(dims)
    dtype = np.dtype(TYPES[kind])
    return np.frombuffer(f.read(count * dtype.itemsize), dtype).reshape(dims)


# --- judging ---


def difference(ours, theirs, steps=0):
    """None, or how they differ; the second: how far, in tolerances."""
    if isinstance(theirs, list):
        if not isinstance(ours, list) or len(ours) != len(theirs):
            return f"a sequence of {len(ours) if isinstance(ours, list) else 'nothing'}, not {len(theirs)}"
        return next((f"item {k}: {d}" for k, (a, b) in enumerate(zip(ours, theirs)) if (d := difference(a, b, steps))), None)
    if isinstance(theirs, dict):
        if not isinstance(ours, dict) or list(sorted(ours)) != list(sorted(theirs)):
            return f"{ours}, not {theirs}"
        return difference(np.array([ours[k] for k in sorted(ours)], np.float32), np.array([theirs[k] for k in sorted(theirs)], np.float32), steps)
    if theirs is None or ours is None:
        return None if theirs is None and ours is None else f"{ours}, not {theirs}"
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return f"{ours.dtype}{list(ours.shape)}, not {theirs.dtype}{list(theirs.shape)}"
    if ours.size == 0:
        return None
    if ours.dtype == object or ours.dtype.kind == "b" or (ours.dtype.kind in "iuV" and ours.dtype not in TOLERANCE and not steps):
        bad = ours != theirs
        if not bad.any():
            return None
        at = np.unravel_index(np.argmax(bad), bad.shape)
        return f"{int(bad.sum())} of {ours.size} differ, at {list(map(int, at))} {ours[at]!r}, not {theirs[at]!r}"
    a, b = as_real(ours), as_real(theirs)
    if steps:
        far = np.abs(a - b)
        few = (far > 0).sum() <= max(2, 0.05 * far.size)
        return None if far.max() <= steps and few else f"{int((far > 0).sum())} of {far.size} differ, by {far.max()} at most"
    with np.errstate(all="ignore"):
        finite = np.isfinite(b)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        scale = np.abs(b[finite]).max() if finite.any() else 0
        limit = TOLERANCE.get(ours.dtype, 1e-2) * max(scale, 1e-2)
        bad = ~same & ~(np.abs(a - b) <= limit)
    if not bad.any():
        return None
    far = np.where(bad, np.where(np.isfinite(a - b), np.abs(a - b), np.inf), -1)
    at = np.unravel_index(np.argmax(far), bad.shape)
    return f"{int(bad.sum())} of {ours.size} differ, at {list(map(int, at))} {ours[at]!r}, not {theirs[at]!r} (scale {scale:.3g})"


def moved(g, nodes, wanted):
    """How far onnxruntime's own answers go when float leaves move by one part in a million: {name: array}."""
    leaves = g.used_leaves(nodes)
    shaken = []
    for v in leaves:
        x = v.x
        if v.plain and x.dtype.kind == "f":
            part = 1e-3 if x.dtype == np.float16 else 2e-6
            x = np.asarray(x * (1 + part * g.rng.choice([-1, 1], x.shape)), x.dtype)
        shaken.append(Value(v.name, x))
    results = peer_run(g.model(nodes, shaken, outputs=wanted), shaken)
    return dict(zip(wanted, results))


def ill_conditioned(g, nodes, ours, theirs):
    """Every one of these differences is no larger than what moved leaves make."""
    try:
        other = moved(g, nodes, list(theirs))
    except PeerRefuses:
        return False
    for name, mine in theirs.items():
        if not (
            isinstance(mine, np.ndarray)
            and mine.dtype.kind == "f"
            and isinstance(ours[name], np.ndarray)
            and other[name].shape == mine.shape == ours[name].shape
        ):
            return False
        with np.errstate(all="ignore"):
            far = np.nanmax(np.abs(as_real(ours[name]) - as_real(mine)), initial=0)
            drift = np.nanmax(np.abs(as_real(other[name]) - as_real(mine)), initial=0)
        if not far <= 8 * drift:
            return False
    return True


# Refusals that are decisions, by the words of the engine: each is listed in docs/operators.
EXPLAINED_REFUSALS = []


def check_alone(cases, node, g):
    model = g.model([node], node.inputs(), as_inputs=True)
    ours = cases.run(model, node.inputs())
    for v in node.values:
        if v.name and (d := judge(node, ours[v.name], v)) and not ill_conditioned(g, [node], ours, {v.name: v.x}):
            return d
    return None


def judge(node, ours, v):
    if node.compare:
        return node.compare(node, ours, v)
    return difference(ours, v.x, v.steps)


def check(cases, g):
    """None, or a text about the difference."""
    wanted = g.wanted()
    leaves = g.used_leaves(g.nodes)
    by_name = {v.name: (n, v) for n in g.nodes for v in n.values}
    try:
        ours = cases.run(g.model(g.nodes, leaves, outputs=wanted), leaves)
        bad = [(name, d) for name in wanted if (d := judge(by_name[name][0], ours[name], by_name[name][1]))]
    except Refused as e:
        bad = [("", str(e))]
    if not bad:
        return None
    for node in g.nodes:
        try:
            d = check_alone(cases, node, g)
        except Refused as e:
            d = str(e)
        if d:
            if any(text in d for text in EXPLAINED_REFUSALS):
                return None
            return f"alone: {describe(node)}\n    {d}"
    name, d = bad[0]
    if name and ill_conditioned(g, g.nodes, ours, {name: by_name[name][1].x for name, _ in bad}):
        return None
    return f"together only, output {name!r}: {d}\n" + "\n".join("    " + describe(n) for n in smallest(cases, g))


def survives(cases, g):
    """None, or how the engine fell over a spoiled graph."""
    leaves = g.used_leaves(g.nodes)
    try:
        cases.run(g.model(g.nodes, leaves, outputs=g.wanted()), leaves)
    except Refused as e:
        return f"spoiled: {e}\n" + "\n".join("    " + describe(n) for n in g.nodes)
    return None


def smallest(cases, g):
    """Nodes of a prefix of the graph that still differs, without what the difference does not need."""
    nodes = list(g.nodes)
    k = len(nodes) - 1
    while k >= 0:
        fewer = nodes[:k] + nodes[k + 1 :]
        made = {o for n in fewer for o in n.outs}
        lost = {o for o in nodes[k].outs}
        if fewer and not any(v.name in lost for n in fewer for v in n.inputs()):
            try:
                leaves = g.used_leaves(fewer)
                wanted = [o for o in g.wanted() if o in made] or [fewer[-1].outs[0]]
                ours = cases.run(g.model(fewer, leaves, outputs=wanted), leaves)
                by_name = {v.name: (n, v) for n in fewer for v in n.values}
                if any(judge(by_name[name][0], ours[name], by_name[name][1]) for name in wanted):
                    nodes = fewer
            except Refused:
                nodes = fewer
        k -= 1
    return nodes


def describe(node):
    def show(v):
        if v is None:
            return "-"
        if not v.plain:
            return f"{v.name}:{type(v.x).__name__}[{len(v.x)}]"
        values = f"={v.x.ravel().tolist()}" if v.x.size <= 4 else ""
        return f"{v.name}:{v.type}{list(v.shape)}{values}"

    attrs = {k: (v if not isinstance(v, (onnx.TensorProto, onnx.GraphProto)) else "...") for k, v in node.attrs.items()}
    return f"{node.form}({', '.join(show(v) for v in node.ins)}) {attrs} -> {', '.join(node.outs)}"


def all_samplers():
    import samples_ai
    import samples_ml  # noqa: F401
    import samples_ms  # noqa: F401
    import samples_nets  # noqa: F401  (they add to the same table)

    return samples_ai.SAMPLERS


def draw(seed, samplers, only=None, single=False):
    g = Graph(seed, only, single)
    return g if g.grow(samplers) else None


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--graphs", type=int, default=300)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only")
    p.add_argument("--single", action="store_true")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--off", type=lambda s: int(s, 0), default=0)
    p.add_argument("--cpu")
    p.add_argument("--coverage", action="store_true")
    p.add_argument("--keep")
    p.add_argument("--spoil", type=int, default=0, help="run each graph spoiled, this many times: only crashes count (SLIPWAY_BUILD=build/asan)")
    p.add_argument("--types", help="write here which element types each operator was compared with")
    o = p.parse_args()
    samplers = all_samplers()
    failed = grown = 0
    kinds, types = collections.Counter(), collections.defaultdict(set)
    with Cases(o.threads, o.off, o.cpu, o.spoil) as cases:
        for seed in range(o.seed, o.seed + o.graphs):
            g = draw(seed, samplers, o.only and o.only.split(","), o.single)
            if g is None:
                continue
            grown += 1
            kinds.update(n.form for n in g.nodes)
            for n in g.nodes:
                for v in n.ins[:1] if "+" not in n.form else []:
                    if v is not None:
                        types[n.form].add(v.type if v.plain else "map" if isinstance(v.x, dict) else "sequence")
            if text := (survives if o.spoil else check)(cases, g):
                failed += 1
                print(f"seed {seed} opset {g.opset}: {text}", flush=True)
                if o.keep:
                    keep(o.keep, g)
    if o.coverage:
        base = collections.Counter()
        for k, n in kinds.items():
            base[k.split("+")[-1]] += n
        for k in sorted(samplers):
            print(f"{base[k]:6d} {k}")
    if o.types:
        with open(o.types, "w") as f:
            f.writelines(f"{k}: {' '.join(sorted(types[k]))}\n" for k in sorted(samplers))
    print(f"{grown - failed} passed, {failed} failed")
    return 1 if failed or not grown else 0


def keep(folder, g):
    os.makedirs(folder, exist_ok=True)
    leaves = g.used_leaves(g.nodes)
    model = g.model(g.nodes, leaves, outputs=g.wanted())
    onnx.save(model, os.path.join(folder, "model.onnx"))
    for k, i in enumerate(model.graph.input):
        write_input(folder, k, next(v.x for v in leaves if v.name == i.name))


if __name__ == "__main__":
    import random_graphs  # the module that the samplers know

    sys.exit(random_graphs.main())
