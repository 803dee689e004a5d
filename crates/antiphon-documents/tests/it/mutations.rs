//! Whatever is done to the bytes of a document, whoever has it read gets an answer.

use antiphon_documents::{Fault, Options};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use crate::world::{folder, reader, wait};

#[derive(Clone, Debug)]
enum Change {
    Replace(Index, u8),
    Remove(Index, u8),
    Repeat(Index, u8),
    End(Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, count)| Change::Remove(at, count)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, count)| Change::Repeat(at, count)),
        1 => any::<Index>().prop_map(Change::End),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    if bytes.is_empty() {
        return;
    }
    let piece = |at: &Index, count: u8, length: usize| {
        let at = at.index(length);
        at..(at + usize::from(count)).min(length)
    };
    match change {
        Change::Replace(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        Change::Remove(at, count) => {
            bytes.drain(piece(at, *count, bytes.len()));
        }
        Change::Repeat(at, count) => {
            let piece = piece(at, *count, bytes.len());
            let copy = bytes[piece.clone()].to_vec();
            bytes.splice(piece.start..piece.start, copy);
        }
        Change::End(at) => bytes.truncate(at.index(bytes.len())),
    }
}

/// Each fixture, as many times as there are cases.
#[test]
fn no_change_of_a_document_reaches_the_one_who_has_it_read() {
    let mut names: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Beside the documents stands how they were made.
    names.retain(|path| !path.ends_with("make.py") && !path.ends_with("README.md"));
    names.sort();
    for path in names {
        let original = std::fs::read(&path).unwrap();
        let mut runner = TestRunner::new(Config { cases: 6, failure_persistence: None, ..Config::default() });
        let law = runner.run(&vec(change(), 1..12), |changes| {
            let mut bytes = original.clone();
            changes.iter().for_each(|change| apply(&mut bytes, change));
            let answer = wait(reader().read(&bytes[..], None, &Options::default()));
            prop_assert!(!matches!(answer, Err(Fault::Broken(_))), "{answer:?}");
            Ok(())
        });
        assert!(law.is_ok(), "{}: {law:?}", path.display());
    }
}
