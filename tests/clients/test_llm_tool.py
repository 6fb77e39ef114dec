# SPDX-License-Identifier: Apache-2.0
"""The `llm` command line (PyPI llm), pointed at this server the way its documentation says for any OpenAI-compatible one."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

LLM = pathlib.Path(sys.executable).parent / "llm"


@pytest.fixture
def llm(chat, tmp_path):
    if not LLM.exists():
        pytest.skip("needs llm (tests/requirements.txt)")
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: here\n  model_name: chat\n  api_base: {chat.url}/v1\n  supports_schema: true\n  supports_tools: true\n"
    )

    def run(*arguments, given=""):
        done = subprocess.run([str(LLM), *arguments], input=given, capture_output=True, text=True, timeout=120,
                              env={**os.environ, "LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "none"})
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_prompt_pipe_and_schema(chat, llm):
    asked = ("-m", "here", "-o", "temperature", "0", "-o", "max_tokens", "12")
    streamed = llm("Say hello", *asked)
    assert streamed.strip() and llm("Say hello", *asked, "--no-stream") == streamed
    body = {"model": "chat", "messages": [{"role": "user", "content": "Say hello"}], "temperature": 0, "max_tokens": 12}
    assert chat.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"].strip() == streamed.strip()
    assert llm(*asked, "-s", "Be brief.", given="Some text from a pipe").strip()
    person = llm("A person", "-m", "here", "-o", "temperature", "0", "--schema", "age int")
    assert set(json.loads(person)) == {"age"}
