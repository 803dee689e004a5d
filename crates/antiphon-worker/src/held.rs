//! What has been said and has not left yet.
//!
//! Tokens of a fast model leave together. Whoever reads them is woken half as often then, and a core that is taken from
//! the engine for a moment is lost twice: its threads meet hundreds of times per token.

use std::time::{Duration, Instant};

use crate::protocol::Message;

/// Tokens wait at most this long for the next ones, and only for those that are expected within it.
const TOGETHER: Duration = Duration::from_millis(20);

#[derive(Default)]
pub(crate) struct Held {
    messages: Vec<Message>,
    since: Option<Instant>,
}

impl Held {
    /// Adds what a step has said; text that goes on with a chunk joins it.
    pub(crate) fn take(&mut self, said: Vec<Message>, now: Instant) {
        for message in said {
            if !self.messages.iter_mut().any(|held| joins(held, &message)) {
                self.messages.push(message);
            }
        }
        if !self.messages.is_empty() {
            self.since.get_or_insert(now);
        }
    }

    /// Whether the next step comes soon enough, if it takes as long as the last. Beginnings and ends never wait.
    pub(crate) fn may_wait(&self, now: Instant, step: Duration) -> bool {
        self.since.is_none_or(|since| now - since + step <= TOGETHER)
            && self.messages.iter().all(|message| matches!(message, Message::Chunk { .. }))
    }

    pub(crate) fn leave(&mut self) -> Vec<Message> {
        self.since = None;
        std::mem::take(&mut self.messages)
    }
}

/// Appends a chunk to an earlier one of the same run; false when it is not one.
fn joins(held: &mut Message, next: &Message) -> bool {
    let (Message::Chunk { id, tokens, text }, Message::Chunk { id: same, tokens: more, text: goes_on }) = (held, next)
    else {
        return false;
    };
    let joins = id == same;
    if joins {
        tokens.extend(more);
        text.push_str(goes_on);
    }
    joins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::FinishReason;

    fn chunk(id: u64, token: u32, text: &str) -> Message {
        Message::Chunk { id, tokens: vec![token], text: text.to_owned() }
    }

    /// After which steps of so many ms something leaves.
    fn leaving(step: u64, steps: u64) -> Vec<u64> {
        let start = Instant::now();
        let mut held = Held::default();
        let leaves = |at: &u64| {
            let now = start + Duration::from_millis(at * step);
            held.take(vec![chunk(1, 0, "a")], now);
            let leaves = !held.may_wait(now, Duration::from_millis(step));
            if leaves {
                held.leave();
            }
            leaves
        };
        (1..=steps).filter(leaves).collect()
    }

    #[test]
    fn tokens_wait_for_the_next_only_where_these_come_soon_enough() {
        assert_eq!(leaving(45, 4), [1, 2, 3, 4]);
        assert_eq!(leaving(21, 4), [1, 2, 3, 4]);
        assert_eq!(leaving(13, 6), [2, 4, 6]);
        assert_eq!(leaving(5, 10), [5, 10]);
    }

    #[test]
    fn what_waits_is_joined_by_run_and_leaves_in_order() {
        let now = Instant::now();
        let mut held = Held::default();
        held.take(vec![chunk(1, 10, "one "), chunk(2, 20, "zwei ")], now);
        held.take(vec![chunk(2, 21, "drei"), chunk(1, 11, "two")], now);
        let end = Message::Finished { id: 2, reason: FinishReason::End };
        held.take(vec![end.clone()], now);
        let joined =
            |id, tokens: [u32; 2], text: &str| Message::Chunk { id, tokens: tokens.into(), text: text.to_owned() };
        assert_eq!(held.leave(), [joined(1, [10, 11], "one two"), joined(2, [20, 21], "zwei drei"), end]);
        assert_eq!(held.leave(), []);
    }

    #[test]
    fn beginnings_and_ends_leave_at_once() {
        let (now, soon) = (Instant::now(), Duration::from_millis(1));
        for message in [
            Message::Started { id: 1, cached: 0 },
            Message::Finished { id: 1, reason: FinishReason::Length },
            Message::Failed { id: 1, message: "no".to_owned() },
        ] {
            let mut held = Held::default();
            held.take(vec![chunk(1, 0, "a")], now);
            assert!(held.may_wait(now, soon));
            held.take(vec![message], now);
            assert!(!held.may_wait(now, soon));
        }
    }
}
