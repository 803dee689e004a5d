//! Interactions, events and steps to fill a store with.

use std::collections::BTreeMap;

use antiphon_engine::{ClosedStep, Event, NewInteraction, Outcome, PastStep, ProjectId, Trace};
use antiphon_wire::{
    Content, CreateInteraction, GenerationConfig, InteractionEvent, InteractionId, ServiceTier, Status, StatusUpdate,
    Step, StepDelta, StepDeltaEvent, Usage,
};
use jiff::{SignedDuration, Timestamp};

/// The id that stands for a name.
pub fn id(name: &str) -> InteractionId {
    InteractionId::from_bytes(name.as_bytes())
}

/// So many seconds into 1 June 2026, UTC.
pub fn time(seconds: i64) -> Timestamp {
    let june = SignedDuration::from_secs(1_780_272_000);
    Timestamp::UNIX_EPOCH.saturating_add(june + SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// A turn whose input is its name, with two first events; it expires after an hour.
pub fn turn(project: ProjectId, name: &str, previous: Option<&InteractionId>) -> NewInteraction {
    let id = id(name);
    let status = |seq| Event {
        seq,
        body: InteractionEvent::StatusUpdate(StatusUpdate { interaction_id: id.clone(), status: Status::InProgress }),
        trace: None,
    };
    NewInteraction {
        project,
        request: request(name, previous),
        seed: 7,
        created: time(0),
        expires: time(3600),
        events: vec![status(1), status(2)],
        owner: "sample".to_owned(),
        lease_until: time(30),
        id,
    }
}

fn request(input: &str, previous: Option<&InteractionId>) -> CreateInteraction {
    CreateInteraction {
        agent: None,
        base_agent: None,
        agent_config: None,
        environment: None,
        model: "gemini-3.5-flash".to_owned(),
        input: vec![Step::user(vec![Content::text(input)])],
        system_instruction: None,
        guidance: None,
        generation_config: GenerationConfig::default(),
        previous_interaction_id: previous.cloned(),
        store: true,
        background: false,
        stream: true,
        service_tier: ServiceTier::Standard,
        labels: BTreeMap::new(),
        tools: Vec::new(),
        response_format: None,
        answer_schema: None,
        output: None,
    }
}

/// A piece of text and the tokens behind it.
pub fn delta(seq: u64, text: &str) -> Event {
    let delta = StepDelta::Text { text: text.to_owned() };
    Event { seq, body: InteractionEvent::StepDelta(StepDeltaEvent { index: 0, delta }), trace: Some(trace(text)) }
}

/// One token for each character.
pub fn trace(text: &str) -> Trace {
    Trace { fingerprint: "sample".to_owned(), tokens: text.chars().map(u32::from).collect() }
}

/// A generated answer.
pub fn answer(index: usize, text: &str) -> ClosedStep {
    ClosedStep { index, step: Step::model_output(text), trace: Some(trace(text)) }
}

pub fn outcome(status: Status) -> Outcome {
    Outcome { status, usage: Some(Usage::of_text(5, 2, 3, 1)), at: time(20) }
}

/// What the history says of a turn's input.
pub fn asked(name: &str) -> PastStep {
    PastStep { step: Step::user(vec![Content::text(name)]), trace: None }
}

/// What the history says of an answer.
pub fn answered(text: &str) -> PastStep {
    PastStep { step: Step::model_output(text), trace: Some(trace(text)) }
}
