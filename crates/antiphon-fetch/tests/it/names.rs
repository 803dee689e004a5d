//! S6, and S1, S2, S4 through names: what a name resolves to.

use antiphon_fetch::{Failure, FetchError, FetchOptions, Own, Purpose, Refusal};

use crate::world::{Host, Names, PUBLIC, PURPOSES, fetcher, html, options};

#[tokio::test]
async fn a_public_name_is_fetched_from_the_address_that_was_checked() {
    let host = Host::with(&[("/", html("hello"))]).await;
    let names = Names::new(&[("site.com", &[&[PUBLIC]])]);
    let fetcher = fetcher(options(&[host.port]), &names);
    let url = format!("http://site.com:{}/", host.port);
    let fetched = fetcher.fetch(&url, Purpose::Page, &fetcher.allowance("test")).await.unwrap();
    assert_eq!((fetched.final_url.as_str(), fetched.status, fetched.mime.as_str()), (&*url, 200, "text/html"));
    assert_eq!((fetched.charset, &fetched.bytes[..]), (None, &b"hello"[..]));
    assert_eq!(names.asked(), ["site.com"]);
    assert_eq!(names.dialled(), [PUBLIC.parse::<std::net::IpAddr>().unwrap()]);
}

#[tokio::test]
async fn s06_one_bad_address_among_good_ones_is_refused() {
    let host = Host::with(&[("/", html("secret"))]).await;
    let bad = [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "::ffff:127.0.0.1",
        "fd00::1",
        "fe80::1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "2001:db8::1",
    ];
    for address in bad {
        let answers: [&[&str]; 3] = [&[address], &[PUBLIC, address], &[address, PUBLIC]];
        for answer in answers {
            let names = Names::new(&[("site.com", &[answer])]);
            let fetcher = fetcher(options(&[host.port]), &names);
            for purpose in PURPOSES {
                let url = format!("http://site.com:{}/", host.port);
                let error = fetcher.fetch(&url, purpose, &fetcher.allowance("test")).await.unwrap_err();
                assert_eq!(error, FetchError::Refused(Refusal::Address), "{answer:?} {purpose:?}");
                assert!(error.is_unsafe());
            }
            assert_eq!(names.dialled(), [] as [std::net::IpAddr; 0], "{answer:?}");
        }
    }
    assert_eq!(host.heads(), [""; 0]);
}

#[tokio::test]
async fn s06_a_name_that_turns_private_is_refused_where_it_is_dialled() {
    // The host closes each connection, so that the second fetch has to dial again.
    let host = Host::with(&[("/", html("public"))]).await;
    let names = Names::new(&[("rebind.com", &[&[PUBLIC], &["127.0.0.1"]])]);
    let fetcher = fetcher(options(&[host.port]), &names);
    let url = format!("http://rebind.com:{}/", host.port);
    let allowance = fetcher.allowance("test");
    fetcher.fetch(&url, Purpose::Media, &allowance).await.unwrap();
    // It is asked once per connection: there is no answer between the check and the dialling.
    assert_eq!(names.asked().len(), 1);
    let error = fetcher.fetch(&url, Purpose::Media, &allowance).await.unwrap_err();
    assert_eq!(error, FetchError::Refused(Refusal::Address));
    assert_eq!(host.heads().len(), 1);
}

#[tokio::test]
async fn s06_unknown_and_flooded_names() {
    let flood: Vec<_> = (1..=100).map(|last| format!("1.1.1.{last}")).collect();
    let flood: Vec<_> = flood.iter().map(String::as_str).collect();
    let names = Names::new(&[("flood.com", &[&flood]), ("empty.com", &[&[]])]);
    let fetcher = fetcher(options(&[]), &names);
    let allowance = fetcher.allowance("test");
    for (url, expected) in [
        ("http://flood.com/", FetchError::Refused(Refusal::Address)),
        ("http://empty.com/", FetchError::Unreachable(Failure::Connection)),
        ("http://unknown.com/", FetchError::Unreachable(Failure::Connection)),
    ] {
        assert_eq!(fetcher.fetch(url, Purpose::Page, &allowance).await.unwrap_err(), expected, "{url}");
    }
    assert_eq!(names.dialled(), [] as [std::net::IpAddr; 0]);
}

#[tokio::test]
async fn s19_a_name_that_resolves_to_our_own_address() {
    let own = Own { addresses: vec![PUBLIC.parse().unwrap()], ..Own::default() };
    let names = Names::new(&[("alias.com", &[&[PUBLIC]])]);
    let fetcher = fetcher(FetchOptions { own, ..options(&[]) }, &names);
    let error = fetcher.fetch("http://alias.com/", Purpose::Page, &fetcher.allowance("test")).await.unwrap_err();
    assert_eq!(error, FetchError::Refused(Refusal::Own));
    assert_eq!(names.dialled(), [] as [std::net::IpAddr; 0]);
}

#[tokio::test]
async fn private_names_reach_what_was_opened_and_nothing_else() {
    let host = Host::with(&[("/", html("tools"))]).await;
    let names = Names::new(&[
        ("tools.internal", &[&["10.1.2.3"]]),
        ("mixed.internal", &[&["10.1.2.3", "192.168.1.1"]]),
        ("other.internal", &[&["192.168.1.1"]]),
    ]);
    let mut opened = options(&[host.port]);
    opened.openings.get_mut(&Purpose::Mcp).unwrap().networks.push("10.0.0.0/8".parse().unwrap());
    let fetcher = fetcher(opened, &names);
    let allowance = fetcher.allowance("test");
    let fetch = async |name: &str, purpose| {
        let url = format!("http://{name}:{}/", host.port);
        fetcher.fetch(&url, purpose, &allowance).await.map(|fetched| fetched.bytes.len())
    };
    let refused = Err(FetchError::Refused(Refusal::Address));
    assert_eq!(fetch("tools.internal", Purpose::Mcp).await, Ok(5));
    assert_eq!(fetch("mixed.internal", Purpose::Mcp).await, refused);
    assert_eq!(fetch("other.internal", Purpose::Mcp).await, refused);
    for purpose in [Purpose::Page, Purpose::Media, Purpose::Webhook] {
        assert_eq!(fetch("tools.internal", purpose).await, refused, "{purpose:?}");
    }
}

#[tokio::test]
async fn a_client_for_others_is_guarded_as_well() {
    let host = Host::with(&[("/", html("secret"))]).await;
    let names = Names::new(&[("site.com", &[&["127.0.0.1"]])]);
    let fetcher = fetcher(options(&[host.port]), &names);
    let target = fetcher.target(&format!("http://site.com:{}/", host.port), Purpose::Mcp).unwrap();
    assert!(target.client.post(target.url).send().await.unwrap_err().is_connect());
    assert_eq!(host.heads(), [""; 0]);
    assert_eq!(fetcher.target("http://127.0.0.1/", Purpose::Mcp).map(drop), Err(Refusal::Address));
}
