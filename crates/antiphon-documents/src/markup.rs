//! XML as a bounded walk: elements that open and close, and characters between them.
//!
//! Names are without their prefix. There are no entities but XML's own five: a document type is
//! refused, and with it all that such a thing can define.

use std::borrow::Cow;

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::QName;
use quick_xml::{Reader, XmlVersion};

use crate::fault::Fault;
use crate::kind::Kind;
use crate::limits::MOST_DEPTH;

pub(crate) struct Markup<'a> {
    kind: Kind,
    reader: Reader<&'a [u8]>,
    depth: usize,
}

pub(crate) enum Node<'a> {
    Open(Element<'a>),
    Close(Vec<u8>),
    Text(Cow<'a, str>),
}

pub(crate) struct Element<'a>(BytesStart<'a>);

impl<'a> Markup<'a> {
    pub(crate) fn new(kind: Kind, bytes: &'a [u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = Reader::from_reader(bytes);
        reader.config_mut().expand_empty_elements = true;
        Self { kind, reader, depth: 0 }
    }

    /// What comes next; nothing at the end.
    ///
    /// # Errors
    /// When it is no XML, has a document type, or is nested too deeply.
    pub(crate) fn next(&mut self) -> Result<Option<Node<'a>>, Fault> {
        let kind = self.kind;
        let broken = |error: quick_xml::Error| Fault::unreadable(kind, format!("its XML is broken: {error}"));
        loop {
            match self.reader.read_event().map_err(broken)? {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > MOST_DEPTH {
                        return Err(Fault::limit("depth of XML", MOST_DEPTH));
                    }
                    return Ok(Some(Node::Open(Element(start))));
                }
                Event::End(end) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Some(Node::Close(end.local_name().as_ref().to_vec())));
                }
                Event::Text(text) => return Ok(Some(Node::Text(text.decode().map_err(|error| broken(error.into()))?))),
                Event::CData(text) => {
                    return Ok(Some(Node::Text(text.decode().map_err(|error| broken(error.into()))?)));
                }
                Event::GeneralRef(reference) => {
                    if let Some(character) = reference.resolve_char_ref().map_err(broken)? {
                        return Ok(Some(Node::Text(Cow::Owned(character.to_string()))));
                    }
                    let name = reference.decode().map_err(|error| broken(error.into()))?;
                    let value = quick_xml::escape::resolve_xml_entity(&name)
                        .ok_or_else(|| Fault::unreadable(kind, "its XML names an entity that XML does not know"))?;
                    return Ok(Some(Node::Text(Cow::Borrowed(value))));
                }
                Event::DocType(_) => return Err(Fault::unreadable(kind, "its XML has a document type of its own")),
                Event::Eof if self.depth > 0 => return Err(Fault::unreadable(kind, "its XML ends within an element")),
                Event::Eof => return Ok(None),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
    }

    /// Passes over all that is in the element that has just been opened, and its end.
    pub(crate) fn skip(&mut self) -> Result<(), Fault> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            if self.next()?.is_none() {
                break;
            }
        }
        Ok(())
    }
}

impl Element<'_> {
    pub(crate) fn name(&self) -> &[u8] {
        self.0.local_name().into_inner()
    }

    /// The value of an attribute, called so with or without a prefix.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        self.find(|key| key.local_name().as_ref() == name.as_bytes())
    }

    /// As [`Self::attribute`], of those that have a prefix.
    pub(crate) fn attribute_with_prefix(&self, name: &str) -> Option<String> {
        self.find(|key| key.prefix().is_some() && key.local_name().as_ref() == name.as_bytes())
    }

    fn find(&self, is_wanted: impl Fn(QName<'_>) -> bool) -> Option<String> {
        let mut attributes = self.0.attributes();
        let found = attributes.with_checks(false).flatten().find(|attribute| is_wanted(attribute.key))?;
        found.normalized_value(XmlVersion::Implicit1_0).ok().map(Cow::into_owned)
    }
}
