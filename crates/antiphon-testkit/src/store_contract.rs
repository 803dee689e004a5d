//! The laws that every store keeps.
//!
//! [`store_contract!`](crate::store_contract!) makes a test of each; a store's own tests
//! add what is particular to it.
#![expect(clippy::expect_used, reason = "a law that is broken panics, and says which step broke it")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use antiphon_engine::{Append, Claim, Fence, KeyRecord, PastStep, ProjectId, Store, StoreError, Stored};
use antiphon_wire::{Content, GenerationConfig, InteractionId, MediaContent, Status, Step, TextContent};
use tokio::task::JoinSet;

use crate::kept_bytes::KeptBytes;
use crate::sample::{answer, answered, asked, delta, id, outcome, time, turn};

/// Makes a test of each law. The expression is evaluated for each and gives an empty
/// `Arc<dyn Store>` and whatever must live as long as it (the folder, the server).
#[macro_export]
macro_rules! store_contract {
    ($make:expr) => {
        $crate::store_contract!(@laws $make;
            an_accepted_interaction_is_read_back_equal,
            media_that_are_kept_elsewhere_are_kept_whole,
            an_id_is_accepted_once,
            the_first_events_are_numbered_from_one,
            the_log_is_read_back_in_order,
            an_append_that_does_not_follow_the_log_is_a_conflict_and_changes_nothing,
            an_append_is_carried_out_whole_or_not_at_all,
            nothing_is_appended_after_the_end,
            every_outcome_becomes_the_status,
            a_history_is_the_input_and_then_the_closed_steps_of_each_turn,
            ten_answers_to_one_turn_are_ten_conversations,
            forks_of_forks_keep_their_history,
            a_conversation_stays_inside_its_project,
            a_deleted_interaction_is_found_nowhere,
            a_deleted_turn_hides_the_conversation_after_it,
            another_project_deletes_nothing,
            a_deleted_run_is_over,
            claiming_takes_over_exactly_the_runs_that_have_not_ended,
            renewing_changes_nothing_that_is_read,
            sweeping_deletes_only_what_has_ended_and_expired,
            a_project_is_its_name,
            keys_are_kept_and_revoked_once,
            a_store_that_works_says_so,
        );
    };
    (@laws $make:expr; $($law:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $law() {
                let (store, _alive) = $make;
                $crate::store_contract::$law(store).await;
            }
        )*
    };
}

async fn project(store: &Arc<dyn Store>, name: &str) -> ProjectId {
    store.project(name).await.expect("a project is made")
}

/// Accepts a turn, answers it with one step and ends it.
async fn have_turn(store: &Arc<dyn Store>, project: ProjectId, name: &str, previous: Option<&InteractionId>) {
    let fence = store.accept(turn(project, name, previous)).await.expect("the turn is accepted");
    let append = Append {
        events: vec![delta(3, name)],
        closed: vec![answer(0, &format!("{name}, answered"))],
        outcome: Some(outcome(Status::Completed)),
    };
    store.append(&id(name), fence, append).await.expect("the turn is answered");
}

/// What the history of [`have_turn`]s says.
fn said(names: &[&str]) -> Vec<PastStep> {
    names.iter().flat_map(|name| [asked(name), answered(&format!("{name}, answered"))]).collect()
}

#[track_caller]
fn assert_not_found<T: Debug>(result: Result<T, StoreError>) {
    match result {
        Err(StoreError::NotFound) => {}
        other => panic!("expected not found, got {other:?}"),
    }
}

#[track_caller]
fn assert_conflict<T: Debug>(result: Result<T, StoreError>) {
    match result {
        Err(StoreError::Conflict(_)) => {}
        other => panic!("expected a conflict, got {other:?}"),
    }
}

pub async fn an_accepted_interaction_is_read_back_equal(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    let mut new = turn(project, "first", None);
    new.seed = u64::MAX;
    new.request.system_instruction = Some("Be brief \u{0} and \u{1f600}".to_owned());
    new.request.background = true;
    new.request.labels = BTreeMap::from([("team".to_owned(), "blue".to_owned())]);
    new.request.generation_config =
        GenerationConfig { temperature: Some(0.1 + 0.2), seed: Some(i64::MIN), ..GenerationConfig::default() };
    new.request.input = vec![
        Step::user(vec![Content::text("one"), Content::Text(TextContent::default())]),
        Step::model_output(""),
        Step::user(vec![Content::text("two\n\"quoted\"")]),
    ];
    store.accept(new.clone()).await.expect("it is accepted");
    let expected = Stored {
        id: new.id.clone(),
        status: Status::InProgress,
        request: new.request,
        seed: new.seed,
        created: new.created,
        expires: new.expires,
    };
    assert_eq!(store.interaction(project, &new.id).await.expect("it is there"), expected);
    assert_eq!(store.events(project, &new.id).await.expect("it has a log"), new.events);
}

pub async fn media_that_are_kept_elsewhere_are_kept_whole(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    let noise = |length: usize| (0..length).map(|at| (at * at % 251) as u8).collect::<Vec<_>>();
    let media: Vec<_> = [500_000, 1, 196_608, 0, 196_609].map(noise).into();
    let part = |(at, bytes): (usize, &Vec<u8>)| {
        let data = KeptBytes::data(&at.to_string(), bytes.clone());
        Content::Image(MediaContent::inline(data, format!("image/{at}")))
    };
    let parts: Vec<_> = media.iter().enumerate().map(part).collect();
    let (first, rest) = parts.split_at(2);
    let mut new = turn(project, "first", None);
    new.request.input =
        vec![Step::user(vec![first[0].clone(), Content::text("?"), first[1].clone()]), Step::user(rest.to_vec())];
    store.accept(new).await.expect("it is accepted");
    store.accept(turn(project, "other", None)).await.expect("another is accepted");
    let stored = store.interaction(project, &id("first")).await.expect("it is there");
    let history = store.history(project, &id("first")).await.expect("it has a history");
    let past: Vec<_> = history.into_iter().map(|past| past.step).collect();
    for steps in [stored.request.input, past] {
        assert_eq!(steps[0].said()[1], Content::text("?"));
        let read: Vec<_> = steps.iter().flat_map(Step::said).filter_map(Content::media).collect();
        assert_eq!(read.len(), media.len());
        for (at, (read, bytes)) in read.into_iter().zip(&media).enumerate() {
            assert_eq!((&read.mime_type, read.data.size()), (&format!("image/{at}"), bytes.len() as u64));
            assert!(read.data.bytes().expect("they can be read") == *bytes, "medium {at}");
            assert_eq!(read.data.sha256(), KeptBytes::data("same", bytes.clone()).sha256());
        }
    }
    store.delete(project, &id("first")).await.expect("it is deleted");
    assert_not_found(store.history(project, &id("first")).await);
}

pub async fn an_id_is_accepted_once(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    have_turn(&store, project, "first", None).await;
    assert_conflict(store.accept(turn(project, "first", None)).await);
    assert_eq!(store.history(project, &id("first")).await.expect("it is unharmed"), said(&["first"]));
    store.delete(project, &id("first")).await.expect("it is deleted");
    assert_conflict(store.accept(turn(project, "first", None)).await);
}

pub async fn the_first_events_are_numbered_from_one(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    for seqs in [[0, 1], [1, 3], [2, 3], [1, 1]] {
        let mut new = turn(project, "first", None);
        new.events = seqs.map(|seq| delta(seq, "text")).to_vec();
        assert_conflict(store.accept(new).await);
    }
    assert_not_found(store.interaction(project, &id("first")).await);
}

pub async fn the_log_is_read_back_in_order(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    let new = turn(project, "first", None);
    let fence = store.accept(new.clone()).await.expect("it is accepted");
    let mut log = new.events;
    for step in 1..=20_u64 {
        let last = log.len() as u64;
        let events: Vec<_> = (last + 1..=last + step % 4).map(|seq| delta(seq, &format!("piece {seq}"))).collect();
        log.extend(events.clone());
        let append = Append { events, ..Append::default() };
        store.append(&id("first"), fence, append).await.expect("the log goes on");
    }
    assert_eq!(store.events(project, &id("first")).await.expect("it has a log"), log);
}

pub async fn an_append_that_does_not_follow_the_log_is_a_conflict_and_changes_nothing(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    let new = turn(project, "first", None);
    let fence = store.accept(new.clone()).await.expect("it is accepted");
    let append = |seqs: &[u64]| Append {
        events: seqs.iter().map(|seq| delta(*seq, "text")).collect(),
        closed: vec![answer(0, "text")],
        outcome: Some(outcome(Status::Completed)),
    };
    for (fence, seqs) in [
        (Fence(fence.0 + 1), [3, 4].as_slice()),
        (Fence(fence.0 - 1), &[3, 4]),
        (fence, &[4]),
        (fence, &[2, 3]),
        (fence, &[3, 5]),
        (fence, &[3, 3]),
        (fence, &[0]),
    ] {
        assert_conflict(store.append(&id("first"), fence, append(seqs)).await);
    }
    assert_eq!(store.events(project, &id("first")).await.expect("it has a log"), new.events);
    assert_eq!(store.history(project, &id("first")).await.expect("it is there"), [asked("first")]);
    assert_eq!(store.interaction(project, &id("first")).await.expect("it is there").status, Status::InProgress);
    assert_not_found(store.append(&id("never"), fence, append(&[3])).await);
}

pub async fn an_append_is_carried_out_whole_or_not_at_all(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    let fence = store.accept(turn(project, "first", None)).await.expect("it is accepted");
    let append = |seq| Append { events: vec![delta(seq, "text")], closed: vec![answer(0, "text")], outcome: None };
    store.append(&id("first"), fence, append(3)).await.expect("the step is closed");
    // The event follows the log; the step cannot be closed again.
    assert_conflict(store.append(&id("first"), fence, append(4)).await);
    assert_eq!(store.events(project, &id("first")).await.expect("it has a log").len(), 3);
    assert_eq!(store.history(project, &id("first")).await.expect("it is there"), [asked("first"), answered("text")]);
}

pub async fn nothing_is_appended_after_the_end(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    let fence = store.accept(turn(project, "first", None)).await.expect("it is accepted");
    let end = |status| Append { outcome: Some(outcome(status)), ..Append::default() };
    store.append(&id("first"), fence, end(Status::Completed)).await.expect("it ends");
    assert_conflict(store.append(&id("first"), fence, end(Status::Cancelled)).await);
    let more = Append { events: vec![delta(3, "late")], ..Append::default() };
    assert_conflict(store.append(&id("first"), fence, more).await);
    assert_eq!(store.interaction(project, &id("first")).await.expect("it is there").status, Status::Completed);
    assert_eq!(store.events(project, &id("first")).await.expect("it has a log").len(), 2);
}

pub async fn every_outcome_becomes_the_status(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    for status in [Status::Completed, Status::Failed, Status::Cancelled, Status::Incomplete, Status::RequiresAction] {
        let name = status.as_str();
        let fence = store.accept(turn(project, name, None)).await.expect("it is accepted");
        assert_eq!(store.interaction(project, &id(name)).await.expect("it is there").status, Status::InProgress);
        let end = Append { outcome: Some(outcome(status)), ..Append::default() };
        store.append(&id(name), fence, end).await.expect("it ends");
        assert_eq!(store.interaction(project, &id(name)).await.expect("it is there").status, status);
    }
}

pub async fn a_history_is_the_input_and_then_the_closed_steps_of_each_turn(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    have_turn(&store, project, "first", None).await;
    have_turn(&store, project, "second", Some(&id("first"))).await;
    let mut new = turn(project, "third", Some(&id("second")));
    new.request.input = vec![Step::user(vec![Content::text("a")]), Step::user(vec![Content::text("b")])];
    let fence = store.accept(new).await.expect("it is accepted");
    // Not closed in the order of their index, and the run has not ended.
    for closed in [vec![answer(1, "d")], vec![answer(2, "e"), answer(0, "c")]] {
        store.append(&id("third"), fence, Append { closed, ..Append::default() }).await.expect("steps are closed");
    }
    let expected =
        [said(&["first", "second"]), vec![asked("a"), asked("b"), answered("c"), answered("d"), answered("e")]];
    assert_eq!(store.history(project, &id("third")).await.expect("it is there"), expected.concat());
    assert_eq!(store.history(project, &id("second")).await.expect("it is there"), said(&["first", "second"]));
    assert_eq!(store.history(project, &id("first")).await.expect("it is there"), said(&["first"]));
}

pub async fn ten_answers_to_one_turn_are_ten_conversations(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    have_turn(&store, project, "first", None).await;
    have_turn(&store, project, "second", Some(&id("first"))).await;
    let mut clients = JoinSet::new();
    for client in 0..10 {
        let store = Arc::clone(&store);
        clients.spawn(async move {
            let [third, fourth] = ["third", "fourth"].map(|turn| format!("{turn} of {client}"));
            have_turn(&store, project, &third, Some(&id("second"))).await;
            have_turn(&store, project, &fourth, Some(&id(&third))).await;
        });
    }
    clients.join_all().await;
    for client in 0..10 {
        let [third, fourth] = ["third", "fourth"].map(|turn| format!("{turn} of {client}"));
        assert_eq!(
            store.history(project, &id(&fourth)).await.expect("it is there"),
            said(&["first", "second", &third, &fourth])
        );
    }
}

pub async fn forks_of_forks_keep_their_history(store: Arc<dyn Store>) {
    const TURNS: usize = 80;
    let project = project(&store, "one").await;
    let names: Vec<String> = (0..TURNS).map(|turn| format!("turn {turn}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (turn, name) in names.iter().enumerate() {
        let previous = turn.checked_sub(1).map(|before| id(names[before]));
        // Someone else answers first, so that every turn of this conversation forks.
        have_turn(&store, project, &format!("other {name}"), previous.as_ref()).await;
        have_turn(&store, project, name, previous.as_ref()).await;
    }
    for (turn, name) in names.iter().enumerate().step_by(7) {
        let history = store.history(project, &id(name)).await.expect("it is there");
        assert!(history == said(&names[..=turn]), "the history of {name} is another");
        let other = format!("other {name}");
        let history = store.history(project, &id(&other)).await.expect("it is there");
        assert!(history == said(&[&names[..turn], &[&other]].concat()), "the history of {other} is another");
    }
}

pub async fn a_conversation_stays_inside_its_project(store: Arc<dyn Store>) {
    let (one, two) = (project(&store, "one").await, project(&store, "two").await);
    have_turn(&store, one, "first", None).await;
    assert_not_found(store.interaction(two, &id("first")).await);
    assert_not_found(store.events(two, &id("first")).await);
    assert_not_found(store.history(two, &id("first")).await);
    assert_not_found(store.accept(turn(two, "second", Some(&id("first")))).await);
    assert_not_found(store.interaction(two, &id("second")).await);
    assert_not_found(store.accept(turn(one, "second", Some(&id("never")))).await);
    have_turn(&store, one, "second", Some(&id("first"))).await;
}

pub async fn a_deleted_interaction_is_found_nowhere(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    have_turn(&store, project, "first", None).await;
    store.delete(project, &id("first")).await.expect("it is deleted");
    assert_not_found(store.interaction(project, &id("first")).await);
    assert_not_found(store.events(project, &id("first")).await);
    assert_not_found(store.history(project, &id("first")).await);
    assert_not_found(store.append(&id("first"), Fence(1), Append::default()).await);
    assert_not_found(store.accept(turn(project, "second", Some(&id("first")))).await);
    assert_not_found(store.delete(project, &id("first")).await);
    assert_not_found(store.delete(project, &id("never")).await);
}

pub async fn a_deleted_turn_hides_the_conversation_after_it(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    have_turn(&store, project, "first", None).await;
    have_turn(&store, project, "second", Some(&id("first"))).await;
    have_turn(&store, project, "third", Some(&id("second"))).await;
    have_turn(&store, project, "fork of second", Some(&id("second"))).await;
    have_turn(&store, project, "fork of first", Some(&id("first"))).await;
    store.delete(project, &id("second")).await.expect("it is deleted");
    assert_not_found(store.history(project, &id("third")).await);
    assert_not_found(store.history(project, &id("fork of second")).await);
    // Each is still there by itself.
    assert_eq!(store.interaction(project, &id("third")).await.expect("it is there").status, Status::Completed);
    assert_eq!(store.history(project, &id("first")).await.expect("it is there"), said(&["first"]));
    assert_eq!(
        store.history(project, &id("fork of first")).await.expect("it is there"),
        said(&["first", "fork of first"])
    );
    have_turn(&store, project, "again", Some(&id("first"))).await;
    assert_eq!(store.history(project, &id("again")).await.expect("it is there"), said(&["first", "again"]));
}

pub async fn another_project_deletes_nothing(store: Arc<dyn Store>) {
    let (one, two) = (project(&store, "one").await, project(&store, "two").await);
    have_turn(&store, one, "first", None).await;
    assert_not_found(store.delete(two, &id("first")).await);
    assert_eq!(store.history(one, &id("first")).await.expect("it is unharmed"), said(&["first"]));
}

pub async fn a_deleted_run_is_over(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    let fence = store.accept(turn(project, "first", None)).await.expect("it is accepted");
    store.delete(project, &id("first")).await.expect("it is deleted");
    let more = Append { events: vec![delta(3, "late")], ..Append::default() };
    assert_not_found(store.append(&id("first"), fence, more).await);
    assert!(store.claim_all("next", time(60)).await.expect("runs are claimed").is_empty());
}

pub async fn claiming_takes_over_exactly_the_runs_that_have_not_ended(store: Arc<dyn Store>) {
    let (one, two) = (project(&store, "one").await, project(&store, "two").await);
    have_turn(&store, one, "ended", None).await;
    let fence = store.accept(turn(one, "running", None)).await.expect("it is accepted");
    store.accept(turn(two, "other", None)).await.expect("it is accepted");
    let piece = Append { events: vec![delta(3, "piece")], ..Append::default() };
    store.append(&id("running"), fence, piece).await.expect("the log goes on");

    let more = || Append { events: vec![delta(4, "more")], ..Append::default() };
    let mut old = fence;
    for attempt in 1..=3 {
        let claims = store.claim_all("next", time(60)).await.expect("runs are claimed");
        assert_eq!(claims.len(), 2);
        let claim = |name: &str| claims.iter().find(|claim| claim.stored.id == id(name)).expect("it is claimed");
        let running: &Claim = claim("running");
        assert_eq!((running.project, running.attempt), (one, attempt));
        assert_eq!(running.stored, store.interaction(one, &id("running")).await.expect("it is there"));
        assert_eq!(running.events, store.events(one, &id("running")).await.expect("it has a log"));
        assert_eq!((claim("other").project, claim("other").attempt), (two, attempt));
        assert!(running.fence > old, "{:?} is not after {old:?}", running.fence);
        assert_conflict(store.append(&id("running"), old, more()).await);
        old = running.fence;
    }
    store.append(&id("running"), old, more()).await.expect("the claimed run goes on");
    let end = Append { outcome: Some(outcome(Status::Failed)), ..Append::default() };
    store.append(&id("running"), old, end).await.expect("it ends");
    let claims = store.claim_all("next", time(60)).await.expect("runs are claimed");
    assert_eq!(claims.iter().map(|claim| &claim.stored.id).collect::<Vec<_>>(), [&id("other")]);
}

pub async fn renewing_changes_nothing_that_is_read(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    let fence = store.accept(turn(project, "first", None)).await.expect("it is accepted");
    let before = store.interaction(project, &id("first")).await.expect("it is there");
    store.renew("sample", time(90)).await.expect("leases are renewed");
    store.renew("nobody", time(90)).await.expect("nothing to renew is no error");
    assert_eq!(store.interaction(project, &id("first")).await.expect("it is there"), before);
    store.append(&id("first"), fence, Append::default()).await.expect("the fence holds");
}

pub async fn sweeping_deletes_only_what_has_ended_and_expired(store: Arc<dyn Store>) {
    let project = project(&store, "one").await;
    for name in ["a", "b", "c"] {
        have_turn(&store, project, name, None).await;
    }
    store.accept(turn(project, "running", None)).await.expect("it is accepted");
    let mut late = turn(project, "late", None);
    late.expires = time(7200);
    let fence = store.accept(late).await.expect("it is accepted");
    let end = Append { outcome: Some(outcome(Status::Completed)), ..Append::default() };
    store.append(&id("late"), fence, end).await.expect("it ends");

    assert_eq!(store.sweep(time(3599), 10).await.expect("it is swept"), 0);
    assert_eq!(store.sweep(time(3600), 2).await.expect("it is swept"), 2);
    assert_eq!(store.sweep(time(3600), 2).await.expect("it is swept"), 1);
    assert_eq!(store.sweep(time(3600), 2).await.expect("it is swept"), 0);
    for name in ["a", "b", "c"] {
        assert_not_found(store.interaction(project, &id(name)).await);
        assert_not_found(store.delete(project, &id(name)).await);
    }
    for name in ["running", "late"] {
        assert_eq!(store.events(project, &id(name)).await.expect("it is there").len(), 2);
    }
}

pub async fn a_project_is_its_name(store: Arc<dyn Store>) {
    let one = project(&store, "one").await;
    let two = project(&store, "two").await;
    assert_ne!(one, two);
    assert_eq!(project(&store, "one").await, one);
    assert_eq!(project(&store, "two").await, two);
}

pub async fn keys_are_kept_and_revoked_once(store: Arc<dyn Store>) {
    let one = project(&store, "one").await;
    let key = |name: &str, created| KeyRecord {
        id: name.to_owned(),
        project: one,
        project_name: "one".to_owned(),
        name: format!("the key {name}"),
        hash: [created; 32],
        created: time(created.into()),
        revoked: None,
    };
    assert!(store.keys().await.expect("keys are listed").is_empty());
    for key in [key("b", 2), key("a", 1), key("c", 2)] {
        store.add_key(key).await.expect("it is added");
    }
    assert_eq!(store.keys().await.expect("keys are listed"), [key("a", 1), key("b", 2), key("c", 2)]);
    assert_eq!(store.key("b").await.expect("it is there"), key("b", 2));
    assert_conflict(store.add_key(key("b", 9)).await);
    assert_not_found(store.add_key(KeyRecord { project: ProjectId(one.0 + 1000), ..key("d", 3) }).await);
    assert_not_found(store.key("d").await);

    store.revoke_key("b", time(5)).await.expect("it is revoked");
    store.revoke_key("b", time(6)).await.expect("again is no error");
    assert_eq!(store.key("b").await.expect("it is there"), KeyRecord { revoked: Some(time(5)), ..key("b", 2) });
    assert_eq!(store.key("a").await.expect("it is there"), key("a", 1));
    assert_not_found(store.revoke_key("d", time(5)).await);
}

pub async fn a_store_that_works_says_so(store: Arc<dyn Store>) {
    store.check().await.expect("it takes writes");
}
