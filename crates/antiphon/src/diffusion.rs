//! A diffusion model of this machine: from its entry in the configuration to what makes its pictures.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use antiphon_backends::{Diffusion, DiffusionOptions, Painter};
use antiphon_engine::Backend;
use antiphon_models::Library;

use crate::{Failed, config, paths};

/// The executable that makes the pictures.
const WORKER: &str = "antiphon-diffusion";

/// The backend, and what people are told of it. `worker` is the executable, if not the one beside this.
///
/// # Errors
/// When a file of it is not installed, or the worker is not there.
pub(crate) fn open(
    model: &config::Model,
    library: &Library,
    worker: Option<PathBuf>,
    inspector: Painter,
) -> Result<(Arc<dyn Backend>, String), Failed> {
    let failed = |error: &dyn std::fmt::Display| Failed::new(format!("model `{}`: {error}", model.name));
    let options = model.diffusion.clone().unwrap_or_default();
    let main = model.file.as_ref().map_or_else(|| model.name.clone(), |path| path.display().to_string());
    let main_argument = if options.denoiser_only { "--denoiser" } else { "--model" };
    let (mut arguments, mut weights) = (Vec::new(), Vec::new());
    for (argument, file) in std::iter::once((main_argument, &main)).chain(options.files()) {
        let installed = library.find(file).map_err(|error| failed(&error))?;
        let path = installed.path.to_str().ok_or_else(|| failed(&"expected paths of files in UTF-8"))?;
        arguments.extend([argument.to_owned(), path.to_owned()]);
        weights.push(installed.path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    }
    if let Some(threads) = model.threads {
        arguments.extend(["--threads".to_owned(), threads.to_string()]);
    }
    let Some(executable) = worker.filter(|path| path.is_file()).or_else(|| paths::beside(WORKER)) else {
        return Err(failed(&format!(
            "the worker `{WORKER}` is not beside this executable; `scripts/build release --diffusion` builds it, and \
             `--diffusion-worker` names another place"
        )));
    };
    let description = format!("Pictures by diffusion on this machine, from {}", weights.join(", "));
    let backend = Diffusion::new(DiffusionOptions {
        executable,
        arguments,
        name: model.name.clone(),
        weights,
        steps: options.steps,
        guidance: options.guidance,
        size: options.image_size,
        largest: options.largest_image_size,
        change: options.change,
        time: Duration::from_secs(u64::from(options.seconds)),
        inspector,
    });
    Ok((Arc::new(backend), description))
}
