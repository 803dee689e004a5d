//! What is found of a machine, and what is refused when it lacks something.

use std::fs;
use std::process::Command;

use antiphon_sandbox::{Host, Language, Limits, Program, Sandbox, Tier};
use pretty_assertions::assert_eq;

use crate::ground::{self, PROBE, outcome};

type Trial = (&'static str, fn());

pub(crate) const TRIALS: [Trial; 6] = [
    ("c50_without_bwrap_and_landlock_everything_is_refused", without_anything),
    ("gvisor_is_had_whole_or_not_at_all", gvisor),
    ("less_than_the_minimum_is_refused", minimum),
    ("what_is_missing_is_named", missing),
    ("a_helper_that_is_replaced_is_not_run", replaced_helper),
    ("the_probe_refuses_to_run_outside", probe_outside),
];

fn nothing() -> Host {
    Host {
        bwrap: Err("`bwrap` is not installed".to_owned()),
        runsc: Err("`runsc` is not installed".to_owned()),
        landlock: 0,
        ..Host::detect()
    }
}

#[track_caller]
fn refused(host: &Host, minimum: Tier, expected: &str) {
    let folder = ground::folder();
    let options = antiphon_sandbox::Options { minimum, ..ground::options(folder.path()) };
    let error = Sandbox::choose(&options, host).unwrap_err();
    assert_eq!(error.to_string(), expected);
    // Not even a workspace was made.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn without_anything() {
    refused(
        &nothing(),
        Tier::Landlock,
        "no sandbox for programs: tier 1 (bwrap): `bwrap` is not installed; tier 2 (Landlock): this kernel has no \
         Landlock, or it is switched off",
    );
}

fn gvisor() {
    let named = "no sandbox for programs: gVisor (runsc): `runsc` is not installed";
    refused(&Host { bwrap: Host::detect().bwrap, landlock: 7, ..nothing() }, Tier::Gvisor, named);
    // Nothing else takes its place.
    let named = "no sandbox for programs: gVisor (runsc): for files tier 1 (bwrap) is needed as well: `bwrap` is not \
                 installed";
    refused(&Host { runsc: Ok("/usr/bin/false".into()), landlock: 7, ..nothing() }, Tier::Gvisor, named);
}

fn minimum() {
    refused(
        &Host { landlock: 7, ..nothing() },
        Tier::Bwrap,
        "no sandbox for programs: tier 1 (bwrap): `bwrap` is not installed; tier 2 (Landlock): the configuration asks \
         for more",
    );
    refused(
        &Host { landlock: 5, ..nothing() },
        Tier::Landlock,
        "no sandbox for programs: tier 1 (bwrap): `bwrap` is not installed; tier 2 (Landlock): this kernel's Landlock \
         has version 5, and 6 is needed",
    );
}

fn missing() {
    let folder = ground::folder();
    let check = |host: &Host, options: &antiphon_sandbox::Options, words: &str| {
        let error = Sandbox::choose(options, host).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    let options = ground::options(folder.path());
    let no_python = Host { python: Err("there is no `python3`".to_owned()), ..Host::detect() };
    check(&no_python, &options, "there is no `python3`");
    let no_helper = antiphon_sandbox::Options { helper: "/nowhere/init".into(), ..options.clone() };
    check(&Host::detect(), &no_helper, "the helper `/nowhere/init` cannot be read");
    let closed = antiphon_sandbox::Options { folder: "/proc/none".into(), ..options.clone() };
    check(&Host::detect(), &closed, "workspaces cannot be made in `/proc/none`");
    // What is there and does not work is not taken on trust.
    let broken = Host { bwrap: Ok("/usr/bin/false".into()), landlock: 1, ..Host::detect() };
    check(&broken, &options, "tier 1 (bwrap): the sandbox ended with code 1: it said nothing");
    if ground::impossible(Tier::Bwrap).is_none() {
        let broken = Host { runsc: Ok("/usr/bin/false".into()), ..Host::detect() };
        let options = antiphon_sandbox::Options { minimum: Tier::Gvisor, ..options };
        check(&broken, &options, "gVisor (runsc): the sandbox ended with code 1: it said nothing");
    }
}

fn replaced_helper() {
    let folder = ground::folder();
    let helper = folder.path().join("init");
    fs::copy(ground::helper(), &helper).unwrap();
    let options = antiphon_sandbox::Options { helper: helper.clone(), ..ground::options(folder.path()) };
    let sandbox = Sandbox::probe(&options).unwrap();
    let run = || {
        let program = Program::new(Language::Bash, "echo as before").unwrap();
        outcome(sandbox.run(program, Limits::default()).unwrap()).stdout
    };
    // In its place, and in its very bytes.
    fs::write(&helper, "#!/bin/sh\necho another").unwrap();
    assert_eq!(run(), "as before\n");
    fs::remove_file(&helper).unwrap();
    assert_eq!(run(), "as before\n");
}

fn probe_outside() {
    let output = Command::new("/usr/bin/python3").args(["-c", PROBE]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "this runs inside of a sandbox only\n");
}
