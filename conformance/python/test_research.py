"""Agents that research: a plan, searches, and a report that cites, in the background."""

import pytest
from conftest import poll
from google.genai._interactions import BadRequestError
from shapes import assert_typed, fold, generated

AGENT = "deep-research-preview-04-2026"
SEARCH = [{"type": "google_search"}]
TOLD = {"type": "deep-research", "thinking_summaries": "auto"}
TURNS = ["thought", "google_search_call", "google_search_result", "model_output"]


def research(client, input="Research the final", **request):
    request = {"background": True, "tools": SEARCH, "agent_config": TOLD, **request}
    return client.interactions.create(agent=AGENT, input=input, **request)


def kinds(interaction):
    return [step.type for step in interaction.steps if step.type != "user_input"]


def test_a_research_ends_with_a_report_that_cites(scripted):
    run = research(scripted)
    assert_typed(run)
    assert (run.status, run.agent) == ("in_progress", AGENT)
    done = poll(scripted, run.id)
    assert done.status == "completed", done
    assert kinds(done) == TURNS
    assert "Who won the final of the euro 2024?" in done.steps[-4].summary[0].text
    assert done.output_text.startswith("# The euro 2024\n\n## Who won the final of the euro 2024?\n\nSpain won the final")
    cited = [note.url for part in done.steps[-1].content for note in part.annotations or []]
    assert cited == ["https://example.org/euro-2024-final"]


def test_a_stream_shows_the_research_while_it_runs(scripted):
    events = list(research(scripted, stream=True))
    assert events[0].event_type == "interaction.created" and events[-1].event_type == "interaction.completed"
    stored = scripted.interactions.get(events[0].interaction.id)
    assert fold(events) == generated(stored)


def test_a_plan_is_agreed_on_first(scripted):
    planned = poll(scripted, research(scripted, agent_config={**TOLD, "collaborative_planning": True}).id)
    assert planned.status == "completed"
    assert kinds(planned) == ["thought", "model_output"]
    assert "1. Who won the final of the euro 2024?" in planned.output_text
    agreed = research(
        scripted, "Yes", agent_config={**TOLD, "collaborative_planning": True}, previous_interaction_id=planned.id
    )
    assert kinds(poll(scripted, agreed.id)) == TURNS


@pytest.mark.parametrize(
    "more, path",
    [
        ({"background": False}, "background"),
        ({"tools": [{"type": "code_execution"}]}, "tools"),
        ({"tools": [{"type": "google_search"}, {"type": "function", "name": "count"}]}, "tools[1].type"),
        ({"agent_config": {"type": "deep-research", "enable_bigquery_tool": True}}, "agent_config.enable_bigquery_tool"),
    ],
)
def test_what_a_research_does_not_take_is_refused_by_name(scripted, more, path):
    with pytest.raises(BadRequestError) as refused:
        research(scripted, **more)
    assert f"`{path}`" in str(refused.value)
