//! The file of the network: tensors by name, as CTranslate2 writes them.
//!
//! A version, the name of what it is, and then for each tensor its name, shape, kind of number and bytes; all numbers
//! little-endian, all names with their length before and a zero behind them.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::Broken;

/// The one version there is of files with aliases.
const VERSION: u32 = 6;

/// What CTranslate2 calls 16-bit floating point; the file's other tensors are settings.
const HALF: u8 = 4;

/// The bytes of the file, and where in them each tensor is: a network is some hundred megabytes, and is here twice only
/// in part.
pub(crate) struct Weights {
    path: PathBuf,
    bytes: Vec<u8>,
    tensors: HashMap<String, (Vec<usize>, Range<usize>)>,
}

impl Weights {
    /// Reads the whole file.
    ///
    /// # Errors
    /// [`Broken`] when it cannot be read or is not such a file.
    pub(crate) fn load(path: &Path) -> Result<Self, Broken> {
        let bytes = std::fs::read(path).map_err(|error| Broken::weights(path, &error))?;
        let tensors = read(&bytes).ok_or_else(|| Broken::weights(path, &"not a CTranslate2 model of version 6"))?;
        Ok(Self { path: path.to_owned(), bytes, tensors })
    }

    /// Takes the tensor `name`, which must have this shape, as 32-bit numbers.
    pub(crate) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Broken> {
        match self.tensors.remove(name) {
            Some((found, values)) if found == shape => Ok(singles(&self.bytes[values])),
            found => {
                let got = found.map_or("none".to_owned(), |(shape, _)| format!("{shape:?}"));
                Err(Broken::weights(&self.path, &format!("{name}: expected {shape:?}, got {got}")))
            }
        }
    }
}

/// The shape of a tensor, and which bytes are its numbers.
type Place = (Vec<usize>, Range<usize>);

/// The place of each tensor of 16-bit numbers; `None` when the bytes are not such a file.
fn read(bytes: &[u8]) -> Option<HashMap<String, Place>> {
    let mut rest = bytes;
    if number(&mut rest)? != VERSION {
        return None;
    }
    let _specification = name(&mut rest)?;
    let _revision = number(&mut rest)?;
    let count = number(&mut rest)?;
    let mut tensors = HashMap::new();
    for _ in 0..count {
        let name = name(&mut rest)?;
        let (rank, mut shape) = (take(&mut rest, 1)?[0], Vec::new());
        for _ in 0..rank {
            shape.push(number(&mut rest)? as usize);
        }
        let kind = take(&mut rest, 1)?[0];
        let size = number(&mut rest)? as usize;
        let start = bytes.len() - rest.len();
        take(&mut rest, size)?;
        if kind != HALF || shape.is_empty() {
            continue;
        }
        let needed = shape.iter().try_fold(2_usize, |product, &side| product.checked_mul(side))?;
        if needed != size {
            return None;
        }
        tensors.insert(name, (shape, start..start + size));
    }
    Some(tensors)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    take(rest, 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn name(rest: &mut &[u8]) -> Option<String> {
    let length = take(rest, 2)?.try_into().ok().map(u16::from_le_bytes)?;
    let bytes = take(rest, length.into())?.strip_suffix(b"\0")?;
    String::from_utf8(bytes.to_vec()).ok()
}

fn singles(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&pair| single(u16::from_le_bytes(pair))).collect()
}

/// 16-bit floating point (IEEE 754 binary16) as 32-bit.
fn single(half: u16) -> f32 {
    let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = ((half >> 10) & 31, f32::from(half & 0x3ff));
    match exponent {
        0 => sign * fraction * 2.0_f32.powi(-24),
        31 => sign * if fraction == 0.0 { f32::INFINITY } else { f32::NAN },
        _ => f32::from_bits((u32::from(half & 0x8000) << 16) | ((u32::from(half & 0x7fff) << 13) + (112 << 23))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tensors: &[(&str, &[u32], u8, &[u8])]) -> Vec<u8> {
        let named = |name: &str| [&(name.len() as u16 + 1).to_le_bytes(), name.as_bytes(), b"\0"].concat();
        let mut bytes = VERSION.to_le_bytes().to_vec();
        bytes.extend(named("WhisperSpec"));
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend((tensors.len() as u32).to_le_bytes());
        for (name, shape, kind, values) in tensors {
            bytes.extend(named(name));
            bytes.push(shape.len() as u8);
            bytes.extend(shape.iter().flat_map(|side| side.to_le_bytes()));
            bytes.push(*kind);
            bytes.extend((values.len() as u32).to_le_bytes());
            bytes.extend(*values);
        }
        bytes
    }

    #[test]
    fn tensors_are_read_by_name_and_shape() {
        let halves = [0x3c00_u16, 0xc000, 0x0001, 0x7bff].map(u16::to_le_bytes).concat();
        let bytes = file(&[("heads", &[], 2, &[8, 0]), ("a/weight", &[2, 2], HALF, &halves)]);
        let tensors = read(&bytes).unwrap();
        assert_eq!(tensors.len(), 1);
        let (shape, place) = tensors["a/weight"].clone();
        assert_eq!((shape, singles(&bytes[place])), (vec![2, 2], vec![1.0, -2.0, 2.0_f32.powi(-24), 65_504.0]));
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), None, "cut after {length}");
        }
    }

    #[test]
    fn a_shape_that_its_bytes_do_not_fill_is_refused() {
        assert_eq!(read(&file(&[("a", &[3], HALF, &[0; 4])])), None);
        assert_eq!(read(&file(&[("a", &[u32::MAX, u32::MAX, u32::MAX], HALF, &[0; 4])])), None);
        assert_eq!(read(&file(&[("a", &[1], HALF, &[0; 3])])), None);
    }
}
