"""Forests of 500 trees of depth 8 beside ONNX Runtime and the libraries that trained them (LightGBM's and XGBoost's own predict),
interleaved as bench_graph.py does. Models are trained on made-up data and exported by onnxmltools. Answers are compared first.

ONNX Runtime, LightGBM and XGBoost are called from Python, which is a part of their time where one row takes microseconds: the
table's last line is what ONNX Runtime takes for a model that does nothing.

Usage: python tests/bench/bench_trees.py [--threads 1,2] [--batch 1,10000] [--trees 500] [--runs 20]"""
import argparse
import os
import sys
import tempfile
import warnings

import numpy as np

import bench_graph as graph

FEATURES, ROWS_TRAINED = 28, 20000
WIDTH = 19


def data(rows, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, FEATURES)).astype(np.float32)
    y = x[:, 0] * 2 + np.sin(3 * x[:, 1]) + x[:, 2] * x[:, 3] + 0.3 * rng.standard_normal(rows).astype(np.float32)
    return x, y


def xgboost(model, threads, precision, feed):
    import xgboost as xgb

    booster = xgb.Booster(model_file=model)
    booster.set_param({"nthread": threads})
    return lambda: booster.inplace_predict(feed["x"])


def lightgbm(model, threads, precision, feed):
    import lightgbm as lgb

    booster = lgb.Booster(model_file=model)
    return lambda: booster.predict(feed["x"], num_threads=threads)


KINDS = {"onnxruntime": graph.onnxruntime, "xgboost": xgboost, "lightgbm": lightgbm}


def train(name, trees, folder):
    """(ONNX file, own file) of a regressor."""
    from onnxmltools import convert_lightgbm, convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    x, y = data(ROWS_TRAINED, 0)
    own, onnx = os.path.join(folder, name + ".json"), os.path.join(folder, name + ".onnx")
    shape = [("x", FloatTensorType([None, FEATURES]))]
    if name == "xgboost":
        import xgboost as xgb

        model = xgb.XGBRegressor(n_estimators=trees, max_depth=8, learning_rate=0.05, n_jobs=2).fit(x, y)
        model.save_model(own)
        graph_proto = convert_xgboost(model, initial_types=shape, target_opset=15)
    else:
        import lightgbm as lgb

        model = lgb.LGBMRegressor(n_estimators=trees, max_depth=8, num_leaves=255, learning_rate=0.05, n_jobs=2, verbose=-1).fit(x, y)
        model.booster_.save_model(own)
        graph_proto = convert_lightgbm(model, initial_types=shape, target_opset=15)
    with open(onnx, "wb") as f:
        f.write(graph_proto.SerializeToString())
    return onnx, own


def nothing(folder):
    """ONNX Runtime's price of a call: the time of an Identity."""
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, FEATURES])
    other = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, FEATURES])
    model = helper.make_model(helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "nothing", [value], [other]),
                              opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = os.path.join(folder, "nothing.onnx")
    with open(path, "wb") as f:
        f.write(model.SerializeToString())
    return path


def compare(onnx, x):
    """The largest difference from ONNX Runtime, over the largest answer."""
    with graph.engine.Engine(onnx) as ours:
        mine = ours.run([x])[0]
    return graph.engine.distance(mine, graph.engine.Peer(onnx).run([x])[0])


def measure(onnx, own, name, threads, batch, a):
    feed = {"x": data(batch, 1)[0]}
    ours = graph.Ours(onnx, threads=threads)
    ours.feed(feed)
    path = os.path.join(ours.folder, "feed.npz")
    np.savez(path, **feed)
    contenders = {"slipway": ours}
    for peer, model in (("onnxruntime", onnx), (name, own)):
        p = graph.Peer(script=os.path.abspath(__file__), peer=peer, model=model, threads=threads, precision="f32", feed=path)
        assert p.answer == "ready", p.answer
        contenders[peer] = p
    few = batch <= 64
    return graph.in_turns(contenders, a.runs * (50 if few else 1), 50 if few else 2)


def cell(r):
    digits = 4 if r["min"] < 1 else 1
    return f"{r['min']:.{digits}f} ({r['median']:.{digits}f})"


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--threads", default="2,1")
    p.add_argument("--batch", default="1,10000")
    p.add_argument("--trees", type=int, default=500)
    p.add_argument("--runs", type=int, default=10)
    p.add_argument("--only", default="xgboost,lightgbm")
    a = p.parse_args()
    warnings.filterwarnings("ignore")
    print(f"{a.trees} trees of depth 8, {FEATURES} features, milliseconds: minimum (median)")
    print(f"{'trained by':10} {'thr':>3} {'rows':>6} {'slipway':>{WIDTH}} {'onnxruntime':>{WIDTH}} {'its own':>{WIDTH}} {'/ort':>5} {'/own':>5}")
    with tempfile.TemporaryDirectory() as folder:
        for name in a.only.split(","):
            onnx, own = train(name, a.trees, folder)
            error = compare(onnx, data(1000, 1)[0])
            assert error < 1e-5, (name, error)
            for threads in map(int, a.threads.split(",")):
                for batch in map(int, a.batch.split(",")):
                    t = measure(onnx, own, name, threads, batch, a)
                    ours, ort, its = t["slipway"], t["onnxruntime"], t[name]
                    print(f"{name:10} {threads:3} {batch:6} {cell(ours):>{WIDTH}} {cell(ort):>{WIDTH}} {cell(its):>{WIDTH}} "
                          f"{ours['min'] / ort['min']:5.2f} {ours['min'] / its['min']:5.2f}", flush=True)
        run = graph.onnxruntime(nothing(folder), 1, "f32", {"x": data(1, 1)[0]})
        idle = min(graph.timed(run) for _ in range(1000))
        print(f"a call of ONNX Runtime that does nothing: {idle:.4f} ms")


if __name__ == "__main__":
    graph.peer(KINDS) if "--peer" in sys.argv else main()
