//! What others need to host an app: policies, variables, templates, as pure functions of it.

pub mod cloudformation;
pub mod dockerfile;
pub mod env;
pub mod iam;
