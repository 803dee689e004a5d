"""Structured output: an answer that completed is one text part of JSON that conforms to its schema.

What the small model writes is silly; its form is always right.
"""

from datetime import date
from enum import Enum
from typing import Annotated, Literal, Optional, Union
from uuid import UUID

import pytest
from conftest import poll
from google.genai._interactions import BadRequestError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from shapes import assert_events, assert_failed, assert_interaction, check, fold, generated

CITY = "Describe the city of Oslo."


class Sky(str, Enum):
    CLEAR = "clear"
    CLOUDY = "cloudy"


class Weather(BaseModel):
    """What the scripted model reports, too."""

    city: str
    degrees: int
    sky: Optional[Sky] = None


class Mayor(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(description="First and last name", pattern=r"^[A-Z][a-z]{1,12} [A-Z][a-z]{1,12}$")
    since: date
    party: Literal["left", "right", "none"] = "none"


class City(BaseModel):
    name: str = Field(max_length=30)
    mayor: Mayor
    former_mayors: list[Mayor] = Field(min_length=1, max_length=2)
    id: UUID
    coast: bool


class Measures(BaseModel):
    people: int = Field(ge=1000, le=2_000_000)
    share: float = Field(ge=0, le=1)
    position: tuple[int, int]
    districts: list[Literal["east", "west", "north", "south"]] = Field(min_length=2, max_length=4)
    winter: Optional[Weather]


class Node(BaseModel):
    label: Literal["a", "b"]
    children: list["Node"] = Field(default=[], max_length=2)


class Walk(BaseModel):
    kind: Literal["walk"]
    minutes: int = Field(ge=0, le=90)


class Tram(BaseModel):
    kind: Literal["tram"]
    line: Literal[11, 12, 13]


class Trip(BaseModel):
    legs: list[Annotated[Union[Walk, Tram], Field(discriminator="kind")]] = Field(min_length=1, max_length=3)


MODELS = [Weather, City, Measures, Node, Trip]


def tagged(schema):
    return {"type": "text", "mime_type": "application/json", "schema": schema}


WEATHER = Weather.model_json_schema()
FORMS = {
    "tagged": {"response_format": tagged(WEATHER)},
    "tagged without a MIME type": {"response_format": {"type": "text", "schema": WEATHER}},
    "list of one": {"response_format": [tagged(WEATHER)]},
    "bare schema": {"response_format": WEATHER},
    "list of one bare schema": {"response_format": [WEATHER]},
    "bare schema and MIME type": {"response_format": WEATHER, "response_mime_type": "application/json"},
}


def read(interaction, model):
    """The answer of a completed interaction, parsed and validated as a caller would."""
    assert_interaction(interaction, status="completed")
    assert [part.type for part in interaction.steps[-1].content] == ["text"]
    return model.model_validate_json(interaction.output_text)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@pytest.mark.own_engine
def test_answer_conforms_to_the_schema_of_a_pydantic_model(ask, model):
    read(ask(CITY, response_format=tagged(model.model_json_schema())), model)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_format_means_the_same(ask, form):
    read(ask("What is the weather in Oslo?", **FORMS[form]), Weather)


@pytest.mark.parametrize(
    ("bare", "type"),
    [
        (Node.model_json_schema(), Node),
        (TypeAdapter(Union[Walk, Tram]).json_schema(), Union[Walk, Tram]),
        (TypeAdapter(Sky).json_schema(), Sky),
        ({"enum": ["yes", "no"]}, Literal["yes", "no"]),
        (TypeAdapter(list[Sky]).json_schema(), list[Sky]),
        ({"type": "integer", "minimum": 3, "maximum": 5}, Annotated[int, Field(ge=3, le=5)]),
        ({"type": ["boolean", "null"]}, Optional[bool]),
    ],
    ids=["$ref", "anyOf", "enum", "enum without a type", "array", "integer", "list of types"],
)
def test_bare_schema_of_any_kind_is_a_schema(ask, bare, type):
    """To one without `type` the SDK adds `"type": "text"`; its other keys still say what it is."""
    interaction = ask(CITY, response_format=bare)
    assert_interaction(interaction, status="completed")
    TypeAdapter(type).validate_json(interaction.output_text)


@pytest.mark.own_engine
def test_json_without_a_schema_is_still_json(ask):
    for wanted in (
        {"response_mime_type": "application/json"},
        {"response_format": {"type": "text", "mime_type": "application/json"}},
    ):
        interaction = ask("List two colours as JSON.", **wanted)
        assert_interaction(interaction, status="completed")
        assert isinstance(TypeAdapter(Union[dict, list]).validate_json(interaction.output_text), (dict, list))


def test_plain_text_formats_ask_for_nothing(ask):
    plain = {"type": "text", "mime_type": "text/plain"}
    # The same prompt. Its answers may differ by a word: what is cached changes the arithmetic.
    read = {
        ask("Hi", **wanted).usage.total_input_tokens
        for wanted in ({}, {"response_format": plain}, {"response_format": [{"type": "text"}]},
                       {"response_mime_type": "text/plain"})
    }
    assert len(read) == 1


@pytest.mark.own_engine
def test_texts_of_a_stream_join_to_the_answer(client, ask):
    events = list(ask(CITY, stream=True, response_format=tagged(City.model_json_schema())))
    assert_events(events)
    texts = [event.delta.text for event in events
             if event.event_type == "step.delta" and event.delta.type == "text"]
    assert len(texts) > 1
    City.model_validate_json("".join(texts))
    stored = client.interactions.get(events[0].interaction.id)
    assert fold(events) == generated(stored)
    assert read(stored, City) == City.model_validate_json("".join(texts))


@pytest.mark.own_engine
def test_background_answer_conforms_when_polled(client, ask):
    started = ask(CITY, background=True, response_format=tagged(City.model_json_schema()))
    assert started.status == "in_progress"
    read(poll(client, started.id), City)


def test_unstored_answer_conforms(ask):
    read(ask(CITY, store=False, response_format=tagged(WEATHER)), Weather)


def test_answer_in_a_conversation_conforms(ask):
    first = ask("I live in Oslo.")
    second = ask("What is the weather there?", previous_interaction_id=first.id, response_format=tagged(WEATHER))
    read(second, Weather)
    assert second.usage.total_input_tokens > first.usage.total_input_tokens


@pytest.mark.parametrize("limit", [1, 2, 4, 8, 16, 32, 64])
def test_short_limit_ends_with_valid_json_or_says_incomplete(ask, limit):
    options = {"max_output_tokens": limit, "temperature": 0.8, "seed": limit}
    interaction = ask(CITY, response_format=tagged(City.model_json_schema()), generation_config=options)
    assert interaction.usage.total_output_tokens <= limit
    if interaction.status == "completed":
        read(interaction, City)
    else:
        assert_interaction(interaction, status="incomplete")


def test_long_lists_are_closed_when_the_limit_comes_near(ask):
    """A schema without bounds, which the small model would go on filling for ever."""
    schema = tagged({"type": "array", "items": {"type": "string"}, "minItems": 2})
    interaction = ask("List all cities of Europe.", response_format=schema, generation_config={"max_output_tokens": 80})
    assert_interaction(interaction, status="completed")
    assert len(TypeAdapter(list[str]).validate_json(interaction.output_text)) >= 2


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "object", "properties": {"a": {"type": "text"}}}, ["/properties/a"]),
        ({"type": "object", "properties": {"a": {"enum": []}}}, ["/properties/a"]),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/None"}}}, ["/properties/a"]),
        ({"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}}, ["/properties/a"]),
        ({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}, ["/properties/a"]),
        ({"type": "object", "properties": {"a": {"type": "integer", "minimum": 3, "maximum": 2}}}, ["/properties/a"]),
        ({"type": "object", "properties": {"a": {"type": "array", "minItems": 3, "maxItems": 2}}}, ["/properties/a"]),
        ({"type": "object", "properties": {"a/b": {"type": "text"}}}, ["/properties/a~1b"]),
        ({"type": "object", "required": "a"}, ["/required"]),
    ],
)
def test_bad_schema_is_refused_by_its_json_pointer(ask, schema, named):
    for wanted in (tagged(schema), schema):
        with pytest.raises(BadRequestError) as refused:
            ask("Hi", response_format=wanted)
        check(refused, 400, "invalid_request", "response_format", *named)


@pytest.mark.parametrize("schema", ["object", True, 7, [{"type": "object"}]])
def test_schema_that_is_no_object_is_refused_by_path(ask, schema):
    with pytest.raises(BadRequestError) as refused:
        ask("Hi", response_format=tagged(schema))
    check(refused, 400, "invalid_request", "response_format.schema", "object")


def test_contradicting_formats_are_refused(ask):
    for request, path in (
        ({"response_format": {**tagged(WEATHER), "mime_type": "text/plain"}}, "response_format"),
        ({"response_format": WEATHER, "response_mime_type": "text/plain"}, "response_mime_type"),
        ({"response_format": tagged(WEATHER), "response_mime_type": "text/html"}, "response_mime_type"),
        ({"response_format": [tagged(WEATHER), tagged(WEATHER)]}, "response_format[1]"),
        ({"response_format": {"type": "text", "mime_type": "text/html"}}, "response_format.mime_type"),
    ):
        with pytest.raises(BadRequestError) as refused:
            ask("Hi", **request)
        check(refused, 400, "invalid_request", path)


def test_refusal_of_a_streamed_schema_is_a_plain_http_error(ask):
    with pytest.raises(BadRequestError) as refused:
        ask("Hi", stream=True, response_format=tagged({"type": "text"}))
    check(refused, 400, "invalid_request", "response_format.schema")


# Whatever a model does, an answer that does not conform is never called completed.


def test_scripted_answer_that_conforms_completes_in_one_part(tell):
    answer = read(tell("The weather as JSON, please.", response_format=tagged(WEATHER)), Weather)
    assert answer == Weather(city="Oslo", degrees=22, sky=None)


@pytest.mark.parametrize("input", ["nonsense", "half an answer"])
def test_scripted_answer_that_does_not_conform_fails_and_says_so(scripted, tell, input):
    interaction = tell(input, response_format=tagged(WEATHER))
    assert_interaction(interaction, status="failed")
    assert interaction.errors[0].code and interaction.errors[0].message
    stored = scripted.interactions.get(interaction.id)
    assert (stored.status, stored.errors) == ("failed", interaction.errors)
    events = list(tell(input, stream=True, response_format=tagged(WEATHER)))
    assert assert_failed(events).code == interaction.errors[0].code


def test_scripted_answer_that_is_cut_is_incomplete(tell):
    interaction = tell("as JSON", response_format=tagged(WEATHER), generation_config={"max_output_tokens": 1})
    assert_interaction(interaction, status="incomplete")


def test_format_is_of_one_turn_and_not_inherited(tell):
    first = tell("as JSON", response_format=tagged(WEATHER))
    second = tell("Hello!", previous_interaction_id=first.id)
    assert_interaction(second, status="completed")
    assert second.output_text == "Hello there."
