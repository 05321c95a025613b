//! The routes of keyed objects: what stands behind `_artifactstore/objects` under a repository.

use std::time::Duration;

use http::Method;

use super::parameters::{Parameters, refused};
use super::{Page, Permission, RouteError};
use crate::oci::{Digest, RepositoryName};
use crate::package::{PackagePath, PathError};
use crate::registry::{LONGEST_URL, Prefix, Signature, normalise_key};

/// How long a URL works when nobody says.
const HOUR: Duration = Duration::from_hours(1);

/// What a request asks of keyed objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objects {
    /// `GET R/objects?prefix=&recursive=&n=&last=`
    List(RepositoryName, Which, Page),
    /// `GET|HEAD R/objects/<key>`
    Get(RepositoryName, PackagePath),
    /// The same with `?expires=&kid=&signature=`: the URL itself is the permission.
    GetSigned(RepositoryName, PackagePath, Signature),
    /// `PUT R/objects/<key>?digest=`
    Put(RepositoryName, PackagePath, Option<Digest>),
    /// `DELETE R/objects/<key>`
    Delete(RepositoryName, PackagePath),
    /// `POST R/objects/<key>/url?expires_in=`
    Url(RepositoryName, PackagePath, Duration),
}

/// Which objects are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// How their keys begin.
    pub prefix: Prefix,
    /// Whether keys with a further slash are there as common prefixes.
    pub one_level: bool,
}

impl Objects {
    /// What a request asks for, from the segments behind `objects`. A key may end in `url` itself, since no name of a
    /// file is the registry's to take: keys do not take POST, and with POST, and nothing else, `url` is none of the key.
    pub(super) fn parse(
        method: &Method,
        name: RepositoryName,
        rest: &[&str],
        query: &Parameters,
    ) -> Result<Self, RouteError> {
        let named_url = match *rest {
            [] if matches!(*method, Method::GET | Method::HEAD) => {
                return Ok(Self::List(name, query.which()?, query.page()?));
            }
            [] => return Err(RouteError::Method(&["GET", "HEAD"])),
            [ref parts @ .., "url"] if !parts.is_empty() => Some(parts),
            _ => None,
        };
        let is_signed = query.is_signed();
        match (method, named_url) {
            (&Method::GET | &Method::HEAD, _) if is_signed => {
                Ok(Self::GetSigned(name, key(rest)?, query.signature()?))
            }
            (&Method::GET | &Method::HEAD, _) => Ok(Self::Get(name, key(rest)?)),
            // Whoever has a URL may read with it: that their method needs more is no reason to ask who they are.
            (&Method::PUT | &Method::DELETE, _) | (&Method::POST, Some(_)) if is_signed => {
                Err(RouteError::SignedForReading)
            }
            (&Method::PUT, _) => Ok(Self::Put(name, key(rest)?, query.digest("digest")?)),
            (&Method::DELETE, _) => Ok(Self::Delete(name, key(rest)?)),
            (&Method::POST, Some(parts)) => Ok(Self::Url(name, key(parts)?, query.expires_in()?)),
            (_, Some(_)) => Err(RouteError::Method(&["GET", "HEAD", "PUT", "DELETE", "POST"])),
            (_, None) => Err(RouteError::Method(&["GET", "HEAD", "PUT", "DELETE"])),
        }
    }

    /// What the caller must be allowed to do.
    pub(super) fn permission(&self) -> Permission<'_> {
        match self {
            Self::GetSigned(name, ..) => Permission::Signed(name),
            // A URL gives away no more than its maker may read.
            Self::List(name, ..) | Self::Get(name, _) | Self::Url(name, ..) => Permission::pull(name),
            Self::Put(name, ..) => Permission::push(name),
            Self::Delete(name, _) => Permission::delete(name),
        }
    }
}

/// The decoded segments as one key. `%2F` would make two parts of one segment.
fn key(segments: &[&str]) -> Result<PackagePath, RouteError> {
    match segments.iter().find(|segment| segment.contains('/')) {
        Some(part) => Err(RouteError::EncodedSlash((*part).to_owned())),
        None => normalise_key(&segments.join("/")).map_err(RouteError::Key),
    }
}

impl Parameters {
    fn which(&self) -> Result<Which, RouteError> {
        let one_level = self.flag("recursive")? == Some(false);
        let prefix = self.text("prefix")?.unwrap_or_default().parse();
        let prefix = prefix.map_err(|error: PathError| refused("prefix", &error.to_string()))?;
        Ok(Which { prefix, one_level })
    }

    fn expires_in(&self) -> Result<Duration, RouteError> {
        let seconds = self.number("expires_in", 1, Some(LONGEST_URL.as_secs()))?;
        Ok(seconds.map_or(HOUR, Duration::from_secs))
    }

    /// Whether any part of a signature is there: one that was cut off must not turn a request into another.
    fn is_signed(&self) -> bool {
        ["expires", "kid", "signature"].iter().any(|name| self.has(name))
    }

    /// What is missing or malformed proves nothing.
    fn signature(&self) -> Result<Signature, RouteError> {
        let text = |name| self.text(name).map(Option::unwrap_or_default);
        Ok(Signature {
            expires: text("expires")?.parse().unwrap_or_default(),
            key_id: text("kid")?.to_owned(),
            proof: text("signature")?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::registry::object_path;
    use crate::server::route::{Extension, Route};

    fn parse(method: &Method, path: &str, query: &str) -> Result<Objects, RouteError> {
        match Route::parse(method, path, Some(query))? {
            Route::Extension(Extension::Objects(route)) => Ok(route),
            other => panic!("{other:?}"),
        }
    }

    fn name() -> RepositoryName {
        "a/b".parse().unwrap()
    }

    #[test]
    fn a_key_is_all_that_is_left_of_the_path() {
        for (path, key) in [
            ("x", "x"),
            ("url", "url"),
            ("x/url", "x/url"),
            ("x//y/./z/", "x/y/z"),
            ("%C3%BC", "ü"),
            ("x%20y", "x y"),
        ] {
            let path = format!("/v2/a/b/_artifactstore/objects/{path}");
            let expected = Objects::Get(name(), key.parse().unwrap());
            assert_eq!(parse(&Method::GET, &path, "").unwrap(), expected, "{path}");
        }
        for path in ["", "/", ".", "..", "x/../y", "x/%2e%2e/y", "%5Cx", "x%00", ".artifactstore/x"] {
            let path = format!("/v2/a/b/_artifactstore/objects/{path}");
            assert!(matches!(parse(&Method::GET, &path, ""), Err(RouteError::Key(_))), "{path}");
        }
        let encoded = parse(&Method::GET, "/v2/a/b/_artifactstore/objects/x%2Fy", "");
        assert!(matches!(encoded, Err(RouteError::EncodedSlash(_))));
    }

    #[test]
    fn a_url_is_asked_for_by_the_one_method_keys_do_not_take() {
        let path = "/v2/a/b/_artifactstore/objects/x/url";
        let url =
            |key: &str, seconds| Objects::Url(name(), key.parse().unwrap(), Duration::from_secs(seconds));
        assert_eq!(parse(&Method::POST, path, "").unwrap(), url("x", 3600));
        assert_eq!(parse(&Method::POST, &format!("{path}/url"), "expires_in=60").unwrap(), url("x/url", 60));
        for query in ["expires_in=x", "expires_in=-1", "expires_in=1.5", "expires_in=99999999999999999999"] {
            assert!(matches!(
                parse(&Method::POST, path, query),
                Err(RouteError::Query { name: "expires_in", .. })
            ));
        }
        for query in ["", "expires=0&kid=&signature="] {
            let allowed = |path: &str| match parse(&Method::OPTIONS, path, query) {
                Err(RouteError::Method(allowed)) => allowed,
                other => panic!("{other:?}"),
            };
            assert_eq!(allowed(path), ["GET", "HEAD", "PUT", "DELETE", "POST"]);
            assert_eq!(allowed("/v2/a/b/_artifactstore/objects/x"), ["GET", "HEAD", "PUT", "DELETE"]);
        }
        for path in ["/v2/a/b/_artifactstore/objects/url", "/v2/a/b/_artifactstore/objects/x"] {
            assert!(matches!(parse(&Method::POST, path, ""), Err(RouteError::Method(_))), "{path}");
        }
    }

    #[test]
    fn any_part_of_a_signature_makes_a_request_that_needs_a_whole_one() {
        let path = "/v2/a/b/_artifactstore/objects/x";
        let whole = "expires=7&kid=k&signature=00";
        let signature = Signature { expires: 7, key_id: "k".to_owned(), proof: "00".to_owned() };
        let route = parse(&Method::HEAD, path, whole).unwrap();
        assert_eq!(route, Objects::GetSigned(name(), "x".parse().unwrap(), signature));
        assert_eq!(route.permission(), Permission::Signed(&name()));
        for part in ["expires=7", "kid=k", "signature=00", "signature", "expires=x&kid=k&signature=00"] {
            let route = parse(&Method::GET, path, part).unwrap();
            assert!(matches!(route, Objects::GetSigned(..)), "{part}");
        }
        for (method, path) in
            [(Method::PUT, path), (Method::DELETE, path), (Method::POST, &format!("{path}/url"))]
        {
            for query in [whole, "signature", "expires_in=1&kid=&digest="] {
                let refused = parse(&method, path, query);
                assert!(matches!(refused, Err(RouteError::SignedForReading)), "{method}: {refused:?}");
            }
        }
    }

    #[test]
    fn every_method_needs_what_it_does() {
        let (path, name) = ("/v2/a/b/_artifactstore/objects/x", name());
        for (method, path, expected) in [
            (Method::GET, "/v2/a/b/_artifactstore/objects", Permission::pull(&name)),
            (Method::GET, path, Permission::pull(&name)),
            (Method::PUT, path, Permission::push(&name)),
            (Method::DELETE, path, Permission::delete(&name)),
            (Method::POST, "/v2/a/b/_artifactstore/objects/x/url", Permission::pull(&name)),
        ] {
            assert_eq!(parse(&method, path, "").unwrap().permission(), expected, "{method} {path}");
        }
    }

    proptest! {
        #[test]
        fn the_path_of_an_object_parses_back(key in "[ -~äλ☃]{1,20}(/[ -~ä]{1,9}){0,3}") {
            let Ok(key) = normalise_key(&key) else { return Ok(()) };
            let expected = Objects::Get(name(), key.clone());
            prop_assert_eq!(parse(&Method::GET, &object_path(&name(), &key), "").unwrap(), expected);
        }
    }
}
