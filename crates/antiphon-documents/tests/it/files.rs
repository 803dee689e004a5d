//! Documents of real programs; what made which is in `documents/make.py`.

use antiphon_documents::{Document, Kind, Options};
use pretty_assertions::assert_eq;

use crate::world::{file, read, read_as, text};

/// The texts of its parts.
fn texts(document: &Document) -> Vec<&str> {
    document.parts.iter().map(|part| part.text.as_str()).collect()
}

fn whole(name: &str) -> Document {
    let document = read(&file(name)).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    assert_eq!((&document.left_out, &document.note), (&Vec::new(), &None), "{name}");
    document
}

fn plain(name: &str, kind: &str) -> String {
    text(&read_as(&file(name), Some(kind), &Options::default()).unwrap()).to_owned()
}

const LEASE: &str = "\
# Lease of the lighthouse

The keeper rents the lighthouse for twelve months, beginning on the first of March.

## Duties

- Light the lamp at dusk
- Count the ships

| Month | Rent |
|---|---|
| March | 310 |
| April | 320 \\| 330 |

Signed by both parties.";

const RELATORIO: &str = "\
# Relatório da colheita

A cooperativa de São João colheu maçãs e limões até ao fim do verão. A produção não diminuiu.

## Números do ano

| Fruta | Toneladas |
|---|---|
| Maçã | 120 |
| Limão | 45 |

- Irrigação à noite
- Três armazéns

O relatório termina aqui.";

#[test]
fn text_files_of_office_programs() {
    let lease = whole("lease.docx");
    assert_eq!((lease.kind, lease.title.as_deref(), lease.total), (Kind::Docx, Some("Lease of the lighthouse"), 1));
    assert_eq!(text(&lease), LEASE);
    for (name, kind) in [("relatorio.odt", Kind::Odt), ("relatorio.docx", Kind::Docx)] {
        let report = whole(name);
        assert_eq!((report.kind, report.title.as_deref()), (kind, Some("Relatório da colheita")), "{name}");
        assert_eq!(text(&report), RELATORIO, "{name}");
    }
    // What begins a web page is to LibreOffice a paragraph in larger letters.
    let web = whole("web.odt");
    assert_eq!((web.kind, text(&web)), (Kind::Odt, RELATORIO.trim_start_matches("# ")));
}

#[test]
fn pages_of_the_programs_that_write_them() {
    let words = |name: &str| -> Vec<String> {
        let document = whole(name);
        assert_eq!(document.kind, Kind::Pdf);
        // Where lines end is the program's choice.
        texts(&document).iter().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let report = "Relatório da colheita A cooperativa de São João colheu maçãs e limões até ao fim do verão. A produção \
                  não diminuiu. Números do ano Fruta Toneladas Maçã 120 Limão 45 • Irrigação à noite • Três armazéns O \
                  relatório termina aqui.";
    assert_eq!(words("libreoffice.pdf"), [report]);
    // Chromium draws its bullets as shapes.
    assert_eq!(words("chromium.pdf"), [report.replace("• ", "")]);
    assert_eq!(words("cairo.pdf"), ["Aviso à navegação O farol não está aceso até amanhã. Ships keep to the south."]);
    let paper = words("pdftex.pdf");
    assert!(
        paper[0]
            .starts_with("On efficient offices The first office is efficient: it files affidavits without difficulty."),
        "{paper:?}"
    );
    assert!(paper[1].starts_with("Second page, after the first."), "{paper:?}");
    let twelve = whole("twelve-pages.pdf");
    assert_eq!((twelve.title.as_deref(), twelve.total), (Some("Twelve pages"), 12));
    assert_eq!(twelve.parts[11].text, "This is page 12 of the twelve that there are.");
    // One that anybody may read, though not change.
    assert_eq!(texts(&whole("owner-password.pdf")), texts(&twelve));
}

#[test]
fn presentations_slide_by_slide() {
    let first =
        "# Tides and moons\n\nTwo tides a day\n\nSpring tides at full moon\n\nNotes:\n\nShow the chart of Lisbon.";
    let second = "# Alturas da maré\n\n| Porto | Altura |\n|---|---|\n| Leixões | 3,4 m |";
    let deck = whole("tides.pptx");
    assert_eq!((deck.kind, deck.title.as_deref(), deck.total), (Kind::Pptx, Some("Tides"), 3));
    assert_eq!(texts(&deck), [first, second, "# The end"]);
    let labels: Vec<_> = deck.parts.iter().map(|part| part.label.as_str()).collect();
    assert_eq!(labels, ["slide 1", "slide 2", "slide 3"]);
    let open = whole("tides.odp");
    assert_eq!((open.kind, open.total), (Kind::Odp, 3));
    for word in ["Tides and moons", "Two tides a day", "Spring tides at full moon", "Show the chart of Lisbon."] {
        assert!(open.parts[0].text.contains(word), "{:?}", open.parts[0]);
    }
    assert!(open.parts[1].text.contains("| Leixões | 3,4 m |"), "{:?}", open.parts[1]);
}

#[test]
fn spreadsheets_sheet_by_sheet() {
    let prices = "\
|  | A | B | C | D | E |
|---|---|---|---|---|---|
| 1 | Item | Each | Count | Total | Since |
| 2 | Rope | 4.5 | 3 | 13.5 | 2024-02-29 |
| 3 | Lamp oil | 12 | 10 | 120 | 2023-12-31 |
| 4 | Sum |  |  | 133.5 |  |";
    let stock = "|  | A | B |\n|---|---|---|\n| 1 | Peça | Disponível |\n| 2 | Âncora | TRUE |";
    let draft = "|  | A |\n|---|---|\n| 1 | not for others |";
    for (name, kind) in [("prices.xlsx", Kind::Xlsx), ("prices.xls", Kind::Xls), ("prices.ods", Kind::Ods)] {
        let book = whole(name);
        assert_eq!((book.kind, book.total), (kind, 3), "{name}");
        // LibreOffice has no truths there, but numbers that look so.
        let stock = if kind == Kind::Ods { stock.replace("TRUE", "1") } else { stock.to_owned() };
        assert_eq!(texts(&book), [prices, stock.as_str(), draft], "{name}");
        let labels: Vec<_> = book.parts.iter().map(|part| part.label.as_str()).collect();
        assert_eq!(labels, ["sheet `Prices`", "sheet `Armazém`", "sheet `Draft` (hidden)"], "{name}");
    }
    assert_eq!(text(&whole("xlwt.xls")), "|  | A | B |\n|---|---|---|\n| 1 | Ponto | Pressão |\n| 2 | A | 1013.25 |");
}

#[test]
fn text_in_any_encoding() {
    let bread =
        "Ação, coração e pão: o avô não está à mesa.\nA pensão custa 30 € por noite, já com o pequeno-almoço.\n";
    let thrice = bread.repeat(3);
    assert_eq!(plain("windows-1252.txt", "text/plain"), thrice);
    assert_eq!(plain("utf-16.txt", "text/plain"), bread);
    assert_eq!(plain("utf-16be-unmarked.txt", "text/plain"), bread);
    // Its only difference from the one before it in use cannot be seen in bytes: it has to be said.
    assert_eq!(plain("iso-8859-15.txt", "text/plain; charset=ISO-8859-15"), thrice);
    assert_eq!(plain("iso-8859-15.txt", "text/plain"), thrice.replace('€', "¤"));
    let lamp = "灯台の番人は毎晩ランプに火をともします。\n船は南を通ってください。\n";
    assert_eq!(plain("shift_jis.txt", "text/plain"), lamp);
    assert_eq!(text(&whole("shift_jis.txt")), lamp);
    assert_eq!(
        plain("notes.md", "text/markdown"),
        "# Lighthouse\n\nThe lamp **turns** every ten seconds. Não há névoa.\n"
    );
    assert_eq!(plain("lamp.json", "application/json"), "{\"lamp\": {\"seconds\": 10, \"cor\": \"âmbar\"}}\n");
    assert_eq!(plain("lamp.json", "text/x-unheard-of"), "{\"lamp\": {\"seconds\": 10, \"cor\": \"âmbar\"}}\n");
}

#[test]
fn pages_of_the_web() {
    for declared in [Some("text/html"), None] {
        let page = read_as(&file("relatorio.html"), declared, &Options::default()).unwrap();
        assert_eq!((page.kind, page.title.as_deref()), (Kind::Html, Some("Relatório da colheita")));
        assert!(text(&page).contains("colheu maçãs e limões"), "{}", text(&page));
        assert!(text(&page).contains("| Maçã | 120 |"), "{}", text(&page));
    }
}

#[test]
fn tables_of_text() {
    assert_eq!(
        plain("tides.csv", "text/csv"),
        "| port | height |\n|---|---|\n| Lisbon | 3.4 |\n| Leixões, north | 3.1 |"
    );
    let list = "| Nome | Preço | Nota |\n|---|---|---|\n| Pão | 1,50 | fresco; do dia |\n| Café | 0,90 | \\| |";
    assert_eq!(plain("windows-1252.csv", "text/csv"), list);
    // As Windows calls them.
    let called = read_as(&file("windows-1252.csv"), Some("application/vnd.ms-excel"), &Options::default()).unwrap();
    assert_eq!(text(&called), list);
    assert_eq!(called.note.as_deref(), Some("declared as `application/vnd.ms-excel`, read as `text/csv`"));
}

#[test]
fn within_a_family_the_bytes_decide_and_it_is_said() {
    let word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    let report = read_as(&file("relatorio.odt"), Some(word), &Options::default()).unwrap();
    assert_eq!(report.kind, Kind::Odt);
    let note = format!("declared as `{word}`, read as `application/vnd.oasis.opendocument.text`");
    assert_eq!(report.note, Some(note));
    let unsaid = read_as(&file("relatorio.odt"), Some("application/octet-stream"), &Options::default()).unwrap();
    assert_eq!((unsaid.kind, unsaid.note), (Kind::Odt, None));
}
