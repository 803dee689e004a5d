//! What is shown: the answer without its markers, whatever the pieces.

use antiphon_citation::{Citer, Source};

pub(crate) fn source(number: u32, title: &str, text: &str) -> Source {
    let url = format!("https://example.com/{number}");
    Source { number, url, title: title.to_owned(), text: text.to_owned() }
}

/// With sources 1 to 3, of which nothing is cited.
fn check(answer: &str, shown: &str) {
    let mut citer = Citer::new((1..=3).map(|number| source(number, "", "")));
    let mut text = citer.push(answer).text;
    text.push_str(&citer.finish().text);
    assert_eq!(text, shown, "{answer:?}");
    let mut again = citer.push(&text).text;
    again.push_str(&citer.finish().text);
    assert_eq!(again, shown, "{answer:?} a second time");
    let mut pieces: String = answer.chars().map(|next| citer.push(next.encode_utf8(&mut [0; 4])).text).collect();
    pieces.push_str(&citer.finish().text);
    assert_eq!(pieces, shown, "{answer:?} by characters");
}

#[test]
fn rare_markers_vanish() {
    check("Spain won.⟦1⟧", "Spain won.");
    check("Spain won ⟦1⟧.", "Spain won.");
    check("Spain won. ⟦1⟧ It was close.", "Spain won. It was close.");
    check("Spain won ⟦1⟧ against all.", "Spain won against all.");
    check("Spain won⟦1,3⟧⟦2⟧, it is said.", "Spain won, it is said.");
    check("Spain won ⟦ 1 , 3 ⟧ ⟦2⟧.", "Spain won.");
    check("Spain won (⟦1⟧).", "Spain won.");
    check("Spain won [⟦1⟧, ⟦2⟧].", "Spain won.");
    check("Spain won ⟦⟦1⟧⟧.", "Spain won.");
    check("Spain won ⟦Source 1⟧.", "Spain won.");
    check("**Spain won ⟦1⟧** at last", "**Spain won** at last");
    check("“Spain won ⟦1⟧”", "“Spain won”");
    check("São Paulo 🐕⟦1⟧ e\u{301} ⟦2⟧!", "São Paulo 🐕 e\u{301}!");
    check("⟦1⟧ Spain won.", "Spain won.");
    check("⟦1⟧Spain won.", "Spain won.");
}

#[test]
fn unknown_numbers_vanish_in_rare_brackets_only() {
    check("Spain won ⟦9⟧.", "Spain won.");
    check("Spain won ⟦0⟧.", "Spain won.");
    check("Spain won [9].", "Spain won [9].");
    check("Spain won [1, 9].", "Spain won [1, 9].");
    check("Spain won (source 9).", "Spain won (source 9).");
}

#[test]
fn plain_markers_vanish() {
    check("Spain won [1].", "Spain won.");
    check("Spain won[1].", "Spain won.");
    check("Spain won. [1] It was close [2][3].", "Spain won. It was close.");
    check("Spain won [1, 2].", "Spain won.");
    check("Spain won [1], [2].", "Spain won.");
    check("Spain won [1] and [2].", "Spain won.");
    check("Spain won [1] and lost.", "Spain won and lost.");
    check("Spain won [1], and lost.", "Spain won, and lost.");
    check("Spain won (source 1).", "Spain won.");
    check("Spain won [Source 1, Source 2].", "Spain won.");
    check("A Espanha venceu (fontes 1 e 2).", "A Espanha venceu.");
    check("It rose by 5% [1].", "It rose by 5%.");
    check("In 2010 [1], Spain won.", "In 2010, Spain won.");
}

#[test]
fn what_only_looks_like_a_marker_stays() {
    for text in [
        "See [1](https://example.com) now",
        "See the page[1](https://example.com) now",
        "[1]: https://example.com",
        "[1] A title — https://example.com",
        "- [1] A title",
        "Sources:\n[1] A title\n[2] Another",
        "Take a[1] and row[2] and x_y[3] and userIds[1].",
        "the interval [1, 2] is closed, x = [1]",
        "As [x] and [1x] and [1]st and [^1] and \\[1\\] say",
        "a nested [[1]] link, a [text][1] link",
        "(1) first, (2) second",
        "⟦x⟧ is the meaning of x, ⟦⟧ of nothing, ⟦１⟧",
        "According to the list in [1], nothing.",
        "(source code)",
    ] {
        check(text, text);
    }
}

#[test]
fn code_is_left_alone() {
    for text in [
        "`a ⟦1⟧ b`",
        "``a ` ⟦1⟧ [1]``",
        "```\na ⟦1⟧ [1]\n```\n",
        "```python\nx[1] ⟦1⟧\n```",
        "~~~\n```\n⟦1⟧\n~~~\n",
        "  ```\n⟦1⟧\n```` ",
    ] {
        check(text, text);
    }
    check("`a` ⟦1⟧ `⟦1⟧`", "`a` `⟦1⟧`");
    check("```\n⟦1⟧\n```\nSpain won ⟦1⟧.", "```\n⟦1⟧\n```\nSpain won.");
    check("a ` ⟦1⟧\nb ⟦1⟧", "a ` ⟦1⟧\nb");
    check("\\` ⟦1⟧ \\`", "\\` \\`");
}

#[test]
fn lines_keep_their_breaks() {
    check("Spain won.\n⟦1⟧\nIt was close.", "Spain won.\nIt was close.");
    check("Spain won.⟦1⟧\n\nIt was close.", "Spain won.\n\nIt was close.");
    check("Spain won.\n\n⟦1⟧\n\nIt was close.", "Spain won.\n\nIt was close.");
    check("Spain won.\n⟦1⟧ It was close.", "Spain won.\nIt was close.");
    check("- Spain ⟦1⟧\n- Italy ⟦2⟧\n", "- Spain\n- Italy");
    check("Spain won.  \nIt was close.", "Spain won.  \nIt was close.");
}

#[test]
fn an_unfinished_rare_marker_is_not_shown() {
    check("Spain won ⟦", "Spain won");
    check("Spain won ⟦1", "Spain won");
    check("Spain won ⟦1,", "Spain won");
    check("Spain won (⟦1", "Spain won (");
    check("Spain won ⟦1⟧ ⟦2", "Spain won");
    check("Spain won [1", "Spain won [1");
    check("Spain won [1]", "Spain won");
    check("Spain won (sour", "Spain won (sour");
}

#[test]
fn what_is_left_is_no_marker_in_its_turn() {
    check("a ⟦⟦2⟧1⟧ b", "a 1⟧ b");
    check("a ⟦1⟦2⟧⟧ b", "a b");
    check("a [⟦2⟧1] b", "a [1 b");
    check("a ⟦[1]1⟧ b", "a ⟦[1]1⟧ b");
    check("a [Sou⟦1⟧rce 1] b", "a [Source 1 b");
    check("a ⟦1⟧\n(source 1)⟦1⟧ b", "a b");
    check("a ⟦1⟧\n[1] b", "a\n[1] b");
}

#[test]
fn only_what_may_become_a_marker_is_held_back() {
    let mut citer = Citer::new([source(1, "", "")]);
    let shown: Vec<_> = ["Spain", " won ", "⟦", "1", "⟧", ".", " [", "x", "] ", "(so", "me) [1", "]", "("]
        .map(|piece| citer.push(piece).text)
        .to_vec();
    assert_eq!(shown, ["Spain", " won", "", "", "", ".", "", " [x", "]", "", " (some)", "", " [1]("]);
    assert_eq!(citer.finish().text, "");
}

#[test]
fn a_long_beginning_is_let_go() {
    let mut citer = Citer::new([source(1, "", "")]);
    let long = format!("⟦{}", "1,".repeat(40));
    assert_eq!(citer.push(&long).text, long);
}

#[test]
fn a_new_text_begins_at_zero() {
    let mut citer = Citer::new([source(1, "The 2010 World Cup", "Spain won the 2010 World Cup in Johannesburg.")]);
    for _ in 0..2 {
        let mut cited = citer.push("Spain won the 2010 World Cup.⟦1⟧ ```");
        cited.citations.extend(citer.finish().citations);
        let found: Vec<_> = cited.citations.iter().map(|found| (found.start, found.end, found.source)).collect();
        assert_eq!(found, [(0, 29, 1)]);
    }
    assert_eq!(citer.dropped(), 0);
}

#[test]
fn later_sources_count_from_then_on() {
    let mut citer = Citer::default();
    let mut text = citer.push("Spain won [1]. ").text;
    citer.add([source(1, "first", "a"), source(1, "second", "b")]);
    text.push_str(&citer.push("Italy lost [1].").text);
    text.push_str(&citer.finish().text);
    assert_eq!(text, "Spain won [1]. Italy lost.");
    assert_eq!(citer.source(1).map(|source| source.title.as_str()), Some("first"));
    assert_eq!(citer.source(2), None);
}
