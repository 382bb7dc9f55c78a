use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::Sqlite;
use crate::SqlError;

/// How often, and how long apart, a lock is asked for: a process that just died still holds it for a moment.
const LOCK_ATTEMPTS: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// The folders that this process holds, by canonical path.
static FOLDERS: LazyLock<Mutex<HashMap<PathBuf, Weak<Folder>>>> = LazyLock::new(Mutex::default);

/// A folder of SQLite files, held by this process alone.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    temporary: bool,
    files: Mutex<HashMap<String, Weak<Sqlite>>>,
    // The lock lives as long as the open file.
    _lock: Option<File>,
}

impl Folder {
    /// Makes the folder if needed and locks it for this process.
    pub(crate) fn lock(path: &Path) -> Result<Arc<Self>, SqlError> {
        let failed = |error: std::io::Error| {
            SqlError::Unavailable(format!("the folder {}: {error}", path.display()))
        };
        fs::create_dir_all(path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        let mut folders = FOLDERS.lock();
        folders.retain(|_, folder| folder.strong_count() > 0);
        if let Some(open) = folders.get(&path).and_then(Weak::upgrade) {
            return Ok(open);
        }
        let lock = lock_file(&path)?;
        let folder = Arc::new(Self {
            path: path.clone(),
            temporary: false,
            files: Mutex::default(),
            _lock: Some(lock),
        });
        folders.insert(path, Arc::downgrade(&folder));
        Ok(folder)
    }

    /// A new folder that is deleted with its last user.
    pub(crate) fn temporary() -> Result<Arc<Self>, SqlError> {
        let name = format!("stanchion-{}", stanchion_runtime::id::new_v7());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).map_err(|error| {
            SqlError::Unavailable(format!("the folder {}: {error}", path.display()))
        })?;
        Ok(Arc::new(Self {
            path,
            temporary: true,
            files: Mutex::default(),
            _lock: None,
        }))
    }

    /// The module's database, opened by `open` unless it is open.
    pub(crate) fn open_once(
        self: Arc<Self>,
        module: &str,
        open: impl FnOnce(&Path) -> Result<Sqlite, SqlError>,
    ) -> Result<Arc<Sqlite>, SqlError> {
        let mut files = self.files.lock();
        if let Some(sqlite) = files.get(module).and_then(Weak::upgrade) {
            return Ok(sqlite);
        }
        let sqlite = Arc::new(open(&self.path.join(format!("{module}.db")))?);
        files.insert(module.to_owned(), Arc::downgrade(&sqlite));
        Ok(sqlite)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // Left to the system's own cleaning if it fails.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn lock_file(folder: &Path) -> Result<File, SqlError> {
    let path = folder.join(".lock");
    let failed =
        |error: std::io::Error| SqlError::Unavailable(format!("{}: {error}", path.display()));
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => {
                note_holder(&mut file);
                return Ok(file);
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    let holder = fs::read_to_string(&path).unwrap_or_default();
    Err(SqlError::Unavailable(format!(
        "the folder {} is open in another process ({}): stop that one, or give this one another folder",
        folder.display(),
        holder.trim()
    )))
}

/// Says who holds the lock; only the refusal's text depends on it.
fn note_holder(file: &mut File) {
    let _ = file.set_len(0);
    let _ = writeln!(file, "process {}", std::process::id());
}
