//! Videos, in the process that bounds itself and becomes the program that decodes them.

use std::io::Write as _;
use std::process::{Command, Output};
use std::time::Duration;

use antiphon_sandbox::Host;
use antiphon_video::{BROKEN, Container, Decoded, Decoder, Film};
use pretty_assertions::assert_eq;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::server::executable;

/// What a program says and how it ends that is started in the place of `ffmpeg`.
fn decode(program: &[&str]) -> Output {
    let mut command = Command::new(executable());
    command.args(["decode-video", "--"]).args(program).output().unwrap()
}

/// A video that is decoded by the program at this path.
async fn film(ffmpeg: &str) -> Film {
    let decoder = Decoder {
        executable: executable(),
        arguments: vec!["decode-video".to_owned(), "--".to_owned()],
        ffmpeg: ffmpeg.into(),
    };
    Film::new(decoder, Container::Avi, |file| file.write_all(b"RIFF")).await.unwrap()
}

#[test]
fn what_decodes_has_its_limits_and_knows_nothing_of_its_surroundings() {
    let limits = decode(&["/bin/sh", "-c", "ulimit -t; ulimit -v; ulimit -f; ulimit -n; ulimit -c; ulimit -H -v"]);
    assert_eq!(String::from_utf8_lossy(&limits.stdout), "120\n2097152\n0\n64\n0\n2097152\n");
    let environment = decode(&["/usr/bin/env"]);
    assert_eq!(String::from_utf8_lossy(&environment.stdout), "");
}

#[test]
fn what_decodes_gets_at_its_input_and_at_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "secret").unwrap();
    let mut video = std::fs::File::from(memfd_create("video", MemfdFlags::CLOEXEC).unwrap());
    video.write_all(b"video ").unwrap();
    let mut command = Command::new(executable());
    command.args(["decode-video", "--", "/bin/cat", "/dev/stdin"]).arg(&file).stdin(video);
    let shown = command.output().unwrap().stdout;
    // Only a kernel without Landlock has nothing against it.
    let expected = if Host::detect().landlock > 0 { "video " } else { "video secret" };
    assert_eq!(String::from_utf8_lossy(&shown), expected);
}

#[test]
fn what_is_told_comes_to_it_as_it_is() {
    let told = decode(&["/bin/echo", "-hide_banner", "--help", "-h", "-f", "mov"]);
    assert_eq!(String::from_utf8_lossy(&told.stdout), "-hide_banner --help -h -f mov\n");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_from_one_that_decodes_nothing() {
    assert_eq!(decode(&["/nowhere/ffmpeg", "-h"]).status.code(), Some(BROKEN.into()));
    let second = Duration::from_secs(1);
    let broken = film("/nowhere/ffmpeg").await.sound(Duration::ZERO, second).await.unwrap_err();
    assert_eq!(broken.to_string(), "videos cannot be decoded: there is no ffmpeg to run");
    assert_eq!(film("/bin/false").await.sound(Duration::ZERO, second).await, Ok(Decoded::default()));
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_ends_its_process() {
    // It has started another one, and both would be there for a long time.
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("/usr/bin/mkfifo").arg(&pipe).status().unwrap().success());
    let decoder = Decoder {
        executable: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), format!("(sleep 1000; true) > {}", pipe.display())],
        ffmpeg: "/nowhere".into(),
    };
    let film = Film::new(decoder, Container::Avi, |file| file.write_all(b"RIFF")).await.unwrap();
    let call = film.sound(Duration::ZERO, Duration::from_secs(1));
    let reader = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        let mut rest = Vec::new();
        let mut file = std::fs::File::open(pipe).unwrap();
        move || file.read_to_end(&mut rest)
    });
    // The pipe opens once the process and its child are there, and ends once both are gone.
    let mut read_to_end = tokio::select! {
        _ = call => panic!("it says no end"),
        reader = reader => reader.unwrap(),
    };
    let end = tokio::task::spawn_blocking(move || read_to_end().unwrap()).await;
    assert_eq!(end.unwrap(), 0);
}
