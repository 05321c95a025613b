//! Typed cells: the only three kinds both engines store alike.

use std::fmt;

/// The kind of a column. Flags are 0/1 integers, times are microseconds, structures are text or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64-bit signed; `BIGINT`, in `SQLite` `INTEGER`.
    Integer,
    /// UTF-8, ordered bytewise; `TEXT`, on `PostgreSQL` with `COLLATE "C"`.
    Text,
    /// Bytes; `BYTEA`, in `SQLite` `BLOB`.
    Blob,
}

/// One cell.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// See [`Kind::Integer`].
    Integer(i64),
    /// See [`Kind::Text`].
    Text(Box<str>),
    /// See [`Kind::Blob`].
    Blob(Box<[u8]>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Blob(bytes) => write!(f, "<{} bytes>", bytes.len()),
        }
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Integer(n)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Blob(bytes.into())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(bytes.into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row, in the column order of its table or query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub Vec<Value>);

impl AsRef<[Value]> for Row {
    fn as_ref(&self) -> &[Value] {
        &self.0
    }
}

/// The values of a key or index, in its column order.
pub type Key = Vec<Value>;

impl Row {
    /// The integer in column `at`.
    pub fn integer(&self, at: usize) -> i64 {
        self.optional_integer(at).unwrap_or_else(|| self.wrong(at, "an integer"))
    }

    /// The integer in column `at`, or `None` for NULL.
    pub fn optional_integer(&self, at: usize) -> Option<i64> {
        match &self.0[at] {
            Value::Integer(n) => Some(*n),
            Value::Null => None,
            _ => self.wrong(at, "an integer"),
        }
    }

    /// The text in column `at`.
    pub fn text(&self, at: usize) -> &str {
        self.optional_text(at).unwrap_or_else(|| self.wrong(at, "text"))
    }

    /// The text in column `at`, or `None` for NULL.
    pub fn optional_text(&self, at: usize) -> Option<&str> {
        match &self.0[at] {
            Value::Text(text) => Some(text),
            Value::Null => None,
            _ => self.wrong(at, "text"),
        }
    }

    /// The bytes in column `at`.
    pub fn blob(&self, at: usize) -> &[u8] {
        self.optional_blob(at).unwrap_or_else(|| self.wrong(at, "bytes"))
    }

    /// The bytes in column `at`, or `None` for NULL.
    pub fn optional_blob(&self, at: usize) -> Option<&[u8]> {
        match &self.0[at] {
            Value::Blob(bytes) => Some(bytes),
            Value::Null => None,
            _ => self.wrong(at, "bytes"),
        }
    }

    /// Tables are STRICT and declared once, so a cell of another kind is a bug in the query beside it.
    fn wrong(&self, at: usize, expected: &str) -> ! {
        panic!("column {at} of {self:?} is not {expected}")
    }
}
