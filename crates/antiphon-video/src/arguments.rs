//! What `ffmpeg` is asked for, as its command line.
//!
//! Everything is said that its defaults would leave to the file: what kind it is, where its bytes are, how much of it
//! is read and what of it is decoded. Nothing of a request gets here but numbers.

use std::time::Duration;

use crate::likeness::{HIGH, WIDE};
use crate::{Container, Moments};

/// Of the samples of a video's sound, each two bytes with the lower one first, in one channel; in Hz.
pub const SAMPLE_RATE: u32 = 16_000;

/// Frames with more pixels are not decoded.
const MOST_PIXELS: &str = "50000000";

/// Pictures that are handed over have this rate in name only: each is the one after the last.
const NOMINAL_RATE: &str = "25";

/// One thing to be done with a video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// How far its frames go, without decoding them; no further than `until`.
    Measure { until: Duration },
    /// A thumbnail of the frame that is shown at each of the moments.
    Glance { moments: Moments },
    /// The frames of some of the moments themselves, as BMP files one after the other.
    Pictures {
        moments: Moments,
        /// Ascending.
        numbers: Vec<usize>,
        /// Larger ones are made smaller.
        longest_side: u32,
    },
    /// Samples of its sound.
    Sound { start: Duration, length: Duration },
}

/// The command line for a task, its input being the process's own.
pub(crate) fn arguments(container: Container, task: &Task) -> Vec<String> {
    let mut line = Line(Vec::new());
    line.add(&["-hide_banner", "-nostdin", "-loglevel", "quiet", "-nostats"]);
    // Of the input.
    line.add(&["-f", container.demuxer(), "-protocol_whitelist", "file,pipe"]);
    line.add(&["-threads", "1", "-max_pixels", MOST_PIXELS]);
    let (start, length) = match task {
        Task::Measure { until } => (Duration::ZERO, *until),
        Task::Glance { moments } | Task::Pictures { moments, .. } => (moments.start(), moments.length()),
        Task::Sound { start, length } => (*start, *length),
    };
    if !start.is_zero() {
        line.add(&["-ss", &seconds(start)]);
    }
    // The descriptor as a file, since most kinds are read back and forth.
    line.add(&["-t", &seconds(length), "-i", "file:/dev/stdin"]);
    // Of the output. `V` leaves out covers of recordings, which are no frames.
    line.add(&["-map", if matches!(task, Task::Sound { .. }) { "0:a:0" } else { "0:V:0" }]);
    line.add(&["-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1", "-threads", "1", "-filter_threads", "1"]);
    match task {
        Task::Measure { .. } => line.add(&["-c", "copy", "-f", "framecrc", "pipe:1"]),
        Task::Glance { moments } => {
            let filter = format!("{},scale={WIDE}:{HIGH}:flags=area,format=gray", sampled(moments));
            let count = moments.count().to_string();
            line.add(&["-vf", &filter, "-frames:v", &count, "-c:v", "rawvideo", "-f", "rawvideo", "pipe:1"]);
        }
        Task::Pictures { moments, numbers, longest_side } => {
            let chosen: Vec<_> = numbers.iter().map(|number| format!("eq(n,{number})")).collect();
            let filter = format!(
                "{},select='{}',setpts=N/{NOMINAL_RATE}/TB,scale=w='min(iw,{longest_side})':h='min(ih,{longest_side})':\
                 force_original_aspect_ratio=decrease,format=bgr24",
                sampled(moments),
                chosen.join("+"),
            );
            let count = numbers.len().to_string();
            line.add(&["-vf", &filter, "-r", NOMINAL_RATE, "-frames:v", &count]);
            line.add(&["-c:v", "bmp", "-f", "image2pipe", "pipe:1"]);
        }
        Task::Sound { .. } => {
            line.add(&["-ac", "1", "-ar", &SAMPLE_RATE.to_string(), "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1"]);
        }
    }
    line.0
}

/// One frame for each moment: the one that is shown then, which may have begun long before.
fn sampled(moments: &Moments) -> String {
    let (count, of) = moments.per_second();
    format!("fps=fps={count}/{of}:start_time=0:round=up")
}

fn seconds(time: Duration) -> String {
    format!("{}.{:03}", time.as_secs(), time.subsec_millis())
}

struct Line(Vec<String>);

impl Line {
    fn add(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(|&word| word.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn line(container: Container, task: &Task) -> String {
        arguments(container, task).join(" ")
    }

    const BEFORE: &str = "-hide_banner -nostdin -loglevel quiet -nostats";
    const BOUNDS: &str = "-protocol_whitelist file,pipe -threads 1 -max_pixels 50000000";
    const REST: &str = "-sn -dn -map_metadata -1 -map_chapters -1 -threads 1 -filter_threads 1";

    #[test]
    fn a_video_is_measured_without_being_decoded() {
        let task = Task::Measure { until: Duration::from_millis(600_001) };
        assert_eq!(
            line(Container::Avi, &task),
            format!(
                "{BEFORE} -f avi {BOUNDS} -t 600.001 -i file:/dev/stdin -map 0:V:0 {REST} -c copy -f framecrc pipe:1"
            )
        );
    }

    #[test]
    fn frames_are_sampled_alike_for_a_glance_and_for_a_closer_look() {
        let moments = Moments::spread(Duration::from_millis(1500), Duration::from_secs(5), Some(0.5));
        let input = format!("{BEFORE} -f mov {BOUNDS} -ss 1.500 -t 3.500 -i file:/dev/stdin -map 0:V:0 {REST}");
        assert_eq!(
            line(Container::Boxes, &Task::Glance { moments }),
            format!(
                "{input} -vf fps=fps=500000/1000000:start_time=0:round=up,scale=33:32:flags=area,format=gray \
                 -frames:v 2 -c:v rawvideo -f rawvideo pipe:1"
            )
        );
        assert_eq!(
            line(Container::Boxes, &Task::Pictures { moments, numbers: vec![0, 1], longest_side: 960 }),
            format!(
                "{input} -vf fps=fps=500000/1000000:start_time=0:round=up,select='eq(n,0)+eq(n,1)',setpts=N/25/TB,\
                 scale=w='min(iw,960)':h='min(ih,960)':force_original_aspect_ratio=decrease,format=bgr24 -r 25 \
                 -frames:v 2 -c:v bmp -f image2pipe pipe:1"
            )
        );
    }

    #[test]
    fn sound_becomes_one_channel_of_samples() {
        let task = Task::Sound { start: Duration::ZERO, length: Duration::from_secs(60) };
        assert_eq!(
            line(Container::Matroska, &task),
            format!(
                "{BEFORE} -f matroska {BOUNDS} -t 60.000 -i file:/dev/stdin -map 0:a:0 {REST} -ac 1 -ar 16000 \
                 -c:a pcm_s16le -f s16le pipe:1"
            )
        );
    }
}
