//! Media that are too large for the body of a step: in pieces beside it, read when they are needed.
//!
//! The step keeps a mark with their number, size and hash. So a history is read without them, and
//! whoever sends one on has a piece of it in memory at a time.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_engine::ProjectId;
use antiphon_wire::{Data, Kept, MARK, Step, hexadecimal};
use rusqlite::Connection;

use crate::connection;
use crate::content::{ContentKey, corrupt, fill_random};
use crate::error::{Result, unavailable};

/// Bytes of all pieces but the last.
const PIECE: usize = 192 << 10;

/// Puts marks in place of the bytes in a step that are kept elsewhere; gives these bytes, which get
/// the numbers from `first` on.
pub(crate) fn taken_out(step: &mut Step, first: usize) -> Vec<Arc<dyn Kept>> {
    let mut taken = Vec::new();
    for media in step.said_mut().iter_mut().filter_map(|content| content.media_mut()) {
        let Data::Kept(kept) = &media.data else { continue };
        let mark = format!("{MARK}{}:{}:{}", first + taken.len(), kept.size(), kept.sha256());
        let kept = Arc::clone(kept);
        media.data = mark.into();
        taken.push(kept);
    }
    taken
}

/// Writes bytes that were taken out.
///
/// # Errors
/// When they cannot be read or written.
pub(crate) fn insert(
    connection: &Connection,
    project: ProjectId,
    interaction: i64,
    key: &ContentKey,
    media: &[Arc<dyn Kept>],
) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO medium_piece (interaction, project_id, medium, position, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut piece = vec![0; PIECE];
    for (number, medium) in media.iter().enumerate() {
        for position in 0..medium.size().div_ceil(PIECE as u64) {
            let read = medium.read_at(position * PIECE as u64, &mut piece);
            let read = read.map_err(|error| unavailable("a medium cannot be read", &error))?;
            insert.execute((interaction, project.0, number, position, key.seal(&piece[..read])?))?;
        }
    }
    Ok(())
}

/// Puts what reads the bytes in place of the marks in a step of this interaction.
///
/// # Errors
/// When a mark is none.
pub(crate) fn put_back(step: &mut Step, connection: &Connection, interaction: i64, key: &ContentKey) -> Result<()> {
    for media in step.said_mut().iter_mut().filter_map(|content| content.media_mut()) {
        let Some(mark) = media.data.mark() else { continue };
        let Some((number, size, sha256)) = parts(mark) else { return Err(corrupt("the mark of a medium", &mark)) };
        let file = connection.path().map(PathBuf::from).unwrap_or_default();
        let mut chance = [0; 20];
        fill_random(&mut chance)?;
        let stored = Stored {
            mark: format!("{MARK}{}", hexadecimal(&chance)),
            interaction,
            number,
            size,
            sha256: sha256.to_owned(),
            key: key.clone(),
            reader: Mutex::new(Reader { file, connection: None, piece: None }),
        };
        media.data = Data::Kept(Arc::new(stored));
    }
    Ok(())
}

fn parts(mark: &str) -> Option<(i64, u64, &str)> {
    let mut parts = mark.strip_prefix(MARK)?.split(':');
    let (number, size, sha256) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
    Some((number, size, sha256))
}

/// Bytes in the database.
struct Stored {
    mark: String,
    interaction: i64,
    number: i64,
    size: u64,
    sha256: String,
    key: ContentKey,
    reader: Mutex<Reader>,
}

/// A connection, made when it is needed first, and the piece that was read last with its position.
struct Reader {
    file: PathBuf,
    connection: Option<Connection>,
    piece: Option<(u64, Vec<u8>)>,
}

impl fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stored").field("mark", &self.mark).finish_non_exhaustive()
    }
}

impl Kept for Stored {
    fn mark(&self) -> &str {
        &self.mark
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn sha256(&self) -> &str {
        &self.sha256
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let mut filled = 0;
        while filled < buffer.len() && offset + (filled as u64) < self.size {
            let at = offset + filled as u64;
            let piece = reader.piece(self, at / PIECE as u64)?;
            let rest = piece.get((at % PIECE as u64) as usize..).unwrap_or_default();
            let some = rest.len().min(buffer.len() - filled);
            if some == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buffer[filled..filled + some].copy_from_slice(&rest[..some]);
            filled += some;
        }
        Ok(filled)
    }
}

impl Reader {
    fn piece(&mut self, of: &Stored, position: u64) -> io::Result<&[u8]> {
        if self.piece.as_ref().is_none_or(|(known, _)| *known != position) {
            let read = self.read(of, position).map_err(|failed| io::Error::other(failed.0))?;
            self.piece = Some((position, read));
        }
        Ok(self.piece.as_ref().map_or(&[], |(_, piece)| piece))
    }

    fn read(&mut self, of: &Stored, position: u64) -> Result<Vec<u8>> {
        let connection = opened(&mut self.connection, &self.file)?;
        let sealed: Vec<u8> = connection
            .prepare_cached("SELECT body FROM medium_piece WHERE interaction = ?1 AND medium = ?2 AND position = ?3")?
            .query_row((of.interaction, of.number, position), |row| row.get(0))?;
        of.key.open(&sealed)
    }
}

fn opened<'a>(known: &'a mut Option<Connection>, file: &Path) -> Result<&'a Connection> {
    if let Some(connection) = known {
        return Ok(connection);
    }
    Ok(known.insert(connection::reading(file)?))
}
