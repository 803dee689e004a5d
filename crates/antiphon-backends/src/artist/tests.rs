use pretty_assertions::assert_eq;

use super::*;

/// What the evaluation asks for must not be what the model was told beforehand.
#[test]
fn no_word_of_the_prompts_that_measure_is_told_to_the_model() {
    let told = [&instruction(View { width: 100, height: 100 }), CHANGE, DRAW, SAY, &again("")].concat().to_lowercase();
    let told: Vec<&str> = told.split(|letter: char| !letter.is_alphabetic()).collect();
    let prompts = include_str!("../../../../evals/drawing.json");
    let prompts: Vec<&str> = prompts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("\"prompt\": \"Draw ")?.strip_suffix(".\","))
        .collect();
    assert_eq!(prompts.len(), 20);
    let words = prompts.iter().flat_map(|prompt| prompt.split(' ')).filter(|word| !["in", "on", "the"].contains(word));
    for word in words {
        let one = word.strip_suffix('s').unwrap_or(word);
        assert!(!told.contains(&word) && !told.contains(&one), "`{word}` is in what the model is told");
    }
}

#[test]
fn words_before_a_drawing_are_one_line() {
    for (answer, words) in [
        ("A house.\n<svg></svg>", Some("A house.")),
        ("  A house\n in the sun. \n```svg\n<svg></svg>\n```", Some("A house in the sun.")),
        ("<svg></svg> A house.", None),
        ("```\n<svg></svg>", None),
    ] {
        assert_eq!(caption(answer).ok().as_deref(), words, "{answer}");
    }
    let long = caption(&format!("{}<svg>", "word ".repeat(1000))).ok().unwrap();
    assert_eq!(long.chars().count(), LONGEST_CAPTION);
}
