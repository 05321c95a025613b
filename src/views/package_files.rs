//! The files of packages.

use super::blobs::Blob;
use super::contents::stored_digest;
use crate::db::{Column, Db, Error, Index, Key, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Rows};
use crate::oci::{Digest, RepositoryName};
use crate::package::{File, PackageId, PackagePath};

/// One row per package and path.
pub static PACKAGE_FILES: Table = Table {
    name: "package_files",
    columns: &[
        Column::text("package"),
        Column::text("path"),
        Column::text("repository"),
        Column::text("media_type"),
        Column::integer("size"),
        Column::text("content"),
        Column::text("sha256"),
        Column::text("role"),
        Column::integer("sequence"),
    ],
    key: 2,
    indexes: &[Index { columns: &[0] }, Index { columns: &[2, 5] }],
};

/// [`PACKAGE_FILES`] by package.
const BY_PACKAGE: usize = 0;

/// [`PACKAGE_FILES`] by repository and content.
const BY_CONTENT: usize = 1;

/// With where the bytes are. Those of a file in an archive are not by themselves anywhere in its repository; that
/// another one may hold them is not for anybody to learn here.
const PAGE: &str = "SELECT f.package, f.path, f.repository, f.media_type, f.size, f.content, f.sha256, f.role, \
    f.sequence, b.content, b.size, b.state, b.backend, b.storage_key, b.sequence, b.version, \
    b.damage \
    FROM package_files f \
    LEFT JOIN blob_links l ON l.repository = f.repository AND l.content = f.content \
    LEFT JOIN blobs b ON b.content = l.content \
    WHERE f.package = $1 AND f.path > $2 ORDER BY f.path LIMIT $3";
const FIND: &str = "SELECT package, path, repository, media_type, size, content, sha256, role, sequence \
    FROM package_files WHERE package = $1 AND path = $2";
const BELOW: &str = "SELECT path FROM package_files WHERE package = $1 AND path > $2 AND path < $3 \
    ORDER BY path LIMIT 1";

const HAVING: &str = "SELECT package FROM package_files WHERE repository = $1 AND content = $2 LIMIT 1";

const HAVING_AFTER: &str = "SELECT package FROM package_files \
    WHERE repository = $1 AND content = $2 AND package > $3 ORDER BY package LIMIT 1";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[PAGE, FIND, BELOW, HAVING, HAVING_AFTER];

/// The fold.
#[derive(Debug)]
pub struct PackageFiles;

impl Projection for PackageFiles {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&PACKAGE_FILES]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        match &event.fact {
            Fact::PackageFileReplaced(fact) => vec![read(&fact.package, &fact.file.path)],
            Fact::PackageFileDropped(fact) => vec![read(&fact.package, &fact.path)],
            Fact::PackageFailed(fact) => vec![of_package(&fact.package)],
            Fact::PackageDeleted(fact) => vec![of_package(&fact.package)],
            _ => Vec::new(),
        }
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        let upsert = |package: &PackageId, repository: &RepositoryName, file: &File| {
            let mut row = key(package, &file.path);
            row.push(repository.as_str().into());
            row.push(file.media_type.as_str().into());
            row.push(file.size.cast_signed().into());
            row.push(file.content_address.as_str().into());
            row.push(file.sha256.as_str().into());
            row.push(file.role.as_deref().into());
            row.push(event.sequence.into());
            Change::Upsert(&PACKAGE_FILES, Row(row))
        };
        match &event.fact {
            Fact::PackageFileIngested(fact) => vec![upsert(&fact.package, &fact.repository, &fact.file)],
            Fact::PackageFileReplaced(fact) => vec![upsert(&fact.package, &fact.repository, &fact.file)],
            Fact::PackageFileDropped(fact) => {
                vec![Change::Delete(&PACKAGE_FILES, key(&fact.package, &fact.path))]
            }
            Fact::PackageFinalized(manifest) => {
                let package = &manifest.package;
                manifest.files.iter().map(|file| upsert(&package.id, &package.repository, file)).collect()
            }
            Fact::PackageFailed(fact) => without(&fact.package, rows),
            Fact::PackageDeleted(fact) => without(&fact.package, rows),
            _ => Vec::new(),
        }
    }
}

fn file(row: &Row) -> File {
    File {
        path: row.text(1).parse().expect("views hold only checked paths"),
        media_type: row.text(3).to_owned(),
        size: row.integer(4).unsigned_abs(),
        content_address: stored_digest(row, 5),
        sha256: stored_digest(row, 6),
        role: row.optional_text(7).map(str::to_owned),
    }
}

/// No file of a package stays; the manifest of one that was finalized still lists them.
fn without(package: &PackageId, rows: &Rows) -> Vec<Change> {
    let rows = rows.lookup(&PACKAGE_FILES, BY_PACKAGE, &[package.as_str().into()]);
    rows.iter().map(|row| Change::Delete(&PACKAGE_FILES, PACKAGE_FILES.key_of(row))).collect()
}

/// What the files of a package hold, among loaded rows.
pub fn contents_of(rows: &Rows, package: &PackageId) -> Vec<Digest> {
    let rows = rows.lookup(&PACKAGE_FILES, BY_PACKAGE, &[package.as_str().into()]);
    rows.iter().map(|row| stored_digest(row, 5)).collect()
}

/// The key of a file.
pub fn key(package: &PackageId, path: &PackagePath) -> Key {
    vec![package.as_str().into(), path.as_str().into()]
}

/// The read of a file.
pub fn read(package: &PackageId, path: &PackagePath) -> Read {
    Read::row(&PACKAGE_FILES, key(package, path))
}

/// The read of every file of a package.
pub fn of_package(package: &PackageId) -> Read {
    Read::lookup(&PACKAGE_FILES, BY_PACKAGE, vec![package.as_str().into()])
}

/// A file among loaded rows.
pub fn get(rows: &Rows, package: &PackageId, path: &PackagePath) -> Option<File> {
    rows.get(&PACKAGE_FILES, &key(package, path)).map(file)
}

/// The read of a folder's name as if it were a file.
pub fn read_folder(package: &PackageId, folder: &str) -> Read {
    Read::row(&PACKAGE_FILES, vec![package.as_str().into(), folder.into()])
}

/// Whether a package has a file of a folder's name, among loaded rows.
pub fn is_file(rows: &Rows, package: &PackageId, folder: &str) -> bool {
    rows.get(&PACKAGE_FILES, &[package.as_str().into(), folder.into()]).is_some()
}

/// The read of the packages of a repository that have some content.
pub fn having(repository: &RepositoryName, content: &Digest) -> Read {
    Read::lookup(&PACKAGE_FILES, BY_CONTENT, vec![repository.as_str().into(), content.as_str().into()])
}

/// One package of a repository that has some content, among loaded rows.
pub fn having_one(rows: &Rows, repository: &RepositoryName, content: &Digest) -> Option<PackageId> {
    let key = [repository.as_str().into(), content.as_str().into()];
    let rows = rows.lookup(&PACKAGE_FILES, BY_CONTENT, &key);
    rows.first().map(|row| row.text(0).parse().expect("views hold only checked ids"))
}

/// A package of the repository that has the content. May be outdated by the time it is read.
pub async fn having_now(
    db: &Db,
    repository: &RepositoryName,
    content: &Digest,
) -> Result<Option<PackageId>, Error> {
    let rows = db.query(HAVING, vec![repository.as_str().into(), content.as_str().into()]).await?;
    Ok(rows.first().map(|row| row.text(0).parse().expect("views hold only checked ids")))
}

/// The next package of the repository that has the content, by id, however often it has it. May be outdated by the time
/// it is read.
pub async fn having_after(
    db: &Db,
    repository: &RepositoryName,
    content: &Digest,
    after: Option<&PackageId>,
) -> Result<Option<PackageId>, Error> {
    let after = after.map_or("", PackageId::as_str);
    let values = vec![repository.as_str().into(), content.as_str().into(), after.into()];
    let rows = db.query(HAVING_AFTER, values).await?;
    Ok(rows.first().map(|row| row.text(0).parse().expect("views hold only checked ids")))
}

/// Up to `limit` files of a package by path, after the text given, each with the live blob that has its bytes.
pub async fn page(
    db: &Db,
    package: &PackageId,
    after: &str,
    limit: i64,
) -> Result<Vec<(File, Option<Blob>)>, Error> {
    let rows = db.query(PAGE, vec![package.as_str().into(), after.into(), limit.into()]).await?;
    let blob = |row: &Row| row.optional_text(9).map(|_| Blob::from_columns(row, 9));
    Ok(rows.iter().map(|row| (file(row), blob(row).filter(Blob::is_live))).collect())
}

/// A file of a package.
pub async fn find(db: &Db, package: &PackageId, path: &PackagePath) -> Result<Option<File>, Error> {
    Ok(db.query(FIND, key(package, path)).await?.first().map(file))
}

/// A file of a package in a folder of this name, if there is one now.
pub async fn below(db: &Db, package: &PackageId, folder: &PackagePath) -> Result<Option<PackagePath>, Error> {
    // '0' is the byte after '/'.
    let range = vec![package.as_str().into(), format!("{folder}/").into(), format!("{folder}0").into()];
    let rows = db.query(BELOW, range).await?;
    Ok(rows.first().map(|row| row.text(0).parse().expect("views hold only checked paths")))
}
