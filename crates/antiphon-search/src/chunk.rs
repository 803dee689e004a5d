//! Dividing a text into the parts that are searched: about a thousand characters each unless
//! another size is wished, cut where a paragraph or at least a sentence ends.
//!
//! The parts follow one another without a gap, so that they are the text.

use crate::plain;

/// A part is closed when the next paragraph would make it longer.
const USUAL: usize = 1000;
/// Nothing but a longer paragraph is divided, and the parts of it are no longer.
const LONGEST: usize = 1200;
/// A heading begins a new part when the one before has at least as much.
const SHORTEST: usize = 300;
/// Smaller parts would be more than the words they are found by.
const LEAST: usize = 16;

/// How large parts are, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunking {
    usual: usize,
    longest: usize,
    shortest: usize,
    overlap: usize,
}

impl Default for Chunking {
    fn default() -> Self {
        Self { usual: USUAL, longest: LONGEST, shortest: SHORTEST, overlap: 0 }
    }
}

impl Chunking {
    /// Parts of at most so many characters. Each is also found by the last words of the one
    /// before, of at most `overlap` characters; what is shown of it does not repeat them.
    #[must_use]
    pub fn of(most: usize, overlap: usize) -> Self {
        let most = most.max(LEAST);
        Self { usual: most, longest: most, shortest: most * 3 / 10, overlap }
    }

    /// The end of a part, by which the next one is found too.
    pub(crate) fn overlap<'a>(&self, part: &'a str) -> &'a str {
        let Some((at, _)) = part.char_indices().rev().take(self.overlap).last() else { return "" };
        let end = &part[at..];
        let begins_a_word = part[..at].chars().next_back().is_none_or(char::is_whitespace);
        if begins_a_word { end } else { end.split_once(char::is_whitespace).map_or("", |(_, whole)| whole) }
    }
}
const MOST_HEADING_CHARACTERS: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Bytes of the text, the end exclusive.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) characters: usize,
    /// The heading it stands under, without its marks.
    pub(crate) heading: String,
    /// From 1; none in a text without form feeds.
    pub(crate) page: Option<u32>,
}

pub(crate) fn chunks(text: &str, sizes: &Chunking) -> Vec<Chunk> {
    pack(text, sizes, usize::MAX).chunks
}

/// # Errors
/// How many there would be, when that is more than `most`.
pub(crate) fn chunks_within(text: &str, sizes: &Chunking, most: usize) -> Result<Vec<Chunk>, usize> {
    let packer = pack(text, sizes, most);
    if packer.count > most { Err(packer.count) } else { Ok(packer.chunks) }
}

fn pack<'a>(text: &str, sizes: &'a Chunking, most: usize) -> Packer<'a> {
    let mut packer = Packer { sizes, most, count: 0, chunks: Vec::new(), open: None, heading: String::new(), page: 1 };
    let mut at = 0;
    for paragraph in paragraphs(text) {
        let heading = heading(paragraph);
        if let Some(heading) = heading {
            packer.close_if_longer_than(sizes.shortest);
            packer.heading = plain::line(heading, MOST_HEADING_CHARACTERS);
        }
        for piece in pieces(paragraph, sizes) {
            packer.add(at, piece);
            at += piece.len();
        }
        if paragraph.ends_with('\u{c}') {
            packer.close_if_longer_than(0);
            packer.page = packer.page.saturating_add(1);
        }
    }
    packer.close_if_longer_than(0);
    if !text.contains('\u{c}') {
        packer.chunks.iter_mut().for_each(|chunk| chunk.page = None);
    }
    packer
}

struct Packer<'a> {
    sizes: &'a Chunking,
    /// More are counted and not kept.
    most: usize,
    count: usize,
    chunks: Vec<Chunk>,
    open: Option<Chunk>,
    heading: String,
    page: u32,
}

impl Packer<'_> {
    fn add(&mut self, start: usize, piece: &str) {
        let characters = piece.chars().count();
        if self.open.as_ref().is_some_and(|open| open.characters + characters > self.sizes.usual) {
            self.close_if_longer_than(0);
        }
        let open = self.open.get_or_insert_with(|| Chunk {
            start,
            end: start,
            characters: 0,
            heading: self.heading.clone(),
            page: Some(self.page),
        });
        open.end = start + piece.len();
        open.characters += characters;
    }

    fn close_if_longer_than(&mut self, characters: usize) {
        if let Some(closed) = self.open.take_if(|open| open.characters > characters) {
            self.count += 1;
            if self.count <= self.most {
                self.chunks.push(closed);
            }
        }
    }
}

/// Paragraphs with the empty lines behind them; a heading and an end of a page are ends, too.
fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        let mut ended = false;
        for line in rest.split_inclusive(['\n', '\u{c}']) {
            let is_blank = line.trim().is_empty();
            if end > 0 && !is_blank && (ended || is_heading(line)) {
                break;
            }
            end += line.len();
            ended |= is_blank;
            if line.ends_with('\u{c}') {
                break;
            }
        }
        let (paragraph, after) = rest.split_at(end);
        rest = after;
        Some(paragraph)
    })
}

fn is_heading(line: &str) -> bool {
    let marks = line.bytes().take_while(|byte| *byte == b'#').count();
    (1..=6).contains(&marks) && line[marks..].starts_with(' ') && !line[marks..].trim().is_empty()
}

fn heading(paragraph: &str) -> Option<&str> {
    let line = paragraph.lines().next().filter(|line| is_heading(line))?;
    Some(line.trim_matches(|c: char| c == '#' || c.is_whitespace()))
}

/// A paragraph, or the parts of one that is too long.
fn pieces<'a>(paragraph: &'a str, sizes: &Chunking) -> impl Iterator<Item = &'a str> {
    let Chunking { usual, longest, .. } = *sizes;
    let mut rest = paragraph;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let is_short = plain::cut(rest, longest).len() == rest.len();
        let end = if is_short { rest.len() } else { plain::cut_at_sentence(rest, usual - 1).len().max(1) };
        // The space behind a sentence belongs to it.
        let end = if is_short { end } else { end + rest[end..].chars().next().map_or(0, char::len_utf8) };
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<(&str, String, Option<u32>)> {
        chunks(text, &Chunking::default())
            .into_iter()
            .map(|chunk| (&text[chunk.start..chunk.end], chunk.heading, chunk.page))
            .collect()
    }

    #[test]
    fn short_paragraphs_stay_together() {
        assert_eq!(texts("One.\n\nTwo.\n"), [("One.\n\nTwo.\n", String::new(), None)]);
        assert_eq!(texts(""), []);
    }

    #[test]
    fn a_heading_goes_with_what_is_below_it() {
        let body = "Words of the first part. ".repeat(20);
        let text = format!("# First\n\n{body}\n\n## Second ##\nShort.\n");
        let found = texts(&text);
        assert_eq!(found[0].1, "First");
        assert_eq!(found[1], ("## Second ##\nShort.\n", "Second".to_owned(), None));
    }

    #[test]
    fn pages_end_parts() {
        let found = texts("One.\u{c}Two.\n\u{c}\u{c}Four.");
        let pages: Vec<_> = found.iter().map(|(text, _, page)| (text.trim(), page.unwrap())).collect();
        assert_eq!(pages, [("One.", 1), ("Two.", 2), ("", 3), ("Four.", 4)]);
    }

    #[test]
    fn a_long_paragraph_is_cut_after_a_sentence() {
        let text = "Each of these sentences is forty letters. ".repeat(100);
        let pieces = texts(&text);
        for (piece, ..) in &pieces[..pieces.len() - 1] {
            assert!(piece.ends_with(". "), "{piece}");
            assert!((700..=LONGEST).contains(&piece.chars().count()), "{}", piece.chars().count());
        }
    }

    #[test]
    fn more_chunks_than_there_may_be_are_counted() {
        let text = "a\u{c}".repeat(7);
        let within = |most| chunks_within(&text, &Chunking::default(), most).map(|chunks| chunks.len());
        assert_eq!((within(7), within(6)), (Ok(7), Err(7)));
    }

    #[test]
    fn an_overlap_is_the_last_whole_words() {
        let check = |part, most, expected| assert_eq!(Chunking::of(100, most).overlap(part), expected, "{most}");
        check("one two três ", 0, "");
        check("one two três ", 5, "três ");
        check("one two três ", 7, "três ");
        check("one two três ", 100, "one two três ");
        check("undivided", 4, "");
    }

    proptest! {
        #[test]
        fn the_parts_are_the_text(text in "(word |é|. |\n|\n\n|\u{c}|# |x{300}){0,120}", most in 1usize..3000) {
            let sizes = if most > 2000 { Chunking::default() } else { Chunking::of(most, 0) };
            let chunks = chunks(&text, &sizes);
            let mut at = 0;
            for chunk in &chunks {
                prop_assert_eq!(chunk.start, at);
                prop_assert!(chunk.end > chunk.start);
                prop_assert_eq!(chunk.characters, text[chunk.start..chunk.end].chars().count());
                prop_assert!(chunk.characters <= sizes.longest);
                at = chunk.end;
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
