//! A process of its own that decodes a picture, or looks at it: started for one picture, ended with it.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::process::Command;

use crate::{Pixels, Resolution, Seen};

/// The process's exit code when the picture is at fault; its output says how.
pub const FAULT: u8 = 3;

/// The same when what is wrong is the type that it has, or is said to have.
pub const FAULT_OF_TYPE: u8 = 4;

/// More bytes are no picture.
pub const MOST_BYTES: u64 = 101 << 20;

/// The process bounds its computing; this is for one that waits.
const PATIENCE: Duration = Duration::from_secs(180);

/// The same for one that decodes and no more.
const PATIENCE_WITH_CHECKS: Duration = Duration::from_secs(30);

/// How to start a process that decodes a picture and no more.
#[derive(Clone, Debug)]
pub struct Checker {
    /// The executable `antiphon`.
    pub program: PathBuf,
}

/// How to start a process that looks.
#[derive(Clone, Debug)]
pub struct Looker {
    /// The executable `antiphon`.
    pub program: PathBuf,
    /// The folder of `ppocr-v6-small`.
    pub reading: PathBuf,
    /// The folder of `efficientnet-lite0`, where things shall be named.
    pub labels: Option<PathBuf>,
}

/// Why nothing was seen.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSeen {
    /// What the sender is told of the picture.
    #[error("{0}")]
    Fault(String),

    /// What the sender is told of the picture's type.
    #[error("{0}")]
    Type(String),

    /// It took more time or memory than it may.
    #[error("image could not be processed within limits")]
    Limits,

    /// This machine's fault.
    #[error("the process that looks failed: {0}")]
    Failed(String),
}

impl Checker {
    /// Whether `source` is a picture that can be looked at. Needs no networks. Dropping the future ends the process.
    ///
    /// # Errors
    /// [`NotSeen`].
    pub async fn check(&self, source: impl AsyncRead + Send + Unpin, claimed: Option<&str>) -> Result<(), NotSeen> {
        let mut command = Command::new(&self.program);
        command.arg("look");
        run(command, source, claimed, PATIENCE_WITH_CHECKS).await.map(drop)
    }

    /// The pixels of `source`, with at most `side` of them on the longest side. Dropping the future ends the process.
    ///
    /// # Errors
    /// [`NotSeen`].
    pub async fn pixels(
        &self,
        source: impl AsyncRead + Send + Unpin,
        claimed: Option<&str>,
        side: u32,
    ) -> Result<Pixels, NotSeen> {
        let mut command = Command::new(&self.program);
        command.arg("look").arg(format!("--pixels={side}"));
        let output = run(command, source, claimed, PATIENCE_WITH_CHECKS).await?;
        let pixels = Pixels::read(&output).filter(|pixels| pixels.width.max(pixels.height) <= side);
        pixels.ok_or_else(|| NotSeen::Failed("it gave something else than pixels".to_owned()))
    }
}

impl Looker {
    /// What is seen in `source`, which should have passed a [`Checker`]. Dropping the future ends the process.
    ///
    /// # Errors
    /// [`NotSeen`].
    pub async fn look(
        &self,
        source: impl AsyncRead + Send + Unpin,
        claimed: Option<&str>,
        resolution: Resolution,
    ) -> Result<Seen, NotSeen> {
        let mut command = Command::new(&self.program);
        command.arg("look").arg("--reading").arg(&self.reading).arg("--resolution").arg(resolution.name());
        if let Some(labels) = &self.labels {
            command.arg("--labels").arg(labels);
        }
        let output = run(command, source, claimed, PATIENCE).await?;
        serde_json::from_slice(&output).map_err(|error| NotSeen::Failed(error.to_string()))
    }
}

/// The output of a process that comes to its end.
async fn run(
    mut command: Command,
    mut source: impl AsyncRead + Send + Unpin,
    claimed: Option<&str>,
    patience: Duration,
) -> Result<Vec<u8>, NotSeen> {
    if let Some(claimed) = claimed {
        command.arg(format!("--type={claimed}"));
    }
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| NotSeen::Failed(error.to_string()))?;
    let mut input = child.stdin.take();
    let feeding = async {
        let Some(mut input) = input.take() else { return Ok(()) };
        match tokio::io::copy(&mut source, &mut input).await {
            // One that refuses early does not read to the end.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    };
    let both = async {
        let (fed, output) = tokio::join!(feeding, child.wait_with_output());
        fed.and(output)
    };
    let output = match tokio::time::timeout(patience, both).await {
        Err(_elapsed) => return Err(NotSeen::Limits),
        Ok(output) => output.map_err(|error| NotSeen::Failed(error.to_string()))?,
    };
    let said = || String::from_utf8_lossy(&output.stdout).chars().take(1000).collect::<String>();
    match output.status.code() {
        Some(0) => Ok(output.stdout),
        Some(code) if code == i32::from(FAULT) => Err(NotSeen::Fault(said())),
        Some(code) if code == i32::from(FAULT_OF_TYPE) => Err(NotSeen::Type(said())),
        // A signal: the kernel's, when it may compute no more, or the allocator's, when it gets no more.
        None => Err(NotSeen::Limits),
        Some(_) => Err(NotSeen::Failed(said())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A program that is this script, and the folder that it goes with.
    fn program(script: &str) -> (PathBuf, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("antiphon");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        (program, folder)
    }

    async fn look(script: &str) -> Result<Seen, NotSeen> {
        let (program, _folder) = program(script);
        let looker = Looker { program, reading: "/nowhere".into(), labels: None };
        looker.look(&vec![0; 1 << 20][..], Some("image/png"), Resolution::High).await
    }

    #[tokio::test]
    async fn what_the_process_says_and_how_it_ends_is_told_apart() {
        let seen = r#"{"lines":[],"labels":[],"colours":[],"width":2,"height":1,"seconds":0.5}"#;
        let seen = look(&format!("/bin/cat > /dev/null; echo '{seen}'")).await.unwrap();
        assert_eq!((seen.width, seen.height), (2, 1));
        assert_eq!(look("printf 'it is damaged'; exit 3").await, Err(NotSeen::Fault("it is damaged".to_owned())));
        assert_eq!(look("printf 'it is none'; exit 4").await, Err(NotSeen::Type("it is none".to_owned())));
        assert_eq!(look("printf 'no network'; exit 1").await, Err(NotSeen::Failed("no network".to_owned())));
        assert_eq!(look("kill -XCPU $$").await, Err(NotSeen::Limits));
        assert!(matches!(look("echo nonsense").await, Err(NotSeen::Failed(_))));
    }

    #[tokio::test]
    async fn the_process_is_told_what_is_wanted() {
        let said = look("printf '%s ' \"$@\"; exit 3").await;
        let expected = "look --reading /nowhere --resolution high --type=image/png ";
        assert_eq!(said, Err(NotSeen::Fault(expected.to_owned())));
        let (program, _folder) = program("printf '%s ' \"$@\"; exit 3");
        let checker = Checker { program };
        let said = checker.check(&[0; 9][..], Some("image/gif")).await;
        assert_eq!(said, Err(NotSeen::Fault("look --type=image/gif ".to_owned())));
        let said = checker.pixels(&[0; 9][..], None, 512).await;
        assert_eq!(said, Err(NotSeen::Fault("look --pixels=512 ".to_owned())));
    }

    #[tokio::test]
    async fn pixels_are_as_many_as_their_sides_say_and_no_more_than_were_asked_for() {
        let pixels = |script: &str, side| {
            let (program, folder) = program(&format!("/bin/cat > /dev/null; printf '{script}'"));
            async move {
                let pixels = Checker { program }.pixels(&[0; 9][..], None, side).await;
                drop(folder);
                pixels
            }
        };
        let two = r"\002\000\000\000\001\000\000\000abcdef";
        let expected = Pixels { width: 2, height: 1, bytes: b"abcdef".to_vec() };
        assert_eq!(pixels(two, 2).await, Ok(expected.clone()));
        assert_eq!(Pixels::read(&expected.clone().write()), Some(expected));
        for (script, side) in [(two, 1), (&two[..two.len() - 1], 2), ("", 2), (r"\000\000\000\000\001\000\000\000", 2)]
        {
            assert!(matches!(pixels(script, side).await, Err(NotSeen::Failed(_))), "{script}");
        }
    }
}
