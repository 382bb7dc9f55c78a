//! The suite that every broker passes, in parts: each has a server of its own.

use std::sync::Arc;

use stanchion_testing::conformance::broker;

use super::server::{Server, UnderTest};

async fn part(name: &str) {
    if let Some(server) = Server::start() {
        broker::run_part(Arc::new(UnderTest(server)), name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_confirms_is_there() {
    part("publish").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_groups_share() {
    part("groups").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_keys_are_in_order() {
    part("order").await;
}

/// B4.
#[tokio::test(flavor = "multi_thread")]
async fn what_it_says_three_times_and_out_of_turn_has_one_effect() {
    part("disorder").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_delivers_again_what_was_not_acknowledged() {
    part("redelivery").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_what_is_no_message() {
    part("poison").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_closes_without_a_loss() {
    part("close").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_survives_its_server_and_its_network() {
    part("faults").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_lost_is_there_again_within_a_minute() {
    part("recovery").await;
}
