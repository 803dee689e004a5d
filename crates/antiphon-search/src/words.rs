//! The words of a question that can find something, in Portuguese and English.
//!
//! The index keeps Porter stems of words without their diacritics, and a longer word also
//! finds those that begin with its stem. Over 46 questions in both languages, with the
//! right paragraph to be found among 6,000 others, that put 45 first; stems alone 44, a
//! stemmer of our own for both languages 44, beginnings of words without stems 44, whole
//! words 32. They are in `tests/it/questions.tsv`.

use std::collections::{HashMap, HashSet};

/// A question has fewer; beyond them every word costs a search.
const MOST_TERMS: usize = 32;
const MOST_TERM_CHARACTERS: usize = 64;
/// Shorter words begin too many others.
const SHORTEST_BEGINNING: usize = 5;

const STOP_WORDS: &str = "\
    a about above after again all also am an and any are as at be because been before being between both but by can \
    could d did do does doing down during each few for from further had has have having he her here hers him his how i \
    if in into is it its just ll long m many may me more most much must my no nor not of off often on once only or \
    other our out over own re s same shall she should so some such t than that the their them then there these they \
    this those through to too under until up ve very was we were what when where which while who whom whose why will \
    with would you your \
    ao aos ate com como da das de dela dele deles depois do dos e ela elas ele eles em entre era essa esse esta estas \
    este estes eu foi foram ha isso isto ja la lhe mais mas mesmo meu minha muito na nas nao nem nos nossa nosso \
    num numa o os ou para pela pelas pelo pelos pode podem por porque posso qual quais quando quanto quantos \
    quanta quantas que quem sao se sem ser seu seus sua suas tambem te tem tenho ter teu um uma umas uns voce vos onde \
    deve devem";

/// Words in lower case and without diacritics, none twice, in their order. If a text has
/// nothing but stop words, they have to do.
pub(crate) fn terms(text: &str) -> Vec<String> {
    let stop: HashSet<&str> = STOP_WORDS.split_whitespace().collect();
    let mut seen = HashSet::new();
    let all: Vec<String> = words(text).filter(|word| seen.insert(word.clone())).take(MOST_TERMS * 2).collect();
    let telling: Vec<String> = all.iter().filter(|word| !stop.contains(word.as_str())).cloned().collect();
    let mut terms = if telling.is_empty() { all } else { telling };
    terms.truncate(MOST_TERMS);
    terms
}

/// The words of a query and of the question that it is to answer, those of the query first.
pub(crate) fn terms_with(query: &[String], question: &str) -> Vec<String> {
    let mut terms = query.to_vec();
    for term in self::terms(question) {
        if terms.len() < MOST_TERMS && !terms.contains(&term) {
            terms.push(term);
        }
    }
    terms
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric() && !is_mark(c)).filter_map(|word| {
        let folded: String = word.chars().flat_map(char::to_lowercase).filter_map(folded).collect();
        (!folded.is_empty()).then(|| folded.chars().take(MOST_TERM_CHARACTERS).collect())
    })
}

fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}')
}

/// A letter without its diacritics, as the index has it; none for a diacritic by itself.
fn folded(character: char) -> Option<char> {
    Some(match character {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => 'a',
        'ç' => 'c',
        'è' | 'é' | 'ê' | 'ë' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ñ' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' => 'o',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        'ý' | 'ÿ' => 'y',
        mark if is_mark(mark) => return None,
        other => other,
    })
}

/// Terms as a query of FTS5. Each is a string in quotes that holds letters and digits alone,
/// so nothing of a question is ever syntax.
pub(crate) fn match_expression(terms: &[String], operator: Operator) -> String {
    let quoted = terms.iter().map(|term| {
        let begins = term.chars().count() >= SHORTEST_BEGINNING && !term.chars().any(char::is_numeric);
        format!("\"{term}\"{}", if begins { "*" } else { "" })
    });
    let joint = match operator {
        Operator::All => " AND ",
        Operator::Any => " OR ",
    };
    quoted.collect::<Vec<_>>().join(joint)
}

#[derive(Clone, Copy)]
pub(crate) enum Operator {
    All,
    Any,
}

/// The parts of one text that have any of the terms, best first. A term counts the more, the
/// fewer parts have it.
pub(crate) fn ranked<'a>(parts: impl Iterator<Item = &'a str>, terms: &[String]) -> Vec<usize> {
    let mut scores: Vec<_> = scores(parts, terms).into_iter().enumerate().filter(|(_, score)| *score > 0).collect();
    scores.sort_by_key(|(at, score)| (std::cmp::Reverse(*score), *at));
    scores.into_iter().map(|(at, _)| at).collect()
}

/// How well each of the parts of one text answers; 0 is not at all.
pub(crate) fn scores<'a>(parts: impl Iterator<Item = &'a str>, terms: &[String]) -> Vec<usize> {
    let parts: Vec<HashSet<String>> = parts.map(|part| words(part).map(|word| beginning(&word)).collect()).collect();
    let terms: Vec<String> = terms.iter().map(|term| beginning(term)).collect();
    let mut weights = HashMap::new();
    for term in &terms {
        let having = parts.iter().filter(|part| part.contains(term)).count();
        weights.insert(term, 1000 / having.max(1));
    }
    parts.iter().map(|part| terms.iter().filter(|term| part.contains(*term)).map(|term| weights[term]).sum()).collect()
}

/// Crude, but alike for the forms of a word; good enough inside of one article.
fn beginning(word: &str) -> String {
    word.chars().take(SHORTEST_BEGINNING).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn stop_words_are_dropped_unless_there_is_nothing_else() {
        let check = |text, expected: &[&str]| assert_eq!(terms(text), expected, "{text}");
        check("Quando é que a UNESCO distinguiu o fado?", &["unesco", "distinguiu", "fado"]);
        check("What is the King's height in 1881, the King?", &["king", "height", "1881"]);
        check("to be or not to be", &["to", "be", "or", "not"]);
        check("Fermentac\u{327}a\u{303}o FERMENTAÇÃO", &["fermentacao"]);
        check("?! \u{0} *", &[]);
    }

    #[test]
    fn parts_with_rare_words_come_first() {
        let parts = ["the tower of the town", "the tower has a height", "nothing"];
        assert_eq!(ranked(parts.into_iter(), &terms("tower heights")), [1, 0]);
    }

    proptest! {
        #[test]
        fn no_question_is_syntax(text in "(\\PC|\"|\\*|\\(|\\)|:|\\^|-|\\+| AND | OR | NOT | NEAR\\(|\u{0}|\n){0,40}") {
            let connection = Connection::open_in_memory().unwrap();
            connection
                .execute_batch(
                    "CREATE VIRTUAL TABLE words USING fts5(text, heading, tokenize = 'porter unicode61 remove_diacritics 2')",
                )
                .unwrap();
            connection.execute("INSERT INTO words VALUES(?1, '')", [&text]).unwrap();
            let terms = terms(&text);
            prop_assume!(!terms.is_empty());
            for operator in [Operator::All, Operator::Any] {
                let found: i64 = connection
                    .query_row(
                        "SELECT count(*) FROM words WHERE words MATCH ?1",
                        [match_expression(&terms, operator)],
                        |row| row.get(0),
                    )
                    .unwrap();
                prop_assert!(found <= 1);
            }
        }
    }
}
