//! Reading files of keys: blocks of PEM (RFC 7468), each a PKCS#8 document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::SigningKey;
use crate::secret::Secret;

/// What a block is called (RFC 7468 section 10).
pub(super) const LABEL: &str = "PRIVATE KEY";

/// The longest file, in bytes: a hundred times what its keys need.
const LONGEST: usize = 64 * 1024;

/// A file with keys.
#[derive(Clone, Copy, Debug)]
pub struct KeyFile<'a> {
    /// Where it is: what errors call it.
    pub path: &'a str,
    /// All that is in it.
    pub text: &'a Secret,
}

/// Why a file is no file of keys: the file, the line and the reason, and nothing of what stands there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {reason}")]
pub struct KeyError {
    path: String,
    line: usize,
    // A text of the program: nothing that was read can get into it.
    reason: &'static str,
}

impl KeyFile<'_> {
    /// Its keys in their order, at least one, each with the line it begins at. Between the blocks may be empty lines and
    /// lines that begin with `#`.
    pub(super) fn keys(&self) -> Result<Vec<(usize, SigningKey)>, KeyError> {
        let text = self.text.expose();
        if text.len() > LONGEST {
            return Err(self.error(1, "a file of keys has at most 64 KiB"));
        }
        let mut keys = Vec::new();
        let mut lines = (1..).zip(text.lines().map(str::trim_end));
        while let Some((begin, line)) = lines.next() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match boundary(line, "BEGIN") {
                Some(LABEL) => {}
                Some("ENCRYPTED PRIVATE KEY") => {
                    return Err(self.error(begin, "the key is encrypted; store it without a password"));
                }
                Some(_) => return Err(self.error(begin, "a block here is called PRIVATE KEY (PKCS#8)")),
                None => return Err(self.error(begin, "a key begins with -----BEGIN PRIVATE KEY-----")),
            }
            let mut base64 = String::new();
            loop {
                match lines.next() {
                    None => return Err(self.error(begin, "this block has no end")),
                    Some((_, line)) if boundary(line, "END") == Some(LABEL) => break,
                    Some((at, line)) if boundary(line, "END").or(boundary(line, "BEGIN")).is_some() => {
                        return Err(self.error(at, "the block above has no end of its own"));
                    }
                    Some((_, line)) => base64.push_str(line),
                }
            }
            let der = STANDARD
                .decode(&base64)
                .map_err(|_| self.error(begin, "what is in this block is no base64"))?;
            let key = SigningKey::from_pkcs8(&der).ok_or_else(|| {
                self.error(begin, "this is no Ed25519 key; openssl genpkey -algorithm ed25519 makes one")
            })?;
            keys.push((begin, key));
        }
        if keys.is_empty() { Err(self.error(1, "there is no key in this file")) } else { Ok(keys) }
    }

    pub(super) fn error(&self, line: usize, reason: &'static str) -> KeyError {
        KeyError { path: self.path.to_owned(), line, reason }
    }
}

/// The label of a line `-----BEGIN LABEL-----` or `-----END LABEL-----`.
fn boundary<'a>(line: &'a str, kind: &str) -> Option<&'a str> {
    line.strip_prefix("-----")?.strip_prefix(kind)?.strip_prefix(' ')?.strip_suffix("-----")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(text: &str) -> Result<Vec<(usize, SigningKey)>, KeyError> {
        KeyFile { path: "/etc/keys.pem", text: &text.into() }.keys()
    }

    #[test]
    fn every_block_of_a_file_is_a_key_in_its_order() {
        let (one, other) = (SigningKey::generate(), SigningKey::generate());
        let text =
            format!("# from May on\n{}\n# until May\r\n{}\n", one.to_pem().expose(), other.to_pem().expose());
        let read = keys(&text).unwrap();
        let found: Vec<_> = read.iter().map(|(line, key)| (*line, key.public().id())).collect();
        assert_eq!(found, [(2, one.public().id()), (7, other.public().id())]);
        assert_eq!(read[0].1.to_pem(), one.to_pem());
        assert_eq!(keys(&text.replace('\n', "\r\n")).unwrap().len(), 2);
    }

    /// RFC 8410 section 10.3, the first one; `openssl genpkey -algorithm ed25519` writes the same form.
    #[test]
    fn the_key_of_the_rfc_is_read_and_written_as_it_stands_there() {
        let text = "-----BEGIN PRIVATE KEY-----\n\
                    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                    -----END PRIVATE KEY-----\n";
        let read = keys(text).unwrap();
        assert_eq!(read[0].1.to_pem().expose(), text);
        assert_eq!(read[0].1.public().x(), "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE");
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_line_and_nothing_of_it() {
        let pem = SigningKey::generate().to_pem();
        let pem = pem.expose();
        let body = pem.lines().nth(1).unwrap();
        let broken = format!("\n{pem}").replace(body, &format!("!{}", &body[1..]));
        let other = format!("\n{pem}").replace(body, &body[4..]);
        let long = "#".repeat(LONGEST + 1);
        for (text, line, reason) in [
            ("", 1, "no key in this file"),
            ("# nothing\n\n", 1, "no key in this file"),
            ("\nhunter2", 2, "a key begins with"),
            (&format!("{pem}hunter2"), 4, "a key begins with"),
            (&pem.replace("PRIVATE", "EC PRIVATE"), 1, "is called PRIVATE KEY"),
            (&pem.replace("PRIVATE", "PUBLIC"), 1, "is called PRIVATE KEY"),
            (&pem.replace("PRIVATE", "ENCRYPTED PRIVATE"), 1, "is encrypted"),
            (&format!("\n{}", pem.replace("-----END PRIVATE KEY-----\n", "")), 2, "has no end"),
            (&format!("{}{pem}", pem.replace("-----END PRIVATE KEY-----\n", "")), 3, "no end of its own"),
            (&pem.replace("END PRIVATE", "END EC PRIVATE"), 3, "no end of its own"),
            (&broken, 2, "no base64"),
            (&other, 2, "no Ed25519 key"),
            (&long, 1, "at most 64 KiB"),
        ] {
            let refused = keys(text).unwrap_err();
            let shown = refused.to_string();
            assert!(
                shown.starts_with(&format!("/etc/keys.pem:{line}: ")) && shown.contains(reason),
                "{shown}"
            );
            let all = format!("{shown} {refused:?}");
            assert!(!all.contains("hunter2") && !all.contains(&body[4..20]), "{all}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_key_by_panic(text in "(?s)(-----BEGIN PRIVATE KEY-----\n)?.{0,40}\n(-----END PRIVATE KEY-----)?") {
            prop_assert!(keys(&text).is_err());
        }
    }
}
