"""Streams: the events of a run, live, again, and from where a connection was cut."""

import asyncio

import pytest
from conftest import ESSAY, GREEDY, MODEL, QUESTION
from google import genai
from google.genai._interactions import BadRequestError, NotFoundError
from google.genai.interactions import StepDelta
from shapes import assert_clean, assert_ended, assert_events, assert_typed, fold, generated, plain


def interaction_id(events):
    return events[0].interaction.id


def test_stream_has_the_documented_order_indexes_and_ids(ask):
    events = list(ask(QUESTION, stream=True))
    assert_events(events)
    assert events[0].interaction.model == MODEL
    assert sum(isinstance(event, StepDelta) for event in events) >= 1


def test_fold_of_a_stream_equals_the_stored_interaction(client, ask):
    events = list(ask(QUESTION, stream=True))
    stored = client.interactions.get(interaction_id(events))
    last = events[-1].interaction
    assert fold(events) == generated(stored)
    assert plain([last.usage]) == plain([stored.usage])
    assert (last.status, last.created, last.updated) == (stored.status, stored.created, stored.updated)
    assert_clean(stored.output_text)


def test_stream_ends_incomplete_at_max_output_tokens(ask):
    events = list(ask(ESSAY, stream=True, generation_config={"max_output_tokens": 9}))
    last = events[-1].interaction
    assert_events(events, status=last.status)
    assert (last.status == "incomplete") == (last.usage.total_output_tokens == 9)
    assert_ended(last.status, last.usage, limit=9)


def test_get_as_stream_replays_a_finished_run_exactly(client, ask):
    events = list(ask(QUESTION, stream=True))
    replayed = list(client.interactions.get(interaction_id(events), stream=True))
    assert plain(replayed) == plain(events)


def test_get_as_stream_of_a_run_that_was_not_streamed(client, ask):
    interaction = ask(QUESTION)
    events = list(client.interactions.get(interaction.id, stream=True))
    assert_events(events)
    assert fold(events) == generated(interaction)


def test_resume_after_any_event_yields_exactly_the_rest(client, ask):
    events = list(ask(QUESTION, stream=True))
    for index, event in enumerate(events):
        rest = client.interactions.get(
            interaction_id(events), stream=True, last_event_id=event.event_id
        )
        assert plain(list(rest)) == plain(events[index + 1 :]), f"after event {index}"


@pytest.mark.parametrize("kept", [1, 2, 3, 4, 8, 16])
def test_connection_cut_mid_stream_loses_nothing(client, ask, kept):
    """The run goes on without its client; what was seen and the rest are the whole stream."""
    # How many tokens an event has is a matter of time: enough of them that so many events come.
    length = max(60, 20 * kept)
    stream = ask(ESSAY, stream=True, generation_config={"max_output_tokens": length})
    seen = [next(stream) for _ in range(kept)]
    stream.close()
    rest = list(
        client.interactions.get(
            interaction_id(seen), stream=True, last_event_id=seen[-1].event_id
        )
    )
    whole = list(client.interactions.get(interaction_id(seen), stream=True))
    assert plain(seen + rest) == plain(whole)
    assert_events(whole, status=whole[-1].interaction.status)
    assert whole[-1].interaction.status in ("completed", "incomplete")


def test_background_run_can_be_streamed_from_the_start(client, ask):
    events = list(ask(QUESTION, stream=True, background=True))
    assert_events(events)
    assert fold(events) == generated(client.interactions.get(interaction_id(events)))


def test_two_followers_of_a_live_run_see_the_same_events(client, started):
    first = client.interactions.get(started.id, stream=True)
    second = client.interactions.get(started.id, stream=True)
    left, right = zip(*((next(first), next(second)) for _ in range(12)))
    first.close()
    second.close()
    assert plain(left) == plain(right)


def test_stream_of_an_unstored_interaction_leaves_nothing_behind(client, ask):
    events = list(ask(QUESTION, stream=True, store=False))
    assert_events(events)
    with pytest.raises(NotFoundError):
        client.interactions.get(interaction_id(events))


def test_unknown_last_event_id_is_refused(client, ask):
    interaction = ask("Hi")
    with pytest.raises(BadRequestError) as refused:
        list(client.interactions.get(interaction.id, stream=True, last_event_id="no-such-event"))
    assert refused.value.body["error"]["code"] == "invalid_request"


def test_stream_of_an_unknown_interaction_is_a_plain_404(client):
    with pytest.raises(NotFoundError):
        client.interactions.get("v1_thereisnosuchthing", stream=True)


def test_refusal_of_a_streamed_request_is_a_plain_http_error(ask):
    with pytest.raises(NotFoundError) as refused:
        ask("Hi", stream=True, model="no-such-model")
    assert refused.value.body["error"]["code"] == "model_not_found"


def test_async_client_streams():
    async def run():
        async with genai.Client().aio as client:
            stream = await client.interactions.create(
                model=MODEL, input=QUESTION, stream=True, generation_config=GREEDY
            )
            events = [event async for event in stream]
            for event in events:
                assert_typed(event)
            assert_events(events)

    asyncio.run(run())
