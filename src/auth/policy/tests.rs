use proptest::prelude::*;

use super::*;

const POLICY: &str = r#"
version = 1

[groups]
release = ["user:ada", "robot:ci"]
empty = []

[[allow]]
to = ["anyone"]
actions = ["pull"]
repositories = ["public/**"]

[[allow]]
to = ["group:release", "user:eve"]
actions = ["pull", "push"]
repositories = ["team/**", "team"]

[[allow]]
to = ["user:root"]
actions = ["*"]
repositories = ["**"]

[[allow]]
to = ["group:acme/auditors"]
actions = ["audit"]
repositories = ["**"]

[[allow]]
to = ["authenticated"]
actions = ["audit"]
repositories = ["team/*"]
"#;

fn policy() -> Policy {
    Policy::parse("policy.toml", POLICY).unwrap()
}

fn user(name: &str) -> Principal {
    Principal::User { name: name.parse().unwrap(), groups: BTreeSet::new() }
}

fn robot(name: &str) -> Principal {
    Principal::Robot { name: name.parse().unwrap(), groups: BTreeSet::new() }
}

/// The line of the rule that allows it.
fn allowed(principal: &Principal, action: Action, repository: Option<&str>) -> Option<usize> {
    let name = repository.map(|name| name.parse().unwrap());
    let scope = name.as_ref().map_or(Scope::Registry, Scope::Repository);
    policy().allows(&Question { principal, action, scope }).map(|rule| rule.line)
}

#[test]
fn what_a_rule_says_is_allowed_and_nothing_else_is() {
    use Action::{Audit, Delete, Pull, Push};
    let (nobody, ada, eve, ci) = (Principal::Anonymous, user("ada"), user("eve"), robot("ci"));
    assert_eq!(allowed(&nobody, Pull, Some("public/a")), Some(8));
    assert_eq!(allowed(&ada, Pull, Some("public/a")), Some(8));
    assert_eq!(allowed(&nobody, Push, Some("public/a")), None);
    assert_eq!(allowed(&nobody, Pull, Some("public")), None);
    for somebody in [&ada, &eve, &ci] {
        assert_eq!(allowed(somebody, Push, Some("team/a/b")), Some(13));
        assert_eq!(allowed(somebody, Push, Some("team")), Some(13));
        assert_eq!(allowed(somebody, Delete, Some("team/a")), None);
        assert_eq!(allowed(somebody, Push, Some("teams/a")), None);
    }
    for other in [&nobody, &user("bob"), &robot("ada"), &user("ci"), &robot("eve")] {
        assert_eq!(allowed(other, Push, Some("team/a")), None, "{other:?}");
    }
    assert_eq!(allowed(&nobody, Audit, Some("team/a")), None);
    assert_eq!(allowed(&user("bob"), Audit, Some("team/a")), Some(28));
}

#[test]
fn what_concerns_the_whole_registry_needs_a_rule_for_every_repository() {
    let groups = BTreeSet::from(["acme/auditors".parse().unwrap()]);
    let auditor = Principal::User { name: "kim".parse().unwrap(), groups };
    assert_eq!(allowed(&auditor, Action::Audit, None), Some(23));
    assert_eq!(allowed(&user("bob"), Action::Audit, None), None);
    for action in Action::ALL {
        assert_eq!(allowed(&user("root"), action, None), Some(18), "{action}");
    }
    assert_eq!(allowed(&robot("root"), Action::Pull, None), None);
}

#[test]
fn every_rule_says_why_it_does_not_allow_something() {
    use Outcome::{Allows, OtherActions, OtherPrincipals, OtherRepositories};
    let (policy, ada, name) = (policy(), user("ada"), "team/a".parse().unwrap());
    let question = Question { principal: &ada, action: Action::Push, scope: Scope::Repository(&name) };
    let said: Vec<_> = policy.explain(&question).map(|(rule, outcome)| (rule.line, outcome)).collect();
    let expected =
        [(8, OtherActions), (13, Allows), (18, OtherPrincipals), (23, OtherPrincipals), (28, OtherActions)];
    assert_eq!(said, expected);
    let question = Question { action: Action::Pull, scope: Scope::Registry, ..question };
    let said: Vec<_> = policy.explain(&question).map(|(_, outcome)| outcome).take(2).collect();
    assert_eq!(said, [OtherRepositories; 2]);
}

#[test]
fn what_is_no_policy_is_refused_as_a_whole_with_file_line_and_reason() {
    let rule = |to: &str, actions: &str, repositories: &str| {
        format!("version = 1\n[[allow]]\nto = {to}\nactions = {actions}\nrepositories = {repositories}\n")
    };
    let (to, actions, all) = (r#"["anyone"]"#, r#"["pull"]"#, r#"["**"]"#);
    for (text, line, reason) in [
        ("", 1, "missing field `version`"),
        ("version = 2", 1, "there is version 1 of policies"),
        ("version = 1\nallow = [", 2, ""),
        ("version = 1\n[[deny]]\n", 2, "unknown field `deny`"),
        ("version = 1\n[groups]\nqa = [\"user:a\",\n\"group:b\"]", 4, "user:NAME and robot:NAME"),
        ("version = 1\n[groups]\nQA = []", 3, "the name \"QA\" has 'Q'"),
        (
            "version = 1\n[[allow]]\nto = [\"anyone\"]\nactions = [\"pull\"]\n",
            2,
            "missing field `repositories`",
        ),
        (&rule("[]", actions, all), 3, "this list is empty"),
        (&rule(to, "[]", all), 4, "this list is empty"),
        (&rule(to, actions, "[]"), 5, "this list is empty"),
        (&rule(r#"["ada"]"#, actions, all), 3, "\"ada\" is nobody; write user:NAME"),
        (&rule(to, r#"["pusch"]"#, all), 4, "there is no action \"pusch\"; is it push?"),
        (&rule(to, actions, r#"["a/**/b"]"#), 5, "** stands alone"),
        (&rule(to, actions, r#"["Team"]"#), 5, "\"Team\" fits no component"),
        (&(rule(to, actions, all) + "when = \"true\"\n"), 6, "unknown field `when`"),
    ] {
        let refused = Policy::parse("p.toml", text).unwrap_err().to_string();
        let place = format!("p.toml:{line}: ");
        assert!(refused.starts_with(&place) && refused.contains(reason), "{text}: {refused}");
        assert!(!refused.contains('\n'), "{refused}");
    }
}

#[test]
fn a_policy_without_rules_allows_nobody_anything() {
    let empty = Policy::parse("p.toml", "version = 1").unwrap();
    assert_eq!(empty, Policy::nothing());
    for action in Action::ALL {
        let question = Question { principal: &user("root"), action, scope: Scope::Registry };
        assert!(empty.allows(&question).is_none());
    }
}

proptest! {
    /// What is allowed is what the rules allow one by one: no rule takes away, and none adds to another.
    #[test]
    fn a_policy_allows_what_one_of_its_rules_alone_allows(
        chosen in proptest::collection::vec((0_usize..4, 0_usize..3, 0_usize..4), 0..6),
        who in 0_usize..4, action in 0_usize..3, place in 0_usize..4,
    ) {
        let to = ["anyone", "authenticated", "user:ada", "group:g"];
        let actions = ["pull", "push", "delete"];
        let patterns = ["a", "a/*", "a/**", "**"];
        let rule = |(to_at, action_at, pattern_at): &(usize, usize, usize)| {
            format!(
                "[[allow]]\nto = [{:?}]\nactions = [{:?}]\nrepositories = [{:?}]\n",
                to[*to_at], actions[*action_at], patterns[*pattern_at],
            )
        };
        let head = "version = 1\n[groups]\ng = [\"robot:ci\"]\n";
        let parse = |rules: String| Policy::parse("p", &format!("{head}{rules}")).unwrap();
        let principal = [Principal::Anonymous, user("ada"), user("bob"), robot("ci")][who].clone();
        let name = ["a", "a/b", "a/b/c"].get(place).map(|name| name.parse().unwrap());
        let scope = name.as_ref().map_or(Scope::Registry, Scope::Repository);
        let action = actions[action].parse().unwrap();
        let question = Question { principal: &principal, action, scope };
        let together = parse(chosen.iter().map(rule).collect()).allows(&question).is_some();
        let alone = chosen.iter().any(|one| parse(rule(one)).allows(&question).is_some());
        prop_assert_eq!(together, alone);
        let backwards = parse(chosen.iter().rev().map(rule).collect()).allows(&question).is_some();
        prop_assert_eq!(together, backwards);
    }

    #[test]
    fn no_text_is_a_policy_by_panic(text in "(?s)(version = 1\n)?.{0,80}") {
        let _ = Policy::parse("p", &text);
    }
}
