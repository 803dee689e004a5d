//! The text of a PDF, page by page.
//!
//! The pages are drawn on a device that keeps nothing but characters and where they stand. Lines,
//! words and paragraphs are guessed from the distances: a PDF does not tell them.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use hayro_interpret::font::{Glyph, GlyphRun};
use hayro_interpret::hayro_cmap::BfString;
use hayro_interpret::kurbo::{Affine, BezPath, Point, Rect};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps, InterpreterCache,
    InterpreterSettings, SoftMask, interpret_page,
};
use hayro_syntax::page::Page as PdfPage;
use hayro_syntax::{DecryptionError, LoadPdfError, Pdf};

use super::text::Bounded;
use super::{Bounds, Document, ExtractError};

/// Of all streams of a file, unpacked.
const MOST_UNPACKED: u64 = 256 << 20;
/// Streams packed into one another.
const MOST_LAYERS: usize = 3;
/// What one stream counts as at least: to begin with one is work as well.
const LEAST_UNPACKED: u64 = 4 << 10;
/// Characters, paths and pictures of a file.
const MOST_DRAWN: usize = 500_000;

pub(crate) fn read(bytes: &[u8], bounds: &Bounds) -> Result<Document, ExtractError> {
    let file = Pages::open(bytes.to_vec()).map_err(|error| match error {
        ExtractError::TooLarge(_) => ExtractError::TooLarge(bounds.input_bytes),
        error => error,
    })?;
    let reading = file.reading();
    let mut text = Bounded::new(bounds.output_bytes);
    let mut page_starts = Vec::new();
    let mut drawn = 0;
    for page in file.pdf.pages().iter().take(bounds.pages) {
        if !page_starts.is_empty() {
            text.push_str("\n\n");
        }
        page_starts.push(text.text.len());
        reading.draw(page, &mut text, &mut drawn)?;
        if text.is_cut {
            break;
        }
    }
    let is_cut = text.is_cut || file.total() > bounds.pages;
    Ok(Document { title: file.title(), text: text.text, page_starts, is_cut })
}

/// A PDF of which single pages are wanted.
pub struct Pages {
    pdf: Pdf,
}

/// Fonts that were read for a page are kept for the next.
pub struct Reading<'pdf> {
    pdf: &'pdf Pdf,
    cache: InterpreterCache<'pdf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub text: String,
    /// Whether something can be seen on it, be it characters or not.
    pub is_drawn_on: bool,
    /// Whether something was left out for its size.
    pub is_cut: bool,
}

impl Pages {
    /// # Errors
    /// [`ExtractError::TooLarge`] with what its streams may unpack to; when it is encrypted; when
    /// it is no PDF, or has no pages.
    pub fn open(bytes: Vec<u8>) -> Result<Self, ExtractError> {
        if unpacked(&bytes) > MOST_UNPACKED {
            return Err(ExtractError::TooLarge(MOST_UNPACKED as usize));
        }
        let pdf = Pdf::new(bytes).map_err(|error| match error {
            LoadPdfError::Decryption(DecryptionError::PasswordProtected) => ExtractError::Encrypted,
            LoadPdfError::Decryption(_) | LoadPdfError::Invalid => ExtractError::Unreadable,
        })?;
        if pdf.pages().is_empty() {
            return Err(ExtractError::Unreadable);
        }
        Ok(Self { pdf })
    }

    pub fn total(&self) -> usize {
        self.pdf.pages().len()
    }

    /// For those who make pictures of its pages.
    pub fn pdf(&self) -> &Pdf {
        &self.pdf
    }

    pub fn title(&self) -> Option<String> {
        self.pdf.metadata().title.as_deref().and_then(title)
    }

    pub fn reading(&self) -> Reading<'_> {
        Reading { pdf: &self.pdf, cache: InterpreterCache::new() }
    }
}

impl<'pdf> Reading<'pdf> {
    /// A page's text, the first of which is 0; none beyond the last.
    ///
    /// # Errors
    /// When it breaks its reader.
    pub fn page(&self, at: usize, output_bytes: usize) -> Result<Option<Page>, ExtractError> {
        let Some(page) = self.pdf.pages().get(at) else { return Ok(None) };
        let mut text = Bounded::new(output_bytes);
        let is_drawn_on = self.draw(page, &mut text, &mut 0)?;
        Ok(Some(Page { text: text.text, is_drawn_on, is_cut: text.is_cut }))
    }

    /// Writes a page, and says whether something is on it.
    fn draw(&self, page: &PdfPage<'pdf>, text: &mut Bounded, drawn: &mut usize) -> Result<bool, ExtractError> {
        let (width, height) = page.render_dimensions();
        let area = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
        let turned = Affine::new(page.initial_transform(true).as_coeffs());
        let settings = InterpreterSettings::default();
        let mut context = Context::new(turned, area, &self.cache, page.xref(), settings);
        let mut lines = Lines { out: text, last: None, drawn, is_drawn_on: false };
        let draw = AssertUnwindSafe(|| interpret_page(page, &mut context, &mut lines));
        let end = catch_unwind(draw);
        let is_drawn_on = lines.is_drawn_on;
        match end {
            Ok(()) => Ok(is_drawn_on),
            Err(panic) if panic.is::<Enough>() => {
                text.is_cut = true;
                Ok(is_drawn_on)
            }
            Err(_) => Err(ExtractError::Unreadable),
        }
    }
}

/// Counts what the streams of a file unpack to, up to the limit. Without trust in what the file
/// says of them: wherever `stream` stands, what follows is tried.
fn unpacked(bytes: &[u8]) -> u64 {
    const MARK: &[u8] = b"stream";
    let mut total = 0;
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(MARK.len()).position(|window| window == MARK) {
        at += found + MARK.len();
        let data = &bytes[at..];
        let data = data.strip_prefix(b"\r").unwrap_or(data);
        total += LEAST_UNPACKED;
        total += unpack(data.strip_prefix(b"\n").unwrap_or(data), MOST_UNPACKED.saturating_sub(total), MOST_LAYERS);
        if total > MOST_UNPACKED {
            break;
        }
    }
    total
}

fn unpack(data: &[u8], most: u64, layers: usize) -> u64 {
    if layers == 0 {
        return 0;
    }
    // Readers of PDF do without the header of zlib (its method, and a multiple of 31), too.
    let data = match data {
        [method, flags, rest @ ..] if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0 => rest,
        _ => data,
    };
    let mut reader = flate2::read::DeflateDecoder::new(data).take(most + 1);
    let mut inner = Vec::new();
    // Kept only as far as a layer within it could be small. What is not packed breaks off soon.
    let kept = reader.by_ref().take(16 << 20).read_to_end(&mut inner).unwrap_or(inner.len()) as u64;
    let rest = io::copy(&mut reader, &mut io::sink()).unwrap_or(0);
    let total = kept + rest;
    if inner.is_empty() || total > most { total } else { total + unpack(&inner, most - total, layers - 1) }
}

fn title(bytes: &[u8]) -> Option<String> {
    let text = match bytes {
        [0xfe, 0xff, ..] => encoding_rs::UTF_16BE.decode(bytes).0,
        [0xff, 0xfe, ..] => encoding_rs::UTF_16LE.decode(bytes).0,
        [0xef, 0xbb, 0xbf, ..] => encoding_rs::UTF_8.decode(bytes).0,
        // PDF's own encoding agrees with it where titles have their letters.
        _ => encoding_rs::WINDOWS_1252.decode(bytes).0,
    };
    let title: String = text.chars().filter(|character| !character.is_control()).take(300).collect();
    let title = title.trim();
    (!title.is_empty()).then(|| title.to_owned())
}

/// A device that writes.
struct Lines<'text> {
    out: &'text mut Bounded,
    last: Option<Drawn>,
    drawn: &'text mut usize,
    is_drawn_on: bool,
}

/// Thrown by the device, since drawing cannot be stopped otherwise.
struct Enough;

/// Where the last character ended.
#[derive(Clone, Copy)]
struct Drawn {
    start: Point,
    end: Point,
    size: f64,
}

impl Lines<'_> {
    fn put(&mut self, glyph: &Glyph<'_>, transform: Affine) {
        self.count();
        let Some(characters) = glyph.as_unicode() else { return };
        let advance = match glyph {
            Glyph::Outline(outline) => outline.advance_width(),
            Glyph::Type3(drawing) => drawing.advance_width(),
        };
        let start = transform * Point::ORIGIN;
        let end = transform * Point::new(f64::from(advance.unwrap_or(500.0)), 0.0);
        let size = (transform * Point::new(0.0, 1000.0) - start).hypot();
        if !(start.is_finite() && end.is_finite() && size.is_finite()) || size <= 0.0 {
            return;
        }
        let here = Drawn { start, end, size };
        if let Some(last) = self.last {
            self.separate(last, here);
        }
        self.last = Some(here);
        match characters {
            BfString::Char(character) => self.push(character),
            BfString::String(characters) => characters.chars().for_each(|character| self.push(character)),
        }
    }

    fn push(&mut self, character: char) {
        let is_space = character.is_whitespace();
        if is_space && self.out.text.ends_with([' ', '\n']) {
            return;
        }
        if is_space {
            self.out.push(' ');
        } else if let Some(letters) = letters(character) {
            self.out.push_str(letters);
        } else if !character.is_control() {
            self.out.push(character);
        }
    }

    /// What lies between two characters.
    fn separate(&mut self, last: Drawn, here: Drawn) {
        let size = last.size.max(here.size);
        let down = (here.start.y - last.start.y).abs();
        let along = here.start.x - last.end.x;
        // Text drawn once more a little beside itself, to look bold, still goes on.
        if down > size * 0.5 {
            while self.out.text.ends_with(' ') {
                self.out.text.pop();
            }
            self.out.push_str(if down > size * 1.8 { "\n\n" } else { "\n" });
        } else if along > size * 0.2 || along < -size {
            self.push(' ');
        }
    }

    fn count(&mut self) {
        *self.drawn += 1;
        if *self.drawn > MOST_DRAWN || self.out.is_cut {
            resume_unwind(Box::new(Enough));
        }
    }
}

/// The letters that a font joins to one sign, which nobody would search for.
fn letters(character: char) -> Option<&'static str> {
    Some(match character {
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' | 'ﬆ' => "st",
        _ => return None,
    })
}

impl<'a> Device<'a> for Lines<'_> {
    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {
        self.is_drawn_on = true;
        self.count();
    }

    fn push_clip_path(&mut self, _: &ClipPath) {
        self.count();
    }

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {
        self.count();
    }

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, _: &DrawMode) {
        self.is_drawn_on = true;
        for glyph in run.glyphs() {
            self.put(glyph, props.transform * glyph.transform());
        }
    }

    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {
        self.is_drawn_on = true;
        self.count();
    }

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}
}
