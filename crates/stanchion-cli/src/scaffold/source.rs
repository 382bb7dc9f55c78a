use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// How the new service depends on stanchion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A version of the registry.
    Registry(String),
    /// A repository, at a tag if one is given.
    Git { url: String, tag: Option<String> },
    /// The facade's folder on this machine, absolute.
    Path(PathBuf),
}

impl Source {
    /// Where this program comes from itself.
    ///
    /// # Errors
    /// It was built in a checkout that is gone.
    pub(crate) fn own() -> anyhow::Result<Self> {
        Self::like(
            option_env!("STANCHION_CHECKOUT").map(Path::new),
            env!("CARGO_PKG_VERSION"),
        )
    }

    /// Built in a checkout, that one: its version may be in no registry yet. Built from a registry's package, its version.
    fn like(checkout: Option<&Path>, version: &str) -> anyhow::Result<Self> {
        let Some(checkout) = checkout else {
            return Ok(Self::Registry(version.to_owned()));
        };
        let gone = format!(
            "this program was built in {}, where no stanchion is any more: say where it comes from by --stanchion-path FOLDER, \
             --stanchion-git URL or --stanchion-version VERSION",
            checkout.display()
        );
        Self::checkout(checkout).context(gone)
    }

    /// A checkout of stanchion's repository, or the facade in it.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn checkout(folder: &Path) -> anyhow::Result<Self> {
        let checkout = folder
            .canonicalize()
            .with_context(|| folder.display().to_string())?;
        let facade = checkout.join("crates/stanchion");
        let facade = if facade.is_dir() { facade } else { checkout };
        let manifest = std::fs::read_to_string(facade.join("Cargo.toml")).unwrap_or_default();
        ensure!(
            manifest.lines().any(|line| line == "name = \"stanchion\""),
            "{} is no checkout of stanchion",
            folder.display()
        );
        Ok(Self::Path(facade))
    }

    /// What stands behind `stanchion =` in the manifest.
    pub(super) fn dependency(&self) -> String {
        let of = match self {
            Self::Registry(version) => format!("version = \"{version}\""),
            Self::Git {
                url,
                tag: Some(tag),
            } => format!("git = \"{url}\", tag = \"{tag}\""),
            Self::Git { url, tag: None } => format!("git = \"{url}\""),
            Self::Path(path) => format!("path = {}", toml::Value::from(path.display().to_string())),
        };
        format!("{{ {of}, features = [\"nats\"] }}")
    }

    /// What is wrong with it before cargo says so, if anything is.
    ///
    /// # Errors
    /// A version, URL or tag that would end the text it stands in, or is nothing that cargo could look for.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let texts: &[(&str, Option<&String>)] = match self {
            Self::Registry(version) => &[("version", Some(version))],
            Self::Git { url, tag } => &[("URL", Some(url)), ("tag", tag.as_ref())],
            Self::Path(_) => &[],
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-/=^~<>*, :@%".contains(c);
        for (what, text) in texts
            .iter()
            .filter_map(|(what, text)| Some((what, (*text)?)))
        {
            if !text.contains(char::is_alphanumeric) || !text.chars().all(plain) {
                bail!("`{text}` is no {what}");
            }
        }
        Ok(())
    }

    /// What whoever made a service has to know of it.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Registry(version) => format!("It takes stanchion {version} from the registry.\n"),
            Self::Git { url, tag } => {
                let tag = tag.as_ref().map(|tag| format!(" at {tag}"));
                format!(
                    "It takes stanchion from {url}{}.\n",
                    tag.unwrap_or_default()
                )
            }
            Self::Path(facade) => format!(
                "It takes stanchion from {}, which an image and CI do not have: before `docker compose up --build` and the first\n\
                 push put a git tag or a version behind `stanchion =` in Cargo.toml.\n",
                facade.display()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_toml_whatever_is_in_it() {
        for folder in [
            "plain",
            "a \"quoted\" 'one'",
            "back\\slash",
            "bell\u{7} and escape\u{1b}",
        ] {
            let source = Source::Path(PathBuf::from(folder));
            let manifest = format!("stanchion = {}", source.dependency());
            let read: toml::Table = manifest
                .parse()
                .unwrap_or_else(|error| panic!("{manifest}: {error}"));
            assert_eq!(
                read["stanchion"]["path"].as_str(),
                Some(folder),
                "{manifest}"
            );
        }
    }

    #[test]
    fn a_new_service_depends_on_what_this_program_was_built_from() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let repository = repository.canonicalize().unwrap();
        let facade = repository.join("crates/stanchion");
        let like = |checkout| Source::like(checkout, "1.2.3");
        assert_eq!(like(None).unwrap(), Source::Registry("1.2.3".into()));
        assert_eq!(
            like(Some(&repository)).unwrap(),
            Source::Path(facade.clone())
        );
        assert_eq!(Source::own().unwrap(), Source::Path(facade));
        // A checkout that was moved away, and a folder that is something else by now.
        let elsewhere = tempfile::tempdir().unwrap();
        for gone in ["gone", ""] {
            let gone = elsewhere.path().join(gone);
            let refused = format!("{:#}", Source::like(Some(&gone), "1").unwrap_err());
            assert!(refused.contains("--stanchion-path"), "{refused}");
        }
    }
}
