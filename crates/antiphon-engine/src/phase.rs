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
    /// Media are being read that the model does not take.
    Perceiving,
    AwaitingModel,
    /// `calls`: whether the turn asked for functions of the client too.
    AwaitingTools {
        calls: bool,
    },
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
    /// A run whose media have to be read first.
    StartWithMedia,
    MediaRead,
    /// A run that an earlier process left while it waited for tools.
    StartWithTools {
        calls: bool,
    },
    /// `calls`: whether the turn asked for functions of the client, `tools`: for some of the
    /// server.
    TurnEnded {
        reason: FinishReason,
        calls: bool,
        tools: bool,
    },
    ToolsEnded,
    /// A bound of the run is reached: turns, calls, tokens or time.
    LimitReached,
    TurnFailed(Failure),
    CancelRequested,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Read the media that the model does not take.
    Perceive,
    CallModel,
    /// Carry out the calls of the last turn that have no result yet.
    RunTools,
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
            (_, Input::LimitReached) => Self::end(Ending::Incomplete, vec![Effect::AbortWork]),
            (Self::Queued, Input::Start) => (Self::AwaitingModel, vec![Effect::CallModel]),
            (Self::Queued, Input::StartWithMedia) => (Self::Perceiving, vec![Effect::Perceive]),
            (Self::Perceiving, Input::MediaRead) => (Self::AwaitingModel, vec![Effect::CallModel]),
            (Self::Queued, Input::StartWithTools { calls }) => (Self::AwaitingTools { calls }, vec![Effect::RunTools]),
            (Self::AwaitingModel, Input::TurnEnded { reason, calls, tools }) => match reason {
                FinishReason::Stop if tools => (Self::AwaitingTools { calls }, vec![Effect::RunTools]),
                FinishReason::Stop if calls => Self::end(Ending::RequiresAction, Vec::new()),
                FinishReason::Stop => Self::end(Ending::Completed, Vec::new()),
                FinishReason::Length | FinishReason::Repetition => Self::end(Ending::Incomplete, Vec::new()),
            },
            (Self::AwaitingTools { calls: true }, Input::ToolsEnded) => Self::end(Ending::RequiresAction, Vec::new()),
            (Self::AwaitingTools { calls: false }, Input::ToolsEnded) => (Self::AwaitingModel, vec![Effect::CallModel]),
            (Self::Queued, Input::TurnEnded { .. } | Input::ToolsEnded | Input::MediaRead)
            | (
                Self::Perceiving,
                Input::Start
                | Input::StartWithMedia
                | Input::StartWithTools { .. }
                | Input::TurnEnded { .. }
                | Input::ToolsEnded,
            )
            | (
                Self::AwaitingModel,
                Input::Start
                | Input::StartWithMedia
                | Input::StartWithTools { .. }
                | Input::ToolsEnded
                | Input::MediaRead,
            )
            | (
                Self::AwaitingTools { .. },
                Input::Start
                | Input::StartWithMedia
                | Input::StartWithTools { .. }
                | Input::TurnEnded { .. }
                | Input::MediaRead,
            ) => return Vec::new(),
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
            Just(Input::StartWithMedia),
            Just(Input::MediaRead),
            any::<bool>().prop_map(|calls| Input::StartWithTools { calls }),
            any::<(bool, bool)>().prop_map(|(calls, tools)| Input::TurnEnded {
                reason: FinishReason::Stop,
                calls,
                tools
            }),
            any::<(bool, bool)>().prop_map(|(calls, tools)| Input::TurnEnded {
                reason: FinishReason::Length,
                calls,
                tools
            }),
            Just(Input::ToolsEnded),
            Just(Input::LimitReached),
            Just(Input::TurnFailed(Failure { code: "api_error".to_owned(), message: "x".to_owned() })),
            Just(Input::CancelRequested),
        ]
    }

    proptest! {
        #[test]
        fn there_is_at_most_one_end_and_nothing_after_it(inputs in proptest::collection::vec(input(), 0..12)) {
            let mut phase = Phase::Queued;
            let mut effects = Vec::new();
            let mut worked = None;
            for input in inputs {
                let was_done = matches!(phase, Phase::Done(_));
                let new = phase.apply(input);
                prop_assert!(!was_done || new.is_empty());
                // The model and the tools take turns.
                for work in new.iter().filter(|effect| matches!(effect, Effect::CallModel | Effect::RunTools)) {
                    prop_assert!(worked.as_ref() != Some(work));
                    worked = Some(work.clone());
                }
                effects.extend(new);
            }
            let ends: Vec<_> = effects.iter().filter(|effect| matches!(effect, Effect::Finish(_))).collect();
            prop_assert!(ends.len() <= 1);
            prop_assert_eq!(ends.len() == 1, matches!(phase, Phase::Done(_)));
        }
    }

    #[test]
    fn cancelling_twice_is_cancelling_once() {
        let mut phase = Phase::Queued;
        phase.apply(Input::Start);
        assert_eq!(phase.apply(Input::CancelRequested), [Effect::AbortWork, Effect::Finish(Ending::Cancelled)]);
        assert_eq!(phase.apply(Input::CancelRequested), []);
        assert_eq!(phase.apply(Input::TurnEnded { reason: FinishReason::Stop, calls: true, tools: true }), []);
        assert_eq!(phase, Phase::Done(Ending::Cancelled));
    }
}
