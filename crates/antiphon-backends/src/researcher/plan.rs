//! What a research looks into.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Searches take no longer ones, in characters.
const LONGEST_QUESTION: usize = 200;
const LONGEST_TITLE: usize = 100;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) title: String,
    /// At least one; each on a line, and unlike the others.
    pub(super) questions: Vec<String>,
}

/// What a plan with at most so many questions looks like.
pub(super) fn schema(most: usize) -> Value {
    json!({
        "type": "object",
        "properties": {
            "title": {"type": "string", "minLength": 1, "maxLength": LONGEST_TITLE},
            "questions": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": LONGEST_QUESTION},
                "minItems": 1,
                "maxItems": most,
            },
        },
        "required": ["title", "questions"],
        "additionalProperties": false,
    })
}

impl Plan {
    /// What the model wrote, cut to what a plan may be; none when it is no plan.
    pub(super) fn read(answer: &str, most: usize) -> Option<Self> {
        let plan: Self = serde_json::from_str(answer).ok()?;
        let mut seen = HashSet::new();
        let questions = plan.questions.iter().map(|question| line(question, LONGEST_QUESTION));
        let questions: Vec<_> = questions
            .filter(|question| !question.is_empty() && seen.insert(question.to_lowercase()))
            .take(most)
            .collect();
        (!questions.is_empty()).then(|| Self { title: line(&plan.title, LONGEST_TITLE), questions })
    }

    /// The task itself is its only question.
    pub(super) fn of_task(task: &str) -> Self {
        Self { title: line(task, LONGEST_TITLE), questions: vec![line(task, LONGEST_QUESTION)] }
    }

    /// A line for each question.
    pub(super) fn shown(&self) -> String {
        let lines = self.questions.iter().zip(1..).map(|(question, number)| format!("{number}. {question}"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn line(text: &str, most: usize) -> String {
    let plain = super::report::without_marks(text);
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).take(most).collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn whatever_a_model_writes_is_a_plan_within_its_bounds_or_none() {
        let long = "x".repeat(900);
        let written = json!({"title": "A\n# b", "questions": ["What?", " what?\n", "", long, "Why ⟦1⟧?", "Who?"]});
        let plan = Plan::read(&written.to_string(), 3).unwrap();
        let questions = vec!["What?".to_owned(), "x".repeat(LONGEST_QUESTION), "Why ?".to_owned()];
        assert_eq!(plan, Plan { title: "A # b".to_owned(), questions });
        for none in ["", "no JSON", "{}", r#"{"title":"a","questions":[]}"#, r#"{"title":"a","questions":[" "]}"#] {
            assert_eq!(Plan::read(none, 3), None, "{none}");
        }
    }
}
