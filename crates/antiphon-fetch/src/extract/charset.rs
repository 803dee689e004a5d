//! Bytes to characters, as browsers do it.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Where a page has to say its encoding (HTML, 4.2.5.4).
const LOOKED_AT: usize = 1024;

/// Decodes text: by its byte order mark, else as declared outside, else as it says of itself,
/// else as UTF-8 if it is that, else as what the web was before.
pub(crate) fn decode<'a>(bytes: &'a [u8], declared: Option<&str>, is_markup: bool) -> Cow<'a, str> {
    let encoding = declared
        .and_then(|label| Encoding::for_label(label.as_bytes()))
        .or_else(|| if is_markup { said_within(bytes) } else { None })
        .unwrap_or_else(|| if looks_like_utf8(bytes) { UTF_8 } else { WINDOWS_1252 });
    // The byte order mark goes before the rest, and is taken away.
    encoding.decode(bytes).0
}

/// The last character may have been cut in two.
fn looks_like_utf8(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 0,
    }
}

/// `<meta charset=…>`, `<meta … content="…; charset=…">` or `<?xml encoding=…?>`.
fn said_within(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = bytes[..bytes.len().min(LOOKED_AT)].to_ascii_lowercase();
    let text = String::from_utf8_lossy(&start);
    let xml = text.trim_start().strip_prefix("<?xml").and_then(|rest| rest.split("?>").next()?.split_once("encoding"));
    let label = match xml {
        Some((_, rest)) => label(rest)?,
        None => text
            .split("<meta")
            .skip(1)
            .filter_map(|rest| rest.split('>').next()?.split_once("charset"))
            .find_map(|(_, rest)| label(rest))?,
    };
    let encoding = Encoding::for_label(label.as_bytes())?;
    // It could be read byte by byte, so it is not what it says (HTML, 13.2.3.2).
    Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
}

fn label(after_name: &str) -> Option<String> {
    let value = after_name.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    let is_of_label = |character: &char| character.is_ascii_alphanumeric() || "-_:.+()".contains(*character);
    let label: String = value.chars().take_while(is_of_label).collect();
    (!label.is_empty()).then_some(label)
}
