"""Tools that the server carries out: what was asked, what was found, and what an answer rests on."""

import base64

import pytest
from google.genai._interactions import BadRequestError
from shapes import assert_events, assert_interaction, assert_typed, assert_usage, check, fold, generated, goes_on, plain

SEARCH = [{"type": "google_search"}]
CODE = [{"type": "code_execution"}]
SENTENCE = "Spain won the final 2–1 against England"


def kinds(interaction):
    return [step.type for step in interaction.steps]


def cited(step):
    """What each citation of a text spans, in bytes as the API counts, and what it names."""
    [part] = step.content
    whole = part.text.encode()
    return [
        (whole[note.start_index : note.end_index].decode(), note.title, note.url) for note in part.annotations or []
    ]


def test_an_answer_cites_what_was_found(tell):
    interaction = tell("Who won the euro 2024?", tools=SEARCH)
    assert_typed(interaction)
    assert_usage(interaction.usage)
    assert interaction.status == "completed"
    assert kinds(interaction) == ["google_search_call", "google_search_result", "thought", "model_output"]
    call, result, _, answer = interaction.steps
    assert call.arguments.queries == ["Euro 2024 final winner"]
    assert result.call_id == call.id and not result.is_error
    assert "<script" not in result.result[0].search_suggestions
    assert interaction.output_text == f"{SENTENCE}. That was a fine evening."
    assert cited(answer) == [(SENTENCE, "Example Encyclopedia", "https://example.org/euro-2024-final")]
    assert [(used.type, used.count) for used in interaction.usage.grounding_tool_count] == [("google_search", 1)]
    assert interaction.usage.total_tool_use_tokens > 0


def test_spans_are_bytes_of_utf8(tell):
    interaction = tell("Onde nasce o rio Douro?", tools=SEARCH)
    [(span, _, url)] = cited(interaction.steps[-1])
    assert (span, url) == ("O rio Douro nasce na serra de Urbião, em Espanha", "https://example.org/douro")


def test_a_stream_tells_the_same(tell, scripted):
    stream = tell("Who won the euro 2024?", tools=SEARCH, stream=True)
    events = list(stream)
    assert_events(events)
    assert "⟦" not in "".join(getattr(e.delta, "text", None) or "" for e in events if e.event_type == "step.delta")
    id = events[0].interaction.id
    stored = scripted.interactions.get(id)
    assert fold(events) == generated(stored)
    assert cited(stored.steps[-1])[0][0] == SENTENCE


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("tools", "first", "then", "shown", "answer"),
    [
        (SEARCH, "Who won the euro 2024?", "Hello?", [], "Hello there."),
        (SEARCH, "Who won the euro 2024?", "Onde nasce o rio Douro?", ["google_search_call", "google_search_result"],
         "O rio Douro nasce na serra de Urbião, em Espanha."),
        (CODE, "Compute six times seven", "Hello?", [], "Hello there."),
        (CODE, "Compute six times seven", "Fail on purpose", ["code_execution_call", "code_execution_result"],
         "It failed."),
    ],
)  # fmt: skip
def test_a_conversation_goes_on_stored_and_replayed(tell, tools, first, then, shown, answer, stream):
    steps = goes_on(tell, tell(first, tools=tools), first, then, stream, tools)
    assert [step["type"] for step in steps] == [*shown, "model_output"]
    [part] = steps[-1]["content"]
    assert part["text"] == answer
    sources = [note["url"] for note in part.get("annotations", [])]
    assert sources == (["https://example.org/douro"] if shown and tools == SEARCH else [])


def test_functions_wait_while_searches_do_not(tell):
    weather = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
    waiting = tell("Search and ask", tools=[*SEARCH, weather])
    assert_interaction(waiting, "requires_action")
    assert "google_search_result" in kinds(waiting)
    [call] = [step for step in waiting.steps if step.type == "function_call"]
    result = {"type": "function_result", "call_id": call.id, "result": "22 degrees"}
    done = tell([result], previous_interaction_id=waiting.id, tools=[*SEARCH, weather])
    assert (done.status, done.output_text) == ("completed", "It is 22 degrees.")


DEFERRED = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather at a place.",
    "short_description": "The weather",
    "defer_loading": True,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def test_functions_are_loaded_when_they_are_wanted(tell):
    tools = [DEFERRED, {"type": "tool_search"}]
    waiting = tell("Find out about the weather", tools=tools)
    assert_typed(waiting)
    assert_interaction(waiting, "requires_action")
    assert kinds(waiting) == ["tool_search_call", "tool_search_result", "function_call"]
    search, found, call = waiting.steps
    assert search.arguments.function_names == ["get_weather"]
    assert found.call_id == search.id
    assert [(one.name, one.description) for one in found.result] == [("get_weather", DEFERRED["description"])]
    result = {"type": "function_result", "call_id": call.id, "result": "22 degrees"}
    stored = tell([result], previous_interaction_id=waiting.id, tools=tools)
    question = {"type": "user_input", "content": [{"type": "text", "text": "Find out about the weather"}]}
    replayed = tell([question, *plain(waiting.steps), result], store=False, tools=tools)
    assert stored.output_text == replayed.output_text == "It is 22 degrees."


def test_a_client_may_search_for_functions_itself(tell):
    parameters = {"type": "object", "properties": {"query": {"type": "string"}}}
    search = {"type": "tool_search", "execution": "client", "name": "find_functions", "parameters": parameters}
    asked = tell("Let me look for functions", tools=[search])
    assert_interaction(asked, "requires_action")
    found = {key: value for key, value in DEFERRED.items() if key not in ("defer_loading", "short_description")}
    result = {"type": "function_result", "call_id": asked.steps[-1].id, "result": [found]}
    called = tell([result], previous_interaction_id=asked.id, tools=[search])
    assert_interaction(called, "requires_action")
    assert called.steps[-1].name == "get_weather"


@pytest.mark.parametrize(
    ("tools", "field"),
    [
        ([DEFERRED], "tools[0].defer_loading"),
        ([{"type": "tool_search"}], "tools[0]"),
        ([DEFERRED, {"type": "tool_search", "name": "x"}], "tools[1].name"),
        ([{"type": "tool_search", "execution": "client"}], "tools[0].name"),
        ([{"type": "tool_search", "execution": "elsewhere"}], "tools[0].execution"),
        ([{"type": "function", "name": "f", "short_description": "x"}], "tools[0].short_description"),
    ],
)
def test_a_search_that_cannot_be_is_refused(tell, tools, field):
    with pytest.raises(BadRequestError) as refused:
        tell("Hello?", tools=tools)
    check(refused, 400, "invalid_request", field)


def test_a_program_runs(tell):
    interaction = tell("Compute six times seven", tools=CODE)
    assert_typed(interaction)
    assert kinds(interaction) == ["code_execution_call", "code_execution_result", "model_output"]
    call, result, _ = interaction.steps
    assert (call.arguments.language, result.call_id) == ("python", call.id)
    assert (result.result, result.is_error) == ("42 forty-two\n", False)
    assert interaction.output_text == "It is 42."


def test_a_program_that_fails_is_told_to_the_model(tell):
    interaction = tell("Fail on purpose", tools=CODE)
    result = interaction.steps[1]
    assert result.is_error and result.result.startswith("partly\n") and "exit code 3" in result.result
    assert (interaction.status, interaction.output_text) == ("completed", "It failed.")


def test_a_picture_that_a_program_makes_is_shown(tell):
    interaction = tell("Draw a dot", tools=CODE)
    assert base64.b64decode(interaction.output_image.data).startswith(b"\x89PNG")
    assert interaction.output_image.mime_type == "image/png"
    assert interaction.output_text == "It is 42."


@pytest.mark.parametrize("input", ["Read a page of yours", "Read http://127.0.0.1:9/ please"])
def test_no_page_is_read_that_was_not_named_or_may_not_be(tell, input):
    interaction = tell(input, tools=[{"type": "url_context"}])
    assert_typed(interaction)
    _, result, _ = interaction.steps
    assert [page.status for page in result.result] == ["unsafe"]
    assert result.is_error and interaction.status == "completed"


def test_a_server_of_tools_that_may_not_be_reached_is_refused(tell):
    server = {"type": "mcp_server", "name": "inside", "url": "http://127.0.0.1:9/mcp", "headers": {"x": "planted"}}
    with pytest.raises(BadRequestError) as refused:
        tell("Hi", tools=[server])
    check(refused, 400, "failed_precondition", "tools[0]", "inside")
    assert "planted" not in str(refused.value)


def test_only_the_web_is_searched(tell):
    with pytest.raises(BadRequestError) as refused:
        tell("Hi", tools=[{"type": "google_search", "search_types": ["image_search"]}])
    check(refused, 400, "invalid_request", "tools[0].search_types[0]")
