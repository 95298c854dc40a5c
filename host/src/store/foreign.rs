//! The tables of microsandbox, which may share our database file. Read only, and leniently: what
//! is not there is not used.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::schema::has_table;

/// Returns the sandboxes, and the snapshots, that use the image of a manifest digest.
pub(super) fn users(connection: &Connection, digest: &str) -> rusqlite::Result<Vec<String>> {
    let mut users = Vec::new();
    if has_columns(connection, "sandbox_rootfs", &["sandbox_id", "manifest_id"])?
        && has_columns(connection, "manifest", &["id", "digest"])?
    {
        let query = if has_columns(connection, "sandbox", &["id", "name"])? {
            "SELECT COALESCE(sandbox.name, rootfs.sandbox_id)
             FROM sandbox_rootfs AS rootfs
             JOIN manifest ON manifest.id = rootfs.manifest_id
             LEFT JOIN sandbox ON sandbox.id = rootfs.sandbox_id
             WHERE manifest.digest = ?1"
        } else {
            "SELECT rootfs.sandbox_id
             FROM sandbox_rootfs AS rootfs
             JOIN manifest ON manifest.id = rootfs.manifest_id
             WHERE manifest.digest = ?1"
        };
        users.extend(names(connection, query, digest)?);
    }
    if has_columns(
        connection,
        "snapshot_index",
        &["digest", "image_manifest_digest"],
    )? {
        let query = "SELECT 'snapshot ' || substr(digest, 1, 19) FROM snapshot_index
                     WHERE image_manifest_digest = ?1";
        users.extend(names(connection, query, digest)?);
    }
    Ok(users)
}

fn names(connection: &Connection, query: &str, digest: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare(query)?
        .query_map([digest], |row| {
            Ok(match row.get_ref(0)? {
                ValueRef::Integer(id) => id.to_string(),
                ValueRef::Text(name) => String::from_utf8_lossy(name).into_owned(),
                _ => "?".to_owned(),
            })
        })?
        .collect()
}

fn has_columns(connection: &Connection, table: &str, columns: &[&str]) -> rusqlite::Result<bool> {
    if !has_table(connection, table)? {
        return Ok(false);
    }
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let present = statement
        .query_map([table], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    Ok(columns
        .iter()
        .all(|column| present.iter().any(|name| name == column)))
}
