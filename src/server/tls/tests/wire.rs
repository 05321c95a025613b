//! Connections in memory.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
};

use super::site::{Authority, Issued, SERVER};
use crate::clock::ManualClock;
use crate::server::tls::load::ByClock;

/// The two ends of a connection.
pub(super) struct Connection {
    pub(super) client: ClientConnection,
    pub(super) server: ServerConnection,
}

/// Who ended a handshake, and why.
#[derive(Debug)]
pub(super) enum Refused {
    ByServer(rustls::Error),
    ByClient(rustls::Error),
}

/// A client that believes an authority, and shows what it has.
pub(super) fn client(
    authority: &Authority,
    clock: &ManualClock,
    versions: &[&'static SupportedProtocolVersion],
    shows: Option<&Issued>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let builder = ClientConfig::builder_with_details(provider, Arc::new(ByClock(clock.clock())))
        .with_protocol_versions(versions)
        .unwrap()
        .with_webpki_verifier(verifier);
    match shows {
        Some(it) => builder.with_client_auth_cert(it.chain.clone(), it.private.clone_key()).unwrap(),
        None => builder.with_no_client_auth(),
    }
}

/// A whole handshake.
pub(super) fn connect(
    server: Arc<ServerConfig>,
    client: impl Into<Arc<ClientConfig>>,
) -> Result<Connection, Refused> {
    let name = ServerName::try_from(SERVER).unwrap();
    let mut connection = Connection {
        client: ClientConnection::new(client.into(), name).unwrap(),
        server: ServerConnection::new(server).unwrap(),
    };
    connection.pump()?;
    assert!(!connection.client.is_handshaking() && !connection.server.is_handshaking());
    Ok(connection)
}

impl Connection {
    /// Carries bytes until neither end has any more to say.
    fn pump(&mut self) -> Result<(), Refused> {
        while self.client.wants_write() || self.server.wants_write() {
            let mut bytes = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut bytes).unwrap();
            }
            let mut left = &bytes[..];
            while !left.is_empty() {
                self.server.read_tls(&mut left).unwrap();
                self.server.process_new_packets().map_err(Refused::ByServer)?;
            }
            let mut bytes = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut bytes).unwrap();
            }
            let mut left = &bytes[..];
            while !left.is_empty() {
                self.client.read_tls(&mut left).unwrap();
                self.client.process_new_packets().map_err(Refused::ByClient)?;
            }
        }
        Ok(())
    }

    /// Sends something to the server and something back.
    pub(super) fn talk(&mut self) {
        self.client.writer().write_all(b"ping").unwrap();
        self.pump().unwrap();
        let mut heard = [0; 4];
        self.server.reader().read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"ping");
        self.server.writer().write_all(b"pong").unwrap();
        self.pump().unwrap();
        self.client.reader().read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"pong");
    }
}
