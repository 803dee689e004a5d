//! Office's text files (docx). They do not say where their pages are, so they are one part.

use std::collections::HashMap;

use crate::document::{Document, Options, Parts};
use crate::fault::Fault;
use crate::flow::Flow;
use crate::kind::Kind;
use crate::markup::{Element, Markup, Node};
use crate::package::Package;
use crate::relations::{main_part, relations, title};
use crate::text::whole;

const KIND: Kind = Kind::Docx;

/// Styles that say more than how it looks, by their ids, which are translated; their names are not.
type Styles = HashMap<String, Style>;

#[derive(Clone, Copy)]
enum Style {
    Heading(usize),
    Item,
}

pub(crate) fn read(bytes: &[u8], options: &Options) -> Result<Document, Fault> {
    let mut package = Package::open(bytes)?;
    let main = main_part(&mut package, KIND)?;
    let parts_of_it = relations(&mut package, KIND, &main)?;
    let entry = |role: &str| parts_of_it.iter().find(|relation| relation.role == role).map(|found| &found.target);
    let styles = entry("styles").map(|name| package.optional(KIND, name)).transpose()?.flatten();
    let styles = read_styles(&styles.unwrap_or_default())?;
    let mut parts = Parts::new(options);
    let mut flow = Flow::new(parts.left);
    walk(&package.entry(KIND, &main)?, &styles, &mut flow)?;
    if let Some(notes) = entry("footnotes").map(|name| package.optional(KIND, name)).transpose()?.flatten() {
        walk(&notes, &styles, &mut flow)?;
    }
    let (text, is_cut) = flow.finish();
    parts.add(whole(text), is_cut);
    let title = title(&mut package, KIND, "docProps/core.xml")?;
    Ok(Document { title, ..parts.document(KIND, 1) })
}

fn read_styles(xml: &[u8]) -> Result<Styles, Fault> {
    let mut styles = Styles::new();
    let mut id = None;
    let mut markup = Markup::new(KIND, xml);
    while let Some(node) = markup.next()? {
        let Node::Open(element) = node else { continue };
        match element.name() {
            b"style" => id = element.attribute("styleId"),
            b"name" => {
                let name = element.attribute("val").unwrap_or_default().to_lowercase();
                let level = name.strip_prefix("heading ").and_then(|level| level.parse().ok());
                let level = level.or((name == "title").then_some(1));
                if let (Some(id), Some(level)) = (&id, level) {
                    styles.insert(id.clone(), Style::Heading(level));
                }
            }
            // Headings may be numbered.
            b"numPr" => {
                if let Some(id) = &id {
                    styles.entry(id.clone()).or_insert(Style::Item);
                }
            }
            _ => {}
        }
    }
    Ok(styles)
}

fn walk(xml: &[u8], styles: &Styles, flow: &mut Flow) -> Result<(), Fault> {
    let mut markup = Markup::new(KIND, xml);
    let mut is_text = false;
    while let Some(node) = markup.next()? {
        match node {
            Node::Open(element) => {
                is_text = element.name() == b"t";
                if is_passed_over(&element) {
                    markup.skip()?;
                } else {
                    open(&element, styles, flow);
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

/// What is not the text as it stands: what was deleted, stops of tabulators, codes of fields, what
/// older programs show instead, the lines above footnotes.
fn is_passed_over(element: &Element<'_>) -> bool {
    match element.name() {
        b"tabs" | b"delText" | b"instrText" | b"moveFrom" | b"Fallback" | b"rPr" => true,
        b"footnote" => element.attribute("type").is_some_and(|kind| kind != "normal"),
        _ => false,
    }
}

fn open(element: &Element<'_>, styles: &Styles, flow: &mut Flow) {
    match element.name() {
        b"tbl" => flow.open_table(),
        b"tc" => flow.open_cell(),
        b"tab" => flow.text("\t"),
        b"br" | b"cr" => flow.text("\n"),
        b"noBreakHyphen" => flow.text("-"),
        // Zero takes the number away.
        b"numId" if element.attribute("val").as_deref() != Some("0") => flow.item(),
        b"pStyle" => match element.attribute("val").and_then(|id| styles.get(&id).copied()) {
            Some(Style::Heading(level)) => flow.heading(level),
            Some(Style::Item) => flow.item(),
            None => {}
        },
        b"footnoteReference" => {
            if let Some(id) = element.attribute("id") {
                flow.text(&format!("[^{id}]"));
            }
        }
        b"footnote" => {
            if let Some(id) = element.attribute("id") {
                flow.text(&format!("[^{id}]: "));
            }
        }
        b"docPr" => {
            if let Some(description) = element.attribute("descr").filter(|description| !description.is_empty()) {
                flow.text(&format!("[picture: {description}]"));
            }
        }
        _ => {}
    }
}
