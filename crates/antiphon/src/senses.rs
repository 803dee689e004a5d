//! What reads media that models do not take, put together from the configuration.

use std::net::SocketAddr;
use std::sync::Arc;

use antiphon_engine::Perceiver;
use antiphon_fetch::Limits;
use antiphon_files::Files;
use antiphon_media::{MOST_BYTES, Senses, SensesOptions};

use crate::config::{Config, Fallback};
use crate::{Failed, tools};

/// `address` is where this server listens, which nobody reaches through it.
pub(crate) fn open(config: &Config, address: SocketAddr, files: Files) -> Result<Arc<dyn Perceiver>, Failed> {
    let fetcher = tools::fetcher(config, address, Limits { bytes: MOST_BYTES, ..Limits::default() })?;
    let options = SensesOptions { perceives: config.media.fallback == Fallback::Perceive, http: config.media.http };
    Ok(Arc::new(Senses::new(options, fetcher, files)))
}
