//! A language model that draws: it writes a picture as SVG, which is painted for it.
//!
//! It is a backend over the model's own, so that a drawing is a run like any other. Nothing is said
//! before there is a picture: a run that is cut before is drawn again, and one picture is all that
//! can come. What cannot be shown is told to the model, which may draw it twice more; so is what shows
//! little, which is shown in the end if it is all there is. There is no picture but what it has drawn.

use std::sync::Arc;

use antiphon_drawing::{Drawing, Standard, View, captioned_grammar, ended, grammar};
use antiphon_engine::{
    Backend, BackendError, Calls, DRAWN, FinishReason, Media, MediaKind, Message, ModelEvent, ModelRequest,
    ModelStream, Part, Prepared, Signature, text_of,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, stream};
use tracing::info;

mod numbers;
mod painter;

use painter::Order;
pub(crate) use painter::Unpainted;
pub use painter::{FAULT, Painter};

/// How often the model may draw for one answer.
const TRIES: u64 = 3;

/// The tokens of one drawing: more take a small model minutes, and make it no better.
const DRAWING_TOKENS: u32 = 500;

/// About the sides of a square drawing, in units of its own: small numbers are few tokens.
const SIDE: u32 = 100;

/// Said once there is a drawing that can be changed.
const CHANGE: &str = "Write the whole picture again as one <svg>, changed so. Keep everything else as it was.";
const DRAW: &str = "Draw this as one <svg>.";
/// Said where words are wanted beside the picture.
const SAY: &str = "Before it, say in one short sentence what the picture shows.";

/// The longest words beside a picture, in characters.
const LONGEST_CAPTION: usize = 400;

/// The backend that draws with another.
pub struct Artist {
    inner: Arc<Inner>,
}

struct Inner {
    model: Arc<dyn Backend>,
    /// The model's.
    name: String,
    painter: Painter,
}

/// What all tries cost so far.
#[derive(Default)]
struct Cost {
    input: u64,
    cached: u64,
    output: u64,
    thought: u64,
}

/// A drawing that can be shown.
struct Shown {
    /// What the model has said before it; empty where nothing was wanted.
    caption: String,
    source: String,
    picture: Vec<u8>,
    /// Whether the tokens ended before it did.
    is_cut: bool,
}

impl Artist {
    /// `name` is what the model is called.
    pub fn new(model: Arc<dyn Backend>, name: impl Into<String>, painter: Painter) -> Self {
        Self { inner: Arc::new(Inner { model, name: name.into(), painter }) }
    }
}

#[async_trait]
impl Backend for Artist {
    fn slots(&self) -> usize {
        self.inner.model.slots()
    }

    /// What was drawn before is drawn otherwise the second time.
    fn resumes(&self) -> bool {
        false
    }

    fn is_ready(&self) -> bool {
        self.inner.model.is_ready()
    }

    fn draws(&self) -> bool {
        true
    }

    fn captions(&self) -> bool {
        true
    }

    async fn prepare(&self, request: &ModelRequest) -> Result<Prepared, BackendError> {
        self.inner.model.prepare(&asked(request)).await
    }

    async fn generate(&self, request: ModelRequest, prepared: Prepared) -> Result<ModelStream, BackendError> {
        let call = asked(&request);
        // The first drawing begins at once.
        let first = self.inner.model.generate(call.clone(), prepared.clone()).await?;
        let (inner, most) = (Arc::clone(&self.inner), request.max_output_tokens);
        let events = stream::once(async move { stream::iter(inner.draw(call, most, prepared, first).await) });
        Ok(events.flatten().boxed())
    }
}

impl Inner {
    /// All that comes of a request, at its end; `most` tokens are for all tries.
    async fn draw(
        &self,
        mut call: ModelRequest,
        most: u32,
        mut prepared: Prepared,
        mut stream: ModelStream,
    ) -> Vec<Result<ModelEvent, BackendError>> {
        let messages = call.messages.clone();
        let named: Vec<_> = things(&messages).collect();
        let (mut cost, mut name) = (Cost::default(), self.name.clone());
        let (mut faults, mut plain) = (Vec::new(), Vec::new());
        for attempt in 1.. {
            cost.input += prepared.input_tokens;
            let (answer, is_cut) = match listen(stream, &mut cost, &mut name).await {
                Ok(heard) => heard,
                Err(error) if plain.is_empty() => return vec![Ok(cost.counted()), Err(error)],
                Err(error) => {
                    info!(model = name, attempt, %error, "What was drawn before is shown");
                    break;
                }
            };
            // A picture without its last things is one; what is whole when the tokens end is not cut.
            let whole = if is_cut { ended(&answer) } else { answer.clone() };
            let (is_cut, answer) = (whole != answer, whole);
            let standard = if is_as_asked(&messages, &answer) { Standard::Plain } else { Standard::Rich };
            let fault = match self.show(&answer, is_cut, &call, standard).await {
                Ok(shown) => return cost.told(&call, &summary(&name, &earlier(&faults), shown.is_cut), shown),
                Err(Unpainted::Fault(fault)) => fault,
                Err(Unpainted::Broken(error)) => return vec![Ok(cost.counted()), Err(BackendError::Internal(error))],
            };
            info!(model = name, attempt, fault, "A drawing cannot be shown");
            faults.push(fault);
            match self.show(&answer, is_cut, &call, Standard::Plain).await {
                Ok(shown) => plain.push(shown),
                Err(Unpainted::Fault(_)) => {}
                Err(Unpainted::Broken(error)) => return vec![Ok(cost.counted()), Err(BackendError::Internal(error))],
            }
            call.max_output_tokens = left(most, cost.output + cost.thought);
            if attempt == TRIES || call.max_output_tokens == 0 {
                break;
            }
            call.seed = call.seed.wrapping_add(1);
            if !plain.is_empty() {
                call.grammar = Some(rules(&call, Standard::Rich, &named));
            }
            // What it has drawn before it is not shown again: a small model would draw the same.
            call.messages.clone_from(&messages);
            if let Some(Message::User(parts)) = call.messages.last_mut() {
                parts.push(Part::Text(again(faults.last().map_or("", String::as_str))));
            }
            match self.begin(&call).await {
                Ok(begun) => (prepared, stream) = begun,
                // There was no room for another one.
                Err(BackendError::TooLong { .. }) => break,
                Err(error) if !plain.is_empty() => {
                    info!(model = name, attempt, %error, "What was drawn before is shown");
                    break;
                }
                Err(error) => return vec![Ok(cost.counted()), Err(error)],
            }
        }
        let times = if faults.len() == 1 { "once".to_owned() } else { format!("{} times", faults.len()) };
        let fault = faults.pop().unwrap_or_default();
        // The first is what it drew of the request alone.
        if let Some(shown) = plain.into_iter().next() {
            let little = format!(" It was drawn {times}, with little to be seen: {fault}.");
            return cost.told(&call, &summary(&name, &little, shown.is_cut), shown);
        }
        let message = format!("The model `{name}` drew {times}, and nothing that can be shown: {fault}");
        vec![Ok(cost.counted()), Err(BackendError::NoImage(message))]
    }

    async fn begin(&self, call: &ModelRequest) -> Result<(Prepared, ModelStream), BackendError> {
        let prepared = self.model.prepare(call).await?;
        Ok((prepared.clone(), self.model.generate(call.clone(), prepared).await?))
    }

    async fn show(
        &self,
        answer: &str,
        is_cut: bool,
        call: &ModelRequest,
        standard: Standard,
    ) -> Result<Shown, Unpainted> {
        let drawing = Drawing::read(answer, view(call)).map_err(|refused| Unpainted::Fault(refused.to_string()))?;
        let caption = if has_caption(call) { caption(answer)? } else { String::new() };
        let (width, height) = call.picture.format.pixels();
        let order = Order { width, height, mime_type: mime_type(call), view: drawing.view(), standard };
        let picture = self.painter.paint(drawing.source(), order).await?;
        Ok(Shown { caption, source: drawing.source().to_owned(), picture, is_cut })
    }
}

impl Cost {
    fn counted(&self) -> ModelEvent {
        ModelEvent::Counted {
            input_tokens: self.input,
            cached_tokens: self.cached,
            output_tokens: self.output + self.thought,
        }
    }

    /// The events of a picture.
    fn told(&self, call: &ModelRequest, summary: &str, shown: Shown) -> Vec<Result<ModelEvent, BackendError>> {
        let signature = Signature { origin: Some(DRAWN.to_owned()), value: shown.source };
        let picture = Media::new(MediaKind::Image, mime_type(call), STANDARD.encode(&shown.picture).into());
        // Words come first: what a picture was made of stands right before it.
        let caption = (!shown.caption.is_empty()).then(|| ModelEvent::Text { text: shown.caption, tokens: Vec::new() });
        let events = [
            ModelEvent::Thought { text: summary.to_owned(), tokens: Vec::new() },
            ModelEvent::Signed(signature),
            ModelEvent::Picture(picture),
            ModelEvent::Finished {
                reason: FinishReason::Stop,
                exact: false,
                thought_tokens: self.thought,
                output_tokens: self.output,
            },
        ];
        [self.counted()].into_iter().chain(caption).chain(events).map(Ok).collect()
    }
}

/// Whether as many things were drawn as the request names a number: two red discs need no more beside them.
fn is_as_asked(messages: &[Message], answer: &str) -> bool {
    let drawn = answer.split_once("<!-- 1 of ").and_then(|(_, rest)| rest.split_once(':'));
    let drawn = drawn.and_then(|(count, _)| count.parse::<usize>().ok());
    drawn.is_some_and(|drawn| things(messages).any(|number| number == drawn))
}

/// The numbers of things that a request names.
fn things(messages: &[Message]) -> impl Iterator<Item = usize> {
    let asked = messages.iter().rev().find_map(|message| match message {
        Message::User(parts) => Some(text_of(parts)),
        Message::Model(_) | Message::Result(_) => None,
    });
    numbers::in_words(&asked.unwrap_or_default())
}

/// Whether words are wanted beside the picture.
fn has_caption(call: &ModelRequest) -> bool {
    call.picture.words == Some(true)
}

/// What the model has said before its drawing, in one line.
fn caption(answer: &str) -> Result<String, Unpainted> {
    let before = answer.split_once("<svg").map_or("", |(before, _)| before).replace("```svg", "").replace("```", "");
    let caption = before.split_whitespace().collect::<Vec<_>>().join(" ");
    if caption.is_empty() {
        return Err(Unpainted::Fault("there are no words before it".to_owned()));
    }
    Ok(caption.chars().take(LONGEST_CAPTION).collect())
}

fn mime_type(call: &ModelRequest) -> &'static str {
    call.picture.format.mime_type.unwrap_or_default().as_str()
}

/// All that the model writes in one try, and whether its tokens ended before it did.
async fn listen(mut stream: ModelStream, cost: &mut Cost, name: &mut String) -> Result<(String, bool), BackendError> {
    let (mut answer, mut is_cut) = (String::new(), false);
    let (mut thought, mut output) = (0, 0);
    while let Some(event) = stream.next().await {
        match event? {
            ModelEvent::Started { cached_tokens } => cost.cached += cached_tokens,
            ModelEvent::Counted { output_tokens, .. } => output = output_tokens,
            ModelEvent::ServedBy { name: other } => *name = other,
            ModelEvent::Text { text, .. } => answer.push_str(&text),
            ModelEvent::Finished { reason, thought_tokens, output_tokens, .. } => {
                (thought, output) = (thought_tokens, output_tokens);
                is_cut = reason != FinishReason::Stop;
                break;
            }
            ModelEvent::Thought { .. }
            | ModelEvent::Signed(_)
            | ModelEvent::Picture(_)
            | ModelEvent::CallStarted { .. }
            | ModelEvent::CallArguments { .. } => {}
        }
    }
    cost.thought += thought;
    cost.output += output;
    Ok((answer, is_cut))
}

/// What the model is asked for a request.
fn asked(request: &ModelRequest) -> ModelRequest {
    let view = view(request);
    let told = instruction(view);
    let system = match &request.system_instruction {
        None => told,
        Some(own) => format!("{told}\n\n{own}"),
    };
    let mut call = request.clone();
    call.system_instruction = Some(system);
    call.calls = Calls::None;
    // Its tokens are for the drawing.
    call.thinking = Some(false);
    let named: Vec<_> = things(&request.messages).collect();
    call.grammar = Some(rules(request, Standard::Plain, &named));
    call.max_output_tokens = left(request.max_output_tokens, 0);
    let has_drawn = request
        .messages
        .iter()
        .any(|message| matches!(message, Message::Model(turn) if turn.joined_text().contains("<svg")));
    if let Some(Message::User(parts)) = call.messages.last_mut() {
        parts.push(Part::Text(if has_drawn { CHANGE } else { DRAW }.to_owned()));
        if has_caption(request) {
            parts.push(Part::Text(SAY.to_owned()));
        }
    }
    call
}

/// What it may write: no more things than it has planned, and no fewer than are wanted.
fn rules(request: &ModelRequest, standard: Standard, named: &[usize]) -> Arc<str> {
    let rules = if has_caption(request) { captioned_grammar } else { grammar };
    rules(view(request), standard, named).into()
}

fn instruction(View { width, height }: View) -> String {
    format!(
        "You are an illustrator who draws in SVG. Answer with one <svg> and nothing else. The picture is {width} wide \
         and {height} high; 0,0 is at the left and the top, and y grows downwards. Begin with the ground: a sky or a \
         colour that covers everything, other than the colours of what stands on it. Go on with what is far away, then \
         what is near: 8 to 12 things side by side, over the whole width. But when a number of things is asked for, \
         draw exactly that number of them, apart from each other, and nothing else. Before each write its number, how \
         many there are in all, and what it is. Walls and buildings are a <rect> that stands on the \
         ground, wheels, heads, the sun and the moon a <circle>, bodies, hills and clouds an <ellipse>, roofs and \
         ears a <polygon> of three points. Make what was asked for large, and give neighbours different colours."
    )
}

fn again(fault: &str) -> String {
    format!("An earlier drawing could not be shown: {fault}. Draw it otherwise.")
}

/// What the thought says of the drawings before the one that is shown.
fn earlier(faults: &[String]) -> String {
    faults.iter().map(|fault| format!(" An earlier drawing could not be shown: {fault}.")).collect()
}

/// What the thought says of a picture.
fn summary(name: &str, tries: &str, is_cut: bool) -> String {
    let mut summary = format!(
        "This picture is a vector drawing: the language model `{name}` wrote it as SVG. No image model has made it."
    );
    summary.push_str(tries);
    if is_cut {
        summary.push_str(" It was not done when its tokens ended, and shows what was drawn by then.");
    }
    summary
}

/// The size of a drawing for the picture that is wanted.
fn view(request: &ModelRequest) -> View {
    let (width, height) = request.picture.format.aspect_ratio.unwrap_or_default().ratio();
    let unit = (SIDE / (width * height).isqrt()).max(1);
    View { width: width * unit, height: height * unit }
}

/// The tokens of the next drawing.
fn left(most: u32, spent: u64) -> u32 {
    most.saturating_sub(u32::try_from(spent).unwrap_or(u32::MAX)).min(DRAWING_TOKENS)
}

#[cfg(test)]
mod tests;
