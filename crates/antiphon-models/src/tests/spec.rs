use std::{path::Path, sync::LazyLock};

use proptest::prelude::*;

use crate::{
    Entry, Error,
    catalogue::embedded,
    spec::{HubFile, Spec, is_name},
};

static CATALOGUE: LazyLock<Vec<Entry>> = LazyLock::new(|| embedded().unwrap());

fn parse(text: &str) -> Result<(Spec<'static>, String), Error> {
    let spec = Spec::parse(text, &CATALOGUE)?;
    let name = spec.name(&CATALOGUE)?;
    Ok((spec, name))
}

#[test]
fn a_spec_is_a_catalogue_name_a_hub_file_or_a_path() {
    for (text, name) in [
        ("smollm2-135m-instruct", "smollm2-135m-instruct"),
        ("smollm2", "smollm2-135m-instruct"),
        ("hf:Org/Repo-GGUF/Some_Model-Q4_K_M.gguf", "some_model-q4_k_m"),
        ("hf:org/repo/sub/folder/model+lora.GGUF", "model-lora"),
        ("./weights/My Model.gguf", "my-model"),
        ("/srv/w.gguf", "w"),
        ("hf:org/repo/sd_turbo.fp16.safetensors", "sd_turbo.fp16"),
    ] {
        assert_eq!(parse(text).unwrap().1, name, "{text}");
    }
}

#[test]
fn what_cannot_be_pulled_is_refused_with_the_reason() {
    for (text, reason) in [
        ("gpt-9", "unknown model `gpt-9`; expected `qwen2.5-coder-1.5b-instruct`, `smollm2-135m-instruct`"),
        ("hf:repo/file.gguf", "owner/repo/file.gguf"),
        ("hf:owner/repo/file.bin", "owner/repo/file.gguf"),
        ("hf:owner/../../file.gguf", "no leading dot"),
        ("hf:owner//x/file.gguf", "between slashes"),
        ("hf:owner/repo/file.gguf?x=.gguf", "only letters"),
        ("hf:o/r/model-00001-of-00003.gguf", "cut into several files"),
        ("/srv/locks.gguf", "expected a file named like"),
        ("/srv/-.gguf", "expected a file named like"),
        ("./smollm2.gguf", "the name `smollm2` is taken by `smollm2-135m-instruct` of the catalogue"),
    ] {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains(reason), "{text}: {message}");
    }
}

proptest! {
    #[test]
    fn names_never_leave_the_library(text in "(hf:)?[a-zA-Z./_ ~%é-]{0,24}(\\.gguf)?") {
        if let Ok((spec, name)) = parse(&text) {
            prop_assert!(is_name(&name));
            prop_assert_eq!(Path::new(&name).components().count(), 1);
            prop_assert!(!name.starts_with('.'));
            prop_assert_eq!(parse(&spec.to_string()).unwrap().0, spec, "it can be pulled again by how it shows");
        }
    }

    #[test]
    fn addresses_never_climb(text in "[a-z./%?#@:\\\\]{0,24}\\.gguf") {
        if let Ok(file) = HubFile::try_from(text.clone()) {
            let base = reqwest::Url::parse("https://hub.example/").unwrap();
            let url = base.join(&file.url_path()).unwrap();
            prop_assert_eq!(url.origin(), base.origin());
            let (owner, rest) = text.split_once('/').unwrap();
            let (repo, path) = rest.split_once('/').unwrap();
            prop_assert_eq!(url.path(), format!("/{owner}/{repo}/resolve/main/{path}"));
        }
    }
}
