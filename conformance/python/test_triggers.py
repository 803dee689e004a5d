"""Triggers as a program of the SDK uses them: made, run, paused, and what came of it."""

import time

import pytest
from google.genai._interactions import BadRequestError, NotFoundError
from shapes import assert_typed

AGENT = "antigravity-preview-05-2026"
WORK = {
    "agent": AGENT,
    "input": "Keep the harbour note",
    "environment": "remote",
    "tools": [{"type": "code_execution"}],
}


@pytest.fixture
def triggers(scripted):
    return scripted.triggers


@pytest.fixture
def make(triggers):
    made = []

    def create(**request):
        # A time that does not come while the suite runs.
        request = {"schedule": "0 4 29 2 *", "time_zone": "Europe/Lisbon", "interaction": WORK, **request}
        trigger = triggers.create(**request)
        made.append(trigger.id)
        assert_typed(trigger)
        return trigger

    yield create
    for id in made:
        try:
            triggers.delete(id=id)
        except NotFoundError:
            # Deleted by the test itself.
            pass


@pytest.fixture
def ended(triggers):
    """The executions of a trigger, once none is in progress; the latest first."""

    def wait(trigger):
        while True:
            listed = triggers.list_executions(trigger_id=trigger.id)
            assert_typed(listed)
            if all(execution.status != "in_progress" for execution in listed.trigger_executions):
                return listed.trigger_executions
            time.sleep(0.1)

    return wait


def test_a_trigger_is_made_and_shown(triggers, make):
    made = make(display_name="Leap day", execution_timeout_seconds=60, max_consecutive_failures=2)
    assert (made.schedule, made.time_zone, made.display_name) == ("0 4 29 2 *", "Europe/Lisbon", "Leap day")
    assert (made.status, made.consecutive_failure_count) == ("active", 0)
    assert (made.execution_timeout_seconds, made.max_consecutive_failures) == (60, 2)
    assert (made.interaction.agent, made.interaction.environment) == (AGENT, "remote")
    assert made.create_time.tzinfo and made.next_run_time > made.create_time
    assert (made.next_run_time.month, made.next_run_time.day, made.next_run_time.hour) == (2, 29, 4)
    assert triggers.get(id=made.id) == made
    assert made.id in [trigger.id for trigger in triggers.list(filter_='status = "active"', page_size=1000).triggers]


def test_every_run_works_in_one_environment(triggers, make, ended, scripted):
    trigger = make()
    begun = triggers.run(trigger_id=trigger.id)
    assert_typed(begun)
    # It may have ended already.
    assert begun.trigger_id == trigger.id and begun.status in ("in_progress", "completed")
    [first] = ended(trigger)
    assert (first.id, first.status, first.error) == (begun.id, "completed", None)
    assert first.end_time >= first.start_time and first.scheduled_time.tzinfo
    interaction = scripted.interactions.get(first.interaction_id)
    assert (interaction.status, interaction.agent) == ("completed", AGENT)
    assert interaction.output_text == "The note says that the harbour is blue."
    triggers.run(trigger_id=trigger.id)
    second, _ = ended(trigger)
    assert second.environment_id == first.environment_id == interaction.environment_id
    shown = triggers.get(id=trigger.id)
    assert (shown.environment_id, shown.previous_interaction_id) == (first.environment_id, second.interaction_id)
    assert shown.last_run_time == second.start_time


def test_it_is_paused_and_runs_when_it_is_told(triggers, make, ended):
    trigger = make()
    paused = triggers.update(id=trigger.id, status="paused", display_name="Later")
    assert_typed(paused)
    assert (paused.status, paused.display_name, paused.next_run_time) == ("paused", "Later", None)
    assert paused.last_pause_time
    triggers.run(trigger_id=trigger.id)
    assert [execution.status for execution in ended(trigger)] == ["completed"]
    resumed = triggers.update(id=trigger.id, status="active")
    assert resumed.next_run_time and resumed.last_resume_time and resumed.display_name == "Later"


def test_failures_are_told_and_end_it(triggers, make, ended, scripted):
    environment = scripted.environments.create().id
    trigger = make(interaction={**WORK, "environment": environment}, max_consecutive_failures=1)
    scripted.environments.delete(id=environment)
    triggers.run(trigger_id=trigger.id)
    [execution] = ended(trigger)
    assert execution.status == "failed" and environment in execution.error
    shown = triggers.get(id=trigger.id)
    assert (shown.status, shown.consecutive_failure_count, shown.next_run_time) == ("error", 1, None)


@pytest.mark.parametrize(
    "request_, words",
    [
        ({"schedule": "every day"}, "schedule"),
        ({"schedule": "0 0 30 2 *"}, "schedule"),
        ({"time_zone": "Lisbon"}, "time_zone"),
        ({"interaction": {**WORK, "tools": [{"type": "google_maps"}]}}, "interaction.tools[0].type"),
        ({"execution_timeout_seconds": 0}, "execution_timeout_seconds"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(triggers, make, request_, words):
    with pytest.raises(BadRequestError) as refused:
        make(**request_)
    assert f"`{words}`" in str(refused.value)


def test_what_is_not_there(triggers, make):
    trigger = make()
    triggers.delete(id=trigger.id)
    for ask in (triggers.get, triggers.delete):
        with pytest.raises(NotFoundError):
            ask(id=trigger.id)
    with pytest.raises(NotFoundError):
        triggers.run(trigger_id=trigger.id)
    with pytest.raises(NotFoundError):
        triggers.list_executions(trigger_id=trigger.id)
    with pytest.raises(NotFoundError):
        make(environment_id="env_nobodys", interaction={key: WORK[key] for key in ("agent", "input")})
