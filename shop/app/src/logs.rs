//! `shop log verify | export | import`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use stanchion::server::{LogTask, Options, Stopped};
use stanchion::sql::{self, Db, Mode};

use crate::platform::{MODULES, migrations, own_database};
use crate::settings::ShopSettings;
use crate::store::open_for_operators;

/// An operator's statement may look at a whole log.
const STATEMENT_MAX: Duration = Duration::from_secs(10 * 60);

/// Does what was asked with the logs of the wanted modules.
pub(crate) async fn task(options: Options, task: LogTask) -> Result<(), Stopped> {
    let settings = crate::load(&options)?.value;
    let done = match task {
        LogTask::Verify => verify(&settings, &options).await,
        LogTask::Export { module, file } => export(&settings, &module, file.as_deref()).await,
        LogTask::Import { module, file } => import(&settings, &module, file.as_deref()).await,
    };
    done.map_err(|error| Stopped::Failed(format!("{error:#}")))
}

async fn verify(settings: &ShopSettings, options: &Options) -> anyhow::Result<()> {
    let mut findings = 0;
    for module in MODULES.iter().filter(|module| options.wants(module)) {
        let db = open(settings, module, false).await?;
        let report = sql::verify_log(&db)
            .await
            .with_context(|| format!("the log of {module}"))?;
        println!("{module}: {report}");
        findings += report.findings.len();
    }
    ensure!(findings == 0, "{findings} findings");
    Ok(())
}

async fn export(settings: &ShopSettings, module: &str, file: Option<&Path>) -> anyhow::Result<()> {
    let db = open(settings, module, false).await?;
    let out: Box<dyn Write + Send> = match file {
        Some(path) => {
            let file = File::create_new(path);
            Box::new(file.with_context(|| format!("cannot make {}", path.display()))?)
        }
        None => Box::new(io::stdout()),
    };
    let done = sql::export(&db, BufWriter::new(out)).await?;
    // Beside the lines, which may go to the standard output.
    eprintln!("{module}: exported {done}");
    Ok(())
}

async fn import(settings: &ShopSettings, module: &str, file: Option<&Path>) -> anyhow::Result<()> {
    let input: Box<dyn BufRead + Send> = match file {
        Some(path) => {
            let file = File::open(path);
            let file = file.with_context(|| format!("cannot read {}", path.display()))?;
            Box::new(BufReader::new(file))
        }
        None => Box::new(BufReader::new(io::stdin())),
    };
    let db = open(settings, module, true).await?;
    sql::migrate(&db, &migrations(module), Mode::Auto).await?;
    let done = sql::import(&db, input).await?;
    let report = sql::verify_log(&db).await?;
    db.close().await;
    println!("{module}: imported {done}\n{report}");
    ensure!(report.holds(), "the imported log does not hold");
    Ok(())
}

async fn open(settings: &ShopSettings, module: &str, write: bool) -> anyhow::Result<Db> {
    ensure!(MODULES.contains(&module), "no module `{module}`");
    let own = own_database(settings, module);
    open_for_operators(module, &settings.database, own, STATEMENT_MAX, write).await
}
