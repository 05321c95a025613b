//! What somebody may have meant by a word that is not known.

/// The candidate that a slip of the keyboard turns into `name`. Beside each the key it stands for: the longer
/// its last word, the more slips are taken for one.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = (String, &'a str)>) -> Option<String> {
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
