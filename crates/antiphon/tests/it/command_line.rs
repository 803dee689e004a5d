//! Keys, refusals and the words at the terminal.

use serde_json::{Value, json};

use crate::server::{Site, antiphon, processes_with};

const OK: &str = "[[reply]]\nchunks = [\"ok\"]";

#[test]
fn keys_are_made_listed_and_revoked_beside_a_running_server() {
    let site = Site::scripted(OK);
    let server = site.serve(&[]);
    let keys = |arguments: &[&str]| {
        let done = antiphon().arg("keys").args(arguments).arg("--data-dir").arg(site.data()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let made = keys(&["create", "--name", "second", "--project", "other"]);
    assert_eq!(made.lines().count(), 1, "the key stands alone");
    let id = made.trim().split('_').nth(1).unwrap().to_owned();
    let list = keys(&["list"]);
    assert!(list.contains(&id) && list.contains("other") && !list.contains(made.trim()), "{list}");
    keys(&["revoke", &id]);
    assert!(!keys(&["list"]).lines().any(|line| line.starts_with(&id) && line.ends_with('-')));
    assert_eq!(server.create(&json!({"model": "scripted", "input": "hi"})).unwrap().status, 200);
}

#[test]
fn a_first_start_on_loopback_makes_one_key_and_shows_it_again() {
    let site = Site::scripted(OK);
    // A data folder without any key.
    std::fs::remove_dir_all(site.data()).unwrap();
    let server = site.serve(&[]);
    let kept = std::fs::read_to_string(site.data().join("bootstrap-key")).unwrap();
    assert!(kept.trim().starts_with("antiphon_"));
    assert!(server.terminate().success());
    let server = site.serve(&[]);
    assert_eq!(std::fs::read_to_string(site.data().join("bootstrap-key")).unwrap(), kept);
    drop(server);
}

#[test]
fn what_a_model_is_set_to_reaches_its_worker() {
    let arguments = |settings: &str| {
        let site =
            Site::new(&format!("[[models]]\nname = \"toy\"\nfile = \"toy.gguf\"\n{settings}"), &[("toy.gguf", "GGUF")]);
        let weights = site.data().with_file_name("toy.gguf");
        let server = site.serve(&[]);
        let [worker] = processes_with(weights.to_str().unwrap())[..] else { panic!("one worker") };
        let arguments = std::fs::read_to_string(format!("/proc/{worker}/cmdline")).unwrap().replace('\0', " ");
        drop(server);
        arguments
    };

    let set = arguments("context = 2048\nthreads = 3\nslots = 5\nattention = \"fused\"\n");
    let unset = arguments("context = 4096\n");

    let wanted = ["--context 2048", "--threads 3", "--slots 5", "--fused-attention"];
    assert!(wanted.iter().all(|one| set.contains(one)), "{set}");
    assert!(
        unset.contains("--context 4096") && !unset.contains("--threads") && !unset.contains("attention"),
        "{unset}"
    );
}

#[test]
fn what_is_unsafe_or_unknown_is_refused_with_its_reason() {
    let site = Site::scripted(OK);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("bad.toml");
    std::fs::write(&config, "[server]\nlisen = \"127.0.0.1:0\"\n").unwrap();
    let empty = folder.path().join("empty");
    let server = site.serve(&[]);
    let rows: [(Vec<String>, &str); 4] = [
        (vec!["--config".to_owned(), config.display().to_string()], "lisen"),
        (vec!["--listen".to_owned(), "nowhere".to_owned()], "nowhere"),
        (vec!["--data-dir".to_owned(), site.data().display().to_string(), "--listen=127.0.0.1:0".to_owned()], "serve"),
        (
            vec!["--models-dir".to_owned(), empty.display().to_string(), "--listen=127.0.0.1:0".to_owned()],
            "models pull",
        ),
    ];
    for (arguments, word) in rows {
        let mut command = antiphon();
        command.arg("serve");
        if !arguments.iter().any(|argument| argument == "--data-dir") {
            command.arg("--data-dir").arg(folder.path().join("data"));
        }
        let done = command.args(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success() && said.contains(word), "{arguments:?}: {said}");
    }
    drop(server);
}

#[test]
fn listening_beyond_loopback_needs_a_key_first() {
    let site = Site::scripted(OK);
    std::fs::remove_dir_all(site.data()).unwrap();
    let done = antiphon()
        .args(["serve", "--listen", "0.0.0.0:0", "--data-dir"])
        .arg(site.data())
        .arg("--config")
        .arg(site.data().parent().unwrap().join("antiphon.toml"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success() && said.contains("keys create"), "{said}");
}

#[test]
fn what_a_worker_says_is_a_line_of_the_log_like_any_other() {
    let site = Site::toy();
    let server = site.serve(&[]);
    assert_eq!(server.create(&json!({"model": "toy", "input": "hi"})).unwrap().status, 200);
    let said = |line: &str| serde_json::from_str::<Value>(line).unwrap()["said"] == "the toy has no weights";
    // It was said before the answer, and is logged by a thread of its own.
    while !std::fs::read_to_string(site.log())
        .unwrap()
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .any(said)
    {
        std::thread::yield_now();
    }
}
