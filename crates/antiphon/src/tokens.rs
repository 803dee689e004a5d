//! Access tokens of `oauth2` credentials: asked for with what the user gave (RFC 6749, section 6),
//! and kept in memory alone, until shortly before their end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_credentials::Credentials;
use antiphon_egress::SecretRefused;
use antiphon_engine::{Ambient, ProjectId};
use antiphon_fetch::{Fetcher, Purpose};
use antiphon_wire::{CredentialConfig, CredentialId, OAuth2, Secret};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::warn;

/// Of an answer.
const MOST_BYTES: usize = 64 << 10;
/// Of a token, as of one that a user gives.
const LONGEST: usize = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(15);
/// A token is not used in the last of its time, in which a request could outlive it.
const SPARE: SignedDuration = SignedDuration::from_secs(30);
/// Of a token whose service does not say when it ends.
const UNSAID: SignedDuration = SignedDuration::from_secs(60);

pub(crate) struct Tokens {
    fetcher: Fetcher,
    pub(crate) credentials: Credentials,
    ambient: Arc<dyn Ambient>,
    known: Mutex<HashMap<(ProjectId, CredentialId), Slot>>,
}

/// That of one credential, which is asked for once at a time: a service may take each refresh
/// token once.
type Slot = Arc<tokio::sync::Mutex<Option<Known>>>;

struct Known {
    /// What it was asked for with; an update makes it another.
    with: OAuth2,
    token: Secret,
    until: Timestamp,
}

/// What a service answers. It is the user's, and nothing in it is believed.
#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    token_type: Option<String>,
    expires_in: Option<Value>,
    refresh_token: Option<Secret>,
}

impl Tokens {
    pub(crate) fn new(fetcher: Fetcher, credentials: Credentials, ambient: Arc<dyn Ambient>) -> Self {
        Self { fetcher, credentials, ambient, known: Mutex::default() }
    }

    /// The bearer token that a credential of type `oauth2` stands for now.
    ///
    /// # Errors
    /// It is gone; its service does not take it any more, which is noted; or gives no token now.
    pub(crate) async fn of(&self, project: ProjectId, id: &CredentialId) -> Result<Secret, SecretRefused> {
        let slot = self.slot(project, id);
        let mut known = slot.lock().await;
        // Looked for here, since whoever had the turn before may have been given another refresh token.
        let kept = self.credentials.secret(project, id).await.map_err(|_| SecretRefused::Unavailable)?;
        let Some(CredentialConfig::OAuth2(mut with)) = kept else { return Err(SecretRefused::Absent) };
        let now = self.ambient.now();
        if let Some(known) = known.as_ref().filter(|known| known.with == with && now < known.until) {
            return Ok(known.token.clone());
        }
        *known = None;
        let asked = timeout(PATIENCE, self.ask(&with)).await;
        let granted = match asked.unwrap_or_else(|_| Err(Refused::Now("it takes too long".to_owned()))) {
            Ok(granted) => granted,
            Err(Refused::Now(why)) => {
                warn!(credential = %id, why, "No access token is given for a credential");
                return Err(SecretRefused::Unavailable);
            }
            Err(Refused::ForGood) => {
                warn!(credential = %id, "The service of a credential does not take it any more");
                // One that was deleted meanwhile is gone all the more.
                let _ = self.credentials.revoke(project, id).await;
                return Err(SecretRefused::Revoked);
            }
        };
        if let Some(next) = granted.refresh_token.filter(|next| *next != with.refresh_token) {
            let update = json!({"type": "oauth2", "refresh_token": next.expose()});
            if let Err(error) = self.credentials.update(project, id, update, None).await {
                warn!(credential = %id, error = error.message, "A new refresh token cannot be kept");
            }
            with.refresh_token = next;
        }
        let until = now.saturating_add(lifetime(granted.expires_in.as_ref())).unwrap_or(now);
        *known = Some(Known { with, token: granted.access_token.clone(), until });
        Ok(granted.access_token)
    }

    fn slot(&self, project: ProjectId, id: &CredentialId) -> Slot {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.ambient.now();
        // Those that somebody is at, or that are still good.
        known.retain(|_, slot| {
            Arc::strong_count(slot) > 1
                || slot.try_lock().is_ok_and(|known| known.as_ref().is_some_and(|known| now < known.until))
        });
        Arc::clone(known.entry((project, id.clone())).or_default())
    }

    async fn ask(&self, with: &OAuth2) -> Result<Granted, Refused> {
        let now = |why: &str| Refused::Now(why.to_owned());
        let target = self.fetcher.target(&with.token_url, Purpose::Token);
        let target = target.map_err(|refusal| Refused::Now(format!("its `token_url` is not asked: {refusal:?}")))?;
        let scopes = with.scopes.join(" ");
        let mut fields = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", with.refresh_token.expose()),
            ("client_id", &with.client_id),
            ("client_secret", with.client_secret.expose()),
        ];
        if !scopes.is_empty() {
            fields.push(("scope", &scopes));
        }
        let request = target.client.post(target.url).header(ACCEPT, "application/json");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form(&fields));
        let mut response = request.send().await.map_err(|_| now("it cannot be reached"))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|_| now("its answer has broken off"))? {
            if bytes.len() + piece.len() > MOST_BYTES {
                return Err(now("its answer is too long"));
            }
            bytes.extend_from_slice(&piece);
        }
        if !status.is_success() {
            let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            // RFC 6749, 5.2: expired, revoked, or given to another client.
            let for_good = status.is_client_error() && body["error"] == "invalid_grant";
            return Err(if for_good { Refused::ForGood } else { Refused::Now(format!("it answers {status}")) });
        }
        let granted: Granted = serde_json::from_slice(&bytes).map_err(|_| now("its answer has no `access_token`"))?;
        let is_token = |token: &Secret| {
            let text = token.expose();
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let is_bearer = granted.token_type.as_ref().is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
        if !is_bearer || !is_token(&granted.access_token) || !granted.refresh_token.as_ref().is_none_or(is_token) {
            return Err(now("its answer has no bearer token"));
        }
        Ok(granted)
    }
}

enum Refused {
    Now(String),
    ForGood,
}

/// How long a token may be used; some services write the number as a string.
fn lifetime(said: Option<&Value>) -> SignedDuration {
    let seconds = said.and_then(|said| said.as_i64().or_else(|| said.as_str()?.parse().ok()));
    seconds.map_or(UNSAID, |seconds| SignedDuration::from_secs(seconds.clamp(0, 86_400)).saturating_sub(SPARE))
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut url = antiphon_fetch::Url::parse("https://form.invalid").ok();
    let text = url.as_mut().map(|url| {
        url.query_pairs_mut().extend_pairs(fields);
        url.query().unwrap_or_default().to_owned()
    });
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use antiphon_credentials::CredentialsOptions;
    use antiphon_fetch::{FetchOptions, Lookup, Rewrite, SystemLookup};
    use antiphon_testkit::FixedAmbient;
    use antiphon_wire::{CreateCredential, CredentialStatus};
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::post;
    use pretty_assertions::assert_eq;
    use tokio::task::JoinSet;

    use super::*;

    const PROJECT: ProjectId = ProjectId(1);

    /// A service that gives out tokens, and who asks it.
    struct World {
        _folder: tempfile::TempDir,
        clock: Arc<FixedAmbient>,
        credentials: Credentials,
        tokens: Tokens,
        answers: Arc<Mutex<VecDeque<(u16, String)>>>,
        asked: Arc<Mutex<Vec<String>>>,
        _service: JoinSet<()>,
    }

    fn id() -> CredentialId {
        CredentialId::parse("mail").unwrap()
    }

    impl World {
        async fn new(token_url: &str) -> Self {
            let (answers, asked) = (Arc::<Mutex<VecDeque<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
            let (given, noted) = (Arc::clone(&answers), Arc::clone(&asked));
            let answer = move |body: String| async move {
                noted.lock().unwrap().push(body);
                let (status, text) = given.lock().unwrap().pop_front().unwrap();
                (StatusCode::from_u16(status).unwrap(), text)
            };
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let place = format!("http://{}", listener.local_addr().unwrap());
            let mut service = JoinSet::new();
            service.spawn(
                async move { axum::serve(listener, Router::new().route("/token", post(answer))).await.unwrap() },
            );
            let options = FetchOptions {
                rewrites: vec![Rewrite::new("https://id.test", &place).unwrap()],
                ..FetchOptions::default()
            };
            let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
            let fetcher = Fetcher::new(options, &lookup).unwrap();
            let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(FixedAmbient::default()));
            let ambient = Arc::clone(&clock) as Arc<dyn Ambient>;
            let options = CredentialsOptions {
                folder: folder.path().join("credentials"),
                most: 9,
                ambient: Arc::clone(&ambient),
            };
            let credentials = Credentials::open(options).await.unwrap();
            let body = json!({"type": "oauth2", "id": "mail", "client_id": "c&", "client_secret": "s=1",
                "refresh_token": "r-1", "token_url": token_url, "scopes": ["mail.read", "x"]});
            credentials.create(PROJECT, CreateCredential::read(body).unwrap()).await.unwrap();
            let tokens = Tokens::new(fetcher, credentials.clone(), ambient);
            Self { _folder: folder, clock, credentials, tokens, answers, asked, _service: service }
        }

        async fn token(&self, answer: Option<(u16, Value)>) -> Result<String, SecretRefused> {
            self.answers.lock().unwrap().extend(answer.map(|(status, body)| (status, body.to_string())));
            let token = self.tokens.of(PROJECT, &id()).await.map(|token| token.expose().to_owned());
            assert_eq!(self.answers.lock().unwrap().len(), 0, "it was asked");
            token
        }

        fn asked(&self) -> usize {
            self.asked.lock().unwrap().len()
        }
    }

    #[tokio::test]
    async fn a_token_is_asked_for_once_in_its_time() {
        let world = World::new("https://id.test/token").await;
        let grant = |token: &str| (200, json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600}));
        assert_eq!(world.token(Some(grant("a-1"))).await, Ok("a-1".to_owned()));
        assert_eq!(
            *world.asked.lock().unwrap(),
            ["grant_type=refresh_token&refresh_token=r-1&client_id=c%26&client_secret=s%3D1&scope=mail.read+x"]
        );
        world.clock.advance(SignedDuration::from_secs(3569));
        assert_eq!(world.token(None).await, Ok("a-1".to_owned()));
        world.clock.advance(SignedDuration::from_secs(1));
        // What the service gives to ask with next time is kept.
        let rotated = json!({"access_token": "a-2", "expires_in": "60", "refresh_token": "r-2"});
        assert_eq!(world.token(Some((200, rotated))).await, Ok("a-2".to_owned()));
        assert_eq!(world.token(None).await, Ok("a-2".to_owned()));
        world.clock.advance(SignedDuration::from_secs(30));
        assert_eq!(world.token(Some((200, json!({"access_token": "a-3"})))).await, Ok("a-3".to_owned()));
        assert!(world.asked.lock().unwrap()[2].contains("refresh_token=r-2&"));
        // An update is another credential.
        let update = json!({"type": "oauth2", "client_secret": "other"});
        world.credentials.update(PROJECT, &id(), update, None).await.unwrap();
        assert_eq!(world.token(Some(grant("a-4"))).await, Ok("a-4".to_owned()));
        assert_eq!(world.tokens.of(ProjectId(2), &id()).await.unwrap_err(), SecretRefused::Absent);
        world.credentials.delete(PROJECT, &id()).await.unwrap();
        assert_eq!(world.token(None).await, Err(SecretRefused::Absent));
        assert_eq!(world.asked(), 4);
    }

    #[tokio::test]
    async fn what_is_no_token_is_none_and_a_credential_that_is_not_taken_any_more_is_revoked() {
        let world = World::new("https://id.test/token").await;
        for (status, body) in [
            (500, json!({"error": "invalid_grant"})),
            (401, json!({"error": "invalid_client"})),
            (302, json!({})),
            (200, json!({})),
            (200, json!({"access_token": ""})),
            (200, json!({"access_token": "a\r\nX-Key: 1"})),
            (200, json!({"access_token": "a", "token_type": "mac"})),
            (200, json!({"access_token": "a", "refresh_token": "r 2"})),
            (200, json!({"access_token": "x".repeat(LONGEST + 1)})),
            (200, json!({"access_token": "a", "more": "x".repeat(MOST_BYTES)})),
        ] {
            assert_eq!(world.token(Some((status, body.clone()))).await, Err(SecretRefused::Unavailable), "{body}");
        }
        // Nothing of these is kept.
        assert_eq!(world.token(Some((200, json!({"access_token": "a", "expires_in": -5})))).await, Ok("a".to_owned()));
        assert_eq!(world.token(Some((400, json!({"error": "invalid_grant"})))).await, Err(SecretRefused::Revoked));
        assert_eq!(world.credentials.get(PROJECT, &id()).await.unwrap().status, CredentialStatus::Revoked);
        assert_eq!(world.token(None).await, Err(SecretRefused::Absent));
    }

    #[tokio::test]
    async fn no_address_of_a_private_network_is_asked() {
        for token_url in ["https://127.0.0.1/token", "https://localhost/token", "https://id.other.test:8443/token"] {
            let world = World::new(token_url).await;
            assert_eq!(world.token(None).await, Err(SecretRefused::Unavailable), "{token_url}");
            assert_eq!(world.asked(), 0);
        }
    }
}
