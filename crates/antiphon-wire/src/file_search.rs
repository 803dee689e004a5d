//! File search stores and their documents, as the SDKs' classic clients send and read them
//! (spec 01, "File search stores").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::fields::{Fields, describe, excerpt};

/// Longer names for people are refused, as by the hosted service.
pub(crate) const LONGEST_DISPLAY_NAME: usize = 512;
const MOST_METADATA: usize = 20;
/// Of its keys and values together: an upload keeps them until it ends.
const MOST_METADATA_BYTES: usize = 16 << 10;
const LONGEST_KEY: usize = 128;
const MOST_TOKENS_PER_CHUNK: i64 = 2048;
const LEAST_TOKENS_PER_CHUNK: i64 = 8;
/// Of a chunk unless the request says otherwise.
const TOKENS_PER_CHUNK: i64 = 250;

/// The body of `POST /{v}/fileSearchStores`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateFileSearchStore {
    pub display_name: Option<String>,
}

impl CreateFileSearchStore {
    /// # Errors
    /// `invalid_request` and `parameter_unknown`, naming the field.
    pub fn read(body: Value) -> Result<Self, Error> {
        let mut fields = Fields::classic(body, "")?;
        let display_name = display_name(&mut fields)?;
        fields.refuse("embeddingModel", "documents are found by their words here; no embedding model is used")?;
        fields.finish()?;
        Ok(Self { display_name })
    }
}

/// The body that begins an upload to a store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UploadToFileSearchStore {
    pub display_name: Option<String>,
    pub mime_type: Option<String>,
    pub config: DocumentConfig,
}

impl UploadToFileSearchStore {
    /// # Errors
    /// `invalid_request` and `parameter_unknown`, naming the field.
    pub fn read(body: Value) -> Result<Self, Error> {
        let mut fields = Fields::classic(body, "")?;
        let display_name = display_name(&mut fields)?;
        let mime_type = fields.string("mimeType")?.filter(|text| !text.is_empty());
        let config = DocumentConfig::read(&mut fields)?;
        fields.finish()?;
        Ok(Self { display_name, mime_type, config })
    }
}

/// The body of `:importFile`.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportFile {
    /// `files/…`.
    pub file_name: String,
    pub config: DocumentConfig,
}

impl ImportFile {
    /// # Errors
    /// `invalid_request` and `parameter_unknown`, naming the field.
    pub fn read(body: Value) -> Result<Self, Error> {
        let mut fields = Fields::classic(body, "")?;
        let file_name = fields.text("fileName")?;
        let config = DocumentConfig::read(&mut fields)?;
        fields.finish()?;
        Ok(Self { file_name, config })
    }
}

/// What is said of a document besides its content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DocumentConfig {
    pub custom_metadata: Vec<CustomMetadata>,
    pub chunking: Option<WhiteSpaceConfig>,
}

impl DocumentConfig {
    fn read(fields: &mut Fields) -> Result<Self, Error> {
        let path = fields.path_of("customMetadata");
        let items = fields.list("customMetadata")?.unwrap_or_default();
        if items.len() > MOST_METADATA {
            let message = format!("expected at most {MOST_METADATA} entries, got {}", items.len());
            return Err(Error::invalid(&path, message));
        }
        let mut custom_metadata: Vec<CustomMetadata> = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            let read = CustomMetadata::read(item, &format!("{path}[{at}]"))?;
            if custom_metadata.iter().any(|other| other.key == read.key) {
                let message = format!("the key `{}` came before", excerpt(&read.key));
                return Err(Error::invalid(&format!("{path}[{at}].key"), message));
            }
            custom_metadata.push(read);
        }
        let bytes: usize = custom_metadata.iter().map(CustomMetadata::bytes).sum();
        if bytes > MOST_METADATA_BYTES {
            let message = format!("expected at most {MOST_METADATA_BYTES} bytes of keys and values, got {bytes}");
            return Err(Error::invalid(&path, message));
        }
        let path = fields.path_of("chunkingConfig");
        let chunking = match fields.take("chunkingConfig") {
            None => None,
            Some(config) => {
                let mut config = Fields::classic(config, &path)?;
                let white_space = config.take("whiteSpaceConfig");
                let path = config.path_of("whiteSpaceConfig");
                config.finish()?;
                white_space.map(|value| WhiteSpaceConfig::read(value, &path)).transpose()?
            }
        };
        Ok(Self { custom_metadata, chunking })
    }
}

/// How large the chunks of a document are, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhiteSpaceConfig {
    pub max_tokens_per_chunk: u32,
    /// By how many tokens of the chunk before a chunk is found, too.
    pub max_overlap_tokens: u32,
}

impl WhiteSpaceConfig {
    fn read(value: Value, path: &str) -> Result<Self, Error> {
        let mut fields = Fields::classic(value, path)?;
        let most = fields
            .integer("maxTokensPerChunk", LEAST_TOKENS_PER_CHUNK, MOST_TOKENS_PER_CHUNK)?
            .unwrap_or(TOKENS_PER_CHUNK);
        let overlap = fields.integer("maxOverlapTokens", 0, most - 1)?.unwrap_or(0);
        fields.finish()?;
        let number = |number: i64| u32::try_from(number).unwrap_or_default();
        Ok(Self { max_tokens_per_chunk: number(most), max_overlap_tokens: number(overlap) })
    }
}

/// What a document says under one key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomMetadata {
    pub key: String,
    #[serde(flatten)]
    pub value: CustomValue,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CustomValue {
    StringValue(String),
    NumericValue(f64),
    StringListValue { values: Vec<String> },
}

impl CustomMetadata {
    /// As the corpus counts them.
    fn bytes(&self) -> usize {
        let value = match &self.value {
            CustomValue::NumericValue(_) => 8,
            CustomValue::StringValue(text) => text.len(),
            CustomValue::StringListValue { values } => values.iter().map(|text| text.len() + 1).sum(),
        };
        self.key.len() + value
    }

    fn read(value: Value, path: &str) -> Result<Self, Error> {
        let mut fields = Fields::classic(value, path)?;
        let key = fields.text("key")?;
        if key.chars().count() > LONGEST_KEY {
            let message = format!("expected at most {LONGEST_KEY} characters, got {}", key.chars().count());
            return Err(Error::invalid(&fields.path_of("key"), message));
        }
        let text = fields.string("stringValue")?.map(CustomValue::StringValue);
        let number = fields.number("numericValue", f64::MIN, f64::MAX)?.map(CustomValue::NumericValue);
        let texts = match fields.take("stringListValue") {
            None => None,
            Some(list) => {
                let mut list = Fields::classic(list, &fields.path_of("stringListValue"))?;
                let path = list.path_of("values");
                let text = |(at, item): (usize, Value)| match item {
                    Value::String(text) => Ok(text),
                    other => Err(Error::invalid(
                        &format!("{path}[{at}]"),
                        format!("expected a string, got {}", describe(&other)),
                    )),
                };
                let items = list.list("values")?.unwrap_or_default();
                list.finish()?;
                let values = items.into_iter().enumerate().map(text).collect::<Result<_, _>>()?;
                Some(CustomValue::StringListValue { values })
            }
        };
        fields.finish()?;
        let mut values: Vec<_> = [text, number, texts].into_iter().flatten().collect();
        match (values.pop(), values.len()) {
            (Some(value), 0) => Ok(Self { key, value }),
            (_, more) => {
                let came = if more == 0 { "none".to_owned() } else { format!("{} of them", more + 1) };
                let expected = "expected one of `stringValue`, `numericValue` and `stringListValue`";
                Err(Error::invalid(path, format!("{expected}, got {came}")))
            }
        }
    }
}

pub(crate) fn display_name(fields: &mut Fields) -> Result<Option<String>, Error> {
    let name = fields.string("displayName")?.filter(|text| !text.is_empty());
    let length = name.as_ref().map_or(0, |name| name.chars().count());
    if length > LONGEST_DISPLAY_NAME {
        let message = format!("expected at most {LONGEST_DISPLAY_NAME} characters, got {length}");
        return Err(Error::invalid(&fields.path_of("displayName"), message));
    }
    Ok(name)
}

/// A store as it is shown. Counts and sizes are strings, as all 64-bit numbers of classic
/// resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileSearchStore {
    /// `fileSearchStores/…`.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    pub create_time: String,
    pub update_time: String,
    pub active_documents_count: String,
    pub pending_documents_count: String,
    pub failed_documents_count: String,
    pub size_bytes: String,
}

/// A document as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// `fileSearchStores/…/documents/…`.
    pub name: String,
    pub display_name: String,
    pub state: &'static str,
    pub size_bytes: String,
    pub mime_type: String,
    pub create_time: String,
    pub update_time: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custom_metadata: Vec<CustomMetadata>,
}

/// A work that is done: documents are read before they are acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    pub name: String,
    pub done: bool,
    pub response: DocumentAdded,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentAdded {
    pub parent: String,
    pub document_name: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spellings_of_the_sdks_are_read() {
        let expected = UploadToFileSearchStore {
            display_name: Some("a.txt".to_owned()),
            mime_type: Some("text/plain".to_owned()),
            config: DocumentConfig {
                custom_metadata: vec![
                    CustomMetadata { key: "a".to_owned(), value: CustomValue::StringValue("b".to_owned()) },
                    CustomMetadata { key: "n".to_owned(), value: CustomValue::NumericValue(2.0) },
                    CustomMetadata {
                        key: "l".to_owned(),
                        value: CustomValue::StringListValue { values: vec!["x".to_owned()] },
                    },
                ],
                chunking: Some(WhiteSpaceConfig { max_tokens_per_chunk: 200, max_overlap_tokens: 20 }),
            },
        };
        let python = json!({"displayName": "a.txt", "mimeType": "text/plain",
            "customMetadata": [{"key": "a", "string_value": "b"}, {"key": "n", "numeric_value": 2.0},
                {"key": "l", "string_list_value": {"values": ["x"]}}],
            "chunkingConfig": {"white_space_config": {"max_tokens_per_chunk": 200, "max_overlap_tokens": 20}}});
        let javascript = json!({"displayName": "a.txt", "mimeType": "text/plain",
            "customMetadata": [{"key": "a", "stringValue": "b"}, {"key": "n", "numericValue": 2},
                {"key": "l", "stringListValue": {"values": ["x"]}}],
            "chunkingConfig": {"whiteSpaceConfig": {"maxTokensPerChunk": "200", "maxOverlapTokens": 20}}});
        assert_eq!(UploadToFileSearchStore::read(python).unwrap(), expected);
        assert_eq!(UploadToFileSearchStore::read(javascript).unwrap(), expected);
        let kept = serde_json::to_string(&expected).unwrap();
        assert_eq!(serde_json::from_str::<UploadToFileSearchStore>(&kept).unwrap(), expected);
    }

    #[test]
    fn what_is_not_honoured_is_refused_by_its_path() {
        let check = |body: Value, expected: &str| {
            let error = UploadToFileSearchStore::read(body).unwrap_err();
            assert!(error.message.contains(expected), "{}", error.message);
        };
        check(json!({"colour": 1}), "`colour`: unknown parameter");
        check(json!({"displayName": "a", "display_name": "b"}), "`displayName`: it came twice");
        check(json!({"displayName": "n".repeat(513)}), "`displayName`: expected at most 512 characters, got 513");
        check(json!({"customMetadata": [{"key": "a"}]}), "`customMetadata[0]`: expected one of");
        check(
            json!({"customMetadata": [{"key": "a", "stringValue": "x", "numericValue": 1}]}),
            "`customMetadata[0]`: expected one of `stringValue`, `numericValue` and `stringListValue`, got 2 of them",
        );
        check(
            json!({"customMetadata": [{"key": "a", "stringValue": "x"}, {"key": "a", "stringValue": "y"}]}),
            "`customMetadata[1].key`: the key `a` came before",
        );
        check(
            json!({"customMetadata": [{"key": "a", "stringListValue": {"values": [1]}}]}),
            "stringListValue.values[0]`",
        );
        check(json!({"chunkingConfig": {"semanticConfig": {}}}), "`chunkingConfig.semanticConfig`: unknown parameter");
        check(
            json!({"chunkingConfig": {"whiteSpaceConfig": {"maxTokensPerChunk": 5000}}}),
            "`chunkingConfig.whiteSpaceConfig.maxTokensPerChunk`: expected an integer from 8 to 2048, got 5000",
        );
        check(
            json!({"chunkingConfig": {"whiteSpaceConfig": {"maxTokensPerChunk": 10, "maxOverlapTokens": 10}}}),
            "maxOverlapTokens`: expected an integer from 0 to 9, got 10",
        );
        check(
            json!({"customMetadata": [{"key": "a", "stringValue": "x".repeat(9000)},
                {"key": "b", "stringListValue": {"values": vec![""; 7383]}}]}),
            "`customMetadata`: expected at most 16384 bytes of keys and values, got 16385",
        );
        let most = json!({"customMetadata": [{"key": "a", "stringValue": "x".repeat(16_383)}]});
        UploadToFileSearchStore::read(most).unwrap();
        let error = CreateFileSearchStore::read(json!({"embeddingModel": "models/x"})).unwrap_err();
        assert!(error.message.starts_with("`embeddingModel`: "), "{}", error.message);
    }
}
