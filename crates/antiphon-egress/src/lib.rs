//! The one way out of a sandbox: an HTTP proxy that reaches the hosts an allowlist names, and
//! nothing else (spec 06, "Environments": `network`).
//!
//! Programs have a network of their own with nothing in it. A port of its loopback belongs to
//! the server, which takes the connections there: which environment is asking is told by the
//! socket, and by nothing that a program says.
//!
//! * `rules`: what may be reached, decided without asking anybody; `refusal`: why not, in words.
//! * `request`: what a request says of itself, and where that does not agree.
//! * `dial`: names to addresses that are public, and connections to these very addresses.
//! * `proxy`: connections of programs; `forward`: one request to its host; `tunnel`: TLS that
//!   nobody but its ends reads, once `hello` has told whom it is for.
//! * `authority`: TLS that ends here, where headers are put into requests; `secrets`: what they
//!   are taken from; `swap`: what a program has a placeholder of.
//! * `meter`: how much may pass.

mod authority;
mod dial;
mod egress;
mod forward;
mod hello;
mod meter;
mod proxy;
mod refusal;
mod request;
mod rules;
mod secrets;
mod swap;
mod tunnel;

pub use hyper::header::{HeaderName, HeaderValue};
pub use rustls::pki_types::CertificateDer;

pub use crate::dial::Dialed;
pub use crate::egress::{Egress, EgressError, EgressLimits, EgressOptions, Passage, Roots};
pub use crate::refusal::Refusal;
pub use crate::rules::{Rules, Way};
pub use crate::secrets::{SecretRefused, Secrets, Swap};
