//! Which folder is the app's.

use std::path::{Path, PathBuf};

/// The nearest folder, `from` or above, that is an app: it holds a folder `less` with `topics` or `external_topics` in it, or beside a `less.toml`.
///
/// A folder that is only called `less`, such as a checkout of Less in somebody's home, makes no app of the folder around it. Folders
/// inside an app's own `less` or `.less` are never apps, whatever topics are called.
pub fn find_root(from: &Path) -> Option<PathBuf> {
    let from = from.canonicalize().or_else(|_| std::path::absolute(from)).ok()?;
    let apps: Vec<&Path> = from.ancestors().filter(|folder| is_app(folder)).collect();
    let (nearest, outer) = apps.split_first()?;
    let mut root = *nearest;
    for app in outer {
        if root.starts_with(app.join("less")) || root.starts_with(app.join(".less")) {
            root = app;
        }
    }
    Some(root.to_owned())
}

fn is_app(folder: &Path) -> bool {
    let less = folder.join("less");
    less.is_dir()
        && (less.join("topics").is_dir()
            || less.join("external_topics").is_dir()
            || folder.join("less.toml").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(paths: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().canonicalize().unwrap();
        for folder in paths {
            std::fs::create_dir_all(path.join(folder)).unwrap();
        }
        (home, path)
    }

    #[test]
    fn the_app_is_found_from_any_folder_inside_it() {
        let (_keep, home) = folders(&["shop/less/topics/a/b", "shop/src/deep", "shop/.less/less/topics"]);
        for from in ["shop", "shop/less", "shop/less/topics/a/b", "shop/src/deep", "shop/.less/less/topics"] {
            assert_eq!(find_root(&home.join(from)), Some(home.join("shop")), "{from}");
        }
        assert_eq!(find_root(&home), None);
    }

    #[test]
    fn a_checkout_of_less_itself_is_no_app() {
        let (_keep, home) = folders(&["less/less-cli/src", "less/examples/chat/less/topics"]);
        assert_eq!(find_root(&home.join("less/less-cli")), None);
        assert_eq!(find_root(&home.join("less/examples/chat")), Some(home.join("less/examples/chat")));
    }

    #[test]
    fn less_toml_makes_an_app_of_a_folder_whose_less_is_still_empty() {
        let (_keep, home) = folders(&["shop/less"]);
        assert_eq!(find_root(&home.join("shop")), None);
        std::fs::write(home.join("shop/less.toml"), "").unwrap();
        assert_eq!(find_root(&home.join("shop")), Some(home.join("shop")));
    }

    #[test]
    fn topics_and_subscribers_called_less_and_topics_make_no_app_inside_the_app() {
        let (_keep, home) = folders(&["shop/less/topics/less/topics"]);
        assert_eq!(find_root(&home.join("shop/less/topics/less")), Some(home.join("shop")));
    }
}
