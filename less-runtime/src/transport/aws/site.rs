//! Where on AWS: what ARNs are made of.

/// An account in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// The account's 12 digits.
    pub account: String,
}

/// The partition that a region belongs to.
pub fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        region if region.starts_with("eusc-") => "aws-eusc",
        _ => "aws",
    }
}

/// Regions that every account has. SNS sends from and to the others as a principal of their own (<https://docs.aws.amazon.com/sns/latest/dg/sns-cross-region-delivery.html>).
const FOR_EVERYBODY: [&str; 16] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// Whether accounts have to opt into a region first. Of a region that is not known yet nobody can tell.
fn is_opt_in(region: &str) -> bool {
    partition(region) == "aws" && !region.contains('$') && !FOR_EVERYBODY.contains(&region)
}

/// As whom SNS delivers from a region to another one; `None` where it does not.
pub fn sns_principal(from: &str, to: &str) -> Option<String> {
    if from == to {
        return Some("sns.amazonaws.com".to_owned());
    }
    let within = partition(from) == partition(to) || [from, to].iter().any(|region| region.contains('$'));
    match (is_opt_in(from), is_opt_in(to)) {
        _ if !within => None,
        (true, true) => None,
        (true, false) => Some(format!("sns.{from}.amazonaws.com")),
        (false, true) => Some(format!("sns.{to}.amazonaws.com")),
        (false, false) => Some("sns.amazonaws.com".to_owned()),
    }
}

impl Site {
    /// Where an ARN says that something is.
    pub fn of_arn(arn: &str) -> Option<Self> {
        let mut parts = arn.split(':').skip(3);
        Some(Self { region: parts.next()?.to_owned(), account: parts.next()?.to_owned() })
    }

    /// The ARN of the topic with this physical name.
    pub fn topic_arn(&self, name: &str) -> String {
        self.arn("sns", name)
    }

    /// The ARN of the queue with this physical name.
    pub fn queue_arn(&self, name: &str) -> String {
        self.arn("sqs", name)
    }

    fn arn(&self, service: &str, name: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{name}", partition(&self.region), self.region, self.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sns_delivers_to_other_regions_as_the_one_that_has_to_be_opted_into() {
        let principal = |from, to| sns_principal(from, to);
        let plain = Some("sns.amazonaws.com".to_owned());
        assert_eq!(principal("us-east-1", "eu-west-1"), plain);
        assert_eq!(principal("ap-east-1", "ap-east-1"), plain);
        assert_eq!(principal("ap-east-1", "us-east-1").as_deref(), Some("sns.ap-east-1.amazonaws.com"));
        assert_eq!(principal("us-east-1", "eu-south-1").as_deref(), Some("sns.eu-south-1.amazonaws.com"));
        assert_eq!(principal("ap-east-1", "eu-south-1"), None);
        assert_eq!(principal("us-east-1", "us-gov-west-1"), None);
        assert_eq!(principal("cn-north-1", "cn-northwest-1"), plain);
        assert_eq!(principal("us-east-1", "${AWS::Region}"), plain);
    }

    #[test]
    fn arns_say_where_they_are() {
        let site = Site { region: "eu-west-1".to_owned(), account: "123456789012".to_owned() };
        assert_eq!(Site::of_arn(&site.topic_arn("a")), Some(site));
        assert_eq!(Site::of_arn("nothing"), None);
    }

    #[test]
    fn arns_have_the_partition_of_their_region() {
        let site = |region: &str| Site { region: region.to_owned(), account: "123456789012".to_owned() };
        assert_eq!(site("eu-west-1").topic_arn("a"), "arn:aws:sns:eu-west-1:123456789012:a");
        assert_eq!(site("cn-north-1").queue_arn("a"), "arn:aws-cn:sqs:cn-north-1:123456789012:a");
        assert_eq!(site("us-gov-west-1").queue_arn("a"), "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:a");
    }
}
