//! Which references lead back to themselves: those are followed a few levels deep, all others as they are.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::read::{join, target};

/// The targets of references that lead back to themselves, and those between two such.
pub(super) fn recursive_targets(root: &Value) -> HashSet<String> {
    let mut references: Vec<(String, String)> = Vec::new();
    let mut open = vec![(root, String::new())];
    while let Some((value, pointer)) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(target) = fields.get("$ref").and_then(target) {
                    references.push((pointer.clone(), target));
                }
                open.extend(fields.iter().map(|(name, field)| (field, join(&pointer, name))));
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                open.extend(items.map(|(index, item)| (item, join(&pointer, &index.to_string()))));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    // Sorted by place, what is inside a target is one range.
    references.sort();
    let inside = |target: &str| {
        let below = format!("{target}/");
        let start = references.partition_point(|(place, _)| place.as_str() < below.as_str());
        let own = references.binary_search_by(|(place, _)| place.as_str().cmp(target)).ok();
        let within = references[start..].iter().take_while(move |(place, _)| place.starts_with(&below));
        own.map(|index| &references[index])
            .into_iter()
            .chain(within)
            .map(|(_, target)| target.as_str())
            .collect::<HashSet<_>>()
    };
    let targets: HashSet<&str> = references.iter().map(|(_, target)| target.as_str()).collect();
    let onwards: Edges<'_> = targets.iter().map(|target| (*target, inside(target))).collect();
    let mut backwards: Edges<'_> = targets.iter().map(|target| (*target, HashSet::new())).collect();
    for (from, tos) in &onwards {
        for to in tos {
            backwards.entry(to).or_default().insert(from);
        }
    }
    let ends = dead_ends(&onwards, &backwards);
    let beginnings = dead_ends(&backwards, &onwards);
    targets
        .into_iter()
        .filter(|target| !ends.contains(target) && !beginnings.contains(target))
        .map(str::to_owned)
        .collect()
}

type Edges<'a> = HashMap<&'a str, HashSet<&'a str>>;

/// Places from which every way ends. What is no dead end in either direction is on a cycle or between two.
fn dead_ends<'a>(onwards: &Edges<'a>, backwards: &Edges<'a>) -> HashSet<&'a str> {
    let mut left: HashMap<&str, usize> = onwards.iter().map(|(place, next)| (*place, next.len())).collect();
    let mut open: Vec<&str> = left.iter().filter(|(_, ways)| **ways == 0).map(|(place, _)| *place).collect();
    let mut ends = HashSet::new();
    while let Some(place) = open.pop() {
        ends.insert(place);
        for before in backwards.get(place).into_iter().flatten() {
            if let Some(ways) = left.get_mut(before) {
                *ways -= 1;
                if *ways == 0 {
                    open.push(before);
                }
            }
        }
    }
    ends
}
