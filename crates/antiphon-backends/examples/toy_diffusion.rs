//! A worker for pictures without a model, behind the real protocol and with the arguments of the real
//! one: each pixel has a colour that seed, prompt and beginning decide. Tests of the backend run it.
//!
//! A prompt may hold `abort`, upon which it dies after its first step, `fail`, or `wait`, upon which it
//! never ends by itself.

use std::io::{Cursor, Read as _};
use std::process::ExitCode;

use antiphon_worker::picture::{Order, Told};
use antiphon_worker::protocol::{FrameError, read_frame, write_frame};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

fn main() -> ExitCode {
    match make() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn make() -> Result<(), FrameError> {
    let (mut input, mut output) = (std::io::stdin(), std::io::stdout());
    let Some(order) = read_frame::<Order>(&mut input)? else { return Ok(()) };
    if let Err(message) = order.check() {
        return write_frame(&mut output, &Told::Failed { message });
    }
    let of = order.steps_taken();
    for done in 1..=of {
        write_frame(&mut output, &Told::Step { done, of })?;
        if order.prompt.contains("abort") {
            std::process::abort();
        }
        if order.prompt.contains("wait") {
            // To the end of its input, as the real one.
            input.read_to_end(&mut Vec::new())?;
            return Ok(());
        }
    }
    if order.prompt.contains("fail") {
        let message = "the toy has made nothing".to_owned();
        return write_frame(&mut output, &Told::Failed { message });
    }
    let kept = order.beginning.as_ref().map_or(0, |beginning| beginning.picture.len() as u64);
    let mark = order
        .prompt
        .bytes()
        .fold(order.seed.wrapping_add(kept), |mark, byte| mark.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let [red, green, blue, ..] = mark.to_le_bytes();
    let picture = image::RgbImage::from_pixel(order.width, order.height, image::Rgb([red, green, blue]));
    let mut bytes = Cursor::new(Vec::new());
    let told = match picture.write_to(&mut bytes, image::ImageFormat::Png) {
        Ok(()) => Told::Picture { picture: STANDARD.encode(bytes.into_inner()) },
        Err(error) => Told::Failed { message: error.to_string() },
    };
    write_frame(&mut output, &told)
}
