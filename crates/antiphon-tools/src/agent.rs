//! What an agent gets: its tools, and what it is told (spec 06, "Managed agent").

use antiphon_wire::{Error, Tool};

/// Said to the model before all else. What stands here is of no task in particular.
const INSTRUCTION: &str = "\
You are an agent. You do what the user asks yourself, with your tools, in a Linux sandbox.
- One step at a time: call a tool, look at its result, decide what comes next.
- Files are in the current folder and stay there. Paths are relative to it. {reach}
- Run what you write. When something fails, find out why and mend it.
- Say nothing about files or output that a tool has not shown you.
- When all is done, answer the user in words, with what was asked for in full.";

/// The tools of an agent whose request names none.
pub(crate) fn default_tools(has_search: bool) -> Vec<Tool> {
    let search = has_search.then_some(Tool::GoogleSearch {});
    std::iter::once(Tool::CodeExecution {}).chain(search).chain([Tool::UrlContext {}]).collect()
}

/// Those of an agent that researches.
///
/// # Errors
/// Where there is nothing to search in.
pub(crate) fn research_tools(has_search: bool) -> Result<Vec<Tool>, Error> {
    if has_search {
        return Ok(vec![Tool::GoogleSearch {}, Tool::UrlContext {}]);
    }
    let message = "`tools`: no search is configured on this server; research needs one, or a `file_search`";
    Err(Error::precondition(message))
}

/// `reach` says what its programs reach.
pub(crate) fn instruction(reach: &str) -> String {
    INSTRUCTION.replace("{reach}", reach)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the evaluation asks for must not be what the model was told beforehand.
    #[test]
    fn no_word_of_the_tasks_that_measure_is_told_to_the_agent() {
        let words = |text: &str| -> Vec<String> {
            let text = text.to_lowercase();
            text.split(|letter: char| !letter.is_alphabetic()).map(str::to_owned).collect()
        };
        let told = words(INSTRUCTION);
        let tasks = include_str!("../../../evals/tasks.json");
        let inputs: Vec<&str> = tasks.lines().filter_map(|line| line.trim().strip_prefix("\"input\": \"")).collect();
        assert_eq!(inputs.len(), 5);
        // Words of any sentence, and those for what every task here is about.
        let plain = "a all an and are as each from has in is it its one that the them then to what with nothing or";
        let allowed = words(&format!("{plain} files folder write"));
        let guide = "Python script first 20 Fibonacci numbers, saves fibonacci.txt, read, print contents";
        for word in inputs.into_iter().chain([guide]).flat_map(words).filter(|word| !word.is_empty()) {
            assert!(allowed.contains(&word) || !told.contains(&word), "`{word}` is in what the agent is told");
        }
    }
}
