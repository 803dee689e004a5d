//! Answers as models write them, with what may be cited in each, written by hand.
//!
//! The floors are those of rows that the rules were made with, and so say that nothing got worse, not how good the
//! rules are. Two groups of rows were written when the rules stood: in those, 24 of 32 citations were right, and 24
//! of 28 were found, before the rules were mended for some of the others.

use std::collections::BTreeSet;

use antiphon_citation::{Citer, Source};

use crate::text::source;

/// A name, the answer, and the citations it should get: the text of the span and the source.
struct Row(&'static str, &'static str, &'static [(&'static str, u32)]);

/// What a lexical method cannot tell apart, or does not find. Each stays below as it should be.
const NOT_TOLD: &[&str] = &["the other row", "deaths exchanged", "rounded"];

/// Of all citations of the rows, and of those that should be made.
const PRECISION: f64 = 0.97;
const RECALL: f64 = 0.95;

fn sources() -> Vec<Source> {
    vec![
        source(
            1,
            "2010 FIFA World Cup final",
            "The 2010 FIFA World Cup final was the football match that decided the winner of the 2010 FIFA World Cup. \
             It was played at Soccer City in Johannesburg, South Africa, on 11 July 2010.[1] Spain defeated the \
             Netherlands 1–0 after extra time. Andrés Iniesta scored the winning goal in the 116th minute.\n\
             Howard Webb of England refereed the match and showed 14 yellow cards. England did not reach the final; \
             they lost to Germany in the round of 16. The attendance was 84,490.",
        ),
        source(
            2,
            "Eiffel Tower - A travel guide",
            "Home\nTickets\nContact\n\nThe Eiffel Tower is a wrought-iron lattice tower in Paris, France. It is named after the \
             engineer Gustave Eiffel, whose company designed and built the tower from 1887 to 1889. The tower is 330 \
             metres tall, about the same height as an 81-storey building. It was the tallest structure in the world \
             until the Chrysler Building in New York City was finished in 1930. In 2022 it had 5,889,000 visitors. \
             The tower does not open at night.",
        ),
        source(
            3,
            "São Paulo – Enciclopédia",
            "São Paulo é o município mais populoso do Brasil. Segundo o censo de 2022, a cidade tem 11.451.999 \
             habitantes. São Paulo foi fundada em 25 de janeiro de 1554 por padres jesuítas. O Museu de Arte de São \
             Paulo fica na Avenida Paulista. O metrô foi inaugurado em 1974 e tem 104 quilômetros de extensão.\n\
             O Corinthians venceu o Mundial de Clubes de 2012 ao derrotar o Chelsea por 1 a 0, com gol de Paolo \
             Guerrero. O Palmeiras não venceu o Mundial de Clubes.",
        ),
        source(
            4,
            "Vaccine trial results",
            "The trial enrolled 43,548 participants. The vaccine was 95% effective against COVID-19. The study did \
             not find serious side effects. Two doses were given 21 days apart. Dr. Kathrin Jansen of Pfizer led the \
             vaccine research. The U.S. Food and Drug Administration approved the vaccine on August 23, 2021. The \
             World Health Organization listed it for emergency use.",
        ),
        source(
            5,
            "Acme Corp. annual report 2023",
            "Acme Corp. reported revenue of $3.5 billion in 2023, up 12% from 2022. Net profit fell to $210 million. \
             Chief executive Jane Smith said the company would not cut jobs. Acme opened a factory in Texas and \
             closed its plant in Ohio. North America brought in 60% of sales. Denis Suárez joined the board in May \
             2021. Bolt acquired Gear in 2019.",
        ),
        source(
            6,
            "Marie Curie | Biography",
            "Marie Skłodowska Curie (7 November 1867 – 4 July 1934) was a Polish-French physicist and chemist. She was \
             the first woman to win a Nobel Prize and the only person to win it in two scientific fields. In 1903 she \
             shared the Nobel Prize in Physics with her husband Pierre Curie and Henri Becquerel. In 1911 she won the \
             Nobel Prize in Chemistry for the discovery of polonium and radium. She never became a member of the \
             French Academy of Sciences.",
        ),
        source(
            7,
            "Water - Chemistry notes",
            "Water boils at 100 °C at sea level and freezes at 0 °C. Its density is highest at 4 °C. | Substance | \
             Boiling point |\n| Water | 100 °C |\n| Ethanol | 78 °C |\n\nIce is less dense than liquid water, so it \
             floats. Sea water contains about 3.5% salt. Water does not conduct electricity well when pure.",
        ),
        source(
            9,
            "Golden Gate Bridge",
            "The Golden Gate Bridge is a suspension bridge that connects San Francisco with Marin County in California. \
             It is 2,737 metres long and was opened on 27 May 1937. Joseph Strauss was its chief engineer, while Charles \
             Ellis did much of the design work. It is painted in a colour called International Orange. It cost more than \
             $35 million; a bond of $30 million was voted in 1930. Eleven men died during construction, and nineteen men \
             were saved by a safety net.",
        ),
        source(
            10,
            "Machado de Assis – Biografia",
            "Joaquim Maria Machado de Assis nasceu no Rio de Janeiro em 21 de junho de 1839. Nunca frequentou a \
             universidade. Em 1881 publicou Memórias Póstumas de Brás Cubas, e em 1899, Dom Casmurro. Fundou a Academia \
             Brasileira de Letras e foi o seu primeiro presidente. Morreu em 1908, no Rio de Janeiro. O seu amigo Joaquim \
             Nabuco viveu em Salvador.",
        ),
        source(
            8,
            "Banco Central mantém juros",
            "O Banco Central manteve a taxa básica de juros em 10,5% ao ano em julho de 2024. A inflação subiu para \
             4,23% em 12 meses. O ministro Fernando Haddad disse que o governo cortará R$ 15 bilhões em gastos. O dólar \
             fechou em queda de 0,8%, a R$ 5,41. A Petrobras lucrou R$ 23,7 bilhões no primeiro trimestre, e a Vale \
             perdeu valor de mercado.",
        ),
    ]
}

const ROWS: &[Row] = &[
    // Spans.
    Row(
        "mark after the stop",
        "Spain defeated the Netherlands 1–0 after extra time.⟦1⟧",
        &[("Spain defeated the Netherlands 1–0 after extra time.", 1)],
    ),
    Row(
        "mark before the stop",
        "Spain defeated the Netherlands 1–0 ⟦1⟧.",
        &[("Spain defeated the Netherlands 1–0", 1)],
    ),
    Row(
        "mark of one sentence, none of the next",
        "Spain won. The attendance was 84,490. ⟦1⟧ It was a nice evening for everyone.",
        &[("The attendance was 84,490.", 1)],
    ),
    Row(
        "two parts of a sentence",
        "The Eiffel Tower is 330 metres tall ⟦2⟧ and São Paulo foi fundada em 1554 ⟦3⟧.",
        &[("The Eiffel Tower is 330 metres tall", 2), ("and São Paulo foi fundada em 1554", 3)],
    ),
    Row(
        "abbreviations do not end a sentence",
        "Dr. Kathrin Jansen of Pfizer led the vaccine research, e.g. the trial.⟦4⟧ Good.",
        &[("Dr. Kathrin Jansen of Pfizer led the vaccine research, e.g. the trial.", 4)],
    ),
    Row(
        "the U.S. does not either",
        "The U.S. Food and Drug Administration approved the vaccine on August 23, 2021 ⟦4⟧.",
        &[("The U.S. Food and Drug Administration approved the vaccine on August 23, 2021", 4)],
    ),
    Row("decimals do not either", "Revenue was $3.5 billion in 2023.⟦5⟧", &[("Revenue was $3.5 billion in 2023.", 5)]),
    Row(
        "items of a list",
        "Facts:\n\n- The attendance was 84,490 ⟦1⟧\n- The tower is 330 metres tall ⟦2⟧\n\nThat is all.",
        &[("The attendance was 84,490", 1), ("The tower is 330 metres tall", 2)],
    ),
    Row(
        "numbered list",
        "1. Andrés Iniesta scored in the 116th minute.⟦1⟧\n2. The trial enrolled 43,548 participants.⟦4⟧",
        &[("Andrés Iniesta scored in the 116th minute.", 1), ("The trial enrolled 43,548 participants.", 4)],
    ),
    Row(
        "marker before its sentence",
        "Facts.\n⟦2⟧ The tower is 330 metres tall.\n⟦1⟧ The attendance was 84,490.",
        &[("The tower is 330 metres tall.", 2), ("The attendance was 84,490.", 1)],
    ),
    Row(
        "multi-byte text before",
        "🐕 Olá! O Museu de Arte de São Paulo fica na Avenida Paulista.⟦3⟧",
        &[("O Museu de Arte de São Paulo fica na Avenida Paulista.", 3)],
    ),
    Row(
        "decomposed accents",
        "Andre\u{301}s Iniesta scored the winning goal.⟦1⟧",
        &[("Andre\u{301}s Iniesta scored the winning goal.", 1)],
    ),
    Row(
        "a soft line break",
        "The vaccine was 95% effective\nagainst COVID-19.⟦4⟧",
        &[("The vaccine was 95% effective\nagainst COVID-19.", 4)],
    ),
    Row("code is no sentence", "```\nThe attendance was 84,490. ⟦1⟧\n```\nDone.", &[]),
    Row("plain marker", "The attendance was 84,490 [1].", &[("The attendance was 84,490", 1)]),
    Row("source marker", "The tower is 330 metres tall (source 2).", &[("The tower is 330 metres tall", 2)]),
    Row("fonte", "O metrô foi inaugurado em 1974 [Fonte 3].", &[("O metrô foi inaugurado em 1974", 3)]),
    // Facts that are turned.
    Row("another winner", "England defeated the Netherlands 1–0 after extra time.⟦1⟧", &[]),
    Row("another loser", "Spain defeated Germany 1–0 after extra time.⟦1⟧", &[]),
    Row("winner and loser changed places", "The Netherlands defeated Spain 1–0 after extra time.⟦1⟧", &[]),
    Row(
        "passive voice",
        "The Netherlands were defeated by Spain after extra time.⟦1⟧",
        &[("The Netherlands were defeated by Spain after extra time.", 1)],
    ),
    Row("another score", "Spain defeated the Netherlands 2–0 after extra time.⟦1⟧", &[]),
    Row("another minute", "Andrés Iniesta scored the winning goal in the 117th minute.⟦1⟧", &[]),
    Row("another scorer", "Xavi scored the winning goal in the 116th minute.⟦1⟧", &[]),
    Row("another year", "It was played in Johannesburg on 11 July 2011.⟦1⟧", &[]),
    Row("another month", "The final was played in Johannesburg on 11 June 2010.⟦1⟧", &[]),
    Row("another height", "The Eiffel Tower is 303 metres tall.⟦2⟧", &[]),
    Row("another place", "The Eiffel Tower is a lattice tower in Lyon, France.⟦2⟧", &[]),
    Row("numbers that belong to something else", "The tower is 81 metres tall.⟦2⟧", &[]),
    Row("another share", "The vaccine was 59% effective against COVID-19.⟦4⟧", &[]),
    Row("another unit", "Acme reported revenue of $3.5 million in 2023.⟦5⟧", &[]),
    Row("rose, not fell", "Net profit rose to $210 million.⟦5⟧", &[]),
    Row("opened and closed", "Acme opened a factory in Ohio and closed its plant in Texas.⟦5⟧", &[]),
    Row("another first name", "Luis Suárez joined the board in May 2021.⟦5⟧", &[]),
    Row("south, not north", "South America brought in 60% of sales.⟦5⟧", &[]),
    Row("who acquired whom", "Gear acquired Bolt in 2019.⟦5⟧", &[]),
    Row("outro vencedor", "O Santos venceu o Mundial de Clubes de 2012.⟦3⟧", &[]),
    Row("outro ano", "São Paulo foi fundada em 25 de janeiro de 1545.⟦3⟧", &[]),
    Row("outro mês", "São Paulo foi fundada em 25 de março de 1554.⟦3⟧", &[]),
    Row("outro placar", "O Corinthians derrotou o Chelsea por 2 a 0.⟦3⟧", &[]),
    // Negation.
    Row("did not win", "Spain did not defeat the Netherlands 1–0.⟦1⟧", &[]),
    Row("did reach", "England did reach the final.⟦1⟧", &[]),
    Row("did not reach", "England did not reach the final.⟦1⟧", &[("England did not reach the final.", 1)]),
    Row("didn't reach", "England didn't reach the final.⟦1⟧", &[("England didn't reach the final.", 1)]),
    Row("found side effects", "The study found serious side effects.⟦4⟧", &[]),
    Row("não venceu", "O Corinthians não venceu o Mundial de Clubes de 2012.⟦3⟧", &[]),
    Row(
        "o que não venceu",
        "O Palmeiras não venceu o Mundial de Clubes.⟦3⟧",
        &[("O Palmeiras não venceu o Mundial de Clubes.", 3)],
    ),
    Row("venceu sem ter vencido", "O Palmeiras venceu o Mundial de Clubes.⟦3⟧", &[]),
    Row("would cut", "Jane Smith said the company would cut jobs.⟦5⟧", &[]),
    // Said in other words, and still borne out.
    Row(
        "verb forms",
        "Iniesta scores the winning goal in the 116th minute.⟦1⟧",
        &[("Iniesta scores the winning goal in the 116th minute.", 1)],
    ),
    Row(
        "two sentences of the source",
        "Spain defeated the Netherlands 1–0 in Johannesburg on 11 July 2010.⟦1⟧",
        &[("Spain defeated the Netherlands 1–0 in Johannesburg on 11 July 2010.", 1)],
    ),
    Row(
        "the title's words",
        "Spain won the 2010 FIFA World Cup final 1–0.⟦1⟧",
        &[("Spain won the 2010 FIFA World Cup final 1–0.", 1)],
    ),
    Row("ISO date", "The vaccine was approved on 2021-08-23.⟦4⟧", &[("The vaccine was approved on 2021-08-23.", 4)]),
    Row(
        "figures for words",
        "The 2 doses were given 21 days apart.⟦4⟧",
        &[("The 2 doses were given 21 days apart.", 4)],
    ),
    Row(
        "written-out thousands",
        "In 2022 the tower had 5.889 million visitors.⟦2⟧",
        &[("In 2022 the tower had 5.889 million visitors.", 2)],
    ),
    Row("an acronym", "The WHO listed it for emergency use.⟦4⟧", &[("The WHO listed it for emergency use.", 4)]),
    Row(
        "número por extenso",
        "São Paulo tem 11,451,999 habitantes, segundo o censo de 2022.⟦3⟧",
        &[("São Paulo tem 11,451,999 habitantes, segundo o censo de 2022.", 3)],
    ),
    Row(
        "sem acentos",
        "Sao Paulo e o municipio mais populoso do Brasil.⟦3⟧",
        &[("Sao Paulo e o municipio mais populoso do Brasil.", 3)],
    ),
    // The wrong number.
    Row(
        "number of another source",
        "The Eiffel Tower is 330 metres tall.⟦1⟧",
        &[("The Eiffel Tower is 330 metres tall.", 2)],
    ),
    Row("unknown number", "The Eiffel Tower is 330 metres tall.⟦99⟧", &[("The Eiffel Tower is 330 metres tall.", 2)]),
    Row(
        "one of two",
        "The trial enrolled 43,548 participants.⟦4,5⟧",
        &[("The trial enrolled 43,548 participants.", 4)],
    ),
    Row("nothing of it", "Bananas are rich in potassium.⟦1⟧⟦2⟧", &[]),
    // Without markers.
    Row(
        "unmarked facts",
        "I found the following about the Eiffel Tower in Paris. The Eiffel Tower is a wrought-iron lattice tower in \
         Paris, France. It is lovely. Do you want to know more about the Eiffel Tower in Paris?",
        &[("The Eiffel Tower is a wrought-iron lattice tower in Paris, France.", 2)],
    ),
    Row("unmarked and turned", "England defeated the Netherlands 1–0 after extra time.", &[]),
    Row("unmarked and vague", "Paris is a nice city. The Eiffel Tower is there. Many people travel to France.", &[]),
    Row("unmarked heading", "# The 2010 FIFA World Cup final in Johannesburg\n\nHere is what I know:", &[]),
    Row(
        "sem marcas",
        "O Corinthians venceu o Mundial de Clubes de 2012. Que bom! Posso ajudar em algo mais?",
        &[("O Corinthians venceu o Mundial de Clubes de 2012.", 3)],
    ),
    Row(
        "unmarked list",
        "- **Attendance:** the attendance was 84,490\n- Howard Webb refereed the match",
        &[("Howard Webb refereed the match", 1)],
    ),
    Row("unmarked number of something else", "Acme reported revenue of $210 million in 2023.", &[]),
    // The first group that was written afterwards.
    Row(
        "the first of two prizes",
        "In 1903 she shared the Nobel Prize in Physics with Pierre Curie.⟦6⟧",
        &[("In 1903 she shared the Nobel Prize in Physics with Pierre Curie.", 6)],
    ),
    Row(
        "a name for a pronoun",
        "Marie Curie won the Nobel Prize in Chemistry in 1911 ⟦6⟧.",
        &[("Marie Curie won the Nobel Prize in Chemistry in 1911", 6)],
    ),
    Row("the other prize's year", "Marie Curie won the Nobel Prize in Chemistry in 1903 ⟦6⟧.", &[]),
    Row("the other prize's field", "In 1911 she won the Nobel Prize in Physics.⟦6⟧", &[]),
    Row("another discovery", "Marie Curie discovered uranium in 1911.⟦6⟧", &[]),
    Row("another husband", "She shared the Nobel Prize in Physics with her husband Albert Einstein.⟦6⟧", &[]),
    Row("born", "Marie Curie was born on 7 November 1867.⟦6⟧", &[("Marie Curie was born on 7 November 1867.", 6)]),
    Row("born a day later", "Marie Curie was born on 8 November 1867.⟦6⟧", &[]),
    Row("became a member", "She became a member of the French Academy of Sciences.⟦6⟧", &[]),
    Row(
        "never became a member",
        "She never became a member of the French Academy of Sciences.⟦6⟧",
        &[("She never became a member of the French Academy of Sciences.", 6)],
    ),
    Row("boils", "At sea level, water boils at 100 °C.⟦7⟧", &[("At sea level, water boils at 100 °C.", 7)]),
    Row("freezes at the other", "Water freezes at 100 °C.⟦7⟧", &[]),
    Row(
        "a row of a table",
        "The boiling point of ethanol is 78 °C.⟦7⟧",
        &[("The boiling point of ethanol is 78 °C.", 7)],
    ),
    Row("the other row", "The boiling point of ethanol is 100 °C.⟦7⟧", &[]),
    Row("more dense", "Ice is more dense than liquid water.⟦7⟧", &[]),
    Row("salt", "Sea water contains about 3.5% salt [7].", &[("Sea water contains about 3.5% salt", 7)]),
    Row("salt by another point", "Sea water contains about 35% salt [7].", &[]),
    Row("conducts", "Pure water conducts electricity well.⟦7⟧", &[]),
    Row(
        "juros",
        "O Banco Central manteve os juros em 10,5% em julho de 2024.⟦8⟧",
        &[("O Banco Central manteve os juros em 10,5% em julho de 2024.", 8)],
    ),
    Row(
        "juros com ponto",
        "A taxa de juros ficou em 10.5% ao ano ⟦8⟧.",
        &[("A taxa de juros ficou em 10.5% ao ano", 8)],
    ),
    Row("juros errados", "O Banco Central manteve os juros em 10,75%.⟦8⟧", &[]),
    Row("inflação caiu", "A inflação caiu para 4,23% em 12 meses.⟦8⟧", &[]),
    Row(
        "bilhões",
        "O governo cortará R$ 15 bilhões, disse Fernando Haddad.⟦8⟧",
        &[("O governo cortará R$ 15 bilhões, disse Fernando Haddad.", 8)],
    ),
    Row("milhões", "O governo cortará R$ 15 milhões, disse Fernando Haddad.⟦8⟧", &[]),
    Row("outra empresa", "A Vale lucrou R$ 23,7 bilhões no primeiro trimestre.⟦8⟧", &[]),
    Row("a mesma empresa", "A Petrobras lucrou R$ 23,7 bilhões.⟦8⟧", &[("A Petrobras lucrou R$ 23,7 bilhões.", 8)]),
    Row("dólar", "O dólar fechou a R$ 5,41 (fonte 8).", &[("O dólar fechou a R$ 5,41", 8)]),
    Row(
        "a whole answer, unmarked",
        "Sure! Marie Skłodowska Curie was a Polish-French physicist and chemist. In 1911 she won the Nobel Prize in \
         Chemistry for the discovery of polonium and radium. She is an inspiration to many. Water boils at 100 °C at \
         sea level. I hope this helps!",
        &[
            ("Marie Skłodowska Curie was a Polish-French physicist and chemist.", 6),
            ("In 1911 she won the Nobel Prize in Chemistry for the discovery of polonium and radium.", 6),
            ("Water boils at 100 °C at sea level.", 7),
        ],
    ),
    Row("unmarked and not said", "Marie Curie won the Nobel Prize in Literature in 1911.", &[]),
    Row(
        "juros sem marcas, com outro valor",
        "O Banco Central manteve a taxa de juros em 11,5% ao ano em julho de 2024.",
        &[],
    ),
    // The second one.
    Row("a bridge's length", "The bridge is 2,737 metres long.⟦9⟧", &[("The bridge is 2,737 metres long.", 9)]),
    Row("another opening", "It opened on 27 May 1938 [9].", &[]),
    Row(
        "opened in May",
        "The Golden Gate Bridge opened on May 27, 1937 [9].",
        &[("The Golden Gate Bridge opened on May 27, 1937", 9)],
    ),
    Row("between others", "The Golden Gate Bridge connects San Francisco and Oakland.⟦9⟧", &[]),
    Row(
        "the other way round",
        "The bridge connects Marin County with San Francisco.⟦9⟧",
        &[("The bridge connects Marin County with San Francisco.", 9)],
    ),
    Row("another engineer", "Charles Ellis was its chief engineer.⟦9⟧", &[]),
    Row(
        "designer",
        "Charles Ellis did much of the design work.⟦9⟧",
        &[("Charles Ellis did much of the design work.", 9)],
    ),
    Row(
        "paint",
        "The bridge is painted International Orange (⟦9⟧).",
        &[("The bridge is painted International Orange", 9)],
    ),
    Row(
        "deaths",
        "11 men died during construction ⟦9⟧, and 19 were saved by the net ⟦9⟧.",
        &[("11 men died during construction", 9), ("and 19 were saved by the net", 9)],
    ),
    Row("deaths exchanged", "19 men died during construction ⟦9⟧.", &[]),
    Row("cheaper", "It cost $27 million ⟦9⟧.", &[]),
    Row("cost", "It cost more than $35 million ⟦9⟧.", &[("It cost more than $35 million", 9)]),
    Row(
        "nascido",
        "Machado de Assis nasceu em 1839 no Rio de Janeiro.⟦10⟧",
        &[("Machado de Assis nasceu em 1839 no Rio de Janeiro.", 10)],
    ),
    Row("nascido noutro lugar", "Machado de Assis nasceu em 1839 em Salvador.⟦10⟧", &[]),
    Row(
        "fundou",
        "Ele foi o primeiro presidente da Academia Brasileira de Letras.⟦10⟧",
        &[("Ele foi o primeiro presidente da Academia Brasileira de Letras.", 10)],
    ),
    Row("não frequentou", "Machado frequentou a universidade.⟦10⟧", &[]),
    Row("romance de outro ano", "Dom Casmurro foi publicado em 1881.⟦10⟧", &[]),
    Row("romance", "Dom Casmurro foi publicado em 1899.⟦10⟧", &[("Dom Casmurro foi publicado em 1899.", 10)]),
    Row(
        "dois romances",
        "Publicou Memórias Póstumas de Brás Cubas em 1881 ⟦10⟧ e Dom Casmurro em 1899 ⟦10⟧.",
        &[("Publicou Memórias Póstumas de Brás Cubas em 1881", 10), ("e Dom Casmurro em 1899", 10)],
    ),
    // Beyond the words.
    Row("two facts in a sentence", "Acme opened a plant in Ohio.⟦5⟧", &[]),
    Row("hearsay", "It is false that Spain defeated the Netherlands 1–0.⟦1⟧", &[]),
    Row(
        "other words",
        "The Dutch were beaten by the Spanish side.⟦1⟧",
        &[("The Dutch were beaten by the Spanish side.", 1)],
    ),
    Row(
        "another language",
        "A Torre Eiffel tem 330 metros de altura.⟦2⟧",
        &[("A Torre Eiffel tem 330 metros de altura.", 2)],
    ),
    Row(
        "rounded",
        "Nearly 6 million people visited the tower in 2022.⟦2⟧",
        &[("Nearly 6 million people visited the tower in 2022.", 2)],
    ),
];

/// The shown text of an answer, and each citation as the text of its span and its source.
fn cite(answer: &str) -> (String, BTreeSet<(String, u32)>) {
    let mut citer = Citer::new(sources());
    let mut cited = citer.push(answer);
    let rest = citer.finish();
    cited.text.push_str(&rest.text);
    cited.citations.extend(rest.citations);
    let span = |start, end| cited.text.get(start..end).expect("a span between characters").to_owned();
    let found = cited.citations.iter().map(|found| (span(found.start, found.end), found.source)).collect();
    (cited.text, found)
}

#[test]
fn rows_are_cited_as_they_should_be() {
    let (mut right, mut made, mut due) = (0_u32, 0_u32, 0_u32);
    let mut others = Vec::new();
    for Row(name, answer, expected) in ROWS {
        let expected: BTreeSet<_> = expected.iter().map(|(span, source)| ((*span).to_owned(), *source)).collect();
        let (_, found) = cite(answer);
        right += u32::try_from(found.intersection(&expected).count()).expect("few");
        made += u32::try_from(found.len()).expect("few");
        due += u32::try_from(expected.len()).expect("few");
        if found != expected {
            println!("{name}: {found:?} and not {expected:?}");
            others.push(*name);
        }
    }
    let (precision, recall) = (f64::from(right) / f64::from(made), f64::from(right) / f64::from(due));
    println!("{} rows: precision {precision:.3}, recall {recall:.3}", ROWS.len());
    assert_eq!(others, NOT_TOLD);
    assert!(precision >= PRECISION && recall >= RECALL, "precision {precision:.3}, recall {recall:.3}");
}

#[test]
fn a_title_says_what_a_whole_source_is_about() {
    let page = |text: &str| vec![source(1, "UEFA Euro 2024", text)];
    let cited = |text: &str| {
        let mut citer = Citer::new(page(text));
        let shown = citer.push("Spain won the Euro 2024.");
        let rest = citer.finish();
        shown.citations.len() + rest.citations.len()
    };
    assert_eq!(cited("It was played in Germany. Spain won the tournament: they beat England in the final."), 1);
    assert_eq!(cited("It was played in Germany. England won the tournament: they beat Spain in the final."), 0);
    assert_eq!(cited("It was played in Germany. Spain played in white."), 0);
}

#[test]
fn what_is_not_borne_out_is_counted() {
    let mut citer = Citer::new(sources());
    citer.push("Xavi scored.⟦1⟧ The attendance was 84,490.⟦1,99⟧ Bananas are rich in potassium.⟦2,3⟧⟦97⟧");
    citer.finish();
    assert_eq!(citer.dropped(), 5);
}

#[test]
fn citations_come_when_their_sentence_is_closed() {
    let mut citer = Citer::new(sources());
    let counts: Vec<_> = ["The attendance was 84,490.", "⟦1⟧", " ", "It", " was", " late.\n", "\n", "T"]
        .map(|piece| citer.push(piece).citations.len())
        .to_vec();
    assert_eq!(counts, [0, 0, 0, 0, 1, 0, 0, 0]);
}

#[test]
fn what_is_too_long_is_passed_over() {
    let long = format!("Facts {}.⟦1⟧ ", "and words ".repeat(1000));
    let (text, found) = cite(&format!("{long}The attendance was 84,490.⟦1⟧ {long}The tower is 330 metres tall.⟦2⟧"));
    assert!(!text.contains('⟦'));
    let expected = [("The attendance was 84,490.", 1), ("The tower is 330 metres tall.", 2)];
    assert_eq!(found, expected.map(|(span, source)| (span.to_owned(), source)).into());
}

#[test]
fn only_so_many_sources_are_taken() {
    let many = (0..100).map(|number| source(number, "", "The attendance was 84,490."));
    let mut citer = Citer::new(many);
    assert!(citer.source(63).is_some() && citer.source(64).is_none());
    let mut cited = citer.push("The attendance was 84,490.⟦63⟧ The attendance was 84,490.⟦64⟧");
    cited.citations.extend(citer.finish().citations);
    let found: Vec<_> = cited.citations.iter().map(|found| (found.start, found.end, found.source)).collect();
    assert_eq!((found, citer.dropped()), (vec![(0, 26, 63)], 1));
}

#[test]
fn a_place_before_a_word_has_not_done_what_the_word_says() {
    let lake = "The lake is formed by a dam on the Molonglo River and was filled in 1964. Parliament met in Melbourne and \
                moved in 1927. The cup was played for in Munich and won in 1974 by Anna Berg.";
    let cited = |answer: &str| {
        let mut citer = Citer::new([source(1, "Canberra", lake)]);
        let mut found = citer.push(answer).citations;
        found.extend(citer.finish().citations);
        !found.is_empty()
    };
    for answer in ["The lake of Canberra was filled in 1964.", "Anna Berg won the cup in 1974."] {
        assert!(cited(answer), "{answer}");
    }
    for answer in [
        "The lake of Canberra was filled in 1927.",
        "The cup of Canberra was played for in Berlin and won in 1974.",
        "The lake of Canberra was formed on the Murray River.",
    ] {
        assert!(!cited(answer), "{answer}");
    }
}

#[test]
fn that_sources_say_it_is_no_part_of_what_is_said() {
    let flowers = "Each flower has three red stigmas. About 150 flowers are needed for a single gram of the spice.";
    let cited = |answer: &str| {
        let mut citer = Citer::new([source(1, "Saffron", flowers)]);
        let mut found = citer.push(answer).citations;
        found.extend(citer.finish().citations);
        found.into_iter().map(|found| (found.start, found.end)).collect::<Vec<_>>()
    };
    for answer in [
        "According to the information provided, about 150 flowers are needed for one gram of saffron.",
        "Based on the search results above, about 150 flowers are needed for one gram of saffron.",
    ] {
        assert_eq!(cited(answer), [(0, answer.len())], "{answer}");
    }
    for answer in [
        "According to Anna Berg's text, about 150 flowers are needed for one gram of saffron.",
        "According to 12 of the sources, about 150 flowers are needed for one gram of saffron.",
        "According to the information provided, about 160 flowers are needed for one gram of saffron.",
    ] {
        assert_eq!(cited(answer), [], "{answer}");
    }
}

#[test]
fn each_half_of_a_sentence_may_have_its_source() {
    let titan = "It was discovered by the Dutch astronomer Christiaan Huygens on 25 March 1655.";
    let triton = "It was discovered by the English astronomer William Lassell on 10 October 1846.";
    let answer =
        "Christiaan Huygens discovered Saturn's moon Titan, while William Lassell of England discovered Triton.";
    let mut citer = Citer::new([source(1, "Titan (moon), moon of Saturn", titan), source(2, "Triton (moon)", triton)]);
    let mut found = citer.push(answer).citations;
    found.extend(citer.finish().citations);
    let spans: Vec<_> = found.iter().map(|found| (&answer[found.start..found.end], found.source)).collect();
    let halves = [
        ("Christiaan Huygens discovered Saturn's moon Titan", 1),
        ("William Lassell of England discovered Triton.", 2),
    ];
    assert_eq!(spans, halves);
}

#[test]
fn halves_that_only_a_word_joins_have_their_sources_too() {
    let berg =
        source(1, "Anna Berg", "Anna Berg foi uma pintora. Nasceu em Lisboa em 13 de junho de 1888 e morreu em 1935.");
    let costa = source(2, "Maria Costa", "Maria Costa foi uma pintora. Nasceu em 16 de novembro de 1922 na Azinhaga.");
    let pages = [berg, costa];
    let answer = "Anna Berg was born in 1888 and Maria Costa was born in 1922.";
    let halves = [("Anna Berg was born in 1888", 1), ("Maria Costa was born in 1922.", 2)];
    assert_eq!(spans("", answer, &pages), halves);
    assert_eq!(spans("", "Anna Berg was born in 1935 and Maria Costa was born in 1888.", &pages), []);
    let euro = [source(
        1,
        "UEFA Euro 2024",
        "UEFA Euro 2024 was a European football championship. It was played in Germany from 14 June to 14 July 2024, with \
         24 teams. Spain won the tournament: they beat England 2–1 in the final in Berlin. It was \
         Spain's fourth European title after those of 1964, 2008 and 2012, and no other country has won as many.",
    )];
    assert_eq!(spans("", "Spain won the Euro 2024.", &euro), [("Spain won the Euro 2024.", 1)]);
    assert_eq!(spans("", "Spain won the Euro 2020.", &euro), []);
    let last = [source(
        1,
        "UEFA Euro 2024 final",
        "The UEFA Euro 2024 final was a football match between Spain and England, played on 14 July 2024 in Berlin. \
         Spain won 2–1 and became European champions for the fourth time. For England it was the second European final \
         lost in a row.",
    )];
    assert_eq!(spans("", "Spain won the Euro 2024.", &last), [("Spain won the Euro 2024.", 1)]);
    assert_eq!(spans("", "England won the Euro 2024.", &last), []);
    let tower = [source(1, "Red Tower", "Its height is 2.4 metres and its width 900 kilometres.")];
    assert_eq!(
        spans("", "The Red Tower has a height of 2.4 m.", &tower),
        [("The Red Tower has a height of 2.4 m.", 1)]
    );
    assert_eq!(spans("", "The Red Tower has a height of 2.4 km.", &tower), []);
}

#[test]
fn who_is_named_after_whom_has_not_named_anybody() {
    let python = "Van Rossum named the language after Monty Python's Flying Circus, a comedy series of the BBC.";
    let cited = |answer: &str| {
        let mut citer = Citer::new([source(1, "Python (programming language)", python)]);
        let mut found = citer.push(answer).citations;
        found.extend(citer.finish().citations);
        !found.is_empty()
    };
    assert!(cited("Python was named after Monty Python's Flying Circus, a comedy series of the BBC."));
    assert!(!cited("Monty Python named the language after Van Rossum, a comedy series of the BBC."));
    assert!(!cited("Guido Costa named the language after Monty Python's Flying Circus, a comedy series of the BBC."));
}

#[test]
fn who_made_something_is_who_it_was_made_by() {
    let design = "The executive wing is known as the Beehive; its first design was made by the architect Basil Spence.";
    let cited = |answer: &str| {
        let mut citer = Citer::new([source(1, "Wellington", design)]);
        let mut found = citer.push(answer).citations;
        found.extend(citer.finish().citations);
        !found.is_empty()
    };
    assert!(cited("The architect Basil Spence made the first design of the Beehive in Wellington."));
    assert!(!cited("The architect Anna Berg made the first design of the Beehive in Wellington."));
    assert!(!cited("The architect Basil Spence made the first design of the Parliament in Wellington."));
}

/// What an answer to a question cites of these sources.
fn spans<'a>(question: &str, answer: &'a str, sources: &[Source]) -> Vec<(&'a str, u32)> {
    let mut citer = Citer::new(sources.iter().cloned()).answering(question);
    let mut found = citer.push(answer).citations;
    found.extend(citer.finish().citations);
    found.into_iter().map(|found| (&answer[found.start..found.end], found.source)).collect()
}

#[test]
fn an_answer_without_a_sentence_says_what_its_question_leaves_open() {
    let tagus = [source(
        1,
        "Tagus",
        "The Tagus rises in the Albarracín mountains of Spain. It passes Toledo, Alcántara and Lisbon, where a bridge of \
         1998 crosses it. Its old name is Tajo. The Douro passes Porto.",
    )];
    let cities = "Which cities does the Tagus pass?";
    for answer in ["Toledo, Alcántara, Lisbon.", "Toledo and Lisbon", "- Alcántara"] {
        assert_eq!(spans(cities, answer, &tagus), [(answer.trim_start_matches("- "), 1)], "{answer}");
    }
    for answer in ["Toledo, Porto.", "Madrid", "Tajo", "Toledo, Alcántara, Lisbon, Madrid, Porto.", "Yes.", "None"] {
        assert_eq!(spans(cities, answer, &tagus), [], "{answer}");
    }
    assert_eq!(spans("", "Toledo, Alcántara, Lisbon.", &tagus), []);
    assert_eq!(spans("What is the old name of the Tagus?", "Tajo", &tagus), [("Tajo", 1)]);
}

#[test]
fn words_that_say_the_same_are_as_good() {
    let page = [source(
        1,
        "Tagus",
        "The Tagus empties into the Atlantic Ocean near Lisbon. The probe lifted off from Kourou in 2004. Anna Berg was \
         defeated by Maria Costa in 1994. José Silva escreveu a ópera em 1911.",
    )];
    for answer in [
        "The Tagus flows into the Atlantic Ocean.",
        "The probe was launched from Kourou in 2004.",
        "Maria Costa beat Anna Berg in 1994.",
        "José Silva wrote the opera in 1911.",
    ] {
        assert_eq!(spans("", answer, &page), [(answer, 1)], "{answer}");
    }
    for answer in [
        "The Tagus flows into the Pacific Ocean.",
        "The probe was launched from Baikonur in 2004.",
        "Anna Berg beat Maria Costa in 1994.",
        "José Silva wrote the opera in 1912.",
    ] {
        assert_eq!(spans("", answer, &page), [], "{answer}");
    }
}

#[test]
fn what_a_source_does_not_say_of_a_place_is_left_out_of_the_span() {
    let page = [source(1, "Symphony No. 9", "The symphony was first performed in Vienna on 7 May 1824.")];
    let cited = |answer| spans("", answer, &page);
    assert_eq!(
        cited("The symphony was first performed in Vienna, Austria."),
        [("The symphony was first performed in Vienna", 1)]
    );
    assert_eq!(cited("The symphony was first performed in Graz, Austria."), []);
    assert_eq!(cited("The symphony was first performed in Vienna, 1825."), []);
}
