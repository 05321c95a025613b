//! One file of a package, or of a draft, as bytes.

use std::io::Write;

use http::header::RANGE;
use http::{Method, StatusCode};

use super::blobs::NO_REDIRECT;
use super::digests::Digesting;
use super::http::Call;
use super::packages::{package_target, plain};
use super::{Client, Error, Progress, retry};
use crate::package::{File, PackageId, PackagePath};

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// The file as the registry lists it.
    pub file: File,
    /// Bytes that were written.
    pub bytes: u64,
    /// Whether all of the file was read, and compared with both its digests.
    pub is_whole: bool,
}

/// Bytes of a file: `first-last`, `first-` or `-count`, as HTTP has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range(String);

/// A text is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no range of bytes; write FIRST-LAST, FIRST- or -COUNT, counted from 0")]
pub struct RangeError(String);

impl std::str::FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let number = |text: &str| text.parse::<u64>().ok().filter(|_| !text.starts_with('+'));
        let is_range = match text.split_once('-') {
            Some(("", count)) => number(count).is_some(),
            Some((first, "")) => number(first).is_some(),
            Some((first, last)) => {
                number(first).is_some_and(|first| number(last).is_some_and(|last| first <= last))
            }
            None => false,
        };
        if is_range { Ok(Self(text.to_owned())) } else { Err(RangeError(text.to_owned())) }
    }
}

/// Why a download ended early.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// It was not received.
    #[error(transparent)]
    Client(#[from] Error),
    /// It was received and cannot be written.
    #[error(transparent)]
    Output(std::io::Error),
}

impl Client {
    /// Writes a file of a package, or the range of it. The whole file is compared with its size and both digests;
    /// the bytes are written before the last of them is known to be right. Goes on when the connection breaks.
    pub async fn download(
        &self,
        id: &PackageId,
        path: &PackagePath,
        range: Option<&Range>,
        output: &mut impl Write,
        progress: &Progress,
    ) -> Result<Downloaded, Stopped> {
        let repository = self.repository_of(id).await?;
        let target = format!("{}/files/{}", package_target(&repository, id), plain(path.as_str()));
        let file = self.file_of(id, path, &target).await?;
        progress.begin(super::Phase::Downloading, 1, file.size);
        let (mut digesting, mut failures) = (Digesting::new(), 0);
        loop {
            let before = digesting.size();
            let call = Call::new(Method::GET, target.as_str(), repository.as_str());
            let mut call = call.header(NO_REDIRECT, "never");
            let expected = match range {
                Some(Range(range)) => {
                    call = call.header(RANGE, format!("bytes={range}"));
                    StatusCode::PARTIAL_CONTENT
                }
                None if before > 0 => {
                    call = call.header(RANGE, format!("bytes={before}-"));
                    StatusCode::PARTIAL_CONTENT
                }
                None => StatusCode::OK,
            };
            let mut body = self.expect(&call, &[expected]).await?.into_body();
            let trouble = loop {
                match self.chunk(&mut body).await {
                    Ok(Some(bytes)) => {
                        digesting.update(&bytes);
                        if digesting.size() > file.size {
                            let found = format!("more than {} bytes", file.size);
                            return Err(self.damage(path.as_str(), &file.sha256, found).into());
                        }
                        output.write_all(&bytes).map_err(Stopped::Output)?;
                        progress.add_bytes(bytes.len() as u64);
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            let Some(trouble) = trouble.filter(|_| digesting.size() < file.size) else { break };
            failures = if digesting.size() > before { 1 } else { failures + 1 };
            // Where a range broke, another one begins; the caller may ask for it.
            if range.is_some() || failures > retry::ATTEMPTS {
                return Err(trouble.into());
            }
            tokio::time::sleep(retry::pause(failures, None)).await;
        }
        output.flush().map_err(Stopped::Output)?;
        let bytes = digesting.size();
        if range.is_none() {
            let found = digesting.finish();
            if !super::restore::is_same(&file, &found) {
                return Err(super::receive::damaged(self, &file, found).into());
            }
        }
        Ok(Downloaded { file, bytes, is_whole: range.is_none() })
    }

    async fn file_of(&self, id: &PackageId, path: &PackagePath, target: &str) -> Result<File, Error> {
        let Some(mut listed) = self.package_file(id, path).await? else {
            return Err(Error::NoFile { package: id.clone(), path: path.clone() });
        };
        if let Some(fields) = listed.as_object_mut() {
            let known = ["path", "media_type", "size", "content_address", "sha256", "role"];
            fields.retain(|name, _| known.contains(&name.as_str()));
        }
        let what = format!("GET {target}");
        serde_json::from_value(listed).map_err(|_| self.protocol(&what, "its list has files without digests"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http_and_nothing_else() {
        for text in ["0-0", "0-99", "7-", "-1", "18446744073709551615-"] {
            assert_eq!(text.parse(), Ok(Range(text.to_owned())));
        }
        for text in
            ["", "-", "1", "9-8", "a-b", "--1", "1-2-3", "0-1,3-4", " 0-1", "+1-2", "1-99999999999999999999"]
        {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }
}
