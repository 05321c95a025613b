//! Cells on the wire.
//!
//! Parameters are sent without a type: the server takes the one its statement implies, so a NULL fits every
//! column and the first use of a prepared statement pins nothing.

use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgRow, PgTypeInfo};
use sqlx::{Arguments as _, Column as _, Postgres, Row as _, Type, TypeInfo as _, ValueRef as _};

use super::{Row, Value};
use crate::db::Kind;

/// The parameters of a statement.
pub(in crate::db) type Arguments = PgArguments;

/// A parameter whose type the server finds.
struct Cell<'a>(&'a Value);

/// A parameter that holds one column of many rows.
struct Cells<'a> {
    kind: Kind,
    cells: Vec<&'a Value>,
}

const INFERRED: PgTypeInfo = PgTypeInfo::with_oid(Oid(0));

impl Type<Postgres> for Cell<'_> {
    fn type_info() -> PgTypeInfo {
        INFERRED
    }
}

impl Type<Postgres> for Cells<'_> {
    fn type_info() -> PgTypeInfo {
        INFERRED
    }
}

impl Encode<'_, Postgres> for Cell<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Integer(n) => buffer.extend_from_slice(&n.to_be_bytes()),
            Value::Text(text) => buffer.extend_from_slice(text.as_bytes()),
            Value::Blob(bytes) => buffer.extend_from_slice(bytes),
        }
        Ok(IsNull::No)
    }
}

impl Encode<'_, Postgres> for Cells<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let element: u32 = match self.kind {
            Kind::Integer => 20,
            Kind::Text => 25,
            Kind::Blob => 17,
        };
        let count = i32::try_from(self.cells.len())?;
        let has_nulls = self.cells.iter().any(|cell| **cell == Value::Null);
        // One dimension, whether there are NULLs, the type, how many, the index of the first.
        for word in [1, i32::from(has_nulls), element.cast_signed(), count, 1] {
            buffer.extend_from_slice(&word.to_be_bytes());
        }
        for cell in &self.cells {
            match (cell, self.kind) {
                (Value::Null, _) => buffer.extend_from_slice(&(-1_i32).to_be_bytes()),
                (Value::Integer(n), Kind::Integer) => element_of(buffer, &n.to_be_bytes())?,
                (Value::Text(text), Kind::Text) => element_of(buffer, text.as_bytes())?,
                (Value::Blob(bytes), Kind::Blob) => element_of(buffer, bytes)?,
                (_, kind) => {
                    return Err(format!("a value for a column of kind {kind:?} is of another").into());
                }
            }
        }
        Ok(IsNull::No)
    }

    fn size_hint(&self) -> usize {
        20 + self.cells.len() * 16
    }
}

fn element_of(buffer: &mut PgArgumentBuffer, bytes: &[u8]) -> Result<(), BoxDynError> {
    buffer.extend_from_slice(&i32::try_from(bytes.len())?.to_be_bytes());
    buffer.extend_from_slice(bytes);
    Ok(())
}

/// One parameter per value.
pub(super) fn cells(args: &[Value]) -> Result<Arguments, sqlx::Error> {
    let mut bound = PgArguments::default();
    for arg in args {
        bound.add(Cell(arg)).map_err(sqlx::Error::Encode)?;
    }
    Ok(bound)
}

/// One parameter per column, each with the cells of all rows. A value of another kind than its column is an
/// error: the server would take the bytes of a number for text.
pub(super) fn columns<'a>(
    kinds: impl Iterator<Item = Kind>,
    rows: &'a [impl AsRef<[Value]>],
) -> Result<Arguments, sqlx::Error> {
    let mut bound = PgArguments::default();
    for (at, kind) in kinds.enumerate() {
        let cells: Vec<&'a Value> = rows.iter().map(|row| &row.as_ref()[at]).collect();
        bound.add(Cells { kind, cells }).map_err(sqlx::Error::Encode)?;
    }
    Ok(bound)
}

pub(super) fn row(row: &PgRow) -> Result<Row, sqlx::Error> {
    let mut cells = Vec::with_capacity(row.len());
    for column in row.columns() {
        let at = column.ordinal();
        let raw = row.try_get_raw(at)?;
        let cell = if raw.is_null() {
            Value::Null
        } else {
            match raw.type_info().name() {
                "INT8" => Value::Integer(row.try_get(at)?),
                "INT4" => Value::Integer(row.try_get::<i32, _>(at)?.into()),
                "BOOL" => Value::Integer(row.try_get::<bool, _>(at)?.into()),
                "BYTEA" => Value::from(row.try_get::<Vec<u8>, _>(at)?),
                // Refused by the driver when it is no kind of text.
                _ => Value::from(row.try_get::<String, _>(at)?),
            }
        };
        cells.push(cell);
    }
    Ok(Row(cells))
}
