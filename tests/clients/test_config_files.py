# SPDX-License-Identifier: Apache-2.0
"""Configuration files of TensorFlow Serving and Triton, served as they are."""

import os
import shutil
import subprocess

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


def test_triton_repository(layout, models):
    config = layout / "base" / "iris" / "config.pbtxt"
    config.write_text(
        'name: "iris"\nplatform: "onnxruntime_onnx"\nmax_batch_size: 8\n'
        'input [ { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } ]\noutput [ { name: "y" data_type: TYPE_FP32 dims: [ 4 ] } ]\n'
        "version_policy: { specific: { versions: [1] } }\ninstance_group [ { count: 2 kind: KIND_CPU } ]\n"
        "dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100 }\n"
        'parameters { key: "a" value: { string_value: "b" } }\n'
    )
    store = Store(layout / "store")
    server = Server(store, "--model-repository", str(layout / "base"))
    assert ask(server) == [1.5, 2, 3, 5] and states(server, "iris") == {"1"} and states(server, "pair") == {"1"}
    server.stop()
    for more, why in [
        ('input { name: "x" reshape: { shape: [ 2, 2 ] } }', '"reshape" is not supported'),
        ("instance_group { kind: KIND_GPU }", "an instance group on a GPU"),
        ("ensemble_scheduling { }", "'ensemble_scheduling' is not supported"),
    ]:
        config.write_text('name: "iris"\n' + more)
        done = store.run("serve", "--listen", "127.0.0.1:0", "--model-repository", str(layout / "base"), check=False)
        assert done.returncode != 0 and why in done.stderr and "config.pbtxt" in done.stderr, done.stderr


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
