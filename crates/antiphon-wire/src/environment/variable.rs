//! Variables of an environment's programs (spec 06, "Environments": `env`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::credential::CredentialId;
use crate::error::Error;
use crate::fields::{Fields, describe, excerpt};

const MOST_VARIABLES: usize = 64;
const MOST_VARIABLE_BYTES: usize = 32 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    Value(String),
    /// Programs have something in the place of its value, which is put into their requests.
    Credential(CredentialId),
}

impl Variable {
    pub(super) fn to_wire(&self) -> Value {
        match self {
            Self::Value(text) => text.as_str().into(),
            Self::Credential(id) => json!({ "credential": id }),
        }
    }

    /// Variables whose names a sandbox takes.
    pub(super) fn read_all(fields: &mut Fields) -> Result<BTreeMap<String, Self>, Error> {
        let Some(value) = fields.take("env") else { return Ok(BTreeMap::new()) };
        let Value::Object(map) = value else {
            return Err(fields.mismatch("env", "an object of variables", &value));
        };
        let path = fields.path_of("env");
        if map.len() > MOST_VARIABLES {
            let message = format!("expected at most {MOST_VARIABLES} variables, got {}", map.len());
            return Err(Error::invalid(&path, message));
        }
        let mut variables = BTreeMap::new();
        for (name, value) in map {
            let path = format!("{path}.{}", excerpt(&name));
            let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !is_name {
                let message = "expected a name of letters, digits and `_` that starts with no digit";
                return Err(Error::invalid(&path, message));
            }
            if ["PATH", "HOME", "LANG", "TMPDIR"].contains(&name.as_str()) || name.starts_with("LD_") {
                return Err(Error::invalid(&path, "this variable is the sandbox's own"));
            }
            // As everywhere, `null` is absent.
            if !value.is_null() {
                variables.insert(name, Self::read(value, &path)?);
            }
        }
        let bytes: usize = variables.iter().map(|(name, variable)| name.len() + variable.len()).sum();
        if bytes > MOST_VARIABLE_BYTES {
            let message = format!("expected at most {MOST_VARIABLE_BYTES} bytes of names and values, got {bytes}");
            return Err(Error::invalid(&path, message));
        }
        Ok(variables)
    }

    fn read(value: Value, path: &str) -> Result<Self, Error> {
        let text = match value {
            Value::String(text) => text,
            Value::Object(_) => {
                let mut fields = Fields::new(value, path)?;
                let (value, credential) = (fields.string("value")?, fields.string("credential")?);
                let (at_value, at_credential) = (fields.path_of("value"), fields.path_of("credential"));
                fields.finish()?;
                match (value, credential) {
                    (Some(value), None) => value,
                    (None, Some(id)) => {
                        let expected = "expected the id of a credential: 1 to 63 letters, digits, `-` and `_`";
                        let id = CredentialId::parse(&id).ok_or_else(|| Error::invalid(&at_credential, expected))?;
                        return Ok(Self::Credential(id));
                    }
                    (Some(_), Some(_)) => {
                        return Err(Error::invalid(&at_credential, "expected either this or `value`, got both"));
                    }
                    (None, None) => {
                        return Err(Error::invalid(&at_value, "expected a string, or `credential`; nothing came"));
                    }
                }
            }
            other => {
                let expected = "a string or an object with `value` or `credential`";
                return Err(Error::invalid(path, format!("expected {expected}, got {}", describe(&other))));
            }
        };
        if text.contains('\0') {
            return Err(Error::invalid(path, "expected a value without NUL characters"));
        }
        Ok(Self::Value(text))
    }

    fn len(&self) -> usize {
        match self {
            Self::Value(text) => text.len(),
            Self::Credential(id) => id.as_str().len(),
        }
    }
}
