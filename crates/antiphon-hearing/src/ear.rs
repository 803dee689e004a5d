//! From samples to a transcript: where somebody speaks, in which language, and what.

use std::iter::successors;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cut::piece;
use crate::decoder::{Decoder, Heard};
use crate::encoder::{Encoder, MOMENT, MOMENTS};
use crate::layer::softmax;
use crate::mel::Mel;
use crate::passage::Passage;
use crate::rules::Rules;
use crate::speech::stretches;
use crate::vocabulary::{END, LANGUAGES, SILENCE, START, TRANSCRIBE, Vocabulary};
use crate::voice::Voice;
use crate::weights::Weights;
use crate::{Broken, RATE};

/// Files that an ear is loaded from, in the folder of the model `whisper-base`.
const FILES: [&str; 4] = ["model.bin", "vocabulary.txt", "config.json", "silero_vad_v6.onnx"];

/// Tokens of one piece. Nobody says more in half a minute.
const MOST_TOKENS: usize = 224;

/// Pieces that are listened to for the language, until one tells it as surely as this.
const PROBES: usize = 3;
const SURE_LANGUAGE: f32 = 0.5;

/// Moments of silence that are heard behind a piece. Trained on half a minute, the network wants some; all of it would
/// cost more than a short piece itself.
const SILENT_MOMENTS: usize = 250;

/// In seconds: where a text ends this much before its piece does, the rest is heard with what follows, if at least this
/// much was written down.
const LEAST_REST: f64 = 1.0;

/// What can be said about a sound beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The code of the language, such as `en`, where it is known; one that is unknown is listened for.
    pub language: Option<String>,
}

/// What was said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// The code of the language; none where nobody speaks.
    pub language: Option<String>,
    /// How likely it is that language, between 0 and 1; 1 where it was known.
    pub probability: f32,
    /// In order; none where nobody speaks.
    pub segments: Vec<Segment>,
    /// Of all that was listened to.
    pub seconds: f64,
    /// In which somebody speaks.
    pub speech_seconds: f64,
}

/// A stretch of text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// In seconds from the beginning of what was listened to.
    pub start: f64,
    pub end: f64,
    pub text: String,
}

/// Hears words; its memory is some 250 MB.
pub struct Ear {
    voice: Voice,
    mel: Mel,
    encoder: Encoder,
    decoder: Decoder,
    vocabulary: Vocabulary,
    rules: Rules,
}

impl Ear {
    /// Loads the networks from the folder of the installed model.
    ///
    /// # Errors
    /// [`Broken`] when a file is missing or is not what it should be.
    pub fn load(folder: &Path) -> Result<Self, Broken> {
        let [weights, vocabulary, rules, voice] = FILES.map(|file| folder.join(file));
        let mut weights = Weights::load(&weights)?;
        Ok(Self {
            voice: Voice::load(&voice)?,
            mel: Mel::new(),
            encoder: Encoder::take(&mut weights)?,
            decoder: Decoder::take(&mut weights)?,
            vocabulary: Vocabulary::load(&vocabulary)?,
            rules: Rules::load(&rules)?,
        })
    }

    /// Writes down what is said in `samples`, one channel at [`RATE`]. Each segment is shown to `watch` as soon as it
    /// is there; once that breaks, what there is so far is returned.
    ///
    /// # Errors
    /// [`Broken`] when the networks cannot be computed.
    pub fn transcribe(
        &self,
        samples: &[f32],
        options: &Options,
        watch: &mut dyn FnMut(&Segment) -> ControlFlow<()>,
    ) -> Result<Transcript, Broken> {
        let likelihoods = self.voice.likelihoods(samples)?;
        let spoken = stretches(&likelihoods, samples.len());
        let piece = |from| piece(&spoken, &likelihoods, from);
        let mut transcript = Transcript {
            seconds: seconds(samples.len()),
            speech_seconds: seconds(spoken.iter().map(Range::len).sum()),
            ..Transcript::default()
        };
        let Some(first) = piece(0) else { return Ok(transcript) };
        let mut known = Vec::new();
        let (language, probability) = match options.language.as_deref().and_then(|code| self.vocabulary.token(code)) {
            Some(token) => (token, 1.0),
            None => {
                let pieces = successors(Some(first), |before| piece(before.end));
                self.language(samples, pieces, &mut known)?
            }
        };
        transcript.language = self.vocabulary.language(language).map(ToOwned::to_owned);
        transcript.probability = probability;

        let mut from = 0;
        while let Some(piece) = piece(from) {
            let heard = match known.iter().position(|(of, _)| *of == piece) {
                Some(at) => known.swap_remove(at).1,
                None => self.hear(&samples[piece.clone()])?,
            };
            let (passage, is_looped) = self.write(&heard, language);
            let length = seconds(piece.len());
            if passage.is_believed() {
                let offset = seconds(piece.start);
                for stretch in passage.stretches(&self.vocabulary, length) {
                    let (start, end) = (offset + stretch.start, offset + stretch.end);
                    let segment = Segment { start, end, text: stretch.text };
                    let course = watch(&segment);
                    transcript.segments.push(segment);
                    if course.is_break() {
                        return Ok(transcript);
                    }
                }
            }
            from = match passage.end() {
                Some(end) if !is_looped && end >= LEAST_REST && length - end >= LEAST_REST => {
                    piece.start + (end * f64::from(RATE)) as usize
                }
                Some(_) | None => piece.end,
            };
        }
        Ok(transcript)
    }

    /// The likeliest language of the first pieces, and how likely. What was heard on the way goes to `known`.
    fn language(
        &self,
        samples: &[f32],
        pieces: impl Iterator<Item = Range<usize>>,
        known: &mut Vec<(Range<usize>, Heard)>,
    ) -> Result<(usize, f32), Broken> {
        let mut best = (LANGUAGES.start, 0.0);
        for piece in pieces.take(PROBES) {
            let heard = self.hear(&samples[piece.clone()])?;
            if let Some(odds) = self.decoder.begin(&heard).write(START) {
                let mut odds = odds[LANGUAGES].to_vec();
                softmax(&mut odds);
                for (token, &likelihood) in LANGUAGES.zip(&odds) {
                    if likelihood > best.1 {
                        best = (token, likelihood);
                    }
                }
            }
            known.push((piece, heard));
            if best.1 >= SURE_LANGUAGE {
                break;
            }
        }
        Ok(best)
    }

    fn hear(&self, samples: &[f32]) -> Result<Heard, Broken> {
        let moments = (samples.len().div_ceil(MOMENT) + SILENT_MOMENTS).min(MOMENTS);
        self.decoder.hear(&self.encoder.of(&self.mel.of(samples, 2 * moments))?)
    }

    /// The likeliest text token by token, and whether it has begun to loop.
    fn write(&self, heard: &Heard, language: usize) -> (Passage, bool) {
        let mut course = self.decoder.begin(heard);
        let mut passage = Passage::default();
        let mut odds = course.write(START);
        if let Some(odds) = &odds {
            let mut odds = odds.clone();
            softmax(&mut odds);
            passage.silence = odds[SILENCE];
        }
        for token in [language, TRANSCRIBE] {
            odds = course.write(token);
        }
        while let Some(mut current) = odds.take()
            && passage.tokens.len() < MOST_TOKENS
        {
            let (token, sureness) = self.rules.next(&mut current, &passage.tokens);
            passage.sureness += sureness;
            if token == END {
                break;
            }
            passage.tokens.push(token);
            if passage.unloop() {
                return (passage, true);
            }
            odds = course.write(token);
        }
        (passage, false)
    }
}

fn seconds(samples: usize) -> f64 {
    samples as f64 / f64::from(RATE)
}
