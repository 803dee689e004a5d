//! Which picture an answer is to be (spec 02, "response_format").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::fields::Fields;

/// The shape, the size and the encoding of a picture, as far as the request says them; what it does
/// not say is left to the model, and is square, of 1K and PNG where that has no choice of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFormat {
    pub aspect_ratio: Option<AspectRatio>,
    pub image_size: Option<ImageSize>,
    pub mime_type: Option<ImageType>,
    #[serde(default)]
    pub delivery: Delivery,
}

/// How a picture comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// With the answer.
    #[default]
    Inline,
    /// As a file of the project, whose address comes with the answer.
    Uri,
}

/// What `image_config` of `generation_config` says, which is deprecated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aspect_ratio: Option<AspectRatio>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size: Option<ImageSize>,
}

/// Width to height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AspectRatio {
    #[default]
    #[serde(rename = "1:1")]
    Square,
    #[serde(rename = "2:3")]
    TwoThree,
    #[serde(rename = "3:2")]
    ThreeTwo,
    #[serde(rename = "3:4")]
    ThreeFour,
    #[serde(rename = "4:3")]
    FourThree,
    #[serde(rename = "4:5")]
    FourFive,
    #[serde(rename = "5:4")]
    FiveFour,
    #[serde(rename = "9:16")]
    NineSixteen,
    #[serde(rename = "16:9")]
    SixteenNine,
    #[serde(rename = "21:9")]
    TwentyOneNine,
    #[serde(rename = "1:8")]
    OneEight,
    #[serde(rename = "8:1")]
    EightOne,
    #[serde(rename = "1:4")]
    OneFour,
    #[serde(rename = "4:1")]
    FourOne,
}

/// About how long a side of a square of the same area is, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageSize {
    #[serde(rename = "512")]
    Half,
    #[default]
    #[serde(rename = "1K")]
    One,
    #[serde(rename = "2K")]
    Two,
    #[serde(rename = "4K")]
    Four,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageType {
    #[default]
    #[serde(rename = "image/png")]
    Png,
    #[serde(rename = "image/jpeg")]
    Jpeg,
}

use AspectRatio::{
    EightOne, FiveFour, FourFive, FourOne, FourThree, NineSixteen, OneEight, OneFour, SixteenNine, Square, ThreeFour,
    ThreeTwo, TwentyOneNine, TwoThree,
};

/// Each ratio with its name and its pixels at 1K.
const RATIOS: [(&str, AspectRatio, (u32, u32)); 14] = [
    ("1:1", Square, (1024, 1024)),
    ("2:3", TwoThree, (848, 1264)),
    ("3:2", ThreeTwo, (1264, 848)),
    ("3:4", ThreeFour, (896, 1200)),
    ("4:3", FourThree, (1200, 896)),
    ("4:5", FourFive, (928, 1152)),
    ("5:4", FiveFour, (1152, 928)),
    ("9:16", NineSixteen, (768, 1376)),
    ("16:9", SixteenNine, (1376, 768)),
    ("21:9", TwentyOneNine, (1584, 672)),
    ("1:8", OneEight, (384, 3072)),
    ("8:1", EightOne, (3072, 384)),
    ("1:4", OneFour, (512, 2048)),
    ("4:1", FourOne, (2048, 512)),
];

const SIZES: [(&str, ImageSize); 4] =
    [("512", ImageSize::Half), ("1K", ImageSize::One), ("2K", ImageSize::Two), ("4K", ImageSize::Four)];

const TYPES: [(&str, ImageType); 2] = [("image/png", ImageType::Png), ("image/jpeg", ImageType::Jpeg)];

const DELIVERIES: [(&str, Delivery); 2] = [("inline", Delivery::Inline), ("uri", Delivery::Uri)];

impl AspectRatio {
    /// As `16:9`.
    pub fn as_str(self) -> &'static str {
        RATIOS.iter().find(|(_, ratio, _)| *ratio == self).map_or("1:1", |(name, _, _)| name)
    }

    /// Width and height in the smallest whole numbers.
    pub fn ratio(self) -> (u32, u32) {
        let (width, height) = self.as_str().split_once(':').unwrap_or(("1", "1"));
        (width.parse().unwrap_or(1), height.parse().unwrap_or(1))
    }
}

impl ImageSize {
    /// As `1K`.
    pub fn as_str(self) -> &'static str {
        SIZES.iter().find(|(_, size)| *size == self).map_or("1K", |(name, _)| name)
    }
}

impl ImageType {
    /// As `image/png`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }
}

impl ImageFormat {
    /// Width and height in pixels.
    pub fn pixels(self) -> (u32, u32) {
        let wanted = self.aspect_ratio.unwrap_or_default();
        let at_1k = RATIOS.iter().find(|(_, ratio, _)| *ratio == wanted);
        let (width, height) = at_1k.map_or((1024, 1024), |(_, _, pixels)| *pixels);
        match self.image_size.unwrap_or_default() {
            ImageSize::Half => (width / 2, height / 2),
            ImageSize::One => (width, height),
            ImageSize::Two => (2 * width, 2 * height),
            ImageSize::Four => (4 * width, 4 * height),
        }
    }

    /// Reads what is left of an image format after its `type`.
    pub(crate) fn read(mut format: Fields) -> Result<Self, Error> {
        let ImageConfig { aspect_ratio, image_size } = ImageConfig::take(&mut format)?;
        let mime_type = format.choice("mime_type", &TYPES)?;
        let delivery = format.choice("delivery", &DELIVERIES)?.unwrap_or_default();
        format.finish()?;
        Ok(Self { aspect_ratio, image_size, mime_type, delivery })
    }
}

impl From<ImageConfig> for ImageFormat {
    fn from(config: ImageConfig) -> Self {
        let ImageConfig { aspect_ratio, image_size } = config;
        Self { aspect_ratio, image_size, ..Self::default() }
    }
}

impl ImageConfig {
    pub(crate) fn read(value: Value, path: &str) -> Result<Self, Error> {
        let mut fields = Fields::new(value, path)?;
        let read = Self::take(&mut fields)?;
        fields.finish()?;
        Ok(read)
    }

    fn take(fields: &mut Fields) -> Result<Self, Error> {
        Ok(Self {
            aspect_ratio: fields.choice("aspect_ratio", &RATIOS.map(|(name, ratio, _)| (name, ratio)))?,
            image_size: fields.choice("image_size", &SIZES)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;
    use crate::format::Output;
    use crate::request::CreateInteraction;

    fn output(mut body: Value) -> Result<Option<Output>, String> {
        body["model"] = json!("m");
        body["input"] = json!("x");
        CreateInteraction::read(body).map(|request| request.output).map_err(|error| error.message)
    }

    #[test]
    fn each_ratio_has_its_pixels_in_each_size() {
        for (name, ratio, (width, height)) in RATIOS {
            let format = |image_size| ImageFormat {
                aspect_ratio: Some(ratio),
                image_size: Some(image_size),
                ..ImageFormat::default()
            };
            assert_eq!(format(ImageSize::Half).pixels(), (width / 2, height / 2), "{name}");
            assert_eq!(format(ImageSize::Four).pixels(), (width * 4, height * 4), "{name}");
            // The names are what is on the wire, and the pixels are of the shape that they say.
            assert_eq!(serde_json::to_value(ratio).unwrap(), json!(name));
            let (across, down) = ratio.ratio();
            let exact = f64::from(across) / f64::from(down);
            assert!((f64::from(width) / f64::from(height) / exact - 1.0).abs() < 0.02, "{name}");
            let area = f64::from(width) * f64::from(height) / f64::from(1024 * 1024);
            assert!((0.95..1.13).contains(&area), "{name}: {area}");
        }
    }

    #[test]
    fn what_an_answer_consists_of_is_said_in_several_ways() {
        let wide = ImageFormat {
            aspect_ratio: Some(AspectRatio::SixteenNine),
            image_size: Some(ImageSize::Two),
            mime_type: Some(ImageType::Jpeg),
            delivery: Delivery::Uri,
        };
        let image = Output::Image(ImageFormat::default());
        let either = Output::Either(ImageFormat::default());
        let full = json!({ "type": "image", "aspect_ratio": "16:9", "image_size": "2K", "mime_type": "image/jpeg",
            "delivery": "uri" });
        for (body, expected) in [
            (json!({}), None),
            (json!({ "response_format": { "type": "text" } }), Some(Output::Text)),
            (json!({ "response_format": { "type": "object" } }), Some(Output::Text)),
            (json!({ "response_mime_type": "text/plain" }), Some(Output::Text)),
            (json!({ "response_modalities": ["Text"] }), Some(Output::Text)),
            (json!({ "response_modalities": ["IMAGE"] }), Some(image)),
            (json!({ "response_modalities": ["text", "image"] }), Some(either)),
            (
                json!({ "response_modalities": ["text", "image"], "response_format": { "type": "text" } }),
                Some(Output::Text),
            ),
            (json!({ "response_modalities": ["text", "image"], "response_format": full }), Some(Output::Either(wide))),
            (json!({ "response_format": [{ "type": "text" }, full] }), Some(Output::Both(wide))),
            (
                json!({ "response_format": [full, { "type": "text" }], "response_modalities": ["image", "text"] }),
                Some(Output::Both(wide)),
            ),
            (json!({ "response_format": { "type": "image" } }), Some(image)),
            (json!({ "response_format": [full] }), Some(Output::Image(wide))),
        ] {
            assert_eq!(output(body.clone()), Ok(expected), "{body}");
        }
        for (body, path) in [
            (json!({ "response_format": [{ "type": "image" }, { "type": "image" }] }), "`response_format[1]`"),
            (
                json!({ "response_format": { "type": "image" }, "response_modalities": ["text"] }),
                "`response_modalities`",
            ),
            (
                json!({ "response_format": { "type": "text" }, "response_modalities": ["image"] }),
                "`response_modalities`",
            ),
            (json!({ "response_format": [{ "type": "image" }, { "type": "object" }] }), "`response_format`"),
            (
                json!({ "response_format": { "type": "image" }, "response_mime_type": "application/json" }),
                "`response_format`",
            ),
            (
                json!({ "response_format": [{ "type": "image" }, { "type": "text" }], "response_modalities": ["image"] }),
                "`response_modalities`",
            ),
            (json!({ "response_format": { "type": "image", "delivery": "post" } }), "`response_format.delivery`"),
            (
                json!({ "response_format": { "type": "image", "aspect_ratio": "2:1" } }),
                "`response_format.aspect_ratio`",
            ),
            (json!({ "response_format": { "type": "image", "image_size": "8K" } }), "`response_format.image_size`"),
            (
                json!({ "response_format": full, "generation_config": { "image_config": {} } }),
                "`generation_config.image_config`",
            ),
        ] {
            let refused = output(body.clone()).unwrap_err();
            assert!(refused.starts_with(path), "{body}: {refused}");
        }
    }
}
