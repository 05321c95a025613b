//! What happens to webhooks. What one signs with is never said, and of its URL no more than who is called: the rest may
//! be a secret too. Deliveries are no events: each would be delivered.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::oci::checked_text;
use crate::retention::named_id;

named_id! {
    /// Names a webhook among all webhooks of all registries.
    WebhookId, WebhookIdError, "whk_", "a webhook id"
}

/// A webhook as it is from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribed {
    /// Where it is sent to: scheme, host and port, and `/…` where there is more.
    pub url: String,
    /// How events are rendered.
    pub format: String,
    /// Patterns of the types that are sent; all when there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Only events about this repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Only events whose subject is this package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
}

/// A webhook was set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookCreated {
    /// The webhook.
    pub webhook: WebhookId,
    /// What it is.
    pub subscribed: Subscribed,
    /// The events after this one are sent.
    pub since: i64,
}

/// A webhook was changed by somebody, or the registry gave it up for the time being.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookChanged {
    /// The webhook.
    pub webhook: WebhookId,
    /// What changed, sorted: `filter`, `format`, `secret`, `since`, `state`, `url`.
    pub changes: Vec<String>,
    /// What it is now.
    pub subscribed: Subscribed,
    /// Whether it is `active`, `suspended` or `disabled`.
    pub state: String,
    /// Why it is not active, where the registry says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The events after this one are sent next, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
}

/// A webhook was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookDeleted {
    /// The webhook.
    pub webhook: WebhookId,
    /// Where it was sent to.
    pub url: String,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::events::Fact;

    /// One of every type, with everything optional set.
    pub(in crate::events) fn examples() -> Vec<Fact> {
        let webhook: WebhookId = "whk_01arz3ndektsv4rrffq69g5fav".parse().unwrap();
        let url = "https://hooks.example.com:8443/…".to_owned();
        let subscribed = Subscribed {
            url: url.clone(),
            format: "cloudevents".to_owned(),
            types: vec!["package".to_owned(), "v1.tag.moved".to_owned()],
            repository: Some("team/results".to_owned()),
            package: Some("pkg_01arz3ndektsv4rrffq69g5fav".to_owned()),
        };
        vec![
            WebhookCreated { webhook: webhook.clone(), subscribed: subscribed.clone(), since: 7 }.into(),
            WebhookChanged {
                webhook: webhook.clone(),
                changes: vec!["since".to_owned(), "state".to_owned()],
                subscribed,
                state: "suspended".to_owned(),
                reason: Some("no delivery for five days".to_owned()),
                since: Some(9),
            }
            .into(),
            WebhookDeleted { webhook, url }.into(),
        ]
    }
}
