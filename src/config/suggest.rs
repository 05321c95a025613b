//! What somebody may have meant.

use super::{FILE_VARIABLE, declared, section, variable};

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

/// The candidate that a slip of the keyboard turns into `name`. Beside each the key it stands for: the longer
/// its last word, the more slips are taken for one.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = (String, &'a str)>) -> Option<String> {
    let scored = candidates.map(|(known, key)| {
        let word = key.rsplit('.').next().unwrap_or_default();
        (distance(name, &known), 1 + word.len() / 3, known)
    });
    let (distance, allowed, known) = scored.min_by_key(|(distance, ..)| *distance)?;
    (distance <= allowed).then_some(known)
}

/// Edit distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
