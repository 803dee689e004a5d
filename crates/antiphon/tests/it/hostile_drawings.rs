//! Drawings that were written to do harm, given to the process that paints: each ends in a plain
//! refusal, and the process has bounded itself before it reads a byte.

use std::io::Write as _;
use std::process::{Child, Stdio};

use pretty_assertions::assert_eq;

use crate::server::antiphon;

fn painter() -> Child {
    antiphon()
        .args(["paint-drawing", "--type", "image/png", "--view", "100x100", "--width", "64", "--height", "64"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// How the painter ends on this, and what it says.
fn refusal(drawing: &str) -> (Option<i32>, String) {
    let mut child = painter();
    // It need not read all of it.
    let _ = child.stdin.take().unwrap().write_all(drawing.as_bytes());
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn check(what: &str, drawing: &str, reason: &str) {
    let (code, said) = refusal(drawing);
    assert_eq!(code, Some(3), "{what}: {said}");
    assert!(said.contains(reason) && said.len() < 400, "{what}: {said}");
}

fn svg(inside: &str) -> String {
    format!("<svg>{inside}</svg>")
}

#[test]
fn entities_are_not_expanded_and_nothing_is_fetched() {
    let laughs: String =
        (1..9).map(|level| format!("<!ENTITY l{level} \"{}\">", format!("&l{};", level - 1).repeat(10))).collect();
    let laughing = format!("<!DOCTYPE svg [<!ENTITY l0 \"ha\">{laughs}]><svg><text>&l8;</text></svg>");
    check("entities before the drawing", &laughing, "no well-formed XML");
    let inside = "<svg><!DOCTYPE svg [<!ENTITY a \"b\">]><text>&a;</text></svg>";
    check("entities inside of it", inside, "no well-formed XML");
    let secret = "<!DOCTYPE svg [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><svg><text>&x;</text></svg>";
    check("an entity of a file", secret, "no well-formed XML");
    for (element, inside) in [
        ("image", "<image href='http://169.254.169.254/' width='9' height='9'/>"),
        ("image", "<image href='file:///etc/passwd' width='9' height='9'/>"),
        ("image", "<image href='data:image/svg+xml;base64,PHN2Zy8+' width='9' height='9'/>"),
        ("use", "<use href='file:///etc/passwd#a'/>"),
        ("a", "<a href='http://example.org'><rect width='9' height='9'/></a>"),
        ("style", "<style>@import url(http://example.org/a.css);</style>"),
        ("script", "<script>while (true);</script>"),
        ("foreignObject", "<foreignObject><iframe src='http://example.org'/></foreignObject>"),
        ("animate", "<animate attributeName='x' dur='1ms' repeatCount='indefinite'/>"),
    ] {
        check(inside, &svg(inside), &format!("the element `<{element}>`"));
    }
    for paint in ["url(http://example.org/#a)", "url(file:///etc/passwd)", "url(#nobody)"] {
        check(paint, &svg(&format!("<rect width='9' height='9' fill='{paint}'/>")), "`fill` of `<rect>`");
    }
    check("a link on a shape", &svg("<rect xlink:href='#a' width='9'/>"), "no well-formed XML");
    check(
        "a style on a shape",
        &svg("<rect style='fill:url(http://example.org)' width='9'/>"),
        "the attribute `style`",
    );
}

#[test]
fn what_refers_to_itself_multiplies_or_blurs_is_refused() {
    let doubling: String =
        (1..30).map(|at| format!("<g id='g{at}'><use href='#g{0}'/><use href='#g{0}'/></g>", at - 1)).collect();
    check("nested uses", &svg(&format!("<defs><g id='g0'/>{doubling}</defs>")), "the element `<g>`");
    check("nested uses in place", &svg(&doubling), "the attribute `id`");
    check("a use of itself", &svg("<g><use href='#a'/></g>"), "the element `<use>`");
    for (element, inside) in [
        ("filter", "<filter id='f' x='-9999999' y='-9999999' width='99999999' height='99999999'/>"),
        ("filter", "<filter id='f'><feGaussianBlur stdDeviation='999999'/></filter>"),
        ("pattern", "<pattern id='p' width='0.0001' height='0.0001'><rect width='9' height='9'/></pattern>"),
        ("mask", "<mask id='m'><rect width='9' height='9' mask='url(#m)'/></mask>"),
        ("clipPath", "<clipPath id='c'><rect width='9' height='9'/></clipPath>"),
        ("symbol", "<symbol id='s'><rect width='9' height='9'/></symbol>"),
        ("marker", "<marker id='k'><rect width='9' height='9'/></marker>"),
    ] {
        check(inside, &svg(inside), &format!("the element `<{element}>`"));
    }
    check("a filter in use", &svg("<rect width='9' height='9' filter='url(#f)'/>"), "the attribute `filter`");
    check("a transformation", &svg("<g transform='scale(1e9)'/>"), "the attribute `transform`");
}

#[test]
fn what_is_too_much_is_refused_before_it_is_painted() {
    let circle = "<circle cx='50' cy='50' r='400' fill='red' opacity='0.1'/>";
    check("20,000 circles", &svg(&circle.repeat(20_000)), "longer than 32768 bytes");
    check("more bytes than are read", &svg(&circle.repeat(900)), "longer than 32768 bytes");
    check("121 lines", &svg(&"<line/>".repeat(121)), "more than 120 elements");
    check("circles over everything", &svg(&circle.repeat(100)), "paints over the whole picture");
    let deep = format!("{}{}", "<g>".repeat(4000), "</g>".repeat(4000));
    check("4,000 groups in one another", &svg(&deep), "");
    check("6 groups in one another", &svg(&format!("{}{}", "<g>".repeat(6), "</g>".repeat(6))), "are deeper than 5");
    check("a long text", &svg(&format!("<text>{}</text>", "m".repeat(20_000))), "a text is longer than 48");
    let points = "1,1 ".repeat(201);
    check("201 points", &svg(&format!("<polygon points='{points}'/>")), "at most 200 points");
    let pieces = format!("M0,0{}", " L1,1".repeat(201));
    check("202 pieces", &svg(&format!("<path d='{pieces}'/>")), "a path of at most 200 pieces");
    let dots = "<rect width='100' height='100'/>".repeat(120);
    check("120 times all of it", &svg(&dots), "paints over the whole picture");
}

#[test]
fn numbers_that_no_picture_has_are_refused() {
    for number in ["1e308", "-1e308", "NaN", "inf", "99999999999999999999", "401", "1e3", "0x10", "٣", ""] {
        check(number, &svg(&format!("<rect x='{number}' width='9' height='9'/>")), "`x` of `<rect>`");
    }
    check("a wide stroke", &svg("<line x2='9' stroke='red' stroke-width='1e300'/>"), "`stroke-width` of `<line>`");
    check("a large letter", &svg("<text font-size='999999'>a</text>"), "`font-size` of `<text>`");
    check("a far point", &svg("<polygon points='0,0 1e30,0 0,1e30'/>"), "`points` of `<polygon>`");
    check("a far piece of a path", &svg("<path d='M0,0 L1e30,1e30 Z'/>"), "far outside of the picture");
    check("a large arc", &svg("<path d='M0,0 A1e30,1e30 0 1 1 90,90 Z'/>"), "");
    for view in ["0 0 1e9 1e9", "0 0 99999999 99999999", "0 0 0 0", "-9 -9 9 9", "0 0 NaN 9"] {
        check(view, &format!("<svg viewBox='{view}'><rect width='9' height='9'/></svg>"), "the size of the drawing");
    }
    check("a large drawing", "<svg width='9999999' height='9999999'></svg>", "the size of the drawing");
}

/// Not what it took is looked at but what it may take.
#[test]
fn a_painter_has_bounded_itself_before_it_reads() {
    let mut child = painter();
    let limits = format!("/proc/{}/limits", child.id());
    let soft = |name: &str| {
        let limits = std::fs::read_to_string(&limits).unwrap();
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line[name.len()..].split_whitespace().next().unwrap().to_owned()
    };
    // It waits for its input; what it sets last tells that all is set.
    while soft("Max file size") != "0" {
        assert!(child.try_wait().unwrap().is_none(), "it reads nothing before its bounds");
        std::thread::yield_now();
    }
    let expected = [
        ("Max cpu time", "5".to_owned()),
        ("Max data size", (256 << 20).to_string()),
        ("Max open files", "3".to_owned()),
        ("Max core file size", "0".to_owned()),
    ];
    assert_eq!(expected.clone().map(|(name, _)| (name, soft(name))), expected);
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(3));
}
