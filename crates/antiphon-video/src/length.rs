//! How far the frames of a video go, by a list of all of them: when each begins, and how long it is shown.
//!
//! The list is what `ffmpeg` calls `framecrc`. What a file says of its own length need not be so.

use std::time::Duration;

/// Longer lines are none of the list's.
const LONGEST_LINE: usize = 1 << 12;

/// The list as far as it was read.
#[derive(Debug, Default)]
pub(crate) struct Length {
    /// The beginning of a line whose end is still to come.
    line: Vec<u8>,
    /// Seconds of a tick, as a fraction.
    tick: Option<(u64, u64)>,
    /// In ticks.
    end: Option<i64>,
}

impl Length {
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.line.len() + piece.len() <= LONGEST_LINE {
                self.line.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.read_line(&String::from_utf8_lossy(&line));
            }
        }
    }

    /// None when there are no frames.
    pub(crate) fn get(&self) -> Option<Duration> {
        let (end, (seconds, ticks)) = (self.end?, self.tick?);
        let length = end.max(0) as f64 * seconds as f64 / ticks as f64;
        // One frame may be shown for no time at all.
        Some(Duration::try_from_secs_f64(length).unwrap_or(Duration::MAX).max(Duration::from_millis(1)))
    }

    /// `#tb 0: 1/12800` says what a tick is, `0, dts, pts, duration, size, hash` is a frame.
    fn read_line(&mut self, line: &str) {
        if let Some(tick) = line.strip_prefix("#tb 0: ") {
            let tick = tick.trim().split_once('/');
            let tick = tick.and_then(|(seconds, ticks)| Some((seconds.parse().ok()?, ticks.parse().ok()?)));
            self.tick = tick.filter(|&(_, ticks)| ticks > 0);
            return;
        }
        let numbers: Vec<_> = line.split(',').take(4).map(|number| number.trim().parse::<i64>().ok()).collect();
        // Some files say only when frames are decoded.
        if let [Some(0), decoded, shown, Some(duration)] = numbers[..]
            && let Some(begin) = shown.filter(|&shown| shown != i64::MIN).or(decoded)
        {
            self.end = self.end.max(Some(begin.saturating_add(duration)));
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    fn length(pieces: &[&[u8]]) -> Option<Duration> {
        let mut length = Length::default();
        pieces.iter().for_each(|piece| length.read(piece));
        length.get()
    }

    const LIST: &str = "#software: Lavf59.27.100\n#tb 0: 1/100\n#media_type 0: video\n\
                        0,        -10,          0,       50,     7297, 0x7d3a1c5e\n\
                        0,          0,        150,       50,     2000, 0x7d3a1c5e, F=0x0\n\
                        0,         50,        100,       50,     1000, 0x7d3a1c5e, F=0x0\n";

    #[test]
    fn the_last_frame_that_is_shown_is_the_end() {
        assert_eq!(length(&[LIST.as_bytes()]), Some(Duration::from_secs(2)));
        let only_decoded = b"#tb 0: 1/10\n0, 20, NOPTS, 5, 1, 0x0\n";
        assert_eq!(length(&[only_decoded]), Some(Duration::from_millis(2500)));
        assert_eq!(length(&[b"#tb 0: 1/10\n0, 0, 0, 0, 1, 0x0\n"]), Some(Duration::from_millis(1)));
        assert!(length(&[b"#tb 0: 1/1000000\n0, 0, 9223372036854775807, 9, 1, 0x0\n"]).is_some());
    }

    #[test]
    fn what_is_no_list_has_no_frames() {
        let long = [b"0, 1, 1, 1, ".repeat(1000), b"\n".to_vec()].concat();
        for list in ["", "#tb 0: 1/10\n", "#tb 0: 1/0\n0, 0, 0, 1, 1, 0x0\n", "0, 0, 0, 1, 1, 0x0\n", "0, x\n1, 2\n"] {
            assert_eq!(length(&[list.as_bytes()]), None, "{list:?}");
        }
        assert_eq!(length(&[b"#tb 0: 1/10\n", &long]), None);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_pieces_end(at in any::<proptest::sample::Index>()) {
            let (one, other) = LIST.as_bytes().split_at(at.index(LIST.len()));
            prop_assert_eq!(length(&[one, other]), Some(Duration::from_secs(2)));
        }
    }
}
