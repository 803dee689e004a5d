use antiphon_documents::Reader;
use antiphon_documents::confined::Program;
use antiphon_engine::{MediaKind, ProjectId};
use antiphon_hearing::Listener;
use antiphon_sight::{Checker, Looker};
use antiphon_wire::MediaOptions;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;

/// What is installed: what decodes, what looks, what listens.
fn means(decodes: bool, looks: bool, listens: bool) -> Means {
    let nowhere = std::path::PathBuf::from("/nowhere");
    let arguments = Vec::new;
    Means {
        documents: Reader::new(Program { executable: nowhere.clone(), arguments: arguments() }),
        pictures: Checker { program: nowhere.clone() },
        eyes: looks.then(|| Eyes(Looker { program: nowhere.clone(), reading: nowhere.clone(), labels: None })),
        ears: listens.then(|| Ears {
            listener: Listener { executable: nowhere.clone(), arguments: arguments() },
            folder: nowhere.clone(),
        }),
        decoder: decodes.then(|| Decoder {
            executable: nowhere.clone(),
            arguments: arguments(),
            ffmpeg: nowhere.clone(),
        }),
    }
}

fn video(options: Value) -> Medium {
    let options: MediaOptions = serde_json::from_value(options).unwrap();
    let (data, mime_type) = ("AAAA".into(), "video/mp4".to_owned());
    Medium { project: ProjectId(1), kind: MediaKind::Video, data, mime_type, options }
}

fn layers(layers: &[&str]) -> Value {
    json!({"processing": {"type": "static", "content_layers": layers}})
}

/// What is read with everything that could be needed, and what is lacking; or why nothing is.
fn planned(means: &Means, options: Value) -> Result<(bool, bool, Option<String>), String> {
    let plan = Plan::new(means, &video(options).options).map_err(|error| error.message)?;
    Ok((plan.eyes.is_some(), plan.ears.is_some(), plan.lacking))
}

#[test]
fn layers_and_what_is_installed_decide_what_is_read() {
    let all = means(true, true, true);
    assert_eq!(planned(&all, json!({})), Ok((true, true, None)));
    assert_eq!(planned(&all, layers(&["frames"])), Ok((true, false, None)));
    assert_eq!(planned(&all, layers(&["transcript"])), Ok((false, true, None)));
    assert_eq!(planned(&all, layers(&["frames", "audio"])), Ok((true, true, None)));
    assert_eq!(planned(&means(false, true, true), layers(&["audio"])), Ok((false, true, None)));

    let note = "its frames were not looked at; `ffmpeg` would be needed".to_owned();
    assert_eq!(planned(&means(false, true, true), json!({})), Ok((false, true, Some(note))));
    let note = "its sound was not heard; `antiphon models pull whisper-base` would be needed".to_owned();
    assert_eq!(planned(&means(true, true, false), json!({})), Ok((true, false, Some(note))));
}

#[test]
fn all_that_may_have_a_part_in_the_reading_is_named() {
    let readers = |means: Means| Plan::new(&means, &MediaOptions::default()).map(|plan| plan.readers());
    let named = |tools: &[&str], note: Option<&str>| Readers {
        tools: tools.iter().map(|&tool| tool.to_owned()).collect(),
        note: note.map(ToOwned::to_owned),
    };
    let all = named(&["ffmpeg", "ppocr-v6-small", "whisper-base"], None);
    assert_eq!(readers(means(true, true, true)), Ok(all));
    let note = "its frames were not looked at; `ffmpeg` would be needed";
    assert_eq!(readers(means(false, true, true)), Ok(named(&["whisper-base"], Some(note))));
    assert!(readers(means(true, false, false)).is_err());
}

#[test]
fn what_is_asked_for_by_name_and_cannot_be_had_is_refused_by_its_field() {
    let deaf = means(true, true, false);
    let blind = means(false, false, true);
    let fps = json!({"processing": {"type": "static", "fps": 2.0}});
    let of_sound = json!({"processing": {"type": "static", "fps": 2.0, "content_layers": ["audio"]}});
    let both = "`ffmpeg` and `antiphon models pull ppocr-v6-small` is needed";
    for (means, options, says) in [
        (&blind, json!({"resolution": "low"}), "`resolution`: frames of videos are not looked at"),
        (&blind, fps.clone(), "`processing.fps`: frames of videos are not looked at"),
        (&blind, layers(&["frames"]), "`processing.content_layers`: frames of videos are not looked at"),
        (&deaf, layers(&["frames", "transcript"]), "`processing.content_layers`: sound of videos is not heard"),
        (&means(true, true, true), of_sound, "`processing.fps`: it is of frames, which are not among the"),
        (&means(true, false, false), json!({}), "the model takes no video input, and what would read it"),
        (&means(false, true, false), json!({}), "the model takes no video input, and what would read it"),
    ] {
        let refused = planned(means, options).unwrap_err();
        assert!(refused.starts_with(says), "{refused}");
    }
    assert!(planned(&blind, fps).unwrap_err().ends_with(both));
}

#[test]
fn a_part_is_refused_where_there_is_none_or_too_much() {
    let seconds = Duration::from_secs;
    let medium = video(json!({"processing": {"type": "static", "fps": 0.1}}));
    let moments = spread(seconds(10), seconds(30), &medium).unwrap();
    assert_eq!((moments.count(), moments.at(1)), (2, seconds(20)));
    assert!(spread(seconds(100), seconds(700), &medium).is_ok());
    let refused = |start, end| spread(seconds(start), seconds(end), &medium).unwrap_err().message;
    assert_eq!(
        refused(12, 12),
        "`processing.start_offset`: expected less than the 12.000 seconds of the video, got 12"
    );
    assert!(refused(0, 602).starts_with("`data`: the video is longer than the 600 seconds"));
}

#[test]
fn what_was_seen_has_its_times_and_says_what_was_left_out() {
    let moments = Moments::spread(Duration::from_secs(60), Duration::from_secs(65), None);
    let scenes = vec![Scene { shown: vec![0..=1, 4..=4] }, Scene { shown: vec![2..=3] }];
    let view = View { moments, frames: 5, scenes, is_cut: false };
    let seen = [(&view.scenes[0], "One.\n".to_owned()), (&view.scenes[1], "Two.\n".to_owned())];
    let expected = "Of its frames, 5 were looked at, from 01:00 to 01:04, 1.0 seconds apart. 2 of them look different.\n\
                    [01:00 to 01:01, 01:04] One.\n[01:02 to 01:03] Two.\n";
    assert_eq!(frames_text(&view, &seen), expected);

    let moments = Moments::spread(Duration::ZERO, Duration::from_secs(320), None);
    let view = View { moments, is_cut: true, ..view.clone() };
    let expected = "Of its frames, 5 were looked at, from 00:00 to 00:40, 10.0 seconds apart. No more than 32 are, spread \
                    evenly. Those after them could not be decoded within limits. 2 of them look different, and 1 of these \
                    are told.\n[00:00 to 00:10, 00:40] One.\n";
    assert_eq!(frames_text(&view, &seen[..1]), expected);
}
