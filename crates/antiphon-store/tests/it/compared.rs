//! Whatever is done to it, the store answers as the memory store does.

use std::fmt::Debug;

use antiphon_engine::{Append, Fence, ProjectId, Store, StoreError};
use antiphon_testkit::MemoryStore;
use antiphon_testkit::sample::{answer, delta, id, outcome, time, turn};
use antiphon_wire::{InteractionId, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::fresh;

#[derive(Clone, Debug)]
enum Operation {
    /// A new turn after one of those so far, or none.
    Accept {
        project: bool,
        after: Option<Index>,
        expires: i64,
    },
    Append {
        turn: Index,
        fence: i64,
        seq: u64,
        closes: Option<usize>,
        ends: bool,
    },
    Delete {
        project: bool,
        turn: Index,
    },
    Sweep {
        now: i64,
        most: usize,
    },
    Claim,
}

fn operation() -> impl Strategy<Value = Operation> {
    let index = any::<Index>;
    // Seldom where it must fail, so that most of what is tried succeeds.
    let project = || prop::bool::weighted(0.05);
    prop_oneof![
        10 => (project(), prop::option::weighted(0.9, index()), 0..1000_i64)
            .prop_map(|(project, after, expires)| Operation::Accept { project, after, expires }),
        6 => (index(), 1..3_i64, 3..5_u64, prop::option::of(0..3_usize), prop::bool::weighted(0.3)).prop_map(
            |(turn, fence, seq, closes, ends)| Operation::Append { turn, fence, seq, closes, ends }
        ),
        2 => (project(), index()).prop_map(|(project, turn)| Operation::Delete { project, turn }),
        1 => (0..1000_i64, 0..3_usize).prop_map(|(now, most)| Operation::Sweep { now, most }),
        1 => Just(Operation::Claim),
    ]
}

/// The answer in a form in which two stores agree: errors by their kind.
fn answer_of<T: Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(StoreError::NotFound) => "not found".to_owned(),
        Err(StoreError::Conflict(_)) => "conflict".to_owned(),
        Err(StoreError::Unavailable(why) | StoreError::Corrupt(why)) => panic!("{why}"),
    }
}

/// One of the turns so far; their names are their numbers.
fn pick(index: &Index, turns: usize) -> InteractionId {
    id(&index.index(turns.max(1)).to_string())
}

async fn carry_out(store: &dyn Store, projects: [ProjectId; 2], turns: usize, operation: &Operation) -> String {
    match operation {
        Operation::Accept { project, after, expires } => {
            let previous = after.as_ref().map(|index| pick(index, turns));
            let mut new = turn(projects[usize::from(*project)], &turns.to_string(), previous.as_ref());
            new.expires = time(*expires);
            answer_of(store.accept(new).await)
        }
        Operation::Append { turn, fence, seq, closes, ends } => {
            let append = Append {
                events: vec![delta(*seq, "text")],
                closed: closes.iter().map(|index| answer(*index, &format!("step {index}"))).collect(),
                outcome: ends.then(|| outcome(Status::Completed)),
            };
            answer_of(store.append(&pick(turn, turns), Fence(*fence), append).await)
        }
        Operation::Delete { project, turn } => {
            answer_of(store.delete(projects[usize::from(*project)], &pick(turn, turns)).await)
        }
        Operation::Sweep { now, most } => answer_of(store.sweep(time(*now), *most).await),
        Operation::Claim => answer_of(store.claim_all("next", time(60)).await),
    }
}

async fn compare(operations: Vec<Operation>) {
    let (sqlite, _dir) = fresh();
    let memory = MemoryStore::new();
    let projects = [memory.project("one").await.unwrap(), memory.project("two").await.unwrap()];
    assert_eq!(projects, [sqlite.project("one").await.unwrap(), sqlite.project("two").await.unwrap()]);
    let mut turns = 0;
    for operation in operations {
        let expected = carry_out(&memory, projects, turns, &operation).await;
        assert_eq!(carry_out(&sqlite, projects, turns, &operation).await, expected, "{operation:?}");
        if let Operation::Accept { .. } = operation {
            turns += 1;
        }
    }
    for turn in 0..turns {
        for project in projects {
            let turn = id(&turn.to_string());
            let expected = answer_of(memory.history(project, &turn).await);
            assert_eq!(answer_of(sqlite.history(project, &turn).await), expected, "the history of {turn}");
            let expected = answer_of(memory.interaction(project, &turn).await);
            assert_eq!(answer_of(sqlite.interaction(project, &turn).await), expected, "{turn}");
            let expected = answer_of(memory.events(project, &turn).await);
            assert_eq!(answer_of(sqlite.events(project, &turn).await), expected, "the log of {turn}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn trees_of_turns_forks_and_deletes_read_as_the_model_says(operations in vec(operation(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(compare(operations));
    }
}
