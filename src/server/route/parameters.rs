//! The query parameters of the extension: each at most once, and none that says nothing.
//!
//! Which of two values counts, or what an empty number is, every reader of a URL would decide for itself, and a `digest`
//! that was left empty by mistake would guard nothing. The lists of the distribution specification are read with more
//! patience: see [`Query`](super::query::Query).

use percent_encoding::percent_decode_str;

use super::{Page, RouteError};
use crate::oci::{Digest, excerpt};
use crate::package::check_kind;
use crate::setting::nearest;

/// The parameters of a request. Those a route does not ask for are ignored, unless it [says](Parameters::only) that there
/// must be no others.
pub(super) struct Parameters(Vec<(String, Option<String>)>);

impl Parameters {
    pub(super) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)))
        });
        Self(pairs.collect())
    }

    /// Refuses every parameter but these: a filter that is misspelt would let everything through.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), RouteError> {
        // Between two `&` there may be nothing.
        let mut named =
            self.0.iter().filter(|(name, value)| !name.is_empty() || value.as_deref() != Some(""));
        let Some((name, _)) = named.find(|(name, _)| !known.contains(&name.as_str())) else {
            return Ok(());
        };
        let nearest = nearest(name, known.iter().map(|known| ((*known).to_owned(), *known)));
        Err(RouteError::UnknownQuery { name: excerpt(name), nearest })
    }

    /// Whether there is one of this name, whatever it says.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// A text, which may be empty.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&str>, RouteError> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(refused(name, "it is there more than once"));
        }
        match value {
            Some(text) => Ok(Some(text)),
            None => Err(refused(name, "it is not percent-encoded UTF-8")),
        }
    }

    /// What `read` makes of a text; `what` says what it should be.
    pub(super) fn read<T>(
        &self,
        name: &'static str,
        what: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, RouteError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let invalid = || refused(name, &format!("{:?} is not {what}", excerpt(text)));
        read(text).map(Some).ok_or_else(invalid)
    }

    /// A number of `min` to `max`. Where there is no `max`, one beyond 64 bits is the greatest of them.
    pub(super) fn number(
        &self,
        name: &'static str,
        min: u64,
        max: Option<u64>,
    ) -> Result<Option<u64>, RouteError> {
        let what = match max {
            Some(max) => format!("a whole number of {min} to {max}"),
            None => format!("a whole number of at least {min}"),
        };
        self.read(name, &what, |text| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = is_number.then(|| text.parse().unwrap_or(u64::MAX))?;
            (number >= min && max.is_none_or(|max| number <= max)).then_some(number)
        })
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>, RouteError> {
        self.read(name, "true or false", |text| text.parse().ok())
    }

    pub(super) fn digest(&self, name: &'static str) -> Result<Option<Digest>, RouteError> {
        let digest = |text: &str| text.parse().map_err(|reason| RouteError::QueryDigest { name, reason });
        self.text(name)?.map(digest).transpose()
    }

    /// A kind or class.
    pub(super) fn word(&self, name: &'static str) -> Result<Option<String>, RouteError> {
        self.read(name, "1 to 64 of a-z, 0-9, '.', '_' and '-'", |text| {
            check_kind(name, Some(text)).is_ok().then(|| text.to_owned())
        })
    }

    pub(super) fn page(&self) -> Result<Page, RouteError> {
        let n = self.number("n", 0, None)?.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        Page::after(n, self.text("last")?.unwrap_or_default())
    }
}

pub(super) fn refused(name: &'static str, reason: &str) -> RouteError {
    RouteError::Query { name, reason: reason.to_owned() }
}

/// As a form is encoded; nothing when the bytes are no UTF-8.
fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_parameter_that_says_nothing_is_not_taken_for_one_that_is_not_there() {
        let none = Parameters::parse("other=1&&");
        assert_eq!(none.number("a", 0, None).unwrap(), None);
        assert_eq!(none.text("a").unwrap(), None);
        for query in ["a=", "a", "b=1&a", "%61="] {
            let empty = Parameters::parse(query);
            assert!(empty.has("a"), "{query}");
            assert_eq!(empty.text("a").unwrap(), Some(""), "{query}");
            let refusals = [
                empty.number("a", 0, None).unwrap_err(),
                empty.flag("a").unwrap_err(),
                empty.digest("a").unwrap_err(),
                empty.word("a").unwrap_err(),
            ];
            for refusal in refusals {
                assert!(refusal.to_string().starts_with("query parameter a: "), "{query}: {refusal}");
            }
        }
    }

    #[test]
    fn a_parameter_that_is_not_known_is_refused_with_the_one_that_was_meant() {
        let known = ["since", "types", "package"];
        assert!(Parameters::parse("").only(&known).is_ok());
        assert!(Parameters::parse("types=x&since=&types").only(&known).is_ok());
        for (query, message) in [
            ("since=1&type=x", "there is no query parameter \"type\"; is it types?"),
            ("sincee", "there is no query parameter \"sincee\"; is it since?"),
            ("Since=1", "there is no query parameter \"Since\"; is it since?"),
            ("something=else", "there is no query parameter \"something\""),
            ("=1", "there is no query parameter \"\""),
        ] {
            assert_eq!(Parameters::parse(query).only(&known).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn of_two_values_neither_counts() {
        for query in ["n=1&n=2", "n=1&n=1", "n&n=1", "n=1&%6e=", "last=&n=1&last="] {
            let refusal = Parameters::parse(query).page().unwrap_err().to_string();
            assert!(refusal.ends_with("it is there more than once"), "{query}: {refusal}");
        }
        let twice = Parameters::parse("other=1&other=2&n=1");
        assert_eq!(twice.page().unwrap().n, Some(1), "nobody asked for the other");
    }

    #[test]
    fn a_number_is_digits_within_its_range() {
        let number = |text: &str, max| Parameters::parse(&format!("a={text}")).number("a", 1, max);
        assert_eq!(number("1", Some(7)).unwrap(), Some(1));
        assert_eq!(number("07", Some(7)).unwrap(), Some(7));
        assert_eq!(number("99999999999999999999999", None).unwrap(), Some(u64::MAX));
        for text in
            ["0", "8", "-1", "%2B1", "1.0", "1e0", "0x1", "%201", "1+", "x", "99999999999999999999999"]
        {
            let refusal = number(text, Some(7)).unwrap_err().to_string();
            assert!(refusal.ends_with("is not a whole number of 1 to 7"), "{text}: {refusal}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_where_they_count() {
        let query = Parameters::parse("a=%ff&last=x%20y+z&%ff=1");
        assert!(query.text("a").unwrap_err().to_string().contains("UTF-8"));
        assert_eq!(query.page().unwrap().last, "x y z");
    }

    #[test]
    fn a_digest_is_named_with_what_is_wrong_with_it() {
        assert!(Parameters::parse(&format!("d={SHA}")).digest("d").unwrap().is_some());
        assert!(Parameters::parse(&format!("d={}", SHA.replace(':', "%3A"))).digest("d").unwrap().is_some());
        let refusal = Parameters::parse("d=sha256:1").digest("d").unwrap_err().to_string();
        assert!(refusal.starts_with("query parameter d: invalid digest: "), "{refusal}");
    }
}
