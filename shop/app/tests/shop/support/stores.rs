//! The same story on each kind of store.

/// Makes two tests of each `async fn story(shop: Shop)`: on SQLite, and on PostgreSQL where there is one.
macro_rules! on_both_stores {
    ($($story:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $story() {
                    super::$story($crate::support::Shop::start().await).await;
                }
            )+
        }

        mod on_postgres {
            $(
                #[tokio::test]
                async fn $story() {
                    if let Some(shop) = $crate::support::Shop::start_on_postgres().await {
                        super::$story(shop).await;
                    }
                }
            )+
        }
    };
}

pub(crate) use on_both_stores;
