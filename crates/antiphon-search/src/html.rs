//! From HTML to plain text: tags stripped, entities decoded, headings kept.
//!
//! It understands as much as pages of documentation and snippets of search services need,
//! in one pass and time that grows with the text alone. A richer extractor can be plugged
//! into the corpus instead.

/// What is between their tags is not for people to read.
const HIDDEN: [&str; 8] = ["script", "style", "noscript", "template", "svg", "iframe", "nav", "object"];
/// Tags that are part of a snippet's markup; anything else between `<` and `>` is its text.
const INLINE: [&str; 26] = [
    "a", "abbr", "b", "bdi", "br", "cite", "code", "div", "em", "font", "h1", "h2", "h3", "i", "li", "mark", "p",
    "pre", "q", "s", "small", "span", "strong", "sub", "sup", "u",
];

/// The text of a page, and its title if it has one.
pub(crate) struct Text {
    pub(crate) title: Option<String>,
    pub(crate) text: String,
}

/// The text of a whole page. Headings are written as in Markdown.
pub(crate) fn page(html: &str) -> Text {
    let mut text = Writer::default();
    let mut title = None;
    let mut rest = html;
    let mut preformatted = 0usize;
    while let Some(at) = rest.find('<') {
        text.push(&decoded(&rest[..at]), preformatted > 0);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let Some((tag, after)) = tag(rest) else {
            text.push("<", preformatted > 0);
            rest = &rest[1..];
            continue;
        };
        rest = after;
        let opens = !tag.closing;
        match tag.name.as_str() {
            "title" if opens => {
                let (inner, after) = up_to_closing(rest, "title");
                title.get_or_insert_with(|| decoded(inner).split_whitespace().collect::<Vec<_>>().join(" "));
                rest = after;
            }
            hidden if opens && HIDDEN.contains(&hidden) => rest = up_to_closing(rest, hidden).1,
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                text.paragraph();
                if opens {
                    let level = usize::from(tag.name.as_bytes()[1] - b'0');
                    text.heading(level);
                }
            }
            "pre" => {
                preformatted = if opens { preformatted + 1 } else { preformatted.saturating_sub(1) };
                text.paragraph();
            }
            "br" | "tr" | "dt" | "dd" => text.line(),
            "li" if opens => {
                text.line();
                text.push("- ", false);
            }
            "td" | "th" => text.push(" ", false),
            "p" | "div" | "section" | "article" | "main" | "header" | "footer" | "aside" | "ul" | "ol" | "dl"
            | "table" | "blockquote" | "figure" | "figcaption" | "form" | "hr" | "body" => text.paragraph(),
            _ => {}
        }
    }
    text.push(&decoded(rest), preformatted > 0);
    Text { title: title.filter(|title: &String| !title.is_empty()), text: text.text }
}

/// The text of a piece of HTML, or of plain text, which services give in the same place.
pub(crate) fn snippet(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text.push_str(&decoded(&rest[..at]));
        rest = &rest[at..];
        match tag(rest).filter(|(tag, _)| INLINE.contains(&tag.name.as_str())) {
            Some((tag, after)) => {
                if matches!(tag.name.as_str(), "br" | "p" | "div" | "li") {
                    text.push('\n');
                }
                rest = after;
            }
            None => {
                text.push('<');
                rest = &rest[1..];
            }
        }
    }
    text.push_str(&decoded(rest));
    text
}

/// Text whose spaces are single and whose paragraphs are one empty line apart.
#[derive(Default)]
struct Writer {
    text: String,
}

impl Writer {
    fn push(&mut self, piece: &str, preformatted: bool) {
        if preformatted {
            self.text.push_str(piece);
            return;
        }
        for (at, word) in piece.split(|c: char| c.is_ascii_whitespace()).enumerate() {
            if at > 0 && !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
                self.text.push(' ');
            }
            self.text.push_str(word);
        }
    }

    fn line(&mut self) {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn paragraph(&mut self) {
        self.line();
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    fn heading(&mut self, level: usize) {
        self.text.extend(std::iter::repeat_n('#', level));
        self.text.push(' ');
    }
}

struct Tag {
    name: String,
    closing: bool,
}

/// The tag at the beginning of a text, and what follows it.
fn tag(text: &str) -> Option<(Tag, &str)> {
    let inner = text.strip_prefix('<')?;
    let closing = inner.starts_with('/');
    let name = inner.strip_prefix('/').unwrap_or(inner);
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!' || c == '?') {
        return None;
    }
    // No further than any honest tag is long, so that a page of `<a` costs no more than another.
    let end = inner[..inner.floor_char_boundary(2048)].find('>')?;
    let length = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '!' && c != '?').unwrap_or(name.len());
    Some((Tag { name: name[..length].to_ascii_lowercase(), closing }, &inner[end + 1..]))
}

/// What stands before the closing tag and what after it. Without one, all of it is before.
fn up_to_closing<'a>(text: &'a str, name: &str) -> (&'a str, &'a str) {
    let mut from = 0;
    while let Some(at) = text[from..].find("</").map(|at| from + at) {
        let after = &text[at + 2..];
        if after.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            let end = after.find('>').map_or(text.len(), |end| at + 2 + end + 1);
            return (&text[..at], &text[end..]);
        }
        from = at + 2;
    }
    (text, "")
}

fn decoded(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        written.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        match end.and_then(|end| Some((entity(&rest[1..end])?, end))) {
            Some((character, end)) => {
                written.push(character);
                rest = &rest[end + 1..];
            }
            None => {
                written.push('&');
                rest = &rest[1..];
            }
        }
    }
    written.push_str(rest);
    written
}

/// The names of U+00A0 to U+00FF, in their order.
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 \
    sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml \
    Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml \
    times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave \
    eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute \
    ucirc uuml yacute thorn yuml";

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "bull" => '•',
        "hellip" => '…',
        "euro" => '€',
        _ => {
            let at = LATIN.split(' ').filter(|known| !known.is_empty()).position(|known| known == name)?;
            char::from_u32(0xa0 + u32::try_from(at).ok()?)?
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn snippets_lose_their_markup_and_nothing_else() {
        let check = |html, expected| assert_eq!(snippet(html), expected, "{html}");
        check("the <span class=\"searchmatch\">Eiffel</span> tower", "the Eiffel tower");
        check("<strong>a</strong> &amp; b &#x27;c&#39; &quot;d&quot;", "a & b 'c' \"d\"");
        check("a Vec<T> is <b>long", "a Vec<T> is long");
        check("1 < 2 && 3 > 2", "1 < 2 && 3 > 2");
        check("S&atilde;o Jo&atilde;o &yuml; &nothing; &", "São João ÿ &nothing; &");
        check("&lt;script&gt;", "<script>");
        check("<script>x</script>", "<script>x</script>");
        check("<", "<");
    }

    #[test]
    fn a_page_keeps_its_headings_and_paragraphs() {
        let page = page(
            "<html><head><title> A &amp;\n B </title><style>p{}</style></head><body><nav><a>Home</a></nav>\
             <h1>One</h1><p>First   line<br>second</p><!-- <p>no</p> --><ul><li>x<li>y</ul><SCRIPT>1<2</SCRIPT >\
             <pre>a\n  b</pre>end",
        );
        assert_eq!(page.title.as_deref(), Some("A & B"));
        assert_eq!(page.text, "# One\n\nFirst line\nsecond\n\n- x\n- y\n\na\n  b\n\nend");
    }

    proptest! {
        #[test]
        fn any_text_is_taken(html in "(<[a-z/!]{0,3}|>|&|;|#|x|<script>|</|<!--|-->|é| ){0,60}") {
            page(&html);
            snippet(&html);
        }

        #[test]
        fn text_without_markup_stays(text in "[^<&]{0,80}") {
            prop_assert_eq!(snippet(&text), text);
        }
    }
}
