//! Numbers of things, as requests name them.

/// From 2 on, in the languages that the default model speaks best: `one` is often no number.
const WORDS: [&[&str]; 9] = [
    &["two", "zwei", "deux", "dos", "dois", "duas", "due"],
    &["three", "drei", "trois", "tres", "três", "tre"],
    &["four", "vier", "quatre", "cuatro", "quatro", "quattro"],
    &["five", "fünf", "cinq", "cinco", "cinque"],
    &["six", "sechs", "seis", "sei"],
    &["seven", "sieben", "sept", "siete", "sete", "sette"],
    &["eight", "acht", "huit", "ocho", "oito", "otto"],
    &["nine", "neun", "neuf", "nueve", "nove"],
    &["ten", "zehn", "dix", "diez", "dez", "dieci"],
];

/// The numbers from 2 to 10 in a text, as digits or as words: larger ones are seldom of things.
pub(super) fn in_words(text: &str) -> impl Iterator<Item = usize> + use<> {
    let number = |word: &str| {
        let lower = word.to_lowercase();
        let named = || WORDS.iter().position(|words| words.contains(&lower.as_str())).map(|index| index + 2);
        word.parse().ok().or_else(named).filter(|number| (2..=10).contains(number))
    };
    let numbers: Vec<_> = text.split(|letter: char| !letter.is_alphanumeric()).filter_map(number).collect();
    numbers.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_digits_and_in_words() {
        let all = |text: &str| in_words(text).collect::<Vec<_>>();
        assert_eq!(all("Draw Two owls and 5 stars in 1920, no tension"), [2, 5]);
        assert_eq!(all("três barcos à vela"), [3]);
        assert!(all("one of them").is_empty());
    }
}
