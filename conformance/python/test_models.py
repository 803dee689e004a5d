"""The models resource, which tools call to find out what is served."""

import os

import httpx2 as httpx
import pytest
from google.genai import errors
from shapes import assert_interaction


def test_models_are_listed_and_each_can_be_read(client):
    models = list(client.models.list())
    assert models
    for model in models:
        assert model.name.startswith("models/")
        assert model.display_name
        assert model.input_token_limit > 0
        assert model.output_token_limit > 0
        assert client.models.get(model=model.name) == model
        assert client.models.get(model=model.name.removeprefix("models/")) == model


def test_a_listed_model_can_be_asked_by_its_own_name(client, ask):
    name = next(iter(client.models.list())).name
    for asked in (name, name.removeprefix("models/")):
        interaction = ask("Hi", model=asked)
        assert_interaction(interaction)
        assert interaction.model == asked


def test_a_model_says_what_becomes_of_each_kind_of_media(client):
    """The SDK leaves out what it does not know, so the answer is read as it is."""
    base, headers = os.environ["GOOGLE_GEMINI_BASE_URL"], {"x-goog-api-key": os.environ["GEMINI_API_KEY"]}
    listed = httpx.get(f"{base}/v1beta/models", headers=headers).json()["models"]
    for model in listed:
        assert httpx.get(f"{base}/v1beta/{model['name']}", headers=headers).json() == model
        assert set(model["x_media"]) == {"audio", "document", "image", "video"}
        for received in model["x_media"].values():
            assert received["route"] in ("native", "perceive", "reject")
            assert ("tools" in received) == (received["route"] == "perceive")
            assert received["route"] != "reject" or received["note"]
        # Nothing has to be installed for these.
        document = model["x_media"]["document"]
        assert document["route"] == "native" or document["tools"][0] == "antiphon-documents"


def test_unknown_model_is_a_client_error(client):
    with pytest.raises(errors.ClientError) as refused:
        client.models.get(model="no-such-model")
    assert refused.value.code == 404
