# SPDX-License-Identifier: Apache-2.0
"""TorchServe's gRPC calls (docs/grpc_api.md of pytorch/serve): grpcio, with messages from the server's own reflection."""

import io
import json

import grpc
import numpy as np
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from PIL import Image

from conftest import Server, Store, until
from test_torchserve import torch  # noqa: F401

INFERENCE = "org.pytorch.serve.grpc.inference.InferenceAPIsService"
MANAGEMENT = "org.pytorch.serve.grpc.management.ManagementAPIsService"


class Stub:
    """What protoc makes of a service: a callable for each method, `request` for a message of its input."""

    def __init__(self, channel, pool, name):
        self.service, self.inputs = pool.FindServiceByName(name), {}
        for m in self.service.methods:
            shape = ("stream" if m.client_streaming else "unary") + "_" + ("stream" if m.server_streaming else "unary")
            takes, gives = (message_factory.GetMessageClass(t) for t in (m.input_type, m.output_type))
            self.inputs[m.name] = takes
            call = getattr(channel, shape)(
                f"/{name}/{m.name}", request_serializer=takes.SerializeToString, response_deserializer=gives.FromString
            )
            setattr(self, m.name, call)

    def ask(self, method, **fields):
        return getattr(self, method)(self.inputs[method](**fields), timeout=30)


@pytest.fixture(scope="module")
def stubs(torch):  # noqa: F811
    with grpc.insecure_channel(torch.address) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        yield Stub(channel, pool, INFERENCE), Stub(channel, pool, MANAGEMENT)


@pytest.fixture
def inference(stubs):
    return stubs[0]


@pytest.fixture
def management(stubs):
    return lambda method, **fields: json.loads(stubs[1].ask(method, **fields).msg)


def refused(call, *args, **more):
    with pytest.raises(grpc.RpcError) as e:
        call(*args, **more)
    return e.value.code(), e.value.details()


def predict(inference, model, version="", **inputs):
    fields = {k: v if isinstance(v, bytes) else json.dumps(v).encode() for k, v in inputs.items()}
    return json.loads(inference.ask("Predictions", model_name=model, model_version=version, input=fields).prediction)


def test_the_field_numbers_are_torchserves(stubs):
    """As in inference.proto and management.proto of pytorch/serve."""
    numbers = lambda m: {f.name: f.number for f in m.DESCRIPTOR.fields}  # noqa: E731
    inference, management = (s.inputs for s in stubs)
    want = {"model_name": 1, "model_version": 2, "input": 3, "sequence_id": 4}
    assert numbers(inference["Predictions"]) == want and inference["StreamPredictions2"] is inference["Predictions"]
    assert numbers(management["RegisterModel"]) == {
        "batch_size": 1, "handler": 2, "initial_workers": 3, "max_batch_delay": 4, "model_name": 5, "response_timeout": 6,
        "runtime": 7, "synchronous": 8, "url": 9, "s3_sse_kms": 10, "startup_timeout": 11,
    }  # fmt: skip
    assert numbers(management["ScaleWorker"]) == {
        "model_name": 1, "model_version": 2, "max_worker": 3, "min_worker": 4, "number_gpu": 5, "synchronous": 6, "timeout": 7,
    }  # fmt: skip
    assert numbers(management["ListModels"]) == {"limit": 1, "next_page_token": 2}
    assert numbers(management["DescribeModel"]) == {"model_name": 1, "model_version": 2, "customized": 3}


def test_ping(inference):
    assert json.loads(inference.ask("Ping").health) == {"status": "Healthy"}


def test_predictions(inference):
    assert predict(inference, "affine", "1.0", data=[1, 2, 3, 4]) == [1.5, 4, 9, 17]
    assert predict(inference, "affine", body={"x": [[1, 2, 3, 4]]}) == [10, 20, 30, 40]
    assert predict(inference, "affine", x=[[1, 2, 3, 4], [0, 0, 0, 0]]) == [[10, 20, 30, 40], [0, 0, 0, 0]]
    assert predict(inference, "pair", a=[[1, 2]], b=[[3, 4]]) == {"s": [4, 6], "d": [-2, -2]}
    raw = io.BytesIO()
    np.save(raw, np.array([[1, 2, 3, 4]], np.float32))
    assert predict(inference, "affine", data=raw.getvalue()) == [10, 20, 30, 40]


def test_a_stream_is_one_answer(inference):
    request = inference.inputs["StreamPredictions"](model_name="affine", input={"data": b"[1, 2, 3, 4]"})
    (answer,) = inference.StreamPredictions(request, timeout=20)
    assert json.loads(answer.prediction) == [10, 20, 30, 40]


def test_a_sequence_keeps_its_id(inference):
    kind = inference.inputs["StreamPredictions2"]
    asked = [kind(model_name="affine", sequence_id="s1", input={"data": json.dumps([i, 0, 0, 0]).encode()}) for i in range(5)]
    answers = list(inference.StreamPredictions2(iter(asked), timeout=20))
    assert [json.loads(a.prediction)[0] for a in answers] == [0, 10, 20, 30, 40]
    assert {a.sequence_id for a in answers} == {"s1"}


def test_refusals(inference):
    ask = inference.ask
    got = refused(ask, "Predictions", model_name="nobody", input={"data": b"[1]"})
    assert got == (grpc.StatusCode.NOT_FOUND, "Model not found: nobody")
    code, text = refused(ask, "Predictions", model_name="affine", model_version="7.0", input={"data": b"[1]"})
    assert code == grpc.StatusCode.NOT_FOUND and "does not exist" in text
    code, text = refused(ask, "Predictions", model_name="affine", input={"data": b'{"x": "a"}'})
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "line 1" in text
    code, text = refused(ask, "Predictions", model_name="affine", input={"y": b"[1]"})
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "unexpected 'y'" in text
    assert refused(ask, "Predictions", model_name="affine")[1] == "the request has no input"


def test_management(inference, management):
    got = management("RegisterModel", url="colours.mar", model_name="hues", initial_workers=1, synchronous=True)
    assert got == {"status": 'Model "hues" Version: 1 registered with 1 initial workers'}
    picture = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(picture, "PNG")
    scores = predict(inference, "hues", data=picture.getvalue())
    assert set(scores) == {"red", "green", "blue"} and abs(sum(scores.values()) - 1) < 1e-5
    names = [m["modelName"] for m in management("ListModels")["models"]]
    assert "hues" in names and "affine" in names
    page = management("ListModels", limit=1)
    assert [m["modelName"] for m in page["models"]] == names[:1] and page["nextPageToken"] == "1"
    assert [m["modelName"] for m in management("ListModels", limit=1, next_page_token=1)["models"]] == names[1:2]
    (row,) = management("DescribeModel", model_name="hues")
    assert row["modelVersion"] == "1.0" and row["workers"][0]["status"] == "READY"
    assert management("UnregisterModel", model_name="hues") == {"status": 'Model "hues" unregistered'}
    assert until(lambda: management("DescribeModel", model_name="hues")[0]["workers"] == [])
    scaled = management("ScaleWorker", model_name="hues", min_worker=2)["status"]
    assert scaled.startswith("Workers scaled to 1 for model: hues; there is one of each version"), scaled
    assert set(predict(inference, "hues", data=picture.getvalue())) == set(scores)


def test_set_default(inference, management):
    assert predict(inference, "affine", data=[1, 2, 3, 4]) == [10, 20, 30, 40]
    assert "successfully updated" in management("SetDefault", model_name="affine", model_version="1.0")["status"]
    assert until(lambda: predict(inference, "affine", data=[1, 2, 3, 4]) == [1.5, 4, 9, 17])
    management("SetDefault", model_name="affine", model_version="2.0")
    assert until(lambda: predict(inference, "affine", data=[1, 2, 3, 4]) == [10, 20, 30, 40])


def test_management_refuses(stubs):
    ask = stubs[1].ask
    assert refused(ask, "DescribeModel", model_name="nobody") == (grpc.StatusCode.NOT_FOUND, "Model not found: nobody")
    assert refused(ask, "RegisterModel")[0] == grpc.StatusCode.INVALID_ARGUMENT
    assert refused(ask, "RegisterModel", url="../x.mar")[0] == grpc.StatusCode.INVALID_ARGUMENT
    assert refused(ask, "RegisterModel", url="nothing.mar")[0] == grpc.StatusCode.NOT_FOUND
    assert refused(ask, "RegisterModel", url="python.mar")[0] == grpc.StatusCode.UNIMPLEMENTED


def test_management_needs_leave(tmp_path, models):
    store = Store(tmp_path / "s")
    store.add(models["affine"], "affine")
    server = Server(store)
    with grpc.insecure_channel(server.address) as channel:
        stub = Stub(channel, DescriptorPool(ProtoReflectionDescriptorDatabase(channel)), MANAGEMENT)
        assert refused(stub.ask, "UnregisterModel", model_name="affine")[0] == grpc.StatusCode.UNAVAILABLE
        assert json.loads(stub.ask("DescribeModel", model_name="affine").msg)[0]["modelName"] == "affine"
    server.stop()
