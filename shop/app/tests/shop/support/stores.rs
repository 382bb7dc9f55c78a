//! The same story in each form of the shop.

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

/// The same, and in four services with workers of their own: without a broker, with NATS, with RabbitMQ, and with what stands
/// in for Kafka.
macro_rules! in_every_form {
    ($($story:ident),+ $(,)?) => {
        $crate::support::on_both_stores!($($story),+);

        mod in_services_without_a_broker {
            $(
                #[tokio::test]
                async fn $story() {
                    let broker = shop_cluster::Broker::None;
                    if let Some(shop) = $crate::support::Shop::start_in_services(broker).await {
                        super::$story(shop).await;
                    }
                }
            )+
        }

        mod in_services_with_nats {
            $(
                #[tokio::test]
                async fn $story() {
                    let Some(nats) = stanchion_testing::servers::Nats::required() else {
                        return;
                    };
                    let broker = shop_cluster::Broker::At(nats.url());
                    if let Some(shop) = $crate::support::Shop::start_in_services(broker).await {
                        super::$story(shop).await;
                    }
                }
            )+
        }

        mod in_services_with_rabbitmq {
            $(
                #[tokio::test]
                async fn $story() {
                    let Some(rabbit) = stanchion_testing::servers::RabbitMq::required() else {
                        return;
                    };
                    let broker = shop_cluster::Broker::At(rabbit.url().to_owned());
                    if let Some(shop) = $crate::support::Shop::start_in_services(broker).await {
                        super::$story(shop).await;
                    }
                }
            )+
        }

        mod in_services_with_a_stand_in_for_kafka {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $story() {
                    let kafka = stanchion_kafka::StandIn::start().await.unwrap();
                    let broker = shop_cluster::Broker::At(kafka.url());
                    if let Some(shop) = $crate::support::Shop::start_in_services(broker).await {
                        super::$story(shop).await;
                    }
                }
            )+
        }
    };
}

pub(crate) use in_every_form;
pub(crate) use on_both_stores;
