//! The client: where it connects, who it is, how often it tries.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    Builder, Region, RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_types::retry::RetryConfig;

use super::idle::IdleClient;
use super::{Checksums, Options, Retries};
use crate::storage::Error;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);

/// The first pause before a request is tried again, and the longest; the pause in between is a random part of a
/// doubling one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A client for `endpoint`. Opens no connection.
pub(super) async fn connect(options: &Options, endpoint: Option<&str>) -> Result<Client, Error> {
    let retries = match options.retries {
        Retries::Adaptive => RetryConfig::adaptive(),
        Retries::Standard => RetryConfig::standard(),
    };
    let retries = retries
        .with_max_attempts(options.attempts.max(1))
        .with_initial_backoff(FIRST_PAUSE)
        .with_max_backoff(LONGEST_PAUSE);
    let https = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
        .build_https();
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(IdleClient { inner: https, idle: options.idle_timeout })
        .region(Region::new(options.region.clone()))
        .force_path_style(options.path_style)
        .retry_config(retries)
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    let validation = match options.checksums {
        Checksums::WhenRequired => ResponseChecksumValidation::WhenRequired,
        Checksums::Full => ResponseChecksumValidation::WhenSupported,
    };
    // The SDK would send checksums behind the body, which older RGW refuses; ours go before it, see `verify`.
    config = config
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(validation);
    if let Some(endpoint) = endpoint {
        if !(endpoint.starts_with("http://") || endpoint.starts_with("https://")) {
            return Err(Error::Unusable(format!(
                "storage.s3.endpoint {endpoint:?} is no URL; write it with http:// or https://"
            )));
        }
        config = config.endpoint_url(endpoint);
    }
    config = if let Some(own) = &options.credentials {
        config.credentials_provider(aws_credential_types::Credentials::new(
            own.access_key_id.clone(),
            own.secret_access_key.expose().to_owned(),
            own.session_token.as_ref().map(|token| token.expose().to_owned()),
            None,
            "settings",
        ))
    } else {
        let region = Region::new(options.region.clone());
        let chain = aws_config::defaults(BehaviorVersion::latest()).region(region).load().await;
        let provider = chain.credentials_provider().ok_or_else(|| {
            Error::Unusable(
                "there are no S3 credentials; set storage.s3.access_key_id and storage.s3.secret_access_key"
                    .into(),
            )
        })?;
        config.credentials_provider(provider)
    };
    Ok(Client::from_conf(config.build()))
}
