//! A bucket of its own for each test.

use std::sync::atomic::{AtomicU32, Ordering};

use artifactstore::storage::s3;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::operation::list_multipart_uploads::ListMultipartUploadsOutput;

use crate::place::Place;
use crate::runtime::wait;

/// Emptied and deleted with its value.
#[derive(Debug)]
pub(crate) struct Bucket {
    client: Client,
    pub(crate) service: Place,
    pub(crate) name: String,
}

impl Bucket {
    /// A new one on a service whose user is the access key and whose password is the secret.
    pub(crate) fn create(service: &Place) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("replicas-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let bucket = Self { client: client(service, 3), service: service.clone(), name };
        wait(bucket.client.create_bucket().bucket(&bucket.name).send()).unwrap();
        bucket
    }

    /// How the registry reaches it.
    pub(crate) fn options(&self, prefix: &str) -> s3::Options {
        let secret = self.service.password.clone().expect("the variable holds ACCESS:SECRET");
        let credentials = s3::Credentials {
            access_key_id: self.service.user.clone(),
            secret_access_key: secret.into(),
            session_token: None,
        };
        s3::Options {
            prefix: prefix.to_owned(),
            endpoint: Some(self.service.endpoint()),
            path_style: true,
            credentials: Some(credentials),
            ..s3::Options::new(&self.name)
        }
    }

    /// The keys below a prefix.
    pub(crate) fn objects(&self, prefix: &str) -> Vec<String> {
        wait(async {
            let (mut keys, mut token) = (Vec::new(), None);
            loop {
                let list = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
                let page = list.set_continuation_token(token).send().await.unwrap();
                keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
                token = page.next_continuation_token().map(str::to_owned);
                if token.is_none() {
                    return keys;
                }
            }
        })
    }

    /// Multipart uploads that were begun and neither completed nor aborted: key and id.
    pub(crate) fn multiparts(&self) -> Vec<(String, String)> {
        let page = wait(self.client.list_multipart_uploads().bucket(&self.name).send()).unwrap();
        assert_ne!(page.is_truncated(), Some(true), "no test leaves a thousand");
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        page.uploads().iter().map(|upload| (text(upload.key()), text(upload.upload_id()))).collect()
    }
}

/// A client of a service, which tries each request so often.
pub(crate) fn client(service: &Place, attempts: u32) -> Client {
    let secret = service.password.clone().expect("the variable holds ACCESS:SECRET");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(service.endpoint())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(&service.user, secret, None, None, "tests"))
        .retry_config(RetryConfig::standard().with_max_attempts(attempts))
        .force_path_style(true);
    Client::from_conf(config.build())
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // A test that failed may have left a service that does not answer: nothing here may panic.
        wait(async {
            let uploads = self.client.list_multipart_uploads().bucket(&self.name).send().await;
            for upload in uploads.iter().flat_map(ListMultipartUploadsOutput::uploads) {
                let abort = self.client.abort_multipart_upload().bucket(&self.name);
                let abort = abort.set_key(upload.key.clone()).set_upload_id(upload.upload_id.clone());
                let _ = abort.send().await;
            }
            while let Ok(page) = self.client.list_objects_v2().bucket(&self.name).send().await
                && !page.contents().is_empty()
            {
                for object in page.contents() {
                    let delete = self.client.delete_object().bucket(&self.name).set_key(object.key.clone());
                    if delete.send().await.is_err() {
                        return;
                    }
                }
            }
            let _ = self.client.delete_bucket().bucket(&self.name).send().await;
        });
    }
}
