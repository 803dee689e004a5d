"""What an answer must look like once the SDK has parsed it.

The SDK validates nothing on a 200: an unknown event, step or enum value, a field of the
wrong type and a field it never heard of all pass silently. These checks make each of them fail.
"""

import json
import re
from typing import Any

from google.genai._gaos.types.basemodel import UnrecognizedInt, UnrecognizedStr
from google.genai.interactions import (
    Interaction,
    InteractionCompletedEvent,
    InteractionCreatedEvent,
    InteractionStatusUpdate,
    StepDelta,
    StepStart,
    StepStop,
    Usage,
)
from pydantic import BaseModel

# Documented on the wire but not typed by the SDK, which keeps them as extra attributes.
UNTYPED_FIELDS = {
    "Interaction": {"object", "error"},
    "Environment": {"environment_id", "type"},
    "InteractionSseEventInteraction": {"errors", "error", "environment_id", "previous_interaction_id"},
    "FileSearchCallStep": {"arguments"},
    "FileSearchResultStep": {"result", "is_error"},
    "FileSearchCallDelta": {"arguments"},
    "FileSearchResultDelta": {"is_error"},
    "ToolSearchResultStep": {"is_error"},
    "ToolSearchResultDelta": {"is_error"},
    "ProcessingResultStep": {"x_media"},
    "ProcessingResultDelta": {"x_media"},
}

TERMINAL = {"completed", "failed", "cancelled", "incomplete", "requires_action", "budget_exceeded"}
# The limit that `ask` sets, in tokens.
LONGEST_ANSWER = 200
CALL_ID = re.compile(r"[a-z0-9]{8}|call_[A-Za-z0-9_-]+")
ID = re.compile(r"v1_[A-Za-z0-9_-]{1,200}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def assert_typed(value: Any, path: str = "") -> None:
    """Fails if the SDK did not know a type, a value or a field anywhere inside `value`."""
    if isinstance(value, BaseModel):
        name = type(value).__name__
        path = path or name
        assert not getattr(value, "is_unknown", False), f"{path}: the SDK knows no such {name}: {value.raw}"
        extras = set(value.model_extra or {}) - UNTYPED_FIELDS.get(name, set())
        assert not extras, f"{path}: the SDK knows no field {sorted(extras)} of {name}"
        for field in type(value).model_fields:
            assert_typed(value.__dict__.get(field), f"{path}.{field}")
        if path == name:
            # The response was read leniently; reading it again strictly finds wrong types.
            type(value).model_validate(value.to_dict(mode="json"))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            assert_typed(item, f"{path}[{index}]")
    else:
        # Aliases and enums are open strings to the SDK; `model` and `agent` are names of the caller's choice.
        unknown = isinstance(value, (UnrecognizedStr, UnrecognizedInt)) and not path.endswith((".model", ".agent"))
        assert not unknown, f"{path}: the SDK knows no value {value!r}"


def assert_clean(text: str) -> None:
    """Text a person can be shown: something is there, and no token of a chat template is."""
    assert isinstance(text, str) and text.strip(), f"expected text, got {text!r}"
    for mark in ("<|", "|>", "<s>", "</s>", "<think>", "</think>", "<tool_call>", "\ufffd", "\x00"):
        assert mark not in text, f"{mark!r} in {text!r}"


def assert_usage(usage: Usage) -> None:
    """Spec of usage: plain counts, and total = input + output + thought + tool use."""
    assert usage is not None, "usage is missing"
    counts = {
        name: getattr(usage, f"total_{name}_tokens")
        for name in ("input", "output", "thought", "tool_use", "cached")
    }
    for name, count in counts.items():
        assert type(count) is int and count >= 0, f"total_{name}_tokens is {count!r}"
    assert counts["input"] > 0
    assert counts["cached"] <= counts["input"]
    parts = counts["input"] + counts["output"] + counts["thought"] + counts["tool_use"]
    assert usage.total_tokens == parts, counts
    for name in ("input", "output", "cached", "tool_use"):
        by_modality = getattr(usage, f"{name}_tokens_by_modality")
        if by_modality:
            assert sum(part.tokens for part in by_modality) == counts[name], name


def assert_ended(status: str, usage: Usage, limit: int = LONGEST_ANSWER) -> None:
    """It completed; only an answer as long as its limit may have been cut, since the small model does
    not always find its end."""
    cut = usage.total_output_tokens + usage.total_thought_tokens >= limit
    assert status == "completed" or (cut and status == "incomplete"), (status, usage)


def assert_interaction(interaction: Interaction, status: str | None = None) -> None:
    """A finished text interaction as every caller of the API may rely on it.

    Without a `status` it ended as an answer of `ask` does.
    """
    assert_typed(interaction)
    assert isinstance(interaction, Interaction)
    if status is None:
        assert_ended(interaction.status, interaction.usage)
    else:
        assert interaction.status == status, interaction
    assert ID.fullmatch(interaction.id), interaction.id
    assert interaction.object == "interaction"
    assert TIME.fullmatch(interaction.created) and TIME.fullmatch(interaction.updated)
    assert interaction.created <= interaction.updated
    assert_usage(interaction.usage)
    for step in interaction.steps:
        if step.type == "thought":
            assert step.signature, "a thought carries a signature"
        if step.type == "model_output":
            assert isinstance(step.content, list)
    called = calls(interaction)
    assert len({call.id for call in called}) == len(called), "ids of calls are unique"
    for call in called:
        assert CALL_ID.fullmatch(call.id), call.id
        assert isinstance(call.arguments, dict)
    if called:
        assert interaction.steps[-len(called) :] == called, f"the calls come last: {plain(interaction.steps)}"
    if interaction.status == "requires_action":
        assert called
        assert not interaction.errors
    if interaction.status == "completed":
        assert not interaction.errors
        assert not called, "nobody waits for the result of a call"
        assert interaction.steps[-1].type == "model_output"
        assert interaction.steps[-1].content[0].text
        assert_clean(interaction.output_text)


def assert_events(events: list[Any], status: str | None = None) -> None:
    """The order, indexes and ids of a whole stream, from `interaction.created` to the end.

    Without a `status` it ended as an answer of `ask` does.
    """
    for event in events:
        assert_typed(event)
    ids = [event.event_id for event in events]
    assert all(ids), "every event carries an event_id"
    assert len(set(ids)) == len(ids), "event ids are unique"

    created, completed = events[0], events[-1]
    assert isinstance(created, InteractionCreatedEvent)
    assert created.interaction.status in ("queued", "in_progress")
    assert isinstance(completed, InteractionCompletedEvent)
    assert completed.interaction.id == created.interaction.id
    if status is None:
        assert_ended(completed.interaction.status, completed.interaction.usage)
    else:
        assert completed.interaction.status == status
    assert completed.interaction.steps is None, "the last event repeats no steps"
    assert_usage(completed.interaction.usage)

    statuses = [event for event in events if isinstance(event, InteractionStatusUpdate)]
    assert statuses and statuses[0] is events[1], "`in_progress` follows `interaction.created`"
    assert statuses[0].status == "in_progress"
    assert all(update.interaction_id == created.interaction.id for update in statuses)

    stopped = 0
    open_step = None
    for event in events[1:-1]:
        if isinstance(event, InteractionStatusUpdate):
            assert open_step in (None, "function_call"), "a status update does not cut a step in two"
            continue
        assert isinstance(event, (StepStart, StepDelta, StepStop)), type(event)
        assert event.index == stopped, "one step at a time, indexes from 0 without a gap"
        assert isinstance(event, StepStart) == (open_step is None), "start, deltas, stop"
        if isinstance(event, StepStart):
            open_step = event.step.type
        elif isinstance(event, StepStop):
            open_step = None
            stopped += 1
    # A call that stops is whole, so one that was cut does not: clients run what they see stop.
    cut = open_step == "function_call" and completed.interaction.status in ("failed", "incomplete", "cancelled")
    assert open_step is None or cut, "every step that starts also stops"


def assert_failed(events: list[Any]) -> Any:
    """A stream that failed after it began: orderly to its end, with one error, which is given back."""
    assert_events([event for event in events if event.event_type != "error"], status="failed")
    (error,) = [event.error for event in events if event.event_type == "error"]
    assert_typed(error)
    assert error.code and error.message
    return error


def fold(events: list[Any]) -> list[dict[str, Any]]:
    """The steps that a client accumulates from a stream, as plain JSON."""
    steps: list[dict[str, Any]] = []
    arguments: dict[int, str] = {}
    for event in events:
        if isinstance(event, StepStart):
            steps.append(event.step.to_dict(mode="json"))
            if event.step.type == "function_call":
                assert event.step.arguments == {}, "the arguments come in deltas"
                arguments[event.index] = ""
        elif isinstance(event, StepDelta):
            step, delta = steps[event.index], event.delta
            if delta.type == "text":
                content = step.setdefault("content", [])
                if not content:
                    content.append({"type": "text", "text": ""})
                content[-1]["text"] += delta.text
            elif delta.type == "thought_summary":
                step.setdefault("summary", []).append(delta.content.to_dict(mode="json"))
            elif delta.type == "thought_signature":
                step["signature"] = delta.signature
            elif delta.type == "arguments_delta":
                arguments[event.index] += delta.arguments
            elif delta.type == "text_annotation_delta":
                content = step["content"]
                content[-1].setdefault("annotations", []).extend(note.to_dict(mode="json") for note in delta.annotations)
            elif delta.type == "image":
                step.setdefault("content", []).append(delta.to_dict(mode="json"))
            elif delta.type == step["type"] and delta.type.endswith("_call"):
                arguments_of_call = delta.arguments
                # Those of `file_search` are not typed by the SDK.
                typed = isinstance(arguments_of_call, BaseModel)
                step["arguments"] = arguments_of_call.to_dict(mode="json") if typed else arguments_of_call
            elif delta.type == step["type"] and delta.type.endswith("_result"):
                told = delta.to_dict(mode="json")
                if isinstance(told.get("result"), str):
                    told["result"] = step.get("result", "") + told["result"]
                step.update(told)
            else:
                raise AssertionError(f"no step has a delta of type {delta.type!r}")
        elif isinstance(event, StepStop) and event.index in arguments:
            steps[event.index]["arguments"] = json.loads(arguments.pop(event.index))
    # A call that did not stop was cut: it is none.
    return [step for index, step in enumerate(steps) if index not in arguments]


def concluded(answer: Any) -> tuple[list[dict[str, Any]], Usage]:
    """The steps and the usage of a completed interaction, whether it is told whole or by a stream."""
    if isinstance(answer, Interaction):
        assert_interaction(answer, "completed")
        return plain(answer.steps), answer.usage
    events = list(answer)
    assert_events(events)
    return fold(events), events[-1].interaction.usage


def goes_on(tell: Any, first: Interaction, asked: str, then: str, stream: bool, tools: list[Any]) -> list[dict[str, Any]]:
    """The steps of a turn after `first`, which `asked` began: the same where the server keeps that and where it is sent."""

    def user(text: str) -> dict[str, Any]:
        return {"type": "user_input", "content": [{"type": "text", "text": text}]}

    def without_ids(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        own = ("id", "call_id", "signature")
        return [{key: value for key, value in step.items() if key not in own} for step in steps]

    request: dict[str, Any] = {"tools": tools, "stream": stream}
    steps, usage = concluded(tell(then, previous_interaction_id=first.id, **request))
    input = [user(asked), *plain(first.steps), user(then)]
    replayed, counted = concluded(tell(input, store=False, **request))
    assert without_ids(steps) == without_ids(replayed)
    alone = tell(then, tools=tools).usage
    assert usage.total_input_tokens == counted.total_input_tokens > alone.total_input_tokens
    return steps


def calls(interaction: Interaction) -> list[Any]:
    """What the client is asked to run."""
    return [step for step in interaction.steps if step.type == "function_call"]


def plain(values: list[Any]) -> list[dict[str, Any]]:
    """SDK objects as the JSON that was on the wire, to be compared whole."""
    return [value.to_dict(mode="json") for value in values]


def generated(interaction: Interaction) -> list[dict[str, Any]]:
    """The steps of an interaction that were generated, without the input that GET shows first."""
    return plain([step for step in interaction.steps if step.type != "user_input"])


def check(refused: Any, status: int, code: str, *named: str) -> None:
    """What `pytest.raises` caught is the documented error, and its message names these."""
    error = refused.value
    assert error.status_code == status
    assert set(error.body) == {"error"}, error.body
    assert error.body["error"]["code"] == code, error.body
    message = error.body["error"]["message"]
    assert message
    for name in named:
        assert name in message, f"{name!r} is not named in {message!r}"
