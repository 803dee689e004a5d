"""Pictures in answers: the language model draws, here by a script, and the server paints it."""

import base64
import struct

import pytest
from google.genai._interactions import BadRequestError
from shapes import assert_events, assert_typed, assert_usage, fold, generated

IMAGE = "gemini-3.1-flash-image"


@pytest.fixture
def paint(scripted):
    def paint(input, **request):
        return scripted.interactions.create(model=IMAGE, input=input, **request)

    return paint


def assert_picture(interaction):
    """A completed interaction that ends with a picture and says what it is; the picture's bytes."""
    assert_typed(interaction)
    assert interaction.status == "completed" and not interaction.errors
    assert_usage(interaction.usage)
    (part,) = interaction.steps[-1].content
    assert part.data == interaction.output_image.data
    return base64.b64decode(part.data, validate=True)


def size(png):
    """Width and height of a PNG."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


def test_output_image_is_a_picture_that_says_what_it_is(paint):
    interaction = paint("Paint a house")
    assert size(assert_picture(interaction)) == (1024, 1024)
    assert interaction.output_image.mime_type == "image/png"
    thought = interaction.steps[0]
    assert thought.signature
    assert "vector drawing" in thought.summary[0].text and "`scripted`" in thought.summary[0].text
    (modality,) = interaction.usage.output_tokens_by_modality
    assert (modality.modality, modality.tokens) == ("image", 2)


def test_shape_size_and_encoding_are_honoured(paint):
    wide = paint("Paint a house", response_format={"type": "image", "aspect_ratio": "16:9", "image_size": "512"})
    assert size(assert_picture(wide)) == (688, 384)
    jpeg = paint("Paint a house", response_format=[{"type": "image", "mime_type": "image/jpeg"}])
    assert assert_picture(jpeg).startswith(b"\xff\xd8\xff")
    assert jpeg.output_image.mime_type == "image/jpeg"
    tall = paint("Paint a house", generation_config={"image_config": {"aspect_ratio": "9:16", "image_size": "1K"}})
    assert size(assert_picture(tall)) == (768, 1376)


def test_a_later_turn_changes_the_picture(paint):
    first = paint("Paint a house")
    kept = paint("Make the sky darker", previous_interaction_id=first.id)
    assert assert_picture(kept) != assert_picture(first)
    steps = [{"type": "user_input", "content": [{"type": "text", "text": "Paint a house"}]}]
    steps += [step.model_dump(exclude_none=True) for step in first.steps]
    steps += [{"type": "user_input", "content": [{"type": "text", "text": "Make the sky darker"}]}]
    replayed = paint(steps, store=False)
    assert assert_picture(replayed) == assert_picture(kept)
    assert replayed.usage.total_input_tokens == kept.usage.total_input_tokens


def test_a_stream_has_the_picture_once(paint, scripted):
    events = list(paint("Paint a house", stream=True))
    assert_events(events)
    pictures = [event for event in events if event.event_type == "step.delta" and event.delta.type == "image"]
    assert len(pictures) == 1
    stored = scripted.interactions.get(events[0].interaction.id)
    assert fold(events) == generated(stored)
    assert stored.output_image.data == pictures[0].delta.data


def test_words_come_before_the_picture(paint):
    interaction = paint("Paint a boat", response_format=[{"type": "text"}, {"type": "image", "image_size": "512"}])
    assert size(assert_picture(interaction)) == (512, 512)
    assert interaction.output_text == "A boat on a lake."
    hinted = paint("Paint a boat", response_modalities=["TEXT", "IMAGE"])
    assert (hinted.output_text, hinted.output_image.mime_type) == ("A boat on a lake.", "image/png")


def test_a_picture_may_come_as_a_file(paint, scripted):
    interaction = paint("Paint a house", response_format={"type": "image", "image_size": "512", "delivery": "uri"})
    assert interaction.status == "completed" and interaction.output_image.data is None
    name = interaction.output_image.uri
    file = scripted.files.get(name=name)
    assert (file.mime_type, file.source.value) == ("image/png", "GENERATED")
    assert size(scripted.files.download(file=name)) == size(scripted.files.download(file=file)) == (512, 512)
    assert any(listed.name == name for listed in scripted.files.list())
    scripted.files.delete(name=name)


def test_what_cannot_be_shown_is_no_image(paint):
    interaction = paint("Paint nothing")
    assert interaction.status == "failed"
    assert interaction.errors[0].code == "no_image"
    assert interaction.output_image is None


def test_what_a_picture_is_not_is_refused_by_name(paint):
    def refused(input="Paint a house", **request):
        with pytest.raises(BadRequestError) as raised:
            paint(input, **request)
        return str(raised.value)

    assert "response_format.delivery" in refused(response_format={"type": "image", "delivery": "post"})
    assert "response_format" in refused(response_format=[{"type": "object"}, {"type": "image"}])
    assert "tools" in refused(tools=[{"type": "function", "name": "f"}])
    picture = {"type": "image", "data": "aGk=", "mime_type": "image/png"}
    assert "input[0].content[1]" in refused([{"type": "text", "text": "Blue"}, picture])
