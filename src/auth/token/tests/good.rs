//! Tokens that are let in.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::auth::{Access, Name, Principal};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn ada() -> Subject {
    Subject::known(Principal::User { name: name("ada"), groups: BTreeSet::from([name("qa")]) })
}

fn scopes(text: &str) -> Vec<Access> {
    Access::parse_all([text]).unwrap()
}

#[test]
fn an_access_token_says_who_it_is_for_and_what_was_granted_entries_without_actions_included() {
    let home = Home::new();
    let access = scopes("repository:a/b:pull,push repository:c:");
    let issued = home.issuer.access(&ada(), &access, NOW * SECOND + 999_999).unwrap();
    assert_eq!((issued.expires_in, &*issued.issued_at), (900, "2033-05-18T03:33:20.000000Z"));
    let claims = home.access(&issued.token).unwrap();
    assert_eq!(claims.subject, ada());
    assert_eq!(claims.access, access);
    assert!(claims.access[1].actions.is_empty());
    assert_eq!((claims.issued_at, claims.expires_at), (NOW * SECOND, (NOW + 900) * SECOND));
    let principal = Principal::User { name: name("ada"), groups: BTreeSet::new() };
    assert_eq!((claims.subject.principal(), claims.subject.issuer()), (&principal, None));
}

#[test]
fn a_token_is_written_as_it_is_documented() {
    let home = Home::new();
    let issued = home.issuer.access(&ada(), &scopes("repository:a:pull"), NOW * SECOND).unwrap();
    let part = |at: usize| -> Value {
        let text = issued.token.expose().split('.').nth(at).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    assert_eq!(part(0), home.header());
    let id = part(1)["jti"].clone();
    assert_eq!(id.as_str().unwrap().len(), 22);
    let access = json!([{ "type": "repository", "name": "a", "actions": ["pull"] }]);
    assert_eq!(part(1), with(&with(&claims(), "jti", id), "access", access));
}

#[test]
fn two_tokens_for_the_same_are_two() {
    let home = Home::new();
    let id = || {
        let issued = home.issuer.access(&ada(), &[], NOW * SECOND).unwrap();
        home.access(&issued.token).unwrap().id
    };
    assert_ne!(id(), id());
}

#[test]
fn a_refresh_token_grants_nothing_and_neither_is_good_for_the_other() {
    let home = Home::new();
    let access = home.issuer.access(&ada(), &[], NOW * SECOND).unwrap();
    let refresh = home.issuer.refresh(&ada(), NOW * SECOND).unwrap().unwrap();
    assert_eq!(refresh.expires_in, 2_592_000);
    let claims = home.verifier.refresh(&refresh.token, NOW * SECOND).unwrap();
    assert_eq!((claims.subject, claims.access), (ada(), vec![]));
    assert_eq!(home.access(&refresh.token), Err(TokenError::Type));
    assert_eq!(home.verifier.refresh(&access.token, NOW * SECOND), Err(TokenError::Type));
}

#[test]
fn nobody_in_particular_and_workloads_get_no_refresh_token() {
    let home = Home::new();
    let groups = BTreeSet::from([name("github/qa"), name("github/release")]);
    let workload = Subject::external(name("github"), name("github/app"), groups.clone()).unwrap();
    let nobody = Subject::known(Principal::Anonymous);
    for subject in [&workload, &nobody] {
        assert_eq!(home.issuer.refresh(subject, NOW * SECOND), Ok(None));
        let issued = home.issuer.access(subject, &[], NOW * SECOND).unwrap();
        assert_eq!(&home.access(&issued.token).unwrap().subject, subject);
    }
    let robot = Principal::Robot { name: name("github/app"), groups };
    assert_eq!(workload.principal(), &robot);
}

#[test]
fn what_an_older_key_signed_stays_good_and_no_longer_when_the_key_is_gone() {
    let (old, new) = (SigningKey::generate().to_pem(), SigningKey::generate().to_pem());
    let [old, new] = [&old, &new].map(|text| KeyFile { path: "keys.pem", text });
    let before = Home::with(KeyRing::read(old, &[]).unwrap());
    let during = Home::with(KeyRing::read(new, &[old]).unwrap());
    let after = Home::with(KeyRing::read(new, &[]).unwrap());
    let first = before.issuer.access(&ada(), &[], NOW * SECOND).unwrap().token;
    let second = during.issuer.access(&ada(), &[], NOW * SECOND).unwrap().token;
    assert!(during.access(&first).is_ok() && during.access(&second).is_ok() && after.access(&second).is_ok());
    assert_eq!(after.access(&first), Err(TokenError::UnknownKey));
    assert_eq!(before.access(&second), Err(TokenError::UnknownKey));
}

#[test]
fn a_token_is_over_at_its_time_and_good_for_what_began_before() {
    let home = Home::new();
    let options = Options::new(ISSUER, SERVICE).unwrap();
    let options = options.with_lifetimes(Duration::from_mins(5), Duration::from_hours(24)).unwrap();
    let brief = Issuer::new(options, Arc::clone(&home.keys));
    let issued = brief.access(&ada(), &[], NOW * SECOND).unwrap();
    assert_eq!(issued.expires_in, 300);
    let at = |after: i64| home.verifier.access(&issued.token, (NOW + after) * SECOND);
    assert!(at(0).is_ok() && at(299).is_ok() && at(359).is_ok());
    assert_eq!(at(360), Err(TokenError::Expired));
    assert_eq!(at(-61), Err(TokenError::Future));
    assert!(at(-60).is_ok());
}

#[test]
fn a_token_that_would_be_let_in_nowhere_is_not_made() {
    let home = Home::new();
    let long = |n: usize| format!("repository:{}{n}:pull", "a".repeat(400));
    let many: Vec<String> = (0..32).map(long).collect();
    let access = Access::parse_all(many.iter().map(String::as_str)).unwrap();
    assert_eq!(home.issuer.access(&ada(), &access, NOW * SECOND), Err(IssueError::Length));
    assert!(home.issuer.access(&ada(), &access[..8], NOW * SECOND).is_ok());
    for now in [-1, Micros::MAX, Micros::MIN] {
        assert_eq!(home.issuer.access(&ada(), &[], now), Err(IssueError::Clock));
    }
}

#[test]
fn no_token_is_printed() {
    let issued = Home::new().issuer.access(&ada(), &[], NOW * SECOND).unwrap();
    assert!(!format!("{issued:?}").contains(&issued.token.expose()[..20]));
}
