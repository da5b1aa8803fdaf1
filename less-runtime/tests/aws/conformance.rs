//! What every transport promises, on two independent servers.

mod localstack {
    less_runtime::suite!(crate::stage::Stage::on("LESS_TEST_LOCALSTACK"));
}

mod ministack {
    less_runtime::suite!(crate::stage::Stage::on("LESS_TEST_MINISTACK"));
}

/// In a real account, when asked: see tests/aws/README.md.
#[cfg(real_aws)]
mod account {
    less_runtime::suite!(crate::stage::Stage::on_aws());
}
