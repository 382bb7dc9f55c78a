//! Connections to a PostgreSQL that speaks TLS: encrypted, and only to the server that its certificate names.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use stanchion_eventsourcing::{Append, EventLog, Expected, Metadata, NewEvent, Position, StreamId};
use stanchion_runtime::id;
use stanchion_sql::{DatabaseSettings, Db, Mode, SqlError, SqlLog, migrate, params};
use stanchion_testing::servers::{self, Cluster};
use tempfile::TempDir;

/// Run by the server itself, in its own folder: an authority, and a certificate of it for `localhost` alone.
const CERTIFICATES: &str = "umask 077; \
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
      -subj /CN=authority -keyout ca.key -out ca.crt && \
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
      -subj /CN=localhost -keyout server.key -out server.csr && \
    echo subjectAltName=DNS:localhost > names && \
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
      -extfile names -out server.crt";

struct Server {
    cluster: Cluster,
    folder: TempDir,
}

impl Server {
    /// `None` where there is no PostgreSQL.
    fn start() -> Option<Self> {
        servers::required("postgres")?;
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let own = folder.path().join("server");
        fs::create_dir(&own).unwrap();
        let mut cluster = Cluster::create(&own, &[]).unwrap();
        cluster.start().unwrap();
        let program = CERTIFICATES.replace('\'', "''");
        for sql in [
            &format!("copy (select 1) to program '{program} > openssl.log 2>&1'"),
            "alter system set ssl = on",
            "select pg_reload_conf()",
        ] {
            cluster.sql("postgres", sql).unwrap();
        }
        let server = Self { cluster, folder };
        server.wait_for_tls();
        Some(server)
    }

    /// A reload takes its time.
    fn wait_for_tls(&self) {
        let port = self.cluster.address().port();
        let url = format!("postgres://postgres@localhost:{port}/postgres?sslmode=require");
        for _ in 0..500 {
            let mut psql = std::process::Command::new("psql");
            let asked = psql.args(["--no-psqlrc", "--command", "select 1", &url]);
            if asked.output().is_ok_and(|output| output.status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("no TLS:\n{}", self.cluster.log_tail());
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("server/data/ca.crt")
    }

    async fn open(&self, host: &str, options: &str) -> Result<Db, SqlError> {
        let port = self.cluster.address().port();
        let url = format!("postgres://postgres@{host}:{port}/postgres?{options}");
        let settings = DatabaseSettings::default();
        Db::open(&url.parse().unwrap(), "orders", &settings).await
    }
}

#[tokio::test]
async fn every_connection_to_a_server_whose_certificate_holds_is_encrypted() {
    let Some(server) = Server::start() else {
        return;
    };
    let roots = server.authority();
    let options = format!("sslmode=verify-full&sslrootcert={}", roots.display());
    let db = server.open("localhost", &options).await.unwrap();
    migrate(&db, &[], Mode::Auto).await.unwrap();
    let log = SqlLog::open(db.clone()).await.unwrap();
    // Who follows is told on a connection of its own.
    let _followed = log.changes();
    let append = Append {
        stream: StreamId::new("order", "a"),
        expected: Expected::NoStream,
        events: vec![NewEvent {
            id: id::new_v7(),
            kind: "placed".into(),
            data: serde_json::json!({}).into(),
        }],
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    };
    assert_eq!(log.append(append).await.unwrap().position, Position(1));
    let sql = "select count(*), count(*) filter (where ssl) from pg_stat_ssl \
               join pg_stat_activity using (pid) where usename = 'postgres' and backend_type = 'client backend'";
    let row = db.one(sql, params![]).await.unwrap();
    let (all, encrypted): (i64, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
    assert_eq!(all, encrypted);
    assert!(all >= 2, "the pool's and the log's own: {all}");
    db.close().await;
}

#[tokio::test]
async fn a_server_with_another_name_or_an_unknown_authority_is_refused() {
    let Some(server) = Server::start() else {
        return;
    };
    let roots = format!("sslrootcert={}", server.authority().display());
    let none = server.folder.path().join("none.pem");
    fs::write(&none, "no certificate at all").unwrap();
    let none = format!("sslmode=verify-full&sslrootcert={}", none.display());
    for (host, options, why) in [
        ("127.0.0.1", format!("sslmode=verify-full&{roots}"), "name"),
        ("127.0.0.1", format!("sslmode=require&{roots}"), "name"),
        ("localhost", "sslmode=verify-full".to_owned(), "issuer"),
        ("localhost", none, "no certificate in pem form"),
    ] {
        let refused = server.open(host, &options).await.err().unwrap();
        assert!(matches!(refused, SqlError::Unavailable(_)), "{refused:?}");
        let said = refused.to_string().to_lowercase();
        assert!(said.contains(why), "{host} {options}: {said}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let Some(url) = servers::required("postgres") else {
        return;
    };
    let url = format!("{url}?sslmode=verify-full");
    let settings = DatabaseSettings::default();
    let refused = Db::open(&url.parse().unwrap(), "orders", &settings).await;
    let refused = refused.err().unwrap();
    assert!(matches!(refused, SqlError::Unavailable(_)), "{refused:?}");
    assert!(refused.to_string().contains("TLS"), "{refused}");
}
