use http::Method;

use super::*;
use crate::server::route::{Route, RouteError};

const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE, Method::PATCH, Method::OPTIONS];

/// The path with something in place of each parameter.
fn filled(path: &str) -> String {
    path.replace("{name}", "team/results")
        .replace("{id}", "pkg_01arz3ndektsv4rrffq69g5fav")
        .replace("{path}", "logs/a%20b.txt")
        .replace("{hold}", "hold_01arz3ndektsv4rrffq69g5fav")
        .replace("{disposition}", "disp_01arz3ndektsv4rrffq69g5fav")
        .replace("{schema}", "run")
        .replace("{run}", "gc_01arz3ndektsv4rrffq69g5fav")
        .replace("{webhook}", "whk_01arz3ndektsv4rrffq69g5fav")
        .replace("{key}", "logs/a%20b.txt")
}

#[test]
fn the_checked_in_document_is_this_one() {
    let checked_in = include_str!("../../../docs/openapi.json");
    if checked_in != rendered() {
        let here = std::env::temp_dir().join("openapi.json");
        std::fs::write(&here, rendered()).unwrap();
        panic!("docs/openapi.json is another document; this one is now in {}", here.display());
    }
}

#[test]
fn the_routes_take_what_the_table_says_and_nothing_else() {
    for operation in operations() {
        let path = filled(operation.path);
        let same = || operations().filter(|other| other.path == operation.path);
        for method in METHODS {
            let is_listed = same().any(|other| {
                other.method == method.as_str() || (method == Method::HEAD && other.method == "GET")
            });
            match Route::parse(&method, &path, None) {
                Ok(Route::Extension(_)) => assert!(is_listed, "{method} {path} is not in the table"),
                Err(RouteError::Method(allowed)) => {
                    assert!(!is_listed, "{method} {path} is in the table and not taken");
                    assert!(!allowed.contains(&method.as_str()), "{method} {path}: {allowed:?}");
                    assert!(same().all(|other| allowed.contains(&other.method)), "{path}: {allowed:?}");
                    let is_listed = |name: &str| name == "HEAD" || same().any(|other| other.method == name);
                    assert!(allowed.iter().all(|name| is_listed(name)), "{path}: {allowed:?}");
                }
                other => panic!("{method} {path}: {other:?}"),
            }
        }
    }
}

/// What a parameter may say, and what it may not. The registry itself looks at a role, and at what is signed.
fn samples(parameter: &Parameter) -> (String, Vec<&'static str>) {
    let digest = format!("sha256:{}", "0".repeat(64));
    match (parameter.name, parameter.kind, parameter.pattern) {
        ("role" | "expires" | "kid" | "signature", ..) => ("7".to_owned(), vec![]),
        ("actor", ..) => ("os:ada".to_owned(), vec!["", "%00", "%ff"]),
        ("from" | "until", ..) => ("2026-01-31T00:00:00Z".to_owned(), vec!["", "x", "2026-01-31", "%ff"]),
        ("since", Type::Text, _) => ("now".to_owned(), vec!["", "-1", "1.5", "%2B1", "x", "NOW"]),
        ("types", ..) => ("tag.moved,package.*".to_owned(), vec!["", "tag.", "tag,,blob", "%ff"]),
        ("package", ..) => ("pkg_01arz3ndektsv4rrffq69g5fav".to_owned(), vec!["", "x", "%ff"]),
        ("repository", ..) => ("team/results".to_owned(), vec!["", "A", "a//b", "a%2F%2Fb", "%ff"]),
        ("log_id", ..) => ("01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(), vec!["", "a%20b", "%ff"]),
        (_, Type::Number { min, .. }, _) => (min.to_string(), vec!["", "-1", "1.5", "%2B1", "x"]),
        (_, Type::Flag, _) => ("true".to_owned(), vec!["", "1", "True"]),
        (_, Type::OneOf(values), _) => (values[0].to_owned(), vec!["", "x"]),
        (_, Type::Text, Some(pattern)) if pattern.contains("sha256") => (digest, vec!["", "x", "sha256:0"]),
        ("last", Type::Text, _) => (String::new(), vec!["%00", "%ff"]),
        (_, Type::Text, Some(_)) => ("word".to_owned(), vec!["", "A b", "%C3%A4"]),
        ("reference", Type::Text, None) => ("v1".to_owned(), vec!["", "%ff"]),
        (_, Type::Text, None) => (String::new(), vec!["%ff"]),
    }
}

#[test]
fn a_query_parameter_that_is_empty_malformed_or_there_twice_is_refused_by_name() {
    let mut tried = 0;
    for operation in operations() {
        let (method, path) = (operation.method.parse().unwrap(), filled(operation.path));
        let refusal = |query: &str| match Route::parse(&method, &path, Some(query)) {
            Err(RouteError::Query { name, .. } | RouteError::QueryDigest { name, .. }) => name,
            other => panic!("{method} {path}?{query}: {other:?}"),
        };
        for parameter in operation.parameters.iter().filter(|parameter| parameter.place == "query") {
            let (name, (good, bad)) = (parameter.name, samples(parameter));
            let query = format!("{name}={good}");
            let route = Route::parse(&method, &path, Some(&query));
            assert!(route.is_ok(), "{method} {path}?{query}: {route:?}");
            assert_eq!(refusal(&format!("{query}&{query}")), name);
            for bad in bad {
                assert_eq!(refusal(&format!("{name}={bad}")), name);
            }
            if let Type::Number { max: Some(max), .. } = parameter.kind {
                assert!(Route::parse(&method, &path, Some(&format!("{name}={max}"))).is_ok());
                assert_eq!(refusal(&format!("{name}={}", max + 1)), name);
            }
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn every_parameter_of_a_path_is_declared_and_every_name_leads_somewhere() {
    let document = document();
    for operation in operations() {
        for parameter in operation.parameters.iter().filter(|parameter| parameter.place == "path") {
            assert!(operation.path.contains(&format!("{{{}}}", parameter.name)), "{}", operation.id);
        }
        let declared = operation.parameters.iter().filter(|parameter| parameter.place == "path").count();
        assert_eq!(operation.path.matches('{').count(), declared, "{}", operation.id);
        assert_eq!(operations().filter(|other| other.id == operation.id).count(), 1, "{}", operation.id);
    }
    let text = rendered();
    for reference in text.split("\"$ref\": \"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
}

#[test]
fn a_field_of_a_request_that_is_null_is_one_that_is_not_there() {
    let document = document();
    for name in ["NewPackage", "Finalize"] {
        let schema = &document["components"]["schemas"][name];
        let fields = schema["properties"].as_object().unwrap();
        let nulls: Map<String, Value> = fields.keys().map(|field| (field.clone(), Value::Null)).collect();
        assert!(jsonschema::validator_for(schema).unwrap().is_valid(&nulls.into()), "{name}");
    }
}

#[test]
fn every_schema_is_a_json_schema() {
    for (name, schema) in document()["components"]["schemas"].as_object().unwrap() {
        if let Err(error) = jsonschema::meta::validate(schema) {
            panic!("{name}: {error}");
        }
    }
}
