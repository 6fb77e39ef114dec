"""Samplers of ai.onnx operators for random_graphs.py: arithmetic, comparisons, reductions, moving, indexing.

A sampler is a function of the graph being grown and the operator's name: it draws inputs and attributes that the operator may have
at the graph's opset, and gives a Node, or raises Skip. Whether the draw is legal in every detail is left to onnxruntime."""

import functools

import numpy as np
import onnx
from onnx import helper

from random_graphs import FLOATS, INTS, TYPES, Node, Skip

SAMPLERS = {}
ONNX_TYPES = {
    "float": "f32",
    "double": "f64",
    "float16": "f16",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
    "uint16": "u16",
    "uint32": "u32",
    "uint64": "u64",
    "bool": "bool",
    "string": "string",
}
NUMBERS = FLOATS + INTS


def op(*names, since=1, until=99):
    def keep(f):
        for name in names:

            def sampler(g, name, f=f):
                if not since <= g.opset <= until:
                    raise Skip
                return f(g, name)

            SAMPLERS[name] = sampler
        return f

    return keep


@functools.lru_cache(None)
def schema(name, opset, domain=""):
    try:
        return onnx.defs.get_schema(name, opset, domain)
    except Exception:
        return None


@functools.lru_cache(None)
def types_of(name, opset, k=0, domain=""):
    """Our names of the tensor types that input k may have."""
    s = schema(name, opset, domain)
    if s is None or s.deprecated:
        return []
    out = []
    for t in s.inputs[min(k, len(s.inputs) - 1)].types:
        inner = t[7:-1] if t.startswith("tensor(") else ""
        if inner in ONNX_TYPES:
            out.append(ONNX_TYPES[inner])
    return sorted(out)


def drawn_type(g, name, k=0, among=None):
    types = [t for t in types_of(name, g.opset, k) if among is None or t in among]
    if not types:
        raise Skip
    return "f32" if "f32" in types and g.chance(0.4) else g.one(types)


def need(g, opset):
    if g.opset < opset:
        raise Skip


def maybe(g, p=0.5, **attrs):
    return {k: v for k, v in attrs.items() if g.chance(p)}


# --- arithmetic ---


@op(
    "Abs",
    "Neg",
    "Sign",
    "Floor",
    "Ceil",
    "Exp",
    "Sqrt",
    "Tanh",
    "Sigmoid",
    "Relu",
    "Erf",
    "Sin",
    "Cos",
    "Tan",
    "Sinh",
    "Cosh",
    "Asinh",
    "Atan",
    "Softplus",
    "Softsign",
    "HardSwish",
    "Mish",
    "Round",
    "IsNaN",
    "Not",
    "BitwiseNot",
    "Identity",
    "Size",
    "Shape",
    "IsInf",
)
def unary(g, name):
    t = drawn_type(g, name)
    jumps = name in ("Sqrt", "Sign", "Floor", "Ceil", "Round", "IsInf", "IsNaN")
    x = g.any([t], tame=name not in ("Abs", "Neg", "Identity", "IsNaN", "IsInf"), exact=jumps)
    attrs = {}
    if name == "Shape" and g.opset >= 15:
        attrs = maybe(g, start=g.int(-5, 5), end=g.int(-5, 5))
    if name == "IsInf":
        attrs = maybe(g, detect_negative=g.int(0, 1), detect_positive=g.int(0, 1))
    return Node(name, [x], attrs, exact=True if name in ("Shape", "Size", "IsNaN", "IsInf") else None)


@op("Reciprocal", "Log", "Asin", "Acos", "Acosh", "Atanh")
def ranged(g, name):
    low, high = {"Log": (0.01, 50), "Reciprocal": (0.2, 3), "Acosh": (1, 20)}.get(name, (-1, 1))
    return Node(name, [g.new(drawn_type(g, name), g.shape(), low, high)])


@op("Elu", "Selu", "Celu", "LeakyRelu", "ThresholdedRelu", "HardSigmoid", "Shrink", "Gelu", "Swish")
def activation(g, name):
    x = g.any([drawn_type(g, name)], exact=name in ("ThresholdedRelu", "Shrink"))
    attrs = {
        "Elu": maybe(g, alpha=g.int(1, 30) / 10),
        "Selu": maybe(g, alpha=1.5, gamma=0.7),
        "Celu": maybe(g, alpha=g.int(1, 30) / 10),
        "LeakyRelu": maybe(g, alpha=g.int(-9, 9) / 10),
        "ThresholdedRelu": maybe(g, alpha=g.int(0, 20) / 10),
        "HardSigmoid": maybe(g, alpha=0.3, beta=0.4),
        "Shrink": maybe(g, bias=0.3, lambd=0.7),
        "Gelu": maybe(g, approximate=g.one(["none", "tanh"])),
        "Swish": maybe(g, alpha=1.7),
    }[name]
    return Node(name, [x], attrs)


@op("PRelu")
def prelu(g, name):
    x = g.any([drawn_type(g, name)])
    return Node(name, [x, g.broadcast_with(x)])


@op("Clip")
def clip(g, name):
    if g.opset < 11:
        return Node(name, [g.any(["f32"])], maybe(g, min=-0.5, max=0.9))
    t = drawn_type(g, name, among=NUMBERS)
    x = g.any([t])
    low, high = g.leaf(g.data(t, (), 0, 3)), g.leaf(g.data(t, (), 4, 8))
    return Node(name, [x, low if g.chance(0.7) else None, high if g.chance(0.7) else None])


@op(
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Max",
    "Min",
    "Mod",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "And",
    "Or",
    "Xor",
    "Equal",
    "Less",
    "Greater",
    "LessOrEqual",
    "GreaterOrEqual",
    "BitShift",
)
def binary(g, name):
    t = drawn_type(g, name)
    jumps = name in ("Mod", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual")
    attrs = {}
    if name == "Pow":
        x = g.new(t, g.shape(), *((0.1, 3) if t in FLOATS else (-3, 3)))
        y = g.leaf(np.floor(g.data("f32", x.shape if g.chance(0.6) else (), 0, 3)).astype(TYPES[drawn_type(g, name, 1) if g.opset >= 12 else t]))
        return Node(name, [x, y])
    x = g.any([t], exact=jumps, tame=t != "string")
    y = g.any([t], exact=jumps, where=lambda v: v.shape == x.shape, shape=x.shape) if jumps and g.chance(0.5) else g.broadcast_with(x)
    if jumps and not y.exact:
        raise Skip
    if name in ("Div", "Mod"):
        low, high = (0.5, 3) if t in FLOATS else (1, 7)
        y = g.new(t, y.shape, low, high)
        if name == "Mod":
            attrs = {"fmod": 1} if t in FLOATS or g.chance(0.4) else {}
    if name == "BitShift":
        attrs, y = {"direction": g.one(["LEFT", "RIGHT"])}, g.new(t, y.shape, 0, 7)
    ins = [y, x] if g.chance(0.3) and name not in ("Div", "Mod", "BitShift") else [x, y]
    if name in ("Max", "Min") and g.chance(0.4):
        ins.append(g.broadcast_with(x))
    return Node(name, ins, attrs)


@op("Sum", "Mean")
def variadic(g, name):
    x = g.any([drawn_type(g, name)])
    return Node(name, [x] + [g.broadcast_with(x) for _ in range(g.int(0, 3))])


@op("Where", since=9)
def where(g, name):
    x = g.any([drawn_type(g, name, 1)])
    return Node(name, [g.new("bool", g.broadcast_with(x).shape), x, g.broadcast_with(x)])


@op("Cast")
def cast(g, name):
    to = g.one(NUMBERS + ["bool"] + (["string"] if g.opset >= 9 else []))
    if g.opset >= 9 and g.chance(0.1):
        to = g.one(NUMBERS)
        texts = g.leaf(np.array([g.one(["0", "7", "42"] + (["1.5", "2e1", "-0.25"] if to[0] == "f" else [])) for _ in range(g.int(1, 4))], object))
        return Node(name, [texts], {"to": helper.np_dtype_to_tensor_dtype(np.dtype(TYPES[to]))}, exact=True)
    x = g.any([g.one(NUMBERS + ["bool"])], exact=True)
    if x.x.dtype.kind == "f" and to != "string":
        low = 0 if to[0] in "ub" and to != "bf16" else -9
        x = g.new(x.type, x.shape, low, 9)
    if to == "string" and (x.x.dtype.kind == "f" or x.type == "bool"):
        raise Skip  # spelling of floats is onnxruntime's own
    if x.x.dtype.kind == "i" and to[0] == "u":
        x = g.new(x.type, x.shape, 0, 9)
    number = helper.np_dtype_to_tensor_dtype(np.dtype(TYPES[to])) if to != "string" else onnx.TensorProto.STRING
    return Node(name, [x], {"to": number}, exact=True)


@op("CastLike", since=15)
def cast_like(g, name):
    x = g.any(INTS, exact=True)
    x = g.new(x.type, x.shape, 0, 9)
    return Node(name, [x, g.new(g.one(NUMBERS), ())], exact=True)


@op("BitCast", since=26)
def bit_cast(g, name):
    sizes = {}
    for t in NUMBERS:
        sizes.setdefault(np.dtype(TYPES[t]).itemsize, []).append(t)
    x = g.any(NUMBERS, exact=True, tame=False)
    to = TYPES[g.one(sizes[x.x.itemsize])]
    return Node(name, [x], {"to": helper.np_dtype_to_tensor_dtype(np.dtype(to))}, exact=True, terminal=True)


@op("CumSum", "CumProd", since=11)
def cumulate(g, name):
    x = g.any([drawn_type(g, name)], low=1)
    return Node(name, [x, g.leaf(np.array(g.axis(x.rank), np.int64))], maybe(g, exclusive=g.int(0, 1), reverse=g.int(0, 1)))


# --- reductions ---


@op("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")
def reduce(g, name):
    # Logarithms of integers are cut at every step by onnxruntime; products of integers overflow as they like.
    t = drawn_type(g, name, among=FLOATS if "Log" in name else None)
    x = g.any([t], low=1, fresh=0.6)
    if name == "ReduceLogSum":
        x = g.new(t, x.shape, 0.2, 3)
    if name == "ReduceProd" and t not in FLOATS:
        x = g.new(t, x.shape, 1, 1 if x.x.size > 28 else 2)
    axes = sorted(g.rng.choice(x.rank, g.int(1, x.rank), replace=False).tolist())
    axes = [a - x.rank if g.opset >= 11 and g.chance(0.2) else a for a in axes]
    attrs = maybe(g, keepdims=g.int(0, 1))
    given = g.chance(0.8)
    if 0 in x.shape and name in ("ReduceMax", "ReduceMin", "ReduceMean"):
        raise Skip
    if g.opset < (13 if name == "ReduceSum" else 18):
        return Node(name, [x], {**attrs, **({"axes": axes} if given else {})})
    attrs.update(maybe(g, 0.3, noop_with_empty_axes=1))
    return Node(name, [x] + ([g.ints(axes)] if given else []), attrs)


@op("ArgMax", "ArgMin")
def arg(g, name):
    x = g.any([drawn_type(g, name)], low=1, exact=True, where=lambda v: 0 not in v.shape)
    attrs = maybe(g, keepdims=g.int(0, 1), axis=g.axis(x.rank, g.opset >= 11))
    if g.opset >= 12:
        attrs.update(maybe(g, select_last_index=g.int(0, 1)))
    return Node(name, [x], attrs, exact=True)


@op("Softmax", "LogSoftmax", "Hardmax")
def softmax(g, name):
    x = g.any([drawn_type(g, name)], low=1 if g.opset >= 13 else 2, exact=name == "Hardmax")
    return Node(name, [x], maybe(g, axis=g.axis(x.rank, g.opset >= 11)))


@op("TopK")
def top_k(g, name):
    x = g.any([drawn_type(g, name)], low=1, exact=True, where=lambda v: 0 not in v.shape)
    axis = g.axis(x.rank, g.opset >= 11)
    k = g.int(0 if g.opset >= 10 else 1, x.shape[axis])
    attrs = maybe(g, axis=axis)
    k = min(k, x.shape[attrs.get("axis", -1)])
    if g.opset < 10:
        return Node(name, [x], {**attrs, "k": k}, outs=2, exact=True)
    if g.opset >= 11:
        attrs.update(maybe(g, largest=g.int(0, 1)))
    return Node(name, [x, g.ints([k])], attrs, outs=2, exact=True)


@op("Unique", since=11)
def unique(g, name):
    x = g.any([g.one(["f32", "i64", "string", "i8", "f64"])], low=1, high=3, exact=True, where=lambda v: 0 not in v.shape)  # onnxruntime aborts
    x = g.new(x.type, x.shape, 0, 3) if x.type != "string" else x
    attrs = maybe(g, sorted=g.int(0, 1))
    if g.chance(0.5):
        attrs["axis"] = g.axis(x.rank)
    return Node(name, [x], attrs, outs=g.int(1, 4), exact=True)


@op("NonZero", since=9)
def non_zero(g, name):
    x = g.any([g.one(["f32", "i64", "i32", "u8", "bool"])], exact=True)
    x = g.new(x.type, x.shape, 0, 2) if x.type not in ("bool", "f32") else x
    return Node(name, [x], exact=True)


# --- moving ---


@op("Transpose")
def transpose(g, name):
    x = g.any([drawn_type(g, name)], high=5, tame=False)
    return Node(name, [x], maybe(g, 0.8, perm=g.rng.permutation(x.rank).tolist()))


@op("Reshape", since=5)
def reshape(g, name):
    x = g.any([drawn_type(g, name)], tame=False)
    n = x.x.size
    dims, left = [], n
    while left > 1 and len(dims) < 4:
        d = g.one([d for d in range(1, left + 1) if left % d == 0])
        dims.append(d)
        left //= d
    dims += [left] if left != 1 or not dims else []
    if n and g.chance(0.5):
        dims[g.int(0, len(dims) - 1)] = -1
    elif n and g.chance(0.3) and x.rank and x.shape[0] == dims[0]:
        dims[0] = 0
    if n == 0:
        dims = list(x.shape)[::-1]
    attrs = {"allowzero": 1} if n == 0 and g.opset >= 14 else {}
    return Node(name, [x, g.ints(dims)], attrs)


@op("Flatten")
def flatten(g, name):
    x = g.any([drawn_type(g, name)], low=1, tame=False)
    return Node(name, [x], maybe(g, axis=g.int(-x.rank if g.opset >= 11 else 0, x.rank)))


@op("Squeeze")
def squeeze(g, name):
    x = g.any([drawn_type(g, name)], tame=False)
    if g.chance(0.7) and 1 not in x.shape:
        x = g.new(x.type, x.shape[:2] + (1,) + x.shape[2:])
    ones = [k for k, d in enumerate(x.shape) if d == 1]
    axes = [a - x.rank if g.opset >= 11 and g.chance(0.3) else a for a in ones if g.chance(0.6)]
    if not axes:
        return Node(name, [x])
    return Node(name, [x, g.ints(axes)]) if g.opset >= 13 else Node(name, [x], {"axes": axes})


@op("Unsqueeze")
def unsqueeze(g, name):
    x = g.any([drawn_type(g, name)], high=3, tame=False)
    n = g.int(1, 2)
    axes = sorted(g.rng.choice(x.rank + n, n, replace=False).tolist())
    axes = [a - x.rank - n if g.opset >= 11 and g.chance(0.3) else a for a in axes]
    return Node(name, [x, g.ints(axes)]) if g.opset >= 13 else Node(name, [x], {"axes": axes})


@op("Expand", since=8)
def expand(g, name):
    x = g.any([drawn_type(g, name)], high=3, tame=False)
    shape = [g.int(1, 3) if d == 1 else g.one([1, d]) for d in x.shape]
    return Node(name, [x, g.ints([g.int(1, 3)] * g.int(0, 1) + shape)])


@op("Tile")
def tile(g, name):
    x = g.any([drawn_type(g, name)], low=1, tame=False)
    return Node(name, [x, g.ints([g.one([1, 1, 2, 3, 0] if g.zero_dims else [1, 1, 2, 3]) for _ in x.shape])])


@op("Concat")
def concat(g, name):
    x = g.any([drawn_type(g, name)], low=1, tame=False)
    axis = g.axis(x.rank, g.opset >= 11)
    ins = [x]
    for _ in range(g.int(0, 3)):
        s = list(x.shape)
        s[axis] = g.dim()
        ins.append(x if g.chance(0.2) else g.any([x.type], where=lambda v: v.shape == tuple(s), shape=tuple(s)))
    return Node(name, ins, {"axis": axis})


@op("Split")
def split(g, name):
    x = g.any([drawn_type(g, name)], low=1, tame=False)
    axis = g.axis(x.rank, g.opset >= 11)
    d, n = x.shape[axis], g.int(1, 3)
    attrs = {"axis": axis}
    if g.chance(0.6):
        cuts = sorted(g.int(0, d) for _ in range(n - 1))
        sizes = np.diff([0, *cuts, d]).tolist()
        if g.opset < 13:
            return Node(name, [x], {**attrs, "split": sizes}, outs=n)
        return Node(name, [x, g.ints(sizes)], attrs, outs=n)
    if g.opset >= 18:
        attrs["num_outputs"] = n
    return Node(name, [x], attrs, outs=n)


@op("Slice")
def slice_(g, name):
    x = g.any([drawn_type(g, name)], low=1, tame=False)
    axes = sorted(g.rng.choice(x.rank, g.int(1, x.rank), replace=False).tolist())
    starts = [g.int(-x.shape[a] - 2, x.shape[a] + 2) for a in axes]
    ends = [g.one([g.int(-x.shape[a] - 2, x.shape[a] + 2), 2**31 - 1, -(2**31)]) for a in axes]
    if g.opset < 10:
        return Node(name, [x], {"axes": axes, "starts": starts, "ends": ends})
    t = g.one(["i64", "i32"])
    steps = [g.one([1, 2, 3, -1, -2]) for _ in axes] if g.chance(0.5) else []
    # An end of INT_MAX on the way back means "all" to onnxruntime, nothing to numpy and the standard.
    ends = [e - 2**31 if step < 0 and e == 2**31 - 1 else e for e, step in zip(ends, steps or [1] * len(axes))]
    ins = [x, g.ints(starts, type=t), g.ints(ends, type=t), g.ints([a - x.rank if g.opset >= 11 and g.chance(0.2) else a for a in axes], type=t)]
    if steps:
        ins.append(g.ints(steps, type=t))
    return Node(name, ins)


@op("Pad")
def pad(g, name):
    t = drawn_type(g, name)
    x = g.any([t], low=1)
    mode = g.one(["constant", "constant", "reflect", "edge"] + (["wrap"] if g.opset >= 19 else []))
    low = -1 if mode == "constant" else 0
    pads = [g.int(low, min(3, d - 1 if mode == "reflect" else d)) for d in x.shape] + [g.int(0, min(2, d - 1 if mode == "reflect" else d)) for d in x.shape]
    pads = [max(p, low) for p in pads]
    if g.opset < 11:
        return Node(name, [x], {"pads": pads, "mode": mode, **maybe(g, value=1.5)})
    ins = [x, g.ints(pads)]
    if mode == "constant" and g.chance(0.6):
        ins.append(g.new(t, ()))
    if g.opset >= 18 and g.chance(0.3):
        axes = sorted(g.rng.choice(x.rank, g.int(1, x.rank), replace=False).tolist())
        ins = [x, g.ints([pads[a] for a in axes] + [pads[a + x.rank] for a in axes]), ins[2] if len(ins) > 2 else None, g.ints(axes)]
    return Node(name, ins, {"mode": mode})


@op("Trilu", since=14)
def trilu(g, name):
    x = g.any([drawn_type(g, name)], low=2, tame=False)
    return Node(name, [x] + ([g.leaf(np.array(g.int(-4, 4), np.int64))] if g.chance(0.6) else []), maybe(g, upper=g.int(0, 1)))


@op("ReverseSequence", since=10)
def reverse_sequence(g, name):
    x = g.any([drawn_type(g, name)], low=2, where=lambda v: 0 not in v.shape)
    time = g.int(0, 1)
    return Node(name, [x, g.leaf(g.rng.integers(1, x.shape[time] + 1, x.shape[1 - time]).astype(np.int64))], {"time_axis": time, "batch_axis": 1 - time})


@op("DepthToSpace", "SpaceToDepth")
def space(g, name):
    b = g.int(1, 3)
    n, c, h, w = g.int(1, 2), g.int(1, 3), g.int(1, 4), g.int(1, 4)
    s = (n, c * b * b, h, w) if name == "DepthToSpace" else (n, c, h * b, w * b)
    attrs = {"blocksize": b}
    if name == "DepthToSpace" and g.opset >= 11:
        attrs.update(maybe(g, mode=g.one(["DCR", "CRD"])))
    return Node(name, [g.any([drawn_type(g, name)], where=lambda v: v.shape == s, shape=s)], attrs)


@op("ConstantOfShape", since=9)
def constant_of_shape(g, name):
    t = g.one(NUMBERS + ["bool"])
    return Node(
        name,
        [g.ints(list(g.shape(0, 3)))],
        maybe(g, 0.8, value=helper.make_tensor("", helper.np_dtype_to_tensor_dtype(np.dtype(TYPES[t])), [1], [1])),
        exact=True,
    )


@op("Range", since=11)
def range_(g, name):
    t = drawn_type(g, name)
    start, step = g.int(-5, 5), g.one([1, 2, 3, -1, -2])
    limit = start + step * g.int(0, 9)
    return Node(name, [g.leaf(np.array(v, TYPES[t])) for v in (start, limit, step)])


@op("EyeLike", since=9)
def eye_like(g, name):
    return Node(name, [g.any(["f32", "i64", "f64", "i32"], 2, 2)], maybe(g, k=g.int(-3, 3), dtype=g.one([1, 6, 7, 11])), exact=True)


@op("CenterCropPad", since=18)
def center(g, name):
    x = g.any([drawn_type(g, name)], low=1)
    axes = sorted(g.rng.choice(x.rank, g.int(1, x.rank), replace=False).tolist())
    return Node(name, [x, g.ints([g.int(1, 9) for _ in axes])], {"axes": axes})


# --- indexing ---


def indexes(g, shape, most, type=None):
    if most == 0 and np.prod(shape):
        raise Skip
    return g.leaf(g.rng.integers(-most, max(most, 1), shape).astype(TYPES[type or g.one(["i64", "i32"])]))


@op("Gather")
def gather(g, name):
    x = g.any([drawn_type(g, name)], low=1, tame=False)
    # onnxruntime 1.32 gathers only the first text of a row.
    axis = g.axis(x.rank, g.opset >= 11) if x.type != "string" else x.rank - 1
    i = indexes(g, g.shape(0, 2), x.shape[axis])
    if g.opset < 11 and (i.x < 0).any():
        i = g.leaf(np.abs(i.x) % max(x.shape[axis], 1))
    return Node(name, [x, i], {"axis": axis})


@op("GatherElements", since=11)
def gather_elements(g, name):
    x = g.any([drawn_type(g, name)], low=1, tame=False)
    axis = g.axis(x.rank)
    s = [g.int(0, d) if k != axis % x.rank else g.int(1, 5) for k, d in enumerate(x.shape)]
    return Node(name, [x, indexes(g, s, x.shape[axis])], {"axis": axis})


@op("GatherND", since=11)
def gather_nd(g, name):
    x = g.any([drawn_type(g, name)], low=1, tame=False, where=lambda v: 0 not in v.shape)
    batch = g.int(0, x.rank - 1) if g.opset >= 12 and g.chance(0.4) else 0
    depth = g.int(1, x.rank - batch)
    s = x.shape[:batch] + g.shape(0, 2)
    i = np.stack([g.rng.integers(-d, d, s) for d in x.shape[batch : batch + depth]], -1).astype(np.int64)
    return Node(name, [x, g.leaf(i)], {"batch_dims": batch} if batch else {})


@op("ScatterElements", "Scatter", since=9)
def scatter_elements(g, name):
    if (name == "Scatter") != (g.opset < 11):
        raise Skip
    x = g.any([drawn_type(g, name)], low=1)
    axis = g.axis(x.rank, g.opset >= 11)
    s = tuple(g.int(1, d) if d else 0 for d in x.shape)
    reduction = g.one(["none", "add", "mul"] + (["min", "max"] if g.opset >= 18 else [])) if g.opset >= 16 and x.type not in ("string", "bool") else "none"
    if reduction == "none":  # no index twice
        i = np.argsort(g.rng.random(s[: axis % x.rank] + (x.shape[axis],) + s[axis % x.rank + 1 :]), axis)
        i = np.take(i, np.arange(s[axis]), axis)
    else:
        i = g.rng.integers(0, max(x.shape[axis], 1), s)
    attrs = {"axis": axis, **({"reduction": reduction} if reduction != "none" else {})}
    return Node(name, [x, g.leaf(i.astype(TYPES[g.one(["i64", "i32"])])), g.any([x.type], where=lambda v: v.shape == s, shape=s)], attrs)


@op("ScatterND", since=11)
def scatter_nd(g, name):
    x = g.any([drawn_type(g, name)], low=1, where=lambda v: 0 not in v.shape)
    depth = g.int(1, x.rank)
    reduction = g.one(["none", "add", "mul"] + (["min", "max"] if g.opset >= 18 else [])) if g.opset >= 16 and x.type not in ("string", "bool") else "none"
    all_of = np.stack(np.meshgrid(*[np.arange(d) for d in x.shape[:depth]], indexing="ij"), -1).reshape(-1, depth)
    n = g.int(0, min(5, len(all_of)))
    i = g.rng.permutation(all_of)[:n] if reduction == "none" else all_of[g.rng.integers(0, len(all_of), n)]
    s = (n, *x.shape[depth:])
    return Node(
        name, [x, g.leaf(i.astype(np.int64)), g.any([x.type], where=lambda v: v.shape == s, shape=s)], {"reduction": reduction} if reduction != "none" else {}
    )


@op("Compress", since=9)
def compress(g, name):
    x = g.any([drawn_type(g, name)], low=1, tame=False)
    if g.chance(0.6):
        axis = g.axis(x.rank, g.opset >= 11)
        return Node(name, [x, g.new("bool", (g.int(0, x.shape[axis]),))], {"axis": axis})
    return Node(name, [x, g.new("bool", (g.int(0, x.x.size),))])


@op("OneHot", since=9)
def one_hot(g, name):
    i = g.new(g.one(["i64", "f32", "i32"]), g.shape(0, 3), -3, 6)
    i = i if i.type != "f32" else g.leaf(np.floor(i.x))
    t = g.one(["f32", "i64", "i32", "string"] if i.type != "i32" else ["f32", "i32"])
    return Node(name, [i, g.leaf(np.array(g.int(1, 6), np.int64)), g.new(t, (2,))], maybe(g, axis=g.axis(i.rank + 1)))


# --- sequences, optionals ---


def a_sequence(g):
    fits = [v for v in g.values if isinstance(v.x, list) and v.x and isinstance(v.x[0], np.ndarray)]
    if fits and g.chance(0.8):
        return g.one(fits)
    t = g.one(["f32", "i64", "string"])
    return g.leaf([g.data(t, g.shape(1, 2)) for _ in range(g.int(1, 3))])


def item_of(g, s):
    t = "string" if s.x[0].dtype == object else None
    return g.any([t or next(k for k, v in TYPES.items() if np.dtype(v) == s.x[0].dtype)], 1, 2, tame=False)


@op("SequenceConstruct", "SequenceAt", "SequenceInsert", "SequenceErase", "SequenceLength", "ConcatFromSequence", "SequenceEmpty", since=11)
def sequence(g, name):
    if name == "SequenceEmpty":
        return Node(name, [], maybe(g, dtype=g.one([1, 7, 8])), exact=True)
    if name == "SequenceConstruct":
        t = g.one(["f32", "i64", "string", *NUMBERS, "bool"])
        return Node(name, [g.any([t], tame=False) for _ in range(g.int(1, 3))])
    s = a_sequence(g)
    n = len(s.x)
    if name == "SequenceLength":
        return Node(name, [s], exact=True)
    if name == "SequenceInsert":
        return Node(name, [s, item_of(g, s)] + ([g.leaf(np.array(g.int(-n, n), np.int64))] if g.chance(0.7) else []))
    if name == "ConcatFromSequence":
        if g.chance(0.5) and len({i.shape for i in s.x}) == 1:
            return Node(name, [s], {"axis": g.int(0, 1), "new_axis": 1})
        s = g.leaf([g.data("f32", (g.int(1, 3), 2)) for _ in range(g.int(1, 3))])
        return Node(name, [s], {"axis": 0})
    at = [g.leaf(np.array(g.int(-n, n - 1), g.one([np.int64, np.int32])))]
    return Node(name, [s] + (at if name == "SequenceAt" or g.chance(0.7) else []))


@op("SplitToSequence", since=11)
def split_to_sequence(g, name):
    x = g.any(["f32", "i64", "string", "i32", "f64"], low=1, where=lambda v: 0 not in v.shape)
    axis = g.axis(x.rank)
    attrs = maybe(g, keepdims=g.int(0, 1), axis=axis)
    if g.chance(0.4):
        return Node(name, [x], attrs)
    attrs.pop("keepdims", None)  # to be ignored beside 'split'; onnxruntime does not always
    d = x.shape[attrs.get("axis", 0)]
    if g.chance(0.5):
        return Node(name, [x, g.leaf(np.array(g.int(1, d), np.int64))], attrs)
    return Node(name, [x, g.ints(np.diff([0, g.int(0, d), d]).tolist())], attrs)


@op("OptionalHasElement", "OptionalGetElement", since=18)
def optional(g, name):
    return Node(name, [a_sequence(g) if g.chance(0.3) else g.any(["f32", "i64", "string", *NUMBERS, "bool"])])


@op("Optional", since=15)
def optional_of(g, name):
    """With what takes it out again: an optional itself cannot be an output in Python."""
    x, wrapped = g.any(["f32", "i64", "string", *NUMBERS]), g.name()
    n = Node(name, [x], terminal=True)
    n.outs = [g.name()]
    n.protos = [helper.make_node("Optional", [x.name], [wrapped]), helper.make_node("OptionalGetElement", [wrapped], n.outs)]
    return n


# --- text ---


@op("StringNormalizer", since=10)
def string_normalizer(g, name):
    words = g.new("string", g.one([(g.int(1, 5),), (1, g.int(1, 5))]))
    return Node(
        name,
        [words],
        {"case_change_action": g.one(["LOWER", "UPPER", "NONE"]), "is_case_sensitive": g.int(0, 1), "stopwords": ["a", "Hello"], "locale": "C.UTF-8"},
    )


@op("StringConcat", since=20)
def string_concat(g, name):
    x = g.any(["string"])
    return Node(name, [x, g.broadcast_with(x)])


@op("StringSplit", since=20)
def string_split(g, name):
    # An empty text is one part to the standard's reference, none to onnxruntime.
    x = g.any(["string"], where=lambda v: v.x.size > 0 and (v.x != "").all(), fresh=0)
    return Node(name, [x], maybe(g, delimiter=g.one([".", " "]), maxsplit=g.int(1, 2)), outs=2)


@op("RegexFullMatch", since=20)
def regex(g, name):
    return Node(name, [g.any(["string"])], {"pattern": g.one(["a.*", "[0-9]+", "(a|b)*", "H\\w+", ""])})


@op("TfIdfVectorizer", since=9)
def ngram(g, name):
    t = g.one(["i64", "i32", "string"])
    x = g.new("i32" if t == "i32" else "i64", g.one([(g.int(3, 9),), (g.int(1, 3), g.int(3, 9))]), 0, 4)
    pool = [1, 2, 3, 1, 2, 2, 3]
    if t == "string":
        x = g.leaf(np.array([f"w{k}" for k in x.x.ravel()], object).reshape(x.shape))
    attrs = dict(
        mode=g.one(["TF", "IDF", "TFIDF"]),
        min_gram_length=1,
        max_gram_length=g.int(1, 2),
        max_skip_count=g.int(0, 2),
        ngram_counts=[0, 3],
        ngram_indexes=[0, 1, 2, 3, 4],
        **({"pool_strings": [f"w{k}" for k in pool]} if t == "string" else {"pool_int64s": pool}),
    )
    return Node(name, [x], {**attrs, **maybe(g, weights=[0.5, 1.0, 2.0, 0.25, 3.0])}, exact=True)
