//! The body of an interaction, whose longest media go to disk while it comes.
//!
//! A medium of 100 MB is 133 MB of base64. It is decoded as it comes, a group of letters after the
//! other, and its mark stands in the JSON in its place (`antiphon_wire::Data`). So a body is as long
//! in memory as what is said in it besides.
//!
//! Only `data` in the places of media is looked for: of the parts of `input`, and of the `content` of
//! its steps. That the rest is JSON, and that a medium's part is one, others find out from what is
//! left.

use std::io;
use std::sync::Arc;

use antiphon_files::{Files, Spool};
use antiphon_wire::{Code, CreateInteraction, Error, Kept, MOST_IN_MEMORY, not_base64};
use axum::body::HttpBody as _;
use axum::extract::{FromRequest, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::error;

use crate::body::{PARSED_AT_ONCE, next_chunk, parse};
use crate::error::ApiError;
use crate::router::Server;

/// Deeper JSON is refused when it is parsed.
const DEEPEST: usize = 128;

/// Chunks that wait for the disk.
const WAITING: usize = 8;

/// An interaction that was asked for.
pub(crate) struct InteractionBody(pub(crate) CreateInteraction);

impl FromRequest<Server> for InteractionBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, server: &Server) -> Result<Self, ApiError> {
        Ok(Self(receive(&mut request.into_body(), server).await?))
    }
}

/// Short bodies are read at once; of long ones a thread takes the media out.
async fn receive(body: &mut axum::body::Body, server: &Server) -> Result<CreateInteraction, Error> {
    let _permit = server.bodies.reserve_encoded(body.size_hint().upper()).await?;
    let mut start = Vec::new();
    while start.len() <= PARSED_AT_ONCE {
        match next_chunk(body).await? {
            Some(chunk) => start.extend_from_slice(&chunk),
            None => return CreateInteraction::read(parse(server.bodies.bounded(&start)?)?),
        }
    }
    let (chunks, arriving) = mpsc::channel(WAITING);
    let (files, most) = (server.files.clone(), server.bodies.most());
    let reading = server.engine.tasks().spawn_blocking(move || read(&files, most, arriving));
    let mut sent = chunks.send(start.into()).await;
    // One that takes no more has its reason, and says it with its end.
    while sent.is_ok()
        && let Some(chunk) = next_chunk(body).await?
    {
        sent = chunks.send(chunk).await;
    }
    drop(chunks);
    reading.await.unwrap_or_else(|_| Err(Error::internal()))
}

fn read(files: &Files, most: usize, mut arriving: mpsc::Receiver<Bytes>) -> Result<CreateInteraction, Error> {
    let mut scanner = Scanner::new(most, MOST_IN_MEMORY, || files.spool());
    while let Some(chunk) = arriving.blocking_recv() {
        scanner.take(&chunk)?;
    }
    let (skeleton, kept) = scanner.end();
    CreateInteraction::read_with(parse(&skeleton)?, kept)
}

/// Takes media out of JSON that comes in pieces.
struct Scanner<S> {
    /// Where media go, made with the first.
    open: S,
    spool: Option<Spool>,
    /// Bytes that may come still, those of media decoded.
    left: usize,
    most: usize,
    /// Letters of a medium that stays.
    few: usize,
    /// What is left.
    skeleton: Vec<u8>,
    kept: Vec<Arc<dyn Kept>>,
    levels: Vec<Level>,
    place: Place,
}

/// Where the scanner is.
enum Place {
    Between,
    /// In a string; whether the next byte is escaped, and what is known of the name that it is.
    Text {
        escaped: bool,
        name: Option<Vec<u8>>,
    },
    /// In the data of a medium.
    Medium(Medium),
    /// Too deep for any medium.
    Rest,
}

/// An object and the name of the member at hand, or a list and the number of the item.
enum Level {
    Object { name: Name, awaits_name: bool },
    List(usize),
}

#[derive(Clone, Copy, PartialEq)]
enum Name {
    Input,
    Content,
    Data,
    Other,
}

/// What came of the data of a medium.
#[derive(Default)]
struct Medium {
    /// Letters that are not decoded yet: all, as long as they are few.
    letters: Vec<u8>,
    is_kept: bool,
    /// What came of an escaped letter, behind its `\`.
    escape: Option<Vec<u8>>,
}

/// Longer names are none that matter.
const LONGEST_NAME: usize = 8;

impl<S: Fn() -> io::Result<Spool>> Scanner<S> {
    fn new(most: usize, few: usize, open: S) -> Self {
        Self {
            open,
            spool: None,
            left: most,
            most,
            few,
            skeleton: Vec::new(),
            kept: Vec::new(),
            levels: Vec::new(),
            place: Place::Between,
        }
    }

    /// # Errors
    /// `content_too_large`; that the data of a medium are no base64; the disk's.
    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            bytes = match self.place {
                Place::Between => self.between(bytes)?,
                Place::Text { .. } => self.text(bytes)?,
                Place::Medium(_) => self.medium(bytes)?,
                Place::Rest => {
                    self.keep(bytes)?;
                    &[]
                }
            };
        }
        Ok(())
    }

    /// What is left of the JSON, and the media that were in it.
    fn end(mut self) -> (Vec<u8>, Vec<Arc<dyn Kept>>) {
        if let Place::Medium(medium) = self.place {
            // It is cut; nobody reads what is left.
            self.skeleton.extend(medium.letters);
        }
        (self.skeleton, self.kept)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.count(bytes.len())?;
        self.skeleton.extend_from_slice(bytes);
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), Error> {
        let Some(left) = self.left.checked_sub(bytes) else {
            let message = format!("the body is longer than {} bytes, the most this server takes", self.most);
            return Err(Error::new(Code::ContentTooLarge, message));
        };
        self.left = left;
        Ok(())
    }

    /// Up to the next byte that means something.
    fn between<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
        let found = bytes.iter().position(|byte| b"{}[],:\"".contains(byte));
        let end = found.map_or(bytes.len(), |at| at + 1);
        self.keep(&bytes[..end])?;
        match found.map(|at| bytes[at]) {
            Some(b'{') => self.levels.push(Level::Object { name: Name::Other, awaits_name: true }),
            Some(b'[') => self.levels.push(Level::List(0)),
            Some(b'}' | b']') => drop(self.levels.pop()),
            Some(b',') => match self.levels.last_mut() {
                Some(Level::Object { awaits_name, .. }) => *awaits_name = true,
                Some(Level::List(at)) => *at += 1,
                None => {}
            },
            Some(b':') => {
                if let Some(Level::Object { awaits_name, .. }) = self.levels.last_mut() {
                    *awaits_name = false;
                }
            }
            Some(b'"') => {
                self.place = match self.levels.last() {
                    Some(Level::Object { awaits_name: true, .. }) => {
                        Place::Text { escaped: false, name: Some(Vec::new()) }
                    }
                    _ if self.is_medium() => Place::Medium(Medium::default()),
                    _ => Place::Text { escaped: false, name: None },
                };
            }
            Some(_) | None => {}
        }
        if self.levels.len() > DEEPEST {
            self.place = Place::Rest;
        }
        Ok(&bytes[end..])
    }

    fn text<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
        let Place::Text { escaped, name } = &mut self.place else { return Ok(bytes) };
        let mut end = bytes.len();
        let mut is_over = false;
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if *escaped => *escaped = false,
                b'\\' => *escaped = true,
                b'"' => {
                    (end, is_over) = (at + 1, true);
                    break;
                }
                _ => {}
            }
        }
        if let Some(name) = name {
            // What is escaped in a name is in none of those that matter, as they are written by anybody.
            let room = (LONGEST_NAME + 1).saturating_sub(name.len());
            name.extend_from_slice(&bytes[..(end - usize::from(is_over)).min(room)]);
        }
        if is_over {
            let found = name.take();
            self.place = Place::Between;
            if let (Some(found), Some(Level::Object { name, .. })) = (found, self.levels.last_mut()) {
                *name = match found.as_slice() {
                    b"input" => Name::Input,
                    b"content" => Name::Content,
                    b"data" => Name::Data,
                    _ => Name::Other,
                };
            }
        }
        self.keep(&bytes[..end])?;
        Ok(&bytes[end..])
    }

    /// Whether the string that begins here is the data of a medium.
    fn is_medium(&self) -> bool {
        let names = self.levels.iter().filter_map(|level| match level {
            Level::Object { name, .. } => Some(*name),
            Level::List(_) => None,
        });
        // A list of lists is none of the places, and is refused there.
        let names: Vec<_> = names.take(4).collect();
        names == [Name::Input, Name::Data] || names == [Name::Input, Name::Content, Name::Data]
    }

    fn medium<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
        let Place::Medium(medium) = &mut self.place else { return Ok(bytes) };
        let end = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(bytes.len());
        let (mut letters, mut rest) = (&bytes[..end], &bytes[end..]);
        let mut is_over = false;
        if let Some(escape) = &mut medium.escape {
            escape.push(bytes[0]);
            match unescaped(escape) {
                Some(None) => return Ok(&bytes[1..]),
                Some(Some(letter)) => medium.letters.push(letter),
                None => return Err(self.not_base64(&"it has an escaped letter that is none")),
            }
            medium.escape = None;
            (letters, rest) = (&[], &bytes[1..]);
        } else if let Some(byte) = rest.first() {
            is_over = *byte == b'"';
            medium.escape = (!is_over).then(Vec::new);
            rest = &rest[1..];
        }
        medium.letters.extend_from_slice(letters);
        if medium.is_kept || medium.letters.len() > self.few {
            self.decode(is_over)?;
        }
        // What waits here is little, and is counted when it leaves.
        if !is_over {
            return Ok(rest);
        }
        let Place::Medium(medium) = std::mem::replace(&mut self.place, Place::Between) else { return Ok(rest) };
        if medium.is_kept {
            let kept = self.spool.as_mut().map(Spool::end);
            let mark = kept.as_ref().map(|kept| kept.mark().to_owned()).unwrap_or_default();
            self.kept.extend(kept);
            self.keep(mark.as_bytes())?;
        } else {
            self.keep(&medium.letters)?;
        }
        self.keep(b"\"")?;
        Ok(rest)
    }

    /// Decodes what is whole of a medium that is kept from now on.
    fn decode(&mut self, is_over: bool) -> Result<(), Error> {
        let Place::Medium(medium) = &mut self.place else { return Ok(()) };
        medium.is_kept = true;
        // The last group may be padded, and only its end tells that it is the last: it waits for more.
        let whole = if is_over { medium.letters.len() } else { medium.letters.len().saturating_sub(1) / 4 * 4 };
        let letters: Vec<u8> = medium.letters.drain(..whole).collect();
        let decoded = match STANDARD.decode(&letters) {
            Ok(decoded) => decoded,
            Err(why) => return Err(self.not_base64(&why)),
        };
        if !is_over && decoded.len() != whole / 4 * 3 {
            return Err(self.not_base64(&"it ends in the middle"));
        }
        self.count(decoded.len())?;
        let spool = match &mut self.spool {
            Some(spool) => spool,
            none => none.insert((self.open)().map_err(|error| unwritable(&error))?),
        };
        spool.write(&decoded).map_err(|error| unwritable(&error))
    }

    fn not_base64(&self, why: &dyn std::fmt::Display) -> Error {
        let mut path = String::new();
        for level in &self.levels {
            match level {
                Level::Object { name: Name::Input, .. } => path.push_str("input"),
                Level::Object { name: Name::Content, .. } => path.push_str(".content"),
                Level::Object { .. } => path.push_str(".data"),
                Level::List(at) => path.push_str(&format!("[{at}]")),
            }
        }
        not_base64(&path, why)
    }
}

/// The letter that an escape stands for, which some write for `/`, `+` and `=`; none inside it as long as
/// it goes on.
fn unescaped(escape: &[u8]) -> Option<Option<u8>> {
    match escape {
        b"/" => Some(Some(b'/')),
        [b'u', digits @ ..] if digits.len() < 4 => Some(None),
        [b'u', digits @ ..] if digits.iter().all(u8::is_ascii_hexdigit) => {
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().map(Some)
        }
        _ => None,
    }
}

fn unwritable(error: &io::Error) -> Error {
    error!(%error, "A medium of a request cannot be written to disk");
    Error::new(Code::ServiceUnavailable, "the server cannot take in media now; its log has the cause")
}

#[cfg(test)]
mod tests;
