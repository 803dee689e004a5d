//! Checkouts of one user build into one folder, and none is tested with what another has built.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

const SOURCE: &str = "crates/some/src/lib.rs";

#[test]
fn what_another_checkout_has_built_is_compiled_anew() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| checkout(&folder.path().join(name)));
    let is_written_anew = |checkout: &Path| {
        let long_ago = SystemTime::UNIX_EPOCH;
        File::options().write(true).open(checkout.join(SOURCE)).unwrap().set_modified(long_ago).unwrap();
        prepare(checkout, &folder.path().join("cache"));
        fs::metadata(checkout.join(SOURCE)).unwrap().modified().unwrap() != long_ago
    };

    let found = [&one, &one, &other, &other, &one].map(|checkout| is_written_anew(checkout));

    assert_eq!(found, [true, false, true, false, true], "only where another one was the last to build");
}

/// A folder with a source and what every command begins with.
fn checkout(folder: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for file in ["scripts/environment", "rust-toolchain.toml"] {
        let copy = folder.join(file);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(root.join(file), copy).unwrap();
    }
    let source = folder.join(SOURCE);
    fs::create_dir_all(source.parent().unwrap()).unwrap();
    fs::write(source, "").unwrap();
    folder.to_owned()
}

/// What every command does before it builds.
fn prepare(checkout: &Path, cache: &Path) {
    let script = checkout.join("scripts/environment");
    let status = Command::new("bash")
        .args(["-euo", "pipefail", "-c", "source \"$0\""])
        .arg(script)
        .env("XDG_CACHE_HOME", cache)
        .status()
        .unwrap();
    assert!(status.success());
}
