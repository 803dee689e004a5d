//! The text of pages.

use antiphon_fetch::extract::{Bounds, Document, extract};
use pretty_assertions::assert_eq;

pub(crate) fn read(markup: impl AsRef<[u8]>) -> Document {
    extract(markup.as_ref(), "text/html", None, &Bounds::default()).unwrap()
}

fn check(markup: &str, title: &str, expected: &str) {
    let document = read(markup);
    assert_eq!(document.text.trim_end(), expected.trim_end());
    assert_eq!(document.title.as_deref(), Some(title));
    assert!(!document.is_cut);
}

#[test]
fn an_article_among_furniture() {
    let title = "Harbour bridge reopens after eleven months";
    check(include_str!("pages/news.html"), title, include_str!("pages/news.md"));
}

#[test]
fn a_manual_without_marks_of_its_main_part() {
    check(include_str!("pages/manual.html"), "widget(1)", include_str!("pages/manual.md"));
}

#[test]
fn a_page_laid_out_with_tables() {
    check(include_str!("pages/old.html"), "Frogs of the valley", include_str!("pages/old.md"));
}

#[test]
fn pieces_of_markup() {
    for (markup, expected) in [
        ("", ""),
        ("plain", "plain"),
        ("<p>a<p>b", "a\n\nb"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("a <b>b</b>c", "a bc"),
        ("a\n\n  b\t&nbsp;c", "a b c"),
        ("<p>a&lt;b&gt; &amp;amp; &#x41;&#0;", "a<b> &amp; A\u{fffd}"),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>d", "- a\n- b\n  - c\n\nd"),
        ("<ol><li>a<li>b</ol>", "1. a\n2. b"),
        ("<ol start=99999999999999999999><li>a</ol>", "1. a"),
        ("<ol start=18446744073709551615><li>a<li>b</ol>", "1. a\n2. b"),
        ("<h2>a</h2>b<h6>c</h6>", "## a\n\nb\n\n###### c"),
        ("<blockquote>a<ul><li>b</ul></blockquote>", "> a\n>\n> - b"),
        ("<pre>\n a\n  b</pre>c", "```\n a\n  b\n```\n\nc"),
        ("<table><tr><td>a</table>", "a"),
        ("<table><tr><th>a<th>b<tr><td>1<td>2 <p>3</table>", "| a | b |\n| --- | --- |\n| 1 | 2 3 |"),
        ("<table role=presentation><tr><td>a<td>b</table>", "a\nb"),
        ("<p>a<script>b</script><style>c</style><template>d</template><svg><text>e</text></svg>", "a"),
        ("<p>a<!-- b --><![CDATA[c]]>", "a"),
        ("<p>a<textarea>b</textarea><button>c</button><select><option>d</select>", "a"),
        ("<p>a\u{1b}[31mb\u{7}\u{0}c", "a[31mbc"),
        // Where nothing else is, furniture is shown.
        ("<nav>a</nav><footer>b</footer>", "a\nb"),
        ("<p hidden>a</p><p style='DISPLAY : none'>b</p>c", "c"),
        ("<body class=menu><p>all of it</p></body>", "all of it"),
        ("<frameset><frame src=a></frameset>", ""),
        ("<p>a<math><mi>x</mi><annotation>\\x</annotation></math>", "ax"),
    ] {
        assert_eq!(read(markup).text.trim_end(), expected, "{markup}");
    }
}

#[test]
fn titles() {
    for (markup, expected) in [
        ("<title>a</title>", Some("a")),
        ("<title> a \n b</title><h1>c</h1>", Some("a b")),
        ("<h1>a <b>b</b></h1>", Some("a b")),
        ("<title></title><h1>a</h1>", Some("a")),
        ("<svg><title>a</title></svg>", None),
        ("<title>a</title><meta property='og:title' content='b'>", Some("b")),
        ("", None),
    ] {
        assert_eq!(read(markup).title.as_deref(), expected, "{markup}");
    }
    assert_eq!(read(format!("<title>{}</title>", "ä".repeat(9_000))).title.unwrap().chars().count(), 300);
}

#[test]
fn charsets() {
    let text = |bytes: &[u8], mime: &str, charset: Option<&str>| {
        extract(bytes, mime, charset, &Bounds::default()).unwrap().text
    };
    for (bytes, charset, expected) in [
        ("<p>Zürich".as_bytes(), None, "Zürich"),
        (b"<p>Z\xfcrich", None, "Zürich"),
        (b"<meta charset=windows-1251><p>\xcf\xf0\xe8\xe2\xe5\xf2", None, "Привет"),
        (b"<meta http-equiv=content-type content='text/html; charset=Shift_JIS'><p>\x93\xfa\x96\x7b", None, "日本"),
        (b"<?xml version='1.0' encoding='iso-8859-2'?><p>\xb1", None, "ą"),
        (b"<meta charset=utf-8><p>\xe9", Some("iso-8859-1"), "é"),
        (b"\xef\xbb\xbf<p>\xc3\xa9", Some("iso-8859-1"), "é"),
        (b"\xff\xfe<\0p\0>\0\xe9\0", None, "é"),
        (b"<\0p\0>\0\xe9\0", Some("utf-16le"), "é"),
        (b"<meta charset=utf-16><p>\xc3\xa9", None, "é"),
        (b"<meta charset=nonsense><p>\xc3\xa9", Some("nonsense"), "é"),
        (b"<meta charset=><p>a", None, "a"),
        (b"<p>\xe2\x82\xac\xe2\x82", None, "€\u{fffd}"),
    ] {
        assert_eq!(text(bytes, "text/html", charset), expected, "{:?}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(text(b"\x93\xfa\x96\x7b\r\na\rb\x1b[0m\x00\tc", "text/plain", Some("shift_jis")), "日本\na\nb[0m\tc");
    assert_eq!(text(b"{\"a\": \"\xc3\xa9\"}", "application/json", None), "{\"a\": \"é\"}");
    assert_eq!(text(b"<a>\xc3\xa9</a>", "application/xml", None), "<a>é</a>");
}

#[test]
fn output_is_cut_where_it_is_full() {
    let bounds = Bounds { output_bytes: 10, ..Bounds::default() };
    let cut = |text: &str, mime: &str| {
        let document = extract(text.as_bytes(), mime, None, &bounds).unwrap();
        (document.text, document.is_cut)
    };
    assert_eq!(cut("0123456789", "text/plain"), ("0123456789".to_owned(), false));
    assert_eq!(cut("0123456789a", "text/plain"), ("0123456789".to_owned(), true));
    assert_eq!(cut("012345678ä", "text/plain"), ("012345678".to_owned(), true));
    assert_eq!(cut("<p>0123456789", "text/html"), ("0123456789".to_owned(), false));
    assert_eq!(cut("<p>01234<p>5678", "text/html"), ("01234\n\n567".to_owned(), true));
}

/// What would keep a parser busy for hours, were there a little more of it. That it ends at all is what is tested.
fn ends(rows: &[(&str, String)]) {
    for (name, markup) in rows {
        let document = read(markup);
        assert!(document.text.len() <= Bounds::default().output_bytes, "{name}");
    }
}

fn many(piece: &str) -> String {
    piece.repeat((256 << 10) / piece.len())
}

fn numbered(piece: fn(usize) -> String) -> String {
    (0..20_000).map(piece).collect()
}

#[test]
fn hostile_depth_ends() {
    ends(&[
        ("blocks", many("<div>")),
        ("formatting", many("<b>")),
        ("links", many("<a><p>")),
        ("tables", many("<table><tr><td>")),
        ("lists", many("<ul><li>")),
        ("quotations", many("<blockquote>a")),
        ("pictures", many("<svg><g>")),
        ("templates", many("<template>")),
        ("choices", many("<select><option>")),
        ("different formatting", numbered(|number| format!("<p><font size={number}>a"))),
        ("headings", many("<h1>")),
        ("code", many("<code>`")),
    ]);
}

#[test]
fn hostile_attributes_end() {
    ends(&[
        ("spaces", format!("<p {}>", numbered(|number| format!("a{number} ")))),
        ("quotes", format!("<p {}>", numbered(|number| format!("a{number}=''")))),
        ("bodies", many("<body a=b>")),
        ("open tag", format!("<{}", many("a"))),
    ]);
}

#[test]
fn hostile_breadth_ends() {
    ends(&[
        ("misnested", many("<b><i></b></i>")),
        ("misnested blocks", many("<b><div></b>")),
        ("misnested links", many("<a><div>b")),
        ("text in tables", many("<table>a")),
        ("unopened", many("</p>")),
        ("unopened parts of tables", many("</td>")),
        ("rows", format!("<table>{}", many("<tr><td>a<td>b"))),
        ("framesets", many("<frameset>")),
    ]);
}

#[test]
fn hostile_text_ends() {
    ends(&[
        ("comments", many("<!--")),
        ("declarations", many("<!doctype ")),
        ("references", many("&amp")),
        ("unknown references", many("&a")),
        ("nothing", many("\0")),
        ("spaces", many(" ")),
        ("less than", many("<")),
    ]);
}

#[test]
fn a_deep_page_is_read_to_where_it_is_too_deep() {
    let document = read(format!("<p>kept</p>{}<p>lost</p>", "<div>".repeat(5_000)));
    assert_eq!((document.text.as_str(), document.is_cut), ("kept", true));
    let document = read(format!("<p>kept</p>{}<p>kept, too</p>", "<div>".repeat(400)));
    assert_eq!((document.text.as_str(), document.is_cut), ("kept\n\nkept, too", false));
}
