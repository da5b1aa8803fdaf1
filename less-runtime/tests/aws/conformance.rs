//! What every transport promises, on two independent servers.

mod localstack {
    less_runtime::suite!(crate::stage::Stage::on("LESS_TEST_LOCALSTACK"));
}

mod ministack {
    less_runtime::suite!(crate::stage::Stage::on("LESS_TEST_MINISTACK"));
}
