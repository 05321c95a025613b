//! What a request presents as proof of who it is from, and how it is asked for more.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Access;
use crate::secret::Secret;

/// The longest header, in bytes: a token of ours is far shorter, and every byte is looked at before anybody is known.
const LONGEST: usize = 16 * 1024;

/// What a request presents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    /// Nothing.
    Nothing,
    /// A name and a password, or a key in its place (RFC 7617).
    Basic {
        /// As it was sent: it need not be the name of anybody.
        name: String,
        /// The password.
        password: Secret,
    },
    /// A token (RFC 6750).
    Bearer(Secret),
}

/// Why a header is no proof. It never says what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresentedError {
    /// There are several: proxies and servers could differ about which one counts.
    #[error("the header Authorization is there more than once")]
    Repeated,
    /// It is longer than any token.
    #[error("the header Authorization is longer than {LONGEST} bytes")]
    Length,
    /// It is of a scheme that is not known.
    #[error("the header Authorization is neither Basic nor Bearer")]
    Scheme,
    /// It does not say a name and a password.
    #[error("the header Authorization is not Basic and the base64 of name:password")]
    Basic,
    /// It does not say a token.
    #[error("the header Authorization is not Bearer and a token")]
    Bearer,
}

impl Presented {
    /// Reads every header `Authorization` of a request.
    pub fn read<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, PresentedError> {
        let mut headers = headers.into_iter();
        let Some(header) = headers.next() else { return Ok(Self::Nothing) };
        if headers.next().is_some() {
            return Err(PresentedError::Repeated);
        }
        if header.len() > LONGEST {
            return Err(PresentedError::Length);
        }
        let text = str::from_utf8(header).map_err(|_| PresentedError::Scheme)?;
        let (scheme, rest) = text.split_once(' ').ok_or(PresentedError::Scheme)?;
        let rest = rest.trim_matches(' ');
        if scheme.eq_ignore_ascii_case("basic") {
            basic(rest).ok_or(PresentedError::Basic)
        } else if scheme.eq_ignore_ascii_case("bearer") {
            bearer(rest).ok_or(PresentedError::Bearer)
        } else {
            Err(PresentedError::Scheme)
        }
    }
}

fn basic(text: &str) -> Option<Presented> {
    let decoded = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    // RFC 7617 section 2: neither may have control characters.
    let is_plain = |text: &str| !text.chars().any(char::is_control);
    let is_fit = !name.is_empty() && is_plain(name) && is_plain(password);
    is_fit.then(|| Presented::Basic { name: name.to_owned(), password: password.into() })
}

/// RFC 6750 section 2.1: `b64token`.
fn bearer(text: &str) -> Option<Presented> {
    let body = text.trim_end_matches('=');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    (!body.is_empty() && body.bytes().all(fits)).then(|| Presented::Bearer(text.into()))
}

/// How a request that may not do something is told what would let it: the header `WWW-Authenticate`, one challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// Where tokens are given out: an absolute URL of the host that was asked.
    pub realm: &'a str,
    /// Whom a token has to be for.
    pub service: &'a str,
    /// What it has to allow.
    pub scopes: &'a [Access],
    /// What was wrong with the one that was presented.
    pub fault: Option<TokenFault>,
}

/// What is wrong with a token (RFC 6750 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// It is expired, withdrawn, or was never one.
    Invalid,
    /// It allows too little.
    InsufficientScope,
}

impl TokenFault {
    fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

impl fmt::Display for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bearer realm=\"{}\",service=\"{}\"", Quoted(self.realm), Quoted(self.service))?;
        let scopes: Vec<String> = self.scopes.iter().map(Access::to_string).collect();
        if !scopes.is_empty() {
            write!(f, ",scope=\"{}\"", Quoted(&scopes.join(" ")))?;
        }
        self.fault.map_or(Ok(()), |fault| write!(f, ",error=\"{}\"", fault.as_str()))
    }
}

/// A text inside the quotes of a header (RFC 9110 section 5.6.4). What may not stand there is left out.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                ' '..='~' => write!(f, "{character}")?,
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(header: &str) -> Result<Presented, PresentedError> {
        Presented::read([header.as_bytes()])
    }

    fn encoded(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn a_name_and_a_password_are_read_whatever_is_in_the_password() {
        for (text, name, password) in
            [("ada:secret", "ada", "secret"), ("a:b:c", "a", "b:c"), ("a:", "a", ""), ("ä:ö", "ä", "ö")]
        {
            let expected = Presented::Basic { name: name.to_owned(), password: password.into() };
            assert_eq!(read(&encoded(text)), Ok(expected), "{text}");
        }
        assert_eq!(read("bEARER a.b-c_d=="), Ok(Presented::Bearer("a.b-c_d==".into())));
        assert_eq!(Presented::read([]), Ok(Presented::Nothing));
    }

    #[test]
    fn what_is_no_proof_is_refused_and_not_taken_for_nobody() {
        use PresentedError::{Basic, Bearer, Length, Repeated, Scheme};
        let long = format!("Bearer {}", "a".repeat(LONGEST));
        for (header, expected) in [
            ("", Scheme),
            ("Basic", Scheme),
            ("Negotiate abc", Scheme),
            ("Basic ???", Basic),
            ("Basic ", Basic),
            (&encoded("no colon"), Basic),
            (&encoded(":nobody"), Basic),
            (&encoded("a\nb:c"), Basic),
            (&encoded("a:b\0"), Basic),
            ("Bearer ", Bearer),
            ("Bearer ==", Bearer),
            ("Bearer a b", Bearer),
            ("Bearer a\"b", Bearer),
            (&long, Length),
        ] {
            assert_eq!(read(header), Err(expected), "{header:?}");
        }
        assert_eq!(Presented::read([b"Bearer a".as_slice(), b"Bearer a"]), Err(Repeated));
        assert_eq!(Presented::read([b"Basic \xff".as_slice()]), Err(Scheme));
    }

    #[test]
    fn nothing_that_was_presented_can_be_printed() {
        let shown = format!("{:?} {:?}", read(&encoded("ada:hunter2")), read("Bearer hunter2"));
        assert!(shown.contains("ada") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_challenge_says_where_for_whom_and_for_what() {
        let scopes = Access::parse_all(["repository:a/b:pull,push", "repository:c:pull"]).unwrap();
        let challenge = Challenge {
            realm: "https://reg.example/token",
            service: "reg.example",
            scopes: &scopes,
            fault: Some(TokenFault::InsufficientScope),
        };
        assert_eq!(
            challenge.to_string(),
            "Bearer realm=\"https://reg.example/token\",service=\"reg.example\",\
             scope=\"repository:a/b:pull,push repository:c:pull\",error=\"insufficient_scope\""
        );
        let bare = Challenge { scopes: &[], fault: None, service: "a\"b\r\n\\", ..challenge };
        assert_eq!(bare.to_string(), "Bearer realm=\"https://reg.example/token\",service=\"a\\\"b\\\\\"");
    }

    proptest! {
        #[test]
        fn no_header_is_read_by_panic(header in proptest::collection::vec(any::<u8>(), 0..60), scheme in 0..3_usize) {
            let scheme: &[u8] = [&b""[..], b"Basic ", b"Bearer "][scheme];
            let _ = Presented::read([&[scheme, &header].concat()[..]]);
        }

        #[test]
        fn every_name_and_password_arrives(name in "[a-z0-9@.+-]{1,20}", password in "[^\\p{Cc}]{0,30}") {
            let read = read(&encoded(&format!("{name}:{password}")));
            prop_assert_eq!(read, Ok(Presented::Basic { name, password: password.as_str().into() }));
        }
    }
}
