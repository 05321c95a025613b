//! The keys that sign URLs.

use serde_json::json;

use super::output::print;
use super::{Outcome, open};
use crate::clock::Clock;
use crate::config::Settings;
use crate::registry;

pub(super) async fn rotate(settings: &Settings, as_json: bool) -> Outcome {
    // Nobody exchanges the keys of a registry that is not there.
    open::read(settings).await?.close().await;
    let database = open::database(settings).await?;
    let id = registry::rotate_signing_key(&database.db, &Clock::system()).await?;
    database.db.close().await;
    let text =
        format!("URLs are signed by key {id} from now on; those of the keys before work until they end");
    print(as_json, &json!({ "key": id }), &text)?;
    Ok(true)
}
