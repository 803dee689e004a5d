use std::io::Cursor;

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

fn message() -> impl Strategy<Value = Message> {
    let id = any::<u64>();
    prop_oneof![
        (id, any::<Vec<Token>>(), any::<[usize; 2]>()).prop_map(|(id, tokens, [at, taken])| Message::Prepared {
            id,
            tokens,
            media: vec![Place { at, tokens: taken }],
        }),
        (id, any::<String>()).prop_map(|(id, message)| Message::Refused { id, what: Refused::Media, message }),
        (id, any::<u32>()).prop_map(|(id, cached)| Message::Started { id, cached }),
        (id, any::<Vec<Token>>(), any::<String>()).prop_map(|(id, tokens, text)| Message::Chunk { id, tokens, text }),
        id.prop_map(|id| Message::Finished { id, reason: FinishReason::Length }),
        (id, any::<String>()).prop_map(|(id, message)| Message::Failed { id, message }),
    ]
}

proptest! {
    #[test]
    fn any_split_of_the_bytes_yields_the_same_messages(
        messages in prop::collection::vec(message(), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|message| encode(message).unwrap()).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();

        let mut decoder = FrameDecoder::default();
        let mut decoded: Vec<Message> = Vec::new();
        for piece in cuts.windows(2) {
            decoder.feed(&bytes[piece[0]..piece[1]]);
            while let Some(message) = decoder.next_message().unwrap() {
                decoded.push(message);
            }
        }
        prop_assert!(decoder.is_empty());
        prop_assert_eq!(&decoded, &messages);

        let mut reader = Cursor::new(bytes);
        for expected in messages {
            prop_assert_eq!(read_frame::<Message>(&mut reader).unwrap(), Some(expected));
        }
        prop_assert_eq!(read_frame::<Message>(&mut reader).unwrap(), None);
    }

    #[test]
    fn hostile_bytes_give_an_error_or_nothing(bytes in any::<Vec<u8>>()) {
        let mut decoder = FrameDecoder::default();
        decoder.feed(&bytes);
        while let Ok(Some(_)) = decoder.next_message::<Request>() {}
        let _ = read_frame::<Request>(&mut Cursor::new(bytes));
    }
}

#[test]
fn a_frame_over_the_cap_is_refused_by_its_header() {
    let header = u32::try_from(MAX_FRAME + 1).unwrap().to_le_bytes();
    let mut decoder = FrameDecoder::default();
    decoder.feed(&header);
    assert!(matches!(decoder.next_message::<Message>(), Err(FrameError::TooLong(_))));
    assert!(matches!(read_frame::<Message>(&mut Cursor::new(header)), Err(FrameError::TooLong(_))));
}

#[test]
fn a_cut_frame_is_not_the_end_of_the_pipe() {
    let frame = encode(&Request::Cancel { id: 1 }).unwrap();
    for length in 1..frame.len() {
        assert!(matches!(read_frame::<Request>(&mut Cursor::new(&frame[..length])), Err(FrameError::Cut)));
    }
}

#[test]
fn an_error_does_not_quote_the_body() {
    let frame = encode(&serde_json::json!({"cancel": {"id": "a secret"}})).unwrap();
    let error = read_frame::<Request>(&mut Cursor::new(frame)).unwrap_err();
    assert!(matches!(error, FrameError::Malformed { .. }));
    assert!(!error.to_string().contains("secret"));
}

#[test]
fn requests_look_like_this_on_the_pipe() {
    let request = Request::Generate(Generate {
        id: 7,
        scope: "project".to_owned(),
        prompt: vec![1, 2],
        media: vec![Medium { at: 1, shape: Shape::Image { width: 1, height: 1 }, data: vec![255, 0, 0] }],
        resume: vec![],
        max_tokens: 5,
        sampling: Sampling { temperature: 0.7, ..Sampling::GREEDY },
        markers: vec!["<think>".to_owned()],
        constraint: Some(Constraint { grammar: "start: marker_0".to_owned(), markers: vec!["<a>".to_owned()] }),
    });
    let frame = encode(&request).unwrap();
    let expected = r#"{"generate":{"id":7,"scope":"project","prompt":[1,2],"media":[{"at":1,"shape":{"image":{"width":1,"height":1}},"data":"/wAA"}],"resume":[],"max_tokens":5,"sampling":{"temperature":0.7,"top_p":1.0,"top_k":0,"min_p":0.0,"repeat_penalty":1.0,"repeat_window":0,"seed":0},"markers":["<think>"],"constraint":{"grammar":"start: marker_0","markers":["<a>"]}}}"#;
    assert_eq!(std::str::from_utf8(&frame[4..]).unwrap(), expected);
    assert_eq!(usize::try_from(u32::from_le_bytes([frame[0], frame[1], frame[2], frame[3]])).unwrap(), expected.len());
}
