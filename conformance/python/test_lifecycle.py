"""The life of a stored interaction: background, get, cancel, delete."""

import pytest
from conftest import ESSAY, MODEL, QUESTION, poll
from google.genai._interactions import BadRequestError, NotFoundError
from shapes import (
    ID,
    assert_clean,
    assert_events,
    assert_interaction,
    assert_typed,
    fold,
    generated,
    plain,
)


def test_background_run_answers_at_once_and_completes_when_polled(client, ask):
    started = ask(QUESTION, background=True)
    assert_typed(started)
    assert started.status == "in_progress"
    assert started.object == "interaction"
    assert started.model == MODEL
    assert ID.fullmatch(started.id)
    finished = poll(client, started.id)
    assert_interaction(finished)
    assert finished.id == started.id


def test_background_run_can_be_read_while_it_runs(client, started):
    running = client.interactions.get(started.id)
    assert_typed(running)
    assert running.status == "in_progress"


def test_get_returns_the_input_first_and_then_what_was_generated(client, ask):
    interaction = ask(QUESTION)
    stored = client.interactions.get(interaction.id)
    assert_interaction(stored)
    assert stored.steps[0].type == "user_input"
    assert stored.steps[0].content[0].text == QUESTION
    assert plain(stored.steps[1:]) == plain(interaction.steps)
    assert stored.output_text == interaction.output_text
    assert (stored.created, stored.updated) == (interaction.created, interaction.updated)
    # Only the answer to create carries what the SDK itself adds.
    assert stored.usage.total_tokens == interaction.usage.total_tokens
    assert stored.usage.total_cached_tokens == interaction.usage.total_cached_tokens


def test_get_twice_is_the_same(client, ask):
    id = ask(QUESTION).id
    assert plain([client.interactions.get(id)]) == plain([client.interactions.get(id)])


def test_include_input_fills_the_input_and_only_then(client, ask):
    id = ask(QUESTION).id
    assert client.interactions.get(id).input is None
    stored = client.interactions.get(id, include_input=True)
    assert_typed(stored)
    assert QUESTION in str(stored.input)
    assert client.interactions.get(id, include_input=False).input is None


def test_unstored_interaction_cannot_be_read(client, ask):
    interaction = ask("Hi", store=False)
    assert_interaction(interaction)
    with pytest.raises(NotFoundError) as refused:
        client.interactions.get(interaction.id)
    assert refused.value.body["error"]["code"] == "not_found"


@pytest.mark.own_engine
def test_cancel_ends_a_background_run_and_is_final(client, started):
    cancelled = client.interactions.cancel(started.id)
    assert_typed(cancelled)
    assert cancelled.id == started.id
    assert cancelled.status == "cancelled"
    stored = client.interactions.get(started.id)
    assert_interaction(stored, status="cancelled")
    again = client.interactions.cancel(started.id)
    assert again.status == "cancelled"
    assert plain([client.interactions.get(started.id)]) == plain([stored])


def test_cancelled_run_keeps_what_it_had_written(client, started):
    live = client.interactions.get(started.id, stream=True)
    seen = [next(live) for _ in range(6)]
    client.interactions.cancel(started.id)
    events = seen + list(live)
    assert_events(events, status="cancelled")
    stored = client.interactions.get(started.id)
    assert fold(events) == generated(stored)
    assert_clean(stored.output_text)


def test_cancel_of_a_completed_run_is_refused(client, ask):
    ended = ask("Hi")
    with pytest.raises(BadRequestError) as refused:
        client.interactions.cancel(ended.id)
    assert refused.value.body["error"]["code"] == "failed_precondition"
    assert client.interactions.get(ended.id).status == ended.status


def test_cancel_of_an_unknown_interaction_is_404(client):
    with pytest.raises(NotFoundError):
        client.interactions.cancel("v1_thereisnosuchthing")


def test_deleted_interaction_is_gone_for_every_operation(client, ask):
    id = ask("Hi").id
    assert client.interactions.delete(id) is None
    for operation in (
        client.interactions.get,
        client.interactions.cancel,
        client.interactions.delete,
        lambda id: list(client.interactions.get(id, stream=True)),
        lambda id: ask("Bye", previous_interaction_id=id),
    ):
        with pytest.raises(NotFoundError) as refused:
            operation(id)
        assert refused.value.body["error"]["code"] == "not_found"


def test_chain_across_a_deleted_turn_is_404(client, ask):
    first = ask("Hi")
    second = ask("Bye", previous_interaction_id=first.id)
    client.interactions.delete(first.id)
    assert client.interactions.get(second.id).output_text == second.output_text
    with pytest.raises(NotFoundError):
        ask("Hello again", previous_interaction_id=second.id)


def test_delete_of_a_running_interaction_stops_it_first(client, started):
    client.interactions.delete(started.id)
    with pytest.raises(NotFoundError):
        client.interactions.get(started.id)


def test_client_that_hangs_up_does_not_stop_a_stored_run(client, ask):
    stream = ask(ESSAY, stream=True, generation_config={"max_output_tokens": 40})
    id = next(stream).interaction.id
    stream.close()
    finished = poll(client, id)
    assert_interaction(finished, status=finished.status)
    assert finished.status in ("completed", "incomplete")
