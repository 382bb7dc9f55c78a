//! What a refresh costs, on PostgreSQL, by its own count: its own session's rows, however many sessions there are.

use std::time::Duration;

use stanchion::sql::{DatabaseSettings, Db, params};

use crate::support::pair::refresh;
use crate::support::{STOPPED_WITHIN, Shop, eventually};

/// Others who are logged in: so few that PostgreSQL, which has no statistics of them yet, takes them for one or two.
const OTHERS: i64 = 300;
const REFRESHES: i64 = 20;

/// Looks at the table of tokens that a refresh may take; two are needed.
const LOOKS_MAX: i64 = 10;

/// A server's own counts come a moment late.
const COUNTED_WITHIN: Duration = Duration::from_secs(20);

/// Searches of an index of the tokens, of processes which have ended.
async fn looks(db: &Db) -> i64 {
    let sql =
        "select coalesce(idx_scan, 0) from pg_stat_user_tables where relname = 'refresh_tokens'";
    db.one(sql, params![]).await.unwrap().get(0).unwrap()
}

#[tokio::test]
async fn a_refresh_looks_at_no_other_session() {
    let Some(mut shop) = Shop::start_on_postgres().await else {
        return;
    };
    let mut token = shop.customer("ada").await.refresh;
    let db = Db::open(shop.stores(), "identity", &DatabaseSettings::default()).await;
    let db = db.unwrap();
    let others = "with others as ( \
                      insert into sessions (id, user_id, created_at, last_used_at, expires_at) \
                      select gen_random_uuid(), user_id, now(), now(), now() + interval '1 day' \
                      from sessions, generate_series(1::bigint, $1::bigint) returning id) \
                  insert into refresh_tokens (hash, session_id, generation, state, expires_at) \
                  select sha256(uuid_send(id)), id, 0, 'live', now() + interval '1 day' from others";
    db.exec(others, params![OTHERS]).await.unwrap();
    for _ in 0..REFRESHES {
        let child = refresh(&shop, &token).await.expect(200);
        token = child.text_at("/refresh_token");
    }
    // A process that has ended has told all that it read.
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();
    let looks = eventually("the refreshes are counted", COUNTED_WITHIN, || async {
        let looks = looks(&db).await;
        (looks >= REFRESHES).then_some(looks)
    })
    .await;
    println!("{REFRESHES} refreshes looked {looks} times");
    assert!(looks <= REFRESHES * LOOKS_MAX, "{looks} looks");
}
