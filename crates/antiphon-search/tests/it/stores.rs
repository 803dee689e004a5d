//! Named collections: what file search stores need.

use std::collections::BTreeMap;

use antiphon_search::{Corpus, CorpusError, Filter, Find, MetadataValue, NewDocument, Size};
use tempfile::TempDir;

async fn corpus() -> (TempDir, Corpus) {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus::open(folder.path().join("corpus.db")).await.unwrap();
    corpus.create_collection("one", "", 10).await.unwrap();
    corpus.create_collection("two", "", 10).await.unwrap();
    (folder, corpus)
}

fn document(name: &str, text: &str) -> NewDocument {
    NewDocument {
        name: name.to_owned(),
        url: format!("https://a.example/{name}"),
        title: name.to_owned(),
        text: text.to_owned(),
        bytes: text.len() as u64,
        ..NewDocument::default()
    }
}

async fn names(corpus: &Corpus, collections: &[&str], text: &str, filter: Option<&str>) -> Vec<(String, String)> {
    let find = Find {
        collections: collections.iter().map(|name| (*name).to_owned()).collect(),
        text: text.to_owned(),
        question: String::new(),
        filter: filter.map(|filter| Filter::parse(filter).unwrap()),
        count: 10,
        budget: 2000,
    };
    let found = corpus.find(find).await.unwrap();
    let mut names: Vec<_> = found.into_iter().map(|found| (found.collection, found.name)).collect();
    names.sort();
    names
}

async fn listed(corpus: &Corpus) -> Vec<String> {
    corpus.collections(None, 10).await.unwrap().into_iter().map(|collection| collection.name).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(collection, name)| ((*collection).to_owned(), (*name).to_owned())).collect()
}

#[tokio::test]
async fn collections_are_apart() {
    let (_folder, corpus) = corpus().await;
    corpus.put("one", document("a", "the heron waits")).await.unwrap();
    corpus.put("two", document("a", "the heron flies")).await.unwrap();
    assert_eq!(names(&corpus, &["one"], "heron", None).await, pairs(&[("one", "a")]));
    assert_eq!(names(&corpus, &["one", "two"], "herons", None).await, pairs(&[("one", "a"), ("two", "a")]));
    assert_eq!(names(&corpus, &[], "heron", None).await, []);
    assert_eq!(names(&corpus, &[""], "heron", None).await, []);
    assert_eq!(listed(&corpus).await, ["one", "two"]);
    assert_eq!(corpus.size("one").await.unwrap(), Size { documents: 1, bytes: 15 });

    corpus.delete_collection("one", true).await.unwrap();
    assert_eq!(corpus.size("one").await, Err(CorpusError::NotFound("collection `one`".to_owned())));
    assert_eq!(names(&corpus, &["two"], "heron", None).await, pairs(&[("two", "a")]));
    corpus.create_collection("one", "", 10).await.unwrap();
    assert_eq!(names(&corpus, &["one"], "heron", None).await, []);
    assert_eq!(corpus.create_collection("two", "", 10).await, Err(CorpusError::Exists("collection `two`".to_owned())));
    assert!(matches!(corpus.delete_collection("", true).await, Err(CorpusError::NotFound(_))));
}

#[tokio::test]
async fn a_document_is_replaced_listed_and_deleted() {
    let (_folder, corpus) = corpus().await;
    for name in ["b", "a", "c"] {
        corpus.put("one", document(name, "a stork")).await.unwrap();
    }
    let replaced = corpus.put("one", document("b", "a crane")).await.unwrap();
    assert_eq!((replaced.name.as_str(), replaced.characters), ("b", 7));
    assert_eq!(corpus.document("one", "b").await.unwrap(), replaced);
    assert_eq!(corpus.text("one", "b").await.unwrap(), "a crane");
    assert_eq!(names(&corpus, &["one"], "stork", None).await, pairs(&[("one", "a"), ("one", "c")]));

    let first = corpus.documents("one", None, 2).await.unwrap();
    assert_eq!(first.documents.iter().map(|document| document.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(first.next.as_deref(), Some("b"));
    let second = corpus.documents("one", first.next.as_deref(), 2).await.unwrap();
    assert_eq!((second.documents.len(), second.next), (1, None));

    corpus.delete("one", "a").await.unwrap();
    let gone = Err(CorpusError::NotFound("document `a`".to_owned()));
    assert_eq!(corpus.delete("one", "a").await, gone);
    assert_eq!(corpus.text("one", "a").await.map(|_| ()), gone);
    assert_eq!(names(&corpus, &["one"], "stork", None).await, pairs(&[("one", "c")]));
}

#[tokio::test]
async fn deleted_words_are_in_no_file() {
    let (folder, corpus) = corpus().await;
    corpus.put("one", document("a", &"a quetzalcoatlus glides ".repeat(200))).await.unwrap();
    corpus.put("one", document("b", "a gull")).await.unwrap();
    corpus.delete("one", "a").await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(8).any(|found| found == b"quetzalc"));
    }
}

#[tokio::test]
async fn metadata_choose_documents() {
    let (_folder, corpus) = corpus().await;
    for (name, author, year) in [("a", "Ana", 2019.0), ("b", "Ana", 2021.0), ("c", "Rui", 2021.0)] {
        let metadata = BTreeMap::from([
            ("author".to_owned(), MetadataValue::Text(author.to_owned())),
            ("year".to_owned(), MetadataValue::Number(year)),
        ]);
        corpus.put("one", NewDocument { metadata, ..document(name, "a swan") }).await.unwrap();
    }
    corpus.put("one", document("d", "a swan")).await.unwrap();
    let check = async |filter: &str, expected: &[&str]| {
        let found: Vec<_> =
            names(&corpus, &["one"], "swan", Some(filter)).await.into_iter().map(|(_, name)| name).collect();
        assert_eq!(found, expected, "{filter}");
    };
    check(r#"author="Ana""#, &["a", "b"]).await;
    check(r#"author="Ana" AND year>=2020"#, &["b"]).await;
    check(r#"author="Ana" OR author="Rui""#, &["a", "b", "c"]).await;
    check(r#"NOT author="Ana""#, &["c", "d"]).await;
    check("year < 1900", &[]).await;
}

#[tokio::test]
async fn a_filter_finds_what_a_thousand_better_parts_hide() {
    let (_folder, corpus) = corpus().await;
    let part = "swan swan swan ".repeat(70);
    corpus.put("one", document("many", &vec![part; 1100].join("\n\n"))).await.unwrap();
    let metadata = BTreeMap::from([("rare".to_owned(), MetadataValue::Number(1.0))]);
    let rare = NewDocument { metadata, ..document("rare", &format!("{} swan", "other words ".repeat(50))) };
    corpus.put("one", rare).await.unwrap();
    assert_eq!(names(&corpus, &["one"], "swan", Some("rare = 1")).await, pairs(&[("one", "rare")]));
}

#[tokio::test]
async fn the_best_parts_are_found_whatever_documents_they_are_of() {
    let (_folder, corpus) = corpus().await;
    let other = "Words about something else entirely. ".repeat(40);
    let text = format!("{other}\u{c}The swan and the heron.\u{c}{other}\u{c}A swan, a heron, a swan and a heron.");
    corpus.put("one", document("pages", &text)).await.unwrap();
    corpus.put("two", document("plain", "Of the heron alone.")).await.unwrap();
    let check = async |collections: &[&str], count, expected: &[(&str, Option<u32>)]| {
        let find = Find {
            collections: collections.iter().map(|name| (*name).to_owned()).collect(),
            text: "swan heron".to_owned(),
            question: String::new(),
            filter: None,
            count,
            budget: 0,
        };
        let found = corpus.find_parts(find).await.unwrap();
        let found: Vec<_> = found.iter().map(|part| (part.name.as_str(), part.page)).collect();
        assert_eq!(found, expected);
    };
    check(&["one"], 5, &[("pages", Some(4)), ("pages", Some(2))]).await;
    // Those with all of the words come first.
    check(&["one", "two"], 5, &[("pages", Some(4)), ("pages", Some(2)), ("plain", None)]).await;
    check(&["one", "two"], 1, &[("pages", Some(4))]).await;
    check(&[], 5, &[]).await;
}

#[tokio::test]
async fn the_words_of_the_question_choose_what_is_shown() {
    let (_folder, corpus) = corpus().await;
    let other = "It is said to be a bird of the marshes and of the rivers. ".repeat(8);
    let text = format!("The heron came on a day in December. {other}The heron left the lake in May.");
    corpus.put("one", document("heron", &text)).await.unwrap();
    corpus.put("one", document("swan", "The swan left the lake in June.")).await.unwrap();
    let found = async |question: &str| {
        let find = Find {
            collections: vec!["one".to_owned()],
            text: "heron December".to_owned(),
            question: question.to_owned(),
            filter: None,
            count: 5,
            budget: 100,
        };
        let found = corpus.find(find).await.unwrap();
        found.into_iter().map(|found| found.hit.text).collect::<Vec<_>>()
    };
    let without = found("").await;
    assert!(without.len() == 1 && without[0].starts_with("The heron came"), "{without:?}");
    let with = found("When was the lake left by the bird?").await;
    assert!(with[0].contains("left the lake in May"), "{with:?}");
    assert_eq!(with[1], "The swan left the lake in June.");
}

#[tokio::test]
async fn there_is_no_more_than_there_may_be() {
    let (_folder, corpus) = corpus().await;
    let full = corpus.create_collection("three", "", 2).await.unwrap_err();
    assert_eq!(full.to_string(), "there are 2 collections already, the most there may be");
    let most = Size { documents: 2, bytes: 10 };
    corpus.put_within("one", document("a", "12345"), most).await.unwrap();
    corpus.put_within("one", document("a", "12345"), most).await.unwrap();
    let full = corpus.put_within("one", document("b", "123456"), most).await.unwrap_err();
    assert_eq!(full.to_string(), "its documents would have 11 bytes, and 10 are the most");
    corpus.put_within("one", document("b", "1234"), most).await.unwrap();
    let full = corpus.put_within("one", document("c", "1"), most).await.unwrap_err();
    assert_eq!(full.to_string(), "2 documents are in it, the most there may be");
    assert_eq!(corpus.size("one").await.unwrap(), Size { documents: 2, bytes: 9 });
    assert!(matches!(corpus.delete_collection("one", false).await, Err(CorpusError::Full(_))));
    corpus.delete_collection("two", false).await.unwrap();
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("corpus.db");
    let corpus = Corpus::open(&file).await.unwrap();
    corpus.create_collection("one", "", 10).await.unwrap();
    corpus.put("one", document("a", "the heron waits")).await.unwrap();
    drop(corpus);
    let old = rusqlite::Connection::open(&file).unwrap();
    old.execute_batch(
        "ALTER TABLE collection DROP COLUMN about; ALTER TABLE document DROP COLUMN about; DROP TABLE rebuild_due; \
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(old);
    let corpus = Corpus::open(&file).await.unwrap();
    assert_eq!(names(&corpus, &["one"], "heron", None).await, pairs(&[("one", "a")]));
    let about = NewDocument { about: "said".to_owned(), ..document("b", "a stork") };
    assert_eq!(corpus.put("one", about).await.unwrap().about, "said");
}

#[tokio::test]
async fn with_rebuilds_nothing_is_left_whatever_was_deleted_when() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus::open(folder.path().join("corpus.db")).await.unwrap().with_rebuilds();
    corpus.create_collection("one", "", 10).await.unwrap();
    for at in 0..60 {
        corpus.put("one", document(&format!("{at:02}"), &format!("mark{at:02}x ").repeat(30 + at * 7))).await.unwrap();
    }
    // Out of order, so that pages are rebuilt in between.
    for at in (0..60).map(|at| at * 37 % 60).filter(|at| at % 3 > 0) {
        corpus.delete("one", &format!("{at:02}")).await.unwrap();
    }
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let bytes: Vec<u8> = files.iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
    for at in 0..60 {
        let mark = format!("mark{at:02}x");
        let is_left = bytes.windows(mark.len()).any(|found| found == mark.as_bytes());
        assert_eq!(is_left, at % 3 == 0, "{mark}");
    }
}

#[tokio::test]
async fn a_deletion_that_was_broken_off_is_finished_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("corpus.db");
    let corpus = Corpus::open(&file).await.unwrap().with_rebuilds();
    corpus.create_collection("one", "", 10).await.unwrap();
    corpus.put("one", document("a", &"quetzalcoatlus ".repeat(100))).await.unwrap();
    corpus.put("one", document("b", "a gull")).await.unwrap();
    drop(corpus);
    let planted = || {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        files.flat_map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>().windows(8).any(|w| w == b"quetzalc")
    };
    // As if the process had died after the deletion.
    let raw = rusqlite::Connection::open(&file).unwrap();
    raw.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA secure_delete = OFF; BEGIN; DELETE FROM document WHERE name = 'a'; \
         INSERT INTO rebuild_due VALUES(1); COMMIT;",
    )
    .unwrap();
    drop(raw);
    assert!(planted());
    let corpus = Corpus::open(&file).await.unwrap();
    assert!(!planted());
    assert_eq!(names(&corpus, &["one"], "gull", None).await, pairs(&[("one", "b")]));
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let (_folder, corpus) = corpus().await;
    let check = async |document: NewDocument, expected: &str| {
        let refused = corpus.put("one", document).await;
        assert_eq!(refused, Err(CorpusError::Invalid(expected.to_owned())));
    };
    check(document("", "x"), "expected a name of 1 to 512 bytes").await;
    check(document(&"n".repeat(513), "x"), "expected a name of 1 to 512 bytes").await;
    check(document("a", &"x".repeat((20 << 20) + 1)), "expected at most 20 MiB of text").await;
    let many = (0..65).map(|key| (key.to_string(), MetadataValue::Number(0.0))).collect();
    check(NewDocument { metadata: many, ..document("a", "x") }, "expected at most 64 keys of metadata").await;
    let long = BTreeMap::from([("key".to_owned(), MetadataValue::Text("x".repeat(17 << 10)))]);
    check(NewDocument { metadata: long, ..document("a", "x") }, "expected at most 16 KiB of metadata").await;
    assert_eq!(
        corpus.put("none", document("a", "x")).await,
        Err(CorpusError::NotFound("collection `none`".to_owned()))
    );
}

#[tokio::test]
async fn writers_and_readers_do_not_hinder_one_another() {
    let (_folder, corpus) = corpus().await;
    let writes = (0..20).map(|at| {
        let corpus = corpus.clone();
        async move { corpus.put("one", document(&format!("{at:02}"), "a plover")).await.map(|_| ()) }
    });
    let reads = (0..20).map(|_| {
        let corpus = corpus.clone();
        async move { corpus.size("one").await.map(|_| ()) }
    });
    let (written, read) =
        futures_util::future::join(futures_util::future::join_all(writes), futures_util::future::join_all(reads)).await;
    assert!(written.into_iter().chain(read).all(|done| done.is_ok()));
    assert_eq!(corpus.size("one").await.unwrap().documents, 20);
}
