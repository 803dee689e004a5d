//! S14: hosts that take their time. The clock is the test's.

use std::time::Duration;

use antiphon_fetch::{Failure, FetchError, Purpose};
use tokio::time::Instant;

use crate::world::{Does, Host, Names, PUBLIC, fetch_from, fetcher, options};

async fn ends_after(seconds: u64, script: Vec<Does>) {
    let host = Host::with(&[("/", script)]).await;
    let begin = Instant::now();
    let fetched = fetch_from(&host, "/").await;
    assert_eq!(fetched, Err(FetchError::Unreachable(Failure::Timeout)));
    // On a clock that stands still while anything is done, this is exact to its tick.
    assert!((begin.elapsed().as_millis() as u64).abs_diff(seconds * 1000) <= 2, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn s14_headers_that_do_not_come() {
    ends_after(10, vec![Does::Hangs]).await;
}

#[tokio::test(start_paused = true)]
async fn s14_headers_that_do_not_end() {
    ends_after(10, vec![Does::Sends(b"HTTP/1.1 200 X\r\nx-slow: ".to_vec()), Does::Hangs]).await;
}

#[tokio::test(start_paused = true)]
async fn s14_a_body_that_does_not_end() {
    let head = "HTTP/1.1 200 X\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\nbegun";
    ends_after(30, vec![Does::Sends(head.into()), Does::Hangs]).await;
}

#[tokio::test(start_paused = true)]
async fn s14_tls_that_stalls() {
    // A listener whose backlog takes the connection, and which never says anything.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let names = Names::new(&[("site.com", &[&[PUBLIC]])]);
    let fetcher = fetcher(options(&[port]), &names);
    let begin = Instant::now();
    let fetched = fetcher.fetch(&format!("https://site.com:{port}/"), Purpose::Page, &fetcher.allowance("test")).await;
    assert_eq!(fetched, Err(FetchError::Unreachable(Failure::Timeout)));
    assert!(begin.elapsed() <= Duration::from_millis(5_002), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn s14_redirects_share_the_time() {
    // Each hop is in time, all of them are not: the last one hangs in its body.
    let head = "HTTP/1.1 200 X\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\n";
    let slow = vec![Does::Sends(head.into()), Does::Hangs];
    let host = Host::with(&[("/", crate::world::leads_to("/a")), ("/a", slow)]).await;
    let begin = Instant::now();
    assert_eq!(fetch_from(&host, "/").await, Err(FetchError::Unreachable(Failure::Timeout)));
    assert!(begin.elapsed() <= Duration::from_millis(30_002), "{:?}", begin.elapsed());
}
