//! `artifactstore ingest`: a producer's run directory becomes one package.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::print;
use super::package::{Meter, Remote, connect, count, remark_foreign, show_pushed, size};
use super::{Failure, Outcome};
use crate::client::{Job, Source, push, shown, shown_path, tree};
use crate::package::layout::{Applied, Layout, MAX_DOCUMENT, MAX_LAYOUT, Problem, check_whole};
use crate::package::{PackagePath, check_kind, guess_media_type};

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
    /// Where to: [host[:port]/]repository[:tag]
    #[arg(long, value_name = "REFERENCE", required_unless_present = "dry_run")]
    to: Option<String>,
    /// The retention class, instead of the one the run or its layout asks for
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// The registered schema the metadata has to follow, instead of the one of the layout
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// Print what would be registered; talks to no server
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Ingest {
    pub(super) async fn run(self) -> Outcome {
        let (layout, run, options) = match (self.known, self.run, self.layout) {
            (Some(Known::GuideBoard { run, options }), ..) => (Layout::guide_board(), run, options),
            (None, Some(run), Some(layout)) => (read_layout(&layout)?, run, self.options),
            (None, ..) => return Err(Failure("name a run directory and its --layout".to_owned())),
        };
        // Before anything is read.
        let to = options.to.as_deref().map(|to| options.remote.place(to)).transpose()?;
        check_kind("class", options.class.as_deref())?;
        check_kind("schema", options.schema.as_deref())?;
        let json = options.remote.json;
        let meter = Meter::start();
        let name = run.clone();
        let found = tokio::task::spawn_blocking(move || Found::read(layout, &name)).await??;
        let Found { layout, files, applied } = found;
        let mut applied = match applied {
            Ok(applied) => applied,
            Err(problems) => return report(&layout, &run, &problems, json),
        };
        let description = &mut applied.description;
        description.retention_class = options.class.or(description.retention_class.take());
        description.schema = options.schema.or(description.schema.take());
        let Some(to) = to.filter(|_| !options.dry_run) else {
            drop(meter);
            return preview(&layout, &applied, &files, json);
        };
        let client = connect(&to)?;
        let Applied { description, provenance, .. } = applied;
        let pushed = push(&client, Job { to, files, description, provenance }, &meter.progress).await?;
        drop(meter);
        show_pushed(&pushed, json)?;
        Ok(true)
    }
}

/// A run directory that was looked at.
struct Found {
    layout: Layout,
    /// Its files, with the roles and media types of the layout where it fits.
    files: Vec<Source>,
    applied: Result<Applied, Vec<Problem>>,
}

impl Found {
    /// Lists a directory and reads the documents of its layout. Does blocking I/O.
    fn read(layout: Layout, run: &Path) -> Result<Self, Failure> {
        // What cannot be packed is reported beside what else is wrong, rather than left out.
        let tree::Tree { mut files, skipped, foreign, .. } = tree::walk(run, true)?;
        remark_foreign(&foreign);
        let special = |path: &PathBuf| {
            let reason = format!("{} is no regular file; a package holds nothing else", shown_path(path));
            Problem { document: None, pointer: None, reason }
        };
        let mut problems: Vec<_> = skipped.iter().map(special).collect();
        problems.extend(files.iter().filter_map(|file| torn(&layout, file)));
        let documents = read(&layout, &files)?;
        let paths: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
        let applied = match layout.apply(&paths, &documents) {
            Ok(applied) if problems.is_empty() => Ok(applied),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.extend(more);
                Err(problems)
            }
        };
        if let Ok(applied) = &applied {
            for (file, assigned) in files.iter_mut().zip(&applied.files) {
                file.role.clone_from(&assigned.role);
                file.media_type.clone_from(&assigned.media_type);
            }
        }
        Ok(Self { layout, files, applied })
    }
}

fn read_layout(path: &Path) -> Result<Layout, Failure> {
    let failed =
        |error: std::io::Error| Failure(format!("cannot read the layout {}: {error}", path.display()));
    // One byte more than allowed: what was cut could be read as another layout.
    let text = bounded(path, MAX_LAYOUT + 1).map_err(failed)?;
    if text.len() as u64 > MAX_LAYOUT {
        let path = path.display();
        return Err(Failure(format!(
            "the layout {path} has more than {MAX_LAYOUT} bytes, and none needs so many"
        )));
    }
    let text = String::from_utf8(text).map_err(|_| Failure(format!("{} is not UTF-8", path.display())))?;
    Ok(Layout::parse(&path.display().to_string(), &text)?)
}

/// What is wrong with a file that has to be all there. Documents are parsed anyway.
fn torn(layout: &Layout, Source { path, file, .. }: &Source) -> Option<Problem> {
    if !layout.is_whole(path) || layout.documents().contains(path) {
        return None;
    }
    let content = fs::File::open(file).map_err(|error| format!("cannot be read: {error}"));
    let reason = content.and_then(|file| check_whole(path, BufReader::new(file))).err()?;
    Some(Problem { document: Some(path.clone()), pointer: Some(String::new()), reason })
}

/// The documents of a layout that are there.
fn read(layout: &Layout, files: &[Source]) -> Result<BTreeMap<PackagePath, Vec<u8>>, Failure> {
    let wanted = layout.documents();
    let there = files.iter().filter(|file| wanted.contains(&file.path));
    there
        .map(|Source { path, file, .. }| {
            // One byte more than allowed, for the layout to refuse it by name.
            let content = bounded(file, MAX_DOCUMENT + 1)
                .map_err(|error| Failure(format!("{} cannot be read: {error}", file.display())))?;
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

/// Says what is wrong with a run directory.
fn report(layout: &Layout, run: &Path, problems: &[Problem], as_json: bool) -> Outcome {
    let entry = |problem: &Problem| json!({ "file": problem.document, "pointer": problem.pointer, "reason": problem.reason });
    let body = json!({ "problems": problems.iter().map(entry).collect::<Vec<_>>() });
    let mut text = format!("{} is not as the layout {} says:", shown_path(run), layout.name());
    for problem in problems {
        let _ = write!(text, "\n  {}", shown(&problem.to_string()));
    }
    print(as_json, &body, &text)?;
    Ok(false)
}

/// Says what would be registered.
fn preview(layout: &Layout, applied: &Applied, files: &[Source], as_json: bool) -> Outcome {
    let description = &applied.description;
    let mut total = 0;
    let mut lines = String::new();
    let mut table = Vec::new();
    for Source { path, file, media_type, role } in files {
        let size = fs::metadata(file)
            .map_err(|error| Failure(format!("{} cannot be read: {error}", file.display())))?
            .len();
        total += size;
        let media_type = media_type.as_deref().unwrap_or_else(|| guess_media_type(path));
        let _ =
            write!(lines, "\n  {:<20} {media_type:<26} {size:>10} {path}", role.as_deref().unwrap_or("-"));
        table.push(json!({ "path": path, "size": size, "media_type": media_type, "role": role }));
    }
    let text = format!(
        "{}: {}, {}, kind {}, class {}\nmetadata {:#}\nprovenance {:#}\nfiles{lines}",
        layout.name(),
        count(files.len() as u64, "file"),
        size(total),
        description.kind.as_deref().unwrap_or("none"),
        description.retention_class.as_deref().unwrap_or("of the registry"),
        Value::Object(description.metadata.entries().clone()),
        Value::Object(applied.provenance.entries().clone()),
    );
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
