//! What every provider of a service keeps to, whatever the service does.

use antiphon_search::{Brave, Exa, Hit, Key, MediaWiki, Provider, Query, SearchErrorKind, Searxng, Tavily};

use crate::service::Service;

pub(crate) const KEY: &str = "k-planted-secret";

struct Case {
    provider: fn(&str) -> Box<dyn Provider>,
    /// What the service answers with two pages, one of them twice, and one without an address.
    found: String,
    empty: &'static str,
    refusal: &'static str,
}

fn cases() -> Vec<Case> {
    let mediawiki = crate::mediawiki::pages();
    vec![
        Case {
            provider: |url| Box::new(MediaWiki::new(url, &["en"]).unwrap()),
            found: mediawiki,
            empty: r#"{"batchcomplete":true,"query":{"general":{"sitename":"Wikipedia"},"searchinfo":{"totalhits":0},"search":[]}}"#,
            refusal: r#"{"error":{"code":"ratelimited","info":"You've exceeded your rate limit. k-planted-secret"}}"#,
        },
        Case {
            provider: |url| Box::new(Searxng::new(url).unwrap()),
            found: r#"{"query":"q","number_of_results":3,"results":[
                {"url":"https://a.example/one","title":"One &amp; only","content":"The <b>first</b> text.","publishedDate":"2026-03-01T00:00:00","engine":"x","score":4.0},
                {"url":"https://www.b.example/two","title":"Two","content":null,"publishedDate":null},
                {"url":"https://a.example/one","title":"Again","content":"x"},
                {"url":"javascript:alert(1)","title":"Bad","content":"x"},{"title":"None"}],
                "answers":[],"infoboxes":[],"suggestions":[],"unresponsive_engines":[["x","timeout"]]}"#
                .to_owned(),
            empty: r#"{"query":"q","number_of_results":0,"results":[]}"#,
            refusal: r#"{"results":null,"error":"k-planted-secret"}"#,
        },
        Case {
            provider: |url| Box::new(Brave::new(url, &Key::new(KEY)).unwrap()),
            found: r#"{"type":"search","query":{"original":"q"},"web":{"type":"search","results":[
                {"title":"One &amp; only","url":"https://a.example/one","description":"The <strong>first</strong> text.","page_age":"2026-03-01T00:00:00","language":"en","family_friendly":true,"meta_url":{"hostname":"a.example"}},
                {"title":"Two","url":"https://www.b.example/two","description":""},
                {"title":"Again","url":"https://a.example/one"},
                {"title":"Bad","url":"javascript:alert(1)"}]},"mixed":{}}"#
                .to_owned(),
            empty: r#"{"type":"search","query":{"original":"q"}}"#,
            refusal: r#"{"web":{"results":"k-planted-secret"}}"#,
        },
        Case {
            provider: |url| Box::new(Tavily::new(url, &Key::new(KEY)).unwrap()),
            found: r#"{"query":"q","answer":null,"images":[],"response_time":1.2,"results":[
                {"title":"One & only","url":"https://a.example/one","content":"The first text.","score":0.9,"raw_content":null,"published_date":"2026-03-01"},
                {"title":"Two","url":"https://www.b.example/two","content":"","score":0.5},
                {"title":"Again","url":"https://a.example/one","content":"x","score":0.4},
                {"title":"Bad","url":"ftp://a.example/","content":"x","score":0.1}]}"#
                .to_owned(),
            empty: r#"{"query":"q","results":[],"response_time":0.4}"#,
            refusal: r#"{"detail":{"error":"k-planted-secret"}}"#,
        },
        Case {
            provider: |url| Box::new(Exa::new(url, &Key::new(KEY)).unwrap()),
            found: r#"{"requestId":"r","resolvedSearchType":"neural","results":[
                {"id":"1","title":"One & only","url":"https://a.example/one","publishedDate":"2026-03-01T00:00:00.000Z","author":null,"text":"The first text."},
                {"id":"2","title":"Two","url":"https://www.b.example/two","text":""},
                {"id":"1","title":"Again","url":"https://a.example/one","text":"x"},
                {"id":"3","title":"Bad","url":"https://u:p@c.example/","text":"x"}],"costDollars":{"total":0.005}}"#
                .to_owned(),
            empty: r#"{"requestId":"r","results":[]}"#,
            refusal: r#"{"requestId":"r","error":"k-planted-secret","tag":"INVALID_API_KEY"}"#,
        },
    ]
}

async fn ask(provider: &dyn Provider) -> Result<Vec<Hit>, SearchErrorKind> {
    let answer = provider.search(&Query::new("one two").of(5)).await;
    answer.map_err(|error| {
        let said = format!("{error} {} {error:?}", error.detail());
        let has_key = !matches!(provider.name(), "mediawiki" | "searxng");
        assert!(!has_key || !said.contains(KEY), "{}: {said}", provider.name());
        assert!(!error.to_string().contains(error.detail()), "{}: {said}", provider.name());
        error.kind
    })
}

/// What each provider makes of the same answer.
async fn check(status: u16, body: impl Fn(&Case) -> String, expected: Result<Vec<Hit>, SearchErrorKind>) {
    for case in cases() {
        let service = Service::answering(status, body(&case));
        let provider = (case.provider)(&service.url);
        assert_eq!(ask(&*provider).await, expected, "{}", provider.name());
    }
}

fn hit(url: &str, title: &str, site: &str, text: &str, published: Option<&str>) -> Hit {
    Hit {
        url: url.to_owned(),
        title: title.to_owned(),
        site: site.to_owned(),
        text: text.to_owned(),
        published: published.map(str::to_owned),
    }
}

#[tokio::test]
async fn an_answer_becomes_distinct_hits() {
    for case in cases() {
        let service = Service::answering(200, case.found);
        let provider = (case.provider)(&service.url);
        let is_wiki = provider.name() == "mediawiki";
        let expected = [
            hit(
                "https://a.example/one",
                "One & only",
                if is_wiki { "Wikipedia" } else { "a.example" },
                "The first text.",
                if is_wiki { None } else { Some("2026-03-01") },
            ),
            hit("https://www.b.example/two", "Two", if is_wiki { "Wikipedia" } else { "b.example" }, "", None),
        ];
        assert_eq!(ask(&*provider).await.unwrap(), expected, "{}", provider.name());
    }
}

#[tokio::test]
async fn no_hits_are_no_error() {
    check(200, |case| case.empty.to_owned(), Ok(Vec::new())).await;
}

#[tokio::test]
async fn statuses_are_told_apart() {
    let said = |_: &Case| format!("{{\"error\":\"the key {KEY} is wrong\"}}");
    check(401, said, Err(SearchErrorKind::Refused)).await;
    check(403, said, Err(SearchErrorKind::Refused)).await;
    check(429, said, Err(SearchErrorKind::Refused)).await;
    check(500, said, Err(SearchErrorKind::Unavailable)).await;
    check(503, said, Err(SearchErrorKind::Unavailable)).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for case in cases() {
        let service = Service::answering(302, "");
        let provider = (case.provider)(&service.url);
        assert_eq!(ask(&*provider).await, Err(SearchErrorKind::Garbage), "{}", provider.name());
        assert_eq!(service.requests().len(), 1, "{}", provider.name());
    }
}

#[tokio::test]
async fn what_is_no_answer_is_garbage() {
    for body in ["", "<html>", "[]", "{\"web\":3,\"results\":3,\"query\":3}"] {
        check(200, |_| body.to_owned(), Err(SearchErrorKind::Garbage)).await;
    }
    check(200, |_| "[".repeat(100_000), Err(SearchErrorKind::Garbage)).await;
}

#[tokio::test]
async fn an_error_in_place_of_an_answer_is_one() {
    for case in cases() {
        let service = Service::answering(200, case.refusal);
        let provider = (case.provider)(&service.url);
        let expected = if provider.name() == "mediawiki" { SearchErrorKind::Refused } else { SearchErrorKind::Garbage };
        assert_eq!(ask(&*provider).await, Err(expected), "{}", provider.name());
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_it() {
    check(200, |case| case.empty.replace('{', &format!("{{{}", " ".repeat(3 << 20))), Err(SearchErrorKind::Garbage))
        .await;
}

#[tokio::test]
async fn nobody_at_the_address_is_unavailable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for case in cases() {
        let provider = (case.provider)(&format!("http://{free}"));
        assert_eq!(ask(&*provider).await, Err(SearchErrorKind::Unavailable), "{}", provider.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_service_is_unavailable() {
    for case in cases() {
        let service = Service::start(|_| None);
        let provider = (case.provider)(&service.url);
        assert_eq!(ask(&*provider).await, Err(SearchErrorKind::Unavailable), "{}", provider.name());
    }
}

#[test]
fn what_is_configured_wrong_is_said_at_once() {
    let check = |error: Option<antiphon_search::SearchError>, expected: &str| {
        let error = error.unwrap();
        assert_eq!((error.kind, error.detail()), (SearchErrorKind::NotConfigured, expected));
    };
    let address = "the address of the service is none: ";
    check(Searxng::new("ftp://a.example").err(), &format!("{address}expected http:// or https:// and a host"));
    check(Searxng::new("http://u:p@a.example").err(), &format!("{address}it holds a password"));
    check(Searxng::new("http://a.example?x=1").err(), &format!("{address}expected no query"));
    let key = "the key is empty or cannot stand in a header";
    check(Brave::new(Brave::URL, &Key::new("")).err(), key);
    check(Exa::new(Exa::URL, &Key::new("a\nb")).err(), key);
    check(MediaWiki::new(MediaWiki::URL, &[]).err(), "no language of the wiki is given");
    check(
        MediaWiki::new(MediaWiki::URL, &["evil.example/"]).err(),
        "`evil.example/` is no language, expected one such as `en`",
    );
}

#[test]
fn keys_are_shown_nowhere() {
    let tavily = Tavily::new(Tavily::URL, &Key::new(KEY)).unwrap();
    assert!(!format!("{tavily:?} {:?}", Key::new(KEY)).contains(KEY));
}
