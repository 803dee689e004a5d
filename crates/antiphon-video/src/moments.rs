//! When a video is looked at: at regular distances, and never at more moments than are worth it.

use std::time::Duration;

/// Frames of one video that are looked at.
pub const MOST_FRAMES: u32 = 32;

/// Frames a second, unless a request says otherwise.
const USUAL: f64 = 1.0;

/// Moments from the start of a part of a video on, at regular distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    start: Duration,
    length: Duration,
    count: u32,
    /// So many of them in so many milliseconds.
    rate: (u64, u64),
    is_thinned: bool,
}

impl Moments {
    /// Over the part of a video between `start` and `end`: `fps` in each second, once unless given, or fewer where
    /// these would be more than [`MOST_FRAMES`].
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 32; of 60 a second")]
    pub fn spread(start: Duration, end: Duration, fps: Option<f64>) -> Self {
        let length = end.saturating_sub(start).max(Duration::from_millis(1));
        let per_second = fps.unwrap_or(USUAL).clamp(0.001, 1000.0);
        let wanted = (length.as_secs_f64() * per_second).ceil().max(1.0);
        let is_thinned = wanted > f64::from(MOST_FRAMES);
        let count = if is_thinned { MOST_FRAMES } else { wanted as u32 };
        let rate = if is_thinned {
            (u64::from(MOST_FRAMES), length.as_millis() as u64)
        } else {
            ((per_second * 1000.0).round() as u64, 1_000_000)
        };
        Self { start, length, count, rate, is_thinned }
    }

    /// The first of them alone.
    #[must_use]
    pub const fn first(self) -> Self {
        Self { count: 1, ..self }
    }

    pub const fn start(&self) -> Duration {
        self.start
    }

    /// Of the part that they are spread over.
    pub const fn length(&self) -> Duration {
        self.length
    }

    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether they are fewer than were asked for.
    pub const fn is_thinned(&self) -> bool {
        self.is_thinned
    }

    /// Between two of them.
    pub fn distance(&self) -> Duration {
        let (count, milliseconds) = self.rate;
        Duration::from_secs_f64(milliseconds as f64 / count.max(1) as f64 / 1000.0)
    }

    /// Of the moment with this number, from the beginning of the video.
    pub fn at(&self, number: usize) -> Duration {
        self.start + self.distance().mul_f64(number as f64)
    }

    /// Moments a second, as a fraction.
    pub(crate) const fn per_second(&self) -> (u64, u64) {
        (self.rate.0 * 1000, self.rate.1)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_short_video_is_looked_at_once_a_second_and_a_long_one_evenly() {
        let check = |start, end, fps, expected: &[f64]| {
            let moments = Moments::spread(seconds(start), seconds(end), fps);
            let found: Vec<_> = (0..moments.count() as usize).map(|number| moments.at(number).as_secs_f64()).collect();
            assert_eq!(found, expected);
            moments.is_thinned()
        };
        assert!(!check(0.0, 2.5, None, &[0.0, 1.0, 2.0]));
        assert!(!check(10.0, 12.0, Some(2.0), &[10.0, 10.5, 11.0, 11.5]));
        assert!(!check(0.0, 20.0, Some(0.1), &[0.0, 10.0]));
        assert!(!check(3.0, 3.0, None, &[3.0]));
        let half_hours: Vec<_> = (0..32).map(|number| f64::from(number) * 18.75).collect();
        assert!(check(0.0, 600.0, None, &half_hours));
        let halves: Vec<_> = (0..32).map(|number| f64::from(number) * 0.0625).collect();
        assert!(check(0.0, 2.0, Some(60.0), &halves));
    }

    proptest! {
        #[test]
        fn moments_are_few_and_inside(start in 0.0..86_400.0, length in 0.0..600.0, fps in 0.01..60.0) {
            let (start, end) = (seconds(start), seconds(start + length));
            let moments = Moments::spread(start, end, Some(fps));
            prop_assert!((1..=MOST_FRAMES).contains(&moments.count()));
            let last = moments.at(moments.count() as usize - 1);
            // A rate is kept in thousandths.
            prop_assert!(moments.at(0) == start && last <= end + Duration::from_millis(1) + length_share(length));
        }
    }

    fn length_share(length: f64) -> Duration {
        seconds(length * 0.06)
    }
}
