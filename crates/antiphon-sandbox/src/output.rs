//! Bytes of a program's output as text, within a bound.

/// One stream's text as it comes. What is not UTF-8 becomes U+FFFD; a character that was cut waits for its rest.
#[derive(Debug, Default)]
pub(crate) struct Text {
    waiting: Vec<u8>,
}

impl Text {
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.waiting.extend_from_slice(bytes);
        let keep = cut_character(&self.waiting);
        let whole = self.waiting.len() - keep;
        let text = String::from_utf8_lossy(&self.waiting[..whole]).into_owned();
        self.waiting.drain(..whole);
        text
    }

    /// What still waits when no more will come.
    pub(crate) fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.waiting)).into_owned()
    }
}

/// How many bytes at the end begin a character and may yet become one.
pub(crate) fn cut_character(bytes: &[u8]) -> usize {
    (1..=bytes.len().min(3))
        .find(|length| match std::str::from_utf8(&bytes[bytes.len() - length..]) {
            Ok(_) => false,
            Err(error) => error.valid_up_to() == 0 && error.error_len().is_none(),
        })
        .unwrap_or(0)
}

/// How much of what comes is passed on.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: u64,
    discarded: u64,
}

impl Allowance {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { left: bytes, discarded: 0 }
    }

    /// The part of the bytes that still fits.
    pub(crate) fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let fits = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= fits as u64;
        self.discarded = self.discarded.saturating_add((bytes.len() - fits) as u64);
        &bytes[..fits]
    }

    pub(crate) fn discarded(&self) -> u64 {
        self.discarded
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_does_not_depend_on_where_it_is_cut(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60),
                ".{0,30}".prop_map(String::into_bytes),
            ],
            cuts in prop::collection::vec(0..60_usize, 0..6),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut text = Text::default();
            let mut pieces: String = cuts.windows(2).map(|ends| text.push(&bytes[ends[0]..ends[1]])).collect();
            pieces.push_str(&text.finish());
            prop_assert_eq!(pieces, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn an_allowance_passes_on_what_it_says(limit in 0..100_u64, sizes in prop::collection::vec(0..50_usize, 0..8)) {
            let mut allowance = Allowance::new(limit);
            let passed: usize = sizes.iter().map(|size| allowance.take(&vec![0; *size]).len()).sum();
            let total = sizes.iter().sum::<usize>() as u64;
            prop_assert_eq!(passed as u64, total.min(limit));
            prop_assert_eq!(allowance.discarded(), total.saturating_sub(limit));
        }
    }
}
