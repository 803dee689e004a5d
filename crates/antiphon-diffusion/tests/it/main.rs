//! The worker for pictures with the real engine, on weights that are made for the test: by itself, and
//! behind the real server, whose executable is in `ANTIPHON_TEST_BIN_DIR`, as `just diffusion` sets it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod server;
mod weights;
mod worker;
