//! The laws of [`Blobs`], for each of its implementations.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Seek as _};
use std::path::Path;

use antiphon_blobs::{Address, Blobs, Folder, Name, Remote};
use pretty_assertions::assert_eq;
use sha2::{Digest as _, Sha256};

use crate::lookalike::Lookalike;

const MOST: u64 = 32 << 20;

pub(crate) fn remote(lookalike: &Lookalike, scratch: &Path, space: &str) -> Remote {
    let address = Address::read("s3://bucket/kept/here", lookalike.variables().into_iter()).unwrap();
    Remote::new(address, space, scratch.to_owned(), MOST)
}

pub(crate) fn named(project: i64, bytes: &[u8]) -> Name {
    Name { project, sha256: Sha256::digest(bytes).into() }
}

/// Puts bytes that are in a file of their own until then.
pub(crate) async fn put(blobs: &dyn Blobs, scratch: &Path, project: i64, bytes: &[u8]) -> std::io::Result<Name> {
    let name = named(project, bytes);
    let file = scratch.join("part");
    std::fs::write(&file, bytes).unwrap();
    let kept = blobs.put(&name, &file).await;
    std::fs::remove_file(file).unwrap();
    kept.map(|()| name)
}

async fn read(blobs: &dyn Blobs, name: &Name) -> Result<Vec<u8>, ErrorKind> {
    let mut file = blobs.open(name).await.map_err(|error| error.kind())?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

async fn names(blobs: &dyn Blobs) -> BTreeSet<Name> {
    let listed = blobs.list().await.unwrap();
    let names: BTreeSet<_> = listed.iter().copied().collect();
    assert_eq!(names.len(), listed.len(), "each once");
    names
}

async fn keeps_to_it(blobs: &dyn Blobs, scratch: &Path) {
    assert_eq!(names(blobs).await, BTreeSet::new());
    let absent = named(1, b"nothing");
    assert_eq!(read(blobs, &absent).await, Err(ErrorKind::NotFound));
    blobs.remove(&absent).await.unwrap();

    // Also none at all, and more than is sent at once.
    let large: Vec<u8> = (0..u8::MAX).cycle().take((17 << 20) + 3).collect();
    let mut kept = BTreeSet::new();
    for bytes in [&b""[..], b"heron", b"stork", &large] {
        for project in [1, 2] {
            let name = put(blobs, scratch, project, bytes).await.unwrap();
            assert!(kept.insert(name));
            assert!(read(blobs, &name).await == Ok(bytes.to_vec()), "{name}");
        }
    }
    assert_eq!(names(blobs).await, kept);

    // Again, it is the same.
    let heron = put(blobs, scratch, 1, b"heron").await.unwrap();
    assert_eq!(names(blobs).await, kept);

    // Who has them open has them; another project's stay.
    let mut open = blobs.open(&heron).await.unwrap();
    blobs.remove(&heron).await.unwrap();
    let mut bytes = String::new();
    open.read_to_string(&mut bytes).unwrap();
    open.rewind().unwrap();
    assert_eq!(bytes, "heron");
    assert_eq!(read(blobs, &heron).await, Err(ErrorKind::NotFound));
    assert_eq!(read(blobs, &named(2, b"heron")).await, Ok(b"heron".to_vec()));
    assert!(kept.remove(&heron));
    assert_eq!(names(blobs).await, kept);

    // And it can come back.
    put(blobs, scratch, 1, b"heron").await.unwrap();
    assert_eq!(read(blobs, &heron).await, Ok(b"heron".to_vec()));
}

#[tokio::test]
async fn a_folder_keeps_to_the_contract() {
    let place = tempfile::tempdir().unwrap();
    keeps_to_it(&Folder::new(place.path().join("blobs")), place.path()).await;
}

#[tokio::test]
async fn an_object_store_keeps_to_the_contract() {
    let scratch = tempfile::tempdir().unwrap();
    let lookalike = Lookalike::start().await;
    keeps_to_it(&remote(&lookalike, scratch.path(), "one"), scratch.path()).await;
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing of it is on this machine");
}
