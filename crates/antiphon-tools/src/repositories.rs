//! Repositories as sources of environments: fetched by the machine's `git`, which runs as any
//! program of a model does, and reaches the one host that its address names.
//!
//! What a server of repositories can make `git` do is done behind those walls: it has no settings
//! but those below, no way to run anything of the repository's, and no secret, since what proves
//! somebody is put into its requests on their way out.

use std::collections::BTreeMap;
use std::time::Duration;

use antiphon_egress::{Egress, Rules};
use antiphon_environments::{Fetch, Repositories};
use antiphon_sandbox::{End, Exit, Frame, Language, Limits, Program, Reason, Sandbox, Stream, Workspace};
use antiphon_wire::{AllowedHost, Code, Domain, Error, Host, Network};
use async_trait::async_trait;
use tracing::warn;

use crate::workplace::Reach;

/// Of what `git` says, so much is read.
const SAID_BYTES: u64 = 64 << 10;
/// And so much is told.
const TOLD_CHARACTERS: usize = 300;

/// What a shell answers for a command that it does not find.
const NOT_FOUND: i32 = 127;
/// What `git` says of a file that is larger than it may be: while it unpacks, and in the end.
const TOO_LARGE: [&str; 2] = ["fatal: write error: File too large", "error: unable to write file "];

/// And at the end of a line where the server's own disk has no room.
const DISK_FULL: [&str; 2] = [": No space left on device", ": Disk quota exceeded"];
/// What another server says is told so by `git`.
const REMOTE: &str = "fatal: remote error: ";

/// Whoever waits for a fetch ends it when its time is over; so much later `git` would be ended without them.
const SPARE: Duration = Duration::from_secs(30);

/// Nothing of the machine's settings; none of the protocols but https, redirects included; no
/// question to a person or a helper. One commit, without submodules and hooks. What files become
/// on their way out of a repository (`filter.…`) is said by settings alone, so nothing does.
/// The rest bounds what `git` takes of memory, and how long it waits for a server that is silent;
/// and a file that is too large is a failure that it can tell of, and not the end of some process of it.
const SCRIPT: &str = r#"
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ALLOW_PROTOCOL=https GIT_TERMINAL_PROMPT=0
export GIT_ASKPASS= SSH_ASKPASS= GIT_LFS_SKIP_SMUDGE=1
command -v git > /dev/null || exit 127
trap '' XFSZ
exec git -c credential.helper= -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 \
    -c http.lowSpeedLimit=1000 -c http.lowSpeedTime=30 -c pack.threads=1 -c core.bigFileThreshold=8m \
    -c core.packedGitWindowSize=16m -c core.packedGitLimit=128m -c core.deltaBaseCacheLimit=16m \
    clone --quiet --depth 1 --single-branch --no-tags --no-recurse-submodules --template= -- "$ADDRESS" "$NAME"
"#;

/// The machine's `git`, in the sandbox.
pub struct Git {
    sandbox: Sandbox,
    egress: Egress,
    limits: Limits,
}

impl Git {
    /// `limits` are those of programs; how much it fetches is said with each fetch.
    pub fn new(sandbox: Sandbox, egress: Egress, limits: Limits) -> Self {
        Self { sandbox, egress, limits }
    }
}

#[async_trait]
impl Repositories for Git {
    async fn fetch(&self, fetch: Fetch) -> Result<(), Error> {
        let broken = |error: &dyn std::fmt::Display| {
            warn!(%error, "A repository cannot be fetched");
            Error::new(Code::ServiceUnavailable, "this server cannot fetch anything now; its log has the cause")
        };
        let allowed = only(&fetch.network, fetch.address.host());
        let passage = self.egress.open(fetch.project, vec![allowed], BTreeMap::new());
        let passage = passage.map_err(|error| broken(&error))?;
        let program = Program::new(Language::Bash, SCRIPT)
            .and_then(|program| program.variable("ADDRESS", &fetch.address.to_string()))
            .and_then(|program| program.variable("NAME", fetch.name))
            .map_err(|error| broken(&error))?;
        let (network, reach) = Reach::through(&passage);
        let program = program.workspace(Workspace::Given(fetch.folder)).network(network);
        let limits = Limits {
            wall: fetch.time.saturating_add(SPARE),
            file_bytes: fetch.bytes,
            workspace_bytes: fetch.bytes,
            workspace_entries: u32::try_from(fetch.entries).unwrap_or(u32::MAX),
            output_bytes: SAID_BYTES,
            ..self.limits.clone()
        };
        let mut running = self.sandbox.run(program, limits).map_err(|error| broken(&error))?;
        let mut said = String::new();
        while let Some(frame) = running.next().await {
            match frame {
                Frame::Output { stream: Stream::Stderr, text } => said.push_str(&text),
                Frame::Output { stream: Stream::Stdout, .. } => {}
                Frame::Exit(exit) => {
                    if let Reason::Failed(why) = &exit.reason {
                        return Err(broken(why));
                    }
                    if is_disk_full(&exit, &said) {
                        return Err(broken(&"the disk has no room"));
                    }
                    let refused = reach.refused();
                    return judge(&exit, &said, &refused, fetch.bytes, fetch.entries);
                }
            }
        }
        Err(broken(&"it had no end"))
    }
}

/// The host and no other, with what an environment's network puts into requests to it.
fn only(network: &Network, host: &Host) -> AllowedHost {
    let rules = Rules::new(network.allowed().to_vec());
    let mut allowed = AllowedHost::new(Domain::Exact(host.clone()));
    if let Some(AllowedHost { transform, credential, .. }) = rules.find(host) {
        (allowed.transform, allowed.credential) = (transform.clone(), credential.clone());
    }
    allowed
}

/// Whether `git` has failed for want of room on the server's disk, which no client can mend.
fn is_disk_full(exit: &Exit, said: &str) -> bool {
    let has_failed = matches!((&exit.reason, exit.end), (Reason::Exited, End::Code(code)) if code != 0);
    let mut own = said.lines().filter(|line| told_by_git(line) && !line.starts_with(REMOTE));
    has_failed && own.any(|line| DISK_FULL.iter().any(|words| line.ends_with(words)))
}

fn told_by_git(line: &str) -> bool {
    line.starts_with("error: ") || line.starts_with("fatal: ")
}

/// What the end of `git` means, by what it said and by what the network refused it.
fn judge(exit: &Exit, said: &str, refused: &[String], bytes: u64, entries: u64) -> Result<(), Error> {
    let too_large = || {
        let message = format!("with its history it has more than {bytes} bytes, or {entries} files and folders");
        Error::new(Code::ContentTooLarge, message)
    };
    let why = match (&exit.reason, exit.end) {
        (Reason::Exited, End::Code(0)) => return Ok(()),
        (Reason::Exited, End::Code(NOT_FOUND)) => {
            let message = "`git` is not installed on this machine, or not below `/usr` (Debian's package is `git`)";
            return Err(Error::precondition(message));
        }
        (Reason::DiskFull, _) => return Err(too_large()),
        (Reason::Exited, _) if said.lines().any(|line| TOO_LARGE.iter().any(|words| line.starts_with(words))) => {
            return Err(too_large());
        }
        (Reason::OutOfMemory, _) => "to unpack it takes more memory than a program may have".to_owned(),
        (Reason::TimedOut | Reason::OutputLimit | Reason::Cancelled | Reason::Failed(_), _) => {
            "`git` was ended".to_owned()
        }
        (Reason::Exited, End::Code(_) | End::Signal(_) | End::Unknown) => match refused.first() {
            Some(refused) => refused.clone(),
            None => told(said),
        },
    };
    Err(Error::new(Code::InvalidRequest, why))
}

/// The line that says why `git` has failed. What the server sent is among its words.
fn told(said: &str) -> String {
    if said.contains("could not read Username") {
        return "it is not there, or private: its server asks who wants it; what proves that is said by an entry of \
                `network.allowlist` for the host, as `transform` or `credential`"
            .to_owned();
    }
    // The first of them is the cause, and the next ones are what came of it.
    let line = said.lines().find(|line| told_by_git(line));
    let line = line.or_else(|| said.lines().last()).unwrap_or_default();
    let words: String = line.trim().chars().filter(|c| !c.is_control()).take(TOLD_CHARACTERS).collect();
    if words.is_empty() { "`git` has failed and says nothing".to_owned() } else { format!("`git` says: {words}") }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_ended_git_is_said() {
        let check = |reason: Reason, end: End, said: &str, refused: &[&str], expected: (Code, &str)| {
            let exit = Exit { reason, end, discarded: 0, wall: Duration::from_millis(3_400) };
            let refused: Vec<_> = refused.iter().map(ToString::to_string).collect();
            let error = judge(&exit, said, &refused, 1000, 10).unwrap_err();
            assert_eq!((error.code, error.message.get(..expected.1.len())), (expected.0, Some(expected.1)), "{error}");
        };
        let (failed, invalid) = (End::Code(128), Code::InvalidRequest);
        let not_installed = (Code::FailedPrecondition, "`git` is not installed on this machine");
        check(Reason::Exited, End::Code(127), "", &[], not_installed);
        let large = (Code::ContentTooLarge, "with its history it has more than 1000 bytes, or 10 files and folders");
        check(Reason::DiskFull, End::Signal(9), "", &[], large);
        check(Reason::Exited, failed, "error: unable to write file a\nfatal: unable to checkout", &[], large);
        check(Reason::Exited, failed, "fatal: the end\nfatal: write error: File too large\n", &[], large);
        check(Reason::TimedOut, End::Signal(9), "", &[], (invalid, "`git` was ended"));
        check(Reason::OutOfMemory, End::Signal(9), "fatal: x", &[], (invalid, "to unpack it takes more memory"));
        check(Reason::Exited, failed, "fatal: x", &["`a.test` is not allowed"], (invalid, "`a.test` is not allowed"));
        let said = "remote: nothing here\nerror: the \u{1b}[31mcause\nfatal: the end\n";
        check(Reason::Exited, failed, said, &[], (invalid, "`git` says: error: the [31mcause"));
        check(Reason::Exited, failed, "warning: x\nfatal: the end\n", &[], (invalid, "`git` says: fatal: the end"));
        check(Reason::Exited, failed, "", &[], (invalid, "`git` has failed and says nothing"));
        let asks = "fatal: could not read Username for 'https://a.test': terminal prompts disabled";
        check(Reason::Exited, failed, asks, &[], (invalid, "it is not there, or private"));
    }

    #[test]
    fn a_full_disk_of_the_server_is_not_the_clients() {
        let check = |reason: Reason, end: End, said: &str, expected: bool| {
            let exit = Exit { reason, end, discarded: 0, wall: Duration::ZERO };
            assert_eq!(is_disk_full(&exit, said), expected, "{said}");
        };
        let failed = End::Code(128);
        for line in
            ["fatal: write error: No space left on device", "error: unable to write file a: Disk quota exceeded"]
        {
            let said = format!("remote: x\n{line}\nfatal: fetch-pack: invalid index-pack output\n");
            check(Reason::Exited, failed, &said, true);
            check(Reason::Exited, End::Code(0), &said, false);
            check(Reason::DiskFull, End::Signal(9), &said, false);
        }
        let theirs = "remote: fatal: write error: No space left on device\n\
                      fatal: remote error: upload-pack: No space left on device\n";
        check(Reason::Exited, failed, theirs, false);
        check(Reason::Exited, failed, "fatal: No space left on device: not at the end", false);
    }

    #[test]
    fn one_host_is_reached_with_what_is_said_of_it() {
        let network =
            |allowlist: serde_json::Value| Network::read(json!({ "allowlist": allowlist }), "network").unwrap();
        let host = Host::parse("a.b.test").unwrap();
        let bare = AllowedHost::new(Domain::Exact(host.clone()));
        assert_eq!(only(&Network::Disabled, &host), bare);
        assert_eq!(only(&network(json!([{"domain": "c.test", "transform": {"x": "1"}}])), &host), bare);
        let general = json!({"domain": "*.b.test", "credential": "general"});
        let own = json!({"domain": "a.b.test", "transform": {"authorization": "own"}});
        let with_credential = AllowedHost { credential: Some("general".to_owned()), ..bare.clone() };
        assert_eq!(only(&network(json!([general])), &host), with_credential);
        let mut with_header = bare;
        with_header.transform.insert("authorization".to_owned(), "own".to_owned());
        assert_eq!(only(&network(json!([general, own])), &host), with_header);
    }
}
