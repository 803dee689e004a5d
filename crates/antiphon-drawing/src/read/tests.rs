use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

const VIEW: View = View { width: 100, height: 100 };

fn read(inside: &str) -> Result<Drawing, Refused> {
    Drawing::read(&format!("<svg>{inside}</svg>"), VIEW)
}

#[test]
fn what_is_read_is_written_anew() {
    let drawing = Drawing::read(
        "Here it is:\n```svg\n<!-- a house --><svg xmlns=\"http://www.w3.org/2000/svg\" viewBox='0 0 80 60' width=\"400\">\
         <defs><linearGradient id=\"sky\" x2=\"0\" y2=\"100%\"><stop offset=\"50%\" stop-color=\"#fff\"/></linearGradient></defs>\
         <rect width=\"80\" height=\"60\" fill=\"url(#sky)\"/><g fill=\"red\"><!-- roof --><path d=\"M0 0L9 9Z\" opacity=\".5\"/></g>\
         <text x=\"9\" y=\"9\" font-size=\"5\">Olá &amp;\n <![CDATA[<b>]]></text></svg>\n```",
        VIEW,
    )
    .unwrap();
    assert_eq!(
        drawing.svg(),
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 80 60\"><defs>\
         <linearGradient id=\"sky\" x2=\"0\" y2=\"1\"><stop offset=\"0.5\" stop-color=\"#fff\"></stop></linearGradient></defs>\
         <rect width=\"80\" height=\"60\" fill=\"url(#sky)\"></rect><g fill=\"red\">\
         <path d=\"M0 0L9 9Z\" fill-opacity=\".5\" stroke-opacity=\".5\"></path></g>\
         <text x=\"9\" y=\"9\" font-size=\"5\">Olá &amp; &lt;b&gt;</text></svg>"
    );
    assert_eq!((drawing.view(), drawing.shapes()), (View { width: 80, height: 60 }, 3));
    assert!(drawing.source().starts_with("<svg ") && drawing.source().ends_with("</svg>"));
    // What was written anew reads as itself.
    assert_eq!(Drawing::read(drawing.svg(), VIEW).unwrap().svg(), drawing.svg());
}

#[test]
fn what_is_no_drawing_is_refused_and_says_why() {
    let element = |name: &str| Refused::Element(name.to_owned());
    let attribute =
        |element: &str, name: &str| Refused::Attribute { element: element.to_owned(), attribute: name.to_owned() };
    for (inside, refused) in [
        ("<script>alert(1)</script>", element("script")),
        ("<image href=\"file:///etc/passwd\"/>", element("image")),
        ("<image xmlns:x=\"http://www.w3.org/1999/xlink\" x:href=\"http://h/\"/>", element("image")),
        ("<use href=\"#a\"/>", element("use")),
        ("<filter id=\"f\" width=\"99999%\"/>", element("filter")),
        ("<pattern id=\"p\"/>", element("pattern")),
        ("<mask id=\"m\"/>", element("mask")),
        ("<clipPath id=\"c\"/>", element("clipPath")),
        ("<style>rect{filter:url(#f)}</style>", element("style")),
        ("<foreignObject/>", element("foreignObject")),
        ("<animate attributeName=\"x\"/>", element("animate")),
        ("<a href=\"http://h/\"><rect/></a>", element("a")),
        ("<svg/>", element("svg")),
        ("<stop offset=\"1\"/>", element("stop")),
        ("<rect><rect/></rect>", element("rect")),
        ("<text><tspan>x</tspan></text>", element("tspan")),
        ("<rect style=\"fill:red\"/>", attribute("rect", "style")),
        ("<rect onclick=\"x()\"/>", attribute("rect", "onclick")),
        ("<rect filter=\"url(#f)\"/>", attribute("rect", "filter")),
        ("<rect transform=\"scale(1e9)\"/>", attribute("rect", "transform")),
        ("<g opacity=\"0.5\"/>", attribute("g", "opacity")),
        ("<rect xmlns:x=\"u\" x:width=\"9\"/>", attribute("rect", "width")),
    ] {
        assert_eq!(read(inside).unwrap_err(), refused, "{inside}");
    }
}

#[test]
fn values_are_bounded() {
    let value = |inside: &str, name: &str| match read(inside) {
        Err(Refused::Value { attribute, .. }) => assert_eq!(attribute, name, "{inside}"),
        other => panic!("{inside}: {other:?}"),
    };
    value("<rect width=\"1e9\"/>", "width");
    value("<rect width=\"-1\"/>", "width");
    value("<rect width=\"NaN\"/>", "width");
    value("<rect width=\"inf\"/>", "width");
    value("<rect width=\"500%\"/>", "width");
    value("<circle r=\"50%\"/>", "r");
    value("<rect x=\"401\"/>", "x");
    value("<circle r=\"\"/>", "r");
    value("<rect fill=\"url(http://h/)\"/>", "fill");
    value("<rect fill=\"url(#late)\"/><linearGradient id=\"late\"/>", "fill");
    value("<rect fill=\"url(#sky)\"/>", "fill");
    value("<rect fill=\"no-such-colour\"/>", "fill");
    value("<rect opacity=\"2\"/>", "opacity");
    value("<path d=\"M0 0 L oops\"/>", "d");
    value(&format!("<path d=\"M0 0{}\"/>", " L1 1".repeat(300)), "d");
    value(&format!("<polygon points=\"{}\"/>", "1,1 ".repeat(300)), "points");
    value("<polygon points=\"url(#x)\"/>", "points");
    value("<linearGradient id=\"a\"/><linearGradient id=\"a\"/>", "id");
    value("<text font-family=\"Evil\">x</text>", "font-family");
    assert_eq!(read("<path d=\"M0 0 L900 900 900 90000\"/>").unwrap_err(), Refused::TooFar);
    assert_eq!(read(&format!("<text>{}</text>", "x".repeat(49))).unwrap_err(), Refused::TooWordy);
}

#[test]
fn the_whole_is_bounded() {
    assert_eq!(read(&"<rect/>".repeat(121)).unwrap_err(), Refused::TooMany);
    assert_eq!(read(&"<circle r=\"400\" opacity=\"0.1\"/>".repeat(13)).unwrap_err(), Refused::TooMuchPaint);
    assert_eq!(read(&format!("{}{}", "<g>".repeat(6), "</g>".repeat(6))).unwrap_err(), Refused::TooDeep);
    let deep = format!("{}{}", "<g>".repeat(4000), "</g>".repeat(4000));
    assert_eq!(read(&deep).unwrap_err(), Refused::TooDeep);
    assert_eq!(read(&" ".repeat(LONGEST)).unwrap_err(), Refused::TooLong);
    assert_eq!(Drawing::read("I cannot draw.", VIEW).unwrap_err(), Refused::Missing);
    assert_eq!(Drawing::read("</svg><svg>", VIEW).unwrap_err(), Refused::Missing);
    assert_eq!(Drawing::read("<svg viewBox=\"0 0 1e9 1\"></svg>", VIEW).unwrap_err(), Refused::Size);
    assert_eq!(Drawing::read("<svg viewBox=\"0 0 0 0\"></svg>", VIEW).unwrap_err(), Refused::Size);
    assert!(matches!(read("<rect>"), Err(Refused::Malformed(_))));
    assert!(matches!(read("&lol;"), Err(Refused::Malformed(_))));
    let entities = "<svg><!DOCTYPE svg [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><text>&b;</text></svg>";
    assert!(matches!(Drawing::read(entities, VIEW), Err(Refused::Malformed(_) | Refused::Entities)));
}

#[test]
fn shapes_count_where_they_can_be_seen() {
    for (inside, shapes) in [
        ("<rect width=\"9\" height=\"9\"/>", 1),
        ("<rect width=\"100%\" height=\"100%\"/>", 1),
        ("<rect x=\"200\" width=\"9\" height=\"9\"/>", 0),
        ("<rect x=\"-5\" y=\"-5\" width=\"9\" height=\"9\"/>", 1),
        ("<circle cx=\"-9\" cy=\"9\" r=\"4\"/>", 0),
        ("<line x1=\"0\" y1=\"50\" x2=\"99\" y2=\"50\" stroke=\"red\"/>", 1),
        ("<line x1=\"0\" y1=\"50\" x2=\"99\" y2=\"50\"/>", 0),
        ("<g stroke=\"red\"><line x1=\"0\" y1=\"50\" x2=\"99\" y2=\"50\"/></g>", 1),
        ("<polygon points=\"200,0 220,0 210,9\"/>", 0),
        ("<path d=\"M200 0 C 0 0 0 90 210 90 Z\"/>", 1),
        ("<text x=\"50\" y=\"50\" font-size=\"9\">Hi</text>", 1),
    ] {
        assert_eq!(read(inside).unwrap().shapes(), shapes, "{inside}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}", inside in "[<>/a-zA-Z0-9=\"' #&;!\\-\\[\\]]{0,200}") {
        let _ = Drawing::read(&text, VIEW);
        if let Ok(drawing) = read(&inside) {
            prop_assert!(Drawing::read(drawing.svg(), VIEW).is_ok());
        }
    }
}
