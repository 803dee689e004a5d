//! OpenDocument's text files, which are one part, and presentations, slide by slide.

use crate::document::{Document, Options, Part, Parts};
use crate::fault::Fault;
use crate::flow::Flow;
use crate::kind::Kind;
use crate::limits::MOST_PAGES;
use crate::markup::{Element, Markup, Node};
use crate::package::Package;
use crate::relations::title;
use crate::text::whole;

/// Spaces and cells that stand for many.
const MOST_REPEATED: usize = 100;

pub(crate) fn read(bytes: &[u8], kind: Kind, options: &Options) -> Result<Document, Fault> {
    let mut package = Package::open(bytes)?;
    let content = package.entry(kind, "content.xml")?;
    let mut parts = Parts::new(options);
    let mut markup = Markup::new(kind, &content);
    let total = if kind == Kind::Odp {
        slides(&mut markup, &content, options, &mut parts)?
    } else {
        let mut flow = Flow::new(parts.left);
        walk(&mut markup, None, &mut flow)?;
        let (text, is_cut) = flow.finish();
        parts.add(whole(text), is_cut);
        1
    };
    let title = title(&mut package, kind, "meta.xml")?;
    Ok(Document { title, ..parts.document(kind, total) })
}

fn slides(markup: &mut Markup<'_>, content: &[u8], options: &Options, parts: &mut Parts) -> Result<u32, Fault> {
    let mut total = 0;
    let mut counting = Markup::new(Kind::Odp, content);
    while let Some(node) = counting.next()? {
        total += u32::from(matches!(node, Node::Open(element) if is_slide(&element)));
    }
    if total as usize > MOST_PAGES {
        return Err(Fault::limit("slides", MOST_PAGES));
    }
    if total == 0 {
        return Err(Fault::unreadable(Kind::Odp, "it has no slides"));
    }
    let (start, end) = options.pages(total)?;
    if (start, end) != (1, total) {
        parts.left_out.push(format!("all but slides {start} to {end} of {total}"));
    }
    let mut number = 0;
    while number < end
        && let Some(node) = markup.next()?
    {
        let Node::Open(element) = node else { continue };
        if !is_slide(&element) {
            continue;
        }
        number += 1;
        if number < start {
            markup.skip()?;
            continue;
        }
        let mut flow = Flow::new(parts.left);
        walk(markup, Some(b"page"), &mut flow)?;
        let (text, is_cut) = flow.finish();
        if !parts.add(Part { label: format!("slide {number}"), number, text, scanned: false }, is_cut) {
            break;
        }
    }
    Ok(total)
}

fn is_slide(element: &Element<'_>) -> bool {
    element.name() == b"page" && element.attribute("master-page-name").is_some()
}

/// Reads up to the end of an element, or of all.
fn walk(markup: &mut Markup<'_>, until: Option<&[u8]>, flow: &mut Flow) -> Result<(), Fault> {
    let (mut paragraphs, mut notes) = (0usize, 0usize);
    let mut repeated = 1;
    while let Some(node) = markup.next()? {
        match node {
            Node::Open(element) => match element.name() {
                // What was deleted, remarks at the margin, and what is written where notes are.
                b"tracked-changes" | b"annotation" | b"note-citation" | b"forms" => markup.skip()?,
                b"p" | b"h" => {
                    paragraphs += 1;
                    if element.name() == b"h" {
                        let level = element.attribute("outline-level").and_then(|level| level.parse().ok());
                        flow.heading(level.unwrap_or(1));
                    }
                }
                b"list-item" => flow.item(),
                b"s" => {
                    let count = element.attribute("c").and_then(|count| count.parse().ok()).unwrap_or(1);
                    flow.text(&" ".repeat(count.min(MOST_REPEATED)));
                }
                b"tab" => flow.text("\t"),
                b"line-break" => flow.text("\n"),
                b"note-body" => {
                    notes += 1;
                    flow.text(" [");
                }
                b"notes" => {
                    flow.text("Notes:");
                    flow.end_paragraph();
                }
                b"table" => flow.open_table(),
                b"table-cell" | b"covered-table-cell" => {
                    let count = element.attribute("number-columns-repeated").and_then(|count| count.parse().ok());
                    repeated = count.unwrap_or(1).min(MOST_REPEATED);
                    flow.open_cell();
                }
                _ => {}
            },
            Node::Text(text) if paragraphs > 0 => flow.text(&text.replace('\n', " ")),
            Node::Text(_) => {}
            Node::Close(name) => match name.as_slice() {
                name if Some(name) == until => break,
                b"p" | b"h" => {
                    paragraphs = paragraphs.saturating_sub(1);
                    // A note stands within the paragraph that it belongs to.
                    if notes == 0 {
                        flow.end_paragraph();
                    }
                }
                b"note-body" => {
                    notes = notes.saturating_sub(1);
                    flow.text("]");
                }
                b"table-cell" | b"covered-table-cell" => {
                    flow.close_cell();
                    for _ in 1..std::mem::replace(&mut repeated, 1) {
                        flow.open_cell();
                        flow.close_cell();
                    }
                }
                b"table-row" => flow.close_row(),
                b"table" => flow.close_table(),
                _ => {}
            },
        }
        if flow.is_full() {
            break;
        }
    }
    Ok(())
}
