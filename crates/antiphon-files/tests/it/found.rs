//! What a search finds.

use antiphon_engine::ProjectId;
use antiphon_files::{Files, Filter, Search};
use antiphon_wire::{Code, CreateFileSearchStore};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::{BASE, PROJECT, begin, open, put, store};

fn search(stores: &[&str], text: &str, count: usize) -> Search {
    let stores = stores.iter().map(|id| format!("fileSearchStores/{id}")).collect();
    Search { stores, filter: None, text: text.to_owned(), question: String::new(), count }
}

async fn texts(files: &Files, search: Search) -> Vec<String> {
    let found = files.search(PROJECT, search).await.unwrap();
    found.into_iter().map(|passage| passage.text.trim().to_owned()).collect()
}

#[tokio::test]
async fn passages_come_from_the_named_stores_and_chosen_documents() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let (one, other) = (store(&files).await, store(&files).await);
    let year = |year: u32| json!({"displayName": "a", "customMetadata": [{"key": "year", "numericValue": year}]});
    put(&files, &one, "the heron waits", year(2020)).await;
    put(&files, &one, "the heron flies", year(2024)).await;
    put(&files, &other, "the heron sleeps", json!({})).await;
    let mut found = texts(&files, search(&[&one], "herons", 5)).await;
    found.sort();
    assert_eq!(found, ["the heron flies", "the heron waits"]);
    assert_eq!(texts(&files, search(&[&one, &other], "heron", 5)).await.len(), 3);
    assert_eq!(texts(&files, search(&[&one, &other], "heron", 2)).await.len(), 2);
    let filter = Some(Filter::parse("year > 2020").unwrap());
    assert_eq!(texts(&files, Search { filter, ..search(&[&one], "heron", 5) }).await, ["the heron flies"]);
    let found = files.search(PROJECT, search(&[&one], "waits", 1)).await.unwrap();
    assert_eq!((found[0].display_name.as_str(), found[0].page), ("a", None));
    assert!(found[0].document.starts_with(&format!("fileSearchStores/{one}/documents/a-")));
}

#[tokio::test]
async fn a_name_for_people_is_kept_as_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let store = store(&files).await;
    let name = format!("  Two\nlines \u{202e}{}", "n".repeat(499));
    let made = put(&files, &store, "the heron waits", json!({"displayName": name})).await;
    let id = made.response.document_name.rsplit('/').next().unwrap();
    assert_eq!(files.document(PROJECT, &store, id).await.unwrap().display_name, name);
    let found = files.search(PROJECT, search(&[&store], "heron", 1)).await.unwrap();
    assert_eq!(found[0].display_name, name);
}

#[tokio::test]
async fn a_store_is_there_for_its_project_alone() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let mine = store(&files).await;
    put(&files, &mine, "the heron waits", json!({})).await;
    let stranger = ProjectId(2);
    let error = files.search(stranger, search(&[&mine], "heron", 5)).await.unwrap_err();
    assert_eq!(error.code, Code::NotFound);
    let names = [format!("fileSearchStores/{mine}"), mine.clone(), "fileSearchStores/".to_owned()];
    files.check_stores(PROJECT, &names[..1]).await.unwrap();
    for (at, name) in names.iter().enumerate() {
        let project = if at == 0 { stranger } else { PROJECT };
        let (_, error) = files.check_stores(project, std::slice::from_ref(name)).await.unwrap_err();
        assert_eq!(error.code, Code::NotFound, "{name}");
    }
}

#[tokio::test]
async fn more_projects_than_are_kept_open_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    for project in 1..=20 {
        let request = CreateFileSearchStore { display_name: Some(format!("p{project}")) };
        files.create_store(ProjectId(project), request).await.unwrap();
    }
    for project in 1..=20 {
        let listed = files.stores(ProjectId(project), None, 10).await.unwrap();
        let names: Vec<_> = listed.items.into_iter().map(|store| store.display_name.unwrap()).collect();
        assert_eq!(names, [format!("p{project}")]);
    }
}

#[tokio::test]
async fn a_long_name_is_not_kept_with_every_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let store = store(&files).await;
    let name = format!("{} {}", "stork ".repeat(17), "crane ".repeat(60));
    let body = json!({"displayName": name, "chunkingConfig": {"whiteSpaceConfig": {"maxTokensPerChunk": 8}}});
    put(&files, &store, &"the heron waits ".repeat(1000), body).await;
    assert_eq!(texts(&files, search(&[&store], "stork", 1)).await.len(), 1);
    assert_eq!(texts(&files, search(&[&store], "crane", 1)).await, [""; 0]);
}

#[tokio::test]
async fn a_document_of_too_many_chunks_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let store = store(&files).await;
    let sizes = json!({"chunkingConfig": {"whiteSpaceConfig": {"maxTokensPerChunk": 8}}});
    let upload = begin(&files, &store, sizes).await;
    // Two of these paragraphs are more than a chunk.
    let text = "the heron waits in reeds.\n\n".repeat(100_001);
    let error = files.receive(&upload, 0, text.into(), true, BASE).await.unwrap_err();
    let expected = "`chunkingConfig`: expected at most 100000 chunks of a document, got 100001";
    assert_eq!((error.error.code, error.error.message.as_str()), (Code::InvalidRequest, expected));
    assert_eq!(files.documents(PROJECT, &store, None, 10).await.unwrap().items, []);
}

#[tokio::test]
async fn a_chunk_is_found_by_the_end_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let store = store(&files).await;
    let sizes = |overlap: u32| json!({"chunkingConfig": {"whiteSpaceConfig": {"maxTokensPerChunk": 8, "maxOverlapTokens": overlap}}});
    // Parts of at most 32 characters.
    let text = "the heron waits in the tall reeds and one more sleeps by the water";
    put(&files, &store, text, sizes(0)).await;
    assert_eq!(texts(&files, search(&[&store], "tall", 5)).await, ["the heron waits in the tall"]);
    put(&files, &store, text, sizes(3)).await;
    let mut found = texts(&files, search(&[&store], "tall", 5)).await;
    found.sort();
    let (first, second) = ("the heron waits in the tall", "reeds and one more sleeps by");
    assert_eq!(found, [second, first, first]);
}
