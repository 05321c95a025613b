//! Which of several encodings a client would rather have (RFC 9110 section 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

use crate::oci::media::essence;
use crate::package::mapping::names::{MANIFEST_CBOR, MANIFEST_JSON};

/// Whether the client would rather have CBOR. JSON when it does not care, and also when it wants neither: who
/// asks for a manifest is not helped by a 406.
pub(super) fn prefers_cbor(headers: &HeaderMap) -> bool {
    let ranges: Vec<(&str, f32)> = ranges(headers).collect();
    let (cbor, json) = (
        quality(&ranges, &[MANIFEST_CBOR, "application/cbor"]),
        quality(&ranges, &[MANIFEST_JSON, "application/json"]),
    );
    cbor > json
}

/// Which of the offers, each by its names, the client wants most: the one it names most closely of those it wants as
/// much, and of those the first. The first as well when it does not say anything; `None` when it wants none of them.
pub(super) fn preferred(headers: &HeaderMap, offers: &[&[&str]]) -> Option<usize> {
    let ranges: Vec<(&str, f32)> = ranges(headers).filter(|(range, _)| !range.is_empty()).collect();
    if ranges.is_empty() {
        return Some(0);
    }
    let wanted = offers.iter().map(|names| quality(&ranges, names)).enumerate();
    let best = wanted.reduce(|best, other| if other.1 > best.1 { other } else { best });
    best.filter(|(_, (wanted, _))| *wanted > 0.0).map(|(offer, _)| offer)
}

fn ranges(headers: &HeaderMap) -> impl Iterator<Item = (&str, f32)> {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(range)
}

/// How much a type is wanted, and how closely it was named: the closest range counts.
fn quality(ranges: &[(&str, f32)], names: &[&str]) -> (f32, u8) {
    let is_of = |range: &str| {
        let family = range.strip_suffix("/*");
        family.is_some_and(|family| {
            names.iter().any(|name| name.split('/').next().is_some_and(|of| of.eq_ignore_ascii_case(family)))
        })
    };
    let closeness = |range: &str| match range {
        "*/*" => Some(1),
        _ if is_of(range) => Some(2),
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
    fn of_several_offers_the_one_that_is_wanted_most_is_taken() {
        let offers: [&[&str]; 3] =
            [&["application/json"], &["application/x-ndjson", "application/ndjson"], &["text/event-stream"]];
        let preferred = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, value.parse().unwrap());
            preferred(&headers, &offers)
        };
        for (value, offer) in [
            ("", Some(0)),
            ("*/*", Some(0)),
            ("application/*", Some(0)),
            ("text/*", Some(2)),
            ("TEXT/Event-Stream", Some(2)),
            ("application/ndjson", Some(1)),
            ("text/event-stream, application/json", Some(0)),
            ("text/event-stream, */*", Some(2)),
            ("text/event-stream, application/json;q=0.9", Some(2)),
            ("application/json;q=0.1, application/x-ndjson;q=0.2", Some(1)),
            ("application/json;q=0, */*;q=0.1", Some(1)),
            ("application/json; charset=utf-8", Some(0)),
            ("text/html, application/json", Some(0)),
            ("text/html", None),
            ("*/*;q=0", None),
            ("application/json;q=x", None),
        ] {
            assert_eq!(preferred(value), offer, "{value}");
        }
        assert_eq!(super::preferred(&HeaderMap::new(), &offers), Some(0));
    }
}
