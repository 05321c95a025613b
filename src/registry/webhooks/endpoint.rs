//! Where a webhook is sent to.
//!
//! A URL is read strictly, since what reads it here decides whether it may be called and something else calls it: what
//! two programs could read differently is refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::hash;
use crate::oci::Algorithm;

/// The longest URL, in bytes.
const LONGEST: usize = 2048;

/// An `http` or `https` URL. What is behind the host may be a secret: it is shown to nobody but the receiver.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    text: Box<str>,
    is_encrypted: bool,
    host: Host,
    port: u16,
    /// Where the path begins in the text; its length where there is none.
    path: usize,
}

/// Who is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address that is written out.
    Address(IpAddr),
    /// A name, in lower case.
    Name(Box<str>),
}

/// Why a text is no URL that a webhook can have. Does not show the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is too long.
    #[error("it is longer than {LONGEST} bytes")]
    Length,
    /// It is of another scheme.
    #[error("it begins neither with https:// nor with http://")]
    Scheme,
    /// It has characters that are none of a URL.
    #[error("it has a character that a URL cannot have as it is; encode it")]
    Character,
    /// It names a user.
    #[error("it has a user or a password before the host, which no delivery would send")]
    UserInfo,
    /// It has a fragment.
    #[error("it has a fragment, which is never sent")]
    Fragment,
    /// The host is none.
    #[error("its host is no name and no address as everybody writes them")]
    Host,
    /// The port is none.
    #[error("its port is no number of 1 to 65535")]
    Port,
}

impl Endpoint {
    /// The whole URL, for whoever calls it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Who is called.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What is behind the host: path and query.
    pub(super) fn path(&self) -> &str {
        &self.text[self.path..]
    }

    /// Tells two URLs of one host apart without showing them.
    pub fn hash(&self) -> String {
        hash::digest(Algorithm::Sha256, self.text.as_bytes()).hex()[..12].to_owned()
    }
}

/// What anybody may see: scheme, host and port, and `/…` where there is more.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = if matches!(self.path(), "" | "/") { "/" } else { "/…" };
        write!(f, "{}{rest}", &self.text[..self.path])
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text.len() > LONGEST {
            return Err(EndpointError::Length);
        }
        let (scheme, rest) = text.split_once("://").ok_or(EndpointError::Scheme)?;
        let is_encrypted = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(EndpointError::Scheme),
        };
        if !rest.bytes().all(is_plain) {
            return Err(EndpointError::Character);
        }
        if rest.contains('#') {
            return Err(EndpointError::Fragment);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at(end);
        if authority.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let (host, port) = split(authority)?;
        let host = host_of(host)?;
        let port = match port {
            None if is_encrypted => 443,
            None => 80,
            Some(port) => number(port).ok_or(EndpointError::Port)?,
        };
        let scheme = if is_encrypted { "https" } else { "http" };
        let origin = match (port, is_encrypted) {
            (443, true) | (80, false) => format!("{scheme}://{host}"),
            _ => format!("{scheme}://{host}:{port}"),
        };
        let slash = if behind.starts_with('?') { "/" } else { "" };
        let text = format!("{origin}{slash}{behind}").into();
        Ok(Self { text, is_encrypted, host, port, path: origin.len() })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What stands in a URL as it is (RFC 3986); `#` is looked at apart.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

fn split(authority: &str) -> Result<(&str, Option<&str>), EndpointError> {
    let behind = match authority.strip_prefix('[') {
        Some(rest) => authority.len() - rest.split_once(']').ok_or(EndpointError::Host)?.1.len(),
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(behind);
    if port.is_empty() {
        return Ok((host, None));
    }
    Ok((host, Some(port.strip_prefix(':').ok_or(EndpointError::Host)?)))
}

/// One spelling of a number: `+80` and `080` are none.
fn number(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    is_number.then(|| text.parse().ok()).flatten()
}

fn host_of(text: &str) -> Result<Host, EndpointError> {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().map_err(|_| EndpointError::Host)?;
        return Ok(Host::Address(address.into()));
    }
    let name = text.to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    // Resolvers take 127.1, 0x7f.1 and 2130706433 for addresses.
    if last.starts_with(|c: char| c.is_ascii_digit()) {
        let address: Ipv4Addr = name.parse().map_err(|_| EndpointError::Host)?;
        return Ok(Host::Address(address.into()));
    }
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(EndpointError::Host);
    }
    Ok(Host::Name(name.into()))
}

/// One part of a name.
pub(super) fn is_label(label: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !label.is_empty()
        && label.len() <= 63
        && label.bytes().all(is_plain)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Result<Endpoint, EndpointError> {
        text.parse()
    }

    #[test]
    fn a_url_is_shown_without_what_may_be_a_secret() {
        for (text, whole, shown) in [
            ("https://Hooks.Example.com", "https://hooks.example.com", "https://hooks.example.com/"),
            ("https://h/", "https://h/", "https://h/"),
            ("HTTP://h:8080/services/T0/secret", "http://h:8080/services/T0/secret", "http://h:8080/…"),
            ("https://h:443?token=secret", "https://h/?token=secret", "https://h/…"),
            ("http://[2001:DB8::1]:81/x", "http://[2001:db8::1]:81/x", "http://[2001:db8::1]:81/…"),
            ("http://192.0.2.7:80/x", "http://192.0.2.7/x", "http://192.0.2.7/…"),
        ] {
            let read = endpoint(text).unwrap();
            assert_eq!((read.expose(), read.to_string().as_str()), (whole, shown));
            assert_eq!(format!("{read:?}"), format!("Endpoint({shown})"));
            assert_eq!(endpoint(read.expose()).unwrap(), read);
        }
        let hash = |text: &str| endpoint(text).unwrap().hash();
        assert!(hash("https://h/a") != hash("https://h/b") && hash("https://h/a").len() == 12);
    }

    #[test]
    fn what_two_programs_could_read_differently_is_refused() {
        use EndpointError as E;
        for (text, why) in [
            ("ftp://h/", E::Scheme),
            ("hooks.example.com/x", E::Scheme),
            ("file:///etc/passwd", E::Scheme),
            ("https://user@h/", E::UserInfo),
            ("https://h:pw@169.254.169.254/", E::UserInfo),
            ("https://h/#x", E::Fragment),
            ("https://h/a b", E::Character),
            ("https://h\\@evil/", E::Character),
            ("https://h/\r\nx: y", E::Character),
            ("https://h/ä", E::Character),
            ("https:///x", E::Host),
            ("https://h./", E::Host),
            ("https://-h/", E::Host),
            ("https://h..x/", E::Host),
            ("https://%31%32%37.0.0.1/", E::Host),
            ("https://127.1/", E::Host),
            ("https://0x7f000001/", E::Host),
            ("https://2130706433/", E::Host),
            ("https://0177.0.0.1/", E::Host),
            ("https://1.2.3.4.5/", E::Host),
            ("https://[::1", E::Host),
            ("https://[::1]x/", E::Host),
            ("https://[fe80::1%25eth0]/", E::Host),
            ("https://::1/", E::Host),
            ("https://h:/", E::Port),
            ("https://h:0/", E::Port),
            ("https://h:65536/", E::Port),
            ("https://h:+80/", E::Port),
        ] {
            assert_eq!(endpoint(text).unwrap_err(), why, "{text}");
        }
        assert_eq!(endpoint(&format!("https://h/{}", "x".repeat(2048))).unwrap_err(), E::Length);
    }
}
