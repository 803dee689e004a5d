//! The process that reads a document, as the executable has it, for this crate's tests.

fn main() -> std::io::Result<()> {
    antiphon_documents::child::run()
}
