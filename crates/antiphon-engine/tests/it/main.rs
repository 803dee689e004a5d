//! The engine from outside: a scripted model, the memory store, a fixed clock.

mod crash;
mod support;
mod views;
