//! Words that are known one by one, English and Portuguese. Everything is lower case and without accents, except for
//! the abbreviations, which are looked up as they are written.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crate::words::{fold, stem};

/// After these a full stop never ends a sentence.
pub(crate) const TITLES: [&str; 40] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "sr", "sra", "srta", "dra", "profa", "gen", "sen", "rep", "gov", "lt",
    "col", "capt", "sgt", "rev", "hon", "vs", "e.g", "i.e", "eg", "ie", "cf", "ca", "al", "viz", "exmo", "eng", "mt",
    "messrs", "mme", "d", "pe", "av", "p.ex", "ex",
];

/// After these a full stop does not end a sentence if a number follows.
pub(crate) const COUNTED: [&str; 22] = [
    "no", "nos", "nº", "n", "p", "pp", "pg", "pág", "págs", "vol", "fig", "figs", "art", "cap", "ch", "sec", "eq",
    "approx", "c", "núm", "ed", "tel",
];

/// After these a full stop ends a sentence if a function word follows.
pub(crate) const SHORTENED: [&str; 26] = [
    "etc", "inc", "ltd", "co", "corp", "jr", "bros", "dept", "est", "ltda", "cia", "jan", "feb", "mar", "apr", "jun",
    "jul", "aug", "sep", "sept", "oct", "nov", "dec", "fev", "set", "dez",
];

/// After these, a number in brackets is part of the sentence, an index or an interval.
pub(crate) const BEFORE_NO_MARKER: [&str; 40] = [
    "array",
    "arr",
    "args",
    "argv",
    "between",
    "by",
    "col",
    "conforme",
    "data",
    "de",
    "em",
    "entre",
    "from",
    "in",
    "index",
    "intervalo",
    "interval",
    "item",
    "items",
    "lista",
    "list",
    "matrix",
    "nums",
    "per",
    "por",
    "range",
    "ref",
    "row",
    "rows",
    "section",
    "see",
    "segundo",
    "são",
    "to",
    "tuple",
    "values",
    "vector",
    "vetor",
    "ver",
    "with",
];

/// Words that say nothing by themselves.
const FUNCTION_WORDS: &str = " a an the of in on at to for from with by as and or but nor so yet if then than that \
    this these those there here it its it's he his him she her hers they their them we our us you your i my me who \
    whom whose which what when where why how is are was were be been being am has have had having do does did doing \
    will would shall should can could may might must not no never neither nor none nothing nobody without cannot \
    also too very just only both each every any some such other another into over under about after before \
    during between through against while because since until although though however moreover furthermore \
    additionally meanwhile therefore thus hence overall per via upon within across among up down out off again once \
    all many much few several own same one s t \
    o os as um uma uns umas de do da dos das em no na nos nas por pelo pela pelos pelas para pra com sem sob sobre \
    ao aos e ou mas que se nem como quando onde porque pois ja ha foi foram era eram e sao ser sido sendo esta estao \
    estava estavam tem tinha teve tiveram ter havia ele ela eles elas seu sua seus suas este esse isto isso essa \
    aquele aquela lhe lhes nao nunca jamais nenhum nenhuma ainda muito muita muitos muitas tambem so \
    entre ate apos antes depois durante desde contra assim portanto porem contudo entretanto alem cada todo toda \
    todos todas qual quais cujo cuja outro outra outros outras mesmo mesma \
    el la los las un una y del con su sus fue eran es son ";

/// Words that turn round what follows them. `no` is told apart by [`is_portuguese`].
const NEGATORS: &str = " not never neither nor without cannot none nobody nothing failed fails fail failing false untrue falso falsa \
    nao nunca jamais sem nem nenhum nenhuma falhou falharam ";

/// Portuguese words that English does not have.
const PORTUGUESE: &str = " do da dos das em foi foram um uma os ao aos pelo pela nao sao com que para ";
const ENGLISH: &str = " the of was is and were are has had to with for ";

/// Words that begin a sentence with a capital and are no names, beside those whose ending says so.
const OPENERS: &str = " scientists researchers experts people critics officials historians engineers doctors students \
    teachers authors users workers players fans children women men analysts economists studies research results data \
    evidence reports sources today yesterday tomorrow recently currently originally initially eventually finally \
    first second third last next later earlier two three four five six seven eight nine ten half part parts total \
    nearly almost around roughly approximately temperatures prices sales scores goals matches games teams players \
    located founded born built known based according despite given compared unlike like along together instead \
    winner winners champion champions host hosts final population capital area date place location name year years \
    cientistas pesquisadores especialistas pessoas criticos historiadores estudos pesquisas resultados dados hoje \
    ontem recentemente atualmente inicialmente finalmente primeiro segundo terceiro ultimo segundo conforme apesar \
    cerca quase aproximadamente fontes metade parte vencedor campeao final populacao capital data local ano anos \
    dois duas tres quatro cinco ";

const ENDINGS: [&str; 11] = ["ing", "ed", "ly", "mente", "ando", "endo", "indo", "tion", "ions", "ness", "acao"];

/// Forms that no ending tells.
const IRREGULAR: [(&str, &str); 52] = [
    ("won", "win"),
    ("lost", "lose"),
    ("beaten", "beat"),
    ("made", "make"),
    ("wrote", "write"),
    ("written", "write"),
    ("built", "build"),
    ("found", "find"),
    ("began", "begin"),
    ("begun", "begin"),
    ("became", "become"),
    ("held", "hold"),
    ("led", "lead"),
    ("met", "meet"),
    ("sold", "sell"),
    ("said", "say"),
    ("grew", "grow"),
    ("grown", "grow"),
    ("rose", "rise"),
    ("risen", "rise"),
    ("fell", "fall"),
    ("fallen", "fall"),
    ("gave", "give"),
    ("given", "give"),
    ("took", "take"),
    ("taken", "take"),
    ("came", "come"),
    ("went", "go"),
    ("gone", "go"),
    ("drew", "draw"),
    ("drawn", "draw"),
    ("flew", "fly"),
    ("flown", "fly"),
    ("spoke", "speak"),
    ("spoken", "speak"),
    ("sang", "sing"),
    ("chose", "choose"),
    ("chosen", "choose"),
    ("bought", "buy"),
    ("taught", "teach"),
    ("left", "leave"),
    ("paid", "pay"),
    ("sent", "send"),
    ("spent", "spend"),
    ("children", "child"),
    ("women", "woman"),
    ("men", "man"),
    ("fez", "faz"),
    ("caiu", "cair"),
    ("cairam", "cair"),
    ("gols", "gol"),
    ("golos", "gol"),
];

/// What cannot both be true of one thing.
const OPPOSITES: [(&str, &str); 33] = [
    ("win", "lose"),
    ("rise", "fall"),
    ("increase", "decrease"),
    ("grow", "shrink"),
    ("open", "close"),
    ("begin", "end"),
    ("start", "end"),
    ("highest", "lowest"),
    ("higher", "lower"),
    ("high", "low"),
    ("largest", "smallest"),
    ("oldest", "youngest"),
    ("longest", "shortest"),
    ("first", "last"),
    ("above", "below"),
    ("north", "south"),
    ("east", "west"),
    ("northern", "southern"),
    ("eastern", "western"),
    ("more", "less"),
    ("mais", "menos"),
    ("subir", "cair"),
    ("lucrar", "perder"),
    ("legal", "illegal"),
    ("alive", "dead"),
    ("accept", "reject"),
    ("vencer", "perder"),
    ("ganhar", "perder"),
    ("aumentar", "diminuir"),
    ("crescer", "diminuir"),
    ("maior", "menor"),
    ("norte", "sul"),
    ("primeiro", "ultimo"),
];

/// `one` and `um` are articles as often as numbers.
const NUMBERS: [(&str, &str); 45] = [
    ("thirteen", "13"),
    ("fourteen", "14"),
    ("fifteen", "15"),
    ("sixteen", "16"),
    ("seventeen", "17"),
    ("eighteen", "18"),
    ("nineteen", "19"),
    ("quinze", "15"),
    ("dezesseis", "16"),
    ("dezessete", "17"),
    ("dezoito", "18"),
    ("dezenove", "19"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("fifty", "50"),
    ("dois", "2"),
    ("duas", "2"),
    ("tres", "3"),
    ("quatro", "4"),
    ("cinco", "5"),
    ("seis", "6"),
    ("sete", "7"),
    ("oito", "8"),
    ("nove", "9"),
    ("dez", "10"),
    ("onze", "11"),
    ("doze", "12"),
    ("treze", "13"),
    ("vinte", "20"),
    ("trinta", "30"),
    ("quarenta", "40"),
    ("cinquenta", "50"),
    ("catorze", "14"),
];

/// Decimal places that a word behind a number stands for.
const SCALES: [(&str, usize); 12] = [
    ("thousand", 3),
    ("million", 6),
    ("billion", 9),
    ("trillion", 12),
    ("bn", 9),
    ("mil", 3),
    ("milhao", 6),
    ("milhoes", 6),
    ("bilhao", 9),
    ("bilhoes", 9),
    ("trilhao", 12),
    ("trilhoes", 12),
];

const MONTHS: [(&str, &str); 12] = [
    ("january", "janeiro"),
    ("february", "fevereiro"),
    ("march", "marco"),
    ("april", "abril"),
    ("may", "maio"),
    ("june", "junho"),
    ("july", "julho"),
    ("august", "agosto"),
    ("september", "setembro"),
    ("october", "outubro"),
    ("november", "novembro"),
    ("december", "dezembro"),
];

fn words(list: &'static str) -> HashSet<&'static str> {
    list.split_whitespace().collect()
}

/// Whether this lower-case word says nothing by itself.
pub(crate) fn is_function_word(word: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| words(FUNCTION_WORDS));
    WORDS.contains(word)
}

/// What a place or a day follows.
pub(crate) fn is_place_word(word: &str) -> bool {
    ["in", "at", "on", "near", "em", "no", "na", "nos", "nas", "num", "numa"].contains(&word)
}

/// What a country is called and what is of it, where the one is not the other with an ending. Stems.
pub(crate) fn other_names(term: &str) -> impl Iterator<Item = &'static str> {
    static PAIRS: LazyLock<Vec<[String; 2]>> = LazyLock::new(|| {
        const PAIRS: [[&str; 2]; 24] = [
            ["england", "english"],
            ["spain", "spanish"],
            ["france", "french"],
            ["netherlands", "dutch"],
            ["germany", "german"],
            ["ireland", "irish"],
            ["scotland", "scottish"],
            ["wales", "welsh"],
            ["switzerland", "swiss"],
            ["greece", "greek"],
            ["turkey", "turkish"],
            ["poland", "polish"],
            ["denmark", "danish"],
            ["sweden", "swedish"],
            ["finland", "finnish"],
            ["britain", "british"],
            ["portugal", "portuguese"],
            ["norway", "norwegian"],
            ["espanha", "espanhol"],
            ["franca", "frances"],
            ["inglaterra", "ingles"],
            ["alemanha", "alemao"],
            ["euro", "european"],
            ["euro", "europeu"],
        ];
        PAIRS.map(|pair| pair.map(crate::words::stem)).into()
    });
    let term = term.to_owned();
    PAIRS.iter().filter_map(move |[one, other]| match () {
        () if *one == term => Some(other.as_str()),
        () if *other == term => Some(one.as_str()),
        () => None,
    })
}

/// What a passive is made with.
pub(crate) fn is_auxiliary(word: &str) -> bool {
    ["was", "were", "is", "are", "been", "being", "foi", "foram", "sao", "sido", "ser"].contains(&word)
}

pub(crate) fn is_article(word: &str) -> bool {
    ["the", "a", "an", "o", "os", "as", "um", "uma"].contains(&word)
}

/// Whether this word turns round what follows it; in Portuguese, `no` does not.
pub(crate) fn is_negator(word: &str, portuguese: bool) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| words(NEGATORS));
    (word == "no" && !portuguese) || WORDS.contains(word)
}

pub(crate) fn is_portuguese<'a>(text: impl Iterator<Item = &'a str>) -> bool {
    static PORTUGUESE_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| words(PORTUGUESE));
    static ENGLISH_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| words(ENGLISH));
    let (mut portuguese, mut english) = (0, 0);
    for word in text {
        portuguese += usize::from(PORTUGUESE_WORDS.contains(word));
        english += usize::from(ENGLISH_WORDS.contains(word));
    }
    portuguese > english
}

/// Whether a capital at the beginning of a sentence makes no name of this word.
pub(crate) fn opens_sentences(word: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| words(OPENERS));
    WORDS.contains(word) || ENDINGS.iter().any(|ending| word.ends_with(ending))
}

pub(crate) fn irregular(word: &str) -> Option<&'static str> {
    look_up(&IRREGULAR, word)
}

pub(crate) fn number(word: &str) -> Option<&'static str> {
    look_up(&NUMBERS, word)
}

pub(crate) fn scale(word: &str) -> Option<usize> {
    look_up(&SCALES, word)
}

/// The month's number.
pub(crate) fn month(word: &str) -> Option<usize> {
    MONTHS.iter().position(|(english, portuguese)| [*english, *portuguese].contains(&word)).map(|index| index + 1)
}

/// Whether the one who speaks may stand before this term as well as behind it.
pub(crate) fn is_saying(term: &str) -> bool {
    static TERMS: LazyLock<HashSet<String>> =
        LazyLock::new(|| ["say", "announce", "report", "disse", "dizer", "afirmou", "anunciou"].map(stem).into());
    TERMS.contains(term)
}

/// The terms that contradict this one.
pub(crate) fn opposites(term: &str) -> &'static [String] {
    static TERMS: LazyLock<HashMap<String, Vec<String>>> = LazyLock::new(|| {
        let mut terms: HashMap<String, Vec<String>> = HashMap::new();
        for (one, other) in OPPOSITES {
            terms.entry(stem(one)).or_default().push(stem(other));
            terms.entry(stem(other)).or_default().push(stem(one));
        }
        terms
    });
    TERMS.get(term).map_or(&[], Vec::as_slice)
}

fn look_up<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
}

/// The parts of a sentence that could each be one.
pub(crate) fn clauses(sentence: &str) -> Vec<&str> {
    const JOINTS: [&str; 8] =
        ["; ", ", while ", ", whereas ", ", and ", ", enquanto ", ", ao passo que ", " and ", " e "];
    let mut parts = vec![sentence];
    for joint in JOINTS {
        parts = parts.into_iter().flat_map(|part| part.split(joint)).collect();
    }
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// A sentence without the name at its end that stands beside another one: `born in Vienna, Austria`.
pub(crate) fn without_last_name(sentence: &str) -> Option<&str> {
    const LONGEST: usize = 3;
    let is_name = |word: &str| word.starts_with(char::is_uppercase) && word.chars().all(char::is_alphabetic);
    let (rest, last) = sentence.rsplit_once(", ")?;
    let last: Vec<_> = last.trim_end_matches('.').split(' ').collect();
    let beside = rest.rsplit(' ').next().is_some_and(is_name);
    (beside && last.len() <= LONGEST && last.into_iter().all(is_name)).then_some(rest)
}

/// A sentence without its first words where these say no more than that sources say what follows: `According to the
/// sources above, `. Only those that name nothing are left out.
pub(crate) fn without_attribution(sentence: &str) -> &str {
    const OPENINGS: [&str; 6] = ["according to ", "based on ", "as per ", "de acordo com ", "segundo ", "com base n"];
    const SOURCES: [&str; 22] = [
        "source",
        "sources",
        "information",
        "text",
        "texts",
        "result",
        "results",
        "document",
        "documents",
        "article",
        "articles",
        "fonte",
        "fontes",
        "informacao",
        "informacoes",
        "texto",
        "textos",
        "resultado",
        "resultados",
        "documento",
        "documentos",
        "artigo",
    ];
    const LONGEST: usize = 80;
    let Some((opening, rest)) = sentence.split_once(',').filter(|(opening, _)| opening.len() <= LONGEST) else {
        return sentence;
    };
    let folded = crate::words::fold(opening);
    let names = || opening.split_whitespace().skip(1).any(|word| word.contains(char::is_uppercase));
    let numbers = || opening.contains(char::is_numeric);
    let speaks = || folded.split(|next: char| !next.is_alphanumeric()).any(|word| SOURCES.contains(&word));
    let opens = OPENINGS.iter().any(|known| folded.starts_with(known));
    if opens && speaks() && !names() && !numbers() { rest.trim_start() } else { sentence }
}

/// Whether a sentence asks, greets, announces or speaks of the speaker, and so states nothing that a source could.
pub(crate) fn is_talk(sentence: &str) -> bool {
    const FIRST: [&str; 30] = [
        "i",
        "we",
        "let",
        "here",
        "sure",
        "hello",
        "hi",
        "hey",
        "thanks",
        "thank",
        "sorry",
        "please",
        "great",
        "okay",
        "ok",
        "feel",
        "hope",
        "eu",
        "nos",
        "aqui",
        "ola",
        "oi",
        "claro",
        "desculpe",
        "obrigado",
        "encontrei",
        "espero",
        "segue",
        "seguem",
        "vamos",
    ];
    let sentence = sentence.trim_end_matches(['*', '_', '"', '”', ')', ' ']);
    let mut words = sentence.split(|next: char| !next.is_alphanumeric()).filter(|word| !word.is_empty());
    let first = words.next().map(fold);
    sentence.ends_with(['?', ':']) || first.is_none_or(|first| FIRST.contains(&first.as_str()))
}
