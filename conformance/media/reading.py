"""What is told of documents that real programs wrote: the words and cells that have to be in it.

The documents are those of the tests of `antiphon-documents`; pages that are pictures are looked at by the networks.
"""

import pathlib

from server import Wrong

DOCUMENTS = pathlib.Path(__file__).parents[2] / "crates/antiphon-documents/tests/it/documents"

OFFICE = "application/vnd.openxmlformats-officedocument."
OPEN = "application/vnd.oasis.opendocument."
REPORT = ["Relatório da colheita", "colheu maçãs e limões até ao fim do verão", "Irrigação à noite"]
FRUIT = ["| Maçã | 120 |", "| Limão | 45 |"]
PRICES = ["[sheet `Prices`]", "| 2 | Rope | 4.5 | 3 | 13.5 | 2024-02-29 |", "[sheet `Armazém`]", "Âncora"]
BREAD = ["Ação, coração e pão: o avô não está à mesa.", "A pensão custa 30 € por noite"]
LAMP = ["灯台の番人は毎晩ランプに火をともします。"]
STATIC = {"type": "static"}
PAGES = {"processing": {**STATIC, "page_options": {"start_page": 11, "end_page": 12}}}
CELLS = {"processing": {**STATIC, "spreadsheet_options": {"sheet_index": 1, "visible_cells": "A2:B3"}}}
FORMULAS = {"processing": {**STATIC, "spreadsheet_options": {"content_layers": ["formulas"]}}}

# File, type, options, what has to be there, and what must not.
DOCUMENTS_TOLD = [
    ("pdftex.pdf", "application/pdf", {}, ["[page 2]", "Second page, after the first.", "it files affidavits"], []),
    ("libreoffice.pdf", "application/pdf", {}, ["São João", "Três armazéns"], []),
    ("chromium.pdf", "application/pdf", {}, ["São João", "Três armazéns"], []),
    ("cairo.pdf", "application/pdf", {}, ["O farol não está aceso até amanhã.", "Ships keep to the south."], []),
    ("twelve-pages.pdf", "application/pdf", {}, ["[page 1]", "This is page 12 of the twelve"], []),
    ("twelve-pages.pdf", "application/pdf", PAGES, ["This is page 11", "This is page 12"], ["This is page 10"]),
    ("owner-password.pdf", "application/pdf", {}, ["This is page 12 of the twelve"], []),
    ("scanned.pdf", "application/pdf", {}, ["The page after this one was scanned.", "O farol não está aceso até amanhã."], []),
    ("lease.docx", OFFICE + "wordprocessingml.document", {}, ["# Lease of the lighthouse", "| March | 310 |"], []),
    ("relatorio.docx", OFFICE + "wordprocessingml.document", {}, REPORT + FRUIT, []),
    ("relatorio.odt", OPEN + "text", {}, REPORT + FRUIT, []),
    ("tides.pptx", OFFICE + "presentationml.presentation", {}, ["[slide 2]", "| Leixões | 3,4 m |", "chart of Lisbon"], []),
    ("tides.odp", OPEN + "presentation", {}, ["Spring tides at full moon", "| Leixões | 3,4 m |"], []),
    ("prices.xlsx", OFFICE + "spreadsheetml.sheet", {}, PRICES, []),
    ("prices.xlsx", OFFICE + "spreadsheetml.sheet", CELLS, ["Rope", "Lamp oil"], ["Since", "Âncora"]),
    ("prices.xlsx", OFFICE + "spreadsheetml.sheet", FORMULAS, ["=", "Rope"], []),
    ("prices.xls", "application/vnd.ms-excel", {}, PRICES, []),
    ("prices.ods", OPEN + "spreadsheet", {}, PRICES, []),
    ("tides.csv", "text/csv", {}, ["| port | height |", "| Leixões, north | 3.1 |"], []),
    ("windows-1252.csv", "text/csv", {}, ["| Nome | Preço | Nota |", "| Pão | 1,50 | fresco; do dia |"], []),
    ("windows-1252.csv", "text/csv; charset=windows-1252", {}, ["| Café | 0,90 |"], []),
    ("relatorio.html", "text/html", {}, REPORT + FRUIT, ["<p>", "</"]),
    ("windows-1252.txt", "text/plain", {}, BREAD, []),
    ("iso-8859-15.txt", "text/plain; charset=iso-8859-15", {}, BREAD, []),
    ("utf-16.txt", "text/plain", {}, BREAD, []),
    ("utf-16be-unmarked.txt", "text/plain", {}, BREAD, []),
    ("shift_jis.txt", "text/plain", {}, LAMP, []),
    ("notes.md", "text/markdown", {}, ["# Lighthouse", "Não há névoa."], []),
    ("lamp.json", "application/json", {}, ['"cor": "âmbar"'], []),
    ("relatorio.odt", "", {}, REPORT, []),
]


def check(server):
    """Yields what was checked, and whether it is so."""
    for name, mime_type, options, wanted, unwanted in DOCUMENTS_TOLD:
        try:
            told = server.told("document", mime_type, (DOCUMENTS / name).read_bytes(), **options)
        except Wrong as wrong:
            yield f"{name}: {wrong}", False
            continue
        faults = [f"`{word}` is missing" for word in wanted if word not in told.text]
        faults += [f"`{word}` is there" for word in unwanted if word in told.text]
        shown = f", in {told.text}" if faults else ""
        asked = f" with {options['processing']}" if options else ""
        said = "; ".join(faults) or "all that was looked for"
        yield f"{name} as {mime_type or 'nothing'}{asked}: {said}{shown}", not faults
