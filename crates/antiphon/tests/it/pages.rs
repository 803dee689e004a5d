//! `url_context` on pages that the operator's configuration leads to the loopback: what is read and cited, and what is not.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::server::Site;

const PAGE: &str = "<!doctype html><html><head><title>Herons</title></head><body><main><h1>Herons</h1>\
                    <p>The grey heron waits for hours in shallow water.</p></main></body></html>";

/// What stands for `https://example.org/`, and the paths that were asked of it.
struct Host {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Host {
    async fn start() -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&asked);
        let router = Router::new().fallback(move |request: Request| {
            let path = request.uri().path().to_owned();
            noted.lock().unwrap().push(path.clone());
            async move {
                match path.as_str() {
                    "/herons" => Html(PAGE).into_response(),
                    "/unpaid" => StatusCode::UNAUTHORIZED.into_response(),
                    "/closed" => StatusCode::FORBIDDEN.into_response(),
                    _ => StatusCode::NOT_FOUND.into_response(),
                }
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    fn site(&self, script: &str) -> Site {
        let config = format!("[fetch.rewrite]\n\"https://example.org/\" = \"http://{}/\"\n", self.address);
        Site::scripted_with(&config, script)
    }

    /// The pages that were asked for.
    fn pages(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().filter(|path| *path != "/robots.txt").cloned().collect()
    }
}

fn asking(input: &str) -> Value {
    json!({"model": "scripted", "input": input, "tools": [{"type": "url_context"}]})
}

#[test]
fn a_page_is_read_and_the_answer_cites_it() {
    let runtime = Runtime::new().unwrap();
    let host = runtime.block_on(Host::start());
    let site = host.site(
        r#"
[[reply]]
when = "What do herons do"
calls = [{ name = "url_context", arguments = { urls = ["https://example.org/herons"] } }]

[[reply]]
when = "The grey heron waits for hours in shallow water."
chunks = ["Gehört: ja. The grey heron waits for ", "hours ⟦1⟧."]
"#,
    );
    let server = site.serve(&[]);
    let answer = server.create(&asking("What do herons do, as https://example.org/herons has it?")).unwrap();
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("completed")), "{}", answer.body);
    let [call, result, output] = &answer.body["steps"].as_array().unwrap()[..] else { panic!("{}", answer.body) };
    assert_eq!((&call["type"], &result["type"]), (&json!("url_context_call"), &json!("url_context_result")));
    assert_eq!(call["arguments"], json!({"urls": ["https://example.org/herons"]}));
    assert_eq!((&result["call_id"], &result["is_error"]), (&call["id"], &json!(false)));
    assert_eq!(result["result"], json!([{"url": "https://example.org/herons", "status": "success"}]));
    let content = &output["content"][0];
    let text = content["text"].as_str().unwrap();
    assert_eq!(text, "Gehört: ja. The grey heron waits for hours.");
    let [citation] = &content["annotations"].as_array().unwrap()[..] else { panic!("{content}") };
    let place = |name: &str| usize::try_from(citation[name].as_u64().unwrap()).unwrap();
    assert_eq!(&text.as_bytes()[place("start_index")..place("end_index")], b"The grey heron waits for hours");
    let cited = ["type", "url", "title"].map(|name| citation[name].as_str().unwrap());
    assert_eq!(cited, ["url_citation", "https://example.org/herons", "example.org"]);
    assert_eq!(host.pages(), ["/herons"]);
}

#[test]
fn a_page_that_cannot_be_had_has_its_status_and_the_model_is_told_why() {
    let runtime = Runtime::new().unwrap();
    let host = runtime.block_on(Host::start());
    let named = ["https://example.org/unpaid", "https://example.org/closed", "https://example.org/gone"];
    let loopback = format!("http://{}/herons", host.address);
    let urls = [&named[..], &[loopback.as_str(), "https://example.org/herons"]].concat();
    let site = host.site(&format!(
        "[[reply]]\nwhen = \"Read\"\ncalls = [{{ name = \"url_context\", arguments = {{ urls = {urls:?} }} }}]\n\n\
         [[reply]]\nwhen = \"https://example.org/herons: this address stands nowhere in the conversation.\"\n\
         chunks = [\"I could not.\"]\n"
    ));
    let server = site.serve(&[]);
    // All but the last stand in the input.
    let input = format!("Read {} and {loopback} and https://example.org/herons/more", named.join(" and "));
    let answer = server.create(&asking(&input)).unwrap();
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("completed")), "{}", answer.body);
    let result = &answer.body["steps"][1];
    let expected: Vec<_> = urls
        .iter()
        .zip(["paywall", "paywall", "error", "unsafe", "unsafe"])
        .map(|(url, status)| json!({ "url": url, "status": status }))
        .collect();
    assert_eq!((&result["result"], &result["is_error"]), (&json!(expected), &json!(true)));
    assert_eq!(answer.body["steps"][2]["content"], json!([{"type": "text", "text": "I could not."}]));
    let mut asked = host.pages();
    asked.sort();
    assert_eq!(asked, ["/closed", "/gone", "/unpaid"]);
}
