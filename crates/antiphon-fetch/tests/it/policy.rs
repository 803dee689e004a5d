//! S1, S2, S3, S4, S7, S9, S10, S19: what is refused before anybody is asked.

use std::collections::BTreeMap;

use antiphon_fetch::{FetchError, FetchOptions, Opening, Own, Purpose, Refusal, Rewrite};

use crate::world::{Names, PURPOSES, fetcher, options};

/// The refusals of addresses, for every purpose; and that nobody was asked for a name.
fn check(options: &FetchOptions, rows: &[(&str, Result<(), Refusal>)]) {
    let names = Names::new(&[]);
    let fetcher = fetcher(options.clone(), &names);
    for purpose in PURPOSES {
        let found: Vec<_> = rows.iter().map(|(url, _)| (*url, fetcher.check(url, purpose).map(drop))).collect();
        assert_eq!(found, rows, "{purpose:?}");
    }
    assert_eq!(names.asked(), [""; 0]);
}

fn refused(refusal: Refusal, urls: &[&str]) {
    let rows: Vec<_> = urls.iter().map(|url| (*url, Err(refusal))).collect();
    check(&options(&[]), &rows);
    assert!(FetchError::Refused(refusal).is_unsafe());
}

#[test]
fn ordinary_addresses_pass() {
    let urls = [
        "http://site.com",
        "https://site.com/a?b=c#d",
        "https://sub.site.co.uk:443/",
        "http://1.1.1.1/",
        "http://[2606:4700:4700::1111]/",
        "HTTP://SITE.COM/",
        " https://site.com/ ",
        "http://site.com/@who",
        "https://bücher.de/",
        "https://例え。jp/",
    ];
    check(&options(&[]), &urls.map(|url| (url, Ok(()))));
}

#[test]
fn s01_metadata_of_clouds() {
    refused(
        Refusal::Address,
        &[
            "http://169.254.169.254/",
            "http://169.254.169.254/latest/meta-data/",
            "http://metadata.google.internal/",
            "http://METADATA.google.internal./",
            "http://metadata/",
            "http://[fd00:ec2::254]/",
            "http://[::ffff:169.254.169.254]/",
            "http://168.63.129.16/",
            "http://100.100.100.200/",
        ],
    );
}

#[test]
fn s02_ourselves() {
    refused(
        Refusal::Address,
        &[
            "http://127.0.0.1/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://a.localhost/",
            "http://0.0.0.0/",
            "http://0/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[::127.0.0.1]/",
            "http://127.0.0.1./",
        ],
    );
}

#[test]
fn s03_other_spellings_of_an_address() {
    refused(
        Refusal::Address,
        &[
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://0x7f.1/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://017700000001/",
            "http://0x7F.0x0.0x0.0x1/",
            "http://%31%32%37.0.0.1/",
            "http://127。0。0。1/",
            "http://１２７.０.０.１/",
            "http://①②⑦.⓪.⓪.①/",
            "http://[64:ff9b::127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
        ],
    );
    refused(Refusal::Malformed, &["http://127.0.0.256/", "http://4294967296/", "http://[::1%25lo]/", "http://[::1/"]);
}

#[test]
fn s04_private_networks() {
    refused(
        Refusal::Address,
        &[
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://100.64.0.1/",
            "http://198.18.0.1/",
            "http://[fc00::1]/",
            "http://[fe80::1]/",
            "http://224.0.0.1/",
            "http://[ff02::1]/",
            "http://[2002:a00:1::]/",
            "http://[2001:0:1::]/",
            "http://intranet/",
            "http://router.lan/",
            "http://printer.local/",
            "http://nas.home.arpa/",
        ],
    );
}

#[test]
fn s07_other_schemes() {
    refused(
        Refusal::Scheme,
        &[
            "file:///etc/passwd",
            "gopher://site.com/",
            "ftp://site.com/",
            "data:text/html,hello",
            "unix:/run/docker.sock",
            "jar:http://site.com!/",
            "javascript:alert(1)",
            "ws://site.com/",
            "view-source:http://site.com/",
            "blob:http://site.com/1",
        ],
    );
    refused(Refusal::Malformed, &["", "site.com", "//site.com/", "/etc/passwd", "http://", "http:///", "https://:80/"]);
}

#[test]
fn s09_what_two_readers_read_differently() {
    refused(
        Refusal::UserInfo,
        &[
            "http://a@b.com/",
            "http://a:b@site.com/",
            "http://@site.com/",
            "http://:@site.com/",
            "http://site.com#@127.0.0.1/",
            "http://site.com?@127.0.0.1/",
            "http:///a@127.0.0.1/",
            "http:a@127.0.0.1/",
        ],
    );
    refused(
        Refusal::Malformed,
        &[
            "http://site.com\\@127.0.0.1/",
            "http:\\\\127.0.0.1/",
            "http://site.com/\\..\\",
            "http://site\t.com/",
            "http://site.com/a\nb",
            "http://site.com /",
            "http://site.com/a b",
            "http://site.com/\u{0}",
            "http://site.com/\u{202f}",
            "http://si\u{ad}te\u{0}.com/",
            "http://site.com:99999/",
            "http://exa%23mple.com/",
            "http://exa<mple.com/",
        ],
    );
    let long = format!("http://site.com/{}", "a".repeat(9_000));
    refused(Refusal::Malformed, &[&long]);
}

#[test]
fn s10_ports() {
    refused(
        Refusal::Port,
        &[
            "http://site.com:22/",
            "http://site.com:25/",
            "http://site.com:6379/",
            "http://site.com:8080/",
            "http://1.1.1.1:0/",
        ],
    );
    check(&options(&[]), &[("http://site.com:443/", Ok(())), ("https://site.com:80/", Ok(()))]);
    let own = Own { port: Some(8080), ..Own::default() };
    check(
        &FetchOptions { own, ..options(&[8080, 8081]) },
        &[("http://site.com:8081/", Ok(())), ("http://site.com:8080/", Err(Refusal::Own))],
    );
}

#[test]
fn s19_our_own_name_and_addresses() {
    let own = Own {
        hosts: vec!["API.our-site.com".to_owned()],
        addresses: vec!["198.41.0.4".parse().unwrap(), "2606:4700::1".parse().unwrap()],
        port: Some(443),
    };
    let mut ours = FetchOptions { own, ..options(&[]) };
    let loopback = Opening { networks: vec!["127.0.0.0/8".parse().unwrap()], ports: Vec::new() };
    ours.openings = PURPOSES.iter().map(|purpose| (*purpose, loopback.clone())).collect();
    check(
        &ours,
        &[
            ("https://api.our-site.com/v1", Err(Refusal::Own)),
            ("https://api.our-site.com./v1", Err(Refusal::Own)),
            ("https://API.OUR-SITE.COM/v1", Err(Refusal::Own)),
            ("https://www.our-site.com/v1", Ok(())),
            ("https://198.41.0.4/", Err(Refusal::Own)),
            ("https://[2606:4700::1]/", Err(Refusal::Own)),
            ("https://198.41.0.5/", Ok(())),
            // Everybody listens on 443: there, what is opened is not opened to us.
            ("https://127.0.0.1/", Err(Refusal::Own)),
        ],
    );
}

#[test]
fn opening_a_network_for_one_purpose_opens_no_other() {
    let opening = Opening { networks: vec!["10.0.0.0/8".parse().unwrap()], ports: vec![8080] };
    for opened in PURPOSES {
        let fetcher = fetcher(
            FetchOptions { openings: BTreeMap::from([(opened, opening.clone())]), ..FetchOptions::default() },
            &Names::new(&[]),
        );
        for purpose in PURPOSES {
            let is_opened = purpose == opened;
            let check = |url: &str| fetcher.check(url, purpose).is_ok();
            assert_eq!(check("http://10.1.2.3/"), is_opened, "{opened:?} {purpose:?}");
            assert_eq!(check("http://site.com:8080/"), is_opened, "{opened:?} {purpose:?}");
            assert_eq!(check("http://tools.internal:8080/"), is_opened, "{opened:?} {purpose:?}");
            assert!(!check("http://192.168.1.1/"), "{opened:?} {purpose:?}");
            assert!(!check("http://[::ffff:10.1.2.3]/"), "{opened:?} {purpose:?}");
            assert!(!check("http://site.com:8081/"), "{opened:?} {purpose:?}");
        }
    }
}

#[test]
fn rewrites_take_whole_parts_of_an_address() {
    let rewrites = vec![
        Rewrite::new("https://host.com/", "http://127.0.0.1:8001/").unwrap(),
        Rewrite::new("https://deep.com/a/b", "http://127.0.0.1:8002/x").unwrap(),
    ];
    let fetcher = fetcher(FetchOptions { rewrites, ..FetchOptions::default() }, &Names::new(&[]));
    let target = |url: &str| fetcher.target(url, Purpose::Mcp).map(|target| target.url.to_string());
    for (url, expected) in [
        ("https://host.com", Ok("http://127.0.0.1:8001/")),
        ("https://host.com/a?b#c", Ok("http://127.0.0.1:8001/a?b")),
        ("https://host.com/../a", Ok("http://127.0.0.1:8001/a")),
        ("http://host.com/", Ok("http://host.com/")),
        ("https://host.com:8443/", Err(Refusal::Port)),
        ("https://host.com.evil.com/", Ok("https://host.com.evil.com/")),
        ("https://a@host.com/", Err(Refusal::UserInfo)),
        ("https://deep.com/a/b", Ok("http://127.0.0.1:8002/x")),
        ("https://deep.com/a/b/c", Ok("http://127.0.0.1:8002/x/c")),
        ("https://deep.com/a/bc", Ok("https://deep.com/a/bc")),
        ("https://deep.com/a/b/../c", Ok("https://deep.com/a/c")),
        ("https://deep.com/a/b/%2e%2e/c", Ok("https://deep.com/a/c")),
    ] {
        assert_eq!(target(url), expected.map(str::to_owned), "{url}");
    }
    for wrong in ["host.com", "ftp://host.com/", "https://host.com/?a", "https://a:b@host.com/", "https://host.com/#a"]
    {
        assert!(Rewrite::new(wrong, "http://127.0.0.1/").is_err(), "{wrong}");
        assert!(Rewrite::new("https://host.com/", wrong).is_err(), "{wrong}");
    }
}
