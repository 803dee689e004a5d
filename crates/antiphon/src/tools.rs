//! What models may do here, put together from the configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use antiphon_agents::Agents;
use antiphon_blobs::Address;
use antiphon_credentials::{Credentials, CredentialsOptions};
use antiphon_egress::{Egress, EgressLimits, EgressOptions, Roots};
use antiphon_engine::Engine;
use antiphon_environments::{
    EnvironmentLimits, Environments, EnvironmentsOptions, FaultHook, NetworkPolicy, Repositories,
};
use antiphon_fetch::extract::{Bounds, extract};
use antiphon_fetch::{FetchOptions, Fetcher, Limits as FetchLimits, Lookup, Own, Purpose, SystemLookup};
use antiphon_files::{FileLimits, Files, FilesOptions};
use antiphon_mcp::{McpOptions, McpServers, StdioSpec};
use antiphon_sandbox::{Limits, Options, Sandbox, Tier};
use antiphon_search::{Brave, Corpus, Exa, Extracted, Key, MediaWiki, Provider, Searxng, Tavily};
use antiphon_tools::{Git, Tools};
use antiphon_triggers::{Triggers, TriggersOptions};
use antiphon_wire::{AllowedHost, Domain, Network};
use jiff::SignedDuration;
use tracing::{info, warn};

use crate::ambient::Machine;
use crate::config::{Config, DefaultNetwork, Kept, ProviderName, SandboxMode};
use crate::data::DataFolder;
use crate::proof::Proof;
use crate::tokens::Tokens;
use crate::{Failed, paths, secrets};

/// The corpus of a data folder.
pub(crate) const CORPUS: &str = "corpus.sqlite";

/// What projects have that tools use.
pub(crate) struct Belongings {
    pub(crate) files: Files,
    pub(crate) environments: Environments,
    pub(crate) agents: Agents,
    /// None: their programs reach nothing.
    pub(crate) egress: Option<Egress>,
}

/// `address` is where this server listens, which nobody reaches through it.
pub(crate) async fn open(
    config: &Config,
    data: &Path,
    address: SocketAddr,
    sandbox: Result<Sandbox, String>,
    belongings: Belongings,
) -> Result<Tools, Failed> {
    let Belongings { files, environments, agents, egress } = belongings;
    let fetcher = fetcher(config, address, FetchLimits::default())?;
    let checking = fetcher.clone();
    let check = move |url: &antiphon_fetch::Url| {
        checking.check(url.as_str(), Purpose::Mcp).map(|_| ()).map_err(|refusal| format!("{refusal:?}"))
    };
    let mcp = McpServers::new(McpOptions::new(fetcher.client(Purpose::Mcp), check));
    match &sandbox {
        Ok(sandbox) => info!(tier = %sandbox.tier(), "Programs run in a sandbox"),
        Err(why) => warn!(why, "Programs are not run"),
    }
    let processes: Result<BTreeMap<_, _>, Failed> = config
        .mcp_servers
        .iter()
        .map(|(name, process)| {
            let env: Result<_, Failed> =
                process.env.iter().map(|(variable, value)| Ok((variable.clone(), secrets::value(value)?))).collect();
            let spec = StdioSpec {
                name: name.clone(),
                command: process.command.clone(),
                args: process.args.clone(),
                env: env.map_err(|error| Failed::new(format!("`mcp_servers.{name}.env`: {error}")))?,
                allowed_tools: Vec::new(),
            };
            Ok((name.clone(), spec))
        })
        .collect();
    Ok(Tools {
        providers: providers(config, data).await?,
        language: config.search.language.clone(),
        fetcher,
        sandbox,
        limits: limits(config),
        files,
        environments,
        agents,
        egress,
        mcp,
        processes: processes?,
    })
}

/// The workspaces of agents, which `sandbox` runs programs in, and `egress` leads out of with
/// `credentials`.
pub(crate) async fn environments(
    config: &Config,
    data: &DataFolder,
    sandbox: &Result<Sandbox, String>,
    egress: Option<&Egress>,
    credentials: &Credentials,
    fault: Option<FaultHook>,
) -> Result<Environments, Failed> {
    let wanted = &config.environments;
    let programs = limits(config);
    let limits = EnvironmentLimits {
        environments: wanted.count as usize,
        bytes: programs.workspace_bytes,
        entries: u64::from(programs.workspace_entries),
        idle: SignedDuration::from_secs(i64::from(wanted.idle_seconds)),
        expiry: SignedDuration::from_hours(24 * i64::from(wanted.expiry_days)),
        ..EnvironmentLimits::default()
    };
    let folder = data.path().join("environments");
    let workspaces = data.workspaces(wanted.folder.as_deref());
    let network = network_policy(config, sandbox, credentials.clone());
    let git = |(sandbox, egress): (&Sandbox, &Egress)| Git::new(sandbox.clone(), egress.clone(), programs);
    let repositories = sandbox.as_ref().ok().zip(egress).map(git).map(|git| Arc::new(git) as Arc<dyn Repositories>);
    let ambient = Arc::new(Machine);
    let has_own_roots = sandbox.as_ref().is_ok_and(Sandbox::has_own_roots);
    let options = EnvironmentsOptions { folder, workspaces, limits, network, has_own_roots, repositories, ambient };
    Environments::open_with_faults(options, fault)
        .await
        .map_err(|error| Failed::new(format!("the environments: {error}")))
}

/// The agents that projects define.
pub(crate) async fn agents(config: &Config, data: &Path) -> Result<Agents, Failed> {
    let opened = Agents::open(&data.join("agents.sqlite"), config.agents.count as usize).await;
    opened.map_err(|error| Failed::new(format!("the agents: {error}")))
}

fn network_policy(config: &Config, sandbox: &Result<Sandbox, String>, credentials: Credentials) -> NetworkPolicy {
    let wanted = &config.environments;
    let unavailable = match sandbox {
        Ok(sandbox) if sandbox.has_networks() => None,
        Ok(sandbox) => Some(format!("{} has none for its programs", sandbox.tier())),
        Err(why) => Some(format!("programs are not run: {why}")),
    };
    let default = match (wanted.default_network, &unavailable) {
        (DefaultNetwork::Disabled, _) => Network::Disabled,
        (DefaultNetwork::Public, None) => Network::Allowlist(vec![AllowedHost::new(Domain::Any)]),
        (DefaultNetwork::Public, Some(why)) => {
            warn!(why, "Environments have no network, although `environments.default_network` gives them one");
            Network::Disabled
        }
    };
    NetworkPolicy { default, any_host: wanted.allow_any_host, credentials: Some(credentials), unavailable }
}

/// The way out of environments that have a network, where this machine can give them one. `address`
/// is where this server listens.
pub(crate) fn egress(
    config: &Config,
    address: SocketAddr,
    sandbox: &Result<Sandbox, String>,
    credentials: &Credentials,
) -> Result<Option<Egress>, Failed> {
    if !sandbox.as_ref().is_ok_and(Sandbox::has_networks) {
        return Ok(None);
    }
    let wrong = |why: String| Failed::new(format!("`environments`: {why}"));
    let fetcher = fetcher(config, address, FetchLimits::default())?;
    let tokens = Tokens::new(fetcher, credentials.clone(), Arc::new(Machine));
    let wanted = &config.environments;
    for (from, to) in &wanted.rewrite {
        info!(from, to, "A host is dialled elsewhere for environments");
    }
    let options = EgressOptions {
        lookup: Arc::new(SystemLookup),
        networks: wanted.networks().map_err(wrong)?,
        rewrites: wanted.rewrites().map_err(wrong)?,
        roots: Roots::Platform,
        trusted: authorities(),
        secrets: Some(Arc::new(Proof(tokens))),
        limits: EgressLimits::default(),
        dialed: None,
    };
    Egress::new(options).map(Some).map_err(|error| Failed::new(error.to_string()))
}

/// Those that this machine trusts, where its operator says, or where Linux distributions keep them: programs in
/// a sandbox do not see the machine's own file.
fn authorities() -> Vec<u8> {
    let usual = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    let mut files = std::env::var_os("SSL_CERT_FILE").into_iter().chain(usual.map(OsString::from));
    files.find_map(|file| std::fs::read(file).ok()).unwrap_or_else(|| {
        warn!("This machine has no file of authorities: programs of environments know no host by its certificate");
        Vec::new()
    })
}

/// What projects prove themselves with elsewhere.
pub(crate) async fn credentials(data: &DataFolder) -> Result<Credentials, Failed> {
    let folder = data.path().join("credentials");
    let options = CredentialsOptions { folder, most: CredentialsOptions::MOST, ambient: Arc::new(Machine) };
    Credentials::open(options).await.map_err(|error| Failed::new(format!("the credentials: {error}")))
}

/// What begins by itself, with what an earlier process left of it.
pub(crate) async fn triggers(data: &Path, engine: &Engine, environments: &Environments) -> Result<Triggers, Failed> {
    let failed = |error: &dyn std::fmt::Display| Failed::new(format!("the triggers: {error}"));
    let options = TriggersOptions {
        folder: data.join("triggers"),
        most: TriggersOptions::MOST,
        engine: engine.clone(),
        environments: environments.clone(),
    };
    let triggers = Triggers::open(options).await.map_err(|error| failed(&error))?;
    triggers.recover().await.map_err(|error| failed(&error))?;
    Ok(triggers)
}

/// What projects keep in a data folder.
pub(crate) async fn files(config: &Config, data: &Path, environments: Environments) -> Result<Files, Failed> {
    let wanted = &config.files;
    let mebibytes = |count: u32| u64::from(count) << 20;
    let limits = FileLimits {
        stores: wanted.stores as usize,
        documents: u64::from(wanted.documents),
        store_bytes: mebibytes(wanted.store_mb),
        file_bytes: mebibytes(wanted.file_mb),
        files: wanted.files as usize,
        files_bytes: mebibytes(wanted.files_mb),
        uploads: wanted.uploads as usize,
    };
    let folder = data.join("files");
    let store = wanted.store.as_deref().map(|address| Address::read(address, std::env::vars())).transpose();
    let store = store.map_err(|error| Failed::new(format!("`files.store`: {error}")))?;
    if let Some(address) = &wanted.store {
        info!(address, "An object store has the bytes of files");
    }
    let options = FilesOptions { folder: folder.clone(), store, limits, ambient: Arc::new(Machine), environments };
    let opened = Files::open(options).await;
    opened.map_err(|error| Failed::new(format!("`{}`: {error}", folder.display())))
}

async fn providers(config: &Config, data: &Path) -> Result<Vec<Arc<dyn Provider>>, Failed> {
    let search = &config.search;
    let failed = |name: &str, detail: &str| Failed::new(format!("`search.{name}`: {detail}"));
    let key = |name: &str, key: &Option<Kept>| {
        let secret = key.as_ref().map_or(Ok(String::new()), secrets::read);
        secret.map(Key::new).map_err(|error| failed(name, &error.to_string()))
    };
    let mut providers: Vec<Arc<dyn Provider>> = Vec::new();
    for provider in &search.providers {
        providers.push(match provider {
            ProviderName::Corpus => {
                let opened = Corpus::open(data.join(CORPUS)).await;
                Arc::new(opened.map_err(|error| failed("providers", &error.to_string()))?)
            }
            ProviderName::Mediawiki => {
                let languages: Vec<&str> = search.mediawiki.languages.iter().map(String::as_str).collect();
                let wiki = MediaWiki::new(&search.mediawiki.url, &languages);
                if search.mediawiki.url != MediaWiki::URL {
                    info!(url = search.mediawiki.url, "Searches go to another wiki");
                }
                Arc::new(wiki.map_err(|error| failed("mediawiki", error.detail()))?)
            }
            ProviderName::Searxng => {
                let url = search.searxng.url.clone().unwrap_or_default();
                Arc::new(Searxng::new(&url).map_err(|error| failed("searxng", error.detail()))?)
            }
            ProviderName::Brave => {
                let url = search.brave.url.as_deref().unwrap_or(Brave::URL);
                let key = key("brave.key", &search.brave.key)?;
                Arc::new(Brave::new(url, &key).map_err(|error| failed("brave", error.detail()))?)
            }
            ProviderName::Tavily => {
                let url = search.tavily.url.as_deref().unwrap_or(Tavily::URL);
                let key = key("tavily.key", &search.tavily.key)?;
                Arc::new(Tavily::new(url, &key).map_err(|error| failed("tavily", error.detail()))?)
            }
            ProviderName::Exa => {
                let url = search.exa.url.as_deref().unwrap_or(Exa::URL);
                let key = key("exa.key", &search.exa.key)?;
                Arc::new(Exa::new(url, &key).map_err(|error| failed("exa", error.detail()))?)
            }
        });
    }
    Ok(providers)
}

pub(crate) fn fetcher(config: &Config, address: SocketAddr, limits: FetchLimits) -> Result<Fetcher, Failed> {
    let wrong = |why: String| Failed::new(format!("`fetch`: {why}"));
    for (from, to) in &config.fetch.rewrite {
        info!(from, to, "Addresses are fetched elsewhere");
    }
    let openings = BTreeMap::from([
        (Purpose::Page, config.fetch.pages.read().map_err(wrong)?),
        (Purpose::Mcp, config.fetch.mcp.read().map_err(wrong)?),
        (Purpose::Media, config.fetch.media.read().map_err(wrong)?),
    ]);
    let options = FetchOptions {
        openings,
        rewrites: config.fetch.rewrites().map_err(wrong)?,
        own: Own { hosts: Vec::new(), addresses: Vec::new(), port: Some(address.port()) },
        robots: config.fetch.robots,
        limits,
        ..FetchOptions::default()
    };
    let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
    Fetcher::new(options, &lookup).map_err(|error| Failed::new(error.to_string()))
}

/// The sandbox, or why there is none.
pub(crate) async fn sandbox(config: &Config) -> Result<Sandbox, String> {
    let wanted = &config.sandbox;
    let minimum = match wanted.backend {
        SandboxMode::Off => return Err("the operator has switched it off".to_owned()),
        SandboxMode::Auto => Tier::Landlock,
        SandboxMode::Bwrap => Tier::Bwrap,
        SandboxMode::Runsc => Tier::Gvisor,
    };
    let Some(helper) = paths::beside("antiphon-sandbox-init") else {
        return Err("`antiphon-sandbox-init` is not beside this executable".to_owned());
    };
    let folder = wanted.folder.clone().unwrap_or_else(|| std::env::temp_dir().join("antiphon-sandbox"));
    let options = Options { helper, folder, minimum, uids: None };
    let probed = tokio::task::spawn_blocking(move || Sandbox::probe(&options).map_err(|why| why.to_string()));
    probed.await.unwrap_or_else(|error| Err(error.to_string()))
}

fn limits(config: &Config) -> Limits {
    let wanted = &config.sandbox;
    Limits {
        wall: Duration::from_secs(u64::from(wanted.seconds)),
        memory: u64::from(wanted.memory_mb) << 20,
        processes: wanted.processes,
        workspace_bytes: u64::from(wanted.disk_mb) << 20,
        output_bytes: u64::from(wanted.output_kb) << 10,
        ..Limits::default()
    }
}

/// Reads the text of pages and of PDF documents for the corpus.
pub(crate) fn extracted(path: &Path, bytes: &[u8]) -> Option<Result<Extracted, String>> {
    let mime = match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "pdf" => "application/pdf",
        "htm" | "html" | "xhtml" => "text/html",
        _ => return None,
    };
    let read = extract(bytes, mime, None, &Bounds::default()).map_err(|error| error.to_string());
    Some(read.map(|document| Extracted { text: document.paged(), title: document.title }))
}
