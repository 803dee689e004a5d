//! The cases that an egress has to keep, by their numbers.

use std::sync::atomic::Ordering;

use antiphon_egress::CertificateDer;
use pretty_assertions::assert_eq;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsConnector;

use crate::world::{World, allowed, client_tls, rest, server_name, with_header};

#[track_caller]
fn refused(answer: &str, why: &str) {
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains(why), "{answer}");
}

/// Both ways to a host.
async fn both_refused(world: &World, host: &str, why: &str) {
    refused(&world.get(host).await, why);
    refused(&world.tunnel(&format!("{host}:443")).await.unwrap_err(), why);
    assert_eq!(world.seen.connections.load(Ordering::SeqCst), 0, "{host}");
}

#[tokio::test]
async fn e01_what_is_not_listed_is_refused() {
    let world = World::of(&["a.test"]).await;
    for host in ["evil.test", "a.test.evil.test", "xa.test", "localhost"] {
        both_refused(&world, host, &format!("`{host}` is not allowed: the environment's `network.allowlist`")).await;
    }
    assert_eq!(*world.names.asked.lock().unwrap(), Vec::<String>::new());
    let told = world.passage.refused();
    assert!(told.iter().any(|words| words.contains("`evil.test`")), "{told:?}");
    assert_eq!(world.passage.refused(), Vec::<String>::new());

    let answer = world.get("a.test").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("GET / HTTP/1.1\r\n"), "{answer}");
    let answer = world.ask_securely("a.test", "GET /s HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert!(answer.contains("GET /s HTTP/1.1\r\n"), "{answer}");

    let nothing = World::of(&[]).await;
    both_refused(&nothing, "a.test", "`a.test` is not allowed").await;
}

#[tokio::test]
async fn e02_a_star_is_for_names_below_alone() {
    let world = World::of(&["*.a.test"]).await;
    for host in ["a.test", "ax.test", "xa.test", "x.a.test.evil.test"] {
        both_refused(&world, host, "`network.allowlist` does not name it").await;
    }
    for host in ["x.a.test", "y.x.a.test"] {
        assert!(world.get(host).await.starts_with("HTTP/1.1 200 "), "{host}");
    }
}

#[tokio::test]
async fn e03_spelling_makes_no_difference() {
    let world = World::of(&["A.Test.", "bücher.test"]).await;
    for host in ["a.test", "A.TEST", "a.test.", "A.tEST.", "XN--Bcher-kva.test", "a.test:80"] {
        assert!(world.get(host).await.starts_with("HTTP/1.1 200 "), "{host}");
    }
    for host in ["a.test.", "A.TEST"] {
        assert!(world.tunnel(&format!("{host}:443")).await.is_ok(), "{host}");
    }
    assert!(world.names.asked.lock().unwrap().iter().all(|name| name == "a.test" || name == "xn--bcher-kva.test"));
}

#[tokio::test]
async fn e04_addresses_are_refused_in_any_spelling() {
    let world = World::of(&["*"]).await;
    for host in [
        "127.0.0.1",
        "93.184.216.34",
        "169.254.169.254",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "0x7f.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2606:2800:220:1::1]",
    ] {
        both_refused(&world, host, "allows names of hosts, and no addresses").await;
    }
    assert_eq!(*world.names.asked.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn e05_names_of_private_addresses_are_refused() {
    let world = World::of(&["*"]).await;
    for addresses in [
        &["127.0.0.1"][..],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["100.64.0.1"],
        &["::1"],
        &["fd00::1"],
        &["::ffff:10.0.0.1"],
        &["64:ff9b::a00:1"],
        &["2002:a00:1::"],
        &["0.0.0.0"],
        // One that is good hides none that is not.
        &["93.184.216.34", "127.0.0.1"],
        &[],
    ] {
        let list = addresses.iter().map(|address| address.parse().unwrap()).collect();
        world.names.known.lock().unwrap().insert("inner.test".to_owned(), vec![list]);
        both_refused(&world, "inner.test", "`inner.test` is not allowed: it has no public address").await;
    }
    // A name that does not exist reads the same.
    both_refused(&world, "nowhere.test", "`nowhere.test` is not allowed: it has no public address").await;
    assert_eq!(*world.seen.dialed.lock().unwrap(), Vec::new());
}

#[tokio::test]
async fn e06_the_address_that_was_checked_is_dialled() {
    let world = World::of(&["a.test"]).await;
    let lists = [["93.184.216.34"], ["127.0.0.1"]].map(|list| list.map(|address| address.parse().unwrap()).to_vec());
    world.names.known.lock().unwrap().insert("a.test".to_owned(), lists.to_vec());
    assert!(world.get("a.test").await.starts_with("HTTP/1.1 200 "));
    assert_eq!(*world.names.asked.lock().unwrap(), ["a.test"]);
    assert_eq!(*world.seen.dialed.lock().unwrap(), ["93.184.216.34:80".parse().unwrap()]);
    // Each connection asks anew, and is bound by its own answer.
    refused(&world.get("a.test").await, "it has no public address");
}

#[tokio::test]
async fn e07_tls_is_for_the_host_that_was_named_or_is_closed() {
    for world in [World::of(&["a.test", "b.test"]).await, World::new_with(with_header("*.test", "x-key", "1")).await] {
        assert!(world.secure("a.test:443", "b.test").await.is_err());
        // No name at all.
        let tunnel = world.tunnel("a.test:443").await.unwrap();
        let mut silent = client_tls(CertificateDer::from(world.root_bytes()));
        silent.enable_sni = false;
        assert!(TlsConnector::from(std::sync::Arc::new(silent)).connect(server_name("a.test"), tunnel).await.is_err());
        // No TLS at all.
        let mut tunnel = world.tunnel("a.test:443").await.unwrap();
        tunnel.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
        assert_eq!(rest(&mut tunnel).await, "");
        assert!(world.passage.refused()[0].starts_with("the connection to `a.test` was closed"));
        assert_eq!(world.seen.tls_bytes.load(Ordering::SeqCst), 0);
        assert_eq!(world.requests(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn e08_a_request_is_for_the_host_of_its_connection() {
    let world = World::new_with(with_header("*.test", "x-key", "1")).await;
    for request in [
        "GET / HTTP/1.1\r\nHost: b.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test:8443\r\n\r\n",
        "GET https://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ] {
        refused(&world.ask_securely("a.test", request).await, "it is for another host than its connection");
    }
    // In the clear nothing has been promised yet: it contradicts itself.
    let answer = world.ask("GET http://a.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(world.requests(), Vec::<String>::new());
    let answer = world.ask_securely("a.test", "GET / HTTP/1.1\r\nHost: A.test.:443\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn e09_other_ports_are_refused() {
    let world = World::of(&["*"]).await;
    for port in ["22", "25", "80", "8443", "0", "65535"] {
        refused(&world.tunnel(&format!("a.test:{port}")).await.unwrap_err(), &format!("port {port} is not allowed"));
    }
    for port in ["8080", "443", "6379"] {
        refused(&world.get(&format!("a.test:{port}")).await, &format!("port {port} is not allowed"));
    }
    for request in
        ["CONNECT a.test HTTP/1.1\r\nHost: a.test\r\n\r\n", "CONNECT a.test:99999 HTTP/1.1\r\nHost: a.test\r\n\r\n"]
    {
        assert!(world.ask(request).await.starts_with("HTTP/1.1 400 "), "{request}");
    }
    assert_eq!(world.seen.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn e10_where_a_redirect_leads_is_checked_anew() {
    let world = World::of(&["a.test"]).await;
    let answer = world.ask("GET http://a.test/elsewhere HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 302 ") && answer.contains("http://evil.test/"), "{answer}");
    refused(&world.get("evil.test").await, "`evil.test` is not allowed");
    assert_eq!(world.requests().len(), 1);
}

#[tokio::test]
async fn e12_what_can_be_read_in_two_ways_is_refused() {
    let plain = World::of(&["a.test"]).await;
    let secure = World::new_with(with_header("a.test", "x-key", "1")).await;
    for (target, world) in [("http://a.test/", &plain), ("/", &secure)] {
        for rest in [
            "Host: a.test\r\nHost: a.test\r\n\r\n",
            "Host: a.test\r\nHost: b.test\r\n\r\n",
            "Host: b.test\r\nhost: a.test\r\n\r\n",
            "\r\n",
            "Host: a.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Host: a.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            "Host: a.test\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
            "Host: a.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
            "Host: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
            "Host: a.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "Host: a.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            "Host: a.test\r\nContent-Length: +5\r\n\r\nabcde",
            "Host: a.test\r\nX-A: b\rX-C: d\r\n\r\n",
            "Host: a.test\r\nX-A: b\r\n X-C: d\r\n\r\n",
            "Host: a.test\r\nX-A: b\0\r\n\r\n",
            "Host: user@a.test\r\n\r\n",
            "Host: a.test b.test\r\n\r\n",
            "Host: a.test,b.test\r\n\r\n",
            "Host: a.test:\r\n\r\n",
            "Host: a.test:x\r\n\r\n",
            "Host: a.test:99999\r\n\r\n",
        ] {
            let request = format!("POST {target} HTTP/1.1\r\n{rest}");
            let answer =
                if target == "/" { world.ask_securely("a.test", &request).await } else { world.ask(&request).await };
            // A name that is none may be refused as such.
            assert!(
                answer.starts_with("HTTP/1.1 400 ") || rest.contains(",b.test") && answer.starts_with("HTTP/1.1 403 "),
                "{request:?}: {answer}"
            );
        }
        assert_eq!(world.requests(), Vec::<String>::new());
    }
    for request in [
        "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET http://user@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET http://a.test/\r\nX: HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET http://a.test:99999/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET http://a.test:/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "CONNECT user@a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        assert!(plain.ask(request).await.starts_with("HTTP/1.1 400 "), "{request:?}");
    }
    // A second request behind the first is nobody's.
    let two =
        "GET http://a.test/1 HTTP/1.1\r\nHost: a.test\r\n\r\nGET http://a.test/2 HTTP/1.1\r\nHost: a.test\r\n\r\n";
    plain.ask(two).await;
    let seen = plain.requests();
    assert!(seen.len() == 1 && seen[0].starts_with("GET /1 "), "{seen:?}");
}

#[tokio::test]
async fn e14_a_changed_allowlist_holds_for_new_connections() {
    let world = World::of(&["a.test"]).await;
    refused(&world.get("b.test").await, "`b.test` is not allowed");
    world.passage.allow(vec![allowed("b.test")]);
    assert!(world.get("b.test").await.starts_with("HTTP/1.1 200 "));
    both_refused_now(&world, "a.test").await;
}

async fn both_refused_now(world: &World, host: &str) {
    refused(&world.get(host).await, "is not allowed");
    refused(&world.tunnel(&format!("{host}:443")).await.unwrap_err(), "is not allowed");
}

#[tokio::test]
async fn bodies_pass_whole_and_hop_by_hop_headers_do_not() {
    let world = World::of(&["a.test"]).await;
    let request = "POST http://a.test/p?q=1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\
                   Proxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nX-End: 2\r\n\r\nhello";
    assert!(world.ask(request).await.starts_with("HTTP/1.1 200 "));
    let chunked =
        "POST http://a.test/c HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert!(world.ask(chunked).await.starts_with("HTTP/1.1 200 "));
    let seen = world.requests();
    let first = seen[0].to_ascii_lowercase();
    assert!(first.starts_with("post /p?q=1 http/1.1\r\n") && first.ends_with("\r\n\r\nhello"), "{first}");
    assert!(first.contains("x-end: 2") && !first.contains("x-hop") && !first.contains("proxy-"), "{first}");
    assert!(seen[1].to_ascii_lowercase().contains("transfer-encoding: chunked"), "{}", seen[1]);
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_said_to_be_out_of_reach() {
    let world = World::of(&["a.test"]).await;
    // Its certificate does not name it, so that the one who asks for headers is not answered.
    let other = World::new_with(with_header("y.x.a.test", "x-key", "1")).await;
    let answer = other.ask_securely("y.x.a.test", "GET / HTTP/1.1\r\nHost: y.x.a.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("`y.x.a.test` cannot be reached"), "{answer}");
    assert_eq!((other.requests(), world.requests()), (Vec::new(), Vec::new()));
}
