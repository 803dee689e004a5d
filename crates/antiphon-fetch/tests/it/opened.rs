//! Bodies that are taken piece by piece: the same limits, and never in memory as a whole.

use std::io::Write as _;
use std::time::Duration;

use antiphon_fetch::{Failure, FetchError, Limits, MimeError, Purpose};
use pretty_assertions::assert_eq;

use crate::world::{Does, Host, Names, PUBLIC, answers, fetcher, leads_to, options};

const LIMIT: usize = 1 << 20;

const BROKEN: FetchError = FetchError::Unreachable(Failure::Broken);

/// What is told of the body behind a path, and all of its pieces.
async fn opened(host: &Host, path: &str, limits: Limits) -> Result<(String, Vec<Vec<u8>>), FetchError> {
    let mut options = options(&[host.port]);
    options.limits = limits;
    let fetcher = fetcher(options, &Names::new(&[("site.com", &[&[PUBLIC]])]));
    let url = format!("http://site.com:{}{path}", host.port);
    let mut body = fetcher.open(&url, Purpose::Media, &fetcher.allowance("test")).await?;
    let mut pieces = Vec::new();
    while let Some(piece) = body.piece().await? {
        pieces.push(piece.to_vec());
    }
    Ok((body.mime, pieces))
}

fn within() -> Limits {
    Limits { bytes: LIMIT, ..Limits::default() }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that no coding makes much smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[tokio::test]
async fn a_body_comes_whole_in_pieces_whatever_its_coding() {
    let body = noise(LIMIT - 7);
    let plain = answers(200, "content-type: video/mp4\r\n", &body);
    let coded = answers(200, "content-type: video/mp4\r\ncontent-encoding: gzip\r\n", gzip(&body[..LIMIT / 2]));
    let host = Host::with(&[("/plain", plain), ("/coded", coded), ("/moved", leads_to("/plain"))]).await;
    for (path, expected) in [("/plain", &body[..]), ("/moved", &body[..]), ("/coded", &body[..LIMIT / 2])] {
        let (mime, pieces) = opened(&host, path, within()).await.unwrap();
        assert_eq!(mime, "video/mp4", "{path}");
        assert!(pieces.len() > 1 && pieces.concat() == expected, "{path}: {} pieces", pieces.len());
    }
    assert!(host.heads().iter().all(|head| head.contains("accept-encoding: identity")), "{:?}", host.heads());
}

#[tokio::test]
async fn the_next_piece_is_not_awaited_before_the_first_is_given() {
    let head = "HTTP/1.1 200 X\r\ncontent-type: video/mp4\r\ncontent-length: 4000\r\n\r\n";
    let script = vec![Does::Sends([head.as_bytes(), &noise(2000)].concat()), Does::Hangs];
    let host = Host::with(&[("/", script)]).await;
    let fetcher = fetcher(options(&[host.port]), &Names::new(&[("site.com", &[&[PUBLIC]])]));
    let url = format!("http://site.com:{}/", host.port);
    let mut body = fetcher.open(&url, Purpose::Media, &fetcher.allowance("test")).await.unwrap();
    assert!(body.piece().await.unwrap().unwrap().len() >= 1024);
}

#[tokio::test]
async fn floods_and_bombs_are_left_at_the_limit() {
    let head = b"HTTP/1.1 200 X\r\ncontent-type: video/mp4\r\n\r\n".to_vec();
    let endless = vec![Does::Sends(head), Does::Repeats(noise(1 << 16))];
    let announced = "HTTP/1.1 200 X\r\ncontent-type: video/mp4\r\ncontent-length: 1048577\r\n\r\n";
    let coded = "content-type: video/mp4\r\ncontent-encoding: gzip\r\n";
    let host = Host::with(&[
        ("/endless", endless),
        ("/announced", vec![Does::Sends(announced.into())]),
        ("/larger", answers(200, coded, gzip(&noise(LIMIT).repeat(2)))),
        ("/bomb", answers(200, coded, gzip(&vec![0; 3 << 20]))),
    ])
    .await;
    for path in ["/endless", "/announced", "/larger"] {
        assert_eq!(opened(&host, path, within()).await, Err(FetchError::Size { limit: LIMIT }), "{path}");
    }
    // Within the limit, but a thousandfold of what was sent.
    let wide = Limits { bytes: 8 << 20, ..Limits::default() };
    assert_eq!(opened(&host, "/bomb", wide).await, Err(FetchError::Size { limit: 8 << 20 }));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_taken_for_its_end() {
    let coded = gzip(&noise(4000));
    let half = &coded[..coded.len() / 2];
    let says = |head: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 200 X\r\ncontent-type: video/mp4\r\n{head}\r\n");
        vec![Does::Sends([head.as_bytes(), body].concat())]
    };
    let host = Host::with(&[
        ("/short", says("content-length: 4000\r\n", &noise(2000))),
        ("/cut", says("content-encoding: gzip\r\ntransfer-encoding: chunked\r\n", b"5\r\n12345\r\n")),
        ("/half", answers(200, "content-type: video/mp4\r\ncontent-encoding: gzip\r\n", half)),
    ])
    .await;
    for path in ["/short", "/cut", "/half"] {
        assert_eq!(opened(&host, path, within()).await, Err(BROKEN), "{path}");
    }
}

#[tokio::test]
async fn time_is_up_for_the_body_too() {
    let head = "HTTP/1.1 200 X\r\ncontent-type: video/mp4\r\ncontent-length: 4000\r\n\r\n";
    let script = vec![Does::Sends([head.as_bytes(), &noise(2000)].concat()), Does::Hangs];
    let host = Host::with(&[("/", script)]).await;
    let hour = Duration::from_secs(3600);
    let hasty = Limits { total: Duration::from_millis(200), headers: hour, connect: hour, ..within() };
    assert_eq!(opened(&host, "/", hasty).await, Err(FetchError::Unreachable(Failure::Timeout)));
}

#[tokio::test]
async fn what_its_first_bytes_contradict_is_not_begun() {
    let page = answers(200, "content-type: video/mp4\r\n", "<!DOCTYPE html><html></html>".repeat(100));
    let host = Host::with(&[("/", page)]).await;
    let declared = "video/mp4".to_owned();
    let expected = FetchError::Type(MimeError::Disagree { declared, found: "text/html" });
    assert_eq!(opened(&host, "/", within()).await, Err(expected));
}
