//! OpenAI's images, as LocalAI, stable-diffusion.cpp, vLLM-Omni and others serve them too.
//!
//! A picture is asked for in one prompt: the system instruction and what was said since the last
//! picture of the conversation. With a picture it is a request to change that one. The answer comes
//! whole. Refused: what steers the words of a model, sizes that the service does not have, results of
//! functions, and an answer that is an address: nothing is fetched from where a service says.

use antiphon_engine::{
    BackendError, FinishReason, Media, MediaKind, Message, ModelEvent, ModelRequest, Part, Said, text_of,
};
use antiphon_wire::{ImageFormat, ImageSize, ImageType};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::options::{ImagesFlavor, PictureSizes};
use crate::protocol::{Answers, Call, NO_IMAGE, Outgoing, Problem, ProblemKind, Protocol, Reader};

pub(crate) struct Images {
    pub(crate) flavor: ImagesFlavor,
    pub(crate) sizes: PictureSizes,
}

/// The most pictures that one request may begin with.
const MOST_PICTURES: usize = 16;

/// How far a size may be from the shape that was asked for, as a part of it.
const SHAPE_TOLERANCE: f64 = 0.02;

/// How much more or less area a size may have than was asked for.
const AREA_TOLERANCE: f64 = 2.0;

impl Protocol for Images {
    fn key_header(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn request(&self, call: &Call<'_>) -> Result<Outgoing, BackendError> {
        let request = call.request;
        check(request)?;
        let Order { prompt, pictures } = Order::of(request)?;
        let format = request.picture.format;
        let mut body = Map::new();
        body.insert("model".to_owned(), json!(call.model));
        body.insert("prompt".to_owned(), json!(prompt));
        body.insert("n".to_owned(), json!(1));
        if let Some((width, height)) = self.size(format)? {
            body.insert("size".to_owned(), json!(format!("{width}x{height}")));
        }
        match (self.flavor, format.mime_type) {
            (ImagesFlavor::OpenAi, None) => {}
            (ImagesFlavor::OpenAi, Some(ImageType::Png)) => {
                body.insert("output_format".to_owned(), json!("png"));
            }
            (ImagesFlavor::OpenAi, Some(ImageType::Jpeg)) => {
                body.insert("output_format".to_owned(), json!("jpeg"));
            }
            // These have one type, which is changed here, and addresses unless they are told otherwise.
            (ImagesFlavor::Compatible, _) => {
                body.insert("response_format".to_owned(), json!("b64_json"));
            }
        }
        let path = if pictures.is_empty() { "/images/generations" } else { "/images/edits" };
        let field = if pictures.len() == 1 { "image" } else { "image[]" };
        Ok(Outgoing {
            path: path.to_owned(),
            body: Value::Object(body),
            files: pictures.into_iter().map(|picture| (field, picture.clone())).collect(),
            answers: Answers::Whole,
            ..Outgoing::default()
        })
    }

    fn reader(&self, _call: &Call<'_>) -> Box<dyn Reader> {
        Box::new(Whole::default())
    }
}

impl Images {
    /// What the service is asked for, in pixels; none leaves it to the service.
    fn size(&self, format: ImageFormat) -> Result<Option<(u32, u32)>, BackendError> {
        if format.aspect_ratio.is_none() && format.image_size.is_none() {
            return Ok(None);
        }
        let PictureSizes::These(sizes) = &self.sizes else { return Ok(Some(format.pixels())) };
        let (width, height) = format.pixels();
        let shape = |(width, height): (u32, u32)| f64::from(width) / f64::from(height);
        let area = |(width, height): (u32, u32)| f64::from(width) * f64::from(height);
        let wanted = format.aspect_ratio.unwrap_or_default().ratio();
        let fits = sizes.iter().copied().filter(|size| (shape(*size) / shape(wanted) - 1.0).abs() <= SHAPE_TOLERANCE);
        let off = |size: (u32, u32)| (area(size) / area((width, height))).ln().abs();
        let nearest = fits.min_by(|one, other| off(*one).total_cmp(&off(*other)));
        let offered = || sizes.iter().map(|(width, height)| format!("{width}x{height}")).collect::<Vec<_>>().join(", ");
        let Some(nearest) = nearest else {
            let ratio = format.aspect_ratio.unwrap_or_default().as_str();
            return Err(rejected(
                "response_format.aspect_ratio",
                &format!("the model's service has the sizes {}, got {ratio}", offered()),
            ));
        };
        match format.image_size {
            Some(size) if off(nearest) > AREA_TOLERANCE.ln() => Err(rejected(
                "response_format.image_size",
                &format!("the model's service has the sizes {}, got {}", offered(), ImageSize::as_str(size)),
            )),
            Some(_) | None => Ok(Some(nearest)),
        }
    }
}

fn rejected(field: &str, message: &str) -> BackendError {
    BackendError::Rejected(format!("`{field}`: {message}"))
}

/// # Errors
/// [`BackendError::Rejected`] for what has a meaning for words alone. How much to think is a ceiling.
fn check(request: &ModelRequest) -> Result<(), BackendError> {
    let asked = &request.generation;
    for (field, is_said) in [
        ("temperature", asked.temperature.is_some()),
        ("top_p", asked.top_p.is_some()),
        ("seed", asked.seed.is_some()),
        ("max_output_tokens", asked.max_output_tokens.is_some()),
    ] {
        if is_said {
            let field = format!("generation_config.{field}");
            return Err(rejected(&field, "this model's service makes pictures and takes no such parameter"));
        }
    }
    Ok(())
}

/// What is to be made.
struct Order<'a> {
    prompt: String,
    /// What it is made of, if there is something.
    pictures: Vec<&'a Media>,
}

impl<'a> Order<'a> {
    /// A picture that the model made holds all that was said before it.
    fn of(request: &'a ModelRequest) -> Result<Self, BackendError> {
        let (mut words, mut pictures) = (Vec::new(), Vec::new());
        for message in &request.messages {
            match message {
                Message::User(parts) => {
                    words.push(text_of(parts));
                    for part in parts {
                        match part {
                            Part::Text(_) => {}
                            Part::Media(media) if media.kind == MediaKind::Image => pictures.push(media),
                            Part::Media(media) => {
                                let message =
                                    format!("this model begins with pictures alone, got `{}`", media.mime_type);
                                return Err(rejected("input", &message));
                            }
                        }
                    }
                }
                Message::Model(turn) => {
                    let mut made = turn.said.iter().filter_map(|said| match said {
                        Said::Picture(picture) => Some(picture),
                        Said::Thought(_) | Said::Text(_) | Said::Call(_) => None,
                    });
                    match made.next_back() {
                        Some(last) => {
                            words.clear();
                            pictures = vec![last];
                        }
                        None => words.push(turn.joined_text()),
                    }
                }
                Message::Result(_) => {
                    return Err(rejected("input", "this model makes pictures and takes no results of functions"));
                }
            }
        }
        if pictures.len() > MOST_PICTURES {
            let message = format!("expected at most {MOST_PICTURES} pictures to begin with, got {}", pictures.len());
            return Err(rejected("input", &message));
        }
        let words = request.system_instruction.iter().chain(&words).filter(|text| !text.trim().is_empty());
        let prompt = words.map(String::as_str).collect::<Vec<_>>().join("\n\n");
        if prompt.is_empty() {
            return Err(rejected("input", "expected words that say what is to be made"));
        }
        Ok(Self { prompt, pictures })
    }
}

/// Reads the one body that is the answer.
#[derive(Default)]
struct Whole {
    finished: bool,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Vec<Made>,
    output_format: Option<String>,
    #[serde(default)]
    usage: Usage,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Made {
    b64_json: Option<String>,
    url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Usage {
    input_tokens: u64,
    output_tokens: u64,
}

impl Reader for Whole {
    fn read(&mut self, data: &str, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        let answer: Answer = serde_json::from_str(data).map_err(|error| Problem::garbage(error.to_string()))?;
        if let Some(error) = answer.error {
            return Err(Problem::of_status(500, &error.to_string()));
        }
        let mime_type = format!("image/{}", answer.output_format.as_deref().unwrap_or("png"));
        events.push(ModelEvent::Started { cached_tokens: 0 });
        for Made { b64_json, url } in answer.data {
            let data = match (b64_json.filter(|data| !data.is_empty()), url) {
                (Some(data), _) => data,
                (None, Some(_)) => {
                    return Err(Problem::garbage(
                        "it gave the address of a picture in its place, which is not fetched; the service has to be \
                         told to answer with `b64_json`",
                    ));
                }
                (None, None) => return Err(Problem::garbage("a picture without `b64_json`")),
            };
            let (kind, mime_type) = (MediaKind::Image, mime_type.clone());
            events.push(ModelEvent::Picture(Media::new(kind, mime_type, data.into())));
        }
        if !events.iter().any(|event| matches!(event, ModelEvent::Picture(_))) {
            return Err(Problem::new(ProblemKind::Blocked(NO_IMAGE), "the answer holds no picture"));
        }
        let Usage { input_tokens, output_tokens } = answer.usage;
        events.push(ModelEvent::Counted { input_tokens, cached_tokens: 0, output_tokens });
        let reason = FinishReason::Stop;
        events.push(ModelEvent::Finished { reason, exact: false, thought_tokens: 0, output_tokens });
        self.finished = true;
        Ok(())
    }

    fn end(&mut self, _events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        if self.finished { Ok(()) } else { Err(Problem::cut()) }
    }
}
