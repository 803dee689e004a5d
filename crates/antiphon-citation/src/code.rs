//! Where the shown text is code, told character by character: fences and inline code.
//!
//! Inline code ends with its line at the latest. Markdown lets it go on for a paragraph, but whether a lone
//! backtick opens code would then be known only at that paragraph's end.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Prose,
    Inline,
    Fenced,
}

#[derive(Debug)]
pub(crate) struct Code {
    state: State,
    /// Whether nothing but white space and marks of quotation stands in this line.
    line_start: bool,
    /// Whether a backslash takes its meaning from the next character.
    escaped: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Prose,
    /// A run of backticks or tildes, whose length decides what it opens.
    Opening {
        mark: char,
        count: usize,
        line_start: bool,
    },
    /// The line of an opening fence.
    FenceLine {
        mark: char,
        count: usize,
    },
    Inline {
        count: usize,
        run: usize,
    },
    /// `run` counts the marks at the beginning of a line, while it holds nothing else.
    Fence {
        mark: char,
        count: usize,
        run: Option<usize>,
    },
}

impl Default for Code {
    fn default() -> Self {
        Self { state: State::Prose, line_start: true, escaped: false }
    }
}

impl Code {
    /// Where `next` would stand.
    pub(crate) fn place(&self, next: char) -> Place {
        match self.state {
            State::Prose => Place::Prose,
            State::Opening { mark, count, line_start } if next != mark => match opened(mark, count, line_start) {
                State::FenceLine { .. } | State::Fence { .. } => Place::Fenced,
                State::Inline { .. } if next != '\n' => Place::Inline,
                State::Inline { .. } | State::Prose | State::Opening { .. } => Place::Prose,
            },
            // Part of the run: whatever it opens, no marker begins here.
            State::Opening { .. } => Place::Prose,
            State::Inline { count, run } if run == count && next != '`' => Place::Prose,
            State::Inline { .. } => Place::Inline,
            State::FenceLine { .. } | State::Fence { .. } => Place::Fenced,
        }
    }

    /// Takes note of a shown character.
    pub(crate) fn shown(&mut self, next: char) {
        if let State::Opening { mark, count, line_start } = self.state
            && next != mark
        {
            self.state = opened(mark, count, line_start);
        }
        if let State::Inline { count, run } = self.state
            && run == count
            && next != '`'
        {
            self.state = State::Prose;
        }
        self.state = match self.state {
            State::Prose if next == '`' && !self.escaped => {
                State::Opening { mark: '`', count: 1, line_start: self.line_start }
            }
            State::Prose if next == '~' && self.line_start => State::Opening { mark: '~', count: 1, line_start: true },
            State::Prose => State::Prose,
            State::Opening { mark, count, line_start } => State::Opening { mark, count: count + 1, line_start },
            State::FenceLine { mark, count } if next == '\n' => State::Fence { mark, count, run: Some(0) },
            // A fence of backticks has none in its first line: this is inline code.
            State::FenceLine { mark: '`', count } if next == '`' => State::Inline { count, run: 1 },
            State::FenceLine { mark, count } => State::FenceLine { mark, count },
            State::Inline { .. } if next == '\n' => State::Prose,
            State::Inline { count, run } => State::Inline { count, run: if next == '`' { run + 1 } else { 0 } },
            State::Fence { mark, count, run } => match run {
                Some(run) if next == '\n' && run >= count => State::Prose,
                _ if next == '\n' => State::Fence { mark, count, run: Some(0) },
                Some(run) if next == mark => State::Fence { mark, count, run: Some(run + 1) },
                Some(run) if next.is_whitespace() || (run == 0 && next == '>') => {
                    State::Fence { mark, count, run: Some(run) }
                }
                _ => State::Fence { mark, count, run: None },
            },
        };
        self.escaped = next == '\\' && !self.escaped;
        self.line_start = next == '\n' || (self.line_start && (next.is_whitespace() || next == '>'));
    }
}

fn opened(mark: char, count: usize, line_start: bool) -> State {
    match mark {
        _ if line_start && count >= 3 => State::FenceLine { mark, count },
        '`' => State::Inline { count, run: 0 },
        _ => State::Prose,
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Place};

    /// Each character's place: prose, inline, fenced.
    fn places(text: &str) -> String {
        let mut code = Code::default();
        let place = |next| {
            let place = code.place(next);
            code.shown(next);
            match place {
                Place::Prose => 'p',
                Place::Inline => 'i',
                Place::Fenced => 'f',
            }
        };
        text.chars().map(place).collect()
    }

    #[test]
    fn code_is_told_from_prose() {
        for (text, expected) in [
            ("a `b` c", "pppiipp"),
            ("``a`b`` c", "ppiiiiipp"),
            ("`a\nb", "piip"),
            ("\\`a`", "pppp"),
            ("```r\na\n```\nb", "pppffffffffp"),
            ("~~~\n```\n~~~\nb", "pppfffffffffp"),
            ("```a``` b", "pppffiipp"),
            ("~a", "pp"),
        ] {
            assert_eq!(places(text), expected, "{text:?}");
        }
    }
}
