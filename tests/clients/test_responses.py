# SPDX-License-Identifier: Apache-2.0
"""/v1/responses by the openai client: whole, streamed, parsed, with functions and with thoughts."""

import json

import jsonschema
import openai
import pydantic
import pytest
from conftest import Server, Store
from language import PERSON, TOOL, ask, with_template

FUNCTION = {"type": "function", **TOOL["function"]}


def streamed(client, **asked):
    """Events, after a check of what every stream keeps: numbers in a row, one item at a time, deltas that add up."""
    events = list(client.responses.create(**asked, stream=True))
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert [e.type for e in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1].type in ("response.completed", "response.incomplete")
    assert events[0].response.status == "in_progress" and events[0].response.output == []
    text, index = "", 0
    for e in events[2:-1]:
        assert e.output_index == index
        if e.type == "response.output_item.added":
            text = ""
        elif e.type.endswith(".delta"):
            text += e.delta
        elif e.type == "response.function_call_arguments.done":
            assert e.arguments == text
        elif e.type.endswith("_text.done"):
            assert e.text == text
        elif e.type == "response.output_item.done":
            assert e.item == events[-1].response.output[index]
            index += 1
    assert index == len(events[-1].response.output)
    return events


def same(a, b):
    """Two responses but for their names and times."""
    def plain(r):
        d = r.model_dump(exclude={"id", "created_at", "usage"})
        for i in d["output"]:
            i.pop("id")
            i.pop("call_id", None)
        return d

    assert plain(a) == plain(b)
    assert a.usage.input_tokens == b.usage.input_tokens and a.usage.output_tokens == b.usage.output_tokens


def test_a_text(client):
    asked = dict(model="chat", input="Name three colours.", temperature=0, max_output_tokens=200)
    r = client.responses.create(**asked)
    assert r.object == "response" and r.status == "completed" and r.error is None and r.store is False
    assert r.output_text and r.output[0].type == "message" and r.output[0].role == "assistant"
    assert r.usage.total_tokens == r.usage.input_tokens + r.usage.output_tokens
    assert r.temperature == 0 and r.tools == [] and r.tool_choice == "auto"
    chat = client.chat.completions.create(model="chat", messages=ask("Name three colours."), temperature=0, max_tokens=200)
    assert r.output_text == chat.choices[0].message.content
    events = streamed(client, **asked)
    assert [e.type for e in events[2:4]] == ["response.output_item.added", "response.content_part.added"]
    assert [e.type for e in events[-4:]] == [
        "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed",
    ]
    assert sum(e.type == "response.output_text.delta" for e in events) > 3
    same(events[-1].response, r)


def test_a_conversation(client):
    turns = [
        {"role": "user", "content": "My name is Ada."},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello Ada."}]},
        {"role": "user", "content": [{"type": "input_text", "text": "What is "}, {"type": "input_text", "text": "my name?"}]},
    ]
    asked = dict(temperature=0, model="chat")
    r = client.responses.create(instructions="Be brief.", input=turns, max_output_tokens=16, **asked)
    messages = [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada."}, {"role": "user", "content": "What is my name?"},
    ]
    chat = client.chat.completions.create(messages=messages, max_tokens=16, **asked)
    assert r.output_text == chat.choices[0].message.content
    assert r.usage.input_tokens == chat.usage.prompt_tokens and r.instructions == "Be brief."


def test_cut_off(client):
    asked = dict(model="chat", input="Count to a hundred.", temperature=0, max_output_tokens=5)
    r = client.responses.create(**asked)
    assert r.status == "incomplete" and r.incomplete_details.reason == "max_output_tokens" and r.output[0].status == "incomplete"
    assert r.usage.output_tokens == 5
    events = streamed(client, **asked)
    assert events[-1].type == "response.incomplete"
    same(events[-1].response, r)


class Person(pydantic.BaseModel):
    name: str
    age: int


def test_a_schema(client):
    r = client.responses.create(
        model="chat", input="Describe a person.", max_output_tokens=200,
        text={"format": {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}},
    )
    jsonschema.validate(json.loads(r.output_text), PERSON)
    assert r.text.format.type == "json_schema"
    r = client.responses.parse(model="chat", input="Ada, 36 years old.", text_format=Person, temperature=0, max_output_tokens=300)
    assert isinstance(r.output_parsed, Person)
    with client.responses.stream(model="chat", input="Ada, 36.", text_format=Person, temperature=0, max_output_tokens=300) as stream:
        for _ in stream:
            pass
        assert isinstance(stream.get_final_response().output_parsed, Person)


def test_functions(client):
    asked = dict(
        model="chat", input="Weather in Paris?", tools=[FUNCTION], temperature=0.7, extra_body={"seed": 5}, max_output_tokens=300,
        tool_choice={"type": "function", "name": "get_weather"},
    )
    r = client.responses.create(**asked)
    call = r.output[0]
    assert [i.type for i in r.output] == ["function_call"] and call.name == "get_weather" and call.call_id
    jsonschema.validate(json.loads(call.arguments), FUNCTION["parameters"])
    assert r.tools[0].name == "get_weather" and r.tool_choice.name == "get_weather"
    events = streamed(client, **asked)
    assert sum(e.type == "response.function_call_arguments.delta" for e in events) > 3
    same(events[-1].response, r)
    history = [
        {"role": "user", "content": "Weather in Paris?"},
        call.model_dump(),
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
    ]
    after = client.responses.create(model="chat", input=history, tools=[FUNCTION], max_output_tokens=8, temperature=0)
    messages = [
        *ask("Weather in Paris?"),
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}]},
        {"role": "tool", "tool_call_id": call.call_id, "content": "sunny"},
    ]
    chat = client.chat.completions.create(model="chat", messages=messages, tools=[TOOL], max_tokens=8, temperature=0)
    assert after.usage.input_tokens == chat.usage.prompt_tokens


@pytest.mark.parametrize(
    "more, part",
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"store": True}, "store"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"input": []}, "empty"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "item_reference"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "text only"),
        ({"input": [{"content": "hi"}]}, "role"),
        ({"tools": [{"type": "web_search"}]}, "web_search"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "file_search"}}, "must name a function"),
        ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {"not": {}}}}}, "'not'"),
        ({"input": "word " * 5000}, "maximum context length"),
    ],
)
def test_errors(client, more, part):
    with pytest.raises(openai.BadRequestError) as e:
        client.responses.create(**{"model": "chat", "input": "hi", "max_output_tokens": 3, **more})
    assert part in e.value.body["message"]


# --- thoughts ---

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content.split('</think>')[-1] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if thinking %}<think>\n{% endif %}{% endif %}"
)
ALOUD = 'root ::= "<think>\\n" [a-z ]{4,20} "\\n</think>\\n\\n" [A-Z] [a-z ]{3,10} "."'


@pytest.fixture(scope="module")
def thinker(tmp_path_factory):
    """The model, told by its template that it thinks aloud, and by a grammar how."""
    folder = tmp_path_factory.mktemp("thinker")
    s = Store(folder)
    s.add(with_template(folder, TEMPLATE), "thinker")
    server = Server(s, "--context", "1024", "--threads", "2")
    yield server
    server.stop()


@pytest.fixture
def thinking(thinker):
    return openai.OpenAI(base_url=thinker.url + "/v1", api_key="none", max_retries=0)


def test_thoughts_in_a_chat(thinking):
    asked = dict(model="thinker", messages=ask("Why?"), temperature=0, max_tokens=60, extra_body={"grammar": ALOUD})
    message = thinking.chat.completions.create(**asked).choices[0].message
    assert 2 <= len(message.reasoning_content) <= 20 and message.reasoning_content == message.reasoning_content.strip()
    assert "think" not in message.content and message.content.endswith(".") and message.content[0].isupper()
    thought, content = "", ""
    for piece in thinking.chat.completions.create(**asked, stream=True):
        d = piece.choices[0].delta
        assert not (content and getattr(d, "reasoning_content", None))
        thought += getattr(d, "reasoning_content", None) or ""
        content += d.content or ""
    assert (thought, content) == (message.reasoning_content, message.content)


def test_thoughts_the_template_began(thinking):
    """Without an end they are thoughts to the last word."""
    r = thinking.chat.completions.create(
        model="thinker", messages=ask("Why?"), temperature=0, max_tokens=8, extra_body={"chat_template_kwargs": {"thinking": True}}
    )
    assert r.choices[0].message.reasoning_content and not r.choices[0].message.content


def test_thoughts_in_a_response(thinking):
    asked = dict(model="thinker", input="Why?", temperature=0, max_output_tokens=60, extra_body={"grammar": ALOUD})
    r = thinking.responses.create(**asked)
    assert [i.type for i in r.output] == ["reasoning", "message"] and r.output[0].content[0].text
    assert 0 < r.usage.output_tokens_details.reasoning_tokens < r.usage.output_tokens
    events = streamed(thinking, **asked)
    assert any(e.type == "response.reasoning_text.delta" for e in events)
    same(events[-1].response, r)
    again = thinking.responses.create(model="thinker", input=[{"role": "user", "content": "Why?"}, *[i.model_dump() for i in r.output]], max_output_tokens=4)
    assert again.output_text is not None


def test_thoughts_by_ollama(thinker):
    ollama = pytest.importorskip("ollama")
    body = {"model": "thinker", "messages": ask("Why?"), "options": {"temperature": 0, "num_predict": 60, "grammar": ALOUD}, "stream": False}
    message = ollama.ChatResponse(**thinker.post("/api/chat", json=body).json()).message
    assert message.thinking and message.content.endswith(".") and "think>" not in message.content


# --- the client's own types, taken strictly ---

CALLED = {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "get_weather"}, "max_output_tokens": 300}


@pytest.mark.parametrize("more", [{}, {"max_output_tokens": 3}, CALLED, {"text": {"format": {"type": "json_object"}}}])
def test_events_are_whole(chat, more):
    """The client builds its objects without looking; here every event must have each member that its types require."""
    from openai.types.responses import Response, ResponseStreamEvent

    event, types = pydantic.TypeAdapter(ResponseStreamEvent), []
    body = {"model": "chat", "input": "Name a city.", "temperature": 0, "max_output_tokens": 12, **more}
    for block in chat.post("/v1/responses", json={**body, "stream": True}).text.strip().split("\n\n"):
        name, _, data = block.partition("\n")
        event.validate_json(data.removeprefix("data: "))
        types.append(json.loads(data.removeprefix("data: "))["type"])
        assert name == "event: " + types[-1]
    assert types[0] == "response.created" and types[-1] in ("response.completed", "response.incomplete")
    Response.model_validate(chat.post("/v1/responses", json=body).json())
    for opened, closed in (("output_item.added", "output_item.done"), ("content_part.added", "content_part.done")):
        assert types.count("response." + opened) == types.count("response." + closed)
