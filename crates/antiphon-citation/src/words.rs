//! Text as the terms by which a sentence and a source are compared: words without case, accents and endings,
//! numbers in one notation, and which of them are names, negated, or followed by an agent (`beaten by`).

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::vocabulary;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    /// A word with a capital where none is due.
    Name,
    /// A word with the capital of its sentence, which may be a name.
    Opening,
    Word,
}

/// A word or number that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) term: String,
    pub(crate) kind: Kind,
    /// Whether `not` or the like comes right before it.
    pub(crate) negated: bool,
    /// Whether `by` comes right after it.
    pub(crate) passive: bool,
    /// Whether nothing stands between this and the token before.
    pub(crate) adjacent: bool,
    /// Whether punctuation stands between this and the token before.
    pub(crate) apart: bool,
    /// Whether `in`, `at` or `on` comes right before it: of a name, that it is no doer.
    pub(crate) placed: bool,
    /// Whether `was` or the like comes right before it: of a verb, that what stands before has not done it.
    pub(crate) undergone: bool,
}

enum Lexeme {
    /// As written, and folded.
    Word(String, String),
    Number(String),
    /// What ends a run of words: punctuation.
    Break,
}

/// The words and numbers of a sentence that say something.
pub(crate) fn tokens(sentence: &str) -> Vec<Token> {
    let lexemes = lexemes(sentence);
    let folded = |lexeme: &Lexeme| match lexeme {
        Lexeme::Word(_, folded) => Some(folded.clone()),
        Lexeme::Number(_) | Lexeme::Break => None,
    };
    let portuguese = {
        let words: Vec<_> = lexemes.iter().filter_map(folded).collect();
        vocabulary::is_portuguese(words.iter().map(String::as_str))
    };
    let mut tokens: Vec<Token> = Vec::new();
    let mut negated = false;
    let mut adjacent = false;
    let mut apart = false;
    let mut first = true;
    let mut definite = false;
    let mut placed = false;
    let mut undergone = false;
    for (index, lexeme) in lexemes.iter().enumerate() {
        let (term, kind) = match lexeme {
            Lexeme::Break => {
                adjacent = false;
                apart = true;
                placed = false;
                undergone = false;
                continue;
            }
            Lexeme::Number(number) => (number.clone(), Kind::Number),
            Lexeme::Word(written, word) => {
                let capital = written.starts_with(char::is_uppercase);
                let acronym = capital && written.chars().count() > 1 && !written.contains(char::is_lowercase);
                if let Some(shift) = vocabulary::scale(word)
                    && let Some(last) = tokens.last_mut().filter(|last| last.kind == Kind::Number && adjacent)
                {
                    last.term = shifted(&last.term, shift);
                    continue;
                }
                if !acronym && vocabulary::is_negator(word, portuguese) {
                    negated = true;
                    placed = false;
                    undergone = false;
                    adjacent = false;
                    first = false;
                    continue;
                }
                if !acronym && vocabulary::is_function_word(word) {
                    if matches!(word.as_str(), "by" | "por" | "pelo" | "pela" | "pelos" | "pelas")
                        && let Some(last) = tokens.last_mut().filter(|_| adjacent)
                    {
                        last.passive = true;
                    }
                    undergone = vocabulary::is_auxiliary(word);
                    placed = vocabulary::is_place_word(word) || placed && vocabulary::is_article(word);
                    definite = matches!(word.as_str(), "the" | "these" | "those" | "os" | "as" | "both" | "its");
                    // What `and` joins does not belong to one another more than with a comma between.
                    apart |= matches!(word.as_str(), "and" | "or" | "e" | "ou");
                    adjacent = false;
                    first = false;
                    continue;
                }
                if let Some(number) = vocabulary::number(word) {
                    // `the two teams` counts nothing that a source has to say.
                    if std::mem::take(&mut definite) {
                        continue;
                    }
                    (number.to_owned(), Kind::Number)
                } else if let Some(month) = month(written, word, &lexemes, index) {
                    (format!("month{month}"), Kind::Number)
                } else {
                    let kind = match capital {
                        false => Kind::Word,
                        true if first && !acronym && vocabulary::opens_sentences(word) => Kind::Word,
                        true if first && !acronym => Kind::Opening,
                        true => Kind::Name,
                    };
                    (stem(word), kind)
                }
            }
        };
        // An adverb takes no negation: in `did not really win`, `win` is negated.
        let adverb = negated && (term.ends_with("mente") || term.ends_with("ly"));
        tokens.push(Token {
            term,
            kind,
            negated: negated && !adverb,
            passive: false,
            adjacent,
            apart,
            placed,
            undergone,
        });
        negated &= adverb;
        adjacent = true;
        apart = false;
        first = false;
        definite = false;
        placed = false;
        undergone = false;
    }
    // `Spain's Iniesta` and `Andrés Iniesta`: before a name, the capital is that of a name.
    for index in 1..tokens.len() {
        if tokens[index].kind == Kind::Name && tokens[index].adjacent && tokens[index - 1].kind == Kind::Opening {
            tokens[index - 1].kind = Kind::Name;
        }
    }
    tokens
}

/// Without case and accents.
pub(crate) fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    word.nfkd().filter(|character| !is_combining_mark(*character)).flat_map(char::to_lowercase).collect()
}

/// A folded word without its ending, English and Portuguese alike: rough, and the same for both sides.
pub(crate) fn stem(word: &str) -> String {
    const ENDINGS: [&str; 24] = [
        "mente", "aram", "eram", "iram", "ando", "endo", "indo", "ados", "adas", "idos", "idas", "ada", "ado", "ida",
        "ido", "ava", "ing", "ed", "ou", "eu", "iu", "ar", "er", "ir",
    ];
    let word = vocabulary::irregular(word).unwrap_or(word);
    if !word.bytes().all(|byte| byte.is_ascii_lowercase()) || word.len() < 4 {
        return word.to_owned();
    }
    let mut stem = match word.strip_suffix("ies") {
        Some(start) if start.len() >= 3 => format!("{start}y"),
        _ => word.to_owned(),
    };
    if stem.ends_with('s') && !stem.ends_with("ss") && !stem.ends_with("us") && !stem.ends_with("is") {
        stem.pop();
    }
    let cut = ENDINGS.iter().find_map(|ending| stem.strip_suffix(ending).filter(|start| start.len() >= 3));
    if let Some(length) = cut.map(str::len) {
        stem.truncate(length);
        let end: Vec<_> = stem.bytes().rev().take(2).collect();
        if let [last, before] = end[..]
            && last == before
            && stem.len() > 3
            && !b"aeiouls".contains(&last)
        {
            stem.pop();
        }
    }
    // More than one: `referee` and `refereed`.
    while stem.len() > 3 && stem.ends_with(['a', 'e', 'o']) {
        stem.pop();
    }
    stem
}

fn month(written: &str, word: &str, lexemes: &[Lexeme], index: usize) -> Option<usize> {
    let month = vocabulary::month(word)?;
    let beside = |index: Option<usize>| matches!(index.and_then(|index| lexemes.get(index)), Some(Lexeme::Number(_)));
    let certain = match word {
        // Also a verb, a verb and a name.
        "may" | "march" => {
            written.starts_with(char::is_uppercase) && (beside(index.checked_sub(1)) || beside(Some(index + 1)))
        }
        "marco" => written.contains(['ç', '\u{327}']),
        _ => true,
    };
    certain.then_some(month)
}

fn lexemes(text: &str) -> Vec<Lexeme> {
    let characters: Vec<char> = text.chars().collect();
    let at = |index: usize| characters.get(index).copied().unwrap_or(' ');
    let mut lexemes = Vec::new();
    let mut index = 0;
    while index < characters.len() {
        let first = at(index);
        if first.is_ascii_digit() {
            index = numbers(&characters, index, &mut lexemes);
        } else if is_ideograph(first) {
            lexemes.push(Lexeme::Word(first.to_string(), first.to_string()));
            index += 1;
        } else if first == 'R' && at(index + 1) == '$' {
            lexemes.push(Lexeme::Word("reais".to_owned(), "reais".to_owned()));
            index += 2;
        } else if first.is_alphabetic() {
            index = word(&characters, index, &mut lexemes);
        } else {
            let sign = match first {
                '%' => "percent",
                '$' => "dollar",
                '€' => "euro",
                '£' => "pound",
                _ => "",
            };
            if !sign.is_empty() {
                lexemes.push(Lexeme::Word(sign.to_owned(), sign.to_owned()));
            } else if !first.is_whitespace() && !matches!(first, '-' | '*' | '_' | '`' | '\u{ad}') {
                lexemes.push(Lexeme::Break);
            }
            index += 1;
        }
    }
    lexemes
}

fn word(characters: &[char], start: usize, lexemes: &mut Vec<Lexeme>) -> usize {
    let at = |index: usize| characters.get(index).copied().unwrap_or(' ');
    let mut index = start;
    let mut written = String::new();
    if at(start + 1) == '.' && at(start + 2).is_alphabetic() && !at(start + 3).is_alphanumeric() {
        // `U.S.` is `US`.
        while at(index).is_alphabetic() && !at(index + 1).is_alphanumeric() {
            written.push(at(index));
            index += 1 + usize::from(at(index + 1) == '.');
        }
    } else {
        while (at(index).is_alphanumeric() || is_combining_mark(at(index))) && !is_ideograph(at(index)) {
            written.push(at(index));
            index += 1;
        }
    }
    let mut negation = false;
    let mut possessive = false;
    if matches!(at(index), '\'' | '’') && at(index + 1).is_alphabetic() {
        let tail: String = characters[index + 1..].iter().take_while(|next| next.is_alphabetic()).take(8).collect();
        negation = tail == "t" && written.ends_with(['n', 'N']);
        possessive = tail == "s";
        if negation || possessive || ["re", "ve", "ll", "d", "m"].contains(&tail.as_str()) {
            index += 1 + tail.chars().count();
        }
    }
    if negation {
        // `didn't`, `can't`: what is before the negation says nothing.
        lexemes.push(Lexeme::Word("not".to_owned(), "not".to_owned()));
    } else {
        let folded = fold(&written);
        lexemes.push(Lexeme::Word(written, folded));
    }
    if possessive {
        lexemes.push(Lexeme::Break);
    }
    index
}

/// Reads a number and what belongs to it: a score, a date, an ordinal's ending.
fn numbers(characters: &[char], start: usize, lexemes: &mut Vec<Lexeme>) -> usize {
    let at = |index: usize| characters.get(index).copied().unwrap_or(' ');
    let digits = |from: usize| characters[from.min(characters.len())..].iter().take_while(|next| next.is_ascii_digit());
    let read = |from: usize| digits(from).take(40).collect::<String>();
    let first = read(start);
    let mut index = start + digits(start).count();
    if first.len() == 4 && at(index) == '-' && digits(index + 1).count() == 2 && at(index + 3) == '-' {
        let (month, day) = (read(index + 1), read(index + 4));
        if let Ok(month @ 1..=12) = month.parse::<usize>()
            && day.len() == 2
        {
            let parts = [canonical(&first), format!("month{month}"), canonical(&day)];
            lexemes.extend(parts.into_iter().map(Lexeme::Number));
            return index + 6;
        }
    }
    if first.len() <= 2 {
        let spaces =
            |from: usize| characters[from.min(characters.len())..].iter().take_while(|next| **next == ' ').count();
        let gap = spaces(index);
        let sign = index + gap;
        let second = sign + 1 + spaces(sign + 1);
        let glued = gap == 0 && second == sign + 1;
        let between = match at(sign) {
            '–' | '−' | '-' | '—' | ':' => gap < 2,
            'x' | '×' | 'X' => true,
            'a' => !glued,
            _ => false,
        };
        let other = read(second);
        let end = second + other.len();
        if between
            && gap < 3
            && second < sign + 4
            && (1..=2).contains(&other.len())
            && !matches!(at(end), '-' | '–' | '/' | '%')
            && !(matches!(at(end), '.' | ',') && at(end + 1).is_ascii_digit())
        {
            lexemes.push(Lexeme::Number(format!("{}-{}", canonical(&first), canonical(&other))));
            return end;
        }
    }
    let mut groups = vec![first];
    let mut signs = Vec::new();
    while groups.len() < 8
        && matches!(at(index), '.' | ',' | '\u{a0}' | '\u{202f}' | '\'')
        && at(index + 1).is_ascii_digit()
    {
        let group = read(index + 1);
        if !matches!(at(index), '.' | ',') && group.len() != 3 {
            break;
        }
        signs.push(at(index));
        index += 1 + digits(index + 1).count();
        groups.push(group);
    }
    let thousands = groups.len() > 1
        && groups[0].len() <= 3
        && groups[0] != "0"
        && groups[1..].iter().all(|group| group.len() == 3)
        && signs.iter().all(|sign| *sign == signs[0]);
    let decimal = groups.len() > 1 && {
        let (last, whole) = (signs.len() - 1, &groups[1..groups.len() - 1]);
        whole.iter().all(|group| group.len() == 3) && signs[..last].iter().all(|sign| *sign != signs[last])
    };
    // `5.889 million` has a decimal point.
    let scaled = || {
        let rest = characters[index..].iter().skip_while(|next| next.is_whitespace());
        let word: String = rest.take_while(|next| next.is_alphabetic()).take(12).collect();
        vocabulary::scale(&fold(&word)).is_some()
    };
    let thousands = thousands && !(groups.len() == 2 && scaled());
    if thousands || groups.len() == 1 {
        lexemes.push(Lexeme::Number(canonical(&groups.concat())));
    } else if decimal {
        let fraction = groups.pop().unwrap_or_default();
        lexemes.push(Lexeme::Number(canonical(&format!("{}.{fraction}", groups.concat()))));
    } else {
        lexemes.extend(groups.iter().map(|group| Lexeme::Number(canonical(group))));
    }
    let ending: String =
        characters[index.min(characters.len())..].iter().take_while(|next| next.is_alphabetic()).take(4).collect();
    if ["st", "nd", "rd", "th", "º", "ª", "o", "a"].contains(&ending.as_str()) {
        index += ending.chars().count();
    }
    index
}

/// Without the zeros that say nothing.
fn canonical(number: &str) -> String {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

/// A number with its point moved to the right.
fn shifted(number: &str, places: usize) -> String {
    if number.contains('-') {
        return number.to_owned();
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let kept = fraction.len().min(places);
    let zeros = "0".repeat(places - kept);
    canonical(&format!("{whole}{}{zeros}.{}", &fraction[..kept], &fraction[kept..]))
}

/// Written without spaces: each character is a word.
fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' | '\u{e00}'..='\u{eff}')
}

#[cfg(test)]
mod tests {
    use super::{Kind, stem, tokens};

    fn check(sentence: &str, expected: &[&str]) {
        let shown: Vec<_> = tokens(sentence)
            .iter()
            .map(|token| {
                let kind = match token.kind {
                    Kind::Number => "#",
                    Kind::Name => "^",
                    Kind::Opening => "?",
                    Kind::Word => "",
                };
                format!("{}{kind}{}", if token.negated { "!" } else { "" }, token.term)
            })
            .collect();
        assert_eq!(shown, expected, "{sentence}");
    }

    #[test]
    fn numbers_have_one_notation() {
        check("It cost 1,234,567.50 dollars", &["cost", "#1234567.5", "doll"]);
        check("Custou 1.234.567,50", &["?cust", "#1234567.5"]);
        check("about 3.5 million cars", &["#3500000", "car"]);
        check("3,5 milhões", &["#3500000"]);
        check("5.889 million and 5.889", &["#5889000", "#5889"]);
        check("it ended 2–1, or 2 x 1", &["end", "#2-1", "#2-1"]);
        check("on 11 July 2010", &["#11", "#month7", "#2010"]);
        check("on 2010-07-11", &["#2010", "#month7", "#11"]);
        check("em 11 de julho de 2010", &["#11", "#month7", "#2010"]);
        check("the 116th match", &["#116", "match"]);
        check("a 2.ª edição", &["#2", "edic"]);
        check("50% of $5", &["#50", "percent", "doll", "#5"]);
        check("four goals by the two teams", &["#4", "goal", "team"]);
        check("11.07.2010", &["#11", "#7", "#2010"]);
    }

    #[test]
    fn names_negations_and_accents() {
        check("Andrés Iniesta scored", &["^andr", "^iniest", "scor"]);
        check("Spain did not win", &["?spain", "!win"]);
        check("Spain didn't really win", &["?spain", "really", "!win"]);
        check("A Espanha não venceu no Brasil", &["^espanh", "!venc", "^brasil"]);
        check("There were no goals in the match", &["!goal", "match"]);
        check("The U.S. Senate", &["^us", "^senat"]);
        check("São Paulo 🐕", &["^paul"]);
    }

    #[test]
    fn endings_are_cut() {
        for (one, other) in [
            ("won", "win"),
            ("winning", "win"),
            ("wins", "win"),
            ("scored", "scores"),
            ("scoring", "score"),
            ("matches", "match"),
            ("cities", "city"),
            ("venceu", "vencer"),
            ("venceram", "venceu"),
            ("marcou", "marcar"),
            ("games", "game"),
        ] {
            assert_eq!(stem(one), stem(other), "{one} {other}");
        }
    }
}
