//! `shop migrate`.

use anyhow::Context;
use stanchion::server::{Migration, Options, Stopped};
use stanchion::sql::{self, Db, Mode};

use crate::platform::{MODULES, migrations, own_database};
use crate::settings::ShopSettings;
use crate::store::open_database;

/// Does what was asked to every wanted module's store; what it did, as text.
pub(crate) async fn migrate(options: Options, wish: Migration) -> Result<String, Stopped> {
    let settings = crate::load(&options)?.value;
    let mut lines = Vec::new();
    for module in MODULES.iter().filter(|module| options.wants(module)) {
        let done = migrate_one(&settings, module, wish).await;
        lines.push(done.map_err(|error| Stopped::Failed(format!("{error:#}")))?);
    }
    Ok(lines.join("\n"))
}

async fn migrate_one(
    settings: &ShopSettings,
    module: &str,
    wish: Migration,
) -> anyhow::Result<String> {
    let db = open_database(module, &settings.database, own_database(settings, module)).await?;
    let done = act(&db, module, wish)
        .await
        .with_context(|| format!("the schema of {module}"));
    db.close().await;
    Ok(format!("{module}: {}", done?))
}

async fn act(db: &Db, module: &str, wish: Migration) -> anyhow::Result<String> {
    let own = migrations(module);
    match wish {
        Migration::Apply => Ok(sql::migrate(db, &own, Mode::Auto).await?.to_string()),
        Migration::Check => Ok(sql::migrate(db, &own, Mode::Check).await?.to_string()),
        Migration::Down(count) => {
            let mut undone = Vec::new();
            for scope in own.iter().rev() {
                let left = count as usize - undone.len();
                undone.extend(sql::migrate_down(db, scope, left).await?);
            }
            Ok(if undone.is_empty() {
                "nothing to take back".into()
            } else {
                undone.join(", ")
            })
        }
    }
}
