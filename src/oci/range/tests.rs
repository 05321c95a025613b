use proptest::prelude::*;

use super::*;

fn single(start: u64, end_exclusive: u64) -> RangeRequest {
    RangeRequest::Single { start, end_exclusive }
}

#[test]
fn a_chunk_range_is_read_with_and_without_the_trimmings_of_rfc_9110() {
    for text in ["5-9", "bytes 5-9", "bytes=5-9", "Bytes 5-9/10", "5-9/*", " 5-9 ", "bytes=5-9/100"] {
        let range = ContentRange::parse(text).unwrap();
        assert_eq!(range, ContentRange { start: 5, end_inclusive: 9 }, "{text}");
        assert_eq!(range.len(), 5);
    }
}

#[test]
fn anything_else_is_no_chunk_range() {
    let wrong = [
        "",
        "-",
        "5",
        "-5",
        "5-",
        "abc",
        "5-9-12",
        "+5-9",
        "5- 9",
        "0x5-9",
        "chunks 5-9",
        "5-9/",
        "5-9/x",
        "5-9/1/2",
        "/",
        "/*",
        "bytes",
        "bytes ",
        "bytes=",
        "bytes */10",
        "٥-٩",
        "5,9",
        "5–9",
    ];
    for text in wrong {
        assert!(matches!(ContentRange::parse(text), Err(ContentRangeError::Syntax { .. })), "{text:?}");
    }
}

#[test]
fn an_inverted_chunk_range_and_one_beyond_its_total_are_told_apart() {
    assert_eq!(ContentRange::parse("9-5"), Err(ContentRangeError::Inverted { start: 9, end: 5 }));
    assert_eq!(ContentRange::parse("5-9/9"), Err(ContentRangeError::BeyondTotal { end: 9, total: 9 }));
}

#[test]
fn a_chunk_range_no_upload_can_reach_is_refused_without_overflow() {
    for text in ["0-9223372036854775807", "0-18446744073709551615", "0-99999999999999999999999"] {
        assert!(matches!(ContentRange::parse(text), Err(ContentRangeError::TooLarge { .. })), "{text}");
    }
    assert_eq!(ContentRange::parse("0-9223372036854775806").unwrap().len(), i64::MAX as u64);
}

#[test]
fn a_single_range_is_clamped_to_the_object() {
    for (header, expected) in [
        ("bytes=500-1499", single(500, 1500)),
        ("bytes=500-", single(500, 2048)),
        ("bytes=-500", single(1548, 2048)),
        ("bytes=2000-5000", single(2000, 2048)),
        ("bytes=0-0", single(0, 1)),
        ("bytes=-5000", single(0, 2048)),
        ("bytes=0-99999999999999999999999", single(0, 2048)),
        ("bytes=-99999999999999999999999", single(0, 2048)),
        ("Bytes = 2047 - 2047 ", single(2047, 2048)),
        ("bytes=,0-1,", single(0, 2)),
    ] {
        assert_eq!(RangeHeader::parse(header, 2048), expected, "{header}");
    }
}

#[test]
fn a_range_without_a_byte_in_the_object_is_unsatisfiable() {
    for header in [
        "bytes=500-0",
        "bytes=5000-10000",
        "bytes=2048-",
        "bytes=-0",
        "bytes=99999999999999999999999-",
        "bytes=5000-,3000-4000,-0,9-8",
    ] {
        assert_eq!(RangeHeader::parse(header, 2048), RangeRequest::Unsatisfiable, "{header}");
    }
}

#[test]
fn a_unit_or_text_the_server_does_not_know_asks_for_the_whole() {
    for header in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "chunks=1-2",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=0-1,x",
        "bytes 0-1",
        "items=0-1,5-6",
        "=0-1",
    ] {
        assert_eq!(RangeHeader::parse(header, 2048), RangeRequest::Whole, "{header}");
    }
}

#[test]
fn several_ranges_keep_their_order_and_lose_what_is_not_there() {
    let parse = |header| RangeHeader::parse(header, 100);
    assert_eq!(parse("bytes=50-59, 0-9"), RangeRequest::Multi(vec![(50, 60), (0, 10)]));
    assert_eq!(parse("bytes=0-9,200-300,-5"), RangeRequest::Multi(vec![(0, 10), (95, 100)]));
    assert_eq!(parse("bytes=200-,7-8"), single(7, 9));
}

#[test]
fn touching_ranges_stay_apart_because_chunk_readers_count_the_parts() {
    assert_eq!(RangeHeader::parse("bytes=0-9,10-19", 100), RangeRequest::Multi(vec![(0, 10), (10, 20)]));
}

#[test]
fn overlapping_ranges_become_one() {
    let parse = |header| RangeHeader::parse(header, 100);
    assert_eq!(parse("bytes=0-,0-,0-"), single(0, 100));
    assert_eq!(parse("bytes=0-9,20-29,5-24"), single(0, 30));
    assert_eq!(parse("bytes=80-89,0-9,40-49,5-44"), RangeRequest::Multi(vec![(80, 90), (0, 50)]));
}

#[test]
fn more_than_32_ranges_ask_for_the_whole() {
    let ranges = |n: u64| {
        let members: Vec<String> = (0..n).map(|i| format!("{0}-{0}", i * 2)).collect();
        RangeHeader::parse(&format!("bytes={}", members.join(",")), 1000)
    };
    assert!(matches!(ranges(32), RangeRequest::Multi(parts) if parts.len() == 32));
    assert_eq!(ranges(33), RangeRequest::Whole);
}

#[test]
fn an_empty_object_is_read_whole_from_its_start_and_has_nothing_behind_it() {
    for header in ["bytes=0-", "bytes=0-0", "bytes=-5", "bytes=5-,0-"] {
        assert_eq!(RangeHeader::parse(header, 0), RangeRequest::Whole, "{header}");
    }
    for header in ["bytes=1-", "bytes=-0", "bytes=3-2"] {
        assert_eq!(RangeHeader::parse(header, 0), RangeRequest::Unsatisfiable, "{header}");
    }
}

#[test]
fn an_empty_session_reads_differently_in_a_202_and_in_a_status() {
    assert_eq!((received_range(0).as_str(), received_range_status(0).as_str()), ("0-0", "0--1"));
    assert_eq!((received_range(1).as_str(), received_range_status(1).as_str()), ("0-0", "0-0"));
    assert_eq!((received_range(10).as_str(), received_range_status(10).as_str()), ("0-9", "0-9"));
}

proptest! {
    #[test]
    fn every_selected_range_is_inside_the_object_and_disjoint(
        members in prop::collection::vec("([0-9]{0,3}|184467440737095516[0-9]{2})-([0-9]{0,3}|99999999999999999999)", 0..40),
        size in prop_oneof![0u64..5, 0u64..1200, Just(u64::MAX)],
    ) {
        let header = format!("bytes={}", members.join(","));
        let mut parts = match RangeHeader::parse(&header, size) {
            RangeRequest::Whole | RangeRequest::Unsatisfiable => vec![],
            RangeRequest::Single { start, end_exclusive } => vec![(start, end_exclusive)],
            RangeRequest::Multi(parts) => {
                prop_assert!((2..=32).contains(&parts.len()));
                parts
            }
        };
        parts.sort_unstable();
        prop_assert!(parts.iter().all(|&(start, end)| start < end && end <= size), "{:?}", parts);
        prop_assert!(parts.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{:?}", parts);
    }

    #[test]
    fn range_headers_never_panic(header in "\\PC{0,60}", size: u64) {
        let _ = RangeHeader::parse(&header, size);
        let _ = RangeHeader::parse(&format!("bytes={header}"), size);
        let _ = ContentRange::parse(&header);
    }

    #[test]
    fn a_chunk_range_survives_the_round_trip(start in 0u64..1 << 62, length in 1u64..1 << 62) {
        let range = ContentRange::parse(&format!("{start}-{}", start + length - 1)).unwrap();
        prop_assert_eq!((range.start, range.len()), (start, length));
    }
}
