//! What models may do here: search, fetch, run programs, use MCP servers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use antiphon_fetch::{Network, Rewrite};
use antiphon_search::MediaWiki;
use antiphon_wire::Host;
use serde::{Deserialize, Serialize};

use super::{HeaderValue, Kept};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Search {
    /// Asked in their order, until one has found something; none: there is no search.
    pub(crate) providers: Vec<ProviderName>,
    /// As `en`.
    pub(crate) language: Option<String>,
    pub(crate) mediawiki: Wiki,
    pub(crate) searxng: Instance,
    pub(crate) brave: Service,
    pub(crate) tavily: Service,
    pub(crate) exa: Service,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProviderName {
    Corpus,
    Mediawiki,
    Searxng,
    Brave,
    Tavily,
    Exa,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Wiki {
    /// Of `api.php`; `{language}` stands for one of the languages.
    pub(crate) url: String,
    pub(crate) languages: Vec<String>,
}

/// A search that anyone can run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Instance {
    pub(crate) url: Option<String>,
}

/// A search that wants a key.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) url: Option<String>,
    pub(crate) key: Option<Kept>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            providers: vec![ProviderName::Mediawiki],
            language: None,
            mediawiki: Wiki::default(),
            searxng: Instance::default(),
            brave: Service::default(),
            tavily: Service::default(),
            exa: Service::default(),
        }
    }
}

impl Default for Wiki {
    fn default() -> Self {
        Self { url: MediaWiki::URL.to_owned(), languages: vec!["en".to_owned()] }
    }
}

impl Search {
    /// Makes paths relative to the folder of the file that names them.
    pub(crate) fn place_in(&mut self, folder: &Path) {
        for service in [&mut self.brave, &mut self.tavily, &mut self.exa] {
            if let Some(Kept::File(file)) = &mut service.key {
                *file = folder.join(&*file);
            }
        }
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (at, provider) in self.providers.iter().enumerate() {
            let missing = match provider {
                ProviderName::Corpus | ProviderName::Mediawiki => None,
                ProviderName::Searxng => self.searxng.url.is_none().then_some("search.searxng.url"),
                ProviderName::Brave => self.brave.key.is_none().then_some("search.brave.key"),
                ProviderName::Tavily => self.tavily.key.is_none().then_some("search.tavily.key"),
                ProviderName::Exa => self.exa.key.is_none().then_some("search.exa.key"),
            };
            problems.extend(missing.map(|key| format!("`search.providers[{at}]`: it needs `{key}`")));
        }
        problems
    }
}

/// How addresses are fetched that users and models name.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Fetch {
    /// Whether a page is left alone when its host asks for it.
    pub(crate) robots: bool,
    /// What else than the public internet pages, and servers of tools, may be on.
    pub(crate) pages: Opening,
    pub(crate) mcp: Opening,
    /// The same of media in requests.
    pub(crate) media: Opening,
    /// Beginnings of addresses, and where they are fetched instead.
    pub(crate) rewrite: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Opening {
    /// As `10.1.0.0/16`.
    pub(crate) networks: Vec<String>,
    pub(crate) ports: Vec<u16>,
}

impl Default for Fetch {
    fn default() -> Self {
        let none = Opening::default;
        Self { robots: true, pages: none(), mcp: none(), media: none(), rewrite: BTreeMap::new() }
    }
}

impl Opening {
    /// # Errors
    /// The first network that is none.
    pub(crate) fn read(&self) -> Result<antiphon_fetch::Opening, String> {
        let networks: Result<Vec<Network>, _> =
            self.networks.iter().map(|text| text.parse().map_err(|error| format!("{error}"))).collect();
        Ok(antiphon_fetch::Opening { networks: networks?, ports: self.ports.clone() })
    }
}

impl Fetch {
    pub(crate) fn rewrites(&self) -> Result<Vec<Rewrite>, String> {
        self.rewrite.iter().map(|(from, to)| Rewrite::new(from, to).map_err(|error| error.to_string())).collect()
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        let openings =
            [("pages", self.pages.read().err()), ("mcp", self.mcp.read().err()), ("media", self.media.read().err())];
        let wrong = openings.into_iter().filter_map(|(key, why)| Some(format!("`fetch.{key}.networks`: {}", why?)));
        wrong.chain(self.rewrites().err().map(|why| format!("`fetch.rewrite`: {why}"))).collect()
    }
}

/// Where programs run.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sandbox {
    pub(crate) backend: SandboxMode,
    /// Where fresh workspaces are made; below the folder for temporary files unless given.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) seconds: u32,
    pub(crate) memory_mb: u32,
    pub(crate) processes: u32,
    pub(crate) disk_mb: u32,
    pub(crate) output_kb: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SandboxMode {
    /// The best there is.
    #[default]
    Auto,
    /// Tier 1 or none.
    Bwrap,
    /// Programs in gVisor's kernel, and files in tier 1, or none.
    Runsc,
    Off,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            backend: SandboxMode::Auto,
            folder: None,
            seconds: 120,
            memory_mb: 512,
            processes: 64,
            disk_mb: 256,
            output_kb: 1024,
        }
    }
}

/// How much a project may keep.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Files {
    /// An object store that has the bytes of files, as `s3://bucket/folder`; the data folder unless given.
    pub(crate) store: Option<String>,
    pub(crate) stores: u32,
    /// In one store, as the next.
    pub(crate) documents: u32,
    pub(crate) store_mb: u32,
    /// One document or file.
    pub(crate) file_mb: u32,
    pub(crate) files: u32,
    pub(crate) files_mb: u32,
    pub(crate) uploads: u32,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            store: None,
            stores: 100,
            documents: 10_000,
            store_mb: 1024,
            file_mb: 100,
            files: 1000,
            files_mb: 2048,
            uploads: 64,
        }
    }
}

impl Files {
    pub(crate) fn problems(&self) -> Vec<String> {
        let keys = [
            ("stores", self.stores),
            ("documents", self.documents),
            ("store_mb", self.store_mb),
            ("file_mb", self.file_mb),
            ("files", self.files),
            ("files_mb", self.files_mb),
            ("uploads", self.uploads),
        ];
        let wrong = keys.iter().filter(|(_, value)| *value == 0);
        wrong.map(|(key, _)| format!("`files.{key}`: expected at least 1")).collect()
    }
}

/// The workspaces that agents keep.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Environments {
    /// Where they are; in the data folder unless given, and in `/var/lib/antiphon` when the server
    /// is root.
    pub(crate) folder: Option<PathBuf>,
    /// After so long without use an environment rests; with 0 as soon as it is looked at.
    pub(crate) idle_seconds: u32,
    pub(crate) expiry_days: u32,
    /// Of one project, those that have expired apart.
    pub(crate) count: u32,
    /// What programs reach where a request says nothing of it.
    pub(crate) default_network: DefaultNetwork,
    /// Whether a request may ask for `*`, or for all below a top-level name.
    pub(crate) allow_any_host: bool,
    /// What else than the public internet may be reached, as `10.1.0.0/16`.
    pub(crate) networks: Vec<String>,
    /// Hosts with their ports, and the addresses where they are dialled instead.
    pub(crate) rewrite: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DefaultNetwork {
    #[default]
    Disabled,
    /// All of the public internet.
    Public,
}

impl Default for Environments {
    fn default() -> Self {
        Self {
            folder: None,
            idle_seconds: 900,
            expiry_days: 7,
            count: 100,
            default_network: DefaultNetwork::Disabled,
            allow_any_host: false,
            networks: Vec::new(),
            rewrite: BTreeMap::new(),
        }
    }
}

impl Environments {
    pub(crate) fn problems(&self) -> Vec<String> {
        let wrong =
            [("expiry_days", self.expiry_days), ("count", self.count)].into_iter().filter(|(_, value)| *value == 0);
        let wrong = wrong.map(|(key, _)| format!("`environments.{key}`: expected at least 1"));
        let networks = self.networks().err().map(|why| format!("`environments.networks`: {why}"));
        let rewrites = self.rewrites().err().map(|why| format!("`environments.rewrite`: {why}"));
        wrong.chain(networks).chain(rewrites).collect()
    }

    /// # Errors
    /// The first network that is none.
    pub(crate) fn networks(&self) -> Result<Vec<Network>, String> {
        self.networks.iter().map(|text| text.parse().map_err(|error| format!("{error}"))).collect()
    }

    /// # Errors
    /// The first that is no host with its port, or leads to no address with one.
    pub(crate) fn rewrites(&self) -> Result<BTreeMap<(Host, u16), SocketAddr>, String> {
        let read = |(from, to): (&String, &String)| {
            let place = from.rsplit_once(':').and_then(|(host, port)| Some((Host::parse(host)?, port.parse().ok()?)));
            let place = place.ok_or_else(|| format!("`{from}` is no host with its port, such as `example.org:443`"))?;
            let to = to.parse().map_err(|_| format!("`{to}` is no address with its port, such as `127.0.0.1:8443`"))?;
            Ok((place, to))
        };
        self.rewrite.iter().map(read).collect()
    }
}

/// A server of tools that is a process on this machine; requests name it without a `url`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct McpProcess {
    pub(crate) command: PathBuf,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// The whole environment of the process.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, HeaderValue>,
}

impl McpProcess {
    /// Makes paths relative to the folder of the file that names them.
    pub(crate) fn place_in(&mut self, folder: &Path) {
        for value in self.env.values_mut() {
            if let HeaderValue::Kept(Kept::File(file)) = value {
                *file = folder.join(&*file);
            }
        }
    }
}
