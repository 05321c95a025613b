//! The SDK's client, set up the way a registry needs it.

use std::time::Duration;

use aws_credential_types::Credentials as Key;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};

use super::{Checksums, Options};

/// How slow a request body may be before its time-out: bytes per second.
const SLOWEST: u64 = 64 * 1024;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The pause before the first retry; it doubles, and is drawn at random below that.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A client for the bucket's server.
pub(super) async fn connect(options: &Options) -> Client {
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(options.region.clone()))
        .force_path_style(options.path_style)
        .retry_config(
            RetryConfig::adaptive()
                .with_max_attempts(options.attempts.max(1))
                .with_initial_backoff(FIRST_PAUSE),
        )
        .timeout_config(answer_within(options.idle_timeout))
        // Downloads are watched where they are read: a slow reader of ours is no stalled server.
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .download_enabled(false)
                .upload_enabled(true)
                .grace_period(options.idle_timeout)
                .build(),
        );
    config = match options.checksums {
        Checksums::WhenRequired => config
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired),
        Checksums::Full => config
            .request_checksum_calculation(RequestChecksumCalculation::WhenSupported)
            .response_checksum_validation(ResponseChecksumValidation::WhenSupported),
    };
    if let Some(endpoint) = &options.endpoint {
        config = config.endpoint_url(endpoint);
    }
    config = match &options.credentials {
        Some(given) => config.credentials_provider(Key::new(
            &given.access_key_id,
            given.secret_access_key.expose(),
            given.session_token.as_ref().map(|token| token.expose().to_owned()),
            None,
            "configuration",
        )),
        None => {
            let chain = aws_config::default_provider::credentials::DefaultCredentialsChain::builder()
                .region(Region::new(options.region.clone()))
                .build()
                .await;
            config.credentials_provider(chain)
        }
    };
    Client::from_conf(config.build())
}

/// The same client for URLs that clients of ours will use, when they reach the server under another name.
pub(super) fn public(client: &Client, endpoint: &str) -> Client {
    Client::from_conf(client.config().to_builder().endpoint_url(endpoint).build())
}

/// Time-outs of a request whose body takes no time to send.
fn answer_within(idle: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT.min(idle)).read_timeout(idle).build()
}

/// What one request may be given: the server has `idle` to answer once it has the body, and `patience` more.
pub(super) fn patient(idle: Duration, body: u64, patience: Duration) -> Builder {
    let sending = Duration::from_secs(body / SLOWEST);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT.min(idle))
        .read_timeout(idle + sending + patience)
        .build();
    Builder::new().timeout_config(timeouts)
}
