//! Blocks of a PEM file (RFC 7468), by line.
//!
//! The reader of rustls passes over what it does not know and does not say where it is; so the lines are found here,
//! and each block is decoded there.

use rustls::pki_types::pem::PemObject;

use super::snapshot::File;
use super::{BlockError, Error};
use crate::oci::excerpt;

pub(super) const CERTIFICATE: &str = "CERTIFICATE";
pub(super) const REVOCATION_LIST: &str = "X509 CRL";

/// Keys in their three forms: PKCS #8, PKCS #1 and SEC 1.
pub(super) const KEYS: &[&str] = &["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];

/// A key with a password, PKCS #8.
const ENCRYPTED_KEY: &str = "ENCRYPTED PRIVATE KEY";

/// What says the same inside a block of the older forms, RFC 1421 section 4.6.1.1.
const ENCRYPTED_HEADER: &str = "Proc-Type: 4,ENCRYPTED";

/// How the label of everything that is private ends.
const PRIVATE: &str = "PRIVATE KEY";

/// What tools write beside a key.
const PARAMETERS: &[&str] = &["EC PARAMETERS", "DH PARAMETERS"];

/// One block. It may be a key: it cannot be printed.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    file: &'a File,
    /// Where it begins, from 1.
    pub(super) line: usize,
    label: &'a str,
    /// With its first and last line.
    text: &'a str,
}

/// The blocks of a file whose labels are among `wanted`.
///
/// Keys and certificates may be in one file, so those that are not wanted are passed over, and parameters are. Anything
/// else is refused: what somebody put into the file, they meant.
pub(super) fn blocks<'a>(file: &'a File, wanted: &[&str]) -> Result<Vec<Block<'a>>, Error> {
    let mut found = all(file)?;
    if found.iter().any(|block| block.label.ends_with(PRIVATE)) {
        file.check_closed()?;
    }
    if let Some(other) = found.iter().find(|block| !block.is_known(wanted)) {
        return Err(other.error(BlockError::Label { label: excerpt(other.label) }));
    }
    found.retain(|block| wanted.contains(&block.label));
    Ok(found)
}

/// The first block that is a key with a password.
pub(super) fn encrypted(file: &File) -> Result<Option<Block<'_>>, Error> {
    let is_encrypted = |block: &Block<'_>| {
        block.label == ENCRYPTED_KEY || block.text.lines().any(|line| line.trim_end() == ENCRYPTED_HEADER)
    };
    Ok(all(file)?.into_iter().find(is_encrypted))
}

impl<'a> Block<'a> {
    /// What it holds.
    pub(super) fn decode<T: PemObject>(&self) -> Result<T, Error> {
        T::from_pem_slice(self.text.as_bytes()).map_err(|_| self.error(BlockError::Encoding))
    }

    pub(super) fn error(&self, reason: BlockError) -> Error {
        Error::block(&self.file.path, self.line, reason)
    }

    pub(super) fn file(&self) -> &'a File {
        self.file
    }

    fn is_known(&self, wanted: &[&str]) -> bool {
        let known = [wanted, KEYS, PARAMETERS, &[CERTIFICATE, ENCRYPTED_KEY]];
        known.iter().any(|labels| labels.contains(&self.label))
    }
}

/// All blocks, in their order.
fn all(file: &File) -> Result<Vec<Block<'_>>, Error> {
    let text = file.text.expose();
    let mut blocks = Vec::new();
    let mut begun: Option<(usize, usize, &str)> = None;
    let mut start = 0;
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let end = start + line.len();
        match (begun, label(line, "-----BEGIN "), label(line, "-----END ")) {
            (None, Some(label), _) => begun = Some((at + 1, start, label)),
            (Some((line, from, label)), None, Some(ended)) if ended == label => {
                blocks.push(Block { file, line, label, text: &text[from..end] });
                begun = None;
            }
            (Some((line, ..)), Some(_), _) | (Some((line, ..)), _, Some(_)) => {
                return Err(Error::block(&file.path, line, BlockError::Unfinished));
            }
            (_, None, _) => {}
        }
        start = end;
    }
    match begun {
        Some((line, ..)) => Err(Error::block(&file.path, line, BlockError::Unfinished)),
        None => Ok(blocks),
    }
}

/// The label of a line that begins or ends a block.
fn label<'a>(line: &'a str, opening: &str) -> Option<&'a str> {
    line.trim().strip_prefix(opening)?.strip_suffix("-----")
}
