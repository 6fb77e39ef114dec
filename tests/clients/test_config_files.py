# SPDX-License-Identifier: Apache-2.0
"""Configuration files of TensorFlow Serving and Triton, served as they are."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest

from conftest import BINARY, Server, Store, until


@pytest.fixture
def layout(tmp_path, models):
    """base/iris/{1,2,007}, base/pair/1: two affine models that differ, then the first again."""
    for name, version in (("affine", "1"), ("affine2", "2"), ("many", "007")):
        folder = tmp_path / "base" / "iris" / version
        folder.mkdir(parents=True)
        shutil.copy(models[name], folder / "model.onnx")
    (tmp_path / "base" / "iris" / "tmp-copying").mkdir()
    (tmp_path / "base" / "pair" / "1").mkdir(parents=True)
    shutil.copy(models["pair"], tmp_path / "base" / "pair" / "1" / "model.onnx")
    return tmp_path


def ask(server, path="iris"):
    answer = server.post(f"/v1/models/{path}:predict", json={"instances": [[1, 1, 1, 1]]})
    return answer.json()["predictions"][0] if answer.status_code == 200 else answer.status_code


def states(server, model):
    status = server.get(f"/v1/models/{model}").json()["model_version_status"]
    return {v["version"] for v in status if v["state"] == "AVAILABLE"}


CONFIG = """
# two models
model_config_list: {{
  config {{ name: 'iris', base_path: "{base}/ir" "is"; model_platform: "tensorflow"
    model_version_policy {{ {policy} }}
    version_labels {{ key: "stable" value: 1 }}
    version_labels < key: "canary", value: 2 > }}
  config: {{ name: "pair" base_path: "{base}/pair" }},
}}
"""


@pytest.mark.parametrize(
    "policy,available",
    [
        ("all {}", {"1", "2", "3"}),
        ("specific { versions: [1, 2] }", {"1", "2"}),
        ("specific { versions: 1 versions: 2 }", {"1", "2"}),
    ],
)
def test_model_config_list(layout, policy, available):
    file = layout / "models.config"
    file.write_text(CONFIG.format(base=layout / "base", policy=policy))
    store = Store(layout / "store")
    for _ in range(2):  # the second start finds everything there
        server = Server(store, "--model-config-file", str(file))
        assert states(server, "iris") == available and states(server, "pair") == {"1"}
        assert ask(server, "iris/labels/stable") == [1.5, 2, 3, 5] and ask(server, "iris/labels/canary") == [10] * 4
        server.stop()
    assert len(store.run("list", "--json").stdout) > 0


def test_latest_is_the_default(layout, models):
    file = layout / "models.config"
    file.write_text(f'model_config_list {{ config {{ name: "iris" base_path: "{layout}/base/iris" }} }}')
    shutil.rmtree(layout / "base" / "iris" / "007")
    server = Server(Store(layout / "store"), "--model-config-file", str(file))
    assert ask(server) == [10] * 4 and len(states(server, "iris")) == 1
    server.stop()


def test_a_list_without_folders_means_the_store(layout, models):
    store = Store(layout / "store")
    store.add(models["affine"], "mine")
    store.add(models["affine2"], "mine")
    store.add(models["pair"], "other")
    file = layout / "models.config"
    file.write_text('model_config_list { config { name: "mine" base_path: "/nowhere/mine" model_version_policy { latest { num_versions: 2 } } } }')
    server = Server(store, "--model-config-file", str(file))
    assert states(server, "mine") == {"1", "2"} and server.get("/v1/models/other").status_code == 404
    server.stop()


@pytest.mark.parametrize(
    "text,why",
    [
        ("", "there is no model_config_list"),
        ("model_config_list {", "line 1 column 20: a message does not end"),
        ("model_config_list { config { base_path: 'a' } }", "a model config without a name"),
        ("model_config_list { config { name: 'a' nme: 1 } }", "a model config has no field 'nme'"),
        ("model_config_list { config { name: 'a' } config { name: 'a' } }", "line 1 column 62: Illegal to list model a multiple times"),
        ("model_config_list { config { name: 'a\n' } }", "a string does not end"),
        ("model_config_list { config { name: 'a' model_version_policy { latest { num_versions: 0 } } } }", "1 or more"),
        ("model_config_list { config { name: 'a' model_version_policy { newest {} } } }", "latest, specific or all, not 'newest'"),
        ("model_config_list { config { name: 'gone' base_path: '/nowhere' } }", "none in the store"),
        ("custom_model_config { }", "expected model_config_list"),
        ("\x00", "expected the name of a field"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, why):
    store = Store(tmp_path / "store")
    file = tmp_path / "models.config"
    file.write_text(text)
    done = subprocess.run(
        [BINARY, "serve", "--store", store.folder, "--listen", "127.0.0.1:0", "--model-config-file", str(file)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode != 0 and why in done.stderr, done.stderr


def test_batching_parameters(layout, models):
    file = layout / "batching.txt"
    file.write_text(
        "max_batch_size { value: 7 }\nbatch_timeout_micros { value: 100 }\nmax_enqueued_batches { value: 3 }\n"
        "num_batch_threads { value: 2 }\nallowed_batch_sizes: 1\nallowed_batch_sizes: 7\npad_variable_length_inputs: true\n"
    )
    store = Store(layout / "store")
    store.add(models["affine"], "iris")
    server = Server(store, "--batching-parameters-file", str(file))
    assert server.get("/v2/models/iris/config").json()["max_batch_size"] == 7
    server.stop()
    for text, why in [("max_batch_size: 7", "is a wrapped number"), ("max_size { value: 1 }", "have no field 'max_size'")]:
        file.write_text(text)
        done = store.run("serve", "--listen", "127.0.0.1:0", "--batching-parameters-file", str(file), check=False)
        assert done.returncode != 0 and why in done.stderr, done.stderr


CONFIG_PBTXT = """
name: "iris" platform: "onnxruntime_onnx" max_batch_size: 8
input [ { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 4 ] } ]
version_policy: { specific: { versions: [1] } }
instance_group [ { count: 2 kind: KIND_CPU } ]
dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100
  priority_levels: 2 default_priority_level: 2 default_queue_policy { max_queue_size: 7 } }
parameters { key: "a" value: { string_value: "b" } } parameters [ { key: "c" } ]
optimization { priority: PRIORITY_MAX }
"""


def served(layout, text, *flags):
    (layout / "base" / "iris" / "config.pbtxt").write_text(text)
    return Server(Store(layout / "store"), "--model-repository", str(layout / "base"), *flags)


def test_triton_repository(layout, models):
    server = served(layout, CONFIG_PBTXT)
    assert ask(server) == [1.5, 2, 3, 5] and states(server, "iris") == {"1"} and states(server, "pair") == {"1"}
    policy = json.loads(server.store.run("policy", "iris", "--json").stdout)
    assert {k: policy[k] for k in ("batch", "instances", "wait", "queue", "priority")} == {"batch": 8, "instances": 2, "wait": 100, "queue": 7, "priority": "low"}
    _, log = server.stop()
    assert "config.pbtxt: of no use here" in log and "optimization" in log and "preferred_batch_size" not in log


def test_triton_s_client_reads_the_configuration_back(layout, models):
    http, rpc = pytest.importorskip("tritonclient.http"), pytest.importorskip("tritonclient.grpc")
    server = served(layout, CONFIG_PBTXT)
    by_http = http.InferenceServerClient(server.address).get_model_config("iris")
    by_grpc = rpc.InferenceServerClient(server.address).get_model_config("iris").config
    for name in ("iris", "pair"):
        got = http.InferenceServerClient(server.address).get_model_config(name)
        assert got["instance_group"][0]["count"] == (2 if name == "iris" else 1)
        assert got["max_batch_size"] == (8 if name == "iris" else 32)  # what the host joins where nobody says
    http_batching, grpc_batching = by_http["dynamic_batching"], by_grpc.dynamic_batching
    assert http_batching["preferred_batch_size"] == list(grpc_batching.preferred_batch_size) == [4, 8]
    assert http_batching["priority_levels"] == grpc_batching.priority_levels == 2
    assert http_batching["default_priority_level"] == grpc_batching.default_priority_level == 2
    assert {k: v["string_value"] for k, v in by_http["parameters"].items()} == {"a": "b", "c": ""}
    assert {k: v.string_value for k, v in by_grpc.parameters.items()} == {"a": "b", "c": ""}
    assert by_http["max_batch_size"] == by_grpc.max_batch_size == 8
    assert by_http["dynamic_batching"]["max_queue_delay_microseconds"] == by_grpc.dynamic_batching.max_queue_delay_microseconds == 100
    assert by_http["dynamic_batching"]["default_queue_policy"]["max_queue_size"] == by_grpc.dynamic_batching.default_queue_policy.max_queue_size == 7
    assert by_grpc.instance_group[0].count == 2 and by_grpc.instance_group[0].kind == by_grpc.instance_group[0].KIND_CPU
    server.stop()


@pytest.mark.parametrize(
    "more,why",
    [
        ('input { name: "x" dims: 4 reshape: { shape: [ 3 ] } }', "reshape: 'x': [4] cannot be reshaped to [3]"),
        ('input { name: "x" dims: [-1, -1] reshape: { shape: [ -1 ] } }', "cannot be reshaped"),
        ('input { name: "x" dims: 4 reshape: { size: 3 } }', "a reshape has no field 'size'"),
        ("parameters { key: 'a' value: { number_value: 1 } }", "a parameter has no field 'number_value'"),
        ('input { name: "x" allow_ragged_batch: true }', '"allow_ragged_batch" is not supported'),
        ("instance_group { kind: KIND_GPU }", "an instance group on a GPU"),
        ("instance_group { count: -1 }", "count may not be negative"),
        ("ensemble_scheduling { }", "'ensemble_scheduling' is not supported"),
        ("dynamic_batching { priority_levels: 2 default_priority_level: 3 }", "default_priority_level 3 of 2"),
        ("model_warmup { inputs { key: 'x' value { dims: 4 zero_data: true } } }", "input 'x' has no data_type"),
        ("model_warmup { inputs { key: 'x' value { data_type: TYPE_FP33 } } }", "data_type 'TYPE_FP33' is not known"),
        ("model_warmup { inputs { key: 'x' value { data_type: TYPE_FP32 dims: -1 } } }", "dims of warm-up data"),
        ("model_warmup { inputs { key: 'x' value { data_type: TYPE_FP32 dims: 4 input_data_file: '../x' } } }", "a file of numbers in the folder warmup"),
        ("model_warmup { count: 1001 }", "more than 1000 requests"),
    ],
)
def test_configurations_that_are_refused(layout, models, more, why):
    (layout / "base" / "iris" / "config.pbtxt").write_text('name: "iris"\n' + more)
    done = Store(layout / "store").run("serve", "--listen", "127.0.0.1:0", "--model-repository", str(layout / "base"), check=False)
    assert done.returncode != 0 and why in done.stderr and "config.pbtxt" in done.stderr, done.stderr


RESHAPED = """
max_batch_size: %d version_policy { all {} }
input [ { name: "x" data_type: TYPE_FP32 dims: [ %s ] reshape: { shape: [ %s ] } } ]
output { name: "y" data_type: TYPE_FP32 dims: [ %s ] reshape { shape: %s } }
model_warmup { name: "w" batch_size: 1 inputs { key: "x" value: { data_type: TYPE_FP32 dims: [ %s ] random_data: true } } }
"""
# max_batch_size, dims and reshape of x, of y, dims of the warm-up; a request's shape, its answer's. Rows of four become y.
RESHAPES = [
    (8, "2, 2", "4", "1, 4", "[ 4 ]", "2, 2", (3, 2, 2), (3, 1, 4)),
    (0, "-1, 2, 2", "-1, 4", "-1, 4, 1", "[ -1, 4 ]", "1, 2, 2", (3, 2, 2), (3, 4, 1)),
    (0, "4", "1, 4", "4", "[ 1, 4 ]", "4", (4,), (4,)),
]


@pytest.mark.parametrize("case", RESHAPES, ids=["batched", "whole", "one row"])
def test_reshape(layout, models, case):
    """The client sees dims, the model reshape.shape; so do metadata, TensorFlow Serving's REST and what was read back."""
    http, rpc = pytest.importorskip("tritonclient.http"), pytest.importorskip("tritonclient.grpc")
    *facts, sent, got = case
    shutil.rmtree(layout / "base" / "iris" / "007")
    server = served(layout, RESHAPED % tuple(facts))
    assert states(server, "iris") == {"1", "2"}
    x = np.arange(np.prod(sent), dtype=np.float32).reshape(sent)
    for kind in (http, rpc):
        client = kind.InferenceServerClient(server.address)
        given = kind.InferInput("x", list(sent), "FP32")
        given.set_data_from_numpy(x)
        y = client.infer("iris", [given], model_version="1").as_numpy("y")
        assert y.shape == got and np.array_equal(y.reshape(-1, 4), x.reshape(-1, 4) * [1, 2, 3, 4] + np.float32([0.5, 0, 0, 1]))
        wrong = kind.InferInput("x", [1, 2, 3], "FP32")
        wrong.set_data_from_numpy(np.zeros((1, 2, 3), np.float32))
        with pytest.raises(Exception, match="expected shape"):
            client.infer("iris", [wrong])
    meta = http.InferenceServerClient(server.address).get_model_metadata("iris")
    batch = [-1] if facts[0] else []
    numbers = lambda text: [int(n) for n in text.strip("[] ").split(",")]  # noqa: E731
    assert meta["inputs"][0]["shape"] == batch + numbers(facts[1]) and meta["outputs"][0]["shape"] == batch + numbers(facts[3])
    by_http = http.InferenceServerClient(server.address).get_model_config("iris")
    by_grpc = rpc.InferenceServerClient(server.address).get_model_config("iris").config
    assert by_http["max_batch_size"] == by_grpc.max_batch_size == facts[0]
    for side, dims, shape in (("input", facts[1], facts[2]), ("output", facts[3], facts[4])):
        rest, rpc_io = by_http[side][0], getattr(by_grpc, side)[0]
        assert rest["dims"] == list(rpc_io.dims) == numbers(dims) and rest["reshape"]["shape"] == list(rpc_io.reshape.shape) == numbers(shape)
    if facts[0]:
        assert server.post("/v1/models/iris:predict", json={"instances": x.tolist()}).json()["predictions"][0] == [[0, 10, 20, 30]]
    server.stop()


def test_a_reshape_that_the_model_does_not_have(layout, models):
    shutil.rmtree(layout / "base" / "iris" / "007")
    (layout / "base" / "iris" / "config.pbtxt").write_text('input { name: "x" dims: [ 6 ] reshape: { shape: [ 2, 3 ] } }')
    done = Store(layout / "store").run("serve", "--listen", "127.0.0.1:0", "--model-repository", str(layout / "base"), check=False)
    assert done.returncode != 0 and f"{layout}/base/iris/2: reshape of 'x' to [2,3]: the model has [-1,4]" in done.stderr, done.stderr


def test_triton_s_load_errors_do_not_say_where_the_store_lies(layout, models):
    """What is damaged is told to who may load, not where."""
    http = pytest.importorskip("tritonclient.http")
    store = Store(layout / "store")
    store.add(models["affine"], "iris")
    for blob in (layout / "store" / "objects").rglob("*"):
        if blob.is_file():
            blob.unlink()
    server = Server(store, "--explicit")
    client = http.InferenceServerClient(server.address)
    for ask in (lambda: client.load_model("iris"), lambda: client.get_model_metadata("iris"), lambda: client.load_model("none")):
        with pytest.raises(Exception) as raised:
            ask()
        assert str(layout) not in str(raised.value)
    assert "the store: " in client.get_model_repository_index()[0]["reason"] and str(layout) not in str(client.get_model_repository_index())
    _, log = server.stop()
    assert f"store '{store.folder}'" in log


WARMUP = """
max_batch_size: 4 version_policy { all {} }
model_warmup [ { name: "zeros" batch_size: 3 count: 2 inputs { key: "x" value: { data_type: TYPE_FP32 dims: [ 4 ] zero_data: true } } },
               { name: "file" batch_size: 1 inputs { key: "x" value: { data_type: TYPE_FP32 dims: 4 input_data_file: "ones" } } } ]
model_warmup { name: "random" inputs { key: "x" value: { data_type: TYPE_FP32 dims: [ %d ] random_data: true } } }
"""


def test_triton_s_warmup(layout, models):
    """Versions 1 and 2 take rows of four; what cannot run makes them fail to load, by the request's number."""
    shutil.rmtree(layout / "base" / "iris" / "007")
    (layout / "base" / "iris" / "warmup").mkdir()
    (layout / "base" / "iris" / "warmup" / "ones").write_bytes(np.ones(4, np.float32).tobytes())
    server = served(layout, WARMUP % 4)
    assert states(server, "iris") == {"1", "2"}
    server.stop()
    shutil.rmtree(layout / "store")
    server = served(layout, WARMUP % 5)
    status = server.get("/v1/models/iris").json()["model_version_status"]
    assert all("warm-up: request 4: input 'x': expected" in s["status"]["error_message"] for s in status), status
    server.stop()


def test_a_configuration_that_changes_is_followed(layout, models):
    """--model-control-mode poll: a new config.pbtxt makes a new version of the same bytes, warmed before it answers."""
    shutil.rmtree(layout / "base" / "iris" / "007")
    server = served(layout, 'name: "iris"', "--model-control-mode", "poll", "--repository-poll-secs", "1")
    assert ask(server) == [10] * 4
    answer = lambda: server.post("/v1/models/iris:predict", json={"instances": [[[1, 1], [1, 1]]]})  # noqa: E731
    assert answer().status_code == 400
    (layout / "base" / "iris" / "config.pbtxt").write_text(RESHAPED % tuple(RESHAPES[0][:6]))
    assert until(lambda: answer().status_code == 200)
    assert until(lambda: len(states(server, "iris")) == 2)
    server.stop()


# --- while it runs ---


def log_of(server):
    """What it logged so far, while it runs."""
    os.set_blocking(server.process.stderr.fileno(), False)
    server.logged = getattr(server, "logged", "") + (server.process.stderr.buffer.read() or b"").decode()
    return server.logged


def move_in(layout, name, model, models):
    """As TensorFlow Serving's users do: copied beside, then renamed."""
    folder = layout / "base" / name
    (folder / "tmp-x").mkdir()
    shutil.copy(models[model], folder / "tmp-x" / "model.onnx")
    return folder / "tmp-x"


def test_new_folders_are_served(layout, models):
    shutil.rmtree(layout / "base" / "iris" / "007")
    server = Server(Store(layout / "store"), "--model-name=iris", "--model-base-path", str(layout / "base" / "iris"))
    assert ask(server) == [10] * 4
    copied = move_in(layout, "iris", "affine", models)
    copied.rename(layout / "base" / "iris" / "8")
    assert until(lambda: ask(server) == [1.5, 2, 3, 5])
    assert until(lambda: len(states(server, "iris")) == 1)  # latest { 1 }: the one before is let go
    (layout / "base" / "iris" / "9").mkdir()
    (layout / "base" / "iris" / "9" / "model.onnx").write_bytes(b"half of it")
    assert until(lambda: "version left out" in log_of(server))
    assert ask(server) == [1.5, 2, 3, 5]  # what cannot be imported changes nothing
    shutil.copy(models["affine2"], layout / "base" / "iris" / "9" / "model.onnx")
    assert until(lambda: ask(server) == [10] * 4)
    assert '"number":9' in log_of(server)
    server.stop()


def test_an_empty_list_serves_nothing(layout, models):
    store = Store(layout / "store")
    store.add(models["affine"], "mine")
    file = layout / "models.config"
    file.write_text("model_config_list { }")
    server = Server(store, "--model-config-file", str(file))
    assert server.get("/v2/health/ready").status_code == 200
    assert server.get("/v1/models/mine").status_code == 404 and server.post("/v2/repository/index").json() == []
    server.stop()


def test_a_repository_is_looked_at_again_when_asked_to(layout, models):
    """Triton's default is to read it once."""
    shutil.rmtree(layout / "base" / "iris" / "007")
    stays = Server(Store(layout / "one"), "--model-repository", str(layout / "base"))
    follows = Server(Store(layout / "two"), "--model-repository", str(layout / "base"), "--model-control-mode", "poll", "--repository-poll-secs", "1")
    assert ask(stays) == ask(follows) == [10] * 4
    move_in(layout, "iris", "affine", models).rename(layout / "base" / "iris" / "8")
    assert until(lambda: ask(follows) == [1.5, 2, 3, 5])
    assert ask(stays) == [10] * 4
    stays.stop()
    follows.stop()
    done = Store(layout / "one").run("serve", "--model-control-mode", "sometimes", check=False)
    assert done.returncode != 0 and "'sometimes' is not one of none, poll, explicit" in done.stderr


def test_explicit_mode_waits_to_be_asked(layout, models):
    server = Server(Store(layout / "store"), "--model-repository", str(layout / "base"), "--model-control-mode", "explicit")
    assert server.get("/v2/models/pair/ready").status_code != 200
    assert server.post("/v2/repository/models/pair/load").status_code == 200
    assert server.get("/v2/models/pair/ready").status_code == 200
    assert server.get("/v2/models/iris/ready").status_code != 200
    server.stop()


def test_the_file_is_read_again(layout, models):
    shutil.rmtree(layout / "base" / "iris" / "007")
    file = layout / "models.config"
    one = f'config {{ name: "iris" base_path: "{layout}/base/iris" %s }}'
    file.write_text("model_config_list { %s }" % (one % ""))
    server = Server(Store(layout / "store"), "--model-config-file", str(file), "--model-config-file-poll-wait-seconds", "1")
    assert ask(server) == [10] * 4 and server.get("/v1/models/pair").status_code == 404
    file.write_text("model_config_list { %s config { name: 'pair' base_path: '%s/base/pair' } }" % (one % "model_version_policy { all {} }", layout))
    assert until(lambda: server.get("/v1/models/pair").status_code == 200 and states(server, "iris") == {"1", "2"})
    file.write_text("model_config_list { config { nonsense")
    assert until(lambda: "configuration not followed" in log_of(server))
    assert ask(server) == [10] * 4 and states(server, "pair") == {"1"}
    file.write_text("model_config_list { %s }" % (one % "model_version_policy { specific { versions: 1 } } version_labels { key: 'stable' value: 1 }"))
    assert until(lambda: ask(server, "iris/labels/stable") == [1.5, 2, 3, 5])
    assert until(lambda: not states(server, "pair"))
    server.stop()
