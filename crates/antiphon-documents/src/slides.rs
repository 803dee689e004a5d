//! Office's presentations (pptx), slide by slide, with what was noted for the speaker.

use crate::document::{Document, Options, Part, Parts};
use crate::fault::Fault;
use crate::flow::Flow;
use crate::kind::Kind;
use crate::limits::MOST_PAGES;
use crate::markup::{Markup, Node};
use crate::package::Package;
use crate::relations::{main_part, relations, title};

const KIND: Kind = Kind::Pptx;

pub(crate) fn read(bytes: &[u8], options: &Options) -> Result<Document, Fault> {
    let mut package = Package::open(bytes)?;
    let main = main_part(&mut package, KIND)?;
    let names = names(&mut package, &main)?;
    if names.len() > MOST_PAGES {
        return Err(Fault::limit("slides", MOST_PAGES));
    }
    let total = names.len() as u32;
    if total == 0 {
        return Err(Fault::unreadable(KIND, "it has no slides"));
    }
    let (start, end) = options.pages(total)?;
    let mut parts = Parts::new(options);
    if (start, end) != (1, total) {
        parts.left_out.push(format!("all but slides {start} to {end} of {total}"));
    }
    for number in start..=end {
        let name = &names[number as usize - 1];
        let mut flow = Flow::new(parts.left);
        walk(&package.entry(KIND, name)?, &mut flow)?;
        let notes = relations(&mut package, KIND, name)?.into_iter().find(|relation| relation.role == "notesSlide");
        if let Some(notes) = notes.map(|notes| package.optional(KIND, &notes.target)).transpose()?.flatten() {
            flow.text("Notes:");
            flow.end_paragraph();
            walk(&notes, &mut flow)?;
        }
        let (text, is_cut) = flow.finish();
        let text = text.strip_suffix("Notes:").map_or(text.as_str(), str::trim_end).to_owned();
        if !parts.add(Part { label: format!("slide {number}"), number, text, scanned: false }, is_cut) {
            break;
        }
    }
    let title = title(&mut package, KIND, "docProps/core.xml")?;
    Ok(Document { title, ..parts.document(KIND, total) })
}

/// The entries of the slides, in their order.
fn names(package: &mut Package<'_>, main: &str) -> Result<Vec<String>, Fault> {
    let targets = relations(package, KIND, main)?;
    let presentation = package.entry(KIND, main)?;
    let mut names = Vec::new();
    let mut markup = Markup::new(KIND, &presentation);
    while let Some(node) = markup.next()? {
        let Node::Open(element) = node else { continue };
        if element.name() != b"sldId" {
            continue;
        }
        // It has an id of its own beside that of the relation.
        let id = element.attribute_with_prefix("id");
        names.extend(targets.iter().find(|target| Some(&target.id) == id.as_ref()).map(|target| target.target.clone()));
    }
    Ok(names)
}

fn walk(xml: &[u8], flow: &mut Flow) -> Result<(), Fault> {
    let mut markup = Markup::new(KIND, xml);
    let (mut is_text, mut is_title) = (false, false);
    while let Some(node) = markup.next()? {
        match node {
            Node::Open(element) => {
                is_text = element.name() == b"t";
                match element.name() {
                    // The slide's number, and what older programs show instead.
                    b"fld" | b"Fallback" => markup.skip()?,
                    b"sp" => is_title = false,
                    b"ph" => {
                        is_title = matches!(element.attribute("type").as_deref(), Some("title" | "ctrTitle"));
                    }
                    b"p" if is_title => flow.heading(1),
                    b"br" => flow.text("\n"),
                    b"tbl" => flow.open_table(),
                    b"tc" => flow.open_cell(),
                    b"cNvPr" => {
                        if let Some(description) = element.attribute("descr").filter(|text| !text.is_empty()) {
                            flow.text(&format!("[picture: {description}]"));
                            flow.end_paragraph();
                        }
                    }
                    _ => {}
                }
            }
            Node::Text(text) if is_text => flow.text(&text),
            Node::Text(_) => {}
            Node::Close(name) => {
                is_text = false;
                match name.as_slice() {
                    b"p" => flow.end_paragraph(),
                    b"tc" => flow.close_cell(),
                    b"tr" => flow.close_row(),
                    b"tbl" => flow.close_table(),
                    _ => {}
                }
            }
        }
        if flow.is_full() {
            break;
        }
    }
    Ok(())
}
