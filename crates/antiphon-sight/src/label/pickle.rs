//! The tensors in an old file of PyTorch: a row of pickles and then the numbers.
//!
//! A pickle is a program for a machine that can call anything. Here what it would call is only noted, by name: nothing
//! is ever called. What the format can say beyond such files is an error.

use std::collections::HashMap;

/// Numbers in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// A file of this size has no more steps and no deeper values.
const MOST_STEPS: usize = 1 << 15;
const MOST_NUMBERS: usize = 1 << 26;

#[derive(Clone, Debug, PartialEq)]
enum Value {
    None,
    Number(i64),
    Text(String),
    /// What would be called or kept elsewhere is a row of what it is made of.
    Row(Vec<Self>),
    /// Keys and values in turn.
    Map(Vec<Self>),
    Mark,
}

/// How the numbers of one tensor are kept.
struct View {
    name: String,
    storage: String,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

/// The file's tensors of 32-bit floats by name; others are left out.
pub(crate) fn tensors(bytes: &[u8]) -> Result<HashMap<String, Tensor>, String> {
    let mut reader = Reader { bytes, memory: HashMap::new() };
    for what in ["magic number", "version", "system"] {
        reader.pickle().map_err(|error| format!("{what}: {error}"))?;
    }
    let Value::Map(entries) = reader.pickle()? else { return Err("expected a dictionary of tensors".to_owned()) };
    let views: Vec<View> = entries.chunks_exact(2).filter_map(|pair| view(&pair[0], &pair[1])).collect();
    let Value::Row(keys) = reader.pickle()? else { return Err("expected a list of storages".to_owned()) };
    let mut storages: HashMap<&str, Vec<f32>> = HashMap::new();
    for key in &keys {
        let Value::Text(key) = key else { return Err("expected a storage's name".to_owned()) };
        let count = usize::try_from(i64::from_le_bytes(reader.take()?)).unwrap_or(usize::MAX);
        // Storages of integers are behind one another too: their numbers are counters of 8 bytes.
        let is_float = views.iter().any(|view| view.storage == *key);
        let size = count.checked_mul(if is_float { 4 } else { 8 }).filter(|size| *size <= reader.bytes.len());
        let (data, rest) = reader.bytes.split_at(size.ok_or_else(|| format!("storage {key} ends too early"))?);
        reader.bytes = rest;
        if is_float {
            let floats = data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            storages.insert(key, floats);
        }
    }
    views.iter().map(|view| Ok((view.name.clone(), gather(view, &storages)?))).collect()
}

/// `_rebuild_tensor_v2` of a storage of floats, an offset, a shape and strides.
fn view(name: &Value, value: &Value) -> Option<View> {
    let (Value::Text(name), Value::Row(call)) = (name, value) else { return None };
    let [_, Value::Row(arguments)] = call.as_slice() else { return None };
    let [Value::Row(storage), Value::Number(offset), Value::Row(shape), Value::Row(strides), ..] = arguments.as_slice()
    else {
        return None;
    };
    let [_, Value::Text(kind), Value::Text(key), ..] = storage.as_slice() else { return None };
    let sizes = |row: &[Value]| {
        row.iter()
            .map(|value| if let Value::Number(size) = value { usize::try_from(*size).ok() } else { None })
            .collect::<Option<Vec<_>>>()
    };
    (kind == "torch FloatStorage").then_some(View {
        name: name.clone(),
        storage: key.clone(),
        offset: usize::try_from(*offset).ok()?,
        shape: sizes(shape)?,
        strides: sizes(strides)?,
    })
}

/// The numbers of a view in row-major order, wherever they are.
fn gather(view: &View, storages: &HashMap<&str, Vec<f32>>) -> Result<Tensor, String> {
    let missing = || format!("{} has no numbers where it should", view.name);
    let storage = storages.get(view.storage.as_str()).ok_or_else(missing)?;
    let count = view.shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
    let count = count.filter(|count| *count <= MOST_NUMBERS && view.shape.len() == view.strides.len());
    let mut values = Vec::new();
    for number in 0..count.ok_or_else(missing)? {
        let (mut at, mut rest) = (view.offset, number);
        for (size, stride) in view.shape.iter().zip(&view.strides).rev() {
            at = at.saturating_add((rest % size).saturating_mul(*stride));
            rest /= size;
        }
        values.push(*storage.get(at).ok_or_else(missing)?);
    }
    Ok(Tensor { shape: view.shape.clone(), values })
}

struct Reader<'a> {
    bytes: &'a [u8],
    memory: HashMap<u32, Value>,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or("it ends too early")?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn text(&mut self, length: usize) -> Result<String, String> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or("it ends too early")?;
        self.bytes = rest;
        String::from_utf8(taken.to_vec()).map_err(|error| error.to_string())
    }

    fn line(&mut self) -> Result<String, String> {
        let length = self.bytes.iter().position(|byte| *byte == b'\n').ok_or("it ends too early")?;
        let line = self.text(length)?;
        self.bytes = &self.bytes[1..];
        Ok(line)
    }

    /// The value of the next pickle.
    fn pickle(&mut self) -> Result<Value, String> {
        self.memory.clear();
        let mut stack: Vec<Value> = Vec::new();
        for _ in 0..MOST_STEPS {
            let [step] = self.take()?;
            match step {
                b'.' => return stack.pop().ok_or_else(|| "it says nothing".to_owned()),
                // PROTO
                0x80 => drop(self.take::<1>()?),
                b'(' => stack.push(Value::Mark),
                b'N' => stack.push(Value::None),
                // NEWTRUE, NEWFALSE
                0x88 => stack.push(Value::Number(1)),
                0x89 => stack.push(Value::Number(0)),
                b'J' => stack.push(Value::Number(i32::from_le_bytes(self.take()?).into())),
                b'K' => stack.push(Value::Number(u8::from_le_bytes(self.take()?).into())),
                b'M' => stack.push(Value::Number(u16::from_le_bytes(self.take()?).into())),
                // LONG1: only the magic number is one, and longer than any number of ours.
                0x8a => {
                    let [length] = self.take()?;
                    self.bytes = self.bytes.get(usize::from(length)..).ok_or("it ends too early")?;
                    stack.push(Value::None);
                }
                b'X' => {
                    let length = u32::from_le_bytes(self.take()?) as usize;
                    let text = self.text(length)?;
                    stack.push(Value::Text(text));
                }
                // GLOBAL: a name of what could be called.
                b'c' => {
                    let name = format!("{} {}", self.line()?, self.line()?);
                    stack.push(Value::Text(name));
                }
                b'}' => stack.push(Value::Map(Vec::new())),
                b']' | b')' => stack.push(Value::Row(Vec::new())),
                // TUPLE1, TUPLE2
                0x85 => group(&mut stack, 1)?,
                0x86 => group(&mut stack, 2)?,
                b't' => {
                    let row = since_mark(&mut stack)?;
                    stack.push(Value::Row(row));
                }
                b'e' | b'u' => {
                    let more = since_mark(&mut stack)?;
                    extend(&mut stack, more)?;
                }
                b's' => {
                    let at = stack.len().checked_sub(2).ok_or("it takes what is not there")?;
                    let more = stack.split_off(at);
                    extend(&mut stack, more)?;
                }
                // REDUCE: a call, which is only noted. A dictionary begins as the call of its class.
                b'R' => {
                    group(&mut stack, 2)?;
                    if let Some(Value::Row(call)) = stack.last()
                        && call.first() == Some(&Value::Text("collections OrderedDict".to_owned()))
                    {
                        stack.pop();
                        stack.push(Value::Map(Vec::new()));
                    }
                }
                // BUILD: attributes, which nobody asks for.
                b'b' => drop(stack.pop()),
                // BINPERSID: where the numbers are is said by what is on the stack.
                b'Q' => {}
                // BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
                b'q' => {
                    let [at] = self.take()?;
                    self.remember(at.into(), &stack)?;
                }
                b'r' => {
                    let at = u32::from_le_bytes(self.take()?);
                    self.remember(at, &stack)?;
                }
                b'h' => {
                    let [at] = self.take()?;
                    stack.push(self.recall(at.into())?);
                }
                b'j' => {
                    let at = u32::from_le_bytes(self.take()?);
                    stack.push(self.recall(at)?);
                }
                other => return Err(format!("step {other:#04x} of a pickle is not understood")),
            }
        }
        Err(format!("a pickle of more than {MOST_STEPS} steps"))
    }

    /// Only what is small: a text or a number. Nothing larger is recalled in such files but by its own making.
    fn remember(&mut self, at: u32, stack: &[Value]) -> Result<(), String> {
        let value = stack.last().ok_or("it remembers what is not there")?;
        if matches!(value, Value::Text(_) | Value::Number(_) | Value::None) || *value == Value::Row(Vec::new()) {
            self.memory.insert(at, value.clone());
        } else if let Value::Row(row) = value
            && row.iter().all(|value| matches!(value, Value::Text(_) | Value::Number(_) | Value::None))
            && row.len() <= 8
        {
            self.memory.insert(at, value.clone());
        }
        Ok(())
    }

    fn recall(&self, at: u32) -> Result<Value, String> {
        self.memory.get(&at).cloned().ok_or_else(|| format!("it recalls {at}, which it did not remember"))
    }
}

fn group(stack: &mut Vec<Value>, count: usize) -> Result<(), String> {
    let at = stack.len().checked_sub(count).ok_or("it takes what is not there")?;
    let row = stack.split_off(at);
    stack.push(Value::Row(row));
    Ok(())
}

fn since_mark(stack: &mut Vec<Value>) -> Result<Vec<Value>, String> {
    let mark = stack.iter().rposition(|value| *value == Value::Mark).ok_or("it goes back to no mark")?;
    let row = stack.split_off(mark + 1);
    stack.pop();
    Ok(row)
}

fn extend(stack: &mut [Value], more: Vec<Value>) -> Result<(), String> {
    match stack.last_mut() {
        Some(Value::Row(values) | Value::Map(values)) => {
            values.extend(more);
            Ok(())
        }
        Some(_) | None => Err("it extends what is no list".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage_call(key: &str) -> Vec<u8> {
        let text =
            |text: &str| [b"X".as_slice(), &u32::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat();
        let mut bytes = b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
        bytes.extend(text("storage"));
        bytes.extend(b"ctorch\nFloatStorage\n");
        bytes.extend(text(key));
        bytes.extend(text("cpu"));
        // Offset 1; shape (2, 3) whose numbers are kept column by column.
        bytes.extend(b"K\x07NtQK\x01K\x02K\x03\x86K\x01K\x02\x86\x89ccollections\nOrderedDict\n)RtR");
        bytes
    }

    fn file(dictionary: &[u8], storages: &[u8]) -> Vec<u8> {
        let three = b"\x80\x02\x8a\x01\x07.\x80\x02M\xe9\x03.\x80\x02}.".as_slice();
        [three, b"\x80\x02", dictionary, b".", b"\x80\x02", storages].concat()
    }

    fn weights() -> Vec<u8> {
        let dictionary = [b"ccollections\nOrderedDict\n)RX\x01\0\0\0w".as_slice(), &storage_call("11"), b"s"].concat();
        let mut bytes = file(&dictionary, b"](X\x02\0\0\x0011e.");
        bytes.extend(7_i64.to_le_bytes());
        bytes.extend((0..7).flat_map(|number| f32::to_le_bytes(number as f32)));
        bytes
    }

    #[test]
    fn numbers_are_gathered_in_the_order_of_their_shape() {
        let tensors = tensors(&weights()).unwrap();
        let expected = Tensor { shape: vec![2, 3], values: vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0] };
        assert_eq!(tensors, HashMap::from([("w".to_owned(), expected)]));
    }

    #[test]
    fn what_would_be_called_is_not() {
        let told = tensors(&file(b"cos\nsystem\n(X\x04\0\0\0exittR", b"].")).unwrap_err();
        assert_eq!(told, "expected a dictionary of tensors");
    }

    #[test]
    fn damage_is_an_error() {
        let whole = weights();
        for length in 0..whole.len() {
            assert!(tensors(&whole[..length]).is_err(), "{length}");
        }
        for (bytes, expected) in [
            (&b"\x80\x02i."[..], "magic number: step 0x69 of a pickle is not understood"),
            (b"\x80\x02h\x05.", "magic number: it recalls 5, which it did not remember"),
            (b"\x80\x02t.", "magic number: it goes back to no mark"),
            (b"\x80\x02.", "magic number: it says nothing"),
        ] {
            assert_eq!(tensors(bytes).unwrap_err(), expected);
        }
    }
}
