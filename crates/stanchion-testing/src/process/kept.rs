//! Whatever is started ends with who started it, however that ends.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result};

/// A shell that is told over a pipe of ours whom to end: however we end, the pipe closes, and it kills who is left.
///
/// Linux can signal a child at the death of its parent, but means the thread that started it, and not its children.
const KEEPER: &str = r#"trap '' INT TERM HUP
kept=
while read -r word group; do
    left=
    for one in $kept; do [ "$one" = "$group" ] || left="$left $one"; done
    case $word in
    keep) kept="$left $group" ;;
    end)
        kept=$left
        kill -KILL "-$group"
        ;;
    esac
done
for one in $kept; do kill -KILL "-$one"; done"#;

/// One for all children of this process, started with the first of them.
static RUNNING: Mutex<Option<Child>> = Mutex::new(None);

/// That a process group is killed when this is dropped, and as soon as this process has ended.
///
/// Drop it right after the child was waited for, whose children may go on. Later another group may have its number: numbers
/// come again once all others were given out.
#[derive(Debug)]
pub struct Kept {
    group: u32,
}

impl Kept {
    /// Starts a child in a process group of its own: a Ctrl-C in the terminal reaches us alone, and what the child starts
    /// ends with it.
    ///
    /// # Errors
    /// When it cannot be started, or nobody could end it after us.
    pub fn spawn(command: &mut Command) -> Result<(Child, Self)> {
        let mut child = command.process_group(0).spawn()?;
        let kept = Self::group(child.id());
        if kept.is_err() {
            // Both fail only when it has ended already.
            let _killed = child.kill();
            let _reaped = child.wait();
        }
        Ok((child, kept?))
    }

    /// For a child that was started otherwise, in a group of its own: its process id is that of the group.
    ///
    /// # Errors
    /// When nobody could end it after us.
    pub fn group(group: u32) -> Result<Self> {
        tell("keep", group)?;
        Ok(Self { group })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Fails only when the keeper has ended, and then there is nobody to end it.
        let _told = tell("end", self.group);
    }
}

fn tell(word: &str, group: u32) -> Result<()> {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if running.is_none() {
        *running = Some(start()?);
    }
    let orders = running.as_mut().and_then(|keeper| keeper.stdin.as_mut());
    let orders = orders.context("the keeper's input was piped")?;
    // In one piece: of a line without its end nothing is believed.
    let line = format!("{word} {group}\n");
    let told = orders.write_all(line.as_bytes());
    told.context("the shell that ends what is left behind has ended itself")
}

fn start() -> Result<Child> {
    Command::new("sh")
        .args(["-c", KEEPER, "process-keeper"])
        // Whoever ends all of our group does not end the keeper.
        .process_group(0)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("the shell that ends what is left behind did not start")
}
