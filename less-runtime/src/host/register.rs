//! Makes the app known to the other apps that run on this machine.

use std::path::PathBuf;

use less_model::config::{Config, Secret};
use less_model::manifest::{Manifest, TransportKind};

use crate::clock::Timestamp;
use crate::registry::{Entry, Registration, token};

/// Where other processes of this machine reach the app.
pub(super) struct Reached {
    pub(super) url: String,
    /// The file with the certificate that it shows, an absolute path.
    pub(super) certificate: Option<PathBuf>,
}

/// How others know the app.
pub(super) struct Known {
    /// What lets them in.
    pub(super) token: Option<Secret>,
    /// Gone with this value.
    pub(super) _registration: Option<Registration>,
}

/// Makes it known, where it has a broker that others can ask. An app that can't be found is none the worse for itself.
pub(super) fn register(config: &Config, manifest: &Manifest, at: &Reached, now: Timestamp) -> Known {
    match config.transport.value {
        TransportKind::Embedded => {}
        TransportKind::Aws => return Known { token: None, _registration: None },
    }
    let token = token();
    let registration = std::env::current_dir().and_then(|folder| {
        Registration::new(&Entry {
            app: manifest.app.clone(),
            stage: config.stage.value.clone(),
            url: at.url.clone(),
            certificate: at.certificate.clone(),
            token: token.clone(),
            pid: std::process::id(),
            folder,
            started_at: now,
        })
    });
    let registration = registration.inspect_err(|cause| {
        tracing::warn!(target: "less_runtime", "other apps of this machine can't find this one by its name: {cause}");
    });
    Known { token: Some(token), _registration: registration.ok() }
}
