//! From a conversation to the one picture that is wanted. Pure.
//!
//! The prompt is all that was said: a model of this kind is told what is to be seen, not what is to be
//! done. The last picture, be it an answer or in the input, is what the new one begins with.

use antiphon_engine::{BackendError, Media, MediaKind, Message, ModelRequest, Part, Said, text_of};
use antiphon_wire::{ImageFormat, ImageSize};
use antiphon_worker::picture::{MOST_PROMPT, Order};

use super::DiffusionOptions;

/// The order, and the picture that it begins with.
///
/// # Errors
/// [`BackendError::Rejected`] naming the field that cannot be honoured.
pub(super) fn read(request: &ModelRequest, options: &DiffusionOptions) -> Result<(Order, Option<Media>), BackendError> {
    check(request)?;
    let mut words: Vec<String> = request.system_instruction.iter().cloned().collect();
    let mut pictures: Vec<&Media> = Vec::new();
    for message in &request.messages {
        let (said, shown): (String, Vec<&Media>) = match message {
            Message::User(parts) => {
                let media = parts.iter().filter_map(|part| match part {
                    Part::Media(media) => Some(media),
                    Part::Text(_) => None,
                });
                (text_of(parts), media.collect())
            }
            Message::Model(turn) => {
                let mut made = turn.said.iter().filter_map(|said| match said {
                    Said::Picture(picture) => Some(picture),
                    Said::Thought(_) | Said::Text(_) | Said::Call(_) => None,
                });
                (turn.joined_text(), made.next_back().into_iter().collect())
            }
            Message::Result(_) => {
                return Err(rejected("input", "this model makes pictures and takes no results of functions"));
            }
        };
        words.push(said);
        if !shown.is_empty() {
            pictures = shown;
        }
    }
    let beginning = match pictures[..] {
        [] => None,
        [one] if one.kind == MediaKind::Image => Some(one.clone()),
        [one] => {
            return Err(rejected("input", &format!("this model begins with a picture alone, got `{}`", one.mime_type)));
        }
        _ => return Err(rejected("input", &format!("this model changes one picture, got {}", pictures.len()))),
    };
    let (width, height) = size(request.picture.format, options)?;
    let order = Order {
        prompt: prompt(&words)?,
        width,
        height,
        steps: options.steps,
        guidance: options.guidance,
        // The engine's are signed, and a negative one is chance to it.
        seed: request.seed & (u64::MAX >> 1),
        beginning: None,
    };
    Ok((order, beginning))
}

/// What has a meaning for words alone is refused. How much to think is a ceiling.
fn check(request: &ModelRequest) -> Result<(), BackendError> {
    let asked = &request.generation;
    for (field, is_said) in [
        ("temperature", asked.temperature.is_some()),
        ("top_p", asked.top_p.is_some()),
        ("max_output_tokens", asked.max_output_tokens.is_some()),
    ] {
        if is_said {
            let field = format!("generation_config.{field}");
            return Err(rejected(&field, "this model makes pictures and has no such parameter"));
        }
    }
    Ok(())
}

fn prompt(words: &[String]) -> Result<String, BackendError> {
    let said: Vec<_> = words.iter().map(|words| words.trim()).filter(|words| !words.is_empty()).collect();
    let prompt = said.join("\n");
    if prompt.is_empty() {
        return Err(rejected("input", "expected words that say what is to be seen"));
    }
    if prompt.len() > MOST_PROMPT || prompt.contains('\0') {
        let message = format!(
            "this model is told at most {MOST_PROMPT} bytes without NUL, the conversation included, got {}",
            prompt.len()
        );
        return Err(rejected("input", &message));
    }
    Ok(prompt)
}

/// In pixels.
fn size(format: ImageFormat, options: &DiffusionOptions) -> Result<(u32, u32), BackendError> {
    let wanted = format.image_size.unwrap_or(options.size);
    if rank(wanted) > rank(options.largest) {
        let message =
            format!("this model makes pictures of at most {}, got {}", options.largest.as_str(), wanted.as_str());
        return Err(rejected("response_format.image_size", &message));
    }
    Ok(ImageFormat { image_size: Some(wanted), ..format }.pixels())
}

fn rank(size: ImageSize) -> u8 {
    match size {
        ImageSize::Half => 0,
        ImageSize::One => 1,
        ImageSize::Two => 2,
        ImageSize::Four => 3,
    }
}

fn rejected(field: &str, message: &str) -> BackendError {
    BackendError::Rejected(format!("`{field}`: {message}"))
}
