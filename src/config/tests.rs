use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::db::Url;
use crate::storage::Engine;

/// A load with a file of this text, if any, these variables and these flags.
fn load(
    text: Option<&str>,
    variables: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Config, Error> {
    let directory = TempDir::new().unwrap();
    let file = text.map(|text| {
        let path = directory.path().join("a.toml");
        fs::write(&path, text).unwrap();
        path
    });
    let values = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(Flags { file, values }, variables)
}

fn file(text: &str) -> Result<Config, Error> {
    load(Some(text), &[], &[])
}

fn environment(variables: &[(&str, &str)]) -> Result<Config, Error> {
    load(None, variables, &[])
}

#[track_caller]
fn refused(loaded: Result<Config, Error>, texts: &[&str]) {
    let error = loaded.unwrap_err();
    let mut said = error.to_string();
    if let Some(source) = std::error::Error::source(&error) {
        said = format!("{said}: {source}");
    }
    for text in texts {
        assert!(said.contains(text), "expected {text:?}: {said}");
    }
    assert!(!said.contains("hunter2") && !said.contains('\n'), "{said}");
}

fn entry<'a>(config: &'a Config, key: &str) -> &'a Entry {
    config.entries.iter().find(|entry| entry.setting.key == key).unwrap()
}

#[test]
fn nothing_said_is_an_embedded_registry_in_the_data_directory() {
    let settings = environment(&[("HOME", "/root"), ("AWS_REGION", "eu-west-1")]).unwrap().settings;
    assert_eq!(settings.listen.to_string(), "127.0.0.1:5000");
    assert_eq!(settings.database.url, Url::Sqlite("data/registry.db".into()));
    assert_eq!(settings.storage.engine, Engine::Local("data/storage".into()));
    let moved = load(None, &[], &[("data", "/x")]).unwrap().settings;
    assert_eq!(moved.data, Path::new("/x"));
    assert_eq!(moved.database.url, Url::Sqlite("/x/registry.db".into()));
    assert_eq!(moved.storage.engine, Engine::Local("/x/storage".into()));
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_defaults() {
    let text = "data = \"/file\"\nlog_level = \"warn\"\n[server]\ndrain = \"1s\"\nidle_timeout = \"3s\"\n";
    let variables = [("ARTIFACTSTORE_DATA", "/env"), ("ARTIFACTSTORE_SERVER_DRAIN", "2s")];
    let config = load(Some(text), &variables, &[("data", "/flag")]).unwrap();
    let settings = &config.settings;
    assert_eq!(settings.data, Path::new("/flag"));
    assert_eq!(settings.server.drain, Duration::from_secs(2));
    assert_eq!(settings.server.idle_timeout, Duration::from_secs(3));
    assert_eq!(settings.server.header_timeout, Duration::from_secs(30));
    assert_eq!(settings.log.level, "warn");
    let data = entry(&config, "data");
    assert_eq!(data.source, Source::Flag("--data"));
    assert!(matches!(&data.over[..], [Source::Variable(_), Source::File { line: 1, .. }]), "{data:?}");
    assert!(matches!(entry(&config, "server.idle_timeout").source, Source::File { line: 5, .. }));
    assert_eq!(entry(&config, "server.header_timeout").source, Source::Default);
}

#[test]
fn every_key_can_be_set_by_its_variable_and_in_the_file() {
    for setting in declared() {
        let default = setting.default_for("data");
        let fitting = match setting.key {
            "retention.classes" => "audit period=P7Y",
            "webhooks.allow" => "10.0.0.0/8",
            _ => "5000000",
        };
        let text = if default.is_empty() { fitting } else { &default };
        let name = variable(setting.key);
        let mut variables = vec![(name.as_str(), text)];
        if setting.key.starts_with("storage.s3") {
            variables.push(("ARTIFACTSTORE_STORAGE_BACKEND", "local"));
        }
        // None of these means anything without the others.
        if setting.key.starts_with("tls.") {
            variables.extend([("ARTIFACTSTORE_TLS_CERTIFICATE", "c"), ("ARTIFACTSTORE_TLS_KEY", "k")]);
        }
        if setting.key.starts_with("tls.client_c") {
            variables.push(("ARTIFACTSTORE_TLS_CLIENT_AUTH", "required"));
            variables.push(("ARTIFACTSTORE_TLS_CLIENT_CA", "a"));
        }
        let (first, others) = variables.split_first().unwrap();
        let others = others.iter().filter(|(name, _)| name != &first.0).copied();
        let variables: Vec<_> = [*first].into_iter().chain(others).collect();
        let config = environment(&variables).unwrap();
        assert_eq!(entry(&config, setting.key).source, Source::Variable(name.clone()), "{}", setting.key);
        let (section, key) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
        let head = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
        let file_text = format!("{head}{key} = {}\n", setting.kind.toml(text));
        let config = load(Some(&file_text), &variables[1..], &[]).unwrap();
        let found = &entry(&config, setting.key).source;
        assert!(matches!(found, Source::File { .. }), "{}: {found:?}", setting.key);
    }
}

#[test]
fn no_two_settings_share_a_name() {
    let mut keys: Vec<_> = declared().iter().map(|setting| setting.key).collect();
    let mut variables: Vec<_> = declared().iter().map(|setting| variable(setting.key)).collect();
    variables.push(FILE_VARIABLE.to_owned());
    let (all, all_variables) = (keys.len(), variables.len());
    keys.sort_unstable();
    keys.dedup();
    variables.sort();
    variables.dedup();
    assert_eq!((keys.len(), variables.len()), (all, all_variables));
}

#[test]
fn the_file_is_named_by_the_environment_too_and_must_exist() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("b.toml");
    fs::write(&path, "listen = \"127.0.0.1:1\"").unwrap();
    let config = environment(&[(FILE_VARIABLE, path.to_str().unwrap())]).unwrap();
    assert_eq!(config.settings.listen.port(), 1);
    let flags = Flags { file: Some("/nowhere/c.toml".into()), ..Flags::default() };
    let variables = [(FILE_VARIABLE.to_owned(), path.to_str().unwrap().to_owned())];
    refused(Config::load(flags, variables.into_iter()), &["cannot read", "/nowhere/c.toml", "No such file"]);
}

#[test]
fn what_means_nothing_is_refused_with_the_place_and_a_suggestion() {
    for (text, texts) in [
        ("\nlisten_ = \"x\"", &["a.toml:2: ", "unknown setting listen_", "did you mean listen?"][..]),
        ("[databse]\nurl = \"x\"", &["a.toml:1: unknown section [databse]", "did you mean [database]?"]),
        (
            "[database]\nuri = \"x\"",
            &["a.toml:2: unknown setting database.uri", "did you mean database.url?"],
        ),
        ("[storage]\nbucket = \"x\"", &["did you mean storage.s3.bucket?"]),
        ("[server.tls]", &["a.toml:1: unknown section [server.tls]", "the sections are [database]"]),
        ("server.tls.key = \"hunter2\"", &["a.toml:1: unknown section [server.tls]"]),
        ("[server]\ncolour = \"blue\"", &["unknown setting server.colour", "header_timeout"]),
        ("colour = \"hunter2\"", &["unknown setting colour", "the keys outside a section are data, listen"]),
        ("storage = \"s3\"", &["unknown setting storage", "write [storage]"]),
        ("[[server]]\ndrain = \"1s\"", &["unknown setting server", "write [server]"]),
        ("\"server.drain\" = \"1s\"", &["unknown setting server.drain"]),
        ("a = \"hunter2", &["a.toml:1: "]),
        ("data = \"a\"\ndata = \"b\"", &["a.toml:2: ", "duplicate"]),
    ] {
        refused(file(text), texts);
    }
    for (name, texts) in [
        (
            "ARTIFACTSTORE_LISTN",
            &["unknown setting ARTIFACTSTORE_LISTN; did you mean ARTIFACTSTORE_LISTEN?"][..],
        ),
        ("ARTIFACTSTORE_DATABASE_URI", &["did you mean ARTIFACTSTORE_DATABASE_URL?"]),
        ("ARTIFACTSTORE_CONFG", &["did you mean ARTIFACTSTORE_CONFIG?"]),
        ("ARTIFACTSTORE_STORAGE_S3_BUCKTE", &["did you mean ARTIFACTSTORE_STORAGE_S3_BUCKET?"]),
        ("ARTIFACTSTORE_COLOUR", &["config example"]),
    ] {
        refused(environment(&[(name, "hunter2")]), texts);
    }
}

#[test]
fn a_value_that_means_nothing_is_refused_with_what_it_should_be() {
    for (text, texts) in [
        ("listen = 5000", &["a.toml:1: listen is 5000", "127.0.0.1:5000"][..]),
        ("listen = \"localhost\"", &["a.toml:1: listen is \"localhost\"", "an address and a port"]),
        ("allow_sparse = \"true\"", &["allow_sparse is \"true\"", "true or false"]),
        (
            "[database]\nreaders = \"8\"",
            &["a.toml:2: database.readers is \"8\"", "whole number from 1 to 1000"],
        ),
        ("[database]\nreaders = 0", &["database.readers is \"0\"", "from 1 to 1000"]),
        ("[database]\nreaders = 1.5", &["database.readers is of type float"]),
        ("[database]\nlock_timeout = 5", &["database.lock_timeout is 5", "30s"]),
        ("[database]\nlock_timeout = \"5\"", &["database.lock_timeout is \"5\"", "from 100ms to 10m"]),
        ("[database]\nurl = \"mysql://me:hunter2@host/db\"", &["\"mysql://me@host/db\"", "give postgres://"]),
        ("[database]\nurl = \"sqlite:///x?mode=ro\"", &["database.url", "nothing but the path"]),
        ("[storage]\nbackend = \"gcs\"", &["storage.backend is \"gcs\"", "local or s3"]),
        ("[storage]\nalso = \"local\"", &["storage.also is \"local\"", "a list"]),
        ("[storage]\nalso = [1]", &["storage.also is of type array"]),
        ("[storage]\nalso = [\"Local\"]", &["storage.also is \"Local\"", "lower-case"]),
        ("[storage.s3]\npart_size = \"1MiB\"", &["storage.s3.part_size", "from 5MiB to 5GiB"]),
        ("[storage.s3]\nsecret_access_key = 5", &["secret_access_key is of type integer"]),
        ("[limits]\nmanifest = -1", &["limits.manifest is \"-1\""]),
        ("[limits.manifest]\nx = 1", &["limits.manifest is of type table"]),
        ("log_level = \"verbose\"", &["a.toml:1: log_level is \"verbose\"", "no level", "info"]),
    ] {
        refused(file(text), texts);
    }
    refused(environment(&[("ARTIFACTSTORE_LISTEN", "5000")]), &["ARTIFACTSTORE_LISTEN is \"5000\""]);
    refused(load(None, &[], &[("listen", "5000")]), &["--listen is \"5000\""]);
    refused(load(None, &[], &[("data", "")]), &["--data is \"\"", "a path"]);
}

#[test]
fn an_empty_value_is_the_same_as_none() {
    let text = "data = \"/file\"\n[database]\nurl = \"\"\nreaders = \"\"\n[storage.s3]\nbucket = \"\"";
    let config = load(Some(text), &[("ARTIFACTSTORE_DATA", "")], &[]).unwrap();
    assert_eq!(config.settings.data, Path::new("/file"));
    assert_eq!(config.settings.database.url, Url::Sqlite("/file/registry.db".into()));
    assert_eq!(config.settings.database.readers, 8);
}

#[test]
fn a_bucket_is_used_only_when_somebody_chose_s3_by_name() {
    let bucket = "[storage.s3]\nbucket = \"b\"";
    let hint = ["a.toml:2: storage.s3.bucket is set and storage.backend is not", "\"s3\"", "\"local\""];
    refused(file(bucket), &hint);
    let variable = [("ARTIFACTSTORE_STORAGE_S3_REGION", "eu")];
    refused(environment(&variable), &["ARTIFACTSTORE_STORAGE_S3_REGION is set and storage.backend is not"]);
    let local = file(&format!("storage.backend = \"local\"\n{bucket}")).unwrap();
    assert!(matches!(local.settings.storage.engine, Engine::Local(_)));
    let s3 = file(&format!("storage.backend = \"s3\"\n{bucket}")).unwrap();
    assert_eq!(s3.settings.storage.engine, Engine::S3(Box::new(storage::s3::Options::new("b"))));
    refused(
        file("[storage]\nbackend = \"s3\""),
        &["storage.s3.bucket (ARTIFACTSTORE_STORAGE_S3_BUCKET) is not set", "name the bucket"],
    );
}

const ALIASES: [(&str, &str); 5] = [
    ("ARTIFACT_STORAGE_BACKEND", "s3"),
    ("ALLOW_CLOUD_DEFAULT", "true"),
    ("AWS_S3_BUCKET", "theirs"),
    ("AWS_S3_ENDPOINT_URL", "https://theirs.example.org"),
    ("AWS_REGION", "their-region"),
];

#[test]
fn the_names_of_other_programs_count() {
    let config = environment(&ALIASES).unwrap();
    let Engine::S3(options) = &config.settings.storage.engine else { panic!("{:?}", config.settings) };
    assert_eq!(options.bucket, "theirs");
    assert_eq!(options.endpoint.as_deref(), Some("https://theirs.example.org"));
    assert_eq!(options.region, "their-region");
    assert_eq!(entry(&config, "storage.s3.region").source, Source::Variable("AWS_REGION".to_owned()));
    // Where S3 was chosen by our name it needs no permission.
    let ours = [("ARTIFACTSTORE_STORAGE_BACKEND", "s3"), ALIASES[2], ALIASES[4]];
    assert_eq!(entry(&environment(&ours).unwrap(), "storage.s3.bucket").text, "theirs");
    let local = environment(&[("ARTIFACT_STORAGE_BACKEND", "local"), ALIASES[2]]).unwrap();
    assert!(matches!(local.settings.storage.engine, Engine::Local(_)));
    assert_eq!(entry(&local, "storage.s3.bucket").source, Source::Default);
}

#[test]
fn a_default_never_turns_into_a_cloud() {
    refused(environment(&ALIASES[..1]), &["ARTIFACT_STORAGE_BACKEND is \"s3\"", "ALLOW_CLOUD_DEFAULT"]);
    for allow in ["false", "1", ""] {
        refused(environment(&[ALIASES[0], ("ALLOW_CLOUD_DEFAULT", allow)]), &["ALLOW_CLOUD_DEFAULT"]);
    }
    let unasked = environment(&ALIASES[1..]).unwrap();
    assert!(matches!(unasked.settings.storage.engine, Engine::Local(_)));
    refused(
        environment(&[("ARTIFACT_STORAGE_BACKEND", "gcs")]),
        &["ARTIFACT_STORAGE_BACKEND is \"gcs\"", "local or s3"],
    );
}

#[test]
fn our_own_names_win_over_those_of_others() {
    let text = "storage.backend = \"s3\"\n[storage.s3]\nbucket = \"ours\"\nregion = \"our-region\"";
    let config = load(Some(text), &ALIASES, &[]).unwrap();
    let Engine::S3(options) = &config.settings.storage.engine else { panic!("{:?}", config.settings) };
    assert_eq!((options.bucket.as_str(), options.region.as_str()), ("ours", "our-region"));
    assert_eq!(options.endpoint.as_deref(), Some("https://theirs.example.org"));
    let over = |key| entry(&config, key).over.iter().map(Source::to_string).collect::<Vec<_>>();
    assert_eq!(over("storage.backend"), ["variable ARTIFACT_STORAGE_BACKEND"]);
    assert_eq!(over("storage.s3.bucket"), ["variable AWS_S3_BUCKET"]);
    let local = load(Some("storage.backend = \"local\""), &ALIASES, &[]).unwrap();
    assert!(matches!(local.settings.storage.engine, Engine::Local(_)));
}

#[test]
fn nothing_shows_a_password_or_key() {
    let text = "[database]\nurl = \"postgres://me:hunter2@host/db?password=hunter2\"\n[storage]\nbackend = \"s3\"\n\
        [storage.s3]\nbucket = \"b\"\naccess_key_id = \"id\"\nsecret_access_key = \"hunter2\"\nsession_token = \"hunter2\"";
    let config = file(text).unwrap();
    let shown: Vec<_> = config.entries.iter().map(Entry::shown).collect();
    assert!(!shown.join("\n").contains("hunter2"), "{shown:?}");
    assert!(shown.contains(&"\"postgres://me@host/db\"".to_owned()), "{shown:?}");
    assert!(!format!("{:?}", config.settings).contains("hunter2"), "{:?}", config.settings);
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_checked_in_example_is_the_generated_one() {
    let path = repository("deploy/artifactstore.example.toml");
    let checked_in = fs::read_to_string(path).unwrap();
    assert!(
        checked_in == example(),
        "run `artifactstore config example > deploy/artifactstore.example.toml`"
    );
}

#[test]
fn the_example_says_the_defaults_also_without_the_comment_signs() {
    let uncommented = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    let all: Vec<_> = example().lines().map(uncommented).collect();
    let (commented, all) = (file(&example()).unwrap(), file(&all.join("\n")).unwrap());
    assert_eq!(commented.settings, environment(&[]).unwrap().settings);
    assert_eq!(all.settings, commented.settings);
    for entry in &all.entries {
        let is_said = matches!(entry.source, Source::File { .. });
        assert_eq!(is_said, !entry.setting.default.is_empty(), "{}", entry.setting.key);
    }
}

#[test]
fn the_documentation_names_every_setting() {
    let text = fs::read_to_string(repository("docs/configuration.md")).unwrap();
    assert!(text.contains(&reference()), "docs/configuration.md should have this table:\n{}", reference());
}
