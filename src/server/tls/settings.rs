//! Which files say what a server shows and whom it believes, by name.

use super::{Clients, Options, Trust};
use crate::setting::{Kind, Problem, Setting, Values};

const CERTIFICATE: Setting = Setting {
    key: "tls.certificate",
    kind: Kind::Path,
    default: "",
    doc: "The certificate of the server, PEM, and behind it those between it and its authority. With it and its key \
          the server speaks HTTPS and no HTTP; both are read again when they change, and on SIGHUP.",
};
const KEY: Setting = Setting {
    key: "tls.key",
    kind: Kind::Path,
    default: "",
    doc: "The private key of the certificate, PEM, without a password and not open to everybody. May be the same file.",
};
const CLIENT_AUTH: Setting = Setting {
    key: "tls.client_auth",
    kind: Kind::Word(&["off", "optional", "required"]),
    default: "off",
    doc: "Whether clients show certificates too. One that is not good is always refused.",
};
const CLIENT_CA: Setting = Setting {
    key: "tls.client_ca",
    kind: Kind::Path,
    default: "",
    doc: "The authorities whose certificates of clients are believed, PEM; those of the system mean nothing here.",
};
const CLIENT_CRL: Setting = Setting {
    key: "tls.client_crl",
    kind: Kind::List,
    default: "",
    doc: "Files with lists of revoked certificates of clients, PEM. When there are any, every authority needs one that \
          is current. Not set: no certificate is revoked.",
};

/// What is missing when only some of this is said.
const NO_TLS: &str = "it means something only with tls.certificate and tls.key";
const NO_CLIENTS: &str = "it means something only with tls.client_auth = \"optional\" or \"required\"";

impl Options {
    /// What can be set.
    pub const SETTINGS: &[&Setting] = &[&CERTIFICATE, &KEY, &CLIENT_AUTH, &CLIENT_CA, &CLIENT_CRL];

    /// What was set; `None` for a server that is not encrypted.
    pub fn from_values(values: &Values) -> Result<Option<Self>, Problem> {
        let clients = clients(values)?;
        match (values.path(&CERTIFICATE), values.path(&KEY)) {
            (Some(chain), Some(key)) => Ok(Some(Self { chain, key, clients })),
            (Some(_), None) => Err(KEY.problem("name the file with the private key of tls.certificate")),
            (None, Some(_)) => Err(CERTIFICATE.problem("name the file with the certificate of tls.key")),
            (None, None) if clients != Clients::Off => Err(CLIENT_AUTH.problem(NO_TLS)),
            (None, None) => Ok(None),
        }
    }
}

fn clients(values: &Values) -> Result<Clients, Problem> {
    let revocations: Vec<_> = values.list(&CLIENT_CRL).iter().map(Into::into).collect();
    let trust = |authorities| Trust { authorities, revocations: revocations.clone() };
    let authorities = values.path(&CLIENT_CA);
    let unnamed = || CLIENT_CA.problem("name the file with the authorities of the clients' certificates");
    match values.text(&CLIENT_AUTH) {
        Some("required") => Ok(Clients::Required(trust(authorities.ok_or_else(unnamed)?))),
        Some("optional") => Ok(Clients::Optional(trust(authorities.ok_or_else(unnamed)?))),
        _ if authorities.is_some() => Err(CLIENT_CA.problem(NO_CLIENTS)),
        _ if !revocations.is_empty() => Err(CLIENT_CRL.problem(NO_CLIENTS)),
        _ => Ok(Clients::Off),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(said: &[(&Setting, &str)]) -> Result<Option<Options>, Problem> {
        let mut values = Values::defaults(Options::SETTINGS, "data");
        for (setting, text) in said {
            values.set(setting, setting.kind.parse(text).unwrap());
        }
        Options::from_values(&values)
    }

    #[test]
    fn nothing_said_is_no_encryption() {
        assert_eq!(said(&[]), Ok(None));
        assert_eq!(said(&[(&CLIENT_AUTH, "off")]), Ok(None));
    }

    #[test]
    fn what_is_said_is_what_holds() {
        let server = [(&CERTIFICATE, "/c.pem"), (&KEY, "k.pem")];
        let options = |clients| Options { chain: "/c.pem".into(), key: "k.pem".into(), clients };
        assert_eq!(said(&server), Ok(Some(options(Clients::Off))));
        let trust = |revocations: &[&str]| Trust {
            authorities: "ca.pem".into(),
            revocations: revocations.iter().map(Into::into).collect(),
        };
        let mut all = server.to_vec();
        all.extend([(&CLIENT_AUTH, "optional"), (&CLIENT_CA, "ca.pem")]);
        assert_eq!(said(&all), Ok(Some(options(Clients::Optional(trust(&[]))))));
        all.extend([(&CLIENT_AUTH, "required"), (&CLIENT_CRL, "a.crl, b.crl")]);
        assert_eq!(said(&all), Ok(Some(options(Clients::Required(trust(&["a.crl", "b.crl"]))))));
    }

    #[test]
    fn what_means_nothing_without_something_else_is_refused() {
        let refused = |all: &[(&Setting, &str)]| said(all).unwrap_err().key;
        let (certificate, key) = ((&CERTIFICATE, "c"), (&KEY, "k"));
        assert_eq!(refused(&[certificate]), "tls.key");
        assert_eq!(refused(&[key]), "tls.certificate");
        assert_eq!(refused(&[certificate, key, (&CLIENT_AUTH, "required")]), "tls.client_ca");
        assert_eq!(refused(&[certificate, key, (&CLIENT_AUTH, "optional")]), "tls.client_ca");
        assert_eq!(refused(&[certificate, key, (&CLIENT_CA, "a")]), "tls.client_ca");
        assert_eq!(refused(&[certificate, key, (&CLIENT_CRL, "r")]), "tls.client_crl");
        assert_eq!(refused(&[(&CLIENT_AUTH, "required"), (&CLIENT_CA, "a")]), "tls.client_auth");
        assert_eq!(refused(&[(&CLIENT_CA, "a")]), "tls.client_ca");
    }
}
