//! What is seen and said in videos: some of their frames, and their sound.
//!
//! Each of the two can be missing in a video, be left out by the request, or have nothing here that reads it. What was
//! asked for by name and cannot be had is refused; of what was not, the rest is read and the text says what is missing.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use antiphon_engine::{Derived, Medium, Readers};
use antiphon_hearing::Extent;
use antiphon_video::{Broken, Container, Decoder, Film, MOST_FRAMES, Moments, SUPPORTED, Scene, View};
use antiphon_wire::{Code, Error, MediaOptions, Processing, Resolution, VideoLayer};
use tracing::error;

use crate::picture::{Eyes, WRITING};
use crate::sound::{Ears, extent};
use crate::{Means, head};

/// Of the part of a video whose frames are looked at.
const LONGEST: Duration = Duration::from_secs(600);

/// One of ten minutes may end a moment later.
const SLACK: Duration = Duration::from_secs(1);

/// Frames that are looked at closely.
const MOST_SCENES: usize = 8;

/// Names what decodes, where it did.
const DECODER: &str = "ffmpeg";

/// What is to be read of a video, and with what.
pub(crate) struct Plan<'a> {
    decoder: Option<&'a Decoder>,
    eyes: Option<&'a Eyes>,
    ears: Option<&'a Ears>,
    /// Whether frames, or sound, must be there.
    needs_frames: bool,
    needs_sound: bool,
    /// What would be read if something were installed, for the sender.
    lacking: Option<String>,
}

/// What could be had of a video.
struct Found {
    frames: Option<View>,
    sound: Option<Sound>,
}

/// Where sound comes from.
enum Sound {
    /// The video as it is.
    Video,
    /// Samples of it from a moment on.
    Samples(Vec<u8>, Duration),
}

impl<'a> Plan<'a> {
    /// # Errors
    /// Of the field that asks for what nothing here reads, or of the video as a whole when nothing of it is read.
    pub(crate) fn new(means: &'a Means, options: &MediaOptions) -> Result<Self, Error> {
        let Processing { fps, content_layers: layers, .. } = options.processing.clone().unwrap_or_default();
        let is_layer = |wanted: VideoLayer| layers.contains(&wanted);
        let is_all = layers.is_empty();
        let asks_frames = is_layer(VideoLayer::Frames);
        // What is said is its transcript.
        let asks_sound = is_layer(VideoLayer::Audio) || is_layer(VideoLayer::Transcript);
        let of_frames = [("resolution", options.resolution.is_some()), ("processing.fps", fps.is_some())];
        let of_frames = of_frames.into_iter().find_map(|(field, is_set)| is_set.then_some(field));
        if let Some(field) = of_frames.filter(|_| !is_all && !asks_frames) {
            return Err(Error::invalid(field, "it is of frames, which are not among the `content_layers`"));
        }
        let decoder = means.decoder.as_ref();
        let eyes = means.eyes.as_ref().filter(|_| decoder.is_some() && (is_all || asks_frames));
        let ears = means.ears.as_ref().filter(|_| is_all || asks_sound);
        let plan = Self {
            decoder,
            eyes,
            ears,
            needs_frames: asks_frames || of_frames.is_some(),
            needs_sound: asks_sound,
            lacking: None,
        };
        if plan.needs_frames && plan.eyes.is_none() {
            let field = of_frames.unwrap_or("processing.content_layers");
            let message = format!("frames of videos are not looked at by this server; {} is needed", of_looking(means));
            return Err(Error::invalid(field, message));
        }
        if plan.needs_sound && plan.ears.is_none() {
            let message = format!("sound of videos is not heard by this server; {} is needed", of_listening());
            return Err(Error::invalid("processing.content_layers", message));
        }
        let lacking = match (plan.eyes, plan.ears) {
            (None, None) => {
                let message = format!(
                    "the model takes no video input, and what would read it is not installed: {} for its sound, {} \
                     for its frames",
                    of_listening(),
                    of_looking(means)
                );
                return Err(Error::new(Code::InvalidRequest, message));
            }
            (None, Some(_)) if is_all => {
                Some(format!("its frames were not looked at; {} would be needed", of_looking(means)))
            }
            (Some(_), None) if is_all => Some(format!("its sound was not heard; {} would be needed", of_listening())),
            (Some(_), None) | (None, Some(_)) | (Some(_), Some(_)) => None,
        };
        Ok(Self { lacking, ..plan })
    }

    /// All that may have a part in the reading.
    pub(crate) fn readers(&self) -> Readers {
        let mut tools: Vec<_> = self.decoder.map(|_| DECODER.to_owned()).into_iter().collect();
        tools.extend(self.eyes.map(Eyes::tools).unwrap_or_default());
        tools.extend(self.ears.map(|_| Ears::MODEL.to_owned()));
        Readers { tools, note: self.lacking.clone() }
    }

    /// Whether a video can be read as it was asked for; its first frame and its sound are decoded.
    ///
    /// # Errors
    /// The video's, or those of how it is to be read.
    pub(crate) async fn check(&self, medium: &Medium) -> Result<(), Error> {
        let film = self.film(medium).await?;
        self.find(film.as_ref(), medium, Moments::first).await.map(drop)
    }

    /// # Errors
    /// As [`Self::check`].
    pub(crate) async fn read(&self, medium: &Medium) -> Result<Derived, Error> {
        let film = self.film(medium).await?;
        let found = self.find(film.as_ref(), medium, |moments| moments).await?;
        let mut derived = Derived { note: self.lacking.clone(), ..Derived::default() };
        derived.truncated = derived.note.is_some();
        match (&film, self.eyes, found.frames) {
            (Some(film), Some(eyes), Some(view)) => {
                let seen = look(film, eyes, &view, medium.options.resolution).await?;
                derived.text = frames_text(&view, &seen);
                derived.has_words = derived.text.contains(WRITING);
                derived.truncated |= view.is_cut || view.scenes.len() > seen.len();
                derived.tools.push(DECODER.to_owned());
                derived.tools.extend(eyes.tools());
            }
            (_, Some(_), _) => derived.text.push_str("There are no frames in it that can be decoded.\n"),
            (_, None, _) => derived.text.push_str("Its frames were not looked at.\n"),
        }
        match (self.ears, found.sound) {
            (Some(ears), Some(sound)) => {
                let heard = match sound {
                    Sound::Video => ears.listen(medium).await?,
                    Sound::Samples(samples, start) => {
                        if !derived.tools.iter().any(|tool| tool == DECODER) {
                            derived.tools.push(DECODER.to_owned());
                        }
                        ears.listen_to_samples(&samples, start).await?
                    }
                };
                let _ = write!(derived.text, "Of its sound, {}", heard.text);
                derived.tools.extend(heard.tools);
                derived.has_words |= heard.has_words;
            }
            (Some(_), None) => derived.text.push_str("There is no sound in it that can be decoded.\n"),
            (None, _) => derived.text.push_str("Its sound was not heard.\n"),
        }
        Ok(derived)
    }

    /// The video for the decoder, where there is one.
    async fn film(&self, medium: &Medium) -> Result<Option<Film>, Error> {
        let Some(decoder) = self.decoder else { return Ok(None) };
        let Some(container) = Container::of(&head(medium).await?) else {
            return Err(Error::invalid("data", format!("expected a video of one of these types: {SUPPORTED}")));
        };
        let data = medium.data.clone();
        let write = move |file: &mut File| data.each_piece(|piece| file.write_all(piece));
        Film::new(decoder.clone(), container, write).await.map(Some).map_err(|why| broken(&why))
    }

    /// What there is of what is to be read, when it is enough. It is looked at at `which` of its moments.
    async fn find(&self, film: Option<&Film>, medium: &Medium, which: fn(Moments) -> Moments) -> Result<Found, Error> {
        let view = match (film, self.eyes) {
            (Some(film), Some(_)) => glance(film, medium, which).await?,
            (Some(_) | None, _) => None,
        };
        let frames = view.filter(|view| view.frames > 0);
        if self.eyes.is_some() && frames.is_none() && (self.needs_frames || self.ears.is_none()) {
            return Err(Error::invalid("data", "there are no frames in the video that can be decoded within limits"));
        }
        let sound = match self.ears {
            Some(ears) => Some(sound(ears, film, medium).await),
            None => None,
        };
        let sound = match sound {
            Some(Ok(sound)) => Some(sound),
            Some(Err(error)) if error.code != Code::InvalidRequest || self.needs_sound || self.eyes.is_none() => {
                return Err(error);
            }
            Some(Err(_)) if frames.is_none() => {
                let message = "there are neither frames nor sound in the video that can be decoded within limits";
                return Err(Error::invalid("data", message));
            }
            Some(Err(_)) | None => None,
        };
        Ok(Found { frames, sound })
    }
}

/// What is seen at those of the moments that the request asks for which `which` leaves; none when there is no frame.
async fn glance(film: &Film, medium: &Medium, which: fn(Moments) -> Moments) -> Result<Option<View>, Error> {
    let Extent { start, end, .. } = extent(&medium.options);
    let start = start.unwrap_or_default();
    let beyond = start + LONGEST + 2 * SLACK;
    let until = end.map_or(beyond, |end| end.min(beyond));
    let Some(length) = film.length(until).await.map_err(|why| broken(&why))? else { return Ok(None) };
    let moments = spread(start, length.min(until), medium)?;
    film.view(which(moments)).await.map(Some).map_err(|why| broken(&why))
}

/// The moments from `start` to `end`, where the video or the part of it ends.
///
/// # Errors
/// When there is nothing after `start`, or too much.
fn spread(start: Duration, end: Duration, medium: &Medium) -> Result<Moments, Error> {
    if end <= start {
        let (length, start) = (end.as_secs_f64(), start.as_secs_f64());
        let message = format!("expected less than the {length:.3} seconds of the video, got {start}");
        return Err(Error::invalid("processing.start_offset", message));
    }
    if end - start > LONGEST + SLACK {
        let message = format!(
            "the video is longer than the {} seconds of which frames are looked at; ask for a part with `start_offset` \
             and `end_offset`, or for its sound with `content_layers`",
            LONGEST.as_secs()
        );
        return Err(Error::invalid("data", message));
    }
    Ok(Moments::spread(start, end, medium.options.processing.as_ref().and_then(|processing| processing.fps)))
}

/// The sound of a video that can be listened to: by our own decoders where they know it, since these are safe.
async fn sound(ears: &Ears, film: Option<&Film>, medium: &Medium) -> Result<Sound, Error> {
    let unknown = match film.map(Film::container) {
        None | Some(Container::Boxes | Container::Matroska | Container::Ogg) => match ears.check(medium).await {
            Ok(_) => return Ok(Sound::Video),
            Err(error) if error.code != Code::InvalidRequest => return Err(error),
            Err(error) => error,
        },
        Some(
            Container::Avi | Container::Flash | Container::ProgramStream | Container::TransportStream | Container::Asf,
        ) => Error::invalid("data", "there is no sound in the video that can be decoded"),
    };
    let Some(film) = film else { return Err(unknown) };
    let Extent { start, end, longest } = extent(&medium.options);
    let start = start.unwrap_or_default();
    let most = longest + SLACK;
    let length = end.map_or(most, |end| end.saturating_sub(start).min(most));
    let samples = film.sound(start, length).await.map_err(|why| broken(&why))?.bytes;
    if samples.is_empty() {
        return Err(unknown);
    }
    ears.check_samples(&samples).await?;
    Ok(Sound::Samples(samples, start))
}

/// What is seen in some of the scenes, in the first frame of each.
async fn look<'a>(
    film: &Film,
    eyes: &Eyes,
    view: &'a View,
    resolution: Option<Resolution>,
) -> Result<Vec<(&'a Scene, String)>, Error> {
    let chosen = view.chosen(MOST_SCENES);
    let numbers = chosen.iter().map(|scene| scene.first()).collect();
    let mut pictures = film.pictures(view.moments, numbers, longest_side(resolution)).map_err(|why| broken(&why))?;
    let mut seen = Vec::new();
    for scene in chosen {
        let Some(picture) = pictures.next().await.map_err(|why| broken(&why))? else { break };
        let content = match eyes.frame(&picture, resolution).await {
            Err(error) if error.code == Code::InvalidRequest => "It could not be looked at.\n".to_owned(),
            content => content?,
        };
        seen.push((scene, content));
    }
    Ok(seen)
}

/// In pixels: nothing looks closer at this resolution.
const fn longest_side(resolution: Option<Resolution>) -> u32 {
    match resolution {
        Some(Resolution::Low) => 640,
        Some(Resolution::Medium) | None => 1920,
        Some(Resolution::High | Resolution::UltraHigh) => 2560,
    }
}

/// What was seen, with times.
fn frames_text(view: &View, seen: &[(&Scene, String)]) -> String {
    let (moments, frames) = (&view.moments, view.frames);
    let mut text = format!(
        "Of its frames, {frames} were looked at, from {} to {}, {:.1} seconds apart.",
        time(moments.at(0)),
        time(moments.at(frames.saturating_sub(1))),
        moments.distance().as_secs_f64()
    );
    if moments.is_thinned() {
        let _ = write!(text, " No more than {MOST_FRAMES} are, spread evenly.");
    }
    if view.is_cut {
        text.push_str(" Those after them could not be decoded within limits.");
    }
    match view.scenes.len() {
        1 => text.push_str(" They look alike.\n"),
        scenes if scenes > seen.len() => {
            let _ = writeln!(text, " {scenes} of them look different, and {} of these are told.", seen.len());
        }
        scenes => {
            let _ = writeln!(text, " {scenes} of them look different.");
        }
    }
    for (scene, content) in seen {
        let times: Vec<_> = scene.shown.iter().map(|range| between(moments, range)).collect();
        let _ = write!(text, "[{}] {content}", times.join(", "));
    }
    text
}

fn between(moments: &Moments, range: &RangeInclusive<usize>) -> String {
    let (first, last) = (time(moments.at(*range.start())), time(moments.at(*range.end())));
    if first == last { first } else { format!("{first} to {last}") }
}

fn time(at: Duration) -> String {
    format!("{:02}:{:02}", at.as_secs() / 60, at.as_secs() % 60)
}

/// What has to be there for frames, of what is not.
fn of_looking(means: &Means) -> String {
    let missing = [
        (means.decoder.is_none(), "`ffmpeg`".to_owned()),
        (means.eyes.is_none(), format!("`antiphon models pull {}`", Eyes::READING)),
    ];
    let missing: Vec<_> = missing.into_iter().filter_map(|(is_missing, what)| is_missing.then_some(what)).collect();
    missing.join(" and ")
}

fn of_listening() -> String {
    format!("`antiphon models pull {}`", Ears::MODEL)
}

fn broken(why: &Broken) -> Error {
    error!(%why, "Videos cannot be decoded");
    Error::new(Code::ServiceUnavailable, "The server cannot look at videos now; its log has the cause")
}

#[cfg(test)]
mod tests;
