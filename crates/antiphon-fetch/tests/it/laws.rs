//! What holds whatever comes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use antiphon_fetch::extract::{Bounds, extract};
use antiphon_fetch::{FetchError, Purpose, Refusal, is_public};
use proptest::prelude::*;
use proptest::sample::select;

use crate::documents::pages;
use crate::world::{Host, Names, PURPOSES, fetcher, html, leads_to, options};

const HOSTS: [&str; 4] = ["one.com", "two.com", "three.com", "four.com"];

fn address() -> impl Strategy<Value = IpAddr> {
    let near = select(vec![
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "::ffff:127.0.0.1",
        "fd00:ec2::254",
        "fe80::1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "224.0.0.1",
    ]);
    prop_oneof![
        4 => select(vec!["1.1.1.1", "93.184.215.14", "2606:4700::1111"]).prop_map(|text| text.parse().unwrap()),
        1 => near.prop_map(|text| text.parse().unwrap()),
        1 => any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).into()),
        1 => any::<u128>().prop_map(|bits| Ipv6Addr::from(bits).into()),
    ]
}

/// Where a page leads: names with addresses of their own, addresses that are not public in many
/// spellings, and rubbish. Public ones are not written out: they would really be dialled.
fn location() -> impl Strategy<Value = String> {
    let private = select(vec![
        "http://127.0.0.1:PORT/",
        "http://2130706433:PORT/",
        "http://0x7f.1:PORT/",
        "http://0177.1:PORT/",
        "http://[::1]:PORT/",
        "http://[::ffff:7f00:1]:PORT/",
        "http://localhost:PORT/",
        "http://0:PORT/",
        "http://127.0.0.1.:PORT/",
        "http://127。0。0。1:PORT/",
        "//127.1:PORT/",
        "http:127.0.0.1:PORT/",
        "http://one.com:PORT@127.0.0.1:PORT/",
        "http://127.0.0.1:PORT\\@one.com/",
        "http://%6c%6fcalhost:PORT/",
    ]);
    prop_oneof![
        4 => (select(&HOSTS[..]), 0..9_u8).prop_map(|(host, path)| format!("http://{host}:PORT/{path}")),
        1 => (0..9_u8).prop_map(|path| format!("/{path}")),
        2 => private.prop_map(str::to_owned),
        1 => any::<u32>()
            .prop_map(Ipv4Addr::from)
            .prop_filter("would really be dialled", |address| !is_public((*address).into()))
            .prop_map(|address| format!("http://{address}:PORT/")),
        1 => "[ -~]{0,40}".prop_filter("would really be dialled", |text| !text.contains("//")),
    ]
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever names resolve to and hosts lead to, only public addresses are dialled, and no
    /// request arrives but by them.
    #[test]
    fn no_address_but_a_public_one_is_dialled(
        answers in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(address(), 0..3), 1..3), HOSTS.len()),
        locations in prop::collection::vec(prop::option::weighted(0.8, location()), 9),
        purpose in select(&PURPOSES[..]),
    ) {
        run(async {
            let script = locations.clone();
            let host = Host::start(move |head| {
                let path = head.split(' ').nth(1).unwrap_or_default();
                let port = head.split("host: ").nth(1).and_then(|rest| rest.split('\r').next()?.rsplit_once(':'));
                let port = port.map_or("80", |(_, port)| port);
                let at = path.trim_start_matches('/').bytes().next().unwrap_or(b'0') as usize % script.len();
                match &script[at] {
                    Some(location) => leads_to(&location.replace("PORT", port)),
                    None => html("there"),
                }
            })
            .await;
            let names = Names::of(HOSTS.iter().zip(answers).map(|(name, answers)| ((*name).to_owned(), answers)));
            let fetcher = fetcher(options(&[host.port]), &names);
            let url = format!("http://one.com:{}/0", host.port);
            let fetched = fetcher.fetch(&url, purpose, &fetcher.allowance("test")).await;
            for address in names.dialled() {
                assert!(is_public(address), "{address} was dialled");
            }
            for head in host.heads() {
                let name = head.split("host: ").nth(1).and_then(|rest| rest.split([':', '\r']).next()).unwrap();
                assert!(HOSTS.contains(&name), "{name} was reached");
            }
            assert!(host.heads().len() <= 6);
            if let Ok(fetched) = fetched {
                assert!(HOSTS.contains(&fetched.final_url.host_str().unwrap()));
            }
        });
    }

    /// An address that passes is what it looks like: its host is a public address or a name.
    #[test]
    fn addresses_that_pass_are_plain(text in "(https?:|ftp:|)[/\\\\]{0,3}[a-z0-9.@:\\[\\]%#?。\\\\ -]{0,30}/?.{0,10}") {
        let fetcher = plain_fetcher();
        if let Ok(url) = fetcher.check(&text, Purpose::Page) {
            prop_assert!(matches!(url.scheme(), "http" | "https"));
            prop_assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
            prop_assert!(matches!(url.port_or_known_default(), Some(80 | 443)));
            let host = url.host_str().unwrap().trim_matches(['[', ']']);
            match host.parse::<IpAddr>() {
                Ok(address) => prop_assert!(is_public(address)),
                Err(_) => prop_assert!(host.contains('.')),
            }
            prop_assert_eq!(fetcher.check(url.as_str(), Purpose::Page), Ok(url));
        }
    }

    #[test]
    fn every_spelling_of_a_private_address_is_refused(bits in any::<u32>(), form in 0..7_u8) {
        let address = Ipv4Addr::from(bits);
        let [a, b, c, d] = address.octets();
        let tail = u32::from_be_bytes([0, b, c, d]);
        let text = match form {
            0 => format!("{a}.{b}.{c}.{d}"),
            1 => bits.to_string(),
            2 => format!("{bits:#x}"),
            3 => format!("0{bits:o}"),
            4 => format!("{a}.{tail}"),
            5 => format!("{a:#x}.0{b:o}.{}", u16::from_be_bytes([c, d])),
            _ => format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        };
        let checked = plain_fetcher().check(&format!("http://{text}/"), Purpose::Media).map(drop);
        let expected = if is_public(address.into()) { Ok(()) } else { Err(Refusal::Address) };
        prop_assert_eq!(checked, expected, "{}", text);
    }

    #[test]
    fn arbitrary_bytes_are_read_within_bounds(
        bytes in prop::collection::vec(any::<u8>(), 0..4_000),
        mime in select(vec!["text/html", "text/plain", "application/pdf", "application/xhtml+xml"]),
        charset in prop::option::of(select(vec!["utf-8", "utf-16le", "shift_jis", "gb18030", "iso-2022-jp"])),
        most in 0..500_usize,
    ) {
        within_bounds(&bytes, mime, charset, most);
    }

    #[test]
    fn arbitrary_markup_is_read_within_bounds(
        pieces in prop::collection::vec(select(vec![
            "<p>", "</p>", "<b>", "</b>", "<a href=x>", "</a>", "<table>", "<tr>", "<td>", "</td>", "</table>", "<ul>",
            "<ol start=3>", "<li>", "</ul>", "<pre>", "</pre>", "<code>", "</code>", "<blockquote>", "</blockquote>",
            "<h1>", "</h2>", "<svg>", "<title>", "</title>", "<select>", "<option>", "<template>", "</template>",
            "<script>", "</script>", "<!--", "-->", "<math>", "<mi>", "<body>", "</html>", "<frameset>", "text ", "|",
            "\n", "&amp;", "ä", "<", ">", "<dd>", "<dt>", "<q>", "<main>", "<nav class=menu>", "</nav>", "<br>",
            "<p hidden>", "<form>", "<caption>", "<col>", "<nobr>", "<button>", "</body>", "<annotation-xml>",
        ]), 0..120),
        most in 0..500_usize,
    ) {
        within_bounds(pieces.concat().as_bytes(), "text/html", None, most);
    }

    #[test]
    fn damaged_pdfs_are_read_within_bounds(
        drawn in "[ -~]{0,60}",
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..30),
        most in 0..500_usize,
    ) {
        let content = format!("BT /F 12 Tf 72 700 Td ({drawn}) Tj ET {drawn}");
        let content = format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len());
        let mut file = pages(&[content.into_bytes()]);
        for (at, byte) in damage {
            *at.get_mut(&mut file) = byte;
        }
        within_bounds(&file, "application/pdf", None, most);
    }
}

fn plain_fetcher() -> antiphon_fetch::Fetcher {
    static FETCHER: std::sync::OnceLock<antiphon_fetch::Fetcher> = std::sync::OnceLock::new();
    FETCHER.get_or_init(|| fetcher(antiphon_fetch::FetchOptions::default(), &Arc::default())).clone()
}

fn within_bounds(bytes: &[u8], mime: &str, charset: Option<&str>, most: usize) {
    let bounds = Bounds { output_bytes: most, ..Bounds::default() };
    if let Ok(document) = extract(bytes, mime, charset, &bounds) {
        assert!(document.text.len() <= most, "{} > {most}", document.text.len());
        assert!(document.title.is_none_or(|title| title.chars().count() <= 300));
        assert!(document.page_starts.iter().all(|start| document.text.is_char_boundary(*start)));
        assert!(document.text.chars().all(|character| !character.is_control() || "\n\t".contains(character)));
        // What was not cut is the same with more room.
        if !document.is_cut {
            let roomy = extract(bytes, mime, charset, &Bounds::default()).unwrap();
            assert_eq!(roomy.text, document.text);
        }
    }
}

#[test]
fn an_unsafe_address_is_the_only_unsafe_error() {
    assert!(!FetchError::Status(404).is_unsafe());
    assert!(!FetchError::Refused(Refusal::Robots).is_unsafe());
    assert!(FetchError::Refused(Refusal::Address).is_unsafe());
}
