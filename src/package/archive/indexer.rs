//! From members to the list.

use std::io::Read;

use super::super::PackagePath;
use super::error::{Error, Limit, shown};
use super::header::{self, Kind, Member};
use super::stream::Stream;
use super::{Entry, Index, Limits, Link};
use crate::hash::Hasher;
use crate::oci::Algorithm;

/// Lists several archives as if they were one: the limits hold for all of them together, and no path may be in
/// two of them.
#[derive(Debug)]
pub struct Indexer {
    limits: Limits,
    entries: u64,
    names: usize,
    /// What is left of the limit of unpacked bytes.
    left: u64,
    index: Index,
}

impl Indexer {
    /// Begins with nothing.
    pub fn new(limits: Limits) -> Self {
        let left = limits.unpacked;
        Self { limits, entries: 0, names: 0, left, index: Index::default() }
    }

    /// Reads one archive to the end of `source`. After an error the indexer is of no use.
    pub fn read(&mut self, source: impl Read) -> Result<(), Error> {
        self.read_to(source, |_, _| {})
    }

    /// The same, and hands on what is in the files: path and bytes, at least once for each, with no bytes at the
    /// beginning of every file. Nothing is known of a file before all of the archive was read.
    pub fn read_to(
        &mut self,
        source: impl Read,
        mut take: impl FnMut(&PackagePath, &[u8]),
    ) -> Result<(), Error> {
        let mut stream = Stream::open(source, &self.limits, self.left)?;
        while let Some(member) = header::next(&mut stream)? {
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(stream.over(Limit::Entries(self.limits.entries)));
            }
            self.add(member, &mut stream, &mut take)?;
            stream.place.leave();
        }
        self.left = stream.left();
        Ok(())
    }

    /// The list of everything read.
    pub fn finish(self) -> Result<Index, Error> {
        let Index { mut files, mut links, mut folders } = self.index;
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        links.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let paths = files.iter().map(|file| &file.path).chain(links.iter().map(|link| &link.path));
        let mut paths: Vec<&PackagePath> = paths.collect();
        paths.sort_unstable();
        if let Some(twice) = paths.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::Duplicate(twice[0].clone()));
        }
        folders.sort_unstable();
        folders.dedup();
        // An empty folder is as much a reason for a program to unpack otherwise as one with a file in it.
        if let Some(both) = folders.iter().find(|folder| paths.binary_search(folder).is_ok()) {
            return Err(Error::FileAndFolder(both.clone()));
        }
        for inside in paths.iter().copied().chain(&folders) {
            // Not the neighbours: `a`, `a-b`, `a/c` are in order.
            for folder in inside.folders() {
                if let Ok(at) = paths.binary_search_by(|path| path.as_str().cmp(folder)) {
                    return Err(Error::Folder { path: paths[at].clone(), inside: inside.clone() });
                }
            }
        }
        Ok(Index { files, links, folders })
    }

    fn add<R: Read>(
        &mut self,
        member: Member,
        stream: &mut Stream<R>,
        take: &mut impl FnMut(&PackagePath, &[u8]),
    ) -> Result<(), Error> {
        match member.kind {
            Kind::Remark => {}
            Kind::Folder => {
                let name = text(&member.name)?;
                let path = relative(name).trim_end_matches('/');
                // `.` or `./`: the folder that everything is in.
                let is_root = path == "." || path.is_empty() && name.starts_with("./");
                if !is_root {
                    let path: PackagePath = path.parse()?;
                    self.count(path.as_str().len(), stream)?;
                    self.index.folders.push(path);
                }
            }
            Kind::Link { kind, target } => {
                let path: PackagePath = relative(text(&member.name)?).parse()?;
                let target = text(&target)?.to_owned();
                self.count(path.as_str().len() + target.len(), stream)?;
                self.index.links.push(Link { path, kind, target });
            }
            Kind::File { size } => {
                let path: PackagePath = relative(text(&member.name)?).parse()?;
                self.count(path.as_str().len(), stream)?;
                if self.index.files.len() >= self.limits.files {
                    return Err(stream.over(Limit::Files(self.limits.files)));
                }
                let mut hashers = [Algorithm::Blake3, Algorithm::Sha256].map(Hasher::new);
                take(&path, &[]);
                stream.contents(size, |piece| {
                    for hasher in &mut hashers {
                        hasher.update(piece);
                    }
                    take(&path, piece);
                })?;
                let [content_address, sha256] = hashers.map(Hasher::finish);
                self.index.files.push(Entry { path, size, content_address, sha256 });
            }
        }
        Ok(())
    }

    fn count<R: Read>(&mut self, bytes: usize, stream: &Stream<R>) -> Result<(), Error> {
        self.names += bytes;
        if self.names > self.limits.names {
            return Err(stream.over(Limit::Names(self.limits.names)));
        }
        Ok(())
    }
}

fn text(name: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(name).map_err(|_| Error::NotText { name: shown(name) })
}

/// `tar -c .` puts `./` before every name.
fn relative(mut name: &str) -> &str {
    while let Some(rest) = name.strip_prefix("./") {
        name = rest;
    }
    name
}
