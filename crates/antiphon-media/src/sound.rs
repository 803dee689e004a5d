//! What is said in recordings and in videos, which a process of its own listens to.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use antiphon_engine::{Derived, MediaKind, Medium};
use antiphon_hearing::{Claim, Extent, Listener, Options, Transcript, Unheard};
use antiphon_wire::{Code, Error, MediaOptions, Offset};
use tokio::io::AsyncRead;
use tracing::error;

use crate::source::source;

/// What listens.
#[derive(Clone, Debug)]
pub struct Ears {
    pub listener: Listener,
    /// Where the model is that knows words.
    pub folder: PathBuf,
}

/// A language that is less likely than this is said to be uncertain.
const SURE: f32 = 0.5;

impl Ears {
    /// The name of the model, and of what installs it.
    pub const MODEL: &str = "whisper-base";

    /// # Errors
    /// The recording's, or those of how it is to be heard.
    pub(crate) async fn check(&self, medium: &Medium) -> Result<String, Error> {
        let checked = self.listener.check(source(&medium.data), claim(medium), extent(&medium.options)).await;
        Ok(checked.map_err(|why| refused(why, medium.kind))?.mime_type)
    }

    pub(crate) async fn listen(&self, medium: &Medium) -> Result<Derived, Error> {
        self.hear(medium.kind, source(&medium.data), claim(medium), extent(&medium.options), Duration::ZERO).await
    }

    /// Whether samples of the sound of a video can be listened to; see [`Self::listen_to_samples`].
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(crate) async fn check_samples(&self, samples: &[u8]) -> Result<(), Error> {
        let checked = self.listener.check(samples, of_samples(), Extent::default()).await;
        checked.map(drop).map_err(|why| refused(why, MediaKind::Video))
    }

    /// What is said in the sound of a video, of which these are the samples from `start` on: two bytes each, the lower
    /// one first, in one channel at [`antiphon_video::SAMPLE_RATE`].
    pub(crate) async fn listen_to_samples(&self, samples: &[u8], start: Duration) -> Result<Derived, Error> {
        self.hear(MediaKind::Video, samples, of_samples(), Extent::default(), start).await
    }

    /// `before` is how much of the sound is not in `source`.
    async fn hear(
        &self,
        kind: MediaKind,
        source: impl AsyncRead + Send + Unpin,
        claim: Claim,
        extent: Extent,
        before: Duration,
    ) -> Result<Derived, Error> {
        let (folder, options) = (self.folder.clone(), Options::default());
        let heard = self.listener.listen(source, claim, extent, folder, options, &mut |_| {}).await;
        let transcript = heard.map_err(|why| refused(why, kind))?;
        let start = (extent.start.unwrap_or_default() + before).as_secs_f64();
        let (text, has_words) = (text(&transcript, start), !transcript.segments.is_empty());
        Ok(Derived { text, has_words, tools: vec![Self::MODEL.to_owned()], ..Derived::default() })
    }
}

/// What the samples of a video's sound are.
fn of_samples() -> Claim {
    let sample_rate = Some(antiphon_video::SAMPLE_RATE);
    Claim { mime_type: Some("audio/l16".to_owned()), sample_rate, channels: Some(1) }
}

fn claim(medium: &Medium) -> Claim {
    Claim {
        mime_type: Some(medium.mime_type.clone()).filter(|declared| !declared.is_empty()),
        sample_rate: medium.options.sample_rate,
        channels: medium.options.channels,
    }
}

pub(crate) fn extent(options: &MediaOptions) -> Extent {
    let at = |offset: Offset| Duration::from_millis(offset.0);
    let processing = options.processing.clone().unwrap_or_default();
    Extent { start: processing.start_offset.map(at), end: processing.end_offset.map(at), ..Extent::default() }
}

/// What was heard, with times that begin at `start` seconds.
pub(crate) fn text(transcript: &Transcript, start: f64) -> String {
    let mut text = format!("{:.1} seconds were listened to.", transcript.seconds);
    let Some(language) = transcript.language.as_ref().filter(|_| !transcript.segments.is_empty()) else {
        text.push_str(" No speech was found in them.\n");
        return text;
    };
    let sure = if transcript.probability < SURE { ", which is uncertain" } else { "" };
    let _ = writeln!(text, " The language is `{language}` ({:.0} %{sure}).", transcript.probability * 100.0);
    for segment in &transcript.segments {
        let at = (segment.start + start).max(0.0);
        let (minutes, seconds) = ((at / 60.0).floor(), (at % 60.0).floor());
        let _ = writeln!(text, "[{minutes:02}:{seconds:02}] {}", segment.text.trim());
    }
    text
}

pub(crate) fn refused(unheard: Unheard, kind: MediaKind) -> Error {
    match unheard {
        Unheard::Fault { field, message } => {
            let message = if kind == MediaKind::Video { format!("the sound of the video: {message}") } else { message };
            let field = match field.as_deref() {
                Some(offset @ ("start_offset" | "end_offset")) => format!("processing.{offset}"),
                field => field.unwrap_or("data").to_owned(),
            };
            Error::invalid(&field, message)
        }
        Unheard::Broken(why) => {
            error!(%why, "Recordings cannot be heard");
            Error::new(Code::ServiceUnavailable, "The server cannot listen to recordings now; its log has the cause")
        }
    }
}

#[cfg(test)]
mod tests {
    use antiphon_hearing::Segment;
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_was_heard_has_its_times_and_says_how_sure_the_language_is() {
        let segment = |start: f64, text: &str| Segment { start, end: start + 1.0, text: text.to_owned() };
        let heard = Transcript {
            language: Some("pt".to_owned()),
            probability: 0.31,
            segments: vec![segment(0.4, " Bom dia."), segment(61.0, "Sim.")],
            seconds: 70.0,
            speech_seconds: 2.0,
        };
        let expected = "70.0 seconds were listened to. The language is `pt` (31 %, which is uncertain).\n\
                        [00:10] Bom dia.\n[01:11] Sim.\n";
        assert_eq!(text(&heard, 10.0), expected);
        let silence = Transcript { seconds: 3.0, ..Transcript::default() };
        assert_eq!(text(&silence, 0.0), "3.0 seconds were listened to. No speech was found in them.\n");
    }
}
