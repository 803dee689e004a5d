//! The tree of a page, of bounded depth and size.
//!
//! `html5ever` walks its stack of open elements for most tags and compares each attribute of a
//! tag with all before it, so that ten hostile megabytes would take days. It is fed in pieces,
//! and after each of them the depth, the size and the attributes so far are looked at; where one
//! is too much, the page ends.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use html5ever::buffer_queue::BufferQueue;
use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use html5ever::tree_builder::{TreeBuilder, TreeBuilderOpts};
use html5ever::{Attribute, ExpandedName, QualName, TokenizerResult};

/// As in browsers, which move deeper elements up.
const MOST_DEPTH: usize = 512;
const MOST_NODES: usize = 200_000;
const PIECE: usize = 1 << 10;
/// Comparisons of attributes, a tenth of a second of them. A picture of half a megabyte within
/// the page, whose slashes count, stays below.
const MOST_COMPARISONS: usize = 50_000_000;
/// Of an attribute that is kept.
const LONGEST_VALUE: usize = 1 << 10;

/// Attributes that tell what an element is.
const KEPT: [&str; 13] = [
    "alt",
    "aria-hidden",
    "class",
    "colspan",
    "content",
    "hidden",
    "id",
    "itemprop",
    "name",
    "property",
    "role",
    "start",
    "style",
];

pub(crate) type Id = usize;
pub(crate) const ROOT: Id = 0;

#[derive(Debug)]
pub(crate) enum Content {
    Root,
    Element {
        name: Box<str>,
        attributes: Vec<(Box<str>, Box<str>)>,
    },
    Text(String),
    /// Comments and the like.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) content: Content,
    pub(crate) parent: Option<Id>,
    first: Option<Id>,
    last: Option<Id>,
    previous: Option<Id>,
    next: Option<Id>,
    depth: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
}

/// Parses a page; tells whether its end was left out.
pub(crate) fn parse(text: &str) -> (Tree, bool) {
    let sink = Sink::new();
    let builder = TreeBuilder::new(sink, TreeBuilderOpts { scripting_enabled: false, ..Default::default() });
    let watched = Watched { builder, tokens: Cell::new(0) };
    let tokenizer = Tokenizer::new(watched, TokenizerOpts::default());
    let input = BufferQueue::default();
    let (mut rest, mut separators, mut comparisons) = (text, 0, 0);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        rest = after;
        let tokens = tokenizer.sink.tokens.get();
        input.push_back(StrTendril::from(piece));
        while !matches!(tokenizer.feed(&input), TokenizerResult::Done) {}
        // Within one tag there is no token, so this counts at least its attributes.
        if tokenizer.sink.tokens.get() != tokens {
            separators = 0;
        }
        for byte in piece.bytes() {
            if byte.is_ascii_whitespace() || matches!(byte, b'/' | b'"' | b'\'') {
                separators += 1;
                comparisons += separators;
            }
        }
        let sink = &tokenizer.sink.builder.sink;
        if sink.is_too_much.get() || comparisons > MOST_COMPARISONS {
            break;
        }
    }
    let is_cut = !rest.is_empty() || tokenizer.sink.builder.sink.is_too_much.get();
    if !is_cut {
        tokenizer.end();
    }
    (tokenizer.sink.builder.sink.finish(), is_cut)
}

impl Tree {
    pub(crate) fn children(&self, id: Id) -> impl Iterator<Item = Id> {
        std::iter::successors(self.nodes[id].first, |child| self.nodes[*child].next)
    }

    pub(crate) fn next(&self, id: Id) -> Option<Id> {
        self.nodes[id].next
    }

    pub(crate) fn first(&self, id: Id) -> Option<Id> {
        self.nodes[id].first
    }

    /// The name of an element; empty for everything else.
    pub(crate) fn name(&self, id: Id) -> &str {
        match &self.nodes[id].content {
            Content::Element { name, .. } => name,
            Content::Root | Content::Text(_) | Content::Nothing => "",
        }
    }

    pub(crate) fn attribute(&self, id: Id, wanted: &str) -> Option<&str> {
        match &self.nodes[id].content {
            Content::Element { attributes, .. } => {
                attributes.iter().find(|(name, _)| **name == *wanted).map(|(_, value)| &**value)
            }
            Content::Root | Content::Text(_) | Content::Nothing => None,
        }
    }

    /// In the order of the page. Elements that `enters` says no to are passed by.
    pub(crate) fn walk(&self, from: Id, mut enters: impl FnMut(Id) -> bool, mut visit: impl FnMut(Visit)) {
        let mut at = from;
        loop {
            let entered = enters(at);
            if entered {
                visit(Visit::Enter(at));
                if let Some(first) = self.first(at) {
                    at = first;
                    continue;
                }
                visit(Visit::Leave(at));
            }
            loop {
                if at == from {
                    return;
                }
                if let Some(next) = self.next(at) {
                    at = next;
                    break;
                }
                let Some(parent) = self.nodes[at].parent else { return };
                at = parent;
                visit(Visit::Leave(at));
            }
        }
    }

    fn detach(&mut self, id: Id) {
        let (parent, previous, next) = (self.nodes[id].parent, self.nodes[id].previous, self.nodes[id].next);
        match previous {
            Some(previous) => self.nodes[previous].next = next,
            None => {
                if let Some(parent) = parent {
                    self.nodes[parent].first = next;
                }
            }
        }
        match next {
            Some(next) => self.nodes[next].previous = previous,
            None => {
                if let Some(parent) = parent {
                    self.nodes[parent].last = previous;
                }
            }
        }
        let node = &mut self.nodes[id];
        (node.parent, node.previous, node.next) = (None, None, None);
    }

    fn add(&mut self, content: Content) -> Id {
        self.nodes.push(Node { content, parent: None, first: None, last: None, previous: None, next: None, depth: 0 });
        self.nodes.len() - 1
    }

    /// Puts a node among a parent's children, before one of them or at their end.
    fn put(&mut self, id: Id, parent: Id, before: Option<Id>) {
        self.detach(id);
        let previous = match before {
            Some(before) => self.nodes[before].previous,
            None => self.nodes[parent].last,
        };
        let depth = self.nodes[parent].depth + 1;
        let node = &mut self.nodes[id];
        (node.parent, node.previous, node.next, node.depth) = (Some(parent), previous, before, depth);
        match previous {
            Some(previous) => self.nodes[previous].next = Some(id),
            None => self.nodes[parent].first = Some(id),
        }
        match before {
            Some(before) => self.nodes[before].previous = Some(id),
            None => self.nodes[parent].last = Some(id),
        }
    }

    fn put_text(&mut self, text: &str, parent: Id, before: Option<Id>) {
        let previous = match before {
            Some(before) => self.nodes[before].previous,
            None => self.nodes[parent].last,
        };
        if let Some(previous) = previous
            && let Content::Text(known) = &mut self.nodes[previous].content
        {
            known.push_str(text);
            return;
        }
        let id = self.add(Content::Text(text.to_owned()));
        self.put(id, parent, before);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visit {
    Enter(Id),
    Leave(Id),
}

/// Counts what is more than a complaint.
struct Watched {
    builder: TreeBuilder<Handle, Sink>,
    tokens: Cell<usize>,
}

impl TokenSink for Watched {
    type Handle = Handle;

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<Handle> {
        if !matches!(token, Token::ParseError(_)) {
            self.tokens.set(self.tokens.get() + 1);
        }
        self.builder.process_token(token, line)
    }

    fn end(&self) {
        self.builder.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.builder.adjusted_current_node_present_but_not_in_html_namespace()
    }
}

#[derive(Clone)]
struct Handle {
    id: Id,
    name: Option<Rc<QualName>>,
    is_integration_point: bool,
}

struct Sink {
    tree: RefCell<Tree>,
    no_name: QualName,
    is_too_much: Cell<bool>,
}

impl Sink {
    fn new() -> Self {
        let mut tree = Tree::default();
        tree.add(Content::Root);
        let no_name = QualName::new(None, html5ever::ns!(), html5ever::LocalName::from(""));
        Self { tree: RefCell::new(tree), no_name, is_too_much: Cell::new(false) }
    }

    fn insert(&self, parent: Id, before: Option<Id>, child: NodeOrText<Handle>) {
        let mut tree = self.tree.borrow_mut();
        match child {
            NodeOrText::AppendNode(node) => {
                tree.put(node.id, parent, before);
                if tree.nodes[node.id].depth > MOST_DEPTH {
                    self.is_too_much.set(true);
                }
            }
            NodeOrText::AppendText(text) => tree.put_text(&text, parent, before),
        }
    }

    fn add(&self, content: Content) -> Id {
        let id = self.tree.borrow_mut().add(content);
        if id > MOST_NODES {
            self.is_too_much.set(true);
        }
        id
    }
}

impl TreeSink for Sink {
    type Handle = Handle;
    type Output = Tree;
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) -> Tree {
        self.tree.into_inner()
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Handle {
        Handle { id: ROOT, name: None, is_integration_point: false }
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> ExpandedName<'a> {
        target.name.as_deref().unwrap_or(&self.no_name).expanded()
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> Handle {
        let attributes = attributes
            .into_iter()
            .filter(|attribute| attribute.value.len() <= LONGEST_VALUE && KEPT.contains(&&*attribute.name.local))
            .map(|attribute| (Box::from(&*attribute.name.local), Box::from(&*attribute.value)))
            .collect();
        let id = self.add(Content::Element { name: Box::from(&*name.local), attributes });
        let is_integration_point = flags.mathml_annotation_xml_integration_point;
        Handle { id, name: Some(Rc::new(name)), is_integration_point }
    }

    fn create_comment(&self, _: StrTendril) -> Handle {
        Handle { id: self.add(Content::Nothing), name: None, is_integration_point: false }
    }

    fn create_pi(&self, target: StrTendril, _: StrTendril) -> Handle {
        self.create_comment(target)
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        self.insert(parent.id, None, child);
    }

    fn append_based_on_parent_node(&self, element: &Handle, previous: &Handle, child: NodeOrText<Handle>) {
        let has_parent = self.tree.borrow().nodes[element.id].parent.is_some();
        if has_parent { self.append_before_sibling(element, child) } else { self.append(previous, child) }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    /// Inert content is kept where it stands; it is not shown.
    fn get_template_contents(&self, target: &Handle) -> Handle {
        target.clone()
    }

    fn same_node(&self, one: &Handle, other: &Handle) -> bool {
        one.id == other.id
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Handle, child: NodeOrText<Handle>) {
        let parent = self.tree.borrow().nodes[sibling.id].parent;
        self.insert(parent.unwrap_or(ROOT), parent.map(|_| sibling.id), child);
    }

    /// Further `<html>` and `<body>` tags tell nothing that is of use.
    fn add_attrs_if_missing(&self, _: &Handle, _: Vec<Attribute>) {}

    fn remove_from_parent(&self, target: &Handle) {
        self.tree.borrow_mut().detach(target.id);
    }

    fn reparent_children(&self, node: &Handle, new_parent: &Handle) {
        let mut tree = self.tree.borrow_mut();
        while let Some(child) = tree.nodes[node.id].first {
            tree.put(child, new_parent.id, None);
        }
    }

    fn is_mathml_annotation_xml_integration_point(&self, handle: &Handle) -> bool {
        handle.is_integration_point
    }
}
