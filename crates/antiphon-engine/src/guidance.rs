//! When a model searches that is not trusted to decide it by itself. Pure.
//!
//! A small model writes about searching instead of doing it, and searches again for what it
//! has read. Where a request's tools do nothing but search, such a model is held to one thing
//! a turn: it searches until something is found, and then it answers.

use antiphon_wire::ServerTool;

use crate::backend::{Calls, ModelRequest};
use crate::tool::OpenTool;

/// A search that found nothing is tried once more in other words.
const MOST_SEARCHES: u32 = 2;

/// Whether every function of a request searches, and the model may choose.
pub(crate) fn applies(request: &ModelRequest, tools: &[OpenTool]) -> bool {
    let searches = |tool: &OpenTool| matches!(tool.kind, Some(ServerTool::GoogleSearch | ServerTool::FileSearch));
    !request.is_agent
        && request.calls == Calls::Allowed
        && request.tools.len() == tools.len()
        && tools.iter().all(searches)
}

/// What the next turn may do, after so many; `found`: whether any of them has found something.
pub(crate) fn calls(turns: u32, found: bool) -> Calls {
    if turns == 0 || !found && turns < MOST_SEARCHES { Calls::Required } else { Calls::None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_searches_until_something_is_found_and_at_most_twice() {
        let turns = |found: bool| (0..4).map(|turn| calls(turn, found && turn > 0)).collect::<Vec<_>>();
        assert_eq!(turns(true), [Calls::Required, Calls::None, Calls::None, Calls::None]);
        assert_eq!(turns(false), [Calls::Required, Calls::Required, Calls::None, Calls::None]);
    }
}
