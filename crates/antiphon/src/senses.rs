//! What reads media that models do not take, put together from the configuration and from what is
//! installed.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_documents::Reader;
use antiphon_documents::confined::Program;
use antiphon_engine::Perceiver;
use antiphon_fetch::Limits;
use antiphon_files::Files;
use antiphon_hearing::Listener;
use antiphon_media::{Ears, Eyes, MOST_BYTES, Means, Senses, SensesOptions};
use antiphon_models::Library;
use antiphon_sight::{Checker, Looker};
use antiphon_video::Decoder;
use tracing::info;

use crate::config::{Config, Fallback, Media};
use crate::{Failed, tools};

/// Of one address in a request.
const MOST_REDIRECTS: usize = 3;

/// `address` is where this server listens, which nobody reaches through it.
pub(crate) fn open(
    config: &Config,
    address: SocketAddr,
    library: &Library,
    files: Files,
) -> Result<Arc<dyn Perceiver>, Failed> {
    let limits = Limits { bytes: MOST_BYTES as usize, redirects: MOST_REDIRECTS, ..Limits::default() };
    let fetcher = tools::fetcher(config, address, limits)?;
    let options = SensesOptions { perceives: config.media.fallback == Fallback::Perceive, http: config.media.http };
    Ok(Arc::new(Senses::new(options, means(&config.media, library)?, fetcher, files)))
}

/// This executable does the reading itself, in processes of their own.
fn means(media: &Media, library: &Library) -> Result<Means, Failed> {
    let executable = std::env::current_exe()
        .map_err(|error| Failed::new(format!("where this executable is cannot be found: {error}")))?;
    let eyes = library.bundle(Eyes::READING).ok().map(|reading| {
        Eyes(Looker { program: executable.clone(), reading, labels: library.bundle(Eyes::LABELS).ok() })
    });
    let ears = library.bundle(Ears::MODEL).ok().map(|folder| Ears {
        listener: Listener { executable: executable.clone(), arguments: vec!["hear".to_owned()] },
        folder,
    });
    let decoder = ffmpeg(media)?.map(|ffmpeg| Decoder {
        executable: executable.clone(),
        arguments: vec!["decode-video".to_owned(), "--".to_owned()],
        ffmpeg,
    });
    info!(
        images = eyes.is_some(),
        recordings = ears.is_some(),
        frames = eyes.is_some() && decoder.is_some(),
        "Media that models do not take are read"
    );
    let pictures = Checker { program: executable.clone() };
    let reader = Program { executable, arguments: vec!["read-document".to_owned()] };
    Ok(Means { documents: Reader::new(reader), pictures, eyes, ears, decoder })
}

/// Where `ffmpeg` is, as configured or on the `PATH`; it need not be anywhere.
fn ffmpeg(media: &Media) -> Result<Option<PathBuf>, Failed> {
    match &media.ffmpeg {
        Some(path) if is_program(path) => Ok(Some(path.clone())),
        Some(path) => {
            Err(Failed::new(format!("`media.ffmpeg`: expected a program, found none at `{}`", path.display())))
        }
        None => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let places = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
            Ok(places.map(|folder| folder.join("ffmpeg")).find(|place| is_program(place)))
        }
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
