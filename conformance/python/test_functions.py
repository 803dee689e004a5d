"""Function calling: calls that a client can run, results in any form, and errors by path.

What must be exact is scripted. The small model is only forced to call: what it asks for is silly,
but it is always a declared function with arguments that conform.
"""

import json
from typing import Literal, Optional

import pytest
from conftest import poll
from google.genai._interactions import BadRequestError
from google.genai.interactions import StepDelta, StepStart
from pydantic import BaseModel, ConfigDict, Field
from shapes import (
    assert_clean,
    assert_events,
    assert_failed,
    assert_interaction,
    calls,
    check,
    fold,
    generated,
    plain,
)


class GetWeather(BaseModel):
    model_config = ConfigDict(extra="forbid")
    city: str = Field(max_length=40)
    unit: Optional[Literal["celsius", "fahrenheit"]] = None


class GetTime(BaseModel):
    model_config = ConfigDict(extra="forbid")
    city: str = Field(max_length=40)


ARGUMENTS = {"get_weather": GetWeather, "get_time": GetTime}
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": GetWeather.model_json_schema(),
}
TIME = {
    "type": "function",
    "name": "get_time",
    "description": "The local time in a city",
    "parameters": GetTime.model_json_schema(),
}
PLACE = {"type": "function", "name": "get_place", "description": "Where the user is"}
TOOLS = [WEATHER, TIME, PLACE]

REPORT = {
    "type": "text",
    "mime_type": "application/json",
    "schema": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 20},
            "degrees": {"type": "integer"},
            "sky": {"anyOf": [{"enum": ["clear", "cloudy"]}, {"type": "null"}]},
        },
        "required": ["city", "degrees", "sky"],
        "additionalProperties": False,
    },
}


# The small model may find no end of calling: this is enough for as many calls as an answer may have.
CALLS = {"max_output_tokens": 2048}


def choice(mode):
    return {"tool_choice": mode, **(CALLS if mode == "any" else {})}


def allowed(mode, *names):
    return {"tool_choice": {"allowed_tools": {"mode": mode, "tools": list(names)}}, **(CALLS if mode == "any" else {})}


def result(call, value, **fields):
    return {"type": "function_result", "call_id": call.id, "name": call.name, "result": value, **fields}


def requested(interaction):
    """The calls of an interaction that waits for their results."""
    assert_interaction(interaction, status="requires_action")
    return [(call.name, call.arguments) for call in calls(interaction)]


def freely_requested(interaction):
    """The calls of an answer that need not have any; as any other answer it may have been cut."""
    waits = calls(interaction) and interaction.status != "incomplete"
    assert_interaction(interaction, status="requires_action" if waits else None)
    return [(call.name, call.arguments) for call in calls(interaction)]


# Calls.


def test_a_call_ends_requires_action_and_is_stored(scripted, tell):
    interaction = tell("How is the weather in Oslo?", tools=TOOLS)
    assert requested(interaction) == [("get_weather", {"city": "Oslo"})]
    assert [step.type for step in interaction.steps] == ["function_call"]
    assert not interaction.output_text
    stored = scripted.interactions.get(interaction.id)
    assert_interaction(stored, status="requires_action")
    assert generated(stored) == plain(interaction.steps)


def test_parallel_calls_have_ids_of_their_own(tell):
    interaction = tell("The weather in Paris and Tokyo?", tools=TOOLS)
    assert requested(interaction) == [
        ("get_weather", {"city": "Paris", "unit": "celsius"}),
        ("get_weather", {"city": "Tokyo"}),
    ]
    both = tell("Give me weather and time.", tools=TOOLS)
    assert [name for name, _ in requested(both)] == ["get_weather", "get_time"]


def test_text_before_a_call_stays_an_answer_of_its_own(tell):
    interaction = tell("Is it sunny in Lisbon?", tools=TOOLS)
    assert [step.type for step in interaction.steps] == ["thought", "model_output", "function_call"]
    assert interaction.steps[1].content[0].text == "Let me look."
    assert requested(interaction) == [("get_weather", {"city": "Lisbon"})]


def test_arguments_of_any_characters_arrive_whole(tell):
    name = 'São Tomé "quoted" \\ 日本 🦀\n'
    assert requested(tell("The weather in São Tomé?", tools=TOOLS)) == [("get_weather", {"city": name})]


def test_function_without_parameters_is_called_with_none(tell):
    assert requested(tell("Where am I?", tools=[PLACE])) == [("get_place", {})]


def test_a_tool_that_is_not_needed_is_not_called(tell):
    interaction = tell("Hello!", tools=TOOLS)
    assert_interaction(interaction, status="completed")
    assert interaction.output_text == "Hello there."


def test_stream_shows_a_call_as_head_fragments_and_stop(scripted, tell):
    events = list(tell("The weather in Paris and Tokyo?", tools=TOOLS, stream=True))
    assert_events(events, status="requires_action")
    heads = [event for event in events if isinstance(event, StepStart)]
    assert [(head.index, head.step.type, head.step.name) for head in heads] == [
        (0, "function_call", "get_weather"),
        (1, "function_call", "get_weather"),
    ]
    assert all(head.step.arguments == {} for head in heads)
    deltas = [event for event in events if isinstance(event, StepDelta)]
    assert {event.delta.type for event in deltas} == {"arguments_delta"}
    for head, city in zip(heads, ("Paris", "Tokyo")):
        fragments = [event.delta.arguments for event in deltas if event.index == head.index]
        assert json.loads("".join(fragments))["city"] == city
    id = events[0].interaction.id
    assert fold(events) == generated(scripted.interactions.get(id))
    assert plain(list(scripted.interactions.get(id, stream=True))) == plain(events)


def test_stream_of_thought_text_and_call_folds_to_the_stored_steps(scripted, tell):
    events = list(tell("Is it sunny in Lisbon?", tools=TOOLS, stream=True))
    assert_events(events, status="requires_action")
    assert fold(events) == generated(scripted.interactions.get(events[0].interaction.id))
    for index, event in enumerate(events):
        rest = scripted.interactions.get(events[0].interaction.id, stream=True, last_event_id=event.event_id)
        assert plain(list(rest)) == plain(events[index + 1 :]), f"after event {index}"


def test_background_calls_end_requires_action(scripted, tell):
    started = tell("How is the weather in Oslo?", tools=TOOLS, background=True)
    assert started.status == "in_progress"
    waiting = poll(scripted, started.id)
    assert requested(waiting) == [("get_weather", {"city": "Oslo"})]
    answered = tell([result(calls(waiting)[0], "22 degrees")], previous_interaction_id=started.id, background=True)
    assert poll(scripted, answered.id).output_text == "It is 22 degrees."


# Results.


@pytest.mark.parametrize(
    "form",
    [
        "22 degrees",
        [{"type": "text", "text": "22 degrees"}],
        [{"type": "text", "text": "22"}, {"type": "text", "text": "degrees"}],
        {"degrees": 22, "wind": {"from": ["north", None]}},
    ],
    ids=["string", "list", "list of two", "object"],
)
def test_result_of_every_form_is_answered(scripted, tell, form):
    waiting = tell("How is the weather in Oslo?", tools=TOOLS)
    sent = result(calls(waiting)[0], form)
    answered = tell([sent], previous_interaction_id=waiting.id, tools=TOOLS)
    assert_interaction(answered, status="completed")
    assert [step.type for step in answered.steps] == ["model_output"], "no step of an earlier turn"
    assert answered.output_text == "It is 22 degrees."
    stored = scripted.interactions.get(answered.id).steps[0].to_dict(mode="json")
    assert {key: stored[key] for key in sent} == sent


def test_result_needs_neither_a_name_nor_the_tools_again(tell):
    waiting = tell("How is the weather in Oslo?", tools=TOOLS)
    bare = {"type": "function_result", "call_id": calls(waiting)[0].id, "result": "22 degrees"}
    assert tell([bare], previous_interaction_id=waiting.id).output_text == "It is 22 degrees."


def test_failed_function_is_told_to_the_model(tell):
    waiting = tell("How is the weather in Oslo?", tools=TOOLS)
    failed = result(calls(waiting)[0], "out of order", is_error=True)
    answered = tell([failed], previous_interaction_id=waiting.id, tools=TOOLS)
    assert answered.output_text == "The station is out of order."


@pytest.mark.parametrize("backwards", [False, True])
def test_results_of_parallel_calls_come_in_any_order(tell, backwards):
    waiting = tell("The weather in Paris and Tokyo?", tools=TOOLS)
    results = [result(call, f"22 degrees in {call.arguments['city']}") for call in calls(waiting)]
    answered = tell(results[:: -1 if backwards else 1], previous_interaction_id=waiting.id, tools=TOOLS)
    assert_interaction(answered, status="completed")
    assert answered.output_text == "It is 22 degrees."


def test_text_may_follow_the_results(tell):
    waiting = tell("How is the weather in Oslo?", tools=TOOLS)
    words = {"type": "user_input", "content": [{"type": "text", "text": "Hello again!"}]}
    answered = tell([result(calls(waiting)[0], "22 degrees"), words], previous_interaction_id=waiting.id)
    assert answered.output_text == "Hello there."


def run(call):
    return {"get_place": "You are in Oslo", "get_weather": {"degrees": 22}}[call.name]


def test_stateful_loop_of_a_client_comes_to_its_end(tell):
    """Each round sends the results alone; one call builds on the result of another."""
    input, previous, seen = "Where am I, and how is the weather there?", None, []
    for _ in range(4):
        interaction = tell(input, tools=TOOLS, previous_interaction_id=previous)
        waiting = calls(interaction)
        seen += waiting
        if not waiting:
            break
        input, previous = [result(call, run(call)) for call in waiting], interaction.id
    assert_interaction(interaction, status="completed")
    assert interaction.output_text == "It is 22 degrees."
    assert [call.name for call in seen] == ["get_place", "get_weather"]
    assert len({call.id for call in seen}) == 2, "ids are unique in a conversation"


def test_stateless_loop_of_a_client_comes_to_its_end(tell):
    """Each round sends everything: what was asked, every step as it came, and the results."""
    history = [{"type": "user_input", "content": [{"type": "text", "text": "Where am I, and how is the weather there?"}]}]
    names = []
    for _ in range(4):
        interaction = tell(history, tools=TOOLS, store=False)
        history += [step.model_dump() for step in interaction.steps]
        waiting = calls(interaction)
        names += [call.name for call in waiting]
        history += [result(call, run(call)) for call in waiting]
        if not waiting:
            break
    assert_interaction(interaction, status="completed")
    assert interaction.output_text == "It is 22 degrees."
    assert names == ["get_place", "get_weather"]


def test_stateless_thought_text_and_call_may_be_sent_back(tell):
    question = {"type": "user_input", "content": [{"type": "text", "text": "Is it sunny in Lisbon?"}]}
    waiting = tell([question], tools=TOOLS, store=False)
    steps = [step.model_dump() for step in waiting.steps]
    answered = tell([question, *steps, result(calls(waiting)[0], "22 degrees")], tools=TOOLS, store=False)
    assert_interaction(answered, status="completed")
    assert answered.output_text == "It is 22 degrees."


def test_ids_of_calls_differ_over_forks_and_turns(tell):
    first = tell("How is the weather in Oslo?", tools=TOOLS)
    ids = [call.id for call in calls(first)]
    for _ in range(3):
        answered = tell([result(calls(first)[0], "You are in Oslo")], previous_interaction_id=first.id, tools=TOOLS)
        ids += [call.id for call in calls(answered)]
    assert len(ids) == 4
    assert len(set(ids)) == 4


# Choices.


@pytest.mark.parametrize(
    "config",
    [
        {},
        choice("auto"),
        choice("validated"),
        choice("any"),
        allowed("auto", "get_weather"),
        allowed("validated", "get_weather", "get_time"),
        allowed("any", "get_weather"),
    ],
    ids=str,
)
def test_choice_that_permits_a_call_lets_it_through(tell, config):
    interaction = tell("How is the weather in Oslo?", tools=TOOLS, generation_config=config)
    assert requested(interaction) == [("get_weather", {"city": "Oslo"})]


@pytest.mark.parametrize(
    "config",
    [{}, choice("auto"), choice("validated"), choice("none"), allowed("auto", "get_time"),
     allowed("validated", "get_time"), allowed("none", "get_weather"), allowed("none")],
    ids=str,
)
def test_choice_that_forces_no_call_lets_text_through(tell, config):
    interaction = tell("Hello!", tools=TOOLS, generation_config=config)
    assert_interaction(interaction, status="completed")
    assert interaction.output_text == "Hello there."


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (choice("any"), {"get_weather", "get_time"}),
        (allowed("any", "get_weather"), {"get_weather"}),
        (allowed("any", "get_time"), {"get_time"}),
    ],
    ids=str,
)
@pytest.mark.own_engine
def test_any_always_calls_with_arguments_that_conform(ask, config, names):
    """By construction: also for a model that has never seen a function, at any temperature."""
    for input, sampling in (("Tell me a joke.", {}), ("Weather in Rome?", {"temperature": 1.0, "seed": 3})):
        interaction = ask(input, tools=[WEATHER, TIME], generation_config={**config, **sampling})
        called = requested(interaction)
        assert {name for name, _ in called} <= names
        for name, arguments in called:
            ARGUMENTS[name].model_validate(arguments)
        assert {step.type for step in interaction.steps} <= {"thought", "function_call"}


@pytest.mark.parametrize(
    "config", [choice("auto"), choice("validated"), allowed("auto", "get_time"), allowed("validated", "get_time")],
    ids=str,
)
def test_free_choice_ends_with_text_or_with_conforming_calls(ask, config):
    interaction = ask("What time is it in Rome?", tools=[WEATHER, TIME], generation_config=config)
    for name, arguments in freely_requested(interaction):
        ARGUMENTS[name].model_validate(arguments)


@pytest.mark.parametrize("config", [choice("none"), allowed("none", "get_time")], ids=str)
def test_none_never_calls(ask, config):
    interaction = ask("What time is it in Rome?", tools=[WEATHER, TIME], generation_config=config)
    assert_interaction(interaction)
    assert not calls(interaction)


@pytest.mark.own_engine
def test_forced_call_streams_and_is_answered_on_the_real_engine(client, ask):
    events = list(ask("Weather in Rome?", tools=[WEATHER], stream=True, generation_config=choice("any")))
    assert_events(events, status="requires_action")
    waiting = client.interactions.get(events[0].interaction.id)
    assert fold(events) == generated(waiting)
    for _, arguments in requested(waiting):
        GetWeather.model_validate(arguments)
    results = [result(call, "Sunny, 22 degrees") for call in calls(waiting)]
    answered = ask(
        results, tools=[WEATHER], previous_interaction_id=waiting.id, generation_config={**choice("none")}
    )
    assert_interaction(answered)
    assert_clean(answered.output_text)
    # Functions that may not be called are not in the prompt, but the call and its result are.
    assert answered.usage.total_input_tokens > waiting.usage.total_output_tokens


@pytest.mark.own_engine
def test_forced_call_in_the_background_and_unstored(client, ask):
    started = ask("Weather in Rome?", tools=[WEATHER], background=True, generation_config=choice("any"))
    requested(poll(client, started.id))
    question = {"type": "user_input", "content": [{"type": "text", "text": "Weather in Rome?"}]}
    waiting = ask([question], tools=[WEATHER], store=False, generation_config=choice("any"))
    requested(waiting)
    steps = [step.model_dump() for step in waiting.steps]
    results = [result(call, {"degrees": 22}) for call in calls(waiting)]
    answered = ask([question, *steps, *results], tools=[WEATHER], store=False, generation_config=choice("none"))
    assert_interaction(answered)


# Functions and a schema at once.


def test_calls_are_free_and_the_last_answer_obeys_the_schema(tell):
    waiting = tell("How is the weather in Oslo?", tools=TOOLS, response_format=REPORT)
    assert requested(waiting) == [("get_weather", {"city": "Oslo"})]
    answered = tell(
        [result(calls(waiting)[0], "22 degrees, for the report")],
        tools=TOOLS,
        response_format=REPORT,
        previous_interaction_id=waiting.id,
    )
    assert_interaction(answered, status="completed")
    assert json.loads(answered.output_text) == {"city": "Oslo", "degrees": 22, "sky": None}


def assert_report(text):
    value = json.loads(text)
    assert set(value) == {"city", "degrees", "sky"}
    assert isinstance(value["city"], str) and len(value["city"]) <= 20
    assert type(value["degrees"]) is int
    assert value["sky"] in ("clear", "cloudy", None)


@pytest.mark.own_engine
def test_real_engine_keeps_both_promises_at_once(ask):
    both = {"tools": [WEATHER], "response_format": REPORT}
    silent = ask("Weather in Rome?", **both, generation_config=choice("none"))
    assert_interaction(silent, status="completed")
    assert_report(silent.output_text)
    forced = ask("Weather in Rome?", **both, generation_config=choice("any"))
    requested(forced)
    free = ask("Weather in Rome?", **both, generation_config=CALLS)
    if not freely_requested(free):
        assert_report(free.output_text)
    results = [result(call, "22 degrees") for call in calls(forced)]
    answered = ask(results, **both, previous_interaction_id=forced.id, generation_config=choice("none"))
    assert_interaction(answered, status="completed")
    assert_report(answered.output_text)


def test_calls_of_a_model_that_repeats_itself_wait_for_their_results(tell):
    assert requested(tell("The weather, over and over", tools=TOOLS)) == [("get_weather", {"city": "Oslo"})] * 2


# Calls that never become one.


@pytest.mark.parametrize("input", ["die inside a call", "stop inside a call", "no such unit"])
def test_call_that_is_cut_or_does_not_conform_fails_and_is_no_step(scripted, tell, input):
    for interaction in (tell(input, tools=TOOLS), poll(scripted, tell(input, tools=TOOLS, background=True).id)):
        assert_interaction(interaction, status="failed")
        assert not calls(interaction)
        assert interaction.errors[0].code and interaction.errors[0].message
    events = list(tell(input, tools=TOOLS, stream=True))
    assert_failed(events)
    stored = scripted.interactions.get(events[0].interaction.id)
    assert not calls(stored)
    assert fold(events) == generated(stored)


@pytest.mark.parametrize("input", ["stop inside a call", "no such unit"])
def test_malformed_call_has_a_code_of_its_own(tell, input):
    assert tell(input, tools=TOOLS).errors[0].code == "malformed_function_call"


def test_text_before_a_call_that_was_cut_is_kept(tell):
    for input in ("die inside a call", "stop inside a call"):
        interaction = tell(input, tools=TOOLS)
        assert [step.type for step in interaction.steps] == ["model_output"]
        assert interaction.output_text.strip() == "One moment."


def test_call_before_one_that_was_cut_is_kept_and_can_be_answered(tell):
    cut = tell("die inside the second call", tools=TOOLS)
    assert_interaction(cut, status="failed")
    assert [(call.name, call.arguments) for call in calls(cut)] == [("get_weather", {"city": "Oslo"})]
    answered = tell([result(calls(cut)[0], "22 degrees")], previous_interaction_id=cut.id, tools=TOOLS)
    assert answered.output_text == "It is 22 degrees."


def test_call_that_the_token_limit_cuts_is_incomplete_and_no_step(scripted, tell):
    limit = {"max_output_tokens": 1}
    interaction = tell("How is the weather in Oslo?", tools=TOOLS, generation_config=limit)
    assert_interaction(interaction, status="incomplete")
    assert not calls(interaction)
    assert not calls(scripted.interactions.get(interaction.id))


def test_conversation_goes_on_after_a_call_that_was_cut(tell):
    cut = tell("die inside a call", tools=TOOLS)
    assert tell("Hello!", previous_interaction_id=cut.id).output_text == "Hello there."


# Refusals.


@pytest.mark.parametrize(
    ("tools", "path"),
    [
        ([{**WEATHER, "name": "get weather"}], "tools[0].name"),
        ([{**WEATHER, "name": ""}], "tools[0].name"),
        ([{**WEATHER, "name": "1st"}], "tools[0].name"),
        ([{**WEATHER, "name": "f<|im_end|>"}], "tools[0].name"),
        ([TIME, {**WEATHER, "name": "é"}], "tools[1].name"),
        ([{**WEATHER, "name": "f" * 200}], "tools[0].name"),
        ([{"type": "function"}], "tools[0].name"),
        ([WEATHER, TIME, WEATHER], "tools[2].name"),
        ([{**WEATHER, "parameters": {"type": "string"}}], "tools[0].parameters"),
        ([{**WEATHER, "parameters": {"type": "array", "items": {}}}], "tools[0].parameters"),
        ([TIME, {**WEATHER, "parameters": "city"}], "tools[1].parameters"),
        ([{**WEATHER, "parameters": []}], "tools[0].parameters"),
        ([{"type": "no_such_tool"}], "tools[0].type"),
    ],
)
def test_bad_declaration_is_refused_by_path(tell, tools, path):
    with pytest.raises(BadRequestError) as refused:
        tell("Hello!", tools=tools)
    check(refused, 400, "invalid_request", path)


def test_bad_schema_of_parameters_is_refused_by_its_json_pointer(tell):
    parameters = {"type": "object", "properties": {"city": {"type": "text"}}}
    with pytest.raises(BadRequestError) as refused:
        tell("Hello!", tools=[TIME, {**WEATHER, "parameters": parameters}])
    check(refused, 400, "invalid_request", "tools[1].parameters", "/properties/city")


@pytest.mark.parametrize(
    ("tools", "config", "path"),
    [
        ([], choice("any"), "generation_config.tool_choice"),
        ([WEATHER], choice("sometimes"), "generation_config.tool_choice"),
        ([WEATHER], allowed("any"), "generation_config.tool_choice"),
        ([WEATHER], allowed("sometimes", "get_weather"), "generation_config.tool_choice.allowed_tools.mode"),
        ([WEATHER], allowed("auto", "get_weather", "get_time"), "generation_config.tool_choice.allowed_tools.tools[1]"),
        ([], allowed("auto", "get_time"), "generation_config.tool_choice.allowed_tools.tools[0]"),
    ],
    ids=str,
)
def test_choice_that_nothing_can_meet_is_refused_by_path(tell, tools, config, path):
    with pytest.raises(BadRequestError) as refused:
        tell("Hello!", tools=tools, generation_config=config)
    check(refused, 400, "invalid_request", path)


def test_result_of_a_call_that_was_never_made_is_refused(tell):
    unknown = {"type": "function_result", "call_id": "call_none", "result": "22 degrees"}
    waiting = tell("How is the weather in Oslo?", tools=TOOLS)
    known = result(calls(waiting)[0], "22 degrees")
    hello = {"type": "user_input", "content": [{"type": "text", "text": "Hello!"}]}
    for request, path in (
        ({"input": [unknown]}, "input[0].call_id"),
        ({"input": [hello, unknown], "store": False}, "input[1].call_id"),
        ({"input": [known, unknown], "previous_interaction_id": waiting.id}, "input[1].call_id"),
        ({"input": [known]}, "input[0].call_id"),
    ):
        with pytest.raises(BadRequestError) as refused:
            tell(**request)
        check(refused, 400, "invalid_request", path, "call")


def test_result_that_is_missing_is_refused_and_named(tell):
    waiting = tell("The weather in Paris and Tokyo?", tools=TOOLS)
    first, second = calls(waiting)
    for input in ([result(first, "22 degrees")], "Never mind"):
        with pytest.raises(BadRequestError) as refused:
            tell(input, previous_interaction_id=waiting.id)
        check(refused, 400, "invalid_request", "input", second.id)
    steps = [step.model_dump() for step in waiting.steps]
    question = {"type": "user_input", "content": [{"type": "text", "text": "The weather in Paris and Tokyo?"}]}
    with pytest.raises(BadRequestError) as refused:
        tell([question, *steps, result(second, "22 degrees")], store=False)
    check(refused, 400, "invalid_request", "input", first.id)


def test_second_result_for_one_call_is_refused(tell):
    waiting = tell("How is the weather in Oslo?", tools=TOOLS)
    once = result(calls(waiting)[0], "22 degrees")
    with pytest.raises(BadRequestError) as refused:
        tell([once, once], previous_interaction_id=waiting.id)
    check(refused, 400, "invalid_request", "input[1].call_id", calls(waiting)[0].id)
    answered = tell([once], previous_interaction_id=waiting.id)
    with pytest.raises(BadRequestError) as refused:
        tell([once], previous_interaction_id=answered.id)
    check(refused, 400, "invalid_request", "input[0].call_id")


def test_result_under_another_name_is_refused(tell):
    waiting = tell("How is the weather in Oslo?", tools=TOOLS)
    with pytest.raises(BadRequestError) as refused:
        tell([result(calls(waiting)[0], "22 degrees", name="get_time")], previous_interaction_id=waiting.id)
    check(refused, 400, "invalid_request", "input[0].name")


def test_refused_results_leave_the_calls_waiting(tell):
    waiting = tell("How is the weather in Oslo?", tools=TOOLS)
    with pytest.raises(BadRequestError):
        tell("Never mind", previous_interaction_id=waiting.id)
    assert tell([result(calls(waiting)[0], "22 degrees")], previous_interaction_id=waiting.id).status == "completed"


def test_image_in_a_result_is_refused_by_path_until_it_is_served(tell):
    waiting = tell("How is the weather in Oslo?", tools=TOOLS)
    image = {"type": "image", "data": "iVBORw0KGgo=", "mime_type": "image/png"}
    with pytest.raises(BadRequestError) as refused:
        tell(
            [result(calls(waiting)[0], [{"type": "text", "text": "22 degrees"}, image])],
            previous_interaction_id=waiting.id,
        )
    check(refused, 400, "invalid_request", "input[0].result[1]", "image")


def test_conversation_cannot_end_with_a_call(tell):
    history = [
        {"type": "user_input", "content": [{"type": "text", "text": "Hi"}]},
        {"type": "function_call", "id": "call_1", "name": "get_time", "arguments": {"city": "Oslo"}},
    ]
    with pytest.raises(BadRequestError) as refused:
        tell(history, store=False, tools=TOOLS)
    check(refused, 400, "invalid_request", "input[1]")
