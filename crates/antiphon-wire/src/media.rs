//! Media in a message: what they are, where they are, and how they are to be read (spec 02,
//! "Media"; spec 03, "Content").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::data::{Data, MARK};
use crate::error::Error;
use crate::fields::{Fields, excerpt};

/// An image, a recording, a video or a document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MediaContent {
    /// Empty in a request that gives `uri`, until what is there was fetched.
    #[serde(default, skip_serializing_if = "Data::is_empty")]
    pub data: Data,
    /// Where the data are, or were when the request was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// As `image/png`; empty in a request that leaves it to its data.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mime_type: String,
    #[serde(flatten)]
    pub options: MediaOptions,
}

/// How a medium is to be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MediaOptions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing: Option<Processing>,
    /// Of sound that is no file: samples a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u32>,
}

/// How closely pictures are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    Low,
    Medium,
    High,
    UltraHigh,
}

/// Which part of a medium is read, and how; the form that the API calls `static`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Processing {
    #[serde(rename = "type")]
    kind: Static,
    /// Of sound and video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_offset: Option<Offset>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_offset: Option<Offset>,
    /// Frames of a video to be looked at each second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// Of a video; empty asks for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content_layers: Vec<VideoLayer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_options: Option<PageOptions>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spreadsheet_options: Option<SpreadsheetOptions>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Static {
    #[default]
    #[serde(rename = "static")]
    Static,
}

/// A place in sound or video, in milliseconds; `10.5s` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offset(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VideoLayer {
    Frames,
    Audio,
    Transcript,
}

/// Which pages of a document are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageOptions {
    /// Empty asks for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content_layers: Vec<PageLayer>,
    /// The first one, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_page: Option<u32>,
    /// The last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_page: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageLayer {
    PageImage,
    PageText,
}

/// What of a spreadsheet is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpreadsheetOptions {
    /// Empty asks for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content_layers: Vec<SheetLayer>,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet_index: Option<u32>,
    /// As `A1:D10`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_cells: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SheetLayer {
    Visual,
    Data,
    Formulas,
}

/// What kind of medium a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Image,
    Audio,
    Video,
    Document,
}

/// Longer names of types are none.
const LONGEST_MIME_TYPE: usize = 127;

/// Longer addresses are none.
const LONGEST_URI: usize = 8 << 10;

/// Of sound that is no file.
const FASTEST_SAMPLES: i64 = 192_000;
const MOST_CHANNELS: i64 = 8;

/// Frames of a video each second.
const FASTEST_FRAMES: f64 = 60.0;

const MOST_PAGES: i64 = 1_000_000;

impl MediaContent {
    /// Whole media, as a part of an answer.
    pub fn inline(data: Data, mime_type: String) -> Self {
        Self { data, mime_type, ..Self::default() }
    }

    /// As a client sees it again: what it gave by address is not sent to it.
    #[must_use]
    pub(crate) fn shown(&self) -> Self {
        let data = if self.uri.is_some() { Data::default() } else { self.data.clone() };
        Self { data, ..self.clone() }
    }

    /// Reads what is left of a part after its `type`.
    pub(crate) fn read(mut fields: Fields, form: Form) -> Result<Self, Error> {
        fields.refuse("name", "it is not supported by this server yet")?;
        let mime_type = mime_type(&mut fields, form)?;
        let options = MediaOptions::read(&mut fields, form)?;
        let data = fields.string("data")?.filter(|data| !data.is_empty());
        let uri = fields.string("uri")?.filter(|uri| !uri.is_empty());
        let read = match (data, uri) {
            (Some(data), None) => {
                // What stands in place of kept bytes is looked at by whoever knows these.
                if !data.starts_with(MARK) {
                    check_base64(&data).map_err(|why| not_base64(&fields.path_of("data"), &why))?;
                }
                Self { data: data.into(), uri: None, mime_type, options }
            }
            (None, Some(uri)) if uri.len() <= LONGEST_URI => {
                Self { data: Data::default(), uri: Some(uri), mime_type, options }
            }
            (None, Some(uri)) => {
                let message = format!("expected an address of at most {LONGEST_URI} bytes, got {}", uri.len());
                return Err(Error::invalid(&fields.path_of("uri"), message));
            }
            (Some(_), Some(_)) => {
                let message = "expected either this or `uri`, both came";
                return Err(Error::invalid(&fields.path_of("data"), message));
            }
            (None, None) => {
                let message = "expected the bytes in base64, or their address in `uri`; nothing came";
                return Err(Error::invalid(&fields.path_of("data"), message));
            }
        };
        fields.finish()?;
        Ok(read)
    }
}

impl MediaOptions {
    /// The paths of the options that are given, as `processing.start_offset`.
    pub fn set(&self) -> impl Iterator<Item = &'static str> {
        let Self { resolution, processing, sample_rate, channels } = self;
        let none = Processing::default();
        let read = processing.as_ref();
        let Processing { kind: _, start_offset, end_offset, fps, content_layers, page_options, spreadsheet_options } =
            read.unwrap_or(&none);
        let set = [
            ("resolution", resolution.is_some()),
            ("sample_rate", sample_rate.is_some()),
            ("channels", channels.is_some()),
            // What says no more than that is how media are read that nothing is said of.
            ("processing.start_offset", start_offset.is_some()),
            ("processing.end_offset", end_offset.is_some()),
            ("processing.fps", fps.is_some()),
            ("processing.content_layers", !content_layers.is_empty()),
            ("processing.page_options", page_options.is_some()),
            ("processing.spreadsheet_options", spreadsheet_options.is_some()),
        ];
        set.into_iter().filter(|(_, is_set)| *is_set).map(|(path, _)| path)
    }

    fn read(fields: &mut Fields, form: Form) -> Result<Self, Error> {
        let resolution = match form {
            Form::Audio => {
                fields.refuse("resolution", "sound has none")?;
                None
            }
            Form::Image | Form::Video | Form::Document => fields.choice("resolution", &RESOLUTIONS)?,
        };
        let (sample_rate, channels) = match form {
            Form::Audio => {
                (fields.integer("sample_rate", 1, FASTEST_SAMPLES)?, fields.integer("channels", 1, MOST_CHANNELS)?)
            }
            Form::Image | Form::Video | Form::Document => {
                fields.refuse("sample_rate", "of `audio` parts alone")?;
                fields.refuse("channels", "of `audio` parts alone")?;
                (None, None)
            }
        };
        let processing = match fields.take("processing") {
            None => None,
            Some(_) if form == Form::Image => {
                return Err(Error::invalid(&fields.path_of("processing"), "images have none; `resolution` is theirs"));
            }
            Some(value) => Some(Processing::read(value, &fields.path_of("processing"), form)?),
        };
        let small = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
        Ok(Self { resolution, processing, sample_rate: small(sample_rate), channels: small(channels) })
    }
}

const RESOLUTIONS: [(&str, Resolution); 4] = [
    ("low", Resolution::Low),
    ("medium", Resolution::Medium),
    ("high", Resolution::High),
    ("ultra_high", Resolution::UltraHigh),
];

impl Resolution {
    /// As the wire has it.
    pub fn as_str(self) -> &'static str {
        RESOLUTIONS.iter().find(|(_, resolution)| *resolution == self).map_or("medium", |(name, _)| name)
    }
}

impl Processing {
    fn read(value: Value, path: &str, form: Form) -> Result<Self, Error> {
        const KINDS: [(&str, ()); 1] = [("static", ())];
        let mut fields = match value {
            Value::String(kind) if kind == "static" => return Ok(Self::default()),
            Value::String(kind) => {
                let message = format!("expected `static` or an object of that type, got `{}`", excerpt(&kind));
                return Err(Error::invalid(path, message));
            }
            value => Fields::new(value, path)?,
        };
        fields.choice("type", &KINDS)?;
        let mut read = Self::default();
        if matches!(form, Form::Audio | Form::Video) {
            read.start_offset = Offset::read(&mut fields, "start_offset")?;
            read.end_offset = Offset::read(&mut fields, "end_offset")?;
            if read.end_offset.is_some_and(|end| end <= read.start_offset.unwrap_or(Offset(0))) {
                let message = "expected a place after `start_offset`";
                return Err(Error::invalid(&fields.path_of("end_offset"), message));
            }
        }
        match form {
            Form::Video => {
                read.fps = fields.number("fps", 0.01, FASTEST_FRAMES)?;
                read.content_layers = layers(
                    &mut fields,
                    &[
                        ("frames", VideoLayer::Frames),
                        ("audio", VideoLayer::Audio),
                        ("transcript", VideoLayer::Transcript),
                    ],
                )?;
            }
            Form::Document => {
                read.page_options = object(&mut fields, "page_options", PageOptions::read)?;
                read.spreadsheet_options = object(&mut fields, "spreadsheet_options", SpreadsheetOptions::read)?;
            }
            Form::Image | Form::Audio => {}
        }
        fields.finish()?;
        Ok(read)
    }
}

impl PageOptions {
    fn read(fields: &mut Fields) -> Result<Self, Error> {
        let content_layers =
            layers(fields, &[("page_image", PageLayer::PageImage), ("page_text", PageLayer::PageText)])?;
        let start_page = page(fields, "start_page")?;
        let end_page = page(fields, "end_page")?;
        if end_page.is_some_and(|end| end < start_page.unwrap_or(1)) {
            return Err(Error::invalid(&fields.path_of("end_page"), "expected no page before `start_page`"));
        }
        Ok(Self { content_layers, start_page, end_page })
    }
}

impl SpreadsheetOptions {
    fn read(fields: &mut Fields) -> Result<Self, Error> {
        let content_layers = layers(
            fields,
            &[("visual", SheetLayer::Visual), ("data", SheetLayer::Data), ("formulas", SheetLayer::Formulas)],
        )?;
        let sheet_index = page(fields, "sheet_index")?;
        let visible_cells = fields.string("visible_cells")?;
        if let Some(cells) = visible_cells.as_deref().filter(|cells| !is_range(cells)) {
            let message = format!("expected a range as `A1:D10`, got `{}`", excerpt(cells));
            return Err(Error::invalid(&fields.path_of("visible_cells"), message));
        }
        Ok(Self { content_layers, sheet_index, visible_cells })
    }
}

impl Offset {
    /// Later ones are none: it is a day.
    const LATEST: f64 = 86_400.0;

    fn read(fields: &mut Fields, name: &str) -> Result<Option<Self>, Error> {
        let Some(text) = fields.string(name)? else { return Ok(None) };
        Self::of(&text).map(Some).ok_or_else(|| {
            let message = format!("expected seconds as `10.5s`, got `{}`", excerpt(&text));
            Error::invalid(&fields.path_of(name), message)
        })
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a day")]
    fn of(text: &str) -> Option<Self> {
        let number = text.strip_suffix('s')?;
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let seconds: f64 = number.parse().ok().filter(|seconds| is_plain && *seconds <= Self::LATEST)?;
        Some(Self((seconds * 1000.0).round() as u64))
    }
}

impl Serialize for Offset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (seconds, rest) = (self.0 / 1000, self.0 % 1000);
        let text = if rest == 0 { format!("{seconds}s") } else { format!("{seconds}.{rest:03}s") };
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::of(&text).ok_or_else(|| serde::de::Error::custom("no seconds"))
    }
}

fn mime_type(fields: &mut Fields, form: Form) -> Result<String, Error> {
    let Some(mime_type) = fields.string("mime_type")? else { return Ok(String::new()) };
    let mime_type = mime_type.to_ascii_lowercase();
    let family = match form {
        Form::Image => "image/",
        Form::Audio => "audio/",
        Form::Video => "video/",
        Form::Document => "",
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/.+-_;= ".contains(&byte);
    if mime_type.starts_with(family)
        && mime_type.contains('/')
        && mime_type.len() <= LONGEST_MIME_TYPE
        && mime_type.bytes().all(plain)
    {
        return Ok(mime_type);
    }
    let message = format!("expected the type of the data, as `{family}…`, got `{}`", excerpt(&mime_type));
    Err(Error::invalid(&fields.path_of("mime_type"), message))
}

/// That what came at a path is no base64.
pub fn not_base64(path: &str, why: &dyn std::fmt::Display) -> Error {
    Error::invalid(path, format!("expected bytes in base64: {why}"))
}

/// Whether a text is base64, without a second copy of what it says.
fn check_base64(text: &str) -> Result<(), base64::DecodeSliceError> {
    /// Whole groups of four letters.
    const PIECE: usize = 16 << 10;
    let mut bytes = [0; PIECE];
    let mut pieces = text.as_bytes().chunks(PIECE).peekable();
    while let Some(piece) = pieces.next() {
        let decoded = STANDARD.decode_slice(piece, &mut bytes)?;
        if pieces.peek().is_some() && decoded != PIECE / 4 * 3 {
            // An end in the middle.
            return Err(base64::DecodeError::InvalidPadding.into());
        }
    }
    Ok(())
}

fn layers<T: Copy>(fields: &mut Fields, known: &[(&str, T)]) -> Result<Vec<T>, Error> {
    let path = fields.path_of("content_layers");
    let layer = |(at, value): (usize, Value)| {
        let found = value.as_str().and_then(|name| known.iter().find(|(known, _)| *known == name));
        found.map(|(_, layer)| *layer).ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
            let message = format!("expected one of {}, got {}", names.join(", "), crate::fields::describe(&value));
            Error::invalid(&format!("{path}[{at}]"), message)
        })
    };
    // Who says more than there are says one twice.
    let wanted = fields.list("content_layers")?.unwrap_or_default();
    if wanted.len() > known.len() {
        return Err(Error::invalid(&path, format!("expected at most {}, got {}", known.len(), wanted.len())));
    }
    wanted.into_iter().enumerate().map(layer).collect()
}

fn object<T>(
    fields: &mut Fields,
    name: &str,
    read: impl FnOnce(&mut Fields) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let Some(value) = fields.take(name) else { return Ok(None) };
    let mut inner = Fields::new(value, &fields.path_of(name))?;
    let found = read(&mut inner)?;
    inner.finish()?;
    Ok(Some(found))
}

fn page(fields: &mut Fields, name: &str) -> Result<Option<u32>, Error> {
    Ok(fields.integer(name, 1, MOST_PAGES)?.and_then(|page| u32::try_from(page).ok()))
}

/// Whether a text is two cells with a colon between them.
fn is_range(text: &str) -> bool {
    let is_cell = |cell: &str| {
        let letters = cell.bytes().take_while(u8::is_ascii_uppercase).count();
        let row = &cell[letters..];
        (1..=3).contains(&letters)
            && (1..=7).contains(&row.len())
            && row.bytes().all(|byte| byte.is_ascii_digit())
            && !row.starts_with('0')
    };
    text.split_once(':').is_some_and(|(first, last)| is_cell(first) && is_cell(last))
}

#[cfg(test)]
mod tests;
