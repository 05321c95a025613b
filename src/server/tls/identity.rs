//! Who a client's certificate says it is.
//!
//! One kind of name is looked at and no other: an authority that was told to check domain names need not have checked
//! the e-mail addresses it wrote beside them. For the same reason nothing is ever taken in place of what is absent, and
//! of several names none is chosen.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::CertificateDer;
use x509_cert::TbsCertificate;
use x509_cert::der::asn1::Ia5String;
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName};

use super::certificate;
use crate::auth::{Name, NameError};
use crate::oci::excerpt;

/// The scheme of SPIFFE IDs.
const SPIFFE: &str = "spiffe://";

/// Which part of a client's certificate is the name of a principal.
///
/// As text: `spiffe://TRUST-DOMAIN`, `dns`, `email` or `common-name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// The SPIFFE ID of an X.509-SVID (SPIFFE "X509-SVID" sections 2 and 5.2), without its scheme:
    /// `spiffe://example.org/ns/ci` is `example.org/ns/ci`. Of other trust domains than this one nobody is believed,
    /// since the authorities are those of one.
    SpiffeId(TrustDomain),
    /// The domain name among the subject's alternative names (RFC 5280 section 4.2.1.6), in lower case: to DNS it is
    /// the same.
    DnsName,
    /// The e-mail address among the subject's alternative names, its domain in lower case. What is before the `@`
    /// stays as it is, and is no name when it has capitals.
    Email,
    /// The common name of the subject, as it is. A person's full name is no name of a principal.
    CommonName,
}

/// The trust domain of SPIFFE IDs (SPIFFE "SPIFFE-ID" section 2.1): lower-case letters, digits, `.`, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustDomain(Box<str>);

/// Why a certificate names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It is none, or its names cannot be read.
    #[error("the client's certificate cannot be read")]
    Certificate,
    /// It has no name of the kind that counts.
    #[error("the client's certificate has no {kind}")]
    Absent {
        /// Which kind.
        kind: &'static str,
    },
    /// It has more than one: whom it means, nobody can say.
    #[error("the client's certificate has more than one {kind}")]
    Several {
        /// Which kind.
        kind: &'static str,
    },
    /// It is no SPIFFE ID of the trust domain, or the certificate may sign others.
    #[error("the client's certificate is no X.509-SVID of {SPIFFE}{trust_domain}")]
    Spiffe {
        /// Who would be believed.
        trust_domain: TrustDomain,
    },
    /// It is no e-mail address.
    #[error("the e-mail address {text:?} of the client's certificate is none")]
    Email {
        /// What it is, shortened.
        text: String,
    },
    /// What it has is no name of a principal.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Why a text does not say where identities come from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is none of spiffe://TRUST-DOMAIN, dns, email and common-name")]
pub struct IdentitySourceError {
    /// The text, shortened.
    pub text: String,
}

impl IdentitySource {
    /// The name in a certificate that was verified: the first of what a connection says its peer showed.
    pub fn name_of(&self, certificate: &CertificateDer<'_>) -> Result<Name, IdentityError> {
        let certificate = certificate::parse(certificate).ok_or(IdentityError::Certificate)?;
        let certificate = certificate.tbs_certificate();
        let name = match self {
            Self::SpiffeId(trust_domain) => spiffe_id(certificate, trust_domain)?,
            Self::DnsName => {
                let names = alternative_names(certificate, |name| match name {
                    GeneralName::DnsName(name) => Some(name),
                    _ => None,
                })?;
                only("domain name", names)?.to_ascii_lowercase()
            }
            Self::Email => {
                let addresses = alternative_names(certificate, |name| match name {
                    GeneralName::Rfc822Name(address) => Some(address),
                    _ => None,
                })?;
                email(&only("e-mail address", addresses)?)?
            }
            Self::CommonName => only("common name", common_names(certificate)?)?,
        };
        Ok(name.parse()?)
    }
}

impl FromStr for IdentitySource {
    type Err = IdentitySourceError;

    fn from_str(text: &str) -> Result<Self, IdentitySourceError> {
        let refused = || IdentitySourceError { text: excerpt(text) };
        match text {
            "dns" => Ok(Self::DnsName),
            "email" => Ok(Self::Email),
            "common-name" => Ok(Self::CommonName),
            _ => {
                let domain = text.strip_prefix(SPIFFE).ok_or_else(refused)?;
                Ok(Self::SpiffeId(TrustDomain::parse(domain).ok_or_else(refused)?))
            }
        }
    }
}

impl TrustDomain {
    fn parse(text: &str) -> Option<Self> {
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        let is_domain = !text.is_empty() && text.len() <= 255 && text.bytes().all(fits);
        is_domain.then(|| Self(text.into()))
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The one there is.
fn only(kind: &'static str, mut names: Vec<String>) -> Result<String, IdentityError> {
    match (names.pop(), names.is_empty()) {
        (None, _) => Err(IdentityError::Absent { kind }),
        (Some(name), true) => Ok(name),
        (Some(_), false) => Err(IdentityError::Several { kind }),
    }
}

/// Those of the subject's alternative names that are chosen.
fn alternative_names(
    certificate: &TbsCertificate,
    choose: impl Fn(&GeneralName) -> Option<&Ia5String>,
) -> Result<Vec<String>, IdentityError> {
    // Twice the same extension is an error here, as RFC 5280 section 4.2 has it.
    let names = certificate.get_extension::<SubjectAltName>().map_err(|_| IdentityError::Certificate)?;
    let names = names.map_or_else(Vec::new, |(_, names)| names.0);
    Ok(names.iter().filter_map(choose).map(|name| name.as_str().to_owned()).collect())
}

fn common_names(certificate: &TbsCertificate) -> Result<Vec<String>, IdentityError> {
    let attributes = certificate.subject().iter().filter(|attribute| attribute.oid == COMMON_NAME);
    let text = |value| DirectoryString::try_from(value).map_err(|_| IdentityError::Certificate);
    attributes.map(|attribute| text(&attribute.value).map(|text| text.value().into_owned())).collect()
}

/// An e-mail address in one spelling, RFC 5280 section 7.5.
fn email(address: &str) -> Result<String, IdentityError> {
    match address.split_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() && !domain.contains('@') => {
            Ok(format!("{local}@{}", domain.to_ascii_lowercase()))
        }
        _ => Err(IdentityError::Email { text: excerpt(address) }),
    }
}

/// A SPIFFE ID (SPIFFE "SPIFFE-ID" section 2) without its scheme. A certificate has one URI and no other.
fn spiffe_id(certificate: &TbsCertificate, trust_domain: &TrustDomain) -> Result<String, IdentityError> {
    let uris = alternative_names(certificate, |name| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri),
        _ => None,
    })?;
    let uri = only("URI", uris)?;
    let refused = || IdentityError::Spiffe { trust_domain: trust_domain.clone() };
    let id = uri.strip_prefix(SPIFFE).ok_or_else(refused)?;
    let (domain, path) = id.split_once('/').ok_or_else(refused)?;
    let is_ours = domain == &*trust_domain.0 && path.split('/').all(is_segment);
    if is_ours && is_leaf(certificate)? { Ok(id.to_owned()) } else { Err(refused()) }
}

/// A segment of the path of a SPIFFE ID, section 2.2.
fn is_segment(segment: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(fits)
}

/// Whether it may sign neither certificates nor lists of revoked ones (SPIFFE "X509-SVID" section 5.2).
fn is_leaf(certificate: &TbsCertificate) -> Result<bool, IdentityError> {
    let constraints = certificate.get_extension::<BasicConstraints>();
    let usage = certificate.get_extension::<KeyUsage>();
    let (Ok(constraints), Ok(usage)) = (constraints, usage) else { return Err(IdentityError::Certificate) };
    let signs = usage.is_some_and(|(_, usage)| usage.key_cert_sign() || usage.crl_sign());
    Ok(!signs && !constraints.is_some_and(|(_, constraints)| constraints.ca))
}
