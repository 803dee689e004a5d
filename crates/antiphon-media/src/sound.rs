//! What is said in recordings and in videos, which a process of its own listens to. The frames of
//! videos are not looked at.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use antiphon_engine::{Derived, MediaKind, Medium};
use antiphon_hearing::{Claim, Extent, Listener, Options, Transcript, Unheard};
use antiphon_wire::{Code, Error, Offset, VideoLayer};
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
        if medium.kind == MediaKind::Video {
            only_heard(medium)?;
        }
        let checked = self.listener.check(source(&medium.data), claim(medium), extent(medium)).await;
        let checked = checked.map_err(|why| refused(why, medium.kind))?;
        Ok(if medium.kind == MediaKind::Video { medium.mime_type.clone() } else { checked.mime_type })
    }

    pub(crate) async fn listen(&self, medium: &Medium) -> Result<Derived, Error> {
        let extent = extent(medium);
        let (folder, options) = (self.folder.clone(), Options::default());
        let sound = source(&medium.data);
        let heard = self.listener.listen(sound, claim(medium), extent, folder, options, &mut |_| {}).await;
        let transcript = heard.map_err(|why| refused(why, medium.kind))?;
        let start = extent.start.unwrap_or_default().as_secs_f64();
        let heard =
            Derived { text: text(&transcript, start), tools: vec![Self::MODEL.to_owned()], ..Derived::default() };
        if medium.kind != MediaKind::Video {
            return Ok(heard);
        }
        let text = format!("Its frames were not looked at. Of its sound, {}", heard.text);
        Ok(Derived { text, truncated: true, note: Some("its frames were not looked at".to_owned()), ..heard })
    }
}

/// # Errors
/// When the frames of a video are asked for.
fn only_heard(medium: &Medium) -> Result<(), Error> {
    let processing = medium.options.processing.clone().unwrap_or_default();
    let wanted = [
        ("resolution", medium.options.resolution.is_some()),
        ("processing.fps", processing.fps.is_some()),
        ("processing.content_layers", processing.content_layers.contains(&VideoLayer::Frames)),
    ];
    match wanted.into_iter().find(|(_, is_wanted)| *is_wanted) {
        None => Ok(()),
        Some((field, _)) => Err(Error::invalid(field, "frames of videos are not looked at here; their sound is heard")),
    }
}

fn claim(medium: &Medium) -> Claim {
    Claim {
        mime_type: Some(medium.mime_type.clone()).filter(|declared| !declared.is_empty()),
        sample_rate: medium.options.sample_rate,
        channels: medium.options.channels,
    }
}

fn extent(medium: &Medium) -> Extent {
    let at = |offset: Offset| Duration::from_millis(offset.0);
    let processing = medium.options.processing.clone().unwrap_or_default();
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

fn refused(unheard: Unheard, kind: MediaKind) -> Error {
    match unheard {
        Unheard::Fault { field, message } => {
            let message = if kind == MediaKind::Video { format!("the sound of the video: {message}") } else { message };
            match field.as_deref() {
                Some(offset @ ("start_offset" | "end_offset")) => {
                    Error::invalid(&format!("processing.{offset}"), message)
                }
                field => Error::invalid(field.unwrap_or("data"), message),
            }
        }
        Unheard::Broken(why) => {
            error!(%why, "Recordings cannot be heard");
            Error::new(Code::ServiceUnavailable, "The server cannot listen to recordings now; its log has the cause")
        }
    }
}

#[cfg(test)]
mod tests {
    use antiphon_engine::ProjectId;
    use antiphon_hearing::Segment;
    use antiphon_wire::MediaOptions;
    use pretty_assertions::assert_eq;
    use serde_json::json;

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

    #[test]
    fn frames_of_a_video_cannot_be_asked_for() {
        for (options, field) in [
            (json!({"resolution": "low"}), Some("`resolution`")),
            (json!({"processing": {"type": "static", "fps": 1.0}}), Some("`processing.fps`")),
            (
                json!({"processing": {"type": "static", "content_layers": ["frames"]}}),
                Some("`processing.content_layers`"),
            ),
            (json!({"processing": {"type": "static", "content_layers": ["audio", "transcript"]}}), None),
        ] {
            let options: MediaOptions = serde_json::from_value(options).unwrap();
            let (data, mime_type) = ("AAAA".into(), "video/mp4".to_owned());
            let medium = Medium { project: ProjectId(1), kind: MediaKind::Video, data, mime_type, options };
            let refused = only_heard(&medium).err().map(|error| error.message);
            assert_eq!(refused.as_deref().and_then(|message| message.split(':').next()), field);
        }
    }
}
