//! `shop migrate`.

use stanchion::server::{Migration, Options, Stopped};
use stanchion::sql::{self, Db, Mode};

use crate::platform::{MODULES, migrations, own_database};
use crate::settings::ShopSettings;
use crate::store::{look_into, open_database};

/// Does what was asked to every wanted module's store; what it did, as text.
///
/// A module that fails keeps the others from nothing: what was done and what was not is told of each.
pub(crate) async fn migrate(options: Options, wish: Migration) -> Result<String, Stopped> {
    let settings = crate::load(&options)?.value;
    let (mut lines, mut failed) = (Vec::new(), false);
    for module in MODULES.iter().filter(|module| options.wants(module)) {
        let done = migrate_one(&settings, module, wish).await;
        failed |= done.is_err();
        lines.push(match done {
            Ok(done) => format!("{module}: {done}"),
            Err(error) => format!("{module}: {error:#}"),
        });
    }
    let text = lines.join("\n");
    if failed {
        Err(Stopped::Failed(text))
    } else {
        Ok(text)
    }
}

async fn migrate_one(
    settings: &ShopSettings,
    module: &str,
    wish: Migration,
) -> anyhow::Result<String> {
    let (shared, own) = (&settings.database, own_database(settings, module));
    let db = match wish {
        // A look changes nothing and disturbs nobody.
        Migration::Check => look_into(module, shared, own).await?,
        Migration::Apply | Migration::Down(_) => open_database(module, shared, own).await?,
    };
    let done = act(&db, module, wish).await;
    db.close().await;
    done
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
                "nothing to take back".to_owned()
            } else {
                format!("taken back {}", undone.join(", "))
            })
        }
    }
}
