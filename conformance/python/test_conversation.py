"""Conversations: state kept by the server, history sent by the client, forks and unkept turns."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import ESSAY, QUESTION
from google.genai._interactions import BadRequestError, NotFoundError
from shapes import assert_interaction, generated

DOGS = "I have 2 dogs in my house."
PAWS = "How many paws are in my house?"


def test_second_turn_sees_the_first_and_reuses_its_tokens(ask):
    first = ask(DOGS)
    second = ask(PAWS, previous_interaction_id=first.id)
    assert_interaction(second)
    assert second.previous_interaction_id == first.id
    both = first.usage.total_input_tokens + first.usage.total_output_tokens
    assert second.usage.total_input_tokens > both
    assert second.usage.total_cached_tokens > 0


def test_each_turn_of_a_chain_sees_all_turns_before_it(ask):
    turn = ask(DOGS)
    for question in (PAWS, "And tails?", "And noses?"):
        following = ask(question, previous_interaction_id=turn.id)
        assert following.usage.total_input_tokens > turn.usage.total_input_tokens
        assert following.usage.total_cached_tokens > 0
        turn = following


def test_a_turn_returns_only_its_own_steps(client, ask):
    first = ask(DOGS)
    second = ask(PAWS, previous_interaction_id=first.id)
    stored = client.interactions.get(second.id)
    assert [step.type for step in stored.steps].count("user_input") == 1
    assert stored.steps[0].content[0].text == PAWS
    assert generated(stored) == generated(second)


def test_history_sent_by_the_client_is_seen(client, ask):
    """The guide's stateless loop: `model_dump()` of every step is sent back unchanged."""
    history = [{"type": "user_input", "content": [{"type": "text", "text": DOGS}]}]
    first = ask(history, store=False)
    assert_interaction(first)
    history += [step.model_dump() for step in first.steps]
    history.append({"type": "user_input", "content": [{"type": "text", "text": PAWS}]})
    second = ask(history, store=False)
    assert_interaction(second)
    both = first.usage.total_input_tokens + first.usage.total_output_tokens
    assert second.usage.total_input_tokens > both
    for interaction in (first, second):
        with pytest.raises(NotFoundError):
            client.interactions.get(interaction.id)


def test_forks_of_one_turn_do_not_see_each_other(ask):
    root = ask(DOGS)
    left = ask("Name one of them Rex, and say so.", previous_interaction_id=root.id)
    right = ask(PAWS, previous_interaction_id=root.id)
    again = ask(PAWS, previous_interaction_id=root.id)
    assert len({root.id, left.id, right.id, again.id}) == 4
    assert right.usage.total_input_tokens == again.usage.total_input_tokens
    below_left = ask(PAWS, previous_interaction_id=left.id)
    assert below_left.usage.total_input_tokens > right.usage.total_input_tokens


def test_ten_clients_on_one_conversation_are_ten_forks(ask):
    root = ask(DOGS)

    def fork(_):
        return ask(PAWS, previous_interaction_id=root.id, generation_config={"max_output_tokens": 12})

    with ThreadPoolExecutor(10) as clients:
        forks = list(clients.map(fork, range(10)))
    assert len({fork.id for fork in forks}) == 10
    assert len({fork.usage.total_input_tokens for fork in forks}) == 1
    for fork in forks:
        assert_interaction(fork, status=fork.status)
        assert fork.status in ("completed", "incomplete")
        assert fork.previous_interaction_id == root.id


def test_system_instruction_is_not_inherited(ask):
    # A short answer: what is counted below is the instruction, not what the model says to it.
    short = {"max_output_tokens": 5}
    first = ask("Hi", system_instruction="Always be polite to everyone you meet. " * 20, generation_config=short)
    second = ask("Bye", previous_interaction_id=first.id)
    assert second.usage.total_input_tokens < first.usage.total_input_tokens


def test_an_incomplete_turn_can_be_continued(ask):
    first = ask(ESSAY, generation_config={"max_output_tokens": 2})
    assert first.status == "incomplete"
    assert_interaction(ask("Go on", previous_interaction_id=first.id))


def test_an_unstored_turn_is_no_history(ask):
    unstored = ask("Hi", store=False)
    assert_interaction(unstored)
    with pytest.raises(NotFoundError) as refused:
        ask("Bye", previous_interaction_id=unstored.id)
    assert refused.value.body["error"]["code"] == "not_found"


def test_an_unstored_turn_may_follow_a_stored_one(ask):
    first = ask(DOGS)
    second = ask(PAWS, previous_interaction_id=first.id, store=False)
    assert_interaction(second)
    assert second.usage.total_input_tokens > first.usage.total_input_tokens


def test_a_running_turn_is_no_history_yet(ask, started):
    with pytest.raises(BadRequestError):
        ask("And then?", previous_interaction_id=started.id)
