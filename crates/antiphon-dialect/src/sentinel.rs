//! Stand-ins for content while a template is rendered.
//!
//! A sentinel holds a quotation mark and both cases of a letter: a template that escapes,
//! quotes or folds content changes its sentinel and is found out. Only two kinds may be
//! written as JSON: declarations, which are JSON anyway, and results of tools, whose text
//! is quoted in turn then.

const OPEN: char = '\u{F0000}';
const CLOSE: char = '\u{F0001}';

/// What stands where a sentinel stood; the number is that of the turn or of the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The content of a turn.
    Content(usize),
    /// The content of a turn that is a result of a tool.
    Result(usize),
    /// The same, as a JSON string.
    QuotedResult(usize),
    /// The name of the function whose result a turn is.
    Name(usize),
    /// The id of the call whose result a turn is.
    Id(usize),
    /// The declaration of a tool.
    Tool(usize),
}

/// A rendered piece.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Control(String),
    Slot(Slot),
}

impl Slot {
    pub(crate) fn sentinel(self) -> String {
        let (mark, number) = match self {
            Self::Content(turn) => (CONTENT, turn),
            Self::Result(turn) => (RESULT, turn),
            Self::QuotedResult(turn) => (QUOTED_RESULT, turn),
            Self::Name(turn) => (NAME, turn),
            Self::Id(turn) => (ID, turn),
            Self::Tool(tool) => (TOOL, tool),
        };
        format!("{OPEN}{mark}{number}{CLOSE}")
    }

    fn of(inside: &str) -> Option<Self> {
        let number = |mark| inside.strip_prefix(mark).and_then(|number: &str| number.parse().ok());
        number(CONTENT)
            .map(Self::Content)
            .or_else(|| number(RESULT).map(Self::Result))
            .or_else(|| number(QUOTED_RESULT).map(Self::QuotedResult))
            .or_else(|| number(NAME).map(Self::Name))
            .or_else(|| number(ID).map(Self::Id))
            .or_else(|| number(TOOL).map(Self::Tool))
    }
}

const CONTENT: &str = "\"aA";
const RESULT: &str = "\"rR";
const QUOTED_RESULT: &str = "\"qQ";
const NAME: &str = "\"nN";
const ID: &str = "\"iI";
const TOOL: &str = "\"tT";

/// The texts around the sentinels, and what the sentinels stand for, in order.
///
/// # Errors
/// How many sentinels came before one that was altered.
pub(crate) fn split(rendered: &str) -> Result<Vec<Piece>, usize> {
    let mut texts = rendered.split(OPEN);
    let mut pieces: Vec<_> = texts.next().map(|text| Piece::Control(text.to_owned())).into_iter().collect();
    for (intact, text) in texts.enumerate() {
        let (slot, control) =
            text.split_once(CLOSE).and_then(|(inside, control)| Some((Slot::of(inside)?, control))).ok_or(intact)?;
        pieces.extend([Piece::Slot(slot), Piece::Control(control.to_owned())]);
    }
    let closed = |piece: &Piece| matches!(piece, Piece::Control(text) if text.contains(CLOSE));
    if pieces.iter().any(closed) { Err(0) } else { Ok(pieces) }
}

/// JSON in which sentinels of tools stand unquoted, and those of results say that they
/// were quoted.
pub(crate) fn unquote(json: &str) -> String {
    let quoted = |mark: &str| format!("\"{OPEN}\\{mark}");
    let (tool, result) = (quoted(TOOL), quoted(RESULT));
    let mut unquoted = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find(OPEN).and_then(|open| open.checked_sub(1)) {
        let found = rest.get(start..).unwrap_or_default();
        let end = found.find(CLOSE).map(|close| close + CLOSE.len_utf8());
        let mark = [(&tool, TOOL), (&result, QUOTED_RESULT)].into_iter().find(|(quoted, _)| found.starts_with(*quoted));
        let (Some((quoted, mark)), Some(end)) = (mark, end.filter(|&end| found[end..].starts_with('"'))) else {
            let next = start + 1 + OPEN.len_utf8();
            unquoted.push_str(&rest[..next]);
            rest = &rest[next..];
            continue;
        };
        unquoted.push_str(&rest[..start]);
        unquoted.push(OPEN);
        unquoted.push_str(mark);
        unquoted.push_str(&found[quoted.len()..end]);
        rest = &found[end + 1..];
    }
    unquoted + rest
}
