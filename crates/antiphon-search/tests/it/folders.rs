//! Folders in the corpus follow the files, and what is found is what the files say.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use antiphon_search::{Corpus, CorpusError, Extracted, Folder, Provider, Query, Report};
use proptest::prelude::*;
use tempfile::TempDir;

async fn corpus() -> (TempDir, Corpus) {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus::open(folder.path().join("corpus.db")).await.unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    (folder, corpus)
}

fn counts(report: &Report) -> [usize; 5] {
    [report.added, report.updated, report.unchanged, report.removed, report.skipped_in_all]
}

async fn urls(corpus: &Corpus, question: &str) -> Vec<String> {
    corpus.search(&Query::new(question)).await.unwrap().into_iter().map(|hit| hit.url).collect()
}

#[tokio::test]
async fn a_folder_is_updated_by_what_changed() {
    let (folder, corpus) = corpus().await;
    let docs = folder.path().join("docs");
    fs::create_dir(docs.join("sub")).unwrap();
    fs::write(docs.join("a.md"), "# Alpha\n\nThe aardvark sleeps.").unwrap();
    fs::write(docs.join("sub/b c.txt"), "The badger digs.").unwrap();
    let add = async || corpus.add_folder(&docs, |_| {}).await.unwrap();

    assert_eq!(counts(&add().await), [2, 0, 0, 0, 0]);
    assert_eq!(counts(&add().await), [0, 0, 2, 0, 0]);
    assert_eq!(urls(&corpus, "badger").await, ["corpus:///docs/sub/b%20c.txt"]);

    fs::write(docs.join("a.md"), "# Alpha\n\nThe antelope runs.").unwrap();
    assert_eq!(counts(&add().await), [0, 1, 1, 0, 0]);
    assert_eq!(urls(&corpus, "aardvark").await, [""; 0]);
    assert_eq!(urls(&corpus, "antelopes").await, ["corpus:///docs/a.md"]);

    // The same bytes at another time are no change.
    let file = fs::File::options().append(true).open(docs.join("a.md")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)).unwrap();
    assert_eq!(counts(&add().await), [0, 0, 2, 0, 0]);

    fs::remove_file(docs.join("sub/b c.txt")).unwrap();
    assert_eq!(counts(&add().await), [0, 0, 1, 1, 0]);
    assert_eq!(urls(&corpus, "badger").await, [""; 0]);

    let listed = vec![Folder { path: docs.canonicalize().unwrap(), documents: 1 }];
    assert_eq!(corpus.folders().await.unwrap(), listed);
    assert_eq!(corpus.remove_folder(&docs).await.unwrap(), 1);
    assert_eq!(corpus.folders().await.unwrap(), []);
    assert_eq!(urls(&corpus, "antelope").await, [""; 0]);
    assert!(matches!(corpus.remove_folder(&docs).await, Err(CorpusError::NotFound(_))));
}

#[tokio::test]
async fn what_is_not_read_is_said() {
    let (folder, corpus) = corpus().await;
    let docs = folder.path().join("docs");
    fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    fs::write(docs.join("good.txt"), "good").unwrap();
    fs::write(docs.join(".hidden.txt"), "hidden").unwrap();
    fs::write(docs.join("binary.txt"), b"a\0b").unwrap();
    fs::write(docs.join("picture.png"), b"\x89PNG").unwrap();
    fs::write(docs.join("empty.md"), "").unwrap();
    fs::File::create(docs.join("large.txt")).unwrap().set_len(21 << 20).unwrap();
    std::os::unix::fs::symlink(folder.path().join("secret.txt"), docs.join("link.txt")).unwrap();
    std::os::unix::fs::symlink(folder.path(), docs.join("around")).unwrap();

    let seen = Arc::<Mutex<Vec<(usize, usize)>>>::default();
    let told = Arc::clone(&seen);
    let report = corpus
        .add_folder(&docs, move |progress| told.lock().unwrap().push((progress.file, progress.of)))
        .await
        .unwrap();
    let skipped: Vec<_> = report
        .skipped
        .iter()
        .map(|skipped| (skipped.path.file_name().unwrap().to_str().unwrap(), skipped.reason.as_str()))
        .collect();
    let expected = [
        ("around", "links are not followed"),
        ("link.txt", "links are not followed"),
        ("binary.txt", "it is not text in UTF-8"),
        ("empty.md", "it has no text"),
        ("large.txt", "it has 22020096 bytes, more than 20971520"),
        ("picture.png", "files of its kind are not read"),
    ];
    assert_eq!(skipped, expected);
    assert_eq!(counts(&report), [1, 0, 0, 0, 6]);
    assert_eq!(*seen.lock().unwrap(), [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]);
    assert_eq!(urls(&corpus, "secret").await, [""; 0]);
}

#[tokio::test]
async fn a_file_that_becomes_unreadable_leaves_the_corpus() {
    let (folder, corpus) = corpus().await;
    let docs = folder.path().join("docs");
    fs::write(docs.join("a.txt"), "walrus").unwrap();
    corpus.add_folder(&docs, |_| {}).await.unwrap();
    fs::write(docs.join("a.txt"), b"walrus\0").unwrap();
    assert_eq!(counts(&corpus.add_folder(&docs, |_| {}).await.unwrap()), [0, 0, 0, 1, 1]);
    assert_eq!(urls(&corpus, "walrus").await, [""; 0]);
}

#[tokio::test]
async fn a_file_of_too_many_parts_is_skipped_and_leaves_the_corpus() {
    let (folder, corpus) = corpus().await;
    let docs = folder.path().join("docs");
    for name in ["a.txt", "b.txt"] {
        fs::write(docs.join(name), "walrus").unwrap();
    }
    corpus.add_folder(&docs, |_| {}).await.unwrap();
    fs::write(docs.join("a.txt"), "walrus\u{c}".repeat(100_001)).unwrap();
    fs::write(docs.join("b.txt"), "walrus and seal").unwrap();
    let report = corpus.add_folder(&docs, |_| {}).await.unwrap();
    assert_eq!(counts(&report), [0, 1, 0, 1, 1]);
    assert_eq!(report.skipped[0].reason, "expected at most 100000 chunks of a document, got 100001");
    assert_eq!(urls(&corpus, "walrus").await, ["corpus:///docs/b.txt"]);
}

#[tokio::test]
async fn an_update_ends_when_nobody_waits_for_it() {
    let (folder, corpus) = corpus().await;
    let docs = folder.path().join("docs");
    for name in ["a.txt", "b.txt", "c.txt"] {
        fs::write(docs.join(name), "gnu").unwrap();
    }
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let update = corpus.add_folder(&docs, move |progress| {
        tell.send(progress.file).unwrap();
        assert!(wait.recv().is_err());
    });
    tokio::select! {
        done = update => panic!("{done:?}"),
        first = told.recv() => assert_eq!(first, Some(1)),
    }
    drop(go);
    // The channel is closed with the update's end.
    assert_eq!(told.recv().await, None);
    assert_eq!(corpus.documents("", None, 10).await.unwrap().documents.len(), 1);
}

#[tokio::test]
async fn folders_do_not_overlap() {
    let (folder, corpus) = corpus().await;
    let docs = folder.path().join("docs");
    fs::create_dir(docs.join("sub")).unwrap();
    corpus.add_folder(&docs, |_| {}).await.unwrap();
    for other in [docs.join("sub"), folder.path().to_owned()] {
        let refused = corpus.add_folder(&other, |_| {}).await;
        assert!(matches!(refused, Err(CorpusError::Invalid(_))), "{refused:?}");
    }
    let refused = corpus.add_folder(folder.path().join("none"), |_| {}).await;
    assert!(matches!(refused, Err(CorpusError::NotFound(_))), "{refused:?}");
    assert_eq!(corpus.folders().await.unwrap().len(), 1);
}

#[tokio::test]
async fn mirrored_pages_are_cited_by_their_own_addresses() {
    let (folder, corpus) = corpus().await;
    let docs = folder.path().join("docs");
    let page =
        "url: https://www.zoo.example/otters\ntitle: Otters\ndate: 2026-03-01\n\n<p>Otters &amp; <b>rafts</b>.</p>";
    fs::write(docs.join("otters.html"), page).unwrap();
    corpus.add_folder(&docs, |_| {}).await.unwrap();
    let [hit] = corpus.search(&Query::new("raft of otters")).await.unwrap().try_into().unwrap();
    assert_eq!(hit.url, "https://www.zoo.example/otters");
    assert_eq!((hit.title.as_str(), hit.site.as_str()), ("Otters", "zoo.example"));
    assert_eq!((hit.text.as_str(), hit.published.as_deref()), ("Otters & rafts.", Some("2026-03-01")));
}

#[tokio::test]
async fn a_plugged_extractor_reads_other_files() {
    let (folder, corpus) = corpus().await;
    let docs = folder.path().join("docs");
    fs::write(docs.join("a.pdf"), "first page\u{c}second page with a lynx").unwrap();
    let corpus = corpus.with_extractor(Arc::new(|path: &Path, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        (path.extension()? == "pdf").then(|| Ok(Extracted { text, title: Some("A book".to_owned()) }))
    }));
    assert_eq!(counts(&corpus.add_folder(&docs, |_| {}).await.unwrap()), [1, 0, 0, 0, 0]);
    let find = antiphon_search::Find {
        collections: vec![String::new()],
        text: "lynx".to_owned(),
        question: String::new(),
        filter: None,
        count: 1,
        budget: 2000,
    };
    let [found] = corpus.find(find).await.unwrap().try_into().unwrap();
    assert_eq!(found.hit.title, "A book");
    assert_eq!((found.page, found.passages[0].page), (Some(2), Some(1)));
    assert_eq!(found.hit.text, "first page\u{c}second page with a lynx");
}

#[tokio::test]
async fn the_file_is_opened_again_and_nothing_else_is() {
    let (folder, corpus) = corpus().await;
    let docs = folder.path().join("docs");
    fs::write(docs.join("a.txt"), "The ibex climbs.").unwrap();
    corpus.add_folder(&docs, |_| {}).await.unwrap();
    drop(corpus);
    let corpus = Corpus::open(folder.path().join("corpus.db")).await.unwrap();
    assert_eq!(urls(&corpus, "ibex").await, ["corpus:///docs/a.txt"]);

    fs::write(folder.path().join("text"), "this is no database of anybody's, only a text".repeat(100)).unwrap();
    assert!(matches!(Corpus::open(folder.path().join("text")).await, Err(CorpusError::Unavailable(_))));
    let other = newer(&folder.path().join("other.db")).await;
    assert!(matches!(other, Err(CorpusError::Unavailable(_))));
}

/// A corpus that a newer version wrote.
async fn newer(file: &Path) -> Result<Corpus, CorpusError> {
    drop(Corpus::open(file).await.unwrap());
    let mut bytes = fs::read(file).unwrap();
    // `user_version`, in the header of the file.
    bytes[60..64].copy_from_slice(&7u32.to_be_bytes());
    fs::write(file, bytes).unwrap();
    Corpus::open(file).await
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Between the words about what was left out there is nothing but text of the document,
    /// in its order, and a second look changes nothing.
    #[test]
    fn what_is_found_is_what_the_document_says(
        words in prop::collection::vec("(needle|[a-z]{1,9}|é[a-z]{2}|\\. |\n\n|\n# Part [a-z]{3}\n|\u{c})", 1..1500),
        budget in 300usize..1500,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (folder, corpus) = corpus().await;
            let docs = folder.path().join("docs");
            fs::write(docs.join("a.txt"), format!("needle {}", words.join(" "))).unwrap();
            assert_eq!(counts(&corpus.add_folder(&docs, |_| {}).await.unwrap()), [1, 0, 0, 0, 0]);
            assert_eq!(counts(&corpus.add_folder(&docs, |_| {}).await.unwrap()), [0, 0, 1, 0, 0]);
            let name = &corpus.documents("", None, 1).await.unwrap().documents[0].name;
            let text = corpus.text("", name).await.unwrap();
            let find = antiphon_search::Find {
                collections: vec![String::new()],
                text: "where is the needle".to_owned(),
                question: String::new(),
                filter: None,
                count: 3,
                budget,
            };
            let [found] = corpus.find(find).await.unwrap().try_into().unwrap();
            assert!(found.hit.text.chars().count() <= budget * 4);
            assert!(found.hit.text.contains("needle"));
            let shown = found.hit.text.split("\n[… ").next().unwrap();
            assert_eq!(shown == found.hit.text, found.passages.iter().map(|p| p.end - p.start).sum::<usize>() == text.chars().count());
            for piece in shown.split("\n[…]\n") {
                assert!(text.contains(piece), "{piece:?}");
            }
            let characters: Vec<char> = text.chars().collect();
            for passage in &found.passages {
                let piece: String = characters[passage.start..passage.end].iter().collect();
                assert!(found.hit.text.contains(piece.trim_matches(['\n', '\u{c}'])), "{piece:?}");
            }
        });
    }
}
