//! Clients of SNS, SQS and STS, and where they are: region and account.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_sns::config::interceptors::InterceptorContext;
use aws_sdk_sns::config::retry::{ClassifyRetry, RetryAction};
use less_model::manifest::AwsLayer;

use super::Site;
use super::calls::brief;
use super::known::Known;
use crate::transport::TransportError;

/// Longest that SQS waits for messages before it answers.
pub(super) const LONGEST_POLL: Duration = Duration::from_secs(20);
/// How much longer than its wait an attempt of a call may take.
pub(super) const BEYOND: Duration = Duration::from_secs(10);

/// What a connection is for: how patient it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A running app: calls are tried three times, and soon given up.
    Run,
    /// Deploying: calls are slowed down to what AWS takes, and tried until it does.
    Deploy,
}

/// Clients that share credentials, region and connections.
#[derive(Debug, Clone)]
pub struct Connection {
    /// What they were made of.
    pub sdk: SdkConfig,
    /// SNS.
    pub sns: aws_sdk_sns::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// Where they are.
    pub site: Site,
}

impl Connection {
    /// Clients of this configuration.
    pub fn new(sdk: SdkConfig, site: Site) -> Self {
        let sns = aws_sdk_sns::config::Builder::from(&sdk).retry_classifier(TooMany).build();
        let sqs = aws_sdk_sqs::config::Builder::from(&sdk).retry_classifier(TooMany).build();
        Self { sns: aws_sdk_sns::Client::from_conf(sns), sqs: aws_sdk_sqs::Client::from_conf(sqs), site, sdk }
    }

    /// SNS where a topic or a subscription is: it answers for its own region alone.
    #[cfg(feature = "deploy")]
    pub(super) fn sns_of(&self, arn: &str) -> aws_sdk_sns::Client {
        match Site::of_arn(arn) {
            Some(site) if site.region != self.site.region => {
                let config = aws_sdk_sns::config::Builder::from(&self.sdk).retry_classifier(TooMany);
                aws_sdk_sns::Client::from_conf(config.region(Region::new(site.region)).build())
            }
            _ => self.sns.clone(),
        }
    }
}

/// Connects as the environment says (credentials, `AWS_ENDPOINT_URL`, region where `layer` has none), and asks which account that is.
pub async fn connect(layer: &AwsLayer, purpose: Purpose) -> Result<Connection, TransportError> {
    let (sdk, region) = load(layer, purpose).await?;
    // Nothing has begun yet: what is wrong with the way to AWS is soon said, however patient the rest is.
    let retries = RetryConfig::standard().with_max_attempts(3);
    let sts =
        aws_sdk_sts::config::Builder::from(&sdk).retry_config(retries).retry_classifier(TooMany).build();
    let caller = aws_sdk_sts::Client::from_conf(sts).get_caller_identity().send().await;
    let caller = caller.map_err(|error| {
        let cause = brief(&error);
        let hint = way_to_aws(&cause, std::env::var("AWS_ENDPOINT_URL").ok());
        TransportError::Unreachable { region: region.clone(), cause, hint }
    })?;
    place(layer, sdk, Site { region, account: caller.account.unwrap_or_default() })
}

/// What to look at, where AWS can't be asked who we are.
fn way_to_aws(cause: &str, endpoint: Option<String>) -> String {
    if cause.contains("no credentials") {
        "\nhint: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; `aws sts get-caller-identity` shows whom they are of".to_owned()
    } else if !cause.contains("dispatch failure") {
        // It was asked, and says itself what it did not like.
        String::new()
    } else if let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.is_empty()) {
        format!("\nhint: AWS_ENDPOINT_URL leads to {endpoint}; unset it where AWS itself is meant")
    } else {
        "\nhint: is the region's name right? AWS is asked at `sts.<region>.amazonaws.com`".to_owned()
    }
}

/// The same for a running app; where the environment names what was deployed, nobody has to be asked.
pub async fn connect_to(layer: &AwsLayer, known: Option<&Known>) -> Result<Connection, TransportError> {
    let Some(site) = known.and_then(Known::site) else { return connect(layer, Purpose::Run).await };
    let (sdk, _) = load(layer, Purpose::Run).await?;
    place(layer, sdk, site)
}

async fn load(layer: &AwsLayer, purpose: Purpose) -> Result<(SdkConfig, String), TransportError> {
    let mut loader = patient(aws_config::defaults(BehaviorVersion::v2026_01_12()), purpose);
    if let Some(region) = &layer.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let sdk = loader.load().await;
    match sdk.region().map(ToString::to_string) {
        Some(region) => Ok((sdk, region)),
        None => Err(TransportError::NoRegion),
    }
}

fn place(layer: &AwsLayer, sdk: SdkConfig, site: Site) -> Result<Connection, TransportError> {
    if let Some(wanted) = &layer.account
        && *wanted != site.account
    {
        return Err(TransportError::OtherAccount { wanted: wanted.clone(), found: site.account });
    }
    Ok(Connection::new(sdk, site))
}

/// Tries again what SNS answers with status 429 and the code `Throttled`, which the SDK's own list of such codes lacks.
#[derive(Debug)]
struct TooMany;

impl ClassifyRetry for TooMany {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response() {
            Some(response) if response.status().as_u16() == 429 => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "too many requests"
    }
}

/// Timeouts and retries for a purpose: what the SDK's own defaults are not good for.
pub fn patient(loader: ConfigLoader, purpose: Purpose) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        // The default is none at all: a connection that has gone quiet would hold its caller for ever.
        .operation_attempt_timeout(BEYOND)
        .build();
    let retries = match purpose {
        Purpose::Run => RetryConfig::standard().with_max_attempts(3),
        Purpose::Deploy => RetryConfig::adaptive().with_max_attempts(10),
    };
    loader.timeout_config(timeouts).retry_config(retries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_aws_cannot_be_asked_the_hint_says_what_to_look_at() {
        let refused =
            "can't ask which AWS account this is (eu-west-1): dispatch failure: io error: connection refused";
        let here = way_to_aws(refused, Some("http://127.0.0.1:9".to_owned()));
        assert_eq!(
            here,
            "\nhint: AWS_ENDPOINT_URL leads to http://127.0.0.1:9; unset it where AWS itself is meant"
        );
        let aws = way_to_aws(refused, None);
        assert_eq!(aws, "\nhint: is the region's name right? AWS is asked at `sts.<region>.amazonaws.com`");
        assert_eq!(way_to_aws("can't ask …: ExpiredToken: it is too old", None), "");
        let nobody = "can't ask …: dispatch failure: other: no credentials found in chain";
        assert!(way_to_aws(nobody, None).starts_with("\nhint: set AWS_PROFILE"));
    }
}
