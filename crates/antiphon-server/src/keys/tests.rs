use antiphon_testkit::FixedAmbient;
use proptest::prelude::*;

use super::*;

fn make(pepper: u8) -> (KeyMaker, NewKey) {
    let maker = KeyMaker::new([pepper; 32]);
    let key = maker.make(&FixedAmbient::default(), ProjectId(7), "default", "laptop");
    (maker, key)
}

#[test]
fn a_key_proves_itself_and_shows_its_id_alone() {
    let (maker, key) = make(1);
    let presented = Presented::parse(&key.text).unwrap();
    assert_eq!(presented.id, key.record.id);
    assert!(maker.proves(&presented, &key.record));
    assert!(!format!("{:?}", key.record).contains(presented.secret));
    assert_eq!((key.record.project, key.record.name.as_str()), (ProjectId(7), "laptop"));
    assert_eq!(key.text.len(), "antiphon_".len() + 10 + 1 + 32 + 6);
}

#[test]
fn another_pepper_or_another_secret_proves_nothing() {
    let ambient = FixedAmbient::default();
    let maker = KeyMaker::new([1; 32]);
    let one = maker.make(&ambient, ProjectId(1), "default", "one");
    let other = maker.make(&ambient, ProjectId(1), "default", "other");
    assert!(!KeyMaker::new([2; 32]).proves(&Presented::parse(&one.text).unwrap(), &one.record));
    assert!(!maker.proves(&Presented::parse(&one.text).unwrap(), &other.record));
}

#[test]
fn the_checksum_is_the_usual_crc32() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(crc32(b""), 0);
}

#[test]
fn anything_else_is_not_a_key() {
    let (_, key) = make(1);
    for text in [
        "",
        "x",
        "antiphon_",
        "AIzaSyA0000000000000000000000000000000",
        "antiphon_é",
        &key.text[1..],
        &format!("{} ", key.text),
    ] {
        assert_eq!(Presented::parse(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn one_wrong_character_is_told_by_the_checksum(at in 0usize..58, wrong in "[0-9A-Za-z]") {
        let (_, key) = make(1);
        let mut text = key.text;
        prop_assume!(text[at..=at] != *wrong);
        text.replace_range(at..=at, &wrong);
        prop_assert_eq!(Presented::parse(&text), None);
    }

    #[test]
    fn reading_a_key_never_panics(text in "(antiphon_)?\\PC{0,60}") {
        let _ = Presented::parse(&text);
    }
}
