# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Serving's own stubs (package tensorflow-protobuf: TensorFlow's messages without TensorFlow) on grpcio."""

import shutil

import grpc
import numpy as np
import pytest
import tensorflow_missing  # noqa: F401
from tensorflow.core.example import example_pb2
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from conftest import KINDS, Server, Store, affine, constant, info, save
from onnx import TensorProto, helper
from test_triton_client import values_of

LISTS = {
    "bool": ("DT_BOOL", "bool_val"), "u8": ("DT_UINT8", "int_val"), "u16": ("DT_UINT16", "int_val"),
    "u32": ("DT_UINT32", "uint32_val"), "u64": ("DT_UINT64", "uint64_val"), "i8": ("DT_INT8", "int_val"),
    "i16": ("DT_INT16", "int_val"), "i32": ("DT_INT32", "int_val"), "i64": ("DT_INT64", "int64_val"),
    "f16": ("DT_HALF", "half_val"), "f32": ("DT_FLOAT", "float_val"), "f64": ("DT_DOUBLE", "double_val"),
    "text": ("DT_STRING", "string_val"),
}  # fmt: skip


def type_of(name):
    return getattr(types_pb2, LISTS[name][0])


def flat(name, x):
    if name == "text":
        return [s.encode() for s in x.ravel()]
    if name == "f16":
        return x.ravel().view(np.uint16).tolist()
    return x.ravel().tolist()


def proto(name, x, raw=False):
    """As the Java and Go clients send it (lists), or as Python's make_tensor_proto (tensor_content)."""
    t = tensor_pb2.TensorProto(dtype=type_of(name))
    for d in x.shape:
        t.tensor_shape.dim.add(size=d)
    if raw:
        t.tensor_content = x.tobytes()
    else:
        getattr(t, LISTS[name][1]).extend(flat(name, x))
    return t


def array(name, t):
    shape = [d.size for d in t.tensor_shape.dim]
    values = list(getattr(t, LISTS[name][1]))
    if name == "text":
        return np.array(values, np.object_).reshape(shape)
    if name == "f16":
        return np.array(values, np.uint16).view(np.float16).reshape(shape)
    return np.array(values, KINDS[name][1]).reshape(shape)


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.address) as c:
        yield c


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models_stub(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def request(model, version=None, label=None, signature="", **inputs):
    r = predict_pb2.PredictRequest()
    r.model_spec.name = model
    r.model_spec.signature_name = signature
    if version is not None:
        r.model_spec.version.value = version
    if label:
        r.model_spec.version_label = label
    for name, t in inputs.items():
        r.inputs[name].CopyFrom(t)
    return r


X = np.array([[1, 2, 3, 4]], np.float32)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("name", list(LISTS))
def test_every_type(stub, name, raw):
    if name == "text" and raw:
        pytest.skip("strings have no tensor_content")
    x = values_of(name)
    t = stub.Predict(request("echo_" + name, x=proto(name, x, raw))).outputs["y"]
    want = np.array([s.encode() for s in x.ravel()], np.object_).reshape(x.shape) if name == "text" else x
    assert t.dtype == type_of(name) and not t.tensor_content
    assert np.array_equal(array(name, t), want)


@pytest.mark.parametrize("values,want", [([7], [7, 7, 7, 7]), ([1, 2], [1, 2, 2, 2]), ([], [0, 0, 0, 0])])
def test_the_last_value_repeats(stub, values, want):
    t = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=values)
    t.tensor_shape.dim.add(size=1)
    t.tensor_shape.dim.add(size=4)
    got = stub.Predict(request("echo_f32", x=t)).outputs["y"]
    assert list(got.float_val) == want


def test_versions_labels_filter(stub):
    y = stub.Predict(request("affine", x=proto("f32", X)))
    assert list(y.outputs["y"].float_val) == [1.5, 4, 9, 17]
    assert y.model_spec.name == "affine" and y.model_spec.version.value == 1
    assert y.model_spec.signature_name == "serving_default"
    y = stub.Predict(request("affine", version=2, x=proto("f32", X)))
    assert list(y.outputs["y"].float_val) == [10, 20, 30, 40] and y.model_spec.version.value == 2
    y = stub.Predict(request("affine", label="prod", x=proto("f32", X)))
    assert y.model_spec.version.value == 1
    two = {"a": proto("f32", np.ones((1, 2), np.float32)), "b": proto("f32", np.ones((1, 2), np.float32))}
    r = request("pair", **two)
    assert set(stub.Predict(r).outputs) == {"s", "d"}
    r.output_filter.append("d")
    assert set(stub.Predict(r).outputs) == {"d"}


def test_large(stub):
    x = np.arange(800_000, dtype=np.float32).reshape(-1, 4)
    for raw in (False, True):
        got = array("f32", stub.Predict(request("affine", x=proto("f32", x, raw))).outputs["y"])
        assert np.array_equal(got, x * [1, 2, 3, 4] + np.float32([0.5, 0, 0, 1]))


def refused(call, message):
    with pytest.raises(grpc.RpcError) as e:
        call(message)
    return e.value.code().name, e.value.details()


def test_errors(stub):
    x = proto("f32", X)
    assert refused(stub.Predict, request("nope", x=x)) == ("NOT_FOUND", "Servable not found for request: Latest(nope)")
    assert refused(stub.Predict, request("affine", version=9, x=x))[1] == "Servable not found for request: Specific(affine, 9)"
    assert refused(stub.Predict, request("affine", label="beta", x=x))[0] == "INVALID_ARGUMENT"
    assert refused(stub.Predict, predict_pb2.PredictRequest()) == ("INVALID_ARGUMENT", "Missing ModelSpec")
    code, text = refused(stub.Predict, request("affine", z=x))
    assert code == "INVALID_ARGUMENT" and "not found in signature: z" in text
    assert refused(stub.Predict, request("affine"))[0] == "INVALID_ARGUMENT"
    assert refused(stub.Predict, request("affine", x=proto("i32", X.astype(np.int32))))[0] == "INVALID_ARGUMENT"
    assert refused(stub.Predict, request("affine", signature="other", x=x))[0] == "INVALID_ARGUMENT"
    short = proto("f32", X, True)
    short.tensor_content = short.tensor_content[:-1]
    assert "tensor_content" in refused(stub.Predict, request("affine", x=short))[1]
    much = proto("f32", X)
    much.float_val.append(1)
    assert "values" in refused(stub.Predict, request("affine", x=much))[1]
    r = request("affine", x=x)
    r.output_filter.append("nope")
    assert "alias not found" in refused(stub.Predict, r)[1]


def test_metadata(stub):
    r = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    r.model_spec.name = "pair"
    answer = stub.GetModelMetadata(r)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    s = signatures.signature_def["serving_default"]
    assert set(s.inputs) == {"a", "b"} and set(s.outputs) == {"s", "d"}
    assert s.inputs["a"].dtype == types_pb2.DT_FLOAT and [d.size for d in s.inputs["a"].tensor_shape.dim] == [-1, 2]
    assert s.method_name == "tensorflow/serving/predict" and answer.model_spec.version.value == 1
    r.metadata_field[0] = "other"
    assert refused(stub.GetModelMetadata, r) == ("INVALID_ARGUMENT", "Metadata field other is not supported")


def test_status(models_stub):
    r = get_model_status_pb2.GetModelStatusRequest()
    r.model_spec.name = "pair"
    (v,) = models_stub.GetModelStatus(r).model_version_status
    assert v.version == 1 and v.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE and v.status.error_code == 0
    r.model_spec.name = "nope"
    assert refused(models_stub.GetModelStatus, r) == ("NOT_FOUND", "Could not find any versions of model nope")


# --- classify, regress, multi-inference ---


@pytest.fixture(scope="module")
def classic(tmp_path_factory):
    """scores = softmax(age, income), price = 2 * age: models that take features."""
    folder = tmp_path_factory.mktemp("classic")
    f32 = TensorProto.FLOAT
    save(
        folder / "scores.onnx",
        [helper.make_node("Concat", ["age", "income"], ["both"], axis=1), helper.make_node("Softmax", ["both"], ["scores"], axis=1)],
        [info("age", f32, ["N", 1]), info("income", f32, ["N", 1])],
        [info("scores", f32, ["N", 2])],
    )
    save(
        folder / "price.onnx",
        [helper.make_node("Mul", ["age", "two"], ["outputs"])],
        [info("age", f32, ["N", 1])],
        [info("outputs", f32, ["N", 1])],
        [constant("two", np.array([2], np.float32))],
    )
    s = Store(folder / "store")
    s.add(folder / "scores.onnx", "scores")
    s.add(folder / "price.onnx", "price")
    server = Server(s, "--allow-control")
    with grpc.insecure_channel(server.address) as c:
        yield c
    server.stop()


def example(**features):
    e = example_pb2.Example()
    for name, value in features.items():
        if isinstance(value, int):
            e.features.feature[name].int64_list.value.append(value)
        else:
            e.features.feature[name].float_list.value.append(value)
    return e


def test_classify_regress_multi(classic):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(classic)
    c = classification_pb2.ClassificationRequest()
    c.model_spec.name = "scores"
    c.input.example_list.examples.extend([example(age=1.0, income=1.0), example(age=0.0, income=100.0)])
    got = stub.Classify(c)
    assert [[k.label for k in row.classes] for row in got.result.classifications] == [["0", "1"], ["0", "1"]]
    assert np.allclose([[k.score for k in row.classes] for row in got.result.classifications], [[0.5, 0.5], [0, 1]])
    assert got.model_spec.version.value == 1
    whole = classification_pb2.ClassificationRequest()
    whole.model_spec.name = "scores"
    whole.input.example_list.examples.append(example(age=7, income=7))  # int64 features, cast to what the model takes
    assert np.allclose([k.score for k in stub.Classify(whole).result.classifications[0].classes], 0.5)
    r = regression_pb2.RegressionRequest()
    r.model_spec.name = "price"
    r.input.example_list_with_context.context.CopyFrom(example(age=4.0))
    r.input.example_list_with_context.examples.extend([example(age=3), example(other=1.0, more=2.0)])
    # a feature must be of one type in all examples: the context's is a float
    assert refused(stub.Regress, r)[0] == "INVALID_ARGUMENT"
    r.input.example_list_with_context.examples[0].CopyFrom(example(age=3.0))
    assert [x.value for x in stub.Regress(r).result.regressions] == [6, 8]
    m = inference_pb2.MultiInferenceRequest()
    for method in ("classify", "classify"):
        t = m.tasks.add(method_name="tensorflow/serving/" + method)
        t.model_spec.name = "scores"
    m.input.CopyFrom(c.input)
    results = stub.MultiInference(m).results
    assert len(results) == 2 and len(results[1].classification_result.classifications) == 2
    m.tasks[1].model_spec.name = "price"
    assert "same model" in refused(stub.MultiInference, m)[1]
    c.model_spec.name = "price"
    del c.input.example_list.examples[:]
    assert refused(stub.Classify, c) == ("INVALID_ARGUMENT", "Input is empty.")


def test_reload_config(classic):
    stub = model_service_pb2_grpc.ModelServiceStub(classic)
    status = get_model_status_pb2.GetModelStatusRequest()
    r = model_management_pb2.ReloadConfigRequest()
    r.config.model_config_list.config.add(name="price", base_path="/anywhere")
    code, why = refused(stub.HandleReloadConfigRequest, r)
    assert code == "PERMISSION_DENIED" and "--allow-path" in why  # a client may not have any folder of the server's machine read
    r.config.model_config_list.config[0].base_path = ""  # the store's versions
    assert stub.HandleReloadConfigRequest(r).status.error_code == 0
    status.model_spec.name = "scores"
    assert stub.GetModelStatus(status).model_version_status[0].state != get_model_status_pb2.ModelVersionStatus.AVAILABLE
    r.config.model_config_list.config.add(name="scores")
    assert stub.HandleReloadConfigRequest(r).status.error_code == 0
    assert stub.GetModelStatus(status).model_version_status[0].state == get_model_status_pb2.ModelVersionStatus.AVAILABLE
    r.config.model_config_list.config.add(name="scores")
    assert refused(stub.HandleReloadConfigRequest, r)[0] == "INVALID_ARGUMENT"
    r.config.model_config_list.config[2].name = "nope"
    assert refused(stub.HandleReloadConfigRequest, r)[0] == "NOT_FOUND"


def test_a_reload_loads_what_it_names_in_explicit_mode(tmp_path, models):
    """OK means that it answers, also for a model that the server never heard of before."""
    (tmp_path / "iris" / "1").mkdir(parents=True)
    shutil.copy(models["affine"], tmp_path / "iris" / "1" / "model.onnx")
    store = Store(tmp_path / "store")
    store.add(models["pair"], "pair")
    server = Server(store, "--explicit", "--allow-path", str(tmp_path / "iris"))
    with grpc.insecure_channel(server.address) as channel:
        stub, predict = model_service_pb2_grpc.ModelServiceStub(channel), prediction_service_pb2_grpc.PredictionServiceStub(channel)
        r = model_management_pb2.ReloadConfigRequest()
        r.config.model_config_list.config.add(name="iris", base_path=str(tmp_path / "iris"))
        assert stub.HandleReloadConfigRequest(r, timeout=30).status.error_code == 0
        p = predict_pb2.PredictRequest()
        p.model_spec.name = "iris"
        p.inputs["x"].CopyFrom(proto("f32", np.ones((1, 4), np.float32)))
        assert array("f32", predict.Predict(p).outputs["y"]).tolist() == [[1.5, 2, 3, 5]]
        states = {m["name"]: m["state"] for m in server.post("/v2/repository/index").json()}
        assert states == {"iris": "READY", "pair": "UNAVAILABLE"}
    server.stop()


def test_reload_config_from_folders(tmp_path, models):
    """Base paths, policies and labels, as a client sends them; everything else goes."""
    for version, model in (("1", "affine"), ("2", "affine2")):
        (tmp_path / "iris" / version).mkdir(parents=True)
        shutil.copy(models[model], tmp_path / "iris" / version / "model.onnx")
    store = Store(tmp_path / "store")
    store.add(models["pair"], "pair")
    server = Server(store, "--allow-control", "--allow-path", f"/nowhere,{tmp_path}/iris/")
    with grpc.insecure_channel(server.address) as channel:
        stub, predict = model_service_pb2_grpc.ModelServiceStub(channel), prediction_service_pb2_grpc.PredictionServiceStub(channel)
        r = model_management_pb2.ReloadConfigRequest()
        c = r.config.model_config_list.config.add(name="iris", base_path=str(tmp_path / "iris"))
        c.model_version_policy.specific.versions.extend([1, 2])
        c.version_labels["stable"], c.version_labels["canary"] = 1, 2
        assert stub.HandleReloadConfigRequest(r, timeout=30).status.error_code == 0
        p = predict_pb2.PredictRequest()
        p.model_spec.name, p.model_spec.version_label = "iris", "stable"
        p.inputs["x"].CopyFrom(proto("f32", np.ones((1, 4), np.float32)))
        assert array("f32", predict.Predict(p).outputs["y"]).tolist() == [[1.5, 2, 3, 5]]
        p.model_spec.version_label = "canary"
        assert array("f32", predict.Predict(p).outputs["y"]).tolist() == [[10] * 4]
        q = predict_pb2.PredictRequest()
        q.model_spec.name = "pair"
        q.inputs["a"].CopyFrom(proto("f32", np.ones((1, 2), np.float32)))
        q.inputs["b"].CopyFrom(proto("f32", np.ones((1, 2), np.float32)))
        assert refused(predict.Predict, q)[0] in ("UNAVAILABLE", "NOT_FOUND")
        (tmp_path / "iris" / "3").mkdir()
        shutil.copy(models["affine"], tmp_path / "iris" / "3" / "model.onnx")
        c.model_version_policy.latest.num_versions = 1
        c.version_labels.clear()
        c.version_labels["canary"] = 3
        assert stub.HandleReloadConfigRequest(r, timeout=30).status.error_code == 0
        assert array("f32", predict.Predict(p).outputs["y"]).tolist() == [[1.5, 2, 3, 5]]
        c.version_labels["lost"] = 77
        assert refused(stub.HandleReloadConfigRequest, r)[0] == "INVALID_ARGUMENT"
        c.version_labels.clear()
        for elsewhere in ("/", str(tmp_path), str(tmp_path / "iris" / ".." / "store"), str(tmp_path / "iris2"), "/nowhere/x"):
            c.base_path = elsewhere
            assert refused(stub.HandleReloadConfigRequest, r)[0] == "PERMISSION_DENIED", elsewhere
        c.name = ""
        assert refused(stub.HandleReloadConfigRequest, r)[0] == "INVALID_ARGUMENT"
        del r.config.model_config_list.config[:]
        assert stub.HandleReloadConfigRequest(r, timeout=30).status.error_code == 0  # nothing is served any more
        p.model_spec.ClearField("version_label")
        assert refused(predict.Predict, p)[0] in ("UNAVAILABLE", "NOT_FOUND")
    server.stop()
