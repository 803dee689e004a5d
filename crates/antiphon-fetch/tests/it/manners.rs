//! S16, S18, S20, `robots.txt`, and the cache.

use std::sync::Arc;
use std::time::Duration;

use antiphon_fetch::{Failure, FetchError, FetchOptions, MimeError, Purpose, Refusal};
use futures_util::future::join_all;

use crate::world::{Does, Host, Names, PUBLIC, PURPOSES, answers, fetcher, html, leads_to, options};

const NAMES: [(&str, &[&[&str]]); 2] = [("site.com", &[&[PUBLIC]]), ("other.com", &[&[PUBLIC]])];

/// Runs by itself, and in the child of the next test.
#[tokio::test]
async fn s16_fetches_directly() {
    let host = Host::with(&[("/", html("direct"))]).await;
    let fetcher = fetcher(options(&[host.port]), &Names::new(&NAMES));
    for purpose in PURPOSES {
        let url = format!("http://site.com:{}/", host.port);
        let fetched = fetcher.fetch(&url, purpose, &fetcher.allowance("test")).await.unwrap();
        assert_eq!(&fetched.bytes[..], b"direct");
    }
}

#[test]
fn s16_a_proxy_of_the_environment_is_ignored() {
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let at = format!("http://{}", proxy.local_addr().unwrap());
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "manners::s16_fetches_directly"])
        .envs(names.map(|name| (name, &at)))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(proxy.accept().map(drop).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn s18_what_did_not_work_reads_alike() {
    let refusals = [
        Refusal::Malformed,
        Refusal::Scheme,
        Refusal::UserInfo,
        Refusal::Port,
        Refusal::Own,
        Refusal::Address,
        Refusal::Downgrade,
        Refusal::Redirects,
        Refusal::Robots,
    ];
    let failures = [Failure::Connection, Failure::Timeout, Failure::Broken];
    let texts = refusals.map(|refusal| refusal.to_string()).into_iter();
    let texts = texts.chain(refusals.map(|refusal| FetchError::Refused(refusal).to_string()));
    for text in texts.chain(failures.map(|failure| FetchError::Unreachable(failure).to_string())) {
        assert_eq!(text, "the address could not be fetched");
    }
    assert_eq!(FetchError::Status(404).to_string(), "the answer's HTTP status is 404");
    assert_eq!(FetchError::Size { limit: 9 }.to_string(), "the content is larger than 9 bytes");
    let unwanted = MimeError::Unwanted("a/b".to_owned());
    assert_eq!(FetchError::Type(unwanted).to_string(), "content of type `a/b` is not read");
}

#[tokio::test]
async fn s18_a_closed_port_reads_as_a_forbidden_one() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let fetcher = fetcher(options(&[closed]), &Names::new(&NAMES));
    let allowance = fetcher.allowance("test");
    let fetch = async |url: &str| fetcher.fetch(url, Purpose::Page, &allowance).await.unwrap_err();
    let refused = fetch(&format!("http://site.com:{closed}/")).await;
    let forbidden = fetch("http://127.0.0.1:22/").await;
    assert_eq!(refused, FetchError::Unreachable(Failure::Connection));
    assert_eq!(refused.to_string(), forbidden.to_string());
}

#[tokio::test]
async fn statuses_are_told() {
    for status in [400, 401, 402, 403, 404, 429, 500, 503] {
        let host = Host::with(&[("/", answers(status, "", "no"))]).await;
        assert_eq!(crate::world::fetch_from(&host, "/").await, Err(FetchError::Status(status)));
    }
}

#[tokio::test]
async fn s20_a_host_gets_two_requests_at_a_time() {
    // Two by two they meet, so that fewer would not do either.
    let pair = Arc::new(tokio::sync::Barrier::new(2));
    let host = Host::start(move |_| {
        let mut script = vec![Does::Meets(Arc::clone(&pair))];
        script.extend(html("met"));
        script
    })
    .await;
    let fetcher = fetcher(options(&[host.port]), &Names::new(&NAMES));
    let allowance = fetcher.allowance("test");
    let urls: Vec<_> = (0..100).map(|number| format!("http://site.com:{}/{number}", host.port)).collect();
    let fetched = join_all(urls.iter().map(|url| fetcher.fetch(url, Purpose::Page, &allowance))).await;
    let met = fetched.iter().filter(|fetched| fetched.is_ok()).count();
    let left_out = fetched.iter().filter(|fetched| **fetched == Err(FetchError::TooMany { limit: 20 })).count();
    assert_eq!((met, left_out), (20, 80));
    assert_eq!((host.heads().len(), host.most_at_a_time()), (20, 2));
}

/// Fetches pages of a host with rules for programs; tells which came.
async fn polite(robots: Vec<Does>, paths: &[&str]) -> (Vec<bool>, usize) {
    let host = Host::start(move |head| match head.split(' ').nth(1) {
        Some("/robots.txt") => robots.clone(),
        _ => html("page"),
    })
    .await;
    let options = FetchOptions { robots: true, ..options(&[host.port]) };
    let fetcher = fetcher(options, &Names::new(&NAMES));
    let allowance = fetcher.allowance("test");
    let mut came = Vec::new();
    for path in paths {
        let url = format!("http://site.com:{}{path}", host.port);
        match fetcher.fetch(&url, Purpose::Page, &allowance).await {
            Ok(_) => came.push(true),
            Err(error) => {
                assert_eq!(error, FetchError::Refused(Refusal::Robots), "{path}");
                came.push(false);
            }
        }
    }
    (came, host.paths().iter().filter(|path| *path == "/robots.txt").count())
}

fn rules(text: &str) -> Vec<Does> {
    answers(200, "content-type: text/plain\r\n", text)
}

#[tokio::test]
async fn robots_are_heard() {
    let all = "User-agent: *\nDisallow: /private\nAllow: /private/open\nDisallow: /*.gif$\nDisallow: /q?\n";
    let paths = ["/", "/private", "/private/open/a", "/privateer", "/a.gif", "/a.gif?b", "/q", "/q?a", "/robots.txt"];
    let expected = vec![true, false, true, false, false, true, true, false, true];
    // The file itself is a page, too; its rules are asked for once.
    assert_eq!(polite(rules(all), &paths).await, (expected, 2));
    let named = "user-agent: other\nuser-agent: Antiphon\ndisallow: /a # not this\n\nuser-agent: *\ndisallow: /\n";
    assert_eq!(polite(rules(named), &["/a", "/b"]).await.0, [false, true]);
    let others = "User-agent: other\nDisallow: /\n";
    assert_eq!(polite(rules(others), &["/a"]).await.0, [true]);
    let spelt = "User-agent: *\r\nDisallow: /%7ejoe\r\nDisallow: /ä\r\nDisallow:\r\nnonsense\r\n";
    assert_eq!(polite(rules(spelt), &["/%7Ejoe", "/%C3%A4", "/a"]).await.0, [false, false, true]);
    let hostile = format!("User-agent: *\nDisallow: /{}b\n", "*a".repeat(1000));
    assert_eq!(polite(rules(&hostile), &[&format!("/{}", "a".repeat(4000))]).await.0, [true]);
}

#[tokio::test]
async fn robots_that_are_not_there_or_broken() {
    for status in [400, 401, 403, 404, 410, 429] {
        assert_eq!(polite(answers(status, "", ""), &["/a", "/b"]).await, (vec![true, true], 1), "{status}");
    }
    for status in [500, 503] {
        assert_eq!(polite(answers(status, "", ""), &["/a", "/b"]).await, (vec![false, false], 1), "{status}");
    }
    assert_eq!(polite(leads_to("http://127.0.0.1/robots.txt"), &["/a"]).await.0, [true]);
    let flood = answers(200, "content-type: text/plain\r\n", "Disallow: /\n".repeat(60_000));
    assert_eq!(polite(flood, &["/a"]).await.0, [true]);
    let picture = answers(200, "content-type: image/png\r\n", b"\x89PNG\r\n\x1a\n");
    assert_eq!(polite(picture, &["/a"]).await.0, [true]);
}

#[tokio::test]
async fn robots_are_asked_at_every_hop_and_for_pages_only() {
    let host = Host::start(|head| {
        let is_other = head.contains("host: other.com");
        match head.split(' ').nth(1) {
            Some("/robots.txt") if is_other => rules("User-agent: *\nDisallow: /\n"),
            Some("/robots.txt") => rules(""),
            Some("/") => {
                let port = head.split(".com:").nth(1).and_then(|rest| rest.split('\r').next()).unwrap_or_default();
                leads_to(&format!("http://other.com:{port}/closed"))
            }
            _ => html("page"),
        }
    })
    .await;
    let options = FetchOptions { robots: true, ..options(&[host.port]) };
    let fetcher = fetcher(options, &Names::new(&NAMES));
    let allowance = fetcher.allowance("test");
    let url = format!("http://site.com:{}/", host.port);
    let page = fetcher.fetch(&url, Purpose::Page, &allowance).await;
    assert_eq!(page, Err(FetchError::Refused(Refusal::Robots)));
    assert_eq!(host.paths(), ["/robots.txt", "/", "/robots.txt"]);
    fetcher.fetch(&url, Purpose::Media, &allowance).await.unwrap();
    assert_eq!(host.paths()[3..], ["/", "/closed"]);
}

#[tokio::test]
async fn robots_are_remembered_for_a_day() {
    let host = Host::start(|head| match head.split(' ').nth(1) {
        Some("/robots.txt") => rules(""),
        _ => html("page"),
    })
    .await;
    let options = FetchOptions { robots: true, ..options(&[host.port]) };
    let fetcher = fetcher(options, &Names::new(&NAMES));
    let allowance = fetcher.allowance("test");
    let url = format!("http://site.com:{}/", host.port);
    let fetch = async || fetcher.fetch(&url, Purpose::Page, &allowance).await.unwrap();
    fetch().await;
    later(24 * 60 * 60 - 3_600).await;
    fetch().await;
    assert_eq!(host.paths(), ["/robots.txt", "/", "/"]);
    later(7_200).await;
    fetch().await;
    assert_eq!(host.paths()[3..], ["/robots.txt", "/"]);
}

#[tokio::test]
async fn it_says_who_it_is() {
    let host = Host::with(&[("/", html("page"))]).await;
    crate::world::fetch_from(&host, "/").await.unwrap();
    let head = host.heads().remove(0);
    assert!(head.contains(concat!("user-agent: antiphon/", env!("CARGO_PKG_VERSION"))), "{head}");
    assert!(!head.contains("cookie") && !head.contains("authorization"), "{head}");
}

/// Some seconds later. The clock stands still for this alone: with nothing to do but to wait for
/// a host, it would run to the next limit.
async fn later(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

/// A host whose page has a version, and says how long it is good.
async fn versioned(head: &'static str) -> (Host, antiphon_fetch::Fetcher, String) {
    let host = Host::start(move |request| {
        if request.contains("if-none-match: \"1\"") {
            answers(304, head, "")
        } else {
            answers(200, &format!("content-type: text/html\r\n{head}"), "page")
        }
    })
    .await;
    let fetcher = fetcher(options(&[host.port]), &Names::new(&NAMES));
    let url = format!("http://site.com:{}/", host.port);
    (host, fetcher, url)
}

#[tokio::test]
async fn fresh_pages_are_not_fetched_again() {
    let (host, fetcher, url) = versioned("cache-control: max-age=600\r\netag: \"1\"\r\n").await;
    let allowance = fetcher.allowance("one");
    let first = fetcher.fetch(&url, Purpose::Page, &allowance).await.unwrap();
    assert_eq!(fetcher.fetch(&url, Purpose::Page, &allowance).await.unwrap(), first);
    assert_eq!(host.heads().len(), 1);
    // Others do not learn from the time it takes that somebody has read it.
    assert_eq!(fetcher.fetch(&url, Purpose::Page, &fetcher.allowance("two")).await.unwrap(), first);
    assert_eq!(fetcher.fetch(&url, Purpose::Media, &allowance).await.unwrap(), first);
    assert_eq!(host.heads().len(), 3);
}

#[tokio::test]
async fn stale_pages_are_asked_for_by_their_version() {
    let (host, fetcher, url) = versioned("cache-control: max-age=600\r\netag: \"1\"\r\n").await;
    let allowance = fetcher.allowance("one");
    let first = fetcher.fetch(&url, Purpose::Page, &allowance).await.unwrap();
    later(601).await;
    assert_eq!(fetcher.fetch(&url, Purpose::Page, &allowance).await.unwrap(), first);
    assert_eq!(fetcher.fetch(&url, Purpose::Page, &allowance).await.unwrap(), first);
    let asked: Vec<_> = host.heads().iter().map(|head| head.contains("if-none-match")).collect();
    assert_eq!(asked, [false, true]);
}

#[tokio::test]
async fn no_page_stays_fresh_for_longer_than_an_hour() {
    let (host, fetcher, url) = versioned("cache-control: public, max-age=999999999\r\n").await;
    let allowance = fetcher.allowance("one");
    fetcher.fetch(&url, Purpose::Page, &allowance).await.unwrap();
    later(60 * 60 + 1).await;
    fetcher.fetch(&url, Purpose::Page, &allowance).await.unwrap();
    assert_eq!(host.heads().len(), 2);
}

#[tokio::test]
async fn pages_that_are_not_to_be_kept_are_not() {
    for head in [
        "cache-control: no-store\r\n",
        "cache-control: private, max-age=60\r\n",
        "cache-control: max-age=60\r\nset-cookie: a=b\r\n",
        "cache-control: max-age=60\r\nvary: *\r\n",
        "cache-control: max-age=60\r\nage: 60\r\n",
        "cache-control: max-age=99999999999999999999999\r\n",
        "",
    ] {
        let (host, fetcher, url) = versioned(head).await;
        let allowance = fetcher.allowance("one");
        for _ in 0..2 {
            fetcher.fetch(&url, Purpose::Page, &allowance).await.unwrap();
        }
        assert_eq!(host.heads().len(), 2, "{head}");
    }
}

#[tokio::test]
async fn the_cache_has_a_size() {
    let host =
        Host::start(|_| answers(200, "content-type: text/plain\r\ncache-control: max-age=600\r\n", vec![b'a'; 1000]))
            .await;
    let mut options = options(&[host.port]);
    options.limits.cache_bytes = 5_000;
    options.limits.urls = 100;
    let fetcher = fetcher(options, &Names::new(&NAMES));
    let allowance = fetcher.allowance("one");
    let fetch = async |number: usize| {
        let url = format!("http://site.com:{}/{number}", host.port);
        fetcher.fetch(&url, Purpose::Page, &allowance).await.unwrap();
        host.heads().len()
    };
    for number in 0..5 {
        assert_eq!(fetch(number).await, number + 1);
    }
    // The first is used again, so that the second goes when the sixth comes.
    assert_eq!([fetch(0).await, fetch(5).await, fetch(0).await, fetch(1).await], [5, 6, 6, 7]);
}
