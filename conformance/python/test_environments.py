"""Environments as a program of the SDK uses them: made, filled, looked into, copied, removed."""

import io
import os
import tarfile

import httpx2 as httpx
import pytest
from google.genai._interactions import BadRequestError, NotFoundError
from google.genai.errors import ClientError
from shapes import assert_typed

HERON = "The heron waits by the water."
MAIN = {"type": "inline", "content": "print('heron')", "target": "src/main.py"}


@pytest.fixture
def environments(scripted):
    return scripted.environments


@pytest.fixture
def make(environments):
    made = []

    def create(**request):
        environment = environments.create(**request)
        assert_typed(environment)
        made.append(environment.id)
        return environment

    yield create
    for id in made:
        try:
            environments.delete(id=id)
        except NotFoundError:
            # Deleted by the test itself.
            pass


def paths(environments, environment, path="", **options):
    listed = environments.files.list(environment=environment.id, path=path, **options)
    assert_typed(listed)
    return [file.path for file in listed.files]


def test_an_environment_is_made_and_shown(environments, make):
    encoded = {"type": "inline", "content": "/w==", "encoding": "base64", "target": "/workspace/one byte.bin"}
    made = make(sources=[MAIN, encoded], network="disabled")
    assert (made.status, made.network, made.file_count, made.size_bytes) == ("active", "disabled", 2, 15)
    assert made.created == made.updated == made.last_accessed and made.created.endswith("Z")
    assert sorted((source.type, source.target) for source in made.sources) == [
        ("inline", "one byte.bin"),
        ("inline", "src/main.py"),
    ]
    assert environments.get(id=made.id) == made
    # The names that the documentation's samples have.
    assert (made.model_extra["environment_id"], made.model_extra["type"]) == (made.id, "remote")
    assert environments.files.download(environment=made.id, path="one byte.bin") == b"\xff"


def test_a_source_lies_beside_the_workspace(environments, make):
    try:
        made = make(sources=[{**MAIN, "target": "/data/main.py"}, MAIN])
    except BadRequestError as error:
        if "programs of this server have no root of their own" not in str(error):
            raise
        pytest.skip(str(error))
    assert sorted(source.target for source in made.sources) == ["/data/main.py", "src/main.py"]
    assert paths(environments, made) == [".root", "src"]
    assert environments.files.download(environment=made.id, path=".root/data/main.py") == MAIN["content"].encode()
    assert paths(environments, make(from_environment=made.id), path=".root") == [".root/data"]


def test_a_variable_is_a_credential_that_is_there(scripted, make):
    scripted.credentials.create(
        id="weather", type="environment_variable", value="planted-secret", injection_location="header",
        trusted_domains=["api.example.com"],
    )  # fmt: skip
    try:
        # The SDK's `create` has no parameter for it; an interaction's `environment` has.
        made = make(extra_body={"env": {"WEATHER_KEY": {"credential": "weather"}, "UNITS": "metric"}})
        assert "planted-secret" not in made.model_dump_json()
        assert make(from_environment=made.id).status == "active"
        with pytest.raises(BadRequestError) as refused:
            make(extra_body={"env": {"WEATHER_KEY": {"credential": "nobody"}}})
        assert "`env.WEATHER_KEY.credential`: `credentials/nobody` not found" in str(refused.value)
    finally:
        scripted.credentials.delete(id="weather")


@pytest.fixture
def reaching(make):
    """Makes an environment that reaches these hosts, where there are networks at all."""

    def create(*entries, **request):
        try:
            return make(network={"allowlist": list(entries)}, **request)
        except BadRequestError as error:
            if "programs reach no network on this server" not in str(error):
                raise
            pytest.skip(str(error))

    return create


REPOSITORY = {"type": "repository", "source": "https://git.test/birds.git", "target": "/workspace/birds"}


@pytest.fixture
def placing(make):
    """Makes an environment with a repository, where there are networks at all."""

    def create(**request):
        try:
            return make(**request)
        except BadRequestError as error:
            if "repositories are not fetched on this server" not in str(error):
                raise
            pytest.skip(str(error))

    return create


def test_a_repository_is_placed(scripted, environments, make, placing):
    made = placing(sources=[REPOSITORY, MAIN])
    assert {(source.type, source.target, source.source) for source in made.sources} == {
        ("inline", MAIN["target"], None),
        ("repository", "birds", REPOSITORY["source"]),
    }
    assert made.network == "disabled"
    assert environments.files.download(environment=made.id, path="birds/README.md") == HERON.encode() + b"\n"
    assert {"birds/.git", "birds/tools"} <= set(paths(environments, made, path="birds"))
    with pytest.raises(ClientError) as refused:
        environments.files.download(environment=made.id, path="birds/passwd")
    assert refused.value.code == 400
    copy = make(from_environment=made.id)
    assert environments.files.download(environment=copy.id, path="birds/tools/count.sh").startswith(b"#!/bin/sh")
    assert copy.sources == made.sources
    url = f"{os.environ['ANTIPHON_SCRIPTED_URL']}/v1beta/files/environment-{made.id}:download"
    answer = httpx.get(
        url, params={"alt": "media"}, headers={"x-goog-api-key": os.environ["ANTIPHON_SCRIPTED_KEY"]}
    )
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        assert tar.getmember("birds/passwd").issym() and tar.getmember("birds/tools/count.sh").mode & 0o111


def test_a_repository_that_cannot_be_had_leaves_no_environment(environments, placing):
    placing(sources=[REPOSITORY])
    before = {environment.id for environment in environments.list(page_size=1000).environments}
    for address, words in [
        ("https://git.test/none", "not found"),
        ("https://git.test/private-birds.git", "`transform` or `credential`"),
        ("https://nowhere.test/birds", "`nowhere.test` is not allowed"),
    ]:
        with pytest.raises(BadRequestError) as refused:
            environments.create(sources=[MAIN, {**REPOSITORY, "source": address}])
        assert f"`sources[1].source`: `{address}` cannot be had: " in str(refused.value)
        assert words in str(refused.value)
    assert {environment.id for environment in environments.list(page_size=1000).environments} == before


def test_a_private_repository_is_placed_with_what_its_host_is_sent(environments, reaching):
    private = {**REPOSITORY, "source": "https://git.test/private-birds.git"}
    entry = {"domain": "git.test", "transform": {"Authorization": "Bearer open"}}
    made = reaching(entry, sources=[private])
    assert b"Bearer" not in environments.files.download(environment=made.id, path="birds/.git/config")


def domains(environment):
    return [entry.domain for entry in environment.network.allowlist]


def test_a_network_is_kept_and_shown_without_its_secrets(environments, make, reaching):
    made = reaching({"domain": "Example.com."}, {"domain": "*.example.com", "transform": {"X-Key": "it is secret"}})
    assert domains(made) == ["example.com", "*.example.com"]
    assert "secret" not in made.model_dump_json()
    assert environments.get(id=made.id).network == made.network
    assert domains(make(from_environment=made.id)) == domains(made)
    assert make(from_environment=made.id, network="disabled").network == "disabled"
    assert make().network == "disabled"


def test_any_host_is_the_operators_to_allow(reaching):
    for domain in ("*", "*.com"):
        with pytest.raises(BadRequestError) as raised:
            reaching({"domain": domain})
        assert "network.allowlist[0].domain" in str(raised.value)
        assert "environments.allow_any_host" in str(raised.value)


def test_programs_reach_what_is_listed_and_nothing_else(scripted, environments, reaching):
    environment = reaching({"domain": "own.test"})

    def ask(network=None):
        described = {"type": "remote", "environment_id": environment.id}
        answer = scripted.interactions.create(
            agent="antigravity-preview-05-2026",
            input="Who is on the network",
            tools=[{"type": "code_execution"}],
            environment={**described, "network": network} if network else described,
        )
        assert_typed(answer)
        result = next(step for step in answer.steps if step.type == "code_execution_result")
        return str(result.result), answer.output_text

    printed, answer = ask()
    assert "own.test 200" in printed
    assert "evil.test 403 `evil.test` is not allowed" in printed and "network.allowlist" in printed
    assert answer == "One host answers, the other is refused."
    # Another request changes it, and the files stay.
    printed, answer = ask("disabled")
    assert "own.test is out of reach" in printed and answer == "There is no network."
    assert environments.get(id=environment.id).network == "disabled"
    printed, _ = ask({"allowlist": [{"domain": "other.test"}]})
    assert "own.test 403 `own.test` is not allowed" in printed
    assert domains(environments.get(id=environment.id)) == ["other.test"]


def test_environments_are_listed_in_pages(environments, make):
    made = [make().id for _ in range(3)]
    listed, token = [], None
    while True:
        page = environments.list(page_size=2, page_token=token)
        assert_typed(page)
        assert len(page.environments) <= 2
        listed += [environment.id for environment in page.environments]
        token = page.next_page_token
        if not token:
            break
    assert set(made) <= set(listed) and len(listed) == len(set(listed))


def test_files_go_in_and_out(environments, make, tmp_path):
    environment = make(sources=[MAIN])
    # The SDK's pieces have 8 MiB.
    whole = bytes(range(256)) * (9 << 12)
    placed = environments.files.upload(environment=environment.id, path="data/large file.bin", file=io.BytesIO(whole))
    assert_typed(placed)
    [file] = placed.files
    assert (file.name, file.path, file.type) == ("large file.bin", "data/large file.bin", "file")
    assert (file.size_bytes, file.mime_type) == (len(whole), "application/octet-stream")
    assert file.created.tzinfo and file.modified >= file.created
    assert environments.files.download(environment=environment.id, path="/data/large file.bin") == whole
    local = tmp_path / "é.txt"
    local.write_text(HERON)
    environments.files.upload(environment=f"environments/{environment.id}", path="/data/é.txt", file=str(local))
    assert environments.files.download(environment=environment.id, path="data/é.txt") == HERON.encode()
    shown = environments.get(id=environment.id)
    assert (shown.file_count, shown.size_bytes) == (3, len(whole) + len(HERON) + len(MAIN["content"]))


def test_a_file_is_replaced_only_when_that_is_said(environments, make):
    environment = make(sources=[MAIN])

    def upload(**options):
        return environments.files.upload(environment=environment.id, path="src/main.py", file=b"new", **options)

    with pytest.raises(BadRequestError) as refused:
        upload()
    assert "overwrite" in str(refused.value)
    assert environments.files.download(environment=environment.id, path="src/main.py") == MAIN["content"].encode()
    upload(overwrite=True)
    assert environments.files.download(environment=environment.id, path="src/main.py") == b"new"


def test_folders_are_listed(environments, make):
    environment = make(sources=[MAIN, {**MAIN, "target": "src/sub dir/a.md"}, {**MAIN, "target": "b.csv"}])
    assert paths(environments, environment) == ["b.csv", "src"]
    everything = ["b.csv", "src", "src/main.py", "src/sub dir", "src/sub dir/a.md"]
    assert paths(environments, environment, recursive=True) == everything
    assert paths(environments, environment, "src/sub dir") == ["src/sub dir/a.md"]
    assert paths(environments, environment, "src/sub dir/a.md") == ["src/sub dir/a.md"]
    listed = environments.files.list(environment=environment.id, path="src")
    assert [(file.type, file.mime_type) for file in listed.files] == [("file", "text/x-python"), ("directory", "")]
    found, token = [], None
    while True:
        page = environments.files.list(
            environment=environment.id, path="", recursive=True, page_size=2, page_token=token
        )
        found += [file.path for file in page.files]
        token = page.next_page_token
        if not token:
            break
    assert found == everything


def test_an_archive_is_unpacked_whole_or_not_at_all(environments, make):
    environment = make()

    def archive(*names, mode="w:gz", kind=tarfile.REGTYPE):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode=mode) as tar:
            for name in names:
                entry = tarfile.TarInfo(name)
                entry.size, entry.type, entry.linkname = len(HERON), kind, "/etc/passwd"
                tar.addfile(entry, io.BytesIO(HERON.encode()))
        return packed.getvalue()

    def unpack(packed, path="in", **options):
        return environments.files.upload(environment=environment.id, path=path, file=packed, extract=True, **options)

    placed = unpack(archive("one.txt", "sub/two.txt", "é" * 80))
    assert [file.path for file in placed.files] == ["in/one.txt", "in/sub/two.txt", "in/" + "é" * 80]
    for packed in [
        archive("good.txt", "../out.txt"),
        archive("good.txt", "/out.txt"),
        archive("good.txt", "sub/../../out.txt"),
        archive("link", kind=tarfile.SYMTYPE),
        archive("link", kind=tarfile.LNKTYPE),
        archive("device", kind=tarfile.CHRTYPE),
        b"no archive",
    ]:
        with pytest.raises(ClientError) as refused:
            unpack(packed, "other")
        assert refused.value.code == 400
    assert paths(environments, environment) == ["in"]
    unpack(archive("three.txt", mode="w"), path="")
    assert paths(environments, environment) == ["in", "three.txt"]


def test_a_copy_is_its_own(environments, make):
    first = make(sources=[MAIN])
    copy = make(from_environment=f"environments/{first.id}")
    assert copy.id != first.id and copy.file_count == 1
    environments.files.upload(environment=copy.id, path="src/main.py", file=b"new", overwrite=True)
    assert environments.files.download(environment=first.id, path="src/main.py") == MAIN["content"].encode()
    environments.delete(id=first.id)
    with pytest.raises(NotFoundError):
        environments.get(id=first.id)
    with pytest.raises(NotFoundError):
        environments.create(from_environment=first.id)
    with pytest.raises(NotFoundError):
        environments.delete(id=first.id)
    assert environments.files.download(environment=copy.id, path="src/main.py") == b"new"


def test_a_snapshot_is_a_tar_archive(environments, make):
    environment = make(sources=[MAIN])
    url = f"{os.environ['ANTIPHON_SCRIPTED_URL']}/v1beta/files/environment-{environment.id}:download"
    answer = httpx.get(
        url, params={"alt": "media"}, headers={"x-goog-api-key": os.environ["ANTIPHON_SCRIPTED_KEY"]}
    )
    assert answer.status_code == 200
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        assert sorted(tar.getnames()) == ["src", "src/main.py"]
        assert tar.extractfile("src/main.py").read() == MAIN["content"].encode()


@pytest.mark.parametrize(
    "request_, words",
    [
        ({"sources": [{**MAIN, "target": "../x"}]}, "sources[0].target"),
        ({"sources": [{**MAIN, "target": "/"}]}, "sources[0].target"),
        ({"sources": [{**MAIN, "target": "/proc"}]}, "sources[0].target"),
        ({"sources": [{**MAIN, "target": "/usr/main.py"}]}, "sources[0].target"),
        ({"sources": [{"type": "inline", "content": "x" * (1 << 20 | 1), "target": "a"}]}, "sources[0].content"),
        ({"sources": [{"type": "repository", "source": "file:///etc", "target": "a"}]}, "sources[0].source"),
        ({"sources": [{"type": "gcs", "source": "gs://a/b", "target": "a"}]}, "sources[0].type"),
        ({"network": {"allowlist": [{"domain": "10.0.0.1"}]}}, "network.allowlist[0].domain"),
        ({"network": {"allowlist": [{"domain": "a.test"}, {"domain": "a.test:80"}]}}, "network.allowlist[1].domain"),
        (
            {"network": {"allowlist": [{"domain": "a.test", "transform": {"Host": "b"}}]}},
            "network.allowlist[0].transform.Host",
        ),
        ({"from_environment": "env_x", "sources": [MAIN]}, "sources"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(environments, request_, words):
    with pytest.raises(BadRequestError) as refused:
        environments.create(**request_)
    assert f"`{words}`" in str(refused.value)


def test_what_is_not_there(environments, make):
    environment = make(sources=[MAIN])
    with pytest.raises(NotFoundError):
        environments.get(id="env_nobodys")
    with pytest.raises(NotFoundError):
        environments.files.list(environment=environment.id, path="none")
    for path, code in [("none", 404), ("src", 400)]:
        with pytest.raises(ClientError) as refused:
            environments.files.download(environment=environment.id, path=path)
        assert refused.value.code == code
    with pytest.raises(NotFoundError):
        environments.files.upload(environment="env_nobodys", path="a", file=b"x")
