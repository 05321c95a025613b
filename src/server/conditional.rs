//! Conditional requests (RFC 9110 section 13): the entity tag of anything here is its quoted digest.

use http::HeaderMap;
use http::header::{IF_NONE_MATCH, IF_RANGE};

use crate::oci::Digest;

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

/// Whether a `Range` may be honoured: there is no `If-Range`, or it names exactly this content. A date
/// never does, since content has none.
pub(super) fn allows_range(headers: &HeaderMap, digest: &Digest) -> bool {
    headers.get(IF_RANGE).is_none_or(|value| value.as_bytes() == etag(digest).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

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
