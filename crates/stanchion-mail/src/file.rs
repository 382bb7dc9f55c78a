use std::fs::{self, OpenOptions};
use std::io::{self, Write};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use stanchion_runtime::{clock, task};

use crate::compose::compose;
use crate::{Mail, MailError, Mailbox, Mailer};

/// The most files in the folder; the oldest go.
pub const FILES_MAX: usize = 1_000;

/// Writes mails into a folder, a file each, for development: any mail program opens them.
///
/// A file is `TIME-ID.eml`, for its owner alone: there are tokens in it. It is there whole or not at all; after a
/// power cut the newest may be missing.
#[derive(Debug, Clone)]
pub struct FileMailer {
    folder: PathBuf,
    from: Mailbox,
}

impl FileMailer {
    /// Into that folder, which the first mail makes.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, from: Mailbox) -> Self {
        Self {
            folder: folder.into(),
            from,
        }
    }
}

#[async_trait]
impl Mailer for FileMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let bytes = compose(mail, &self.from)?.formatted();
        let at = clock::now().strftime("%Y%m%dT%H%M%S%.6f");
        let name = format!("{at}-{}.eml", mail.id);
        let folder = self.folder.clone();
        let written = task::blocking("mail file", move || write(&folder, &name, &bytes)).await;
        let unavailable = |error: String| MailError::Unavailable(error);
        let written = written.map_err(|error| unavailable(error.to_string()))?;
        written.map_err(|error| unavailable(format!("{}: {error}", self.folder.display())))
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let unfinished = folder.join(format!("{name}.new"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(&unfinished)?.write_all(bytes)?;
    fs::rename(&unfinished, folder.join(name))?;
    make_room(folder)
}

/// Names begin with their time, so the oldest are the first.
fn make_room(folder: &Path) -> io::Result<()> {
    let files = fs::read_dir(folder)?.filter_map(Result::ok);
    let mut mails: Vec<PathBuf> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    if mails.len() <= FILES_MAX {
        return Ok(());
    }
    mails.sort_unstable();
    let beyond = mails.len() - FILES_MAX;
    for oldest in &mails[..beyond] {
        match fs::remove_file(oldest) {
            // Another mail's turn to make room took it first.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use stanchion_runtime::id;

    use super::*;

    fn mailer(folder: &Path) -> FileMailer {
        FileMailer::new(folder, "no-reply@shop.example".parse().unwrap())
    }

    fn mail(subject: &str) -> Mail {
        Mail {
            id: id::new_v7(),
            to: "ada@example.com".parse().unwrap(),
            subject: subject.into(),
            text: "Hello.\n".into(),
        }
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let files = fs::read_dir(folder).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort_unstable();
        files
    }

    #[tokio::test]
    async fn a_mail_is_a_file_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let within = folder.path().join("made").join("by it");
        mailer(&within).send(&mail("First")).await.unwrap();
        let files = files(&within);
        assert_eq!(files.len(), 1, "{files:?}");
        let text = fs::read_to_string(&files[0]).unwrap();
        assert!(
            text.contains("Subject: First\r\n") && text.ends_with("Hello.\r\n"),
            "{text}"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&files[0]).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn the_newest_thousand_stay() {
        let folder = tempfile::tempdir().unwrap();
        for nth in 0..FILES_MAX + 5 {
            let name = format!("20200101T000000.{nth:06}-x.eml");
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::write(folder.path().join("not ours.txt"), "").unwrap();
        mailer(folder.path()).send(&mail("Newest")).await.unwrap();
        let files = files(folder.path());
        assert_eq!(files.len(), FILES_MAX + 1, "and what is not ours");
        assert!(
            files[0].ends_with("20200101T000000.000006-x.eml"),
            "{:?}",
            files[0]
        );
        let newest = fs::read_to_string(&files[FILES_MAX - 1]).unwrap();
        assert!(newest.contains("Subject: Newest"), "{newest}");
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_is_unavailable() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let outcome = mailer(&file.path().join("below a file"))
            .send(&mail("x"))
            .await;
        assert!(
            matches!(outcome, Err(MailError::Unavailable(_))),
            "{outcome:?}"
        );
    }
}
