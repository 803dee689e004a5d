//! The form that llguidance enforces: definitions of its own, one per recursive reference and level, and in each
//! only keywords that llguidance 1.9 follows to the letter.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::{Map, Value, json};

use crate::SchemaError;
use crate::format;
use crate::plain::{All, Bound, Plain, Site, Types, asserts};
use crate::read::{MAX_COUNT, Meaning, join, target};

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

/// Where the schema sets no limit. A string of 2,000 characters compiles as quickly as a short one and costs
/// its mask nothing measurable.
const ITEMS: u64 = 64;
const LENGTH: u64 = 2_000;
const NAME_LENGTH: u64 = 128;
const MAGNITUDE: f64 = 1e15;
/// With six digits after the point a double keeps its decimal digits up to here, so that the last check of a
/// `multipleOf` sees the number that was written.
const FRACTIONAL_MAGNITUDE: f64 = 1e9;
const GRAIN: f64 = 1e-6;
/// The largest double that llguidance's integers hold.
const LARGEST: f64 = 9_223_372_036_854_774_784.0;

pub(crate) fn grammar(meaning: &Meaning) -> Result<Value, SchemaError> {
    let recursive = recursive_targets(&meaning.root);
    let mut refusal = SchemaError::new("", "no value can follow this schema");
    for levels in LEVELS {
        let mut builder = Builder::new(&meaning.root, &recursive, levels);
        let root = Site { schema: &meaning.root, pointer: "".into(), level: 0 };
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
    recursive: &'a HashSet<String>,
    levels: usize,
    definitions: Map<String, Value>,
    /// Definitions by pointer and level.
    built: HashMap<(String, usize), Option<Built>>,
    /// References that are followed without having gone into a value.
    following: Vec<Rc<str>>,
    any: Option<Built>,
    steps: usize,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn new(root: &'a Value, recursive: &'a HashSet<String>, levels: usize) -> Self {
        Self {
            root,
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
                    let branches =
                        branches.map(|(index, branch)| vec![site.below(branch, &[keyword, &index.to_string()])]);
                    let built = branches.map(|branch| self.build(&branch)).collect::<Result<Vec<_>, _>>()?;
                    Ok(either(built.into_iter().flatten()))
                }
                ("allOf", Value::Array(parts)) if parts.len() == 1 => {
                    self.build(&vec![site.below(&parts[0], &[keyword, "0"])])
                }
                _ => self.build_merged(all),
            },
            _ => self.build_merged(all),
        }
    }

    fn build_reference(&mut self, site: &Site<'a>, reference: &Value) -> Outcome {
        let Some(target) = self.follow(site, reference)? else { return Ok(None) };
        let key = (target.pointer.to_string(), target.level);
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
        Ok((level <= self.levels).then(|| Site { schema, pointer: pointer.into(), level }))
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
                    let mut more = Vec::new();
                    for (index, part) in parts() {
                        more.extend(self.expand(&site.below(part, &[keyword, &index.to_string()]))?);
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
            return Ok(literals_of(plain, literals));
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
        // A tuple ends where its description ends, unless more is described, and is written whole.
        let ends = plain.closed_array || (plain.items.is_empty() && !plain.prefix.is_empty());
        let rest =
            if ends || most.is_some_and(|most| most <= prefixed) { None } else { self.build_inside(&plain.items)? };
        let whole = ends && most.is_none();
        let least = if whole { plain.min_items.max(prefixed) } else { plain.min_items };
        let most = match &rest {
            None => most.map_or(prefixed, |most| most.min(prefixed)),
            Some(_) => most.map_or(ITEMS.max(plain.min_items).max(prefixed), |most| most.min(MAX_COUNT)),
        };
        if least > most {
            return Ok(None);
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

    fn build_object(&mut self, plain: &Plain<'a>) -> Outcome {
        let mut declared = plain.properties.clone();
        let mut patterned = plain.patterned.clone();
        let mut open = !plain.closed_object && plain.properties.is_empty() && plain.patterned.is_empty()
            || !plain.additional.is_empty();
        let mut like_names = None;
        if open && !plain.names.is_empty() {
            match self.names(plain)? {
                Names::Any => {}
                Names::These(names) => {
                    open = false;
                    for name in names {
                        if declared.iter().all(|(known, _)| *known != name) {
                            declared.push((name, plain.additional.clone()));
                        }
                    }
                }
                Names::Like(pattern) => like_names = Some(pattern),
            }
        }
        if patterned.is_empty() {
            for name in &plain.required {
                if declared.iter().all(|(known, _)| known != name) {
                    declared.push(((*name).to_owned(), plain.additional.clone()));
                }
            }
        }
        let rank = |name: &str| plain.ordering.iter().position(|ordered| *ordered == name).unwrap_or(usize::MAX);
        declared.sort_by_key(|(name, _)| rank(name));

        let mut nesting = 0;
        let mut optional = 0_u64;
        let mut properties = Map::new();
        for (name, all) in declared {
            let required = plain.required.contains(&name.as_str());
            match self.build_inside(&all)? {
                Some(built) => {
                    nesting = nesting.max(built.nesting);
                    optional += u64::from(!required);
                    properties.insert(name, built.schema);
                }
                None if required => return Ok(None),
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

        let required = plain.required.len() as u64;
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
            let most = if most == u64::MAX { least.max(required + ITEMS) } else { most.min(MAX_COUNT) };
            object.insert("maxProperties".to_owned(), json!(most));
        }
        if !properties.is_empty() {
            object.insert("properties".to_owned(), Value::Object(properties));
        }
        if !like.is_empty() {
            object.insert("patternProperties".to_owned(), Value::Object(like));
        }
        if !plain.required.is_empty() {
            object.insert("required".to_owned(), json!(plain.required));
        }
        object.insert("additionalProperties".to_owned(), beside.map_or(Value::Bool(false), |beside| beside.schema));
        Ok(Some(Built { schema: Value::Object(object), nesting: nesting + 1 }))
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

enum Names {
    Any,
    These(Vec<String>),
    Like(String),
}

fn name_pattern(least: u64, most: Option<u64>) -> String {
    let most = most.map_or(NAME_LENGTH.max(least), |most| most.min(MAX_COUNT));
    format!("^(?s:.{{{least},{most}}})$")
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

/// The listed values that the other keywords allow. Those about parts of arrays and objects are checked afterwards.
fn literals_of(plain: &Plain<'_>, literals: &[Value]) -> Option<Built> {
    let mut scalar = Map::new();
    if let Some(bound) = plain.minimum {
        scalar.insert(if bound.exclusive { "exclusiveMinimum" } else { "minimum" }.to_owned(), json!(bound.value));
    }
    if let Some(bound) = plain.maximum {
        scalar.insert(if bound.exclusive { "exclusiveMaximum" } else { "maximum" }.to_owned(), json!(bound.value));
    }
    scalar.insert("minLength".to_owned(), json!(plain.min_length));
    scalar.extend(plain.max_length.map(|most| ("maxLength".to_owned(), json!(most))));
    scalar.extend(plain.multiple_of.map(|multiple| ("multipleOf".to_owned(), json!(multiple))));
    let formats = plain.formats.iter().map(|format| json!({"format": format}));
    let patterns = plain.patterns.iter().map(|pattern| json!({"pattern": pattern}));
    let all: Vec<Value> = formats.chain(patterns).chain([Value::Object(scalar)]).collect();
    // Every pattern was compiled before; without a validator nothing is filtered, and the last check remains.
    let validator = jsonschema::options().offline().should_validate_formats(true).build(&json!({"allOf": all})).ok();
    let fits = |literal: &&Value| {
        plain.types().has(Types::of(literal)) && validator.as_ref().is_none_or(|validator| validator.is_valid(literal))
    };
    let kept: Vec<&Value> = literals.iter().filter(fits).collect();
    let nesting = kept.iter().map(|literal| nesting(literal)).max()?;
    Some(Built { schema: json!({"enum": kept}), nesting })
}

fn nesting(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(nesting).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(nesting).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn string(plain: &Plain<'_>) -> Option<Built> {
    let formats = plain.formats.iter().filter_map(|format| format::pattern(format));
    let formats: Vec<String> = formats.collect();
    // The patterns of formats are bounded.
    let implied = if formats.is_empty() { Some(LENGTH.max(plain.min_length)) } else { None };
    let most = plain.max_length.map(|most| most.min(MAX_COUNT)).or(implied);
    if most.is_some_and(|most| plain.min_length > most) {
        return None;
    }
    let mut string = Map::new();
    string.insert("type".to_owned(), json!("string"));
    if plain.min_length > 0 {
        string.insert("minLength".to_owned(), json!(plain.min_length));
    }
    if let Some(most) = most {
        string.insert("maxLength".to_owned(), json!(most));
    }
    let mut patterns = formats.iter().chain(&plain.patterns);
    if let Some(pattern) = patterns.next() {
        string.insert("pattern".to_owned(), json!(pattern));
    }
    let more: Vec<Value> = patterns.map(|pattern| json!({"type": "string", "pattern": pattern})).collect();
    if !more.is_empty() {
        string.insert("allOf".to_owned(), Value::Array(more));
    }
    Built::flat(Value::Object(string))
}

fn number(plain: &Plain<'_>, integer: bool) -> Option<Built> {
    let limit = |bound: Option<Bound>, implied: f64| bound.unwrap_or(Bound { value: implied, exclusive: false });
    // One more power of ten than a bound on the other side needs.
    let fractional = plain.multiple_of.is_some_and(|multiple| multiple.fract() != 0.0);
    let magnitude = if fractional { FRACTIONAL_MAGNITUDE } else { MAGNITUDE };
    let beyond = |other: Option<Bound>| other.map_or(magnitude, |other| magnitude.max(other.value.abs() * 10.0));
    let mut least = limit(plain.minimum, -beyond(plain.maximum));
    let mut most = limit(plain.maximum, beyond(plain.minimum));
    for bound in [&mut least, &mut most] {
        if bound.value.abs() > LARGEST {
            *bound = Bound { value: LARGEST.copysign(bound.value), exclusive: false };
        }
    }
    if integer {
        least = whole(least, 1.0);
        most = whole(most, -1.0);
    }
    if least.value > most.value || (least.value == most.value && (least.exclusive || most.exclusive)) {
        return None;
    }
    let fine = |bound: Bound| (bound.value / GRAIN).fract() == 0.0 || bound.value.abs() > 1e9;
    let grained = !integer && fine(least) && fine(most) && most.value - least.value > 0.001;
    let multiple = plain.multiple_of.or(grained.then_some(GRAIN));
    if let Some(multiple) = plain.multiple_of {
        let mut first = (least.value / multiple).ceil() * multiple;
        if least.exclusive && first <= least.value {
            first += multiple;
        }
        if first > most.value || (most.exclusive && first >= most.value) {
            return None;
        }
    }
    let mut number = Map::new();
    number.insert("type".to_owned(), json!(if integer { "integer" } else { "number" }));
    number.insert(if least.exclusive { "exclusiveMinimum" } else { "minimum" }.to_owned(), exact(least.value));
    number.insert(if most.exclusive { "exclusiveMaximum" } else { "maximum" }.to_owned(), exact(most.value));
    number.extend(multiple.map(|multiple| ("multipleOf".to_owned(), exact(multiple))));
    Built::flat(Value::Object(number))
}

/// The bound of integers, moved inwards (`direction` 1 for a lower, -1 for an upper one).
fn whole(bound: Bound, direction: f64) -> Bound {
    let inwards = (bound.value * direction).ceil() * direction;
    let moved = bound.exclusive && inwards == bound.value;
    Bound { value: if moved { inwards + direction } else { inwards }, exclusive: false }
}

fn exact(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers up to that limit are integers")]
    if number.fract() == 0.0 && number.abs() <= LARGEST { json!(number as i64) } else { json!(number) }
}

/// The targets of references that lead back to themselves, and those between two such.
fn recursive_targets(root: &Value) -> HashSet<String> {
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
