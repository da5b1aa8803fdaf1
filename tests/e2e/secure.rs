//! Apps that speak HTTPS.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::support::{Process, free_address, less, text, until, write};

const TOKEN: &str = "a-token-of-some-length";

/// App `shop`, with certificates for these names that nobody trusts but who has `ca.pem`.
fn shop(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "name = \"shop\"\n[http.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n";
    write(&folder.path().join("less.toml"), settings);
    write(&folder.path().join("less/topics/paid/thank/index.js"), "exports.process = async () => {};\n");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("sound");
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(names).expect("names");
    write(&folder.path().join("cert.pem"), &params.signed_by(&key, &authority).expect("sound").pem());
    write(&folder.path().join("key.pem"), &key.serialize_pem());
    std::fs::create_dir(folder.path().join("run")).expect("the folder can be made");
    write(&folder.path().join("ca.pem"), &authority.pem());
    folder
}

/// Exit code, what was printed as data and what beside it.
fn said(root: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = less(root)
        .args(arguments)
        .envs(variables.iter().copied())
        .env("XDG_RUNTIME_DIR", root.join("run"))
        .output();
    let output = output.expect("less can be started");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn start(root: &Path, arguments: &[&str]) -> Process {
    Process::start(less(root).args(arguments).env("XDG_RUNTIME_DIR", root.join("run")))
}

#[test]
fn an_app_speaks_https_and_is_found_and_believed_on_its_machine_and_elsewhere_only_by_who_trusts_it() {
    // On this machine the certificate's names say nothing: the app has named its file.
    let folder = shop(&["api.example.com", "localhost"]);
    let root = folder.path();
    let address = free_address();
    let mut app = start(root, &["start", "--listen", &address.to_string()]);
    app.wait_for(&format!("shop listens on https://{address}"), 0);
    let (code, _, error) = said(root, &[], &["publish", "paid", "{}"]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    until("the message to be handled", || {
        let (code, shown, error) = said(root, &[], &["status", "--json"]);
        assert_eq!((code, error.as_str()), (Some(0), ""));
        let status: serde_json::Value = serde_json::from_str(&shown).map_err(|error| error.to_string())?;
        if status["subscribers"][0]["done"] == 1 { Ok(()) } else { Err(shown) }
    });
    let graph = "shop\n  paid\n    → thank  Node.js\n".to_owned();
    assert_eq!(said(root, &[], &["graph", "--running"]), (Some(0), graph, String::new()));

    // Elsewhere there is a URL alone.
    let url = format!("https://localhost:{}", address.port());
    let refused = format!(
        "error: the app at {url} is not trusted: its certificate is signed by nobody who is trusted here"
    );
    let (code, _, error) = said(root, &[], &["status", "--url", &url]);
    assert_eq!((code, error.lines().next()), (Some(2), Some(refused.as_str())), "{error}");
    let ca = root.join("ca.pem").to_str().expect("a path").to_owned();
    let (code, _, error) = said(root, &[("LESS_CA", &ca)], &["status", "--url", &url]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let other = format!("https://{address}");
    let (code, _, error) = said(root, &[("LESS_CA", &ca)], &["status", "--url", &other]);
    assert!(code == Some(2) && error.contains("its certificate is for "), "{error}");
    let plain = format!("http://{address}");
    let (code, _, error) = said(root, &[], &["status", "--url", &plain]);
    assert!(code == Some(2) && error.contains("this address speaks HTTPS"), "{error}");
    app.terminate();
}

#[test]
fn apps_are_linked_over_https() {
    let shop = shop(&["localhost"]);
    let address = free_address();
    let runtime = shop.path().join("run");
    let start = |root: &Path, address: &str| {
        let mut command = less(root);
        command.args(["start", "--listen", address]).env("XDG_RUNTIME_DIR", &runtime);
        command.env("SHOP_TOKEN", TOKEN).env("LESS_LINK_TOKEN", TOKEN);
        Process::start(&mut command)
    };
    let mut publisher = start(shop.path(), &address.to_string());
    publisher.wait_for("listens on https", 0);
    // By its name, where it has named its certificate; and by its URL, where an authority is trusted.
    let by_url = format!(
        "[external.shop]\nurl = \"https://localhost:{}\"\ntoken_env = \"SHOP_TOKEN\"\nca = \"ca.pem\"\n",
        address.port()
    );
    let mut others = Vec::new();
    for (name, settings) in [("by_name", ""), ("by_url", by_url.as_str())] {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        write(&root.join("less.toml"), &format!("name = \"{name}\"\n{settings}"));
        let handler =
            "exports.process = async (m) => require('node:fs').writeFileSync('got', JSON.stringify(m));\n";
        write(&root.join("less/external_topics/shop/paid/note/index.js"), handler);
        std::fs::copy(shop.path().join("ca.pem"), root.join("ca.pem")).expect("it is there");
        let mut process = start(root, "127.0.0.1:0");
        process.wait_for("linked to app `shop`", 0);
        others.push((folder, process));
    }
    let (code, _, error) = said(shop.path(), &[], &["publish", "paid", "{\"n\": 1}"]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    for (folder, process) in &others {
        until("the message to come over the link", || {
            let got =
                std::fs::read_to_string(folder.path().join("got")).map_err(|error| error.to_string())?;
            if got == "{\"n\":1}" { Ok(()) } else { Err(format!("{got}\n{}", process.printed())) }
        });
    }
    let (_, shown, _) = said(shop.path(), &[], &["list"]);
    let listed = "paid\n  thank  Node.js  less/topics/paid/thank/index.js\n  by_name:note\n  by_url:note\n";
    assert_eq!(shown, listed);
}

#[test]
fn less_dev_speaks_https_and_replaces_workers_over_it() {
    let folder = shop(&["api.example.com"]);
    let root = folder.path();
    let address = free_address();
    let mut dev = start(root, &["dev", "--listen", &address.to_string()]);
    let shown = dev.wait_for("Watching", 0);
    assert!(shown.contains(&format!("shop is live on https://{address}")), "{shown}");
    assert!(shown.contains(&format!("curl https://{address}/topics/paid")), "{shown}");
    write(&root.join("less/topics/paid/thank/index.js"), "exports.process = async () => 1;\n");
    dev.wait_for("reloading paid/thank", 0);
    dev.signal("INT");
    assert!(dev.child.wait().expect("its end can be waited for").success(), "{}", dev.printed());
}

#[test]
fn certificates_that_can_t_be_used_are_told_at_the_start() {
    let folder = shop(&["localhost"]);
    let root = folder.path();
    let key = KeyPair::generate().expect("a key").serialize_pem();
    write(&root.join("key.pem"), &key);
    let wrong =
        "error: `[http.tls]`: the key in key.pem does not belong to the first certificate in cert.pem\n";
    for command in ["start", "dev"] {
        let (code, _, error) = said(root, &[], &[command, "--listen", "127.0.0.1:0"]);
        assert!(code != Some(0) && error.contains(wrong), "{command}: {code:?} {error}");
    }
    std::fs::remove_file(root.join("cert.pem")).expect("it is there");
    let (code, _, error) = said(root, &[], &["start", "--listen", "127.0.0.1:0"]);
    let missing = "error: `[http.tls]`: can't read cert.pem: No such file or directory (os error 2)\n";
    assert!(code == Some(1) && error.contains(missing), "{code:?} {error}");
}
