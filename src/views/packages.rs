//! Packages: drafts, finalized ones and those that failed.

use super::contents::stored_digest;
use crate::clock::Micros;
use crate::db::{Column, Db, Error, Index, Key, Row, Table, Value};
use crate::events::{
    Change, Event, Fact, PackageCreated, PackageFinalized, Projection, Read, Rows, Sequence, Target,
};
use crate::oci::{Digest, RepositoryName};
use crate::package::{Description, Manifest, Object, PackageId};

/// One row per package.
pub static PACKAGES: Table = Table {
    name: "packages",
    columns: &[
        Column::text("id"),
        Column::text("repository"),
        Column::text("status"),
        Column::text("kind"),
        Column::text("retention_class"),
        Column::text("schema_name"),
        Column::text("metadata"),
        Column::text("provenance"),
        Column::integer("created_at"),
        Column::integer("updated_at"),
        Column::integer("finalized_at"),
        Column::integer("expires_at"),
        Column::integer("files"),
        Column::integer("size"),
        Column::text("manifest_digest"),
        Column::text("content_manifest"),
        Column::text("reference"),
        Column::text("failure"),
        Column::integer("sequence"),
        Column::integer("revision"),
    ],
    key: 1,
    indexes: &[Index { columns: &[1, 16] }, Index { columns: &[1, 15] }],
};

/// [`PACKAGES`] by repository and the OCI manifest they name.
const BY_REFERENCE: usize = 0;

/// [`PACKAGES`] by repository and their content manifest.
const BY_CONTENT: usize = 1;

const FIND: &str = "SELECT id, repository, status, kind, retention_class, schema_name, metadata, provenance, \
    created_at, updated_at, finalized_at, expires_at, files, size, manifest_digest, content_manifest, reference, \
    failure, sequence, revision FROM packages WHERE id = $1";

/// Filters that are empty let everything pass.
const PAGE: &str = "SELECT id, repository, status, kind, retention_class, schema_name, metadata, provenance, \
    created_at, updated_at, finalized_at, expires_at, files, size, manifest_digest, content_manifest, reference, \
    failure, sequence, revision FROM packages \
    WHERE repository = $1 AND id > $2 AND ($3 = '' OR status = $3) AND ($4 = '' OR kind = $4) \
    AND ($5 = '' OR retention_class = $5) AND ($6 = '' OR reference = $6) ORDER BY id LIMIT $7";

/// The same of those that one OCI manifest stands for.
const NAMED: &str = "SELECT id, repository, status, kind, retention_class, schema_name, metadata, provenance, \
    created_at, updated_at, finalized_at, expires_at, files, size, manifest_digest, content_manifest, reference, \
    failure, sequence, revision FROM packages \
    WHERE repository = $1 AND id > $2 AND ($3 = '' OR status = $3) AND ($4 = '' OR kind = $4) \
    AND ($5 = '' OR retention_class = $5) AND reference = $6 ORDER BY id LIMIT $7";

/// Those an OCI manifest stands for, whatever became of them.
const IDS: &str =
    "SELECT id FROM packages WHERE repository = $1 AND reference = $2 AND id > $3 ORDER BY id LIMIT $4";

/// Ids read at once.
const IDS_PAGE: i64 = 1000;

/// One that needs a content manifest.
const DESCRIBED: &str = "SELECT id, repository, status, kind, retention_class, schema_name, metadata, provenance, \
    created_at, updated_at, finalized_at, expires_at, files, size, manifest_digest, content_manifest, reference, \
    failure, sequence, revision FROM packages \
    WHERE repository = $1 AND content_manifest = $2 AND status = 'finalized' LIMIT 1";

/// What producers say of the packages of such a page, in bytes of JSON.
const SIZES: &str = "SELECT OCTET_LENGTH(metadata) + OCTET_LENGTH(provenance) FROM packages \
    WHERE repository = $1 AND id > $2 AND ($3 = '' OR status = $3) AND ($4 = '' OR kind = $4) \
    AND ($5 = '' OR retention_class = $5) AND ($6 = '' OR reference = $6) ORDER BY id LIMIT $7";

/// The same of those that one OCI manifest stands for.
const SIZES_NAMED: &str = "SELECT OCTET_LENGTH(metadata) + OCTET_LENGTH(provenance) FROM packages \
    WHERE repository = $1 AND id > $2 AND ($3 = '' OR status = $3) AND ($4 = '' OR kind = $4) \
    AND ($5 = '' OR retention_class = $5) AND reference = $6 ORDER BY id LIMIT $7";

/// Drafts nobody touched since a moment.
const IDLE: &str = "SELECT id, repository, updated_at FROM packages \
    WHERE status IN ('created', 'uploading') AND updated_at >= $1 AND updated_at < $2 ORDER BY updated_at LIMIT $3";

/// The event that finalized a package. The range of subjects is what the index is made for.
const FINALIZED: &str = "SELECT payload FROM events WHERE subject = $1 AND subject >= 'pkg_' AND subject < 'pkg`' \
    AND type = 'v1.package.finalized'";

/// How large its payload is.
const FINALIZED_SIZE: &str = "SELECT OCTET_LENGTH(payload) FROM events WHERE subject = $1 AND subject >= 'pkg_' \
    AND subject < 'pkg`' AND type = 'v1.package.finalized'";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] =
    &[FIND, PAGE, NAMED, IDS, DESCRIBED, SIZES, SIZES_NAMED, IDLE, FINALIZED, FINALIZED_SIZE];

/// How far a package is (PKG-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A draft that has had no file yet.
    Created,
    /// A draft that files were sent to, also when all of them were taken out again.
    Uploading,
    /// Immutable and named.
    Finalized,
    /// Disposed of; only its record is left.
    Deleted,
    /// A draft that ended.
    Failed,
}

impl Status {
    const ALL: [Self; 5] = [Self::Created, Self::Uploading, Self::Finalized, Self::Deleted, Self::Failed];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Uploading => "uploading",
            Self::Finalized => "finalized",
            Self::Deleted => "deleted",
            Self::Failed => "failed",
        }
    }

    /// The status of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether files can still come and go.
    pub fn is_draft(self) -> bool {
        matches!(self, Self::Created | Self::Uploading)
    }
}

/// A package without its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its id.
    pub id: PackageId,
    /// Its repository.
    pub repository: RepositoryName,
    /// How far it is.
    pub status: Status,
    /// What its producer says of it; the class of a finalized one is the one that was resolved.
    pub description: Description,
    /// Where it comes from.
    pub provenance: Object,
    /// When it was created.
    pub created_at: Micros,
    /// When something last happened to it.
    pub updated_at: Micros,
    /// When it was finalized.
    pub finalized_at: Option<Micros>,
    /// The earliest permitted deletion, provisional for a draft; `None` for never.
    pub expires_at: Option<Micros>,
    /// How many files it has.
    pub files: u64,
    /// Bytes of all its files.
    pub size: u64,
    /// BLAKE3 of its manifest, once finalized.
    pub manifest_digest: Option<Digest>,
    /// BLAKE3 of its content manifest, once finalized.
    pub content_manifest: Option<Digest>,
    /// SHA-256 of its OCI manifest or index, once finalized.
    pub reference: Option<Digest>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// The event that began it.
    pub sequence: Sequence,
    /// The newest event that changed it.
    pub revision: Sequence,
}

/// Which packages of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this status.
    pub status: Option<Status>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this class.
    pub class: Option<String>,
    /// Named by this OCI manifest (SHA-256).
    pub reference: Option<Digest>,
}

/// The fold.
#[derive(Debug)]
pub struct Packages;

impl Projection for Packages {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&PACKAGES]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        changed(&event.fact).into_iter().map(read).collect()
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        let package = match &event.fact {
            Fact::PackageCreated(fact) => created(event, fact),
            Fact::PackageFinalized(manifest) => finalized(event, manifest, rows),
            fact => {
                let Some(package) = changed(fact).and_then(|id| get(rows, id)) else {
                    return Vec::new();
                };
                let mut package = changed_by(fact, package, rows);
                package.updated_at = event.recorded_at;
                package.revision = event.sequence;
                package
            }
        };
        vec![Change::Upsert(&PACKAGES, package.row())]
    }
}

/// The package an event changes.
fn changed(fact: &Fact) -> Option<&PackageId> {
    match fact {
        Fact::PackageCreated(fact) => Some(&fact.package),
        Fact::PackageFileIngested(fact) => Some(&fact.package),
        Fact::PackageFileReplaced(fact) => Some(&fact.package),
        Fact::PackageFileDropped(fact) => Some(&fact.package),
        Fact::PackageFinalized(manifest) => Some(&manifest.package.id),
        Fact::PackageFailed(fact) => Some(&fact.package),
        Fact::PackageDeleted(fact) => Some(&fact.package),
        Fact::RetentionResolved(fact) => package_of(&fact.target),
        Fact::RetentionExtended(fact) => package_of(&fact.target),
        Fact::RetentionStarted(fact) => package_of(&fact.target),
        Fact::RetentionShortened(fact) => package_of(&fact.target),
        _ => None,
    }
}

fn package_of(target: &Target) -> Option<&PackageId> {
    match target {
        Target::Package(id) => Some(id),
        Target::Manifest(_) => None,
    }
}

fn created(event: &Event, fact: &PackageCreated) -> Package {
    Package {
        id: fact.package.clone(),
        repository: fact.repository.clone(),
        status: Status::Created,
        description: fact.description.clone(),
        provenance: fact.provenance.clone(),
        created_at: event.recorded_at,
        updated_at: event.recorded_at,
        finalized_at: None,
        expires_at: fact.expires_at,
        files: 0,
        size: 0,
        manifest_digest: None,
        content_manifest: None,
        reference: None,
        failure: None,
        sequence: event.sequence,
        revision: event.sequence,
    }
}

/// Everything is in the manifest; a package that was pushed whole has no row before.
fn finalized(event: &Event, manifest: &PackageFinalized, rows: &Rows) -> Package {
    let record = &manifest.package;
    Package {
        id: record.id.clone(),
        repository: record.repository.clone(),
        status: Status::Finalized,
        description: Description {
            kind: record.kind.clone(),
            retention_class: Some(manifest.retention_summary.class.clone()),
            schema: record.schema.clone(),
            metadata: record.metadata.clone(),
        },
        provenance: manifest.provenance.clone(),
        created_at: record.created_at,
        updated_at: event.recorded_at,
        finalized_at: Some(record.finalized_at),
        expires_at: manifest.retention_summary.expires_at,
        files: manifest.files.len() as u64,
        size: manifest.files.iter().map(|file| file.size).sum(),
        manifest_digest: Some(Manifest::digest(event.payload())),
        content_manifest: Some(record.content_manifest.clone()),
        reference: Some(record.reference.clone()),
        failure: None,
        sequence: get(rows, &record.id).map_or(event.sequence, |package| package.sequence),
        revision: event.sequence,
    }
}

/// A draft after one of its files changed or after its end; a package after its retention changed, or after its own.
fn changed_by(fact: &Fact, mut package: Package, rows: &Rows) -> Package {
    match fact {
        Fact::PackageFileIngested(fact) => {
            package.status = Status::Uploading;
            package.files += 1;
            package.size += fact.file.size;
        }
        Fact::PackageFileReplaced(fact) => {
            let before = super::package_files::get(rows, &fact.package, &fact.file.path);
            package.size = package.size - before.map_or(0, |file| file.size) + fact.file.size;
        }
        Fact::PackageFileDropped(fact) => {
            let before = super::package_files::get(rows, &fact.package, &fact.path);
            package.files -= 1;
            package.size -= before.map_or(0, |file| file.size);
        }
        Fact::PackageFailed(fact) => {
            package.status = Status::Failed;
            package.failure = Some(fact.reason.as_str().to_owned());
            package.expires_at = None;
            (package.files, package.size) = (0, 0);
        }
        Fact::PackageDeleted(_) => package.status = Status::Deleted,
        Fact::RetentionResolved(fact) => package.expires_at = fact.until,
        Fact::RetentionExtended(fact) => {
            package.expires_at = fact.until;
            if let Some(rule) = &fact.rule {
                package.description.retention_class = Some(rule.class.clone());
            }
        }
        Fact::RetentionStarted(fact) => package.expires_at = fact.until,
        Fact::RetentionShortened(fact) => package.expires_at = Some(fact.until),
        _ => {}
    }
    package
}

impl Package {
    fn row(&self) -> Row {
        let digest = |digest: &Option<Digest>| digest.as_ref().map(Digest::as_str).into();
        Row(vec![
            self.id.as_str().into(),
            self.repository.as_str().into(),
            self.status.as_str().into(),
            self.description.kind.as_deref().into(),
            self.description.retention_class.as_deref().into(),
            self.description.schema.as_deref().into(),
            self.description.metadata.to_json().into(),
            self.provenance.to_json().into(),
            self.created_at.into(),
            self.updated_at.into(),
            self.finalized_at.into(),
            self.expires_at.into(),
            self.files.cast_signed().into(),
            self.size.cast_signed().into(),
            digest(&self.manifest_digest),
            digest(&self.content_manifest),
            digest(&self.reference),
            self.failure.as_deref().into(),
            self.sequence.into(),
            self.revision.into(),
        ])
    }

    fn from_row(row: &Row) -> Self {
        let text = |at| row.optional_text(at).map(str::to_owned);
        let digest = |at| row.optional_text(at).map(|_| stored_digest(row, at));
        let object =
            |at| Object::from_json(row.text(at).as_bytes()).expect("views hold only checked objects");
        Self {
            id: row.text(0).parse().expect("views hold only checked ids"),
            repository: row.text(1).parse().expect("views hold only checked names"),
            status: Status::parse(row.text(2)).expect("views hold only known states"),
            description: Description {
                kind: text(3),
                retention_class: text(4),
                schema: text(5),
                metadata: object(6),
            },
            provenance: object(7),
            created_at: row.integer(8),
            updated_at: row.integer(9),
            finalized_at: row.optional_integer(10),
            expires_at: row.optional_integer(11),
            files: row.integer(12).unsigned_abs(),
            size: row.integer(13).unsigned_abs(),
            manifest_digest: digest(14),
            content_manifest: digest(15),
            reference: digest(16),
            failure: text(17),
            sequence: row.integer(18),
            revision: row.integer(19),
        }
    }
}

/// The key of a package.
pub fn key(id: &PackageId) -> Key {
    vec![id.as_str().into()]
}

/// The read of a package.
pub fn read(id: &PackageId) -> Read {
    Read::row(&PACKAGES, key(id))
}

/// A package among loaded rows.
pub fn get(rows: &Rows, id: &PackageId) -> Option<Package> {
    rows.get(&PACKAGES, &key(id)).map(Package::from_row)
}

/// The read of the packages an OCI manifest (SHA-256) stands for.
pub fn of_reference(repository: &RepositoryName, reference: &Digest) -> Read {
    Read::lookup(&PACKAGES, BY_REFERENCE, vec![repository.as_str().into(), reference.as_str().into()])
}

/// The packages an OCI manifest (SHA-256) stands for, among loaded rows, the oldest first.
pub fn named_by(rows: &Rows, repository: &RepositoryName, reference: &Digest) -> Vec<Package> {
    let key = vec![repository.as_str().into(), reference.as_str().into()];
    rows.lookup(&PACKAGES, BY_REFERENCE, &key).into_iter().map(Package::from_row).collect()
}

/// The read of the packages that name a content manifest (BLAKE3).
pub fn of_content_manifest(repository: &RepositoryName, content: &Digest) -> Read {
    Read::lookup(&PACKAGES, BY_CONTENT, vec![repository.as_str().into(), content.as_str().into()])
}

/// A finalized package that names a content manifest (BLAKE3), among loaded rows.
pub fn described_by(rows: &Rows, repository: &RepositoryName, content: &Digest) -> Option<Package> {
    let key = vec![repository.as_str().into(), content.as_str().into()];
    let mut packages = rows.lookup(&PACKAGES, BY_CONTENT, &key).into_iter().map(Package::from_row);
    packages.find(|package| package.status == Status::Finalized)
}

/// A finalized package that names a content manifest (BLAKE3). May be outdated by the time it is read.
pub async fn described_now(
    db: &Db,
    repository: &RepositoryName,
    content: &Digest,
) -> Result<Option<Package>, Error> {
    let rows = db.query(DESCRIBED, vec![repository.as_str().into(), content.as_str().into()]).await?;
    Ok(rows.first().map(Package::from_row))
}

/// A package by its id.
pub async fn find(db: &Db, id: &PackageId) -> Result<Option<Package>, Error> {
    Ok(db.query(FIND, key(id)).await?.first().map(Package::from_row))
}

/// Up to `limit` packages of a repository that pass the filter, by id, after the text given.
pub async fn page(
    db: &Db,
    repository: &RepositoryName,
    filter: &Filter,
    after: &str,
    limit: i64,
) -> Result<Vec<Package>, Error> {
    let sql = if filter.reference.is_some() { NAMED } else { PAGE };
    let values = asked(repository, filter, after, limit);
    Ok(db.query(sql, values).await?.iter().map(Package::from_row).collect())
}

/// How many bytes of JSON producers say of each package of such a page.
pub async fn sizes(
    db: &Db,
    repository: &RepositoryName,
    filter: &Filter,
    after: &str,
    limit: i64,
) -> Result<Vec<i64>, Error> {
    let sql = if filter.reference.is_some() { SIZES_NAMED } else { SIZES };
    let values = asked(repository, filter, after, limit);
    Ok(db.query(sql, values).await?.iter().map(|row| row.integer(0)).collect())
}

fn asked(repository: &RepositoryName, filter: &Filter, after: &str, limit: i64) -> Vec<Value> {
    vec![
        repository.as_str().into(),
        after.into(),
        filter.status.map_or("", Status::as_str).into(),
        filter.kind.as_deref().unwrap_or("").into(),
        filter.class.as_deref().unwrap_or("").into(),
        filter.reference.as_ref().map_or("", Digest::as_str).into(),
        limit.into(),
    ]
}

/// Up to `limit` drafts whose last change was in a range of time, with their repositories and that moment, the oldest
/// first.
pub async fn idle(
    db: &Db,
    range: std::ops::Range<Micros>,
    limit: i64,
) -> Result<Vec<(PackageId, RepositoryName, Micros)>, Error> {
    let rows = db.query(IDLE, vec![range.start.into(), range.end.into(), limit.into()]).await?;
    let checked = |row: &Row| {
        let id = row.text(0).parse().expect("views hold only checked ids");
        (id, row.text(1).parse().expect("views hold only checked names"), row.integer(2))
    };
    Ok(rows.iter().map(checked).collect())
}

/// The manifest of a finalized package: the payload of the event that finalized it, byte for byte.
pub async fn manifest(db: &Db, id: &PackageId) -> Result<Option<Vec<u8>>, Error> {
    Ok(db.query(FINALIZED, key(id)).await?.first().map(|row| row.blob(0).to_vec()))
}

/// How many bytes it has.
pub async fn manifest_size(db: &Db, id: &PackageId) -> Result<Option<usize>, Error> {
    let rows = db.query(FINALIZED_SIZE, key(id)).await?;
    Ok(rows.first().map(|row| usize::try_from(row.integer(0)).unwrap_or_default()))
}

/// The packages an OCI manifest stands for or stood for, by the SHA-256 of it.
pub async fn ids_of(
    db: &Db,
    repository: &RepositoryName,
    reference: &Digest,
) -> Result<Vec<PackageId>, Error> {
    let mut ids: Vec<PackageId> = Vec::new();
    loop {
        let after = ids.last().map_or("", PackageId::as_str);
        let args = vec![repository.as_str().into(), reference.as_str().into(), after.into(), IDS_PAGE.into()];
        let rows = db.query(IDS, args).await?;
        if rows.is_empty() {
            return Ok(ids);
        }
        ids.extend(rows.iter().map(|row| row.text(0).parse::<PackageId>().expect("views hold checked ids")));
    }
}
