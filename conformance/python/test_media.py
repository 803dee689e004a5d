"""Media that the model does not take: what is read for it, how that is said, and what is refused."""

import base64
import hashlib

import pytest
from google.genai._interactions import BadRequestError
from shapes import assert_events, assert_interaction, assert_typed, check, fold, generated, plain

PRICES = "produto;preço\npastel de nata;1.40\n".encode("cp1252")
QUESTION = {"type": "text", "text": "What does the pastry cost?"}


def document(data=PRICES, mime_type="text/csv; charset=windows-1252", **fields):
    return {"type": "document", "data": base64.b64encode(data).decode(), "mime_type": mime_type, **fields}


def test_a_document_is_read_and_says_how(tell):
    interaction = tell([QUESTION, document()])
    assert_interaction(interaction)
    assert interaction.output_text == "It costs 1.40."
    call, result, thought = interaction.steps[:3]
    assert [call.type, result.type, thought.type] == ["processing_call", "processing_result", "thought"]
    assert result.call_id == call.id and result.signature
    read = result.x_media
    assert (read["block"], read["kind"], read["route"]) == ("input[0].content[1]", "document", "perceive")
    assert read["sha256"] == hashlib.sha256(PRICES).hexdigest() and not read["truncated"]
    (summary,) = thought.summary
    assert "preço" in summary.text and "<media index=1 kind=document>" in summary.text
    (modality,) = interaction.usage.input_tokens_by_modality
    assert (modality.modality, modality.tokens) == ("text", interaction.usage.total_input_tokens)


def test_a_stream_shows_the_reading_before_the_answer(tell):
    events = list(tell([QUESTION, document()], stream=True))
    assert_events(events)
    steps = fold(events)
    assert [step["type"] for step in steps] == ["processing_call", "processing_result", "thought", "model_output"]
    assert steps[1]["x_media"]["kind"] == "document" and steps[1]["signature"]


def test_later_turns_know_what_was_read(tell):
    first = tell([QUESTION, document()])
    kept = tell("pastel de nata?", previous_interaction_id=first.id)
    assert_typed(kept)
    assert [step.type for step in kept.steps] == ["model_output"]
    user = {"type": "user_input", "content": [QUESTION, document()]}
    again = {"type": "user_input", "content": [{"type": "text", "text": "pastel de nata?"}]}
    replayed = tell([user, *plain(first.steps), again], store=False)
    assert generated(replayed) == generated(kept)
    assert replayed.usage.total_input_tokens == kept.usage.total_input_tokens


def test_a_file_of_the_project_is_given_by_its_uri(scripted, tell, tmp_path):
    path = tmp_path / "prices.csv"
    path.write_bytes(PRICES)
    file = scripted.files.upload(file=path, config={"mime_type": "text/csv"})
    for uri in (file.name, file.uri):
        interaction = tell([QUESTION, {"type": "document", "uri": uri}])
        assert interaction.output_text == "It costs 1.40."
    shown = scripted.interactions.get(interaction.id, include_input=True)
    (part,) = [part for part in shown.steps[0].content if part.type == "document"]
    assert (part.uri, part.data) == (file.uri, None)
    scripted.files.delete(name=file.name)
    with pytest.raises(BadRequestError) as refused:
        tell([QUESTION, {"type": "document", "uri": file.uri}])
    check(refused, 400, "invalid_request", "input[0].content[1].uri", file.name)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("part", "named"),
    [
        (document(b"\x89PNG\r\n\x1a\n"), ["mime_type", "text/csv", "image/png"]),
        (document(b"\x00\x01", mime_type=None), ["mime_type"]),
        (document(uri="files/x"), ["data", "uri"]),
        ({"type": "document", "mime_type": "text/csv"}, ["data", "uri"]),
        ({"type": "document", "uri": "http://example.com/a.csv"}, ["uri", "https"]),
        ({"type": "document", "uri": "https://127.0.0.1/a.csv"}, ["uri", "cannot fetch content"]),
        (document(processing={"type": "static", "page_options": {"start_page": 1}}), ["processing.page_options"]),
        ({"type": "video", "data": "AAAAGGZ0eXBpc29t", "mime_type": "video/mp4", "processing": "agentic"}, ["agentic"]),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_field(tell, part, named, stream):
    with pytest.raises(BadRequestError) as refused:
        tell([QUESTION, part], stream=stream)
    check(refused, 400, "invalid_request", *named)
