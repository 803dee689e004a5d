"""Refusals: the exception a caller catches, the code it reads and the field that the message names."""

import pytest
from conftest import MODEL
from google import genai
from google.genai._interactions import AuthenticationError, BadRequestError, NotFoundError
from shapes import check

# How an MP4 begins.
FILM = "AAAAGGZ0eXBpc29t"


def test_wrong_key_raises_authentication_error():
    with genai.Client(api_key="not-a-key") as client:
        for operation in (
            lambda: client.interactions.create(model=MODEL, input="Hi"),
            lambda: client.interactions.create(model=MODEL, input="Hi", stream=True),
            lambda: client.interactions.get("v1_thereisnosuchthing"),
        ):
            with pytest.raises(AuthenticationError) as refused:
                operation()
            check(refused, 401, "authentication")


def test_unknown_model_names_itself_and_what_is_served(client):
    with pytest.raises(NotFoundError) as refused:
        client.interactions.create(model="no-such-model", input="Hi")
    served = [model.name.removeprefix("models/") for model in client.models.list()]
    check(refused, 404, "model_not_found", "no-such-model", served[0])


def test_unknown_interaction_raises_not_found(client):
    for id in ("v1_thereisnosuchthing", "not-an-id", "v1_"):
        for operation in (client.interactions.get, client.interactions.delete, client.interactions.cancel):
            with pytest.raises(NotFoundError) as refused:
                operation(id)
            check(refused, 404, "not_found")


def test_unknown_previous_interaction_is_404(ask):
    with pytest.raises(NotFoundError) as refused:
        ask("Hi", previous_interaction_id="v1_thereisnosuchthing")
    check(refused, 404, "not_found", "previous_interaction_id")


@pytest.mark.parametrize("id", ["nonsense", "v1_", "v1_a b", "v1_" + "x" * 201])
def test_malformed_previous_interaction_id_is_400(ask, id):
    with pytest.raises(BadRequestError) as refused:
        ask("Hi", previous_interaction_id=id)
    check(refused, 400, "invalid_request", "previous_interaction_id")


def test_unknown_key_is_refused_by_name(ask):
    with pytest.raises(BadRequestError) as refused:
        ask("Hi", extra_body={"tempreature": 1})
    check(refused, 400, "parameter_unknown", "tempreature")


def test_unknown_key_of_generation_config_is_refused_by_name(client):
    with pytest.raises(BadRequestError) as refused:
        client.interactions.create(
            model=MODEL, input="Hi", generation_config={"temperature": 0, "tempreature": 1}
        )
    check(refused, 400, "parameter_unknown", "generation_config.tempreature")


def test_model_and_agent_together_are_refused(client):
    with pytest.raises(BadRequestError) as refused:
        client.interactions.create(model=MODEL, input="Hi", extra_body={"agent": "antigravity-preview-05-2026"})
    check(refused, 400, "invalid_request", "model", "agent")


def test_background_without_store_is_refused(ask):
    with pytest.raises(BadRequestError) as refused:
        ask("Hi", background=True, store=False)
    check(refused, 400, "invalid_request", "background", "store")


@pytest.mark.parametrize("empty", ["", []])
def test_empty_input_is_refused(ask, empty):
    with pytest.raises(BadRequestError) as refused:
        ask(empty)
    check(refused, 400, "invalid_request", "input")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 2.5),
        ("temperature", -1),
        ("top_p", 1.5),
        ("max_output_tokens", 0),
        ("max_output_tokens", -5),
    ],
)
def test_value_out_of_range_is_refused_by_path(client, field, value):
    with pytest.raises(BadRequestError) as refused:
        client.interactions.create(model=MODEL, input="Hi", generation_config={field: value})
    check(refused, 400, "invalid_request", f"generation_config.{field}")


@pytest.mark.parametrize("labels", [{"Upper": "x"}, {"1st": "x"}, {"k" * 64: "x"}, {"key": "UPPER"}])
def test_label_outside_the_documented_alphabet_is_refused(ask, labels):
    with pytest.raises(BadRequestError) as refused:
        ask("Hi", labels=labels)
    check(refused, 400, "invalid_request", "labels")


def test_wrong_type_is_refused_by_path(client):
    with pytest.raises(BadRequestError) as refused:
        client.interactions.create(model=MODEL, input="Hi", extra_body={"system_instruction": 7})
    check(refused, 400, "invalid_request", "system_instruction")


@pytest.mark.own_engine
def test_prompt_longer_than_the_context_is_refused_with_both_numbers(ask):
    with pytest.raises(BadRequestError) as refused:
        ask("word " * 200_000)
    check(refused, 400, "invalid_request")
    message = refused.value.body["error"]["message"]
    numbers = [int(part) for part in "".join(c if c.isdigit() else " " for c in message).split()]
    assert sum(number > 1000 for number in numbers) >= 2, message


# What is not served yet is refused by name, never accepted and ignored.


def test_video_input_is_refused_by_name(ask):
    video = {"type": "video", "data": FILM, "mime_type": "video/mp4"}
    with pytest.raises(BadRequestError) as refused:
        ask([{"type": "text", "text": "What is this?"}, video])
    check(refused, 400, "invalid_request", "video", "content[1]")


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "computer_use"},
        {"type": "google_maps"},
        {"type": "retrieval"},
    ],
    ids=lambda tool: tool["type"],
)
def test_server_tools_are_refused_by_name(ask, tool):
    with pytest.raises(BadRequestError) as refused:
        ask("Hi", tools=[tool])
    check(refused, 400, "invalid_request", "tools[0].type", tool["type"])


def test_a_model_that_writes_refuses_pictures_by_name(ask):
    with pytest.raises(BadRequestError) as refused:
        ask("Hi", response_format={"type": "image"})
    check(refused, 400, "invalid_request", "response_format", "image")


@pytest.mark.parametrize("type", ["audio", "video"])
def test_other_formats_of_answers_are_refused_by_name(ask, type):
    for wanted, path in (
        ({"type": type}, "response_format.type"),
        ([{"type": "text"}, {"type": type}], "response_format[1].type"),
    ):
        with pytest.raises(BadRequestError) as refused:
            ask("Hi", response_format=wanted)
        check(refused, 400, "invalid_request", path, type)


def test_agents_that_are_not_built_are_refused_by_name(client):
    with pytest.raises(BadRequestError) as refused:
        client.interactions.create(agent="code-mender-preview", input="Hi")
    check(refused, 400, "invalid_request", "agent")
