//! What a file is, by its name. Part of the format: this table is fixed.
//!
//! Producers and the registry guess with this function when nobody said what a file is, and the guess stands in the
//! content manifest. So it depends on the name alone, never on the machine, and an entry once here never changes:
//! another one would give the same evidence another digest. New extensions may be added with a new version of the
//! format only.

use super::PackagePath;
use crate::oci::media::OCTET_STREAM;

/// Extensions in lower case, sorted, and what files with them are.
const TABLE: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("asc", "application/pgp-signature"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("cbor", "application/cbor"),
    ("cer", "application/pkix-cert"),
    ("crt", "application/x-x509-ca-cert"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("diff", "text/x-diff"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("eml", "message/rfc822"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("har", "application/json"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/vnd.microsoft.icon"),
    ("jar", "application/java-archive"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("jsonl", "application/jsonl"),
    ("jsonld", "application/ld+json"),
    ("junit", "application/xml"),
    ("log", "text/plain"),
    ("md", "text/markdown"),
    ("mjs", "text/javascript"),
    ("mkv", "video/matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ndjson", "application/x-ndjson"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ogg", "audio/ogg"),
    ("p7s", "application/pkcs7-signature"),
    ("parquet", "application/vnd.apache.parquet"),
    ("patch", "text/x-diff"),
    ("pcap", "application/vnd.tcpdump.pcap"),
    ("pdf", "application/pdf"),
    ("pem", "application/x-pem-file"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("properties", "text/plain"),
    ("rtf", "application/rtf"),
    ("sarif", "application/sarif+json"),
    ("sh", "application/x-sh"),
    ("sig", "application/pgp-signature"),
    ("sql", "application/sql"),
    ("sqlite", "application/vnd.sqlite3"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("text", "text/plain"),
    ("tgz", "application/gzip"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml"),
    ("tsv", "text/tab-separated-values"),
    ("txt", "text/plain"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xhtml", "application/xhtml+xml"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml"),
    ("xsd", "application/xml"),
    ("xsl", "application/xslt+xml"),
    ("xslt", "application/xslt+xml"),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// The media type of a file nobody gave one: by its last extension, in whatever case of ASCII; else
/// `application/octet-stream`. A name that is nothing but an extension, like `.json`, has none.
pub fn guess_media_type(path: &PackagePath) -> &'static str {
    let name = path.as_str().rsplit('/').next().unwrap_or_default();
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return OCTET_STREAM;
    };
    let extension = extension.to_ascii_lowercase();
    match TABLE.binary_search_by(|(known, _)| (*known).cmp(&extension)) {
        Ok(found) if !stem.is_empty() => TABLE[found].1,
        _ => OCTET_STREAM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::media::is_media_type;

    #[test]
    fn the_table_is_sorted_and_says_media_types() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        for (extension, media_type) in TABLE {
            assert!(is_media_type(media_type), "{extension}");
            assert!(!extension.contains('.') && *extension == extension.to_ascii_lowercase(), "{extension}");
        }
    }

    #[test]
    fn a_name_says_what_a_file_is() {
        for (path, media_type) in [
            ("report.json", "application/json"),
            ("a/b.tar.GZ", "application/gzip"),
            ("a.b/c", OCTET_STREAM),
            (".json", OCTET_STREAM),
            ("a/.html", OCTET_STREAM),
            ("trailing.", OCTET_STREAM),
            ("x.unknown", OCTET_STREAM),
            ("x.ſvg", OCTET_STREAM),
        ] {
            assert_eq!(guess_media_type(&path.parse().unwrap()), media_type, "{path}");
        }
    }
}
