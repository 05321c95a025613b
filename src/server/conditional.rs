//! Conditional requests (RFC 9110 section 13): the entity tag of anything here is its quoted digest.

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH, IF_RANGE};

use crate::oci::Digest;
use crate::registry::{Condition, Contents};

/// The entity tag of content.
pub(super) fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// Whether the client says it has the content already. Tolerates tags without quotes, which some clients send.
pub(super) fn is_known(headers: &HeaderMap, digest: &Digest) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').map(str::trim).any(|tag| {
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag == "*" || tag.trim_matches('"') == digest.as_str()
        })
    })
}

/// What the client says that is to be changed, or must not be there.
pub(super) fn condition(headers: &HeaderMap) -> Condition {
    // A weak tag says that something is about the same, which is not enough to overwrite it (RFC 9110 section 13.1.1).
    let strong = |tag: &str| !tag.starts_with("W/");
    let is_not = contents(headers, &IF_NONE_MATCH, |_| true);
    if is_not.is_some() && is_blank(headers, &IF_NONE_MATCH) {
        // Whoever sends it empty lost what was to be in it. Nothing is what is asked for.
        return Condition { is: Some(Contents::Of(Vec::new())), is_not };
    }
    Condition { is: contents(headers, &IF_MATCH, strong), is_not }
}

/// Whether a header is there and has no tag at all.
fn is_blank(headers: &HeaderMap, name: &HeaderName) -> bool {
    let is_nothing = |byte: &u8| matches!(byte, b',' | b' ' | b'\t');
    headers.get_all(name).iter().all(|value| value.as_bytes().iter().all(is_nothing))
}

/// The contents that a header names. Tags that are none of ours name nothing.
fn contents(headers: &HeaderMap, name: &HeaderName, counts: impl Fn(&str) -> bool) -> Option<Contents> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    let mut digests = Vec::new();
    let tags = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    for tag in tags.map(str::trim).filter(|tag| counts(tag)) {
        if tag == "*" {
            return Some(Contents::Any);
        }
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        digests.extend(tag.trim_matches('"').parse::<Digest>());
    }
    Some(Contents::Of(digests))
}

/// Whether a `Range` may be honoured: there is no `If-Range`, or it names exactly this content. A date
/// never does, since content has none.
pub(super) fn allows_range(headers: &HeaderMap, digest: &Digest) -> bool {
    headers.get(IF_RANGE).is_none_or(|value| value.as_bytes() == etag(digest).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_contents_and_a_strange_tag_names_none() {
        let digest = crate::hash::digest(crate::oci::Algorithm::Sha256, b"");
        let read = |name: HeaderName, values: &[String]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(name.clone(), value.parse().unwrap());
            }
            condition(&headers)
        };
        let of = |digests: &[&Digest]| Some(Contents::Of(digests.iter().map(|it| (*it).clone()).collect()));
        assert!(condition(&HeaderMap::new()).is_empty());
        let tag = etag(&digest);
        assert_eq!(read(IF_MATCH, &[format!("\"x\", {tag}")]).is, of(&[&digest]));
        assert_eq!(read(IF_MATCH, &[tag.clone(), tag.clone()]).is, of(&[&digest, &digest]));
        assert_eq!(read(IF_MATCH, &[format!("W/{tag}")]).is, of(&[]), "weak");
        assert_eq!(read(IF_MATCH, &["\"x\"".to_owned()]).is, of(&[]), "of another server");
        assert_eq!(read(IF_NONE_MATCH, &[format!("W/{tag}")]).is_not, of(&[&digest]));
        assert_eq!(read(IF_NONE_MATCH, &["*".to_owned()]).is_not, Some(Contents::Any));
        assert_eq!(read(IF_MATCH, &[" * ".to_owned()]).is, Some(Contents::Any));
    }

    #[test]
    fn an_empty_condition_lets_nothing_be_written_instead_of_everything() {
        let digest = crate::hash::digest(crate::oci::Algorithm::Sha256, b"");
        for name in [IF_MATCH, IF_NONE_MATCH] {
            for value in ["", " ", ",", " , ,"] {
                let mut headers = HeaderMap::new();
                headers.append(name.clone(), value.parse().unwrap());
                let read = condition(&headers);
                assert!(!read.allows(None) && !read.allows(Some(&digest)), "{name}: {value:?}");
                headers.append(name.clone(), "\"x\"".parse().unwrap());
                assert_eq!(condition(&headers).allows(None), name == IF_NONE_MATCH, "{name}: {value:?}");
            }
        }
    }

    #[test]
    fn a_known_digest_is_recognised_quoted_or_not_and_in_lists() {
        let digest = crate::hash::digest(crate::oci::Algorithm::Sha256, b"");
        let known = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, value.parse().unwrap());
            is_known(&headers, &digest)
        };
        for value in [
            format!("\"{digest}\""),
            digest.to_string(),
            format!("W/\"{digest}\""),
            format!("\"x\", \"{digest}\""),
            "*".to_owned(),
        ] {
            assert!(known(&value), "{value}");
        }
        assert!(!known("\"sha256:00\""));
        assert!(!is_known(&HeaderMap::new(), &digest));
    }
}
