//! An ONNX file as bytes: of that format the few messages which a plain network of convolutions needs.

use super::pickle::Tensor;

/// The version of the operators that is written.
const OPERATORS: u64 = 13;

/// 32-bit floats, among the types of ONNX.
const FLOAT: u64 = 1;

/// A graph that grows step by step, each on the step before.
pub(crate) struct Graph {
    body: Message,
    steps: usize,
    /// The name of what the last step made.
    pub(crate) last: String,
}

/// An attribute of a step.
pub(crate) enum Attribute<'a> {
    Number(u64),
    Numbers(&'a [u64]),
}

impl Graph {
    /// One whose input is a tensor of that shape.
    pub(crate) fn new(shape: &[u64]) -> Self {
        let mut body = Message::default();
        body.bytes(2, b"labels");
        body.message(11, &described("input", shape));
        Self { body, steps: 0, last: "input".to_owned() }
    }

    /// A tensor that is the same for all inputs; returns `name`.
    pub(crate) fn constant<'a>(&mut self, name: &'a str, tensor: &Tensor) -> &'a str {
        let mut message = Message::default();
        for size in &tensor.shape {
            message.number(1, *size as u64);
        }
        message.number(2, FLOAT);
        message.bytes(8, name.as_bytes());
        let raw: Vec<u8> = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        message.bytes(9, &raw);
        self.body.message(5, &message);
        name
    }

    /// Adds a step on the last one; `others` are its further inputs.
    pub(crate) fn step(&mut self, operator: &str, others: &[&str], attributes: &[(&str, Attribute<'_>)]) {
        self.steps += 1;
        let output = format!("step-{}", self.steps);
        let mut message = Message::default();
        message.bytes(1, self.last.as_bytes());
        for other in others {
            message.bytes(1, other.as_bytes());
        }
        message.bytes(2, output.as_bytes());
        message.bytes(4, operator.as_bytes());
        for (name, attribute) in attributes {
            let mut inner = Message::default();
            inner.bytes(1, name.as_bytes());
            match attribute {
                Attribute::Number(number) => {
                    inner.number(3, *number);
                    inner.number(20, 2);
                }
                Attribute::Numbers(numbers) => {
                    for number in *numbers {
                        inner.number(8, *number);
                    }
                    inner.number(20, 7);
                }
            }
            message.message(5, &inner);
        }
        self.body.message(1, &message);
        self.last = output;
    }

    /// The file; its output is the last step's, a tensor of that shape.
    pub(crate) fn file(mut self, shape: &[u64]) -> Vec<u8> {
        self.body.message(12, &described(&self.last, shape));
        let mut operators = Message::default();
        operators.bytes(1, b"");
        operators.number(2, OPERATORS);
        let mut model = Message::default();
        model.number(1, 8);
        model.message(7, &self.body);
        model.message(8, &operators);
        model.0
    }
}

/// A name, and that it is a tensor of floats of that shape.
fn described(name: &str, shape: &[u64]) -> Message {
    let (mut sizes, mut tensor, mut kind, mut message) =
        (Message::default(), Message::default(), Message::default(), Message::default());
    for size in shape {
        let mut dimension = Message::default();
        dimension.number(1, *size);
        sizes.message(1, &dimension);
    }
    tensor.number(1, FLOAT);
    tensor.message(2, &sizes);
    kind.message(1, &tensor);
    message.bytes(1, name.as_bytes());
    message.message(2, &kind);
    message
}

/// A message of protocol buffers.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }
}
