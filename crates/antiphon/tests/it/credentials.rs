//! What a credential holds is in no answer, no log and no file, whatever is done with it.

use serde_json::{Value, json};

use crate::server::{Site, files};

const PLANTED: &str = "planted-secret-0123456789";

fn bodies() -> [Value; 3] {
    [
        json!({"type": "bearer_token", "id": "one", "token": PLANTED, "prefix": "Token"}),
        json!({"type": "oauth2", "id": "two", "client_id": "c", "client_secret": PLANTED, "refresh_token": PLANTED,
            "token_url": "https://example.com/token"}),
        json!({"type": "environment_variable", "id": "three", "value": PLANTED, "injection_location": "header",
            "trusted_domains": ["api.example.com"]}),
    ]
}

#[test]
fn a_secret_is_in_no_answer_no_log_and_no_file() {
    let site = Site::scripted("[[reply]]\nchunks = [\"unused\"]\n");
    let server = site.serve_logging("trace");
    let mut answers = Vec::new();
    let mut ask = |server: &crate::server::Server, method: &str, path: &str, body: Option<&Value>| {
        let answer = server.call(method, path, body).unwrap();
        answers.push(answer.body.to_string());
        answer.status
    };
    for body in bodies() {
        assert_eq!(ask(&server, "POST", "/v1/credentials", Some(&body)), 200);
        // Again, and in every wrong field.
        assert_eq!(ask(&server, "POST", "/v1/credentials", Some(&body)), 400);
        for name in body.as_object().unwrap().keys() {
            let mut wrong = body.clone();
            wrong[name] = json!([{ PLANTED: PLANTED }]);
            assert_eq!(ask(&server, "POST", "/v1/credentials", Some(&wrong)), 400, "{name}");
        }
        let path = format!("/v1/credentials/{}", body["id"].as_str().unwrap());
        assert_eq!(ask(&server, "GET", &path, None), 200);
        let mut update = body.clone();
        update.as_object_mut().unwrap().remove("id");
        assert_eq!(ask(&server, "PATCH", &path, Some(&update)), 200);
    }
    assert_eq!(ask(&server, "GET", "/v1/credentials", None), 200);
    // As it is after a death, with nothing tidied up.
    server.kill();
    let server = site.serve_logging("trace");
    assert_eq!(ask(&server, "GET", "/v1/credentials/two", None), 200);
    assert_eq!(ask(&server, "DELETE", "/v1/credentials/one", None), 200);
    for answer in answers {
        assert!(!answer.contains(PLANTED), "{answer}");
    }
    let log = std::fs::read_to_string(site.log()).unwrap();
    assert!(log.contains("/v1/credentials/two"), "the log was written");
    for file in files(&site.data()).into_iter().chain([site.log()]) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(PLANTED.len()).any(|window| window == PLANTED.as_bytes());
        assert!(!found, "the secret is in {}", file.display());
    }
    assert!(site.data().join("credentials/key").is_file());
}

/// Prints all that a program can find of itself and of what is around it.
const LOOKS: &str = r#"
[[reply]]
when = "Look"
calls = [{ name = "code_execution", arguments = { language = "bash", code = """
env; cat /proc/*/environ /proc/*/cmdline /proc/*/maps 2>/dev/null | tr '\\0' '\\n'
for folder in / /etc /run /tmp /opt . ..; do ls -la $folder; cat $folder/* $folder/.??* 2>/dev/null; done
echo looked""" } }]

[[reply]]
when = "looked"
chunks = ["That is all."]
"#;

#[test]
fn a_program_does_not_see_the_secret_that_goes_into_its_requests() {
    let site = Site::scripted(LOOKS);
    let server = site.serve_logging("trace");
    let [bearer, .., variable] = bodies();
    for body in [bearer, variable] {
        assert_eq!(server.call("POST", "/v1/credentials", Some(&body)).unwrap().status, 200);
    }
    let network = json!({"allowlist": [{"domain": "api.example.com", "credential": "one"}]});
    let run = json!({"agent": "antigravity-preview-05-2026", "input": "Look", "tools": [{"type": "code_execution"}],
        "environment": {"type": "remote", "network": network,
            "env": {"PLAIN": "seen by the program", "KEY": {"credential": "three"}}}});
    let answer = server.create(&run).unwrap();
    assert_eq!(answer.body["status"], "completed", "{}", answer.body);
    let id = answer.body["id"].as_str().unwrap();
    let events: Vec<Value> =
        server.stream("GET", &format!("/v1/interactions/{id}?stream=true"), None).unwrap().collect();
    let told = format!("{} {}", answer.body, serde_json::to_string(&events).unwrap());
    for words in ["seen by the program", "SSL_CERT_FILE", "KEY=antiphon-placeholder-"] {
        assert!(told.contains(words), "it has looked: {told}");
    }
    assert!(!told.contains(PLANTED));
    server.kill();
    for file in files(&site.data()).into_iter().chain(files(&site.workspaces())).chain([site.log()]) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(PLANTED.len()).any(|window| window == PLANTED.as_bytes());
        assert!(!found, "the secret is in {}", file.display());
    }
}
