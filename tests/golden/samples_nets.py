"""Samplers of ai.onnx operators for random_graphs.py: networks, 8-bit, signals. See samples_ai.py."""

import numpy as np
from onnx import helper

from random_graphs import FLOATS, TYPES, Node, Skip
from samples_ai import SAMPLERS, drawn_type, maybe, need, op


def product_type(g, name):
    return drawn_type(g, name, among=["f32", "f32", "f64", "i32", "i64", "u32", "u64", "f16"])


@op("MatMul")
def mat_mul(g, name):
    t = product_type(g, name)
    m, k, n = (g.one([1, 2, 3, 4, 7, 16, 33]) for _ in range(3))
    batch = g.shape(0, 2)
    a = batch + (m, k) if g.chance(0.8) else (k,)
    b = batch[g.int(0, len(batch)) :] + (k, n) if g.chance(0.8) else (k,)
    return Node(name, [g.any([t], where=lambda v: v.shape == a, shape=a), g.new(t, b)])


@op("Gemm")
def gemm(g, name):
    t = drawn_type(g, name, among=FLOATS)
    m, k, n = (g.one([1, 2, 3, 5, 8, 17, 32]) for _ in range(3))
    ta, tb = g.int(0, 1), g.int(0, 1)
    ins = [g.new(t, (k, m) if ta else (m, k)), g.new(t, (n, k) if tb else (k, n))]
    if g.opset < 11 or g.chance(0.7):
        ins.append(g.new(t, g.one([(n,), (1, n), (m, 1), (m, n), ()])))
    return Node(name, ins, {"transA": ta, "transB": tb, **maybe(g, alpha=0.5, beta=2.0)})


@op("Einsum", since=12)
def einsum(g, name):
    equation = g.one(
        ["ij,jk->ik", "bij,bjk->bik", "ij->ji", "ij->", "ii->i", "i,j->ij", "bhid,bhjd->bhij", "ij,ij->ij", "...i,i->...", "ij,j", "abc->cb", "ij,jk,kl->il"]
    )
    sizes = {c: g.int(1, 5) for c in "abcdhijkl"}
    t = g.one(["f32", "f32", "f64", "i32", "i64"])
    ins = [g.new(t, tuple(sizes[c] for c in term.replace("...", "ab"))) for term in equation.split("->")[0].split(",")]
    return Node(name, ins, {"equation": equation})


@op("Det", since=11)
def det(g, name):
    n = g.int(1, 4)
    return Node(name, [g.new("f32", g.shape(0, 2) + (n, n))])


# --- windows ---


def window(g, dims, kernel, dilations=True, name=""):
    """Attributes of a convolution or pool over the spatial dims."""
    n = len(dims)
    attrs = {"strides": [g.int(1, 3) for _ in range(n)]} if g.chance(0.6) else {}
    dil = [g.int(1, 2) for _ in range(n)] if dilations and g.chance(0.3) else [1] * n
    if dil != [1] * n:
        attrs["dilations"] = dil
    auto = g.one(["NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])
    if auto == "NOTSET":
        if g.chance(0.6):
            attrs["pads"] = [g.int(0, k - 1) for k in kernel] + [g.int(0, k - 1) for k in kernel]
    elif dil == [1] * n:
        attrs["auto_pad"] = auto
    return attrs


def spatial(g, low=1, high=3):
    n = g.one([1, 2, 2, 2, 3])
    dims = tuple(g.int(3, 12) for _ in range(n))
    return dims, [g.int(1, 3) for _ in range(n)]


@op("Conv")
def conv(g, name):
    t = drawn_type(g, name, among=["f32", "f32", "f64", "f16"])
    dims, kernel = spatial(g)
    groups = g.one([1, 1, 2, 3])
    cin = groups * g.one([1, 2, 3, 4, 8])
    if g.chance(0.2):
        groups = cin
    cout = groups * g.one([1, 2, 3, 4, 8])
    shape = (g.int(1, 2), cin, *dims)
    ins = [g.any([t], where=lambda v: v.shape == shape, shape=shape), g.new(t, (cout, cin // groups, *kernel), const=g.chance(0.8))]
    if g.chance(0.6):
        ins.append(g.new(t, (cout,), const=g.chance(0.8)))
    return Node(name, ins, {"group": groups, **window(g, dims, kernel), **maybe(g, kernel_shape=kernel)})


@op("ConvTranspose")
def conv_transpose(g, name):
    dims, kernel = spatial(g)
    groups = g.one([1, 1, 2])
    cin, cout = groups * g.int(1, 4), g.int(1, 4)
    ins = [g.new("f32", (g.int(1, 2), cin, *dims)), g.new("f32", (cin, cout, *kernel))] + ([g.new("f32", (cout * groups,))] if g.chance(0.5) else [])
    attrs = {"group": groups, **window(g, dims, kernel)}
    if "auto_pad" in attrs:
        attrs.pop("auto_pad")
    if g.chance(0.3) and "strides" in attrs:
        attrs["output_padding"] = [g.int(0, s - 1) for s in attrs["strides"]]
    return Node(name, ins, attrs)


@op("MaxPool", "AveragePool", "LpPool")
def pool(g, name):
    dims, kernel = spatial(g)
    t = drawn_type(g, name, among=["f32", "f32", "f64", "u8", "i8", "f16"])
    x = g.any([t], exact=True, where=lambda v: v.shape[2:] == dims and v.rank == len(dims) + 2, shape=(g.int(1, 2), g.int(1, 5), *dims))
    dilations = (name == "MaxPool" and g.opset >= 10) or (name == "AveragePool" and g.opset >= 19) or (name == "LpPool" and g.opset >= 18)
    attrs = {"kernel_shape": kernel, **window(g, dims, kernel, dilations)}
    if name == "AveragePool":
        attrs.update(maybe(g, count_include_pad=g.int(0, 1)))
    if name == "LpPool":
        attrs.update(maybe(g, p=g.int(1, 3)))
    if attrs.get("auto_pad") == "SAME_UPPER" or attrs.get("auto_pad") == "SAME_LOWER":
        attrs["strides"] = [min(s, k) for s, k in zip(attrs.get("strides", kernel), kernel)]  # no negative pads
    if any(d < 1 + (k - 1) * r for d, k, r in zip(dims, kernel, attrs.get("dilations", kernel))):
        raise Skip  # onnxruntime has one window where none fits
    # The standard's formula for VALID knows no ceil_mode; onnxruntime's does.
    if g.opset >= (18 if name == "LpPool" else 10) and attrs.get("auto_pad") != "VALID":
        attrs.update(maybe(g, 0.3, ceil_mode=1))
    return Node(name, [x], attrs, outs=2 if name == "MaxPool" and g.opset >= 8 and g.chance(0.3) else 1)


@op("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(g, name):
    return Node(name, [g.any([drawn_type(g, name)], 3, 5, where=lambda v: 0 not in v.shape)], maybe(g, p=g.int(1, 3)) if name == "GlobalLpPool" else {})


@op("MaxRoiPool", "RoiAlign")
def roi(g, name):
    if name == "RoiAlign":
        need(g, 10)
    t = g.one(["f32", "f32", "f64"]) if name == "RoiAlign" else "f32"
    x = g.new(t, (2, g.int(1, 3), g.int(5, 10), g.int(5, 10)))
    n = g.int(1, 3)
    corners = np.sort(g.rng.random((n, 2, 2)) * 8, 1).reshape(n, 4).astype(TYPES[t])
    if name == "MaxRoiPool":
        batch = g.rng.integers(0, 2, (n, 1)).astype(np.float32)
        return Node(
            name, [x, g.leaf(np.concatenate([batch, np.floor(corners)], 1))], {"pooled_shape": [g.int(1, 3), g.int(1, 3)], **maybe(g, spatial_scale=0.5)}
        )
    attrs = dict(output_height=g.int(1, 3), output_width=g.int(1, 3), sampling_ratio=g.int(0, 2), spatial_scale=0.7, **maybe(g, mode=g.one(["avg", "max"])))
    if g.opset >= 16:
        attrs.update(maybe(g, coordinate_transformation_mode=g.one(["half_pixel", "output_half_pixel"])))
    return Node(name, [x, g.leaf(corners), g.leaf(g.rng.integers(0, 2, n).astype(np.int64))], attrs)


# --- norms ---


@op("BatchNormalization", since=9)
def batch_norm(g, name):
    x = g.any(["f32", "f64"], 2, 5)
    c = x.shape[1]
    ins = [x] + [g.new(x.type, (c,)) for _ in range(3)] + [g.new(x.type, (c,), 0.1, 2)]
    return Node(name, ins, maybe(g, epsilon=1e-3, momentum=0.8))


@op("InstanceNormalization", since=6)
def instance_norm(g, name):
    x = g.any(["f32"], 3, 5, where=lambda v: 0 not in v.shape and np.prod(v.shape[2:]) > 1)
    return Node(name, [x, g.new("f32", (x.shape[1],)), g.new("f32", (x.shape[1],))], maybe(g, epsilon=1e-3))


@op("GroupNormalization", since=18)
def group_norm(g, name):
    groups, each = g.int(1, 3), g.int(1, 3)
    x = g.new("f32", (g.int(1, 2), groups * each, *[g.int(2, 5) for _ in range(g.int(1, 2))]))
    n = groups if g.opset < 21 else groups * each
    return Node(name, [x, g.new("f32", (n,)), g.new("f32", (n,))], {"num_groups": groups, **maybe(g, epsilon=1e-3)})


@op("LayerNormalization", "RMSNormalization", since=17)
def layer_norm(g, name):
    if name == "RMSNormalization":
        need(g, 23)
    x = g.any(["f32", "f32", "f64", "f16"], 1, 4, where=lambda v: 0 not in v.shape and v.shape[-1] > 2)
    axis = g.int(0, x.rank - 1)
    s = x.shape[axis:]
    ins = [x, g.new(x.type, s)] + ([g.new(x.type, s)] if g.chance(0.6) and name[0] == "L" else [])
    return Node(name, ins, {"axis": g.one([axis, axis - x.rank]), "epsilon": 1e-3}, outs=g.one([1, 1, 3]) if name[0] == "L" else 1)


@op("LRN", "LpNormalization", "MeanVarianceNormalization")
def other_norm(g, name):
    if name == "LRN":
        return Node(name, [g.any(["f32"], 4, 4, where=lambda v: 0 not in v.shape)], {"size": g.one([1, 3, 5]), **maybe(g, alpha=0.01, beta=0.6, bias=1.2)})
    if name == "LpNormalization":
        x = g.any(["f32", "f64"], 1, 4)
        return Node(name, [x], maybe(g, axis=g.axis(x.rank), p=g.int(1, 2)))
    need(g, 9)
    # A channel of equal numbers is nan to onnxruntime, 0 here and to the standard's reference.
    return Node(name, [g.new("f32", (2, g.int(1, 3), g.int(1, 3), g.int(1, 3)))])


@op("Dropout", since=7)
def dropout(g, name):
    return Node(name, [g.any(["f32", "f64", "f16"])], outs=g.int(1, 2 if g.opset >= 12 else 1))  # the mask had no meaning before


@op("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss", since=12)
def loss(g, name):
    n, c = g.int(1, 4), g.int(2, 5)
    rest = tuple(max(d, 1) for d in g.shape(0, 2))  # the mean of nothing is nan here and 0 there
    target = g.leaf(g.rng.integers(0, c, (n, *rest)).astype(np.int64))
    attrs = maybe(g, reduction=g.one(["none", "mean", "sum"]), ignore_index=g.int(0, c - 1))
    return Node(name, [g.new("f32", (n, c, *rest)), target] + ([g.new("f32", (c,), 0.1, 1)] if g.chance(0.4) else []), attrs)


# --- recurrent ---


@op("RNN", "GRU", "LSTM", since=7)
def recurrent(g, name):
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[name]
    s, b, i, h = g.int(1, 5), g.int(1, 3), g.int(1, 9), g.one([1, 2, 4, 8, 9])
    direction = g.one(["forward", "reverse", "bidirectional"])
    d = 2 if direction == "bidirectional" else 1

    t = g.one(["f32", "f32", "f64"])

    def f(*shape):
        return g.new(t, shape, -0.5, 0.5)

    ins = [f(s, b, i), f(d, gates * h, i), f(d, gates * h, h)]
    ins.append(f(d, 2 * gates * h) if g.chance(0.7) else None)
    ins.append(g.leaf(g.rng.integers(1, s + 1, b).astype(np.int32)) if g.chance(0.4) else None)
    ins.append(f(d, b, h) if g.chance(0.6) else None)
    if name == "LSTM":
        ins.append(f(d, b, h) if g.chance(0.5) else None)
        ins.append(f(d, 3 * h) if g.chance(0.3) else None)
    attrs = {"hidden_size": h, "direction": direction}
    if g.chance(0.3):
        attrs["clip"] = 0.8
    if name == "GRU":
        attrs.update(maybe(g, linear_before_reset=g.int(0, 1)))
    if name == "LSTM":
        attrs.update(maybe(g, 0.2, input_forget=1))
    if g.chance(0.3):
        one = {"RNN": ["Relu"], "GRU": ["Sigmoid", "Softsign"], "LSTM": ["HardSigmoid", "Tanh", "Softsign"]}[name]
        attrs["activations"] = one * d
    return Node(name, ins, attrs, outs=3 if name == "LSTM" else 2)


# --- attention (opset 23) ---


@op("Attention", since=23)
def attention(g, name):
    b, h, s, t, d = g.int(1, 2), g.one([1, 2, 4]), g.int(1, 6), g.int(1, 6), g.one([2, 4, 8])
    kv, of = g.one([k for k in (1, 2, 4) if h % k == 0]), g.one(["f32", "f32", "f16"])
    ins = [g.new(of, (b, h, s, d)), g.new(of, (b, kv, t, d)), g.new(of, (b, kv, t, d))]
    attrs = maybe(g, is_causal=g.int(0, 1), scale=0.4, softcap=1.5)
    if g.chance(0.4):
        ins.append(g.new(of, g.one([(s, t), (b, 1, s, t), (b, h, s, t)])))
    return Node(name, ins, attrs)


@op("RotaryEmbedding", since=23)
def rotary(g, name):
    b, h, s, d, most = g.int(1, 2), g.int(1, 3), g.int(1, 5), 2 * g.int(1, 4), 8
    t = g.one(["f32", "f32", "f16"])
    tables = [g.new(t, (most, d // 2)) for _ in range(2)]
    return Node(name, [g.new(t, (b, h, s, d)), *tables, g.leaf(g.rng.integers(0, most, (b, s)).astype(np.int64))], maybe(g, interleaved=g.int(0, 1)))


# --- pictures ---


def cut_numbers(node, ours, v):
    """Integers are cut after interpolation: where the result is whole, noise of a float decides."""
    if v.x.size == 0:
        return None if ours.shape == v.x.shape else f"{ours.shape}"
    far = np.abs(ours.astype(int) - v.x.astype(int)) if ours.shape == v.x.shape else np.array([9])
    return f"by {far.max()}, {(far > 0).sum()} of {far.size}" if far.max(initial=0) > 1 or (far > 0).mean() > 0.35 else None


@op("Resize", since=10)
def resize(g, name):
    n = g.one([1, 2, 2])
    x = g.any(["f32", "f32", "u8", "i8"], n + 2, n + 2, exact=True, where=lambda v: 0 not in v.shape and max(v.shape) < 16)
    mode = g.one(["nearest", "linear"] + (["cubic"] if n == 2 and g.opset >= 11 and x.type == "f32" else []))
    scales = [1.0, 1.0] + [g.one([0.5, 0.6, 1.0, 1.5, 2.0, 3.0]) for _ in range(n)]
    if g.opset < 11:
        return Node(
            name,
            [x, g.leaf(np.array(scales, np.float32))],
            {"mode": mode},
            exact=False,
            compare=cut_numbers if x.type != "f32" else None,
            terminal=x.type != "f32",
        )
    attrs = {"mode": mode, **maybe(g, coordinate_transformation_mode=g.one(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]))}
    if mode == "nearest":
        attrs.update(maybe(g, nearest_mode=g.one(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])))
    if mode == "cubic":
        attrs.update(maybe(g, cubic_coeff_a=-0.5, exclude_outside=g.int(0, 1)))
    if mode == "nearest":  # at thirds, noise of a float decides
        scales = [s if s in (0.5, 1, 2) else 1.0 for s in scales]
    if attrs.get("coordinate_transformation_mode") in ("pytorch_half_pixel", "align_corners"):
        # One result, and lengths that are no whole numbers: onnxruntime and the standard's reference differ.
        scales = [max(np.floor(s), 1.0) for s in scales]
    roi = g.leaf(np.array([], np.float32), const=True) if g.opset < 13 else None
    if g.opset >= 18 and mode != "nearest" and x.type != "i8" and g.chance(0.3):  # onnxruntime takes i8 for u8
        attrs["antialias"] = 1
    if g.chance(0.5):
        sizes = [max(1, int(d * s)) for d, s in zip(x.shape, scales)]
        return Node(
            name,
            [x, roi, g.leaf(np.array([], np.float32), const=True) if g.opset < 13 else None, g.ints(sizes)],
            attrs,
            steps=0 if x.type == "f32" else 1,
            compare=cut_numbers if x.type != "f32" else None,
        )
    return Node(
        name, [x, roi, g.leaf(np.array(scales, np.float32))], attrs, steps=0 if x.type == "f32" else 1, compare=cut_numbers if x.type != "f32" else None
    )


@op("Upsample", since=9, until=9)
def upsample(g, name):
    mode, t = g.one(["nearest", "linear"]), g.one(["f32", "f32", "u8", "i8", "i32"])
    x = g.any([t], 4, 4, where=lambda v: 0 not in v.shape)
    scales = g.leaf(np.array([1, 1, g.one([1, 2, 3]), g.one([1, 2, 1.5])], np.float32))
    return Node(name, [x, scales], {"mode": mode}, compare=cut_numbers if t != "f32" and mode == "linear" else None, terminal=t != "f32")


@op("GridSample", since=16)
def grid_sample(g, name):
    n, c = g.int(1, 2), g.int(1, 3)
    t = g.one(["f32", "f32", "f64"])
    x = g.new(t, (n, c, g.int(2, 6), g.int(2, 6)))
    grid = g.new(t, (n, g.int(1, 4), g.int(1, 4), 2), -1.2, 1.2)
    modes = ["bilinear", "nearest", "bicubic"] if g.opset < 20 else ["linear", "nearest", "cubic"]
    attrs = maybe(g, mode=g.one(modes), padding_mode=g.one(["zeros", "border", "reflection"]), align_corners=g.int(0, 1))
    if "cubic" in attrs.get("mode", "") and attrs.get("padding_mode") == "border":
        raise Skip  # onnxruntime moves the centre to the border, the standard's reference each tap
    return Node(name, [x, grid], attrs)


@op("AffineGrid", since=20)
def affine_grid(g, name):
    return Node(name, [g.new(g.one(["f32", "f64"]), (2, 2, 3)), g.ints([2, 1, g.int(2, 5), g.int(2, 5)])], maybe(g, align_corners=g.int(0, 1)))


@op("DeformConv", since=19)
def deform_conv(g, name):
    t, groups, offsets = g.one(["f32", "f64"]), g.int(1, 2), g.int(1, 2)
    n, each, kernel = g.int(1, 2), 2 * g.int(1, 2), [g.int(1, 3), g.int(1, 3)]
    dims = (g.int(3, 6), g.int(3, 6))
    attrs = {"group": groups, "offset_group": offsets, **maybe(g, strides=[g.int(1, 2), g.int(1, 2)], pads=[g.int(0, 1) for _ in range(4)])}
    steps, pads = attrs.get("strides", [1, 1]), attrs.get("pads", [0] * 4)
    out = [(dims[k] + pads[k] + pads[k + 2] - kernel[k]) // steps[k] + 1 for k in range(2)]
    taps = offsets * kernel[0] * kernel[1]
    ins = [g.new(t, (n, groups * each, *dims)), g.new(t, (groups * g.int(1, 2), each, *kernel)), g.new(t, (n, 2 * taps, *out), -1.5, 1.5)]
    ins.append(g.new(t, (ins[1].shape[0],)) if g.chance(0.5) else None)
    if g.chance(0.5):
        ins.append(g.new(t, (n, taps, *out), 0, 1))
    while ins[-1] is None:
        ins.pop()
    return Node(name, ins, attrs)


@op("TensorScatter", since=24)
def tensor_scatter(g, name):
    """A cache's newest rows; onnxruntime wraps them round only where it is told to."""
    t = g.one(["f32", "f16", "i64", "u8"])
    b, h, most, d = g.int(1, 3), g.int(1, 2), g.int(3, 6), g.int(1, 4)
    new = g.int(1, most)
    circular = g.chance(0.4)
    at = g.leaf(g.rng.integers(0, most if circular else most - new + 1, b).astype(np.int64)) if g.chance(0.7) else None
    attrs = {"mode": "circular" if circular else "linear", **maybe(g, axis=g.one([2, -2]))}
    return Node(name, [g.new(t, (b, h, most, d)), g.new(t, (b, h, new, d))] + ([at] if at else []), attrs)


@op("Col2Im", since=18)
def col2im(g, name):
    h, w, k = g.int(2, 5), g.int(2, 5), g.int(1, 2)
    cols = (h - k + 1) * (w - k + 1)
    return Node(name, [g.new("f32", (g.int(1, 2), g.int(1, 2) * k * k, cols)), g.ints([h, w]), g.ints([k, k])])


@op("MaxUnpool", since=9)
def max_unpool(g, name):
    x = g.new("f32", (1, 2, 2, 2))
    i = np.stack([g.rng.permutation(16)[:4] for _ in range(2)]).reshape(1, 2, 2, 2) + np.arange(2).reshape(1, 2, 1, 1) * 16
    return Node(name, [x, g.leaf(i.astype(np.int64))], {"kernel_shape": [2, 2], "strides": [2, 2]})


@op("NonMaxSuppression", since=10)
def nms(g, name):
    b, n, c = g.int(1, 2), g.int(1, 8), g.int(1, 2)
    low = g.rng.random((b, n, 2)) * 4
    boxes = np.concatenate([low, low + 0.5 + g.rng.random((b, n, 2)) * 2], -1).astype(np.float32)
    ins = [
        g.leaf(boxes),
        g.new("f32", (b, c, n), 0, 1),
        g.leaf(np.array(g.int(0, 4), np.int64)),
        g.leaf(np.array(0.4, np.float32)),
        g.leaf(np.array(0.2, np.float32)),
    ]
    return Node(name, ins[: g.int(3, 5)], maybe(g, center_point_box=g.int(0, 1)), exact=True)


# --- signals ---


@op("DFT", since=17)
def dft(g, name):
    x = g.new(g.one(["f32", "f32", "f64"]), (g.int(1, 2), g.int(2, 12), g.one([1, 2])))
    attrs = maybe(g, inverse=g.int(0, 1)) if x.shape[-1] == 2 else maybe(g, onesided=g.int(0, 1))
    length = g.leaf(np.array(g.int(2, 12), np.int64)) if g.chance(0.3) else None
    if g.opset < 20:
        return Node(name, [x, length], {**attrs, "axis": 1})
    return Node(name, [x, length, g.leaf(np.array(1, np.int64))], attrs)


@op("STFT", since=17)
def stft(g, name):
    frame, t = g.int(2, 8), g.one(["f32", "f32", "f64"])
    ins = [g.new(t, (g.int(1, 2), g.int(10, 20), 1)), g.leaf(np.array(g.int(1, 4), np.int64)), g.new(t, (frame,))]
    return Node(name, ins, maybe(g, onesided=g.int(0, 1)))


@op("HannWindow", "HammingWindow", "BlackmanWindow", since=17)
def window_function(g, name):
    return Node(name, [g.leaf(np.array(g.int(1, 20), g.one([np.int64, np.int32])))], maybe(g, periodic=g.int(0, 1)))


@op("MelWeightMatrix", since=17)
def mel(g, name):
    ins = [np.array(g.int(4, 12), np.int64), np.array(g.int(32, 64), np.int64), np.array(8000, np.int64), np.array(0, np.float32), np.array(4000, np.float32)]
    return Node(name, [g.leaf(x) for x in ins])


# --- 8-bit ---


def scale(g, shape=()):
    return g.new("f32", shape, 0.05, 0.3, const=g.chance(0.8))


def zero(g, t, shape=()):
    return g.new(t, shape, *((100, 150) if t == "u8" else (-10, 10)), const=True)


def bytes_(g, t, shape):
    return g.new(t, shape, *((0, 255) if t == "u8" else (-128, 127)))


@op("QuantizeLinear", since=10)
def quantize(g, name):
    t = g.one(["u8", "i8"] + (["u16", "i16"] if g.opset >= 21 else []))
    x = g.any(["f32", "f16"] if g.opset >= 19 else ["f32"], low=1, exact=True, where=lambda v: 0 not in v.shape)
    axis = g.int(0, x.rank - 1) if g.opset >= 13 and g.chance(0.4) else None
    s = () if axis is None else (x.shape[axis],)
    attrs = {"axis": axis} if axis is not None else {}
    if x.type == "f16":
        return Node(name, [x, g.new("f16", s, 0.05, 0.3, const=True), zero(g, t, s) if t in ("u8", "i8") else g.new(t, s, 0, 9)], attrs, exact=False, steps=1)
    z = g.new(t, s, 0, 9) if t in ("u16", "i16") else zero(g, t, s)
    return Node(name, [x, scale(g, s), z] if t != "u8" or g.chance(0.8) else [x, scale(g, s)], attrs, exact=False, steps=1)


@op("DequantizeLinear", since=10)
def dequantize(g, name):
    t = g.one(["u8", "i8", "i32"] + (["u16", "i16", "i4", "u4"] if g.opset >= 21 else []) + (["i2", "u2"] if g.opset >= 25 else []))
    shape = g.shape(1, 4)
    axis = g.int(0, len(shape) - 1) if g.opset >= 13 and g.chance(0.4) else None
    s = () if axis is None else (shape[axis],)
    narrow = {"i4": (-8, 7), "u4": (0, 15), "i2": (-2, 1), "u2": (0, 3)}.get(t)
    x = g.leaf(g.data("i8", shape, *narrow).astype(TYPES[t]), const=True) if narrow else bytes_(g, t, shape)
    ins = [x, scale(g, s)]
    if t != "i32" and not narrow and g.chance(0.7):
        ins.append(zero(g, t, s))
    if g.opset >= 21 and len(shape) == 2 and shape[0] % 2 == 0 and shape[0] and g.chance(0.4):
        return Node(name, [x, scale(g, (shape[0] // 2, shape[1]))], {"axis": 0, "block_size": 2})
    return Node(name, ins, {"axis": axis} if axis is not None else {})


@op("DynamicQuantizeLinear", since=11)
def dynamic_quantize(g, name):
    return Node(name, [g.any(["f32"], low=1, exact=True, where=lambda v: v.x.size > 0)], outs=3, terminal=True, exact=False, compare=first_in_steps)


def first_in_steps(node, ours, v):
    from random_graphs import difference

    return difference(ours, v.x, 1 if v.x.dtype.kind in "iu" else 0)


@op("MatMulInteger", since=10)
def mat_mul_integer(g, name):
    m, k, n = (g.one([1, 2, 3, 8, 17, 32]) for _ in range(3))
    a, b = g.one(["u8", "i8"]), g.one(["u8", "i8"])
    ins = [bytes_(g, a, g.shape(0, 1) + (m, k)), bytes_(g, b, (k, n))]
    if g.chance(0.7):
        ins.append(zero(g, a))
        if g.chance(0.7):
            ins.append(zero(g, b, g.one([(), (n,)])))
    return Node(name, ins, exact=True)


@op("ConvInteger", since=10)
def conv_integer(g, name):
    dims, kernel = (g.int(3, 8), g.int(3, 8)), [g.int(1, 3), g.int(1, 3)]
    cin, cout = g.int(1, 4), g.int(1, 4)
    t = g.one(["u8", "i8"])
    return Node(name, [bytes_(g, t, (1, cin, *dims)), bytes_(g, g.one(["u8", "i8"]), (cout, cin, *kernel)), zero(g, t)], window(g, dims, kernel), exact=True)


@op("QLinearConv", since=10)
def q_conv(g, name):
    groups = g.one([1, 1, 2])
    cin, cout = groups * g.one([1, 2, 4]), groups * g.one([1, 2, 4])
    dims, kernel = (g.int(3, 9), g.int(3, 9)), [g.int(1, 3), g.int(1, 3)]
    t, tw = g.one([("u8", "u8"), ("u8", "i8"), ("i8", "i8")])
    s = g.one([(), (cout,)])
    ins = [
        bytes_(g, t, (g.int(1, 2), cin, *dims)),
        scale(g),
        zero(g, t),
        bytes_(g, tw, (cout, cin // groups, *kernel)),
        scale(g, s),
        g.leaf(np.zeros(s, TYPES[tw]), True) if tw == "i8" else zero(g, tw, s if s == () else s),
    ]
    if ins[5].x.size > 1:
        ins[5].x[...] = ins[5].x.ravel()[0]
    ins += [g.new("f32", (), 1, 8, const=True), zero(g, t)]
    if g.chance(0.5):
        ins.append(g.new("i32", (cout,), -900, 900, const=True))
    return Node(name, ins, {"group": groups, **window(g, dims, kernel)}, steps=1, exact=False)


@op("QLinearMatMul", since=10)
def q_mat_mul(g, name):
    m, k, n = (g.one([1, 2, 3, 8, 17]) for _ in range(3))
    t = g.one(["u8", "i8"])
    ins = [bytes_(g, t, (m, k)), scale(g), zero(g, t), bytes_(g, t, (k, n)), scale(g), zero(g, t), g.new("f32", (), 1, 8, const=True), zero(g, t)]
    return Node(name, ins, steps=1, exact=False)


# --- what is written before and after 8-bit nodes in exported models ---


@op("qdq")
def qdq(g, name):
    """Quantised convolution or product as QuantizeLinear/DequantizeLinear pairs, as tools write them."""
    need(g, 13)
    cin, cout, dims = g.int(1, 4), g.int(1, 4), (g.int(3, 8), g.int(3, 8))
    kind = g.one(["Conv", "MatMul", "Add", "AveragePool", "Relu", "GlobalAveragePool", "Concat"])
    t = g.one(["u8", "i8"])
    x = g.new("f32", (1, cin, *dims), -2, 2)
    s, z = g.new("f32", (), 0.02, 0.04, const=True), zero(g, t)
    so, zo = g.new("f32", (), 0.05, 0.2, const=True), zero(g, t)
    n = [g.name() for _ in range(8)]
    protos = [helper.make_node("QuantizeLinear", [x.name, s.name, z.name], [n[0]]), helper.make_node("DequantizeLinear", [n[0], s.name, z.name], [n[1]])]
    ins = [x, s, z, so, zo]

    def weight(shape):
        w, ws = bytes_(g, "i8", shape), g.new("f32", (), 0.005, 0.01, const=True)
        g.const.add(w.name)
        wz = g.leaf(np.array(0, np.int8), True)
        ins.extend([w, ws, wz])
        protos.append(helper.make_node("DequantizeLinear", [w.name, ws.name, wz.name], [n[2]]))
        return n[2]

    if kind == "Conv":
        protos.append(helper.make_node("Conv", [n[1], weight((cout, cin, 3, 3))], [n[3]], pads=[1, 1, 1, 1]))
    elif kind == "MatMul":
        protos.append(helper.make_node("MatMul", [n[1], weight((dims[1], 5))], [n[3]]))
    elif kind in ("Add", "Concat"):
        protos.append(helper.make_node(kind, [n[1], n[1]], [n[3]], **({"axis": 1} if kind == "Concat" else {})))
    elif kind == "AveragePool":
        protos.append(helper.make_node(kind, [n[1]], [n[3]], kernel_shape=[2, 2]))
    else:
        protos.append(helper.make_node(kind, [n[1]], [n[3]]))
    protos += [helper.make_node("QuantizeLinear", [n[3], so.name, zo.name], [n[4]]), helper.make_node("DequantizeLinear", [n[4], so.name, zo.name], [n[5]])]
    step = float(so.x)

    def within_a_step(node, ours, v):
        far = np.abs(ours.astype(np.float64) - v.x)
        return (
            None
            if ours.shape == v.x.shape and far.max(initial=0) < 1.01 * step and (far > step / 2).mean() <= max(0.1, 2 / max(far.size, 1))
            else f"by {far.max()}, a step is {step}"
        )

    node = Node("qdq", ins, protos=protos, exact=False, terminal=True, compare=within_a_step)
    node.outs = [n[5]]
    node.attrs = {"kind": kind}
    return node
