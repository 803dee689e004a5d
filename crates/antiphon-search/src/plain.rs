//! Plain text that is safe to keep and to show: no control characters, none that are
//! invisible or turn the direction of what follows.

/// Text with `\n` as its only end of a line; tabs and form feeds, which end pages, stay.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                characters.next_if_eq(&'\n');
                cleaned.push('\n');
            }
            '\u{b}' | '\u{85}' | '\u{2028}' | '\u{2029}' => cleaned.push('\n'),
            '\n' | '\t' | '\u{c}' => cleaned.push(character),
            _ if character.is_control() || is_hidden(character) => {}
            _ => cleaned.push(character),
        }
    }
    cleaned
}

/// One line of at most so many characters, its spaces single.
pub(crate) fn line(text: &str, most: usize) -> String {
    let mut line = String::new();
    // Enough for any line, whatever lies between its words.
    for word in cut(text, most.saturating_mul(16)).split_whitespace() {
        let word: String = word.chars().filter(|c| !c.is_control() && !is_hidden(*c)).collect();
        if !word.is_empty() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
    }
    line.truncate(cut(&line, most).len());
    line
}

/// The first characters of a text.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(at, _)| &text[..at])
}

/// The beginning of a text, up to an end of a sentence or at least of a word if there is one
/// in its second half.
pub(crate) fn cut_at_sentence(text: &str, most: usize) -> &str {
    let longest = cut(text, most);
    if longest.len() == text.len() {
        return text;
    }
    let half = longest.len() / 2;
    let sentence = longest
        .rmatch_indices(['\n', ' '])
        .find(|(at, _)| longest[*at..].starts_with('\n') || longest[..*at].ends_with(['.', '!', '?', '…', ':', ';']));
    let word = || longest.rfind([' ', '\n', '\t']);
    match sentence.map(|(at, _)| at).filter(|at| *at > half).or_else(|| word().filter(|at| *at > half)) {
        Some(at) => &longest[..at],
        None => longest,
    }
}

/// Characters that show nothing and can hide or turn what is around them. The two joiners
/// are not among them: words of some languages need them.
fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ends_of_lines_are_one_kind() {
        assert_eq!(clean("a\r\nb\rc\u{2028}d\u{0}\u{202e}e\u{c}f"), "a\nb\nc\nde\u{c}f");
    }

    #[test]
    fn a_text_is_cut_where_a_sentence_ends() {
        let check = |text, most, expected| assert_eq!(cut_at_sentence(text, most), expected);
        check("One two. Three four five.", 20, "One two. Three four");
        check("One two three. Four five.", 20, "One two three.");
        check("São Paulo", 3, "São");
        check("short", 20, "short");
        check("", 0, "");
    }

    proptest! {
        #[test]
        fn a_line_is_one_and_short(text: String, most in 0usize..50) {
            let line = line(&text, most);
            prop_assert!(line.chars().count() <= most);
            prop_assert!(!line.chars().any(char::is_control));
        }

        #[test]
        fn cleaning_twice_changes_nothing(text: String) {
            let once = clean(&text);
            prop_assert_eq!(clean(&once), once);
        }

        #[test]
        fn a_cut_is_a_beginning(text: String, most in 0usize..50) {
            prop_assert!(text.starts_with(cut_at_sentence(&text, most)));
            prop_assert!(cut_at_sentence(&text, most).chars().count() <= most);
        }
    }
}
