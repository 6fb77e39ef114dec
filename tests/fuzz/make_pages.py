#!/usr/bin/env python3
"""Writes the corpora of the fuzzers that read what serve/ is sent: tests/fuzz/corpus/{pages,archive,recipe}. No dependencies.

usage: make_pages.py
"""
import base64
import io
import json
import os
import zipfile

from make_corpus import HERE, f

TRITON = "/inference.GRPCInferenceService/"
TORCH = "/org.pytorch.serve.grpc.management.ManagementAPIsService/"
ROSTER = "/tensorflow.serving.ModelService/"
REFLECT = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


def entry(key, value):
    """map<string, message> or map<string, string>"""
    return f(1, [f(1, key), f(2, value)])


JSON = "application/json"
CONFIG = {"name": "m", "max_batch_size": 8, "dynamic_batching": {}, "instance_group": [{"count": 2, "kind": "KIND_CPU"}]}
RESHAPED = {"max_batch_size": 2, "input": [{"name": "x", "dims": [2, "2"], "reshape": {"shape": [4]}}], "output": [{"name": "y", "dims": [1], "reshape": {}}]}
APPLY = {"models": {"m": {"aliases": {"prod": 3, "old": None}, "route": {"arms": [{"version": 4, "percent": 10}]}, "policy": {"pin": True}}}}
RIGHTS = {"name": "web", "rights": {"scopes": ["predict", "read"], "models": ["m", "o*"], "rate": 10, "concurrency": 4}}

PAGES = {  # name: (first line, body: bytes, text or what becomes JSON)
    "torch_list": ("GET /models?limit=5&next_page_token=0", ""),
    "torch_describe": ("GET /models/m/all", ""),
    "torch_register": ("POST /models?url=net.mar&model_name=m&initial_workers=1&synchronous=true", ""),
    "torch_register_json": ("POST /models", {"url": "https://h.example/n.onnx?x=1", "model_name": "m", "initial_workers": 0}),
    "torch_scale": ("PUT /models/m/3.0?min_worker=0", ""),
    "torch_scale_several": ("PUT /models/m?min_worker=2&max_worker=4", ""),
    "torch_options": ("OPTIONS /predictions/m", ""),
    "torch_workflow": ("POST /wfpredict/w", "x"),
    "torch_default": ("PUT /models/m/3/set-default", ""),
    "torch_unregister": ("DELETE /models/m/3.0", ""),
    "torch_explain": ("POST /explanations/m/3.0", "[[1, 2]]"),
    "torch_grpc_register": (f"POST {TORCH}RegisterModel", f(9, "net.mar") + f(5, "m") + f(3, 1) + f(8, 1)),
    "torch_grpc_list": (f"POST {TORCH}ListModels", f(1, 1) + f(2, 0)),
    "torch_grpc_describe": (f"POST {TORCH}DescribeModel", f(1, "m") + f(2, "3.0")),
    "torch_grpc_scale": (f"POST {TORCH}ScaleWorker", f(1, "m") + f(4, 1)),
    "torch_grpc_default": (f"POST {TORCH}SetDefault", f(1, "m") + f(2, "3")),
    "torch_grpc_unregister": (f"POST {TORCH}UnregisterModel", f(1, "m")),
    "triton_load": ("POST /v2/repository/models/m/load", {"parameters": {"config": json.dumps(CONFIG)}}),
    "triton_load_file": ("POST /v2/repository/models/m/load",
                         {"parameters": {"file:1/model.onnx": base64.b64encode(b"model").decode(), "config": "{}"}}),
    "triton_load_reshape": ("POST /v2/repository/models/m/load", {"parameters": {"config": json.dumps(RESHAPED)}}),
    "triton_unload": ("POST /v2/repository/models/m/unload", {"parameters": {"unload_dependents": False}}),
    "triton_index": ("POST /v2/repository/index", {"ready": True}),
    "triton_other": ("POST /v2/repository/r/models/m/load", ""),
    "triton_config": ("GET /v2/models/m/versions/3/config", ""),
    "triton_stats": ("GET /v2/models/m/stats", ""),
    "triton_trace": ("POST /v2/models/m/trace/setting", {"trace_level": ["TIMESTAMPS"], "trace_rate": "100", "trace_count": None}),
    "triton_logging": ("POST /v2/logging", {"log_info": True, "log_verbose_level": 0, "log_file": ""}),
    "triton_metadata": ("GET /v2/models/m", ""),
    "triton_ready": ("GET /v2/models/m/versions/3/ready", ""),
    "memory_register": ("POST /v2/systemsharedmemory/region/r/register", {"key": "/none", "offset": 0, "byte_size": 64}),
    "memory_status": ("GET /v2/systemsharedmemory/region/r/status", ""),
    "memory_unregister": ("POST /v2/systemsharedmemory/region/r/unregister", ""),
    "memory_cuda": ("POST /v2/cudasharedmemory/region/r/register", {"raw_handle": {"b64": "AA=="}, "device_id": 0, "byte_size": 1}),
    "grpc_load": (f"POST {TRITON}RepositoryModelLoad",
                  f(2, "m") + f(3, [f(1, "config"), f(2, f(3, json.dumps(CONFIG)))]) + f(3, [f(1, "file:1/a.onnx"), f(2, f(4, b"model"))])),
    "grpc_unload": (f"POST {TRITON}RepositoryModelUnload", f(2, "m")),
    "grpc_trace": (f"POST {TRITON}TraceSetting", entry("trace_level", f(1, "OFF")) + entry("trace_rate", f(1, "5")) + f(2, "m")),
    "grpc_log": (f"POST {TRITON}LogSettings", entry("log_info", f(1, 1)) + entry("log_verbose_level", f(2, 1))),
    "grpc_config": (f"POST {TRITON}ModelConfig", f(1, "m") + f(2, "3")),
    "grpc_metadata": (f"POST {TRITON}ModelMetadata", f(1, "m")),
    "grpc_statistics": (f"POST {TRITON}ModelStatistics", f(1, "m")),
    "grpc_index": (f"POST {TRITON}RepositoryIndex", f(2, 1)),
    "grpc_memory": (f"POST {TRITON}SystemSharedMemoryRegister", f(1, "r") + f(2, "/none") + f(3, 0) + f(4, 64)),
    "grpc_memory_status": (f"POST {TRITON}SystemSharedMemoryStatus", f(1, "r")),
    "tf_status": ("GET /v1/models/m/versions/3", ""),
    "tf_metadata": ("GET /v1/models/m/labels/prod/metadata", ""),
    "tf_grpc_status": (f"POST {ROSTER}GetModelStatus", f(1, [f(1, "m"), f(2, [f(1, 3)])])),
    "tf_grpc_metadata": ("POST /tensorflow.serving.PredictionService/GetModelMetadata", f(1, f(1, "m")) + f(2, "signature_def")),
    "tf_grpc_reload": (f"POST {ROSTER}HandleReloadConfigRequest",
                       f(1, f(1, f(1, [f(1, "m"), f(2, "/models/m"), f(7, f(100, f(1, 2))), f(8, [f(1, "prod"), f(2, 3)])])))),
    "health": ("GET /ping", ""),
    "health_check": ("POST /grpc.health.v1.Health/Check", f(1, "m")),
    "health_list": ("POST /grpc.health.v1.Health/List", b""),
    "reflect_list": (f"POST {REFLECT}", f(7, "*")),
    "reflect_file": (f"POST {REFLECT}", f(3, "inference.proto")),
    "reflect_symbol": (f"POST {REFLECT}", f(1, "host") + f(4, "inference.GRPCInferenceService")),
    "openapi": ("GET /openapi.json", ""),
    "invocations": (f"POST /invocations {JSON}", {"dataframe_split": {"columns": [0, 1], "data": [[1, 2]]}}),
    "predict_show": ("GET /predict/m@prod", ""),
    "chat": (f"POST /v1/chat/completions {JSON}", {
        "model": "chat", "stream": True, "stream_options": {"include_usage": True}, "temperature": 0.5, "max_tokens": 5, "n": 2,
        "stop": ["a"], "logit_bias": {"5": 1}, "logprobs": True, "top_logprobs": 2, "tool_choice": "auto",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "hi"}]},
                     {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                     {"role": "tool", "tool_call_id": "1", "content": "4"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}}]}),
    "chat_schema": (f"POST /v1/chat/completions {JSON}", {
        "model": "chat@3", "messages": [{"role": "user", "content": "hi"}], "seed": 7, "chat_template_kwargs": {"enable_thinking": False},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {
            "type": "object", "properties": {"a": {"enum": ["x", 1]}, "b": {"type": "array", "items": {"type": "string", "pattern": "^a+$"},
            "maxItems": 3}}, "required": ["a"], "additionalProperties": False}}}}),
    "completions": (f"POST /v1/completions {JSON}", {
        "model": "chat", "prompt": ["a", [5, 6], "b"], "echo": True, "logprobs": 3, "best_of": 1, "stop": "x", "grammar": "root ::= [a-z]+"}),
    "responses": (f"POST /v1/responses {JSON}", {
        "model": "chat", "instructions": "be brief", "reasoning": {"effort": "low"}, "text": {"format": {"type": "json_object"}}, "stream": False,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
                  {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}, {"type": "function_call_output", "call_id": "1", "output": "4"}],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}], "max_output_tokens": 9}),
    "embeddings": (f"POST /v1/embeddings {JSON}", {"model": "chat", "input": ["a", "b"], "encoding_format": "base64"}),
    "ollama_chat": (f"POST /api/chat {JSON}", {
        "model": "chat", "messages": [{"role": "user", "content": "hi", "images": []}], "stream": False, "format": "json", "think": True,
        "options": {"num_predict": 4, "temperature": 0, "stop": ["a"]}, "tools": [{"type": "function", "function": {"name": "f"}}]}),
    "ollama_generate": (f"POST /api/generate {JSON}", {"model": "chat", "prompt": "hi", "system": "s", "raw": False, "format": {"type": "object"}}),
    "ollama_show": ("POST /api/show", {"model": "chat:latest"}),
    "ollama_running": ("GET /api/ps", ""),
    "llamacpp_completion": (f"POST /completion {JSON}", {
        "prompt": "hi", "n_predict": 3, "samplers": ["top_k"], "logit_bias": [[5, False], ["a", -1]], "json_schema": {"type": "string"}, "n_probs": 2}),
    "llamacpp_tokenize": ("POST /tokenize", {"content": "h\u00e9 <s>", "with_pieces": True, "add_special": True, "model": "chat"}),
    "llamacpp_detokenize": ("POST /detokenize", {"tokens": [0, 5, 258, 1], "model": "chat"}),
    "llamacpp_template": ("POST /apply-template", {"messages": [{"role": "user", "content": "hi"}], "model": "chat"}),
    "llamacpp_props": ("GET /props?model=chat", ""),
    "generate": ("POST /v2/models/chat/generate_stream", {"text_input": "hi", "parameters": {"max_tokens": 5, "temperature": 0.1, "stop": ["a"]}}),
    "completion_of_none": (f"POST /v1/chat/completions {JSON}", {"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
    "tokenize_of_none": ("POST /tokenize", {"content": "hi", "model": "m"}),
    "admin_models": ("GET /admin/models/m", ""),
    "admin_route": ("PUT /admin/models/m/route", {"arms": [{"version": 3, "percent": 2.5}], "sticky": "header:x-user", "shadow": {"version": 3, "percent": 1}}),
    "admin_route_get": ("GET /admin/models/m/route", ""),
    "admin_policy": ("PUT /admin/models/m/policy", {"pin": True, "priority": "high", "weight": 2, "capture": {"percent": 1, "bytes": 1e8, "days": 7}}),
    "admin_policy_drop": ("DELETE /admin/models/m/policy", ""),
    "admin_alias": ("PUT /admin/models/m/aliases/prod", {"version": 3}),
    "admin_rollback": ("POST /admin/models/m/rollback", {"alias": "prod"}),
    "admin_apply": ("POST /admin/apply?dry_run=true", APPLY),
    "admin_key": ("POST /admin/keys", RIGHTS),
    "admin_keys": ("GET /admin/keys", ""),
    "admin_revoke": ("DELETE /admin/keys/web", ""),
    "admin_log": ("GET /admin/models/m/log", ""),
}

MANIFEST = {"createdOn": "01/01/2024", "runtime": "python",
            "model": {"modelName": "net", "serializedFile": "net.onnx", "handler": "image_classifier", "modelVersion": "1.0"}}


def archive(manifest, **files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(zipfile.ZipInfo("MAR-INF/MANIFEST.json"), json.dumps(manifest))
        for name, text in files.items():
            z.writestr(zipfile.ZipInfo(name.replace("_", ".")), text)
    return out.getvalue()


def handled(handler):
    return {**MANIFEST, "model": {**MANIFEST["model"], "handler": handler}}


ARCHIVES = {
    "classifier": archive(MANIFEST, net_onnx=b"model" * 20, **{"index_to_name.json": json.dumps({"0": "cat", "1": ["n2", "dog"]})}),
    "detector": archive(handled("object_detector"), net_onnx=b"model"),
    "python": archive(handled("mine.py"), net_onnx=b"model"),
    "bare": archive({"model": {}}),
}

RECIPES = {
    "image": b"0" + json.dumps({"input": "x", "image": {
        "width": 8, "height": 8, "resize": "crop", "filter": "antialias", "short_side": 9, "mean": [123.675, 116.28, 103.53],
        "scale": [0.0171, 0.0175, 0.0174], "order": "BGR", "layout": "NCHW"}}).encode(),
    "classes": b"0" + json.dumps({"labels": ["cat", "dog", "eel"], "postprocess": {"output": "y", "softmax": True, "top": 2}}).encode(),
    "boxes": b"0" + json.dumps({"postprocess": {"boxes": {"form": "yolov8", "score": 0.25, "iou": 0.45, "most": 300}}}).encode(),
    "ctc": b"0" + json.dumps({"postprocess": {"ctc": {"charset": "a\nb", "blank": 0, "space": True}}}).encode(),
    "text": b'0{"text": {"most": 256}}',
    "flags": b"1x=image:8x8,imagenet\nclasses:2,softmax\ncat\ndog\neel\n",
    "flags_boxes": b"1image,unit\nboxes:yolov8,score=0.5\n[\"cat\", \"dog\"]",
    "flags_text": b"1text:64\n\n{\"0\": \"cat\", \"1\": [\"n1\", \"dog\"]}",
}


def write(folder, name, data):
    path = os.path.join(HERE, folder)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, name), "wb") as out:
        out.write(data)


def main():
    for name, (line, body) in PAGES.items():
        if isinstance(body, dict):
            body = json.dumps(body)
        write("pages", name, line.encode() + b"\n" + (body if isinstance(body, bytes) else body.encode()))
    for name, data in ARCHIVES.items():
        write("archive", name, data)
    for name, data in RECIPES.items():
        write("recipe", name, data)


if __name__ == "__main__":
    main()
