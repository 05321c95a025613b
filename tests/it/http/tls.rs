//! HTTPS: handshakes, protocols, certificates that are exchanged, and clients that show one.

use std::fs;
use std::io::{self, BufReader, Read as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustix::process::Signal;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use crate::support::{
    Connection, H2, Launch, PATIENCE, Request, Response, Server, command, noise, run_command, sha256, until,
};

/// An authority, and a directory with what a server needs.
struct Site {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
    authority: CertificateDer<'static>,
}

/// A certificate of a client.
struct Shown(CertificateDer<'static>, PrivateKeyDer<'static>);

/// An encrypted connection of HTTP/1.1, kept alive.
struct Secure(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl Site {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority of tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap();
        let directory = TempDir::with_prefix("artifactstore-it-").unwrap();
        fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        let authority = certificate.der().clone();
        let site = Self { directory, issuer: Issuer::new(params, key), authority };
        site.renew();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Gives the server another certificate; what it shows from then on.
    fn renew(&self) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path("server.pem"), certificate.pem()).unwrap();
        write_key(&self.path("server.key"), &key.serialize_pem());
        certificate.der().clone()
    }

    fn client_certificate(&self) -> Shown {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["ci.example".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Shown(certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    fn launch(&self) -> Launch {
        Launch::new()
            .env("ARTIFACTSTORE_TLS_CERTIFICATE", self.path("server.pem"))
            .env("ARTIFACTSTORE_TLS_KEY", self.path("server.key"))
    }

    /// A client that believes the authority and offers these protocols.
    fn client(&self, protocols: &[&[u8]], shown: Option<Shown>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let builder =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots);
        let mut config = match shown {
            Some(Shown(certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config
    }

    fn connect(&self, server: &Server) -> Secure {
        Secure::open(server, self.client(&[b"http/1.1"], None))
    }
}

impl Secure {
    fn open(server: &Server, config: ClientConfig) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        Self(BufReader::new(StreamOwned::new(connection, stream)))
    }

    fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        request.write(self.0.get_mut())?;
        Response::read(&mut self.0, &request.method)
    }

    /// Encrypts, and asks for nothing.
    fn shake(&mut self) {
        let StreamOwned { conn, sock } = self.0.get_mut();
        conn.complete_io(sock).unwrap();
    }

    /// What the server shows of itself.
    fn certificate(&self) -> CertificateDer<'static> {
        self.0.get_ref().conn.peer_certificates().unwrap()[0].clone().into_owned()
    }

    /// Reads to the end; an error when the server did not say that it is one (RFC 8446 section 6.1).
    fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).map(|_| rest)
    }
}

fn write_key(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn http_1_and_http_2_are_chosen_by_the_client_and_say_the_same() {
    let site = Site::new();
    let mut server = site.launch().start();
    let mut h1 = site.connect(&server);
    let h2 = H2::encrypted(server.address(), site.client(&[b"h2", b"http/1.1"], None));
    let bytes = noise(1, 3_000_000);
    let digest = sha256(&bytes);
    let push = Request::post(format!("/v2/a/blobs/uploads/?digest={digest}")).body(&bytes[..]);
    let pushed = h1.exchange(&push).unwrap().expect(201);
    assert_eq!(h1.0.get_ref().conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    // What the server says of places does not depend on how it was reached.
    assert!(pushed.required("location").starts_with('/'), "{pushed}");
    let pull = Request::get(format!("/v2/a/blobs/{digest}"));
    assert!(h2.send(&pull).expect(200).body == bytes);
    assert!(h1.exchange(&pull).unwrap().expect(200).body == bytes);
    h2.send(&push).expect(201);
    server.stop();
}

#[test]
fn our_own_client_pushes_and_pulls() {
    let site = Site::new();
    let server = site.launch().start();
    let url = format!("https://{}", server.address());
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(from.path().join("results.json"), "{}").unwrap();
    let package = |arguments: &[&str]| {
        let mut command = command();
        command.arg("package").args(arguments).args(["--server", &url]);
        command.env("DOCKER_CONFIG", site.directory.path()).env("SSL_CERT_FILE", site.path("ca.pem"));
        run_command(command.env_remove("SSL_CERT_DIR").env_remove("XDG_RUNTIME_DIR")).expect(0);
    };
    package(&["push", from.path().to_str().unwrap(), "--to", "a:x"]);
    package(&["pull", "a:x", "-o", to.path().to_str().unwrap()]);
    assert_eq!(fs::read(to.path().join("results.json")).unwrap(), b"{}");
}

#[test]
fn a_client_that_does_not_encrypt_is_told_so() {
    let site = Site::new();
    let server = site.launch().start();
    for begun in ["GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut plain = Connection::open(server.address()).unwrap();
        plain.write(begun).unwrap();
        let answer = plain.receive("GET").unwrap().expect(400);
        assert!(String::from_utf8_lossy(&answer.body).contains("https://"), "{answer}");
    }
    // And garbage, and somebody who leaves, end nothing but their own connections.
    let mut garbage = Connection::open(server.address()).unwrap();
    garbage.write([0x16, 3, 1, 0, 5, 9, 9, 9, 9, 9]).unwrap();
    garbage.rest().unwrap();
    drop(Connection::open(server.address()).unwrap());
    site.connect(&server).exchange(&Request::get("/v2/")).unwrap().expect(200);
    assert!(!server.log().contains("WARN"), "{}", server.log());
}

#[test]
fn a_client_that_does_not_begin_is_let_go_and_holds_up_nobody() {
    let site = Site::new();
    let server = site.launch().env("ARTIFACTSTORE_SERVER_HEADER_TIMEOUT", "1s").start();
    let start = Instant::now();
    let mut silent = Connection::open(server.address()).unwrap();
    let mut half = Connection::open(server.address()).unwrap();
    half.write([0x16, 3, 1, 2]).unwrap();
    let mut mute = site.connect(&server);
    mute.shake();
    site.connect(&server).exchange(&Request::get("/v2/")).unwrap().expect(200);
    assert_eq!(silent.rest().unwrap(), b"");
    assert_eq!(half.rest().unwrap(), b"");
    // This one did encrypt, and then asked for nothing.
    let _ = mute.rest();
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
}

#[test]
fn a_renewed_certificate_is_for_new_connections_and_a_broken_one_for_nobody() {
    let site = Site::new();
    let server = site.launch().start();
    let get = Request::get("/v2/");
    let mut old = site.connect(&server);
    old.exchange(&get).unwrap().expect(200);
    let renewed = site.renew();
    server.signal(Signal::HUP);
    let shows = |wanted: &CertificateDer<'_>| {
        let mut new = site.connect(&server);
        new.exchange(&get).unwrap().expect(200);
        (new.certificate() == *wanted).then_some(())
    };
    until("the server shows its new certificate", || shows(&renewed));
    old.exchange(&get).unwrap().expect(200);
    assert_ne!(old.certificate(), renewed);

    let good = fs::read_to_string(site.path("server.pem")).unwrap();
    fs::write(site.path("server.pem"), format!("# nothing is good here\n{}", &good[..200])).unwrap();
    server.signal(Signal::HUP);
    let place = format!("{}:2: ", site.path("server.pem").display());
    until("the server says what is wrong", || server.log().contains(&place).then_some(()));
    assert!(server.log().contains("does not end"), "{}", server.log());
    shows(&renewed).expect("what was good stays in force");
}

#[test]
fn a_certificate_that_was_exchanged_is_found_without_a_signal() {
    let site = Site::new();
    let server = site.launch().start();
    let renewed = site.renew();
    until("the server looks", || {
        let mut new = site.connect(&server);
        new.exchange(&Request::get("/v2/")).unwrap().expect(200);
        (new.certificate() == renewed).then_some(())
    });
}

#[test]
fn files_that_cannot_be_used_are_a_sentence_with_their_path() {
    let site = Site::new();
    write_key(&site.path("server.key"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let refused = run_command(&mut site.launch().command());
    refused.refused(&[&format!("{}:1: the private key is damaged", site.path("server.key").display())]);
    fs::remove_file(site.path("server.key")).unwrap();
    let refused = run_command(&mut site.launch().command());
    refused.refused(&["cannot read", "server.key", "No such file"]);
    let half = Launch::new().env("ARTIFACTSTORE_TLS_KEY", site.path("server.key"));
    run_command(&mut half.command()).refused(&["tls.certificate", "is not set"]);
}

#[test]
fn a_client_shows_a_certificate_where_it_must() {
    let site = Site::new();
    let launch = site.launch().env("ARTIFACTSTORE_TLS_CLIENT_AUTH", "required");
    let server = launch.env("ARTIFACTSTORE_TLS_CLIENT_CA", site.path("ca.pem")).start();
    let get = Request::get("/v2/");
    let refused = site.connect(&server).exchange(&get).unwrap_err();
    assert!(refused.to_string().contains("CertificateRequired"), "{refused}");
    let stranger = Site::new().client_certificate();
    Secure::open(&server, site.client(&[], Some(stranger))).exchange(&get).unwrap_err();
    let known = site.client(&[], Some(site.client_certificate()));
    Secure::open(&server, known).exchange(&get).unwrap().expect(200);
}

#[test]
fn a_stop_ends_connections_in_order_and_waits_for_no_handshake() {
    let site = Site::new();
    let mut server = site.launch().start();
    let mut idle = site.connect(&server);
    idle.exchange(&Request::get("/v2/")).unwrap().expect(200);
    let mut silent = Connection::open(server.address()).unwrap();
    // It is accepted before this one is answered.
    site.connect(&server).exchange(&Request::get("/v2/")).unwrap().expect(200);
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < PATIENCE / 4, "{:?}", start.elapsed());
    assert_eq!(idle.rest().unwrap(), b"");
    assert_eq!(silent.rest().unwrap(), b"");
}
