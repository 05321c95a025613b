//! Encrypted connections, with an authority of one's own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{FILES, contents, directory, text, tree};
use crate::support::{PATIENCE, Ran, Server, command, run_command};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// What stands before a registry and speaks TLS; its address.
fn terminator(upstream: SocketAddr) -> SocketAddr {
    let certificates = CertificateDer::pem_file_iter(fixture("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates.map(Result::unwrap).collect(), key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            let config = Arc::clone(&config);
            // A client that does not trust it hangs up.
            std::thread::spawn(move || serve(connection, config, upstream));
        }
    });
    address
}

/// One request per connection.
fn serve(client: TcpStream, config: Arc<ServerConfig>, upstream: SocketAddr) -> std::io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let mut client = StreamOwned::new(ServerConnection::new(config).unwrap(), client);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).map_or(0, |rest| {
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        number.parse().unwrap()
    });
    // Paths and digests are in lower case, methods are not.
    let (method, rest) = head.split_once(' ').unwrap();
    let rest = rest.replacen("http/1.1", "HTTP/1.1", 1);
    let rest = rest.strip_suffix("\r\n").unwrap();
    let mut server = TcpStream::connect(upstream)?;
    write!(server, "{} {rest}connection: close\r\n\r\n", method.to_ascii_uppercase())?;
    std::io::copy(&mut (&mut client).take(length), &mut server)?;
    std::io::copy(&mut server, &mut client)?;
    client.conn.send_close_notify();
    client.flush()
}

fn package(authority: &str, arguments: &[&str]) -> Ran {
    let nowhere = directory();
    let mut command = command();
    command.arg("package").args(arguments).env("DOCKER_CONFIG", nowhere.path()).env_remove("XDG_RUNTIME_DIR");
    command.env("SSL_CERT_FILE", fixture(authority)).env_remove("SSL_CERT_DIR");
    run_command(&mut command)
}

#[test]
fn an_authority_of_ones_own_is_named_by_ssl_cert_file() {
    let server = Server::start();
    let port = terminator(server.address()).port();
    let folder = tree(&FILES[..3]);
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{port}");
        let back = directory();
        let push = ["push", text(folder.path()), "--to", "a:x", "--server", &url];
        package("authority.pem", &push).expect(0);
        let pull = ["pull", "a:x", "-o", text(back.path()), "--server", &url];
        package("authority.pem", &pull).expect(0);
        assert!(contents(back.path()) == contents(folder.path()));
    }
}

#[test]
fn a_certificate_nobody_vouches_for_is_refused_and_nothing_is_told_to_its_owner() {
    let server = Server::start();
    let port = terminator(server.address()).port();
    let url = format!("https://localhost:{port}");
    // The server's own certificate is no authority.
    let refused = package("server.pem", &["list", "a", "--server", &url]);
    refused.refused(&["the certificate of https://localhost", "is not trusted", "SSL_CERT_FILE"]);
}

/// It was tried six times, in eleven seconds, and was called a server that cannot be reached.
#[test]
fn a_connection_that_cannot_be_encrypted_is_given_up_at_once_with_its_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    std::thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            counted.fetch_add(1, Ordering::Relaxed);
            // What a server without TLS says to a client with it.
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        }
    });
    let refused = package("authority.pem", &["list", "a", "--server", &url]);
    refused.refused(&["cannot be talked to encrypted", "http://"]);
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[test]
fn certificates_that_were_named_and_cannot_be_read_are_not_replaced_by_those_of_the_system() {
    let server = Server::start();
    let url = format!("https://localhost:{}", terminator(server.address()).port());
    let push = ["list", "a", "--server", &url];
    package("no-such.pem", &push).refused(&["SSL_CERT_FILE names", "no-such.pem", "cannot be read"]);
    package("", &push).refused(&["SSL_CERT_FILE names", "is a directory"]);
}
