//! Templates in the style of the families in use, with the tokens they need.

use std::sync::LazyLock;

use antiphon_dialect::ChatTemplate;

pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    pub(crate) template: ChatTemplate,
}

macro_rules! fixture {
    ($name:literal, $bos:literal, $eos:literal) => {
        Fixture {
            name: $name,
            template: ChatTemplate::compile(include_str!(concat!("../../fixtures/", $name, ".jinja")), $bos, $eos)
                .expect($name),
        }
    };
}

pub(crate) static FIXTURES: LazyLock<[Fixture; 17]> = LazyLock::new(|| {
    [
        fixture!("chatml", "", "<|im_end|>"),
        fixture!("qwen2", "", "<|im_end|>"),
        fixture!("smollm2", "", "<|im_end|>"),
        fixture!("llama3", "<|begin_of_text|>", "<|eot_id|>"),
        fixture!("gemma", "<bos>", "<end_of_turn>"),
        fixture!("mistral", "<s>", "</s>"),
        fixture!("deepseek_r1", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        fixture!("qwen3", "", "<|im_end|>"),
        fixture!("harmony", "", "<|return|>"),
        fixture!("hermes_tools", "", "<|im_end|>"),
        fixture!("llama_tools", "<|begin_of_text|>", "<|eot_id|>"),
        fixture!("mistral_tools", "<s>", "</s>"),
        fixture!("mistral_list", "<s>", "</s>"),
        fixture!("deepseek_tools", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        fixture!("deepseek_fenced", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        fixture!("qwen3_coder", "", "<|im_end|>"),
        fixture!("glm", "", "<|user|>"),
    ]
});

pub(crate) fn template(name: &str) -> &'static ChatTemplate {
    &FIXTURES.iter().find(|fixture| fixture.name == name).expect(name).template
}
