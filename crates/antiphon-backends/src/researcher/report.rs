//! The report: sections under their questions, with the marks that become citations.

use super::progress::Finding;

/// In the place of a section for which nothing was found.
pub(super) const NOTHING: &str = "Nothing was found that answers this.";

pub(super) fn write(title: &str, summary: Option<&str>, findings: &[Finding]) -> String {
    let head = (!title.is_empty()).then(|| format!("# {title}"));
    let sections = findings.iter().map(|Finding { question, text }| format!("## {question}\n\n{text}"));
    let parts: Vec<_> = head.into_iter().chain(summary.map(str::to_owned)).chain(sections).collect();
    parts.join("\n\n")
}

/// Without the marks of sources, for those who only look on.
pub(super) fn without_marks(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('⟦') {
        plain.push_str(before);
        rest = after.split_once('⟧').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain
}

/// A text that was cut, up to its last whole sentence; all of it when there is none.
pub(super) fn whole_sentences(text: &str) -> &str {
    let ends = |(at, c): (usize, char)| matches!(c, '.' | '!' | '?' | '⟧' | '。').then_some(at + c.len_utf8());
    text.char_indices().filter_map(ends).next_back().map_or(text, |end| &text[..end])
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_text_that_was_cut_ends_with_a_sentence_and_its_mark() {
        for (text, whole) in
            [("One. Two ⟦1⟧ and", "One. Two ⟦1⟧"), ("One.⟦1", "One."), ("no sentence", "no sentence"), ("", "")]
        {
            assert_eq!(whole_sentences(text), whole);
        }
        assert_eq!(without_marks("One ⟦1⟧. Two⟦2,3⟧ ⟦open"), "One . Two ");
    }
}
