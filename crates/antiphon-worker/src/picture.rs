//! The messages between the server and a process that makes one picture.
//!
//! They are framed as those of [`crate::protocol`]. The process is given one [`Order`], says each
//! step as it is done, and ends with the picture or with why there is none. It ends early when its
//! input does.

use serde::{Deserialize, Serialize};

/// The longest prompt, in bytes. The engine reads it with a recursion that is as deep as it is long.
pub const MOST_PROMPT: usize = 4096;

/// The most pixels of a picture, those that it begins with included: twice a square of 2,048.
pub const MOST_PIXELS: u64 = 2 * 2048 * 2048;

/// The most steps of one picture.
pub const MOST_STEPS: u32 = 150;

/// The picture that is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// At most [`MOST_PROMPT`] bytes.
    pub prompt: String,
    /// In pixels, as the picture will have them.
    pub width: u32,
    pub height: u32,
    /// From 1 to [`MOST_STEPS`].
    pub steps: u32,
    /// How closely the prompt is followed; 1 asks the model once for each step, anything else twice.
    pub guidance: f32,
    /// Equal seeds draw equally. At most 63 bits.
    pub seed: u64,
    /// What it is made of, if it is not made of noise alone.
    pub beginning: Option<Beginning>,
}

/// A picture that is changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beginning {
    /// A PNG in base64.
    pub picture: String,
    /// How much of it is given up, in (0, 1].
    pub change: f32,
}

/// What the process says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// So many steps are done.
    Step { done: u32, of: u32 },
    /// The end: a PNG of the size that was asked for, in base64.
    Picture { picture: String },
    /// The end: why there is none, for the log.
    Failed { message: String },
}

impl Order {
    /// How many steps are taken: of a picture that is changed only the last part of them.
    #[must_use]
    pub fn steps_taken(&self) -> u32 {
        match &self.beginning {
            Some(Beginning { change, .. }) if *change < 1.0 => {
                // In the arithmetic of the engine, which decides it.
                let last = (self.steps as f32 * change) as u32;
                last.min(self.steps.saturating_sub(1)) + 1
            }
            Some(_) | None => self.steps,
        }
    }

    /// What is wrong with it, if something is: a process bounds itself, whoever asks.
    ///
    /// # Errors
    /// The field, what was expected and what came.
    pub fn check(&self) -> Result<(), String> {
        let pixels = u64::from(self.width) * u64::from(self.height);
        if self.prompt.len() > MOST_PROMPT {
            return Err(format!("`prompt`: expected at most {MOST_PROMPT} bytes, got {}", self.prompt.len()));
        }
        if self.prompt.contains('\0') {
            return Err("`prompt`: expected text without NUL".to_owned());
        }
        if !(64..=MOST_PIXELS).contains(&pixels) || self.width.max(self.height) > 8192 {
            return Err(format!(
                "`width` and `height`: expected sides of at most 8192 and {MOST_PIXELS} pixels, got {} by {}",
                self.width, self.height
            ));
        }
        if !(1..=MOST_STEPS).contains(&self.steps) {
            return Err(format!("`steps`: expected 1 to {MOST_STEPS}, got {}", self.steps));
        }
        if !(0.0..=100.0).contains(&self.guidance) {
            return Err(format!("`guidance`: expected 0 to 100, got {}", self.guidance));
        }
        if i64::try_from(self.seed).is_err() {
            return Err(format!("`seed`: expected at most 63 bits, got {}", self.seed));
        }
        match &self.beginning {
            Some(Beginning { change, .. }) if !(*change > 0.0 && *change <= 1.0) => {
                Err(format!("`beginning.change`: expected more than 0 and at most 1, got {change}"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            prompt: "a lighthouse".to_owned(),
            width: 512,
            height: 512,
            steps: 20,
            guidance: 7.0,
            seed: 1,
            beginning: None,
        }
    }

    fn changing(change: f32) -> Order {
        Order { beginning: Some(Beginning { picture: String::new(), change }), ..order() }
    }

    #[test]
    fn a_picture_that_is_changed_takes_the_last_steps() {
        for (change, steps) in [(1.0, 20), (0.999, 20), (0.75, 16), (0.5, 11), (0.01, 1)] {
            assert_eq!(changing(change).steps_taken(), steps, "{change}");
        }
        assert_eq!(order().steps_taken(), 20);
        let one = Order { steps: 1, ..changing(0.5) };
        assert_eq!(one.steps_taken(), 1);
    }

    #[test]
    fn each_bound_is_kept_and_named() {
        assert_eq!(order().check(), Ok(()));
        for (order, field) in [
            (Order { prompt: "x".repeat(MOST_PROMPT + 1), ..order() }, "`prompt`"),
            (Order { prompt: "x\0".to_owned(), ..order() }, "`prompt`"),
            (Order { width: 0, ..order() }, "`width`"),
            (Order { width: u32::MAX, height: u32::MAX, ..order() }, "`width`"),
            (Order { width: 8193, height: 8, ..order() }, "`width`"),
            (Order { steps: 0, ..order() }, "`steps`"),
            (Order { steps: MOST_STEPS + 1, ..order() }, "`steps`"),
            (Order { guidance: f32::NAN, ..order() }, "`guidance`"),
            (Order { seed: u64::MAX, ..order() }, "`seed`"),
            (changing(0.0), "`beginning.change`"),
            (changing(f32::NAN), "`beginning.change`"),
            (changing(1.5), "`beginning.change`"),
        ] {
            let refused = order.check().unwrap_err();
            assert!(refused.starts_with(field), "{refused}");
        }
    }
}
