//! What a sandbox must keep, tried from inside: every case on both tiers and in gVisor, as a server that is root and as
//! one that is not.
//!
//! The suite as root runs each case of an ordinary user by executing itself as uid 1000. Where there is no root, the
//! cases of that leg are listed as ignored, and so are those of a tier that the machine cannot have whatever we do:
//! they were not run, and nothing says they passed. That, and nothing else, is why this is no standard harness.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod cases;
mod files;
mod ground;
mod machine;
mod network;

use std::panic::catch_unwind;
use std::process::ExitCode;

use antiphon_sandbox::Tier;

use crate::ground::Leg;

/// A test of its own, by its name.
struct Trial {
    name: String,
    leg: Leg,
    tier: Option<Tier>,
    run: Box<dyn Fn() + std::panic::RefUnwindSafe>,
}

impl Trial {
    fn not_run(&self) -> Option<&'static str> {
        if self.leg.can_run() { self.tier.and_then(ground::impossible) } else { Some("it needs root") }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let names: Vec<&String> = arguments
        .iter()
        .enumerate()
        .filter(|(at, argument)| {
            let is_value = *at > 0 && ["--helper", "--format", "--test-threads"].contains(&arguments[at - 1].as_str());
            !is_value && !argument.starts_with("--")
        })
        .map(|(_, argument)| argument)
        .collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--helper") {
        ground::use_helper(&arguments[at + 1]);
    }
    if let Some(at) = arguments.iter().position(|argument| argument == "--serve") {
        ground::serve(&arguments[at + 1], &arguments[at + 2], &arguments[at + 3]);
        return ExitCode::SUCCESS;
    }
    let is_chosen = |trial: &Trial| {
        let matches = |name: &&String| if has("--exact") { trial.name == **name } else { trial.name.contains(*name) };
        names.is_empty() || names.iter().any(matches)
    };
    let mut trials = trials();
    trials.retain(is_chosen);
    if has("--list") {
        for trial in trials.iter().filter(|trial| !has("--ignored") || trial.not_run().is_some()) {
            println!("{}: test", trial.name);
        }
        return ExitCode::SUCCESS;
    }

    let mut failed = 0;
    for trial in &trials {
        if let Some(reason) = trial.not_run() {
            println!("test {} ... NOT RUN: {reason}", trial.name);
            continue;
        }
        let result = catch_unwind(|| if trial.leg.is_here() { (trial.run)() } else { ground::as_user(&trial.name) });
        println!("test {} ... {}", trial.name, if result.is_ok() { "ok" } else { "FAILED" });
        failed += u32::from(result.is_err());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, run) in machine::TRIALS {
        trials.push(Trial { name: format!("machine::{name}"), leg: Leg::Any, tier: None, run: Box::new(run) });
    }
    for (leg, leg_name) in [(Leg::Root, "as_root"), (Leg::User, "as_user")] {
        for (tier, tier_name) in [(Tier::Bwrap, "tier_1"), (Tier::Landlock, "tier_2"), (Tier::Gvisor, "gvisor")] {
            for (name, run) in cases::CASES.iter().chain(files::CASES).chain(network::CASES) {
                trials.push(Trial {
                    name: format!("{leg_name}::{tier_name}::{name}"),
                    leg,
                    tier: Some(tier),
                    run: Box::new(move || run(&ground::Ground::new(tier))),
                });
            }
        }
    }
    trials
}
