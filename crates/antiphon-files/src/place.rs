//! Where the bytes of files were kept the last time: bytes stay where they are when the place is changed.

use std::io;
use std::path::Path;

use crate::disk;
use crate::file::{FILES_OF, SAID};

/// Bytes in the folder of the files itself.
pub(crate) const HERE: &str = "the data folder";

/// Remembers the place. When it is another than the last time, and there are files, the last one.
pub(crate) fn changed(folder: &Path, place: &str) -> io::Result<Option<String>> {
    let memory = folder.join("contents-place");
    let known = match disk::read_json::<String>(&memory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        known => Some(known?),
    };
    if known.as_deref() == Some(place) {
        return Ok(None);
    }
    disk::write_json(&memory, &place)?;
    Ok(known.filter(|_| has_files(folder).unwrap_or(true)))
}

fn has_files(folder: &Path) -> io::Result<bool> {
    for project in disk::entries(folder)? {
        let is_project =
            project.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(FILES_OF));
        if is_project && disk::entries(&project)?.iter().any(|file| file.extension().is_some_and(|end| end == SAID)) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_place_that_is_left_is_named_once_while_there_are_files() {
        let folder = tempfile::tempdir().unwrap();
        let changed = |place| changed(folder.path(), place).unwrap();
        assert_eq!(changed(HERE), None, "nothing was remembered");
        assert_eq!(changed("s3://bucket"), None, "no files");
        disk::make_folder(&folder.path().join("files-1")).unwrap();
        disk::create(&folder.path().join("files-1/one.json")).unwrap();
        assert_eq!(changed("s3://bucket"), None, "the same");
        assert_eq!(changed("s3://bucket/other"), Some("s3://bucket".to_owned()));
        assert_eq!(changed("s3://bucket/other"), None);
        assert_eq!(changed(HERE), Some("s3://bucket/other".to_owned()));
    }
}
