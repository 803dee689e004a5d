//! Environments survive the death of the server: what was acknowledged is there and whole, and
//! nothing else is.

use std::sync::mpsc;

use serde_json::json;

use crate::server::Site;

#[test]
fn environments_are_whole_or_not_there_after_kill_9() {
    let site = Site::scripted("[[reply]]\nchunks = [\"unused\"]\n");
    let server = site.serve(&[]);
    let source = |target: &str| json!({"type": "inline", "content": "x".repeat(50_000), "target": target});
    let body = json!({"sources": [source("a/1"), source("a/2"), source("b/3")]});
    let (acknowledged, made) = mpsc::channel();
    let mut ids = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (server, body, acknowledged) = (&server, &body, acknowledged.clone());
            scope.spawn(move || {
                while let Some(answer) = server.call("POST", "/v1/environments", Some(body)) {
                    let id = answer.body["id"].as_str().expect("an environment").to_owned();
                    // The test has seen enough.
                    if acknowledged.send(id).is_err() {
                        break;
                    }
                }
            });
        }
        ids.extend(made.iter().take(6));
        server.signal_kill();
        ids.extend(made.try_iter());
        drop(made);
    });
    drop(server);

    let server = site.serve(&[]);
    let listed = server.call("GET", "/v1/environments?page_size=1000", None).unwrap().body["environments"].clone();
    let listed: Vec<_> = listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    for id in &ids {
        assert!(listed.contains(id), "{id} was acknowledged");
    }
    for id in &listed {
        let files = server.call("GET", &format!("/v1/environments/{id}/files/?recursive=true"), None).unwrap().body;
        let shown: Vec<_> = files["files"].as_array().unwrap().iter().map(|file| &file["size_bytes"]).collect();
        assert_eq!(shown, [&json!(0), &json!(50_000), &json!(50_000), &json!(0), &json!(50_000)], "{id}");
    }
    let folders = std::fs::read_dir(site.workspaces()).unwrap().map(|entry| entry.unwrap().path());
    let homes = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    assert_eq!(homes.filter(|path| path.is_dir()).count(), listed.len());
}
