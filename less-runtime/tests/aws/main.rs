//! The transport over SNS and SQS, on the servers that `tests/aws/servers.sh` starts: each test has an account of its own there.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

mod archive;
mod canary;
mod conformance;
mod external;
mod faults;
mod fifo;
mod keeper;
mod leases;
mod log;
mod mix;
mod process;
mod rig;
mod stage;
mod stalled;
