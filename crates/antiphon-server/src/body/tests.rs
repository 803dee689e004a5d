use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};

use super::*;

fn gate(body_bytes: u32, body_bytes_in_flight: usize) -> BodyGate {
    BodyGate::new(&Limits { body_bytes, body_bytes_in_flight, ..Limits::default() })
}

fn chunked(chunks: &[&'static str]) -> Body {
    let chunks: Vec<_> = chunks.iter().map(|chunk| Ok::<_, Infallible>(Bytes::from_static(chunk.as_bytes()))).collect();
    Body::from_stream(stream::iter(chunks))
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_read_whole_and_one_byte_more_is_refused() {
    let gate = gate(8, 8);
    assert_eq!(gate.read(&mut Body::from("12345678")).await.unwrap(), b"12345678");
    assert_eq!(gate.read(&mut chunked(&["1234", "", "5678"])).await.unwrap(), b"12345678");
    for mut body in [Body::from("123456789"), chunked(&["1234", "5678", "9"])] {
        assert_eq!(gate.read(&mut body).await.unwrap_err().code, Code::ContentTooLarge);
    }
    for length in [9, u64::MAX] {
        assert_eq!(gate.reserve(Some(length)).await.unwrap_err().code, Code::ContentTooLarge);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_given_up_after_thirty_seconds() {
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
    let mut body = Body::from_stream(first.chain(stream::pending()));
    let error = gate(8, 8).read(&mut body).await.unwrap_err();
    assert_eq!(error, unreadable("nothing more of the body came for 30 seconds"));
}

#[tokio::test(start_paused = true)]
async fn bodies_share_their_memory_and_wait_for_it_thirty_seconds() {
    let gate = gate(8, 10);
    let first = gate.reserve(Some(7)).await.unwrap();
    assert!(gate.reserve(Some(3)).now_or_never().is_some_and(|permit| permit.is_ok()), "3 more fit");
    assert_eq!(gate.reserve(Some(4)).await.unwrap_err().code, Code::RateLimitExceeded);
    assert!(gate.reserve(None).now_or_never().is_none(), "an unknown length is the longest");
    drop(first);
    assert!(gate.reserve(None).await.is_ok());
}

#[test]
fn mistakes_in_json_are_placed_and_not_quoted() {
    for (text, place) in [
        ("{\"model\": \"secret\",\n  oops}", "line 2 column 3"),
        ("{\"input\": \"secret", "line 1 column 17"),
        ("{} secret", "line 1 column 4"),
        ("\u{1}secret", "line 1 column 1"),
    ] {
        let error = parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.code, Code::InvalidRequest);
        assert!(error.message.contains(place), "{}", error.message);
        assert!(!error.message.contains("secret"), "{}", error.message);
    }
    assert!(parse(b"").unwrap_err().message.contains("empty body"));
    assert!(parse(b"\"\xff\"").unwrap_err().message.contains("line 1"));
    assert!(parse("[".repeat(100_000).as_bytes()).unwrap_err().message.contains("recursion limit"));
}
