//! The head of a Markdown file: YAML between two lines `---`.

use saphyr_parser::{Event, Parser};

/// What a skill says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
}

/// Reads the two fields that are told to a model. Others may hold anything.
///
/// # Errors
/// What is wrong with it, which may quote the file.
pub(super) fn read(text: &str) -> Result<Head, String> {
    let yaml = yaml(text)?;
    let mut head = Head::default();
    let mut depth = 0_usize;
    // The key whose value comes next.
    let mut key = None;
    // Events of a stream, unlike a tree, cost nothing where aliases repeat each other.
    for event in Parser::new_from_str(yaml) {
        let (event, _) = event.map_err(|error| format!("its head is no YAML: {}", error.info()))?;
        match event {
            Event::MappingStart(..) => depth += 1,
            Event::SequenceStart(..) if depth == 0 => return Err("its head is no mapping".to_owned()),
            Event::SequenceStart(..) => depth += 1,
            Event::MappingEnd | Event::SequenceEnd => {
                depth = depth.saturating_sub(1);
                if depth == 1 {
                    pass(&mut key);
                }
            }
            Event::Scalar(..) if depth == 0 => return Err("its head is no mapping".to_owned()),
            Event::Scalar(text, ..) if depth == 1 => match key.take().as_deref() {
                None => key = Some(text.into_owned()),
                Some("name") => head.name = Some(text.into_owned()),
                Some("description") => head.description = Some(text.into_owned()),
                Some(_) => {}
            },
            Event::Alias(_) if depth == 1 => pass(&mut key),
            Event::DocumentEnd => break,
            Event::Scalar(..)
            | Event::Alias(_)
            | Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_) => {}
        }
    }
    Ok(head)
}

/// Something that is no plain text stood where a key or a value does.
fn pass(key: &mut Option<String>) {
    *key = if key.is_some() { None } else { Some(String::new()) };
}

fn yaml(text: &str) -> Result<&str, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_mark = |line: &str| line.trim_end() == "---";
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().filter(|line| is_mark(line));
    let start = first.ok_or("it does not begin with a line `---`")?.len();
    let mut end = start;
    for line in lines {
        if is_mark(line) {
            return Ok(&text[start..end]);
        }
        end += line.len();
    }
    Err("its head is not closed by a line `---`".to_owned())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    fn check(yaml: &str, name: Option<&str>, description: Option<&str>) {
        let expected = Head { name: name.map(str::to_owned), description: description.map(str::to_owned) };
        assert_eq!(read(&format!("---\n{yaml}\n---\nname: of the body\n")), Ok(expected), "{yaml}");
    }

    #[test]
    fn every_way_to_write_a_text_is_read() {
        check("name: a\ndescription: b c", Some("a"), Some("b c"));
        check("description: \"b: \\\"c\\\"\"\nname: 'it''s'", Some("it's"), Some("b: \"c\""));
        check("description: >-\n  one\n  two\nname: a", Some("a"), Some("one two"));
        check("description: |\n  one\n  two\nname: a # why", Some("a"), Some("one\ntwo\n"));
        check("description: one\n  two", None, Some("one two"));
        check("metadata:\n  name: other\n  list: [name, description]\nname: a", Some("a"), None);
        check("allowed-tools: [x, y]\n? [a, b]\n: c\nname: a", Some("a"), None);
        check("x: &x 1\ny: *x\nname: a", Some("a"), None);
        check("", None, None);
    }

    #[test]
    fn what_is_no_head_says_why() {
        let check = |text: &str, why: &str| {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(why), "{text:?}: {error}");
        };
        check("", "it does not begin");
        check("name: a\n---\n", "it does not begin");
        check("---\nname: a\n", "its head is not closed");
        check("---\n- a\n---\n", "its head is no mapping");
        check("---\njust words\n---\n", "its head is no mapping");
        check("---\ndescription: when: this\n---\n", "its head is no YAML: ");
        check("---\nname: 'a\n---\n", "its head is no YAML: ");
        check(&format!("---\nx: {}\n---\n", "[".repeat(30_000)), "its head is no YAML: ");
    }

    proptest! {
        #[test]
        fn a_text_in_quotes_comes_out_as_it_is(text in "[ -~éüß漢]{0,80}") {
            let quoted = serde_json::to_string(&text).unwrap();
            let head = read(&format!("---\nname: {quoted}\ndescription: {quoted}\n---\n"));
            prop_assert_eq!(head, Ok(Head { name: Some(text.clone()), description: Some(text) }));
        }

        #[test]
        fn anything_is_read_or_refused(text in "(---\n)?[-\\[\\]{}:,&*!|>'\"%@?# \na-z\t]{0,200}(\n---)?") {
            let _ = read(&text);
        }
    }
}
