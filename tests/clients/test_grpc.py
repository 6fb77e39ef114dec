# SPDX-License-Identifier: Apache-2.0
"""gRPC itself: health, reflection, statuses, metadata, limits; and gRPC-Web in both forms, over HTTP/1.1."""

import base64
import gzip
import re
import threading
import time

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

import tensorflow_missing  # noqa: F401
from tensorflow.core.example import example_pb2
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

from conftest import Server, until


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.address) as c:
        yield c


def refused(call, *args, **more):
    with pytest.raises(grpc.RpcError) as e:
        call(*args, **more)
    return e.value


def infer(model="affine"):
    r = service_pb2.ModelInferRequest(model_name=model)
    r.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    r.raw_input_contents.append(np.array([1, 2, 3, 4], np.float32).tobytes())
    return r


def test_a_client_may_ping_as_often_as_it_likes(server):
    """grpc's own servers end such a connection after two pings (too_many_pings)."""
    eager = [("grpc.keepalive_time_ms", 100), ("grpc.keepalive_timeout_ms", 2000), ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.max_pings_without_data", 0)]
    with grpc.insecure_channel(server.address, eager) as c:
        states = []
        c.subscribe(states.append)
        stub = service_pb2_grpc.GRPCInferenceServiceStub(c)
        before = stub.ModelInfer(infer()).raw_output_contents
        time.sleep(1.2)
        assert stub.ModelInfer(infer()).raw_output_contents == before
        assert grpc.ChannelConnectivity.TRANSIENT_FAILURE not in states and states.count(grpc.ChannelConnectivity.CONNECTING) <= 1


# --- health ---


def test_health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", "inference.GRPCInferenceService", "tensorflow.serving.PredictionService", "affine"):
        assert stub.Check(health_pb2.HealthCheckRequest(service=name)).status == health_pb2.HealthCheckResponse.SERVING
    e = refused(stub.Check, health_pb2.HealthCheckRequest(service="nope"))
    assert e.code() == grpc.StatusCode.NOT_FOUND


def test_health_watch_sees_changes(channel):
    health, models = health_pb2_grpc.HealthStub(channel), service_pb2_grpc.GRPCInferenceServiceStub(channel)
    watch = health.Watch(health_pb2.HealthCheckRequest(service="pair"), timeout=20)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    models.RepositoryModelUnload(service_pb2.RepositoryModelUnloadRequest(model_name="pair"))
    assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
    models.RepositoryModelLoad(service_pb2.RepositoryModelLoadRequest(model_name="pair"))
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()
    unknown = health.Watch(health_pb2.HealthCheckRequest(service="nope"), timeout=20)
    assert next(unknown).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    unknown.cancel()


# --- reflection: what it says is compared with the original descriptors ---


def files(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    def ask(**what):
        (answer,) = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(**what)]))
        return answer

    services = [s.name for s in ask(list_services="").list_services_response.service]
    found = {}
    for s in services:
        for raw in ask(file_containing_symbol=s).file_descriptor_response.file_descriptor_proto:
            f = descriptor_pb2.FileDescriptorProto.FromString(raw)
            found[f.name] = f
    return services, found, ask


def same_message(ours, theirs):
    for f in ours.field:
        t = theirs.fields_by_name[f.name]
        assert (f.number, f.type, f.label == 3) == (t.number, t.type, t.is_repeated), (ours.name, f.name)


ORIGINALS = {
    "inference.proto": [service_pb2.DESCRIPTOR, model_config_pb2.DESCRIPTOR],
    "tensorflow.proto": [tensor_pb2.DESCRIPTOR, example_pb2.DESCRIPTOR],
    "tensorflow_serving.proto": [predict_pb2.DESCRIPTOR, get_model_status_pb2.DESCRIPTOR],
    "health.proto": [health_pb2.DESCRIPTOR],
    "reflection_v1alpha.proto": [reflection_pb2.DESCRIPTOR],
}


def test_reflection_agrees_with_the_originals(channel):
    services, found, ask = files(channel)
    assert {"inference.GRPCInferenceService", "tensorflow.serving.PredictionService", "grpc.health.v1.Health"} <= set(services)
    compared = 0
    for name, originals in ORIGINALS.items():
        known = {m: d for o in originals for m, d in o.message_types_by_name.items()}
        for m in found[name].message_type:
            if m.name in known and m.name not in ("ModelVersionStatus",):
                same_message(m, known[m.name])
                compared += 1
    assert compared > 40
    theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    for method in found["inference.proto"].service[0].method:
        t = theirs[method.name]
        assert (method.input_type[1:], method.output_type[1:]) == (t.input_type.full_name, t.output_type.full_name)
    assert ask(file_by_filename="any.proto").file_descriptor_response.file_descriptor_proto
    assert ask(file_containing_symbol="nope").error_response.error_code == 5


def test_every_method_of_reflection_is_answered(channel):
    """No method is listed that the server does not know, and messages can be built from what it says alone."""
    db = ProtoReflectionDescriptorDatabase(channel)
    for service in db.get_services():
        if "reflection" in service or "Health" in service:
            continue
        for f in db.FindFileContainingSymbol(service).service:
            for method in f.method:
                call = channel.unary_unary(f"/{db.FindFileContainingSymbol(service).package}.{f.name}/{method.name}")
                try:
                    call(b"", timeout=5)
                except grpc.RpcError as e:
                    assert "unknown service or method" not in e.details()


# --- statuses, metadata, limits ---


def test_unknown_and_malformed(channel):
    e = refused(channel.unary_unary("/inference.GRPCInferenceService/Nope"), b"")
    assert e.code() == grpc.StatusCode.UNIMPLEMENTED
    e = refused(channel.unary_unary("/inference.GRPCInferenceService/ModelInfer"), b"\xff\xff\xff")
    assert e.code() == grpc.StatusCode.INVALID_ARGUMENT and "protobuf" in e.details()


def test_status_details_and_escapes(channel):
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    e = refused(stub.ModelInfer, infer("größe %41"))
    assert e.code() == grpc.StatusCode.NOT_FOUND and "größe %41" in e.details()
    raw = dict(e.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(raw)
    info = error_details_pb2.ErrorInfo()
    assert status.code == 5 and status.details[0].Unpack(info) and info.domain == "slipway"


def test_metadata(channel):
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    _, call = stub.ModelInfer.with_call(infer(), metadata=[("x-request-id", "mine-7"), ("x-bin-bin", b"\0\1")])
    assert dict(call.initial_metadata())["x-request-id"] == "mine-7"


def test_limits(store):
    s = Server(store, "--max-body", "1M", models=("affine@1",))
    with grpc.insecure_channel(s.address) as c:
        e = refused(c.unary_unary("/inference.GRPCInferenceService/ModelInfer"), b"\0" * (3 << 20))
        assert e.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        bomb = c.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        e = refused(bomb, b"\0" * (64 << 20), compression=grpc.Compression.Gzip)
        assert e.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and "limit" in e.details()
        stream = c.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
        e = refused(lambda: list(stream(iter([b"\0" * (3 << 20)]))))
        assert e.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert service_pb2_grpc.GRPCInferenceServiceStub(c).ModelInfer(infer()).outputs
    s.stop()


def test_silent_streams_keep_nobody_out(store):
    """Half of --max-requests is theirs; each that is left makes room for another."""
    s = Server(store, "--max-requests", "8", models=("affine@1",))
    with grpc.insecure_channel(s.address) as c:
        stream = c.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
        infer_one = service_pb2_grpc.GRPCInferenceServiceStub(c).ModelInfer
        assert infer_one(infer()).outputs  # connected: what follows arrives in order
        hold = threading.Event()

        def silence():
            hold.wait(20)
            yield from ()

        held = [stream(silence()) for _ in range(4)]
        e = refused(lambda: list(stream(iter([]))))
        assert e.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and "half of --max-requests" in e.details()
        assert infer_one(infer()).outputs
        hold.set()
        assert [list(call) for call in held] == [[]] * 4
        assert until(lambda: stream(iter([])).code() == grpc.StatusCode.OK)
    s.stop()


def test_metadata_beyond_the_limit(server):
    """One large value, many small ones: refused by a status. Heads that cannot even be read over end the connection, not the channel."""
    with grpc.insecure_channel(server.address) as c:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(c)
        for metadata in ([("x-large-bin", b"v" * 20_000)], [(f"x-{i}", "v") for i in range(100)], [("x-same", "v" * 900)] * 30):
            e = refused(stub.ModelInfer, infer(), metadata=metadata)
            assert e.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, e
            assert stub.ModelInfer(infer()).outputs
        for metadata in ([("x-large-bin", b"v" * 100_000)], [(f"x-{i}", "v" * 900) for i in range(300)]):
            e = refused(stub.ModelInfer, infer(), metadata=metadata)
            assert e.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED), e
            assert stub.ModelInfer(infer(), wait_for_ready=True).outputs


def test_keys(store, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("secret-key-of-a-test\n")
    s = Server(store, "--key-file", str(keys), models=("affine@1",))
    with grpc.insecure_channel(s.address) as c:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(c)
        assert refused(stub.ModelInfer, infer()).code() == grpc.StatusCode.UNAUTHENTICATED
        assert stub.ModelInfer(infer(), metadata=[("authorization", "Bearer secret-key-of-a-test")]).outputs
        assert stub.ServerLive(service_pb2.ServerLiveRequest()).live
    s.stop()


def test_drain_finishes_streams_that_are_answered(store):
    """A drained server answers what was asked and says GOAWAY; nothing fails."""
    s = Server(store, models=("affine@1",))
    with grpc.insecure_channel(s.address) as c:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(c)
        calls = [stub.ModelInfer.future(infer()) for _ in range(200)]
        assert all(call.result(timeout=20).outputs for call in calls)
        code, _ = s.stop()
        assert code == 0


# --- gRPC-Web ---


def frame(message):
    return b"\0" + len(message).to_bytes(4, "big") + message


def frames(body):
    out = []
    while body:
        n = int.from_bytes(body[1:5], "big")
        out.append((body[0], body[5 : 5 + n]))
        body = body[5 + n :]
    return out


@pytest.mark.parametrize("text", [False, True])
def test_web(server, text):
    kind = "application/grpc-web-text" if text else "application/grpc-web+proto"
    body = frame(infer().SerializeToString())
    if text:  # in pieces, each padded: what a browser may send
        body = b"".join(base64.b64encode(body[i : i + 10]) for i in range(0, len(body), 10))
    r = server.post("/inference.GRPCInferenceService/ModelInfer", data=body, headers={"content-type": kind, "x-grpc-web": "1"})
    assert r.status_code == 200 and r.headers["content-type"].startswith(kind.removesuffix("+proto"))
    got = frames(base64.b64decode(r.content) if text else r.content)
    assert [flags for flags, _ in got] == [0, 0x80]
    assert np.frombuffer(service_pb2.ModelInferResponse.FromString(got[0][1]).raw_output_contents[0], np.float32)[3] == 17
    assert got[1][1] == b"grpc-status:0\r\n"
    # errors come the same way; a compressed body too
    body = frame(infer("nope").SerializeToString())
    body = base64.b64encode(body) if text else body
    headers = {"content-type": kind, "content-encoding": "gzip"}
    r = server.post("/inference.GRPCInferenceService/ModelInfer", data=gzip.compress(body), headers=headers)
    ((flags, trailers),) = frames(base64.b64decode(r.content) if text else r.content)
    assert flags == 0x80 and b"grpc-status:5\r\n" in trailers and b"nope" in trailers


def web_frames(response, text):
    """Messages as they come: each piece of text is padded by itself."""
    raw = response.content
    return frames(b"".join(base64.b64decode(p) for p in re.findall(rb"[^=]+=*", raw)) if text else raw)


@pytest.mark.parametrize("text", [False, True])
def test_web_streams(server, text):
    kind = "application/grpc-web-text" if text else "application/grpc-web+proto"
    asked = []
    for i in range(20):
        r = infer("affine" if i != 7 else "nope")
        r.id = str(i)
        asked.append(frame(r.SerializeToString()))
    body = b"".join(base64.b64encode(a) if text else a for a in asked)
    headers = {"content-type": kind}
    got = web_frames(server.post("/inference.GRPCInferenceService/ModelStreamInfer", data=body, headers=headers), text)
    assert [flags for flags, _ in got] == [0] * 20 + [0x80] and got[-1][1] == b"grpc-status:0\r\n"
    answers = [service_pb2.ModelStreamInferResponse.FromString(m) for _, m in got[:-1]]
    assert [a.infer_response.id for a in answers] == [str(i) for i in range(20)]
    assert [bool(a.error_message) for a in answers] == [i == 7 for i in range(20)]
    # what ends a stream: a failure, a message cut short, nonsense
    predictions = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/StreamPredictions"
    for body, status in [(frame(b"\x0a\x04nope"), b"grpc-status:5\r\n"), (asked[0][:-3], b"grpc-status:13\r\n")]:
        body = base64.b64encode(body) if text else body
        got = web_frames(server.post(predictions, data=body, headers=headers), text)
        assert got[-1][0] == 0x80 and status in got[-1][1] and len(got) == 1
    r = server.post(predictions, data=b"\xff", headers={"content-type": kind, "content-encoding": "gzip"})
    assert web_frames(r, text)[-1][0] == 0x80


@pytest.mark.parametrize("text", [False, True])
def test_web_watches(server, text):
    kind = "application/grpc-web-text" if text else "application/grpc-web+proto"
    body = frame(b"")
    with server.session.post(
        server.url + "/grpc.health.v1.Health/Watch", data=base64.b64encode(body) if text else body,
        headers={"content-type": kind}, stream=True, timeout=20,
    ) as r:  # fmt: skip
        first = b""
        while len(first) < (12 if text else 7):
            first += r.raw.read1(100)
        assert (base64.b64decode(first) if text else first) == frame(b"\x08\x01")
        assert until(lambda: server.metric("slipway_requests_in_flight") >= 1)
    assert until(lambda: server.metric("slipway_requests_in_flight") <= 1)  # that of the metrics


def test_http_1_is_told_what_to_do(server):
    r = server.post("/inference.GRPCInferenceService/ModelInfer", data=b"", headers={"content-type": "application/grpc"})
    assert r.status_code == 415 and "grpc-web" in r.text
    assert server.post("/inference.GRPCInferenceService/ModelInfer", data=b"{}").status_code == 415
    assert server.get("/inference.GRPCInferenceService/ModelInfer").status_code == 405
