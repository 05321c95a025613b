//! Entries of the audit as lines of a table (RFC 4180), for HTTP and for commands.
//!
//! A program that opens such a table takes a cell for a formula that begins with `=`, `+`, `-` or `@`, and some do behind
//! a tab or a carriage return. What stands in a cell may come from anybody who may push, so one that begins so has a
//! single quote before it, which means "text" there. Where another separator is usual a program begins a new cell within
//! ours: at a semicolon, a tab or the end of a line, whatever quotes are around it. So what begins there is looked at in
//! the same way. Readers that are programs take NDJSON, which changes nothing.

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
            // None of ours; of another server whatever it says.
            Some(other @ (Value::Array(_) | Value::Object(_))) => cell(text, &other.to_string()),
            Some(other) => {
                let _ = write!(text, "{other}");
            }
        }
    }
    text.push_str("\r\n");
}

/// At which a program may begin a cell that is none of ours.
const BEGINS: [char; 4] = [';', '\t', '\r', '\n'];

fn cell(text: &mut String, value: &str) {
    let value = guarded(value);
    if value.contains([',', '"']) || value.contains(BEGINS) {
        let _ = write!(text, "\"{}\"", value.replace('"', "\"\""));
    } else {
        text.push_str(&value);
    }
}

/// A value with a single quote before whatever a program may take for the beginning of a formula.
fn guarded(value: &str) -> String {
    let mut guarded = String::with_capacity(value.len());
    for piece in value.split_inclusive(BEGINS) {
        // Quotes at the beginning of a cell go before it is looked at.
        let is_formula = piece.trim_start_matches('"').starts_with(['=', '+', '-', '@']);
        let is_blank = guarded.is_empty() && piece.starts_with(['\t', '\r']);
        if is_formula || is_blank {
            guarded.push('\'');
        }
        guarded.push_str(piece);
    }
    guarded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(value: &str) -> String {
        let mut text = String::new();
        cell(&mut text, value);
        text
    }

    #[test]
    fn what_would_be_a_formula_or_break_the_line_is_quoted() {
        assert_eq!(line("plain text"), "plain text");
        assert_eq!(line("a, \"b\"\nc"), "\"a, \"\"b\"\"\nc\"");
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)"] {
            assert_eq!(line(formula), format!("'{formula}"));
        }
        assert_eq!(line("\tx"), "\"'\tx\"");
        assert_eq!(line("=HYPERLINK(\"x\",\"y\")"), "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"");
        assert_eq!(line("\r=1"), "\"'\r'=1\"");
        assert_eq!(line("1-2"), "1-2");
    }

    #[test]
    fn what_another_separator_makes_a_cell_of_is_no_formula_either() {
        assert_eq!(line("see a;b"), "\"see a;b\"");
        for separator in BEGINS {
            for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\"=1+1", "\"\"=1"] {
                let line = line(&format!("x{separator}{formula}"));
                // As a program reads it that knows no quotes but those around a whole cell.
                for piece in line.split(BEGINS) {
                    let begins = piece.trim_start_matches('"').chars().next();
                    assert!(begins.is_some_and(|c| !['=', '+', '-', '@'].contains(&c)), "{line}");
                }
            }
        }
        assert_eq!(line("a;=1;b"), "\"a;'=1;b\"");
    }

    #[test]
    fn what_is_no_single_value_is_one_cell() {
        let mut text = String::new();
        write(&mut text, &json!({ "sequence": -1, "actor": ["=1", "a,b"], "reason": { "a": 1 } }));
        assert_eq!(text, "-1,,\"[\"\"=1\"\",\"\"a,b\"\"]\",,,,,,,\"{\"\"a\"\":1}\",,,,,,\r\n");
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
