//! Every setting as text for people: the example file and the table of the documentation.

use std::fmt::Write as _;

use super::{FILE_VARIABLE, declared, flag, section, variable};
use crate::setting::Setting;

/// The width comments are broken at.
const WIDTH: usize = 100;

/// A configuration file with every setting, its meaning and its default. Everything is commented out.
pub fn example() -> String {
    let mut out = format!(
        "# Every setting of artifactstore, with its default; remove the # of what you change.\n\
         # Made by `artifactstore config example`. Named by --config or {FILE_VARIABLE}.\n\
         #\n\
         # A flag wins over the variable, the variable over this file. An empty value is the same as none.\n\
         # `artifactstore config check` says what is wrong, `artifactstore config show` what holds and why.\n"
    );
    let mut open = "";
    for setting in declared() {
        let section = section(setting.key);
        if section != open {
            let _ = write!(out, "\n[{section}]\n");
            open = section;
        }
        let name = setting.key.rsplit('.').next().unwrap_or_default();
        let flag = flag(setting.key).map_or_else(String::new, |flag| format!(", {flag}"));
        let _ = write!(
            out,
            "\n{}# {}{flag}\n#{name} = {}\n",
            comment(setting.doc),
            variable(setting.key),
            default(setting)
        );
    }
    out
}

/// Every setting as rows of a Markdown table: key, default, meaning.
pub fn reference() -> String {
    let mut out = String::from("| key | default | what |\n|---|---|---|\n");
    for setting in declared() {
        let default =
            if setting.default.is_empty() { String::new() } else { format!("`{}`", default(setting)) };
        let _ = writeln!(out, "| `{}` | {default} | {} |", setting.key, setting.doc);
    }
    out
}

fn default(setting: &Setting) -> String {
    setting.kind.toml(&setting.default_for(super::DATA.default))
}

fn comment(text: &str) -> String {
    let mut lines = vec![String::from("#")];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a first line");
        if line.len() + 1 + word.len() > WIDTH {
            lines.push(format!("# {word}"));
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}
