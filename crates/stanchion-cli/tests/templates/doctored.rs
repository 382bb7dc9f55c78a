//! A service as a process, examined by `stanchion doctor` until it has been told to stop.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stanchion_testing::process::{Kept, free_port};

/// How often it is looked whether a service listens: 20 s in all.
const STARTING_LOOKS_MAX: usize = 100;

/// How a service is started and asked.
pub(crate) struct Patient {
    /// Its program, with what it needs besides addresses.
    pub(crate) program: Command,
    /// What its variables begin with: `SHOP`.
    pub(crate) prefix: &'static str,
    /// A path that is served.
    pub(crate) path: &'static str,
    /// Whether `health` asks it if it is ready, as its image's health check does.
    pub(crate) has_health: bool,
}

/// A service that runs: ended where an assertion fails, and with this process.
struct Started {
    child: Child,
    /// Dropped after the child was waited for.
    _kept: Kept,
}

impl Started {
    fn by(program: &mut Command) -> Self {
        let (child, kept) = Kept::spawn(program).unwrap();
        Self { child, _kept: kept }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// How often it is looked whether a service has ended, whose ports are closed already: 10 s in all.
const ENDING_LOOKS_MAX: usize = 100;

/// A certificate of this machine and its key, each in a file.
pub(crate) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificate {
    pub(crate) fn new(folder: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (certificate, key) = (folder.join("tls.pem"), folder.join("tls.key"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self { certificate, key }
    }
}

/// Starts it, asks everything, stops it; what the doctor told, in which nothing failed.
pub(crate) fn examined(patient: Patient, tls: Option<&Certificate>) -> String {
    let Patient {
        mut program,
        prefix,
        path,
        has_health,
    } = patient;
    let (public, admin) = (free_port().unwrap(), free_port().unwrap());
    let address = |port: u16| format!("127.0.0.1:{port}");
    let variable = |name: &str| format!("{prefix}__{name}");
    program
        .env(variable("SERVER__LISTEN"), address(public))
        .env(variable("ADMIN__LISTEN"), address(admin))
        .env(variable("SERVER__LAME_DUCK"), "1s")
        .env(variable("SERVER__HEADER_TIMEOUT"), "1s")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_stanchion"));
    let scheme = if tls.is_some() { "https" } else { "http" };
    doctor
        .arg("doctor")
        .arg(format!("{scheme}://{}", address(public)))
        .args(["--path", path, "--admin"])
        .arg(format!("http://{}", address(admin)));
    if let Some(Certificate { certificate, key }) = tls {
        program
            .env(variable("SERVER__TLS__CERTIFICATE"), certificate)
            .env(variable("SERVER__TLS__KEY"), key);
        doctor.arg("--roots").arg(certificate);
    }
    let mut service = Started::by(&mut program);
    if has_health {
        assert!(becomes_healthy(&program), "`health` never says so");
    }
    doctor.args(["--stop", &service.child.id().to_string()]);
    let told = asked(&mut doctor);
    let mut ended = service.child.try_wait().unwrap();
    for _ in 0..ENDING_LOOKS_MAX {
        if ended.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        ended = service.child.try_wait().unwrap();
    }
    drop(service);
    assert!(!has_health || !is_healthy(&program), "{told}");
    assert!(told.contains("0 failed"), "{told}");
    for point in [
        "ok    graceful stop",
        "ok    unready first",
        "ok    header timeout",
    ] {
        assert!(told.contains(point), "{point}: {told}");
    }
    assert!(
        ended.is_some_and(|status| status.success()),
        "{ended:?}: {told}"
    );
    told
}

fn asked(doctor: &mut Command) -> String {
    let mut told = String::new();
    for _ in 0..STARTING_LOOKS_MAX {
        let output = doctor.output().unwrap();
        told = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        // 2: it does not listen yet.
        if output.status.code() != Some(2) {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    told
}

/// Whether its own `health` finds it ready before long.
fn becomes_healthy(program: &Command) -> bool {
    for _ in 0..STARTING_LOOKS_MAX {
        if is_healthy(program) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    false
}

/// The same program in the same place with the same settings, as a container's health check is run.
fn is_healthy(program: &Command) -> bool {
    let mut health = Command::new(program.get_program());
    let settings = program.get_envs();
    health
        .arg("health")
        .envs(settings.filter_map(|(name, value)| Some((name, value?))))
        .stderr(Stdio::null());
    if let Some(folder) = program.get_current_dir() {
        health.current_dir(folder);
    }
    health.status().unwrap().success()
}
