//! From text that anybody may have written to a drawing that can be painted, or a plain refusal.
//!
//! What is painted is never the text that came: it is written anew from what was understood, so
//! that nothing can be in it that was not looked at.

use std::fmt::Write as _;

use roxmltree::{Node, ParsingOptions};

use crate::attribute::{Kind, SHAPES, is_known, kind, number};
use crate::extent::Extent;

/// The longest drawing, in bytes.
pub(crate) const LONGEST: usize = 32 << 10;

/// The most elements of a drawing, and how deep they may be inside one another.
const MOST_ELEMENTS: usize = 120;
const DEEPEST: usize = 5;

/// The most characters of one text.
const LONGEST_TEXT: usize = 48;

/// How often all of the picture may be painted over: what is painted costs time.
const MOST_PAINTED: f64 = 8.0;

/// How far from zero anything may be, in widths or heights of the drawing.
const REACH: f64 = 4.0;

/// The size of a drawing in units of its own. The corner at the left and the top is 0,0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub width: u32,
    pub height: u32,
}

/// The largest view that is read.
const LARGEST_VIEW: u32 = 10_000;

/// A drawing that was understood whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    source: String,
    svg: String,
    view: View,
    shapes: usize,
}

/// Why a text is no drawing, in words for who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it is longer than {LONGEST} bytes")]
    TooLong,
    #[error("there is no whole `<svg>` in it")]
    Missing,
    #[error("it is no well-formed XML: {0}")]
    Malformed(String),
    #[error("it has a document type or entities, which drawings do not take")]
    Entities,
    #[error(
        "the element `<{0}>` is not taken here; taken are rect, circle, ellipse, line, polyline, polygon, path, text, g and linearGradient"
    )]
    Element(String),
    #[error("`<{element}>` does not take the attribute `{attribute}`")]
    Attribute { element: String, attribute: String },
    #[error("`{attribute}` of `<{element}>`: expected {expected}")]
    Value { element: String, attribute: String, expected: String },
    #[error("it has more than {MOST_ELEMENTS} elements")]
    TooMany,
    #[error("its elements are deeper than {DEEPEST} inside one another")]
    TooDeep,
    #[error("a text is longer than {LONGEST_TEXT} characters")]
    TooWordy,
    #[error("it paints over the whole picture more than {MOST_PAINTED} times")]
    TooMuchPaint,
    #[error("a shape is far outside of the picture")]
    TooFar,
    #[error("the size of the drawing cannot be read")]
    Size,
}

impl Drawing {
    /// Finds the drawing in an answer, which may have words around it. `view` is its size where
    /// it does not say one.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn read(answer: &str, view: View) -> Result<Self, Refused> {
        let text = find(answer)?;
        let options = ParsingOptions { allow_dtd: false, nodes_limit: LONGEST as u32, ..ParsingOptions::default() };
        let document = roxmltree::Document::parse_with_options(text, options).map_err(|error| match error {
            roxmltree::Error::DtdDetected => Refused::Entities,
            error => Refused::Malformed(error.to_string().chars().take(120).collect()),
        })?;
        let root = document.root_element();
        let mut reader =
            Reader { view, reach: 0.0, svg: String::new(), elements: 0, shapes: 0, paint: 0.0, gradients: Vec::new() };
        reader.root(root)?;
        let Reader { view, svg, shapes, .. } = reader;
        Ok(Self { source: text.to_owned(), svg, view, shapes })
    }

    /// As it was written, without what was around it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// It, written anew.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    pub fn view(&self) -> View {
        self.view
    }

    /// How many shapes are in sight.
    pub fn shapes(&self) -> usize {
        self.shapes
    }
}

/// A drawing that ended in its middle, ended after its last whole shape; what ends otherwise, as it is.
pub fn ended(answer: &str) -> String {
    const ENDS: [&str; 3] = ["/>", "</g>", "</text>"];
    let Some(start) = answer.find("<svg") else { return answer.to_owned() };
    let last = ENDS.iter().filter_map(|end| answer.rfind(end).map(|at| at + end.len())).max();
    let Some(last) = last.filter(|last| *last > start && !answer.contains("</svg>")) else { return answer.to_owned() };
    let shown = &answer[..last];
    let open = shown.matches("<g").count().saturating_sub(shown.matches("</g>").count());
    format!("{shown}{}</svg>", "</g>".repeat(open.min(DEEPEST)))
}

/// The `<svg>` of a text.
fn find(answer: &str) -> Result<&str, Refused> {
    const END: &str = "</svg>";
    if answer.len() > LONGEST {
        return Err(Refused::TooLong);
    }
    let start = answer.find("<svg").ok_or(Refused::Missing)?;
    let end = answer.rfind(END).filter(|end| *end > start).ok_or(Refused::Missing)?;
    Ok(&answer[start..end + END.len()])
}

struct Reader {
    view: View,
    /// How far from zero anything may be.
    reach: f64,
    /// What was written so far.
    svg: String,
    elements: usize,
    shapes: usize,
    /// How much was painted, in units squared.
    paint: f64,
    /// Their names.
    gradients: Vec<String>,
}

impl Reader {
    fn root(&mut self, root: Node<'_, '_>) -> Result<(), Refused> {
        if root.tag_name().name() != "svg" {
            return Err(Refused::Missing);
        }
        for attribute in root.attributes() {
            match attribute.name() {
                "viewBox" => self.view = view_box(attribute.value()).ok_or(Refused::Size)?,
                // The picture has a size of its own.
                "width" | "height" | "version" => {}
                other => return Err(unknown(root, other)),
            }
        }
        if root.attribute("viewBox").is_none()
            && let (Some(width), Some(height)) = (root.attribute("width"), root.attribute("height"))
        {
            self.view = View { width: side(width).ok_or(Refused::Size)?, height: side(height).ok_or(Refused::Size)? };
        }
        let View { width, height } = self.view;
        self.reach = REACH * f64::from(width.max(height));
        self.svg = format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">"#);
        self.children(root, 1)?;
        self.svg.push_str("</svg>");
        if self.paint > MOST_PAINTED * f64::from(width) * f64::from(height) {
            return Err(Refused::TooMuchPaint);
        }
        Ok(())
    }

    fn children(&mut self, parent: Node<'_, '_>, depth: usize) -> Result<(), Refused> {
        parent.children().filter(Node::is_element).try_for_each(|child| self.element(child, depth + 1))
    }

    fn element(&mut self, node: Node<'_, '_>, depth: usize) -> Result<(), Refused> {
        let name = node.tag_name().name();
        let parent = node.parent_element().map_or("", |parent| parent.tag_name().name());
        let has_place = match parent {
            "svg" | "g" => is_known(name) && name != "stop",
            "defs" => name == "linearGradient",
            "linearGradient" => name == "stop",
            _ => false,
        };
        if !has_place {
            return Err(Refused::Element(short(name)));
        }
        if depth > DEEPEST {
            return Err(Refused::TooDeep);
        }
        self.elements += 1;
        if self.elements > MOST_ELEMENTS {
            return Err(Refused::TooMany);
        }
        let _ = write!(self.svg, "<{name}");
        for attribute in node.attributes() {
            let kind = kind(name, attribute.name()).filter(|_| attribute.namespace().is_none());
            let kind = kind.ok_or_else(|| unknown(node, attribute.name()))?;
            self.attribute(name, attribute.name(), kind, attribute.value())?;
        }
        self.svg.push('>');
        if name == "linearGradient" {
            self.gradients.extend(node.attribute("id").map(|id| id.trim().to_owned()));
        }
        if name == "text" {
            self.words(node)?;
        } else {
            self.children(node, depth)?;
        }
        let _ = write!(self.svg, "</{name}>");
        if SHAPES.contains(&name) {
            self.measure(node)?;
        }
        Ok(())
    }

    fn attribute(&mut self, element: &str, name: &str, kind: Kind, value: &str) -> Result<(), Refused> {
        let value = self.plain(element, name, value);
        if !kind.takes(&value, self.reach, &self.gradients) {
            let (element, attribute) = (element.to_owned(), name.to_owned());
            return Err(Refused::Value { element, attribute, expected: kind.wanted() });
        }
        let value = escaped(&value);
        if name == "opacity" {
            // Of a whole shape it would need a picture of its own.
            let _ = write!(self.svg, r#" fill-opacity="{value}" stroke-opacity="{value}""#);
        } else {
            let _ = write!(self.svg, r#" {name}="{value}""#);
        }
        Ok(())
    }

    /// A value that may be in hundredths as a number.
    fn plain(&self, element: &str, name: &str, value: &str) -> String {
        let value = value.trim();
        let whole = match name {
            "offset" | "opacity" | "fill-opacity" | "stroke-opacity" | "stop-opacity" => 1.0,
            _ if element == "linearGradient" => 1.0,
            "x" | "width" | "cx" | "x1" | "x2" => f64::from(self.view.width),
            "y" | "height" | "cy" | "y1" | "y2" => f64::from(self.view.height),
            _ => return value.to_owned(),
        };
        let hundredths = value.strip_suffix('%').and_then(number);
        hundredths.map_or_else(|| value.to_owned(), |hundredths| (hundredths / 100.0 * whole).to_string())
    }

    fn words(&mut self, node: Node<'_, '_>) -> Result<(), Refused> {
        if let Some(child) = node.children().find(Node::is_element) {
            return Err(Refused::Element(short(child.tag_name().name())));
        }
        let words: String = node.children().filter_map(|child| child.text()).collect();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.chars().count() > LONGEST_TEXT {
            return Err(Refused::TooWordy);
        }
        self.svg.push_str(&escaped(&words));
        Ok(())
    }

    /// Takes note of how much a shape paints.
    fn measure(&mut self, shape: Node<'_, '_>) -> Result<(), Refused> {
        // What a group says is its shapes' as well.
        let inherited = |name: &str| {
            let mut own = shape.ancestors().take_while(|node| node.tag_name().name() != "svg");
            let (node, value) = own.find_map(|node| Some((node, node.attribute(name)?)))?;
            Some(self.plain(node.tag_name().name(), name, value))
        };
        let text = shape.text().map_or(0, |text| text.chars().count());
        let Some(extent) = Extent::of(shape.tag_name().name(), inherited, text) else { return Ok(()) };
        // Of a text it is a guess.
        if shape.tag_name().name() != "text" && !extent.is_within(2.0 * self.reach) {
            return Err(Refused::TooFar);
        }
        let visible = extent.visible(self.view);
        self.paint += visible;
        self.shapes += usize::from(visible > 0.0);
        Ok(())
    }
}

fn unknown(node: Node<'_, '_>, attribute: &str) -> Refused {
    Refused::Attribute { element: short(node.tag_name().name()), attribute: short(attribute) }
}

fn short(name: &str) -> String {
    name.chars().take(40).collect()
}

/// A view that begins at 0,0.
fn view_box(value: &str) -> Option<View> {
    let numbers: Vec<_> = value.split([' ', ',']).filter(|part| !part.is_empty()).collect();
    let [left, top, width, height] = numbers[..] else { return None };
    (number(left)? == 0.0 && number(top)? == 0.0).then_some(View { width: side(width)?, height: side(height)? })
}

fn side(value: &str) -> Option<u32> {
    let side = number(value).filter(|side| (1.0..=f64::from(LARGEST_VIEW)).contains(side))?;
    // In range as checked above.
    Some(side.round() as u32)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
