//! `antiphon agents` and `antiphon envs` against a real server.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::server::{Server, Site, antiphon};

const SCRIPT: &str = "[[reply]]\nwhen = \"weather\"\n[[reply.calls]]\nname = \"weather\"\narguments = { city = \"Porto\" }\n\n\
                      [[reply]]\nchunks = [\"Hello \\u001b[2J\", \"there.\"]\n";

/// What a command of this server's client prints, in this folder.
fn antiphon_there(site: &Site, server: &Server, folder: &Path, arguments: &[&str]) -> Output {
    antiphon()
        .args(arguments)
        .current_dir(folder)
        .env("ANTIPHON_URL", format!("http://{}", server.address))
        .env("GEMINI_API_KEY", &site.key)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn an_agent_is_defined_listed_run_and_deleted() {
    let site = Site::scripted(SCRIPT);
    let server = site.serve(&[]);
    let folder = tempfile::tempdir().unwrap();
    let there = |arguments: &[&str]| antiphon_there(&site, &server, folder.path(), arguments);
    let definition = json!({"id": "greeter", "base_agent": "antigravity-preview-05-2026", "description": "Greets.",
        "tools": [{"type": "function", "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]});
    std::fs::write(folder.path().join("greeter.json"), definition.to_string()).unwrap();

    let made = there(&["agents", "create", "--file", "greeter.json", "--system-instruction", "Greet."]);
    assert_eq!(printed(&made), "greeter\n");
    let got: Value = serde_json::from_str(&printed(&there(&["agents", "get", "greeter"]))).unwrap();
    assert_eq!((&got["system_instruction"], &got["tools"]), (&json!("Greet."), &definition["tools"]));
    let list = "id       base                         description\ngreeter  antigravity-preview-05-2026  Greets.\n";
    assert_eq!(printed(&there(&["agents", "list"])), list);
    let listed: Value = serde_json::from_str(&printed(&there(&["agents", "list", "--json"]))).unwrap();
    assert_eq!(listed["agents"], json!([got]));

    // What a model says cannot steer the terminal.
    let run = there(&["agents", "run", "greeter", "Hi"]);
    assert_eq!(printed(&run), "Hello [2Jthere.\n");
    assert!(said(&run).contains("completed"), "{}", said(&run));
    let events = printed(&there(&["agents", "run", "greeter", "Hi", "--json"]));
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.first().unwrap()["event_type"], "interaction.created");
    assert_eq!(events.last().unwrap()["interaction"]["status"], "completed");
    let id = printed(&there(&["agents", "run", "greeter", "Hi", "--detach"]));
    assert_eq!(server.get(id.trim()).unwrap().status, 200);

    // Nobody answers the function.
    let waits = there(&["agents", "run", "greeter", "How is the weather?"]);
    assert_eq!(waits.status.code(), Some(3), "{}", said(&waits));
    assert!(said(&waits).contains("requires_action") && said(&waits).contains("Porto"), "{}", said(&waits));

    assert!(there(&["agents", "delete", "greeter"]).status.success());
    let gone = there(&["agents", "run", "greeter", "Hi"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(said(&gone).contains("greeter"), "{}", said(&gone));
}

#[test]
fn files_go_into_an_environment_and_come_back() {
    let site = Site::scripted(SCRIPT);
    let server = site.serve(&[]);
    let folder = tempfile::tempdir().unwrap();
    let there = |arguments: &[&str]| antiphon_there(&site, &server, folder.path(), arguments);
    let made = server.call("POST", "/v1/environments", Some(&json!({}))).unwrap();
    let id = made.body["id"].as_str().unwrap().to_owned();
    // More than one piece of an upload.
    let bytes: Vec<u8> = (0..9_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    std::fs::write(folder.path().join("big file"), &bytes).unwrap();

    printed(&there(&["envs", "put", &id, "big file", "in/a b#?.bin"]));
    let files = printed(&there(&["envs", "files", &id, "--recursive"]));
    assert!(files.starts_with("type ") && files.contains("9000000") && files.contains("in/a b#?.bin"), "{files}");
    printed(&there(&["envs", "get", &id, "/workspace/in/a b#?.bin"]));
    assert!(std::fs::read(folder.path().join("a b#?.bin")).unwrap() == bytes);
    assert!(there(&["envs", "get", &id, "in/a b#?.bin", "-"]).stdout == bytes);

    // Nothing is replaced, here or there, unless that is asked for.
    std::fs::write(folder.path().join("small"), "small").unwrap();
    assert_eq!(there(&["envs", "get", &id, "in/a b#?.bin", "small"]).status.code(), Some(1));
    assert_eq!(there(&["envs", "put", &id, "small", "in/a b#?.bin"]).status.code(), Some(1));
    printed(&there(&["envs", "put", &id, "small", "in/a b#?.bin", "--overwrite"]));
    assert_eq!(printed(&there(&["envs", "get", &id, "in/a b#?.bin", "-"])), "small");
    assert_eq!(std::fs::read_to_string(folder.path().join("small")).unwrap(), "small");

    // The snapshot of one is an archive for another.
    printed(&there(&["envs", "snapshot", &id, "all.tar"]));
    let other = server.call("POST", "/v1/environments", Some(&json!({}))).unwrap();
    let other = other.body["id"].as_str().unwrap().to_owned();
    printed(&there(&["envs", "put", &other, "all.tar", "--extract"]));
    assert_eq!(printed(&there(&["envs", "get", &other, "in/a b#?.bin", "-"])), "small");

    let listed: Value = serde_json::from_str(&printed(&there(&["envs", "list", "--json"]))).unwrap();
    assert_eq!(listed["environments"].as_array().unwrap().len(), 2);
    assert!(there(&["envs", "rm", &id, &other]).status.success());
    assert_eq!(printed(&there(&["envs", "list"])), "id  status  files  bytes  last used\n");
    let gone = there(&["envs", "snapshot", &id, "none.tar"]);
    assert_eq!((gone.status.code(), folder.path().join("none.tar").exists()), (Some(1), false));
}

#[test]
fn a_client_without_a_server_or_a_key_says_what_is_missing() {
    let site = Site::scripted(SCRIPT);
    let server = site.serve(&[]);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}", server.address);
    let rows: [(&str, &[&str], &str); 4] = [
        (&url, &["--api-key", "antiphon_wrong"], "key"),
        (&url, &[], "GEMINI_API_KEY"),
        ("ftp://127.0.0.1", &["--api-key", "x"], "ftp://127.0.0.1"),
        // Nothing listens on port 1.
        ("http://127.0.0.1:1", &["--api-key", "x"], "antiphon serve"),
    ];
    for (url, arguments, word) in rows {
        let done = antiphon()
            .args(["envs", "list", "--url", url])
            .args(arguments)
            .env("ANTIPHON_DATA_DIR", folder.path())
            .env_remove("GEMINI_API_KEY")
            .output()
            .unwrap();
        assert!(done.status.code() == Some(1) && said(&done).contains(word), "{url}: {}", said(&done));
    }
    assert_eq!(antiphon().args(["envs", "get", "e", "../x"]).output().unwrap().status.code(), Some(2));
}
