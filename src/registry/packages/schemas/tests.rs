use proptest::prelude::*;
use serde_json::json;

use super::*;

fn refusal(schema: &Value) -> String {
    match register(&schema.to_string()) {
        Ok(()) => panic!("{schema} was taken"),
        Err(reason) => reason,
    }
}

fn checked(schema: &Value, metadata: &Value) -> Vec<String> {
    register(&schema.to_string()).unwrap();
    violations(&schema.to_string(), metadata).unwrap()
}

/// `a0` says `a1` twice, `a1` says `a2` twice, and so on; each through `step`.
fn doubling(steps: usize, step: impl Fn(Value) -> Value) -> Value {
    let twice = |n: usize| {
        let next = json!({ "$ref": format!("#/$defs/a{n}") });
        json!({ "allOf": [step(next.clone()), step(next)] })
    };
    let mut defs: Map = (0..steps).map(|n| (format!("a{n}"), twice(n + 1))).collect();
    defs.insert(format!("a{steps}"), json!({ "type": "object" }));
    json!({ "$ref": "#/$defs/a0", "$defs": defs })
}

type Map = serde_json::Map<String, Value>;

#[test]
fn two_kilobytes_of_schema_that_mean_a_billion_checks_are_refused() {
    for steps in [14, 30] {
        let reason = refusal(&doubling(steps, |next| next));
        assert!(reason.contains("10000 checks") || reason.contains("64 times"), "{reason}");
    }
    assert_eq!(checked(&doubling(8, |next| next), &json!({})), [""; 0]);
    for keyword in ["anyOf", "oneOf"] {
        let all: Vec<Value> = (0..120).map(|_| json!({ keyword: vec![json!({}); 100] })).collect();
        assert!(refusal(&json!({ "allOf": all })).contains("10000 checks"), "{keyword}");
    }
}

#[test]
fn a_schema_that_doubles_at_each_step_into_the_metadata_is_stopped_by_how_deep_they_are() {
    let tree = json!({ "$ref": "#/$defs/n", "$defs": { "n": { "allOf": [
        { "properties": { "a": { "$ref": "#/$defs/n" } } }, { "properties": { "a": { "$ref": "#/$defs/n" } } },
    ] } } });
    let nested = |depth| (0..depth).fold(json!({}), |inner, _| json!({ "a": inner }));
    assert_eq!(checked(&tree, &nested(5)), [""; 0]);
    let [reason] = &checked(&tree, &nested(31))[..] else { panic!("one reason") };
    assert!(reason.contains("10000000 checks"), "{reason}");
}

#[test]
fn a_schema_that_goes_round_through_the_metadata_is_an_ordinary_one() {
    let list = json!({ "type": "object", "required": ["n"], "properties": {
        "n": { "type": "integer" }, "next": { "$ref": "#" }, "left": { "$ref": "#" }, "all": { "items": { "$ref": "#" } },
    } });
    let nested = (0..30).fold(json!({ "n": 0 }), |next, n| json!({ "n": n, "next": next }));
    assert_eq!(checked(&list, &nested), [""; 0]);
    let wrong = json!({ "n": 1, "left": { "n": 2, "all": [{ "n": 3 }, { "n": "4" }] } });
    let [reason] = &checked(&list, &wrong)[..] else { panic!("one reason") };
    assert!(reason.starts_with("metadata/left/all/1/n: "), "{reason}");
}

#[test]
fn a_schema_that_leads_round_in_place_or_far_is_refused() {
    for round in [
        json!({ "$ref": "#" }),
        json!({ "allOf": [{ "$ref": "#/$defs/a" }], "$defs": { "a": { "not": { "$ref": "#/$defs/a" } } } }),
        json!({ "$anchor": "me", "anyOf": [{ "$dynamicRef": "#me" }] }),
    ] {
        assert!(refusal(&round).contains("circle"), "{round}");
    }
    let chain = |length: usize| {
        let defs: Map = (0..length)
            .map(|n| (format!("a{n}"), json!({ "$ref": format!("#/$defs/a{}", (n + 1) % length) })))
            .collect();
        json!({ "properties": { "x": { "$ref": "#/$defs/a0" } }, "$defs": defs })
    };
    assert!(refusal(&chain(900)).contains("64 times"));
    assert!(refusal(&chain(2)).contains("circle"));
}

#[test]
fn the_longest_way_through_the_deepest_metadata_fits_on_the_stack() {
    let end = json!({ "properties": { "a": { "$ref": "#" } }, "required": ["b"] });
    let schema = (0..28).fold(end, |inner, _| json!({ "allOf": [{ "anyOf": [inner] }] }));
    let nested = (0..31).fold(json!({}), |inner, _| json!({ "a": inner, "b": 1 }));
    let check = move || checked(&schema, &nested);
    let thread = std::thread::Builder::new().stack_size(check::STACK);
    let found = thread.spawn(check).unwrap().join().unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn many_references_one_behind_the_other_do_not_exhaust_the_stack() {
    let defs: Map = (0..990)
        .map(|n| {
            (format!("a{n}"), json!({ "properties": { "x": { "$ref": format!("#/$defs/a{}", n + 1) } } }))
        })
        .chain([("a990".to_owned(), json!({}))])
        .collect();
    let schema = json!({ "$ref": "#/$defs/a0", "$defs": defs }).to_string();
    let thread = std::thread::Builder::new().stack_size(check::STACK);
    thread.spawn(move || register(&schema).unwrap()).unwrap().join().unwrap();
    let defs: Map = (0..2000)
        .map(|n| (format!("a{n}"), json!({ "items": { "$ref": format!("#/$defs/a{}", n + 1) } })))
        .collect();
    assert!(refusal(&json!({ "$ref": "#/$defs/a0", "$defs": defs })).contains("1000 references"));
}

#[test]
fn an_alternative_of_thousands_for_each_of_thousands_is_not_tried() {
    let values: Vec<Value> = (0..2000).map(|n| json!({ "const": n })).collect();
    let schema = json!({ "properties": { "a": { "items": { "anyOf": values } } } });
    let [reason] = &checked(&schema, &json!({ "a": vec![99_999; 16_000] }))[..] else { panic!("one reason") };
    assert!(reason.contains("checks"), "{reason}");
    // As many as can be tried are, and those that are wrong are not all described.
    let [reason] = &checked(&schema, &json!({ "a": vec![99_999; 1000] }))[..] else { panic!("one reason") };
    assert!(reason.contains("too large to say where"), "{reason}");
    let [reason] = &checked(&schema, &json!({ "a": [1, 99_999] }))[..] else { panic!("one reason") };
    assert!(reason.starts_with("metadata/a/1: "), "{reason}");
    // An enumeration says the same, and is cheap.
    let schema = json!({ "properties": { "a": { "items": { "enum": (0..2000).collect::<Vec<_>>() } } } });
    assert_eq!(checked(&schema, &json!({ "a": vec![1999; 16_000] })), [""; 0]);
    let few = json!({ "items": { "type": "string" } });
    let schema = json!({ "properties": { "a": few } });
    assert_eq!(checked(&schema, &json!({ "a": vec![1; 16_000] })).len(), MAX_VIOLATIONS);
}

#[test]
fn what_is_asked_again_for_each_member_counts_as_often() {
    let parts: Vec<Value> =
        (0..10).map(|n| json!({ "properties": { format!("p{n}"): { "type": "integer" } } })).collect();
    let schema = json!({ "allOf": parts, "unevaluatedProperties": false });
    assert_eq!(checked(&schema, &json!({ "p1": 1, "p2": 2 })), [""; 0]);
    assert_eq!(checked(&schema, &json!({ "q": 1 })).len(), 1);
    let many: Map = (0..8000).map(|n| (format!("q{n}"), json!({ "a": 1 }))).collect();
    let nested = json!({ "additionalProperties": schema });
    let wide = json!({ "a": Value::Object(many) });
    let layout = Layout::of(&nested).unwrap();
    assert!(layout.checks(&Shape::of(&wide)) > 8000 * 10, "{layout:?}");
}

#[test]
fn references_within_a_schema_are_understood_as_far_as_they_are_sure() {
    let target = json!({ "type": "integer" });
    for (reference, more) in [
        ("#/$defs/a%20b", json!({ "$defs": { "a b": target } })),
        ("#/$defs/a~1b", json!({ "$defs": { "a/b": target } })),
        ("#/definitions/a/items", json!({ "definitions": { "a": { "items": target } } })),
        ("#here", json!({ "$defs": { "x": { "$anchor": "here", "type": "integer" } } })),
        (
            "https://example.org/s/run.json#/$defs/a",
            json!({ "$id": "https://example.org/s/run.json", "$defs": { "a": target } }),
        ),
        ("run.json#/$defs/a", json!({ "$id": "https://example.org/s/run.json", "$defs": { "a": target } })),
    ] {
        let mut schema = more;
        schema["properties"] = json!({ "n": { "$ref": reference } });
        assert_eq!(checked(&schema, &json!({ "n": 1 })), [""; 0], "{reference}");
        assert_eq!(checked(&schema, &json!({ "n": "1" })).len(), 1, "{reference}");
    }
    for (schema, reason) in [
        (json!({ "$ref": "#/$defs/none" }), "#/$defs/none"),
        (json!({ "$ref": "#none" }), "#none"),
        (json!({ "$ref": "other.json" }), "other.json"),
        (json!({ "$ref": "https://json-schema.org/draft/2020-12/schema" }), "json-schema.org"),
        (json!({ "$defs": { "a": { "$id": "b.json" } } }), "$id"),
        (json!({ "$defs": { "a": { "$anchor": "x" }, "b": { "$anchor": "x" } } }), "twice"),
        (
            json!({ "$schema": "http://json-schema.org/draft-04/schema#", "definitions": { "a": { "id": "b" } } }),
            "$id",
        ),
    ] {
        assert!(refusal(&schema).contains(reason), "{schema}");
    }
}

#[test]
fn a_schema_that_says_a_key_twice_is_refused() {
    let twice = r#"{"type":"object","properties":{"a":{"type":"string","type":"integer"}}}"#;
    let reason = register(twice).unwrap_err();
    assert!(reason.contains("\"type\"") && reason.contains("twice"), "{reason}");
    register(r#"{"properties":{"price":{"multipleOf":0.01}}}"#).unwrap();
}

#[test]
fn a_pattern_that_is_small_and_compiles_to_much_is_refused() {
    let reason = refusal(&json!({ "properties": { "a": { "pattern": "(\\w{100}){500}" } } }));
    assert!(reason.contains("pattern") || reason.contains("regex"), "{reason}");
}

#[test]
fn thousands_of_patterns_that_compile_to_much_each_are_refused_before_they_take_the_memory() {
    let keys: Map = (0..5000).map(|n| (format!("(a|b|c{n}){{1,1000}}"), json!({}))).collect();
    assert!(refusal(&json!({ "patternProperties": keys })).contains("pattern"));
    let heavy = |n: usize| format!("[ab]{{{}}}", 20_000 + n);
    let keys: Map = (0..90).map(|n| (heavy(n), json!({}))).collect();
    assert!(refusal(&json!({ "patternProperties": keys })).contains("8388608"));
    let parts: Vec<Value> =
        (0..90).map(|n| json!({ "properties": { "a": { "pattern": heavy(n) } } })).collect();
    assert!(refusal(&json!({ "allOf": parts })).contains("8388608"));
    let few: Vec<Value> = (0..101).map(|n| json!({ "pattern": format!("^[x-z]{n}") })).collect();
    assert!(refusal(&json!({ "allOf": few })).contains("100 patterns"));
    let long = json!({ "pattern": "\\p{L}".repeat(8000) });
    assert!(refusal(&long).contains("32768 bytes"));
    // The same one is compiled once, wherever it stands.
    let same: Map = (0..2000).map(|n| (format!("p{n}"), json!({ "pattern": "^[a-z0-9-]{1,64}$" }))).collect();
    assert_eq!(checked(&json!({ "properties": same }), &json!({ "p1": "x", "p2": "Y" })).len(), 1);
}

#[test]
fn patterns_that_take_minutes_to_look_through_long_texts_are_not_tried() {
    let pattern = |n: usize| json!({ "pattern": format!("a[ab]{{{}}}b[ab]{{400}}[x-z]", 300 + n) });
    let text = "ab".repeat(30_000);
    let many = json!({ "additionalProperties": { "allOf": (0..90).map(pattern).collect::<Vec<_>>() } });
    let [reason] = &checked(&many, &json!({ "a": text, "b": text, "c": text }))[..] else {
        panic!("one reason")
    };
    assert!(reason.contains("too long for the patterns"), "{reason}");
    // One of them in one text can be, and so can all of them in a short one.
    let one = json!({ "additionalProperties": pattern(0) });
    assert!(checked(&one, &json!({ "a": text }))[0].starts_with("metadata/a: "));
    assert!(checked(&many, &json!({ "a": "ab".repeat(100) }))[0].starts_with("metadata/a: "));
    // Of names as well, by keys and by what names must be.
    let names = |n: usize| (format!("{}{n}", "ab".repeat(250)), json!(1));
    let wide = json!({ "m": (0..1000).map(names).collect::<Map>() });
    let keys: Map =
        (0..90).map(|n| (pattern(n)["pattern"].as_str().unwrap().to_owned(), json!({}))).collect();
    let by_key = json!({ "properties": { "m": { "patternProperties": keys } } });
    let by_name = json!({ "properties": { "m": { "propertyNames": { "allOf": (0..90).map(pattern).collect::<Vec<_>>() } } } });
    for schema in [by_key, by_name] {
        let [reason] = &checked(&schema, &wide)[..] else { panic!("one reason") };
        assert!(reason.contains("too long for the patterns"), "{reason}");
    }
}

#[test]
fn ordinary_patterns_look_through_long_texts() {
    let schema = json!({ "additionalProperties": { "anyOf": [
        { "pattern": "^[a-z0-9-]{1,64}$" }, { "pattern": "^\\w+$" }, { "pattern": "^(\\p{L}|\\s)*$" },
    ], "minLength": 1 } });
    let texts: Map = (0..4).map(|n| (format!("t{n}"), json!("a".repeat(16_000)))).collect();
    assert_eq!(checked(&schema, &Value::Object(texts)), [""; 0]);
}

fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!({ "type": "integer" })),
        Just(json!({ "required": ["a"] })),
        (0..3_usize).prop_map(|n| json!({ "$ref": format!("#/$defs/{n}") })),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({ "allOf": all })),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({ "oneOf": all })),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({ "properties": { "a": a, "b": b } })),
            (inner.clone(), inner.clone())
                .prop_map(|(a, rest)| json!({ "properties": { "a": a }, "additionalProperties": rest })),
            (inner.clone(), inner).prop_map(|(a, all)| json!({ "prefixItems": [a], "items": all })),
        ]
    })
}

proptest! {
    /// Whatever is laid out is compiled and answers, and whatever compiles and ends is laid out.
    #[test]
    fn schemas_that_can_be_checked_are_laid_out(a in schemas(), b in schemas(), c in schemas(), root in schemas()) {
        let schema = json!({ "allOf": [root], "$defs": { "0": a, "1": b, "2": c } });
        if let Err(reason) = register(&schema.to_string()) {
            prop_assert!(reason.contains("circle") || reason.contains("checks"), "{schema}: {reason}");
            return Ok(());
        }
        for metadata in [json!({}), json!({ "a": { "b": [1, { "a": 1 }] }, "b": [[1]] })] {
            prop_assert!(violations(&schema.to_string(), &metadata).is_ok());
        }
    }
}
