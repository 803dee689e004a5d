//! PDFs, page by page: their text, or a picture of a page that has none.

use antiphon_fetch::extract::{ExtractError, Pages};
use hayro::hayro_interpret::InterpreterSettings;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings};

use crate::document::{Document, Options, Part, Parts, Picture};
use crate::fault::Fault;
use crate::kind::Kind;
use crate::limits::{DOTS_PER_INCH, FEWEST_CHARACTERS, MOST_PAGES, MOST_PIXELS};
use crate::output::Output;

const KIND: Kind = Kind::Pdf;

/// Of PDF's own unit.
const POINTS_PER_INCH: f32 = 72.0;

pub(crate) fn read(bytes: Vec<u8>, options: &Options) -> Result<Document, Fault> {
    let pages = Pages::open(bytes).map_err(|error| fault(&error))?;
    if pages.total() > MOST_PAGES {
        return Err(Fault::limit("pages", MOST_PAGES));
    }
    let total = pages.total() as u32;
    let (start, end) = options.pages(total)?;
    let mut parts = Parts::new(options);
    if (start, end) != (1, total) {
        parts.left_out.push(format!("all but pages {start} to {end} of {total}"));
    }
    let reading = pages.reading();
    for number in start..=end {
        // A character takes four bytes at most; counted in characters it is below.
        let page = reading.page(number as usize - 1, parts.left.saturating_mul(4)).map_err(|error| fault(&error))?;
        let Some(page) = page else { break };
        let mut output = Output::new(parts.left);
        output.push_str(page.text.trim());
        let written = output.text.chars().filter(|character| !character.is_whitespace()).count();
        let scanned = page.is_drawn_on && !page.is_cut && written < FEWEST_CHARACTERS;
        let label = format!("page {number}");
        if page.is_cut && !output.is_cut && parts.left > output.text.len() {
            parts.left_out.push(format!("what comes after so much that it is no page to be read, in {label}"));
        }
        if !parts.add(Part { label, number, text: output.text, scanned }, output.is_cut) {
            break;
        }
    }
    Ok(Document { title: pages.title(), ..parts.document(KIND, total) })
}

pub(crate) fn render(bytes: Vec<u8>, page: u32) -> Result<Picture, Fault> {
    let pages = Pages::open(bytes).map_err(|error| fault(&error))?;
    let pages = pages.pdf().pages();
    let at = (page as usize).checked_sub(1).and_then(|at| pages.get(at));
    let Some(found) = at else {
        return Err(Fault::option("page", format!("a page from 1 to {}", pages.len()), page));
    };
    let (width, height) = found.render_dimensions();
    let longer = width.max(height);
    if !(width >= 1.0 && height >= 1.0 && longer.is_finite()) {
        return Err(Fault::unreadable(KIND, format!("page {page} has no size")));
    }
    let scale = (DOTS_PER_INCH / POINTS_PER_INCH).min(MOST_PIXELS / longer);
    // A page can be so narrow that nothing would be left of it.
    if width.min(height) * scale < 1.0 {
        return Err(Fault::unreadable(KIND, format!("page {page} is no page to be looked at")));
    }
    let settings = PixmapSettings { x_scale: scale, y_scale: scale, bg_color: WHITE };
    let cache = RenderCache::new();
    let drawn = hayro::render(found, &cache, &InterpreterSettings::default(), &RenderSettings::default(), &settings);
    // White behind all of it leaves nothing to be seen through.
    let pixels = drawn.data_as_u8_slice().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    Ok(Picture { width: u32::from(drawn.width()), height: u32::from(drawn.height()), pixels })
}

fn fault(error: &ExtractError) -> Fault {
    match error {
        ExtractError::TooLarge(most) => Fault::limit("unpacked size in bytes", *most),
        ExtractError::Encrypted => Fault::encrypted(KIND.mime_type()),
        ExtractError::Unsupported(_) | ExtractError::Unreadable => Fault::unreadable(KIND, "its structure is broken"),
    }
}
