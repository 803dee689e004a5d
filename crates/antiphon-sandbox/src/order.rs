//! What the warden tells the helper, and what the helper tells back.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::host::Tier;
use crate::limits::Limits;
use crate::network::Network;
use crate::operation::FileOperation;
use crate::program::{Language, Work};

/// Far above what a program or an operation can hold: the helper trusts its own server, and still bounds it.
const ORDER_BYTES: u64 = 64 << 20;
const REPORT_BYTES: usize = 4096;

/// Everything the helper needs, read from its control pipe before anything else.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) tier: Tier,
    /// A path in the program's view.
    pub(crate) workspace: PathBuf,
    pub(crate) address_space: u64,
    pub(crate) processes: u32,
    pub(crate) open_files: u32,
    pub(crate) file_bytes: u64,
    /// Tier 2 of an ordinary user: the program has the uid of the server, and of all the user's files.
    pub(crate) shares_uid: bool,
    pub(crate) task: Task,
    #[serde(skip)]
    bytes: Vec<u8>,
}

/// What is done once the walls are up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    Program {
        language: Language,
        interpreter: PathBuf,
        environment: Vec<(String, String)>,
        /// Paths and lengths of the files to place. Their bytes follow the header, then those of the source.
        files: Vec<(PathBuf, usize)>,
        source: usize,
    },
    Operation {
        operation: FileOperation,
        room: Room,
    },
}

/// What a workspace may hold when an operation is over.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Room {
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
    /// Bytes of one file.
    pub(crate) file_bytes: u64,
}

impl Order {
    /// The interpreter is the one for the program's language.
    pub(crate) fn new(
        tier: Tier,
        workspace: PathBuf,
        work: &Work,
        interpreter: impl Fn(Language) -> PathBuf,
        limits: &Limits,
    ) -> Self {
        let mut bytes = Vec::new();
        let task = match work {
            Work::Program(program) => {
                for (_, content) in &program.files {
                    bytes.extend_from_slice(content);
                }
                bytes.extend_from_slice(program.source.as_bytes());
                // What the program's own variables say counts.
                let network = program.network.iter().flat_map(|_| Network::variables());
                Task::Program {
                    language: program.language,
                    interpreter: interpreter(program.language),
                    environment: network.chain(program.environment.iter().cloned()).collect(),
                    files: program.files.iter().map(|(path, content)| (path.clone(), content.len())).collect(),
                    source: program.source.len(),
                }
            }
            Work::Operation(operation, _) => Task::Operation {
                operation: operation.clone(),
                room: Room {
                    bytes: limits.workspace_bytes,
                    entries: limits.workspace_entries.into(),
                    file_bytes: limits.file_bytes,
                },
            },
        };
        Self {
            tier,
            workspace,
            address_space: limits.address_space(),
            processes: limits.processes,
            open_files: limits.open_files,
            file_bytes: limits.file_bytes,
            shares_uid: false,
            task,
            bytes,
        }
    }

    /// The lengths of the header and of what follows it, then both.
    pub(crate) fn encode(&self) -> io::Result<Vec<u8>> {
        let header = serde_json::to_vec(self)?;
        let mut all = Vec::with_capacity(16 + header.len() + self.bytes.len());
        all.extend_from_slice(&(header.len() as u64).to_le_bytes());
        all.extend_from_slice(&(self.bytes.len() as u64).to_le_bytes());
        all.extend_from_slice(&header);
        all.extend_from_slice(&self.bytes);
        Ok(all)
    }

    pub(crate) fn read(mut from: impl io::Read) -> io::Result<Self> {
        let mut length = || {
            let mut bytes = [0; 8];
            from.read_exact(&mut bytes)?;
            let length = u64::from_le_bytes(bytes);
            if length > ORDER_BYTES { Err(io::Error::other("the order is too long")) } else { Ok(length as usize) }
        };
        let (header, rest) = (length()?, length()?);
        let mut bytes = vec![0; header];
        from.read_exact(&mut bytes)?;
        let mut order: Self = serde_json::from_slice(&bytes)?;
        order.bytes = vec![0; rest];
        from.read_exact(&mut order.bytes)?;
        let named = match &order.task {
            Task::Program { files, source, .. } => {
                files.iter().map(|(_, length)| *length).try_fold(*source, usize::checked_add)
            }
            Task::Operation { .. } => Some(0),
        };
        if named != Some(rest) {
            return Err(io::Error::other("the order's parts do not add up"));
        }
        Ok(order)
    }

    /// The files to place, and at the end the source. None for an operation.
    pub(crate) fn files(&self) -> impl Iterator<Item = (PathBuf, &[u8])> {
        let mut named = Vec::new();
        if let Task::Program { files, source, language, .. } = &self.task {
            named.extend_from_slice(files);
            named.push((language.source_file().into(), *source));
        }
        let mut rest = self.bytes.as_slice();
        named.into_iter().map_while(move |(path, length)| {
            let (bytes, others) = rest.split_at_checked(length)?;
            rest = others;
            Some((path, bytes))
        })
    }
}

/// Lines from the helper. The program cannot write them: it has no descriptor of that pipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// The program is about to start: everything that is newer than this was made by it.
    Started {
        seconds: i64,
        nanoseconds: u32,
    },
    Code(i32),
    Signal(i32),
    /// It never started, or its end is not known.
    Failed(String),
}

impl Report {
    pub(crate) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// The reports in what has been read so far.
    pub(crate) fn all(bytes: &[u8]) -> Vec<Self> {
        let bytes = &bytes[..bytes.len().min(REPORT_BYTES)];
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    pub(crate) const AT_MOST: usize = REPORT_BYTES;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::program::Program;

    proptest! {
        #[test]
        fn an_order_arrives_as_it_was_sent(
            source in "[^\0]{0,40}",
            files in prop::collection::vec(("[a-z]{1,8}", prop::collection::vec(any::<u8>(), 0..40)), 0..5),
        ) {
            let mut program = Program::new(Language::Python, source.clone()).unwrap();
            for (path, bytes) in &files {
                program = program.file(path, bytes.clone()).unwrap();
            }
            let work = Work::Program(program);
            let order = Order::new(Tier::Bwrap, "/workspace".into(), &work, |_| "python3".into(), &Limits::default());
            let read = Order::read(order.encode().unwrap().as_slice()).unwrap();
            let mut expected: Vec<_> = files.into_iter().map(|(path, bytes)| (PathBuf::from(path), bytes)).collect();
            expected.push((".program.py".into(), source.into_bytes()));
            prop_assert_eq!(read.files().map(|(path, bytes)| (path, bytes.to_vec())).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn hostile_bytes_are_no_order(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Order::read(bytes.as_slice()).is_err());
        }
    }

    #[test]
    fn reports_are_read_from_whole_lines() {
        let started = Report::Started { seconds: 1, nanoseconds: 2 };
        let mut bytes = started.line();
        bytes.extend(Report::Code(3).line());
        bytes.extend(b"{\"code\":");
        assert_eq!(Report::all(&bytes), [started, Report::Code(3)]);
    }
}
