//! `antiphon serve`: puts the parts together and serves until it is told to stop.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use antiphon_backends::{
    Artist, Inspected, Llama, LlamaOptions, Painter, Projector, Researcher, Script, ScriptError, Scripted,
};
use antiphon_engine::{Backend, Engine, EngineParts, Limits, Models, RunLimits, Served, Store, StoreError};
use antiphon_environments::Environments;
use antiphon_files::Files;
use antiphon_models::Library;
use antiphon_store::{DataLock, SqliteStore, StoreOptions};
use antiphon_upstream::{Fallbacks, Secret, Upstream, UpstreamOptions};
use antiphon_worker::protocol::Sampling;
use clap::Args;
use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::ambient::Machine;
use crate::config::{self, Config};
use crate::data::DataFolder;
use crate::fault::Fault;
use crate::opening::Processes;
use crate::{Failed, diffusion, keys, models, paths, print, secrets, senses, tools};

/// What a worker shares among its calls unless the configuration says otherwise.
const DEFAULT_CONTEXT: u32 = 32_768;
const DEFAULT_SLOTS: u32 = 4;

/// How often uploads, files and environments whose time is over, or that are idle, are looked for.
const SWEEP: Duration = Duration::from_secs(300);

/// After the connections are closed, runs have this long to suspend.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct Arguments {
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, env = "ANTIPHON_LISTEN")]
    listen: Option<String>,
    /// Where the store is; `$XDG_DATA_HOME/antiphon` unless given.
    #[arg(long, env = "ANTIPHON_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration file.
    #[arg(long, env = "ANTIPHON_CONFIG")]
    config: Option<PathBuf>,
    /// The model to serve by default: an installed one, or a path to a GGUF file.
    #[arg(long, env = "ANTIPHON_MODEL")]
    model: Option<String>,
    #[command(flatten)]
    place: models::Place,
    /// The executable that makes pictures with diffusion models; beside this one unless given.
    #[arg(long, env = "ANTIPHON_DIFFUSION_WORKER")]
    diffusion_worker: Option<PathBuf>,
    /// Abort the process when it passes this place for the N-th time, for tests: as `before-commit:N`.
    #[arg(long, hide = true)]
    fault: Option<Fault>,
    /// Make workers abort after so many chunks, for tests.
    #[arg(long, hide = true)]
    worker_fault: Option<u32>,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failed> {
    log_to_stderr();
    let config = Config::read(arguments.config.as_deref(), std::env::vars())?;
    let listen = arguments.listen.as_ref().or(config.server.listen.as_ref());
    let address = resolve(listen.map_or(config::DEFAULT_LISTEN, String::as_str))?;
    let data = DataFolder::open(paths::data_folder(arguments.data_dir.clone())?)?;
    let _lock = DataLock::take(data.path()).map_err(|error| Failed::new(error.to_string()))?;
    let library = arguments.place.library()?;
    let models = wanted_models(&config, arguments.model.as_deref(), &library)?;
    let runtime = runtime(&models).map_err(|error| Failed::new(format!("cannot start threads: {error}")))?;
    runtime.block_on(serve(arguments, config, address, data, library, models))
}

/// As many threads for requests as there are cores, or half as many where models compute on this machine. Those use
/// all cores in step: whatever else runs on one of them, and be it only to wake another thread, makes all wait.
fn runtime(models: &[config::Model]) -> io::Result<Runtime> {
    let mut runtime = Builder::new_multi_thread();
    if models.iter().any(|model| matches!(model.backend, config::Backend::Llama | config::Backend::Diffusion)) {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        runtime.worker_threads(cores.div_ceil(2));
    }
    runtime.enable_all().build()
}

async fn serve(
    arguments: Arguments,
    config: Config,
    address: SocketAddr,
    data: DataFolder,
    library: Library,
    models: Vec<config::Model>,
) -> Result<(), Failed> {
    let options = StoreOptions { fault: arguments.fault.and_then(Fault::of_store) };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(data.path(), options).map_err(store_failed)?);
    let worker = paths::worker(arguments.place.worker);
    let mut bare = Vec::new();
    for model in models {
        // The default is loaded now, others when they are first asked for.
        let load = bare.is_empty();
        let built = match upstream(&model)? {
            Some(built) => built,
            None if model.backend == config::Backend::Diffusion => {
                diffusion_model(&model, &library, arguments.diffusion_worker.clone())?
            }
            None => local_model(&model, &library, worker.as_ref(), arguments.worker_fault, load).await?,
        };
        bare.push((model, built));
    }
    let served: Vec<_> =
        bare.iter().map(|(model, built)| Arc::new(serve_model(model, built, &bare, &config))).collect();
    let artist = artist(&served, &config)?;
    let first = served.first().ok_or_else(|| Failed::new("no model is served"))?;
    let researcher = first.researching(Arc::new(Researcher::new(Arc::clone(&first.backend))));
    let key = first_key(&data, &*store, &address).await?;
    let sandbox = tools::sandbox(&config).await;
    let credentials = tools::credentials(&data).await?;
    let egress = tools::egress(&config, address, &sandbox, &credentials)?;
    let fault = arguments.fault.and_then(Fault::of_environments);
    let environments = tools::environments(&config, &data, &sandbox, egress.as_ref(), &credentials, fault).await?;
    let files = tools::files(&config, data.path(), environments.clone()).await?;
    let agents = tools::agents(&config, data.path()).await?;
    let belongings =
        tools::Belongings { files: files.clone(), environments: environments.clone(), agents: agents.clone(), egress };
    let engine = Engine::new(EngineParts {
        store,
        models: Models::new(served, config.server.strict_models).with_images(artist).with_research(researcher),
        tools: Arc::new(tools::open(&config, data.path(), address, sandbox, belongings).await?),
        perceiver: senses::open(&config, address, &library, files.clone())?,
        ambient: Arc::new(Machine),
        seal: data.seal(),
        limits: Limits {
            default_output_tokens: config.limits.default_output_tokens,
            retention: SignedDuration::from_hours(24 * i64::from(config.store.retention_days)),
            run: RunLimits {
                turns: config.limits.turns,
                calls: config.limits.tool_calls,
                time: Duration::from_secs(u64::from(config.limits.run_seconds)),
                result_tokens: config.limits.tool_result_tokens,
                total_tokens: None,
            },
            agent: RunLimits {
                turns: config.agents.turns,
                calls: config.agents.tool_calls,
                time: Duration::from_secs(u64::from(config.agents.run_seconds)),
                result_tokens: config.limits.tool_result_tokens,
                total_tokens: None,
            },
        },
    });
    engine.recover().await.map_err(store_failed)?;
    let triggers = tools::triggers(data.path(), &engine, &environments).await?;

    // Before anybody can know that there is something to stop.
    let stop = stop_signal()?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failed::new(format!("cannot listen on {address}: {error}")))?;
    let address = listener.local_addr().map_err(|error| Failed::new(error.to_string()))?;
    greet(address, key.as_deref());
    let mut limits = antiphon_server::Limits::default();
    if let Some(bytes) = config.server.body_bytes {
        limits.body_bytes = bytes;
        limits.body_bytes_in_flight = limits.body_bytes_in_flight.max(bytes as usize);
    }
    engine.tasks().spawn(recover(files.clone(), stop.clone()));
    engine.tasks().spawn(sweep(files.clone(), environments.clone(), stop.clone()));
    engine.tasks().spawn(triggers.clone().keep_time(stop.clone()));
    let keys = data.key_maker();
    let options = antiphon_server::Options { keys, files, environments, agents, credentials, triggers, limits };
    antiphon_server::serve(listener, engine.clone(), options, stop).await;
    engine.shut_down(GRACE).await;
    Ok(())
}

/// Beside what is served: an object store may be slow, or away.
async fn recover(files: Files, stop: CancellationToken) {
    stop.run_until_cancelled(files.recover()).await;
}

/// Removes what has expired and puts to rest what is idle, also when nobody asks for anything.
async fn sweep(files: Files, environments: Environments, stop: CancellationToken) {
    loop {
        files.sweep().await;
        environments.sweep().await;
        if stop.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_none() {
            return;
        }
    }
}

/// The configured models, with the one of the command line first. Without any, the
/// first of the catalogue that is installed.
fn wanted_models(config: &Config, chosen: Option<&str>, library: &Library) -> Result<Vec<config::Model>, Failed> {
    let mut models = config.models.clone();
    if let Some(name) = chosen {
        let first = match models.iter().position(|model| model.name == name || model.aliases.iter().any(|a| a == name))
        {
            Some(at) => models.remove(at),
            None => config::Model::named(name),
        };
        models.insert(0, first);
    }
    if models.is_empty() {
        let names = library.catalogue().iter().map(|entry| entry.name.as_str());
        match names.clone().find(|name| library.find(name).is_ok()) {
            Some(name) => models.push(config::Model::named(name)),
            None => {
                let first = names.clone().next().unwrap_or_default();
                let message = format!("no model is installed; `antiphon models pull {first}` installs the default one");
                return Err(Failed::new(message));
            }
        }
    }
    Ok(models)
}

/// A model's backend, and what is known of it.
struct Built {
    name: String,
    aliases: Vec<String>,
    description: String,
    context: u64,
    output_limit: Option<u64>,
    result_tokens: Option<usize>,
    is_guided: bool,
    backend: Arc<dyn Backend>,
}

/// A model as it is asked: with its fallbacks behind it.
fn serve_model(model: &config::Model, built: &Built, all: &[(config::Model, Built)], config: &Config) -> Served {
    let mut links = vec![(built.name.clone(), Arc::clone(&built.backend))];
    for name in &model.fallbacks {
        let found = all.iter().find(|(other, _)| other.name == *name);
        links.extend(found.map(|(_, other)| (other.name.clone(), Arc::clone(&other.backend))));
    }
    let backend: Arc<dyn Backend> =
        if links.len() > 1 { Arc::new(Fallbacks::new(links)) } else { Arc::clone(&built.backend) };
    let mut served = Served::new(&built.name, backend, built.context, config.limits.waiting);
    served.output_limit = built.output_limit.unwrap_or(built.context);
    served.result_tokens = model.tool_result_tokens.or(built.result_tokens);
    served.is_guided = built.is_guided;
    served.description.clone_from(&built.description);
    served.aliases = built.aliases.iter().chain(&model.aliases).cloned().collect();
    served
}

/// The model that draws: one that makes pictures itself, or one that writes drawings.
fn artist(served: &[Arc<Served>], config: &Config) -> Result<Arc<Served>, Failed> {
    let chosen = match &config.images.model {
        None => served.iter().find(|model| model.backend.draws()).or(served.first()),
        Some(name) => served.iter().find(|model| model.name == *name || model.aliases.contains(name)),
    };
    let model = chosen.ok_or_else(|| Failed::new("`images.model`: no model that is served has this name"))?;
    if model.backend.draws() {
        return Ok(Arc::clone(model));
    }
    let artist = Artist::new(Arc::clone(&model.backend), &model.name, painter("paint-drawing")?);
    Ok(Arc::new(model.drawing(Arc::new(artist))))
}

/// This executable, as one that does nothing else.
fn painter(command: &str) -> Result<Painter, Failed> {
    Ok(Painter { executable: this_executable()?, arguments: vec![command.to_owned()] })
}

fn this_executable() -> Result<PathBuf, Failed> {
    let found = std::env::current_exe();
    found.map_err(|error| Failed::new(format!("where this executable is cannot be found: {error}")))
}

/// The backend of a model behind a service; none when it is on this machine.
fn upstream(model: &config::Model) -> Result<Option<Built>, Failed> {
    let Some(protocol) = model.protocol() else { return Ok(None) };
    let failed = |error: &dyn std::fmt::Display| Failed::new(format!("model `{}`: {error}", model.name));
    let key = match (&model.api_key_env, &model.api_key_file) {
        (Some(name), _) => Some(secrets::of_variable(name).map(Secret::new).map_err(|error| failed(&error))?),
        (None, Some(file)) => Some(secrets::of_file(file).map(Secret::new).map_err(|error| failed(&error))?),
        (None, None) => None,
    };
    let headers: Result<Vec<_>, Failed> =
        model.headers.iter().map(|(name, value)| Ok((name.clone(), Secret::new(secrets::value(value)?)))).collect();
    let urls = model.addresses();
    let backend = Upstream::new(UpstreamOptions {
        name: model.name.clone(),
        protocol,
        urls: urls.clone(),
        model: model.upstream_model().to_owned(),
        key,
        headers: headers.map_err(|error| failed(&error))?,
        session_header: model.session_header.clone(),
        capabilities: model.capabilities(),
        timeouts: model.timeouts(),
        concurrency: model.concurrency.unwrap_or(config::DEFAULT_CONCURRENCY) as usize,
        attempts: model.attempts.unwrap_or(config::DEFAULT_ATTEMPTS),
    })
    .map_err(|error| failed(&error))?;
    let backend: Arc<dyn Backend> = if backend.draws() {
        Arc::new(Inspected::new(Arc::new(backend), painter("convert-picture")?))
    } else {
        Arc::new(backend)
    };
    let host = |url: &String| url.split('/').nth(2).unwrap_or_default().to_owned();
    let hosts: Vec<_> = urls.iter().map(host).collect();
    Ok(Some(Built {
        name: model.name.clone(),
        aliases: Vec::new(),
        description: format!("`{}` at {}", model.upstream_model(), hosts.join(", ")),
        context: u64::from(model.context.unwrap_or(config::DEFAULT_UPSTREAM_CONTEXT)),
        output_limit: model.output_limit,
        result_tokens: None,
        is_guided: false,
        backend,
    }))
}

fn diffusion_model(model: &config::Model, library: &Library, worker: Option<PathBuf>) -> Result<Built, Failed> {
    let (backend, description) = diffusion::open(model, library, worker, painter("convert-picture")?)?;
    Ok(Built {
        name: model.name.clone(),
        aliases: Vec::new(),
        description,
        context: u64::from(DEFAULT_CONTEXT),
        output_limit: None,
        result_tokens: None,
        is_guided: false,
        backend,
    })
}

async fn local_model(
    model: &config::Model,
    library: &Library,
    worker: Option<&PathBuf>,
    worker_fault: Option<u32>,
    load: bool,
) -> Result<Built, Failed> {
    if model.backend == config::Backend::Scripted {
        let path = model.script.clone().unwrap_or_default();
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failed::new(format!("script `{}`: {error}", path.display())))?;
        let failed = |error: ScriptError| Failed::new(format!("script `{}`: {error}", path.display()));
        let script = Script::parse(&text).map_err(failed)?;
        return Ok(Built {
            name: model.name.clone(),
            aliases: Vec::new(),
            description: "Replies from a script".to_owned(),
            context: script.context(),
            output_limit: None,
            result_tokens: None,
            is_guided: false,
            backend: Arc::new(Scripted::new(script).map_err(failed)?),
        });
    }
    let wanted = model.file.as_ref().map_or_else(|| model.name.clone(), |path| path.display().to_string());
    let installed = library.find(&wanted).map_err(|error| Failed::new(error.to_string()))?;
    if installed.path.extension().is_some_and(|end| end.eq_ignore_ascii_case("safetensors")) {
        return Err(Failed::new(format!(
            "model `{}`: language models are GGUF files, this is a safetensors file",
            model.name
        )));
    }
    let Some(worker) = worker.filter(|path| path.is_file()) else {
        return Err(Failed::new("the worker `antiphon-llama` is not beside this executable; `--worker` names it"));
    };
    let entry = installed.entry.as_ref();
    let name = if model.file.is_some() { model.name.clone() } else { installed.name.clone() };
    let most = entry.map_or(DEFAULT_CONTEXT, |entry| entry.context);
    let context = model.context.unwrap_or_else(|| most.min(DEFAULT_CONTEXT));
    let mut arguments = Vec::new();
    if let Some(threads) = model.threads {
        arguments.extend(["--threads".to_owned(), threads.to_string()]);
    }
    if model.attention == Some(config::Attention::Fused) {
        arguments.push("--fused-attention".to_owned());
    }
    if let Some(chunks) = worker_fault {
        arguments.extend(["--crash-after-chunks".to_owned(), chunks.to_string()]);
    }
    let projector = model.projector.as_ref().map(|file| -> Result<_, Failed> {
        Ok(Projector { file: file.clone(), opener: Arc::new(Processes::new(this_executable()?)) })
    });
    let llama = Llama::new(LlamaOptions {
        executable: worker.clone(),
        model: installed.path.clone(),
        projector: projector.transpose()?,
        name: name.clone(),
        context,
        slots: model.slots.unwrap_or(DEFAULT_SLOTS),
        arguments,
        sampling: entry.map_or(DEFAULT_SAMPLING, |entry| sampling(&entry.sampling)),
        system_prompt: entry.map(|entry| entry.system_prompt.clone()),
        code_blocks: entry.is_some_and(|entry| entry.code_blocks),
        result_prompt: entry.and_then(|entry| entry.result_prompt.clone()),
        source_prompt: entry.and_then(|entry| entry.source_prompt.clone()),
        media_prompts: entry.is_some_and(|entry| entry.media_prompts),
        today: || jiff::Zoned::now().date().to_string(),
    })
    .map_err(|error| Failed::new(format!("model `{name}`: {error}")))?;
    if model.projector.is_some() {
        // What becomes of the first image depends on what the projector is.
        llama.loaded().await.map_err(|error| Failed::new(error.to_string()))?;
    } else if load {
        llama.load();
    }
    Ok(Built {
        name,
        aliases: entry.map(|entry| entry.aliases.clone()).unwrap_or_default(),
        description: entry.map(|entry| entry.description.clone()).unwrap_or_default(),
        context: u64::from(context),
        output_limit: None,
        result_tokens: entry.and_then(|entry| entry.result_tokens),
        is_guided: entry.is_some_and(|entry| entry.guided),
        backend: Arc::new(llama),
    })
}

/// For weights that the catalogue does not know.
const DEFAULT_SAMPLING: Sampling =
    Sampling { temperature: 0.7, top_p: 0.95, top_k: 40, min_p: 0.05, repeat_penalty: 1.0, repeat_window: 64, seed: 0 };

fn sampling(known: &antiphon_models::Sampling) -> Sampling {
    Sampling {
        temperature: known.temperature,
        top_p: known.top_p,
        top_k: known.top_k,
        min_p: known.min_p,
        repeat_penalty: known.repeat_penalty,
        repeat_window: known.repeat_window,
        seed: 0,
    }
}

/// On loopback the first start makes a key; anywhere else keys come first.
async fn first_key(data: &DataFolder, store: &dyn Store, address: &SocketAddr) -> Result<Option<String>, Failed> {
    let known = store.keys().await.map_err(store_failed)?;
    let valid = |id: &str| known.iter().any(|key| key.id == id && key.revoked.is_none());
    if known.iter().any(|key| key.revoked.is_none()) {
        let kept = data.bootstrap_key();
        return Ok(kept.filter(|key| key.split('_').nth(1).is_some_and(valid)));
    }
    if !address.ip().is_loopback() {
        return Err(Failed::new(format!(
            "refusing to listen on {address} without any API key; `antiphon keys create --data-dir {} --name NAME` makes one",
            data.path().display()
        )));
    }
    if !known.is_empty() {
        // All keys were revoked, which was somebody's decision.
        return Ok(None);
    }
    let key = keys::create(data, store, "bootstrap", "default").await?;
    data.keep_bootstrap_key(&key)?;
    Ok(Some(key))
}

fn greet(address: SocketAddr, key: Option<&str>) {
    print(&format!("antiphon listens on http://{address}"));
    let Some(key) = key else { return };
    print(&format!(
        r#"
export GOOGLE_GEMINI_BASE_URL=http://{address}
export GEMINI_API_KEY={key}

curl -s $GOOGLE_GEMINI_BASE_URL/v1beta/interactions -H "x-goog-api-key: $GEMINI_API_KEY" \
  -H 'Content-Type: application/json' -d '{{"model": "gemini-3.5-flash", "input": "Explain how AI works in a few words"}}'

python3 -c 'from google import genai; print(genai.Client().interactions.create(
  model="gemini-3.5-flash", input="Explain how AI works in a few words").output_text)'

node --input-type=module -e 'import {{ GoogleGenAI }} from "@google/genai";
console.log((await new GoogleGenAI({{}}).interactions.create({{
  model: "gemini-3.5-flash", input: "Explain how AI works in a few words" }})).output_text)'
"#
    ));
}

fn resolve(listen: &str) -> Result<SocketAddr, Failed> {
    let failed = |why: &str| Failed::new(format!("`{listen}` is not an address and port to listen on{why}"));
    let mut addresses = listen.to_socket_addrs().map_err(|error| failed(&format!(": {error}")))?;
    addresses.next().ok_or_else(|| failed(""))
}

/// Cancelled by the first SIGTERM or SIGINT.
fn stop_signal() -> Result<CancellationToken, Failed> {
    let failed = |error: std::io::Error| Failed::new(format!("signals cannot be caught: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    #[expect(clippy::disallowed_methods, reason = "it lives as long as the process")]
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancel.cancel();
    });
    Ok(stop)
}

/// Readable lines on a terminal, JSON elsewhere. `ANTIPHON_LOG` sets the level.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("ANTIPHON_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // It would log whole messages.
    let filter = match format!("{}=off", antiphon_mcp::NOISY_LOG_TARGET).parse() {
        Ok(off) => filter.add_directive(off),
        Err(_) => filter,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        builder.compact().init();
    } else {
        builder.json().flatten_event(true).init();
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error")]
fn store_failed(error: StoreError) -> Failed {
    Failed::new(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_half_of_the_threads_where_models_compute_here() {
        let threads = |backend: &str| {
            let model = toml::from_str(&format!("name = \"m\"\nbackend = \"{backend}\"")).unwrap();
            runtime(&[model]).unwrap().metrics().num_workers()
        };
        let cores = available_parallelism().unwrap().get();
        assert_eq!(threads("llama"), cores.div_ceil(2));
        assert_eq!(threads("scripted"), cores);
    }
}
