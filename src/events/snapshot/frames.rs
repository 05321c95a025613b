//! The frames of a dump: what is written, and how it is taken apart again.

use serde::{Deserialize, Serialize};

use super::super::fact::LIMITS;
use super::super::{Projections, Sequence};
use super::{FORMAT, Unusable};
use crate::codec::cbor;
use crate::db::{Kind, Row, Table, Value};

/// Bytes of a frame's length.
const LENGTH: usize = 8;

/// The largest frame: a row with every text as long as a payload may be, and bytes as hex.
const MAX_FRAME: usize = 128 << 20;

/// The first frame.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    format: String,
    log_id: String,
    seq: Sequence,
    version: i64,
    tables: Vec<Described>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    name: String,
    columns: Vec<String>,
}

impl Header {
    pub(super) fn new(log_id: &str, sequence: Sequence, projections: &Projections) -> Self {
        let described = |table: &Table| Described {
            name: table.name.to_owned(),
            columns: table.columns.iter().map(|column| column.name.to_owned()).collect(),
        };
        Self {
            format: FORMAT.to_owned(),
            log_id: log_id.to_owned(),
            seq: sequence,
            version: projections.version(),
            tables: projections.tables().into_iter().map(described).collect(),
        }
    }

    pub(super) fn frame(&self) -> Result<Vec<u8>, cbor::Error> {
        Ok(frame(&cbor::to_vec(self)?))
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Unusable> {
        cbor::from_slice(bytes).map_err(|_| Unusable::Malformed("its first frame is no header"))
    }
}

/// Some bytes behind their length.
fn frame(bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(LENGTH + bytes.len());
    frame.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    frame.extend_from_slice(bytes);
    frame
}

/// What ends a table.
pub(super) const END: [u8; LENGTH] = [0; LENGTH];

/// The row of a table.
pub(super) fn row(table: &Table, bytes: &[u8]) -> Result<Row, Unusable> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Cell {
        Integer(i64),
        Text(String),
    }
    let malformed = |_| Unusable::Malformed("a frame is no row");
    let cells: Vec<Option<Cell>> = cbor::from_slice_with_limits(bytes, &LIMITS).map_err(malformed)?;
    if cells.len() != table.columns.len() {
        return Err(Unusable::Malformed("a row has another number of columns than its table"));
    }
    let value = |(cell, kind): (Option<Cell>, Kind)| match (cell, kind) {
        (None, _) => Ok(Value::Null),
        (Some(Cell::Integer(n)), Kind::Integer) => Ok(Value::Integer(n)),
        (Some(Cell::Text(text)), Kind::Text) => Ok(Value::from(text)),
        (Some(Cell::Text(text)), Kind::Blob) => unhex(&text).map(Value::from),
        _ => Err(Unusable::Malformed("a cell is not of the kind of its column")),
    };
    let kinds = table.columns.iter().map(|column| column.kind);
    Ok(Row(cells.into_iter().zip(kinds).map(value).collect::<Result<_, _>>()?))
}

fn unhex(text: &str) -> Result<Vec<u8>, Unusable> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        &[high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
    bytes.ok_or(Unusable::Malformed("bytes are not in hex"))
}

/// Takes frames out of bytes that come in pieces. Holds no more than one frame and one piece.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// Where the next frame begins.
    at: usize,
}

impl Frames {
    /// Adds a piece.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame that is complete.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Unusable> {
        let rest = &self.bytes[self.at..];
        let Some((length, rest)) = rest.split_at_checked(LENGTH) else { return Ok(None) };
        let length = u64::from_be_bytes(length.try_into().expect("it has that many bytes"));
        let length = usize::try_from(length).ok().filter(|length| *length <= MAX_FRAME);
        let length = length.ok_or(Unusable::Malformed("a frame is too long"))?;
        if rest.len() < length {
            return Ok(None);
        }
        let start = self.at + LENGTH;
        self.at = start + length;
        Ok(Some(&self.bytes[start..self.at]))
    }

    /// Whether nothing is left over.
    pub(super) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Column;

    static THINGS: Table = Table {
        name: "things",
        columns: &[Column::integer("n"), Column::text("name"), Column::blob("bytes")],
        key: 1,
        indexes: &[],
    };

    fn encoded(cells: &serde_json::Value) -> Vec<u8> {
        cbor::to_vec(cells).unwrap()
    }

    #[test]
    fn frames_come_out_whole_however_they_went_in() {
        let frames = [&b"one"[..], b"", b"three"];
        let bytes: Vec<u8> = frames.iter().flat_map(|bytes| frame(bytes)).collect();
        for size in 1..=bytes.len() {
            let (mut taken, mut out) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(size) {
                taken.push(piece);
                while let Some(frame) = taken.next().unwrap() {
                    out.push(frame.to_vec());
                }
            }
            assert_eq!(out, frames);
            assert!(taken.is_empty());
        }
    }

    #[test]
    fn a_length_nobody_wrote_is_refused_before_anything_is_kept_for_it() {
        let mut frames = Frames::default();
        frames.push(&u64::MAX.to_be_bytes());
        assert!(matches!(frames.next(), Err(Unusable::Malformed(_))));
    }

    #[test]
    fn a_row_is_of_its_table() {
        let cells = serde_json::json!([1, "ä", "00ff"]);
        let expected = Row(vec![1.into(), "ä".into(), Value::from(vec![0_u8, 255])]);
        assert_eq!(row(&THINGS, &encoded(&cells)).unwrap(), expected);
        let nothing = Row(vec![1.into(), Value::Null, Value::Null]);
        assert_eq!(row(&THINGS, &encoded(&serde_json::json!([1, null, null]))).unwrap(), nothing);
        for cells in [
            serde_json::json!([1, "ä"]),
            serde_json::json!([1, "ä", "0"]),
            serde_json::json!([1, "ä", "xx"]),
            serde_json::json!(["1", "ä", "00"]),
            serde_json::json!([1, 2, "00"]),
            serde_json::json!({ "n": 1 }),
        ] {
            assert!(row(&THINGS, &encoded(&cells)).is_err(), "{cells}");
        }
    }
}
