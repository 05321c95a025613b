//! Whether a file is all there: not empty, and well-formed if its name says what it should be.

use std::collections::HashSet;
use std::io::{BufRead, Read as _};

use xmlparser::{ElementEnd, Token, Tokenizer};

use super::super::PackagePath;
use crate::codec::keys::check_once;

/// The largest XML file that is looked through, bytes; it is held in memory meanwhile. JSON is not.
const MAX_XML: u64 = 64 << 20;

/// Elements within elements at most.
const MAX_DEPTH: usize = 1024;

/// Looks a file through. The error says what is wrong with it, without its name.
pub fn check_whole(path: &PackagePath, mut content: impl BufRead) -> Result<(), String> {
    if content.fill_buf().map_err(|error| unreadable(&error))?.is_empty() {
        return Err("is empty".to_owned());
    }
    match path.as_str().rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).as_deref() {
        Some("json") => check_once(content).map_err(|error| format!("is not JSON: {error}")),
        Some("jsonl" | "ndjson") => lines(content),
        Some("xml") => xml(content),
        _ => Ok(()),
    }
}

fn lines(content: impl BufRead) -> Result<(), String> {
    for (at, line) in content.split(b'\n').enumerate() {
        let line = line.map_err(|error| unreadable(&error))?;
        if !line.trim_ascii().is_empty() {
            check_once(&*line).map_err(|error| format!("is not JSON on line {}: {error}", at + 1))?;
        }
    }
    Ok(())
}

fn xml(content: impl BufRead) -> Result<(), String> {
    let mut bytes = Vec::new();
    content.take(MAX_XML + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > MAX_XML {
        return Err(format!("is larger than {MAX_XML} bytes, too large to be looked through"));
    }
    let text = text(bytes).ok_or("is not XML: it is not in the encoding it says")?;
    well_formed(&text).map_err(|reason| format!("is not XML: {reason}"))
}

/// XML as text. Of encodings beside UTF-8 and UTF-16 only what all have in common is looked at.
fn text(bytes: Vec<u8>) -> Option<String> {
    let words = |word: fn([u8; 2]) -> u16| {
        let words: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| word([pair[0], pair[1]])).collect();
        String::from_utf16(&words).ok()
    };
    match &bytes[..] {
        [0xff, 0xfe, ..] => return words(u16::from_le_bytes),
        [0xfe, 0xff, ..] => return words(u16::from_be_bytes),
        _ => {}
    }
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).to_ascii_lowercase();
    let declaration = head.split("?>").next().unwrap_or_default();
    if declaration.contains("encoding=") && !declaration.contains("utf-8") {
        return Some(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).ok()
}

/// One root, every element closed by its own name, no attribute twice.
fn well_formed(text: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut attributes = HashSet::new();
    let mut roots = 0;
    for token in Tokenizer::from(text) {
        match token.map_err(|error| error.to_string())? {
            Token::ElementStart { prefix, local, .. } => {
                roots += usize::from(open.is_empty());
                if open.len() == MAX_DEPTH {
                    return Err(format!("it has more than {MAX_DEPTH} elements within each other"));
                }
                open.push(name(prefix.as_str(), local.as_str(), text));
                attributes.clear();
            }
            Token::Attribute { prefix, local, .. }
                if !attributes.insert((prefix.as_str(), local.as_str())) =>
            {
                return Err(format!("an element has the attribute {:?} twice", local.as_str()));
            }
            Token::ElementEnd { end: ElementEnd::Empty, .. } => drop(open.pop()),
            Token::ElementEnd { end: ElementEnd::Close(prefix, local), .. } => {
                let closed = name(prefix.as_str(), local.as_str(), text);
                match open.pop() {
                    Some(opened) if opened == closed => {}
                    Some(opened) => return Err(format!("<{opened}> is closed by </{closed}>")),
                    None => return Err(format!("</{closed}> closes nothing")),
                }
            }
            _ => {}
        }
    }
    match open.last() {
        Some(opened) => Err(format!("<{opened}> is not closed")),
        None if roots == 0 => Err("it has no element".to_owned()),
        None if roots > 1 => Err("it has more than one root element".to_owned()),
        None => Ok(()),
    }
}

/// A name with its prefix. Both are parts of the text, one behind the other.
fn name<'a>(prefix: &'a str, local: &'a str, text: &'a str) -> &'a str {
    if prefix.is_empty() {
        return local;
    }
    let start = prefix.as_ptr() as usize - text.as_ptr() as usize;
    &text[start..start + prefix.len() + 1 + local.len()]
}

fn unreadable(error: &std::io::Error) -> String {
    format!("cannot be read: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(path: &str, content: impl AsRef<[u8]>) -> String {
        check_whole(&path.parse().unwrap(), content.as_ref()).err().unwrap_or_default()
    }

    #[test]
    fn files_that_are_all_there_pass() {
        for (path, content) in [
            ("a.json", r#"{"a":[1,2.5,-1,null,true,"x",{"b":{}}],"b":1}"#),
            ("a.jsonl", "{}\n\n[1]\n2"),
            ("a.md", "#"),
            ("a.xml", "<?xml version=\"1.0\"?>\n<!-- c --><a:b x='1' y=\"&lt;\"><c/>t<![CDATA[<]]></a:b>\n"),
            ("a.XML", "\u{feff}<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>"),
        ] {
            assert_eq!(wrong(path, content), "", "{path}");
        }
        assert_eq!(wrong("a.xml", b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xe4</a>"), "");
        let wide: Vec<u8> = "\u{feff}<a>ä</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(wrong("a.xml", wide), "");
    }

    #[test]
    fn files_that_are_not_all_there_are_told_why() {
        for (path, content, reason) in [
            ("a.json", "", "is empty"),
            ("a.md", "", "is empty"),
            ("a.json", "{\"a\":", "is not JSON: EOF"),
            ("a.json", "{} {}", "is not JSON: trailing"),
            ("a.json", r#"{"x":[{"a":1,"a":2}]}"#, "is not JSON: the key \"a\" is there twice"),
            ("a.ndjson", "{}\n{", "is not JSON on line 2"),
            ("a.xml", " ", "is not XML: it has no element"),
            ("a.xml", "<a><b></a>", "is not XML: <b> is closed by </a>"),
            ("a.xml", "<a><x:b></x:c></a>", "is not XML: <x:b> is closed by </x:c>"),
            ("a.xml", "<a><b/>", "is not XML: <a> is not closed"),
            ("a.xml", "<a/><b/>", "is not XML: "),
            ("a.xml", "<a x='1' x='2'/>", "is not XML: an element has the attribute \"x\" twice"),
            ("a.xml", "<testsuite tests=\"", "is not XML: "),
        ] {
            let found = wrong(path, content);
            assert!(found.starts_with(reason), "{path} {content}: {found}");
        }
        assert!(wrong("a.xml", b"<a>\xe4</a>").contains("encoding"));
        assert!(wrong("a.xml", "<a>".repeat(2000)).contains("1024"));
        assert!(wrong("a.json", "[".repeat(2000)).contains("recursion"));
    }
}
