//! Running apps, asked what they know: for commands that show more where apps run, and are no worse where none does.

use std::time::Duration;

use less_runtime::client::{Client, Status, Trust};
use less_runtime::registry::{self, Entry};

use crate::project::Project;

/// Longest that one of them is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What this app says, where it runs and answers.
pub(crate) async fn of_project(project: &Project) -> Option<Status> {
    ask(&Client::discover(&project.root, project.app_name().as_deref()).ok()?).await.ok()
}

/// The apps that run on this machine and have a broker of their own, with what each says or why it says nothing.
pub(crate) async fn all() -> anyhow::Result<Vec<(Entry, Result<Status, String>)>> {
    let entries = registry::all().map_err(|cause| anyhow::anyhow!("can't tell which apps run: {cause}"))?;
    let key = std::env::var("LESS_API_KEY").ok().filter(|key| !key.is_empty());
    let asked = entries.into_iter().map(|entry| {
        let key = key.clone();
        async move {
            let answer = match Client::believing(&entry.url, key, &Trust::of(&entry)) {
                Ok(client) => ask(&client).await,
                Err(error) => Err(error.to_string()),
            };
            (entry, answer)
        }
    });
    Ok(futures_util::future::join_all(asked).await)
}

async fn ask(client: &Client) -> Result<Status, String> {
    match tokio::time::timeout(PATIENCE, client.status()).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}
