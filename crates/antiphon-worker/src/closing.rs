//! The quick way to the end of an answer that its grammar does not allow to end yet.
//!
//! When the budget runs low, or the model repeats itself, an answer is completed without the
//! model: strings, arrays and objects are closed, and what is still required gets the shortest
//! value there is. The grammar engine knows what is allowed next, but not what is short, so this
//! walks greedily through its masks, preferring what ends something, and is bounded by the room
//! that is left. What it finds is always valid; that it is the shortest is likely and not promised.

use std::cmp::Reverse;

use llguidance::Matcher;
use llguidance::toktrie::{SimpleVob, TokTrie};

use crate::protocol::Token;

/// The most tokens a completion may have: one that needs more is none.
pub(crate) const LONGEST: usize = 1024;

/// How much the engine may work for one search, in steps of its lexer and parser: about a tenth of a
/// second. What a few words of a plain schema take is a hundredth of it.
const EFFORT: u64 = 2_000_000;

/// What is written where a value is due, shortest first.
const VALUES: [&str; 19] =
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "null", "true", "false", "[]", "{}", "\"\"", "\"", "[", "{"];

/// Tokens that end something, best first.
#[derive(Debug)]
pub(crate) struct Closers {
    /// Closing brackets and nothing else.
    brackets: Vec<Token>,
    /// A quotation mark, and closing brackets after it.
    quotes: Vec<Token>,
    /// [`VALUES`].
    values: Vec<Token>,
    /// `,` and `:`.
    separators: Vec<Token>,
    /// Printable ASCII characters: punctuation, which most often leads on to the next part of a
    /// pattern, then digits and letters; white space last.
    characters: Vec<Token>,
}

impl Closers {
    /// `words` are the bytes of all tokens.
    pub(crate) fn new(words: &[Vec<u8>]) -> Self {
        let tokens = || (0..).zip(words);
        let closes = |word: &[u8]| word.iter().all(|byte| matches!(byte, b'}' | b']'));
        let most_first = |first: &[u8]| {
            let mut found: Vec<(Token, usize)> = tokens()
                .filter(|(_, word)| !word.is_empty() && word.strip_prefix(first).is_some_and(closes))
                .map(|(token, word)| (token, word.len()))
                .collect();
            found.sort_by_key(|(token, length)| (Reverse(*length), *token));
            found.into_iter().map(|(token, _)| token).collect()
        };
        let find = |text: &[u8]| tokens().find(|(_, word)| *word == text).map(|(token, _)| token);
        let mut characters: Vec<u8> = (b' '..=b'~').chain(*b"\n\t").filter(|byte| *byte != b'"').collect();
        characters.sort_by_key(|byte| {
            (byte.is_ascii_whitespace(), byte.is_ascii_alphabetic(), byte.is_ascii_digit(), *byte == b'\\')
        });
        Self {
            brackets: most_first(b""),
            quotes: most_first(b"\""),
            values: VALUES.iter().filter_map(|value| find(value.as_bytes())).collect(),
            separators: [b",", b":"].iter().filter_map(|text| find(*text)).collect(),
            characters: characters.into_iter().filter_map(|byte| find(&[byte])).collect(),
        }
    }
}

/// What must be known of the text so far to tell a closing quotation mark from an opening one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trail {
    quoted: bool,
    escaped: bool,
    /// The last byte that is not white space.
    last: u8,
}

impl Trail {
    /// Takes the bytes of the next token; a control token has none of its own and begins anew.
    pub(crate) fn push(&mut self, word: &[u8]) {
        if word.first().is_none_or(|byte| *byte == TokTrie::SPECIAL_TOKEN_MARKER) {
            *self = Self::default();
            return;
        }
        for byte in word {
            if self.escaped {
                self.escaped = false;
            } else if *byte == b'"' {
                self.quoted = !self.quoted;
            } else {
                self.escaped = self.quoted && *byte == b'\\';
            }
            if !byte.is_ascii_whitespace() {
                self.last = *byte;
            }
        }
    }

    /// Whether the text may end with a value, so that a separator may follow.
    fn follows_value(self) -> bool {
        self.last.is_ascii_alphanumeric() || matches!(self.last, b'"' | b'}' | b']')
    }
}

/// One search for a completion.
pub(crate) struct Closing<'a> {
    pub(crate) trie: &'a TokTrie,
    pub(crate) closers: &'a Closers,
    /// The tokens of each of the grammar's markers.
    pub(crate) markers: &'a [Vec<Token>],
}

impl Closing<'_> {
    /// Whether these tokens lead from the state of `matcher` to an end.
    pub(crate) fn leads_to_end(matcher: &Matcher, tokens: &[Token]) -> bool {
        let mut matcher = matcher.deep_clone();
        matcher.try_consume_tokens(tokens).is_ok_and(|taken| taken == tokens.len())
            && (matcher.is_stopped() || matcher.is_accepting().unwrap_or(false))
            && !matcher.is_error()
    }

    /// Tokens that lead from the state of `matcher` to an end, at most `room`.
    pub(crate) fn find(&self, matcher: &Matcher, trail: Trail, room: usize) -> Option<Vec<Token>> {
        // In text before the JSON, quotation marks need not come in pairs.
        let other = Trail { quoted: !trail.quoted, escaped: false, ..trail };
        [trail, other].into_iter().find_map(|trail| self.walk(matcher.deep_clone(), trail, room.min(LONGEST)))
    }

    fn walk(&self, mut matcher: Matcher, mut trail: Trail, room: usize) -> Option<Vec<Token>> {
        let mut path = Vec::new();
        let mut effort = 0;
        // How often each fallback was taken, so that none is taken for ever.
        let mut characters: Vec<(u32, Token)> = self.closers.characters.iter().map(|token| (0, *token)).collect();
        let mut markers: Vec<&[Token]> = self.markers.iter().map(Vec::as_slice).collect();
        while !matcher.is_stopped() && !matcher.is_accepting().ok()? {
            let next = self.step(&mut matcher, trail, &mut markers, &mut characters)?;
            if path.len() + next.len() > room {
                return None;
            }
            effort += matcher.last_step_stats().map_or(0, |spent| spent.lexer_cost + spent.all_items as u64);
            if effort > EFFORT {
                return None;
            }
            matcher.consume_tokens(&next).ok()?;
            next.iter().for_each(|token| trail.push(self.trie.token(*token)));
            path.extend(next);
        }
        (!matcher.is_error()).then_some(path)
    }

    fn step(
        &self,
        matcher: &mut Matcher,
        trail: Trail,
        markers: &mut Vec<&[Token]>,
        characters: &mut [(u32, Token)],
    ) -> Option<Vec<Token>> {
        let forced = matcher.compute_ff_bytes();
        if forced.first().is_some_and(|byte| *byte != TokTrie::SPECIAL_TOKEN_MARKER) {
            return self.trie.greedy_tokenize(&forced).first().map(|token| vec![*token]);
        }
        if !trail.quoted {
            let marker = markers
                .iter()
                .position(|marker| !marker.is_empty() && matcher.validate_tokens(marker).ok() == Some(marker.len()));
            if let Some(marker) = marker {
                return Some(markers.remove(marker).to_vec());
            }
        }
        let mask = matcher.compute_mask().ok()?;
        let Closers { brackets, quotes, values, separators, .. } = self.closers;
        let preferred = if trail.quoted {
            [&**quotes, &[], &[]]
        } else if trail.follows_value() {
            [&**brackets, &**separators, &**values]
        } else {
            [&**brackets, &**values, &**separators]
        };
        let allowed = |token: &Token| mask.is_allowed(*token);
        if let Some(token) = preferred.into_iter().flatten().copied().find(allowed) {
            return Some(vec![token]);
        }
        // The first of those taken least often.
        if let Some((count, token)) =
            characters.iter_mut().filter(|(_, token)| mask.is_allowed(*token)).min_by_key(|(count, _)| *count)
        {
            *count += 1;
            return Some(vec![*token]);
        }
        self.longest(&mask).map(|token| vec![token])
    }

    /// The token with the most text; in the end only a control token.
    fn longest(&self, mask: &SimpleVob) -> Option<Token> {
        mask.iter().max_by_key(|token| {
            let word = self.trie.token(*token);
            (word.first() != Some(&TokTrie::SPECIAL_TOKEN_MARKER), word.len(), Reverse(*token))
        })
    }
}
