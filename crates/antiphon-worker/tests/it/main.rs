//! Tests of the public face of the crate.

#[cfg(test)]
mod serving;
