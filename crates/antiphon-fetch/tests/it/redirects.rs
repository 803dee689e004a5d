//! S5, S8, S17, and S7, S9, S10 through a redirect.

use antiphon_fetch::{FetchError, FetchOptions, Fetched, HeaderMap, Purpose, Refusal, Rewrite};

use crate::world::{Host, Names, PUBLIC, answers, fetcher, html, leads_to, options};

const NAMES: [(&str, &[&[&str]]); 3] =
    [("site.com", &[&[PUBLIC]]), ("other.com", &[&["93.184.215.15"]]), ("private.com", &[&["10.0.0.1"]])];

/// Fetches `/` of a host that leads on to `location`, and tells which paths were asked for.
async fn follow(location: &str) -> (Result<Fetched, FetchError>, Vec<String>) {
    let location = location.to_owned();
    let host = Host::start(move |head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let port = head.split("host: site.com:").nth(1).and_then(|rest| rest.split('\r').next()).unwrap_or_default();
        if path == "/" { leads_to(&location.replace("PORT", port)) } else { html("there") }
    })
    .await;
    let names = Names::new(&NAMES);
    let fetcher = fetcher(options(&[host.port]), &names);
    let url = format!("http://site.com:{}/", host.port);
    let fetched = fetcher.fetch(&url, Purpose::Page, &fetcher.allowance("test")).await;
    (fetched, host.paths())
}

#[tokio::test]
async fn redirects_are_followed() {
    for (location, path) in [
        ("/a", "/a"),
        ("a?b", "/a?b"),
        ("//site.com:PORT/a", "/a"),
        ("http://other.com:PORT/a", "/a"),
        ("http://site.com:PORT/a#b", "/a"),
    ] {
        let (fetched, paths) = follow(location).await;
        let fetched = fetched.unwrap();
        assert_eq!(&fetched.bytes[..], b"there", "{location}");
        assert!(fetched.final_url.as_str().ends_with(path), "{location}: {}", fetched.final_url);
        assert_eq!(paths, ["/", path], "{location}");
    }
}

#[tokio::test]
async fn s05_every_hop_is_checked_as_the_first() {
    for (location, refusal) in [
        ("http://127.0.0.1:PORT/a", Refusal::Address),
        ("//127.0.0.1:PORT/a", Refusal::Address),
        ("http://localhost:PORT/a", Refusal::Address),
        ("http://2130706433:PORT/a", Refusal::Address),
        ("http://[::1]:PORT/a", Refusal::Address),
        ("http://169.254.169.254/latest/meta-data/", Refusal::Address),
        ("http://metadata.google.internal/", Refusal::Address),
        ("http://private.com:PORT/a", Refusal::Address),
        ("http://site.com:22/", Refusal::Port),
        ("file:///etc/passwd", Refusal::Scheme),
        ("gopher://site.com/", Refusal::Scheme),
        ("data:text/html,a", Refusal::Scheme),
        ("http://a:b@site.com:PORT/a", Refusal::UserInfo),
        ("//a@site.com:PORT/a", Refusal::UserInfo),
        ("http://site.com#@127.0.0.1:PORT/a", Refusal::UserInfo),
        ("/a\\b", Refusal::Malformed),
        ("\\\\127.0.0.1:PORT\\a", Refusal::Malformed),
        ("http://[::1", Refusal::Malformed),
    ] {
        let (fetched, paths) = follow(location).await;
        assert_eq!(fetched, Err(FetchError::Refused(refusal)), "{location}");
        assert_eq!(paths, ["/"], "{location}");
    }
}

#[tokio::test]
async fn s05_five_redirects_and_no_more() {
    let host = Host::start(|head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let left: usize = path.trim_start_matches('/').parse().unwrap_or(0);
        if left == 0 { html("there") } else { leads_to(&format!("/{}", left - 1)) }
    })
    .await;
    let names = Names::new(&NAMES);
    let fetcher = fetcher(options(&[host.port]), &names);
    let allowance = fetcher.allowance("test");
    let fetch = async |path: &str| {
        let url = format!("http://site.com:{}{path}", host.port);
        fetcher.fetch(&url, Purpose::Page, &allowance).await.map(|fetched| fetched.status)
    };
    assert_eq!(fetch("/5").await, Ok(200));
    assert_eq!(host.heads().len(), 6);
    assert_eq!(fetch("/6").await, Err(FetchError::Refused(Refusal::Redirects)));
    assert_eq!(host.heads().len(), 12);
}

#[tokio::test]
async fn s05_a_circle_is_left_at_once() {
    for circle in [[("/", leads_to("/")), ("/a", leads_to("/"))], [("/", leads_to("/a")), ("/a", leads_to("/"))]] {
        let host = Host::with(&circle).await;
        let names = Names::new(&NAMES);
        let fetcher = fetcher(options(&[host.port]), &names);
        let url = format!("http://site.com:{}/", host.port);
        let fetched = fetcher.fetch(&url, Purpose::Page, &fetcher.allowance("test")).await;
        assert_eq!(fetched, Err(FetchError::Refused(Refusal::Redirects)));
        assert!(host.heads().len() <= 2);
    }
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_a_status() {
    for head in ["", "location: /a\r\nlocation: /b\r\n"] {
        let host = Host::with(&[("/", answers(302, head, ""))]).await;
        let fetched = crate::world::fetch_from(&host, "/").await;
        assert_eq!(fetched, Err(FetchError::Status(302)), "{head:?}");
    }
}

/// A host that is `https://secure.com/` to the outside.
async fn secure(pages: &[(&'static str, Vec<crate::world::Does>)]) -> (Host, FetchOptions) {
    let host = Host::with(pages).await;
    let rewrite = Rewrite::new("https://secure.com/", &format!("http://127.0.0.1:{}/", host.port)).unwrap();
    let options = FetchOptions { rewrites: vec![rewrite], ..options(&[host.port]) };
    (host, options)
}

#[tokio::test]
async fn s08_from_https_there_is_no_way_down() {
    let (host, options) = secure(&[("/", leads_to("http://secure.com/a")), ("/a", html("plain"))]).await;
    let fetcher = fetcher(options, &Names::new(&NAMES));
    let fetched = fetcher.fetch("https://secure.com/", Purpose::Page, &fetcher.allowance("test")).await;
    assert_eq!(fetched, Err(FetchError::Refused(Refusal::Downgrade)));
    assert_eq!(host.paths(), ["/"]);
}

#[tokio::test]
async fn a_rewritten_address_keeps_its_name() {
    let (host, options) = secure(&[("/", leads_to("/a")), ("/a", html("there"))]).await;
    let fetcher = fetcher(options, &Names::new(&NAMES));
    let fetched = fetcher.fetch("https://secure.com/", Purpose::Page, &fetcher.allowance("test")).await.unwrap();
    assert_eq!(fetched.final_url.as_str(), "https://secure.com/a");
    assert_eq!(host.paths(), ["/", "/a"]);
}

#[tokio::test]
async fn a_rewritten_host_cannot_lead_on_to_loopback() {
    let (host, options) = secure(&[("/", leads_to("https://127.0.0.1/a"))]).await;
    let fetcher = fetcher(options, &Names::new(&NAMES));
    let fetched = fetcher.fetch("https://secure.com/", Purpose::Page, &fetcher.allowance("test")).await;
    assert_eq!(fetched, Err(FetchError::Refused(Refusal::Address)));
    assert_eq!(host.paths(), ["/"]);
}

#[tokio::test]
async fn s17_no_other_host_sees_credentials_or_cookies() {
    let host = Host::start(|head| {
        let cookie = "set-cookie: id=1; path=/\r\n";
        let port = head.split(".com:").nth(1).and_then(|rest| rest.split('\r').next()).unwrap_or_default();
        match head.split(' ').nth(1).unwrap_or_default() {
            "/" => answers(302, &format!("location: /same\r\n{cookie}"), ""),
            "/same" => answers(302, &format!("location: http://other.com:{port}/other\r\n{cookie}"), ""),
            "/other" => answers(302, &format!("location: http://site.com:{port}/back\r\n{cookie}"), ""),
            _ => html("there"),
        }
    })
    .await;
    let fetcher = fetcher(options(&[host.port]), &Names::new(&NAMES));
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "Bearer planted".parse().unwrap());
    headers.insert("x-key", "planted".parse().unwrap());
    headers.insert("cookie", "planted=1".parse().unwrap());
    headers.insert("host", "127.0.0.1".parse().unwrap());
    headers.insert("transfer-encoding", "chunked".parse().unwrap());
    let url = format!("http://site.com:{}/", host.port);
    let fetched = fetcher.fetch_with(&url, Purpose::Mcp, headers, &fetcher.allowance("test")).await.unwrap();
    assert!(fetched.final_url.as_str().ends_with("/back"));
    let seen: Vec<_> = host
        .heads()
        .iter()
        .map(|head| {
            (head.split(' ').nth(1).unwrap().to_owned(), head.matches("planted").count(), head.contains("id=1"))
        })
        .collect();
    let expected = [("/", 3, false), ("/same", 3, false), ("/other", 0, false), ("/back", 0, false)];
    assert_eq!(seen, expected.map(|(path, planted, cookie)| (path.to_owned(), planted, cookie)));
    assert!(host.heads().iter().all(|head| !head.contains("127.0.0.1") && !head.contains("transfer-encoding")));
    assert!(host.heads().iter().all(|head| !head.to_ascii_lowercase().contains("referer")));
}
