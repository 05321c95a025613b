//! What it costs to check metadata against a schema: known before anything is checked.
//!
//! A schema of two kilobytes can say the same thing 2^30 times, and a check that runs cannot be stopped. So the schema is
//! laid out as a graph: what is applied in place, to the same part of the metadata (`allOf`, `$ref`), and what is applied
//! to a member of it (`properties`, `items`). In place it must end, so there the graph has no cycle and no long way.
//! From member to member it may go round, since metadata ends.
//!
//! From the graph and the shape of the metadata follows how many checks there are at most, and how long texts are looked
//! through. Schemas in ordinary use are far below the limits.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::patterns::Patterns;

/// How far a schema leads in place, from schema to schema.
const MAX_WAY: usize = 64;

/// Checks of one part of the metadata at most.
const MAX_IN_PLACE: u64 = 10_000;

/// Schemas in a schema at most; a reference counts once for all that name its target.
const MAX_SCHEMAS: usize = 20_000;

/// References in a schema at most. Each one is followed when it is compiled.
const MAX_REFERENCES: usize = 1000;

/// Words of a keyword, such as values of an `enum`, that are compared in the time of one check.
const WORDS: usize = 16;

/// Steps of a pattern through a text that are taken in the time of one check.
const STEPS: u64 = 16;

/// A schema laid out. The schemas that one applies in place stand before it.
#[derive(Debug)]
pub(super) struct Layout {
    schemas: Vec<Schema>,
    root: usize,
}

/// Which other schemas one applies, by index.
#[derive(Debug, Default)]
struct Schema {
    /// What its own keywords cost.
    own: u64,
    /// What they cost more per member.
    per_member: u64,
    /// The steps they take for each byte of a text.
    per_byte: u64,
    /// The steps they take for each byte of a member's name.
    per_name_byte: u64,
    in_place: Vec<usize>,
    /// `unevaluated…` asks once more for each member what was applied in place.
    asks_again: bool,
    /// To the name of each member.
    names: Vec<usize>,
    /// To a member, at most one of these.
    one: Vec<usize>,
    /// To a member, each of these besides.
    each: Vec<usize>,
    /// To a member to which none of the above was applied.
    rest: Vec<usize>,
}

/// How metadata is shaped, by depth.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Parts at each depth.
    parts: Vec<u64>,
    /// The most members that a part at each depth has.
    members: Vec<u64>,
    /// Bytes of all texts at each depth.
    texts: Vec<u64>,
    /// Bytes of the names of all members that parts at each depth have.
    names: Vec<u64>,
}

impl Shape {
    /// The shape of a value. As deep as the value, which is bounded where it is read.
    pub(super) fn of(value: &Value) -> Self {
        let mut shape = Self::default();
        shape.add(value, 0);
        shape
    }

    fn add(&mut self, value: &Value, depth: usize) {
        if self.parts.len() == depth {
            self.parts.push(0);
            self.members.push(0);
            self.texts.push(0);
            self.names.push(0);
        }
        self.parts[depth] += 1;
        let mut most = |members: usize| self.members[depth] = self.members[depth].max(members as u64);
        match value {
            Value::Object(map) => {
                most(map.len());
                self.names[depth] += map.keys().map(|name| bytes(name)).sum::<u64>();
                map.values().for_each(|member| self.add(member, depth + 1));
            }
            Value::Array(items) => {
                most(items.len());
                for item in items {
                    self.add(item, depth + 1);
                }
            }
            Value::String(text) => self.texts[depth] += bytes(text),
            _ => {}
        }
    }
}

/// A pattern begins at an empty text as well.
fn bytes(text: &str) -> u64 {
    text.len() as u64 + 1
}

impl Layout {
    /// Lays a schema out, or says in what way it is beyond the limits.
    pub(super) fn of(schema: &Value) -> Result<Self, String> {
        let mut reader = Reader::new(schema)?;
        reader.find(schema)?;
        let mut at = 0;
        while let Some(found) = reader.found.get(at).copied() {
            let read = reader.read(found, at == 0)?;
            reader.schemas.push(read);
            at += 1;
        }
        let layout = in_order(reader.schemas)?;
        let alone = Shape { parts: vec![1], members: vec![0], texts: vec![0], names: vec![0] };
        let most = layout.checks_at(&alone, 0).into_iter().max().unwrap_or_default();
        if most > MAX_IN_PLACE {
            return Err(format!(
                "it leads to more than {MAX_IN_PLACE} checks of one and the same part of the metadata; have fewer \
                 subschemas apply to one part, or name values with enum"
            ));
        }
        Ok(layout)
    }

    /// How many checks metadata of this shape leads to at most.
    pub(super) fn checks(&self, shape: &Shape) -> u64 {
        let at = |depth: usize| shape.parts[depth].saturating_mul(self.checks_at(shape, depth)[self.root]);
        (0..shape.parts.len()).map(at).fold(0, u64::saturating_add)
    }

    /// In the time of how many checks its texts and names are looked through at most.
    pub(super) fn matching(&self, shape: &Shape) -> u64 {
        let mut as_name: Vec<u64> = Vec::with_capacity(self.schemas.len());
        for schema in &self.schemas {
            // A name has no members to ask again for.
            let times = if schema.asks_again { 2 } else { 1 };
            let in_place = sum(&schema.in_place, &as_name).saturating_mul(times);
            as_name.push(in_place.saturating_add(schema.per_byte));
        }
        let at = |depth: usize| {
            let per_byte = self.applied(shape, depth, |schema, _| schema.per_byte)[self.root];
            let per_name_byte = self.applied(shape, depth, |schema, _| {
                sum(&schema.names, &as_name).saturating_add(schema.per_name_byte)
            })[self.root];
            let texts = shape.texts[depth].saturating_mul(per_byte);
            texts.saturating_add(shape.names[depth].saturating_mul(per_name_byte))
        };
        (0..shape.parts.len()).map(at).fold(0, u64::saturating_add) / STEPS
    }

    /// How many checks of one part at `depth` each schema leads to when it is applied at the top.
    fn checks_at(&self, shape: &Shape, depth: usize) -> Vec<u64> {
        self.applied(shape, depth, |schema, here| {
            let names = sum(&schema.names, here).saturating_add(schema.per_member);
            schema.own.saturating_add(names.saturating_mul(shape.members[depth]))
        })
    }

    /// What each schema costs when it is applied at the top and only parts at `depth` cost something: `cost` of a schema
    /// there, which is also told the costs of those before it.
    fn applied(&self, shape: &Shape, depth: usize, cost: impl Fn(&Schema, &[u64]) -> u64) -> Vec<u64> {
        let mut below = vec![0; self.schemas.len()];
        for at in (0..=depth).rev() {
            let mut here: Vec<u64> = Vec::with_capacity(self.schemas.len());
            for schema in &self.schemas {
                let times = if schema.asks_again { shape.members[at].saturating_add(2) } else { 1 };
                let mut costs = sum(&schema.in_place, &here).saturating_mul(times);
                if at == depth {
                    costs = costs.saturating_add(cost(schema, &here));
                }
                let one: u64 = schema.one.iter().map(|next| below[*next]).max().unwrap_or_default();
                let named = one.saturating_add(sum(&schema.each, &below));
                costs = costs.saturating_add(named.max(sum(&schema.rest, &below)));
                here.push(costs);
            }
            below = here;
        }
        below
    }
}

fn sum(of: &[usize], costs: &[u64]) -> u64 {
    of.iter().fold(0, |sum, next| sum.saturating_add(costs[*next]))
}

/// Puts schemas behind those they apply in place; an error where that leads too far, or round.
fn in_order(schemas: Vec<Schema>) -> Result<Layout, String> {
    fn visit(
        at: usize,
        way: usize,
        schemas: &[Schema],
        order: &mut Vec<usize>,
        longest: &mut [usize],
    ) -> bool {
        if longest[at] > 0 {
            return way + longest[at] <= MAX_WAY;
        }
        let next = |next: &usize| visit(*next, way + 1, schemas, order, longest);
        let is_short = way < MAX_WAY && schemas[at].in_place.iter().chain(&schemas[at].names).all(next);
        if is_short {
            let next = schemas[at].in_place.iter().chain(&schemas[at].names);
            longest[at] = 1 + next.map(|next| longest[*next]).max().unwrap_or_default();
            order.push(at);
        }
        is_short
    }
    let (mut order, mut longest) = (Vec::with_capacity(schemas.len()), vec![0; schemas.len()]);
    for at in 0..schemas.len() {
        if !visit(at, 0, &schemas, &mut order, &mut longest) {
            return Err(format!(
                "subschemas and references lead from one to the next more than {MAX_WAY} times, or in a circle, \
                 without a step into the metadata"
            ));
        }
    }
    let mut place = vec![0; schemas.len()];
    order.iter().enumerate().for_each(|(new, old)| place[*old] = new);
    let mut schemas: Vec<Option<Schema>> = schemas.into_iter().map(Some).collect();
    let moved = |old: usize| {
        let mut schema = schemas[old].take().expect("each is in the order once");
        let Schema { in_place, names, one, each, rest, .. } = &mut schema;
        for index in [in_place, names, one, each, rest].into_iter().flatten() {
            *index = place[*index];
        }
        schema
    };
    Ok(Layout { schemas: order.iter().copied().map(moved).collect(), root: place[0] })
}

/// Finds the schemas in a schema, each once, however many refer to it.
struct Reader<'a> {
    document: &'a Value,
    /// Its `$id`, if it has one.
    id: Option<&'a str>,
    anchors: HashMap<&'a str, &'a Value>,
    known: HashMap<*const Value, usize>,
    found: Vec<&'a Value>,
    schemas: Vec<Schema>,
    references: usize,
    patterns: Patterns<'a>,
}

impl<'a> Reader<'a> {
    fn new(document: &'a Value) -> Result<Self, String> {
        // Up to draft 4 it had no dollar, as a name that others may have today.
        let is_old =
            document.get("$schema").and_then(Value::as_str).is_some_and(|it| it.contains("draft-04"));
        let id_of = |value: &'a Value| value.get(if is_old { "id" } else { "$id" }).and_then(Value::as_str);
        let id = id_of(document);
        let mut anchors = HashMap::new();
        let mut left = vec![document];
        while let Some(value) = left.pop() {
            let name = ["$anchor", "$dynamicAnchor"].iter().find_map(|key| value.get(key)?.as_str());
            let old = id_of(value);
            // Another base would give the references below another meaning than they are read with here.
            if old.is_some_and(|id| !id.starts_with('#')) && !std::ptr::eq(value, document) {
                return Err("only the schema as a whole may have an $id".to_owned());
            }
            let name = name.or_else(|| old?.strip_prefix('#'));
            if let Some(name) = name.filter(|_| value.is_object())
                && anchors.insert(name, value).is_some()
            {
                return Err(format!("the anchor {name:?} is there twice"));
            }
            match value {
                Value::Object(map) => left.extend(map.values()),
                Value::Array(items) => left.extend(items),
                _ => {}
            }
        }
        let (known, found, schemas) = (HashMap::new(), Vec::new(), Vec::new());
        Ok(Self {
            document,
            id,
            anchors,
            known,
            found,
            schemas,
            references: 0,
            patterns: Patterns::default(),
        })
    }

    /// The index of a schema. Anything that is none counts as one without keywords.
    fn find(&mut self, schema: &'a Value) -> Result<usize, String> {
        let next = self.found.len();
        let at = *self.known.entry(std::ptr::from_ref(schema)).or_insert(next);
        if at == next {
            if next == MAX_SCHEMAS {
                return Err(format!("it has more than {MAX_SCHEMAS} subschemas"));
            }
            self.found.push(schema);
        }
        Ok(at)
    }

    fn read(&mut self, schema: &'a Value, is_root: bool) -> Result<Schema, String> {
        let mut read = Schema { own: 1, ..Schema::default() };
        let Value::Object(keywords) = schema else { return Ok(read) };
        for (keyword, value) in keywords {
            match (keyword.as_str(), value) {
                ("not" | "if" | "then" | "else", _) => read.in_place.push(self.find(value)?),
                ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => self.find_all(all, &mut read.in_place)?,
                ("dependentSchemas" | "dependencies", Value::Object(map)) => {
                    self.find_values(map, &mut read.in_place)?;
                }
                ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(reference)) => {
                    let target = self.target(reference)?;
                    read.in_place.push(self.find(target)?);
                }
                ("propertyNames", _) => read.names.push(self.find(value)?),
                ("properties", Value::Object(map)) => {
                    read.own += weight(map.len());
                    self.find_values(map, &mut read.one)?;
                }
                ("prefixItems" | "items", Value::Array(all)) => self.find_all(all, &mut read.one)?,
                ("patternProperties", Value::Object(map)) => {
                    read.per_member += map.len() as u64;
                    for pattern in map.keys() {
                        read.per_name_byte += self.patterns.weigh(pattern)?;
                    }
                    self.find_values(map, &mut read.each)?;
                }
                ("contains", _) => read.each.push(self.find(value)?),
                ("additionalProperties" | "additionalItems" | "items", _) => {
                    read.rest.push(self.find(value)?);
                }
                ("unevaluatedProperties" | "unevaluatedItems", _) => {
                    read.asks_again = true;
                    read.rest.push(self.find(value)?);
                }
                ("pattern", Value::String(pattern)) => read.per_byte += self.patterns.weigh(pattern)?,
                ("format" | "minLength" | "maxLength" | "contentEncoding" | "contentMediaType", _) => {
                    read.per_byte += 1;
                }
                ("uniqueItems", _) => read.per_member += 1,
                ("$defs" | "definitions", _) => {}
                _ if is_root && keyword.starts_with('$') => {}
                (_, value) => read.own += words(value),
            }
        }
        Ok(read)
    }

    fn find_all(&mut self, schemas: &'a [Value], into: &mut Vec<usize>) -> Result<(), String> {
        schemas.iter().try_for_each(|schema| self.find(schema).map(|at| into.push(at)))
    }

    fn find_values(&mut self, schemas: &'a Map<String, Value>, into: &mut Vec<usize>) -> Result<(), String> {
        schemas.values().try_for_each(|schema| self.find(schema).map(|at| into.push(at)))
    }

    fn target(&mut self, reference: &str) -> Result<&'a Value, String> {
        self.references += 1;
        if self.references > MAX_REFERENCES {
            return Err(format!("it has more than {MAX_REFERENCES} references"));
        }
        let strange = || {
            let shown: String = reference.chars().take(100).collect();
            format!(
                "the reference {shown:?} leads nowhere in this schema; refer to a place in it, as #/$defs/name"
            )
        };
        let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let is_own = |id: &str| {
            let id = id.trim_end_matches('#');
            document == id || id.rsplit_once('/').is_some_and(|(_, file)| document == file)
        };
        if !document.is_empty() && !self.id.is_some_and(is_own) {
            return Err(strange());
        }
        let fragment = percent_decode_str(fragment).decode_utf8().map_err(|_| strange())?;
        if fragment.is_empty() || fragment.starts_with('/') {
            return self.document.pointer(&fragment).ok_or_else(strange);
        }
        self.anchors.get(&*fragment).copied().ok_or_else(strange)
    }
}

/// What the value of a keyword costs that is no schema.
fn words(value: &Value) -> u64 {
    let (mut count, mut left) = (0, vec![value]);
    while let Some(value) = left.pop() {
        count += 1;
        match value {
            Value::Object(map) => left.extend(map.values()),
            Value::Array(items) => left.extend(items),
            Value::String(text) => count += text.len() / (4 * WORDS),
            _ => {}
        }
    }
    weight(count)
}

fn weight(words: usize) -> u64 {
    (words / WORDS) as u64
}
