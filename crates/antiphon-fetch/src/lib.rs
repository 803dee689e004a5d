//! What is behind an address that a user or a model gave: fetched without being led into our
//! own network, and the text of it.
//!
//! [`Fetcher`] is the one client for such addresses. [`extract`] is pure: bytes in, text out.

mod address;
mod body;
mod cache;
mod client;
mod decode;
mod error;
pub mod extract;
mod fetcher;
mod gate;
mod hosts;
mod options;
mod resolver;
mod robots;
mod sniff;

pub use reqwest::header::HeaderMap;
pub use reqwest::{Client, Url};

pub use crate::address::{Network, NetworkError, is_public};
pub use crate::body::Body;
pub use crate::client::ClientError;
pub use crate::error::{Failure, FetchError, Refusal};
pub use crate::fetcher::{Allowance, Fetched, Fetcher, Target};
pub use crate::options::{FetchOptions, Limits, Opening, Own, Purpose, Rewrite, RewriteError};
pub use crate::resolver::{Answer, Lookup, SystemLookup};
pub use crate::sniff::MimeError;
