//! The commands that look at the settings: `config check`, `config show`, `config example`.

use serde_json::{Value, json};

use super::Outcome;
use super::output::print;
use crate::config::{self, Config, Entry, Source};

/// Loading found nothing wrong, or it would not have come here.
pub(super) fn check(config: &Config, as_json: bool) -> Outcome {
    let said = config.entries.iter().filter(|entry| entry.source != Source::Default).count();
    let text = format!("the settings are in order; {said} of {} are not their default", config.entries.len());
    print(as_json, &json!({ "status": "ok", "set": said, "settings": config.entries.len() }), &text)?;
    Ok(true)
}

pub(super) fn show(config: &Config, as_json: bool) -> Outcome {
    let text = config.entries.iter().map(line).collect::<Vec<_>>().join("\n");
    let body = json!({ "settings": config.entries.iter().map(describe).collect::<Vec<_>>() });
    print(as_json, &body, &text)?;
    Ok(true)
}

pub(super) fn example() -> Outcome {
    print(false, &Value::Null, config::example().trim_end())?;
    Ok(true)
}

/// `key = value  # source, over the sources that lost`
fn line(entry: &Entry) -> String {
    let over: Vec<_> = entry.over.iter().map(Source::to_string).collect();
    let over = if over.is_empty() { String::new() } else { format!(", over {}", over.join(", ")) };
    format!("{} = {}  # {}{over}", entry.setting.key, entry.shown(), entry.source)
}

fn describe(entry: &Entry) -> Value {
    // What stands in a TOML file for one value is JSON too.
    let value = serde_json::from_str(&entry.shown()).unwrap_or(Value::Null);
    let value = if entry.text.is_empty() && value.is_string() { Value::Null } else { value };
    json!({
        "key": entry.setting.key,
        "value": value,
        "source": source(&entry.source),
        "over": entry.over.iter().map(source).collect::<Vec<_>>(),
    })
}

fn source(source: &Source) -> Value {
    match source {
        Source::Default => json!({ "kind": "default" }),
        Source::File { path, line } => json!({ "kind": "file", "path": path, "line": line }),
        Source::Variable(name) => json!({ "kind": "variable", "name": name }),
        Source::Flag(name) => json!({ "kind": "flag", "name": name }),
    }
}
