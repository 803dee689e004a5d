//! The form that llguidance enforces: definitions of its own, one per recursive reference and level, and in each
//! only keywords that llguidance 1.9 follows to the letter. Here is how schemas refer, combine and nest.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::{Map, Value, json};

use crate::SchemaError;
use crate::plain::{All, Plain, Site, Types, asserts, discriminator};
use crate::read::{MAX_COUNT, Meaning, Patterns, target};

mod arrangement;
mod object;
mod recursion;
mod scalar;

use arrangement::{arrangements, different_values};
use object::name_pattern;
use recursion::recursive_targets;
use scalar::{literals_of, number, string};

/// How often a recursive reference is followed, the deepest that fits. The last level takes the branches that
/// do not recurse.
const LEVELS: [usize; 4] = [8, 4, 2, 1];
/// Levels of values under a schema that says nothing.
const ANY_LEVELS: usize = 4;
/// Arrays and objects inside one another; JSON parsers stop at 128.
const MAX_NESTING: usize = 100;
/// Schemas inside one another, references followed. llguidance takes up to 42 KB of stack for a reference to an
/// object (two steps) when it is not optimised, so this needs 1.4 MB of the usual 2.
const MAX_STEPS: usize = 64;
const MAX_NODES: usize = 20_000;
const MAX_ALTERNATIVES: usize = 64;

/// Where the schema sets no limit.
const ITEMS: u64 = 64;
pub(crate) fn grammar(meaning: &Meaning) -> Result<Value, SchemaError> {
    let recursive = recursive_targets(&meaning.root);
    let mut refusal = SchemaError::new("", "no value can follow this schema");
    for levels in LEVELS {
        let mut builder = Builder::new(&meaning.root, &meaning.patterns, &recursive, levels);
        let root = Site { schema: &meaning.root, pointer: "".into(), level: 0, discriminator: None };
        match builder.build(&vec![root]) {
            Ok(Some(built)) if built.nesting <= MAX_NESTING => return Ok(builder.finish(built.schema)),
            Ok(Some(_)) => {
                refusal = SchemaError::new("", format!("values would nest deeper than {MAX_NESTING} levels"))
            }
            Ok(None) => {}
            Err(Trouble::Refused(error)) => return Err(error),
            Err(Trouble::TooMuch(pointer)) => refusal = SchemaError::new(&*pointer, "the schema is too complex"),
        }
        if recursive.is_empty() {
            break;
        }
    }
    Err(refusal)
}

/// Whether all that a finished grammar admits are objects.
pub(crate) fn allows_only_objects(grammar: &Value) -> bool {
    let mut followed = HashSet::new();
    let mut open = vec![grammar];
    while let Some(form) = open.pop() {
        if let Some(reference) = form.get("$ref").and_then(target) {
            if let Some(definition) = grammar.pointer(&reference)
                && followed.insert(reference)
            {
                open.push(definition);
            }
        } else if let Some(Value::Array(branches)) = form.get("anyOf") {
            open.extend(branches);
        } else if let Some(Value::Array(literals)) = form.get("enum") {
            if !literals.iter().all(Value::is_object) {
                return false;
            }
        } else if form.get("type") != Some(&json!("object")) {
            return false;
        }
    }
    true
}

enum Trouble {
    Refused(SchemaError),
    /// Fewer levels may do.
    TooMuch(Rc<str>),
}

impl From<SchemaError> for Trouble {
    fn from(error: SchemaError) -> Self {
        Self::Refused(error)
    }
}

/// A schema for llguidance, and how deep its values can nest.
#[derive(Clone)]
struct Built {
    schema: Value,
    nesting: usize,
}

impl Built {
    fn flat(schema: Value) -> Option<Self> {
        Some(Self { schema, nesting: 0 })
    }
}

/// `None`: no value can follow it.
type Outcome = Result<Option<Built>, Trouble>;

struct Builder<'a> {
    root: &'a Value,
    patterns: &'a Patterns,
    recursive: &'a HashSet<String>,
    levels: usize,
    definitions: Map<String, Value>,
    /// Definitions by pointer, level and discriminator.
    built: HashMap<(String, usize, Option<&'a str>), Option<Built>>,
    /// References that are followed without having gone into a value.
    following: Vec<Rc<str>>,
    any: Option<Built>,
    steps: usize,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn new(root: &'a Value, patterns: &'a Patterns, recursive: &'a HashSet<String>, levels: usize) -> Self {
        Self {
            root,
            patterns,
            recursive,
            levels,
            definitions: Map::new(),
            built: HashMap::new(),
            following: Vec::new(),
            any: None,
            steps: 0,
            nodes: 0,
        }
    }

    fn finish(self, schema: Value) -> Value {
        let mut grammar = Map::new();
        let options = json!({
            // Between two lexemes: nothing, a space, or a new line with its indentation.
            "whitespace_pattern": r"\x20|\n\x20{0,20}",
            // Without `\u`, half a surrogate pair cannot be written, nor a name twice in different letters.
            "json_allowed_escapes": "nrbtf\\\"",
        });
        grammar.insert("x-guidance".to_owned(), options);
        if let Value::Object(keywords) = schema {
            grammar.extend(keywords);
        }
        if !self.definitions.is_empty() {
            grammar.insert("$defs".to_owned(), Value::Object(self.definitions));
        }
        Value::Object(grammar)
    }

    fn build(&mut self, all: &All<'a>) -> Outcome {
        let here = || all.first().map_or_else(|| "".into(), |site| site.pointer.clone());
        self.nodes += 1;
        if self.nodes > MAX_NODES || self.steps >= MAX_STEPS {
            return Err(Trouble::TooMuch(here()));
        }
        self.steps += 1;
        let outcome = match all.as_slice() {
            [site] => self.build_one(site, all),
            _ => self.build_merged(all),
        };
        self.steps -= 1;
        outcome
    }

    /// What only refers or only chooses keeps its form, so that definitions are shared.
    fn build_one(&mut self, site: &Site<'a>, all: &All<'a>) -> Outcome {
        let Value::Object(keywords) = site.schema else { return self.build_merged(all) };
        let mut asserted = keywords.iter().filter(|(keyword, _)| asserts(keyword));
        match (asserted.next(), asserted.next()) {
            (Some((keyword, value)), None) => match (keyword.as_str(), value) {
                ("$ref", reference) => self.build_reference(site, reference),
                ("anyOf" | "oneOf", Value::Array(branches)) => {
                    let branches = branches.iter().enumerate();
                    let discriminator = discriminator_of(site, keyword, keywords);
                    let branches = branches.map(|(index, branch)| {
                        vec![site.below(branch, &[keyword, &index.to_string()]).told_by(discriminator)]
                    });
                    let built = branches.map(|branch| self.build(&branch)).collect::<Result<Vec<_>, _>>()?;
                    Ok(either(built.into_iter().flatten()))
                }
                ("allOf", Value::Array(parts)) if parts.len() == 1 => {
                    self.build(&vec![site.below(&parts[0], &[keyword, "0"]).told_by(site.discriminator)])
                }
                _ => self.build_merged(all),
            },
            _ => self.build_merged(all),
        }
    }

    fn build_reference(&mut self, site: &Site<'a>, reference: &Value) -> Outcome {
        let Some(target) = self.follow(site, reference)? else { return Ok(None) };
        let key = (target.pointer.to_string(), target.level, target.discriminator);
        if let Some(built) = self.built.get(&key) {
            return Ok(built.clone());
        }
        self.enter(site, &target)?;
        let built = self.build(&vec![target])?;
        self.following.pop();
        let built = built.map(|built| Built { schema: self.define(built.schema), nesting: built.nesting });
        self.built.insert(key, built.clone());
        Ok(built)
    }

    /// Gives a schema a name of its own, unless it is no longer than one.
    fn define(&mut self, schema: Value) -> Value {
        if schema.get("$ref").is_some() {
            return schema;
        }
        let name = format!("d{}", self.definitions.len());
        let reference = json!({"$ref": format!("#/$defs/{name}")});
        self.definitions.insert(name, schema);
        reference
    }

    /// Where a reference leads; `None` past the last level.
    fn follow(&self, site: &Site<'a>, reference: &Value) -> Result<Option<Site<'a>>, SchemaError> {
        let found = target(reference).and_then(|pointer| Some((self.root.pointer(&pointer)?, pointer)));
        let Some((schema, pointer)) = found else {
            return Err(SchemaError::new(&*site.pointer, "the reference leads to nothing"));
        };
        let level = site.level + usize::from(self.recursive.contains(&pointer));
        let discriminator = site.discriminator;
        Ok((level <= self.levels).then(|| Site { schema, pointer: pointer.into(), level, discriminator }))
    }

    /// A reference that comes back to itself before any value begins says nothing.
    fn enter(&mut self, site: &Site<'a>, target: &Site<'a>) -> Result<(), SchemaError> {
        if self.following.contains(&target.pointer) {
            return Err(SchemaError::new(&*site.pointer, "the reference comes back to itself without an end"));
        }
        self.following.push(target.pointer.clone());
        Ok(())
    }

    /// Builds what is inside an array or an object: references may come back from here.
    fn build_inside(&mut self, all: &All<'a>) -> Outcome {
        if all.is_empty() {
            return self.build_any().map(Some);
        }
        let following = std::mem::take(&mut self.following);
        let built = self.build(all);
        self.following = following;
        built
    }

    fn build_merged(&mut self, all: &All<'a>) -> Outcome {
        let mut built = Vec::new();
        for plain in self.alternatives(all)? {
            built.extend(self.build_plain(&plain)?);
        }
        Ok(either(built))
    }

    /// The alternatives of schemas that must all be followed.
    fn alternatives(&mut self, all: &[Site<'a>]) -> Result<Vec<Plain<'a>>, Trouble> {
        let pointer = all.first().map_or_else(|| "".into(), |site| site.pointer.clone());
        let mut alternatives = vec![Plain::anything(pointer)];
        for site in all {
            let more = self.expand(site)?;
            alternatives = both(alternatives, &more)?;
        }
        Ok(alternatives)
    }

    fn expand(&mut self, site: &Site<'a>) -> Result<Vec<Plain<'a>>, Trouble> {
        let keywords = match site.schema {
            Value::Object(keywords) => keywords,
            Value::Bool(false) => return Ok(Vec::new()),
            _ => return Ok(vec![Plain::anything(site.pointer.clone())]),
        };
        self.nodes += 1;
        if self.nodes > MAX_NODES || self.steps >= MAX_STEPS {
            return Err(Trouble::TooMuch(site.pointer.clone()));
        }
        self.steps += 1;
        let mut alternatives = vec![Plain::read(site, keywords)];
        for (keyword, value) in keywords {
            let parts = || value.as_array().into_iter().flatten().enumerate();
            match keyword.as_str() {
                "allOf" => {
                    for (index, part) in parts() {
                        let more = self.expand(&site.below(part, &[keyword, &index.to_string()]))?;
                        alternatives = both(alternatives, &more)?;
                    }
                }
                "anyOf" | "oneOf" => {
                    let discriminator = discriminator_of(site, keyword, keywords);
                    let mut more = Vec::new();
                    for (index, part) in parts() {
                        let branch = site.below(part, &[keyword, &index.to_string()]);
                        more.extend(self.expand(&branch.told_by(discriminator))?);
                    }
                    alternatives = both(alternatives, &more)?;
                }
                "$ref" => {
                    let more = match self.follow(site, value)? {
                        Some(target) => {
                            self.enter(site, &target)?;
                            let more = self.expand(&target)?;
                            self.following.pop();
                            more
                        }
                        None => Vec::new(),
                    };
                    alternatives = both(alternatives, &more)?;
                }
                _ => {}
            }
        }
        self.steps -= 1;
        Ok(alternatives)
    }

    fn build_plain(&mut self, plain: &Plain<'a>) -> Outcome {
        if plain.is_anything() {
            return self.build_any().map(Some);
        }
        if let Some(literals) = &plain.literals {
            return Ok(literals_of(plain, literals, self.patterns));
        }
        let types = plain.types();
        let mut built = Vec::new();
        if types.has(Types::OBJECT) {
            built.extend(self.build_object(plain)?);
        }
        if types.has(Types::ARRAY) {
            built.extend(self.build_array(plain)?);
        }
        if types.has(Types::STRING) {
            built.extend(string(plain));
        }
        if types.has(Types::INTEGER) {
            built.extend(number(plain, !types.has(Types::NUMBER)));
        }
        if types.has(Types::BOOLEAN) {
            built.extend(Built::flat(json!({"type": "boolean"})));
        }
        if types.has(Types::NULL) {
            built.extend(Built::flat(json!({"type": "null"})));
        }
        Ok(either(built))
    }

    fn build_array(&mut self, plain: &Plain<'a>) -> Outcome {
        let mut most = plain.max_items;
        let mut nesting = 0;
        let mut prefix = Vec::new();
        for (index, all) in (0_u64..).zip(&plain.prefix) {
            if most.is_some_and(|most| index >= most) {
                break;
            }
            let Some(built) = self.build_inside(all)? else {
                most = Some(index);
                break;
            };
            nesting = nesting.max(built.nesting);
            prefix.push(built.schema);
        }
        let prefixed = prefix.len() as u64;
        // A tuple ends where its description ends, unless more is described or wanted, and is written whole.
        let described = plain.items.is_empty() && !plain.prefix.is_empty();
        let ends = plain.closed_array || described && plain.min_items <= prefixed;
        let rest =
            if ends || most.is_some_and(|most| most <= prefixed) { None } else { self.build_inside(&plain.items)? };
        let whole = ends && most.is_none();
        let least = if whole { plain.min_items.max(prefixed) } else { plain.min_items };
        let mut most = match &rest {
            None => most.map_or(prefixed, |most| most.min(prefixed)),
            Some(_) if described => most.map_or(plain.min_items, |most| most.min(plain.min_items)),
            Some(_) => most.map_or(ITEMS.max(plain.min_items).max(prefixed), |most| most.min(MAX_COUNT)),
        };
        let different =
            rest.as_ref().filter(|_| plain.unique).and_then(|rest| different_values(&rest.schema, &self.definitions));
        if let Some(values) = &different {
            most = most.min(prefixed + values.len() as u64);
        }
        if least > most {
            return Ok(None);
        }
        if prefix.is_empty()
            && let Some(values) = different
            && let Some(arrangements) = arrangements(&values, least, most)
        {
            let nesting = rest.map_or(0, |rest| rest.nesting) + 1;
            self.nodes += arrangements.len();
            return Ok(either(arrangements.into_iter().map(|schema| Built { schema, nesting })));
        }
        let mut array = Map::new();
        array.insert("type".to_owned(), json!("array"));
        if !prefix.is_empty() {
            array.insert("prefixItems".to_owned(), Value::Array(prefix));
        }
        nesting = nesting.max(rest.as_ref().map_or(0, |rest| rest.nesting));
        array.insert("items".to_owned(), rest.map_or(Value::Bool(false), |rest| rest.schema));
        if least > 0 {
            array.insert("minItems".to_owned(), json!(least));
        }
        array.insert("maxItems".to_owned(), json!(most));
        Ok(Some(Built { schema: Value::Object(array), nesting: nesting + 1 }))
    }

    /// Any JSON, a few levels deep.
    fn build_any(&mut self) -> Result<Built, Trouble> {
        if let Some(any) = &self.any {
            return Ok(any.clone());
        }
        let anything = Plain::anything("".into());
        let scalars = [
            string(&anything),
            number(&anything, false),
            Built::flat(json!({"type": "boolean"})),
            Built::flat(json!({"type": "null"})),
        ];
        let scalars: Vec<Built> = scalars.into_iter().flatten().collect();
        let Some(mut any) = either(scalars.clone()) else { return Err(Trouble::TooMuch("".into())) };
        any.schema = self.define(any.schema);
        for level in 1..=ANY_LEVELS {
            let inner = &any.schema;
            let array = json!({"type": "array", "items": inner, "maxItems": ITEMS});
            let names = json!({name_pattern(0, None): inner});
            let object = json!({
                "type": "object", "maxProperties": ITEMS, "patternProperties": names, "additionalProperties": false,
            });
            let containers = [object, array].map(|schema| Built { schema, nesting: level });
            let Some(next) = either(containers.into_iter().chain(scalars.clone())) else { break };
            any = Built { schema: self.define(next.schema), nesting: level };
        }
        self.any = Some(any.clone());
        Ok(any)
    }
}

/// The property that tells the branches of a `oneOf` from one another; from outside, it holds for those of an `anyOf`.
fn discriminator_of<'a>(site: &Site<'a>, keyword: &str, keywords: &'a Map<String, Value>) -> Option<&'a str> {
    discriminator(keywords).filter(|_| keyword == "oneOf").or(site.discriminator)
}

/// What follows one of the first and one of the second.
fn both<'a>(first: Vec<Plain<'a>>, second: &[Plain<'a>]) -> Result<Vec<Plain<'a>>, Trouble> {
    let mut merged = Vec::new();
    for one in first {
        for two in second {
            merged.extend(one.clone().and(two.clone())?);
            if merged.len() > MAX_ALTERNATIVES {
                let message =
                    format!("`anyOf`, `oneOf` and `allOf` combine to more than {MAX_ALTERNATIVES} alternatives");
                return Err(SchemaError::new(&*two.pointer, message).into());
            }
        }
    }
    Ok(merged)
}

fn either(built: impl IntoIterator<Item = Built>) -> Option<Built> {
    let mut schemas: Vec<Value> = Vec::new();
    let mut nesting = 0;
    for built in built {
        nesting = nesting.max(built.nesting);
        if schemas.len() > MAX_ALTERNATIVES || !schemas.contains(&built.schema) {
            schemas.push(built.schema);
        }
    }
    let schema = match schemas.len() {
        0 => return None,
        1 => schemas.swap_remove(0),
        _ => json!({"anyOf": schemas}),
    };
    Some(Built { schema, nesting })
}
