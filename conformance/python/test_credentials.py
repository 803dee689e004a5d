"""Credentials as a program of the SDK uses them: made, listed, changed, removed, and never seen again."""

import pytest
from google.genai._interactions import BadRequestError, NotFoundError
from shapes import assert_typed

SECRET = "planted-secret"


@pytest.fixture
def credentials(scripted):
    return scripted.credentials


@pytest.fixture
def make(credentials):
    made = []

    def create(id, **request):
        credential = credentials.create(id=id, **request)
        made.append(id)
        assert_typed(credential)
        assert SECRET not in repr(credential)
        return credential

    yield create
    for id in made:
        try:
            credentials.delete(id=id)
        except NotFoundError:
            # Deleted by the test itself.
            pass


def test_each_type_is_kept_and_shown_without_its_secret(credentials, make):
    bearer = make("github", type="bearer_token", token=SECRET, header_name="X-Custom-Auth", prefix="Token")
    oauth = make(
        "mail", type="oauth2", client_id="c", client_secret=SECRET, refresh_token=SECRET,
        token_url="https://example.com/token", scopes=["mail.read"],
    )  # fmt: skip
    variable = make(
        "weather", type="environment_variable", value=SECRET, injection_location=["header", "query"],
        trusted_domains=["api.example.com", "*.example.org"],
    )  # fmt: skip
    kinds = [credential.type for credential in (bearer, oauth, variable)]
    assert kinds == ["bearer_token", "oauth2", "environment_variable"]
    for credential in (bearer, oauth, variable):
        assert credential.status == "active" and credential.create_time == credential.update_time
        assert credential.create_time.tzinfo
        assert credentials.get(id=credential.id) == credential
    listed = credentials.list()
    assert_typed(listed)
    assert {"github", "mail", "weather"} <= {credential.id for credential in listed.credentials}


def test_credentials_are_listed_in_pages(credentials, make):
    made = [make(f"page-{at}", type="bearer_token", token=SECRET).id for at in range(3)]
    listed, token = [], None
    while True:
        page = credentials.list(page_size=2, page_token=token)
        listed += [credential.id for credential in page.credentials]
        token = page.next_page_token
        if not token:
            break
    assert set(made) <= set(listed) and len(listed) == len(set(listed))


def test_an_update_changes_what_it_names(credentials, make):
    make("github", type="bearer_token", token=SECRET)
    make("weather", type="environment_variable", value=SECRET, injection_location="header")
    updated = credentials.update(id="github", type="bearer_token", token=f"{SECRET}-2", prefix="")
    assert_typed(updated)
    assert updated.update_time >= updated.create_time
    credentials.update(id="weather", type="environment_variable", injection_location="query", update_mask="injection_location")
    with pytest.raises(BadRequestError) as refused:
        credentials.update(id="github", type="oauth2", client_id="c")
    assert "`type`" in str(refused.value)


def test_what_is_wrong_is_refused_by_name_and_without_its_value(credentials, make):
    make("github", type="bearer_token", token=SECRET)
    for words, request in [
        ("`id`", {"id": "github", "type": "bearer_token", "token": SECRET}),
        ("`id`", {"id": "no good", "type": "bearer_token", "token": SECRET}),
        ("`token`", {"id": "a", "type": "bearer_token", "token": f"{SECRET}\n"}),
        ("`header_name`", {"id": "a", "type": "bearer_token", "token": SECRET, "header_name": f"Host: {SECRET}"}),
        ("`injection_location`", {"id": "a", "type": "environment_variable", "value": SECRET, "injection_location": []}),
    ]:
        with pytest.raises(BadRequestError) as refused:
            credentials.create(**request)
        assert words in str(refused.value) and SECRET not in str(refused.value)


def test_what_is_deleted_is_gone(credentials, make):
    make("github", type="bearer_token", token=SECRET)
    credentials.delete(id="github")
    with pytest.raises(NotFoundError):
        credentials.get(id="github")
    with pytest.raises(NotFoundError):
        credentials.delete(id="github")
