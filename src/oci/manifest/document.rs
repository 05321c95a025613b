//! Reads the JSON of a manifest in one pass, with the path of whatever is wrong.
//!
//! By hand and not derived: a derived reader knows no paths, and Go's decoder, which most clients use,
//! matches keys without regard to case and takes the last of several. Here a known key stands at most
//! once and in its own spelling, so nobody reads another manifest than the registry did. Unknown values
//! are walked and dropped: no memory, and nesting bounded by the limit of `serde_json`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::super::text::{cut, excerpt};
use super::{Descriptor, ManifestError};

/// The largest size of a descriptor: clients and databases count in signed 64-bit numbers.
const MAX_SIZE: u64 = i64::MAX as u64;

/// Most bytes of a reader's complaint that are passed on; some repeat the value.
const MAX_REASON: usize = 240;

/// The fields of an image and an index in one bag; nothing is checked across fields.
#[derive(Default)]
pub(super) struct Document {
    pub(super) schema_version: Option<u64>,
    pub(super) media_type: Option<String>,
    pub(super) config: Option<Descriptor>,
    pub(super) layers: Vec<Descriptor>,
    pub(super) manifests: Vec<Descriptor>,
    pub(super) subject: Option<Descriptor>,
    pub(super) artifact_type: Option<String>,
    pub(super) annotations: BTreeMap<String, String>,
    seen: Vec<&'static str>,
}

impl Document {
    /// Whether the key is there, whatever its value: even `null` is how somebody else might tell a kind.
    pub(super) fn has(&self, key: &str) -> bool {
        self.seen.contains(&key)
    }
}

/// Reads the whole of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Document, ManifestError> {
    let trail = Trail::default();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let document =
        DocumentAt(&trail).deserialize(&mut json).and_then(|document| json.end().map(|()| document));
    document.map_err(|error| ManifestError::Field {
        path: trail.text(),
        reason: cut(&error.to_string(), MAX_REASON),
    })
}

/// Where in the document the reader is. After an error it stays where the error happened.
#[derive(Default)]
struct Trail(RefCell<String>);

impl Trail {
    /// Unknown keys, which are `""`, leave no step.
    fn field<T, E>(&self, key: &str, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let dot = if key.is_empty() || self.0.borrow().is_empty() { "" } else { "." };
        self.step(&format!("{dot}{key}"), read)
    }

    fn item<T, E>(&self, at: usize, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.step(&format!("[{at}]"), read)
    }

    fn step<T, E>(&self, step: &str, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let outer = self.0.borrow().len();
        self.0.borrow_mut().push_str(step);
        let value = read()?;
        self.0.borrow_mut().truncate(outer);
        Ok(value)
    }

    fn text(&self) -> String {
        let path = self.0.borrow();
        if path.is_empty() { "manifest".to_owned() } else { path.clone() }
    }
}

/// The next key of an object: a known one, or `""` for one that is unknown. Known keys come once.
fn next_key<'de, A: MapAccess<'de>>(
    map: &mut A,
    known: &[&'static str],
    seen: &mut Vec<&'static str>,
) -> Result<Option<&'static str>, A::Error> {
    let Some(key) = map.next_key::<String>()? else {
        return Ok(None);
    };
    let Some(&name) = known.iter().find(|name| same_to_go(name, &key)) else {
        return Ok(Some(""));
    };
    if *name != *key {
        return Err(Error::custom(format_args!("key {key:?} can be mistaken for {name:?}")));
    }
    if seen.contains(&name) {
        return Err(Error::duplicate_field(name));
    }
    seen.push(name);
    Ok(Some(name))
}

/// Whether Go's decoder takes `key` for the field `name`: equal under Unicode case folding, which for
/// ASCII names adds the long s and the Kelvin sign.
fn same_to_go(name: &str, key: &str) -> bool {
    let fold = |c: char| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    name.chars().map(fold).eq(key.chars().map(fold))
}

struct DocumentAt<'t>(&'t Trail);

impl DocumentAt<'_> {
    const KEYS: [&'static str; 9] = [
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "manifests",
        "subject",
        "artifactType",
        "annotations",
        "fsLayers",
    ];
}

impl<'de> DeserializeSeed<'de> for DocumentAt<'_> {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Document, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DocumentAt<'_> {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let trail = self.0;
        let mut document = Document::default();
        while let Some(key) = next_key(&mut map, &Self::KEYS, &mut document.seen)? {
            let read = || {
                match key {
                    "schemaVersion" => document.schema_version = Some(map.next_value()?),
                    "mediaType" => document.media_type = map.next_value()?,
                    "config" => document.config = map.next_value_seed(DescriptorAt(trail))?,
                    "layers" => document.layers = map.next_value_seed(DescriptorsAt(trail))?,
                    "manifests" => document.manifests = map.next_value_seed(DescriptorsAt(trail))?,
                    "subject" => document.subject = map.next_value_seed(DescriptorAt(trail))?,
                    "artifactType" => document.artifact_type = map.next_value()?,
                    "annotations" => document.annotations = map.next_value_seed(AnnotationsAt(trail))?,
                    _ => {
                        map.next_value::<Dropped>()?;
                    }
                }
                Ok(())
            };
            trail.field(key, read)?;
        }
        Ok(document)
    }
}

/// A descriptor, or `None` for `null`.
struct DescriptorAt<'t>(&'t Trail);

impl DescriptorAt<'_> {
    const KEYS: [&'static str; 7] =
        ["mediaType", "digest", "size", "urls", "annotations", "artifactType", "data"];
}

impl<'de> DeserializeSeed<'de> for DescriptorAt<'_> {
    type Value = Option<Descriptor>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DescriptorAt<'_> {
    type Value = Option<Descriptor>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a descriptor object")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let trail = self.0;
        let (mut media_type, mut digest, mut size) = (None::<String>, None, None::<u64>);
        let (mut urls, mut annotations, mut artifact_type) = (None::<Vec<String>>, BTreeMap::new(), None);
        let mut data = None;
        let mut seen = Vec::new();
        while let Some(key) = next_key(&mut map, &Self::KEYS, &mut seen)? {
            let read = || {
                match key {
                    "mediaType" => media_type = Some(map.next_value()?),
                    "digest" => digest = Some(map.next_value()?),
                    "size" => size = Some(map.next_value()?),
                    "urls" => urls = map.next_value()?,
                    "annotations" => annotations = map.next_value_seed(AnnotationsAt(trail))?,
                    "artifactType" => artifact_type = map.next_value()?,
                    "data" => data = map.next_value()?,
                    _ => {
                        map.next_value::<Dropped>()?;
                    }
                }
                match (&media_type, size) {
                    (Some(text), _) if text.is_empty() => Err(Error::custom("media type is empty")),
                    (_, Some(size)) if size > MAX_SIZE => {
                        Err(Error::custom("size does not fit a signed 64-bit number"))
                    }
                    _ => Ok(()),
                }
            };
            trail.field(key, read)?;
        }
        Ok(Some(Descriptor {
            media_type: trail.field("mediaType", || media_type.ok_or_else(missing))?,
            digest: trail.field("digest", || digest.ok_or_else(missing))?,
            size: trail.field("size", || size.ok_or_else(missing))?,
            urls: urls.unwrap_or_default(),
            annotations,
            artifact_type,
            data,
        }))
    }
}

fn missing<E: Error>() -> E {
    E::custom("is missing")
}

/// A list of descriptors; `null` is an empty one, as Go writes it.
struct DescriptorsAt<'t>(&'t Trail);

impl<'de> DeserializeSeed<'de> for DescriptorsAt<'_> {
    type Value = Vec<Descriptor>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DescriptorsAt<'_> {
    type Value = Vec<Descriptor>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of descriptors")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        let mut next = || {
            self.0.item(list.len(), || match seq.next_element_seed(DescriptorAt(self.0))? {
                Some(None) => Err(Error::custom("is null, expected a descriptor object")),
                Some(Some(descriptor)) => {
                    list.push(descriptor);
                    Ok(true)
                }
                None => Ok(false),
            })
        };
        while next()? {}
        Ok(list)
    }
}

/// A map of text to text, no key twice; `null` is an empty one.
struct AnnotationsAt<'t>(&'t Trail);

impl<'de> DeserializeSeed<'de> for AnnotationsAt<'_> {
    type Value = BTreeMap<String, String>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnnotationsAt<'_> {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut notes = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let step = format!("[{:?}]", excerpt(&key));
            self.0.step(&step, || match notes.insert(key, map.next_value()?) {
                Some(_) => Err(Error::custom("stands there twice")),
                None => Ok(()),
            })?;
        }
        Ok(notes)
    }
}

/// A value of no interest. Unlike serde's `IgnoredAny` it recurses through the reader, which therefore
/// applies its limit on nesting and checks the text of strings.
struct Dropped;

impl<'de> Deserialize<'de> for Dropped {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Dropped {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}
