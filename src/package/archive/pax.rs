//! The extended headers of POSIX (pax): what a plain header has no room for.
//!
//! ```text
//! <length> <key>=<value>\n        length: decimal, of the whole record
//! ```

/// What an extended header says about the entry that follows it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) is_sparse: bool,
}

impl Records {
    /// Reads all records. The error says what is wrong with one.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, &'static str> {
        let mut records = Self::default();
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes).ok_or("has an extended header that cannot be read")?;
            records.add(key, value)?;
            bytes = rest;
        }
        Ok(records)
    }

    /// Whether they say nothing we would have to heed.
    pub(super) fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if key.starts_with(b"GNU.sparse.") {
            self.is_sparse = true;
            return Ok(());
        }
        // An empty value takes the record back: the plain header holds.
        if value.is_empty() {
            return Ok(());
        }
        let known = match key {
            b"path" => self.path.replace(value.to_vec()).is_some(),
            b"linkpath" => self.target.replace(value.to_vec()).is_some(),
            b"size" => {
                let digits =
                    std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
                let size =
                    digits.and_then(|digits| digits.parse().ok()).ok_or("has a size that is no number")?;
                self.size.replace(size).is_some()
            }
            _ => false,
        };
        if known { Err("has a record of its extended header twice") } else { Ok(()) }
    }
}

/// The first record and what follows it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let digits = std::str::from_utf8(&bytes[..space]).ok()?;
    // `parse` would take a sign.
    let length: usize = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
    let (record, rest) = bytes.split_at_checked(length)?;
    let content = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = content.iter().position(|byte| *byte == b'=')?;
    Some((&content[..equals], &content[equals + 1..], rest))
}
