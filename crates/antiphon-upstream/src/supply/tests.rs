use std::collections::VecDeque;
use std::sync::Mutex;

use antiphon_engine::{Call, CallResult, FinishReason, Media, MediaKind, ModelTurn, Said, Tool};
use antiphon_wire::GenerationConfig;
use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Answers with what a test says, in order, and keeps what it was asked.
struct Script {
    answers: Mutex<VecDeque<Vec<ModelEvent>>>,
    asked: Mutex<Vec<ModelRequest>>,
}

#[async_trait]
impl Ask for Script {
    async fn ask(&self, request: ModelRequest) -> Result<ModelStream, BackendError> {
        self.asked.lock().unwrap().push(request);
        let answer = self.answers.lock().unwrap().pop_front().expect("no more answers");
        Ok(stream::iter(answer.into_iter().map(Ok)).boxed())
    }
}

fn text(text: &str) -> ModelEvent {
    ModelEvent::Text { text: text.to_owned(), tokens: Vec::new() }
}

fn counted(input_tokens: u64, cached_tokens: u64) -> ModelEvent {
    ModelEvent::Counted { input_tokens, cached_tokens, output_tokens: 0 }
}

fn finished(reason: FinishReason) -> ModelEvent {
    ModelEvent::Finished { reason, exact: false, thought_tokens: 1, output_tokens: 2 }
}

/// An answer in these pieces.
fn says(pieces: &[&str]) -> Vec<ModelEvent> {
    let mut events = vec![ModelEvent::Started { cached_tokens: 0 }];
    events.extend(pieces.iter().map(|piece| text(piece)));
    events.extend([counted(10, 3), finished(FinishReason::Stop)]);
    events
}

fn request() -> ModelRequest {
    ModelRequest {
        scope: String::new(),
        system_instruction: Some("Be brief.".to_owned()),
        tools: Vec::new(),
        calls: Calls::None,
        is_agent: false,
        research: None,
        answer: None,
        grammar: None,
        picture: Default::default(),
        thinking: None,
        messages: vec![Message::user("Hello")],
        generation: GenerationConfig::default(),
        max_output_tokens: 100,
        seed: 1,
        resume: None,
    }
}

fn with_tools(calls: Calls) -> ModelRequest {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tool = Tool {
        name: "get_weather".to_owned(),
        description: Some("Says it.".to_owned()),
        parameters: Schema::read(parameters).unwrap(),
    };
    ModelRequest { tools: vec![tool], calls, ..request() }
}

fn city() -> Schema {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
        "additionalProperties": false});
    Schema::read(schema).unwrap()
}

/// The events up to an error, the error, and the requests.
async fn run(
    answers: Vec<Vec<ModelEvent>>,
    capabilities: Capabilities,
    request: ModelRequest,
) -> (Vec<ModelEvent>, Option<BackendError>, Vec<ModelRequest>) {
    let script = Arc::new(Script { answers: Mutex::new(answers.into()), asked: Mutex::default() });
    let ask: Arc<dyn Ask> = Arc::<Script>::clone(&script);
    let (mut events, mut error) = (Vec::new(), None);
    match generate(ask, &capabilities, request).await {
        Err(failed) => error = Some(failed),
        Ok(mut stream) => {
            while let Some(event) = stream.next().await {
                match event {
                    Ok(event) => events.push(event),
                    Err(failed) => error = Some(failed),
                }
            }
        }
    }
    assert_eq!(script.answers.lock().unwrap().len(), 0, "not every answer was asked for");
    let asked = script.asked.lock().unwrap().clone();
    (events, error, asked)
}

/// What was said, and the last counts.
fn told(events: &[ModelEvent]) -> (String, (u64, u64), (u64, u64)) {
    let (mut said, mut input, mut output) = (String::new(), (0, 0), (0, 0));
    for event in events {
        match event {
            ModelEvent::Text { text, .. } | ModelEvent::CallArguments { text, .. } => said.push_str(text),
            ModelEvent::CallStarted { name, .. } => said.push_str(&format!("[{name}]")),
            ModelEvent::Counted { input_tokens, cached_tokens, .. } => input = (*input_tokens, *cached_tokens),
            ModelEvent::Finished { thought_tokens, output_tokens, .. } => output = (*thought_tokens, *output_tokens),
            ModelEvent::Started { .. }
            | ModelEvent::ServedBy { .. }
            | ModelEvent::Thought { .. }
            | ModelEvent::Signed(_)
            | ModelEvent::Picture(_) => {}
        }
    }
    (said, input, output)
}

fn asked_schema() -> Capabilities {
    Capabilities { schema: SchemaSupport::Asked, ..Capabilities::default() }
}

#[tokio::test]
async fn what_the_service_has_passes_untouched() {
    let request = ModelRequest { answer: Some(city()), ..with_tools(Calls::Allowed) };
    let (events, error, asked) = run(vec![says(&["{}"])], Capabilities::default(), request).await;
    assert_eq!((events, error), (says(&["{}"]), None), "an enforced answer is not held");
    assert_eq!((asked[0].tools.len(), asked[0].answer.is_some()), (1, true));
}

#[tokio::test]
async fn an_answer_that_conforms_is_shown_without_its_fence_and_the_words_around_it() {
    for whole in [
        "{\"city\": \"Oslo\"}",
        "  {\"city\": \"Oslo\"}\n",
        "Here it is:\n```json\n{\"city\": \"Oslo\"}\n```\nDone.",
        "Sure! {\"city\": \"Oslo\"} Anything else?",
    ] {
        let request = ModelRequest { answer: Some(city()), ..request() };
        let (head, tail) = whole.split_at(whole.len() / 2);
        let (events, error, asked) = run(vec![says(&[head, tail])], asked_schema(), request).await;
        assert_eq!(error, None);
        assert_eq!(told(&events), ("{\"city\": \"Oslo\"}".to_owned(), (10, 3), (1, 2)));
        assert!(asked[0].answer.is_some(), "the service is given the schema");
    }
}

#[tokio::test]
async fn one_that_does_not_is_asked_for_again_with_what_is_wrong_and_all_tries_count() {
    let request = ModelRequest { answer: Some(city()), ..request() };
    let answers = vec![says(&["No."]), says(&["{\"city\": 7}"]), says(&["{\"city\": \"Oslo\"}"])];
    let (events, error, asked) = run(answers, asked_schema(), request).await;
    assert_eq!(error, None);
    assert_eq!(told(&events), ("{\"city\": \"Oslo\"}".to_owned(), (30, 9), (3, 6)));
    assert_eq!(events.iter().filter(|event| matches!(event, ModelEvent::Started { .. })).count(), 1);
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[1].messages[1], Message::Model(ModelTurn::text("No.")));
    let Message::User(parts) = &asked[2].messages[4] else { panic!("{:?}", asked[2].messages) };
    assert!(antiphon_engine::text_of(parts).contains("`/city`"), "{parts:?}");
}

#[tokio::test]
async fn after_two_repairs_it_fails_and_nothing_of_it_is_shown() {
    let request = ModelRequest { answer: Some(city()), ..request() };
    let (events, error, _) =
        run(vec![says(&["a"]), says(&["b"]), says(&["{\"city\": 7}"])], asked_schema(), request).await;
    assert_eq!(told(&events).0, "");
    let Some(BackendError::Upstream { code, message, .. }) = error else { panic!("{error:?}") };
    assert_eq!(code, "malformed_response");
    assert!(message.contains("`/city`") && !message.contains('7'), "{message}");
}

#[tokio::test]
async fn an_answer_cut_by_its_limit_is_shown_as_it_is() {
    let request = ModelRequest { answer: Some(city()), ..request() };
    let cut = vec![text("{\"ci"), counted(10, 3), finished(FinishReason::Length)];
    let (events, error, _) = run(vec![cut], asked_schema(), request).await;
    assert_eq!((told(&events).0.as_str(), error), ("{\"ci", None));
    assert!(matches!(events.last(), Some(ModelEvent::Finished { reason: FinishReason::Length, .. })));
}

#[tokio::test]
async fn a_schema_told_in_words_is_not_sent_and_stands_at_the_end_of_what_is_asked() {
    let capabilities = Capabilities { schema: SchemaSupport::Prompted, ..Capabilities::default() };
    let request = ModelRequest { answer: Some(city()), ..request() };
    let (_, error, asked) = run(vec![says(&["{\"city\": \"Oslo\"}"])], capabilities, request).await;
    assert_eq!(error, None);
    assert!(asked[0].answer.is_none());
    let Message::User(parts) = &asked[0].messages[0] else { panic!("{:?}", asked[0].messages) };
    let [Part::Text(text)] = &parts[..] else { panic!("{parts:?}") };
    assert!(text.starts_with("Hello\n\n") && text.contains("\"city\""), "{text}");
}

#[tokio::test]
async fn tools_and_a_schema_one_at_a_time_are_two_phases() {
    let capabilities =
        Capabilities { tools_with_schema: false, schema: SchemaSupport::Asked, ..Capabilities::default() };
    let request = ModelRequest { answer: Some(city()), ..with_tools(Calls::Allowed) };

    let calls = vec![
        ModelEvent::CallStarted { name: "get_weather".to_owned(), tokens: Vec::new() },
        ModelEvent::CallArguments { text: "{}".to_owned(), tokens: Vec::new() },
        counted(10, 3),
        finished(FinishReason::Stop),
    ];
    let (events, _, asked) = run(vec![calls], capabilities.clone(), request.clone()).await;
    assert_eq!(told(&events).0, "[get_weather]{}");
    assert_eq!((asked[0].tools.len(), asked[0].answer.is_some()), (1, false));

    let answers = vec![says(&["It is in Oslo."]), says(&["{\"city\": \"Oslo\"}"])];
    let (events, error, asked) = run(answers, capabilities.clone(), request.clone()).await;
    assert_eq!(error, None);
    assert_eq!(told(&events), ("{\"city\": \"Oslo\"}".to_owned(), (20, 6), (2, 4)));
    assert_eq!((asked[1].tools.len(), asked[1].calls, asked[1].answer.is_some()), (0, Calls::None, true));
    assert_eq!(asked[1].messages[1], Message::Model(ModelTurn::text("It is in Oslo.")));

    let (_, error, asked) = run(vec![says(&["{\"city\": \"Oslo\"}"])], capabilities, request).await;
    assert_eq!((error, asked.len()), (None, 1), "what conforms at once needs no second phase");
}

fn prompted() -> Capabilities {
    Capabilities { tools: ToolSupport::Prompted, ..Capabilities::default() }
}

const CALL: &str =
    "Let me see.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"São Paulo\"}}\n</tool_call>";

#[tokio::test]
async fn tools_told_in_words_become_calls_and_earlier_calls_words() {
    let mut request = with_tools(Calls::Allowed);
    let arguments = json!({"city": "Oslo"}).as_object().unwrap().clone();
    let call = Call { id: "c1".to_owned(), name: "get_weather".to_owned(), arguments };
    let result = CallResult {
        call_id: "c1".to_owned(),
        name: "get_weather".to_owned(),
        text: "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {}}\n</tool_call>".to_owned(),
        is_error: false,
    };
    request
        .messages
        .extend([Message::Model(ModelTurn { said: vec![Said::Call(call)], trace: None }), Message::Result(result)]);
    let (events, error, asked) = run(vec![says(&[CALL])], prompted(), request).await;
    assert_eq!(error, None);
    assert_eq!(told(&events).0, "Let me see.[get_weather]{\"city\": \"São Paulo\"}");
    assert_eq!((asked[0].tools.len(), asked[0].calls), (0, Calls::None));
    assert!(asked[0].system_instruction.as_deref().unwrap().contains("\"description\":\"Says it.\""));
    let Message::Model(turn) = &asked[0].messages[1] else { panic!("{:?}", asked[0].messages) };
    assert!(turn.joined_text().contains("{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Oslo\"}}"));
    let Message::User(result) = &asked[0].messages[2] else { panic!("what a result says is no call of the model's") };
    assert!(matches!(&result[..], [Part::Text(text)] if text.ends_with("only if this is not enough.")), "{result:?}");
}

#[tokio::test]
async fn a_call_that_cannot_be_made_is_asked_for_again_and_no_part_of_it_is_shown() {
    let wrong = "Let me see. <tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": 5}}\n</tool_call>";
    let broken = "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\"\n</tool_call>";
    for (wrong, preface) in [(wrong, "Let me see."), (broken, "")] {
        let right = "Well. <tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>";
        let (events, error, asked) =
            run(vec![says(&[wrong]), says(&[right])], prompted(), with_tools(Calls::Allowed)).await;
        assert_eq!(error, None);
        let (said, input, output) = told(&events);
        let preface = if preface.is_empty() { "Well." } else { preface };
        assert_eq!(said, format!("{preface}[get_weather]{{\"city\": \"Oslo\"}}"), "words are shown once");
        assert_eq!((input, output), ((20, 6), (2, 4)), "both tries are counted");
        let [Message::User(parts)] = &asked[1].messages[..] else { panic!("{:?}", asked[1].messages) };
        assert!(matches!(&parts[..], [Part::Text(text)] if text.contains("could not be made")), "{parts:?}");

        let (events, error, asked) = run(vec![says(&[wrong]); 3], prompted(), with_tools(Calls::Allowed)).await;
        assert!(matches!(error, Some(BackendError::MalformedCall(_))), "{error:?}");
        assert_eq!((asked.len(), told(&events).0.contains("get_weather")), (3, false));
    }
}

#[tokio::test]
async fn a_call_that_has_to_come_is_asked_for_once_more() {
    for capabilities in [prompted(), Capabilities::default()] {
        let native = capabilities.tools == ToolSupport::Native;
        let call = if native {
            let name = "get_weather".to_owned();
            vec![ModelEvent::CallStarted { name, tokens: Vec::new() }, counted(10, 3), finished(FinishReason::Stop)]
        } else {
            says(&[CALL])
        };
        let (events, error, asked) =
            run(vec![says(&["It is sunny."]), call], capabilities.clone(), with_tools(Calls::Required)).await;
        assert_eq!(error, None);
        let (said, input, output) = told(&events);
        assert!(said.contains("[get_weather]") && !said.contains("sunny"), "{said}");
        assert_eq!((input, output), ((20, 6), (2, 4)), "both tries are counted");
        assert_eq!(asked[1].messages[1], Message::Model(ModelTurn::text("It is sunny.")));

        let answers = vec![says(&["It is sunny."]), says(&["Really."])];
        let (events, error, _) = run(answers, capabilities, with_tools(Calls::Required)).await;
        assert!(matches!(error, Some(BackendError::MalformedCall(_))), "{error:?}");
        assert_eq!(told(&events).1, (20, 6), "what failed has its cost");
    }
}

#[test]
fn what_cannot_be_supplied_is_refused_by_name() {
    let refused = |request: &ModelRequest, capabilities: &Capabilities| {
        first_request(request, capabilities).unwrap_err().to_string()
    };
    let none = Capabilities { tools: ToolSupport::Refused, ..Capabilities::default() };
    assert!(refused(&with_tools(Calls::Allowed), &none).starts_with("`tools`"));
    let media = Media::new(MediaKind::Audio, "audio/wav", "aGk=".into());
    let heard = ModelRequest { messages: vec![Message::User(vec![Part::Media(media)])], ..request() };
    assert!(refused(&heard, &Capabilities::default()).starts_with("`input`"));
    let hears = Capabilities { media: vec![MediaKind::Audio], ..Capabilities::default() };
    assert!(first_request(&heard, &hears).is_ok());
}

proptest! {
    #[test]
    fn where_an_answer_is_cut_into_pieces_changes_neither_calls_nor_stops(
        cuts in proptest::collection::vec(1usize..9, 1..30),
        stop in prop_oneof![Just(""), Just("see"), Just("São"), Just("STOP"), Just("</tool_call>")],
    ) {
        let mut pieces = Vec::new();
        let (mut rest, mut cuts) = (CALL, cuts.iter().cycle());
        while !rest.is_empty() {
            let at = rest.ceil_char_boundary((*cuts.next().unwrap()).min(rest.len()));
            let (head, tail) = rest.split_at(at);
            pieces.push(head);
            rest = tail;
        }
        let stops = if stop.is_empty() { Vec::new() } else { vec![stop.to_owned()] };
        let collect = |events: Vec<ModelEvent>| {
            let stream = cut_at(stops.clone(), stream::iter(events.into_iter().map(Ok)).boxed());
            futures_util::future::FutureExt::now_or_never(stream.collect::<Vec<_>>()).unwrap()
        };
        let whole: Vec<_> = collect(says(&[CALL])).into_iter().map(Result::unwrap).collect();
        let parts: Vec<_> = collect(says(&pieces)).into_iter().map(Result::unwrap).collect();
        prop_assert_eq!(told(&whole), told(&parts));
        let expected = if stop.is_empty() { CALL } else { CALL.split(stop).next().unwrap() };
        prop_assert_eq!(told(&whole).0, expected);
        prop_assert_eq!(told(&whole).1, (10, 3), "what comes after is read for its counts");
    }
}
