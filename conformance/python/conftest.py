"""Tests talk to a server that `conformance/run` started, as a user's program would: `genai.Client()`
with nothing set but `GOOGLE_GEMINI_BASE_URL` and `GEMINI_API_KEY`.

What must be exact is asked of a second server, whose model says what `conformance/scripted` says."""

import logging
import os
import re
import time

import pytest
from google import genai

from shapes import LONGEST_ANSWER, TERMINAL, assert_typed

MODEL = "gemini-3.5-flash"
QUESTION = "What is the capital of France? Answer in one short sentence."
# Long enough to be still running when the next request arrives.
ESSAY = "Write a long and detailed essay about the history of the city of Rome."
GREEDY = {"temperature": 0, "max_output_tokens": LONGEST_ANSWER}

REQUEST_LINE = re.compile(r'HTTP Request: (\S+ \S+) "HTTP/\S+ (\d{3})')


@pytest.fixture
def client():
    with genai.Client() as client:
        yield client


def asking(client):
    def create(input, **request):
        return client.interactions.create(
            model=request.pop("model", MODEL),
            input=input,
            generation_config={**GREEDY, **request.pop("generation_config", {})},
            **request,
        )

    return create


@pytest.fixture
def ask(client):
    """Creates an interaction with the default model, greedily, so that answers are short and stable."""
    return asking(client)


@pytest.fixture
def scripted():
    with genai.Client(
        api_key=os.environ["ANTIPHON_SCRIPTED_KEY"],
        http_options={"base_url": os.environ["ANTIPHON_SCRIPTED_URL"]},
    ) as client:
        yield client


@pytest.fixture
def tell(scripted):
    """Creates an interaction with the scripted model."""
    return asking(scripted)


def poll(client, id):
    """What the guide's background programs do, only more often."""
    while True:
        interaction = client.interactions.get(id)
        assert_typed(interaction)
        if interaction.status in TERMINAL:
            return interaction
        assert interaction.status in ("queued", "in_progress")
        time.sleep(0.1)


@pytest.fixture
def started(client, ask):
    """A background run that goes on for a while; it is cancelled when the test ends."""
    run = ask(ESSAY, background=True, generation_config={"max_output_tokens": 1500})
    yield run
    try:
        client.interactions.cancel(run.id)
    except Exception as error:
        # Ended or deleted by the test itself.
        assert getattr(error, "status_code", None) in (400, 404), error


@pytest.fixture(autouse=True)
def no_answer_was_retried(request, caplog):
    """The SDK silently tries again on 408, 409, 429 and 5xx: a passing test could hide them."""
    caplog.set_level(logging.INFO, logger="httpx2")
    yield
    for record in caplog.get_records("call"):
        if found := REQUEST_LINE.search(record.getMessage()):
            status = int(found[2])
            expected = status == 409 and request.node.get_closest_marker("conflict")
            assert expected or (status < 500 and status not in (408, 409, 429)), record.getMessage()


def pytest_configure():
    for name in ("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY", "ANTIPHON_SCRIPTED_URL", "ANTIPHON_SCRIPTED_KEY"):
        if not os.environ.get(name):
            pytest.exit(f"{name} is not set: use `conformance/run python`", returncode=2)
