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


def check(onx, feeds):
    import onnxruntime as ort

    theirs = ort.InferenceSession(onx.SerializeToString(), rg.OPTIONS, providers=["CPUExecutionProvider"]).run(None, feeds)
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
