//! What the server behind a bucket can do, found out by trying.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockEnabled};
use bytes::Bytes;

use super::bucket::Bucket;
use super::fault::{Fault, Kind};
use super::part::Part;
use crate::storage::{Capability, Error};

const BODY: &[u8] = b"artifactstore probe\n";

impl Bucket {
    /// Tries everything on objects of its own, and removes them. Fails only when the bucket is out of reach.
    pub(super) async fn probe(self: &Arc<Self>) -> Result<Vec<Capability>, Error> {
        if let Err(fault) = self.exists().await {
            return Err(self.explain(&self.told(fault).await));
        }
        let name = probe_name();
        let mut found = Vec::new();
        let mut note = |name, needed, tried: Result<String, Fault>| {
            let (supported, detail) = match tried {
                Ok(detail) => (true, Some(detail)),
                Err(fault) => (false, Some(fault.text().to_owned())),
            };
            found.push(Capability { name, supported, needed, detail });
        };
        let part = Part::of(Bytes::from_static(BODY));
        let put = self.put(&name, &part).await;
        if let Err(fault) = &put
            && (fault.kind == Kind::Unavailable || fault.is_denied())
        {
            return Err(self.explain(fault));
        }
        note("put", true, put.map(|_| "objects can be written".to_owned()));
        note("get", true, self.reads(&name, None).await);
        note("range", true, self.reads(&name, Some((3, 9))).await);
        note("list", true, self.lists(&name).await);
        note("multipart", true, self.multipart(&name).await);
        note("abort", true, self.aborts(&name).await);
        note("conditional put", false, self.refuses_second(&name).await);
        note("checksums", false, self.checked(&name).await);
        note("versioning", false, self.versioning().await);
        note("object lock", false, self.object_lock().await);
        note("presign", false, self.presigns(&name).await);
        note("delete", true, self.deletes(&name).await);
        Ok(found)
    }

    /// Writes, reads and removes an object.
    pub(super) async fn find_problem(self: &Arc<Self>) -> Result<(), String> {
        let name = probe_name();
        let failed =
            |verb: &str, fault: &Fault| format!("{}: can not {verb} a probe: {}", self.uri(""), fault.text());
        let part = Part::of(Bytes::from_static(BODY));
        self.put(&name, &part).await.map_err(|fault| failed("write", &fault))?;
        let read = self.reads(&name, None).await.map_err(|fault| failed("read", &fault));
        self.remove(&name).await.map_err(|fault| failed("remove", &fault))?;
        read.map(drop)
    }

    async fn reads(&self, name: &str, range: Option<(usize, usize)>) -> Result<String, Fault> {
        let header = range.map(|(start, end)| format!("bytes={start}-{}", end - 1));
        let (start, end) = range.unwrap_or((0, BODY.len()));
        let body = self.get(name, header, None).await?.body;
        let back = body.collect().await.map_err(|e| Fault::odd(e.to_string()))?.into_bytes();
        if back == BODY[start..end] {
            Ok("the bytes come back".into())
        } else {
            Err(Fault::odd("other bytes came back"))
        }
    }

    async fn lists(&self, name: &str) -> Result<String, Fault> {
        let page = self.names(name, None, 2).await?;
        match page.objects.first().and_then(|object| self.relative(object.key()?)) {
            Some(listed) if listed == name => Ok("a new object is listed at once".into()),
            _ => Err(Fault::odd("a new object is not listed")),
        }
    }

    async fn multipart(&self, name: &str) -> Result<String, Fault> {
        let name = format!("{name}.parts");
        let id = self.create_upload(&name).await?;
        let full = self.full(&name);
        let upload = self.client.upload_part().bucket(self.name()).key(&full).upload_id(&id).part_number(1);
        let sha256 = self.checksum(&Part::of(Bytes::from_static(BODY))).await?;
        let upload = upload.set_checksum_sha256(sha256.clone());
        let sent = upload.body(ByteStream::from_static(BODY)).send().await.map_err(Fault::from);
        let completed = async {
            let etag = sent?.e_tag.unwrap_or_default().trim_matches('"').to_owned();
            let sent = super::upload::Sent { etag, size: BODY.len() as u64, sha256, sum: None };
            self.complete(&name, &id, &[sent]).await
        };
        let completed = completed.await;
        if completed.is_err() {
            self.abort(&full, &id).await?;
        }
        self.remove(&name).await?;
        completed.map(|_| "uploads in parts can be completed".into())
    }

    async fn aborts(&self, name: &str) -> Result<String, Fault> {
        let name = format!("{name}.abort");
        let id = self.create_upload(&name).await?;
        let listed = self.uploads(&name, 2).await?;
        self.abort(&self.full(&name), &id).await?;
        let left = self.uploads(&name, 2).await?;
        match (listed.is_empty(), left.is_empty()) {
            (false, true) => Ok("open uploads are listed and can be aborted".into()),
            (true, _) => Err(Fault::odd("open uploads are not listed")),
            (false, false) => Err(Fault::odd("an aborted upload is still listed")),
        }
    }

    async fn refuses_second(&self, name: &str) -> Result<String, Fault> {
        let request = self.client.put_object().bucket(self.name()).key(self.full(name)).if_none_match("*");
        match request.body(ByteStream::from_static(BODY)).send().await.map_err(Fault::from) {
            Err(fault) if fault.kind == Kind::Changed => Ok("a put can be made to never replace".into()),
            Err(fault) => Err(fault),
            Ok(_) => Err(Fault::odd("If-None-Match is ignored")),
        }
    }

    async fn checked(&self, name: &str) -> Result<String, Fault> {
        let request = self.client.put_object().bucket(self.name()).key(self.full(name));
        // That of no bytes: a server that looks refuses it.
        let wrong = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        match request
            .checksum_sha256(wrong)
            .body(ByteStream::from_static(BODY))
            .send()
            .await
            .map_err(Fault::from)
        {
            Err(fault) if fault.kind == Kind::Refused => Ok("a body with a wrong SHA-256 is refused".into()),
            Err(fault) => Err(fault),
            Ok(_) => Err(Fault::odd("a wrong SHA-256 is not noticed")),
        }
    }

    async fn versioning(&self) -> Result<String, Fault> {
        let asked = self.client.get_bucket_versioning().bucket(self.name()).send().await?;
        match asked.status {
            Some(BucketVersioningStatus::Enabled) => Ok("on: deletes name the version".into()),
            Some(_) => Err(Fault::odd("suspended")),
            None => Err(Fault::odd("off")),
        }
    }

    async fn object_lock(&self) -> Result<String, Fault> {
        let asked = self.client.get_object_lock_configuration().bucket(self.name()).send().await?;
        match asked.object_lock_configuration.and_then(|lock| lock.object_lock_enabled) {
            Some(ObjectLockEnabled::Enabled) => Ok("on: objects may refuse to be removed".into()),
            _ => Err(Fault::odd("off")),
        }
    }

    async fn presigns(&self, name: &str) -> Result<String, Fault> {
        self.presigned(name, Duration::from_mins(1)).await?;
        Ok("URLs can be signed; whether clients reach them is not known here".into())
    }

    async fn deletes(&self, name: &str) -> Result<String, Fault> {
        self.remove(name).await?;
        Ok("objects can be removed".into())
    }

    /// The same refusal with the server's own name for it: the answer to a HEAD has no body to give one.
    async fn told(&self, fault: Fault) -> Fault {
        if fault.status.is_none() {
            return fault;
        }
        match self.names("", None, 1).await {
            Err(told) if told.code.is_some() => told,
            _ => fault,
        }
    }

    /// One sentence with a hint for what keeps a registry from starting.
    pub(super) fn explain(&self, fault: &Fault) -> Error {
        let bucket = self.name();
        let server = self.options.endpoint.as_deref().unwrap_or("AWS");
        let problem = match (fault.status, fault.code.as_deref()) {
            // The second is versitygw's.
            (_, Some("InvalidAccessKeyId" | "XAdminUserNotFound")) => {
                format!(
                    "{server} does not accept the credentials (no such access key); check storage.s3.access_key_id"
                )
            }
            (_, Some("SignatureDoesNotMatch")) => {
                format!(
                    "{server} does not accept the credentials (wrong secret key); check storage.s3.secret_access_key"
                )
            }
            (_, Some("InvalidToken" | "ExpiredToken")) => {
                format!(
                    "{server} does not accept the credentials (bad session token); check storage.s3.session_token"
                )
            }
            (_, Some("AuthorizationHeaderMalformed" | "PermanentRedirect")) => format!(
                "bucket {bucket:?} is not in region {:?}; check storage.s3.region and storage.s3.endpoint",
                self.options.region
            ),
            (_, Some("NoSuchBucket")) | (Some(404), _) => {
                format!("there is no bucket {bucket} at {server}; create it, or check storage.s3.bucket")
            }
            (Some(301 | 307 | 308 | 400), _) => format!(
                "{server} refuses requests about bucket {bucket:?}; check storage.s3.region, storage.s3.endpoint and storage.s3.path_style: {}",
                fault.text()
            ),
            (Some(401 | 403), _) => format!(
                "{server} denies the S3 credentials access to bucket {bucket:?}; check storage.s3.access_key_id and the bucket's policy"
            ),
            (Some(429 | 500..), _) => format!(
                "{server} does not answer for bucket {bucket:?} at the moment; look at the server, then start again: {}",
                fault.text()
            ),
            (Some(_), _) => format!(
                "bucket {bucket:?} at {server} can not be used; check storage.s3.endpoint and storage.s3.bucket: {}",
                fault.text()
            ),
            (None, _) if fault.lacks_credentials() => format!(
                "there are no credentials for {server}; set storage.s3.access_key_id and \
                 storage.s3.secret_access_key, or give the AWS chain a profile or a role: {}",
                fault.text()
            ),
            (None, _) => format!(
                "{server} cannot be reached; check storage.s3.endpoint and the network: {}",
                fault.text()
            ),
        };
        Error::Unusable(problem)
    }
}

fn probe_name() -> String {
    format!(".probe-{}", ulid::Ulid::generate())
}
