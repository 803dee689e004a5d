//! PDFs: pages that are pictures, and pictures of pages.

use antiphon_documents::Picture;
use pretty_assertions::assert_eq;

use crate::world::{file, page, read, reader, stream, wait};

fn render(bytes: &[u8], page: u32) -> Result<Picture, String> {
    wait(reader().render(bytes, page)).map_err(|fault| fault.to_string())
}

/// How many pixels are darker than they are light.
fn dark(picture: &Picture) -> usize {
    picture.pixels.chunks_exact(3).filter(|pixel| pixel.iter().map(|part| u32::from(*part)).sum::<u32>() < 384).count()
}

#[test]
fn pages_without_text_are_known_as_pictures() {
    let document = read(&file("scanned.pdf")).unwrap();
    let seen: Vec<_> = document.parts.iter().map(|part| (part.text.as_str(), part.scanned)).collect();
    // The last one is blank: there is nothing in its picture either.
    assert_eq!(seen, [("The page after this one was scanned.", false), ("", true), ("", false)]);
}

#[test]
fn pages_become_pictures_of_their_size() {
    let pages: Vec<_> = [1, 2, 3].map(|number| render(&file("scanned.pdf"), number).unwrap()).into();
    for picture in &pages {
        assert_eq!((picture.width, picture.height), (1240, 1753));
        assert_eq!(picture.pixels.len(), 1240 * 1753 * 3);
    }
    let inked: Vec<_> = pages.iter().map(dark).collect();
    // A line of text, three of larger letters, and nothing.
    assert!(inked[0] > 500 && inked[1] > 1000 && inked[2] == 0, "{inked:?}");
    assert_eq!(render(&file("scanned.pdf"), 4), Err("`page`: expected a page from 1 to 3, got 4".to_owned()));
    assert_eq!(render(&file("scanned.pdf"), 0), Err("`page`: expected a page from 1 to 3, got 0".to_owned()));
}

#[test]
fn huge_pages_become_bounded_pictures() {
    let draw = || stream("", b"0 0 9 9 re f");
    let huge = render(&page("0 0 14400 7200", draw(), Vec::new()), 1).unwrap();
    assert_eq!((huge.width, huge.height), (4000, 2000));
    for size in [
        "0 0 1000000000 1000000000",
        "0 0 0.001 100000",
        "0 0 99999999999999999999999999999999999999999 1",
        "0 0 -1 -1",
    ] {
        if let Ok(picture) = render(&page(size, draw(), Vec::new()), 1) {
            assert!(picture.width <= 4000 && picture.height <= 4000, "{size}");
        }
    }
}

#[test]
fn what_cannot_be_read_cannot_be_drawn() {
    let broken = "the document could not be decoded as application/pdf: its structure is broken";
    assert_eq!(render(b"no pdf", 1), Err(broken.to_owned()));
    let sealed = render(&file("encrypted.pdf"), 1).unwrap_err();
    assert!(sealed.starts_with("the document is an encrypted `application/pdf`"), "{sealed}");
}
