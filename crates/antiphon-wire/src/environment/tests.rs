use pretty_assertions::assert_eq;
use serde_json::json;

use super::*;
use crate::credential::CredentialId;
use crate::error::Code;
use crate::request::Treatment;

fn sources(target: &str) -> Value {
    json!({"sources": [{"type": "inline", "content": "x", "target": target}]})
}

#[test]
fn every_field_is_honoured_or_refused_by_its_path() {
    for field in ENVIRONMENT_FIELDS {
        let sample: Value = serde_json::from_str(field.sample).unwrap();
        let top = field.path.split(['.', '[']).next().unwrap();
        let body = json!({ top: sample });
        let created = CreateEnvironment::read(body.clone()).map(|_| ());
        let mut described = body;
        described["type"] = "remote".into();
        let described = EnvironmentChoice::read(described, "environment").map(|_| ());
        match field.treatment {
            Treatment::Honoured => {
                created.unwrap();
                // A copy is made by its own request alone.
                assert_eq!(described.is_ok(), top != "from_environment", "{}", field.path);
            }
            Treatment::Refused => {
                let message = created.unwrap_err().message;
                assert!(message.starts_with(&format!("`{}`: ", field.path)), "{}: {message}", field.path);
                let message = described.unwrap_err().message;
                assert!(message.starts_with(&format!("`environment.{}`: ", field.path)), "{}: {message}", field.path);
            }
        }
    }
}

#[test]
fn every_form_of_the_field_is_read_and_written_as_it_came() {
    let check = |value: Value| {
        let choice = EnvironmentChoice::read(value.clone(), "environment").unwrap();
        let written = serde_json::to_value(&choice).unwrap();
        assert_eq!(written, value);
        assert_eq!(serde_json::from_value::<EnvironmentChoice>(written).unwrap(), choice);
        choice
    };
    assert_eq!(check(json!("remote")), EnvironmentChoice::Remote);
    let id = EnvironmentId::parse("env_abc123").unwrap();
    assert_eq!(check(json!("env_abc123")), EnvironmentChoice::Existing(id.clone()));
    let described = check(json!({
        "type": "remote", "network": "disabled", "environment_id": "env_abc123",
        "sources": [
            {"type": "inline", "target": ".agents/AGENTS.md", "content": "Be brief"},
            {"type": "inline", "target": "a/b.bin", "content": "/w==", "encoding": "base64"},
            {"type": "repository", "target": "a/heron", "source": "https://git.test/birds/heron"},
        ],
        "env": {"LEVEL": "3", "WEATHER_KEY": {"credential": "weather"}},
    }));
    let source = |at, target, content| {
        let path = format!("environment.sources[{at}]");
        Source { target: WorkspacePath::parse(target).unwrap(), content, path }
    };
    let inline = |at, target, content: &[u8]| source(at, target, SourceContent::Inline(content.to_vec()));
    let heron = RepositoryAddress::parse("https://git.test/birds/heron").unwrap();
    let expected = EnvironmentSpec {
        environment_id: Some(id.clone()),
        from_environment: None,
        sources: vec![
            inline(0, ".agents/AGENTS.md", b"Be brief"),
            inline(1, "a/b.bin", b"\xff"),
            source(2, "a/heron", SourceContent::Repository(heron)),
        ],
        network: Some(Network::Disabled),
        env: BTreeMap::from([
            ("LEVEL".to_owned(), Variable::Value("3".to_owned())),
            ("WEATHER_KEY".to_owned(), Variable::Credential(CredentialId::parse("weather").unwrap())),
        ]),
    };
    assert_eq!(described.existing(), Some(&id));
    assert_eq!(described, EnvironmentChoice::Described(expected));
    // What the SDKs leave empty is absent.
    let empty = json!({"type": "remote", "sources": null, "env": {"A": null}, "network": null, "environment_id": null});
    let choice = EnvironmentChoice::read(empty, "environment").unwrap();
    assert_eq!(choice, EnvironmentChoice::Described(EnvironmentSpec::default()));
    assert_eq!(EnvironmentChoice::read(json!("environments/env_abc123"), "environment").unwrap().existing(), Some(&id));
}

#[test]
fn a_path_never_leaves_its_workspace() {
    for (text, path) in [
        ("a", "a"),
        ("a/b/ü.txt", "a/b/ü.txt"),
        (".agents/skills/x/SKILL.md", ".agents/skills/x/SKILL.md"),
        ("src/", "src"),
        ("", ""),
        ("a b", "a b"),
        ("...", "..."),
        (&format!("{}b", "a/".repeat(31)), &format!("{}b", "a/".repeat(31))),
    ] {
        assert_eq!(WorkspacePath::parse(text).unwrap().as_str(), path);
    }
    for text in [
        "..",
        "../a",
        "a/../b",
        "a/..",
        ".",
        "./a",
        "/",
        "/a",
        "a//b",
        "a\\b",
        "..\\a",
        "a\0b",
        "a\nb",
        "//",
        "a//",
        &"a".repeat(256),
        &format!("{}b", "a/".repeat(32)),
        &format!("{0}/{0}/{0}/{0}/{0}", "a".repeat(250)),
    ] {
        WorkspacePath::parse(text).unwrap_err();
    }
    // A name that came encoded is one name.
    WorkspacePath::of(["a", "b/c"]).unwrap_err();
    WorkspacePath::of(["a", ".."]).unwrap_err();
}

#[test]
fn targets_are_files_of_the_workspace_or_beside_it() {
    for (target, path, seen) in [
        ("a.txt", "a.txt", "a.txt"),
        ("/workspace/a.txt", "a.txt", "a.txt"),
        ("/workspace//a.txt", "a.txt", "a.txt"),
        ("/data/a.txt", ".root/data/a.txt", "/data/a.txt"),
        ("/data", ".root/data", "/data"),
        ("/workspaces/a", ".root/workspaces/a", "/workspaces/a"),
        (".root/data", ".root/data", "/data"),
        (".rooted/a", ".rooted/a", ".rooted/a"),
        ("/home/.config/lib", ".root/home/.config/lib", "/home/.config/lib"),
    ] {
        let read = CreateEnvironment::read(sources(target)).unwrap();
        let source = &read.sources[0];
        assert_eq!((source.target.as_str(), source.target.as_seen()), (path, seen));
        assert_eq!(source.shown().target, seen);
        // As it is kept, it is read again.
        let again = CreateEnvironment::read(json!({"sources": [source.to_wire()]})).unwrap();
        assert_eq!(again.sources, read.sources);
    }
    for target in [
        "/",
        "//",
        "//data",
        "/.",
        "/..",
        "/data/../etc",
        "/usr",
        "/usr/share/a",
        "/etc/passwd",
        "/proc",
        "/dev/shm/a",
        "/sys/a",
        "/run/a",
        "/bin/sh",
        "/sbin/a",
        "/lib/a",
        "/lib64/a",
        "/tmp/a",
        "/.bin/python",
        ".root",
        ".root/",
        ".root/usr/a",
        "/workspace",
        "/workspace/",
        "/workspace/../etc",
        "..",
        "../a",
        "a/../../b",
        "a\\b",
        "a\0",
        "./a",
    ] {
        let error = CreateEnvironment::read(sources(target)).unwrap_err();
        assert!(error.message.starts_with("`sources[0].target`: "), "{target}: {}", error.message);
    }
}

#[test]
fn a_repository_has_a_place_of_its_own() {
    let repository = |more: Value| {
        let mut source = json!({"type": "repository", "source": "https://git.test/birds/heron.git"});
        source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        source
    };
    let read = |sources: Value| CreateEnvironment::read(json!({ "sources": sources }));
    for (more, target) in [
        (json!({}), "heron"),
        (json!({"target": null}), "heron"),
        (json!({"target": "/workspace/a/b"}), "a/b"),
        (json!({"target": "a", "content": null}), "a"),
    ] {
        assert_eq!(read(json!([repository(more)])).unwrap().sources[0].target.as_str(), target);
    }
    let check = |sources: Value, path: &str| {
        let message = read(sources).unwrap_err().message;
        assert!(message.starts_with(&format!("`{path}`: ")), "{message}");
    };
    for target in ["/", "/workspace", "..", "a/../b", "/etc", "", ".git", "/workspace/.GIT", "a/.Git/b"] {
        check(json!([repository(json!({ "target": target }))]), "sources[0].target");
    }
    check(json!([repository(json!({"source": "https://git.test/.git"}))]), "sources[0].target");
    check(json!([repository(json!({"source": "https://git.test/.."}))]), "sources[0].source");
    check(json!([repository(json!({"source": null}))]), "sources[0].source");
    check(json!([repository(json!({"content": "x"}))]), "sources[0].content");
    check(json!([repository(json!({"encoding": "base64"}))]), "sources[0].encoding");
    check(json!([repository(json!({})), repository(json!({"target": "heron/b"}))]), "sources[1].target");
    let inside = json!({"type": "inline", "target": "heron/.git/hooks/post-checkout", "content": "touch a"});
    check(json!([repository(json!({})), inside]), "sources[1].target");
    check(json!([repository(json!({"ref": "main"}))]), "sources[0].ref");
}

#[test]
fn what_is_brought_along_is_bounded() {
    let check = |body: Value, expected: &str| {
        let error = CreateEnvironment::read(body).unwrap_err();
        assert!(error.message.starts_with(expected), "{}", error.message);
        error.code
    };
    let inline = |target: &str, bytes: usize| json!({"type": "inline", "target": target, "content": "x".repeat(bytes)});
    CreateEnvironment::read(json!({"sources": [inline("a", 1 << 20), inline("b", 1 << 20)]})).unwrap();
    check(json!({"sources": [inline("a", (1 << 20) + 1)]}), "`sources[0].content`: expected at most 1048576 bytes");
    let three = json!({"sources": [inline("a", 1 << 20), inline("b", 1 << 20), inline("c", 1)]});
    check(three, "`sources`: expected at most 2097152 bytes in all, got 2097153");
    let many: Vec<_> = (0..257).map(|at| inline(&at.to_string(), 0)).collect();
    check(json!({ "sources": many }), "`sources`: expected at most 256 sources");
    for (one, other) in [("a", "a"), ("a", "a/b"), ("a/b", "a")] {
        check(json!({"sources": [inline(one, 1), inline(other, 1)]}), "`sources[1].target`: ");
    }
    let encoded = json!({"sources": [{"type": "inline", "target": "a", "content": "?", "encoding": "base64"}]});
    check(encoded, "`sources[0].content`: expected base64");
    check(json!({"sources": [{"type": "inline", "content": "a"}]}), "`sources[0].target`: ");
    check(json!({"sources": [{"type": "inline", "target": "a"}]}), "`sources[0].content`: ");
    let code =
        check(json!({"sources": [{"type": "inline", "target": "a", "content": "", "mode": 7}]}), "`sources[0].mode`");
    assert_eq!(code, Code::ParameterUnknown);
    let variables: serde_json::Map<_, _> = (0..65).map(|at| (format!("A{at}"), json!("x"))).collect();
    check(json!({ "env": variables }), "`env`: expected at most 64 variables");
    check(json!({"env": {"A": "x".repeat(32 << 10)}}), "`env`: expected at most 32768 bytes");
    for name in ["HOME", "LANG", "TMPDIR", "LD_PRELOAD", "1A", "", "A=B", "A-B"] {
        check(json!({"env": {name: "x"}}), "`env.");
    }
    check(json!({"env": {"A": "a\0b"}}), "`env.A`: ");
    check(json!({"env": {"A": {"value": "x", "b": 1}}}), "`env.A.b`: unknown parameter");
    check(json!({"env": {"A": {}}}), "`env.A.value`: ");
    check(json!({"env": {"A": {"credential": "c", "value": ""}}}), "`env.A.credential`: ");
    for id in ["", "a b", "../a", &"x".repeat(64)] {
        check(json!({"env": {"A": {"credential": id}}}), "`env.A.credential`: ");
    }
    check(json!({"env": {"A": {"credential": 1}}}), "`env.A.credential`: ");
}

#[test]
fn a_copy_brings_nothing_along() {
    let copy = |more: Value| {
        let mut body = json!({"from_environment": "environments/env_abc"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        CreateEnvironment::read(body)
    };
    let id = copy(json!({"sources": [], "env": {}, "network": "disabled"})).unwrap().from_environment.unwrap();
    assert_eq!(id.as_str(), "env_abc");
    assert!(copy(sources("a")).unwrap_err().message.starts_with("`sources`: "));
    assert!(copy(json!({"env": {"A": "b"}})).unwrap_err().message.starts_with("`env`: "));
    for wrong in ["environments/", "a b", "../x", "environments/a/b", &"x".repeat(65)] {
        let error = CreateEnvironment::read(json!({"from_environment": wrong})).unwrap_err();
        assert!(error.message.starts_with("`from_environment`: "), "{wrong}: {}", error.message);
    }
}

#[test]
fn an_environment_is_shown_as_both_sets_of_names_have_it() {
    let id = EnvironmentId::parse("env_abc").unwrap();
    let shown = Environment {
        id: id.clone(),
        environment_id: id,
        kind: "remote",
        status: EnvironmentStatus::Active,
        created: "2026-06-09T12:01:25Z".to_owned(),
        updated: "2026-06-09T12:01:26Z".to_owned(),
        last_accessed: "2026-06-09T12:01:27Z".to_owned(),
        sources: vec![
            ShownSource::new(&WorkspacePath::parse("a/b").unwrap(), None),
            ShownSource::new(
                &WorkspacePath::parse("c").unwrap(),
                Some(RepositoryAddress::parse("https://git.test/c").unwrap()),
            ),
        ],
        network: Network::Disabled,
        file_count: 1,
        size_bytes: 2,
    };
    assert_eq!(
        serde_json::to_value(shown).unwrap(),
        json!({"id": "env_abc", "environment_id": "env_abc", "type": "remote", "status": "active",
            "created": "2026-06-09T12:01:25Z", "updated": "2026-06-09T12:01:26Z",
            "last_accessed": "2026-06-09T12:01:27Z", "sources": [
                {"type": "inline", "target": "a/b"},
                {"type": "repository", "target": "c", "source": "https://git.test/c"},
            ],
            "network": "disabled", "file_count": 1, "size_bytes": 2})
    );
}
