use std::io::Write as _;

use pretty_assertions::assert_eq;

use super::*;

/// A video whose decoder is this script.
async fn film(script: &str) -> Film {
    let arguments = vec!["-c".to_owned(), script.to_owned()];
    let decoder = Decoder { executable: "/bin/sh".into(), arguments, ffmpeg: "/opt/ffmpeg".into() };
    Film::new(decoder, Container::Avi, |file| file.write_all(b"the bytes")).await.unwrap()
}

fn moments() -> Moments {
    Moments::spread(Duration::ZERO, Duration::from_secs(3), None)
}

/// Of a frame in one colour.
fn thumbnail(letter: &str) -> String {
    format!("/usr/bin/printf '%{THUMBNAIL}s' '' | /usr/bin/tr ' ' '{letter}'")
}

#[tokio::test]
async fn a_process_reads_the_bytes_as_a_file_as_often_as_it_is_started() {
    let film = film("/bin/cat /dev/stdin; printf ' %s %s ' \"$0\" \"$1\"; /usr/bin/env").await;
    for _ in 0..2 {
        let said = film.sound(Duration::ZERO, Duration::from_secs(1)).await.unwrap();
        let said = String::from_utf8(said.bytes).unwrap();
        assert!(said.starts_with("the bytes /opt/ffmpeg -hide_banner"), "{said}");
        assert!(!said.contains("HOME="), "{said}");
    }
}

#[tokio::test]
async fn decoded_frames_count_and_no_exit_code() {
    let film = film(&format!("{}; {}; {}; exit 1", thumbnail("x"), thumbnail("x"), thumbnail("."))).await;
    let view = film.view(moments()).await.unwrap();
    assert_eq!((view.frames, view.scenes.len(), view.is_cut), (3, 2, false));
}

#[tokio::test]
async fn a_success_without_frames_has_none() {
    let film = film("printf 'less than a frame'; exit 0").await;
    let view = film.view(moments()).await.unwrap();
    assert_eq!((view.frames, view.is_cut), (0, false));
    assert_eq!(film.length(Duration::from_secs(1)).await, Ok(None));
}

#[tokio::test]
async fn what_was_decoded_before_a_limit_ends_it_is_kept() {
    let film = film(&format!("{}; kill -XCPU $$", thumbnail("x"))).await;
    let view = film.view(moments()).await.unwrap();
    assert_eq!((view.frames, view.is_cut), (1, true));
}

#[tokio::test]
async fn one_that_never_stops_talking_is_ended() {
    let film = film("exec /usr/bin/yes").await;
    let most = film.sound(Duration::ZERO, Duration::from_secs(1)).await.unwrap();
    assert_eq!((most.bytes.len(), most.is_cut), (32_000, false));
}

#[tokio::test]
async fn that_there_is_no_ffmpeg_is_no_fault_of_the_video() {
    let film = film(&format!("exit {}", crate::BROKEN)).await;
    let broken = Err(Broken::new(&"there is no ffmpeg to run"));
    assert_eq!(film.length(Duration::from_secs(1)).await, broken.map(|()| None));
    assert!(film.view(moments()).await.is_err());
    assert!(film.pictures(moments(), vec![0], 960).unwrap().next().await.is_err());
}

#[tokio::test]
async fn pictures_come_one_by_one_until_something_else_comes() {
    // Two of 8 bytes, then one that says to be larger than any.
    let film = film(r"printf 'BM\010\0\0\0abBM\010\0\0\0cdBM\377\377\377\377xx'").await;
    let mut pictures = film.pictures(moments(), vec![0, 1, 2], 960).unwrap();
    assert_eq!(pictures.next().await.unwrap().as_deref(), Some(b"BM\x08\0\0\0ab".as_slice()));
    assert_eq!(pictures.next().await.unwrap().as_deref(), Some(b"BM\x08\0\0\0cd".as_slice()));
    assert_eq!(pictures.next().await.unwrap(), None);
    // Those that were not asked for are not read.
    let mut one = film.pictures(moments(), vec![0], 960).unwrap();
    assert!(one.next().await.unwrap().is_some());
    assert_eq!(one.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_length_is_that_of_the_list_of_frames() {
    let film = film("printf '#tb 0: 1/10\\n0, 0, 0, 1, 9, 0x0\\n0, 1, 1, 99, 9, 0x0\\n'").await;
    assert_eq!(film.length(Duration::from_secs(1)).await, Ok(Some(Duration::from_secs(10))));
}
