//! What is asked of each service, and where the key stands.

use antiphon_search::{Brave, Exa, Key, Provider, Query, Searxng, Tavily};

use crate::contract::KEY;
use crate::service::{Request, Service};

async fn asked(provider: impl Fn(&str) -> Box<dyn Provider>, query: &Query) -> Request {
    let service = Service::answering(200, r#"{"results":[]}"#);
    provider(&service.url).search(query).await.unwrap();
    let [request] = service.requests().try_into().unwrap();
    assert!(!request.line.contains(KEY) && !request.body.contains(KEY));
    assert!(request.head.contains("user-agent: antiphon/"), "{}", request.head);
    request
}

fn query() -> Query {
    Query::new("  são\npaulo & co ").in_language("pt-BR").of(3)
}

#[tokio::test]
async fn searxng_is_asked_for_json() {
    let request = asked(|url| Box::new(Searxng::new(&format!("{url}/sub/")).unwrap()), &query()).await;
    assert_eq!(request.line, "GET /sub/search?q=s%C3%A3o+paulo+%26+co&format=json&language=pt-BR HTTP/1.1");
}

#[tokio::test]
async fn brave_is_shown_its_token() {
    let brave = |url: &str| Box::new(Brave::new(url, &Key::new(KEY)).unwrap()) as Box<dyn Provider>;
    let request = asked(brave, &query()).await;
    let expected = "GET /res/v1/web/search?q=s%C3%A3o+paulo+%26+co&count=3&text_decorations=false&result_filter=web\
        &search_lang=pt-br HTTP/1.1";
    assert_eq!(request.line, expected);
    assert!(request.head.contains(&format!("x-subscription-token: {KEY}")), "{}", request.head);
    let check = async |language: &str, expected: Option<&str>| {
        let request = asked(brave, &Query::new("x").in_language(language)).await;
        let found = request.line.split(['&', ' ']).find_map(|pair| pair.strip_prefix("search_lang="));
        assert_eq!(found, expected, "{language}");
    };
    check("pt-PT", Some("pt-pt")).await;
    check("en-US", Some("en")).await;
    check("ja", Some("jp")).await;
    check("tlh", None).await;
    check("no such language", None).await;
}

#[tokio::test]
async fn tavily_is_shown_its_key() {
    let request = asked(|url| Box::new(Tavily::new(url, &Key::new(KEY)).unwrap()), &query()).await;
    assert_eq!(request.line, "POST /search HTTP/1.1");
    assert!(request.head.contains(&format!("authorization: bearer {KEY}")), "{}", request.head);
    let expected = r#"{"query":"são paulo & co","max_results":3,"search_depth":"basic","include_answer":false,"include_raw_content":false,"include_images":false}"#;
    assert_eq!(request.body, expected);
}

#[tokio::test]
async fn exa_is_asked_for_text() {
    let request = asked(|url| Box::new(Exa::new(url, &Key::new(KEY)).unwrap()), &query()).await;
    assert_eq!(request.line, "POST /search HTTP/1.1");
    assert!(request.head.contains(&format!("x-api-key: {KEY}")), "{}", request.head);
    let expected =
        r#"{"query":"são paulo & co","numResults":3,"type":"auto","contents":{"text":{"maxCharacters":2000}}}"#;
    assert_eq!(request.body, expected);
}

#[test]
fn a_query_is_one_bounded_line() {
    let query = Query::new(&format!("a\n\tb\u{0} {}", "x".repeat(10_000))).of(1000).in_language("../x");
    assert_eq!(query.text().chars().count(), 400);
    assert!(query.text().starts_with("a b xxx"));
    assert_eq!((query.count(), query.language()), (20, None));
}
