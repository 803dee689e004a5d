//! Markup to light Markdown: the page's title, and the text of its main part with headings,
//! lists, tables and code as such.
//!
//! Parsing is `html5ever`'s, which repairs what is broken as browsers do. The choice of the main
//! part is ours: crates for it bring engines for selectors and cannot be bounded.

mod choose;
mod render;
mod tree;

use super::text::Bounded;
use super::{Bounds, Document};

pub(crate) fn read(text: &str, bounds: &Bounds) -> Document {
    let (tree, is_cut) = tree::parse(text);
    let main = choose::main_part(&tree);
    let mut out = Bounded::new(bounds.output_bytes);
    render::render(&tree, &main, &mut out);
    let is_cut = is_cut || out.is_cut;
    Document { title: choose::title(&tree), text: out.text, page_starts: Vec::new(), is_cut }
}
