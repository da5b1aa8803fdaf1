use less::topics::drive::Drive;

pub async fn process(job: Drive) -> less::Result<()> {
    peers_app::run(&job).await.map_err(|error| less::reject(format!("{error:#}")))
}
