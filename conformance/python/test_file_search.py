"""File search stores as a program of the SDK uses them: made, filled, searched, cited, removed."""

import base64
import hashlib
import io
import itertools
import os

import httpx2 as httpx
import pytest
from google.genai import types
from google.genai._interactions import NotFoundError
from google.genai.errors import ClientError
from shapes import assert_events, assert_typed, assert_usage, fold, generated, goes_on

QUESTION = "Who opened the Colosseum?"
TITUS = "The Colosseum in Rome was opened by Titus in the year 80."
VESPASIAN = "The Colosseum in Rome was planned by Vespasian. It took ten years."
SENTENCE = "The Colosseum in Rome was opened by Titus in the year 80"


@pytest.fixture
def stores(scripted):
    return scripted.file_search_stores


@pytest.fixture
def store(stores):
    made = stores.create(config={"display_name": "Guides to Rome"})
    yield made
    try:
        stores.delete(name=made.name, config={"force": True})
    except ClientError as error:
        # Deleted by the test itself.
        assert error.code == 404, error


def put(stores, store, text, mime_type="text/plain", **config):
    content = text if isinstance(text, bytes) else text.encode()
    operation = stores.upload_to_file_search_store(
        file_search_store_name=store.name,
        file=io.BytesIO(content),
        config={"mime_type": mime_type, **config},
    )
    assert operation.done and operation.error is None
    assert operation.response.parent == store.name
    return operation


def tool(*stores, **options):
    return [{"type": "file_search", "file_search_store_names": [store.name for store in stores], **options}]


def cited(step):
    [part] = step.content
    whole = part.text.encode()
    return [(whole[note.start_index : note.end_index].decode(), note) for note in part.annotations or []]


def test_an_answer_cites_a_document(stores, store, tell, tmp_path):
    path = tmp_path / "guide.txt"
    path.write_text(TITUS)
    operation = stores.upload_to_file_search_store(
        file_search_store_name=store.name,
        file=str(path),
        config={"custom_metadata": [{"key": "year", "numeric_value": 2024}, {"key": "by", "string_value": "Ana"}]},
    )
    interaction = tell(QUESTION, tools=tool(store))
    assert_typed(interaction)
    assert_usage(interaction.usage)
    assert interaction.status == "completed", interaction.error
    assert [step.type for step in interaction.steps] == ["file_search_call", "file_search_result", "model_output"]
    call, result, answer = interaction.steps
    assert result.call_id == call.id and result.result == [] and not result.is_error
    assert interaction.output_text == f"{SENTENCE}. So it is old."
    [(span, note)] = cited(answer)
    assert (span, note.type, note.file_name) == (SENTENCE, "file_citation", "guide.txt")
    assert note.document_uri == operation.response.document_name
    assert (note.source, note.page_number) == (store.name, None)
    assert note.custom_metadata == {"year": 2024, "by": "Ana"}
    assert not interaction.usage.grounding_tool_count


def test_a_stream_tells_the_same(stores, store, tell, scripted):
    put(stores, store, TITUS)
    events = list(tell(QUESTION, tools=tool(store), stream=True))
    assert_events(events)
    stored = scripted.interactions.get(events[0].interaction.id)
    assert fold(events) == generated(stored)
    assert cited(stored.steps[-1])[0][0] == SENTENCE


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_goes_on_stored_and_replayed(stores, store, tell, stream):
    for text, by in [(TITUS, "Titus"), (VESPASIAN, "Vespasian")]:
        put(stores, store, text, display_name=f"{by}.txt", custom_metadata=[{"key": "by", "string_value": by}])
    titus, vespasian = (tool(store, metadata_filter=f'by = "{by}"') for by in ("Titus", "Vespasian"))
    first = tell(QUESTION, tools=titus)
    [answer] = goes_on(tell, first, QUESTION, "Hello?", stream, titus)
    assert answer["content"] == [{"type": "text", "text": "Hello there."}]
    steps = goes_on(tell, first, QUESTION, QUESTION, stream, vespasian)
    assert [step["type"] for step in steps] == ["file_search_call", "file_search_result", "model_output"]
    [part] = steps[-1]["content"]
    assert part["text"] == "The Colosseum in Rome was planned by Vespasian."
    assert [note["file_name"] for note in part["annotations"]] == ["Vespasian.txt"]


def test_metadata_choose_documents(stores, store, tell):
    put(stores, store, TITUS, custom_metadata=[{"key": "year", "numeric_value": 2024}])
    tags = types.CustomMetadata(key="tags", string_list_value=types.StringList(values=["old", "stone"]))
    put(stores, store, VESPASIAN, custom_metadata=[tags])
    for chosen, expected in [
        ("year = 2024", SENTENCE),
        ('tags = "old"', "The Colosseum in Rome was planned by Vespasian"),
        ("year > 2024", None),
    ]:
        interaction = tell(QUESTION, tools=tool(store, metadata_filter=chosen))
        assert [span for span, _ in cited(interaction.steps[-1])] == [expected] * (expected is not None), chosen


def test_top_k_bounds_what_the_model_is_told(stores, store, tell):
    for at in range(6):
        put(stores, store, f"Opened to visitors, the Colosseum of Rome. {TITUS} Note {at}.")
    few, many = (tell(QUESTION, tools=tool(store, top_k=count)).usage.total_tool_use_tokens for count in (1, 6))
    assert few * 2 < many


def test_a_page_of_a_pdf_is_cited(stores, store, tell):
    put(stores, store, pdf("A guide to the city.", TITUS), "application/pdf", display_name="rome.pdf")
    [(_, note)] = cited(tell(QUESTION, tools=tool(store)).steps[-1])
    assert (note.file_name, note.page_number) == ("rome.pdf", 2)


def test_what_is_not_in_the_documents(stores, store, tell):
    put(stores, store, TITUS)
    interaction = tell("Who built the Atlantis bridge?", tools=tool(store))
    assert interaction.output_text == "The documents do not say it."
    assert cited(interaction.steps[-1]) == []


def test_nothing_has_to_be_said(stores, tell, tmp_path):
    store = stores.create()
    path = tmp_path / "plain.txt"
    path.write_text(TITUS)
    stores.upload_to_file_search_store(file_search_store_name=store.name, file=path)
    [document] = stores.documents.list(parent=store.name)
    assert (document.display_name, document.mime_type) == ("plain.txt", "text/plain")
    stores.delete(name=store.name, config={"force": True})


def test_stores_are_made_listed_and_removed(stores):
    made = [stores.create(config={"display_name": f"Shelf {at}"}) for at in range(3)]
    assert all(store.name.startswith(f"fileSearchStores/shelf-{at}-") for at, store in enumerate(made))
    assert made[0].create_time and made[0].active_documents_count == 0
    assert stores.get(name=made[1].name) == made[1]
    # The pager asks for the next pages itself.
    names = [store.name for store in stores.list(config={"page_size": 2})]
    assert [name for name in names if "/shelf-" in name] == [store.name for store in made]
    put(stores, made[0], TITUS)
    filled = stores.get(name=made[0].name)
    assert (filled.active_documents_count, filled.size_bytes) == (1, len(TITUS))
    with pytest.raises(ClientError) as refused:
        stores.delete(name=made[0].name)
    assert (refused.value.code, refused.value.status) == (400, "FAILED_PRECONDITION")
    for store in made:
        stores.delete(name=store.name, config={"force": True})
        with pytest.raises(ClientError) as gone:
            stores.get(name=store.name)
        assert (gone.value.code, gone.value.status) == (404, "NOT_FOUND")


def test_documents_are_listed_and_removed(stores, store, scripted, tell):
    first = put(stores, store, TITUS, display_name="one.txt", custom_metadata=[{"key": "n", "numeric_value": 1}])
    put(stores, store, VESPASIAN, display_name="two.md", mime_type="text/markdown")
    documents = stores.documents
    listed = list(documents.list(parent=store.name, config={"page_size": 1}))
    assert [document.display_name for document in listed] == ["one.txt", "two.md"]
    one = documents.get(name=first.response.document_name)
    assert (one.state.value, one.mime_type, one.size_bytes) == ("STATE_ACTIVE", "text/plain", len(TITUS))
    assert [(entry.key, entry.numeric_value) for entry in one.custom_metadata] == [("n", 1.0)]
    assert scripted.operations.get(first) == first
    with pytest.raises(ClientError) as refused:
        documents.delete(name=one.name)
    assert (refused.value.code, refused.value.status) == (400, "FAILED_PRECONDITION")
    documents.delete(name=one.name, config={"force": True})
    with pytest.raises(ClientError) as gone:
        documents.get(name=one.name)
    assert gone.value.code == 404
    interaction = tell(QUESTION, tools=tool(store))
    assert [note.file_name for _, note in cited(interaction.steps[-1])] == ["two.md"]


def test_chunks_are_as_large_as_asked(stores, store, tell):
    words = " ".join(f"word{at}" for at in range(400))
    sizes = {"white_space_config": {"max_tokens_per_chunk": 30, "max_overlap_tokens": 5}}
    put(stores, store, f"{words} {TITUS} {words}", chunking_config=sizes)
    small = tell(QUESTION, tools=tool(store, top_k=1)).usage.total_tool_use_tokens
    put(stores, store, f"{words} {TITUS} {words} Colosseum Rome opened, Colosseum Rome opened")
    assert small < 200


def test_a_file_of_several_pieces_arrives_whole(scripted):
    # The SDK's pieces have 8 MiB.
    whole = bytes(range(256)) * (17 << 12)
    file = scripted.files.upload(file=io.BytesIO(whole), config={"mime_type": "application/octet-stream"})
    assert file.size_bytes == len(whole)
    assert base64.b64decode(file.sha256_hash) == hashlib.sha256(whole).digest()
    scripted.files.delete(name=file.name)


def test_a_file_is_kept_and_imported(stores, store, scripted, tell):
    file = scripted.files.upload(
        file=io.BytesIO(TITUS.encode()), config={"mime_type": "text/plain", "display_name": "kept.txt"}
    )
    assert (file.state.value, file.size_bytes, file.display_name) == ("ACTIVE", len(TITUS), "kept.txt")
    assert file.uri.startswith(os.environ["ANTIPHON_SCRIPTED_URL"])
    assert (file.expiration_time - file.create_time).total_seconds() == 48 * 3600
    assert scripted.files.get(name=file.name) == file
    assert file.name in [other.name for other in scripted.files.list()]
    operation = stores.import_file(file_search_store_name=store.name, file_name=file.name)
    assert operation.done and scripted.operations.get(operation) == operation
    scripted.files.delete(name=file.name)
    with pytest.raises(ClientError) as gone:
        scripted.files.get(name=file.name)
    assert gone.value.code == 404
    [(_, note)] = cited(tell(QUESTION, tools=tool(store)).steps[-1])
    assert note.file_name == "kept.txt"


@pytest.mark.parametrize(
    "content, config, words",
    [
        (b"\x89PNG\r\n", {"mime_type": "image/png"}, "image/png"),
        (b"no pdf", {"mime_type": "application/pdf"}, "PDF cannot be read"),
        (b" ", {"mime_type": "text/plain"}, "no text"),
        (b"x", {"mime_type": "text/plain", "custom_metadata": [{"key": "a"}]}, "customMetadata[0]"),
        (
            b"x",
            {
                "mime_type": "text/plain",
                "chunking_config": {"white_space_config": {"max_tokens_per_chunk": 9000}},
            },
            "chunkingConfig.whiteSpaceConfig.maxTokensPerChunk",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(stores, store, content, config, words):
    with pytest.raises(ClientError) as refused:
        put(stores, store, content, **config)
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    assert words in refused.value.message
    assert stores.get(name=store.name).active_documents_count == 0


def test_an_embedding_model_is_refused_by_name(stores):
    with pytest.raises(ClientError) as refused:
        stores.create(config={"embedding_model": "models/gemini-embedding-2"})
    assert refused.value.code == 400 and "embeddingModel" in refused.value.message


@pytest.mark.parametrize(
    "options, status, words",
    [
        ({"metadata_filter": "year >"}, 400, "tools[0].metadata_filter"),
        ({"top_k": 0}, 400, "tools[0].top_k"),
        ({"file_search_store_names": []}, 400, "tools[0].file_search_store_names"),
        ({"file_search_store_names": ["fileSearchStores/nobodys"]}, 404, "tools[0].file_search_store_names[0]"),
        ({"colour": "red"}, 400, "tools[0].colour"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused_by_name(store, tell, options, status, words):
    declared = tool(store)
    declared[0].update(options)
    with pytest.raises(NotFoundError if status == 404 else Exception) as refused:
        tell("Hi", tools=declared)
    assert refused.value.status_code == status and words in str(refused.value)


def begin(store, size):
    """What the SDK does first, by hand."""
    url = f"{os.environ['ANTIPHON_SCRIPTED_URL']}/upload/v1beta/{store.name}:uploadToFileSearchStore"
    headers = {
        "x-goog-api-key": os.environ["ANTIPHON_SCRIPTED_KEY"],
        "X-Goog-Upload-Protocol": "resumable",
        "X-Goog-Upload-Command": "start",
        "X-Goog-Upload-Header-Content-Length": str(size),
        "X-Goog-Upload-Header-Content-Type": "text/plain",
    }
    started = httpx.post(url, headers=headers, json={})
    assert started.status_code == 200, started.text
    return started.headers["x-goog-upload-url"]


def piece(url, command, offset=None, content=b""):
    headers = {"X-Goog-Upload-Command": command, "Content-Type": "application/json"}
    if offset is not None:
        headers["X-Goog-Upload-Offset"] = str(offset)
    answer = httpx.post(url, headers=headers, content=content)
    return answer, answer.headers.get("x-goog-upload-status")


def test_an_upload_goes_on_where_it_is(stores, store):
    url = begin(store, len(TITUS))
    half = len(TITUS) // 2
    answer, status = piece(url, "upload", 0, TITUS[:half].encode())
    assert (answer.status_code, status) == (200, "active")
    answer, status = piece(url, "upload, finalize", 0, TITUS.encode())
    assert (answer.status_code, status) == (400, "active")
    assert f"expected {half}" in answer.json()["error"]["message"]
    answer, status = piece(url, "upload, finalize", half, TITUS[half:-1].encode())
    assert (answer.status_code, status) == (400, "active")
    answer, status = piece(url, "query")
    assert (status, answer.headers["x-goog-upload-size-received"]) == ("active", str(half))
    answer, status = piece(url, "upload, finalize", half, TITUS[half:].encode())
    assert (answer.status_code, status) == (200, "final")
    assert answer.json()["done"] is True
    answer, status = piece(url, "query")
    assert (answer.status_code, status, answer.json()["error"]["status"]) == (404, "final", "NOT_FOUND")
    [document] = stores.documents.list(parent=store.name)
    assert document.size_bytes == len(TITUS)


def test_an_upload_can_be_given_up_and_none_can_be_guessed(store):
    url = begin(store, 3)
    assert piece(url, "cancel")[1] == "final"
    assert piece(url, "upload, finalize", 0, b"abc")[0].status_code == 404
    guessed = url[: url.rindex("=") + 1] + "a" * 32
    answer, status = piece(guessed, "upload, finalize", 0, b"abc")
    assert (answer.status_code, status) == (404, "final")


def pdf(*pages):
    """A PDF with a line of text on each page."""
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for at, text in enumerate(pages):
        drawn = f"BT /F 12 Tf 72 700 Td ({text}) Tj ET"
        resources = "<< /Font << /F 3 0 R >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources {resources} /Contents {5 + 2 * at} 0 R >>"
        )
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
    body = "%PDF-1.7\n" + "".join(f"{at} 0 obj\n{text}\nendobj\n" for at, text in enumerate(objects, 1))
    places = list(itertools.accumulate((len(f"{at} 0 obj\n{text}\nendobj\n") for at, text in enumerate(objects, 1)), initial=9))
    table = "".join(f"{place:010} 00000 n \n" for place in places[:-1])
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    return f"{body}{head}trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n".encode()
