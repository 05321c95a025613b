//! Entries of the audit as lines of a table (RFC 4180), for HTTP and for commands.
//!
//! A program that opens such a table takes a cell for a formula that begins with `=`, `+`, `-` or `@`, and some do behind
//! a tab or a carriage return. What stands in a cell may come from anybody who may push, so one that begins so has a
//! single quote before it, which means "text" there. Readers that are programs take NDJSON, which changes nothing.

use std::fmt::Write as _;

use serde_json::Value;

/// The columns, and where their values are in the JSON of an entry.
const COLUMNS: [(&str, &str); 16] = [
    ("sequence", "/sequence"),
    ("at", "/at"),
    ("actor", "/actor"),
    ("action", "/action"),
    ("decision", "/decision"),
    ("repository", "/repository"),
    ("subject", "/subject"),
    ("reference", "/reference"),
    ("package", "/package"),
    ("reason", "/reason"),
    ("attempts", "/attempts"),
    ("via", "/from/via"),
    ("address", "/from/address"),
    ("client", "/from/client"),
    ("request_id", "/from/request_id"),
    ("event", "/event"),
];

/// The names of the columns.
pub(crate) fn header(text: &mut String) {
    let names = COLUMNS.map(|(name, _)| name);
    let _ = write!(text, "{}\r\n", names.join(","));
}

/// One entry.
pub(crate) fn write(text: &mut String, entry: &Value) {
    for (at, (_, pointer)) in COLUMNS.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        match entry.pointer(pointer) {
            None | Some(Value::Null) => {}
            Some(Value::String(value)) => cell(text, value),
            Some(other) => {
                let _ = write!(text, "{other}");
            }
        }
    }
    text.push_str("\r\n");
}

fn cell(text: &mut String, value: &str) {
    let is_formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if is_formula { "'" } else { "" };
    if value.contains([',', '"', '\r', '\n']) {
        let _ = write!(text, "\"{guard}{}\"", value.replace('"', "\"\""));
    } else {
        let _ = write!(text, "{guard}{value}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_would_be_a_formula_or_break_the_line_is_quoted() {
        let line = |value: &str| {
            let mut text = String::new();
            cell(&mut text, value);
            text
        };
        assert_eq!(line("plain text"), "plain text");
        assert_eq!(line("a, \"b\"\nc"), "\"a, \"\"b\"\"\nc\"");
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"] {
            assert_eq!(line(formula), format!("'{formula}"));
        }
        assert_eq!(line("=HYPERLINK(\"x\",\"y\")"), "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"");
        assert_eq!(line("\r=1"), "\"'\r=1\"");
        assert_eq!(line("1-2"), "1-2");
    }

    #[test]
    fn a_line_has_a_cell_for_every_column() {
        let mut text = String::new();
        header(&mut text);
        write(&mut text, &json!({ "sequence": 7, "actor": "os:ada", "from": { "via": "cli" } }));
        assert_eq!(
            text,
            "sequence,at,actor,action,decision,repository,subject,reference,package,reason,attempts,via,address,\
             client,request_id,event\r\n7,,os:ada,,,,,,,,,cli,,,,\r\n"
        );
    }
}
