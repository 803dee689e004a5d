//! Text out of the bytes of tokens.
//!
//! A token may hold a part of a character. What is shown is always whole characters: an
//! incomplete one waits for the rest, and what can never become a character is replaced
//! as in `String::from_utf8_lossy`.

#[derive(Debug, Default)]
pub(crate) struct TextAssembler {
    /// The beginning of a character: at most three bytes.
    waiting: Vec<u8>,
}

impl TextAssembler {
    /// The text that these bytes complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.waiting.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.waiting.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = after;
                    let Some(invalid) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[invalid..];
                }
            }
        }
        self.waiting = rest.to_vec();
        text
    }

    /// What is left when no more bytes come.
    pub(crate) fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.waiting)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes that are often characters, often cut ones, and sometimes neither.
    fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let bytes = prop_oneof![
            any::<char>().prop_map(|char| char.to_string().into_bytes()),
            any::<char>().prop_map(|char| char.to_string().into_bytes()[..1].to_vec()),
            any::<Vec<u8>>(),
        ];
        (prop::collection::vec(bytes, 0..8), 1..5usize)
            .prop_map(|(bytes, size)| bytes.concat().chunks(size).map(<[u8]>::to_vec).collect())
    }

    proptest! {
        #[test]
        fn the_pieces_together_are_the_lossy_text_of_all_bytes(pieces in pieces()) {
            let mut assembler = TextAssembler::default();
            let mut text: String = pieces.iter().map(|piece| assembler.push(piece)).collect();
            text.push_str(&assembler.finish());
            prop_assert_eq!(text, String::from_utf8_lossy(&pieces.concat()).into_owned());
        }
    }

    #[test]
    fn a_cut_character_waits_for_its_rest() {
        let mut assembler = TextAssembler::default();
        assert_eq!(assembler.push(&[b'a', 0xF0, 0x9F]), "a");
        assert_eq!(assembler.push(&[0x90]), "");
        assert_eq!(assembler.push(&[0xB6, b'b']), "🐶b");
        assert_eq!(assembler.finish(), "");
    }
}
