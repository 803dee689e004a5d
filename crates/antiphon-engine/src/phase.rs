//! How far an interaction is: a pure state machine without IO or clock.
//!
//! Inputs come from the driver (`run`), effects go back to it. Whatever arrives after
//! the end changes nothing, so a race of cancel and completion has one answer: the
//! first terminal input wins.

use antiphon_wire::{Failure, Status};

use crate::backend::FinishReason;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Accepted, waiting for its turn.
    Queued,
    AwaitingModel,
    Done(Ending),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Completed,
    /// Calls wait for the client's results, which come in another interaction.
    RequiresAction,
    /// The answer was cut: by its token limit, or because it repeated itself.
    Incomplete,
    Failed(Failure),
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Start,
    /// `calls`: whether the turn asked for functions of the client.
    TurnEnded {
        reason: FinishReason,
        calls: bool,
    },
    TurnFailed(Failure),
    CancelRequested,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    CallModel,
    /// Stop what is being worked on; its results no longer matter.
    AbortWork,
    Finish(Ending),
}

impl Phase {
    pub(crate) fn apply(&mut self, input: Input) -> Vec<Effect> {
        let (next, effects) = match (&*self, input) {
            (Self::Done(_), _) => return Vec::new(),
            (_, Input::CancelRequested) => Self::end(Ending::Cancelled, vec![Effect::AbortWork]),
            (_, Input::TurnFailed(failure)) => Self::end(Ending::Failed(failure), vec![Effect::AbortWork]),
            (Self::Queued, Input::Start) => (Self::AwaitingModel, vec![Effect::CallModel]),
            (Self::AwaitingModel, Input::TurnEnded { reason, calls }) => match reason {
                FinishReason::Stop if calls => Self::end(Ending::RequiresAction, Vec::new()),
                FinishReason::Stop => Self::end(Ending::Completed, Vec::new()),
                FinishReason::Length | FinishReason::Repetition => Self::end(Ending::Incomplete, Vec::new()),
            },
            (Self::Queued, Input::TurnEnded { .. }) | (Self::AwaitingModel, Input::Start) => return Vec::new(),
        };
        *self = next;
        effects
    }

    fn end(ending: Ending, mut effects: Vec<Effect>) -> (Self, Vec<Effect>) {
        effects.push(Effect::Finish(ending.clone()));
        (Self::Done(ending), effects)
    }
}

impl Ending {
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Completed => Status::Completed,
            Self::RequiresAction => Status::RequiresAction,
            Self::Incomplete => Status::Incomplete,
            Self::Failed(_) => Status::Failed,
            Self::Cancelled => Status::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn input() -> impl Strategy<Value = Input> {
        prop_oneof![
            Just(Input::Start),
            any::<bool>().prop_map(|calls| Input::TurnEnded { reason: FinishReason::Stop, calls }),
            any::<bool>().prop_map(|calls| Input::TurnEnded { reason: FinishReason::Length, calls }),
            Just(Input::TurnFailed(Failure { code: "api_error".to_owned(), message: "x".to_owned() })),
            Just(Input::CancelRequested),
        ]
    }

    proptest! {
        #[test]
        fn there_is_at_most_one_end_and_nothing_after_it(inputs in proptest::collection::vec(input(), 0..12)) {
            let mut phase = Phase::Queued;
            let mut effects = Vec::new();
            for input in inputs {
                let was_done = matches!(phase, Phase::Done(_));
                let new = phase.apply(input);
                prop_assert!(!was_done || new.is_empty());
                effects.extend(new);
            }
            let ends: Vec<_> = effects.iter().filter(|effect| matches!(effect, Effect::Finish(_))).collect();
            prop_assert!(ends.len() <= 1);
            prop_assert_eq!(ends.len() == 1, matches!(phase, Phase::Done(_)));
            prop_assert!(effects.iter().filter(|effect| **effect == Effect::CallModel).count() <= 1);
        }
    }

    #[test]
    fn cancelling_twice_is_cancelling_once() {
        let mut phase = Phase::Queued;
        phase.apply(Input::Start);
        assert_eq!(phase.apply(Input::CancelRequested), [Effect::AbortWork, Effect::Finish(Ending::Cancelled)]);
        assert_eq!(phase.apply(Input::CancelRequested), []);
        assert_eq!(phase.apply(Input::TurnEnded { reason: FinishReason::Stop, calls: true }), []);
        assert_eq!(phase, Phase::Done(Ending::Cancelled));
    }
}
