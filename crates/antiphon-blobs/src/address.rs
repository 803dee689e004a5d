//! Which object store it is, and how it is reached.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{ClientConfigKey, HttpClient, HttpConnector};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig};
use reqwest::{Client, redirect};
use rustls_platform_verifier::BuilderVerifierExt as _;
use url::Url;

/// What addresses begin with. The library knows more, some of which carry keys.
const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(30);

/// A request that failed is sent again so often, and not after this time: somebody waits.
const TRIES: usize = 3;
const TRYING: Duration = Duration::from_secs(30);

/// A folder of an object store; it is written as it was read.
#[derive(Clone, Debug)]
pub struct Address {
    text: String,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) folder: Path,
}

/// What is no address of an object store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// What came instead is not repeated: people write keys into addresses.
    #[error(
        "expected an address as `s3://bucket/folder`, `gs://bucket/folder` or `az://container/folder`, with no key or \
         anything else in it"
    )]
    Address,
    /// The address, or one of the variables.
    #[error("{0}")]
    Settings(String),
}

impl Address {
    /// Reads `s3://bucket/folder`. The rest comes from variables as the services' own programs have them, such as
    /// `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT` or `GOOGLE_SERVICE_ACCOUNT`; those of others are not looked at. Reaches
    /// nobody.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn read(address: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Self, AddressError> {
        let url = Url::parse(address).map_err(|_| AddressError::Address)?;
        let has_more = !url.username().is_empty() || url.password().is_some() || url.port().is_some();
        if has_more || url.query().is_some() || url.fragment().is_some() || !SCHEMES.contains(&url.scheme()) {
            return Err(AddressError::Address);
        }
        let (scheme, folder) = ObjectStoreScheme::parse(&url).map_err(|_| AddressError::Address)?;
        // Every builder has these methods, and no trait has them.
        macro_rules! built {
            ($builder:expr, $prefix:literal) => {{
                let named = variables.filter(|(name, _)| name.starts_with($prefix));
                let builder = named.fold($builder.with_url(address), |builder, (name, value)| {
                    match name.to_ascii_lowercase().parse() {
                        Ok(key) => builder.with_config(key, value),
                        Err(_) => builder,
                    }
                });
                let builder = builder.with_http_connector(Connector).with_retry(retry());
                let built = builder.build().map_err(|error| AddressError::Settings(error.to_string()))?;
                Arc::new(built) as Arc<dyn ObjectStore>
            }};
        }
        let store = match scheme {
            // Not everybody who speaks S3 can remove several at once.
            ObjectStoreScheme::AmazonS3 => built!(AmazonS3Builder::new().with_disable_bulk_delete(true), "AWS_"),
            ObjectStoreScheme::GoogleCloudStorage => built!(GoogleCloudStorageBuilder::new(), "GOOGLE_"),
            ObjectStoreScheme::MicrosoftAzure => built!(MicrosoftAzureBuilder::new(), "AZURE_"),
            _ => return Err(AddressError::Address),
        };
        Ok(Self { text: address.to_owned(), store, folder })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

fn retry() -> RetryConfig {
    RetryConfig { max_retries: TRIES, retry_timeout: TRYING, ..RetryConfig::default() }
}

/// Clients with the one TLS of this server, which nothing around the process leads elsewhere.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let failed = |source| object_store::Error::Generic { store: "HTTP", source };
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier())
            .map_err(|error| failed(error.into()))?
            .with_no_client_auth();
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp);
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(plain.is_none_or(|allowed| allowed != "true"))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| failed(error.into()))?;
        Ok(HttpClient::new(client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(address: &str) -> Result<String, AddressError> {
        let keys =
            [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "key"), ("AZURE_STORAGE_ACCOUNT_NAME", "me")];
        let variables = keys.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Address::read(address, variables).map(|address| address.folder.to_string())
    }

    #[test]
    fn services_are_known_by_their_addresses() {
        for (address, folder) in
            [("s3://bucket", ""), ("s3://bucket/a/b/", "a/b"), ("gs://bucket/a", "a"), ("az://container/a", "a")]
        {
            assert_eq!(read(address).as_deref(), Ok(folder), "{address}");
        }
    }

    #[test]
    fn what_is_no_object_store_is_refused() {
        for address in [
            "",
            "bucket",
            "s3:bucket",
            "s3:///folder",
            "s3a://bucket/a",
            "abfs://container/a",
            "https://bucket.s3.amazonaws.com/a",
            "/var/blobs",
            "file:///var/blobs",
            "memory:///",
            "http://host/a",
            "ftp://host/a",
        ] {
            assert_eq!(read(address), Err(AddressError::Address), "{address}");
        }
    }

    #[test]
    fn addresses_with_keys_are_refused_and_not_repeated() {
        for address in [
            "s3://secret@bucket/a",
            "s3://id:secret@bucket/a",
            "s3://:secret@bucket/a",
            "s3://bucket/a?key=secret",
            "az://container/a?sv=1&sig=secret",
            "gs://bucket/a#secret",
            "https://me.blob.core.windows.net/container?sig=secret",
            "s3://secret:secret:secret@bucket:port",
        ] {
            let refused = read(address).unwrap_err();
            assert_eq!(refused, AddressError::Address);
            assert!(!refused.to_string().contains("secret"), "{refused}");
        }
    }
}
