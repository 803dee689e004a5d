"""The models resource, which tools call to find out what is served."""

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


def test_unknown_model_is_a_client_error(client):
    with pytest.raises(errors.ClientError) as refused:
        client.models.get(model="no-such-model")
    assert refused.value.code == 404
