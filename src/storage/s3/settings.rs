//! What can be set about a bucket, by name.

use std::time::Duration;

use super::{Checksums, Credentials, Options, Redirect, Retries};
use crate::setting::{Kind, Problem, Setting, Values};

const MIB: u64 = 1 << 20;

/// The bucket.
pub const BUCKET: Setting =
    Setting { key: "storage.s3.bucket", kind: Kind::Text, default: "", doc: "The bucket; it must exist." };
const PREFIX: Setting = Setting {
    key: "storage.s3.prefix",
    kind: Kind::Text,
    default: "",
    doc: "Put before every key; a path that ends in /. Not set: nothing.",
};
/// The server.
pub const ENDPOINT: Setting = Setting {
    key: "storage.s3.endpoint",
    kind: Kind::Url,
    default: "",
    doc: "The server, as http:// or https:// URL. Not set: that of AWS for the region.",
};
/// The region.
pub const REGION: Setting = Setting {
    key: "storage.s3.region",
    kind: Kind::Text,
    default: "us-east-1",
    doc: "The region requests are signed for; Ceph RGW takes its zone group or this default.",
};
const PATH_STYLE: Setting = Setting {
    key: "storage.s3.path_style",
    kind: Kind::Switch,
    default: "false",
    doc: "Whether the bucket stands in the path of a request instead of in its host name; \
          true for most servers that are not AWS.",
};
const ACCESS_KEY_ID: Setting = Setting {
    key: "storage.s3.access_key_id",
    kind: Kind::Text,
    default: "",
    doc: "Names the access key. Not set: the usual chain of AWS is asked \
          (environment, profile, web identity, container, instance).",
};
const SECRET_ACCESS_KEY: Setting = Setting {
    key: "storage.s3.secret_access_key",
    kind: Kind::Secret,
    default: "",
    doc: "The access key itself. Better given in the environment than in a file.",
};
const SESSION_TOKEN: Setting = Setting {
    key: "storage.s3.session_token",
    kind: Kind::Secret,
    default: "",
    doc: "What temporary credentials need besides.",
};
const CHECKSUMS: Setting = Setting {
    key: "storage.s3.checksums",
    kind: Kind::Word(&["when_required", "full"]),
    default: "when_required",
    doc: "Checksums that travel with requests: when_required is what old Ceph RGW and MinIO-likes accept, \
          full sends them wherever the protocol can.",
};
const PART_SIZE: Setting = Setting {
    key: "storage.s3.part_size",
    kind: Kind::Size { min: 5 * MIB, max: 5 << 30 },
    default: "8MiB",
    doc: "Bytes per part of a multipart upload, at the beginning of an object. Smaller objects travel in one request.",
};
const PARTS_IN_FLIGHT: Setting = Setting {
    key: "storage.s3.parts_in_flight",
    kind: Kind::Count { min: 1, max: 64 },
    default: "3",
    doc: "Parts of one upload on their way at once.",
};
const PART_MEMORY: Setting = Setting {
    key: "storage.s3.part_memory",
    kind: Kind::Size { min: 5 * MIB, max: 1 << 40 },
    default: "64MiB",
    doc: "Memory for parts of all uploads together; parts beyond wait in files in the spool.",
};
const SPOOL: Setting = Setting {
    key: "storage.s3.spool",
    kind: Kind::Path,
    default: "",
    doc: "A folder for parts that have no room in memory. Not set: the system's folder for temporary files.",
};
const ATTEMPTS: Setting = Setting {
    key: "storage.s3.attempts",
    kind: Kind::Count { min: 1, max: 20 },
    default: "5",
    doc: "How often a request is tried in all before the client is told to come back later.",
};
const RETRIES: Setting = Setting {
    key: "storage.s3.retries",
    kind: Kind::Word(&["adaptive", "standard"]),
    default: "adaptive",
    doc: "When requests are tried again, after random pauses that double: adaptive lets the rate of all requests \
          follow what the server lets through, with standard a throttled request slows down no other one.",
};
const IDLE_TIMEOUT: Setting = Setting {
    key: "storage.s3.idle_timeout",
    kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_mins(10) },
    default: "30s",
    doc: "A request that moves no byte for this long has failed. There is no limit on how long it takes in all.",
};
const VERIFY_WRITES: Setting = Setting {
    key: "storage.s3.verify_writes",
    kind: Kind::Switch,
    default: "false",
    doc: "Whether every object is read back and compared with what was sent before it is acknowledged.",
};
const REDIRECT: Setting = Setting {
    key: "storage.s3.redirect",
    kind: Kind::Switch,
    default: "false",
    doc: "Whether clients are sent to the bucket for the bytes of a blob, by a URL that works for a short time.",
};
const REDIRECT_TTL: Setting = Setting {
    key: "storage.s3.redirect_ttl",
    kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_mins(5) },
    default: "1m",
    doc: "How long such a URL works.",
};
const REDIRECT_ENDPOINT: Setting = Setting {
    key: "storage.s3.redirect_endpoint",
    kind: Kind::Url,
    default: "",
    doc: "The server as clients reach it. Not set: the endpoint above.",
};

impl Options {
    /// What can be set.
    pub const SETTINGS: &[&Setting] = &[
        &BUCKET,
        &PREFIX,
        &ENDPOINT,
        &REGION,
        &PATH_STYLE,
        &ACCESS_KEY_ID,
        &SECRET_ACCESS_KEY,
        &SESSION_TOKEN,
        &CHECKSUMS,
        &PART_SIZE,
        &PARTS_IN_FLIGHT,
        &PART_MEMORY,
        &SPOOL,
        &ATTEMPTS,
        &RETRIES,
        &IDLE_TIMEOUT,
        &VERIFY_WRITES,
        &REDIRECT,
        &REDIRECT_TTL,
        &REDIRECT_ENDPOINT,
    ];

    /// What was set.
    pub fn from_values(values: &Values) -> Result<Self, Problem> {
        let bucket = values.text(&BUCKET).filter(|name| is_bucket(name));
        let default = Self::new(bucket.ok_or_else(|| BUCKET.problem("name the bucket, like evidence-prod"))?);
        let prefix = values.text(&PREFIX).unwrap_or_default();
        if !prefix.is_empty() && (!prefix.ends_with('/') || prefix.starts_with('/')) {
            return Err(PREFIX.problem("give a path like registry/ that ends and does not begin with /"));
        }
        let checksums = match values.text(&CHECKSUMS) {
            Some("full") => Checksums::Full,
            _ => Checksums::WhenRequired,
        };
        let retries = match values.text(&RETRIES) {
            Some("standard") => Retries::Standard,
            _ => Retries::Adaptive,
        };
        let redirect_endpoint = endpoint(values, &REDIRECT_ENDPOINT)?;
        let ttl = values.duration(&REDIRECT_TTL).unwrap_or(Duration::from_mins(1));
        Ok(Self {
            prefix: prefix.to_owned(),
            endpoint: endpoint(values, &ENDPOINT)?,
            region: values.text(&REGION).map_or(default.region, str::to_owned),
            path_style: values.is_on(&PATH_STYLE),
            credentials: credentials(values)?,
            checksums,
            retries,
            part_size: values.number(&PART_SIZE).unwrap_or(default.part_size),
            parts_in_flight: values.number(&PARTS_IN_FLIGHT).unwrap_or(default.parts_in_flight),
            part_memory: values.number(&PART_MEMORY).unwrap_or(default.part_memory),
            spool: values.path(&SPOOL).unwrap_or(default.spool),
            attempts: values.number(&ATTEMPTS).unwrap_or(default.attempts),
            idle_timeout: values.duration(&IDLE_TIMEOUT).unwrap_or(default.idle_timeout),
            verify_writes: values.is_on(&VERIFY_WRITES),
            redirect: values.is_on(&REDIRECT).then_some(Redirect { ttl, endpoint: redirect_endpoint }),
            id: default.id,
            bucket: default.bucket,
        })
    }
}

/// What no server takes for a bucket; which names it does take is its own affair.
fn is_bucket(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'))
}

fn endpoint(values: &Values, setting: &Setting) -> Result<Option<String>, Problem> {
    let Some(url) = values.secret(setting) else { return Ok(None) };
    let url = url.expose();
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(['@', '?', '#']) => Ok(Some(url.to_owned())),
        _ => Err(setting.problem("give a URL like https://rgw.example.org:7480, without user and query")),
    }
}

fn credentials(values: &Values) -> Result<Option<Credentials>, Problem> {
    match (values.text(&ACCESS_KEY_ID), values.secret(&SECRET_ACCESS_KEY)) {
        (Some(id), Some(secret_access_key)) => Ok(Some(Credentials {
            access_key_id: id.to_owned(),
            secret_access_key,
            session_token: values.secret(&SESSION_TOKEN),
        })),
        (Some(_), None) => Err(SECRET_ACCESS_KEY.problem("set it too, as storage.s3.access_key_id is set")),
        (None, Some(_)) => Err(ACCESS_KEY_ID.problem("set it too, as storage.s3.secret_access_key is set")),
        (None, None) if values.has(&SESSION_TOKEN) => {
            Err(SESSION_TOKEN
                .problem("it goes with storage.s3.access_key_id and storage.s3.secret_access_key"))
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(given: &[(&Setting, &str)]) -> Values {
        let mut values = Values::defaults(Options::SETTINGS, "data");
        for (setting, text) in given {
            values.set(setting, setting.kind.parse(text).unwrap());
        }
        values
    }

    #[test]
    fn the_declared_defaults_are_the_defaults() {
        let options = Options::from_values(&values(&[(&BUCKET, "evidence")])).unwrap();
        assert_eq!(options, Options::new("evidence"));
    }

    #[test]
    fn everything_that_can_be_set_has_an_effect() {
        let all = values(&[
            (&BUCKET, "evidence"),
            (&PREFIX, "registry/"),
            (&ENDPOINT, "http://127.0.0.1:7480"),
            (&REGION, "eu"),
            (&PATH_STYLE, "true"),
            (&ACCESS_KEY_ID, "id"),
            (&SECRET_ACCESS_KEY, "key"),
            (&SESSION_TOKEN, "token"),
            (&CHECKSUMS, "full"),
            (&PART_SIZE, "5MiB"),
            (&PARTS_IN_FLIGHT, "1"),
            (&PART_MEMORY, "16MiB"),
            (&SPOOL, "/spool"),
            (&ATTEMPTS, "2"),
            (&RETRIES, "standard"),
            (&IDLE_TIMEOUT, "3s"),
            (&VERIFY_WRITES, "true"),
            (&REDIRECT, "true"),
            (&REDIRECT_TTL, "4s"),
            (&REDIRECT_ENDPOINT, "https://bytes.example.org"),
        ]);
        let credentials = Credentials {
            access_key_id: "id".to_owned(),
            secret_access_key: "key".into(),
            session_token: Some("token".into()),
        };
        let redirect =
            Redirect { ttl: Duration::from_secs(4), endpoint: Some("https://bytes.example.org".to_owned()) };
        let expected = Options {
            id: "s3".parse().unwrap(),
            bucket: "evidence".to_owned(),
            prefix: "registry/".to_owned(),
            endpoint: Some("http://127.0.0.1:7480".to_owned()),
            region: "eu".to_owned(),
            path_style: true,
            credentials: Some(credentials),
            checksums: Checksums::Full,
            retries: Retries::Standard,
            part_size: 5 * MIB,
            parts_in_flight: 1,
            part_memory: 16 * MIB,
            spool: "/spool".into(),
            attempts: 2,
            idle_timeout: Duration::from_secs(3),
            verify_writes: true,
            redirect: Some(redirect),
        };
        assert_eq!(Options::from_values(&all).unwrap(), expected);
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_name() {
        for (given, key) in [
            (&[][..], "storage.s3.bucket"),
            (&[(&BUCKET, "a/b")], "storage.s3.bucket"),
            (&[(&BUCKET, "b"), (&PREFIX, "registry")], "storage.s3.prefix"),
            (&[(&BUCKET, "b"), (&ENDPOINT, "rgw:7480")], "storage.s3.endpoint"),
            (&[(&BUCKET, "b"), (&ENDPOINT, "http://me:secret@rgw:7480")], "storage.s3.endpoint"),
            (&[(&BUCKET, "b"), (&ACCESS_KEY_ID, "id")], "storage.s3.secret_access_key"),
            (&[(&BUCKET, "b"), (&SECRET_ACCESS_KEY, "key")], "storage.s3.access_key_id"),
            (&[(&BUCKET, "b"), (&SESSION_TOKEN, "token")], "storage.s3.session_token"),
        ] {
            let problem = Options::from_values(&values(given)).unwrap_err();
            assert_eq!(problem.key, key, "{problem:?}");
        }
    }
}
