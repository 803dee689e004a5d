use std::thread;

use jiff::civil::date;
use pretty_assertions::assert_eq;

use super::*;

fn render(source: &str) -> Result<String, String> {
    let jinja = Jinja::compile(source, "<s>", "</s>").map_err(|error| error.to_string())?;
    let message = JinjaMessage { role: "user", content: "Hello".to_owned(), tool_call_id: None, name: None };
    let context = JinjaContext { messages: vec![message], tools: Vec::new(), thinking: None, today: date(2026, 3, 9) };
    jinja.render(context).map_err(|error| error.to_string())
}

#[track_caller]
fn check(source: &str, expected: &str) {
    assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
}

#[track_caller]
fn check_error(source: &str, expected: &str) {
    let error = render(source).expect_err(source);
    assert!(error.contains(expected), "{error}");
}

#[test]
fn the_python_of_templates_works() {
    check("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}", "<s>Hello</s>");
    check("{{ messages[0]['content'].strip().split('l')[-1] }}", "o");
    check("{{ strftime_now('%d %b %Y') }}", "09 Mar 2026");
    check("{% for n in [1, 2, 3] %}{% if n == 2 %}{% continue %}{% endif %}{{ n }}{% endfor %}", "13");
    check("{% for n in [1, 2] %}{{ loop.nextitem }}{% endfor %}", "2");
    check("{{ tools is none }} {{ tools is defined }} {{ builtin_tools is defined }}", "True True False");
    check("{{ enable_thinking is defined }}", "False");
    check("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}", "a1");
}

#[test]
fn blocks_are_trimmed_as_in_python() {
    check("a\n  {% if true %}\nb\n  {% endif %}\nc\n", "a\nb\nc");
}

#[test]
fn json_is_written_as_python_writes_it() {
    check("{{ {'a': [1, 2], 'b': '<é & \\'\"'} | tojson }}", r#"{"a": [1, 2], "b": "<é & '\""}"#);
    check("{{ {'a': 1} | tojson(indent=2) }}", "{\n  \"a\": 1\n}");
    check("{{ [true, none] | tojson(ensure_ascii=false) }}", "[true, null]");
}

#[test]
fn a_template_can_refuse() {
    check_error("{{ raise_exception('roles have to alternate') }}", "roles have to alternate");
}

#[test]
fn a_template_reads_nothing_but_its_context() {
    check_error("{% include '/etc/passwd' %}", "not found");
}

#[test]
fn endless_work_runs_out_of_fuel() {
    check_error("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "fuel");
}

#[test]
fn endless_recursion_is_refused() {
    check_error("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "recursion");
}

#[test]
fn endless_output_is_refused() {
    check_error("{{ 'x' * 100000 }}", "expected at most 69632 bytes");
}

#[test]
fn huge_sources_and_tags_are_refused() {
    check_error(&" ".repeat(SOURCE_LIMIT + 1), "expected at most 131072");
    check_error(&format!("\n{{{{ 1{} }}}}", "+1".repeat(TAG_LIMIT)), "the tag at line 2 has 2051 bytes");
    check_error(&format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(ELIF_LIMIT + 1)), "129 `elif`");
    check_error("{%- raw %}{{ ' {% endraw %}", "`raw` block");
}

#[test]
fn strings_and_comments_may_be_long() {
    let long = "}}%}{{\\\"'".repeat(TAG_LIMIT);
    check(&format!("{{# {} #}}{{{{ \"{long}\" | length }}}}", "{{ - ".repeat(TAG_LIMIT)), "8192");
}

/// Sources that nest as deeply as the limits let them, on the stack that threads have.
#[test]
fn deep_sources_do_not_overflow_the_stack() {
    let chain = |begin: &str, link: &str, end: &str| {
        format!("{{{{ {}{}{} }}}}", begin, link.repeat((TAG_LIMIT - begin.len() - end.len() - 2) / link.len()), end)
    };
    let nested = |open: &str, close: &str| {
        let times = SOURCE_LIMIT / (open.len() + close.len());
        format!("{}{}", open.repeat(times), close.repeat(times))
    };
    let filters = chain("1", "|e", "");
    let elifs = format!("{{%if 0%}}{}{filters}{{%endif%}}", "{%elif 0%}".repeat(ELIF_LIMIT));
    let sources = [
        chain("1", "+1", ""),
        chain("", "not ", "1"),
        chain("", "-", "1"),
        chain("", "(", "1"),
        chain("a", ".b", ""),
        chain("a", "[0]", ""),
        chain("1", " if 1 else 1", ""),
        chain("1", " and 1", ""),
        chain("1", "**1", ""),
        nested("{%if 1%}", "{%endif%}"),
        nested("{%for a in[1]%}", "{%endfor%}"),
        nested("{%macro m()%}", "{%endmacro%}"),
        format!("{}{elifs}{}", "{%if 1%}".repeat(64), "{%endif%}".repeat(64)),
        filters,
        elifs,
    ];
    for source in sources {
        let tried = thread::spawn(move || render(&source).is_ok()).join();
        assert!(tried.is_ok());
    }
}
