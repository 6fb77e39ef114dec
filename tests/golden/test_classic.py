"""Models of sklearn, LightGBM and XGBoost, exported by skl2onnx and onnxmltools: trained here in milliseconds, run by the engine
and by onnxruntime. Labels must be equal, scores within 1e-5 of the largest."""

import warnings

import numpy as np
import pytest

import random_graphs as rg

sklearn = pytest.importorskip("sklearn")
skl2onnx = pytest.importorskip("skl2onnx")
onnxmltools = pytest.importorskip("onnxmltools")
warnings.filterwarnings("ignore")

from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType  # noqa: E402
from sklearn import compose, ensemble, gaussian_process, impute, linear_model, naive_bayes, neighbors, neural_network  # noqa: E402
from sklearn import cluster, decomposition, pipeline, preprocessing, svm, tree  # noqa: E402

RNG = np.random.default_rng(5)
X = RNG.standard_normal((120, 5)).astype(np.float32)
TWO = (X[:, 0] + X[:, 1] ** 2 > 0.6).astype(np.int64)
THREE = (TWO + (X[:, 2] > 0.5)).astype(np.int64)
REAL = (X[:, 0] * 2 + np.sin(X[:, 1]) + 0.1 * RNG.standard_normal(120)).astype(np.float32)
MANY = np.stack([REAL, X[:, 2] - REAL], 1)
NEW = np.concatenate([X[:20], RNG.standard_normal((11, 5)).astype(np.float32)])

CLASSIFIERS = {
    "decision_tree": tree.DecisionTreeClassifier(max_depth=4),
    "random_forest": ensemble.RandomForestClassifier(20, max_depth=5),
    "extra_trees": ensemble.ExtraTreesClassifier(10, max_depth=4),
    "gradient_boosting": ensemble.GradientBoostingClassifier(n_estimators=10),
    "ada_boost": ensemble.AdaBoostClassifier(n_estimators=5),
    "bagging": ensemble.BaggingClassifier(n_estimators=4),
    "voting": ensemble.VotingClassifier(
        [("a", linear_model.LogisticRegression()), ("b", tree.DecisionTreeClassifier(max_depth=3))], voting="soft", flatten_transform=False
    ),
    "logistic": linear_model.LogisticRegression(),
    "sgd": linear_model.SGDClassifier(),
    "ridge": linear_model.RidgeClassifier(),
    "linear_svc": svm.LinearSVC(),
    "svc_rbf": svm.SVC(probability=True),
    "svc_poly": svm.SVC(kernel="poly", degree=2),
    "nu_svc": svm.NuSVC(nu=0.3, kernel="sigmoid"),
    "naive_bayes": naive_bayes.GaussianNB(),
    "bernoulli": naive_bayes.BernoulliNB(),
    "neighbours": neighbors.KNeighborsClassifier(3),
    "network": neural_network.MLPClassifier((8, 6), max_iter=60),
    "pipeline": pipeline.make_pipeline(preprocessing.StandardScaler(), decomposition.PCA(3), linear_model.LogisticRegression()),
}
REGRESSORS = {
    "decision_tree": tree.DecisionTreeRegressor(max_depth=4),
    "random_forest": ensemble.RandomForestRegressor(20, max_depth=5),
    "extra_trees": ensemble.ExtraTreesRegressor(10, max_depth=4),
    "gradient_boosting": ensemble.GradientBoostingRegressor(n_estimators=10),
    "linear": linear_model.LinearRegression(),
    "lasso": linear_model.Lasso(0.1),
    "poisson": linear_model.PoissonRegressor(),
    "svr": svm.SVR(),
    "nu_svr": svm.NuSVR(kernel="poly"),
    "neighbours": neighbors.KNeighborsRegressor(3),
    "gaussian_process": gaussian_process.GaussianProcessRegressor(),
    "network": neural_network.MLPRegressor(hidden_layer_sizes=(8,), max_iter=60),
    "polynomial": pipeline.make_pipeline(preprocessing.PolynomialFeatures(2), linear_model.Ridge()),
}
TRANSFORMS = {
    "scaler": preprocessing.StandardScaler(),
    "min_max": preprocessing.MinMaxScaler(),
    "robust": preprocessing.RobustScaler(),
    "normalizer": preprocessing.Normalizer(),
    "power": preprocessing.PowerTransformer(),
    "bins": preprocessing.KBinsDiscretizer(4, encode="ordinal", strategy="uniform"),
    "pca": decomposition.PCA(2),
    "svd": decomposition.TruncatedSVD(2),
    "k_means": cluster.KMeans(3, n_init=2, random_state=1),
    "imputer": impute.SimpleImputer(),
    "isolation": ensemble.IsolationForest(n_estimators=10, random_state=1),
}


class Leaf:
    """What random_graphs feeds."""

    def __init__(self, name, x):
        self.name, self.x, self.plain = name, x, True


def check(onx, feeds, reference=False):
    """Against onnxruntime, or onnx's own reference."""
    import onnxruntime as ort
    from onnx.reference import ReferenceEvaluator

    options = dict(sess_options=rg.OPTIONS, providers=["CPUExecutionProvider"])
    theirs = (ReferenceEvaluator(onx) if reference else ort.InferenceSession(onx.SerializeToString(), **options)).run(None, feeds)
    with rg.Cases() as cases:
        ours = cases.run(onx, [Leaf(n, x) for n, x in feeds.items()])
    for output, b in zip(onx.graph.output, theirs, strict=True):
        d = rg.difference(ours[output.name], b if isinstance(b, list) else rg.out_of_peer(b))
        assert not d, f"{output.name}: {d}"


def exported(model, x=X, **options):
    kind = Int64TensorType if x.dtype == np.int64 else FloatTensorType
    return skl2onnx.convert_sklearn(model, initial_types=[("x", kind([None, x.shape[1]]))], target_opset={"": 18, "ai.onnx.ml": 3}, **options)


@pytest.mark.parametrize("y", [TWO, THREE, np.array(["no", "yes", "maybe"])[THREE]], ids=["two", "three", "texts"])
@pytest.mark.parametrize("name,zipmap", [(n, False) for n in CLASSIFIERS] + [("logistic", True), ("random_forest", True)])
def test_classifier(name, zipmap, y):
    model = sklearn.base.clone(CLASSIFIERS[name]).fit(X, y)
    options = {id(model): {"zipmap": zipmap}} if name != "linear_svc" else None
    check(exported(model, options=options), {"x": NEW})


ONE_TARGET = ("gradient_boosting", "svr", "nu_svr", "poisson")


@pytest.mark.parametrize("name,y", [(n, REAL) for n in REGRESSORS] + [(n, MANY) for n in REGRESSORS if n not in ONE_TARGET])
def test_regressor(name, y):
    y = np.abs(y) if name == "poisson" else y
    check(exported(sklearn.base.clone(REGRESSORS[name]).fit(X, y)), {"x": NEW})


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transform(name):
    x = NEW.copy()
    if name == "imputer":
        x[::3, 1] = np.nan
    check(exported(TRANSFORMS[name].fit(X)), {"x": x})


@pytest.mark.parametrize("y", [TWO, THREE, REAL], ids=["two", "three", "real"])
def test_lightgbm(y):
    lightgbm = pytest.importorskip("lightgbm")
    kind = lightgbm.LGBMRegressor if y is REAL else lightgbm.LGBMClassifier
    model = kind(n_estimators=8, num_leaves=7, verbose=-1).fit(X, y)
    onx = onnxmltools.convert_lightgbm(model, initial_types=[("x", onnxmltools.convert.common.data_types.FloatTensorType([None, 5]))], target_opset=15)
    check(onx, {"x": NEW})


@pytest.mark.parametrize("y", [TWO, THREE, REAL], ids=["two", "three", "real"])
def test_xgboost(y):
    xgboost = pytest.importorskip("xgboost")
    kind = xgboost.XGBRegressor if y is REAL else xgboost.XGBClassifier
    model = kind(n_estimators=8, max_depth=3).fit(X, y)
    onx = onnxmltools.convert_xgboost(model, initial_types=[("x", onnxmltools.convert.common.data_types.FloatTensorType([None, 5]))], target_opset=15)
    x = NEW.copy()
    x[::4, 2] = np.nan
    check(onx, {"x": x})


def test_columns_of_kinds():
    """Texts and numbers side by side: encoders, imputers, scalers, joined."""
    words = np.array(["red", "green", "blue"])[RNG.integers(0, 3, 120)]
    import pandas

    frame = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": words})
    model = pipeline.make_pipeline(
        compose.ColumnTransformer(
            [
                ("n", pipeline.make_pipeline(impute.SimpleImputer(), preprocessing.StandardScaler()), ["a", "b"]),
                ("w", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["c"]),
            ]
        ),
        linear_model.LogisticRegression(),
    ).fit(frame, TWO)
    onx = skl2onnx.convert_sklearn(
        model,
        initial_types=[("a", FloatTensorType([None, 1])), ("b", FloatTensorType([None, 1])), ("c", StringTensorType([None, 1]))],
        target_opset=18,
        options={id(model): {"zipmap": False}},
    )
    check(onx, {"a": X[:9, :1], "b": X[:9, 1:2], "c": np.array(["red", "blue", "pink"] * 3, object).reshape(-1, 1)})


def test_ordinals():
    data = RNG.integers(0, 4, (60, 3)).astype(np.int64)
    for model in (preprocessing.OrdinalEncoder(), preprocessing.OneHotEncoder(sparse_output=False)):
        check(exported(model.fit(data), data), {"x": data[:7]})


QUESTIONS = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def grown(rng, n_trees, depth, n_features, questions):
    """Rows (tree, node, feature, question, value, true child, false child, missing) of trees of uneven depth; leaves ask nothing."""
    rows = []
    for tree in range(n_trees):
        todo, count = [(0, 0)], 1
        while todo:
            node, level = todo.pop()
            if level == depth or (level > 1 and rng.random() < 0.15):
                rows.append((tree, node, 0, "LEAF", 0.0, 0, 0, 0))
                continue
            value = float(rng.integers(-2, 3)) if rng.random() < 0.5 else float(np.float32(rng.standard_normal()))
            rows.append((tree, node, int(rng.integers(n_features)), str(rng.choice(questions)), value, count, count + 1, int(rng.integers(2))))
            todo += [(count, level + 1), (count + 1, level + 1)]
            count += 2
    return rows


def asked(rng, rows, n_features, missing):
    """Half of the features are small whole numbers, which meet == and the edges of <=."""
    x = rng.standard_normal((rows, n_features)).astype(np.float32)
    x[:, ::2] = rng.integers(-2, 3, x[:, ::2].shape)
    if missing:
        x[rng.random(x.shape) < 0.2] = np.nan
    return x


def one_node(node, outputs, x, ml):
    from onnx import TensorProto, helper

    kind = TensorProto.DOUBLE if x.dtype == np.float64 else TensorProto.FLOAT
    graph = helper.make_graph(
        [node], "forest", [helper.make_tensor_value_info("x", kind, [None, x.shape[1]])], [helper.make_tensor_value_info(n, t, None) for n, t in outputs]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", ml)], ir_version=10)


@pytest.mark.parametrize("missing", [False, True], ids=["whole", "missing"])
@pytest.mark.parametrize("question", [*QUESTIONS, "all"])
@pytest.mark.parametrize("n", [1, 3], ids=["one", "three"])
def test_forests(question, missing, n):
    """Trees of uneven depth, every comparison, rows that fill blocks and rows that do not, a target and several."""
    from onnx import TensorProto, helper

    rng = np.random.default_rng([n, missing, len(question)])
    rows = grown(rng, 13, 8, 5, QUESTIONS if question == "all" else [question])
    leaves = [(r[0], r[1], t) for r in rows if r[3] == "LEAF" for t in ([int(rng.integers(n))] if n == 1 else range(n))]
    columns = dict(zip(("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids", "missing_value_tracks_true"), map(list, zip(*rows))))
    node = helper.make_node(
        "TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=n,
        **{"nodes_" + k: v for k, v in columns.items()},
        target_treeids=[r[0] for r in leaves], target_nodeids=[r[1] for r in leaves], target_ids=[r[2] for r in leaves],
        target_weights=rng.standard_normal(len(leaves)).astype(np.float32).tolist(),
    )  # fmt: skip
    for count in (1, 7, 8, 150):
        x = asked(rng, count, 5, missing)
        check(one_node(node, [("y", TensorProto.FLOAT)], x, 3), {"x": x})


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("missing", [False, True], ids=["whole", "missing"])
def test_forests_with_sets(kind, missing):
    """TreeEnsemble 5: every comparison and sets in one tree, in both types. onnxruntime 1.32 misses members that are f64, onnx's
    reference rounds f32 splits: each type is compared with whoever has it right."""
    from onnx import TensorProto, helper

    rng = np.random.default_rng([7, missing, np.dtype(kind).itemsize])
    words = [*QUESTIONS, "SET"]
    rows = [r for r in grown(rng, 1, 7, 5, words)]
    number, leaf, branches = {}, {}, [r for r in rows if r[3] != "LEAF"]
    for r in rows:
        (leaf if r[3] == "LEAF" else number)[r[1]] = len(leaf if r[3] == "LEAF" else number)
    place = lambda k: number[k] if k in number else leaf[k]  # noqa: E731
    sets = [v for r in branches if r[3] == "SET" for v in [*rng.choice(np.arange(-2.0, 3.0), 2, replace=False).tolist(), np.nan]]
    t = TensorProto.DOUBLE if kind == np.float64 else TensorProto.FLOAT
    node = helper.make_node(
        "TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", n_targets=2, aggregate_function=1, post_transform=0, tree_roots=[number[0]],
        nodes_featureids=[r[2] for r in branches],
        nodes_truenodeids=[place(r[5]) for r in branches], nodes_trueleafs=[int(r[5] in leaf) for r in branches],
        nodes_falsenodeids=[place(r[6]) for r in branches], nodes_falseleafs=[int(r[6] in leaf) for r in branches],
        nodes_missing_value_tracks_true=[r[7] for r in branches],
        nodes_modes=helper.make_tensor("m", TensorProto.UINT8, [len(branches)], [words.index(r[3]) for r in branches]),
        nodes_splits=helper.make_tensor("s", t, [len(branches)], [r[4] for r in branches]),
        membership_values=helper.make_tensor("v", t, [len(sets)], sets),
        leaf_targetids=rng.integers(0, 2, len(leaf)).tolist(),
        leaf_weights=helper.make_tensor("w", t, [len(leaf)], rng.standard_normal(len(leaf)).tolist()),
    )  # fmt: skip
    x = asked(rng, 70, 5, missing).astype(kind)
    check(one_node(node, [("y", t)], x, 5), {"x": x}, reference=kind == np.float64)


def test_a_forest_of_500_trees():
    """Blocks of rows on two threads, from a library's own training; all rows, with missing values."""
    lightgbm = pytest.importorskip("lightgbm")
    x = RNG.standard_normal((600, 5)).astype(np.float32)
    model = lightgbm.LGBMRegressor(n_estimators=500, max_depth=8, num_leaves=63, min_child_samples=2, verbose=-1).fit(x, x[:, 0] * x[:, 1])
    onx = onnxmltools.convert_lightgbm(model, initial_types=[("x", onnxmltools.convert.common.data_types.FloatTensorType([None, 5]))], target_opset=15)
    big = RNG.standard_normal((2003, 5)).astype(np.float32)
    check(onx, {"x": big})
    big[::3, 1] = np.nan
    check(onx, {"x": big})


def test_categories():
    """LightGBM writes a set of categories as equalities whose branches meet again."""
    lightgbm = pytest.importorskip("lightgbm")
    x = np.stack([RNG.integers(0, 12, 400), RNG.standard_normal(400), RNG.standard_normal(400)], 1).astype(np.float32)
    y = np.isin(x[:, 0], [1, 4, 5, 9]) * 2.0 + x[:, 1]
    model = lightgbm.LGBMRegressor(n_estimators=20, num_leaves=15, min_child_samples=5, verbose=-1).fit(x, y, categorical_feature=[0])
    onx = onnxmltools.convert_lightgbm(model, initial_types=[("x", onnxmltools.convert.common.data_types.FloatTensorType([None, 3]))], target_opset=15)
    check(onx, {"x": x[:90]})
