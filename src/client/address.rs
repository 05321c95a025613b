//! Where a server says to go on (RFC 3986 §5.2), of which `Location` may say as little as it likes.

/// The address a reference means on a page at `base`, which has a scheme and an authority.
pub(super) fn resolve(base: &str, reference: &str) -> String {
    let reference = reference.split('#').next().unwrap_or_default();
    if has_scheme(reference) {
        return reference.to_owned();
    }
    let (scheme, rest) = base.split_once("://").unwrap_or(("https", base));
    if reference.starts_with("//") {
        return format!("{scheme}:{reference}");
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let path = if path.is_empty() { "/" } else { path };
    let (target, behind) = reference.split_once('?').map_or((reference, None), |(t, q)| (t, Some(q)));
    let (path, query) = match target {
        "" => (path.to_owned(), behind.or(query)),
        absolute if absolute.starts_with('/') => (without_dots(absolute), behind),
        relative => {
            let folder = &path[..=path.rfind('/').unwrap_or_default()];
            (without_dots(&format!("{folder}{relative}")), behind)
        }
    };
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{authority}{path}{query}")
}

fn has_scheme(reference: &str) -> bool {
    reference.split_once(':').is_some_and(|(scheme, _)| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(plain)
    })
}

/// A path that begins with a slash, without `.` and `..` in it.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    for (at, part) in parts.iter().enumerate() {
        match *part {
            "." => {}
            ".." => drop(kept.pop()),
            part => {
                kept.push(part);
                continue;
            }
        }
        // What ends with dots is a folder.
        if at + 1 == parts.len() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::resolve;

    /// Those of RFC 3986 §5.4 that have no fragment of their own.
    #[test]
    fn references_lead_where_the_standard_says() {
        for (reference, expected) in [
            ("https://g/y", "https://g/y"),
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("g?y/./x", "http://a/b/c/g?y/./x"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g#s", "http://a/b/c/g"),
        ] {
            assert_eq!(resolve("http://a/b/c/d;p?q", reference), expected, "{reference}");
        }
        assert_eq!(resolve("http://a:5000", "g"), "http://a:5000/g");
        assert_eq!(
            resolve("http://h/v2/a/blobs/uploads/?digest=x", "1?s=/"),
            "http://h/v2/a/blobs/uploads/1?s=/"
        );
        assert_eq!(resolve("http://h/v2/", "a:b"), "a:b");
        assert_eq!(resolve("http://h/v2/", "./a:b/"), "http://h/v2/a:b/");
    }
}
