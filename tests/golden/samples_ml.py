"""Samplers of ai.onnx.ml operators for random_graphs.py. See samples_ai.py. Models of real converters are in test_classic.py."""

import numpy as np
from onnx import helper

from random_graphs import Node, Skip
from samples_ai import SAMPLERS, maybe

ML = {}


def ml(*names):
    def keep(f):
        for name in names:
            ML[name] = SAMPLERS["ml." + name] = lambda g, _, name=name, f=f: f(g, name)
        return f

    return keep


def node(name, ins, attrs=None, **kw):
    return Node(name, ins, attrs, domain="ai.onnx.ml", exact=False, **kw)


def features(g, types=("f32", "f32", "f64", "i64", "i32"), rows=None, columns=None):
    return g.any(
        types,
        2,
        2,
        exact=True,
        shape=(rows or g.int(1, 6), columns or g.int(1, 6)),
        where=lambda v: 0 not in v.shape and (not columns or v.shape[1] == columns),
    )


def labels(g, n, ints="classlabels_int64s"):
    return {ints: [int(i) for i in g.rng.permutation(20)[:n]]} if g.chance(0.5) else {"classlabels_strings": [f"c{i}" for i in range(n)]}


AFTER = ["NONE", "NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"]


def numbers(g, n, low=-1, high=1):
    return [float(np.float32(v)) for v in g.rng.uniform(low, high, n)]


# --- preparing features ---


@ml("Scaler", "Normalizer", "Binarizer", "Imputer", "ArrayFeatureExtractor")
def prepare(g, name):
    x = features(g)
    c = x.shape[1]
    if name == "Scaler":
        return node(name, [x], {"offset": numbers(g, g.one([1, c])), "scale": numbers(g, g.one([1, c]))})
    if name == "Normalizer":
        return node(name, [x], {"norm": g.one(["MAX", "L1", "L2"])})
    if name == "Binarizer":
        return node(name, [x], maybe(g, threshold=0.25))
    if name == "Imputer":
        x = features(g, ("f32", "i64"))
        c = x.shape[1]
        if x.type == "f32":
            x = g.leaf(x.x.copy())
            x.x[g.rng.random(x.shape) < 0.3] = np.nan
            x.tame = False
            return node(name, [x], {"imputed_value_floats": numbers(g, g.one([1, c])), "replaced_value_float": float("nan")})
        return node(name, [x], {"imputed_value_int64s": [int(v) for v in g.rng.integers(0, 9, g.one([1, c]))], "replaced_value_int64": g.int(-2, 2)})
    x = features(g, ("f32", "i64", "f64", "string"))
    return node(name, [x, g.leaf(g.rng.integers(0, x.shape[1], g.int(1, 4)).astype(np.int64))])


@ml("FeatureVectorizer")
def vectorize(g, name):
    rows = g.int(1, 4)
    ins = [g.new(g.one(["f32", "i64", "i32", "f64"]), (rows, g.int(1, 4))) for _ in range(g.int(1, 3))]
    return node(name, [ins[0]] + [g.new(ins[0].type, v.shape) for v in ins[1:]], {"inputdimensions": [v.shape[1] for v in ins]})


@ml("OneHotEncoder", "CategoryMapper", "LabelEncoder")
def encode(g, name):
    if name == "OneHotEncoder":
        if g.chance(0.5):
            return node(name, [g.any(["string"], 1, 2)], {"cats_strings": ["a", "b", "Hello"], "zeros": 1})
        return node(name, [g.any(["i64", "i32", "f32"], 1, 2, exact=True)], {"cats_int64s": [0, 1, -2, 5], "zeros": 1})
    if name == "CategoryMapper":
        attrs = {"cats_strings": ["a", "b", "Hello"], "cats_int64s": [3, 1, -2], **maybe(g, default_int64=9, default_string="?")}
        return node(name, [g.any([g.one(["string", "i64"])], 1, 2)], attrs)
    if g.ml < 2:
        return node(name, [g.any([g.one(["string", "i64"])], 1, 2)], {"classes_strings": ["b", "a", "Hello"], **maybe(g, default_int64=9, default_string="?")})
    kinds = {"string": ("strings", ["a", "b", "x y"]), "i64": ("int64s", [3, 1, -2]), "f32": ("floats", [0.5, 1.0, -2.0])}
    k, v = g.one(
        [
            ("string", "i64"),
            ("i64", "string"),
            ("string", "f32"),
            ("f32", "string"),
            ("i64", "f32"),
            ("f32", "i64"),
            ("i64", "i64"),
            ("f32", "f32"),
            ("string", "string"),
        ]
    )
    attrs = {"keys_" + kinds[k][0]: kinds[k][1], "values_" + kinds[v][0]: kinds[v][1]}
    attrs |= {"string": {"default_string": "?"}, "i64": {"default_int64": 7}, "f32": {"default_float": 0.25}}[v] if g.chance(0.6) else {}
    x = g.any([k], 1, 2)
    if k == "f32":
        x = g.leaf(g.rng.choice([0.5, 1.0, -2.0, 3.0], x.shape).astype(np.float32))
    if g.ml >= 4 and g.chance(0.4) and k != "string" and v != "string":
        types = {"i64": 7, "f32": 1}
        attrs = {
            "keys_tensor": helper.make_tensor("k", types[k], [3], kinds[k][1]),
            "values_tensor": helper.make_tensor("v", types[v], [3], kinds[v][1]),
            "default_tensor": helper.make_tensor("d", types[v], [1], [5]),
        }
    return node(name, [x], attrs)


@ml("ZipMap")
def zip_map(g, name):
    n = g.int(1, 4)
    x = features(g, ("f32",), columns=n)
    return node(name, [x], labels(g, n), terminal=True)


@ml("DictVectorizer", "CastMap")
def of_map(g, name):
    if name == "DictVectorizer":
        if g.chance(0.5):
            words = ["a", "b", "c", "d"]
            x = g.leaf({w: float(np.float32(g.rng.random())) for w in words if g.chance(0.6)} or {"a": 1.0})
            return node(name, [x], {"string_vocabulary": ["c", "a", "z"]}, terminal=True)
        x = g.leaf({i: f"w{i}" for i in range(4) if g.chance(0.6)} or {1: "w1"})
        return node(name, [x], {"int64_vocabulary": [3, 1, 9]}, terminal=True)
    if g.chance(0.5):
        x = g.leaf({int(i): float(np.float32(g.rng.random())) for i in range(5) if g.chance(0.6)} or {1: 1.0})
        return node(name, [x], {"cast_to": g.one(["TO_FLOAT", "TO_INT64"]), **({"map_form": "SPARSE", "max_map": 6} if g.chance(0.5) else {})}, terminal=True)
    x = g.leaf({int(i): str(i * 1.5) for i in range(4) if g.chance(0.6)} or {1: "2"})
    return node(name, [x], {"cast_to": g.one(["TO_FLOAT", "TO_STRING"])}, terminal=True)


# --- models ---


@ml("LinearClassifier", "LinearRegressor")
def linear(g, name):
    x = features(g, ("f32", "f32", "i64", "f64", "i32") if name == "LinearClassifier" else ("f32",))
    c = x.shape[1]
    n = g.int(1, 4)
    attrs = {"coefficients": numbers(g, n * c), "post_transform": g.one(AFTER)}
    if name == "LinearRegressor":
        return node(name, [x], {**attrs, "targets": n, **({"intercepts": numbers(g, n)} if g.chance(0.7) else {})})
    attrs["intercepts"] = numbers(g, n)
    if n == 1:
        if g.chance(0.5):
            attrs["post_transform"] = "NONE"
        return node(name, [x], {**attrs, **labels(g, 2, "classlabels_ints")}, outs=2)
    return node(name, [x], {**attrs, **labels(g, n, "classlabels_ints")}, outs=2)


@ml("SVMClassifier", "SVMRegressor")
def svm(g, name):
    x = features(g, ("f32",))
    c = x.shape[1]
    kernel = g.one(["LINEAR", "POLY", "RBF", "SIGMOID"])
    attrs = {"kernel_type": kernel, "kernel_params": [0.3, 0.2, 2.0]}
    if name == "SVMRegressor":
        n = g.int(0, 5)
        if not n:
            return node(name, [x], {"kernel_type": "LINEAR", "coefficients": numbers(g, c), "rho": numbers(g, 1)})
        attrs |= {"n_supports": n, "support_vectors": numbers(g, n * c), "coefficients": numbers(g, n), "rho": numbers(g, 1), **maybe(g, 0.3, one_class=1)}
        return node(name, [x], attrs)
    k = g.int(2, 4)
    if g.chance(0.15):
        return node(name, [x], {"kernel_type": "LINEAR", "coefficients": numbers(g, k * c), "rho": numbers(g, 1), **labels(g, k, "classlabels_ints")}, outs=2)
    per = [g.int(1, 3) for _ in range(k)]
    v, pairs = sum(per), k * (k - 1) // 2
    attrs |= {"vectors_per_class": per, "support_vectors": numbers(g, v * c), "coefficients": numbers(g, (k - 1) * v), "rho": numbers(g, pairs)}
    attrs |= labels(g, k, "classlabels_ints")
    if g.chance(0.5):
        attrs |= {"prob_a": numbers(g, pairs, -2, -1), "prob_b": numbers(g, pairs)}
    return node(name, [x], attrs, outs=2)


def scores_only(node, ours, v):
    """Of two classes that both have leaves, onnxruntime answers the second whenever its sum is positive; the standard, the larger."""
    from random_graphs import difference

    return difference(ours, v.x) if v.x.dtype.kind == "f" else None


def trees(g, n_features):
    """Parallel lists of some random trees: nodes, and the leaves' (tree, node)."""
    lists = {k: [] for k in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids", "missing_value_tracks_true")}
    leaves = []
    mode = g.one(["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_LEQ"])
    for tree in range(g.int(1, 4)):
        depth, todo, count = g.int(0, 3), [(0, 0)], 1
        while todo:
            i, level = todo.pop(0)
            leaf = level == depth or g.chance(0.2)
            row = dict(
                treeids=tree,
                nodeids=i,
                featureids=0 if leaf else g.int(0, n_features - 1),
                modes="LEAF" if leaf else mode,
                values=0.0,
                truenodeids=0,
                falsenodeids=0,
                missing_value_tracks_true=g.int(0, 1),
            )
            if leaf:
                leaves.append((tree, i))
            else:
                row["values"] = numbers(g, 1)[0]
                row["truenodeids"], row["falsenodeids"] = count, count + 1
                todo += [(count, level + 1), (count + 1, level + 1)]
                count += 2
            for k, v in row.items():
                lists[k].append(v)
    return {"nodes_" + k: v for k, v in lists.items()}, leaves


@ml("TreeEnsembleClassifier", "TreeEnsembleRegressor")
def tree_classic(g, name):
    x = features(g, ("f32", "f32", "i64", "f64", "i32"))
    if x.type == "f32" and g.chance(0.3):
        x = g.leaf(x.x.copy())
        x.x[g.rng.random(x.shape) < 0.3] = np.nan
        x.tame = False
    attrs, leaves = trees(g, x.shape[1])
    kind = "class" if name == "TreeEnsembleClassifier" else "target"
    n = g.int(2, 4) if kind == "class" else g.int(1, 3)
    single = kind == "class" and g.chance(0.4)
    if single:
        n = 2
    low = 0 if g.chance(0.5) else -1
    rows = [(t, i, k) for t, i in leaves for k in ([0] if single else range(n))]
    attrs |= {
        kind + "_treeids": [r[0] for r in rows],
        kind + "_nodeids": [r[1] for r in rows],
        kind + "_ids": [r[2] for r in rows],
        kind + "_weights": numbers(g, len(rows), low, 1),
    }
    if kind == "class":
        if single:
            attrs["post_transform"] = g.one(["NONE", "LOGISTIC"])
            attrs |= maybe(g, 0.4, base_values=numbers(g, 1))
        else:
            attrs["post_transform"] = g.one(AFTER)
            if n > 2:  # of two, onnxruntime adds the second's to the first and calls its negative the other
                attrs |= maybe(g, 0.4, base_values=numbers(g, n))
        names = labels(g, n)
        if n == 2 and "classlabels_int64s" in names:
            names["classlabels_int64s"] = [0, 1]  # onnxruntime answers 0 and 1 whatever they are
        return node(name, [x], {**attrs, **names}, outs=2, compare=scores_only if n == 2 and not single else None)
    attrs |= {"n_targets": n, "aggregate_function": g.one(["SUM", "SUM", "AVERAGE", "MIN", "MAX"]), "post_transform": g.one(AFTER) if n > 1 else "NONE"}
    attrs |= maybe(g, 0.4, base_values=numbers(g, n))
    return node(name, [x], attrs)


@ml("TreeEnsemble")
def tree_new(g, name):
    if g.ml < 5:
        raise Skip
    x = features(g, ("f32", "f64"))
    t = 1 if x.type == "f32" else 11
    n, targets = g.int(1, 3), g.int(1, 2)
    leaf = g.int(0, 3)
    attrs = dict(
        nodes_featureids=[g.int(0, x.shape[1] - 1)] * n,
        nodes_truenodeids=list(range(n)),
        nodes_trueleafs=[1] * n,
        nodes_falsenodeids=[*range(1, n), n],
        nodes_falseleafs=[0] * (n - 1) + [1],
    )
    attrs |= dict(
        tree_roots=[0], leaf_targetids=[g.int(0, targets - 1) for _ in range(n + 1)], n_targets=targets, aggregate_function=g.int(0, 3), post_transform=0
    )  # onnxruntime counts transforms otherwise than the standard
    attrs["nodes_modes"] = helper.make_tensor("m", 2, [n], [leaf] * n)
    attrs["nodes_splits"] = helper.make_tensor("s", t, [n], numbers(g, n))
    attrs["leaf_weights"] = helper.make_tensor("w", t, [n + 1], numbers(g, n + 1))
    return node(name, [x], attrs)
