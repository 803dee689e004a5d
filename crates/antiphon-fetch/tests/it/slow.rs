//! S14: hosts that take their time.
//!
//! In each test one limit is short and the others are an hour: it ends by the one that is meant,
//! or not at all.

use std::time::Duration;

use antiphon_fetch::{Failure, FetchError, Limits, Purpose};

use crate::world::{Does, Host, Names, PUBLIC, fetcher, leads_to, options};

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(60 * 60);

fn patient() -> Limits {
    Limits { connect: LONG, headers: LONG, total: LONG, ..Limits::default() }
}

async fn times_out(limits: Limits, scheme: &str, port: u16) {
    let mut options = options(&[port]);
    options.limits = limits;
    let fetcher = fetcher(options, &Names::new(&[("site.com", &[&[PUBLIC]])]));
    let url = format!("{scheme}://site.com:{port}/");
    let fetched = fetcher.fetch(&url, Purpose::Page, &fetcher.allowance("test")).await;
    assert_eq!(fetched, Err(FetchError::Unreachable(Failure::Timeout)));
}

#[test]
fn s14_the_limits() {
    let Limits { connect, headers, total, .. } = Limits::default();
    assert_eq!([connect, headers, total].map(|limit| limit.as_secs()), [5, 10, 30]);
}

#[tokio::test]
async fn s14_headers_that_do_not_come() {
    let host = Host::with(&[("/", vec![Does::Hangs])]).await;
    times_out(Limits { headers: SHORT, ..patient() }, "http", host.port).await;
}

#[tokio::test]
async fn s14_headers_that_do_not_end() {
    let script = vec![Does::Sends(b"HTTP/1.1 200 X\r\nx-slow: ".to_vec()), Does::Hangs];
    let host = Host::with(&[("/", script)]).await;
    times_out(Limits { headers: SHORT, ..patient() }, "http", host.port).await;
}

#[tokio::test]
async fn s14_a_body_that_does_not_end() {
    let head = "HTTP/1.1 200 X\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\nbegun";
    let host = Host::with(&[("/", vec![Does::Sends(head.into()), Does::Hangs])]).await;
    times_out(Limits { total: SHORT, ..patient() }, "http", host.port).await;
}

#[tokio::test]
async fn s14_tls_that_stalls() {
    // The backlog takes the connection, and nobody ever says anything.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    times_out(Limits { connect: SHORT, ..patient() }, "https", port).await;
}

#[tokio::test]
async fn s14_redirects_share_the_time() {
    let host = Host::with(&[("/", leads_to("/a")), ("/a", vec![Does::Hangs])]).await;
    times_out(Limits { total: SHORT, ..patient() }, "http", host.port).await;
}

#[tokio::test]
async fn s14_waiting_for_a_turn_counts() {
    let host = Host::start(|_| vec![Does::Hangs]).await;
    let mut options = options(&[host.port]);
    options.limits = Limits { total: SHORT, per_host: 1, ..patient() };
    let fetcher = fetcher(options, &Names::new(&[("site.com", &[&[PUBLIC]])]));
    let allowance = fetcher.allowance("test");
    let urls = [0, 1, 2].map(|path| format!("http://site.com:{}/{path}", host.port));
    let fetched = urls.iter().map(|url| fetcher.fetch(url, Purpose::Page, &allowance));
    for fetched in futures_util::future::join_all(fetched).await {
        assert_eq!(fetched, Err(FetchError::Unreachable(Failure::Timeout)));
    }
}
