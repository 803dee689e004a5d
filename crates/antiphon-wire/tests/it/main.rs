//! The wire from outside: what is documented about it, and the laws of the fold.

mod coverage;
mod fold;
