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
