//! Webhooks of a registry that knows them. Answers are passed on as the JSON they are.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use serde_json::Value;

use super::http::Call;
use super::payload::Payload;
use super::{Client, Error};
use crate::registry::WebhookId;

const WEBHOOKS: &str = "/v2/_artifactstore/webhooks";

/// Webhooks of a page.
const PAGE: usize = 100;

impl Client {
    /// Sets up a webhook; the answer has its secret.
    pub async fn create_webhook(&self, asked: &Value) -> Result<Value, Error> {
        // A second attempt would be a second webhook.
        let call = with_body(Method::POST, WEBHOOKS.to_owned(), asked).once();
        self.json(&call, &[StatusCode::CREATED]).await
    }

    /// Every webhook, by id.
    pub async fn webhooks(&self) -> Result<Vec<Value>, Error> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let last = all.last().and_then(|last| last["id"].as_str()).unwrap_or_default();
            let call = Call::new(Method::GET, format!("{WEBHOOKS}?n={PAGE}&last={last}"), "");
            let mut page = self.json(&call, &[StatusCode::OK]).await?;
            let Value::Array(page) = page["webhooks"].take() else {
                return Err(self.protocol(&call.what(), "its answer has no list of webhooks"));
            };
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// A webhook.
    pub async fn webhook(&self, id: &WebhookId) -> Result<Value, Error> {
        self.json(&Call::new(Method::GET, one(id), ""), &[StatusCode::OK]).await
    }

    /// Changes a webhook; the answer has its secret if one was made.
    pub async fn change_webhook(&self, id: &WebhookId, asked: &Value) -> Result<Value, Error> {
        // A secret of a first attempt would be lost.
        let call = with_body(Method::PATCH, one(id), asked).once();
        self.json(&call, &[StatusCode::OK]).await
    }

    /// `retry`, `suspend` or `resume`.
    pub async fn step_webhook(&self, id: &WebhookId, step: &str, asked: &Value) -> Result<Value, Error> {
        let call = with_body(Method::POST, format!("{}/{step}", one(id)), asked).repeatable();
        self.json(&call, &[StatusCode::OK]).await
    }

    /// Removes a webhook.
    pub async fn delete_webhook(&self, id: &WebhookId) -> Result<(), Error> {
        let call = Call::new(Method::DELETE, one(id), "").once();
        self.expect(&call, &[StatusCode::NO_CONTENT]).await.map(drop)
    }
}

fn one(id: &WebhookId) -> String {
    format!("{WEBHOOKS}/{id}")
}

fn with_body(method: Method, target: String, asked: &Value) -> Call<'static> {
    let body = Payload::Bytes(Bytes::from(asked.to_string()));
    Call::new(method, target, "").header(CONTENT_TYPE, "application/json").payload(body)
}
