//! How well questions in English and Portuguese find what answers them.

use std::path::Path;

use antiphon_search::{Corpus, Find, Provider, Query};

const QUESTIONS: &str = include_str!("questions.tsv");

pub(crate) fn library() -> std::path::PathBuf {
    // Where the runner says that the sources are now.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).join("tests/it/library")
}

/// A question, the file that answers it, and words of the sentence that does.
fn questions() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    QUESTIONS.lines().map(|line| {
        let mut fields = line.split('\t');
        (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap())
    })
}

/// The folder's documents, as they were read into it.
async fn whole() -> (tempfile::TempDir, Corpus) {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus::open(folder.path().join("corpus.db")).await.unwrap();
    corpus.add_folder(library(), |_| {}).await.unwrap();
    (folder, corpus)
}

#[tokio::test]
async fn each_question_finds_its_document_first() {
    let (_folder, corpus) = whole().await;
    let mut missed = Vec::new();
    for (question, file, answer) in questions() {
        let hits = corpus.search(&Query::new(question).of(3)).await.unwrap();
        let is_right = hits.first().is_some_and(|hit| {
            let is_file = hit.url.ends_with(file) || hit.url.ends_with("/visit") || hit.url.ends_with("/regulamento");
            is_file && hit.text.contains(answer)
        });
        if !is_right {
            missed.push((question, hits.into_iter().map(|hit| hit.url).collect::<Vec<_>>()));
        }
    }
    assert_eq!(questions().count(), 46);
    assert!(missed.is_empty(), "{missed:#?}");
}

/// Every paragraph is a document of its own, so that the right one is found among those
/// beside it.
#[tokio::test]
async fn most_questions_find_their_paragraph_first() {
    let (_folder, corpus) = whole().await;
    corpus.create_collection("paragraphs", "", 10).await.unwrap();
    let mut after = None;
    loop {
        let listing = corpus.documents("", after.as_deref(), 10).await.unwrap();
        for document in listing.documents {
            let text = corpus.text("", &document.name).await.unwrap();
            let mut heading = "";
            for (at, paragraph) in text.split("\n\n").filter(|text| !text.trim().is_empty()).enumerate() {
                if paragraph.starts_with('#') && !paragraph.contains('\n') {
                    heading = paragraph.trim_start_matches(['#', ' ']);
                    continue;
                }
                let new = antiphon_search::NewDocument {
                    name: format!("{}#{at}", document.name),
                    title: format!("{} {heading}", document.title),
                    text: paragraph.to_owned(),
                    ..Default::default()
                };
                corpus.put("paragraphs", new).await.unwrap();
            }
        }
        after = listing.next;
        if after.is_none() {
            break;
        }
    }
    let mut missed = Vec::new();
    for (question, _, answer) in questions() {
        let find = Find {
            collections: vec!["paragraphs".to_owned()],
            text: question.to_owned(),
            question: String::new(),
            filter: None,
            count: 1,
            budget: 1000,
        };
        let found = corpus.find(find).await.unwrap();
        if !found.first().is_some_and(|found| found.hit.text.contains(answer)) {
            missed.push(question);
        }
    }
    // Its answer has the oven's temperature, and speaks of degrees.
    assert_eq!(missed, ["At what temperature are loaves baked?"]);
}
