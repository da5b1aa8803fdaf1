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

impl Site {
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
    fn arns_have_the_partition_of_their_region() {
        let site = |region: &str| Site { region: region.to_owned(), account: "123456789012".to_owned() };
        assert_eq!(site("eu-west-1").topic_arn("a"), "arn:aws:sns:eu-west-1:123456789012:a");
        assert_eq!(site("cn-north-1").queue_arn("a"), "arn:aws-cn:sqs:cn-north-1:123456789012:a");
        assert_eq!(site("us-gov-west-1").queue_arn("a"), "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:a");
    }
}
