//! Archives as programs make them, as nobody should, and as no disk could hold.

use std::io::{self, Cursor, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use super::pax::Records;
use super::*;
use crate::hash;
use crate::oci::Algorithm;

fn header(kind: EntryType, name: &str, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

/// One member as it stands in an archive.
fn member(kind: EntryType, name: &str, contents: &[u8]) -> Vec<u8> {
    with_header(&header(kind, name, contents.len() as u64), contents)
}

fn with_header(header: &Header, contents: &[u8]) -> Vec<u8> {
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, contents: &str) -> Vec<u8> {
    member(EntryType::Regular, name, contents.as_bytes())
}

fn link(kind: EntryType, name: &str, target: &str) -> Vec<u8> {
    let mut header = header(kind, name, 0);
    header.set_link_name_literal(target).unwrap();
    header.set_cksum();
    with_header(&header, b"")
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    member(EntryType::XHeader, "PaxHeader", &pax_records(records))
}

fn pax_records(records: &[(&str, &str)]) -> Vec<u8> {
    let record = |(key, value): &(&str, &str)| {
        let rest = format!(" {key}={value}\n");
        let length =
            (1..9).find(|digits| (rest.len() + digits).to_string().len() == *digits).unwrap() + rest.len();
        format!("{length}{rest}").into_bytes()
    };
    records.iter().flat_map(record).collect()
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn list(bytes: &[u8]) -> Result<Index, Error> {
    index(bytes, &Limits::default())
}

#[test]
fn the_contents_of_every_file_are_handed_on_and_of_nothing_else() {
    let long = "x".repeat(40_000);
    let members = [
        file("./a", "one"),
        member(EntryType::Directory, "b/", b""),
        file("b/empty", ""),
        link(EntryType::Symlink, "link", "a"),
        file("b/long", &long),
    ];
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut indexer = Indexer::new(Limits::default());
    let read = indexer.read_to(&gzip(&archive(&members))[..], |path, piece| match piece {
        [] => seen.push((path.to_string(), String::new())),
        piece => {
            let (last, text) = seen.last_mut().expect("a file begins with nothing");
            assert_eq!(*last, path.to_string());
            text.push_str(std::str::from_utf8(piece).unwrap());
        }
    });
    read.unwrap();
    let expected = [("a", "one"), ("b/empty", ""), ("b/long", &long)];
    assert_eq!(seen, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
}

fn entry(path: &str, contents: &[u8]) -> Entry {
    Entry {
        path: path.parse().unwrap(),
        size: contents.len() as u64,
        content_address: hash::digest(Algorithm::Blake3, contents),
        sha256: hash::digest(Algorithm::Sha256, contents),
    }
}

/// Hands out one byte at a time.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

/// Gives the bytes, then fails.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the disk is gone")),
            read => Ok(read),
        }
    }
}

#[test]
fn the_files_are_listed_by_path_with_both_digests() {
    let long = "x".repeat(1500);
    let bytes = archive(&[
        member(EntryType::Directory, "./", b""),
        file("./b", &long),
        member(EntryType::Directory, "logs/", b""),
        file("logs/run.txt", "ran"),
        file("a", ""),
    ]);
    let expected = vec![entry("a", b""), entry("b", long.as_bytes()), entry("logs/run.txt", b"ran")];
    let (head, tail) = bytes.split_at(700);
    let in_two = [gzip(head), gzip(tail)].concat();
    for bytes in [bytes.clone(), gzip(&bytes), in_two] {
        let Index { files, links, folders } = list(&bytes).unwrap();
        assert_eq!((files, links), (expected.clone(), vec![]));
        assert_eq!(folders.iter().map(PackagePath::as_str).collect::<Vec<_>>(), ["logs"]);
        assert_eq!(index(Slow(&bytes), &Limits::default()).unwrap().files, expected);
    }
}

#[test]
fn an_archive_of_nothing_has_no_files() {
    assert_eq!(list(&archive(&[])).unwrap(), Index::default());
}

#[test]
fn long_names_are_read_in_both_dialects() {
    let name = format!("{}/{}", "d".repeat(180), "f".repeat(180));
    let gnu =
        [member(EntryType::GNULongName, "././@LongLink", format!("{name}\0").as_bytes()), file("cut", "1")];
    let posix = [pax(&[("mtime", "1.5"), ("path", &name)]), file("cut", "1")];
    for members in [gnu, posix] {
        assert_eq!(list(&archive(&members)).unwrap().files, [entry(&name, b"1")]);
    }
}

#[test]
fn an_extended_header_may_say_the_size() {
    let header = header(EntryType::Regular, "a", 0);
    let bytes = archive(&[pax(&[("size", "3")]), with_header(&header, b"abc"), file("b", "")]);
    assert_eq!(list(&bytes).unwrap().files, [entry("a", b"abc"), entry("b", b"")]);
}

#[test]
fn what_is_said_of_all_entries_may_be_a_comment() {
    let comment = pax_records(&[("comment", "8c1f")]);
    let bytes = archive(&[member(EntryType::XGlobalHeader, "pax_global_header", &comment), file("a", "1")]);
    assert_eq!(list(&bytes).unwrap().files, [entry("a", b"1")]);
}

#[test]
fn links_are_recorded_and_not_followed() {
    let far = format!("/{}", "t".repeat(300));
    let bytes = archive(&[
        file("a", "1"),
        link(EntryType::Symlink, "./out", "../../etc/passwd"),
        link(EntryType::Link, "hard", "a"),
        member(EntryType::GNULongLink, "././@LongLink", format!("{far}\0").as_bytes()),
        link(EntryType::Symlink, "far", "cut"),
    ]);
    let Index { files, links, .. } = list(&bytes).unwrap();
    assert_eq!(files, [entry("a", b"1")]);
    let links: Vec<_> =
        links.iter().map(|link| (link.path.as_str(), link.kind, link.target.as_str())).collect();
    let expected = [
        ("far", LinkKind::Symbolic, far.as_str()),
        ("hard", LinkKind::Hard, "a"),
        ("out", LinkKind::Symbolic, "../../etc/passwd"),
    ];
    assert_eq!(links, expected);
}

#[test]
fn what_is_no_file_of_a_package_is_refused_by_name() {
    let non_utf8 = {
        let mut header = header(EntryType::Regular, "caf?", 0);
        header.as_old_mut().name[3] = 0xe9;
        header.set_cksum();
        with_header(&header, b"")
    };
    let in_link = [link(EntryType::Symlink, "out", "/etc"), file("out/passwd", "")].concat();
    for (member, words) in [
        (file("../up", ""), r#"path "../up" has the part "..""#),
        (file("a/../../up", ""), r#"has the part "..""#),
        (file("./../up", ""), r#"has the part "..""#),
        (file("/etc/passwd", ""), "is absolute"),
        (file(".//etc/passwd", ""), "is absolute"),
        (file("a//b", ""), r#"has the part """#),
        (file("a\\b", ""), "character"),
        (file("e\u{301}", ""), "normalisation"),
        (file(".artifactstore/package.cbor", ""), "the registry's own"),
        (file("", ""), "1 to 1024 bytes"),
        (non_utf8, "\"caf\u{fffd}\" is not UTF-8"),
        (member(EntryType::Directory, "../", b""), r#"has the part "..""#),
        (member(EntryType::Directory, "/", b""), "1 to 1024 bytes"),
        (link(EntryType::Symlink, "../up", "a"), r#"has the part "..""#),
        (member(EntryType::Char, "tty", b""), "\"tty\" is a character device"),
        (member(EntryType::Block, "sda", b""), "\"sda\" is a block device"),
        (member(EntryType::Fifo, "queue", b""), "\"queue\" is a pipe"),
        (member(EntryType::GNUSparse, "holes", b""), "\"holes\" is a sparse file"),
        ([pax(&[("GNU.sparse.major", "1")]), file("holes", "")].concat(), "\"holes\" is a sparse file"),
        (member(EntryType::new(b'Z'), "what", b""), "\"what\" is of a kind that is not known"),
        (member(EntryType::Directory, "d", b"1"), "\"d\" is no file and has contents"),
        (member(EntryType::Link, "l", b"1"), "\"l\" is no file and has contents"),
        ([file("a", "1"), file("./a", "2")].concat(), "a is in the archive twice"),
        ([file("a", ""), file("a-b", ""), file("a/b/c", "")].concat(), "also the folder of a/b/c"),
        (in_link, "out is a file or a link in the archive and also the folder of out/passwd"),
    ] {
        let error = list(&archive(&[member])).unwrap_err().to_string();
        assert!(error.contains(words), "expected {words:?}: {error}");
    }
}

#[test]
fn a_folder_that_is_a_link_or_a_file_too_was_listed() {
    let folder = |name: &str| member(EntryType::Directory, name, b"");
    let out = || link(EntryType::Symlink, "x", "/etc");
    for (members, words) in [
        ([out(), folder("x/")], "x is a file or a link in the archive and also a folder"),
        ([folder("x/"), out()], "x is a file or a link in the archive and also a folder"),
        ([out(), folder("x/sub/")], "x is a file or a link in the archive and also the folder of x/sub"),
        ([file("x", "1"), folder("./x/")], "x is a file or a link in the archive and also a folder"),
        ([folder("x/y/z/"), file("x", "1")], "also the folder of x/y/z"),
    ] {
        let error = list(&archive(&members)).unwrap_err().to_string();
        assert!(error.contains(words), "expected {words:?}: {error}");
    }
    let twice = archive(&[folder("x/"), file("x/y", "1"), folder("x"), folder("x-y/")]);
    let folders = list(&twice).unwrap().folders;
    assert_eq!(folders.iter().map(PackagePath::as_str).collect::<Vec<_>>(), ["x", "x-y"]);
    let limits = Limits { names: 100, ..Limits::default() };
    let many: Vec<Vec<u8>> = (0..30).map(|n| folder(&format!("f{n:02}/"))).collect();
    assert_eq!(index(archive(&many).as_slice(), &limits).unwrap().folders.len(), 30);
    let many: Vec<Vec<u8>> = (0..40).map(|n| folder(&format!("f{n:02}/"))).collect();
    let error = index(archive(&many).as_slice(), &limits).unwrap_err();
    assert!(matches!(error, Error::Limit { limit: Limit::Names(100), .. }), "{error}");
}

#[test]
fn what_programs_would_read_differently_is_refused() {
    let long = |name: &str| member(EntryType::GNULongName, "././@LongLink", name.as_bytes());
    let huge = {
        let mut header = header(EntryType::Regular, "a", 0);
        header.as_old_mut().size[..4].copy_from_slice(&[0x80, 0, 0, 1]);
        header.set_cksum();
        with_header(&header, b"")
    };
    let global = |records| member(EntryType::XGlobalHeader, "g", &pax_records(records));
    for (bytes, words) in [
        (archive(&[long("b"), pax(&[("path", "c")]), file("a", "")]), "has two long names"),
        (archive(&[long("b"), long("c"), file("a", "")]), "two extended headers of one kind"),
        (archive(&[pax(&[("path", "b"), ("path", "c")]), file("a", "")]), "twice"),
        (archive(&[pax(&[("size", "-1")]), file("a", "")]), "a size that is no number"),
        (archive(&[global(&[("path", "b")]), file("a", "")]), "a header for all entries"),
        (archive(&[huge]), "a size that is no number"),
        ([archive(&[file("a", "")]), archive(&[file("b", "")])].concat(), "goes on behind its end"),
        (archive(&[long("b")]), "cut off in entry \"b\""),
    ] {
        let error = list(&bytes).unwrap_err().to_string();
        assert!(error.contains(words), "expected {words:?}: {error}");
    }
}

#[test]
fn another_packing_is_named() {
    for (bytes, name) in
        [(&b"\x28\xb5\x2f\xfd...."[..], "zstd"), (b"\xfd7zXZ\0", "xz"), (b"BZh91AY", "bzip2")]
    {
        let error = list(bytes).unwrap_err();
        assert!(matches!(error, Error::Packing(found) if found == name), "{error}");
    }
}

#[test]
fn what_is_cut_off_is_never_taken_for_whole() {
    let bytes = archive(&[file("first", &"1".repeat(600)), file("second", "2")]);
    let end = bytes.len() - 1024;
    for length in 0..end + 512 {
        let error = list(&bytes[..length]).unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "{length}: {error}");
    }
    assert_eq!(list(&bytes[..600]).unwrap_err().to_string(), "the archive is cut off in entry \"first\"");
    assert_eq!(list(&bytes[..1600]).unwrap_err().to_string(), "the archive is cut off after entry \"first\"");
    let packed = gzip(&bytes);
    for length in 0..packed.len() {
        let error = list(&packed[..length]).unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "{length}: {error}");
    }
}

#[test]
fn damage_in_gzip_is_never_taken_for_content() {
    let bytes = archive(&[file("first", "some text, and some text"), file("second", "2")]);
    let (packed, expected) = (gzip(&bytes), list(&bytes).unwrap());
    for at in 0..packed.len() {
        let mut damaged = packed.clone();
        damaged[at] ^= 0x10;
        // Some bits mean nothing: those of the time of packing, those that fill the last byte.
        if let Ok(found) = list(&damaged) {
            assert_eq!(found, expected, "byte {at}");
        }
    }
}

#[test]
fn a_failing_source_is_not_the_archives_fault() {
    let bytes = archive(&[file("first", &"1".repeat(600))]);
    let packed = gzip(&bytes);
    for bytes in [&bytes[..2], &bytes[..700], &packed[..3], &packed[..20]] {
        let error = index(Failing(bytes), &Limits::default()).unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error}");
    }
}

#[test]
fn every_limit_ends_the_reading() {
    let bytes = archive(&[
        member(EntryType::Directory, "d", b""),
        file("d/a", "12345"),
        link(EntryType::Symlink, "d/b", "somewhere"),
        file("d/c", ""),
    ]);
    let whole = Limits { entries: 4, files: 2, names: 19, unpacked: bytes.len() as u64, ratio: 1 };
    assert_eq!(index(bytes.as_slice(), &whole).unwrap().files.len(), 2);
    for (limits, words) in [
        (Limits { entries: 3, ..whole.clone() }, "more than 3 entries, in entry \"d/c\""),
        (Limits { files: 1, ..whole.clone() }, "more than 1 files, in entry \"d/c\""),
        (Limits { names: 18, ..whole.clone() }, "more than 18 bytes of paths and link targets"),
        (Limits { unpacked: whole.unpacked - 1, ..whole.clone() }, "bytes when it is unpacked"),
        (Limits { unpacked: 1100, ..whole.clone() }, "bytes when it is unpacked, in entry \"d/a\""),
    ] {
        let error = index(bytes.as_slice(), &limits).unwrap_err().to_string();
        assert!(error.contains(words), "expected {words:?}: {error}");
    }
    let name = vec![b'n'; (1 << 20) + 1];
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader, EntryType::XGlobalHeader]
    {
        let error = list(&archive(&[member(kind, "long", &name)])).unwrap_err().to_string();
        assert!(error.contains("extended header of more than 1048576 bytes"), "{error}");
    }
}

#[test]
fn a_file_that_is_larger_than_the_limit_is_not_read() {
    let start = with_header(&header(EntryType::Regular, "huge", 1 << 32), b"");
    let limits = Limits { unpacked: 1 << 20, ..Limits::default() };
    let error = index(start.as_slice(), &limits).unwrap_err();
    assert!(matches!(error, Error::Limit { limit: Limit::Unpacked(_), .. }), "{error}");
}

#[test]
fn what_unpacks_to_far_more_than_it_is_ends_early() {
    let size = 80 << 20;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(header(EntryType::Regular, "zeros", size).as_bytes()).unwrap();
    io::copy(&mut io::repeat(0).take(size + 1024), &mut encoder).unwrap();
    let packed = encoder.finish().unwrap();
    let error = list(&packed).unwrap_err().to_string();
    assert_eq!(error, "the archive unpacks to more than 200 times its size, in entry \"zeros\"");
    let patient = Limits { ratio: 2000, ..Limits::default() };
    assert_eq!(index(packed.as_slice(), &patient).unwrap().files[0].size, size);
}

/// An archive with this many empty files that exists nowhere as a whole.
struct Endless {
    made: u64,
    block: Cursor<Vec<u8>>,
}

impl Endless {
    fn new() -> Self {
        Self { made: 0, block: Cursor::default() }
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.block.read(buffer)? {
                0 if self.made == 1_000_000 => return Ok(0),
                0 => {
                    self.made += 1;
                    self.block = Cursor::new(file(&format!("d/{:07}", self.made), ""));
                }
                read => return Ok(read),
            }
        }
    }
}

#[test]
fn a_million_entries_are_refused_long_before_the_last() {
    let roomy = Limits { entries: u64::MAX, files: usize::MAX, ..Limits::default() };
    for (limits, most, words) in [
        (Limits::default(), 40_001, "more than 40000 files"),
        (Limits { files: usize::MAX, ..Limits::default() }, 100_001, "more than 100000 entries"),
        (Limits { names: 90_000, ..roomy }, 10_001, "more than 90000 bytes"),
    ] {
        let mut source = Endless::new();
        let error = index(&mut source, &limits).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(source.made <= most, "{} members were read", source.made);
    }
}

#[test]
fn several_archives_share_the_limits_and_the_paths() {
    let one = archive(&[file("a", "1")]);
    let read = |limits: Limits, second: &[u8]| {
        let mut indexer = Indexer::new(limits);
        indexer.read(one.as_slice())?;
        indexer.read(second)?;
        indexer.finish()
    };
    let other = archive(&[file("b", "2")]);
    assert_eq!(read(Limits::default(), &other).unwrap().files, [entry("a", b"1"), entry("b", b"2")]);
    assert!(matches!(read(Limits::default(), &one), Err(Error::Duplicate(_))));
    let unpacked = one.len() as u64 + 1;
    for limits in [
        Limits { entries: 1, ..Limits::default() },
        Limits { unpacked, ..Limits::default() },
        Limits { names: 1, ..Limits::default() },
    ] {
        assert!(matches!(read(limits, &other), Err(Error::Limit { .. })));
    }
}

#[test]
fn records_are_read_by_their_length() {
    let value = "two\nlines with 9 path=x\n";
    let bytes = pax_records(&[("SCHILY.xattr.user.note", value), ("path", "a\u{e9}"), ("linkpath", "")]);
    let records = Records::parse(&bytes).unwrap();
    assert_eq!((records.path.as_deref(), records.target), (Some("a\u{e9}".as_bytes()), None));
    for bytes in
        [&b"x"[..], b"9 path=a\n\n", b"+9 path=a\n", b"0 a=b\n", b"99 path=a\n", b"8 path=a", b"7 path\n"]
    {
        assert!(Records::parse(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
    }
}

fn names() -> impl Strategy<Value = Vec<String>> {
    let name = prop_oneof!["[a-z]{1,9}(/[a-z.]{1,120}x){0,3}", "[a-zé\u{4e2d}]{1,40}"];
    proptest::collection::btree_set(name, 1..12).prop_map(|names| names.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_another_program_packs_is_listed(names in names(), seed in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let contents = |at: usize| vec![seed; at * 301];
        let mut builder = Builder::new(Vec::new());
        for (at, name) in names.iter().enumerate() {
            let mut header = Header::new_gnu();
            header.set_size(contents(at).len() as u64);
            builder.append_data(&mut header, name, contents(at).as_slice()).unwrap();
        }
        let bytes = builder.into_inner().unwrap();
        let expected: Vec<Entry> = names.iter().enumerate().map(|(at, name)| entry(name, &contents(at))).collect();
        match list(&bytes) {
            Ok(found) => prop_assert_eq!(&found.files, &expected),
            // The names come by chance: one may be the folder of another.
            Err(error) => prop_assert!(matches!(error, Error::Folder { .. }), "{}", error),
        }
        let cut = cut.index(bytes.len() - 1024);
        prop_assert!(list(&bytes[..cut]).is_err());
    }

    #[test]
    fn no_bytes_panic(noise: Vec<u8>, at in any::<prop::sample::Index>(), with: [u8; 4]) {
        let _ = list(&noise);
        let _ = list(&[&[0x1f, 0x8b], noise.as_slice()].concat());
        let _ = Records::parse(&noise);
        let mut bytes = archive(&[pax(&[("path", "b"), ("size", "3")]), file("a", "123"), link(EntryType::Symlink, "l", "a")]);
        let at = at.index(bytes.len() - with.len());
        bytes[at..at + with.len()].copy_from_slice(&with);
        // Without its checksum the header says what the noise says.
        let header_at = at / 512 * 512;
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(&bytes[header_at..header_at + 512]);
        header.set_cksum();
        let _ = list(&bytes);
        bytes[header_at..header_at + 512].copy_from_slice(header.as_bytes());
        if let Ok(found) = list(&bytes) {
            prop_assert!(found.files.len() + found.links.len() <= 2);
        }
    }
}
