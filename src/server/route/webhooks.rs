//! The routes of webhooks.

use http::Method;

use super::parameters::Parameters;
use super::{EXTENSION, Page, RouteError};
use crate::registry::WebhookId;

/// What a request asks of webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Webhooks {
    /// `POST G/webhooks`
    Create,
    /// `GET G/webhooks?n=&last=`
    List(Page),
    /// `GET G/webhooks/<id>`
    Get(WebhookId),
    /// `PATCH G/webhooks/<id>`
    Change(WebhookId),
    /// `DELETE G/webhooks/<id>`
    Delete(WebhookId),
    /// `POST G/webhooks/<id>/retry`
    Retry(WebhookId),
    /// `POST G/webhooks/<id>/suspend`
    Suspend(WebhookId),
    /// `POST G/webhooks/<id>/resume`
    Resume(WebhookId),
}

impl Webhooks {
    /// What a request asks for, from the segments behind `webhooks`.
    pub(super) fn parse(method: &Method, rest: &[&str], query: &Parameters) -> Result<Self, RouteError> {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        match *rest {
            [] if is_read => Ok(Self::List(query.page()?)),
            [] if *method == Method::POST => Ok(Self::Create),
            [] => Err(RouteError::Method(&["GET", "HEAD", "POST"])),
            [id] => match *method {
                Method::GET | Method::HEAD => Ok(Self::Get(webhook(id)?)),
                Method::PATCH => Ok(Self::Change(webhook(id)?)),
                Method::DELETE => Ok(Self::Delete(webhook(id)?)),
                _ => Err(RouteError::Method(&["GET", "HEAD", "PATCH", "DELETE"])),
            },
            [id, verb @ ("retry" | "suspend" | "resume")] if *method == Method::POST => {
                let id = webhook(id)?;
                Ok(match verb {
                    "retry" => Self::Retry(id),
                    "suspend" => Self::Suspend(id),
                    _ => Self::Resume(id),
                })
            }
            [_, "retry" | "suspend" | "resume"] => Err(RouteError::Method(&["POST"])),
            _ => Err(RouteError::NotFound),
        }
    }
}

fn webhook(id: &str) -> Result<WebhookId, RouteError> {
    id.parse().map_err(RouteError::Webhook)
}

/// `G/webhooks/<id>`
pub fn webhook_path(id: &WebhookId) -> String {
    format!("/v2/{EXTENSION}/webhooks/{id}")
}
