//! The executable's own reader of documents.

use std::time::Duration;

use antiphon_documents::confined::Program;
use antiphon_documents::{Fault, Kind, Options, Reader};

use crate::server::executable;

#[tokio::test]
async fn a_document_is_read_by_the_executable_in_a_process_of_its_own() {
    let reader = Reader::new(Program { executable: executable(), arguments: vec!["read-document".to_owned()] });
    let reader = reader.within(Duration::from_secs(60));
    let document = reader.read(&b"a;b\n1;2\n"[..], Some("text/csv"), &Options::default()).await.unwrap();
    assert_eq!((document.kind, document.parts[0].text.as_str()), (Kind::Csv, "| a | b |\n|---|---|\n| 1 | 2 |"));
    let fault = reader.read(&b"%PDF-1.7"[..], None, &Options::default()).await.unwrap_err();
    assert!(matches!(fault, Fault::Unreadable { .. }), "{fault}");
}
