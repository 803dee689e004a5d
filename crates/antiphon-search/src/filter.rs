//! Choosing documents by their metadata: `author = "x" AND (year >= 2020 OR draft = 0)`.
//!
//! The language is a part of AIP-160. As there, `OR` binds closer than `AND`, two
//! comparisons beside one another are both wanted, and `-` is another `NOT`. Left out are
//! functions, fields of fields and wildcards; they are refused.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

const MOST_BYTES: usize = 4096;
const MOST_DEPTH: usize = 32;
const MOST_COMPARISONS: usize = 128;

/// What a document says under one key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetadataValue {
    Number(f64),
    Text(String),
    /// A comparison holds if it does for any of them.
    Texts(Vec<String>),
}

/// A filter that was understood whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Condition);

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Has(String),
    Compare(String, Operator, Literal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
struct Literal {
    text: String,
    number: Option<f64>,
}

/// Why a filter is refused: where, what was expected and what came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {message}")]
pub struct FilterError {
    /// From 1.
    pub position: usize,
    pub message: String,
}

impl Filter {
    /// # Errors
    /// Where and why the text is no filter: at most 4,096 bytes, 32 levels of parentheses
    /// and 128 comparisons.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > MOST_BYTES {
            let message = format!("expected at most {MOST_BYTES} bytes, found {}", text.len());
            return Err(FilterError { position: 1, message });
        }
        let mut parser = Parser { tokens: tokens(text)?, at: 0, end: text.chars().count() + 1, comparisons: 0 };
        let condition = parser.all(0)?;
        match parser.tokens.get(parser.at) {
            None => Ok(Self(condition)),
            Some(token) if token.kind == Kind::Close => Err(token.wrong("this `)` closes nothing")),
            Some(token) => Err(token.wrong(format!("expected `AND` or `OR`, found {}", token.kind))),
        }
    }

    /// Whether a document is chosen. A key that it does not have compares to nothing, so
    /// `=` does not hold for it, and `!=` does.
    pub fn matches(&self, metadata: &BTreeMap<String, MetadataValue>) -> bool {
        self.0.holds(metadata)
    }
}

impl Condition {
    fn holds(&self, metadata: &BTreeMap<String, MetadataValue>) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(metadata)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(metadata)),
            Self::Not(condition) => !condition.holds(metadata),
            Self::Has(key) => metadata.contains_key(key),
            Self::Compare(key, Operator::NotEqual, literal) => {
                !metadata.get(key).is_some_and(|value| compare(value, Operator::Equal, literal))
            }
            Self::Compare(key, operator, literal) => {
                metadata.get(key).is_some_and(|value| compare(value, *operator, literal))
            }
        }
    }
}

/// Numbers are compared as numbers, and texts letter by letter: dates in ISO 8601 are then in
/// their order.
fn compare(value: &MetadataValue, operator: Operator, literal: &Literal) -> bool {
    let fits = |ordering: Ordering| match operator {
        Operator::Equal => ordering.is_eq(),
        Operator::NotEqual => ordering.is_ne(),
        Operator::Less => ordering.is_lt(),
        Operator::LessOrEqual => ordering.is_le(),
        Operator::Greater => ordering.is_gt(),
        Operator::GreaterOrEqual => ordering.is_ge(),
    };
    match value {
        MetadataValue::Number(number) => {
            literal.number.and_then(|literal| number.partial_cmp(&literal)).is_some_and(fits)
        }
        MetadataValue::Text(text) => fits(text.as_str().cmp(&literal.text)),
        MetadataValue::Texts(texts) => texts.iter().any(|text| fits(text.as_str().cmp(&literal.text))),
    }
}

struct Token {
    kind: Kind,
    position: usize,
}

#[derive(Clone, PartialEq)]
enum Kind {
    Open,
    Close,
    Minus,
    Operator(Operator),
    Colon,
    Quoted(String),
    Word(String),
}

impl Token {
    fn wrong(&self, message: impl Into<String>) -> FilterError {
        FilterError { position: self.position, message: message.into() }
    }

    fn is(&self, keyword: &str) -> bool {
        matches!(&self.kind, Kind::Word(word) if word == keyword)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => formatter.write_str("`(`"),
            Self::Close => formatter.write_str("`)`"),
            Self::Minus => formatter.write_str("`-`"),
            Self::Operator(_) => formatter.write_str("a comparison"),
            Self::Colon => formatter.write_str("`:`"),
            Self::Quoted(_) => formatter.write_str("a text in quotes"),
            Self::Word(word) => write!(formatter, "`{}`", crate::plain::line(word, 40)),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut characters = text.chars().zip(1..).peekable();
    while let Some((character, position)) = characters.next() {
        let mut follows_equal = || characters.next_if(|(next, _)| *next == '=').is_some();
        let kind = match character {
            _ if character.is_whitespace() => continue,
            '(' => Kind::Open,
            ')' => Kind::Close,
            ':' => Kind::Colon,
            '=' => {
                follows_equal();
                Kind::Operator(Operator::Equal)
            }
            '<' if follows_equal() => Kind::Operator(Operator::LessOrEqual),
            '<' => Kind::Operator(Operator::Less),
            '>' if follows_equal() => Kind::Operator(Operator::GreaterOrEqual),
            '>' => Kind::Operator(Operator::Greater),
            '!' if follows_equal() => Kind::Operator(Operator::NotEqual),
            '"' | '\'' => {
                let mut quoted = String::new();
                loop {
                    match characters.next() {
                        Some((next, _)) if next == character => break,
                        Some(('\\', _)) => quoted.extend(characters.next().map(|(next, _)| next)),
                        Some((next, _)) => quoted.push(next),
                        None => return Err(FilterError { position, message: "this quote is not closed".to_owned() }),
                    }
                }
                Kind::Quoted(quoted)
            }
            '-' if !characters.peek().is_some_and(|(next, _)| next.is_ascii_digit() || *next == '.') => Kind::Minus,
            _ if is_word(character) => {
                let mut word = String::from(character);
                while let Some((next, _)) = characters.next_if(|(next, _)| is_word(*next)) {
                    word.push(next);
                }
                Kind::Word(word)
            }
            _ => {
                let message = format!("`{}` has no meaning here", character.escape_debug());
                return Err(FilterError { position, message });
            }
        };
        tokens.push(Token { kind, position });
    }
    Ok(tokens)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '+')
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// Where the text ends.
    end: usize,
    comparisons: usize,
}

impl Parser {
    fn all(&mut self, depth: usize) -> Result<Condition, FilterError> {
        let mut conditions = vec![self.any(depth)?];
        while let Some(token) = self.tokens.get(self.at) {
            if token.is("AND") {
                self.at += 1;
            } else if token.kind == Kind::Close || token.is("OR") {
                break;
            }
            conditions.push(self.any(depth)?);
        }
        Ok(one_or(conditions, Condition::All))
    }

    fn any(&mut self, depth: usize) -> Result<Condition, FilterError> {
        let mut conditions = vec![self.term(depth)?];
        while self.tokens.get(self.at).is_some_and(|token| token.is("OR")) {
            self.at += 1;
            conditions.push(self.term(depth)?);
        }
        Ok(one_or(conditions, Condition::Any))
    }

    fn term(&mut self, depth: usize) -> Result<Condition, FilterError> {
        let Some(token) = self.tokens.get(self.at) else { return Err(self.ended("a comparison")) };
        if depth >= MOST_DEPTH {
            return Err(token.wrong(format!("expected at most {MOST_DEPTH} levels")));
        }
        if token.is("NOT") || token.kind == Kind::Minus {
            self.at += 1;
            return Ok(Condition::Not(Box::new(self.term(depth + 1)?)));
        }
        if token.kind != Kind::Open {
            return self.comparison();
        }
        let opened = token.position;
        self.at += 1;
        let condition = self.all(depth + 1)?;
        if self.tokens.get(self.at).is_none_or(|token| token.kind != Kind::Close) {
            return Err(FilterError { position: opened, message: "this `(` is not closed".to_owned() });
        }
        self.at += 1;
        Ok(condition)
    }

    fn comparison(&mut self) -> Result<Condition, FilterError> {
        self.comparisons += 1;
        let (key, position) = match self.next() {
            None => return Err(self.ended("a key")),
            Some(token) => match &token.kind {
                Kind::Word(word) if matches!(word.as_str(), "AND" | "OR" | "NOT") => {
                    return Err(token.wrong(format!("expected a comparison, found `{word}`")));
                }
                Kind::Word(key) | Kind::Quoted(key) => (key.clone(), token.position),
                other => return Err(token.wrong(format!("expected a key, found {other}"))),
            },
        };
        if self.comparisons > MOST_COMPARISONS {
            let message = format!("expected at most {MOST_COMPARISONS} comparisons");
            return Err(FilterError { position, message });
        }
        let operator = match self.next() {
            Some(Token { kind: Kind::Operator(operator), .. }) => Some(*operator),
            Some(Token { kind: Kind::Colon, .. }) => None,
            Some(token) => {
                let what = "one of `=`, `!=`, `<`, `<=`, `>`, `>=`, `:`";
                return Err(token.wrong(format!("expected {what}, found {}", token.kind)));
            }
            None => return Err(self.ended("one of `=`, `!=`, `<`, `<=`, `>`, `>=`, `:`")),
        };
        let literal = match self.next() {
            None => return Err(self.ended("a value")),
            Some(token) => match &token.kind {
                Kind::Quoted(text) => Literal::new(text),
                Kind::Word(word) if matches!(word.as_str(), "AND" | "OR" | "NOT") => {
                    return Err(
                        token.wrong(format!("expected a value, found `{word}`; a text with spaces needs quotes"))
                    );
                }
                Kind::Word(word) => Literal::new(word),
                other => return Err(token.wrong(format!("expected a value, found {other}"))),
            },
        };
        Ok(match operator {
            Some(operator) => Condition::Compare(key, operator, literal),
            None if literal.text == "*" => Condition::Has(key),
            None => Condition::Compare(key, Operator::Equal, literal),
        })
    }

    fn next(&mut self) -> Option<&Token> {
        let token = self.tokens.get(self.at);
        self.at += usize::from(token.is_some());
        token
    }

    fn ended(&self, expected: &str) -> FilterError {
        FilterError { position: self.end, message: format!("expected {expected}, but the filter ends here") }
    }
}

impl Literal {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), number: text.parse().ok().filter(|number: &f64| number.is_finite()) }
    }
}

fn one_or(mut conditions: Vec<Condition>, several: impl FnOnce(Vec<Condition>) -> Condition) -> Condition {
    match conditions.len() {
        1 => conditions.remove(0),
        _ => several(conditions),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn document() -> BTreeMap<String, MetadataValue> {
        let text = |text: &str| MetadataValue::Text(text.to_owned());
        BTreeMap::from([
            ("author".to_owned(), text("Ana Lima")),
            ("year".to_owned(), MetadataValue::Number(2021.0)),
            ("date".to_owned(), text("2021-05-03")),
            ("tags".to_owned(), MetadataValue::Texts(vec!["red".to_owned(), "blue".to_owned()])),
        ])
    }

    #[test]
    fn filters_choose() {
        let check = |filter: &str, expected| {
            assert_eq!(Filter::parse(filter).unwrap().matches(&document()), expected, "{filter}");
        };
        check(r#"author = "Ana Lima""#, true);
        check(r#"author="Ana Lima" AND year>=2020"#, true);
        check("author = 'Ana'", false);
        check("author != Ana", true);
        check("year = 2021.0", true);
        check("year = \"2021\"", true);
        check("year > -5", true);
        check("year < abc", false);
        check("date > 2021-01-01 AND date < 2022", true);
        check("missing = 1", false);
        check("missing != 1", true);
        check("NOT missing = 1", true);
        check("-year = 2021", false);
        check("tags : red tags : blue", true);
        check("tags : green", false);
        check("tags != red", false);
        check("year : \"*\"", true);
        check("missing : \"*\"", false);
        // `OR` first: with `AND` first it would be true.
        check("year = 1 AND tags = red OR year = 2021", false);
        check("year = 2021 OR tags = green AND year = 1", false);
        check("(year = 1 AND tags = red) OR year = 2021", true);
        check("NOT (year = 1 OR author = x)", true);
        check(r#""author" = "Ana\u Lima""#, false);
    }

    #[test]
    fn what_is_no_filter_is_refused_by_its_place() {
        let check = |filter: &str, expected: &str| {
            assert_eq!(Filter::parse(filter).unwrap_err().to_string(), expected, "{filter}");
        };
        check("", "at character 1: expected a comparison, but the filter ends here");
        check("year", "at character 5: expected one of `=`, `!=`, `<`, `<=`, `>`, `>=`, `:`, but the filter ends here");
        check("year = ", "at character 8: expected a value, but the filter ends here");
        check("year = (", "at character 8: expected a value, found `(`");
        check(
            "author = Ana Lima",
            "at character 18: expected one of `=`, `!=`, `<`, `<=`, `>`, `>=`, `:`, but the filter ends here",
        );
        check("(year = 1", "at character 1: this `(` is not closed");
        check("year = 1)", "at character 9: this `)` closes nothing");
        check("year = 1 AND", "at character 13: expected a comparison, but the filter ends here");
        check("AND year = 1", "at character 1: expected a comparison, found `AND`");
        check("a = \"b", "at character 5: this quote is not closed");
        check("a ~ b", "at character 3: `~` has no meaning here");
        check("a = b*", "at character 6: `*` has no meaning here");
        check(&"(".repeat(5000), "at character 1: expected at most 4096 bytes, found 5000");
        check(&"(".repeat(100), "at character 33: expected at most 32 levels");
        check(&"NOT ".repeat(100), "at character 129: expected at most 32 levels");
        check(&"a=1 ".repeat(200), "at character 513: expected at most 128 comparisons");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "(a|=|\"|'|\\(|\\)| AND | OR |NOT |-|1|<|!|:|\\\\|é){0,40}") {
            if let Err(error) = Filter::parse(&text) {
                prop_assert!(error.position >= 1 && error.position <= text.chars().count() + 1);
            }
        }

        #[test]
        fn a_quoted_text_is_compared_as_it_is(text: String) {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assume!(quoted.len() < 4000);
            let filter = Filter::parse(&format!("key = \"{quoted}\"")).unwrap();
            let document = BTreeMap::from([("key".to_owned(), MetadataValue::Text(text))]);
            prop_assert!(filter.matches(&document));
        }
    }
}
