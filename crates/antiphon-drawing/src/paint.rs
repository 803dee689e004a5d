//! From a drawing to the bytes of a picture.

use std::sync::Arc;

use image::codecs::jpeg::JpegEncoder;
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg;
use resvg::usvg::fontdb::Database;

use crate::judge::{Lack, Standard, judge};
use crate::read::{Drawing, View};

/// The only font there is: with others a drawing would look different elsewhere.
const FONT: &[u8] = include_bytes!("../fonts/DejaVuSans.ttf");
const FAMILY: &str = "DejaVu Sans";

/// The largest picture, in pixels: what 4K comes to in any shape, and a little more.
pub(crate) const MOST_PIXELS: u64 = 20 << 20;

/// The longer side of what a drawing is judged by, in pixels: that of the usual picture, whatever it is scaled to.
const JUDGED: u32 = 1024;

/// From 1 to 100.
pub(crate) const JPEG_QUALITY: u8 = 90;

/// What is to come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// In pixels.
    pub width: u32,
    pub height: u32,
    pub encoding: Encoding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Png,
    Jpeg,
}

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPainted {
    #[error(transparent)]
    Lacks(#[from] Lack),
    #[error("a picture of {0} × {1} pixels is too large or none")]
    Size(u32, u32),
    #[error("the drawing cannot be painted: {0}")]
    Failed(String),
}

impl Drawing {
    /// The drawing as a picture, on white and scaled to cover all of it.
    ///
    /// # Errors
    /// [`NotPainted::Lacks`] for a drawing that does not come up to the standard.
    pub fn paint(&self, picture: Picture, standard: Standard) -> Result<Vec<u8>, NotPainted> {
        let Picture { width, height, encoding } = picture;
        let size = NotPainted::Size(width, height);
        if u64::from(width) * u64::from(height) > MOST_PIXELS {
            return Err(size);
        }
        let tree = self.tree()?;
        let longer = width.max(height).max(1);
        // At most `JUDGED`.
        let judged = |side: u32| (u64::from(side) * u64::from(JUDGED) / u64::from(longer)).max(1) as u32;
        let painting = self.pixels(&tree, judged(width), judged(height)).ok_or(size.clone())?;
        judge(self, &painting, standard)?;
        let pixels = self.pixels(&tree, width, height).ok_or(size)?;
        match encoding {
            Encoding::Png => pixels.encode_png().map_err(failed),
            Encoding::Jpeg => {
                let colours: Vec<u8> =
                    pixels.pixels().iter().flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect();
                let mut bytes = Vec::new();
                let mut encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
                encoder.encode(&colours, width, height, image::ExtendedColorType::Rgb8).map_err(failed)?;
                Ok(bytes)
            }
        }
    }

    fn tree(&self) -> Result<usvg::Tree, NotPainted> {
        let mut fonts = Database::new();
        fonts.load_font_data(FONT.to_vec());
        fonts.set_serif_family(FAMILY);
        fonts.set_sans_serif_family(FAMILY);
        fonts.set_cursive_family(FAMILY);
        fonts.set_fantasy_family(FAMILY);
        fonts.set_monospace_family(FAMILY);
        let options = usvg::Options {
            fontdb: Arc::new(fonts),
            font_family: FAMILY.to_owned(),
            // There is no `<image>` in a drawing; nothing is fetched for one all the same.
            image_href_resolver: usvg::ImageHrefResolver {
                resolve_data: Box::new(|_, _, _| None),
                resolve_string: Box::new(|_, _| None),
            },
            ..usvg::Options::default()
        };
        let tree = usvg::Tree::from_str(self.svg(), &options).map_err(failed)?;
        if lacks_letters(tree.root()) { Err(Lack::Letters.into()) } else { Ok(tree) }
    }

    /// None for a size that cannot be.
    fn pixels(&self, tree: &usvg::Tree, width: u32, height: u32) -> Option<Pixmap> {
        let View { width: own_width, height: own_height } = self.view();
        let mut pixels = Pixmap::new(width, height)?;
        pixels.fill(Color::WHITE);
        let (across, down) = (width as f32 / own_width as f32, height as f32 / own_height as f32);
        let scale = across.max(down);
        let aside = |side: u32, own: u32| (side as f32 - own as f32 * scale) / 2.0;
        let place =
            Transform::from_scale(scale, scale).post_translate(aside(width, own_width), aside(height, own_height));
        resvg::render(tree, place, &mut pixels.as_mut());
        Some(pixels)
    }
}

/// Whether there is text that the font has no glyphs for, in place of which it has its first.
fn lacks_letters(group: &usvg::Group) -> bool {
    group.children().iter().any(|node| match node {
        usvg::Node::Group(group) => lacks_letters(group),
        usvg::Node::Text(text) => {
            text.layouted().iter().flat_map(|span| &span.positioned_glyphs).any(|glyph| glyph.id.0 == 0)
        }
        usvg::Node::Path(_) | usvg::Node::Image(_) => false,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn failed(error: impl ToString) -> NotPainted {
    NotPainted::Failed(error.to_string())
}
