//! How much passes (E15), and where the operator leads hosts.

use std::sync::atomic::Ordering;
use std::time::Duration;

use antiphon_egress::EgressLimits;
use pretty_assertions::assert_eq;
use tokio::task::JoinSet;

use crate::world::{Wanted, World, allowed, rest};

async fn limited(limits: EgressLimits) -> World {
    World::new(Wanted { allowed: vec![allowed("a.test")], limits, ..Wanted::default() }).await
}

#[tokio::test]
async fn e15_connections_have_a_limit_and_the_others_wait() {
    let world = std::sync::Arc::new(limited(EgressLimits { connections: 2, ..EgressLimits::default() }).await);
    let mut clients = JoinSet::new();
    for _ in 0..12 {
        let world = std::sync::Arc::clone(&world);
        clients.spawn(async move { world.ask("GET http://a.test/slow HTTP/1.1\r\nHost: a.test\r\n\r\n").await });
    }
    for answer in clients.join_all().await {
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert!(world.seen.most_at_once.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn e15_bytes_have_a_limit_over_all_connections() {
    let world = limited(EgressLimits { bytes: 100_000, ..EgressLimits::default() }).await;
    assert!(world.get("a.test").await.starts_with("HTTP/1.1 200 "));
    let answer = world.ask("GET http://a.test/large HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert!(answer.len() < 100_000, "{}", answer.len());
    assert_eq!(world.get("a.test").await, "");
    assert_eq!(world.requests().len(), 2);
}

#[tokio::test]
async fn e15_connections_have_a_time_limit() {
    let soon = Duration::from_millis(50);
    // Whichever comes first, the program sees the end of its connection.
    for limits in [
        EgressLimits { head: soon, ..EgressLimits::default() },
        EgressLimits { connection: soon, ..EgressLimits::default() },
    ] {
        assert_eq!(rest(&mut limited(limits).await.connect().await).await, "");
    }
    // The second of its heads, that of TLS, does not come either.
    let world = limited(EgressLimits { head: Duration::from_secs(1), ..EgressLimits::default() }).await;
    assert_eq!(rest(&mut world.tunnel("a.test:443").await.unwrap()).await, "");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let world = limited(EgressLimits::default()).await;
    let request = format!("GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
    let answer = world.ask(&request).await;
    assert!(answer.starts_with("HTTP/1.1 4") || answer.is_empty(), "{answer}");
    assert_eq!(world.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_redirect_of_the_operator_replaces_the_address_and_not_the_allowlist() {
    let world = World::new(Wanted {
        allowed: vec![allowed("mirror.test")],
        rewrites: vec![("mirror.test", 80), ("other.test", 80)],
        ..Wanted::default()
    })
    .await;
    assert!(world.get("mirror.test").await.starts_with("HTTP/1.1 200 "));
    assert!(world.get("other.test").await.starts_with("HTTP/1.1 403 "));
    assert_eq!(*world.names.asked.lock().unwrap(), Vec::<String>::new());
}
