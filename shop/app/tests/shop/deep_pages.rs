//! What a page costs: row F8 of the abuse tables, on PostgreSQL, by its own count of the rows that were read.

use std::time::Duration;

use stanchion::sql::{DatabaseSettings, Db, params};
use tokio::time::sleep;

use crate::support::{Caller, STOPPED_WITHIN, Shop, eventually};

/// Rows of each table.
const ROWS: i64 = 20_000;

/// Rows of each page.
const LIMIT: i64 = 100;

/// Pages behind the first one, of each sort in each direction.
const PAGES: i64 = 4;

/// A server's own counts come a moment late.
const COUNTED_WITHIN: Duration = Duration::from_secs(20);

/// How late one that ends tells, at most.
const TOLD_WITHIN: Duration = Duration::from_millis(500);

struct List {
    module: &'static str,
    table: &'static str,
    path: &'static str,
    sorts: &'static [&'static str],
    /// Makes so many rows.
    fill: &'static str,
}

const LISTS: [List; 4] = [
    List {
        module: "identity",
        table: "users",
        path: "/users",
        sorts: &["created_at", "username", "email"],
        fill: "insert into users (id, email, email_key, username, search, status, roles, password_hash, version, \
                 created_at, updated_at) \
               select gen_random_uuid(), 'user' || n || '@example.com', 'user' || n || '@example.com', 'user' || n, 'user' || n, \
                 'active', 'customer', 'none', 1, now() - n * interval '1 second', now() \
               from generate_series(1::bigint, $1::bigint) n",
    },
    List {
        module: "orders",
        table: "order_summaries",
        path: "/orders",
        sorts: &["placed_at", "total"],
        fill: "insert into order_summaries (order_id, customer_id, status, items, total, currency, payment_id, version, \
                 placed_at) \
               select gen_random_uuid(), gen_random_uuid(), 'pending', '[]', n, 'EUR', gen_random_uuid(), 1, \
                 now() - n * interval '1 second' \
               from generate_series(1::bigint, $1::bigint) n",
    },
    List {
        module: "inventory",
        table: "products",
        path: "/products",
        sorts: &["created_at", "name", "price"],
        fill: "insert into products (sku, name, name_folded, description, price_amount, price_currency, available, listed, \
                 version, created_at, updated_at) \
               select 'SKU-' || n, 'n' || n, 'n' || n, '', n, 'EUR', 1, true, 1, now() - n * interval '1 second', now() \
               from generate_series(1::bigint, $1::bigint) n",
    },
    List {
        module: "payments",
        table: "payments",
        path: "/payments",
        sorts: &["created_at", "updated_at", "amount"],
        fill: "insert into payments (payment_id, order_id, customer_id, status, amount, currency, refunded, version, \
                 created_at, updated_at) \
               select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'captured', n, 'EUR', 0, 1, \
                 now() - n * interval '1 second', now() - n * interval '1 second' \
               from generate_series(1::bigint, $1::bigint) n",
    },
];

/// Rows of that table that processes read which have ended.
async fn read_of(db: &Db, table: &str) -> i64 {
    let sql = "select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint \
               from pg_stat_user_tables where relname = $1";
    let row = db.one(sql, params![table]).await.unwrap();
    row.get(0).unwrap()
}

/// The same, once the server has counted so many.
async fn counted(db: &Db, list: &List, least: i64) -> i64 {
    eventually("what was read is counted", COUNTED_WITHIN, || async {
        let read = read_of(db, list.table).await;
        (read >= least).then_some(read)
    })
    .await
}

/// What was read so far counts no more, nor what one of the server's processes that ends just now still has to tell.
async fn forget(db: &Db) {
    eventually("nobody tells of before", COUNTED_WITHIN, || async {
        db.exec("select pg_stat_reset()", params![]).await.unwrap();
        sleep(TOLD_WITHIN).await;
        for list in &LISTS {
            if read_of(db, list.table).await > 0 {
                return None;
            }
        }
        Some(())
    })
    .await;
}

/// Fills every list.
async fn fill(shop: &Shop, settings: &DatabaseSettings) {
    for list in &LISTS {
        let db = Db::open(shop.stores(), list.module, settings).await;
        let db = db.unwrap();
        db.exec(list.fill, params![ROWS]).await.unwrap();
        db.script(&format!("analyze {}", list.table)).await.unwrap();
    }
}

/// The first page of a list in an order, and where it goes on.
async fn begun(who: &Caller, list: &List, sort: &str, order: &str) -> String {
    let path = format!("{}?limit={LIMIT}&sort={sort}&order={order}", list.path);
    let page = who.get(&path).send().await.expect(200);
    let next = page.meta()["next_cursor"].as_str().unwrap().to_owned();
    format!("{path}&cursor={next}")
}

/// Goes on from there.
async fn read_on(who: &Caller, mut path: String) {
    for _ in 0..PAGES {
        let page = who.get(&path).send().await.expect(200);
        assert_eq!(page.data().as_array().unwrap().len() as i64, LIMIT);
        let next = page.meta()["next_cursor"].as_str().unwrap().to_owned();
        let (before, _) = path.split_once("&cursor=").unwrap();
        path = format!("{before}&cursor={next}");
    }
}

#[tokio::test]
async fn f8_a_page_costs_what_it_shows_and_not_what_the_table_has() {
    let Some(mut shop) = Shop::start_on_postgres().await else {
        return;
    };
    let settings = DatabaseSettings::default();
    fill(&shop, &settings).await;
    let admin = shop.admin().await;
    let mut pages = Vec::new();
    for list in &LISTS {
        for sort in list.sorts {
            for order in ["asc", "desc"] {
                pages.push(begun(&admin, list, sort, order).await);
            }
        }
    }
    // The first pages count what there is. A process that has ended has told all that it read.
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();
    let db = Db::open(shop.stores(), "identity", &settings)
        .await
        .unwrap();
    for list in &LISTS {
        let shown = list.sorts.len() as i64 * 2 * LIMIT;
        counted(&db, list, shown).await;
    }
    forget(&db).await;
    shop.restart().await;
    let admin = shop.admin().await;
    for path in pages {
        read_on(&admin, path).await;
    }
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();
    for list in &LISTS {
        let shown = list.sorts.len() as i64 * 2 * PAGES * LIMIT;
        let read = counted(&db, list, shown).await;
        println!("{}: {shown} rows shown, {read} read", list.table);
        // For a gauge it is counted at the start and once a minute. Four pages that read it would be more than that.
        let most = 2 * ROWS + 3 * shown;
        assert!(read <= most, "{}: {read} read for {shown}", list.table);
    }
}
