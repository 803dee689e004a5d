//! Backends from outside, against a real worker process that holds the toy model.

mod llama;
