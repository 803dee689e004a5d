//! The fold of events: the examples of spec 04, and that it tells what was said.

use antiphon_wire::{EventFold, InteractionEvent};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

fn events(lines: &[Value]) -> Vec<InteractionEvent> {
    lines.iter().map(|line| serde_json::from_value(line.clone()).unwrap()).collect()
}

fn text_answer() -> Vec<Value> {
    vec![
        json!({"event_type": "interaction.created", "interaction": {"id": "v1_Chd", "status": "in_progress",
            "object": "interaction", "model": "gemini-3.5-flash"}}),
        json!({"event_type": "interaction.status_update", "interaction_id": "v1_Chd", "status": "in_progress"}),
        json!({"event_type": "step.start", "index": 0, "step": {"type": "thought"}}),
        json!({"event_type": "step.delta", "index": 0, "delta": {"type": "thought_summary",
            "content": {"type": "text", "text": "Hm"}}}),
        json!({"event_type": "step.delta", "index": 0, "delta": {"type": "thought_summary",
            "content": {"type": "text", "text": "m."}}}),
        json!({"event_type": "step.delta", "index": 0, "delta": {"type": "thought_signature", "signature": "EvEF"}}),
        json!({"event_type": "step.stop", "index": 0}),
        json!({"event_type": "step.start", "index": 1, "step": {"type": "model_output"}}),
        json!({"event_type": "step.delta", "index": 1, "delta": {"type": "text", "text": "AI "}}),
        json!({"event_type": "step.delta", "index": 1, "delta": {"type": "text", "text": "works"}}),
        json!({"event_type": "step.stop", "index": 1}),
        json!({"event_type": "interaction.completed", "interaction": {"id": "v1_Chd", "status": "completed",
            "object": "interaction", "updated": "2026-06-09T12:01:27Z",
            "usage": {"total_tokens": 3, "total_input_tokens": 1, "total_output_tokens": 2,
                "total_thought_tokens": 0, "total_tool_use_tokens": 0, "total_cached_tokens": 0}}}),
    ]
}

fn call_answer() -> Vec<Value> {
    let mut log = text_answer();
    let delta = |text: &str| json!({"event_type": "step.delta", "index": 2, "delta": {"type": "arguments_delta", "arguments": text}});
    let call = [
        json!({"event_type": "step.start", "index": 2,
            "step": {"type": "function_call", "id": "un6k8t18", "name": "get_weather", "arguments": {}}}),
        delta("{\"location\":"),
        delta("\"London\"}"),
        json!({"event_type": "step.stop", "index": 2}),
    ];
    log.splice(11..11, call);
    log
}

#[test]
fn a_call_is_a_step_once_it_is_whole() {
    let events = events(&call_answer());
    let call =
        json!({"type": "function_call", "id": "un6k8t18", "name": "get_weather", "arguments": {"location": "London"}});
    for count in 11..=events.len() {
        let fold = EventFold::of(&events[..count]);
        let calls: Vec<_> = fold.steps()[2..].iter().map(|step| serde_json::to_value(step).unwrap()).collect();
        let expected = if count < 15 { vec![] } else { vec![call.clone()] };
        assert_eq!(calls, expected, "after {count} events");
    }
}

#[test]
fn a_call_that_was_cut_short_is_no_step() {
    let mut log = call_answer();
    log.remove(13);
    assert_eq!(EventFold::of(&events(&log)).steps().len(), 2);
}

#[test]
fn events_survive_the_wire() {
    for line in call_answer() {
        let event: InteractionEvent = serde_json::from_value(line.clone()).unwrap();
        assert_eq!(serde_json::to_value(&event).unwrap(), line);
    }
}

#[test]
fn the_fold_of_a_log_is_the_answer() {
    let fold = EventFold::of(&events(&text_answer()));
    assert_eq!(
        serde_json::to_value(fold.interaction()).unwrap(),
        json!({
            "id": "v1_Chd", "object": "interaction", "status": "completed", "updated": "2026-06-09T12:01:27Z",
            "model": "gemini-3.5-flash",
            "steps": [
                {"type": "thought", "signature": "EvEF", "summary": [{"type": "text", "text": "Hmm."}]},
                {"type": "model_output", "content": [{"type": "text", "text": "AI works"}]},
            ],
            "usage": {"total_tokens": 3, "total_input_tokens": 1, "total_output_tokens": 2,
                "total_thought_tokens": 0, "total_tool_use_tokens": 0, "total_cached_tokens": 0},
        })
    );
}

#[test]
fn every_prefix_of_a_log_tells_a_prefix_of_the_answer() {
    let events = events(&text_answer());
    let whole = EventFold::of(&events);
    for count in 0..=events.len() {
        let fold = EventFold::of(&events[..count]);
        assert_eq!(fold.interaction().is_some(), count > 0);
        assert!(fold.steps().len() <= whole.steps().len());
        let ended = fold.interaction().is_some_and(|interaction| interaction.status.is_terminal());
        assert_eq!(ended, count == events.len());
    }
}
