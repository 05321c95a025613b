//! Which of two encodings a client would rather have (RFC 9110 section 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

use crate::oci::media::essence;
use crate::package::mapping::names::{MANIFEST_CBOR, MANIFEST_JSON};

/// Whether the client would rather have CBOR. JSON when it does not care, and also when it wants neither: who
/// asks for a manifest is not helped by a 406.
pub(super) fn prefers_cbor(headers: &HeaderMap) -> bool {
    let ranges = ranges(headers);
    let (cbor, json) = (
        quality(&ranges, &[MANIFEST_CBOR, "application/cbor"]),
        quality(&ranges, &[MANIFEST_JSON, "application/json"]),
    );
    cbor > json
}

/// Which of several types the client wants most; the first when it does not care, and when it wants none of them.
pub(super) fn preferred<'a>(headers: &HeaderMap, offers: &[&'a str]) -> &'a str {
    let ranges = ranges(headers);
    let mut best = (offers[0], quality(&ranges, &offers[..1]));
    for offer in &offers[1..] {
        let wanted = quality(&ranges, &[offer]);
        if wanted > best.1 {
            best = (offer, wanted);
        }
    }
    best.0
}

fn ranges(headers: &HeaderMap) -> Vec<(&str, f32)> {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(range).collect()
}

/// Whether a range like `text/*` has a type in it.
fn is_all_of(range: &str, name: &str) -> bool {
    let kind = |text: &str| text.split('/').next().map(str::to_ascii_lowercase);
    range.ends_with("/*") && kind(range) == kind(name)
}

/// How much a type is wanted, and how closely it was named: the closest range counts.
fn quality(ranges: &[(&str, f32)], names: &[&str]) -> (f32, u8) {
    let closeness = |range: &str| match range {
        "*/*" => Some(1),
        _ if names.iter().any(|name| is_all_of(range, name)) => Some(2),
        _ => names.iter().any(|name| name.eq_ignore_ascii_case(range)).then_some(3),
    };
    let matching = ranges.iter().filter_map(|(range, wanted)| Some((closeness(range)?, *wanted)));
    let best = matching.max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    best.map_or((0.0, 0), |(closeness, wanted)| (wanted, if wanted > 0.0 { closeness } else { 0 }))
}

/// A media range and its `q`; what is malformed is not wanted.
fn range(text: &str) -> (&str, f32) {
    let q = text.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().unwrap_or(0.0))
    });
    let q: f32 = q.unwrap_or(1.0);
    (essence(text), if (0.0..=1.0).contains(&q) { q } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cbor_is_for_those_who_name_it_and_want_it_more() {
        let prefers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, value.parse().unwrap());
            prefers_cbor(&headers)
        };
        for cbor in [
            MANIFEST_CBOR,
            "application/cbor",
            "Application/CBOR",
            "application/cbor, */*",
            "application/cbor, application/json;q=0.5",
            "text/html, application/cbor;q=0.1",
            "*/*;q=0.5, application/cbor",
            "application/json;q=0, */*",
        ] {
            assert!(prefers(cbor), "{cbor}");
        }
        for json in [
            MANIFEST_JSON,
            "",
            "*/*",
            "application/*",
            "application/json",
            "text/html",
            "application/cbor, application/json",
            "application/cbor;q=0.5, application/json",
            "application/cbor;q=0",
            "application/cbor;q=x",
            "application/cbor;q=NaN",
            "application/cbor;q=0.1, */*",
            ";;;,,q=",
        ] {
            assert!(!prefers(json), "{json}");
        }
        assert!(!prefers_cbor(&HeaderMap::new()));
    }

    #[test]
    fn of_several_types_the_one_that_is_named_most_closely_is_wanted() {
        let wanted = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, value.parse().unwrap());
            preferred(&headers, &["application/json", "application/x-ndjson", "text/csv"])
        };
        for (value, expected) in [
            ("text/csv", "text/csv"),
            ("text/*", "text/csv"),
            ("Text/CSV; charset=utf-8", "text/csv"),
            ("*/*, application/x-ndjson", "application/x-ndjson"),
            ("application/x-ndjson;q=0.5, text/csv", "text/csv"),
            ("application/*", "application/json"),
            ("*/*", "application/json"),
            ("text/html", "application/json"),
            ("text/csv;q=0", "application/json"),
            ("", "application/json"),
        ] {
            assert_eq!(wanted(value), expected, "{value}");
        }
    }
}
