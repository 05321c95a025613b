//! What somebody may have meant.

use super::{FILE_VARIABLE, declared, section, variable};
use crate::setting::nearest;

/// For a variable with our prefix.
pub(super) fn variable_like(name: &str) -> String {
    let known = declared().into_iter().map(|setting| (variable(setting.key), setting.key));
    let known = known.chain([(FILE_VARIABLE.to_owned(), "config")]);
    match nearest(name, known) {
        Some(known) => format!("did you mean {known}?"),
        None => "`artifactstore config example` lists all settings and their variables".to_owned(),
    }
}

/// For a key in a file.
pub(super) fn key_like(key: &str) -> String {
    // The right word in the wrong section.
    let word = |key: &'static str| key.rsplit('.').next();
    let mut elsewhere = declared().into_iter().filter(|setting| word(setting.key) == key.rsplit('.').next());
    if let (Some(one), None) = (elsewhere.next(), elsewhere.next()) {
        return format!("did you mean {}?", one.key);
    }
    let known = declared().into_iter().map(|setting| (setting.key.to_owned(), setting.key));
    if let Some(known) = nearest(key, known) {
        return format!("did you mean {known}?");
    }
    let beside = declared().into_iter().filter(|setting| section(setting.key) == section(key));
    let names = beside.filter_map(|setting| word(setting.key)).collect::<Vec<_>>().join(", ");
    match section(key) {
        "" => format!("the keys outside a section are {names}"),
        section => format!("the keys of [{section}] are {names}"),
    }
}

/// For a section of a file.
pub(super) fn section_like(name: &str) -> String {
    let mut sections: Vec<_> =
        declared().into_iter().map(|setting| section(setting.key)).filter(|name| !name.is_empty()).collect();
    sections.dedup();
    match nearest(name, sections.iter().map(|name| ((*name).to_owned(), *name))) {
        Some(known) => format!("did you mean [{known}]?"),
        None => format!("the sections are [{}]", sections.join("], [")),
    }
}
