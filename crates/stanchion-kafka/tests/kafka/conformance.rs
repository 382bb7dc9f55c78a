//! The suite that every broker passes, as far as the broker within the process can have it.

use stanchion_testing::conformance::broker;

use super::server::UnderTest;

/// Left out are the cases with two members of one group at a time: that broker hands out partitions anew without
/// waiting until their last members have given them up, which Kafka does, so that two may have one for a moment.
const CASES: &[&str] = &[
    "what_is_confirmed_arrives_as_it_went",
    "a_message_is_labelled",
    "a_large_message_arrives",
    "a_message_of_a_key_too_long",
    "a_message_over_the_limit",
    "messages_over_the_limit",
    "the_same_transport_id_again",
    "what_is_announced_again",
    "the_store_is_known_by_the_same_id",
    "each_group_gets_everything",
    "a_group_gets_only_what_it_wants",
    "a_late_group_gets_what_was_there_before",
    "groups_do_not_wait_for_each_other",
    "each_key_is_in_order_over_a_redelivery",
    "links_join_without_a_hole",
    "what_comes_three_times",
    "what_is_acknowledged_does_not_come_again",
    "what_is_given_back_comes_again_soon",
    "only_what_is_acknowledged_is_dealt_with",
    "a_client_holds_few",
    "what_is_no_message",
    "a_client_that_closes_while_handling",
    "a_message_given_back_many_times",
    "a_shutdown_under_load",
    "a_publisher_survives_cut_connections",
    "a_subscription_survives_cut_connections",
    "a_stalled_connection",
    "a_killed_server",
    "a_broker_that_is_missing_at_the_start",
    "a_wiped_store_is_told",
    "what_a_wiped_store_had_confirmed",
];

/// A part of a case's name in `STANCHION_SUITE_PART` runs that case alone.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_broker() {
    let part = std::env::var("STANCHION_SUITE_PART").unwrap_or_default();
    for case in CASES.iter().filter(|case| case.contains(&part)) {
        broker::run_only(UnderTest::start().await, case).await;
    }
}
