//! Authorities, what they issue, and a directory with it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::NOW;
use crate::clock::ManualClock;
use crate::server::tls::{Clients, Error, Options, Reloading, Trust, Warning};

/// The name of every server here.
pub(super) const SERVER: &str = "registry.example";

/// Somebody who issues certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
    pub(super) der: CertificateDer<'static>,
}

/// A certificate and its key.
pub(super) struct Issued {
    pub(super) pem: String,
    pub(super) key: String,
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) private: PrivateKeyDer<'static>,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority(name);
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// An authority below this one.
    pub(super) fn below(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority(name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// A certificate as it usually is, but for what `adapt` makes of it.
    pub(super) fn issue(&self, adapt: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([SERVER.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2040, 1, 1));
        adapt(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            pem: certificate.pem(),
            key: key.serialize_pem(),
            chain: vec![certificate.der().clone()],
            private: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        }
    }

    /// A list of revoked certificates, good until a year begins.
    pub(super) fn revoke(&self, serials: &[u64], until: i32) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A directory with the files of a server.
pub(super) struct Site {
    directory: tempfile::TempDir,
    pub(super) authority: Authority,
    pub(super) clock: ManualClock,
}

impl Site {
    /// With a server's certificate that is good, its key, and the authority of both.
    pub(super) fn new() -> Self {
        let authority = Authority::new("root");
        let site = Self { directory: tempfile::tempdir().unwrap(), authority, clock: ManualClock::at(NOW) };
        site.serve(&site.authority.issue(|_| {}));
        site.write("ca.pem", &site.authority.pem);
        site
    }

    /// Puts a server's certificate and key into their files.
    pub(super) fn serve(&self, issued: &Issued) {
        self.write("chain.pem", &issued.pem);
        self.write("key.pem", &issued.key);
    }

    /// A file that only its owner may read.
    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        mode(&path, 0o600);
        path
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn trust(&self, revocations: &[&str]) -> Trust {
        let revocations = revocations.iter().map(|name| self.path(name)).collect();
        Trust { authorities: self.path("ca.pem"), revocations }
    }

    pub(super) fn options(&self, clients: Clients) -> Options {
        Options { chain: self.path("chain.pem"), key: self.path("key.pem"), clients }
    }

    pub(super) fn open(&self, clients: Clients) -> Result<(Reloading, Vec<Warning>), Error> {
        Reloading::open(self.options(clients), self.clock.clock())
    }

    /// What is wrong with the files, without the directory they are in.
    pub(super) fn refusal(&self, clients: Clients) -> String {
        let Err(error) = self.open(clients) else { panic!("nothing is wrong") };
        self.shown(&error)
    }

    pub(super) fn shown(&self, it: &impl ToString) -> String {
        it.to_string().replace(&format!("{}/", self.directory.path().display()), "")
    }
}

pub(super) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
