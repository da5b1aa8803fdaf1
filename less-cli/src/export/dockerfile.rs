//! A container image of an app: what its languages need, and no more.

use std::fmt::Write as _;

use less_model::language::Language;

use crate::render::RuntimeSource;

/// What an image has to hold.
#[derive(Debug, Clone)]
pub struct Image {
    /// The app's name.
    pub app: String,
    /// Whether there is something to compile; else `less` itself runs the app.
    pub needs_rust: bool,
    /// Whether there are subscribers in Node.js.
    pub node: bool,
    /// Whether there are subscribers in Python.
    pub python: bool,
    /// Where `less` and the runtime come from.
    pub source: RuntimeSource,
    /// Files in the app's folder that say what its handlers need.
    pub files: Files,
}

/// Files in the app's folder, where they exist.
#[derive(Debug, Clone, Copy, Default)]
pub struct Files {
    /// `package.json`
    pub package: bool,
    /// `package-lock.json`
    pub package_lock: bool,
    /// `requirements.txt`
    pub requirements: bool,
}

impl Image {
    /// Reads the languages off the app.
    pub fn new(app: &less_model::tree::App, source: RuntimeSource, files: Files) -> Self {
        let has = |wanted| app.languages().any(|language| language == wanted);
        Self {
            app: app.name.to_string(),
            needs_rust: app.needs_rust(),
            node: has(Language::Node),
            python: has(Language::Python),
            source,
            files,
        }
    }
}

const RUST: &str = "rust:1.95-bookworm";
const NODE: &str = "node:22-bookworm-slim";
const PYTHON: &str = "python:3.13-slim-bookworm";
const DEBIAN: &str = "debian:bookworm-slim";

/// What of a checkout `less` is compiled of. Its workspace names the tests as a member.
const CHECKOUT: [&str; 8] = [
    "Cargo.toml",
    "Cargo.lock",
    "less-model",
    "less-macros",
    "less-runtime",
    "less-cli",
    "templates",
    "tests",
];

/// What `COPY . .` leaves out: what is generated anew, the developer's own, and secrets.
pub const IGNORED: &str = "\
# Made by `less export dockerignore`.
.less
target
.git
**/node_modules
**/.venv
**/__pycache__
**/.env
**/.env.*
Dockerfile*
.dockerignore
";

/// The Dockerfile.
pub fn dockerfile(image: &Image) -> String {
    let mut out = head(image);
    out.push_str(&build(image));
    if image.node && image.files.package {
        out.push_str(&node_modules(image.files));
    }
    out.push_str(&last(image));
    out
}

fn head(image: &Image) -> String {
    let Image { app, .. } = image;
    let context = match image.source {
        RuntimeSource::Path(_) => " --build-context less=<the checkout of Less>",
        RuntimeSource::Registry(_) => "",
    };
    format!(
        "# syntax=docker/dockerfile:1
# Made by `less export dockerfile`, for the app `{app}`; yours from here on.
#
#   less export dockerignore > .dockerignore
#   docker build{context} -t {app} .
#   docker run -p 4100:4100 -e LESS_API_KEY=… -e LESS_STAGE=… -v {app}:/data --stop-timeout 40 {app}
#
# It listens on every interface, and so refuses to start without a key. A stage on AWS keeps nothing in /data. Stopping takes up to 30 s
# (LESS_DRAIN=25s, and 5 s to hand back what still runs).
"
    )
}

fn build(image: &Image) -> String {
    let mut out = format!("\nFROM {RUST} AS build\n");
    match image.source {
        RuntimeSource::Path(_) => {
            for source in CHECKOUT {
                let _ = writeln!(out, "COPY --from=less {source} /less/{source}");
            }
            out.push_str("RUN cargo install --locked --path /less/less-cli --root /usr/local\n");
        }
        RuntimeSource::Registry(version) => {
            let _ = writeln!(out, "RUN cargo install --locked less-cli@{version} --root /usr/local");
        }
    }
    out.push_str("WORKDIR /app\nCOPY . .\nRUN less build --release\n");
    out
}

fn node_modules(files: Files) -> String {
    let (lock, install) = if files.package_lock {
        (" package-lock.json", "npm ci --omit=dev")
    } else {
        ("", "npm install --omit=dev")
    };
    // It may have nothing to install, and then makes no folder.
    format!(
        "\nFROM {NODE} AS node_modules\nWORKDIR /app\nCOPY package.json{lock} ./\nRUN {install} && mkdir -p node_modules\n"
    )
}

fn last(image: &Image) -> String {
    let base = match (image.python, image.node) {
        (true, _) => PYTHON,
        (false, true) => NODE,
        (false, false) => DEBIAN,
    };
    let mut out = format!("\nFROM {base}\n");
    out.push_str("COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt\n");
    if image.python && image.node {
        let _ = writeln!(out, "COPY --from={NODE} /usr/local/bin/node /usr/local/bin/node");
    }
    out.push_str("RUN useradd --system --uid 10001 --no-create-home less && install -d -o less /data\n");
    out.push_str("WORKDIR /app\n");
    if image.python && image.files.requirements {
        out.push_str("COPY requirements.txt ./\nRUN pip install --no-cache-dir -r requirements.txt\n");
    }
    if image.node && image.files.package {
        out.push_str("COPY --from=node_modules /app/node_modules node_modules\n");
    }
    if image.node || image.python {
        out.push_str("COPY . .\n");
    }
    if image.node {
        out.push_str("COPY --from=build /app/.less/node_modules .less/node_modules\n");
    }
    if image.python {
        out.push_str("COPY --from=build /app/.less/python .less/python\n");
    }
    let command = if image.needs_rust {
        let _ = writeln!(out, "COPY --from=build /app/.less/bin/{} /usr/local/bin/app", image.app);
        r#"["/usr/local/bin/app"]"#
    } else {
        out.push_str("COPY --from=build /usr/local/bin/less /usr/local/bin/less\n");
        out.push_str("COPY --from=build /app/.less/app/manifest.json .less/app/manifest.json\n");
        r#"["/usr/local/bin/less", "--less-host", ".less/app/manifest.json"]"#
    };
    let _ = write!(
        out,
        "ENV LESS_LISTEN=0.0.0.0:4100 LESS_DATA=/data
VOLUME [\"/data\"]
EXPOSE 4100
USER 10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD {HEALTH}
ENTRYPOINT {command}
"
    );
    out
}

/// Asks for the app's health with what every one of these images has.
const HEALTH: &str = r#"["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/4100 && printf 'GET /healthz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && head -1 <&3 | grep -q ' 200 '"]"#;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn image(needs_rust: bool, node: bool, python: bool) -> Image {
        Image {
            app: "shop".to_owned(),
            needs_rust,
            node,
            python,
            source: RuntimeSource::Path(PathBuf::from("/home/ada/less/less-runtime")),
            files: Files { package: true, package_lock: true, requirements: true },
        }
    }

    /// Every combination of languages.
    fn all() -> Vec<Image> {
        (0..8).map(|bits| image(bits & 1 > 0, bits & 2 > 0, bits & 4 > 0)).collect()
    }

    fn copies(text: &str) -> impl Iterator<Item = Vec<&str>> {
        text.lines().filter_map(|line| Some(line.strip_prefix("COPY ")?.split(' ').collect()))
    }

    #[test]
    fn an_image_holds_what_its_languages_need_and_runs_as_nobody_s_root() {
        for image in all() {
            let text = dockerfile(&image);
            let last = &text[text.rfind("\nFROM ").unwrap()..];
            assert_eq!(last.contains("/usr/local/bin/app"), image.needs_rust, "{text}");
            assert_eq!(last.contains("--less-host"), !image.needs_rust, "{text}");
            assert_eq!(last.contains(".less/node_modules"), image.node, "{text}");
            assert_eq!(last.contains("pip install"), image.python, "{text}");
            assert_eq!(last.matches("\nUSER 10001\n").count(), 1);
            assert!(last.contains("HEALTHCHECK") && last.contains("/healthz"));
            assert!(!text.contains("/home/ada"), "no place of one machine: {text}");
        }
    }

    #[test]
    fn every_line_is_an_instruction_and_every_stage_that_is_copied_from_exists() {
        let known = ["FROM", "COPY", "RUN", "WORKDIR", "ENV", "VOLUME", "EXPOSE", "USER", "STOPSIGNAL"];
        for image in all() {
            let text = dockerfile(&image);
            let mut stages: Vec<&str> = vec!["less", NODE];
            for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let (word, rest) = line.split_once(' ').unwrap();
                assert!(known.contains(&word) || ["HEALTHCHECK", "ENTRYPOINT"].contains(&word), "{line}");
                if word == "FROM" {
                    stages.extend(rest.split_once(" AS ").map(|(_, stage)| stage));
                }
                if let Some(from) = rest.strip_prefix("--from=") {
                    assert!(stages.contains(&from.split(' ').next().unwrap()), "{line}");
                }
                if let Some(at) = rest.find('[') {
                    serde_json::from_str::<Vec<String>>(&rest[at..])
                        .unwrap_or_else(|e| panic!("{e}: {line}"));
                }
            }
        }
    }

    #[test]
    fn what_is_copied_of_a_checkout_is_in_it() {
        let checkout = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let checkout = checkout.parent().unwrap();
        let text = dockerfile(&image(true, true, true));
        let sources: Vec<&str> =
            copies(&text).filter(|words| words[0] == "--from=less").map(|words| words[1]).collect();
        assert_eq!(sources, CHECKOUT);
        for source in sources {
            assert!(checkout.join(source).exists(), "{source}");
        }
    }

    #[test]
    fn a_released_less_comes_from_the_registry() {
        let mut image = image(true, false, false);
        image.source = RuntimeSource::Registry("1.2.3");
        let text = dockerfile(&image);
        assert!(text.contains("RUN cargo install --locked less-cli@1.2.3 --root /usr/local\n"), "{text}");
        assert!(!text.contains("--from=less") && !text.contains("--build-context"), "{text}");
    }

    #[test]
    fn only_files_that_exist_are_copied_from_the_app() {
        let mut image = image(false, true, true);
        image.files = Files::default();
        let text = dockerfile(&image);
        let own: Vec<_> = copies(&text).filter(|words| !words[0].starts_with("--from=")).collect();
        assert_eq!(own, [[".", "."], [".", "."]]);
        assert!(!text.contains("pip install") && !text.contains("npm"), "{text}");
        image.files = Files { package: true, ..Files::default() };
        assert!(dockerfile(&image).contains("COPY package.json ./\nRUN npm install --omit=dev"));
    }
}
