//! Files that models made: given back, counted with the others, and gone in time.

use antiphon_engine::ProjectId;
use antiphon_files::{Download, FileLimits};
use antiphon_wire::Code;
use pretty_assertions::assert_eq;

use crate::support::{BASE, PROJECT, keep, open, open_within};

fn made(bytes: &[u8]) -> Download {
    Download { mime_type: "image/png".to_owned(), bytes: bytes.to_vec() }
}

#[tokio::test]
async fn what_a_model_made_is_given_back_to_its_project_for_two_days() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let name = files.keep_generated(PROJECT, made(b"picture")).await.unwrap();
    let id = name.strip_prefix("files/").unwrap();
    let shown = files.file(PROJECT, id, BASE).await.unwrap();
    assert_eq!((shown.source, shown.size_bytes.as_str(), shown.mime_type.as_str()), ("GENERATED", "7", "image/png"));
    assert_eq!(shown.download_uri, Some(format!("{BASE}{name}:download?alt=media")));
    drop(files);

    let files = open(&folder, 47).await;
    assert_eq!(files.download(PROJECT, id).await, Ok(made(b"picture")));
    let other = ProjectId(PROJECT.0 + 1);
    for (project, id) in [(other, id), (PROJECT, "nobody"), (PROJECT, "../x")] {
        assert_eq!(files.download(project, id).await.unwrap_err().code, Code::NotFound, "{id}");
    }
    drop(files);

    let files = open(&folder, 49).await;
    assert_eq!(files.download(PROJECT, id).await.unwrap_err().code, Code::NotFound);
}

#[tokio::test]
async fn what_was_uploaded_is_not_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let id = keep(&files, b"secret").await;
    let id = id.strip_prefix("files/").unwrap_or(&id);
    let refused = files.download(PROJECT, id).await.unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition);
    assert_eq!(files.file(PROJECT, id, BASE).await.unwrap().download_uri, None);
}

#[tokio::test]
async fn a_project_has_room_for_so_much() {
    let folder = tempfile::tempdir().unwrap();
    let limits = FileLimits { files: 2, files_bytes: 10, file_bytes: 8, ..FileLimits::default() };
    let files = open_within(&folder, limits).await;
    let code = |kept: Result<String, antiphon_wire::Error>| kept.map_err(|error| error.code).err();
    assert_eq!(code(files.keep_generated(PROJECT, made(&[0; 9])).await), Some(Code::ContentTooLarge));
    assert_eq!(code(files.keep_generated(PROJECT, made(&[0; 8])).await), None);
    assert_eq!(code(files.keep_generated(PROJECT, made(&[0; 3])).await), Some(Code::FailedPrecondition));
    assert_eq!(code(files.keep_generated(PROJECT, made(&[0; 1])).await), None);
    assert_eq!(code(files.keep_generated(PROJECT, made(&[0; 1])).await), Some(Code::FailedPrecondition));
}
