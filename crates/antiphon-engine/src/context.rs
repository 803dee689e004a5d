//! What a model is told of a long run, so that it stays within the model's context. Pure.
//!
//! Results of tools are what makes an agent's conversation long, and old ones are needed least. Near
//! the context's end they are left out, oldest first, and each says so in its place; what the user
//! said, what the model said and did, and the last results stay. The log keeps everything. What is
//! left out follows from the conversation alone, so that a run that is taken up says what it said.

use crate::backend::{CallResult, Message, ModelRequest, Part, Said};

/// Fewer than there usually are, so that a guess is rather too long than too short.
const BYTES_PER_TOKEN: usize = 3;
/// Something to look at has no bytes of text; about so many are put down for it.
const MEDIA_BYTES: usize = 3000;
/// The latest results, which are kept while they fit.
const KEPT: usize = 10;
/// So much of a result says what it was.
const BEGINNING: usize = 120;
/// What is no longer than this is not worth leaving out.
const SHORT: usize = 400;

/// What the room is divided by when a backend has counted more than was guessed here.
pub(crate) const SQUEEZES: [usize; 4] = [2, 4, 8, 16];

/// Leaves out the oldest results of tools where a request comes near the end of `context` tokens.
/// `squeeze` divides the room for one that was found too long nevertheless: 1 is all of it. Whether
/// anything is left out now.
pub(crate) fn compact(request: &mut ModelRequest, context: u64, squeeze: usize) -> bool {
    let usable = context.saturating_sub(u64::from(request.max_output_tokens)).max(context / 2);
    let room = usize::try_from(usable).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_TOKEN) / squeeze.max(1);
    let told = request.system_instruction.as_ref().map_or(0, String::len);
    let tools = request.tools.iter().map(|tool| {
        let parameters = tool.parameters.source().to_string().len();
        tool.name.len() + tool.description.as_ref().map_or(0, String::len) + parameters
    });
    leave_out(&mut request.messages, told + tools.sum::<usize>(), room)
}

/// Goes through the conversation as it went, call by call of the model: what was left out for an
/// earlier one stays so, and much is left out at once, so that most prompts go on as they began.
fn leave_out(messages: &mut [Message], fixed: usize, room: usize) -> bool {
    let mut total = fixed;
    let mut results: Vec<usize> = Vec::new();
    // Those before it are left out.
    let mut first = 0;
    let mut changed = false;
    for at in 0..=messages.len() {
        let is_call = messages.get(at).is_none_or(|message| matches!(message, Message::Model(_)));
        if is_call && total > room {
            let latest =
                messages[..at].iter().rev().take_while(|message| matches!(message, Message::Result(_))).count();
            // What the model waits for is shown whatever else is not.
            for kept in [KEPT.max(latest), latest] {
                while total > room / 2 && results.len() - first > kept {
                    total -= shorten(&mut messages[results[first]], &mut changed);
                    first += 1;
                }
                if total <= room {
                    break;
                }
            }
        }
        if let Some(message) = messages.get(at) {
            total += size(message);
            if matches!(message, Message::Result(_)) {
                results.push(at);
            }
        }
    }
    changed
}

/// How many bytes fewer it has.
fn shorten(message: &mut Message, changed: &mut bool) -> usize {
    let Message::Result(CallResult { text, .. }) = message else { return 0 };
    if text.len() <= SHORT {
        return 0;
    }
    let length = text.len();
    let beginning = text[..text.floor_char_boundary(BEGINNING)].trim_end();
    *text = format!(
        "(This result is left out here, since the conversation is long. It had {length} bytes, and began: \
         {beginning} …)"
    );
    *changed = true;
    length.saturating_sub(text.len())
}

fn size(message: &Message) -> usize {
    match message {
        Message::User(parts) => parts.iter().map(size_of_part).sum(),
        Message::Model(turn) => turn.said.iter().map(size_of_said).sum(),
        Message::Result(result) => result.text.len(),
    }
}

fn size_of_part(part: &Part) -> usize {
    match part {
        Part::Text(text) => text.len(),
        Part::Media(_) => MEDIA_BYTES,
    }
}

fn size_of_said(said: &Said) -> usize {
    match said {
        Said::Thought(thought) => thought.text.len(),
        Said::Text(text) => text.len(),
        Said::Picture(_) => MEDIA_BYTES,
        Said::Call(call) => call.name.len() + serde_json::to_string(&call.arguments).map_or(0, |json| json.len()),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;
    use crate::backend::{Call, ModelTurn};

    fn call(id: usize) -> Said {
        Said::Call(Call { id: id.to_string(), name: "look".to_owned(), arguments: Map::new() })
    }

    fn result(id: usize, bytes: usize) -> Message {
        let text = format!("{id}:{}", "x".repeat(bytes));
        Message::Result(CallResult { call_id: id.to_string(), name: "look".to_owned(), text, is_error: false })
    }

    /// A task, and then a turn with one call for each size.
    fn run(sizes: &[usize]) -> Vec<Message> {
        let mut messages = vec![Message::user("The task.")];
        for (id, bytes) in sizes.iter().enumerate() {
            messages.push(Message::Model(ModelTurn { said: vec![call(id)], trace: None }));
            messages.push(result(id, *bytes));
        }
        messages
    }

    fn is_whole(message: &Message) -> bool {
        !matches!(message, Message::Result(result) if result.text.starts_with("(This result is left out"))
    }

    #[test]
    fn the_oldest_results_are_left_out_and_say_so() {
        let mut messages = run(&[1000; 30]);
        let whole = messages.clone();
        assert!(leave_out(&mut messages, 0, 20_000));
        assert_eq!(messages[0], whole[0], "the task stays");
        let left: Vec<_> = messages.iter().map(is_whole).collect();
        let first = left.iter().rposition(|whole| !whole).unwrap();
        assert!(messages[first + 1..] == whole[first + 1..], "all after the last one left out is as it was");
        assert!(left[left.len() - 20..].iter().all(|whole| *whole), "the last ten results stay");
        let Message::Result(result) = &messages[2] else { panic!() };
        let expected =
            "(This result is left out here, since the conversation is long. It had 1002 bytes, and began: 0:xx";
        assert!(result.text.starts_with(expected), "{}", result.text);
        assert!(messages.iter().map(size).sum::<usize>() <= 20_000);
    }

    #[test]
    fn a_result_that_the_model_waits_for_is_never_left_out() {
        let mut messages = run(&[1000, 1000, 50_000]);
        leave_out(&mut messages, 0, 3000);
        assert_eq!(messages.iter().map(is_whole).collect::<Vec<_>>(), [true, true, false, true, false, true, true]);
        let mut short = run(&[10; 200]);
        assert!(!leave_out(&mut short, 0, 100), "nothing is to be won by leaving out what is short");
    }

    proptest! {
        /// What was said to the model before is said again, and the run is as long as it was.
        #[test]
        fn what_was_left_out_stays_left_out(
            sizes in proptest::collection::vec(0..3000_usize, 1..40),
            room in 1000..20_000_usize,
        ) {
            let mut before: Option<Vec<Message>> = None;
            for turns in 1..=sizes.len() {
                let whole = run(&sizes[..turns]);
                let mut messages = whole.clone();
                leave_out(&mut messages, 0, room);
                prop_assert_eq!(messages.len(), whole.len());
                let mut again = messages.clone();
                prop_assert!(!leave_out(&mut again, 0, room));
                for (before, now) in before.iter().flatten().zip(&messages) {
                    prop_assert!(is_whole(before) || before == now);
                }
                prop_assert!(is_whole(messages.last().unwrap()));
                before = Some(messages);
            }
        }
    }
}
