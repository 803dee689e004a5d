//! Names of hosts, and the patterns for them in an allowlist. Equal names are equal text here,
//! however they were written, so that nothing that compares them has to think of it.

use std::fmt;

/// The name of a host: lower case, IDN in its ASCII form, without a dot at its end, and never an
/// address in any spelling.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(Box<str>);

/// Which hosts an entry of an allowlist is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Domain {
    /// `*`
    Any,
    /// `*.x`: every name that ends with `.x`, at any depth, and not `x` itself.
    Below(Host),
    Exact(Host),
}

impl Host {
    const MOST_BYTES: usize = 253;

    /// Reads a name as somebody wrote it. `None` for what is no name, or is an address: also as
    /// one number, in octal or hexadecimal, or as anything else that a resolver takes for one.
    pub fn parse(text: &str) -> Option<Self> {
        // Escapes would be decoded; nobody writes a name so who means it.
        if text.len() > 4 * Self::MOST_BYTES || text.contains('%') {
            return None;
        }
        let url::Host::Domain(name) = url::Host::parse(text).ok()? else { return None };
        let name = name.strip_suffix('.').unwrap_or(&name);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        (name.len() <= Self::MOST_BYTES && name.split('.').all(is_label)).then(|| Self(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has a name above it: `com` has none.
    fn is_top(&self) -> bool {
        !self.0.contains('.')
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Domain {
    /// Reads `*`, `*.x` or a host's name.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix('*') {
            Some("") => Some(Self::Any),
            Some(rest) => Host::parse(rest.strip_prefix('.')?).map(Self::Below),
            None => Host::parse(text).map(Self::Exact),
        }
    }

    pub fn matches(&self, host: &Host) -> bool {
        match self {
            Self::Any => true,
            Self::Below(above) => {
                host.0.strip_suffix(&*above.0).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            Self::Exact(name) => name == host,
        }
    }

    /// How much it says of a host that it matches: of two, the greater decides.
    pub fn specificity(&self) -> usize {
        match self {
            Self::Any => 0,
            Self::Below(above) => above.0.len(),
            Self::Exact(_) => usize::MAX,
        }
    }

    /// Whether it opens more than somebody's hosts: everything, or everything below a top-level
    /// name.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Any => true,
            Self::Below(above) => above.is_top(),
            Self::Exact(_) => false,
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("*"),
            Self::Below(above) => write!(formatter, "*.{above}"),
            Self::Exact(host) => write!(formatter, "{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_mean_the_same_are_the_same() {
        let check = |text: &str, expected: &str| assert_eq!(Host::parse(text).unwrap().as_str(), expected, "{text}");
        check("example.com", "example.com");
        check("EXAMPLE.Com.", "example.com");
        check("Bücher.example", "xn--bcher-kva.example");
        check("XN--BCHER-KVA.example", "xn--bcher-kva.example");
        check("a。example", "a.example");
        check("ｅxample.com", "example.com");
        check("localhost", "localhost");
        check("a_b.example", "a_b.example");
        check("1.example", "1.example");
    }

    #[test]
    fn addresses_and_what_is_no_name_are_no_hosts() {
        for text in [
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "1.2.3.4.5",
            "１２７.0.0.1",
            "127。0。0。1",
            "::1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "::ffff:7f00:1",
            "fe80::1%eth0",
            "1.2.3.0x4",
        ] {
            assert_eq!(Host::parse(text), None, "{text}");
        }
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            "a b",
            "a/b",
            "a:80",
            "a@b",
            "a\\b",
            "a\r\nb",
            "a\0b",
            "%61.example",
            "*",
            "*.a",
            "a*b",
            "a,b",
            "xn--a\u{fe0f}",
        ] {
            assert_eq!(Host::parse(text), None, "{text:?}");
        }
        assert_eq!(Host::parse(&format!("{}.example", "a".repeat(64))), None);
        assert_eq!(Host::parse(&"a.".repeat(127)), Host::parse(&"a.".repeat(127)).filter(|host| host.0.len() == 253));
        assert_eq!(Host::parse(&"a.".repeat(128)), None);
    }

    #[test]
    fn a_star_stands_for_names_below() {
        let check = |pattern: &str, host: &str, expected: bool| {
            let (domain, host) = (Domain::parse(pattern).unwrap(), Host::parse(host).unwrap());
            assert_eq!(domain.matches(&host), expected, "{pattern} {host}");
        };
        check("*.x.test", "a.x.test", true);
        check("*.x.test", "b.a.x.test", true);
        check("*.x.test", "x.test", false);
        check("*.x.test", "ax.test", false);
        check("*.x.test", "a.x.test.evil.test", false);
        check("*.BÜCHER.test", "a.bücher.TEST.", true);
        check("x.test", "X.test.", true);
        check("x.test", "a.x.test", false);
        check("*", "x.test", true);
        for pattern in
            ["", "**", "*x.test", "*.", "a.*", "*.*.x.test", "*.127.0.0.1", "127.0.0.1", "http://x.test", "x.test:443"]
        {
            assert_eq!(Domain::parse(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn what_is_open_is_told_from_what_is_named() {
        let open = |pattern: &str| Domain::parse(pattern).unwrap().is_open();
        assert_eq!(["*", "*.com", "*.example.com", "com", "a.com"].map(open), [true, true, false, false, false]);
    }

    proptest! {
        #[test]
        fn a_host_is_read_from_its_own_text(text in "\\PC{0,40}") {
            if let Some(host) = Host::parse(&text) {
                prop_assert_eq!(Host::parse(host.as_str()), Some(host.clone()));
                prop_assert!(host.as_str().parse::<std::net::IpAddr>().is_err());
                let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
                prop_assert!(host.as_str().bytes().all(is_plain));
            }
        }

        #[test]
        fn case_and_a_dot_at_the_end_change_nothing(name in "[a-z][a-z0-9]{0,8}(\\.[a-z][a-z0-9]{0,8}){0,3}") {
            let host = Host::parse(&name);
            prop_assert!(host.is_some());
            prop_assert_eq!(&Host::parse(&name.to_uppercase()), &host);
            prop_assert_eq!(&Host::parse(&format!("{name}.")), &host);
        }

        #[test]
        fn no_spelling_of_an_address_is_a_host(address: u32, parts in 1..=4_usize, radixes: [u8; 4]) {
            let mut left = u64::from(address);
            let mut written = Vec::new();
            for (part, radix) in radixes.iter().enumerate().take(parts) {
                let shift = if part + 1 == parts { 0 } else { 8 * (3 - part) };
                let value = left >> shift;
                left -= value << shift;
                written.push(match radix % 3 {
                    0 => format!("{value}"),
                    1 => format!("0{value:o}"),
                    _ => format!("0x{value:x}"),
                });
            }
            let text = written.join(".");
            prop_assert_eq!(Host::parse(&text), None);
            prop_assert_eq!(Domain::parse(&text), None);
            prop_assert_eq!(Domain::parse(&format!("*.{text}")), None);
        }

        #[test]
        fn a_star_matches_what_has_more_in_front(above in "[a-z]{1,5}\\.[a-z]{2,4}", front in "[a-z]{1,5}") {
            let domain = Domain::parse(&format!("*.{above}")).unwrap();
            let matches = |name: &str| domain.matches(&Host::parse(name).unwrap());
            let below = format!("{front}.{above}");
            prop_assert!(matches(&below));
            prop_assert!(!matches(&above));
            let beside = format!("{front}{above}");
            prop_assert!(!matches(&beside));
        }
    }
}
