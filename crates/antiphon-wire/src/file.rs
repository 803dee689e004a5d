//! Files that a project keeps for a while, as the SDKs' classic clients send and read them
//! (spec 01, "Files").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::fields::Fields;
use crate::file_search::display_name;

/// The body that begins the upload of a file: `{"file": {…}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateFile {
    /// `files/…`, when the client has chosen it.
    pub name: Option<String>,
    pub display_name: Option<String>,
    pub mime_type: Option<String>,
    pub size_bytes: Option<u64>,
}

impl CreateFile {
    /// # Errors
    /// `invalid_request` and `parameter_unknown`, naming the field.
    pub fn read(body: Value) -> Result<Self, Error> {
        let mut body = Fields::classic(body, "")?;
        let file = body.take("file");
        body.finish()?;
        let Some(file) = file else { return Ok(Self::default()) };
        let mut fields = Fields::classic(file, "file")?;
        let read = Self {
            name: fields.string("name")?.filter(|name| !name.is_empty()),
            display_name: display_name(&mut fields)?,
            mime_type: fields.string("mimeType")?.filter(|text| !text.is_empty()),
            size_bytes: fields.integer("sizeBytes", 0, i64::MAX)?.map(i64::cast_unsigned),
        };
        // Said by SDKs that send a whole `File`; it is what happens here anyway.
        fields.choice("source", &[("UPLOADED", ()), ("SOURCE_UNSPECIFIED", ())])?;
        fields.finish()?;
        Ok(read)
    }
}

/// A file as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// `files/…`.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    pub mime_type: String,
    pub size_bytes: String,
    pub create_time: String,
    pub update_time: String,
    pub expiration_time: String,
    /// In base64.
    pub sha256_hash: String,
    /// Absolute.
    pub uri: String,
    /// Where its bytes are; of those alone that a model has made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_uri: Option<String>,
    pub state: &'static str,
    pub source: &'static str,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spellings_of_the_sdks_are_read() {
        let expected = CreateFile {
            name: None,
            display_name: Some("a".to_owned()),
            mime_type: Some("text/plain".to_owned()),
            size_bytes: Some(5),
        };
        let python = json!({"file": {"display_name": "a", "mime_type": "text/plain", "size_bytes": 5}});
        let javascript = json!({"file": {"displayName": "a", "mimeType": "text/plain", "sizeBytes": "5"}});
        assert_eq!(CreateFile::read(python).unwrap(), expected);
        assert_eq!(CreateFile::read(javascript).unwrap(), expected);
        let error = CreateFile::read(json!({"file": {"videoMetadata": {}}})).unwrap_err();
        assert_eq!(error.message, "`file.videoMetadata`: unknown parameter");
    }
}
