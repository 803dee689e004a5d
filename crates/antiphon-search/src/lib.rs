//! Finding text: web search services and a local corpus behind one trait, and what a model
//! is shown of what was found.
//!
//! * `provider`: the trait, a query, a hit, an error.
//! * `mediawiki`, `searxng`, `brave`, `tavily`, `exa`: one service each, over `service`.
//! * `corpus`: folders and named collections of documents in one SQLite file; `filter` is
//!   the language in which documents are chosen by their metadata.
//! * `chunk`, `passage`, `words`: how a long text is divided, and which parts answer.
//! * `page`, `html`, `plain`: from the bytes of a file to text that is safe to keep.
//! * `suggestions`: what the user is shown of a search.

mod brave;
mod chunk;
mod corpus;
mod exa;
mod filter;
mod html;
mod mediawiki;
mod page;
mod passage;
mod plain;
mod provider;
mod searxng;
mod service;
mod suggestions;
mod tavily;
mod words;

pub use brave::Brave;
pub use chunk::Chunking;
pub use corpus::{
    Collection, Corpus, CorpusError, Document, Find, Folder, Found, FoundPart, Listing, NewDocument, Passage, Progress,
    Report, Size, Skipped,
};
pub use exa::Exa;
pub use filter::{Filter, FilterError, MetadataValue};
pub use mediawiki::MediaWiki;
pub use page::{Extracted, Extractor};
pub use provider::{Hit, Provider, Query, SearchError, SearchErrorKind};
pub use searxng::Searxng;
pub use service::Key;
pub use suggestions::suggestions;
pub use tavily::Tavily;
