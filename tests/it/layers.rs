//! The architecture as a test: imports point down, and each foreign crate has its place.
//!
//! Reads the sources as text, without comments and literals, and looks at every path that starts with
//! `crate::`, in `use` trees and in expressions alike. Code under `#[cfg(test)]` counts like any other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every module below the crate root and its layer. A module that is missing here is an error.
const LAYERS: [(&str, u8); 23] = [
    ("oci", 0),
    ("hash", 0),
    ("codec", 0),
    ("clock", 0),
    ("secret", 0),
    ("setting", 0),
    ("telemetry", 0),
    ("package", 1),
    ("retention", 1),
    ("storage", 1),
    ("db", 1),
    ("events", 2),
    ("transparency", 2),
    ("dataplane", 2),
    ("views", 3),
    ("auth", 3),
    ("registry", 4),
    ("gc", 4),
    ("server", 5),
    ("config", 5),
    ("client", 5),
    ("cli", 5),
    ("blocking", 5),
];

/// Crates (or paths) and the only places that may name them.
const ONLY_IN: [(&str, &[&str]); 26] = [
    ("argon2", &["src/auth/password"]),
    ("bcrypt", &["src/auth/password"]),
    ("jsonwebtoken", &["src/auth/token"]),
    ("sqlx", &["src/db"]),
    ("aws_config", &["src/storage/s3"]),
    ("aws_credential_types", &["src/storage/s3"]),
    ("aws_sdk_s3", &["src/storage/s3"]),
    ("aws_smithy_http_client", &["src/storage/s3"]),
    ("aws_smithy_runtime_api", &["src/storage/s3"]),
    ("aws_smithy_types", &["src/storage/s3"]),
    ("hyper", &["src/server", "src/client"]),
    // The AWS client has a module of that name.
    ("http", &["src/server", "src/client", "src/storage/s3"]),
    ("hyper_util", &["src/server", "src/client"]),
    ("hyper_rustls", &["src/client"]),
    ("rustls", &["src/client", "src/server/tls"]),
    ("tokio_rustls", &["src/server/tls"]),
    ("x509_cert", &["src/server/tls"]),
    ("rcgen", &["src/server/tls/tests"]),
    ("tower_service", &["src/client"]),
    ("http_body", &["src/server", "src/client", "src/storage/s3"]),
    ("http_body_util", &["src/server", "src/client"]),
    ("clap", &["src/cli", "src/main.rs"]),
    ("clap_complete", &["src/cli"]),
    ("clap_mangen", &["src/cli"]),
    ("flate2", &["src/package/archive", "src/events/snapshot"]),
    ("tar", &["src/package/archive", "src/registry/tests/packages_pushed.rs"]),
];

/// The modules that may not touch files.
const NO_FILES: [&str; 5] = ["oci", "codec", "events", "views", "registry"];

/// The modules HTTP and commands reach only through the registry; `cli/open.rs` wires the parts.
const BELOW_REGISTRY: [&str; 3] = ["db", "storage", "views"];

#[test]
fn every_import_points_down_and_every_crate_is_in_its_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = sources(root, &root.join("src"));
    assert!(files.len() > 3, "found only {} sources under {}", files.len(), root.display());
    let faults: Vec<String> = files.iter().flat_map(|(path, text)| faults(path, text)).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Every `.rs` file under `directory`, its path relative to `root` with forward slashes, and its text.
fn sources(root: &Path, directory: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("source directories are readable") {
        let path = entry.expect("source directories are readable").path();
        if path.is_dir() {
            found.extend(sources(root, &path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root).expect("listed below the root");
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            found.push((relative.to_string_lossy().replace('\\', "/"), text));
        }
    }
    found.sort();
    found
}

/// What is wrong with one file, as `file:line: sentence`.
fn faults(path: &str, text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let module =
        path.trim_start_matches("src/").split('/').next().unwrap_or_default().trim_end_matches(".rs");
    let within = |place: &str| path == place || path.starts_with(&format!("{place}/"));
    let mut faults = BTreeSet::new();
    let is_root = matches!(path, "src/lib.rs" | "src/main.rs");
    if !is_root && layer(module).is_none() {
        faults.insert((1, format!("module {module} is not in the layer table")));
    }
    for (line, word) in tokens.iter().filter(|(_, word)| ONLY_IN.iter().any(|(name, _)| name == word)) {
        let (name, places) = ONLY_IN.iter().find(|(name, _)| name == word).expect("just found");
        if !places.iter().any(|place| within(place)) {
            faults.insert((*line, format!("{name} is named outside {}", places.join(" and "))));
        }
    }
    let depth = depth_of(path);
    for (line, target) in paths(&tokens) {
        let target = match target[0].as_str() {
            "self" | "super" => absolute(target, depth + inline_modules(&tokens, line)),
            _ => target,
        };
        let segment = |at: usize| target.get(at).map_or("", String::as_str);
        match segment(0) {
            "http" if !within("src/server") && !within("src/client") => {
                faults.insert((line, "http is named outside src/server and src/client".to_owned()));
            }
            "rustix" if NO_FILES.contains(&module) => {
                faults.insert((line, format!("{module} does no I/O and names rustix")));
            }
            "std" | "tokio" if segment(1) == "fs" && NO_FILES.contains(&module) => {
                faults.insert((line, format!("{module} does no I/O and names {}::fs", segment(0))));
            }
            "crate" if !is_root => {
                if let Some(fault) = edge_fault(path, module, &target[1..]) {
                    faults.insert((line, fault));
                }
            }
            _ => {}
        }
    }
    faults.into_iter().map(|(line, fault)| format!("{path}:{line}: {fault}")).collect()
}

/// Why `path`, a file of module `from`, may not name `crate::target`.
fn edge_fault(path: &str, from: &str, target: &[String]) -> Option<String> {
    let to = target.first().map_or("", String::as_str);
    let (Some(from_layer), Some(to_layer)) = (layer(from), layer(to)) else {
        return Some(format!("crate::{to} is not in the layer table"));
    };
    let through_registry = from == "server" || (from == "cli" && path != "src/cli/open.rs");
    if through_registry && BELOW_REGISTRY.contains(&to) {
        return Some(format!("{from} names {to} and must go through registry"));
    }
    // Configuration is made of the options each part declares, also of the parts beside it.
    let is_options = target[1..].iter().any(|part| part == "options" || part.ends_with("Options"));
    let allowed = from == to
        || to_layer < from_layer
        || match (from, to) {
            ("codec" | "hash", "oci")
            | ("setting", "secret")
            | ("telemetry", "setting")
            | ("cli", "config" | "server" | "client")
            // Opens a directory as the commands do.
            | ("blocking", "cli") => true,
            ("config", "server" | "cli") => is_options,
            _ => false,
        };
    (!allowed).then(|| format!("{from} (L{from_layer}) names {} (L{to_layer})", target.join("::")))
}

/// `super::super::x` as `crate::x` when that many steps lead from `depth` to the crate root.
fn absolute(path: Vec<String>, depth: usize) -> Vec<String> {
    let relative = path.iter().skip_while(|part| *part == "self");
    let ups = relative.clone().take_while(|part| *part == "super").count();
    if ups == 0 || ups < depth {
        return path;
    }
    let rest = relative.skip(ups).cloned();
    ["crate".to_owned()].into_iter().chain(rest).collect()
}

/// How many modules deep the file is: 1 for `src/oci/mod.rs` and `src/clock.rs`.
fn depth_of(path: &str) -> usize {
    let parts = path.trim_start_matches("src/").trim_end_matches(".rs").split('/');
    parts.filter(|part| !matches!(*part, "mod" | "lib" | "main")).count()
}

/// How many `mod name {` are open where `line` starts, or open on it.
fn inline_modules(tokens: &[(usize, String)], line: usize) -> usize {
    let mut open = Vec::new();
    for (at, (here, token)) in tokens.iter().enumerate() {
        if *here > line {
            break;
        }
        match token.as_str() {
            "{" => open.push(at > 1 && tokens[at - 2].1 == "mod"),
            "}" if *here < line => {
                open.pop();
            }
            _ => {}
        }
    }
    open.into_iter().filter(|is_module| *is_module).count()
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

/// Every path in the text, with `use` trees and their groups multiplied out and the line of the last word.
fn paths(tokens: &[(usize, String)]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let continues = at > 0 && matches!(tokens[at - 1].1.as_str(), "::" | ".");
        let is_path = tokens.get(at + 1).is_some_and(|(_, next)| next == "::");
        let is_use = at > 0 && tokens[at - 1].1 == "use";
        if is_word(&tokens[at].1) && !continues && (is_path || is_use) {
            at = tree(tokens, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one `use` tree or path from `at` on; returns where it ends.
fn tree(
    tokens: &[(usize, String)],
    mut at: usize,
    prefix: &[String],
    found: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let mut path = prefix.to_vec();
    let mut line = tokens.get(at).map_or(0, |token| token.0);
    while let Some((here, token)) = tokens.get(at) {
        if token == "{" {
            at += 1;
            while tokens.get(at).is_some_and(|(_, token)| token != "}") {
                let next = tree(tokens, at, &path, found);
                at = next.max(at + 1);
            }
            return at + 1;
        }
        if !is_word(token) && token != "*" {
            break;
        }
        line = *here;
        path.push(token.clone());
        at += 1;
        if tokens.get(at).is_none_or(|(_, next)| next != "::") {
            break;
        }
        at += 1;
    }
    if path.len() > prefix.len() {
        found.push((line, path));
    }
    if tokens.get(at).is_some_and(|(_, token)| token == "as") {
        at += 2;
    }
    at
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Words, `::` and single punctuation marks with their lines; comments and literals are left out.
fn tokens(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(c) = rest.chars().next() {
        let length = skipped(rest).unwrap_or_else(|| {
            let length = match c {
                _ if is_word(rest) => {
                    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
                }
                ':' if rest.starts_with("::") => 2,
                _ => c.len_utf8(),
            };
            found.push((line, rest[..length].to_owned()));
            length
        });
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// How many bytes of space, comment or literal the text starts with, if it does.
fn skipped(rest: &str) -> Option<usize> {
    let raw = rest.trim_start_matches("br").trim_start_matches(['r', 'c']);
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    let c = rest.chars().next()?;
    if c.is_whitespace() {
        Some(c.len_utf8())
    } else if rest.starts_with("//") {
        Some(rest.find('\n').unwrap_or(rest.len()))
    } else if rest.starts_with("/*") {
        let mut depth = 0;
        let mut at = 0;
        loop {
            match rest.get(at..at + 2) {
                Some("/*") => (depth, at) = (depth + 1, at + 2),
                Some("*/") => (depth, at) = (depth - 1, at + 2),
                _ if at >= rest.len() => return Some(rest.len()),
                _ => at += 1,
            }
            if depth == 0 {
                return Some(at);
            }
        }
    } else if raw.len() < rest.len() && raw[hashes..].starts_with('"') {
        let start = rest.len() - raw.len() + hashes + 1;
        let end = format!("\"{}", "#".repeat(hashes));
        Some(rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len()))
    } else if c == '"' {
        Some(quoted(rest, '"'))
    } else if c == '\'' {
        // A lifetime is a quote and a word without a closing quote behind its first character.
        let mut next = rest.chars().skip(1);
        let first = next.next()?;
        if first == '\\' || next.next() == Some('\'') { Some(quoted(rest, '\'')) } else { Some(1) }
    } else {
        None
    }
}

/// The length of a literal that starts with `quote`, escapes considered.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

mod the_checker {
    use super::faults;

    #[track_caller]
    fn refuses(path: &str, text: &str, line: usize, sentence: &str) {
        let found = faults(path, text);
        let expected = format!("{path}:{line}: ");
        assert!(
            found.iter().any(|fault| fault.starts_with(&expected) && fault.contains(sentence)),
            "{path}: {text:?} gave {found:?}"
        );
    }

    #[track_caller]
    fn accepts(path: &str, text: &str) {
        assert_eq!(faults(path, text), Vec::<String>::new(), "{path}: {text:?}");
    }

    #[test]
    fn refuses_an_upward_edge_wherever_it_is_written() {
        refuses("src/oci/digest.rs", "\n\nuse crate::storage::Key;", 3, "oci (L0) names storage");
        refuses("src/oci/digest.rs", "fn f() { crate::views::tags() }", 1, "oci (L0) names views");
        refuses(
            "src/clock.rs",
            "use crate::{\n    clock::Micros,\n    db::{Db, Tx},\n};",
            3,
            "clock (L0) names db",
        );
        refuses("src/events/mod.rs", "#[cfg(test)]\nmod tests { use crate::registry as r; }", 2, "registry");
        refuses("src/events/mod.rs", "pub(crate) use crate :: gc :: *;", 1, "events (L2) names gc");
        refuses("src/oci/name.rs", "use super::super::storage;", 1, "oci (L0) names storage");
        refuses("src/oci/mod.rs", "mod a {\n  use super::super::{codec};\n}", 2, "oci (L0) names codec");
    }

    #[test]
    fn refuses_a_neighbour_except_the_listed_ones() {
        refuses("src/oci/name.rs", "use crate::codec;", 1, "oci (L0) names codec");
        refuses("src/gc/sweep.rs", "use crate::registry::Registry;", 1, "gc (L4) names registry");
        refuses("src/server/mod.rs", "use crate::config::Config;", 1, "server (L5) names config");
        refuses("src/config/mod.rs", "use crate::server::{Options, listener};", 1, "server::listener");
        accepts("src/codec/mod.rs", "use crate::oci::Digest;");
        accepts("src/cli/serve.rs", "use crate::{config::Config, server};");
        accepts("src/config/mod.rs", "use crate::server::{Options, auth::TokenOptions};");
    }

    #[test]
    fn refuses_modules_it_does_not_know() {
        refuses("src/oci/name.rs", "use crate::misc::x;", 1, "crate::misc is not in the layer table");
        refuses("src/oci/name.rs", "use crate::*;", 1, "not in the layer table");
        refuses("src/util.rs", "", 1, "module util is not in the layer table");
    }

    #[test]
    fn refuses_to_reach_around_the_registry() {
        refuses("src/server/v2/blob.rs", "use crate::storage::Error;", 1, "must go through registry");
        refuses("src/cli/gc.rs", "let x = crate::views::all();", 1, "must go through registry");
        accepts("src/cli/open.rs", "use crate::{db::Db, storage, views};");
    }

    #[test]
    fn refuses_a_crate_outside_its_place() {
        refuses("src/views/tags.rs", "use sqlx::Row;", 1, "sqlx is named outside src/db");
        refuses("src/views/tags.rs", "#[derive(Debug, sqlx::FromRow)] struct R;", 1, "sqlx");
        refuses("src/cli/serve.rs", "use hyper::Request;", 1, "hyper is named outside src/server");
        refuses("src/registry/mod.rs", "fn f(s: http::StatusCode) {}", 1, "http is named outside");
        refuses("src/registry/mod.rs", "use http_body::Body;", 1, "http_body");
        refuses("src/config/mod.rs", "use clap::Parser;", 1, "clap is named outside");
        refuses("src/oci/name.rs", "use std::{fmt, fs};", 1, "names std::fs");
        refuses("src/views/mod.rs", "fn f() { std::fs::read(p) }", 1, "names std::fs");
        refuses("src/codec/mod.rs", "use rustix::fs::open;", 1, "names rustix");
        accepts("src/db/mod.rs", "use sqlx::Row;");
        accepts("src/server/v2.rs", "use {hyper::Request, http::StatusCode};");
        accepts("src/main.rs", "use clap::Parser;");
        accepts("src/storage/local.rs", "use std::fs; use rustix::fs::fsync;");
    }

    #[test]
    fn accepts_downward_edges_and_the_module_itself() {
        accepts("src/registry/mod.rs", "use crate::{oci::{Digest, name::Tag}, views, registry::error};");
        accepts("src/oci/a/b.rs", "use super::super::text; mod tests { use super::*; }");
        accepts("src/clock.rs", "fn f() {}\nmod tests {\n    use super::*;\n    fn g() { super::now() }\n}");
        accepts("src/lib.rs", "pub mod oci; pub use crate::registry::Registry;");
    }

    #[test]
    fn reads_code_and_not_comments_or_literals() {
        accepts("src/oci/name.rs", "/// See [`crate::server`].\n/* use /* sqlx */ crate::db; */\n");
        accepts(
            "src/oci/name.rs",
            r##"const A: &str = "crate::db \" sqlx"; const B: &str = r#"crate::"db"#;"##,
        );
        accepts("src/oci/name.rs", "fn f<'a>(c: &'a str) { g('\"', '\\'', b'\"', \"use crate::db\") }");
        refuses("src/oci/name.rs", "fn f<'a>() { g('\"'); crate::db::x() }", 1, "names db");
        refuses("src/oci/name.rs", "const A: &str = r\"\\\";\nuse crate::db;", 2, "names db");
    }
}
