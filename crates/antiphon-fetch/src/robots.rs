//! What a host asks programs to leave alone (RFC 9309), and how long that is remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// RFC 9309, 2.5: at least 500 KiB have to be read.
pub(crate) const MOST_BYTES: usize = 512 << 10;
const MOST_RULES: usize = 2_000;
const LONGEST_PATTERN: usize = 2 << 10;
const MOST_HOSTS: usize = 512;

const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// A host that was out of order is asked again sooner.
const KEPT_IN_TROUBLE: Duration = Duration::from_secs(5 * 60);

/// What one program may read of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Robots {
    /// The host is out of order, which counts as a no (RFC 9309, 2.3.1.4).
    Nothing,
    Rules(Vec<Rule>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pattern: String,
    allows: bool,
}

impl Robots {
    pub(crate) fn everything() -> Self {
        Self::Rules(Vec::new())
    }

    /// The rules for a program in a file; those for everybody if it is not named.
    pub(crate) fn read(text: &str, program: &str) -> Self {
        let (mut named, mut for_all, mut is_named) = (Vec::new(), Vec::new(), false);
        // The groups that the lines at hand belong to.
        let (mut names_us, mut names_all, mut in_rules) = (false, false, true);
        for line in text.trim_start_matches('\u{feff}').split(['\n', '\r']) {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else { continue };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            let allows = match key.as_str() {
                "user-agent" => {
                    if in_rules {
                        (names_us, names_all, in_rules) = (false, false, false);
                    }
                    names_us |= value.eq_ignore_ascii_case(program);
                    names_all |= value == "*";
                    is_named |= names_us;
                    continue;
                }
                "allow" => true,
                "disallow" => false,
                _ => continue,
            };
            in_rules = true;
            if value.is_empty() || value.len() > LONGEST_PATTERN {
                continue;
            }
            for (is_meant, rules) in [(names_us, &mut named), (names_all, &mut for_all)] {
                if is_meant && rules.len() < MOST_RULES {
                    rules.push(Rule { pattern: normal(value), allows });
                }
            }
        }
        Self::Rules(if is_named { named } else { for_all })
    }

    /// Whether a path with its query may be read: the longest pattern that fits decides, and of
    /// equal ones the friendlier.
    pub(crate) fn allows(&self, path: &str) -> bool {
        let Self::Rules(rules) = self else { return false };
        let path = normal(path);
        let fitting = rules.iter().filter(|rule| rule.fits(&path));
        fitting.max_by_key(|rule| (rule.pattern.len(), rule.allows)).is_none_or(|rule| rule.allows)
    }
}

impl Rule {
    fn fits(&self, path: &str) -> bool {
        let (pattern, to_the_end) = match self.pattern.strip_suffix('$') {
            Some(pattern) => (pattern, true),
            None => (self.pattern.as_str(), false),
        };
        let mut parts = pattern.split('*');
        let Some(mut rest) = parts.next().and_then(|first| path.strip_prefix(first)) else { return false };
        let parts: Vec<_> = parts.collect();
        let Some((last, middle)) = parts.split_last() else { return !to_the_end || rest.is_empty() };
        // The earliest place for each part leaves the most room for the others.
        for part in middle {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        if to_the_end { rest.ends_with(last) } else { rest.contains(last) }
    }
}

/// One spelling for what can be spelt in several: bytes beyond ASCII are escaped, and escapes
/// are in capitals.
fn normal(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut in_escape = 0;
    for byte in path.bytes() {
        if in_escape > 0 {
            in_escape -= 1;
            text.push(char::from(byte.to_ascii_uppercase()));
        } else if byte.is_ascii() {
            in_escape = if byte == b'%' { 2 } else { 0 };
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// What hosts asked for, by scheme, name and port.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<HashMap<String, (Arc<Robots>, Instant)>>);

impl Remembered {
    pub(crate) fn get(&self, origin: &str) -> Option<Arc<Robots>> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (robots, until) = remembered.get(origin)?;
        (*until > Instant::now()).then(|| Arc::clone(robots))
    }

    pub(crate) fn put(&self, origin: String, robots: Robots) -> Arc<Robots> {
        let kept = match robots {
            Robots::Nothing => KEPT_IN_TROUBLE,
            Robots::Rules(_) => KEPT,
        };
        let robots = Arc::new(robots);
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST_HOSTS {
            let soonest = remembered.iter().min_by_key(|(_, (_, until))| *until).map(|(origin, _)| origin.clone());
            soonest.and_then(|origin| remembered.remove(&origin));
        }
        remembered.insert(origin, (Arc::clone(&robots), Instant::now() + kept));
        robots
    }
}
