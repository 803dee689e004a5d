//! What goes wrong between here and a service, and what comes of it.

use std::time::Duration;

use antiphon_engine::{Backend as _, BackendError, ModelEvent, Prepared};
use antiphon_upstream::{Timeouts, Upstream, UpstreamOptions};
use futures_util::StreamExt as _;
use pretty_assertions::assert_eq;

use crate::service::{Does, Service, options, request};

/// The text, and how it ended.
pub(crate) async fn ask(upstream: &dyn antiphon_engine::Backend, text: &str) -> (String, Option<BackendError>) {
    let mut said = String::new();
    let mut stream = match upstream.generate(request(text), Prepared::default()).await {
        Ok(stream) => stream,
        Err(error) => return (said, Some(error)),
    };
    while let Some(event) = stream.next().await {
        match event {
            Ok(ModelEvent::Text { text, .. }) => said.push_str(&text),
            Ok(_) => {}
            Err(error) => return (said, Some(error)),
        }
    }
    (said, None)
}

fn code(error: Option<&BackendError>) -> &'static str {
    match error {
        Some(BackendError::Upstream { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

fn refusal(status: u16) -> Does {
    Does::Answers(status, "retry-after-ms: 1\r\n", r#"{"error": {"message": "no, sk-planted"}}"#.to_owned())
}

#[tokio::test]
async fn each_status_has_its_code_and_only_what_passes_is_tried_again() {
    for (status, expected, tries) in [
        (400, "invalid_request", 1),
        (401, "service_unavailable", 1),
        (403, "service_unavailable", 1),
        (404, "service_unavailable", 1),
        (408, "deadline_exceeded", 3),
        (422, "invalid_request", 1),
        (429, "rate_limit_exceeded", 3),
        (500, "service_unavailable", 3),
        (503, "service_unavailable", 3),
        (307, "service_unavailable", 1),
    ] {
        let service = Service::start(vec![refusal(status)]).await;
        let (said, error) = ask(&service.upstream(), "Hello").await;
        assert_eq!((said.as_str(), code(error.as_ref()), service.count()), ("", expected, tries), "{status}");
        let shown = format!("{error:?}");
        assert!(!shown.contains("sk-planted"), "the key is in {shown}");
    }
}

#[tokio::test]
async fn a_try_that_works_is_the_answer_and_the_key_goes_in_its_header() {
    let service = Service::start(vec![refusal(503), Does::Breaks(&[]), Does::Says(&["Hel", "lo."])]).await;
    assert_eq!(ask(&service.upstream(), "Hello").await, ("Hello.".to_owned(), None));
    let requests = service.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests[0].0.starts_with("post /v1/chat/completions "));
    assert!(requests[0].0.contains("authorization: bearer sk-planted"));
    assert_eq!(requests[0].1, requests[2].1);
}

#[tokio::test]
async fn after_the_first_piece_nothing_is_tried_again() {
    let service = Service::start(vec![Does::Breaks(&["Half"]), Does::Says(&["whole"])]).await;
    let (said, error) = ask(&service.upstream(), "Hello").await;
    assert_eq!((said.as_str(), code(error.as_ref()), service.count()), ("Half", "service_unavailable", 1));
}

#[tokio::test]
async fn a_pause_that_is_too_long_is_no_pause() {
    let long = Does::Answers(429, "retry-after: 3600\r\n", String::new());
    let service = Service::start(vec![long]).await;
    let (_, error) = ask(&service.upstream(), "Hello").await;
    assert_eq!((code(error.as_ref()), service.count()), ("rate_limit_exceeded", 1));
}

fn impatient(service: &Service) -> Upstream {
    let short = Duration::from_millis(50);
    let timeouts = Timeouts { first: short, idle: short, ..Timeouts::default() };
    Upstream::new(UpstreamOptions { timeouts, attempts: 1, ..options(vec![service.url.clone()]) }).unwrap()
}

#[tokio::test]
async fn silence_before_the_first_piece_and_between_two_ends_in_time() {
    let service = Service::start(vec![Does::Hangs(&[]), Does::Hangs(&["Half"])]).await;
    let upstream = impatient(&service);
    let (said, error) = ask(&upstream, "Hello").await;
    assert_eq!((said.as_str(), code(error.as_ref())), ("", "deadline_exceeded"));
    let (said, error) = ask(&upstream, "Hello").await;
    assert_eq!((said.as_str(), code(error.as_ref())), ("Half", "deadline_exceeded"));
}

#[tokio::test]
async fn what_is_no_answer_is_not_taken_for_one() {
    let whole = r#"{"choices": [{"message": {"content": "whole"}}]}"#.to_owned();
    for (does, expected) in [
        (Does::Answers(200, "content-type: application/json\r\n", whole), "api_error"),
        (Does::Answers(200, "content-type: text/html\r\n", "<html>".to_owned()), "api_error"),
        (Does::Sends(b"data: {\"choices\": {}}\n\n".to_vec()), "api_error"),
        (Does::Sends(b"data: \xff\xfe\n\n".to_vec()), "api_error"),
        (Does::Sends(Vec::from("x")), "service_unavailable"),
        (Does::Sends(vec![b'a'; 9 << 20]), "api_error"),
    ] {
        let service = Service::start(vec![does]).await;
        let upstream = UpstreamOptions { attempts: 1, ..options(vec![service.url.clone()]) };
        let (said, error) = ask(&Upstream::new(upstream).unwrap(), "Hello").await;
        assert_eq!((said.as_str(), code(error.as_ref())), ("", expected));
    }
}

#[tokio::test]
async fn leaving_hangs_up_at_the_service() {
    let service = Service::start(vec![Does::Hangs(&["Half"])]).await;
    let upstream = service.upstream();
    let mut stream = upstream.generate(request("Hello"), Prepared::default()).await.unwrap();
    while !matches!(stream.next().await, Some(Ok(ModelEvent::Text { .. }))) {}
    drop(stream);
    service.left().await;

    let service = Service::start(vec![Does::Hangs(&[])]).await;
    let upstream = service.upstream();
    let arrived = async {
        while service.count() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = upstream.generate(request("Hello"), Prepared::default()) => panic!("there is no answer"),
        () = arrived => {}
    }
    service.left().await;
}

#[tokio::test]
async fn no_more_calls_than_allowed_run_at_the_same_time() {
    let service = Service::start(vec![Does::Hangs(&["Half"])]).await;
    let upstream = UpstreamOptions { concurrency: 1, ..options(vec![service.url.clone()]) };
    let upstream = Upstream::new(upstream).unwrap();
    let first = upstream.generate(request("One"), Prepared::default()).await.unwrap();
    let mut second = std::pin::pin!(upstream.generate(request("Two"), Prepared::default()));
    assert!(futures_util::poll!(second.as_mut()).is_pending());
    assert_eq!(service.count(), 1);
    drop(first);
    drop(second.await.unwrap());
    assert_eq!(service.count(), 2);
}

#[test]
fn addresses_and_headers_that_are_none_are_refused_at_once() {
    for url in ["", "10.0.0.1:80", "ftp://a", "http://", "http://me:pw@a/v1", "http://a/v1?x=1"] {
        assert!(Upstream::new(options(vec![url.to_owned()])).is_err(), "{url}");
    }
    assert!(Upstream::new(options(Vec::new())).is_err());
    let mut named = options(vec!["http://a/v1".to_owned()]);
    named.session_header = Some("not a name".to_owned());
    assert!(Upstream::new(named).is_err());
}
