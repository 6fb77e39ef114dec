"""Samplers of com.microsoft operators for random_graphs.py. See samples_ai.py; what an operator means is onnxruntime's docs/ContribOperators.md."""

import numpy as np

from random_graphs import Node, Skip
from samples_ai import SAMPLERS, maybe, op
from samples_nets import bytes_, scale, spatial, window, zero

MS = {}


def ms(*names):
    def keep(f):
        for name in names:
            MS[name] = SAMPLERS["ms." + name] = lambda g, _, name=name, f=f: f(g, name)
        return f

    return keep


def node(name, ins, attrs=None, **kw):
    while ins and ins[-1] is None:
        ins = ins[:-1]
    return Node(name, ins, attrs, domain="com.microsoft", **kw)


@ms("BiasGelu", "FastGelu", "Gelu", "QuickGelu")
def activation(g, name):
    x = g.any(["f32"], 1, 3, where=lambda v: 0 not in v.shape)
    bias = g.new("f32", (x.shape[-1],))
    if name in ("Gelu", "QuickGelu"):
        return node(name, [x], maybe(g, alpha=1.3) if name[0] == "Q" else {})
    return node(name, [x, bias if name == "BiasGelu" or g.chance(0.6) else None])


def turned(shape):
    return shape[:-2] + (shape[-1], shape[-2])


@ms("FusedMatMul", "FusedGemm", "FusedConv", "TransposeMatMul")
def product(g, name):
    m, k, n = (g.one([1, 2, 3, 5, 8]) for _ in range(3))
    act = {"activation": g.one(["Relu", "Tanh", "Sigmoid"])}
    if g.chance(0.4):
        act = {"activation": "LeakyRelu", "activation_alpha": 0.2} if name != "FusedConv" else {"activation": "Clip", "activation_params": [-0.5, 0.7]}
    if name == "FusedConv":
        dims, kernel = (g.int(3, 8), g.int(3, 8)), [g.int(1, 3), g.int(1, 3)]
        return node(name, [g.new("f32", (1, 4, *dims)), g.new("f32", (3, 4, *kernel)), g.new("f32", (3,))], {**act, **window(g, dims, kernel)})
    ta, tb = g.int(0, 1), g.int(0, 1)
    if name == "FusedGemm":
        ins = [g.new("f32", (k, m) if ta else (m, k)), g.new("f32", (n, k) if tb else (k, n)), g.new("f32", (n,))]
        return node(name, ins, {**act, "transA": ta, "transB": tb, **maybe(g, alpha=0.5, beta=2.0)})
    batch = g.shape(0, 2)
    a, b = batch + (m, k), batch[g.int(0, len(batch)) :] + (k, n)
    return node(name, [g.new("f32", turned(a) if ta else a), g.new("f32", turned(b) if tb else b)], {"transA": ta, "transB": tb, **maybe(g, alpha=0.5)})


@ms("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "SimplifiedLayerNormalization")
def skip_norm(g, name):
    s = (g.int(1, 3), g.int(1, 5), g.one([4, 8, 9]))
    x, skip, gamma, beta, bias = g.new("f32", s), g.new("f32", s), g.new("f32", s[-1:]), g.new("f32", s[-1:]), g.new("f32", s[-1:])
    if name[:4] == "Simp":
        return Node(name, [x, gamma], {"axis": -1, "epsilon": 1e-4}, terminal=True)  # onnxruntime crashes on it in functions
    ins = [x, skip, gamma] + ([beta] if name == "SkipLayerNormalization" else []) + ([bias] if g.chance(0.5) else [])
    n = node(name, ins, {"epsilon": 1e-4}, outs=4 if g.chance(0.5) else 1)
    if n.n_out == 4:
        n.outs = [g.name(), "", "", g.name()]
    return n


@ms("EmbedLayerNormalization")
def embed(g, name):
    b, s, h = g.int(1, 3), g.int(1, 5), 8
    ids = g.new("i32", (b, s), 0, 9)
    seg = g.new("i32", (b, s), 0, 1) if g.chance(0.6) else None
    tables = [g.new("f32", (10, h)), g.new("f32", (8, h)), g.new("f32", (2, h)) if seg else None, g.new("f32", (h,)), g.new("f32", (h,))]
    mask = g.new("i32", (b, s), 0, 1) if g.chance(0.6) else None
    places = g.new("i32", (b, s), 0, 7) if g.chance(0.4) else None
    return node(name, [ids, seg, *tables, mask, places], {"epsilon": 1e-4}, outs=2 if mask else 1)


def heads_mask(g, b, s, t):
    kind = g.int(0, 4)
    if kind == 1 and g.seed % 3 != 2:  # a mask of one dim must be declared so
        return g.leaf(g.rng.integers(1, t + 1, b).astype(np.int32))
    m = g.rng.integers(0, 2, {2: (b, t), 3: (b, s, t)}.get(kind, (b, t))).astype(np.int32)
    m[..., 0] = 1
    return g.leaf(m) if kind in (2, 3) else None


@ms("Attention", "QAttention")
def attention(g, name):
    b, s, h, d = g.int(1, 2), g.int(1, 5), g.one([1, 2, 4]), g.one([2, 4, 8])
    hidden = h * d
    past = g.int(1, 4) if g.chance(0.4) else 0
    t = past + s
    attrs = {"num_heads": h, **maybe(g, 0.4, unidirectional=1)}
    mask = heads_mask(g, b, s, t)
    if mask is not None and mask.rank == 1 and past:
        mask = None
    p = g.new("f32", (2, b, h, past, d)) if past else None
    outs = 2 if past or g.chance(0.3) else 1
    if name == "QAttention":
        t1, t2 = "u8", g.one(["u8", "i8"])
        mask = mask if mask is None or mask.rank == 2 else None
        ins = [
            bytes_(g, t1, (b, s, 6)),
            bytes_(g, t2, (6, 3 * hidden)),
            g.new("f32", (3 * hidden,)),
            g.new("f32", (), 0.01, 0.02),
            g.new("f32", (), 0.01, 0.02),
        ]
        return node(name, [*ins, mask, zero(g, t1), zero(g, t2), p], attrs, outs=outs)
    ins = [g.new("f32", (b, s, 6)), g.new("f32", (6, 3 * hidden)), g.new("f32", (3 * hidden,)), mask, p]
    if g.chance(0.3):
        ins.append(g.new("f32", g.one([(b, h, s, t), (1, h, s, t), (b, 1, s, t)])))
    return node(name, ins, {**attrs, **maybe(g, 0.3, scale=0.4)}, outs=outs)


@ms("MultiHeadAttention")
def multi_head(g, name):
    b, s, h, d = g.int(1, 2), g.int(1, 5), g.one([1, 2, 4]), g.one([2, 4, 8])
    hidden = h * d
    past = g.int(1, 4) if g.chance(0.3) else 0
    l = s if g.chance(0.5) or past else g.int(1, 6)
    t = past + l
    form = g.int(0, 3)
    attrs = {"num_heads": h, **maybe(g, 0.3, scale=0.4), **(maybe(g, 0.3, unidirectional=1) if l == s else {})}
    bias = g.new("f32", (3 * hidden,)) if g.chance(0.4) and form == 0 else None
    if form == 1:
        ins = [g.new("f32", (b, s, h, 3, d)), None, None]
        past, t = 0, s
    elif form == 2:
        ins, past, t = [g.new("f32", (b, s, hidden)), g.new("f32", (b, l, h, 2, d)), None], 0, l
    else:
        ins = [g.new("f32", (b, s, hidden)), g.new("f32", (b, l, hidden)), g.new("f32", (b, l, hidden))]
    mask = heads_mask(g, b, s, t)
    bias2 = g.new("f32", g.one([(b, h, s, t), (1, h, s, t), (1, 1, s, t)])) if g.chance(0.3) else None
    ins += [bias, mask, bias2]
    if past:
        ins += [g.new("f32", (b, h, past, d)), g.new("f32", (b, h, past, d))]
    return node(name, ins, attrs, outs=3 if past or (form in (0, 3) and g.chance(0.3)) else 1)


@ms("RotaryEmbedding")
def rotary(g, name):
    b, h, s, d, most = g.int(1, 2), g.int(1, 3), g.int(1, 5), 2 * g.int(1, 4) * 2, 12
    at = g.leaf(g.rng.integers(0, most, (b, s)).astype(np.int64)) if g.chance(0.6) else g.leaf(np.array([g.int(0, 6)], np.int64))
    x = g.new("f32", (b, s, h * d) if g.chance(0.6) else (b, h, s, d))
    attrs = maybe(g, interleaved=g.int(0, 1))
    if g.chance(0.3):
        return node(name, [x, at, g.new("f32", (most, d // 4)), g.new("f32", (most, d // 4))], {**attrs, "rotary_embedding_dim": d // 2, "num_heads": h})
    return node(name, [x, at, g.new("f32", (most, d // 2)), g.new("f32", (most, d // 2))], attrs)


@ms("MRotaryEmbedding")
def m_rotary(g, name):
    b, h, s, most, interleaved = g.int(1, 2), g.int(1, 3), g.int(1, 4), 12, g.chance(0.5)
    sections = [g.int(1, 3), g.int(0, 2), g.int(0, 2)]
    if interleaved:  # H and W leave room for T
        sections = [max(sections), min(sections[1:]), min(sections[1:])]
    half = sum(sections)
    x = g.new("f32", (b, s, h * 2 * half) if g.chance(0.6) else (b, h, s, 2 * half))
    ins = [x, g.leaf(g.rng.integers(0, most, (3, b, s)).astype(np.int64)), g.new("f32", (most, half)), g.new("f32", (most, half))]
    return node(name, ins, {"mrope_section": sections, "mrope_layout": int(interleaved), **maybe(g, interleaved=g.int(0, 1))})


@ms("GroupQueryAttention")
def group_query(g, name):
    b, s, kv, d = g.int(1, 2), g.int(1, 5), g.one([1, 2]), 16
    h = kv * g.one([1, 2, 3])
    past = 0 if g.chance(0.4) else g.int(1, 6)
    total = past + s
    if g.chance(0.3):
        ins = [g.new("f32", (b, s, (h + 2 * kv) * d)), None, None]
    else:
        ins = [g.new("f32", (b, s, h * d)), g.new("f32", (b, s, kv * d)), g.new("f32", (b, s, kv * d))]
    # Without a past onnxruntime still wants its tensors, empty.
    ins += [g.new("f32", (b, kv, past, d)), g.new("f32", (b, kv, past, d))]
    lengths = np.full(b, total - 1, np.int32)
    if past > 1 and s == 1 and g.chance(0.3):
        lengths[0] -= 1
    ins += [g.leaf(lengths), g.leaf(np.array(total, np.int32))]
    attrs = {"num_heads": h, "kv_num_heads": kv, **maybe(g, 0.3, scale=0.3, softcap=2.0, local_window_size=g.int(1, 4))}
    if g.chance(0.5):
        attrs["do_rotary"] = 1
        ins += [g.new("f32", (16, d // 2)), g.new("f32", (16, d // 2))]
        attrs.update(maybe(g, rotary_interleaved=g.int(0, 1)))
    if g.chance(0.3):
        ins += [None] * (11 - len(ins)) + [g.new("f32", (h,))]
    elif g.chance(0.2):
        attrs["smooth_softmax"] = 1

    def but_what_does_not_count(node, ours, v):
        from random_graphs import difference

        a, b = ours.copy(), v.x.copy()
        if a.ndim == 4 and a.shape == b.shape:
            for row, n in enumerate(lengths):
                a[row, :, n + 1 :] = b[row, :, n + 1 :] = 0
        return difference(a, b)

    return node(name, ins, attrs, outs=3, compare=but_what_does_not_count, terminal=True)


# --- 8-bit ---


@ms("QLinearAdd", "QLinearMul")
def q_pair(g, name):
    t = g.one(["u8", "i8"])
    x = bytes_(g, t, g.shape(1, 3))
    return node(
        name, [x, scale(g), zero(g, t), bytes_(g, t, x.shape if g.chance(0.6) else ()), scale(g), zero(g, t), scale(g), zero(g, t)], steps=1, exact=False
    )


@ms("QLinearSigmoid", "QLinearLeakyRelu", "QLinearGlobalAveragePool", "QLinearAveragePool", "QLinearSoftmax", "QLinearWhere", "QLinearConcat")
def q_single(g, name):
    t = g.one(["u8", "i8"])
    out = [g.new("f32", (), 0.004, 0.01, const=True) if name in ("QLinearSigmoid", "QLinearSoftmax") else scale(g), zero(g, t)]
    if name == "QLinearConcat":
        parts = [p for _ in range(g.int(1, 3)) for p in (bytes_(g, t, (2, g.int(1, 3), 4)), scale(g), zero(g, t))]
        return node(name, [*out, *parts], {"axis": 1}, steps=1, exact=False)
    if name == "QLinearWhere":
        s = g.shape(1, 3)
        return node(name, [g.new("bool", s), bytes_(g, t, s), scale(g), zero(g, t), bytes_(g, t, s), scale(g), zero(g, t), *out], steps=1, exact=False)
    x = bytes_(g, t, (g.int(1, 2), g.int(1, 4), g.int(2, 6), g.int(2, 6)))
    attrs = {}
    if name == "QLinearLeakyRelu":
        attrs = maybe(g, alpha=0.3)
    if name == "QLinearAveragePool":
        kernel = [g.int(1, 2), g.int(1, 2)]
        attrs = {"kernel_shape": kernel, **maybe(g, strides=[g.int(1, 2), g.int(1, 2)])}
    if name == "QLinearSoftmax":
        attrs = {"axis": g.int(1, 3), "opset": g.one([11, 13])}
        z = g.new(t, (), *((0, 0) if t == "u8" else (-128, -128)), const=True)
        return node(name, [x, scale(g), zero(g, t), g.new("f32", (), 1 / 256, 1 / 256, const=True), z], attrs, steps=2, exact=False)
    return node(name, [x, scale(g), zero(g, t), *out], attrs, steps=1, exact=False)


@ms("DynamicQuantizeMatMul", "MatMulIntegerToFloat")
def scaled_product(g, name):
    m, k, n = (g.one([1, 2, 3, 8, 17]) for _ in range(3))
    tb = g.one(["u8", "i8"])
    b, bias = bytes_(g, tb, (k, n)), g.new("f32", (n,)) if g.chance(0.5) else None
    bs, bz = scale(g, g.one([(), (n,)])), zero(g, tb) if g.chance(0.7) else None
    if bz is not None and bs.shape:
        bz = zero(g, tb, bs.shape)
    if name[0] == "D":
        return node(name, [g.any(["f32"], exact=True, where=lambda v: v.shape == (m, k), shape=(m, k)), b, bs, bz, bias], terminal=True)
    ta = g.one(["u8", "u8", "i8"]) if tb == "i8" else "u8"
    return node(name, [bytes_(g, ta, (m, k)), b, scale(g), bs, zero(g, ta) if g.chance(0.7) else None, bz, bias])


@ms("DynamicQuantizeLSTM")
def dynamic_lstm(g, name):
    s, b, i, h = g.int(1, 3), g.int(1, 2), g.int(1, 4), 4

    def near(node, ours, v):
        far = np.abs(ours - v.x).max(initial=0)
        return None if ours.shape == v.x.shape and far < 0.05 else f"by {far}"

    ins = [g.new("f32", (s, b, i), -1, 1), bytes_(g, "i8", (1, i, 4 * h)), bytes_(g, "i8", (1, h, 4 * h)), None, None, None, None, None]
    ins += [g.leaf(np.array([0.005], np.float32)), g.leaf(np.array([0], np.int8)), g.leaf(np.array([0.004], np.float32)), g.leaf(np.array([0], np.int8))]
    for v in ins:
        if v is not None and v.type == "i8":
            g.const.add(v.name)
    return node(name, ins, {"hidden_size": h, "direction": "forward"}, outs=3, compare=near, terminal=True)


@ms("MatMulNBits")
def n_bits(g, name):
    bits, block = g.one([4, 4, 4, 8, 2]), g.one([16, 32, 32, 64])
    n, k, m = g.one([1, 3, 8, 16, 33]), g.one([16, 32, 40, 64, 128]), g.one([1, 2, 5, 30])
    level = g.one([0, 0, 1, 4])
    blocks = (k + block - 1) // block
    b = g.leaf(g.rng.integers(0, 256, (n, blocks, block * bits // 8)).astype(np.uint8), const=True)
    ins = [g.new("f32", (g.int(1, 2), m, k) if g.chance(0.3) else (m, k)), b, g.new("f32", (n, blocks), 0.01, 0.2, const=True)]
    ins.append(g.leaf(g.rng.integers(0, 256, (n, (blocks * bits + 7) // 8)).astype(np.uint8), const=True) if g.chance(0.5) else None)
    ins += [None, g.new("f32", (n,)) if g.chance(0.3) else None]

    def near(node, ours, v):
        """Activations may be rounded to bytes, each engine's in its own way: by up to 1/254 of the largest, times what a weight may be."""
        from random_graphs import difference

        if level < 4:
            return difference(ours, v.x)
        most = np.abs(ins[0].x).max(initial=0) / 127 * 0.2 * 2**bits * np.sqrt(k)
        far = np.abs(ours - v.x).max(initial=0)
        return None if ours.shape == v.x.shape and far <= most else f"by {far}, {most} allowed"

    return node(name, ins, {"K": k, "N": n, "bits": bits, "block_size": block, "accuracy_level": level}, compare=near, terminal=level == 4)


@ms("GatherBlockQuantized")
def gather_blocks(g, name):
    import ml_dtypes

    if g.chance(0.5):
        bits, shape = g.one([2, 4, 8]), (6,) + ((3,) if g.chance(0.3) else ())
        numbers = lambda n: g.leaf(g.rng.integers(0, 256, shape + ((n * bits + 7) // 8,)).astype(np.uint8), const=True)
        ins = [numbers(64), g.leaf(g.rng.integers(-6, 6, g.shape(1, 2)).astype(np.int64)), g.new("f32", shape + (2,), const=True)]
        ins.append(numbers(2) if g.chance(0.5) else None)
        return node(name, ins, {"gather_axis": 0, "quantize_axis": len(shape), "block_size": 32, "bits": bits})
    data = g.leaf(g.rng.integers(0, 16, (6, 32)).astype(ml_dtypes.uint4), const=True)
    z = g.leaf(g.rng.integers(0, 16, (6, 2)).astype(ml_dtypes.uint4), const=True) if g.chance(0.5) else None
    return node(
        name,
        [data, g.leaf(g.rng.integers(0, 6, g.shape(1, 2)).astype(np.int64)), g.new("f32", (6, 2)), z],
        {"gather_axis": 0, "quantize_axis": 1, "block_size": 16},
    )


@ms("MoE", "QMoE")
def experts(g, name):
    """Weights of QMoE in blocks, or a scale a row; onnxruntime's CPU kernels know the fused swiglu that takes turns, and no third layer."""
    t, h, i, e = g.int(1, 6), g.one([32, 64]), g.one([32, 64]), g.int(2, 6)
    act = g.one(["relu", "gelu", "silu", "identity", "swiglu"])
    wide = 2 * i if act == "swiglu" else i
    attrs = {"k": g.int(1, 2), "activation_type": act, "normalize_routing_weights": g.int(0, 1)}
    if act == "swiglu":
        attrs.update(swiglu_fusion=1, **maybe(g, activation_alpha=1.702, activation_beta=1.0, swiglu_limit=0.5))
    x, router = g.new("f32", (1, t, h) if g.chance(0.3) else (t, h)), g.new("f32", (t, e))
    bias = [g.new("f32", (e, n)) if g.chance(0.7) else None for n in (wide, h)]

    def near(node, ours, v):  # onnxruntime rounds activations to bytes in front of 8 bits in blocks, and its gelu is a quick one
        far, size = np.abs(ours - v.x).max(initial=0), np.abs(v.x).max(initial=0)
        return None if ours.shape == v.x.shape and far <= 1e-5 + (1e-2 if "block_size" in attrs else 1e-3 if act == "gelu" else 2e-5) * size else f"by {far} of {size}"

    if name == "MoE":
        w = [g.new("f32", (e, n, k), -0.2, 0.2, const=True) for n, k in ((wide, h), (h, i))]
        return node(name, [x, router, w[0], bias[0], w[1], bias[1]], attrs, compare=near, terminal=True)
    bits, block, ins, zeros = g.one([4, 4, 8, 2]), g.one([0, 32]), [x, router], []
    attrs.update(expert_weight_bits=bits, **({"block_size": block} if block else {}))
    number = lambda *s: g.leaf(g.rng.integers(0, 256, s).astype(np.uint8), const=True)
    with_zeros = g.chance(0.5)
    for layer, (n, k) in enumerate(((wide, h), (h, i))):
        blocks = k // block if block else 1
        scales = g.new("f32", (e, n, blocks) if block else (e, n), 0.005 / 2**bits, 0.05 / 2**bits, const=True)
        ins += [number(e, n, k * bits // 8), scales, bias[layer]]
        zeros.append(number(*((e, n, (blocks * bits + 7) // 8) if block else (e, (n * bits + 7) // 8))) if with_zeros else None)
    ins += [None] * 3 + zeros + [None, g.new("f32", (t, e), 0.1, 1) if g.chance(0.3) else None]
    return node(name, ins, attrs, compare=near, terminal=True)


@ms("Inverse")
def inverse(g, name):
    n = g.int(1, 5)
    x = g.rng.standard_normal(g.shape(0, 2) + (n, n)) + 3 * np.eye(n)
    return node(name, [g.leaf(x.astype(np.float32))], terminal=True)


@ms("Tokenizer")
def tokenizer(g, name):
    words = ["Hello World", "I love  computer science !", "", "a\u00f1b,ccc", "abab aa", "x", "one,two;three"]
    texts = np.array([g.one(words) for _ in range(4)], dtype=object).reshape(g.one([(4,), (2, 2)]))
    seps, exps = ([" "], [",", "\\s+"], [""], ["a", "ab"]), ("[a-z]+", "a|aa|ab+", ".")
    how = g.one([{"separators": cut} for cut in seps] + [{"tokenexp": x} for x in exps])
    least = 1 if how in ({"separators": [""]}, {"tokenexp": "."}) else g.int(1, 2)
    return node(name, [g.leaf(texts)], {"mark": g.int(0, 1), "mincharnum": least, "pad_value": "#", **how}, terminal=True)


@ms("Range", "Unique")
def listed(g, name):
    t = g.one(["f32", "i64", "i32"])
    if name == "Unique":  # onnxruntime registers it for f32 alone
        return node(name, [g.leaf(g.rng.integers(0, 4, (g.int(1, 9),)).astype(np.float32))], outs=3, terminal=True)
    number = lambda v: g.leaf(np.full(g.one([(), (1,)]), v, {"f32": np.float32, "i64": np.int64, "i32": np.int32}[t]))
    return node(name, [number(g.int(0, 3)), number(g.int(3, 9))] + ([number(g.int(1, 2))] if g.chance(0.5) else []), terminal=True)


@ms("GatherND")
def gather_nd(g, name):
    d = g.new("f32", (3, 4, 2))
    return node(name, [d, g.leaf(g.rng.integers(0, 3, (g.int(1, 4), g.int(1, 2))).astype(np.int64))])


@ms("QGemm")
def q_gemm(g, name):
    m, k, n = (g.one([1, 2, 3, 8]) for _ in range(3))
    ins = [
        bytes_(g, "u8", (m, k)),
        scale(g),
        zero(g, "u8"),
        bytes_(g, "u8", (k, n)),
        scale(g),
        zero(g, "u8"),
        None,
        g.new("f32", (), 1, 8, const=True),
        zero(g, "u8"),
    ]
    return node(name, ins, steps=1, exact=False)


# --- the rest ---


def near(node, ours, v):
    """onnxruntime takes the difference of squares: little is left of small distances."""
    far = np.abs(ours - v.x).max(initial=0)
    return None if ours.shape == v.x.shape and far < 2e-3 * max(1, np.abs(v.x).max(initial=0)) else f"by {far}"


@ms("ExpandDims", "CDist", "NhwcMaxPool", "Pad", "GridSample", "Trilu")
def others(g, name):
    if name == "ExpandDims":
        x = g.any(["f32"], 1, 3)
        return node(name, [x, g.leaf(np.array(g.int(-1, x.rank), np.int32))])
    if name == "CDist":
        k = g.int(1, 5)
        return node(name, [g.new("f32", (g.int(1, 5), k)), g.new("f32", (g.int(1, 5), k))], {"metric": g.one(["euclidean", "sqeuclidean"])}, compare=near)
    if name == "NhwcMaxPool":
        return node(name, [bytes_(g, "u8", (1, 6, 5, 3))], {"kernel_shape": [2, 2], "strides": [2, 1]})
    if name == "Pad":
        return node(name, [g.new("f32", (2, 3)), g.ints([1, 0, 0, 2]), g.new("f32", (1,))], {"mode": "constant"})
    if name == "GridSample":
        return node(
            name, [g.new("f32", (1, 2, 3, 4)), g.new("f32", (1, 2, 2, 2), -1, 1)], maybe(g, mode=g.one(["bilinear", "nearest"]), align_corners=g.int(0, 1))
        )
    return node(name, [g.any(["f32"], 2, 3)], maybe(g, upper=g.int(0, 1)))


@ms("MurmurHash3")
def hash3(g, name):
    x = g.any(["f32", "f64", "i32", "i64", "u32", "u64", "string"], 0, 3, exact=True, tame=False)
    return node(name, [x], maybe(g, positive=g.int(0, 1), seed=g.int(0, 1 << 31)), terminal=True)


@ms("UnfoldTensor")
def unfold(g, name):
    x = g.any(["f32", "f64", "f16", "i32", "i64", "u8", "bool"], 1, 4, tame=False, where=lambda v: 0 not in v.shape)
    dim = g.axis(x.rank)
    return node(name, [x], {"size": g.int(1, x.shape[dim]), **maybe(g, step=g.int(1, 3)), **({"dim": dim} if dim != -1 or g.chance(0.5) else {})})


@ms("CropAndResize")
def crop(g, name):
    n, r = g.int(1, 3), g.int(1, 4)
    x = g.new("f32", (n, g.int(1, 3), g.int(1, 7), g.int(1, 7)))
    boxes = g.rng.integers(-2, 11, (r, 4)) / 8 if g.chance(0.5) else g.rng.random((r, 4))
    ins = [x, g.leaf(boxes.astype(np.float32)), g.new("i32", (r,), 0, n - 1), g.leaf(np.array([g.int(1, 5), g.int(1, 5)], np.int32))]
    return node(name, ins, maybe(g, mode=g.one(["bilinear", "nearest"]), extrapolation_value=0.75))


@ms("WordConvEmbedding")
def words(g, name):
    """No word begins with nothing: onnxruntime leaves what was in memory as its answer."""
    s, length, window, depth, filters, letters = g.int(1, 4), g.int(3, 8), g.int(1, 3), g.int(1, 5), g.int(1, 6), 9
    x = g.rng.integers(1, letters, (s, length)).astype(np.int32)
    for row in x:
        row[g.int(1, length) :] = 0
    ins = [g.leaf(x), g.new("f32", (filters, 1, window, depth)), g.new("f32", (filters,)), g.new("f32", (letters, depth))]
    return node(name, ins, maybe(g, embedding_size=filters, conv_window_size=window, char_embedding_size=depth))


@ms("NGramRepeatBlock")
def repeats(g, name):
    b, s, letters = g.int(1, 3), g.int(1, 9), g.int(2, 5)
    return node(name, [g.new("i64", (b, s), 0, letters - 1), g.new("f32", (b, letters))], {"ngram_size": g.int(1, 4)}, terminal=True)


@ms("MatMulBnb4")
def bnb4(g, name):
    n, k, m, block = g.one([1, 3, 8, 33]), g.one([1, 8, 16, 40, 65]), g.one([1, 2, 5, 30]), g.one([16, 32, 64])
    ins = [
        g.new("f32", (g.int(1, 2), m, k) if g.chance(0.3) else (m, k)),
        g.leaf(g.rng.integers(0, 256, ((n * k + 1) // 2,)).astype(np.uint8), const=True),
        g.new("f32", ((n * k + block - 1) // block,), 0.01, 2, const=True),
    ]
    return node(name, ins, {"K": k, "N": n, "block_size": block, "quant_type": g.int(0, 1)})


@ms("MatMulInteger16")
def integer16(g, name):
    m, k, n = (g.one([1, 2, 3, 8]) for _ in range(3))
    batch = g.shape(0, 2)
    return node(name, [g.new("i16", batch + (m, k)), g.new("i16", batch[g.int(0, len(batch)) :] + (k, n))])


@ms("QEmbedLayerNormalization")
def q_embed(g, name):
    b, s, h, t = g.int(1, 3), g.int(1, 5), 8, g.one(["u8", "i8"])
    ids, seg = g.new("i32", (b, s), 0, 9), g.new("i32", (b, s), 0, 1) if g.chance(0.6) else None
    tables = [bytes_(g, t, (10, h)), bytes_(g, t, (8, h)), bytes_(g, t, (2, h)) if seg else None, bytes_(g, t, (h,)), bytes_(g, t, (h,))]
    mask = g.new("i32", (b, s), 0, 1) if g.chance(0.6) else None
    for v in tables:
        if v is not None:
            g.const.add(v.name)
    one = lambda v: v if v is None else g.leaf(np.reshape(v.x, g.one([(), (1,)])), const=True)
    scales = [one(scale(g)) if v is not None else None for v in tables]
    zeros = [one(zero(g, t)) if v is not None else None for v in tables]
    return node(name, [ids, seg, *tables, mask, *scales, *zeros], {"epsilon": 1e-4}, outs=2 if mask else 1)


@ms("ScaledSiLU", "GatedAdd", "GatedRMSNorm", "LinearAttentionGate")
def gates(g, name):
    rows = g.shape(1, 2)
    h, c = g.int(1, 3), g.one([1, 4, 8])
    if name == "ScaledSiLU":
        return node(name, [g.any(["f32"], 1, 3)] + ([g.new("f32", (), 0.5, 2)] if g.chance(0.5) else []), maybe(g, alpha=1.5))
    if name == "GatedAdd":
        return node(name, [g.new("f32", rows + (c,)), g.new("f32", rows + (c,)), g.new("f32", rows + (1,))])
    if name == "GatedRMSNorm":
        return node(name, [g.new("f32", rows + (h * c,)), g.new("f32", (c,)), g.new("f32", rows + (h * c,))], maybe(g, activation=g.one(["silu", "swish", "sigmoid"])))
    ins = [g.new("f32", (g.int(1, 2), g.int(1, 4), h)), g.new("f32", (h,)), g.new("f32", (h,))]
    rates = [g.new("f32", ins[0].shape)] if g.chance(0.5) else []
    return node(name, ins + rates, outs=1 + len(rates))


@ms("LinearAttention", "CausalConvWithState")
def with_state(g, name, make=node):
    b, t = g.int(1, 2), g.int(1, 6)
    if name == "CausalConvWithState":
        c, k = g.int(1, 5), g.int(2, 4)
        ins = [g.new("f32", (b, c, t)), g.new("f32", (c, 1, k)), g.new("f32", (c,)) if g.chance(0.5) else None]
        ins.append(g.new("f32", (b, c, k - 1)) if g.chance(0.5) else None)
        return make(name, ins, maybe(g, activation=g.one(["none", "silu", "swish"])), outs=2)
    heads, each, dk, dv = g.int(1, 2), g.int(1, 2), g.one([2, 4]), g.one([2, 4, 8])
    rule = g.one(["linear", "gated", "delta", "gated_delta"])
    ins = [g.new("f32", (b, t, heads * each * dk), -0.5, 0.5), g.new("f32", (b, t, heads * dk), -0.5, 0.5), g.new("f32", (b, t, heads * dv))]
    ins.append(g.new("f32", (b, heads, dk, dv)) if g.chance(0.5) else None)
    ins.append(g.new("f32", (b, t, heads * g.one([1, dk])), -1, 0) if "gated" in rule else None)
    ins.append(g.new("f32", (b, t, g.one([heads, 1])), 0, 1) if "delta" in rule else None)
    return make(name, ins, {"q_num_heads": heads * each, "kv_num_heads": heads, "update_rule": rule, **maybe(g, scale=0.3)}, outs=2)


@op("LinearAttention", "CausalConvWithState", since=27)
def standard_with_state(g, name):
    def make(name, ins, attrs, **kw):
        while ins[-1] is None:
            ins.pop()
        return Node(name, ins, attrs, **kw)

    return with_state(g, name, make)


@ms("QuantizeLinear", "DequantizeLinear", "QLinearConv")
def same_name(g, name):
    """What ai.onnx has under that name, at the opset that its domain froze it."""
    if g.opset < 13:
        raise Skip
    n = SAMPLERS[name](g, name)
    if "block_size" in n.attrs or any(v is not None and v.type not in ("f32", "u8", "i8", "i16", "u16", "i32") for v in n.ins):
        raise Skip
    if name != "QLinearConv" and n.ins[1].shape and "axis" not in n.attrs:
        raise Skip
    n.domain = "com.microsoft"
    return n
