//! The name here of what an external issuer calls by any text.

use std::fmt::Write as _;

use crate::auth::Name;

/// `alias/` and the value: lower-case letters, digits and `.`, `_`, `-`, `@`, `/` stand for themselves, and every
/// other byte of UTF-8 is `+` and two hexadecimal digits, as is a last one that no name may end with.
///
/// `Octo/Hello` of `github` is `github/+4fcto/+48ello`. No two values have one name, since each can be read back from
/// it: letters are not made small, nothing is cut, and what would be longer than a name has none.
pub(super) fn mapped(alias: &Name, value: &str) -> Result<Name, &'static str> {
    if value.is_empty() {
        return Err("it is empty");
    }
    let last = value.len() - 1;
    let mut name = format!("{alias}/");
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => name.push(char::from(byte)),
            b'.' | b'_' | b'-' | b'@' | b'/' if at < last => name.push(char::from(byte)),
            _ => {
                let _ = write!(name, "+{byte:02x}");
            }
        }
        if name.len() > Name::MAX_LEN {
            return Err("it is too long for a name of 128 bytes");
        }
    }
    Ok(name.parse().expect("only characters of names are written"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(value: &str) -> Result<String, &'static str> {
        mapped(&"github".parse().unwrap(), value).map(|name| name.to_string())
    }

    /// Reads the value back.
    fn value(name: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = name.strip_prefix("github/").unwrap().as_bytes();
        while let [first, after @ ..] = rest {
            if *first == b'+' {
                bytes.push(u8::from_str_radix(str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
                rest = &after[2..];
            } else {
                bytes.push(*first);
                rest = after;
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_may_stand_in_a_name_stands_for_itself_and_the_rest_is_written_out() {
        for (value, expected) in [
            ("octo/hello", "github/octo/hello"),
            ("Octo/Hello", "github/+4fcto/+48ello"),
            ("repo:Octo/Hello:ref:refs/heads/main", "github/repo+3a+4fcto/+48ello+3aref+3arefs/heads/main"),
            ("system:serviceaccount:ns:ci", "github/system+3aserviceaccount+3ans+3aci"),
            ("a+b", "github/a+2bb"),
            ("a/", "github/a+2f"),
            (".", "github/+2e"),
            ("/ada", "github//ada"),
            ("é", "github/+c3+a9"),
            ("a b\n", "github/a+20b+0a"),
        ] {
            assert_eq!(name(value).as_deref(), Ok(expected));
        }
        assert_eq!(name(""), Err("it is empty"));
        let longest = "a".repeat(Name::MAX_LEN - "github/".len());
        assert_eq!(name(&longest).unwrap().len(), Name::MAX_LEN);
        assert_eq!(name(&format!("{longest}a")), Err("it is too long for a name of 128 bytes"));
        assert_eq!(name(&longest.replacen('a', "A", 1)), Err("it is too long for a name of 128 bytes"));
    }

    proptest! {
        /// That a value can be read back from its name is what makes that the name of no other value.
        #[test]
        fn a_value_can_be_read_back_from_its_name(text in "[a-zA-Z0-9+/:._@ é-]{1,30}") {
            prop_assert_eq!(value(&name(&text).unwrap()), text);
        }
    }
}
