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
        // A key ends where the path does.
        let is_same = |other: &str| {
            other == operation.path || (other.ends_with("/{key}") && operation.path.starts_with(other))
        };
        let same = || operations().filter(|other| is_same(other.path));
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
                }
                other => panic!("{method} {path}: {other:?}"),
            }
        }
    }
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
fn every_schema_is_a_json_schema() {
    for (name, schema) in document()["components"]["schemas"].as_object().unwrap() {
        if let Err(error) = jsonschema::meta::validate(schema) {
            panic!("{name}: {error}");
        }
    }
}
