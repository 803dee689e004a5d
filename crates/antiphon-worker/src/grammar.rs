//! Grammars that runs are kept to.
//!
//! [`Grammars`] compiles a [`Constraint`] against a vocabulary, and the [`Guide`] that comes out
//! goes along with one run: it says which tokens may come next, and sees to it that the run does
//! not use up its budget in the middle of a structure. The engine is llguidance, called directly.
//!
//! Grammars are bounded in size, and what they cost at each token is bounded by the engine: one
//! that costs too much is refused.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::thread;

use llguidance::api::{StopReason, TopLevelGrammar};
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{
    ApproximateTokEnv, INVALID_TOKEN, InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie,
};
use llguidance::{Matcher, ParserFactory};

use crate::closing::{Closers, Closing, LONGEST, Trail};
use crate::protocol::{Constraint, Token};
use crate::vocabulary::Vocabulary;

/// The most bytes that grammar and markers may have together.
const MAX_SIZE: usize = 1 << 20;

/// The most rules and brackets, as the engine reads and compiles each inside the one before.
const MAX_LEVELS: usize = 4096;

/// What that many levels need, with a margin. Only what is used of it takes memory.
const STACK: usize = 256 << 20;

/// The most tokens that the searches of one run may walk through before it is left to its budget: what closes
/// after a few dozen tokens never comes near.
const MOST_SEARCHED: usize = 20_000;

/// The most searches in a row that may find nothing. What does not fit now hardly fits later: each token makes the
/// way shorter by one at most. But a search may fail inside a character or an escape.
const MOST_FAILED: usize = 6;

/// The longest explanation of a refusal, in characters: the engine likes to quote whole grammars.
const MAX_MESSAGE: usize = 300;

/// Compiles constraints for one vocabulary.
pub struct Grammars {
    vocabulary: Arc<dyn Vocabulary>,
    engine: OnceLock<Result<Arc<Engine>, String>>,
}

/// What all grammars over one vocabulary share.
struct Engine {
    factory: ParserFactory,
    tokens: TokEnv,
    closers: Closers,
}

impl fmt::Debug for Grammars {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Grammars").finish_non_exhaustive()
    }
}

impl Grammars {
    #[must_use]
    pub fn new(vocabulary: Arc<dyn Vocabulary>) -> Self {
        Self { vocabulary, engine: OnceLock::new() }
    }

    /// Sorts the vocabulary, which takes up to a second, so that the first constraint need not
    /// wait for it.
    pub fn warm(&self) {
        // If it fails, every constraint says so.
        let _ = self.engine();
    }

    /// Makes the guide of a new run.
    ///
    /// # Errors
    /// Why the constraint cannot be used: too long, not a grammar, too complex, or nothing
    /// satisfies it.
    pub fn compile(&self, constraint: &Constraint) -> Result<Guide, String> {
        let Constraint { grammar, markers } = constraint;
        let size = grammar.len() + markers.iter().map(String::len).sum::<usize>();
        if size > MAX_SIZE {
            return Err(format!("the grammar has {size} bytes, at most {MAX_SIZE} are allowed"));
        }
        let levels = levels(grammar) + markers.len();
        if levels > MAX_LEVELS {
            return Err(format!("the grammar has {levels} rules and brackets, at most {MAX_LEVELS} are allowed"));
        }
        let engine = self.engine()?;
        let mut grammar = grammar.clone();
        let mut spelled = Vec::new();
        for (index, text) in markers.iter().enumerate() {
            let (symbol, tokens) = self.marker(text);
            grammar.push_str(&format!("\nmarker_{index}: {symbol}"));
            spelled.push(tokens);
        }
        let start = || Guide::start(Arc::clone(engine), grammar, spelled);
        thread::scope(|scope| {
            let compiled = thread::Builder::new()
                .name("grammar".to_owned())
                .stack_size(STACK)
                .spawn_scoped(scope, start)
                .map_err(|error| format!("the thread that compiles grammars could not start: {error}"))?;
            compiled.join().unwrap_or_else(|_| Err("the grammar cannot be compiled".to_owned()))
        })
    }

    /// What stands for a marker in the grammar, and its tokens.
    fn marker(&self, text: &str) -> (String, Vec<Token>) {
        let tokens = self.vocabulary.tokenize(text, true);
        let symbol = match tokens[..] {
            [token] if self.vocabulary.is_special(token) => format!("<[{token}]>"),
            _ => serde_json::Value::from(text).to_string(),
        };
        (symbol, tokens)
    }

    fn engine(&self) -> Result<&Arc<Engine>, String> {
        self.engine.get_or_init(|| Engine::new(&*self.vocabulary).map(Arc::new)).as_ref().map_err(Clone::clone)
    }
}

impl Engine {
    fn new(vocabulary: &dyn Vocabulary) -> Result<Self, String> {
        let words: Vec<Vec<u8>> = (0..vocabulary.size()).map(|token| word(vocabulary, token)).collect();
        let ends: Vec<Token> = (0..vocabulary.size()).filter(|token| vocabulary.is_end(*token)).collect();
        let mut trie = TokTrie::from(&TokRxInfo::new(vocabulary.size(), INVALID_TOKEN), &words);
        if !ends.is_empty() {
            trie = trie.with_eos_tokens(&ends);
        }
        // Not canonical: forced text is a matter of few tokens, and the model knows best which.
        let tokens: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let slices = SlicedBiasComputer::general_slices();
        let mut factory =
            ParserFactory::new(&tokens, InferenceCapabilities::default(), &slices).map_err(|error| brief(&error))?;
        factory.quiet();
        // They would quote the whole grammar and all that was generated.
        factory.limits_mut().verbose_errors = false;
        Ok(Self { factory, tokens, closers: Closers::new(&words) })
    }
}

/// The bytes of a token as the engine wants them: control tokens begin with a byte that is in no
/// text.
fn word(vocabulary: &dyn Vocabulary, token: Token) -> Vec<u8> {
    const CONTROL: u8 = TokTrie::SPECIAL_TOKEN_MARKER;
    if vocabulary.is_special(token) || vocabulary.is_end(token) {
        return [&[CONTROL], &*vocabulary.piece(token, true)].concat();
    }
    let word = vocabulary.piece(token, false);
    if word.len() > 1 && word[0] == CONTROL { Vec::new() } else { word }
}

/// How many rules and brackets a grammar has outside of strings, regular expressions and JSON.
fn levels(grammar: &str) -> usize {
    let mut rest = grammar.as_bytes();
    let mut levels = 0;
    // Inside how many braces of JSON.
    let mut json = 0usize;
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'"' => rest = behind(rest, b'"'),
            b'{' if json > 0 => json += 1,
            b'}' if json > 0 => json -= 1,
            _ if json > 0 => {}
            b'%' if rest.starts_with(b"json") || rest.starts_with(b"regex") => {
                let body = rest.iter().position(|byte| *byte == b'{').map_or(rest.len(), |brace| brace + 1);
                rest = &rest[body..];
                json = 1;
            }
            b'#' => rest = behind_line(rest),
            b'/' if rest.starts_with(b"/") => rest = behind_line(rest),
            b'/' => rest = behind(rest, b'/'),
            b'(' | b'[' | b'{' | b':' => levels += 1,
            _ => {}
        }
    }
    levels
}

/// What comes after the next `end` that no backslash precedes.
fn behind(text: &[u8], end: u8) -> &[u8] {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += if *byte == b'\\' { 2 } else { 1 };
        if *byte == end {
            break;
        }
    }
    text.get(at..).unwrap_or_default()
}

fn behind_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    &text[end..]
}

/// The engine's errors in one line.
fn brief(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().chars().take(MAX_MESSAGE).collect()
}

/// What following a token leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Course {
    /// The run goes on.
    Open,
    /// With this token all is said, and the grammar allows no more.
    Complete,
    /// After this token the rest would no longer fit. These tokens instead of it lead to an end.
    Close(Vec<Token>),
}

/// Where one run is in its grammar.
pub struct Guide {
    engine: Arc<Engine>,
    matcher: Matcher,
    mask: SimpleVob,
    markers: Vec<Vec<Token>>,
    trail: Trail,
    /// A way to the end from here, if one is known.
    completion: Option<Vec<Token>>,
    /// With at most so many tokens left, it is time to look for one.
    watched: usize,
    /// The most tokens that a completion took so far.
    longest: usize,
    /// How many searches in a row found nothing.
    failed: usize,
    /// How many tokens all searches walked through. They hold up everybody's batch.
    searched: usize,
}

impl fmt::Debug for Guide {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guide").field("trail", &self.trail).finish_non_exhaustive()
    }
}

impl Guide {
    fn start(engine: Arc<Engine>, grammar: String, markers: Vec<Vec<Token>>) -> Result<Self, String> {
        let parser = engine.factory.create_parser(TopLevelGrammar::from_lark(grammar));
        let mut matcher = Matcher::new(parser);
        // Some grammars compile and are found to be too complex, or to allow nothing, only here.
        let mask = matcher.compute_mask().map_err(|error| match matcher.stop_reason() {
            StopReason::NoExtensionBias => "nothing satisfies the grammar".to_owned(),
            _ => brief(&error),
        })?;
        let mut guide = Self {
            engine,
            matcher,
            mask,
            markers,
            trail: Trail::default(),
            completion: None,
            watched: 0,
            longest: 0,
            failed: 0,
            searched: 0,
        };
        guide.look(LONGEST);
        Ok(guide)
    }

    /// Which tokens may come next, one bit each, the lowest first.
    ///
    /// # Errors
    /// If the grammar became too complex.
    pub fn allowed(&mut self) -> Result<&[u32], String> {
        self.mask = self.matcher.compute_mask().map_err(|error| brief(&error))?;
        Ok(self.mask.as_slice())
    }

    /// Whether the run may end here.
    pub fn accepts(&mut self) -> bool {
        self.matcher.is_stopped() || self.matcher.is_accepting().unwrap_or(false)
    }

    /// Whether a token holds no letters and no digits, only what structures are made of.
    pub(crate) fn is_structure(&self, token: Token) -> bool {
        let word = self.engine.tokens.tok_trie().token(token);
        !word.iter().any(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
    }

    /// Takes the next token, after which the budget has `left` more.
    ///
    /// # Errors
    /// If the grammar does not allow the token, or became too complex.
    pub fn follow(&mut self, token: Token, left: usize) -> Result<Course, String> {
        self.matcher.consume_token(token).map_err(|error| brief(&error))?;
        self.trail.push(self.engine.tokens.tok_trie().token(token));
        let before = self.completion.take();
        if self.matcher.is_stopped() {
            return Ok(Course::Complete);
        }
        if let Some([first, rest @ ..]) = before.as_deref()
            && *first == token
        {
            self.completion = Some(rest.to_vec());
        } else if left <= self.watched {
            // Inside a string, what closed it before still does.
            match before.as_ref().filter(|before| before.len() <= left && Closing::leads_to_end(&self.matcher, before))
            {
                Some(before) => self.completion = Some(before.clone()),
                None => self.look(left),
            }
        }
        let fits = |completion: &Vec<Token>| completion.len() <= left;
        match before {
            // To end after what was complete before is what a full budget does in any case.
            Some(before)
                if left <= self.watched
                    && (1..=left + 1).contains(&before.len())
                    && !self.completion.as_ref().is_some_and(fits) =>
            {
                Ok(Course::Close(before))
            }
            _ => Ok(Course::Open),
        }
    }

    /// The tokens that lead to an end, at most `left`.
    pub(crate) fn close(&mut self, left: usize) -> Option<Vec<Token>> {
        self.look(left);
        self.completion.take()
    }

    /// Looks for a completion of at most `left` tokens, and decides when to look again: at every
    /// token while it is near, otherwise after half of what is left, in which the model may open
    /// what takes longer to close.
    fn look(&mut self, left: usize) {
        self.completion = if self.accepts() {
            Some(Vec::new())
        } else {
            let Self { engine, matcher, trail, markers, .. } = &*self;
            let closing = Closing { trie: engine.tokens.tok_trie(), closers: &engine.closers, markers };
            let found = closing.find(matcher, *trail, left);
            self.searched += found.as_ref().map_or(left.min(LONGEST), Vec::len);
            found
        };
        self.longest = self.longest.max(self.completion.as_ref().map_or(0, Vec::len));
        self.failed = if self.completion.is_none() && left < LONGEST { self.failed + 1 } else { 0 };
        let is_hopeless = self.failed > MOST_FAILED || self.searched > MOST_SEARCHED;
        self.watched = if is_hopeless { 0 } else { (left / 2).max(2 * self.longest + 16) };
    }
}

#[cfg(test)]
mod tests;
