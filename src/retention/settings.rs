//! What can be set about retention.

use super::{Bounds, Class, Classes, Mode, Period, Policy, Start};
use crate::setting::{Kind, Problem, Setting, Values};

const CLASSES: Setting = Setting {
    key: "retention.classes",
    kind: Kind::List,
    default: "",
    doc: "Further retention classes, or other ones in the place of those there are: a name and what it demands, as \
          \"audit period=P7Y mode=compliance approvals=2 cooling_off=24h auto_dispose_after=P30D start=finalized\". \
          Only the period is needed, a time of the calendar or forever.",
};
const DEFAULT: Setting = Setting {
    key: "retention.default",
    kind: Kind::Text,
    default: "raw-evidence",
    doc: "The retention class of a package that asks for none.",
};
const REPOSITORIES: Setting = Setting {
    key: "retention.repositories",
    kind: Kind::List,
    default: "",
    doc: "What repositories may have, by a name with * for any text; the first that matches counts: \
          \"evidence/* default=summary-evidence at_least=raw-evidence at_most=release-evidence\". A default holds for \
          every manifest that is pushed there. A class is at least another if it demands no less in anything.",
};

/// Classes and rules there can be.
const MOST: usize = 1000;

/// The longest name of a class, in bytes.
const NAME: usize = 64;

/// Seconds of cooling-off at most: ten years.
const COOLING_OFF: u64 = 10 * 366 * 24 * 60 * 60;

impl Policy {
    /// What can be set.
    pub const SETTINGS: &[&Setting] = &[&CLASSES, &DEFAULT, &REPOSITORIES];

    /// What was set.
    pub fn from_values(values: &Values) -> Result<Self, Problem> {
        let (classes, repositories) = (values.list(&CLASSES), values.list(&REPOSITORIES));
        let classes: Result<Vec<Class>, String> = limited(classes)?.iter().map(|text| class(text)).collect();
        let classes = classes.map_err(|hint| CLASSES.problem(hint))?;
        let seeded = Classes::default();
        let default = values.text(&DEFAULT).unwrap_or(seeded.default_class()).to_owned();
        let classes = seeded.with(classes, &default);
        let classes = classes.map_err(|error| DEFAULT.problem(error.to_string()))?;
        let bounds: Result<Vec<Bounds>, String> =
            limited(repositories)?.iter().map(|it| bounds(it)).collect();
        let bounds = bounds.map_err(|hint| REPOSITORIES.problem(hint))?;
        Self::new(classes, bounds).map_err(|error| REPOSITORIES.problem(error.to_string()))
    }
}

fn limited(entries: &[String]) -> Result<&[String], Problem> {
    if entries.len() > MOST {
        return Err(CLASSES.problem(format!("there can be at most {MOST} classes and rules")));
    }
    Ok(entries)
}

/// What a class or a rule says: `name=value`, each name once.
type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// The first word of an entry, and the `name=value` pairs behind it, each once.
fn words(text: &str) -> Result<(&str, Pairs<'_>), String> {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let mut pairs = Pairs::new();
    for word in words {
        let pair = word.split_once('=').filter(|(_, value)| !value.is_empty());
        let pair = pair.ok_or_else(|| format!("{first}: write name=value and not {word:?}"))?;
        if pairs.iter().any(|(name, _)| *name == pair.0) {
            return Err(format!("{first}: {} is said twice", pair.0));
        }
        pairs.push(pair);
    }
    Ok((first, pairs))
}

fn class(text: &str) -> Result<Class, String> {
    let (name, pairs) = words(text)?;
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    if name.is_empty() || name.len() > NAME || !name.bytes().all(is_plain) {
        return Err(format!("{name:?} is no name of a class: lower-case letters, digits, ., _ and -"));
    }
    let mut class = Class {
        name: name.to_owned(),
        mode: Mode::Governance,
        period: None,
        start: Start::Finalized,
        auto_dispose_after: None,
        approvals: 1,
        cooling_off: 24 * 60 * 60,
    };
    let mut has_period = false;
    for (key, value) in pairs {
        let period = || value.parse::<Period>().map_err(|error| format!("{name}: {error}"));
        let wrong = |hint: &str| format!("{name}: {key} is {value:?}; {hint}");
        match key {
            "period" => {
                has_period = true;
                class.period = if value == "forever" { None } else { Some(period()?) };
            }
            "mode" => {
                let modes = [Mode::Governance, Mode::Compliance];
                let mode = modes.into_iter().find(|mode| mode.as_str() == value);
                class.mode = mode.ok_or_else(|| wrong("say governance or compliance"))?;
            }
            "start" => {
                let starts = [Start::Finalized, Start::Event];
                let start = starts.into_iter().find(|start| start.as_str() == value);
                class.start = start.ok_or_else(|| wrong("say finalized or event"))?;
            }
            "auto_dispose_after" => class.auto_dispose_after = Some(period()?),
            "approvals" => {
                let approvals = value.parse().ok().filter(|approvals| *approvals <= 20);
                class.approvals = approvals.ok_or_else(|| wrong("give a number from 0 to 20"))?;
            }
            "cooling_off" => {
                let (min, max) = (std::time::Duration::ZERO, std::time::Duration::from_secs(COOLING_OFF));
                let time = Kind::Duration { min, max }.parse(value);
                let crate::setting::Value::Duration(time) = time.map_err(|hint| wrong(&hint))? else {
                    return Err(wrong("give a time like 24h"));
                };
                class.cooling_off = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
            }
            _ => return Err(format!("{name}: a class knows no {key:?}")),
        }
    }
    if !has_period {
        return Err(format!("{name}: say how long, as period=P7Y or period=forever"));
    }
    if class.mode == Mode::Compliance && class.auto_dispose_after.is_some() {
        return Err(format!("{name}: what is in compliance mode is never disposed of by itself"));
    }
    Ok(class)
}

fn bounds(text: &str) -> Result<Bounds, String> {
    let (pattern, pairs) = words(text)?;
    if pattern.is_empty() || pattern.len() > 256 {
        return Err("a rule begins with a name of repositories, of at most 256 bytes".to_owned());
    }
    let mut bounds = Bounds { pattern: pattern.to_owned(), ..Bounds::default() };
    for (key, value) in pairs {
        let class = Some(value.to_owned());
        match key {
            "default" => bounds.default = class,
            "at_least" => bounds.at_least = class,
            "at_most" => bounds.at_most = class,
            _ => {
                return Err(format!("{pattern}: a rule knows default, at_least and at_most, and no {key:?}"));
            }
        }
    }
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(settings: [(&Setting, &str); 3]) -> Result<Policy, Problem> {
        let mut values = Values::defaults(Policy::SETTINGS, "data");
        for (setting, text) in settings {
            if !text.is_empty() {
                values.set(setting, setting.kind.parse(text).unwrap());
            }
        }
        Policy::from_values(&values)
    }

    fn problem(classes: &str, default: &str, repositories: &str) -> Problem {
        policy([(&CLASSES, classes), (&DEFAULT, default), (&REPOSITORIES, repositories)]).unwrap_err()
    }

    #[test]
    fn nothing_set_is_the_seeded_policy() {
        assert_eq!(policy([(&CLASSES, ""), (&DEFAULT, ""), (&REPOSITORIES, "")]), Ok(Policy::default()));
    }

    #[test]
    fn classes_and_rules_are_lines() {
        let policy = policy([
            (
                &CLASSES,
                "audit period=P7Y mode=compliance approvals=2 cooling_off=48h, case period=P1Y start=event",
            ),
            (&DEFAULT, "audit"),
            (&REPOSITORIES, "cases/* default=case at_least=case at_most=permanent-record"),
        ]);
        let policy = policy.unwrap();
        let audit = policy.rule("x", None).unwrap();
        assert_eq!((audit.class.as_str(), audit.mode, audit.approvals), ("audit", Mode::Compliance, 2));
        assert_eq!(audit.cooling_off, 48 * 60 * 60);
        let case = policy.rule("cases/7", None).unwrap();
        assert_eq!((case.class.as_str(), case.start), ("case", Start::Event));
        assert_eq!(policy.repositories().len(), 1);
    }

    #[test]
    fn what_is_no_class_and_no_rule_is_said_to_be_none() {
        for (classes, word) in [
            ("Audit period=P1Y", "no name"),
            ("audit", "period=P7Y"),
            ("audit period=7Y", "not a period"),
            ("audit period=PT7H", "years, months, weeks or days"),
            ("audit period=P7Y mode=strict", "governance or compliance"),
            ("audit period=P7Y approvals=21", "0 to 20"),
            ("audit period=P7Y cooling_off=1", "a time like"),
            ("audit period=P7Y period=P8Y", "twice"),
            ("audit period=P7Y colour=red", "no \"colour\""),
            ("audit P7Y", "name=value"),
            ("audit period=P7Y mode=compliance auto_dispose_after=P1D", "never disposed of by itself"),
        ] {
            let problem = problem(classes, "", "");
            assert!(problem.key == CLASSES.key && problem.hint.contains(word), "{classes}: {problem:?}");
        }
        assert_eq!(problem("", "forever", "").key, DEFAULT.key);
        for rule in ["a default=forever", "a least=transient", "a at_least=raw-evidence at_most=transient"] {
            assert_eq!(problem("", "", rule).key, REPOSITORIES.key, "{rule}");
        }
    }
}
