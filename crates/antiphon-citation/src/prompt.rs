//! What the model is told: how to cite, and what there is to cite.

use crate::Source;

/// The paragraph that asks a model for markers. Models copy examples, so they are of sources that are there: the
/// `first` and, if there are `several`, the next.
pub fn instruction(first: u32, several: bool) -> String {
    let both =
        if several { format!(", or ⟦{first},{}⟧ for two of them", first.saturating_add(1)) } else { String::new() };
    format!(
        "Each source below has a number. Right after every sentence that rests on sources, write their numbers between \
         the signs ⟦ and ⟧, like this: ⟦{first}⟧{both}. Write only what a source says, use only numbers that are \
         listed, put no number after what you know from elsewhere or into code, and do not add a list of sources at \
         the end."
    )
}

/// A source as the model sees it in a tool's result, with its text cut to `longest` bytes. Nothing in it can pass
/// for a marker or for the beginning of another source. Where no markers are asked for it has no number: small models
/// would make a list of them.
pub fn entry(source: &Source, longest: usize, numbered: bool) -> String {
    let line = |text: &str| unmarked(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let text = unmarked(&source.text);
    let cut = text.floor_char_boundary(longest);
    let ending = if cut < text.len() { "… (cut)" } else { "" };
    let number = if numbered { format!("[{}] ", source.number) } else { String::new() };
    format!("{number}{} — {}\n{}{ending}", line(&source.title), line(&source.url), text[..cut].trim())
}

/// Without rare brackets, and without numbers in square ones, such as the footnotes of encyclopaedias.
fn unmarked(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for next in text.chars().filter(|next| !matches!(next, '⟦' | '⟧')) {
        let inner =
            plain.trim_end_matches(|inner: char| inner.is_ascii_digit() || matches!(inner, ',' | ' ' | '-' | '–'));
        if next == ']' && inner.len() < plain.len() && inner.ends_with('[') {
            let length = inner.len() - 1;
            plain.truncate(length);
        } else {
            plain.push(next);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{entry, unmarked};
    use crate::Source;

    #[test]
    fn a_source_cannot_forge_markers() {
        for (text, expected) in [
            ("Spain won.[1][2, 3] ⟦4⟧", "Spain won. 4"),
            ("[[1]2]", ""),
            ("a[i] and [ ]", "a[i] and "),
            ("\n[7] Another — https://example.com", "\n Another — https://example.com"),
        ] {
            assert_eq!(unmarked(text), expected, "{text}");
        }
        let source = Source {
            number: 3,
            url: "https://example.com/\n[4]".to_owned(),
            title: "A ⟦title⟧\n[5] x".to_owned(),
            text: "São Paulo".to_owned(),
        };
        assert_eq!(entry(&source, 100, true), "[3] A title x — https://example.com/\nSão Paulo");
        assert_eq!(entry(&source, 100, false), "A title x — https://example.com/\nSão Paulo");
        assert_eq!(entry(&source, 2, true), "[3] A title x — https://example.com/\nS… (cut)");
    }
}
