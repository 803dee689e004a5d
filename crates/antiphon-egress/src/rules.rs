//! What may be reached: decided from an allowlist, a name and a port, without asking anybody.

use std::cmp::Reverse;

use antiphon_wire::{AllowedHost, Host};

use crate::refusal::Refusal;

/// How a program wants to reach a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One request that the proxy reads; port 80 alone.
    Plain,
    /// TLS; port 443 alone.
    Tls,
}

/// An allowlist. Of the entries that match a host, the most specific one decides, wherever it
/// stands: a name before `*.x`, the longer of two `*.x` before the shorter, `*` last.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    // The most specific first.
    hosts: Vec<AllowedHost>,
}

impl Rules {
    pub fn new(mut hosts: Vec<AllowedHost>) -> Self {
        hosts.sort_by_key(|host| Reverse(host.domain.specificity()));
        Self { hosts }
    }

    /// The entry that decides on a host; none: it may not be reached.
    pub fn find(&self, host: &Host) -> Option<&AllowedHost> {
        self.hosts.iter().find(|allowed| allowed.domain.matches(host))
    }

    /// # Errors
    /// Why the host may not be reached so.
    pub fn judge(&self, way: Way, host: &Host, port: u16) -> Result<&AllowedHost, Refusal> {
        let allowed = self.find(host).ok_or_else(|| Refusal::Unlisted { host: host.clone() })?;
        let expected = match way {
            Way::Plain => 80,
            Way::Tls => 443,
        };
        if port != expected {
            return Err(Refusal::Port { port });
        }
        if way == Way::Plain && allowed.changes_requests() {
            return Err(Refusal::Plain { host: host.clone() });
        }
        Ok(allowed)
    }

    /// Whether some entry puts something into requests, for which TLS has to end at the proxy.
    pub fn end_tls(&self) -> bool {
        self.hosts.iter().any(AllowedHost::changes_requests)
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::Domain;
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    fn rules(domains: &[&str]) -> Rules {
        let allowed = |text: &&str| AllowedHost::new(Domain::parse(text).unwrap());
        Rules::new(domains.iter().map(allowed).collect())
    }

    fn host(text: &str) -> Host {
        Host::parse(text).unwrap()
    }

    #[test]
    fn the_most_specific_entry_decides() {
        let rules = rules(&["*", "*.a.test", "b.a.test", "*.b.a.test"]);
        let check = |name: &str, expected: &str| {
            assert_eq!(rules.find(&host(name)).unwrap().domain.to_string(), expected, "{name}");
        };
        check("b.a.test", "b.a.test");
        check("c.a.test", "*.a.test");
        check("c.b.a.test", "*.b.a.test");
        check("a.test", "*");
    }

    #[test]
    fn only_the_usual_port_of_each_way_is_open() {
        let rules = rules(&["a.test"]);
        for (way, port, expected) in [
            (Way::Plain, 80, true),
            (Way::Tls, 443, true),
            (Way::Plain, 443, false),
            (Way::Tls, 80, false),
            (Way::Plain, 8080, false),
            (Way::Tls, 22, false),
        ] {
            let judged = rules.judge(way, &host("a.test"), port).map(|_| ());
            assert_eq!(judged, if expected { Ok(()) } else { Err(Refusal::Port { port }) }, "{way:?} {port}");
        }
        // What is not listed is told no more.
        let judged = rules.judge(Way::Tls, &host("b.test"), 22).map(|_| ());
        assert_eq!(judged, Err(Refusal::Unlisted { host: host("b.test") }));
    }

    #[test]
    fn what_is_put_into_requests_is_not_sent_in_the_clear() {
        let mut allowed = AllowedHost::new(Domain::parse("a.test").unwrap());
        allowed.transform.insert("x-key".to_owned(), "1".to_owned());
        let rules = Rules::new(vec![allowed]);
        assert!(rules.end_tls());
        assert!(rules.judge(Way::Tls, &host("a.test"), 443).is_ok());
        let judged = rules.judge(Way::Plain, &host("a.test"), 80).map(|_| ());
        assert_eq!(judged, Err(Refusal::Plain { host: host("a.test") }));
    }

    fn name() -> impl Strategy<Value = String> {
        prop::collection::vec("[ab]{1,2}", 1..5).prop_map(|labels| format!("{}.test", labels.join(".")))
    }

    fn patterns(entries: &[(bool, String)]) -> Vec<String> {
        let pattern = |(below, name): &(bool, String)| if *below { format!("*.{name}") } else { name.clone() };
        entries.iter().map(pattern).collect()
    }

    proptest! {
        #[test]
        fn a_host_is_reached_exactly_when_an_entry_names_it(
            entries in prop::collection::vec((any::<bool>(), name()), 0..6),
            asked in name(),
        ) {
            let texts = patterns(&entries);
            let rules = rules(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            let is_for = |(below, name): &(bool, String)| {
                if *below { asked.ends_with(&format!(".{name}")) } else { asked == *name }
            };
            let named = entries.iter().any(is_for);
            prop_assert_eq!(rules.find(&host(&asked)).is_some(), named);
        }

        #[test]
        fn the_order_of_entries_changes_nothing(
            mut names in prop::collection::vec((any::<bool>(), name()), 1..6),
            asked in name(),
        ) {
            names.sort();
            names.dedup();
            let texts = patterns(&names);
            let mut texts: Vec<_> = texts.iter().map(String::as_str).collect();
            let found = rules(&texts).find(&host(&asked)).map(|allowed| allowed.domain.clone());
            texts.reverse();
            prop_assert_eq!(rules(&texts).find(&host(&asked)).map(|allowed| allowed.domain.clone()), found);
        }
    }
}
