//! What can be set about webhooks.

use super::guard::{Allowed, Guard};
use crate::setting::{Kind, Problem, Setting, Values};

const MAX: Setting = Setting {
    key: "webhooks.max",
    kind: Kind::Count { min: 0, max: 1024 },
    default: "64",
    doc: "Webhooks at most. 0: none can be set up, and none is sent.",
};
const ALLOW: Setting = Setting {
    key: "webhooks.allow",
    kind: Kind::List,
    default: "",
    doc: "Where webhooks may be sent besides the public internet: addresses, networks, and names whatever they resolve \
          to, as [\"10.20.0.0/16\", \"hooks.internal\"]. Whoever may set up webhooks can send requests there from here.",
};

/// What can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Webhooks at most; with 0 none is sent.
    pub max: usize,
    /// Where they may be sent.
    pub guard: Guard,
}

impl Default for Options {
    fn default() -> Self {
        Self { max: 64, guard: Guard::default() }
    }
}

impl Options {
    /// What can be set.
    pub const SETTINGS: [&Setting; 2] = [&MAX, &ALLOW];

    /// What was set.
    pub fn from_values(values: &Values) -> Result<Self, Problem> {
        let allowed = values.list(&ALLOW).iter().map(|text| text.parse::<Allowed>());
        let allowed = allowed.collect::<Result<_, _>>();
        let allowed =
            allowed.map_err(|_| ALLOW.problem("give addresses, networks like 10.0.0.0/8 and host names"))?;
        Ok(Self { max: values.number(&MAX).unwrap_or(Self::default().max), guard: Guard::new(allowed) })
    }
}
