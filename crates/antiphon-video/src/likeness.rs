//! How alike two frames are: by where they grow darker from left to right, in a thumbnail.
//!
//! Such a hash of differences stays as it is when a video is coded again, and changes with writing and with what is
//! shown. Frames of one colour have none, so that brightness counts too.

/// The thumbnail, a byte of brightness for each pixel: one column more than there are differences.
pub(crate) const WIDE: usize = 33;
pub(crate) const HIGH: usize = 32;
pub(crate) const THUMBNAIL: usize = WIDE * HIGH;

/// Smaller differences are noise of the coding.
const NOISE: u8 = 4;

/// Of 1,024 differences.
const ALIKE: u32 = 16;

/// Of 256 steps of brightness.
const AS_BRIGHT: u8 = 24;

/// What of a frame is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Likeness {
    /// A bit for each pixel but those of the last column: whether its right neighbour is darker.
    darker: [u32; HIGH],
    brightness: u8,
}

impl Likeness {
    pub(crate) fn of(thumbnail: &[u8; THUMBNAIL]) -> Self {
        let mut darker = [0; HIGH];
        for (bits, row) in darker.iter_mut().zip(thumbnail.chunks_exact(WIDE)) {
            for pair in row.windows(2) {
                *bits = (*bits << 1) | u32::from(pair[0] > pair[1].saturating_add(NOISE));
            }
        }
        let sum: usize = thumbnail.iter().map(|&pixel| usize::from(pixel)).sum();
        Self { darker, brightness: u8::try_from(sum / THUMBNAIL).unwrap_or(u8::MAX) }
    }

    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let differences = self.darker.iter().zip(&other.darker).map(|(one, other)| (one ^ other).count_ones());
        differences.sum::<u32>() <= ALIKE && self.brightness.abs_diff(other.brightness) <= AS_BRIGHT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paper with ink where `is_ink` says so, and a little noise.
    fn frame(noise: u8, is_ink: impl Fn(usize, usize) -> bool) -> Likeness {
        let mut pixels = [0; THUMBNAIL];
        for (at, pixel) in pixels.iter_mut().enumerate() {
            let paper = if is_ink(at % WIDE, at / WIDE) { 180 } else { 240 };
            *pixel = paper + noise * u8::try_from(at * 7 % 3).unwrap();
        }
        Likeness::of(&pixels)
    }

    #[test]
    fn noise_makes_no_difference_and_other_writing_does() {
        let one = |x: usize, y: usize| (5..9).contains(&y) && x.is_multiple_of(3);
        let other = |x: usize, y: usize| (5..9).contains(&y) && x.is_multiple_of(4);
        assert!(frame(0, one).is_like(&frame(2, one)));
        assert!(!frame(0, one).is_like(&frame(0, other)));
        assert!(!frame(0, one).is_like(&frame(0, |_, _| false)));
    }

    #[test]
    fn frames_of_one_colour_differ_by_their_brightness() {
        let plain = |brightness: u8| Likeness::of(&[brightness; THUMBNAIL]);
        assert!(plain(100).is_like(&plain(110)));
        assert!(!plain(0).is_like(&plain(255)));
    }
}
