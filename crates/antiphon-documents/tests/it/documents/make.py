"""Makes the documents of this folder with real programs. See README.md."""

import datetime
import os
import pathlib
import shutil
import subprocess
import tempfile

import docx
import msoffcrypto.format.ooxml
import openpyxl
import pikepdf
import pptx
import pptx.util
import xlwt
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen import canvas

HERE = pathlib.Path(__file__).parent
WORK = pathlib.Path(tempfile.mkdtemp())

RELATORIO = """<!doctype html><html lang="pt"><head><meta charset="utf-8"><title>Relatório da colheita</title></head><body>
<h1>Relatório da colheita</h1>
<p>A cooperativa de São João colheu maçãs e limões até ao fim do verão. A produção não diminuiu.</p>
<h2>Números do ano</h2>
<table border="1"><tr><th>Fruta</th><th>Toneladas</th></tr><tr><td>Maçã</td><td>120</td></tr><tr><td>Limão</td><td>45</td></tr></table>
<ul><li>Irrigação à noite</li><li>Três armazéns</li></ul>
<p>O relatório termina aqui.</p></body></html>"""


def office(source, kind, *, name=None, reader=None):
    """LibreOffice writes `source` as another kind."""
    subprocess.run(
        ["soffice", f"-env:UserInstallation=file://{WORK}/profile", "--headless", *([f"--infilter={reader}"] if reader else []),
         "--convert-to", kind, "--outdir", WORK, source],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    made = WORK / (pathlib.Path(source).stem + "." + kind.split(":")[0])
    if name:
        shutil.copy(made, HERE / name)
    return made


def word():
    document = docx.Document()
    document.core_properties.title = "Lease of the lighthouse"
    document.add_heading("Lease of the lighthouse", 1)
    document.add_paragraph("The keeper rents the lighthouse for twelve months, beginning on the first of March.")
    document.add_heading("Duties", 2)
    document.add_paragraph("Light the lamp at dusk", style="List Bullet")
    document.add_paragraph("Count the ships", style="List Bullet")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Month", "Rent"
    for month, rent in (("March", "310"), ("April", "320 | 330")):
        cells = table.add_row().cells
        cells[0].text, cells[1].text = month, rent
    document.add_paragraph("Signed by both parties.")
    document.save(HERE / "lease.docx")
    with open(HERE / "lease.docx", "rb") as plain, open(HERE / "encrypted.docx", "wb") as sealed:
        msoffcrypto.format.ooxml.OOXMLFile(plain).encrypt("secret", sealed)


def texts():
    html = WORK / "relatorio.html"
    html.write_text(RELATORIO, encoding="utf-8")
    # As it comes it is a web page to LibreOffice, and its file says so.
    office(html, "odt:writerweb8_writer", name="web.odt")
    odt = office(html, "odt:writer8", name="relatorio.odt", reader="HTML (StarWriter)")
    office(odt, "docx", name="relatorio.docx")
    office(odt, "pdf", name="libreoffice.pdf")
    office(odt, "doc", name="legacy.doc")
    subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", f"--print-to-pdf={HERE}/chromium.pdf", html],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    (HERE / "relatorio.html").write_bytes(RELATORIO.replace("utf-8", "windows-1252").encode("windows-1252"))


def slides():
    deck = pptx.Presentation()
    deck.core_properties.title = "Tides"
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text = "Tides and moons"
    first.placeholders[1].text = "Two tides a day\nSpring tides at full moon"
    first.notes_slide.notes_text_frame.text = "Show the chart of Lisbon."
    second = deck.slides.add_slide(deck.slide_layouts[5])
    second.shapes.title.text = "Alturas da maré"
    size = pptx.util.Inches
    table = second.shapes.add_table(2, 2, size(1), size(2), size(4), size(1)).table
    for at, text in enumerate(("Porto", "Altura", "Leixões", "3,4 m")):
        table.cell(at // 2, at % 2).text = text
    deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = "The end"
    deck.save(HERE / "tides.pptx")
    office(HERE / "tides.pptx", "odp", name="tides.odp")


def sheets():
    book = openpyxl.Workbook()
    prices = book.active
    prices.title = "Prices"
    for row in (("Item", "Each", "Count", "Total", "Since"), ("Rope", 4.5, 3, "=B2*C2", datetime.date(2024, 2, 29)),
                ("Lamp oil", 12, 10, "=B3*C3", datetime.date(2023, 12, 31)), ("Sum", None, None, "=SUM(D2:D3)", None)):
        prices.append(row)
    stock = book.create_sheet("Armazém")
    stock.append(("Peça", "Disponível"))
    stock.append(("Âncora", True))
    hidden = book.create_sheet("Draft")
    hidden.append(("not for others",))
    hidden.sheet_state = "hidden"
    plain = WORK / "prices.xlsx"
    book.save(plain)
    # LibreOffice computes what openpyxl leaves to be computed.
    (WORK / "computed").mkdir()
    ods = office(plain, "ods", name="prices.ods")
    office(ods, "xls", name="prices.xls")
    office(ods, "xlsx", name="prices.xlsx")
    old = xlwt.Workbook()
    sheet = old.add_sheet("Mediciones")
    sheet.write(0, 0, "Ponto")
    sheet.write(0, 1, "Pressão")
    sheet.write(1, 0, "A")
    sheet.write(1, 1, 1013.25)
    old.save(HERE / "xlwt.xls")


def pdfs():
    (WORK / "paper.tex").write_text(
        r"""\documentclass{article}\usepackage[utf8]{inputenc}\title{On efficient offices}\author{}\date{}
\begin{document}\maketitle The first office is efficient: it files affidavits without difficulty.
A sum: $a^2+b^2=c^2$.\newpage Second page, after the first.\end{document}""", encoding="utf-8")
    subprocess.run(["pdflatex", "-interaction=batchmode", "paper.tex"], cwd=WORK, check=True, stdout=subprocess.DEVNULL)
    shutil.copy(WORK / "paper.pdf", HERE / "pdftex.pdf")

    pages = canvas.Canvas(str(HERE / "twelve-pages.pdf"), pagesize=A4)
    pages.setTitle("Twelve pages")
    for number in range(1, 13):
        pages.drawString(72, 700, f"This is page {number} of the twelve that there are.")
        pages.showPage()
    pages.save()

    code = """
import cairo, sys
surface = cairo.PDFSurface(sys.argv[1], 595, 842)
context = cairo.Context(surface)
context.select_font_face("DejaVu Sans")
context.set_font_size(16)
for line, text in enumerate(("Aviso à navegação", "O farol não está aceso até amanhã.", "Ships keep to the south.")):
    context.move_to(72, 100 + 24 * line)
    context.show_text(text)
surface.finish()
"""
    subprocess.run(["/usr/bin/python3", "-c", code, HERE / "cairo.pdf"], check=True)

    # A page of text as a scanner sees it, behind one that has text.
    subprocess.run(["pdftoppm", "-r", "80", "-gray", "-png", "-singlefile", HERE / "cairo.pdf", WORK / "scan"], check=True)
    scan = canvas.Canvas(str(HERE / "scanned.pdf"), pagesize=A4)
    scan.drawString(72, 700, "The page after this one was scanned.")
    scan.showPage()
    scan.drawImage(str(WORK / "scan.png"), 0, 0, *A4)
    scan.showPage()
    scan.showPage()
    scan.save()
    with pikepdf.open(HERE / "twelve-pages.pdf") as pdf:
        pdf.save(HERE / "encrypted.pdf", encryption=pikepdf.Encryption(owner="owner", user="user"))
        pdf.save(HERE / "owner-password.pdf", encryption=pikepdf.Encryption(owner="owner", user=""))


def plain():
    portuguese = "Ação, coração e pão: o avô não está à mesa.\nA pensão custa 30 € por noite, já com o pequeno-almoço.\n"
    (HERE / "windows-1252.txt").write_bytes((portuguese * 3).encode("windows-1252"))
    (HERE / "iso-8859-15.txt").write_bytes((portuguese * 3).encode("iso-8859-15"))
    (HERE / "utf-16.txt").write_bytes(portuguese.encode("utf-16"))
    (HERE / "utf-16be-unmarked.txt").write_bytes(portuguese.encode("utf-16-be"))
    japanese = "灯台の番人は毎晩ランプに火をともします。\n船は南を通ってください。\n"
    (HERE / "shift_jis.txt").write_bytes(japanese.encode("shift_jis"))
    (HERE / "notes.md").write_text("# Lighthouse\n\nThe lamp **turns** every ten seconds. Não há névoa.\n", encoding="utf-8")
    (HERE / "windows-1252.csv").write_bytes("Nome;Preço;Nota\nPão;1,50;\"fresco; do dia\"\nCafé;0,90;|\n".encode("windows-1252"))
    (HERE / "tides.csv").write_text("port,height\nLisbon,3.4\n\"Leixões, north\",3.1\n", encoding="utf-8")
    (HERE / "lamp.json").write_text('{"lamp": {"seconds": 10, "cor": "âmbar"}}\n', encoding="utf-8")


if __name__ == "__main__":
    os.chdir(WORK)
    for make in (word, texts, slides, sheets, pdfs, plain):
        make()
    shutil.rmtree(WORK)
