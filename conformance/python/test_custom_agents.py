"""Agents of a project's own, as a program of the SDK uses them: defined, listed, run and deleted."""

import uuid

import pytest
from conftest import poll
from google.genai._interactions import BadRequestError, ConflictError, NotFoundError
from shapes import assert_typed

BASE = "antigravity-preview-05-2026"
NOTE = {"type": "inline", "content": "The harbour is blue.\n", "target": "notes/harbour.txt"}
INSTRUCTION = {"type": "inline", "content": "Speak of harbours.", "target": ".agents/AGENTS.md"}


@pytest.fixture
def agents(scripted):
    return scripted.agents


@pytest.fixture
def define(agents):
    made = []

    def create(**request):
        request = {"id": f"agent-{uuid.uuid4().hex[:12]}", "base_agent": BASE, **request}
        agent = agents.create(**request)
        assert_typed(agent)
        made.append(agent.id)
        return agent

    yield create
    for id in made:
        try:
            agents.delete(id=id)
        except NotFoundError:
            # Deleted by the test itself.
            pass


def paths(client, environment):
    return [file.path for file in client.environments.files.list(environment=environment, path="", recursive=True).files]


def test_an_agent_is_defined_shown_listed_and_deleted(agents, define):
    made = define(
        description="Keeps notes",
        system_instruction="Keep notes.",
        tools=[{"type": "code_execution"}, {"type": "function", "name": "ask", "parameters": {"type": "object"}}],
        agent_config={"type": "antigravity", "max_total_tokens": 5000},
        base_environment={"type": "remote", "sources": [NOTE]},
    )
    assert (made.base_agent, made.description, made.system_instruction) == (BASE, "Keeps notes", "Keep notes.")
    assert [tool.type for tool in made.tools] == ["code_execution", "function"]
    assert made.base_environment.sources[0].target == NOTE["target"]
    assert agents.get(id=made.id) == made
    others = [define().id for _ in range(2)]
    listed, token = [], None
    while True:
        page = agents.list(page_size=2, page_token=token)
        assert_typed(page)
        assert len(page.agents) <= 2
        listed += [agent.id for agent in page.agents]
        token = page.next_page_token
        if not token:
            break
    assert {made.id, *others} <= set(listed) and len(listed) == len(set(listed))
    agents.delete(id=made.id)
    for gone in (agents.get, agents.delete):
        with pytest.raises(NotFoundError):
            gone(id=made.id)


@pytest.mark.conflict
def test_an_id_is_given_once(agents, define):
    made = define(system_instruction="Keep notes.")
    with pytest.raises(ConflictError) as raised:
        agents.create(id=made.id, base_agent=BASE)
    assert "already_exists" in str(raised.value)
    assert agents.get(id=made.id).system_instruction == "Keep notes."


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"id": "gemini-mine"}, "`id`"),
        ({"id": "Mine"}, "`id`"),
        ({"base_agent": "nobody"}, "`base_agent`"),
        ({"tools": [{"type": "file_search", "file_search_store_names": ["fileSearchStores/x"]}]}, "`tools[0].type`"),
        ({"base_environment": {"type": "remote", "sources": [{**NOTE, "target": "../a"}]}}, "`base_environment.sources[0].target`"),
    ],
)
def test_what_is_no_definition_is_refused_by_name(define, request_, words):
    with pytest.raises(BadRequestError) as raised:
        define(**request_)
    assert words in str(raised.value)


def test_each_run_has_a_copy_of_the_environment(scripted, define):
    base = scripted.environments.create(sources=[NOTE, INSTRUCTION]).id
    agent = define(tools=[{"type": "code_execution"}], base_environment=base)
    kept = sorted([".agents", INSTRUCTION["target"], "notes", NOTE["target"]])

    def run(input, **request):
        interaction = scripted.interactions.create(agent=agent.id, input=input, **request)
        assert_typed(interaction)
        assert (interaction.status, interaction.agent) == ("completed", agent.id), interaction
        return interaction

    read = run("Read the harbour note")
    assert read.environment_id not in (None, base)
    assert read.output_text == "The note says that the harbour is blue."
    written = run("Leave a mark")
    assert written.environment_id not in (base, read.environment_id)
    assert sorted(paths(scripted, written.environment_id)) == sorted([*kept, "mark.txt"])
    assert sorted(paths(scripted, base)) == kept
    again = run("Read the harbour note", environment=written.environment_id)
    assert again.environment_id == written.environment_id
    # What the file says is told to the model.
    bare = define(tools=[{"type": "code_execution"}], base_environment={"type": "remote", "sources": [NOTE]}).id
    bare = scripted.interactions.create(agent=bare, input="Read the harbour note")
    assert read.usage.total_input_tokens > bare.usage.total_input_tokens
    with pytest.raises(NotFoundError):
        define(base_environment="env_unknown")


def test_a_definition_can_be_overridden_and_deleted(scripted, agents, define):
    agent = define(tools=[{"type": "code_execution"}], base_environment="remote", system_instruction="Keep notes.")
    ask = [{"type": "function", "name": "ask", "parameters": {"type": "object"}}]
    with pytest.raises(BadRequestError) as raised:
        scripted.interactions.create(agent=agent.id, input="Hello", agent_config={"type": "antigravity"})
    assert "`agent_config`" in str(raised.value)
    with pytest.raises(BadRequestError) as raised:
        # The script calls a tool that these do not have.
        scripted.interactions.create(agent=agent.id, input="Run the tide program", tools=ask)
    assert "code_execution" in str(raised.value)
    run = scripted.interactions.create(agent=agent.id, input="Leave a mark", background=True)
    agents.delete(id=agent.id)
    ended = poll(scripted, run.id)
    assert (ended.status, ended.agent) == ("completed", agent.id)
    with pytest.raises(NotFoundError):
        scripted.interactions.create(agent=agent.id, input="Hello")
