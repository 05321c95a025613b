//! Logging in: what a 401 asks for, and the tokens it led to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode};

use super::credentials::{Credentials, Login};
use super::http::Call;
use super::payload::Payload;
use super::{Client, Error};
use crate::secret::Secret;

/// Bytes of a token answer at most.
const MAX_TOKEN: usize = 1 << 20;

/// Requests with this scope are not logged in themselves: they fetch tokens.
const TOKENS: &str = "\0tokens";

/// Log-ins by the repository they are for.
pub(super) struct Auth {
    credentials: Credentials,
    known: Mutex<HashMap<String, HeaderValue>>,
    turns: tokio::sync::Semaphore,
}

/// One challenge of a `WWW-Authenticate` header.
#[derive(Debug, Default, PartialEq, Eq)]
struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Auth {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, known: Mutex::default(), turns: tokio::sync::Semaphore::new(1) }
    }

    /// Waits until nobody else logs in. Requests that are part of a log-in do not wait for it.
    pub(super) async fn turn(&self, scope: &str) -> Option<tokio::sync::SemaphorePermit<'_>> {
        if scope == TOKENS {
            return None;
        }
        Some(self.turns.acquire().await.expect("the semaphore is never closed"))
    }

    /// What to send for a repository, if a log-in is known.
    pub(super) fn known(&self, scope: &str) -> Option<HeaderValue> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(scope).cloned()
    }

    fn remember(&self, scope: &str, login: HeaderValue) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(scope.to_owned(), login);
    }

    /// Does what the challenge asks.
    pub(super) async fn login(&self, client: &Client, scope: &str, headers: &HeaderMap) -> Result<(), Error> {
        let server = client.server();
        let refused = |reason: &str| Error::Unauthorized {
            server: server.to_string(),
            host: server.login().to_owned(),
            reason: reason.to_owned(),
        };
        if scope == TOKENS {
            return Err(refused("no token was given"));
        }
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenges: Vec<Challenge> = texts.flat_map(challenges).collect();
        let find = |scheme: &str| challenges.iter().find(|known| known.scheme.eq_ignore_ascii_case(scheme));
        let login = self.credentials.of(server.authority()).await?;
        let header = if let Some(bearer) = find("bearer") {
            let token = token(client, bearer, scope, login).await?;
            sensitive(&format!("Bearer {}", token.expose()))
        } else if find("basic").is_some() {
            match login {
                Some(Login::Password { user, password }) => sensitive(&basic(&user, &password)),
                Some(Login::Identity(_)) => {
                    return Err(refused("it wants a password, an identity token is configured"));
                }
                None => return Err(refused("there are none for it")),
            }
        } else {
            return Err(refused("it asks for neither a password nor a token"));
        };
        self.remember(scope, header.ok_or_else(|| refused("they cannot travel in a header"))?);
        Ok(())
    }
}

/// Fetches a token (distribution's token authentication, and its `OAuth2` variant for identity tokens).
///
/// Boxed, because a token is fetched by a request like any other, which is not logged in itself.
fn token<'a>(
    client: &'a Client,
    challenge: &'a Challenge,
    repository: &'a str,
    login: Option<Login>,
) -> BoxFuture<'a, Result<Secret, Error>> {
    Box::pin(async move {
        let call = token_call(client, challenge, repository, login)?;
        let answer = client.expect(&call, &[StatusCode::OK]).await?;
        let bytes = client.body(&call.what(), answer, MAX_TOKEN).await?;
        let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let token = [&body["token"], &body["access_token"]].into_iter().find_map(serde_json::Value::as_str);
        match token {
            Some(token) if !token.is_empty() => Ok(Secret::from(token)),
            _ => Err(client.protocol(&call.what(), "there is no token in its answer")),
        }
    })
}

fn token_call(
    client: &Client,
    challenge: &Challenge,
    repository: &str,
    login: Option<Login>,
) -> Result<Call<'static>, Error> {
    let parameter = |name: &str| {
        challenge.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    };
    let realm = parameter("realm").unwrap_or_default();
    let is_fit =
        realm.starts_with("https://") || (realm.starts_with("http://") && client.server().is_plain());
    if !is_fit || realm.contains('#') {
        return Err(client.protocol("the log-in", "its token service is no address passwords may be sent to"));
    }
    let scope = match parameter("scope") {
        Some(scope) => scope.to_owned(),
        None if repository.is_empty() => String::new(),
        None => format!("repository:{repository}:pull,push"),
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(service) = parameter("service") {
        query.append_pair("service", service);
    }
    // A challenge may ask for several scopes at once.
    for scope in scope.split(' ').filter(|scope| !scope.is_empty()) {
        query.append_pair("scope", scope);
    }
    Ok(match login {
        Some(Login::Identity(token)) => {
            query.append_pair("grant_type", "refresh_token");
            query.append_pair("client_id", "artifactstore");
            query.append_pair("refresh_token", token.expose());
            Call::new(Method::POST, realm, TOKENS)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .payload(Payload::Bytes(Bytes::from(query.finish())))
                .repeatable()
        }
        login => {
            let separator = if realm.contains('?') { '&' } else { '?' };
            let call = Call::new(Method::GET, format!("{realm}{separator}{}", query.finish()), TOKENS);
            match login {
                Some(Login::Password { user, password }) => {
                    call.header(AUTHORIZATION, basic(&user, &password))
                }
                _ => call,
            }
        }
    })
}

fn basic(user: &str, password: &Secret) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose())))
}

/// A header that is never shown.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Reads `scheme key=value, key="value", scheme …` (RFC 9110 §11.6.1).
fn challenges(text: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        if word.is_empty() {
            return found;
        }
        let behind = behind.trim_start_matches([' ', '\t']);
        if let Some(value) = behind.strip_prefix('=') {
            let (value, behind) = value_of(value);
            if let Some(challenge) = found.last_mut() {
                challenge.parameters.push((word.to_ascii_lowercase(), value));
            }
            rest = behind;
        } else {
            found.push(Challenge { scheme: word.to_owned(), parameters: Vec::new() });
            rest = behind;
        }
    }
}

/// A token or a quoted text, and what stands behind it.
fn value_of(text: &str) -> (String, &str) {
    let text = text.trim_start_matches([' ', '\t']);
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        // `=` alone stands for nothing; it must not be met again.
        return (text[..end].to_owned(), text[end..].trim_start_matches('='));
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return (value, &quoted[at + 1..]),
            c => {
                escaped = false;
                value.push(c);
            }
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_servers_write_them() {
        let text = r#"Bearer realm="https://a/token?x=1",service="r",scope="repository:a/b:pull,push", Basic realm="x \"y\"""#;
        let read = challenges(text);
        assert_eq!(read.len(), 2, "{read:?}");
        assert_eq!(read[0].scheme, "Bearer");
        assert_eq!(read[0].parameters[2], ("scope".to_owned(), "repository:a/b:pull,push".to_owned()));
        assert_eq!(read[1].parameters, [("realm".to_owned(), "x \"y\"".to_owned())]);
        assert_eq!(challenges("Basic")[0].scheme, "Basic");
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_the_reader_fail(text in "[A-Za-z=\", \\\\]{0,40}") {
            challenges(&text);
        }
    }
}
