//! Server-sent events: the framing of spec 00 §7 and spec 04, both ways.

use serde_json::Value;

use crate::event::InteractionEvent;

/// One event as a frame: its name, one `data:` line of JSON that repeats `event_type`
/// and carries `event_id`, and the browser's own `id:` field.
pub fn encode_event(event: &InteractionEvent, event_id: Option<&str>) -> String {
    let mut data = serde_json::to_value(event).unwrap_or_default();
    let mut id_line = String::new();
    if let (Some(id), Value::Object(map)) = (event_id, &mut data) {
        map.insert("event_id".to_owned(), Value::String(id.to_owned()));
        id_line = format!("id: {id}\n");
    }
    format!("event: {}\n{id_line}data: {data}\n\n", event.event_type())
}

/// The trailer, which both SDKs swallow.
pub fn encode_done() -> &'static str {
    "event: done\ndata: [DONE]\n\n"
}

/// A comment line, ignored by every client: keeps a quiet connection open.
pub fn encode_comment() -> &'static str {
    ": keep-alive\n\n"
}

/// Splits a byte stream into the `data` of its events. Takes LF, CR LF and CR in any
/// mix; comments, names and ids are skipped, since only the JSON inside counts.
#[derive(Debug, Default)]
pub struct SseDecoder {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
}

impl SseDecoder {
    /// Feeds bytes and returns the `data` of every event that ended in them.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut events = Vec::new();
        for &byte in bytes {
            let skip = self.after_cr && byte == b'\n';
            self.after_cr = byte == b'\r';
            match byte {
                _ if skip => {}
                b'\n' | b'\r' => self.end_line(&mut events),
                _ => self.line.push(byte),
            }
        }
        events
    }

    fn end_line(&mut self, events: &mut Vec<String>) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                events.push(String::from_utf8_lossy(&std::mem::take(&mut self.data)).into_owned());
            }
        } else if let Some(rest) = line.strip_prefix(b"data:") {
            if std::mem::replace(&mut self.has_data, true) {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(rest.strip_prefix(b" ").unwrap_or(rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn how_bytes_are_cut_does_not_change_the_events(
            texts in proptest::collection::vec("[a-zé🐕 :]{0,12}", 0..6),
            ending in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
            cuts in proptest::collection::vec(1usize..7, 1..40),
        ) {
            let mut stream = Vec::new();
            for text in &texts {
                stream.extend_from_slice(format!("event: x{ending}: note{ending}data: {text}{ending}{ending}").as_bytes());
            }
            let mut decoder = SseDecoder::default();
            let (mut found, mut rest, mut cuts) = (Vec::new(), &stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (head, tail) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                found.extend(decoder.feed(head));
                rest = tail;
            }
            prop_assert_eq!(found, texts);
        }
    }
}
