//! Programs that a model writes as code blocks, as calls of `code_execution`.
//!
//! Small models that write code well write calls badly, above all the quotes and line ends of
//! code inside of JSON. An agent's model may answer with nothing but a block instead.

use antiphon_dialect::Output;
use serde_json::Value;

/// The tool that runs programs.
pub(crate) const TOOL: &str = "code_execution";

/// The tool that reads pages, by their addresses.
pub(crate) const PAGES: &str = "url_context";

/// The tool that searches the web.
const SEARCH: &str = "google_search";

/// How a task asks for a search, in the languages that the default model speaks best.
const SEARCHING: [&str; 16] = [
    "search", "google", "internet", "online", " web", "look up", "find out", "news", "latest", "pesquis", "procur",
    "busca", "notícia", "noticia", "recherch", "suche",
];

/// What a program does as well.
const REPLACED: [&str; 8] =
    [TOOL, "read_file", "write_file", "edit_file", "delete_file", "list_files", "find_files", "grep_files"];

/// Whether a model that writes programs needs no such function.
pub(crate) fn replace(function: &str) -> bool {
    REPLACED.contains(&function)
}

/// Whether these are the tools of every agent, so that nobody asked for one of them.
pub(crate) fn are_standing<'a>(mut functions: impl Iterator<Item = &'a str>) -> bool {
    functions.all(|function| function == SEARCH || function == PAGES || replace(function))
}

/// Whether a model that writes programs is to be told of the function, for what the user asked and what was said in
/// all. Told of a function in vain, it
/// calls it from inside of its programs, or makes up an address.
pub(crate) fn serves(function: &str, are_standing: bool, asked: &str, said: &str) -> bool {
    match function {
        SEARCH => {
            let asked = asked.to_lowercase();
            !are_standing || SEARCHING.iter().any(|word| asked.contains(word))
        }
        PAGES => said.contains("http://") || said.contains("https://"),
        function => !replace(function),
    }
}

const FENCE: &str = "```";
const CLOSING: &str = "\n```";
/// The longest line that may begin a block.
const LONGEST_HEAD: usize = 32;

/// Reads the text of one answer.
#[derive(Default)]
pub(crate) struct Blocks {
    state: State,
    held: String,
    /// Whether any of the code was given out.
    begun: bool,
    cut: bool,
}

#[derive(Default, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far, or the beginning of a block.
    #[default]
    Start,
    Text,
    Code,
    /// The block is closed; nothing after it counts.
    Over,
}

impl Blocks {
    pub(crate) fn push(&mut self, text: &str) -> Vec<Output> {
        match self.state {
            State::Text => return vec![Output::Text(text.to_owned())],
            State::Over => {
                self.cut |= !text.trim().is_empty();
                return Vec::new();
            }
            State::Start | State::Code => self.held.push_str(text),
        }
        if self.state == State::Code {
            return self.code();
        }
        let said = self.held.trim_start();
        if FENCE.starts_with(said) || said.starts_with(FENCE) && !said.contains('\n') && said.len() <= LONGEST_HEAD {
            return Vec::new();
        }
        let Some(language) = language(said) else {
            self.state = State::Text;
            return vec![Output::Text(std::mem::take(&mut self.held))];
        };
        let code = said.split_once('\n').map(|(_, code)| code.to_owned()).unwrap_or_default();
        self.state = State::Code;
        // What closes a block stands on a line of its own, also the first.
        self.held = format!("\n{code}");
        self.begun = false;
        let mut outputs = vec![
            Output::CallStarted { name: TOOL.to_owned() },
            Output::CallArguments(format!("{{\"language\":\"{language}\",\"code\":\"")),
        ];
        outputs.extend(self.code());
        outputs
    }

    /// The answer has ended; `whole` if the model ended it.
    pub(crate) fn finish(&mut self, whole: bool) -> Vec<Output> {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Start if !held.is_empty() => vec![Output::Text(held)],
            // A block that is left open is whole all the same.
            State::Code if whole => {
                self.state = State::Over;
                vec![Output::CallArguments(format!("{}\"}}", self.escaped(&held))), Output::CallEnded]
            }
            State::Start | State::Text | State::Code | State::Over => Vec::new(),
        }
    }

    /// Whether nothing of the answer counts any more.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Whether something was said that does not count.
    pub(crate) fn has_cut(&self) -> bool {
        self.cut
    }

    /// The code that is certain to be some, and the end of the call where it is closed.
    fn code(&mut self) -> Vec<Output> {
        if let Some(at) = self.held.find(CLOSING) {
            let after = self.held.split_off(at);
            self.cut = !after[CLOSING.len()..].trim().is_empty();
            self.state = State::Over;
            let code = std::mem::take(&mut self.held);
            return vec![Output::CallArguments(format!("{}\"}}", self.escaped(&code))), Output::CallEnded];
        }
        let open = (0..CLOSING.len()).rev().find(|length| self.held.ends_with(&CLOSING[..*length])).unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - open);
        let code = std::mem::replace(&mut self.held, rest);
        if code.is_empty() { Vec::new() } else { vec![Output::CallArguments(self.escaped(&code))] }
    }

    /// As it stands inside of a JSON string, without the line end before the first line.
    fn escaped(&mut self, code: &str) -> String {
        let code = if self.begun { code } else { code.strip_prefix('\n').unwrap_or(code) };
        self.begun = true;
        let quoted = Value::from(code).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    }
}

/// What the block is written in; none if it is no program.
fn language(said: &str) -> Option<&'static str> {
    let head = said.strip_prefix(FENCE)?.split('\n').next()?.trim();
    match head {
        "python" | "python3" | "py" => Some("python"),
        "bash" | "sh" | "shell" => Some("bash"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The text, and the arguments of the call, of an answer that comes in these pieces.
    fn read<'a>(pieces: impl Iterator<Item = &'a str>) -> (String, Option<Value>) {
        let mut blocks = Blocks::default();
        let mut outputs: Vec<_> = pieces.flat_map(|piece| blocks.push(piece)).collect();
        outputs.extend(blocks.finish(true));
        let (mut text, mut arguments) = (String::new(), String::new());
        for output in outputs {
            match output {
                Output::Text(more) => text.push_str(&more),
                Output::CallArguments(more) => arguments.push_str(&more),
                _ => {}
            }
        }
        (text, (!arguments.is_empty()).then(|| serde_json::from_str(&arguments).expect("arguments are JSON")))
    }

    #[test]
    fn an_agents_own_tools_are_told_of_where_the_task_needs_them() {
        let standing = ["code_execution", "read_file", "google_search", "url_context"];
        assert!(are_standing(standing.into_iter()));
        assert!(!are_standing(standing.into_iter().chain(["book_table"])));
        let told = |function: &str, said: &str| serves(function, true, said, said);
        assert!(told("google_search", "Search for the highest mountain"));
        assert!(told("google_search", "Pesquisa a altura da serra"));
        assert!(!told("google_search", "Sort the lines of files such as a.txt"));
        assert!(!serves("google_search", true, "Sort", "what a file says of a search"));
        assert!(serves("google_search", false, "Sort", "Sort"), "somebody asked for it");
        assert!(told("url_context", "Read http://example.com/a"));
        assert!(!told("url_context", "Read example.com"));
        assert!(!told("write_file", "Write a.txt"));
        assert!(serves("book_table", false, "Sort", "Sort"));
    }

    #[test]
    fn a_block_is_a_call_and_nothing_else_is() {
        let python = |code: &str| Some(json!({"language": "python", "code": code}));
        let check = |answer: &str, text: &str, call: Option<Value>| {
            assert_eq!(read([answer].into_iter()), (text.to_owned(), call), "{answer:?}");
        };
        check("```python\nprint('a\\n')\n```", "", python("print('a\\n')"));
        check("\n ```py\nx = \"1\"\n```\nThis prints nothing.", "", python("x = \"1\""));
        check("```sh\nls\n```", "", Some(json!({"language": "bash", "code": "ls"})));
        check("```python\nprint(1)", "", python("print(1)"));
        check("```python\n```", "", python(""));
        check("```\n1\n2\n```", "```\n1\n2\n```", None);
        check("```json\n{}\n```", "```json\n{}\n```", None);
        check("The numbers:\n```python\n1\n```", "The numbers:\n```python\n1\n```", None);
        check("``", "``", None);
        check("", "", None);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_pieces_end(
            answer in "(```python\n)?[a`\n\"é\\\\]{0,20}(\n```)?[a`\n]{0,4}", cuts in proptest::collection::vec(0usize..40, 0..6),
        ) {
            let mut at: Vec<_> = cuts.into_iter().filter(|cut| answer.is_char_boundary(*cut)).collect();
            at.extend([0, answer.len()]);
            at.sort_unstable();
            let pieces = at.windows(2).filter_map(|pair| answer.get(pair[0]..pair[1]));
            prop_assert_eq!(read(pieces), read([answer.as_str()].into_iter()));
        }
    }
}
