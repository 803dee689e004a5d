"""Agents: what they do in an environment, how it shows, and what stays there."""

import pytest
from google.genai._interactions import BadRequestError, NotFoundError
from shapes import assert_events, assert_typed, assert_usage, fold, generated

AGENT = "antigravity-preview-05-2026"
NOTE = "The harbour is blue."


@pytest.fixture
def work(scripted):
    """Runs the agent; its model says what `conformance/scripted` says."""

    def create(input, **request):
        request.setdefault("environment", "remote")
        return scripted.interactions.create(agent=AGENT, input=input, tools=[{"type": "code_execution"}], **request)

    return create


def kinds(interaction):
    return [step.type for step in interaction.steps]


def test_an_agent_writes_runs_and_answers(work, scripted):
    interaction = work("Keep the harbour note")
    assert_typed(interaction)
    assert_usage(interaction.usage)
    assert (interaction.status, interaction.agent) == ("completed", AGENT)
    assert interaction.environment_id
    assert kinds(interaction) == [
        "function_call", "function_result", "code_execution_call", "code_execution_result", "model_output",
    ]  # fmt: skip
    call, result, *_ = interaction.steps
    assert (call.name, call.arguments["path"]) == ("write_file", "notes/harbour.txt")
    assert (result.call_id, result.name, result.is_error) == (call.id, "write_file", False)
    assert interaction.output_text == "The note says that the harbour is blue."
    assert generated(scripted.interactions.get(interaction.id)) == generated(interaction)


def test_files_stay_in_the_environment_and_nowhere_else(work):
    first = work("Keep the harbour note")
    again = work("Read the harbour note", environment=first.environment_id)
    assert again.environment_id == first.environment_id
    assert kinds(again) == ["function_call", "function_result", "model_output"]
    assert NOTE in again.steps[1].result and again.output_text == "The note says that the harbour is blue."
    other = work("Read the harbour note")
    assert other.environment_id != first.environment_id
    assert other.steps[1].is_error and other.output_text == "There is no note."


def test_a_conversation_and_its_environment_are_two_things(work):
    first = work("Keep the harbour note")
    both = work("Read the harbour note", environment=first.environment_id, previous_interaction_id=first.id)
    alone = work("Read the harbour note", environment=first.environment_id)
    assert both.output_text == alone.output_text
    assert both.usage.total_input_tokens > alone.usage.total_input_tokens


def test_a_stream_shows_each_step(work, scripted):
    events = list(work("Keep the harbour note", stream=True))
    assert_events(events)
    stored = scripted.interactions.get(events[0].interaction.id)
    assert fold(events) == generated(stored)
    assert stored.environment_id


def test_a_budget_ends_it_incomplete(work):
    interaction = work("Keep the harbour note", agent_config={"type": "antigravity", "max_total_tokens": 5})
    assert interaction.status == "incomplete"
    assert kinds(interaction) == ["function_call", "function_result"]


def test_what_agents_do_not_take_is_refused_by_name(work, scripted):
    def refused(error, **request):
        with pytest.raises(error) as raised:
            work("Keep the harbour note", **request)
        return str(raised.value)

    assert "response_format" in refused(BadRequestError, response_format={"type": "text", "mime_type": "application/json"})
    assert "not found" in refused(NotFoundError, environment="env_unknown")
    with pytest.raises(NotFoundError):
        scripted.interactions.create(agent="nobody", input="Hello")
