# SPDX-License-Identifier: Apache-2.0
"""What would keep a language server busy for ever, or make it large: each is refused in one line, or cut where the request said, and the next
request is answered as before."""

import json

import pytest
from conftest import Server, Store
from language import ask, smollm2, with_template

LOOP = "{% for a in range(90000) %}{% for b in range(90000) %}{% set c = a * b %}{% endfor %}{% endfor %}{{ messages[0].content }}"
GROW = "{% set ns = namespace(t='xxxxxxxxxxxxxxxx') %}{% for a in range(64) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}"
RECUR = "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    s = Store(folder)
    s.add(smollm2(), "chat")
    for name, template in (("loop", LOOP), ("grow", GROW), ("recur", RECUR)):
        (folder / name).mkdir()
        s.add(with_template(folder / name, template), name)
    server = Server(s, "--context", "128", "--sequences", "4", "--threads", "2", "--kv-memory", "64M")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def still_serves(server):
    yield
    r = server.post("/v1/chat/completions", json={"model": "chat", "messages": ask("hi"), "max_tokens": 2})
    assert r.status_code == 200, r.text


def refused(server, part, **body):
    r = server.post("/v1/chat/completions", json={"model": "chat", "messages": ask("hi"), "max_tokens": 4, **body})
    assert 400 <= r.status_code < 500, r.text[:300]
    message = r.json()["error"]["message"]
    assert part in message and "\n" not in message and len(message) < 1000, message


def bounded(server, **body):
    """Refused, or cut where the request said."""
    r = server.post("/v1/chat/completions", json={"model": "chat", "messages": ask("hi"), "max_tokens": 20, "temperature": 0, **body})
    assert r.status_code == 200 or 400 <= r.status_code < 500, r.text[:300]


@pytest.mark.parametrize("model, part", [("loop", "of the template"), ("grow", ""), ("recur", "")])
def test_templates_that_do_not_end(server, model, part):
    refused(server, part, model=model)
    r = server.post("/apply-template", json={"model": model, "messages": ask("hi")})
    assert 400 <= r.status_code < 500
    assert server.post("/v1/completions", json={"model": model, "prompt": "One", "max_tokens": 2}).status_code == 200


@pytest.mark.parametrize(
    "grammar, part",
    [
        ("root ::= root", "recur"),
        ('root ::= a\na ::= b "x"\nb ::= a | a', "recur"),
        ('root ::= "a" root', "recur"),
        ("root ::= " + "(" * 5000 + '"a"' + ")" * 5000, ""),
        ('root ::= "' + "a" * (2 << 20) + '"', ""),
        ("root ::= nobody", "nobody"),
    ],
)
def test_grammars(server, grammar, part):
    refused(server, part, grammar=grammar)


@pytest.mark.parametrize("grammar", ['root ::= "a"{1000000}', 'root ::= "a"{1,1000}{1,1000}{1,1000}', 'root ::= ("a" | "a" "a" | "aa" root)* "b"'])
def test_large_and_ambiguous_grammars(server, grammar):
    bounded(server, grammar=grammar)


def deep(n):
    schema = {"type": "integer"}
    for _ in range(n):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    "schema, part",
    [
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, ""),
        ({"$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1}}, "$ref": "#/$defs/a"}, ""),
        (deep(400), ""),
        ({"enum": [f"{i:09d}" for i in range(200_000)]}, ""),
        ({"type": "string", "minLength": 10_000_000}, ""),
    ],
)
def test_schemas(server, schema, part):
    refused(server, part, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})


@pytest.mark.parametrize(
    "schema", [{"type": "array", "items": {"type": "string"}, "minItems": 1_000_000}, {"type": "string", "pattern": "^(((a{1,999}){1,999}){1,999})$"}]
)
def test_large_schemas(server, schema):
    bounded(server, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})


def test_a_large_enum_is_kept(server):
    """What is only large, not endless, holds."""
    values = [f"value {i * 7919 % 10007}" for i in range(2000)]
    r = server.post(
        "/v1/chat/completions",
        json={"model": "chat", "messages": ask("Choose."), "max_tokens": 40, "temperature": 2,
              "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": values}}}},
    )
    assert r.status_code == 200 and json.loads(r.json()["choices"][0]["message"]["content"]) in values, r.text


@pytest.mark.parametrize("member", ["max_tokens", "max_completion_tokens"])
def test_more_tokens_than_the_context(server, member):
    """As far as the context goes, and said so."""
    body = {"model": "chat", "messages": ask("Count."), "ignore_eos": True, "temperature": 0}
    r = server.post("/v1/chat/completions", json={**body, member: 2**62}).json()
    assert r["choices"][0]["finish_reason"] == "length" and r["usage"]["total_tokens"] == 128
    assert server.post("/v1/chat/completions", json={**body, member: 2**70}).status_code == 400


def test_a_chat_of_a_megabyte(server):
    refused(server, "maximum context length", messages=ask("word " * 200_000))
    refused(server, "", messages=ask("hi") * 100_000)
