//! The transport over SNS and SQS, on the servers that `tests/aws/servers.sh` starts: each test has an account of its own there.

mod conformance;
mod process;
mod stage;
