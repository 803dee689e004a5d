//! The variables of an environment's programs. Of a credential they have a placeholder, which is
//! worth something on the way out of this environment alone.

use std::collections::BTreeMap;

use antiphon_credentials::Credentials;
use antiphon_engine::{Ambient, ProjectId};
use antiphon_wire::{CredentialConfig, CredentialId, Error, Variable, hexadecimal};
use serde::{Deserialize, Serialize};

/// What a placeholder begins with: whoever meets one can tell what it is.
const PREFIX: &str = "antiphon-placeholder-";

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Variables(BTreeMap<String, Kept>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Value(String),
    Placeholder { credential: CredentialId, placeholder: String },
}

impl Variables {
    /// Takes further ones, which replace those of their names.
    pub(crate) fn extend(&mut self, wanted: BTreeMap<String, Variable>, ambient: &dyn Ambient) {
        for (name, variable) in wanted {
            let kept = match variable {
                Variable::Value(text) => Kept::Value(text),
                Variable::Credential(credential) => {
                    // What programs have noted down goes on.
                    let known = self.placeholders().into_iter().find(|(_, known)| *known == credential);
                    let placeholder = known.map_or_else(|| mint(ambient), |(placeholder, _)| placeholder);
                    Kept::Placeholder { credential, placeholder }
                }
            };
            self.0.insert(name, kept);
        }
    }

    /// Those of a copy, whose placeholders are its own.
    pub(crate) fn copied(&self, ambient: &dyn Ambient) -> Self {
        let wanted = |kept: &Kept| match kept {
            Kept::Value(text) => Variable::Value(text.clone()),
            Kept::Placeholder { credential, .. } => Variable::Credential(credential.clone()),
        };
        let mut copy = Self::default();
        copy.extend(self.0.iter().map(|(name, kept)| (name.clone(), wanted(kept))).collect(), ambient);
        copy
    }

    /// Their names, and what programs find under them.
    pub(crate) fn seen(&self) -> BTreeMap<String, String> {
        let seen = |kept: &Kept| match kept {
            Kept::Value(text) | Kept::Placeholder { placeholder: text, .. } => text.clone(),
        };
        self.0.iter().map(|(name, kept)| (name.clone(), seen(kept))).collect()
    }

    pub(crate) fn placeholders(&self) -> BTreeMap<String, CredentialId> {
        let placeholder = |kept: &Kept| match kept {
            Kept::Value(_) => None,
            Kept::Placeholder { credential, placeholder } => Some((placeholder.clone(), credential.clone())),
        };
        self.0.values().filter_map(placeholder).collect()
    }
}

fn mint(ambient: &dyn Ambient) -> String {
    let mut bytes = [0; 16];
    ambient.fill_random(&mut bytes);
    format!("{PREFIX}{}", hexadecimal(&bytes))
}

/// Whether a project has the credentials that variables name; `path` is where these stand.
///
/// # Errors
/// `invalid_request` by the name of the one that is not there, or does not become a variable;
/// `failed_precondition` when it cannot be opened.
pub(crate) async fn check(
    credentials: Option<&Credentials>,
    project: ProjectId,
    wanted: &BTreeMap<String, Variable>,
    path: &str,
) -> Result<(), Error> {
    for (name, variable) in wanted {
        let Variable::Credential(id) = variable else { continue };
        let wrong = |why: &str| Err(Error::invalid(&format!("{path}.{name}.credential"), why));
        let Some(credentials) = credentials else {
            return wrong("this server has no credentials");
        };
        match credentials.secret(project, id).await? {
            None => return wrong(&format!("`credentials/{id}` not found, or revoked")),
            Some(CredentialConfig::EnvironmentVariable(kept)) => {
                if kept.trusted_domains.is_none_or(|domains| domains.is_empty()) {
                    return wrong(&format!(
                        "`credentials/{id}` has no `trusted_domains`, and nobody else gets its value"
                    ));
                }
            }
            Some(other @ (CredentialConfig::BearerToken(_) | CredentialConfig::OAuth2(_))) => {
                let kind = other.kind().as_str();
                return wrong(&format!(
                    "expected a credential of type `environment_variable`, got the `{kind}` `{id}`"
                ));
            }
        }
    }
    Ok(())
}
