use pretty_assertions::assert_eq;

use super::*;

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("antiphon.toml");
    std::fs::write(&path, text).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(Some(&path), variables).map_err(|error| error.to_string())
}

fn examples(document: &str) -> Vec<&str> {
    document.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_example_of_the_tools_is_right_and_each_search_has_one() {
    let examples = examples(include_str!("../../../../docs/tools.md"));
    let mut providers = Vec::new();
    for example in examples {
        let config = read(example, &[]).unwrap_or_else(|error| panic!("{error}\n{example}"));
        if example.contains("\nproviders = ") {
            providers.extend(config.search.providers);
        }
    }
    use ProviderName::{Brave, Corpus, Exa, Mediawiki, Searxng, Tavily};
    for provider in [Corpus, Mediawiki, Searxng, Brave, Tavily, Exa] {
        assert!(providers.contains(&provider), "{provider:?} has no example");
    }
}

#[test]
fn every_example_of_the_document_is_right_and_every_key_is_in_it() {
    let document = include_str!("../../../../docs/configuration.md");
    let examples = examples(document);
    assert_eq!(examples.len(), 3);
    for example in examples {
        read(example, &[]).unwrap();
    }
    let mut whole = Config { models: vec![Model::default()], ..Config::default() };
    whole.models[0].name = "m".to_owned();
    whole.models[0].backend = Backend::OpenAi;
    whole.models[0].url = Some("http://h/v1".to_owned());
    whole.models[0].fill_in();
    let toml::Value::Table(shown) = toml::Value::try_from(&whole).unwrap() else { panic!("no table") };
    let mut keys = Vec::new();
    for (section, value) in &shown {
        let table = value.as_table().or_else(|| value.get(0).and_then(toml::Value::as_table)).unwrap();
        for (key, value) in table {
            keys.push(if section == "models" { key.clone() } else { format!("{section}.{key}") });
            keys.extend(value.as_table().into_iter().flatten().map(|(inner, _)| inner.clone()));
        }
    }
    // Keys without a default are not shown; serde lists them when it meets an unknown one.
    let unknown = read("[[models]]\nname = \"m\"\nno_such_key = 1\n", &[]).unwrap_err();
    let known = unknown.split("expected one of").nth(1).unwrap();
    keys.extend(known.split('`').skip(1).step_by(2).map(str::to_owned));
    assert!(keys.len() > 30, "{keys:?}");
    for key in keys {
        assert!(document.contains(&format!("`{key}`")), "`{key}` is not in docs/configuration.md");
    }
}

#[test]
fn the_environment_wins_over_the_file_with_values_of_any_type() {
    let text = "[limits]\nwaiting = 3\n[[models]]\nname = \"a\"\nbackend = \"openai\"\nurl = \"http://a/v1\"\n";
    let config = read(
        text,
        &[
            ("ANTIPHON__LIMITS__WAITING", "8"),
            ("ANTIPHON__SERVER__LISTEN", "127.0.0.1:9"),
            ("ANTIPHON__SERVER__STRICT_MODELS", "true"),
            ("ANTIPHON__MODELS__0__URL", "http://b/v1"),
            ("ANTIPHON__MODELS__0__CAPABILITIES__MEDIA", "[\"image\"]"),
            ("ANTIPHON__MODELS__0__TIMEOUTS__IDLE_S", "2.5"),
            ("ANTIPHON_LISTEN", "not a key"),
        ],
    )
    .unwrap();
    assert_eq!(config.limits.waiting, 8);
    assert_eq!(config.server.listen.as_deref(), Some("127.0.0.1:9"));
    assert!(config.server.strict_models);
    assert_eq!(config.models[0].addresses(), ["http://b/v1"]);
    assert_eq!(config.models[0].capabilities().media, [antiphon_engine::MediaKind::Image]);
    assert_eq!(config.models[0].timeouts().idle.as_secs_f64(), 2.5);

    for (variable, why) in [
        ("ANTIPHON__LIMITS__NOPE", "unknown field `nope`"),
        ("ANTIPHON__NOPE__X", "unknown field `nope`"),
        ("ANTIPHON__MODELS__5__NAME", "has 1 entries"),
        ("ANTIPHON__MODELS__X__NAME", "expected a number"),
        ("ANTIPHON__LIMITS__WAITING__X", "holds no keys"),
    ] {
        let error = read(text, &[(variable, "1")]).unwrap_err();
        assert!(error.contains(why), "{variable}: {error}");
    }
}

#[test]
fn what_is_wrong_is_named_by_its_key_all_at_once() {
    let error = read(
        "[limits]\ndefault_output_tokens = 0\n[[models]]\nname = \"a\"\nbackend = \"openai\"\nslots = 2\n\
         fallbacks = [\"a\", \"b\"]\n[[models]]\nname = \"a\"\nbackend = \"anthropic\"\nflavor = \"vllm\"\n\
         url = \"ftp://x\"\nattempts = 0\ntimeouts = { idle_s = -1.0 }\n",
        &[],
    )
    .unwrap_err();
    for key in [
        "`limits.default_output_tokens`",
        "`models[0].slots`",
        "`models[0].url`",
        "`models[0].fallbacks`: expected names of other models, got `a`",
        "`models[0].fallbacks`: expected names of other models, got `b`",
        "`models[1]`: the name `a` is taken",
        "`models[1].flavor`",
        "`models[1].url`",
        "`models[1].attempts`",
        "`models[1].timeouts.idle_s`",
    ] {
        assert!(error.contains(key), "{key} is not in: {error}");
    }
}

#[test]
fn a_secret_has_no_place_in_the_file() {
    let model = "[[models]]\nname = \"a\"\nbackend = \"openai\"\nurl = \"http://a/v1\"\n";
    for (line, why) in [
        ("api_key = \"sk-1\"", "unknown field `api_key`"),
        ("headers = { Authorization = \"Bearer sk-1\" }", "a secret is not written here"),
    ] {
        let error = read(&format!("{model}{line}\n"), &[]).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let error = read(&model.replace("http://a", "http://me:sk-1@a"), &[]).unwrap_err();
    assert!(error.contains("it holds a password") && !error.contains("sk-1"), "{error}");
}

#[test]
fn defaults_are_what_services_can_do() {
    let model = |backend: Backend, flavor: Option<antiphon_upstream::Flavor>, name: &str| Model {
        backend,
        flavor: flavor.map(model::AnyFlavor::Chat),
        ..Model::named(name)
    };
    use antiphon_upstream::{Flavor, SchemaSupport};
    let vllm = model(Backend::OpenAi, Some(Flavor::Vllm), "m").capabilities();
    assert_eq!((vllm.schema, vllm.thinking), (SchemaSupport::Enforced, true));
    let openai = model(Backend::OpenAi, None, "gpt").capabilities();
    assert_eq!((openai.schema, openai.thinking), (SchemaSupport::Asked, false));
    assert!(!model(Backend::Gemini, None, "gemini-2.5-pro").capabilities().tools_with_schema);
    assert!(model(Backend::Gemini, None, "gemini-3-pro").capabilities().tools_with_schema);
}

#[test]
fn pictures_come_from_services_that_have_them() {
    let service = "[[models]]\nname = \"a\"\nurl = \"http://a/v1\"\nbackend = ";
    let sizes = |config: &str| read(config, &[]).unwrap().models[0].capabilities().picture_sizes;
    use antiphon_upstream::PictureSizes;
    let openai = format!("{service}\"openai_images\"\n");
    assert_eq!(sizes(&openai), PictureSizes::These(vec![(1024, 1024), (1536, 1024), (1024, 1536)]));
    assert_eq!(sizes(&format!("{openai}flavor = \"compatible\"\n")), PictureSizes::Any);
    let own = format!("{openai}capabilities = {{ picture_sizes = [\"512x256\"] }}\n");
    assert_eq!(sizes(&own), PictureSizes::These(vec![(512, 256)]));
    for (config, why) in [
        (format!("{openai}flavor = \"vllm\"\n"), "`models[0].flavor`"),
        (format!("{openai}capabilities = {{ picture_sizes = [\"big\"] }}\n"), "expected a size as `1024x1024`"),
        (format!("{openai}capabilities = {{ pictures = false }}\n"), "`models[0].capabilities.pictures`"),
        (
            format!("{service}\"anthropic\"\ncapabilities = {{ pictures = true }}\n"),
            "`models[0].capabilities.pictures`",
        ),
        (format!("{service}\"gemini\"\ncapabilities = {{ picture_sizes = [\"9x9\"] }}\n"), "expected a size"),
        (
            format!(
                "{openai}fallbacks = [\"b\"]\n[[models]]\nname = \"b\"\nbackend = \"gemini\"\nurl = \"http://b\"\n"
            ),
            "`models[0].fallbacks`",
        ),
    ] {
        let error = read(&config, &[]).unwrap_err();
        assert!(error.contains(why), "{config}: {error}");
    }
}

#[test]
fn a_diffusion_model_has_its_files_and_its_bounds() {
    let model = "[[models]]\nname = \"a\"\nbackend = \"diffusion\"\n";
    let config =
        read(&format!("{model}diffusion = {{ vae = \"ae.safetensors\", clip_l = \"clip\", steps = 4 }}\n"), &[])
            .unwrap();
    let [model_of_it] = &config.models[..] else { panic!("one model") };
    let diffusion = model_of_it.diffusion.as_ref().unwrap();
    let files: Vec<_> = diffusion.files().map(|(argument, file)| (argument, file.as_str())).collect();
    let [("--vae", vae), ("--clip-l", "clip")] = files[..] else { panic!("{files:?}") };
    assert!(vae.starts_with('/') && vae.ends_with("/ae.safetensors"), "it is beside the configuration: {vae}");
    assert_eq!((diffusion.steps, diffusion.guidance), (4, 7.0));
    for (line, why) in [
        ("diffusion = { steps = 0 }", "`models[0].diffusion.steps`"),
        ("diffusion = { guidance = -1 }", "`models[0].diffusion.guidance`"),
        ("diffusion = { change = 0.0 }", "`models[0].diffusion.change`"),
        ("diffusion = { image_size = \"2K\" }", "`models[0].diffusion.image_size`"),
        ("diffusion = { largest_image_size = \"4K\" }", "`models[0].diffusion.largest_image_size`"),
        ("diffusion = { lora = \"x\" }", "unknown field `lora`"),
        ("slots = 2", "`models[0].slots`"),
        ("url = \"http://a\"", "`models[0].url`"),
    ] {
        let error = read(&format!("{model}{line}\n"), &[]).unwrap_err();
        assert!(error.contains(why), "{line}: {error}");
    }
    let misplaced = read("[[models]]\nname = \"a\"\ndiffusion = {}\n", &[]).unwrap_err();
    assert!(misplaced.contains("`models[0].diffusion`"), "{misplaced}");
}
