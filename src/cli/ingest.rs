//! `artifactstore ingest`: a producer's run directory becomes one package.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::check::print;
use super::{Failure, Outcome};
use crate::package::layout::{Applied, Layout, MAX_DOCUMENT, MAX_LAYOUT, Problem};
use crate::package::{MAX_FILES, PackagePath};

/// A run directory of a producer whose layout is given.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Ingest {
    #[command(subcommand)]
    known: Option<Known>,
    /// The run directory
    #[arg(value_name = "RUN_DIR", required = true)]
    run: Option<PathBuf>,
    /// How its runs are laid out; docs/layouts.md tells how to write one
    #[arg(long, value_name = "FILE", required = true)]
    layout: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

/// Producers whose layout is built in.
#[derive(Debug, Subcommand)]
enum Known {
    /// Register a run of guide-board.
    GuideBoard {
        /// The run directory
        #[arg(value_name = "RUN_DIR")]
        run: PathBuf,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(Debug, Args)]
struct Options {
    /// The retention class, instead of the one the run or its layout asks for
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// The registered schema the metadata has to follow, instead of the one of the layout
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// Print what would be registered; talks to no server
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Ingest {
    pub(super) async fn run(self) -> Outcome {
        let (layout, run, options) = match (self.known, self.run, self.layout) {
            (Some(Known::GuideBoard { run, options }), ..) => (Layout::guide_board(), run, options),
            (None, Some(run), Some(layout)) => (read_layout(&layout)?, run, self.options),
            (None, ..) => return Err(Failure("name a run directory and its --layout".to_owned())),
        };
        let found = list(&run)?;
        let documents = read(&layout, &run, &found.files)?;
        let paths: Vec<_> = found.files.iter().map(|(path, _)| path.clone()).collect();
        let mut problems = found.problems;
        let applied = layout.apply(&paths, &documents).map_err(|more| problems.extend(more));
        let mut applied = match applied {
            Ok(applied) if problems.is_empty() => applied,
            _ => return report(&layout, &run, &problems, options.json),
        };
        let description = &mut applied.description;
        description.retention_class = options.class.or(description.retention_class.take());
        description.schema = options.schema.or(description.schema.take());
        preview(&layout, &applied, &found.files, options.json)
    }
}

fn read_layout(path: &Path) -> Result<Layout, Failure> {
    let failed =
        |error: std::io::Error| Failure(format!("cannot read the layout {}: {error}", path.display()));
    let text = bounded(path, MAX_LAYOUT).map_err(failed)?;
    let text = String::from_utf8(text).map_err(|_| Failure(format!("{} is not UTF-8", path.display())))?;
    Ok(Layout::parse(&path.display().to_string(), &text)?)
}

/// The documents of a layout that are there.
fn read(
    layout: &Layout,
    run: &Path,
    files: &[(PackagePath, u64)],
) -> Result<BTreeMap<PackagePath, Vec<u8>>, Failure> {
    let wanted = layout.documents();
    let there = files.iter().map(|(path, _)| path).filter(|path| wanted.contains(path));
    there
        .map(|path| {
            let file = run.join(path.as_str());
            // One byte more than allowed, for the layout to refuse it by name.
            let content = bounded(&file, MAX_DOCUMENT + 1)
                .map_err(|error| Failure(format!("cannot read {}: {error}", file.display())))?;
            Ok((path.clone(), content))
        })
        .collect()
}

/// At most `most` bytes of a file.
fn bounded(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut content = Vec::new();
    fs::File::open(path)?.take(most).read_to_end(&mut content)?;
    Ok(content)
}

/// What a directory holds.
#[derive(Debug, Default)]
struct Found {
    /// Regular files with their sizes, by path.
    files: Vec<(PackagePath, u64)>,
    /// What cannot be part of a package.
    problems: Vec<Problem>,
}

/// Lists a directory without following links.
fn list(root: &Path) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let failed = |error| Failure(format!("cannot read {}: {error}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let path = format!("{prefix}{}", name.to_string_lossy());
            let metadata = entry.metadata().map_err(failed)?;
            if metadata.is_dir() {
                folders.push((entry.path(), format!("{path}/")));
                continue;
            }
            let wrong = |reason: &str| Problem {
                document: None,
                pointer: None,
                reason: format!("{path:?} {reason}"),
            };
            if name.to_str().is_none() {
                found.problems.push(wrong("has a name that is not UTF-8"));
            } else if !metadata.is_file() {
                found.problems.push(wrong("is a link or a device; a package holds regular files only"));
            } else {
                match path.parse() {
                    Ok(path) => found.files.push((path, metadata.len())),
                    Err(error) => found.problems.push(wrong(&format!("cannot be in a package: {error}"))),
                }
            }
            if found.files.len() > MAX_FILES {
                return Err(Failure(format!("{} holds more than {MAX_FILES} files", root.display())));
            }
        }
    }
    found.files.sort();
    found.problems.sort_by(|a, b| a.reason.cmp(&b.reason));
    Ok(found)
}

/// Says what is wrong with a run directory.
fn report(layout: &Layout, run: &Path, problems: &[Problem], as_json: bool) -> Outcome {
    let entry = |problem: &Problem| json!({ "file": problem.document, "pointer": problem.pointer, "reason": problem.reason });
    let body = json!({ "problems": problems.iter().map(entry).collect::<Vec<_>>() });
    let mut text = format!("{} is not as the layout {} says:", run.display(), layout.name());
    for problem in problems {
        let _ = write!(text, "\n  {problem}");
    }
    print(as_json, &body, &text)?;
    Ok(false)
}

/// Says what would be registered.
fn preview(layout: &Layout, applied: &Applied, files: &[(PackagePath, u64)], as_json: bool) -> Outcome {
    let description = &applied.description;
    let size = |path: &PackagePath| {
        let at = files.binary_search_by(|(known, _)| known.cmp(path));
        at.map_or(0, |at| files[at].1)
    };
    let total: u64 = files.iter().map(|(_, size)| size).sum();
    let table: Vec<Value> = applied
        .files
        .iter()
        .map(|file| {
            json!({ "path": file.path, "size": size(&file.path), "media_type": file.media_type, "role": file.role })
        })
        .collect();
    let mut text = format!(
        "{}: {} files, {total} bytes, kind {}, class {}\nmetadata {:#}\nprovenance {:#}\nfiles",
        layout.name(),
        files.len(),
        description.kind.as_deref().unwrap_or("none"),
        description.retention_class.as_deref().unwrap_or("of the registry"),
        Value::Object(description.metadata.entries().clone()),
        Value::Object(applied.provenance.entries().clone()),
    );
    for file in &applied.files {
        let role = file.role.as_deref().unwrap_or("-");
        let _ = write!(text, "\n  {role:<20} {:>10}  {}", size(&file.path), file.path);
    }
    let body = json!({
        "dry_run": true,
        "kind": description.kind,
        "retention_class": description.retention_class,
        "schema": description.schema,
        "metadata": description.metadata,
        "provenance": applied.provenance,
        "files": table,
        "size": total,
    });
    print(as_json, &body, &text)?;
    Ok(true)
}
