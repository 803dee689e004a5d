//! What a credential holds is in no answer, no log and no file, whatever is done with it.

use serde_json::{Value, json};

use crate::server::{Site, files};

const PLANTED: &str = "planted-secret-0123456789";

fn bodies() -> [Value; 3] {
    [
        json!({"type": "bearer_token", "id": "one", "token": PLANTED, "prefix": "Token"}),
        json!({"type": "oauth2", "id": "two", "client_id": "c", "client_secret": PLANTED, "refresh_token": PLANTED,
            "token_url": "https://example.com/token"}),
        json!({"type": "environment_variable", "id": "three", "value": PLANTED, "injection_location": "header"}),
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
