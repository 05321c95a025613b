//! What can be set about the registry, by name.

use std::time::Duration;

use super::{
    ClockOptions, CollectionOptions, DisposalOptions, Options, ScrubOptions, SnapshotOptions, WebhookOptions,
};
use crate::retention::Policy;
use crate::setting::{Kind, Problem, Setting, Values};

const ALLOW_SPARSE: Setting = Setting {
    key: "allow_sparse",
    kind: Kind::Switch,
    default: "false",
    doc: "Accept image manifests that name blobs their repository does not hold. An index may always be sparse.",
};
const VERIFY_READS: Setting = Setting {
    key: "storage.verify_reads",
    kind: Kind::Switch,
    default: "true",
    doc: "Whether a blob that is read as a whole is compared with its content address on the way: one that is damaged \
          never arrives complete. Ranges of larger blobs than 256 KiB are not compared.",
};
const UPLOAD_EXPIRY: Setting = Setting {
    key: "uploads.expiry",
    kind: Kind::Duration { min: Duration::from_mins(1), max: Duration::from_hours(24 * 365) },
    default: "24h",
    doc: "How long an upload may stand idle before it is swept.",
};
const MAX_MANIFEST: Setting = Setting {
    key: "limits.manifest",
    kind: Kind::Size { min: 1 << 10, max: 16 << 20 },
    default: "4MiB",
    doc: "The largest manifest. The specification wants at least 4MiB.",
};
const MAX_BLOB: Setting = Setting {
    key: "limits.blob",
    kind: Kind::Size { min: 1, max: 1 << 62 },
    default: "",
    doc: "The largest blob. Not set: no limit but that of the storage.",
};
const MANIFEST_CACHE: Setting = Setting {
    key: "cache.manifests",
    kind: Kind::Size { min: 0, max: 1 << 40 },
    default: "32MiB",
    doc: "Memory for manifests that are asked for often.",
};
const DRAFT_EXPIRY: Setting = Setting {
    key: "packages.draft_expiry",
    kind: Kind::Duration { min: Duration::from_mins(1), max: Duration::from_hours(24 * 3650) },
    default: "168h",
    doc: "How long nothing may happen to a draft of a package before it is given up.",
};

const ORIGINS_KEEP: Setting = Setting {
    key: "audit.origins_keep",
    kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_hours(24 * 3650) },
    default: "2160h",
    doc: "How long the audit knows from where a command came: address, client, request id. They are personal data, are no \
          part of the log, and are dropped after this time; 0s keeps none.",
};

impl Options {
    /// What can be set, and what the [`Policy`] says of itself.
    pub const SETTINGS: &[&Setting] = &{
        let [enabled, interval, grace, quarantine, orphan_grace, rate] = CollectionOptions::SETTINGS;
        let [scrubs, passes, cycle, speed, pass] = ScrubOptions::SETTINGS;
        let [jump] = ClockOptions::SETTINGS;
        let [scheduled, every] = DisposalOptions::SETTINGS;
        let [snapshots] = SnapshotOptions::SETTINGS;
        let [webhooks, allow] = WebhookOptions::SETTINGS;
        [
            &ALLOW_SPARSE,
            &VERIFY_READS,
            &UPLOAD_EXPIRY,
            &MAX_MANIFEST,
            &MAX_BLOB,
            &MANIFEST_CACHE,
            &DRAFT_EXPIRY,
            &ORIGINS_KEEP,
            enabled,
            interval,
            grace,
            quarantine,
            orphan_grace,
            rate,
            scrubs,
            passes,
            cycle,
            speed,
            pass,
            snapshots,
            jump,
            scheduled,
            every,
            webhooks,
            allow,
        ]
    };

    /// What was set.
    pub fn from_values(values: &Values) -> Result<Self, Problem> {
        let default = Self::default();
        Ok(Self {
            allow_sparse: values.is_on(&ALLOW_SPARSE),
            verify_reads: values.is_on(&VERIFY_READS),
            upload_expiry: values.duration(&UPLOAD_EXPIRY).unwrap_or(default.upload_expiry),
            max_manifest: values.number(&MAX_MANIFEST).unwrap_or(default.max_manifest),
            max_blob: values.number(&MAX_BLOB).unwrap_or(default.max_blob),
            manifest_cache: values.number(&MANIFEST_CACHE).unwrap_or(default.manifest_cache),
            draft_expiry: values.duration(&DRAFT_EXPIRY).unwrap_or(default.draft_expiry),
            origins_keep: values.duration(&ORIGINS_KEEP).unwrap_or(default.origins_keep),
            gc: CollectionOptions::from_values(values),
            clock: ClockOptions::from_values(values),
            disposal: DisposalOptions::from_values(values),
            scrub: ScrubOptions::from_values(values),
            snapshots: SnapshotOptions::from_values(values),
            webhooks: WebhookOptions::from_values(values)?,
            retention: Policy::from_values(values)?,
            keeps_policy: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_defaults_are_the_defaults() {
        let options = Options::from_values(&Values::defaults(Options::SETTINGS, "data")).unwrap();
        assert_eq!(options, Options::default());
    }
}
