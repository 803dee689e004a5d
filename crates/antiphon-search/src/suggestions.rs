//! The fragment of HTML that shows what was searched for: a list of links, inert wherever it
//! is put. No script, no style, nothing that is loaded.

use std::fmt::Write as _;

use crate::plain;

const MOST_QUERIES: usize = 10;
const MOST_CHARACTERS: usize = 200;
/// Followed only when somebody clicks. The encyclopedia is what is searched by default.
const TARGET: &str = "https://en.wikipedia.org/w/index.php?search=";

/// For `search_suggestions`: each query once, as a link that searches for it.
pub fn suggestions<'a>(queries: impl IntoIterator<Item = &'a str>) -> String {
    let mut html = "<ul class=\"search-suggestions\">".to_owned();
    let mut shown = Vec::new();
    for query in queries {
        let query = plain::line(query, MOST_CHARACTERS);
        if query.is_empty() || shown.contains(&query) || shown.len() == MOST_QUERIES {
            continue;
        }
        let _ = write!(
            html,
            "<li><a href=\"{TARGET}{}\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">{}</a></li>",
            encoded(&query),
            escaped(&query)
        );
        shown.push(query);
    }
    html.push_str("</ul>");
    html
}

/// Nothing but the unreserved characters of a URL stays.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '`' => escaped.push_str("&#96;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn queries_are_links() {
        assert_eq!(
            suggestions(["a & b", "a & b", " ", "<script>"]),
            "<ul class=\"search-suggestions\">\
             <li><a href=\"https://en.wikipedia.org/w/index.php?search=a%20%26%20b\" target=\"_blank\" \
             rel=\"noopener noreferrer nofollow\">a &amp; b</a></li>\
             <li><a href=\"https://en.wikipedia.org/w/index.php?search=%3Cscript%3E\" target=\"_blank\" \
             rel=\"noopener noreferrer nofollow\">&lt;script&gt;</a></li></ul>"
        );
        assert_eq!(suggestions([]), "<ul class=\"search-suggestions\"></ul>");
    }

    proptest! {
        /// Whatever the query is, taking the template away leaves text that cannot be markup
        /// and that reads as the query.
        #[test]
        fn nothing_of_a_query_becomes_markup(query in "(\\PC|<|>|\"|'|&|`|/|javascript:|\n|\u{0}|\u{202e}){0,60}") {
            let html = suggestions([query.as_str()]);
            let inner = html
                .strip_prefix("<ul class=\"search-suggestions\">")
                .and_then(|html| html.strip_suffix("</ul>"))
                .unwrap();
            let line = plain::line(&query, 200);
            if line.is_empty() {
                prop_assert_eq!(inner, "");
                return Ok(());
            }
            let rest = inner.strip_prefix("<li><a href=\"https://en.wikipedia.org/w/index.php?search=").unwrap();
            let (target, rest) =
                rest.split_once("\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">").unwrap();
            let text = rest.strip_suffix("</a></li>").unwrap();
            prop_assert!(target.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
            prop_assert!(!text.contains(['<', '>', '"', '\'', '`']));
            prop_assert_eq!(crate::html::snippet(text), line);
        }
    }
}
