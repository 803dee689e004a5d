//! Objects: which names they may have, which they must have, and how many.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{Builder, Built, ITEMS, Outcome, Trouble};
use crate::SchemaError;
use crate::format;
use crate::plain::{All, Plain, Types};
use crate::read::MAX_COUNT;

const NAME_LENGTH: u64 = 128;

impl<'a> Builder<'a> {
    pub(super) fn build_object(&mut self, plain: &Plain<'a>) -> Outcome {
        let mut known: HashSet<&str> = plain.properties.iter().map(|(name, _)| name.as_str()).collect();
        let mut required: HashSet<&str> = plain.required.iter().copied().collect();
        required.extend(plain.discriminators.iter().copied().filter(|name| known.contains(name)));
        let undeclared: Vec<&str> = plain.required.iter().copied().filter(|name| known.insert(name)).collect();
        let declared = plain.properties.iter().map(|(name, all)| (name.as_str(), all.clone()));
        let declared = declared.chain(undeclared.into_iter().map(|name| (name, All::new())));
        let matching = self.matching(plain, known.len());
        let mut nesting = 0;
        let mut fields = Vec::new();
        for (name, mut all) in declared {
            let of_patterns = matching.iter().filter(|(pattern, _)| pattern.is_valid(&json!(name)));
            all.extend(of_patterns.flat_map(|(_, sites)| sites.iter().cloned()));
            if all.is_empty() {
                all.clone_from(&plain.additional);
            }
            fields.push((name.to_owned(), self.build_inside(&all)?));
        }

        let possible: HashSet<&str> =
            fields.iter().filter(|(_, built)| built.is_some()).map(|(name, _)| name.as_str()).collect();
        let described = plain.described || !plain.patterned.is_empty();
        // More is wanted than is described: all of that, and as much beside it as is needed.
        let short = plain.described
            && plain.patterned.is_empty()
            && plain.additional.is_empty()
            && !plain.closed_object
            && plain.min_properties > possible.len() as u64;
        if short {
            let names = plain.properties.iter().map(|(name, _)| name.as_str());
            required.extend(names.filter(|name| possible.contains(name)));
        }
        let mut patterned = plain.patterned.clone();
        let mut open = short || !plain.closed_object && !described || !plain.additional.is_empty();
        let mut like_names = None;
        if open && !plain.names.is_empty() {
            match self.names(plain)? {
                Names::Any => {}
                Names::These(names) => {
                    open = false;
                    for name in names {
                        if !known.contains(name.as_str()) {
                            let built = self.build_inside(&plain.additional)?;
                            fields.push((name, built));
                        }
                    }
                }
                Names::Like(pattern) => like_names = Some(pattern),
            }
        }
        let rank = |name: &str| plain.ordering.iter().position(|ordered| *ordered == name).unwrap_or(usize::MAX);
        fields.sort_by_key(|(name, _)| rank(name));

        let mut optional = 0_u64;
        let mut properties = Map::new();
        let mut wanted = Vec::new();
        for (name, built) in fields {
            let is_required = required.contains(name.as_str());
            match built {
                Some(built) => {
                    nesting = nesting.max(built.nesting);
                    optional += u64::from(!is_required);
                    wanted.extend(is_required.then(|| name.clone()));
                    properties.insert(name, built.schema);
                }
                None if is_required => return Ok(None),
                // The name stays taken.
                None => drop(properties.insert(name, Value::Bool(false))),
            }
        }
        // llguidance has no bound for names beside declared ones: it would hold the declared ones to it as well.
        let mut beside = None;
        if open && properties.is_empty() && patterned.is_empty() {
            patterned.push((like_names.unwrap_or_else(|| name_pattern(0, None)), plain.additional.clone()));
        } else if open && like_names.is_some() {
            let message = "`propertyNames` with a pattern cannot be enforced beside `properties`";
            return Err(SchemaError::new(&*plain.pointer, message).into());
        } else if open {
            beside = self.build_inside(&plain.additional)?;
        }
        let mut like = Map::new();
        for (pattern, all) in patterned {
            if let Some(built) = self.build_inside(&all)? {
                nesting = nesting.max(built.nesting);
                like.insert(pattern, built.schema);
            }
        }

        nesting = nesting.max(beside.as_ref().map_or(0, |beside| beside.nesting));
        let more = !like.is_empty() || beside.is_some();

        let required = wanted.len() as u64;
        let total = required + optional;
        let least = plain.min_properties.max(required);
        let most = plain.max_properties.unwrap_or(u64::MAX);
        if least > most || (!more && least > total) {
            return Ok(None);
        }
        let mut object = Map::new();
        object.insert("type".to_owned(), json!("object"));
        if optional > 0 {
            // llguidance counts optional properties only where one of them, or at most one, is wanted.
            let exact = |least: u64, most: u64| {
                most == u64::MAX && least == required + 1 || most == required + 1 && least <= most
            };
            let bounded = least > required || (most < total || more && most < u64::MAX);
            if bounded {
                let most = if most >= total { u64::MAX } else { most };
                if more || !exact(least, most) {
                    let message = "`minProperties` and `maxProperties` cannot be enforced beside optional properties";
                    return Err(SchemaError::new(&*plain.pointer, message).into());
                }
                if least > required {
                    object.insert("minProperties".to_owned(), json!(least));
                }
                if most < u64::MAX {
                    object.insert("maxProperties".to_owned(), json!(most));
                }
            }
        } else if more {
            if least > required {
                object.insert("minProperties".to_owned(), json!(least));
            }
            let most = match most {
                _ if short => least,
                u64::MAX => least.max(required + ITEMS),
                most => most.min(MAX_COUNT),
            };
            object.insert("maxProperties".to_owned(), json!(most));
        }
        if !properties.is_empty() {
            object.insert("properties".to_owned(), Value::Object(properties));
        }
        if !like.is_empty() {
            object.insert("patternProperties".to_owned(), Value::Object(like));
        }
        if !wanted.is_empty() {
            object.insert("required".to_owned(), json!(wanted));
        }
        object.insert("additionalProperties".to_owned(), beside.map_or(Value::Bool(false), |beside| beside.schema));
        Ok(Some(Built { schema: Value::Object(object), nesting: nesting + 1 }))
    }

    /// The patterns of properties, and what they ask for; matching that many names counts as work.
    fn matching(&mut self, plain: &Plain<'a>, names: usize) -> Vec<(jsonschema::Validator, All<'a>)> {
        self.nodes += names * plain.patterned.len() / 256;
        let compile = |(pattern, all): &(String, All<'a>)| {
            // Each was compiled when the schema was read.
            let compiled = self.patterns.options().build(&json!({"pattern": pattern})).ok()?;
            Some((compiled, all.clone()))
        };
        plain.patterned.iter().filter_map(compile).collect()
    }

    /// What `propertyNames` asks of names that are not declared.
    fn names(&mut self, plain: &Plain<'a>) -> Result<Names, Trouble> {
        let following = std::mem::take(&mut self.following);
        let alternatives = self.alternatives(&plain.names);
        self.following = following;
        let alternatives = alternatives?;
        let refused =
            || SchemaError::new(&*plain.pointer, "`propertyNames` can hold one pattern, one format, lengths or a list");
        let [names] = alternatives.as_slice() else { return Err(refused().into()) };
        if let Some(literals) = &names.literals {
            return Ok(Names::These(literals.iter().filter_map(Value::as_str).map(str::to_owned).collect()));
        }
        if !names.types().has(Types::STRING) {
            return Ok(Names::These(Vec::new()));
        }
        let formats = names.formats.iter().filter_map(|format| format::pattern(format));
        let patterns: Vec<String> = names.patterns.iter().cloned().chain(formats).collect();
        let sized = names.min_length > 0 || names.max_length.is_some();
        match (patterns.as_slice(), sized) {
            ([], false) => Ok(Names::Any),
            ([], true) => Ok(Names::Like(name_pattern(names.min_length, names.max_length))),
            ([pattern], false) => Ok(Names::Like(pattern.clone())),
            _ => Err(refused().into()),
        }
    }
}

enum Names {
    Any,
    These(Vec<String>),
    Like(String),
}

pub(super) fn name_pattern(least: u64, most: Option<u64>) -> String {
    let most = most.map_or(NAME_LENGTH.max(least), |most| most.min(MAX_COUNT));
    format!("^(?s:.{{{least},{most}}})$")
}
