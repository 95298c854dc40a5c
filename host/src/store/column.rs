//! How the nouns of msb stand in the columns of the catalogue.

use std::error::Error;
use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef};

use crate::digest::Digest;

/// A number of bytes or things, or a position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count(pub(super) u64);

/// A value that stands in the catalogue as text.
#[derive(Clone, Copy, Debug)]
struct Text<T>(T);

/// Returns the number in a column.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, Count>(column)?.0)
}

/// Returns the chain ID in a column, which is empty for a layer that does not depend on others.
pub(super) fn chain(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Digest>> {
    if row.get_ref(column)?.as_str()?.is_empty() {
        return Ok(None);
    }
    parsed(row, column).map(Some)
}

/// Returns the digest, reference or time in a column.
pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    Ok(row.get::<_, Text<T>>(column)?.0)
}

/// Returns the error of a column whose text cannot be what it says.
pub(super) fn nonsense(what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, what.into())
}

impl FromSql for Count {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number)
            .map(Self)
            .map_err(|_| FromSqlError::OutOfRange(number))
    }
}

impl ToSql for Count {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number = i64::try_from(self.0)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(number.into())
    }
}

impl<T: FromStr<Err: Error + Send + Sync + 'static>> FromSql for Text<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value
            .as_str()?
            .parse()
            .map(Self)
            .map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}
