//! The repository keeps what its documents promise: the drawing of the crates, the paths that
//! are named, where `unsafe` may stand, and what committed files never say.
//!
//! These read files as text, so that they cost no time and need no compiler of their own.
#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The crate, and the crates of ours that it depends on, tests apart.
type Edges = BTreeMap<String, BTreeSet<String>>;

/// Where `unsafe` may stand: the files that call C and C++, and the one that calls the kernel.
const UNSAFE_FILES: [&str; 5] = [
    "crates/antiphon-diffusion/src/engine.rs",
    "crates/antiphon-llama/src/clearing.rs",
    "crates/antiphon-llama/src/llama.rs",
    "crates/antiphon-llama/src/spinning.rs",
    "crates/antiphon-sandbox/src/kernel.rs",
];

/// This file: it spells what it looks for.
const THIS: &str = "crates/antiphon-testkit/tests/it/tidy.rs";

/// Made by tools, or other people's words.
const NOT_OURS: [&str; 3] = ["Cargo.lock", "LICENSE", "package-lock.json"];

#[test]
fn crate_edges_are_as_drawn() {
    let drawn = drawn_edges(&read("ARCHITECTURE.md"));
    let built = built_edges();
    let differences: Vec<_> = drawn
        .keys()
        .chain(built.keys())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(|name| drawn.get(*name) != built.get(*name))
        .map(|name| format!("{name}: drawn {:?}, built {:?}", drawn.get(name), built.get(name)))
        .collect();
    assert_none(&differences, "ARCHITECTURE.md draws other edges than the crates' manifests have");
}

#[test]
fn every_path_in_the_architecture_exists() {
    check_paths("ARCHITECTURE.md");
}

#[test]
fn every_path_in_the_recipes_exists() {
    check_paths("CONTRIBUTING.md");
}

#[test]
fn every_case_of_the_sandbox_has_the_tests_that_are_named() {
    let text = read("docs/security.md");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.contains("/tests"))
        .map(|row| row.split('|').map(str::trim).collect())
        .collect();
    let cases: BTreeSet<_> = rows.iter().filter_map(|row| row.get(1)?.parse::<u32>().ok()).collect();
    assert_eq!(cases, (37..=49).chain([51]).collect());
    let mut missing = Vec::new();
    let mut named = 0;
    for row in rows.iter().filter(|row| row.len() == 5) {
        let mut source = String::new();
        for word in row[3].split('`').skip(1).step_by(2) {
            if word.contains('/') {
                source = read(word);
            } else {
                named += 1;
                let is_there =
                    [format!("fn {word}("), format!("(\"{word}\", ")].iter().any(|words| source.contains(words));
                missing.extend((!is_there).then_some(word));
            }
        }
    }
    assert!(named > 30, "the table names its tests; found only {named}");
    assert_none(&missing, "tests that docs/security.md names and nobody wrote");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut broken = Vec::new();
    for (path, text) in texts().filter(|(path, _)| path.ends_with(".md")) {
        let folder = Path::new(&path).parent().unwrap_or(Path::new(""));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let target = link.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !root().join(folder).join(target).exists() {
                broken.push(format!("{path}: {link}"));
            }
        }
    }
    assert_none(&broken, "links that lead nowhere");
}

#[test]
fn the_drawing_is_read_as_it_is_written() {
    let text = "<!-- edges:begin -->\n| crate | depends on |\n|---|---|\n| a | |\n| `b` | `a`, c |\n<!-- edges:end -->";
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(drawn_edges(text), Edges::from([("a".to_owned(), names(&[])), ("b".to_owned(), names(&["a", "c"]))]));
}

#[test]
fn paths_are_told_from_other_code() {
    let found =
        |text: &str| code_words(text).filter(|word| looks_like_a_path(word)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        found("In `crates/a/src/b.rs`, `b.rs:12`, `docs/` and `./start`; `GET /v1/models` as `text/event-stream`."),
        ["crates/a/src/b.rs", "b.rs", "docs/", "./start"],
    );
    assert_eq!(found("```\n1  crates/a/src/run.rs   the driver\n```"), ["crates/a/src/run.rs"]);
}

#[test]
fn only_the_files_over_the_engine_and_the_kernel_are_unsafe() {
    let mut elsewhere = Vec::new();
    let mut unexplained = Vec::new();
    for (path, text) in sources().filter(|(path, _)| path != THIS) {
        let lines: Vec<_> = text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_unsafe(line)) {
            if !UNSAFE_FILES.contains(&path.as_str()) {
                elsewhere.push(format!("{path}:{}", at + 1));
            }
            let is_declaration = line.contains("fn ");
            let comment = lines[..at].iter().rev().map(|line| line.trim()).take_while(|line| line.starts_with("//"));
            if !is_declaration && !comment.chain([*line]).any(|line| line.contains("SAFETY:")) {
                unexplained.push(format!("{path}:{}", at + 1));
            }
        }
    }
    assert_none(&elsewhere, "`unsafe` outside of its files");
    assert_none(&unexplained, "`unsafe` without a `SAFETY:` above it");
}

#[test]
fn no_crate_sees_what_it_must_not_know() {
    let foreign = ["axum", "hyper", "reqwest", "rusqlite", "tower-http", "zip"];
    let asynchronous = ["axum", "futures-util", "hyper", "reqwest", "rusqlite", "tokio", "tokio-util"];
    let forbidden = [
        ("antiphon-engine", foreign.as_slice()),
        ("antiphon-wire", asynchronous.as_slice()),
        ("antiphon-dialect", asynchronous.as_slice()),
        ("antiphon-worker", asynchronous.as_slice()),
        ("antiphon-server", &["rusqlite", "reqwest", "llama-cpp-2"]),
        ("antiphon-store", &["axum", "hyper", "reqwest"]),
    ];
    let mut found = Vec::new();
    for (name, dependencies) in dependencies() {
        let forbidden = forbidden.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, names)| names);
        found.extend(
            dependencies.iter().filter(|to| forbidden.contains(&to.as_str())).map(|to| format!("{name} → {to}")),
        );
    }
    assert_none(&found, "a crate sees what it must not know");

    let engine = read("crates/antiphon-engine/Cargo.toml");
    let tokio = engine.lines().find(|line| line.starts_with("tokio =")).unwrap_or_default();
    assert!(!["\"fs\"", "\"net\"", "\"process\""].iter().any(|feature| tokio.contains(feature)), "{tokio}");
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let without: Vec<_> = texts()
        .filter(|(path, _)| path.starts_with("crates/") && path.ends_with("/Cargo.toml"))
        .filter(|(_, text)| !text.contains("[lints]\nworkspace = true"))
        .map(|(path, _)| path)
        .collect();
    assert_none(&without, "manifests without `[lints] workspace = true`");
}

#[test]
fn every_source_says_what_it_is() {
    let silent: Vec<_> = sources()
        .filter(|(path, text)| path.contains("/src/") && !path.contains("tests") && !text.starts_with("//!"))
        .map(|(path, _)| path)
        .collect();
    assert_none(&silent, "sources without a head (`//!`)");
}

#[test]
fn every_crate_has_at_most_one_binary_of_integration_tests() {
    let others: Vec<_> = sources()
        .map(|(path, _)| path)
        .filter(|path| {
            path.split_once("/tests/").is_some_and(|(_, rest)| !path.contains("/src/") && !rest.starts_with("it/"))
        })
        .collect();
    assert_none(&others, "integration tests outside of `tests/it`");
}

#[test]
fn no_host_of_a_package_registry_is_named() {
    let hosts =
        ["index.crates.", "static.crates.", "pypi.", "pythonhosted.", "registry.npmjs.", "yarnpkg.", "artifactory"];
    assert_none(&naming(&hosts), "hosts of package registries: whichever is configured serves");
}

#[test]
fn no_file_names_a_place_of_the_machine_it_was_written_on() {
    let places = ["/root/.", "/home/user"];
    assert_none(&naming(&places), "paths of one machine");
}

#[test]
fn nothing_is_left_to_do() {
    let marks = ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!("];
    assert_none(&naming(&marks), "work that was put off");
}

#[test]
fn lines_end_cleanly() {
    let untidy: Vec<_> = texts()
        .filter(|(path, text)| {
            !path.ends_with(".md") && text.lines().any(|line| line.ends_with([' ', '\t', '\r']))
                || !text.is_empty() && !text.ends_with('\n')
        })
        .map(|(path, _)| path)
        .collect();
    assert_none(&untidy, "space at an end of a line, or no end of the last one");
}

fn drawn_edges(text: &str) -> Edges {
    let table = text.split_once("<!-- edges:begin -->").and_then(|(_, rest)| rest.split_once("<!-- edges:end -->"));
    let (table, _) = table.expect("ARCHITECTURE.md has a table between `edges:begin` and `edges:end`");
    let cells = |row: &str| row.split('|').skip(1).take(2).map(|cell| cell.replace('`', "")).collect::<Vec<_>>();
    table
        .lines()
        .filter(|line| line.starts_with('|'))
        // The head of the table, and the line below it.
        .skip(2)
        .map(|row| {
            let cells = cells(row);
            let on = cells[1].split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
            (cells[0].trim().to_owned(), on.collect())
        })
        .collect()
}

fn built_edges() -> Edges {
    let dependencies = dependencies();
    let ours: BTreeSet<_> = dependencies.keys().cloned().collect();
    dependencies.into_iter().map(|(name, on)| (name, on.intersection(&ours).cloned().collect())).collect()
}

/// The normal dependencies of each crate of the workspace.
fn dependencies() -> Edges {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let array = |value: &Value| value.as_array().expect("an array").clone();
    array(&metadata["packages"])
        .iter()
        .map(|package| {
            let dependencies = array(&package["dependencies"]);
            (name(package), dependencies.iter().filter(|on| on["kind"].is_null()).map(name).collect())
        })
        .collect()
}

#[track_caller]
fn check_paths(document: &str) {
    let files = files();
    let text = read(document);
    let named: BTreeSet<_> = code_words(&text).filter(|word| looks_like_a_path(word)).collect();
    assert!(named.len() > 10, "{document} says where things are; found only {named:?}");
    let missing: Vec<_> = named.iter().filter(|path| !exists(path, &files)).collect();
    assert_none(&missing, &format!("{document} names paths that do not exist"));
}

/// Words in backticks, and each word of a fenced block; without a line number behind.
fn code_words(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").enumerate().flat_map(|(at, part)| {
        let is_fenced = at % 2 == 1;
        let words: Vec<_> =
            if is_fenced { part.split_whitespace().collect() } else { part.split('`').skip(1).step_by(2).collect() };
        words.into_iter().map(|word| word.split(':').next().unwrap_or(word))
    })
}

/// A file by its extension, or something below a folder of the repository's root.
fn looks_like_a_path(word: &str) -> bool {
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let has_extension = Path::new(word)
        .extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| ["md", "mjs", "py", "rs", "sh", "sql", "toml"].contains(&extension));
    let below_root = word.split_once('/').is_some_and(|(first, _)| !first.is_empty() && root().join(first).exists());
    is_plain && !word.starts_with('/') && (has_extension || below_root)
}

/// A path from the root; one with an extension may also be the end of a file's path.
fn exists(path: &str, files: &[String]) -> bool {
    root().join(path).exists() || files.iter().any(|file| file.ends_with(&format!("/{path}")))
}

fn is_unsafe(line: &str) -> bool {
    // A page may be called so, too.
    let code = line.split("//").next().unwrap_or_default().replace("\"unsafe\"", "");
    let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.any(|word| word == "unsafe")
}

/// Each line of ours that has one of the words, as `path:line: word`.
fn naming(words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in texts().filter(|(path, _)| path != THIS) {
        for (at, line) in text.lines().enumerate() {
            let named = words.iter().filter(|word| line.contains(*word));
            found.extend(named.map(|word| format!("{path}:{}: {word}", at + 1)));
        }
    }
    found
}

/// Our Rust sources and their text.
fn sources() -> impl Iterator<Item = (String, String)> {
    texts().filter(|(path, _)| path.ends_with(".rs"))
}

/// Our files that are text, and what is in them.
fn texts() -> impl Iterator<Item = (String, String)> {
    files()
        .into_iter()
        .filter(|path| !NOT_OURS.iter().any(|name| Path::new(path).ends_with(name)))
        .filter_map(|path| Some((path.clone(), String::from_utf8(fs::read(root().join(&path)).ok()?).ok()?)))
}

/// The files that git has or would take, from the root.
fn files() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("names are UTF-8");
    names.split_terminator('\0').filter(|path| root().join(path).is_file()).map(str::to_owned).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    // Where the runner says that the sources are now: another checkout may have compiled this.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).join("../..")
}

#[track_caller]
fn assert_none<T: std::fmt::Debug>(found: &[T], what: &str) {
    assert!(found.is_empty(), "{what}: {found:#?}");
}
