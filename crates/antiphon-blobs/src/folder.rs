//! Bytes in a folder of this machine: a file for each, in a folder for each project.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::{Blobs, Name, blocking};

/// On the disk of what is put there: bytes get a second name, and are not copied.
#[derive(Clone, Debug)]
pub struct Folder {
    folder: PathBuf,
}

impl Folder {
    /// Made with the first bytes when it is not there; what it is in has to be.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn place(&self, name: &Name) -> PathBuf {
        self.folder.join(name.to_string())
    }
}

#[async_trait]
impl Blobs for Folder {
    async fn put(&self, name: &Name, file: &Path) -> io::Result<()> {
        let (folder, place, file) = (self.folder.clone(), self.place(name), file.to_owned());
        blocking(move || {
            let Some(parent) = place.parent() else { return Err(ErrorKind::InvalidInput.into()) };
            for made in [&folder, parent] {
                make(made)?;
            }
            let source = File::open(&file)?;
            source.sync_all()?;
            match fs::metadata(&place) {
                // Whoever made it may have died before it was durable.
                Ok(there) if there.len() == source.metadata()?.len() => return sync(parent),
                // A file was written to after all that had two names.
                Ok(_) => fs::remove_file(&place)?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            match fs::hard_link(&file, &place) {
                // Somebody was faster.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                linked => linked?,
            }
            sync(parent)
        })
        .await
    }

    async fn open(&self, name: &Name) -> io::Result<File> {
        let place = self.place(name);
        blocking(move || File::open(place)).await
    }

    async fn remove(&self, name: &Name) -> io::Result<()> {
        let place = self.place(name);
        blocking(move || match fs::remove_file(&place) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| place.parent().map_or(Ok(()), sync)),
        })
        .await
    }

    async fn list(&self) -> io::Result<Vec<Name>> {
        let folder = self.folder.clone();
        blocking(move || {
            let mut names = Vec::new();
            for project in entries(&folder)? {
                for file in entries(&project)? {
                    let relative = file.strip_prefix(&folder).ok().and_then(Path::to_str);
                    names.extend(relative.and_then(Name::read));
                }
            }
            Ok(names)
        })
        .await
    }
}

/// What is in a folder; nothing is in what is none.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

fn make(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        // Nor need it be durable, when somebody has just made it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => made?,
    }
    folder.parent().map_or(Ok(()), sync)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
